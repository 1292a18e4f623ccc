"""Exercises of chapter 02 (expected answers, hints, feedback): who gives a Service its address, and which one."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address, ip_network

from kanslib.exceptions import KanslibError, NotFoundError
from kanslib.exercises.catalog import sources
from kanslib.exercises.catalog.queries import load_balancer, name_of, refused, services_with_vip, written_objects
from kanslib.exercises.exercise import Choice, Exercise
from kanslib.exercises.lab_queries import LabQueries
from kanslib.exercises.misconceptions import (
    Case,
    Effect,
    ExpectedAnswer,
    Misconception,
    Phrase,
    behaves_like,
    is_choice,
    is_number,
    leads_to,
    phrase,
)
from kanslib.i18n import tr, tr_later
from kanslib.k8s.objects import KubeObject, external_address, external_addresses, plural
from kanslib.metallb import election, webhook
from kanslib.metallb.allocation import PREFIX, Allocator
from kanslib.metallb.config import Pool, pools
from kanslib.metallb.resources import Objects
from kanslib.simulator.admission import check_object as check_content

_APPLY = "lab.at('apply-services')"
_SECRET_NAME = "METALLB_ML_SECRET_NAME"


def _expect_addresses_of_speakers(lab: LabQueries) -> ExpectedAnswer:
    pods = [pod for pod in lab.objects("pods") if name_of(pod).startswith("speaker-")]
    if not pods:
        raise NotFoundError(
            tr("a speaker at this moment"), hint=tr("lab.install_metallb(), or lab.at('install-metallb')")
        )
    pod_ips = {pod["status"].get("podIP") for pod in pods}
    if pod_ips == {pod["status"].get("hostIP") for pod in pods}:
        return ExpectedAnswer("node")
    vips = {external_address(service) for service in lab.objects("services")}
    return ExpectedAnswer("vips" if vips & pod_ips else "pods")


def _expect_who_allocates(lab: LabQueries) -> ExpectedAnswer:
    events = [one for one in lab.objects("events") if one.get("reason") == "IPAllocated"]
    if not events:
        raise NotFoundError(tr("an address that was given"), hint=_APPLY)
    author = events[-1].get("reportingComponent") or events[-1].get("source", {}).get("component", "")
    return ExpectedAnswer(author.removeprefix("metallb-"))


def _expect_who_elects(lab: LabQueries) -> ExpectedAnswer:
    """Hold every election again: each speaker has what this needs, so no component has to decide for the others."""
    names = [name_of(service) for service in services_with_vip(lab)]
    is_same = all(election.explain(lab.objects, name).leader == lab.leader(name) for name in names)
    return ExpectedAnswer("speakers" if is_same else "controller")


def _expect_creator_of_the_secret(lab: LabQueries) -> ExpectedAnswer:
    """Find the component that gets the name of memberlist's Secret to create it."""
    for deployment in lab.objects("deployments", "metallb-system"):
        containers = deployment["spec"]["template"]["spec"]["containers"]
        if any(one["name"] == _SECRET_NAME for container in containers for one in container.get("env", [])):
            return ExpectedAnswer(name_of(deployment))
    raise NotFoundError(tr("a Deployment that names memberlist's Secret"), hint="lab.at('install-metallb')")


def _expect_path_past_the_node_port(lab: LabQueries) -> ExpectedAnswer:
    """Find out whether a packet to an external address passes the rules of the NodePorts."""
    ways = lab.trace(name_of(services_with_vip(lab)[0]))
    chains = {step.rule.chain for way in ways for step in way.steps if step.rule}
    return ExpectedAnswer("dead" if "KUBE-NODEPORTS" in chains else "works")


def _lowest_free(pool: list[str], taken: list[str]) -> str | None:
    return next((address for address in pool if address not in taken), None)


def _after_the_last(pool: list[str], taken: list[str]) -> str | None:
    """Return the address after the last one that was taken, as somebody does who hands out in a circle."""
    return pool[(pool.index(taken[-1]) + 1) % len(pool)] if taken else pool[0]


def _expect_next_addresses(lab: LabQueries) -> ExpectedAnswer:
    """Return what the controller gives to one Service after another, and after one of them is gone."""
    pool = _addresses(lab)
    allocator, taken = Allocator(pools(lab.objects)), dict[str, str]()
    cases: list[Case] = []

    def give(name: str) -> None:
        before = list(taken.values())
        taken[name] = allocator.converge(_imagined_service(name)).ips[0]
        cases.append(((pool, before), taken[name]))

    for name in ("first", "second", "third"):
        give(name)
    allocator.release("default/first")
    del taken["first"]
    give("fourth")
    cases.append(((pool, list(pool)), None))
    return ExpectedAnswer(cases)


def _addresses(lab: LabQueries) -> list[str]:
    """Return the addresses of the pool; NotFoundError where there is none."""
    found = lab.pool()
    if not found:
        raise NotFoundError(tr("a pool at this moment"), hint="lab.at('apply-l2advertisement')")
    return found


def _imagined_service(name: str) -> KubeObject:
    spec = {"type": "LoadBalancer", "clusterIP": "10.200.1.9", "clusterIPs": ["10.200.1.9"], "ports": [{"port": 80}]}
    return {"kind": "Service", "metadata": {"name": name, "namespace": "default"}, "spec": spec, "status": {}}


def _expect_announced_pool(lab: LabQueries) -> ExpectedAnswer:
    """Return what two ranges after the pool's last address lead to, and the pools as they were."""
    addresses = _addresses(lab)
    before = [_pool_words(pool) for pool in pools(lab.objects).values()]
    last = ip_address(addresses[-1])
    cases: list[Case] = [
        ((f"{first}-{end}",), _in_order([*before, _range_words("spare", first, end, True)]))
        for first, end in ((last + 1, last + 2), (last + 2, last + 3))
    ]
    return ExpectedAnswer(cases, effect=lambda written: _effect_on_pools(lab.objects, written))


def _effect_on_pools(objects: Objects, written: object) -> Effect:
    """Return the pools after `kubectl apply` of a manifest, or why kubectl, the API server or MetalLB refuses it."""
    try:
        for document in written_objects(written):
            check_content(document, None)
            webhook.admit("CREATE", document, objects)
            objects = _with_object(objects, document)
        return _in_order(map(_pool_words, pools(objects).values()))
    except KanslibError as error:
        return refused(error)


def _with_object(objects: Objects, document: KubeObject) -> Objects:
    """Return the objects with one applied: it replaces the one of its kind that has its name."""
    kind = plural(document["kind"])

    def changed(asked: str) -> list[KubeObject]:
        if plural(asked) != kind:
            return objects(asked)
        return [*(one for one in objects(asked) if name_of(one) != name_of(document)), document]

    return changed


def _in_order(phrases: Iterable[Phrase]) -> Effect:
    return Effect(tuple(sorted(phrases, key=lambda one: one.english)))


def _pool_words(pool: Pool) -> Phrase:
    nodes = [*(one.nodes for one in pool.layer2), *(one.nodes for one in pool.bgp)]
    return _range_words(pool.name, pool.networks[0][0], pool.networks[-1][-1], any(nodes))


def _range_words(pool: str, first: object, last: object, is_announced: bool) -> Phrase:
    announced, silent = (
        tr_later("{pool} {first} to {last}, announced"),
        tr_later("{pool} {first} to {last}, not announced"),
    )
    return phrase(announced if is_announced else silent, pool=pool, first=str(first), last=str(last))


def _expect_size_of_pool(lab: LabQueries) -> ExpectedAnswer:
    pool = lab.pool()
    if not pool:
        raise NotFoundError(tr("a pool at this moment"), hint=tr("lab.apply(manifests.pool), or lab.at('apply-pool')"))
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


def _with_annotation(service: KubeObject, annotation: str, value: str) -> KubeObject:
    """Return the Service as a new one that asks for something by annotation."""
    return {**_without_status(service), "metadata": {**service["metadata"], "annotations": {annotation: value}}}


def _with_pool(objects: Objects, addresses: str) -> Objects:
    """Return the objects with one pool of these addresses in place of all others."""
    metadata = {"name": "imagined", "namespace": "metallb-system"}
    pool = {"metadata": metadata, "spec": {"addresses": [addresses]}}
    return lambda kind: [pool] if kind == "ipaddresspools" else objects(kind)


def _expect_address_beyond_the_pool(lab: LabQueries) -> ExpectedAnswer:
    """Ask for the address after the pool's last one."""
    beyond = str(ip_address(_addresses(lab)[-1]) + 1)
    service = _with_annotation(load_balancer(lab, _APPLY), f"{PREFIX}loadBalancerIPs", beyond)
    decision = Allocator(pools(lab.objects)).converge(service)
    if decision.ips:
        return ExpectedAnswer("extends" if decision.ips == (beyond,) else "another")
    return ExpectedAnswer("waits" if any(event.type == "Warning" for event in decision.events) else "silent")


def _expect_released_address(lab: LabQueries) -> ExpectedAnswer:
    """Let one Service too many wait for an address, and give one back."""
    services = [_without_status(service) for service in services_with_vip(lab)]
    first = ip_address(_addresses(lab)[0])
    allocator = Allocator(pools(_with_pool(lab.objects, f"{first}-{first + len(services) - 2}")))
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
    requested = _addresses(lab)[-1]
    service = _with_annotation(services_with_vip(lab)[0], "metallb.io/loadBalancerIPs", requested)
    addresses = Allocator(pools(lab.objects)).converge(service).ips
    return ExpectedAnswer("obeyed" if addresses == (requested,) else "ignored" if addresses else "refused")


EXERCISES = (
    Exercise(
        "addresses-of-speakers", "02", "Which addresses will the speaker Pods have?",
        "choice", _expect_addresses_of_speakers,
        choices=(
            Choice("pods", "addresses from the Pod range, like other Pods"), Choice("node", "their nodes' addresses"),
            Choice("vips", "the external addresses that they announce"),
        ),
        hints=("Where would a program have to run to hear ARP on the node's network?", "hostNetwork: true."),
        explanation="{answer}: a speaker shares its node's network, because it has to hear ARP there.",
        misconceptions=(
            Misconception(
                "speakers-own-the-vips",
                "A speaker answers for the VIP and puts it on no interface. `ip addr` shows the node's own address "
                "only.",
                sources.PING, is_choice("vips"),
            ),
            Misconception(
                "speakers-are-ordinary-pods",
                "An ordinary Pod has a network of its own, and no ARP question from the node's network gets there. A "
                "speaker has to hear those questions.",
                "MetalLB docs, installation", is_choice("pods"),
            ),
        ),
        scored_by=("pods",),
        gives_away=(r"hostNetwork", r"shares? (?:the|its) node's network"),
    ),
    Exercise(
        "who-makes-the-secret", "02",
        "All speakers stay in ContainerCreating: the Secret memberlist is missing. Which component creates it?",
        "choice", _expect_creator_of_the_secret, quiz=True,
        choices=(
            Choice("controller", "MetalLB's controller"), Choice("you", "you do, with kubectl create secret"),
            Choice("speakers", "the first speaker that starts"),
        ),
        hints=("A speaker cannot start without it.", "Look at the environment of the Deployment."),
        explanation="{answer}. So look at the controller's Pod first when the speakers do not start.",
        misconceptions=(
            Misconception(
                "you-make-the-secret",
                "Old versions needed that command, and old guides still have it. Since then the controller creates "
                "the Secret.",
                "MetalLB docs, installation (of old versions)", is_choice("you"),
            ),
            Misconception(
                "speakers-make-the-secret",
                "A speaker mounts the Secret, so its container cannot start before the Secret exists.",
                "MetalLB docs, installation", is_choice("speakers"),
            ),
        ),
    ),
    Exercise(
        "who-hands-out", "02", "A Service got its address. Which component chose it?", "choice",
        _expect_who_allocates, quiz=True,
        choices=(
            Choice("controller", "the controller"), Choice("speaker", "the speaker that leads"),
            Choice("kube-proxy", "kube-proxy"),
        ),
        hints=("Which components wrote events of the Service?", "lab.events('svc1'): look at FROM of IPAllocated."),
        explanation="{answer}. The speakers only announce it.",
        misconceptions=(
            Misconception(
                "speakers-hand-out",
                "Speakers decide which node announces an address. The controller chooses the address, so read its log "
                "for a Service without one.",
                sources.EVENTS, is_choice("speaker"),
            ),
            Misconception(
                "kube-proxy-hands-out",
                "kube-proxy reads the address from the Service and writes rules for it. It chooses no address.",
                sources.BRIEF, is_choice("kube-proxy"),
            ),
        ),
    ),
    Exercise(
        "who-elects", "02", "The address needs a leader. Which component decides which node leads?", "choice",
        _expect_who_elects, quiz=True,
        choices=(
            Choice("controller", "the controller"), Choice("speakers", "each speaker, by itself, from the same data"),
            Choice("lease", "the API server: the leader holds a Lease"), Choice("vote", "the speakers, by a vote"),
        ),
        hints=("Which component wrote nodeAssigned?", "What did not change when you applied the same file again?"),
        explanation="{answer}. The same data gives the same result on each node. Chapter 05 shows the rule.",
        misconceptions=(
            Misconception(
                "the-controller-chooses-the-node",
                "The controller chooses addresses and no nodes. Stop it, and the leaders stay as they are.",
                sources.BRIEF, is_choice("controller"),
            ),
            Misconception(
                "a-lease-names-the-leader",
                "Cilium's layer 2 announcements work with Leases. MetalLB's speakers write no Lease for a "
                "Service. Each speaker computes the leader.",
                sources.BRIEF, is_choice("lease"),
            ),
            Misconception(
                "speakers-vote",
                "By memberlist the speakers watch each other. It is no etcd: it stores no decision, and it holds no "
                "vote. It only says which speakers are alive.",
                sources.BRIEF, is_choice("vote"),
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
                "You subtracted a network and a broadcast address. A pool is a list of addresses and no subnet. "
                "MetalLB leaves out .0 and .255 only with avoidBuggyIPs.",
                "MetalLB docs, advanced IPAddressPool configuration",
                is_number(lambda expected: expected.number - 2, 0.0),
            ),
            Misconception(
                "a-range-without-its-end",
                "You subtracted the first number from the last. The range includes both ends, so add one.",
                sources.ANY_ADDRESS, is_number(lambda expected: expected.number - 1, 0.0),
            ),
        ),
    ),
    Exercise(
        "next-address", "02",
        "You are the controller. Write next_address: it gets the pool and the addresses in use, and returns the next "
        "address, or None if no address is free.",
        "code", _expect_next_addresses,
        starter="def next_address(pool, taken):\n    ...",
        hints=(
            "Go through the pool from its first address on.",
            "for address in pool: return the first one that is not in `taken`. After the loop, return None.",
        ),
        explanation="MetalLB takes the lowest address that is free, also when a higher one was in use before.",
        solution=(
            "def next_address(pool, taken):\n"
            "    for address in pool:\n"
            "        if address not in taken:\n"
            "            return address\n"
            "    return None"
        ),
        misconceptions=(
            Misconception(
                "addresses-go-round",
                "You go on after the last address in use, as many DHCP servers do. MetalLB begins at the pool's first "
                "address each time.",
                sources.ANY_ADDRESS, behaves_like(_after_the_last),
            ),
        ),
    ),
    Exercise(
        "who-answers-without-advertisement", "02",
        "A Service has an address from a pool, and the cluster has no L2Advertisement. Which node answers ARP for it?",
        "choice", _expect_leader_without_advertisement, quiz=True,
        choices=(
            Choice("leader", "the leader, as usual"), Choice("nobody", "no node"), Choice("all", "every node"),
        ),
        hints=("The controller gives addresses. Does that announce them?", "What did the pool say about ARP?"),
        explanation="{answer}. A pool lists addresses. An advertisement makes the speakers announce them.",
        misconceptions=(
            Misconception(
                "a-pool-is-enough",
                "It was so until 0.12, when one ConfigMap held both. Since 0.13 the advertisement is an object of "
                "its own, and without it no speaker announces anything.",
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
        "same-again", "02", "You delete the Services and apply them again. What will be the same?", "choice",
        _expect_result_of_reinstalling,
        choices=(
            Choice("both", "addresses and leaders"), Choice("other leaders", "the addresses, not the leaders"),
            Choice("other addresses", "neither: they are new Services"),
        ),
        hints=("The controller takes the lowest free address.", "What does a leader depend on?"),
        explanation="{answer}: the lowest free addresses are the same, and the same address gives the same leader.",
        misconceptions=(
            Misconception(
                "leaders-are-drawn-anew",
                "MetalLB draws no lots. A leader follows from the address and the nodes' names, so the same address "
                "gives the same leader.",
                sources.LESSON + " (its note that the leader stays)", is_choice("other leaders"),
            ),
            Misconception(
                "a-new-service-gets-a-new-address",
                "The Services are new objects, but the controller returned their addresses to the pool. They are the "
                "lowest free ones again.",
                sources.ANY_ADDRESS, is_choice("other addresses"),
            ),
        ),
        scored_by=("leader",),
        gives_away=(r"same address(?:es)?.{1,30}same leader", r"computes? the leader"),
    ),
    Exercise(
        "one-too-many", "02",
        "svc1 asks for the address after the pool's last one. What does it get?", "choice",
        _expect_address_beyond_the_pool,
        choices=(
            Choice("extends", "that address"), Choice("another", "a free address of the pool"),
            Choice("waits", "no address, and a warning"), Choice("silent", "no address, and no event"),
        ),
        hints=("MetalLB gives only addresses of its pools.", "A component tries this time, so it can write an event."),
        explanation="{answer}: the event AllocationFailed, from the controller.",
        misconceptions=(
            Misconception(
                "a-wish-is-an-order",
                "The annotation chooses among the addresses of the pools. It adds no address to a pool.",
                sources.EVENTS, is_choice("extends"),
            ),
            Misconception(
                "a-wish-is-only-a-wish",
                "MetalLB does not fall back to another address. A Service that asks for one address gets that address "
                "or none.",
                sources.EVENTS, is_choice("another"),
            ),
            Misconception(
                "pending-is-always-silent",
                "In chapter 01 no component tried, so no component wrote an event. Here the controller tries, fails "
                "and says so.",
                "MetalLB docs, troubleshooting (IP assignment)", is_choice("silent"),
            ),
        ),
        scored_by=("events",),
        gives_away=(r"AllocationFailed", r"not allowed in config"),
    ),
    Exercise(
        "write-a-pool", "02",
        "Write spare_pool: it returns YAML with an IPAddressPool that is named spare and has these addresses, and with "
        "an L2Advertisement that announces it. The addresses come as text: first-last.",
        "code", _expect_announced_pool,
        starter="def spare_pool(addresses):\n    ...",
        hints=(
            "print(manifests.pool) and print(manifests.l2advertisement) show such objects. What has to differ?",
            "Two objects are two YAML documents, with --- between them. MetalLB reads the namespace metallb-system.",
            "In YAML an item of a list begins with a dash. spec.addresses and spec.ipAddressPools are such lists.",
        ),
        explanation="A pool and an advertisement belong together. With both, a speaker can announce these addresses.",
        solution=(
            "def spare_pool(addresses):\n"
            '    return f"""\n'
            "apiVersion: metallb.io/v1beta1\n"
            "kind: IPAddressPool\n"
            "metadata:\n"
            "  name: spare\n"
            "  namespace: metallb-system\n"
            "spec:\n"
            "  addresses:\n"
            "  - {addresses}\n"
            "---\n"
            "apiVersion: metallb.io/v1beta1\n"
            "kind: L2Advertisement\n"
            "metadata:\n"
            "  name: spare\n"
            "  namespace: metallb-system\n"
            "spec:\n"
            "  ipAddressPools:\n"
            "  - spare\n"
            '"""'
        ),
        misconceptions=(
            Misconception(
                "one-advertisement-serves-all",
                "Your pool has no advertisement. The L2Advertisement of this cluster names another pool, so no node "
                "announces the new addresses.",
                sources.NO_ADVERTISEMENT, leads_to(r"spare [\w.: ]+, not announced"),
            ),
            Misconception(
                "apply-adds-to-a-list",
                "Your advertisement has the name of the old one. kubectl apply replaces its list of pools, so the old "
                "pool has no advertisement now. Give yours another name.",
                sources.NO_ADVERTISEMENT, leads_to(r"^(?!spare)\S+ [\w.: ]+, not announced; spare [\w.: ]+, announced"),
            ),
            Misconception(
                "any-namespace-will-do",
                "MetalLB accepts its objects in the namespace metallb-system only. Without a namespace kubectl uses "
                "default.",
                "MetalLB docs, configuration", leads_to("must be created in metallb-system"),
            ),
            Misconception(
                "a-range-is-a-text",
                "The API expects a list in that place. In YAML each item of a list begins with a dash.",
                "MetalLB docs, configuration", leads_to("refused: .*must be of type array"),
            ),
        ),
    ),
    Exercise(
        "without-a-node-port", "02", "svc4 has no NodePort. Does its external address answer a request?", "choice",
        _expect_path_past_the_node_port,
        choices=(Choice("works", "yes"), Choice("dead", "no: the traffic goes through the NodePort")),
        hints=("Which port does the client use?", "Does the packet's destination name a node or the VIP?"),
        explanation="{answer}. kube-proxy has a rule for the VIP itself; the packet passes no NodePort.",
        misconceptions=(
            Misconception(
                "traffic-goes-through-the-node-port",
                "A cloud's load balancer with instance targets does that. With MetalLB the client sends to the VIP and "
                "the Service's own port, and kube-proxy has a rule for them.",
                "MetalLB issue #328", is_choice("dead"),
            ),
        ),
        scored_by=("curl",),
        gives_away=(r"passes no NodePort", r"rule for the VIP"),
    ),
    Exercise(
        "who-wakes-the-waiting", "02", "svc9 waits because its pool has no free address. What ends the wait?",
        "choice", _expect_released_address, quiz=True,
        choices=(
            Choice("by itself", "another Service returns its address: svc9 gets it"),
            Choice("touched", "the same, but you have to apply svc9 again"),
            Choice("shares", "nothing has to happen: svc9 shares an address"),
        ),
        hints=("Which component sees that a Service is gone?", "The controller looks at all Services then."),
        explanation="{answer}. With each returned address the controller looks at all Services again.",
        misconceptions=(
            Misconception(
                "waiting-needs-a-touch",
                "The controller remembers which Services have no address. It looks at them again with each address "
                "that a Service returns.",
                sources.BRIEF, is_choice("touched"),
            ),
            Misconception(
                "services-share-when-short",
                "Two Services share an address only if both have the same allow-shared-ip key. Without the key MetalLB "
                "lets the last one wait.",
                sources.SHARING, is_choice("shares"),
            ),
        ),
    ),
    Exercise(
        "pool-of-another-network", "02",
        "You write a pool from a network that your clients do not share, and announce it on layer 2. What happens?",
        "choice", _expect_pool_of_another_network, quiz=True,
        choices=(
            Choice("refused", "MetalLB refuses the pool"), Choice("works", "it works: a speaker announces the address"),
            Choice("host route", "it works: clients get a /32 route to the leader"),
            Choice("unreachable", "the Service gets an address that no client reaches"),
        ),
        hints=("Which machine would a client ask for that address?", "MetalLB does not know your clients' network."),
        explanation="{answer}. A client asks by ARP only for addresses of its own network.",
        misconceptions=(
            Misconception(
                "metallb-checks-the-network",
                "MetalLB gives the addresses that you list. It does not compare them with any network.",
                sources.ANY_ADDRESS, is_choice("refused"),
            ),
            Misconception(
                "announced-means-reachable",
                "A speaker does announce it. But a client asks by ARP only for addresses of its own network. For "
                "others it asks its gateway, which knows no route.",
                sources.NOT_ROUTED, is_choice("works"),
            ),
            Misconception(
                "layer-2-makes-routes",
                "ARP carries no routes. BGP announces a /32 route to a router (chapter 07). On layer 2 you would have "
                "to add a route yourself.",
                sources.NOT_ROUTED, is_choice("host route"),
            ),
        ),
    ),
    Exercise(
        "newer-annotation", "02",
        "You ask for an address with the annotation metallb.io/loadBalancerIPs, as new docs do. What does v0.14.8 do?",
        "choice", _expect_newer_annotation, quiz=True,
        choices=(
            Choice("obeyed", "the Service gets that address"), Choice("ignored", "it gets the lowest free address"),
            Choice("refused", "it waits, with a warning"),
        ),
        hints=("Which prefix do annotations have in this version?", "MetalLB ignores annotations of other prefixes."),
        explanation="{answer}: v0.14.8 reads only annotations that begin with metallb.universe.tf/.",
        misconceptions=(
            Misconception(
                "docs-are-timeless",
                "The docs that you read are for 0.14.9 or later. This version knows only the old prefix, and writes "
                "no event about the new one.",
                "MetalLB docs, release notes (0.14.9)", is_choice("obeyed"),
            ),
            Misconception(
                "unknown-annotations-are-errors",
                "Kubernetes stores any annotation, and a controller reads only those that it knows. So no component "
                "complains.",
                "MetalLB docs, release notes (0.14.9)", is_choice("refused"),
            ),
        ),
    ),
)  # fmt: skip
