"""Read MetalLB's configuration from its objects, or refuse it as MetalLB does: pools, advertisements and peers.

MetalLB v0.14.8 internal/config/config.go, with native BGP.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_network
from typing import Any

from kanslib.exceptions import ConfigurationError
from kanslib.k8s.endpoints import selects
from kanslib.k8s.objects import KubeObject, labels_of, name_of
from kanslib.metallb.communities import BGPCommunity, aliases, resolve
from kanslib.metallb.go_text import quoted, quoted_number, selector_string, selector_value
from kanslib.metallb.native_mode import check_native_mode
from kanslib.metallb.peers import Peer, check_bfd_profiles, check_durations, read_peers
from kanslib.metallb.ranges import AddressRange, Network, avoids_buggy_ips, parse_range
from kanslib.metallb.resources import Objects, Resources, named_resources_of
from kanslib.metallb.selectors import check_syntax, distinct, distinct_selectors, selected


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


@dataclass(frozen=True)
class Configuration:
    """A configuration that MetalLB accepts: pools with their advertisements, and peers, by name."""

    pools: Mapping[str, Pool]
    peers: Mapping[str, Peer]


def pools(objects: Objects) -> dict[str, Pool]:
    """Return the pools by name, each with its advertisements.

    `objects`: `lab.objects`, or a function like it. Raises ConfigurationError, in MetalLB's words, for pools and
    advertisements that MetalLB rejects; peers are not looked at.

    >>> import kanslib
    >>> lab = kanslib.open_lab(story="arp")  # doctest: +ELLIPSIS
    recorded · story 'arp': ...
    >>> [(pool.name, len(list(pool.addresses()))) for pool in pools(lab.objects).values()]
    [('my-ippool', 51)]
    """
    return _read_pools(named_resources_of(objects))


def read_config(resources: Resources) -> Configuration:
    """Return what MetalLB reads in native mode (config.For). Raises ConfigurationError in its words."""
    check_durations(resources.peers)
    check_native_mode(resources)
    return parse_config(resources)


def parse_config(resources: Resources) -> Configuration:
    """Return the configuration that any mode of BGP reads. Raises ConfigurationError in MetalLB's words."""
    profiles = check_bfd_profiles(resources.bfd_profiles)
    peers = read_peers(resources.peers, resources.nodes, resources.secrets_by_name, profiles)
    config = Configuration(_read_pools(resources), peers)
    _check_bfd_echo(config, resources.peers, profiles)
    return config


def pool_of(pools: Mapping[str, Pool], ips: Sequence[str]) -> Pool | None:
    """Return the pool that contains all of a Service's addresses; None without addresses, or without such a pool."""
    return next((pool for pool in pools.values() if ips and all(ip in pool for ip in ips)), None)


def is_on_layer2(objects: Objects, ips: Sequence[str]) -> bool:
    """Return True when an L2Advertisement covers a Service's addresses, or speakers keep an older configuration.

    `objects`: `lab.objects`, or a function like it.
    """
    try:
        found = pool_of(pools(objects), ips)
    except ConfigurationError:
        return True
    return found is not None and any(one.nodes for one in found.layer2)


# ── pools ────────────────────────────────────────────────────────────────────────────────────────────────


def _read_pools(resources: Resources) -> dict[str, Pool]:
    """Return the pools by name (config.go poolsFor)."""
    known_communities = aliases(resources.communities)
    found: dict[str, Pool] = {}
    entries: dict[str, list[AddressRange]] = {}
    taken: list[Network] = []
    for obj in resources.pools:
        name = name_of(obj)
        try:
            entries[name] = _entries(obj)
            found[name], before = _pool(obj, entries[name], resources.namespaces), found.get(name)
        except ConfigurationError as error:
            raise ConfigurationError(f"parsing address pool {name}: {error}") from None
        if before is not None:
            raise ConfigurationError(f"duplicate definition of pool {quoted(name)}")
        _refuse_overlap(found[name], taken)
    _add_layer2(found, resources)
    _add_bgp(found, entries, resources, known_communities)
    return found


def _entries(obj: KubeObject) -> list[AddressRange]:
    found = []
    if not name_of(obj):
        raise ConfigurationError("missing pool name")
    addresses = (obj.get("spec") or {}).get("addresses") or []
    if not addresses:
        raise ConfigurationError("pool has no prefixes defined")
    for entry in addresses:
        try:
            found.append(parse_range(entry))
        except ConfigurationError as error:
            raise ConfigurationError(f"invalid CIDR {quoted(entry)} in pool {quoted(name_of(obj))}: {error}") from None
    return found


def _pool(obj: KubeObject, entries: Iterable[AddressRange], namespaces: Iterable[KubeObject]) -> Pool:
    spec = obj["spec"]
    pool = Pool(
        name=name_of(obj),
        networks=tuple(network for entry in entries for network in entry.networks),
        auto_assign=spec.get("autoAssign") is not False,
        avoid_buggy_ips=bool(spec.get("avoidBuggyIPs")),
    )
    allocation = spec.get("serviceAllocation")
    return pool if allocation is None else _pinned(pool, allocation, namespaces)


def _pinned(pool: Pool, allocation: Mapping[str, Any], namespaces: Iterable[KubeObject]) -> Pool:
    """Return a pool with its serviceAllocation (config.go addressPoolServiceAllocationsFromCR)."""
    named = allocation.get("namespaces") or []
    if len(set(named)) < len(named):
        raise ConfigurationError("duplicate definition in namespaces field")
    by_namespace = distinct_selectors(allocation, "namespaceSelectors")
    by_service = distinct_selectors(allocation, "serviceSelectors")
    in_pool = f"label selector {{}} in ip pool {pool.name}"
    check_syntax(by_namespace, lambda one: f"invalid namespace {in_pool}".format(selector_string(one)))
    check_syntax(by_service, lambda one: f"invalid service {in_pool}".format(selector_value(one)))
    chosen = [name_of(one) for one in namespaces if selected(labels_of(one), by_namespace)]
    return replace(
        pool,
        pinned=True,
        priority=allocation.get("priority") or 0,
        namespaces=frozenset([*named, *chosen]),
        service_selectors=tuple(by_service),
    )


def _refuse_overlap(pool: Pool, taken: list[Network]) -> None:
    """Add the networks of a pool to those that are taken. Raises ConfigurationError for one that overlaps."""
    for network in pool.networks:
        for other in taken:
            if network.version == other.version and network.overlaps(other):
                words = f"in pool {quoted(pool.name)} overlaps with already defined CIDR {quoted(str(other))}"
                raise ConfigurationError(f"CIDR {quoted(str(network))} {words}")
        taken.append(network)


# ── advertisements ───────────────────────────────────────────────────────────────────────────────────────


def _add_layer2(found: dict[str, Pool], resources: Resources) -> None:
    for obj in resources.layer2_advertisements:
        spec = obj.get("spec") or {}
        distinct(spec.get("ipAddressPools") or [], "ipAddressPools")
        selectors = distinct_selectors(spec, "ipAddressPoolSelectors")
        nodes = _nodes(obj, resources.nodes)
        advertisement = L2Advertisement(name_of(obj), nodes, tuple(spec.get("interfaces") or []))
        for name in _covered(spec, selectors, resources.pools, found):
            found[name] = replace(found[name], layer2=(*found[name].layer2, advertisement))


def _add_bgp(
    found: dict[str, Pool],
    entries: Mapping[str, list[AddressRange]],
    resources: Resources,
    known: Mapping[str, BGPCommunity],
) -> None:
    for place, obj in enumerate(resources.bgp_advertisements):
        for other, same in enumerate(resources.bgp_advertisements[place + 1 :], place + 1):
            if obj == same:
                equal = f"advertisement {place + 1} and {other + 1} are equal"
                raise ConfigurationError(f"duplicate definition of bgpadvertisements. {equal}")
    for obj in resources.bgp_advertisements:
        advertisement, selectors = _bgp(obj, resources.nodes, known)
        for name in _covered(obj.get("spec") or {}, selectors, resources.pools, found):
            _check_aggregation(advertisement, entries[name])
            _check_local_pref(advertisement, found[name].bgp)
            found[name] = replace(found[name], bgp=(*found[name].bgp, advertisement))


def _bgp(
    obj: KubeObject, nodes: Iterable[KubeObject], known: Mapping[str, BGPCommunity]
) -> tuple[BGPAdvertisement, list[Mapping[str, Any]]]:
    """Return an advertisement, and its selectors of pools (config.go bgpAdvertisementFromCR)."""
    spec: Mapping[str, Any] = obj.get("spec") or {}
    distinct(spec.get("ipAddressPools") or [], "ipAddressPools")
    communities = distinct(spec.get("communities") or [], "community")
    peers = distinct(spec.get("peers") or [], "peers")
    selectors = distinct_selectors(spec, "ipAddressPoolSelectors")
    distinct_selectors(spec, "nodeSelectors")
    length = _length(spec.get("aggregationLength"), 32, "IPv4")
    length_v6 = _length(spec.get("aggregationLengthV6"), 128, "IPv6")
    resolved = resolve(communities, known)
    chosen = _nodes(obj, nodes)
    local_pref = spec.get("localPref") or 0
    return BGPAdvertisement(name_of(obj), chosen, length, length_v6, local_pref, resolved, peers), selectors


def _length(value: int | None, longest: int, family: str) -> int:
    length = longest if value is None else value
    if length > longest:
        raise ConfigurationError(f"invalid aggregation length {quoted_number(length)} for {family}")
    return length


def _nodes(obj: KubeObject, nodes: Iterable[KubeObject]) -> frozenset[str]:
    """Return the nodes that an advertisement selects: all without a selector."""
    selectors = distinct_selectors(obj.get("spec") or {}, "nodeSelectors")
    parsing = f"failed to parse node selector for {name_of(obj)}"
    check_syntax(selectors, lambda one: f"invalid label selector {selector_value(one)}\n{parsing}")
    return frozenset(name_of(node) for node in nodes if selected(labels_of(node), selectors or [{}]))


def _covered(
    spec: Mapping[str, Any],
    selectors: Sequence[Mapping[str, Any]],
    pools: Iterable[KubeObject],
    found: Mapping[str, Pool],
) -> list[str]:
    """Return the pools that an advertisement names or selects; all when it has neither names nor selectors."""
    check_syntax(selectors, lambda one: f"invalid label selector {selector_value(one)}")
    names = spec.get("ipAddressPools") or []
    if not names and not selectors:
        return list(found)
    chosen = [name_of(pool) for pool in pools if selected(labels_of(pool), selectors)]
    return [name for name in dict.fromkeys([*names, *chosen]) if name in found]


def _check_aggregation(advertisement: BGPAdvertisement, entries: Iterable[AddressRange]) -> None:
    """Raise ConfigurationError where an entry of a pool is smaller than the prefix that would be advertised."""
    for entry in entries:
        if entry.shortest_prefix is None:
            continue
        is_v4 = entry.networks[0].version == 4
        if (advertisement.length if is_v4 else advertisement.length_v6) < entry.shortest_prefix:
            raise ConfigurationError(
                f"invalid aggregation length {advertisement.length}: prefix {entry.shortest_prefix} in this pool is "
                f"more specific than the aggregation length for addresses {entry.text}"
            )


def _check_local_pref(advertisement: BGPAdvertisement, others: Iterable[BGPAdvertisement]) -> None:
    """Raise ConfigurationError where one prefix would get two values of LOCAL_PREF."""
    for other in others:
        if advertisement.local_pref != other.local_pref and not _are_compatible(advertisement, other):
            raise ConfigurationError(
                f"invalid local preference {advertisement.local_pref}: local preferernce {other.local_pref} was "
                "already set for the same type of BGP update. Check existing BGP advertisements with common pools and "
                "aggregation lengths"
            )


def _are_compatible(one: BGPAdvertisement, other: BGPAdvertisement) -> bool:
    if one.length != other.length and one.length_v6 != other.length_v6:
        return True
    if one.peers and other.peers and not set(one.peers) & set(other.peers):
        return True
    return not one.nodes & other.nodes


def _check_bfd_echo(config: Configuration, peers: Iterable[KubeObject], profiles: Mapping[str, KubeObject]) -> None:
    """Raise ConfigurationError for a pool with IPv6 that is advertised to a peer with BFD echo (validateConfig)."""
    with_echo = [
        name_of(peer)
        for peer in peers
        if ((profiles.get(peer["spec"].get("bfdProfile") or "") or {}).get("spec") or {}).get("echoMode")
    ]
    for pool in config.pools.values():
        if not any(network.version == 6 for network in pool.networks):
            continue
        for advertisement in pool.bgp:
            for peer in with_echo:
                if not advertisement.peers or peer in advertisement.peers:
                    raise ConfigurationError(
                        f"pool {pool.name} has bgpadvertisement {advertisement.name} which references peer {peer} "
                        "which has bfd echo enabled, which is not possible"
                    )
