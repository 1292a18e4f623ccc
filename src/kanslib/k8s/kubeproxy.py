"""The iptables rules that kube-proxy v1.31 writes, as iptables-save prints them.

Kubernetes v1.31 pkg/proxy/iptables/proxier.go syncProxyRules. kube-proxy iterates over Services in no fixed order;
here they are sorted, so that the same cluster gives the same text. Within a chain of one Service (KUBE-SVC-…,
KUBE-EXT-…, …) the order is kube-proxy's.
"""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import ip_address, ip_network

from kanslib.k8s.endpoints import Endpoint, by_service, conditions
from kanslib.k8s.objects import KubeObject, internal_ip, labels_of, name_of, namespace_of

_LARGE = 1000  # endpoints; beyond, the rules of endpoints have no comments (largeClusterEndpointsThreshold)
_ZONE = "topology.kubernetes.io/zone"
_IGNORED_LABELS = ("service.kubernetes.io/service-proxy-name", "service.kubernetes.io/headless")
MARK = "0x4000"


@dataclass(frozen=True)
class Config:
    """The configuration of a kube-proxy, and its knowledge of the nodes.

    `cluster_cidr`: the Pods' range ("" where no detector of local traffic is configured). `addresses` and `zones`:
    InternalIP and zone by node name. `ipv6`: the rules of ip6tables. `nfacct`: whether the kernel has the counters
    that kube-proxy uses since v1.31.
    """

    cluster_cidr: str = ""
    addresses: Mapping[str, str] = field(default_factory=dict)
    zones: Mapping[str, str] = field(default_factory=dict)
    ipv6: bool = False
    masquerade_all: bool = False
    localhost_nodeports: bool = True
    nfacct: bool = True

    @classmethod
    def of(cls, nodes: Iterable[KubeObject], cluster_cidr: str = "") -> Config:
        """Return the configuration of a cluster's kube-proxies: addresses and zones come from the Node objects."""
        addresses, zones = {}, {}
        for node in nodes:
            addresses[name_of(node)] = internal_ip(node)
            zones[name_of(node)] = labels_of(node).get(_ZONE, "")
        return cls(cluster_cidr, addresses, zones)


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
    topology: bool

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
    slices = by_service(endpointslices)
    known: list[tuple[ServicePort, list[Endpoint]]] = []
    for service in sorted(services, key=lambda one: (namespace_of(one), name_of(one))):
        own = slices.get((namespace_of(service), name_of(service)), [])
        known += [(port, _endpoints(own, name, port.protocol, config)) for name, port in _ports(service, config.ipv6)]
    writer = _RuleWriter(node, config, sum(len(endpoints) for _, endpoints in known) > _LARGE)
    writer.postrouting()
    for port, endpoints in known:
        writer.service(port, _select_endpoints(endpoints, port, node, config.zones.get(node, "")))
    writer.final_rules()
    return Rules(writer.nat, writer.filter)


def _ports(service: KubeObject, ipv6: bool) -> list[tuple[str, ServicePort]]:
    """Return the ports of a Service that kube-proxy serves in this address family, each with its name in the Service.

    A headless Service, and one that is delegated to another proxy, has none.
    """
    spec, labels = service["spec"], labels_of(service)
    cluster_ip = next((ip for ip in _cluster_ips(spec) if _is_ipv6(ip) == ipv6), "")
    if spec.get("type") == "ExternalName" or not cluster_ip or any(label in labels for label in _IGNORED_LABELS):
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
    spec, annotations = service["spec"], service["metadata"].get("annotations", {})
    kind, external = spec.get("type", "ClusterIP"), spec.get("externalIPs") or []
    reachable = kind in ("NodePort", "LoadBalancer") or bool(external)
    local = reachable and spec.get("externalTrafficPolicy") == "Local"
    ingress = service.get("status", {}).get("loadBalancer", {}).get("ingress") or []
    vips = [one["ip"] for one in ingress if one.get("ip") and one.get("ipMode", "VIP") == "VIP"]
    ranges = [str(ip_network(cidr.strip(), strict=False)) for cidr in spec.get("loadBalancerSourceRanges") or []]
    affinity = spec.get("sessionAffinityConfig", {}).get("clientIP", {}).get("timeoutSeconds", 10800)
    hints = annotations.get(
        "service.kubernetes.io/topology-aware-hints", annotations.get("service.kubernetes.io/topology-mode", "")
    )
    return ServicePort(
        name="",
        protocol="",
        cluster_ip=cluster_ip,
        port=0,
        node_port=0,
        external_ips=tuple(ip for ip in external if _is_ipv6(ip) == ipv6),
        vips=tuple(ip for ip in vips if _is_ipv6(ip) == ipv6),
        source_ranges=tuple(cidr for cidr in ranges if _is_ipv6(cidr) == ipv6),
        health_port=spec.get("healthCheckNodePort", 0) if kind == "LoadBalancer" and local else 0,
        affinity=affinity if spec.get("sessionAffinity") == "ClientIP" else 0,
        external_local=local,
        internal_local=spec.get("internalTrafficPolicy") == "Local",
        topology=hints not in ("", "disabled", "Disabled"),
    )


def _cluster_ips(spec: KubeObject) -> list[str]:
    return [ip for ip in spec.get("clusterIPs") or [spec.get("clusterIP", "")] if ip and ip != "None"]


def _is_ipv6(address: str) -> bool:
    return ":" in address


def _endpoints(slices: Iterable[KubeObject], port: str, protocol: str, config: Config) -> list[Endpoint]:
    """Return the endpoints of a Service port, sorted as kube-proxy sorts them: as text."""
    found: dict[str, Endpoint] = {}
    for piece in slices:
        if (piece.get("addressType", "IPv4") == "IPv6") != config.ipv6:
            continue
        numbers = [
            one["port"]
            for one in piece.get("ports") or []
            if (one.get("name") or "") == port and one.get("protocol", "TCP").lower() == protocol and one.get("port")
        ]
        for number in numbers:
            for entry in piece.get("endpoints") or []:
                zones = frozenset(zone["name"] for zone in (entry.get("hints") or {}).get("forZones") or [])
                one = Endpoint(entry["addresses"][0], number, entry.get("nodeName") or "", *conditions(entry), zones)
                found[str(one)] = one
    return [found[text] for text in sorted(found)]


def _select_endpoints(endpoints: Sequence[Endpoint], port: ServicePort, node: str, zone: str) -> EndpointSelection:
    """Return the endpoints for each traffic policy on `node` (pkg/proxy/topology.go CategorizeEndpoints)."""
    ready = [one for one in endpoints if one.ready]
    terminating = [one for one in endpoints if one.serving and one.terminating]
    cluster: list[Endpoint] = []
    if port.external or not port.internal_local:
        cluster = _in_zone(ready, zone if port.topology else "") or terminating
    if not port.internal_local and not (port.external_local and port.external):
        return EndpointSelection(tuple(cluster), (), bool(cluster))
    leaving = [one for one in terminating if not one.ready]
    local = [one for one in ready if one.node == node] or [one for one in leaving if one.node == node]
    return EndpointSelection(tuple(cluster), tuple(local), bool(ready or leaving or cluster))


def _in_zone(ready: Sequence[Endpoint], zone: str) -> list[Endpoint]:
    """Return the endpoints with a hint for the zone, where every endpoint has hints; else all."""
    if zone and all(one.zones for one in ready):
        return [one for one in ready if zone in one.zones] or list(ready)
    return list(ready)


class _RuleWriter:
    """Write the rules of one node."""

    def __init__(self, node: str, config: Config, large: bool) -> None:
        self.config, self.large = config, large
        self.address = config.addresses.get(node, "")
        top = ("KUBE-SERVICES", "KUBE-EXTERNAL-SERVICES", "KUBE-FORWARD", "KUBE-NODEPORTS", "KUBE-PROXY-FIREWALL")
        self.filter: dict[str, list[str]] = {chain: [] for chain in top}
        nat = ("KUBE-SERVICES", "KUBE-NODEPORTS", "KUBE-POSTROUTING", "KUBE-MARK-MASQ")
        self.nat: dict[str, list[str]] = {chain: [] for chain in nat}

    def _nat(self, chain: str, *words: str) -> None:
        self.nat.setdefault(chain, []).append(" ".join(["-A", chain, *filter(None, words)]))

    def _filter(self, chain: str, *words: str) -> None:
        self.filter.setdefault(chain, []).append(" ".join(["-A", chain, *filter(None, words)]))

    def _host(self, address: str) -> str:
        return f"{ip_address(address)}/{128 if _is_ipv6(address) else 32}"

    # ── common to all nodes ───────────────────────────────────────────────────────────────────────────────

    def postrouting(self) -> None:
        """Write KUBE-POSTROUTING, KUBE-MARK-MASQ and KUBE-FIREWALL."""
        self._nat("KUBE-POSTROUTING", f"-m mark ! --mark {MARK}/{MARK} -j RETURN")
        self._nat("KUBE-POSTROUTING", f"-j MARK --set-xmark {MARK}/0x0")
        comment = _comment("kubernetes service traffic requiring SNAT")
        self._nat("KUBE-POSTROUTING", comment, "-j MASQUERADE --random-fully")
        self._nat("KUBE-MARK-MASQ", f"-j MARK --set-xmark {MARK}/{MARK}")
        if self.config.localhost_nodeports and not self.config.ipv6:
            comment = _comment("block incoming localnet connections")
            states = "-m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT"
            self._filter("KUBE-FIREWALL", "! -s 127.0.0.0/8 -d 127.0.0.0/8", comment, states, "-j DROP")

    def final_rules(self) -> None:
        """Write the rule for NodePorts, which must be the last, and KUBE-FORWARD."""
        comment = _comment("kubernetes service nodeports; NOTE: this must be the last rule in this chain")
        besides = "! -d ::1/128" if self.config.ipv6 else "" if self.config.localhost_nodeports else "! -d 127.0.0.0/8"
        self._nat("KUBE-SERVICES", besides, comment, "-m addrtype --dst-type LOCAL -j KUBE-NODEPORTS")
        counter = _nfacct("ct_state_invalid_dropped_pkts") if self.config.nfacct else ""
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
        if self.config.localhost_nodeports and self.config.nfacct and not self.config.ipv6:
            counter = _nfacct("localhost_nps_accepted_pkts")
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


def _nfacct(name: str) -> str:
    """Return an nfacct match; iptables-save prints two spaces before the name."""
    return f"-m nfacct --nfacct-name  {name}"
