"""Compute which node leads a VIP on layer 2 (MetalLB v0.14.8 speaker/layer2_controller.go ShouldAnnounce)."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from kanslib.exceptions import UnknownNameError
from kanslib.i18n import listed, tr, tr_later
from kanslib.k8s.endpoints import can_serve, endpoints_in, slices_of
from kanslib.k8s.objects import KubeObject, external_addresses, is_ready, labels_of, qualified_name
from kanslib.metallb.config import Pool, pool_of, pools
from kanslib.metallb.resources import Objects, objects_of_kind

Names = frozenset[str]
EXCLUDE = "node.kubernetes.io/exclude-from-external-load-balancers"


def order(nodes: Iterable[str], ip: str) -> list[str]:
    """Return the candidate nodes in the order in which they would lead `ip`, the leader first.

    Every speaker sorts them by the bytes of sha256(node + "#" + ip), and so gets the same result on its own.
    Raises TypeError for a single string or a table, which would be iterated wrongly.

    >>> order(["myk8s-worker", "myk8s-worker2", "myk8s-worker3"], "172.18.255.200")[0]
    'myk8s-worker'
    """
    if isinstance(nodes, str) or hasattr(nodes, "columns"):
        raise TypeError("nodes has to be a list of node names, for a table: order(table['NAME'], ip)")
    return sorted(nodes, key=lambda node: sort_key(node, ip))


def sort_key(node: str, ip: str) -> bytes:
    """Return the key that is compared: the 32 bytes of sha256(node + "#" + ip). The smallest leads.

    >>> sort_key("kind-worker2", "172.18.255.200").hex()[:8]
    '3599cdb1'
    """
    return hashlib.sha256(f"{node}#{ip}".encode()).digest()


def leaders(nodes: Iterable[str], ips: Iterable[str]) -> dict[str, str]:
    """Return the leader of every address, for many addresses at once; none where there is no node."""
    names = [(node.encode(), node) for node in nodes]
    sha256, found = hashlib.sha256, {}
    for ip in ips:
        tail = b"#" + ip.encode()
        best, leader = b"\xff" * 33, ""
        for encoded, node in names:
            digest = sha256(encoded + tail).digest()
            if digest < best:
                best, leader = digest, node
        if leader:
            found[ip] = leader
    return found


# ── a node joins or leaves ───────────────────────────────────────────────────────────────────────────────


def won_by_new_node(newcomer: str, nodes: Collection[str], ips: Iterable[str]) -> list[str]:
    """Return the addresses that a joining node would lead; all others keep their leader.

    >>> workers = ["myk8s-worker", "myk8s-worker2", "myk8s-worker3"]
    >>> won_by_new_node("myk8s-worker4", workers, ["172.18.255.200", "172.18.255.201", "172.18.255.207"])
    ['172.18.255.207']
    """
    return [ip for ip, leader in leaders([*nodes, newcomer], ips).items() if leader == newcomer]


def successors_of(leaver: str, nodes: Collection[str], ips: Iterable[str]) -> dict[str, str]:
    """Return the next leader of each address that a leaving node leads; all others keep their leader."""
    led = [ip for ip, leader in leaders(nodes, ips).items() if leader == leaver]
    return leaders([node for node in nodes if node != leaver], led)


@dataclass(frozen=True)
class Distribution:
    """How many of some addresses each node leads, and how far that is from even."""

    counts: Mapping[str, int]

    @property
    def expected(self) -> float:
        """The even share."""
        return sum(self.counts.values()) / len(self.counts)

    @property
    def deviation(self) -> float:
        """The standard deviation of a node's count from the even share, by chance alone."""
        nodes, total = len(self.counts), sum(self.counts.values())
        return math.sqrt(total * (1 / nodes) * (1 - 1 / nodes))

    def __str__(self) -> str:
        counts = "/".join(str(count) for count in self.counts.values())
        return tr(
            "{counts}: an even share is {expected:.1f}, and chance alone strays by {deviation:.1f}",
            counts=counts,
            expected=self.expected,
            deviation=self.deviation,
        )


def distribution(nodes: Iterable[str], ips: Iterable[str]) -> Distribution:
    """Return how many of some addresses each candidate leads; the hash spreads them as if at random.

    >>> workers = ["myk8s-worker", "myk8s-worker2", "myk8s-worker3"]
    >>> print(distribution(workers, [f"172.18.255.{n}" for n in range(200, 251)]))
    19/14/18: an even share is 17.0, and chance alone strays by 3.4
    """
    counts = dict.fromkeys(nodes, 0)
    for leader in leaders(list(counts), ips).values():
        counts[leader] += 1
    return Distribution(counts)


# ── one Service, explained ───────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Eligibility:
    """Whether a node is a candidate, the rule that decided, and the fact behind it, in words."""

    node: str
    is_candidate: bool
    rule: str
    fact: str


@dataclass(frozen=True)
class Election:
    """One Service's election: every node's eligibility, and the candidates in hash order.

    `why_nobody`: why no node announces the Service; empty when one does.
    """

    service: str
    address: str
    eligibilities: tuple[Eligibility, ...]
    order: tuple[str, ...]
    why_nobody: str = ""

    @property
    def candidates(self) -> list[str]:
        """The nodes that may lead, in the order of the API's list."""
        return [one.node for one in self.eligibilities if one.is_candidate]

    @property
    def leader(self) -> str | None:
        """The node that leads; None without a candidate."""
        return self.order[0] if self.order else None

    @property
    def successors(self) -> tuple[str, ...]:
        """The nodes that would take over, in order."""
        return self.order[1:]

    def without(self, *nodes: str) -> str | None:
        """Return the leader if these nodes left; None without a candidate."""
        return next((node for node in self.order if node not in nodes), None)

    def __str__(self) -> str:
        head = f"{self.service} {self.address or tr('(no address)')}: "
        head += (
            tr("led by {leader}", leader=self.leader)
            if self.leader
            else tr("led by nobody: {why}", why=self.why_nobody)
        )
        sides = {True: tr("in"), False: tr("out")}
        width = max(map(len, sides.values()))
        lines = [f"  {sides[one.is_candidate]:<{width}}  {one.node}: {one.fact}" for one in self.eligibilities]
        line = ["  " + tr("order: {order}", order=" → ".join(self.order))] if self.order else []
        return "\n".join([head, *lines, *line])


def explain(objects: Objects, service: str, alive: Iterable[str] | None = None) -> Election:
    """Return a Service's election: its leader, its other candidates, and the rule that decided for each node.

    `objects`: `lab.objects`, or any function from a kind to the objects of that kind. `service`: a name in `default`,
    or `namespace/name`. `alive`: the nodes whose speakers answer (`memberlist.members` of a log); without it those
    whose speaker Pod is Ready, which the API knows half a minute later than the speakers. The checks follow MetalLB's
    order (v0.14.8 speaker/layer2_controller.go ShouldAnnounce). Raises UnknownNameError for an unknown Service.

    >>> import kanslib
    >>> lab = kanslib.open_lab(story="election")  # doctest: +ELLIPSIS
    recorded · story 'election': ...
    >>> print(explain(lab.objects, "svc3"))
    svc3 172.18.255.202: led by myk8s-worker3
      out  myk8s-control-plane: it carries the label node.kubernetes.io/exclude-from-external-load-balancers
      in   myk8s-worker: its speaker is alive and my-l2-advertise selects it
      in   myk8s-worker2: its speaker is alive and my-l2-advertise selects it
      in   myk8s-worker3: its speaker is alive and my-l2-advertise selects it
      order: myk8s-worker3 → myk8s-worker2 → myk8s-worker
    """
    namespace, _, name = service.rpartition("/")
    known = {(o["metadata"].get("namespace", "default"), o["metadata"]["name"]): o for o in objects("services")}
    if (namespace or "default", name) not in known:
        raise UnknownNameError("service", service, [one for _, one in known])
    obj = known[namespace or "default", name]
    ips = external_addresses(obj)
    pieces = slices_of(objects_of_kind(objects, "endpointslices"), namespace or "default", name)
    running = frozenset(speakers(objects) if alive is None else alive)
    return elect(obj, ips, pool_of(pools(objects), ips), pieces, announcing_nodes(objects), running)


def speakers(objects: Objects) -> list[str]:
    """Return the nodes whose speaker Pod is Ready and not Terminating, as the API has it."""
    return [
        pod["spec"]["nodeName"]
        for pod in objects("pods")
        if pod["metadata"].get("labels", {}).get("component") == "speaker"
        and is_ready(pod)
        and not pod["metadata"].get("deletionTimestamp")
    ]


def announcing_nodes(objects: Objects) -> list[KubeObject]:
    """Return the nodes as the speakers see them: with `--ignore-exclude-lb`, without the label that excludes them."""
    nodes = objects("nodes")
    if not any("--ignore-exclude-lb" in _speaker_arguments(pod) for pod in objects_of_kind(objects, "pods")):
        return nodes
    return [
        {**node, "metadata": {**node["metadata"], "labels": {k: v for k, v in labels_of(node).items() if k != EXCLUDE}}}
        for node in nodes
    ]


def _speaker_arguments(pod: KubeObject) -> list[str]:
    """Return the command line of a speaker; empty for any other Pod."""
    if labels_of(pod).get("component") != "speaker":
        return []
    return [argument for container in pod["spec"].get("containers", []) for argument in container.get("args") or []]


def elect(
    service: KubeObject,
    ips: list[str],
    pool: Pool | None,
    slices: list[KubeObject],
    nodes: Iterable[KubeObject],
    alive: frozenset[str],
) -> Election:
    """Return the election of one Service from its addresses, pool, slices, the nodes and the speakers alive.

    `explain` finds these in the objects of a cluster.
    """
    name = qualified_name(service)
    serving = [entry for entry in endpoints_in(slices) if can_serve(entry)]
    local = service["spec"].get("externalTrafficPolicy") == "Local"
    endpoint_nodes = frozenset(entry.get("nodeName") or "" for entry in serving) if local else None
    eligibilities = tuple(eligibility(node, pool, alive, endpoint_nodes) for node in nodes)
    why_nobody = _why_not_eligible(service, ips, pool, bool(serving), eligibilities)
    candidates = [] if why_nobody else [one.node for one in eligibilities if one.is_candidate]
    ranked = order(candidates, ips[0]) if ips else []
    return Election(name, ips[0] if ips else "", eligibilities, tuple(ranked), why_nobody)


def _why_not_eligible(
    service: KubeObject, ips: list[str], pool: Pool | None, serving: bool, eligibilities: tuple[Eligibility, ...]
) -> str:
    if service["spec"].get("type") != "LoadBalancer":
        return tr("it is no LoadBalancer")
    if service["spec"].get("loadBalancerClass"):
        return tr(
            "its loadBalancerClass {name} is not MetalLB's",
            name=service["spec"]["loadBalancerClass"],
        )
    if not ips:
        return tr("it has no address")
    if pool is None:
        return tr("no pool holds its address")
    if not serving:
        return tr("no endpoint can serve")
    if not pool.layer2:
        return tr("no L2Advertisement covers the pool {name}", name=pool.name)
    if not any(one.is_candidate for one in eligibilities):
        return tr("no node is a candidate")
    return ""


def eligibility(node: KubeObject, pool: Pool | None, alive: Names, endpoint_nodes: Names | None) -> Eligibility:
    """Return whether one node is a candidate, by MetalLB's checks in their order.

    `alive`: the nodes whose speakers answer. `endpoint_nodes`: with policy Local, the nodes with a serving endpoint.
    """
    name, labels = node["metadata"]["name"], node["metadata"].get("labels", {})
    covering = [ad.name for ad in (pool.layer2 if pool else ()) if name in ad.nodes]
    if name not in alive:
        return Eligibility(name, False, tr_later("speaker"), tr("no speaker of its answers"))
    if network_unavailable(node):
        return Eligibility(name, False, tr_later("network"), tr("its condition NetworkUnavailable is True"))
    if EXCLUDE in labels:
        why = tr("it carries the label {label}", label=EXCLUDE)
        return Eligibility(name, False, tr_later("exclude label"), why)
    if not covering:
        return Eligibility(name, False, tr_later("advertisement"), tr("no L2Advertisement of the pool selects it"))
    if endpoint_nodes is not None and name not in endpoint_nodes:
        why = tr("the policy is Local, and no endpoint here can serve")
        return Eligibility(name, False, tr_later("local endpoint"), why)
    if endpoint_nodes is None:
        why = tr("its speaker is alive and {advertisements} selects it", advertisements=listed(covering))
    else:
        why = tr(
            "its speaker is alive and {advertisements} selects it and has an endpoint",
            advertisements=listed(covering),
        )
    return Eligibility(name, True, tr_later("candidate"), why)


def network_unavailable(node: KubeObject) -> bool:
    """Return True when the node's condition NetworkUnavailable is True; unknown or missing counts as available."""
    conditions = node.get("status", {}).get("conditions") or []
    return any(one["type"] == "NetworkUnavailable" and one["status"] == "True" for one in conditions)
