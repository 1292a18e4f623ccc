"""Compute which nodes advertise which prefixes, and a router's routes (MetalLB v0.14.8 speaker/bgp_controller.go)."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from kanslib.k8s.endpoints import by_service, can_serve, endpoints_in
from kanslib.k8s.objects import KubeObject, external_addresses, internal_ip, name_of
from kanslib.metallb.config import BGPAdvertisement, Configuration, Pool, pool_of, pools
from kanslib.metallb.election import EXCLUDE, announcing_nodes, network_unavailable, speakers
from kanslib.metallb.peers import Peer, check_bfd_profiles, read_peers
from kanslib.metallb.resources import Objects, named_resources_of, objects_of_kind


@dataclass(frozen=True)
class BGPRoute:
    """A prefix that a node advertises to a peer with itself as the next hop; `services`: whose addresses are in it."""

    prefix: str
    node: str
    next_hop: str
    peer: str
    local_pref: int
    communities: tuple[str, ...]
    services: tuple[str, ...]


def peers(objects: Objects) -> list[Peer]:
    """Return the BGPPeers, each with the nodes whose speakers connect to it. Raises ConfigurationError."""
    found = named_resources_of(objects)
    profiles = check_bfd_profiles(found.bfd_profiles)
    return list(read_peers(found.peers, found.nodes, found.secrets_by_name, profiles).values())


def why_not_advertised(node: KubeObject, service: KubeObject, pool: Pool | None, slices: Iterable[KubeObject]) -> str:
    """Return why a node does not advertise a Service, as the speaker logs it; empty if it does (ShouldAnnounce)."""
    name = node["metadata"]["name"]
    if pool is None or not any(name in one.nodes for one in pool.bgp):
        return "notOwner"
    if network_unavailable(node):
        return "nodeNetworkUnavailable"
    if EXCLUDE in node["metadata"].get("labels", {}):
        return "nodeLabeledExcludeBalancers"
    endpoints = list(endpoints_in(slices))
    if service["spec"].get("externalTrafficPolicy") == "Local":
        local = [entry for entry in endpoints if entry.get("nodeName") == name]
        if not _has_healthy_endpoint(local):
            return "noLocalEndpoints"
    return "" if _has_healthy_endpoint(endpoints) else "noEndpoints"


def _has_healthy_endpoint(endpoints: Iterable[KubeObject]) -> bool:
    """Return True when an address can serve in every slice that names it (hasHealthyEndpoint)."""
    can_serve_by_address: dict[str, bool] = {}
    for entry in endpoints:
        for address in entry["addresses"]:
            can_serve_by_address[address] = can_serve_by_address.get(address, True) and can_serve(entry)
    return any(can_serve_by_address.values())


def advertised(objects: Objects, alive: Collection[str] | None = None) -> list[BGPRoute]:
    """Return every route that speakers advertise, sorted by peer, prefix and node.

    `objects`: `lab.objects`, or a function like it. `alive`: the nodes whose speakers have a session; without it those
    whose speaker Pod is Ready. A prefix that several Services need is advertised once.

    >>> import kanslib
    >>> lab = kanslib.open_lab(story="bgp-silent")  # doctest: +ELLIPSIS
    recorded · story 'bgp-silent': ...
    >>> [(route.prefix, route.node) for route in advertised(lab.objects)][:2]
    [('172.18.255.200/32', 'myk8s-worker'), ('172.18.255.200/32', 'myk8s-worker2')]
    """
    config = Configuration(pools(objects), {peer.name: peer for peer in peers(objects)})
    return advertised_by(config, objects, speakers(objects) if alive is None else alive)


def advertised_by(config: Configuration, objects: Objects, alive: Collection[str]) -> list[BGPRoute]:
    """Return every route that speakers with this configuration advertise, sorted by peer, prefix and node.

    `alive`: the nodes whose speakers have a session.
    """
    nodes = {name_of(node): node for node in announcing_nodes(objects) if name_of(node) in alive}
    slices = by_service(objects_of_kind(objects, "endpointslices"))
    found: dict[tuple[str, str, str], BGPRoute] = {}
    for service in objects("services"):
        meta, ips = service["metadata"], external_addresses(service)
        key = (meta.get("namespace", "default"), meta["name"])
        pool = pool_of(config.pools, ips)
        if service["spec"].get("type") != "LoadBalancer" or pool is None:
            continue
        for name, node in nodes.items():
            if why_not_advertised(node, service, pool, slices.get(key, [])):
                continue
            for route in _routes(node, "/".join(key), ips, pool.bgp, config.peers.values()):
                route_key = (route.peer, route.prefix, name)
                before = found[route_key].services if route_key in found else ()
                found[route_key] = replace(route, services=tuple(dict.fromkeys((*before, *route.services))))
    return sorted(found.values(), key=lambda one: (one.peer, one.prefix, one.node))


def _routes(
    node: KubeObject,
    service: str,
    ips: Iterable[str],
    advertisements: Iterable[BGPAdvertisement],
    peers: Iterable[Peer],
) -> list[BGPRoute]:
    name = node["metadata"]["name"]
    next_hop = internal_ip(node)
    node_ads = [ad for ad in advertisements if name in ad.nodes]
    return [
        BGPRoute(
            ad.prefix(ip),
            name,
            next_hop,
            peer.name,
            ad.local_pref if peer.is_internal else 0,
            ad.communities,
            (service,),
        )
        for peer in peers
        if name in peer.nodes
        for ad in node_ads
        if not ad.peers or peer.name in ad.peers
        for ip in ips
    ]


def next_hops(routes: Iterable[BGPRoute], peer: str, max_paths: int = 64) -> dict[str, tuple[str, ...]]:
    """Return the router's routes: each prefix and its equal next hops, at most `max_paths` of them.

    All paths are one AS long, so the highest LOCAL_PREF decides (0 counts as FRR's default, 100), and all that are
    left are equal: ECMP.

    >>> a = BGPRoute("192.0.2.1/32", "a", "172.18.0.2", "router", 0, (), ("default/web",))
    >>> b = BGPRoute("192.0.2.1/32", "b", "172.18.0.3", "router", 0, (), ("default/web",))
    >>> next_hops([a, b], "router")
    {'192.0.2.1/32': ('172.18.0.2', '172.18.0.3')}
    """
    return best_next_hops((route for route in routes if route.peer == peer), max_paths)


def best_next_hops(routes: Iterable[BGPRoute], max_paths: int) -> dict[str, tuple[str, ...]]:
    """Return each prefix and its equal next hops, at most `max_paths`, of all routes that reach one router."""
    by_prefix: dict[str, list[BGPRoute]] = {}
    for route in routes:
        by_prefix.setdefault(route.prefix, []).append(route)
    return {prefix: _best(found, max_paths) for prefix, found in sorted(by_prefix.items())}


def _best(routes: list[BGPRoute], max_paths: int) -> tuple[str, ...]:
    top = max(route.local_pref or 100 for route in routes)
    hops = {route.next_hop for route in routes if (route.local_pref or 100) == top}
    return tuple(sorted(hops, key=lambda ip: tuple(map(int, ip.split("."))) if "." in ip else (ip,))[:max_paths])


@dataclass(frozen=True)
class DetectionWindow:
    """Seconds from a peer's last message until its hold timer expires: the earliest and the latest."""

    earliest: float
    latest: float

    @property
    def typical(self) -> float:
        """The middle of both, in seconds."""
        return (self.earliest + self.latest) / 2


def hold_timer_expiry(hold: float) -> DetectionWindow:
    """Return how long after a peer fell silent its hold timer expires: `hold` (seconds) less the last KEEPALIVE's age.

    MetalLB sends one each third of the hold time. A session whose TCP connection is closed ends at once.

    >>> hold_timer_expiry(9)
    DetectionWindow(earliest=6.0, latest=9.0)
    """
    return DetectionWindow(round(hold * 2 / 3, 3), float(hold))
