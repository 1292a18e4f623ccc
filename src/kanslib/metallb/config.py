"""MetalLB's configuration as it reads it from its objects: pools, and what advertises them.

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
Objects = Callable[[str], list[KubeObject]]  # what `lab.objects` is: the objects of a kind


@dataclass(frozen=True)
class L2Advertisement:
    """Which nodes may announce on layer 2, on which interfaces (none named: on all)."""

    name: str
    nodes: frozenset[str]
    interfaces: tuple[str, ...] = ()


@dataclass(frozen=True)
class BGPAdvertisement:
    """How a pool's addresses are advertised over BGP; no `peers`: to every peer."""

    name: str
    nodes: frozenset[str]
    length: int = 32
    length_v6: int = 128
    local_pref: int = 0
    communities: tuple[str, ...] = ()
    peers: tuple[str, ...] = ()

    def prefix(self, address: str) -> str:
        """Return the prefix that stands for an address, e.g. `172.18.255.200/32`."""
        length = self.length_v6 if ":" in address else self.length
        return str(ip_network(f"{address}/{length}", strict=False))


@dataclass(frozen=True)
class Pool:
    """An IPAddressPool: its ranges as networks in order, who may have its addresses, and who advertises them."""

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
        one = ip_address(address)
        return any(one.version == network.version and one in network for network in self.networks)

    def addresses(self) -> Iterator[str]:
        """Yield every address that may be handed out, lowest first, range by range."""
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


def pools(objects: Objects) -> dict[str, Pool]:
    """Return the pools by name, each with its advertisements; `objects` is `lab.objects`, or a function like it.

    ConfigurationError for a configuration that MetalLB refuses whole: a malformed or an overlapping range.

    >>> import kanslib
    >>> lab = kanslib.open_lab(story="arp")  # doctest: +ELLIPSIS
    recorded · story 'arp': ...
    >>> [(pool.name, len(list(pool.addresses()))) for pool in pools(lab.objects).values()]
    [('my-ippool', 51)]
    """
    nodes = {node["metadata"]["name"]: node["metadata"].get("labels", {}) for node in objects_of_kind(objects, "nodes")}
    named = objects_of_kind(objects, "ipaddresspools")
    covering2 = [(ad, _layer2(ad, nodes)) for ad in objects_of_kind(objects, "l2advertisements")]
    covering3 = [(ad, _bgp(ad, nodes)) for ad in objects_of_kind(objects, "bgpadvertisements")]
    found: dict[str, Pool] = {}
    for obj in sorted(named, key=lambda o: str(o["metadata"]["name"])):
        layer2 = tuple(one for ad, one in covering2 if _covers(ad, obj))
        bgp = tuple(one for ad, one in covering3 if _covers(ad, obj))
        pool = _pool(obj, objects_of_kind(objects, "namespaces"), layer2, bgp)
        _refuse_overlap(pool, found.values())
        found[pool.name] = pool
    return found


def objects_of_kind(objects: Objects, kind: str) -> list[KubeObject]:
    """Return the objects of a kind; none where the cluster does not know it (no such definition yet)."""
    try:
        return objects(kind)
    except KanslibError:
        return []


def pool_of(found: Mapping[str, Pool], ips: Sequence[str]) -> Pool | None:
    """Return the pool that holds all of a Service's addresses."""
    return next((pool for pool in found.values() if ips and all(ip in pool for ip in ips)), None)


def _pool(
    obj: KubeObject,
    spaces: Iterable[KubeObject],
    layer2: tuple[L2Advertisement, ...],
    bgp: tuple[BGPAdvertisement, ...],
) -> Pool:
    spec, name = obj["spec"], obj["metadata"]["name"]
    if not spec.get("addresses"):
        raise ConfigurationError(f"pool {name!r} has no addresses: expected spec.addresses with a range or a CIDR")
    to = spec.get("serviceAllocation")
    given = to or {}
    wanted = given.get("namespaceSelectors") or []
    selected = [
        space["metadata"]["name"]
        for space in spaces
        if any(selects(one, space["metadata"].get("labels", {})) for one in wanted)
    ]
    return Pool(
        name=name,
        networks=tuple(network for entry in spec["addresses"] for network in ranges(entry)),
        auto_assign=spec.get("autoAssign", True),
        avoid_buggy_ips=spec.get("avoidBuggyIPs", False),
        pinned=to is not None,
        priority=given.get("priority") or 0,
        namespaces=frozenset([*(given.get("namespaces") or []), *selected]),
        service_selectors=tuple(given.get("serviceSelectors") or []),
        layer2=layer2,
        bgp=bgp,
    )


def _refuse_overlap(pool: Pool, others: Iterable[Pool]) -> None:
    for other in others:
        for mine in pool.networks:
            for theirs in other.networks:
                if mine.version == theirs.version and mine.overlaps(theirs):
                    raise ConfigurationError(
                        f"{mine} in pool {pool.name!r} overlaps with {theirs} in pool {other.name!r}"
                    )


def _covers(advertisement: KubeObject, pool: KubeObject) -> bool:
    """Return the pools that an advertisement covers: those that it names or selects; naming neither, all."""
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
