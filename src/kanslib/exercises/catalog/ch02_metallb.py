"""Exercises of chapter 02 (expected answers, hints, feedback): who gives a Service its address, and which one."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

from kanslib.exceptions import NotFoundError
from kanslib.exercises.catalog import sources
from kanslib.exercises.catalog.queries import load_balancer, name_of, services_with_vip
from kanslib.exercises.exercise import Choice, Exercise
from kanslib.exercises.lab_queries import LabQueries
from kanslib.exercises.misconceptions import ExpectedAnswer, Misconception, is_choice, is_number
from kanslib.k8s.objects import KubeObject, external_address, external_addresses
from kanslib.metallb import election
from kanslib.metallb.allocation import Allocator
from kanslib.metallb.config import pools
from kanslib.metallb.resources import Objects

_APPLY = "lab.at('apply-services')"


def _expect_addresses_of_speakers(lab: LabQueries) -> ExpectedAnswer:
    pods = [pod for pod in lab.objects("pods") if name_of(pod).startswith("speaker-")]
    if not pods:
        raise NotFoundError("a speaker at this moment", hint="lab.install_metallb(), or lab.at('install-metallb')")
    pod_ips = {pod["status"].get("podIP") for pod in pods}
    if pod_ips == {pod["status"].get("hostIP") for pod in pods}:
        return ExpectedAnswer("node")
    vips = {external_address(service) for service in lab.objects("services")}
    return ExpectedAnswer("vips" if vips & pod_ips else "pods")


def _expect_who_allocates(lab: LabQueries) -> ExpectedAnswer:
    events = [one for one in lab.objects("events") if one.get("reason") == "IPAllocated"]
    if not events:
        raise NotFoundError("an address that was given", hint=_APPLY)
    author = events[-1].get("reportingComponent") or events[-1].get("source", {}).get("component", "")
    return ExpectedAnswer(author.removeprefix("metallb-"))


def _expect_size_of_pool(lab: LabQueries) -> ExpectedAnswer:
    pool = lab.pool()
    if not pool:
        raise NotFoundError("a pool at this moment", hint="lab.apply(manifests.pool), or lab.at('apply-pool')")
    return ExpectedAnswer(float(len(pool)))


def _expect_leader_without_advertisement(lab: LabQueries) -> ExpectedAnswer:
    """Hold the election of this moment without any advertisement."""

    def objects(kind: str) -> list[KubeObject]:
        return [] if "advertisement" in kind.lower() else lab.objects(kind)

    result = election.explain(objects, name_of(load_balancer(lab, _APPLY)), election.speakers(lab.objects))
    return ExpectedAnswer("nobody" if result.leader is None else "leader")


def _expect_result_of_reinstalling(lab: LabQueries) -> ExpectedAnswer:
    """Allocate all addresses again, and hold all elections again."""
    services = sorted(services_with_vip(lab), key=lambda one: ip_address(external_address(one)))
    allocator = Allocator(pools(lab.objects))
    for service in services:
        if allocator.converge(_without_status(service)).ips != tuple(external_addresses(service)):
            return ExpectedAnswer("other addresses")
    names = [name_of(service) for service in services]
    is_same = all(election.explain(lab.objects, name).leader == lab.leader(name) for name in names)
    return ExpectedAnswer("both" if is_same else "other leaders")


def _without_status(service: KubeObject) -> KubeObject:
    return {**service, "status": {}}


def _with_pool(objects: Objects, addresses: str) -> Objects:
    """Return the objects with one pool of these addresses in place of all others."""
    metadata = {"name": "imagined", "namespace": "metallb-system"}
    pool = {"metadata": metadata, "spec": {"addresses": [addresses]}}
    return lambda kind: [pool] if kind == "ipaddresspools" else objects(kind)


def _too_small_allocator(lab: LabQueries) -> tuple[Allocator, list[KubeObject]]:
    """Return an allocator whose pool has one address less than there are Services, and the Services."""
    services = services_with_vip(lab)
    first = ip_address(lab.pool()[0])
    objects = _with_pool(lab.objects, f"{first}-{first + len(services) - 2}")
    return Allocator(pools(objects)), [_without_status(service) for service in services]


def _expect_too_small_pool(lab: LabQueries) -> ExpectedAnswer:
    allocator, services = _too_small_allocator(lab)
    decisions = [allocator.converge(service) for service in services]
    addresses = {decision.ips for decision in decisions if decision.ips}
    if len(addresses) < len(services) and decisions[-1].ips:
        return ExpectedAnswer("shares")
    return ExpectedAnswer("waits" if any(event.type == "Warning" for event in decisions[-1].events) else "silent")


def _expect_released_address(lab: LabQueries) -> ExpectedAnswer:
    allocator, services = _too_small_allocator(lab)
    for service in services:
        allocator.converge(service)
    was_released = allocator.release(f"default/{name_of(services[0])}")
    return ExpectedAnswer("by itself" if was_released and allocator.converge(services[-1]).ips else "touched")


def _expect_pool_of_another_network(lab: LabQueries) -> ExpectedAnswer:
    """Allocate an address from a pool that is not of the clients' network."""
    objects = _with_pool(lambda _kind: [], "192.168.77.10-192.168.77.20")
    addresses = Allocator(pools(objects)).converge(_without_status(load_balancer(lab, _APPLY))).ips
    if not addresses:
        return ExpectedAnswer("refused")
    return ExpectedAnswer("works" if ip_address(addresses[0]) in ip_network(lab.network()) else "unreachable")


def _expect_newer_annotation(lab: LabQueries) -> ExpectedAnswer:
    """Request an address by the annotation of a newer version; the allocator is that of v0.14.8."""
    service, requested = _without_status(services_with_vip(lab)[0]), lab.pool()[-1]
    metadata = {**service["metadata"], "annotations": {"metallb.io/loadBalancerIPs": requested}}
    addresses = Allocator(pools(lab.objects)).converge({**service, "metadata": metadata}).ips
    return ExpectedAnswer("obeyed" if addresses == (requested,) else "ignored" if addresses else "refused")


EXERCISES = (
    Exercise(
        "addresses-of-speakers", "02", "Which addresses will the speaker Pods have?",
        "choice", _expect_addresses_of_speakers,
        choices=(
            Choice("pods", "addresses from the Pod range, like other Pods"), Choice("node", "their nodes' addresses"),
            Choice("vips", "the external addresses that they announce"),
        ),
        hints=("Where would a program have to sit to hear ARP on the node's wire?", "hostNetwork: true."),
        explanation="{answer}: a speaker shares its node's network, else it could not hear the question.",
        misconceptions=(
            Misconception(
                "speakers-own-the-vips",
                "A speaker says that it has the VIP, and has it nowhere. `ip addr` shows the node's own address only.",
                sources.PING, is_choice("vips"),
            ),
        ),
        scored_by=("pods",),
    ),
    Exercise(
        "who-hands-out", "02", "A Service got its address. Who chose it?", "choice", _expect_who_allocates, quiz=True,
        choices=(
            Choice("controller", "the controller"), Choice("speaker", "the speaker that leads"),
            Choice("kube-proxy", "kube-proxy"),
        ),
        hints=("Two events, two authors.", "lab.events('svc1'): look at FROM of IPAllocated."),
        explanation="{answer}. The speakers only announce it.",
        misconceptions=(
            Misconception(
                "speakers-hand-out",
                "That is the other half. Which node announces is up to the speakers; which address, to somebody else. "
                "For a Service without an address, look into the other log.",
                sources.EVENTS, is_choice("speaker"),
            ),
        ),
    ),
    Exercise(
        "room-in-the-pool", "02", "How many Services can have an address of their own from this pool?",
        "number", _expect_size_of_pool,
        unit="Services", scale=(0, 256, 1),
        hints=("Both ends of the range count.", "len(lab.pool())"),
        explanation="{answer}: every address of the range, the first and the last included.",
        misconceptions=(
            Misconception(
                "network-and-broadcast-are-lost",
                "You took two away, for network and broadcast. A pool is a list of addresses and no subnet; MetalLB "
                "leaves out .0 and .255 only if avoidBuggyIPs says so.",
                "MetalLB docs, advanced IPAddressPool configuration",
                is_number(lambda expected: expected.number - 2, 0.0),
            ),
        ),
    ),
    Exercise(
        "who-answers-without-advertisement", "02",
        "There is a pool, and a Service has its address. There is no L2Advertisement. Who answers ARP for it?",
        "choice", _expect_leader_without_advertisement, quiz=True,
        choices=(
            Choice("leader", "the leader, as always"), Choice("nobody", "nobody"), Choice("all", "every node"),
        ),
        hints=("An address can be given without being announced.", "What did the pool say about how to announce?"),
        explanation="{answer}. A pool says what may be handed out; an advertisement, that it is announced.",
        misconceptions=(
            Misconception(
                "a-pool-is-enough",
                "It was so until 0.12, when both stood in one ConfigMap. Since 0.13 the advertisement is an object of "
                "its own, and without it nobody announces anything.",
                sources.NO_ADVERTISEMENT, is_choice("leader"),
            ),
            Misconception(
                "kernels-answer-by-themselves",
                "With kube-proxy in IPVS mode and no strictARP they would, and that is a fault. In iptables mode the "
                "address is on no interface, so no kernel answers.",
                sources.STRICT_ARP, is_choice("all"),
            ),
        ),
    ),
    Exercise(
        "same-again", "02", "All three Services are deleted and applied again. What will be the same?", "choice",
        _expect_result_of_reinstalling,
        choices=(
            Choice("both", "addresses and leaders"), Choice("other leaders", "the addresses, not the leaders"),
            Choice("other addresses", "neither: they are new Services"),
        ),
        hints=("The controller takes the lowest address that is free.", "What does a leader depend on?"),
        explanation="{answer}: the lowest free addresses are the same, and a leader is derived from the address.",
        misconceptions=(
            Misconception(
                "leaders-are-drawn-anew",
                "Nobody draws. A leader follows from the address and the nodes' names, so the same address finds the "
                "same leader.",
                sources.LESSON + " (its note that the leader stays)", is_choice("other leaders"),
            ),
        ),
        scored_by=("leader",),
    ),
    Exercise(
        "one-too-many", "02", "One Service more than the pool has addresses. What does the last one get?", "choice",
        _expect_too_small_pool,
        choices=(
            Choice("shares", "an address that another one has, too"), Choice("waits", "no address, and a warning"),
            Choice("silent", "no address, and silence"),
        ),
        hints=("Sharing has to be wished for by both.", "Somebody tries this time; who tries can complain."),
        explanation="{answer}: the event AllocationFailed, from the controller.",
        misconceptions=(
            Misconception(
                "services-share-when-short",
                "An address is shared only by Services that carry the same allow-shared-ip key. Without it MetalLB "
                "lets the last one wait.",
                sources.SHARING, is_choice("shares"),
            ),
            Misconception(
                "pending-is-always-silent",
                "It was silent in chapter 01, where nobody tried. Here somebody tries and fails, and says so.",
                "MetalLB docs, troubleshooting (IP assignment)", is_choice("silent"),
            ),
        ),
        scored_by=("events",),
    ),
    Exercise(
        "who-wakes-the-waiting", "02", "An address comes back. Does the Service that waits have to be touched?",
        "choice", _expect_released_address, quiz=True,
        choices=(Choice("by itself", "no, it gets the address"), Choice("touched", "yes, it has to be applied again")),
        hints=("Who notices that a Service was deleted?", "The controller looks at everybody then."),
        explanation="{answer}. Each address that comes back makes the controller look at all Services again.",
        scored_by=("services",),
    ),
    Exercise(
        "pool-of-another-network", "02", "You write a pool from a network that your clients do not share. And then?",
        "choice", _expect_pool_of_another_network, quiz=True,
        choices=(
            Choice("refused", "MetalLB refuses the pool"), Choice("works", "it works: MetalLB announces the address"),
            Choice("unreachable", "the Service gets an address that nobody reaches"),
        ),
        hints=("Whom would a client have to ask for that address?", "MetalLB does not know your clients' network."),
        explanation="{answer}. A client asks by ARP only for what is near.",
        misconceptions=(
            Misconception(
                "metallb-checks-the-network",
                "MetalLB hands out what it was given and does not care which kind of addresses that is.",
                sources.ANY_ADDRESS, is_choice("refused"),
            ),
            Misconception(
                "announced-means-reachable",
                "It does announce it. But a client asks by ARP only for addresses of its own network, and for the "
                "others its gateway, which knows no way.",
                sources.NOT_ROUTED, is_choice("works"),
            ),
        ),
    ),
    Exercise(
        "newer-annotation", "02",
        "You wish for an address with the annotation metallb.io/loadBalancerIPs, as new docs have it. On v0.14.8?",
        "choice", _expect_newer_annotation, quiz=True,
        choices=(
            Choice("obeyed", "the Service gets that address"), Choice("ignored", "it gets any address"),
            Choice("refused", "it waits, with a warning"),
        ),
        hints=("Which prefix do annotations have in this version?", "A prefix that is not known is not read."),
        explanation="{answer}: v0.14.8 reads metallb.universe.tf/ and nothing else.",
        misconceptions=(
            Misconception(
                "docs-are-timeless",
                "The docs that you read are of 0.14.9 or later. This version knows only the old prefix, and says "
                "nothing about the new one.",
                "MetalLB docs, release notes (0.14.9)", is_choice("obeyed"),
            ),
        ),
    ),
)  # fmt: skip
