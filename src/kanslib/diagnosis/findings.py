"""What can be wrong when a VIP does not work, and the facts for or against each cause. Pure.

Each finding comes from the objects of one moment (an address conflict: from who answered ARP), so it holds for every
backend. The order follows a packet from the outside in.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from ipaddress import ip_address, ip_network
from typing import Literal

from kanslib.exceptions import ConfigurationError, KanslibError
from kanslib.i18n import all_of, listed, tr, tr_later, tr_plural
from kanslib.k8s.endpoints import can_serve, endpoints_in, slices_of
from kanslib.k8s.objects import KubeObject, external_addresses
from kanslib.metallb import election
from kanslib.metallb.allocation import annotation
from kanslib.metallb.config import BGPAdvertisement, L2Advertisement, Pool, pool_of, pools, read_config
from kanslib.metallb.resources import Objects, Resources, named_resources_of, objects_of_kind

Problem = Literal[
    "stale configuration", "pool exhausted", "sharing refused", "foreign network", "no advertisement", "selects nobody",
    "no speakers", "all excluded", "no endpoints", "local nowhere", "conflict",
]  # fmt: skip
_OLDER_ONE = tr_later("not known: MetalLB works with an older configuration, which its objects do not say any more")


@dataclass(frozen=True)
class Finding:
    """Whether a cause is at work here, and the fact that says so (or rules it out)."""

    holds: bool
    fact: str


@dataclass(frozen=True)
class ClusterSnapshot:
    """What a diagnosis needs: `objects` by kind, the clients' `network`, and by VIP who answered ARP for it."""

    objects: Objects
    network: str
    arp_answers: Mapping[str, Collection[str]] = field(default_factory=dict)

    @property
    def services(self) -> list[KubeObject]:
        """The Services of type LoadBalancer."""
        found = (one for one in self.objects("services") if one["spec"].get("type") == "LoadBalancer")
        return sorted(found, key=_name)

    @property
    def waiting(self) -> list[KubeObject]:
        """Those of them that have no address."""
        return [one for one in self.services if not external_addresses(one)]

    @cached_property
    def refusal(self) -> str:
        """Why MetalLB refuses the configuration, in its words: it keeps the older one. Empty where it takes it."""
        try:
            read_config(self._resources())
        except ConfigurationError as error:
            return str(error)
        return ""

    def _resources(self) -> Resources:
        """Return what MetalLB reads; without the peers where their passwords are in Secrets that nobody can see."""
        found = named_resources_of(self.objects)
        try:
            self.objects("secrets")
        except KanslibError:
            return replace(found, peers=())
        return found

    @property
    def pools(self) -> dict[str, Pool]:
        """The pools with what advertises them; none where MetalLB refuses the configuration."""
        return {} if self.refusal else pools(lambda kind: objects_of_kind(self.objects, kind))

    @property
    def announced(self) -> list[tuple[KubeObject, Pool]]:
        """The Services that have an address, each with the pool that it comes from."""
        known = self.pools
        pairs = ((one, pool_of(known, external_addresses(one))) for one in self.services)
        return [(one, pool) for one, pool in pairs if pool is not None and external_addresses(one)]

    def is_serving(self, service: KubeObject) -> bool:
        """Return True when an endpoint of the Service can serve."""
        pieces = slices_of(self.objects("endpointslices"), service["metadata"].get("namespace", ""), _name(service))
        return any(can_serve(entry) for entry in endpoints_in(pieces))


def _name(obj: KubeObject) -> str:
    return str(obj["metadata"]["name"])


def _join(names: Collection[str]) -> str:
    found = sorted(names)
    return all_of([listed(found[:-1]), found[-1]] if len(found) > 1 else found)


def _advertisements(pool: Pool) -> list[L2Advertisement | BGPAdvertisement]:
    return [*pool.layer2, *pool.bgp]


def _stale(cluster: ClusterSnapshot) -> Finding:
    if cluster.refusal:
        return Finding(
            True,
            tr("MetalLB refuses the newest configuration and keeps an older one: {refusal}", refusal=cluster.refusal),
        )
    return Finding(False, tr("MetalLB takes the configuration"))


def _exhausted(cluster: ClusterSnapshot) -> Finding:
    room = {ip for pool in cluster.pools.values() if pool.auto_assign for ip in pool.addresses()}
    used = {ip for one in cluster.services for ip in external_addresses(one)}
    waiting = [_name(one) for one in cluster.waiting if not _requested_address(one)]
    if waiting and room and room <= used:
        return Finding(
            True,
            tr_plural(
                "{names} waits, and the {n} address of the pools is in use",
                "{names} waits, and all {n} addresses of the pools are in use",
                len(room),
                names=_join(waiting),
            ),
        )
    free = len(room - used)
    return Finding(
        False, tr_plural("{free} of {n} address is free", "{free} of {n} addresses are free", len(room), free=free)
    )


def _requested_address(service: KubeObject) -> str:
    return str(service["spec"].get("loadBalancerIP") or annotation(service, "loadBalancerIPs"))


def _sharing(cluster: ClusterSnapshot) -> Finding:
    holders = {ip: one for one in cluster.services for ip in external_addresses(one)}
    for one in cluster.waiting:
        holder = holders.get(_requested_address(one))
        if holder is None:
            continue
        keys = [annotation(each, "allow-shared-ip") for each in (one, holder)]
        if keys[0] != keys[1] or not keys[0]:
            address = _requested_address(one)
            fact = tr(
                "{service} asks for {address}, which {holder} has, and they carry no common key",
                service=_name(one),
                address=address,
                holder=_name(holder),
            )
            return Finding(True, fact)
    return Finding(False, tr("no Service that waits asks for an address that another one has"))


def _outside_the_network(cluster: ClusterSnapshot) -> Finding:
    near = ip_network(cluster.network)
    far = [(_name(one), ip) for one in cluster.services for ip in external_addresses(one) if ip_address(ip) not in near]
    if far:
        return Finding(
            True,
            tr(
                "{service} has {address}, which is not in the clients' network {network}",
                service=far[0][0],
                address=far[0][1],
                network=cluster.network,
            ),
        )
    return Finding(
        False, tr("every address that was given is in the clients' network {network}", network=cluster.network)
    )


def _unadvertised(cluster: ClusterSnapshot) -> Finding:
    bare = {pool.name for _, pool in cluster.announced if not pool.layer2 and not pool.bgp}
    if bare:
        return Finding(True, tr("no advertisement covers the pool {names}", names=_join(bare)))
    named = {ad.name for _, pool in cluster.announced for ad in _advertisements(pool)}
    return Finding(False, tr("{names} covers the pool", names=_join(named) or tr("an advertisement")))


def _selects_nobody(cluster: ClusterSnapshot) -> Finding:
    for _, pool in cluster.announced:
        ads = _advertisements(pool)
        if ads and not any(ad.nodes for ad in ads):
            return Finding(True, tr("the node selector of {name} matches no node", name=ads[0].name))
    selected = {node for _, pool in cluster.announced for ad in _advertisements(pool) for node in ad.nodes}
    if not selected:
        return Finding(False, tr("there is no advertisement whose node selector could be wrong"))
    return Finding(False, tr("the advertisement selects {names}", names=_join(selected)))


def _no_speakers(cluster: ClusterSnapshot) -> Finding:
    alive = election.speakers(cluster.objects)
    if not alive:
        return Finding(True, tr("no speaker Pod is there"))
    return Finding(False, tr("{number} speaker Pods are ready", number=len(alive)))


def _no_endpoints(cluster: ClusterSnapshot) -> Finding:
    idle = [one for one in cluster.services if not cluster.is_serving(one)]
    if idle:
        selector = idle[0]["spec"].get("selector") or {}
        labels = ",".join(f"{key}={value}" for key, value in selector.items())
        return Finding(
            True, tr("{name} selects {labels}, and no ready Pod carries that", name=_name(idle[0]), labels=labels)
        )
    return Finding(False, tr("every Service has ready endpoints"))


def _local_nowhere(cluster: ClusterSnapshot) -> Finding:
    alive = frozenset(election.speakers(cluster.objects))
    for one, pool in cluster.announced:
        if one["spec"].get("externalTrafficPolicy") != "Local":
            continue
        pieces = slices_of(cluster.objects("endpointslices"), one["metadata"].get("namespace", ""), _name(one))
        facts = (external_addresses(one), pool, pieces, cluster.objects("nodes"), alive)
        open_to_all = {**one, "spec": {**one["spec"], "externalTrafficPolicy": "Cluster"}}
        if election.elect(open_to_all, *facts).leader and not election.elect(one, *facts).leader:
            fact = tr("{name} is Local, and no node that may announce it has one of its Pods", name=_name(one))
            return Finding(True, fact)
    return Finding(False, tr("no Service is kept from every node by the policy Local"))


def _all_excluded(cluster: ClusterSnapshot) -> Finding:
    free = [
        _name(node) for node in cluster.objects("nodes")
        if election.EXCLUDE not in node["metadata"].get("labels", {})
    ]  # fmt: skip
    if not free:
        return Finding(True, tr("every node carries the label that keeps load balancers away"))
    return Finding(False, tr("{names} carry no exclude label", names=_join(free)))


def _arp_conflict(cluster: ClusterSnapshot) -> Finding:
    for vip, holders in sorted(cluster.arp_answers.items()):
        if len(holders) > 1:
            return Finding(
                True, tr_plural("{n} machine answers for {vip}", "{n} machines answer for {vip}", len(holders), vip=vip)
            )
    return Finding(False, tr("no address was answered for by two machines"))


CAUSES: dict[Problem, Callable[[ClusterSnapshot], Finding]] = {
    "stale configuration": _stale, "pool exhausted": _exhausted, "sharing refused": _sharing,
    "foreign network": _outside_the_network, "no advertisement": _unadvertised, "selects nobody": _selects_nobody,
    "no speakers": _no_speakers, "all excluded": _all_excluded, "no endpoints": _no_endpoints,
    "local nowhere": _local_nowhere, "conflict": _arp_conflict,
}  # fmt: skip


_OF_POOLS = (_exhausted, _unadvertised, _selects_nobody, _local_nowhere)  # they judge the pools in use


def find(cluster: ClusterSnapshot) -> dict[Problem, Finding]:
    """Return the finding of every cause.

    >>> import kanslib
    >>> lab = kanslib.open_lab(story="case-4")  # doctest: +ELLIPSIS
    recorded · story 'case-4': ...
    >>> found = find(ClusterSnapshot(lab.objects, lab.network()))
    >>> [(cause, finding.fact) for cause, finding in found.items() if finding.holds]
    [('no endpoints', 'svc1 selects app=webpood, and no ready Pod carries that')]
    """
    is_stale = bool(cluster.refusal)
    return {
        cause: Finding(False, _OLDER_ONE) if is_stale and rule in _OF_POOLS else rule(cluster)
        for cause, rule in CAUSES.items()
    }
