"""Chapter 02: who hands out addresses, which, and who lets the world know."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Any

from kanslib.exceptions import NotRecordedError
from kanslib.exercises.catalog import sources
from kanslib.exercises.catalog.queries import balancer, with_an_address
from kanslib.exercises.exercise import Choice, Exercise
from kanslib.exercises.misconceptions import ExpectedAnswer, Misconception, chose, number
from kanslib.k8s.objects import KubeObject, external_address, external_addresses
from kanslib.metallb import election
from kanslib.metallb.allocation import Allocator
from kanslib.metallb.config import pools

_APPLY = "lab.at('apply-services')"


def _speakers_addresses(lab: Any) -> ExpectedAnswer:
    pods = [pod for pod in lab.objects("pods") if pod["metadata"]["name"].startswith("speaker-")]
    if not pods:
        raise NotRecordedError("a speaker at this moment", hint="lab.install_metallb(), or lab.at('install-metallb')")
    own = {pod["status"].get("podIP") for pod in pods} == {pod["status"].get("hostIP") for pod in pods}
    vips = {external_address(one) for one in lab.objects("services")}
    return ExpectedAnswer("node" if own else "vips" if vips & {pod["status"].get("podIP") for pod in pods} else "pods")


def _assigner(lab: Any) -> ExpectedAnswer:
    told = [one for one in lab.objects("events") if one.get("reason") == "IPAllocated"]
    if not told:
        raise NotRecordedError("an address that was given", hint=_APPLY)
    author = told[-1].get("reportingComponent") or told[-1].get("source", {}).get("component", "")
    return ExpectedAnswer(author.removeprefix("metallb-"))


def _room(lab: Any) -> ExpectedAnswer:
    pool = lab.pool()
    if not pool:
        raise NotRecordedError("a pool at this moment", hint="lab.apply(manifests.pool), or lab.at('apply-pool')")
    return ExpectedAnswer(float(len(pool)))


def _without_advertisement(lab: Any) -> ExpectedAnswer:
    """The election of this moment, with every advertisement taken away."""
    service = balancer(lab, _APPLY)["metadata"]["name"]
    bare = lambda kind: [] if "advertisement" in kind.lower() else lab.objects(kind)  # noqa: E731
    alive = election.speakers(lab.objects)
    held = election.explain(bare, service, alive)
    return ExpectedAnswer("nobody" if held.leader is None else "leader")


def _same_again(lab: Any) -> ExpectedAnswer:
    """All Services given their addresses anew, and their leaders worked out anew."""
    mine = sorted(with_an_address(lab), key=lambda one: ip_address(external_address(one)))
    desk = Allocator(pools(lab.objects))
    given = {one["metadata"]["name"]: desk.converge(_fresh(one)).ips for one in mine}
    if any(tuple(external_addresses(one)) != given[one["metadata"]["name"]] for one in mine):
        return ExpectedAnswer("other addresses")
    leaders = {one["metadata"]["name"]: lab.leader(one["metadata"]["name"]) for one in mine}
    anew = {name: election.explain(lab.objects, name).leader for name in leaders}
    return ExpectedAnswer("both" if anew == leaders else "other leaders")


def _fresh(service: KubeObject) -> KubeObject:
    return {**service, "status": {}}


def _pool(addresses: str) -> KubeObject:
    return {"metadata": {"name": "imagined", "namespace": "metallb-system"}, "spec": {"addresses": [addresses]}}


def _small_desk(lab: Any) -> tuple[Allocator, list[KubeObject]]:
    """A controller whose pool has one address less than there are Services, and the Services."""
    mine = with_an_address(lab)
    network = ip_address(lab.pool()[0])
    last = network + len(mine) - 2
    pool = _pool(f"{network}-{last}")
    small = pools(lambda kind: [pool] if kind == "ipaddresspools" else lab.objects(kind))
    return Allocator(small), [_fresh(one) for one in mine]


def _one_too_many(lab: Any) -> ExpectedAnswer:
    desk, services = _small_desk(lab)
    decisions = [desk.converge(one) for one in services]
    given = [one.ips for one in decisions if one.ips]
    if len(set(given)) < len(services) and decisions[-1].ips:
        return ExpectedAnswer("shares")
    return ExpectedAnswer("waits" if any(told.type == "Warning" for told in decisions[-1].events) else "silent")


def _freed(lab: Any) -> ExpectedAnswer:
    desk, services = _small_desk(lab)
    for one in services:
        desk.converge(one)
    key = f"default/{services[0]['metadata']['name']}"
    return ExpectedAnswer("by itself" if desk.release(key) and desk.converge(services[-1]).ips else "touched")


def _of_another_network(lab: Any) -> ExpectedAnswer:
    """What the controller makes of a pool of a network that is not the clients'."""
    service = _fresh(balancer(lab, _APPLY))
    pool = _pool("192.168.77.10-192.168.77.20")
    desk = Allocator(pools(lambda kind: [pool] if kind == "ipaddresspools" else []))
    given = desk.converge(service).ips
    if not given:
        return ExpectedAnswer("refused")
    return ExpectedAnswer("works" if ip_address(given[0]) in ip_network(lab.network()) else "unreachable")


def _newer_annotation(lab: Any) -> ExpectedAnswer:
    """The same wish for an address, spelled as newer texts do: does the controller of v0.14.8 hear it?"""
    service = _fresh(with_an_address(lab)[0])
    wish = lab.pool()[-1]
    marked = {**service["metadata"], "annotations": {"metallb.io/loadBalancerIPs": wish}}
    given = Allocator(pools(lab.objects)).converge({**service, "metadata": marked}).ips
    return ExpectedAnswer("obeyed" if given == (wish,) else "ignored" if given else "refused")


EXERCISES = (
    Exercise(
        "addresses-of-speakers", "02", "Which addresses will the speaker Pods have?", "choice", _speakers_addresses,
        choices=(
            Choice("pods", "addresses from the Pod range, like other Pods"), Choice("node", "their nodes' addresses"),
            Choice("vips", "the external addresses that they announce"),
        ),
        hints=("Where would a program have to sit to hear ARP on the node's wire?", "hostNetwork: true."),
        explanation="{truth}: a speaker shares its node's network, else it could not hear the question.",
        misconceptions=(
            Misconception(
                "speakers-own-the-vips",
                "A speaker says that it has the VIP, and has it nowhere. `ip addr` shows the node's own address only.",
                sources.PING, chose("vips"),
            ),
        ),
        scored_by=("pods",),
    ),
    Exercise(
        "who-hands-out", "02", "A Service got its address. Who chose it?", "choice", _assigner, quiz=True,
        choices=(
            Choice("controller", "the controller"), Choice("speaker", "the speaker that leads"),
            Choice("kube-proxy", "kube-proxy"),
        ),
        hints=("Two events, two authors.", "lab.events('svc1'): look at FROM of IPAllocated."),
        explanation="{truth}. The speakers only let the world know.",
        misconceptions=(
            Misconception(
                "speakers-hand-out",
                "That is the other half. Which node announces is up to the speakers; which address, to somebody else. "
                "For a Service without an address, look into the other log.",
                sources.EVENTS, chose("speaker"),
            ),
        ),
    ),
    Exercise(
        "room-in-the-pool", "02", "How many Services can have an address of their own from this pool?", "number", _room,
        unit="Services", scale=(0, 256, 1),
        hints=("Both ends of the range count.", "len(lab.pool())"),
        explanation="{truth}: every address of the range, the first and the last included.",
        misconceptions=(
            Misconception(
                "network-and-broadcast-are-lost",
                "You took two away, for network and broadcast. A pool is a list of addresses and no subnet; MetalLB "
                "leaves out .0 and .255 only if avoidBuggyIPs says so.",
                "MetalLB docs, advanced IPAddressPool configuration", number(lambda truth: truth.value - 2, 0.0),
            ),
        ),
    ),
    Exercise(
        "who-answers-without-advertisement", "02",
        "There is a pool, and a Service has its address. There is no L2Advertisement. Who answers ARP for it?",
        "choice", _without_advertisement, quiz=True,
        choices=(
            Choice("leader", "the leader, as always"), Choice("nobody", "nobody"), Choice("all", "every node"),
        ),
        hints=("An address can be given without being announced.", "What did the pool say about how to announce?"),
        explanation="{truth}. A pool says what may be handed out; an advertisement, that it is announced.",
        misconceptions=(
            Misconception(
                "a-pool-is-enough",
                "It was so until 0.12, when both stood in one ConfigMap. Since 0.13 the advertisement is an object of "
                "its own, and without it nobody announces anything.",
                sources.NO_ADVERTISEMENT, chose("leader"),
            ),
            Misconception(
                "kernels-answer-by-themselves",
                "With kube-proxy in IPVS mode and no strictARP they would, and that is a fault. In iptables mode the "
                "address is on no interface, so no kernel answers.",
                sources.STRICT_ARP, chose("all"),
            ),
        ),
    ),
    Exercise(
        "same-again", "02", "All three Services are deleted and applied again. What will be the same?", "choice",
        _same_again,
        choices=(
            Choice("both", "addresses and leaders"), Choice("other leaders", "the addresses, not the leaders"),
            Choice("other addresses", "neither: they are new Services"),
        ),
        hints=("The controller takes the lowest address that is free.", "What does a leader depend on?"),
        explanation="{truth}: the lowest free addresses are the same, and a leader is worked out from the address.",
        misconceptions=(
            Misconception(
                "leaders-are-drawn-anew",
                "Nobody draws. A leader follows from the address and the nodes' names, so the same address finds the "
                "same leader.",
                sources.LESSON + " (its note that the leader stays)", chose("other leaders"),
            ),
        ),
        scored_by=("leader",),
    ),
    Exercise(
        "one-too-many", "02", "One Service more than the pool has addresses. What does the last one get?", "choice",
        _one_too_many,
        choices=(
            Choice("shares", "an address that another one has, too"), Choice("waits", "no address, and a warning"),
            Choice("silent", "no address, and silence"),
        ),
        hints=("Sharing has to be wished for by both.", "Somebody tries this time; who tries can complain."),
        explanation="{truth}: the event AllocationFailed, from the controller.",
        misconceptions=(
            Misconception(
                "services-share-when-short",
                "An address is shared only by Services that carry the same allow-shared-ip key. Without it MetalLB "
                "lets the last one wait.",
                sources.SHARING, chose("shares"),
            ),
            Misconception(
                "pending-is-always-silent",
                "It was silent in chapter 01, where nobody tried. Here somebody tries and fails, and says so.",
                "MetalLB docs, troubleshooting (IP assignment)", chose("silent"),
            ),
        ),
        scored_by=("events",),
    ),
    Exercise(
        "who-wakes-the-waiting", "02", "An address comes back. Does the Service that waits have to be touched?",
        "choice", _freed, quiz=True,
        choices=(Choice("by itself", "no, it gets the address"), Choice("touched", "yes, it has to be applied again")),
        hints=("Who notices that a Service was deleted?", "The controller looks at everybody then."),
        explanation="{truth}. Each address that comes back makes the controller look at all Services again.",
        scored_by=("services",),
    ),
    Exercise(
        "pool-of-another-network", "02", "You write a pool from a network that your clients do not share. And then?",
        "choice", _of_another_network, quiz=True,
        choices=(
            Choice("refused", "MetalLB refuses the pool"), Choice("works", "it works: MetalLB announces the address"),
            Choice("unreachable", "the Service gets an address that nobody reaches"),
        ),
        hints=("Whom would a client have to ask for that address?", "MetalLB does not know your clients' network."),
        explanation="{truth}. A client asks by ARP only for what is near.",
        misconceptions=(
            Misconception(
                "metallb-checks-the-network",
                "MetalLB hands out what it was given and does not care which kind of addresses that is.",
                sources.ANY_ADDRESS, chose("refused"),
            ),
            Misconception(
                "announced-means-reachable",
                "It does announce it. But a client asks by ARP only for addresses of its own network, and for the "
                "others its gateway, which knows no way.",
                sources.NOT_ROUTED, chose("works"),
            ),
        ),
    ),
    Exercise(
        "newer-annotation", "02",
        "You wish for an address with the annotation metallb.io/loadBalancerIPs, as new docs have it. On v0.14.8?",
        "choice", _newer_annotation, quiz=True,
        choices=(
            Choice("obeyed", "the Service gets that address"), Choice("ignored", "it gets any address"),
            Choice("refused", "it waits, with a warning"),
        ),
        hints=("Which prefix do annotations have in this version?", "A prefix that is not known is not read."),
        explanation="{truth}: v0.14.8 reads metallb.universe.tf/ and nothing else.",
        misconceptions=(
            Misconception(
                "docs-are-timeless",
                "The docs that you read are of 0.14.9 or later. This version knows only the old prefix, and says "
                "nothing about the new one.",
                "MetalLB docs, release notes (0.14.9)", chose("obeyed"),
            ),
        ),
    ),
)  # fmt: skip
