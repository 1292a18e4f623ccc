"""Read MetalLB's configuration from its objects: pools and their advertisements.

MetalLB v0.14.8 internal/config/config.go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
    summarize_address_range,
)
from typing import Any

from kanslib.exceptions import ConfigurationError, KanslibError
from kanslib.k8s.endpoints import selects
from kanslib.k8s.objects import KubeObject

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address
Objects = Callable[[str], list[KubeObject]]  # from a kind to its objects, as `lab.objects`


@dataclass(frozen=True)
class L2Advertisement:
    """The nodes that may announce on layer 2, and on which interfaces (empty: all)."""

    name: str
    nodes: frozenset[str]
    interfaces: tuple[str, ...] = ()


@dataclass(frozen=True)
class BGPAdvertisement:
    """How a pool's addresses are advertised over BGP; `peers`: to whom (empty: to every peer)."""

    name: str
    nodes: frozenset[str]
    length: int = 32
    length_v6: int = 128
    local_pref: int = 0
    communities: tuple[str, ...] = ()
    peers: tuple[str, ...] = ()

    def prefix(self, address: str) -> str:
        """Return the prefix that is advertised for an address, e.g. `172.18.255.200/32`."""
        length = self.length_v6 if ":" in address else self.length
        return str(ip_network(f"{address}/{length}", strict=False))


@dataclass(frozen=True)
class Pool:
    """An IPAddressPool: its ranges as networks in order, the Services it is for, and its advertisements."""

    name: str
    networks: tuple[Network, ...]
    auto_assign: bool = True
    avoid_buggy_ips: bool = False
    pinned: bool = False  # it has a serviceAllocation
    priority: int = 0
    namespaces: frozenset[str] = frozenset()
    service_selectors: tuple[Mapping[str, Any], ...] = ()
    layer2: tuple[L2Advertisement, ...] = ()
    bgp: tuple[BGPAdvertisement, ...] = ()

    def __contains__(self, address: str) -> bool:
        ip = ip_address(address)
        return any(ip.version == network.version and ip in network for network in self.networks)

    def addresses(self) -> Iterator[str]:
        """Yield every address that may be assigned, lowest first, range by range."""
        for network in self.networks:
            for address in network:
                if not (self.avoid_buggy_ips and avoids_buggy_ips(address)):
                    yield str(address)

    def serves(self, namespace: str, labels: Mapping[str, str]) -> bool:
        """Return True when serviceAllocation admits a Service (allocator.go isPoolCompatibleWithService)."""
        if self.namespaces and namespace not in self.namespaces:
            return False
        return not self.service_selectors or any(selects(one, labels) for one in self.service_selectors)


def avoids_buggy_ips(address: Address) -> bool:
    """Return True for an IPv4 address that ends in 0 or 255, which some home routers drop."""
    return address.version == 4 and int(address) & 255 in (0, 255)


def ranges(spec: str) -> list[Network]:
    """Return an entry of a pool, a range or a CIDR, as networks. Raises ConfigurationError for what is neither.

    >>> [str(network) for network in ranges("172.18.255.200-172.18.255.210")]
    ['172.18.255.200/29', '172.18.255.208/31', '172.18.255.210/32']
    """
    if "-" not in spec:
        try:
            return [ip_network(spec.strip(), strict=False)]
        except ValueError:
            raise ConfigurationError(f"invalid CIDR {spec!r}: expected 192.0.2.0/24 or 192.0.2.10-192.0.2.20") from None
    parts = [part.strip() for part in spec.split("-", 1)]
    try:
        first, last = map(ip_address, parts)
        return list(summarize_address_range(first, last))
    except (ValueError, TypeError) as exc:
        raise ConfigurationError(f"invalid IP range {spec!r}: {exc}") from None


def ipv4_addresses(pools: Iterable[KubeObject]) -> list[str]:
    """Return every IPv4 address in the ranges of IPAddressPool objects, in their order.

    >>> ipv4_addresses([{"spec": {"addresses": ["192.0.2.10-192.0.2.12", "2001:db8::/64"]}}])
    ['192.0.2.10', '192.0.2.11', '192.0.2.12']
    """
    networks = (network for pool in pools for entry in pool["spec"]["addresses"] for network in ranges(entry))
    return [str(address) for network in networks if isinstance(network, IPv4Network) for address in network]


def pools(objects: Objects) -> dict[str, Pool]:
    """Return the pools by name, each with its advertisements.

    `objects`: `lab.objects`, or a function like it. Raises ConfigurationError for a configuration that MetalLB rejects
    as a whole: a malformed or an overlapping range.

    >>> import kanslib
    >>> lab = kanslib.open_lab(story="arp")  # doctest: +ELLIPSIS
    recorded · story 'arp': ...
    >>> [(pool.name, len(list(pool.addresses()))) for pool in pools(lab.objects).values()]
    [('my-ippool', 51)]
    """
    nodes = {node["metadata"]["name"]: node["metadata"].get("labels", {}) for node in objects_of_kind(objects, "nodes")}
    layer2_ads = [(obj, _layer2(obj, nodes)) for obj in objects_of_kind(objects, "l2advertisements")]
    bgp_ads = [(obj, _bgp(obj, nodes)) for obj in objects_of_kind(objects, "bgpadvertisements")]
    found: dict[str, Pool] = {}
    for obj in sorted(objects_of_kind(objects, "ipaddresspools"), key=lambda o: str(o["metadata"]["name"])):
        layer2 = tuple(ad for ad_obj, ad in layer2_ads if _covers(ad_obj, obj))
        bgp = tuple(ad for ad_obj, ad in bgp_ads if _covers(ad_obj, obj))
        pool = _pool(obj, objects_of_kind(objects, "namespaces"), layer2, bgp)
        _refuse_overlap(pool, found.values())
        found[pool.name] = pool
    return found


def objects_of_kind(objects: Objects, kind: str) -> list[KubeObject]:
    """Return the objects of a kind; none where the cluster does not know the kind (no CustomResourceDefinition yet)."""
    try:
        return objects(kind)
    except KanslibError:
        return []


def pool_of(pools: Mapping[str, Pool], ips: Sequence[str]) -> Pool | None:
    """Return the pool that contains all of a Service's addresses; None without addresses, or without such a pool."""
    return next((pool for pool in pools.values() if ips and all(ip in pool for ip in ips)), None)


def _pool(
    obj: KubeObject,
    namespaces: Iterable[KubeObject],
    layer2: tuple[L2Advertisement, ...],
    bgp: tuple[BGPAdvertisement, ...],
) -> Pool:
    spec, name = obj["spec"], obj["metadata"]["name"]
    if not spec.get("addresses"):
        raise ConfigurationError(f"pool {name!r} has no addresses: expected spec.addresses with a range or a CIDR")
    allocation = spec.get("serviceAllocation") or {}
    selectors = allocation.get("namespaceSelectors") or []
    selected = [
        namespace["metadata"]["name"]
        for namespace in namespaces
        if any(selects(selector, namespace["metadata"].get("labels", {})) for selector in selectors)
    ]
    return Pool(
        name=name,
        networks=tuple(network for entry in spec["addresses"] for network in ranges(entry)),
        auto_assign=spec.get("autoAssign", True),
        avoid_buggy_ips=spec.get("avoidBuggyIPs", False),
        pinned=spec.get("serviceAllocation") is not None,
        priority=allocation.get("priority") or 0,
        namespaces=frozenset([*(allocation.get("namespaces") or []), *selected]),
        service_selectors=tuple(allocation.get("serviceSelectors") or []),
        layer2=layer2,
        bgp=bgp,
    )


def _refuse_overlap(pool: Pool, others: Iterable[Pool]) -> None:
    for other in others:
        for a in pool.networks:
            for b in other.networks:
                if a.version == b.version and a.overlaps(b):
                    raise ConfigurationError(f"{a} in pool {pool.name!r} overlaps with {b} in pool {other.name!r}")


def _covers(advertisement: KubeObject, pool: KubeObject) -> bool:
    """Return True when an advertisement names or selects a pool, or has neither names nor selectors."""
    spec = advertisement.get("spec") or {}
    names, selectors = spec.get("ipAddressPools") or [], spec.get("ipAddressPoolSelectors") or []
    if not names and not selectors:
        return True
    meta = pool["metadata"]
    return meta["name"] in names or any(selects(one, meta.get("labels", {})) for one in selectors)


def _nodes(spec: Mapping[str, Any], nodes: Mapping[str, Mapping[str, str]]) -> frozenset[str]:
    selectors = spec.get("nodeSelectors") or [{}]
    return frozenset(name for name, labels in nodes.items() if any(selects(one, labels) for one in selectors))


def _layer2(obj: KubeObject, nodes: Mapping[str, Mapping[str, str]]) -> L2Advertisement:
    spec = obj.get("spec") or {}
    return L2Advertisement(obj["metadata"]["name"], _nodes(spec, nodes), tuple(spec.get("interfaces") or []))


def _bgp(obj: KubeObject, nodes: Mapping[str, Mapping[str, str]]) -> BGPAdvertisement:
    spec = obj.get("spec") or {}
    return BGPAdvertisement(
        name=obj["metadata"]["name"],
        nodes=_nodes(spec, nodes),
        length=spec.get("aggregationLength", 32),
        length_v6=spec.get("aggregationLengthV6", 128),
        local_pref=spec.get("localPref", 0),
        communities=tuple(sorted(spec.get("communities") or [])),
        peers=tuple(spec.get("peers") or []),
    )
