"""The iptables rules that kube-proxy v1.31 writes, as iptables-save prints them.

Kubernetes v1.31 pkg/proxy/iptables/proxier.go syncProxyRules. kube-proxy iterates over Services in no fixed order;
here they are sorted, so that the same cluster gives the same text. Within a chain of one Service (KUBE-SVC-…,
KUBE-EXT-…, …) the order is kube-proxy's.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from kanslib.k8s.endpoints import Endpoint, by_service, conditions, endpoints_in
from kanslib.k8s.objects import KubeObject, internal_ips, labels_of, name_of, namespace_of

_LARGE = 1000  # endpoints; beyond, the rules of endpoints have no comments (largeClusterEndpointsThreshold)
ZONE = "topology.kubernetes.io/zone"
# Services and EndpointSlices with one of these labels are left to others (cmd/kube-proxy/app/server.go Run)
_IGNORED_LABELS = ("service.kubernetes.io/service-proxy-name", "service.kubernetes.io/headless")
_LOOPBACK = ("127.0.0.1", "::1")
_LEADING_ZEROS = re.compile(r"(?<!\d)0+(?=\d)")
MARK = "0x4000"
COUNTED_INVALID, COUNTED_LOCALHOST = "ct_state_invalid_dropped_pkts", "localhost_nps_accepted_pkts"


@dataclass(frozen=True)
class Config:
    """The configuration of a kube-proxy, and its knowledge of the nodes.

    `cluster_cidr`: the Pods' range ("" where no detector of local traffic is configured). `addresses` and `zones`:
    InternalIP and zone by node name. `ipv6`: the rules of ip6tables. `nfacct`: the counters of kube-proxy v1.31 that
    the kernel has. `nodeport_addresses`: the CIDRs of --nodeport-addresses; none of the family stands for all
    addresses. `service_cidr`: the Services' ranges of the family, separated by commas, which the nftables mode asks
    for. `localhost_rejects`: v1.37's feature gate KubeProxyNFTablesLocalhostNodePorts (alpha) is on, so the nftables
    mode refuses NodePorts at loopback addresses.
    `interface_addresses`: the addresses of a node's interfaces, by node name; else its loopback addresses and its
    InternalIP. `conntrack_tcp_liberal`: the kernel's nf_conntrack_tcp_be_liberal is set, so packets of no
    known connection are not dropped.
    """

    cluster_cidr: str = ""
    addresses: Mapping[str, str] = field(default_factory=dict)
    zones: Mapping[str, str] = field(default_factory=dict)
    ipv6: bool = False
    masquerade_all: bool = False
    localhost_nodeports: bool = True
    nfacct: frozenset[str] = frozenset((COUNTED_INVALID, COUNTED_LOCALHOST))
    nodeport_addresses: tuple[str, ...] = ()
    interface_addresses: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    conntrack_tcp_liberal: bool = False
    service_cidr: str = ""
    localhost_rejects: bool = False

    @classmethod
    def of(cls, nodes: Iterable[KubeObject], cluster_cidr: str = "", *, ipv6: bool = False) -> Config:
        """Return the configuration of a cluster's kube-proxies: addresses and zones come from the Node objects.

        `cluster_cidr` and `ipv6` as in `Config`.
        """
        addresses, zones = {}, {}
        for node in nodes:
            addresses[name_of(node)] = next((ip for ip in internal_ips(node) if _is_ipv6(ip) == ipv6), "")
            zones[name_of(node)] = labels_of(node).get(ZONE, "")
        return cls(cluster_cidr, addresses, zones, ipv6)

    def with_primary_nodeports(self, node: str) -> Config:
        """Return the configuration with --nodeport-addresses=primary: NodePorts answer at the InternalIP of a node."""
        own = self.addresses.get(node, "")
        return replace(self, nodeport_addresses=(f"{own}/{128 if self.ipv6 else 32}",) if own else ())

    def nodeport_ips(self, node: str) -> list[str] | None:
        """Return the addresses of a node at which NodePorts answer, sorted; None for every address.

        kube-proxy lists them in no fixed order (pkg/proxy/util/nodeport_addresses.go GetNodeIPs).
        """
        cidrs = self._nodeport_networks()
        if any(cidr.prefixlen == 0 for cidr in cidrs):
            return None
        own = self.interface_addresses.get(node) or (*_LOOPBACK, self.addresses.get(node, ""))
        ips = {ip_address(ip) for ip in own if ip}
        chosen = {ip for ip in ips if any(ip in cidr for cidr in cidrs)}
        return [str(ip) for ip in sorted(chosen, key=int) if self._reaches_nodeports(ip)]

    def _reaches_nodeports(self, ip: IPv4Address | IPv6Address) -> bool:
        return not ip.is_loopback or self.has_localhost_nodeports

    @property
    def has_localhost_nodeports(self) -> bool:
        """True where NodePorts answer at 127.0.0.1: IPv4, not switched off, in `nodeport_addresses`."""
        loopback = ip_network("127.0.0.0/8")
        chosen = any(cidr.version == 4 and cidr.overlaps(loopback) for cidr in self._nodeport_networks())
        return self.localhost_nodeports and not self.ipv6 and chosen

    @property
    def names_loopback(self) -> bool:
        """True where `nodeport_addresses` name a loopback range by itself (ContainsExplicitLoopback)."""
        own = (cidr for cidr in self.nodeport_addresses if _is_ipv6(cidr) == self.ipv6)
        return any(ip_address(cidr.partition("/")[0]).is_loopback for cidr in own)

    def _nodeport_networks(self) -> list[IPv4Network | IPv6Network]:
        own = [cidr for cidr in self.nodeport_addresses if _is_ipv6(cidr) == self.ipv6]
        return [ip_network(cidr, strict=False) for cidr in own or ["::/0" if self.ipv6 else "0.0.0.0/0"]]


def pod_range(nodes: Iterable[KubeObject]) -> str:
    """Return the range of all Pods from the nodes' podCIDR: kind assigns a /16 to a cluster. Empty without nodes.

    >>> pod_range([{"spec": {"podCIDR": "10.10.3.0/24"}}])
    '10.10.0.0/16'
    """
    own = [cidr for node in nodes if (cidr := node["spec"].get("podCIDR"))]
    return str(ip_network(own[0]).supernet(new_prefix=16)) if own else ""


@dataclass(frozen=True)
class Rules:
    """The rules of kube-proxy's own chains by table: chain names to lines, without counters."""

    nat: Mapping[str, list[str]]
    filter: Mapping[str, list[str]]

    def lines(self, table: str) -> list[str]:
        """Return all rules of a table (`nat` or `filter`) as iptables-save lists them: chain by chain, by name."""
        chains: Mapping[str, list[str]] = {"nat": self.nat, "filter": self.filter}[table]
        return [line for chain in sorted(chains) for line in chains[chain]]


def chain_hash(*parts: str) -> str:
    """Return the 16 characters at the end of a chain's name (portProtoHash, servicePortEndpointChainName).

    >>> chain_hash("default/nginx", "tcp"), chain_hash("default/nginx", "tcp", "10.244.1.5:80")
    ('2CMXP7HKUVJN7L6M', 'IZW656N5ZXYN5BEC')
    """
    return base64.b32encode(hashlib.sha256("".join(parts).encode()).digest()).decode()[:16]


def probability(choices: int) -> str:
    """Return 1/choices as iptables-save prints it: ten digits from kube-proxy, rounded to the kernel's steps of 1/2³¹.

    >>> probability(2), probability(3), probability(7)
    ('0.50000000000', '0.33333333349', '0.14285714272')
    """
    steps = 2**31
    return f"{math.floor(float(f'{1 / choices:.10f}') * steps + 0.5) / steps:.11f}"


@dataclass(frozen=True)
class ServicePort:
    """One port of a Service, as kube-proxy reads it: `name` is `namespace/service:port`."""

    name: str
    protocol: str
    cluster_ip: str
    port: int
    node_port: int
    external_ips: tuple[str, ...]
    vips: tuple[str, ...]
    source_ranges: tuple[str, ...]
    health_port: int
    affinity: int  # seconds; 0 for none
    external_local: bool
    internal_local: bool

    def chain(self, kind: str) -> str:
        """Return the name of one of its chains: `KUBE-SVC-…` for kind `SVC`; further kinds are SVL, EXT and FW."""
        return f"KUBE-{kind}-{chain_hash(self.name, self.protocol)}"

    def endpoint_chain(self, endpoint: Endpoint) -> str:
        """Return the name of the chain of one endpoint, `KUBE-SEP-…`."""
        return f"KUBE-SEP-{chain_hash(self.name, self.protocol, str(endpoint))}"

    @property
    def external(self) -> bool:
        """True when it is reachable by more than its ClusterIP."""
        return bool(self.node_port or self.vips or self.external_ips)


@dataclass(frozen=True)
class EndpointSelection:
    """The endpoints of a Service port by traffic policy, on one node (pkg/proxy/topology.go CategorizeEndpoints).

    `has_any`: some endpoint exists, on this node or on another.
    """

    cluster: tuple[Endpoint, ...]
    local: tuple[Endpoint, ...]
    has_any: bool

    @classmethod
    def of(
        cls,
        endpoints: Sequence[Endpoint],
        port: ServicePort,
        node: str,
        near: Callable[[Sequence[Endpoint]], Sequence[Endpoint]],
    ) -> EndpointSelection:
        """Select from a port's endpoints on `node`; `near` returns those of the ready ones that are near enough."""
        ready = [one for one in endpoints if one.ready]
        terminating = [one for one in endpoints if one.serving and one.terminating]
        cluster: Sequence[Endpoint] = ()
        if port.external or not port.internal_local:
            cluster = near(ready) or terminating
        if not port.internal_local and not (port.external_local and port.external):
            return cls(tuple(cluster), (), bool(cluster))
        leaving = [one for one in terminating if not one.ready]
        local = [one for one in ready if one.node == node] or [one for one in leaving if one.node == node]
        return cls(tuple(cluster), tuple(local), bool(ready or leaving or cluster))

    @property
    def all(self) -> list[Endpoint]:
        """Every endpoint that some policy uses, each once."""
        return list(dict.fromkeys((*self.cluster, *self.local)))


def nat_rules(
    services: Iterable[KubeObject], endpointslices: Iterable[KubeObject], node: str, config: Config
) -> list[str]:
    """Return the rules of kube-proxy's chains in the nat table on `node`, as iptables-save prints them.

    Sorted by chain; no counters. Kubernetes v1.31 pkg/proxy/iptables/proxier.go syncProxyRules.

    >>> import kanslib
    >>> lab = kanslib.open_lab(story="iptables")  # doctest: +ELLIPSIS
    recorded · story 'iptables': ...
    >>> config = Config.of(lab.objects("nodes"), cluster_cidr="10.10.0.0/16")
    >>> rules = nat_rules(lab.objects("services"), lab.objects("endpointslices"), lab.leader("svc1"), config)
    >>> recorded = lab.rules(lab.leader("svc1")).chain("KUBE-SVC-DLGPAL4ZCYSJ7UPR")
    >>> [rule.text for rule in recorded] == [rule for rule in rules if rule.startswith(f"-A {recorded.name} ")]
    True
    """
    return write(services, endpointslices, node, config).lines("nat")


def filter_rules(
    services: Iterable[KubeObject], endpointslices: Iterable[KubeObject], node: str, config: Config
) -> list[str]:
    """Return the rules of kube-proxy's chains in the filter table; see `nat_rules`."""
    return write(services, endpointslices, node, config).lines("filter")


def write(services: Iterable[KubeObject], endpointslices: Iterable[KubeObject], node: str, config: Config) -> Rules:
    """Return every rule that kube-proxy writes on `node` for these Services and EndpointSlices, by table and chain.

    `node` is the name of a node of `config`.
    """
    zone = config.zones.get(node, "")
    known = [
        (port, distinct(endpoints, lambda one: one.node == node))
        for port, endpoints in service_ports(services, endpointslices, config)
    ]
    writer = _RuleWriter(node, config, sum(len(endpoints) for _, endpoints in known) > _LARGE)
    writer.postrouting()
    for port, endpoints in known:
        writer.service(port, EndpointSelection.of(endpoints, port, node, lambda ready: in_zone(ready, zone)))
    writer.final_rules()
    return Rules(writer.nat, writer.filter)


def service_ports(
    services: Iterable[KubeObject], endpointslices: Iterable[KubeObject], config: Config
) -> list[tuple[ServicePort, list[Endpoint]]]:
    """Return every port that kube-proxy serves, sorted by its Service, with each endpoint of its slices."""
    slices = _served_slices(endpointslices)
    known: list[tuple[ServicePort, list[Endpoint]]] = []
    for service in sorted(services, key=lambda one: (namespace_of(one), name_of(one))):
        own = slices.get((namespace_of(service), name_of(service)), [])
        known += [(port, _endpoints(own, name, port.protocol, config)) for name, port in _ports(service, config.ipv6)]
    return known


def distinct(endpoints: Iterable[Endpoint], wins: Callable[[Endpoint], bool]) -> list[Endpoint]:
    """Return the endpoints, each address and port once, sorted as kube-proxy sorts them: as text.

    Of several with one address and port, the last that `wins` counts, else the first (kube-proxy walks the slices in
    no fixed order). Kubernetes pkg/proxy/endpointslicecache.go addEndpoints: in v1.31 one on the node wins, in v1.37
    one that is not terminating.
    """
    found: dict[str, Endpoint] = {}
    for one in endpoints:
        if str(one) not in found or wins(one):
            found[str(one)] = one
    return [found[text] for text in sorted(found)]


@dataclass(frozen=True)
class HealthCheck:
    """What kube-proxy answers on a Service's healthCheckNodePort, on one node; `str()` makes the body of the answer.

    Kubernetes v1.31 pkg/proxy/healthcheck/service_health.go ServeHTTP.

    >>> str(HealthCheck("default", "web", 32000, 1)).split()[-3:]
    ['"serviceProxyHealthy":', 'true', '}']
    """

    namespace: str
    service: str
    port: int
    local_endpoints: int

    @property
    def status(self) -> int:
        """The status of HTTP: 200 where the node has a ready endpoint, else 503."""
        return 200 if self.local_endpoints else 503

    def __str__(self) -> str:
        service = {"namespace": self.namespace, "name": self.service}
        body = {"service": service, "localEndpoints": self.local_endpoints, "serviceProxyHealthy": True}
        return json.dumps(body, indent="\t")


def health_checks(
    services: Iterable[KubeObject], endpointslices: Iterable[KubeObject], node: str, config: Config
) -> list[HealthCheck]:
    """Return what kube-proxy answers to health checks on `node`: of each Service that has a healthCheckNodePort."""
    slices = _served_slices(endpointslices)
    found = []
    for service in services:
        namespace, name = namespace_of(service), name_of(service)
        own, ports = slices.get((namespace, name), []), _ports(service, config.ipv6)
        if ports and (port := ports[0][1].health_port):
            found.append(HealthCheck(namespace, name, port, len(_ready_here(own, node, config.ipv6))))
    return found


def _ready_here(slices: Iterable[KubeObject], node: str, ipv6: bool) -> set[str]:
    """Return the addresses of the ready endpoints on `node`, of any port (endpointschangetracker.go)."""
    served = [piece for piece in slices if any(port.get("port") for port in piece.get("ports") or [])]
    entries = [_endpoint(entry, 0) for entry in endpoints_in(served) if _is_of_family(entry, ipv6)]
    return {entry.address for entry in entries if entry.ready and entry.node == node}


def _ports(service: KubeObject, ipv6: bool) -> list[tuple[str, ServicePort]]:
    """Return the ports of a Service that kube-proxy serves in this address family, each with its name in the Service.

    A headless Service, and one that is delegated to another proxy, has none.
    """
    spec = service["spec"]
    cluster_ip = next((ip for ip in _cluster_ips(spec) if _is_ipv6(ip) == ipv6), "")
    if spec.get("type") == "ExternalName" or not cluster_ip or _is_left_to_others(service):
        return []
    shared, of = _service_wide(service, cluster_ip, ipv6), f"{namespace_of(service)}/{name_of(service)}"
    found = []
    for port in spec.get("ports") or []:
        name = port.get("name") or ""
        one = replace(
            shared,
            name=f"{of}:{name}" if name else of,
            protocol=port.get("protocol", "TCP").lower(),
            port=port["port"],
            node_port=port.get("nodePort", 0),
        )
        found.append((name, one))
    return found


def _service_wide(service: KubeObject, cluster_ip: str, ipv6: bool) -> ServicePort:
    """Return the values that all ports of a Service share (pkg/proxy/serviceport.go newBaseServiceInfo)."""
    spec = service["spec"]
    kind, external = spec.get("type", "ClusterIP"), spec.get("externalIPs") or []
    reachable = kind in ("NodePort", "LoadBalancer") or bool(external)
    local = reachable and spec.get("externalTrafficPolicy") == "Local"
    ingress = service.get("status", {}).get("loadBalancer", {}).get("ingress") or []
    vips = [_canonical(one["ip"]) for one in ingress if one.get("ip") and one.get("ipMode", "VIP") == "VIP"]
    cidrs = [_canonical(cidr.strip()) for cidr in spec.get("loadBalancerSourceRanges") or []]
    affinity = spec.get("sessionAffinityConfig", {}).get("clientIP", {}).get("timeoutSeconds", 10800)
    return ServicePort(
        name="",
        protocol="",
        cluster_ip=_canonical(cluster_ip),
        port=0,
        node_port=0,
        external_ips=tuple(_canonical(ip) for ip in external if _is_ipv6(ip) == ipv6),
        vips=tuple(ip for ip in vips if _is_ipv6(ip) == ipv6),
        source_ranges=tuple(str(ip_network(cidr, strict=False)) for cidr in cidrs if _is_ipv6(cidr) == ipv6),
        health_port=spec.get("healthCheckNodePort", 0) if kind == "LoadBalancer" and local else 0,
        affinity=affinity if spec.get("sessionAffinity") == "ClientIP" else 0,
        external_local=local,
        internal_local=spec.get("internalTrafficPolicy") == "Local",
    )


def _cluster_ips(spec: KubeObject) -> list[str]:
    return [ip for ip in spec.get("clusterIPs") or [spec.get("clusterIP", "")] if ip and ip != "None"]


def _served_slices(endpointslices: Iterable[KubeObject]) -> dict[tuple[str, str], list[KubeObject]]:
    """Return the slices that kube-proxy reads, by Service; of other types than IPv4 and IPv6 (FQDN) it reads none."""
    served = (piece for piece in endpointslices if piece.get("addressType", "IPv4") in ("IPv4", "IPv6"))
    return by_service(piece for piece in served if not _is_left_to_others(piece))


def _is_of_family(entry: KubeObject, ipv6: bool) -> bool:
    return bool(entry["addresses"]) and _is_ipv6(entry["addresses"][0]) == ipv6


def _is_left_to_others(obj: KubeObject) -> bool:
    return any(label in labels_of(obj) for label in _IGNORED_LABELS)


def _is_ipv6(address: str) -> bool:
    return ":" in address


def _endpoints(slices: Iterable[KubeObject], port: str, protocol: str, config: Config) -> list[Endpoint]:
    """Return each endpoint of a Service port, in the order of the slices."""
    found: list[Endpoint] = []
    for piece in slices:
        numbers = [
            one["port"]
            for one in piece.get("ports") or []
            if (one.get("name") or "") == port and one.get("protocol", "TCP").lower() == protocol and one.get("port")
        ]
        entries = [entry for entry in piece.get("endpoints") or [] if _is_of_family(entry, config.ipv6)]
        found += [_endpoint(entry, number) for number in numbers for entry in entries]
    return found


def _canonical(address: str) -> str:
    """Return an address or a CIDR as Go prints it: IPv4 may have leading zeros (k8s.io/utils/net ParseIPSloppy)."""
    if _is_ipv6(address):
        return str(ip_network(address, strict=False)) if "/" in address else str(ip_address(address))
    return _LEADING_ZEROS.sub("", address)


def _endpoint(entry: KubeObject, port: int) -> Endpoint:
    address = _canonical(entry["addresses"][0])
    hints = entry.get("hints") or {}
    zones, nodes = (frozenset(one["name"] for one in hints.get(of) or []) for of in ("forZones", "forNodes"))
    return Endpoint(address, port, entry.get("nodeName") or "", *conditions(entry), zones, nodes)


def in_zone(ready: Sequence[Endpoint], zone: str) -> list[Endpoint]:
    """Return the endpoints with a hint for the zone, where every endpoint has hints; else all.

    v1.31 has the feature gate ServiceTrafficDistribution on, so no annotation is asked (pkg/proxy/topology.go
    canUseTopology).
    """
    if zone and all(one.zones for one in ready):
        return [one for one in ready if zone in one.zones] or list(ready)
    return list(ready)


class _RuleWriter:
    """Write the rules of one node."""

    def __init__(self, node: str, config: Config, large: bool) -> None:
        self.config, self.large, self.node = config, large, node
        self.on_localhost = config.has_localhost_nodeports
        self.address = config.addresses.get(node, "")
        top = ("KUBE-SERVICES", "KUBE-EXTERNAL-SERVICES", "KUBE-FORWARD", "KUBE-NODEPORTS", "KUBE-PROXY-FIREWALL")
        self.filter: dict[str, list[str]] = {chain: [] for chain in top}
        nat = ("KUBE-SERVICES", "KUBE-NODEPORTS", "KUBE-POSTROUTING", "KUBE-MARK-MASQ")
        self.nat: dict[str, list[str]] = {chain: [] for chain in nat}

    def _nat(self, chain: str, *words: str) -> None:
        self.nat.setdefault(chain, []).append(" ".join(["-A", chain, *filter(None, words)]))

    def _filter(self, chain: str, *words: str) -> None:
        self.filter.setdefault(chain, []).append(" ".join(["-A", chain, *filter(None, words)]))

    def _nfacct(self, name: str) -> str:
        """Return an nfacct match, or nothing without the counter; iptables-save prints two spaces before the name."""
        return f"-m nfacct --nfacct-name  {name}" if name in self.config.nfacct else ""

    def _host(self, address: str) -> str:
        return f"{address}/{128 if _is_ipv6(address) else 32}"

    # ── common to all nodes ───────────────────────────────────────────────────────────────────────────────

    def postrouting(self) -> None:
        """Write KUBE-POSTROUTING, KUBE-MARK-MASQ and KUBE-FIREWALL."""
        self._nat("KUBE-POSTROUTING", f"-m mark ! --mark {MARK}/{MARK} -j RETURN")
        self._nat("KUBE-POSTROUTING", f"-j MARK --set-xmark {MARK}/0x0")
        comment = _comment("kubernetes service traffic requiring SNAT")
        self._nat("KUBE-POSTROUTING", comment, "-j MASQUERADE --random-fully")
        self._nat("KUBE-MARK-MASQ", f"-j MARK --set-xmark {MARK}/{MARK}")
        if self.on_localhost:
            comment = _comment("block incoming localnet connections")
            states = "-m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT"
            self._filter("KUBE-FIREWALL", "! -s 127.0.0.0/8 -d 127.0.0.0/8", comment, states, "-j DROP")

    def final_rules(self) -> None:
        """Write the rules for NodePorts, which must be the last, and KUBE-FORWARD."""
        comment = _comment("kubernetes service nodeports; NOTE: this must be the last rule in this chain")
        addresses = self.config.nodeport_ips(self.node)
        if addresses is None:
            loopback = "::1/128" if self.config.ipv6 else "127.0.0.0/8"
            besides = "" if self.on_localhost else f"! -d {loopback}"
            self._nat("KUBE-SERVICES", besides, comment, "-m addrtype --dst-type LOCAL -j KUBE-NODEPORTS")
        for address in addresses or []:
            self._nat("KUBE-SERVICES", f"-d {self._host(address)}", comment, "-j KUBE-NODEPORTS")
        if not self.config.conntrack_tcp_liberal:
            counter = self._nfacct(COUNTED_INVALID)
            self._filter("KUBE-FORWARD", "-m conntrack --ctstate INVALID", counter, "-j DROP")
        self._filter("KUBE-FORWARD", _comment("kubernetes forwarding rules"), f"-m mark --mark {MARK}/{MARK} -j ACCEPT")
        comment = _comment("kubernetes forwarding conntrack rule")
        self._filter("KUBE-FORWARD", comment, "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT")

    # ── one Service port ─────────────────────────────────────────────────────────────────────────────────

    def service(self, svc: ServicePort, selected: EndpointSelection) -> None:
        """Write the rules of one Service port."""
        inside = bool(selected.local) if svc.internal_local else selected.has_any
        outside = bool(selected.local) if svc.external_local else selected.has_any
        self._entries(svc, selected, inside)
        if not outside:
            self._rejections(svc, selected)
        if svc.health_port:
            comment = _comment(f"{svc.name} health check node port")
            self._filter("KUBE-NODEPORTS", "-p tcp", comment, f"-m tcp --dport {svc.health_port} -j ACCEPT")
        if inside:
            self._masquerade_outsiders(svc)
        if svc.external and selected.has_any:
            self._external(svc, outside)
        if self._has_firewall(svc, selected):
            self._firewall(svc)
        if selected.cluster and (svc.external or not svc.internal_local):
            self._balance(svc, svc.chain("SVC"), selected.cluster)
        if selected.local:
            self._balance(svc, svc.chain("SVL"), selected.local)
        for endpoint in selected.all:
            self._endpoint(svc, endpoint)

    def _has_firewall(self, svc: ServicePort, selected: EndpointSelection) -> bool:
        return selected.has_any and bool(svc.vips) and bool(svc.source_ranges)

    def _destination(self, svc: ServicePort, address: str, comment: str, port: int) -> list[str]:
        to = f"-d {self._host(address)}" if address else ""
        return [to, f"-p {svc.protocol}", comment, f"-m {svc.protocol} --dport {port}"]

    def _entries(self, svc: ServicePort, selected: EndpointSelection, inside: bool) -> None:
        """Write the rules that lead to the chains: for the ClusterIP, external addresses, VIPs, NodePorts."""
        here = self._destination(svc, svc.cluster_ip, _comment(f"{svc.name} cluster IP"), svc.port)
        if inside:
            self._nat("KUBE-SERVICES", *here, f"-j {svc.chain('SVL' if svc.internal_local else 'SVC')}")
        else:
            why = "has no local endpoints" if selected.has_any else "has no endpoints"
            here = self._destination(svc, svc.cluster_ip, _comment(f"{svc.name} {why}"), svc.port)
            self._filter("KUBE-SERVICES", *here, "-j DROP" if selected.has_any else self._reject())
        if not selected.has_any:
            return
        ext = f"-j {svc.chain('EXT')}"
        for address in svc.external_ips:
            self._nat(
                "KUBE-SERVICES", *self._destination(svc, address, _comment(f"{svc.name} external IP"), svc.port), ext
            )
        firewalled = self._has_firewall(svc, selected)
        for vip in svc.vips:
            comment = _comment(f"{svc.name} loadbalancer IP")
            through = f"-j {svc.chain('FW')}" if firewalled else ext
            self._nat("KUBE-SERVICES", *self._destination(svc, vip, comment, svc.port), through)
            if firewalled:
                comment = _comment(f"{svc.name} traffic not accepted by {svc.chain('FW')}")
                self._filter("KUBE-PROXY-FIREWALL", *self._destination(svc, vip, comment, svc.port), "-j DROP")
        if svc.node_port:
            self._node_port(svc, ext)

    def _node_port(self, svc: ServicePort, ext: str) -> None:
        port = f"-m {svc.protocol} --dport {svc.node_port}"
        comment = _comment(svc.name)
        counter = self._nfacct(COUNTED_LOCALHOST)
        if self.on_localhost and counter:
            self._nat("KUBE-NODEPORTS", f"-d 127.0.0.0/8 -p {svc.protocol}", comment, port, counter, ext)
        self._nat("KUBE-NODEPORTS", f"-p {svc.protocol}", comment, port, ext)

    def _rejections(self, svc: ServicePort, selected: EndpointSelection) -> None:
        """Write the rules for traffic without an endpoint: REJECT without any, DROP without a local one."""
        comment = _comment(f"{svc.name} has no {'local ' if selected.has_any else ''}endpoints")
        verdict = "-j DROP" if selected.has_any else self._reject()
        for address in (*svc.external_ips, *svc.vips):
            self._filter("KUBE-EXTERNAL-SERVICES", *self._destination(svc, address, comment, svc.port), verdict)
        if svc.node_port:
            port = f"-m addrtype --dst-type LOCAL -m {svc.protocol} --dport {svc.node_port}"
            self._filter("KUBE-EXTERNAL-SERVICES", f"-p {svc.protocol}", comment, port, verdict)

    def _reject(self) -> str:
        return f"-j REJECT --reject-with icmp{'6' if self.config.ipv6 else ''}-port-unreachable"

    def _masquerade_outsiders(self, svc: ServicePort) -> None:
        """Masquerade traffic to the ClusterIP from outside the Pods' range: the reply must return through this node."""
        pods = "" if self.config.masquerade_all else self.config.cluster_cidr
        if not pods and not self.config.masquerade_all:
            return
        here = self._destination(svc, svc.cluster_ip, _comment(f"{svc.name} cluster IP"), svc.port)
        chain = svc.chain("SVL" if svc.internal_local else "SVC")
        self._nat(chain, f"! -s {pods}" if pods else "", *here, "-j KUBE-MARK-MASQ")

    def _external(self, svc: ServicePort, outside: bool) -> None:
        chain, everywhere = svc.chain("EXT"), f"-j {svc.chain('SVC')}"
        self.nat.setdefault(chain, [])
        where = f"for {svc.name} external destinations"
        if not svc.external_local:
            self._nat(chain, _comment(f"masquerade traffic {where}"), "-j KUBE-MARK-MASQ")
        else:
            if self.config.cluster_cidr:
                comment = _comment(f"pod traffic {where}")
                self._nat(chain, f"-s {self.config.cluster_cidr}", comment, everywhere)
            from_here = "-m addrtype --src-type LOCAL"
            self._nat(chain, _comment(f"masquerade LOCAL traffic {where}"), from_here, "-j KUBE-MARK-MASQ")
            self._nat(chain, _comment(f"route LOCAL traffic {where}"), from_here, everywhere)
        if outside:
            self._nat(chain, f"-j {svc.chain('SVL')}" if svc.external_local else everywhere)

    def _firewall(self, svc: ServicePort) -> None:
        chain, comment = svc.chain("FW"), _comment(f"{svc.name} loadbalancer IP")
        allowed = list(svc.source_ranges)
        if self.address and any(ip_address(self.address) in ip_network(cidr) for cidr in allowed):
            allowed += [self._host(vip) for vip in svc.vips]
        for cidr in allowed:
            source = "" if cidr.endswith("/0") else f"-s {cidr}"
            self._nat(chain, source, comment, f"-j {svc.chain('EXT')}")
        self._nat(chain, _comment(f"other traffic to {svc.name} will be dropped by KUBE-PROXY-FIREWALL"))

    def _balance(self, svc: ServicePort, chain: str, endpoints: Sequence[Endpoint]) -> None:
        """Send a client with session affinity to its endpoint, and any other to a random one."""
        named = [(svc.endpoint_chain(ep), "" if self.large else _comment(f"{svc.name} -> {ep}")) for ep in endpoints]
        if svc.affinity:
            for endpoint, comment in named:
                known = f"-m recent --rcheck --seconds {svc.affinity} --reap {self._recent_list(endpoint)}"
                self._nat(chain, comment, known, f"-j {endpoint}")
        for place, (endpoint, comment) in enumerate(named):
            left = len(named) - place
            match = f"-m statistic --mode random --probability {probability(left)}" if left > 1 else ""
            self._nat(chain, comment, match, f"-j {endpoint}")

    def _recent_list(self, chain: str) -> str:
        mask = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" if self.config.ipv6 else "255.255.255.255"
        return f"--name {chain} --mask {mask} --rsource"

    def _endpoint(self, svc: ServicePort, endpoint: Endpoint) -> None:
        chain = svc.endpoint_chain(endpoint)
        comment = "" if self.large else _comment(svc.name)
        self._nat(chain, f"-s {self._host(endpoint.address)}", comment, "-j KUBE-MARK-MASQ")
        recent = f"-m recent --set {self._recent_list(chain)}" if svc.affinity else ""
        protocol = f"-m {svc.protocol} -j DNAT --to-destination {endpoint}"
        self._nat(chain, f"-p {svc.protocol}", comment, recent, protocol)


def _comment(text: str) -> str:
    return f'-m comment --comment "{text}"'
