"""The nftables rules that kube-proxy v1.37 writes, as `nft list table` prints them.

Kubernetes v1.37.2 pkg/proxy/nftables/proxier.go setupNFTables, syncProxyRules. kube-proxy iterates over Services in no
fixed order; here they are sorted, and so are the elements of sets and maps.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import ip_address, ip_network

from kanslib.k8s.endpoints import Endpoint
from kanslib.k8s.kubeproxy import Config, EndpointSelection, ServicePort, distinct, in_zone, service_ports
from kanslib.k8s.objects import KubeObject

_MARK = "0x00004000"
_MASQUERADE = f"meta mark set meta mark | {_MARK}"
_LONGEST_NAME = 240  # characters of a chain's name behind its prefix (chainNameBaseLengthMax)
_LONGEST_COMMENT = 128  # knftables CommentLengthMax
_REJECTED = "localhost-nodeport-reject-ports"
_BASE_CHAINS = {
    "filter-prerouting-pre-dnat": "type filter hook prerouting priority dstnat - 10",
    "filter-output-pre-dnat": "type filter hook output priority -110",
    "filter-input": "type filter hook input priority filter",
    "filter-forward": "type filter hook forward priority filter",
    "filter-output": "type filter hook output priority filter",
    "nat-prerouting": "type nat hook prerouting priority dstnat",
    "nat-output": "type nat hook output priority -100",
    "nat-postrouting": "type nat hook postrouting priority srcnat",
}
_NEW = "ct state new jump "
_JUMPS = (  # base chain, rule
    ("filter-input", f"{_NEW}nodeport-endpoints-check"), ("filter-input", f"{_NEW}service-endpoints-check"),
    ("filter-forward", f"{_NEW}service-endpoints-check"), ("filter-output", f"{_NEW}service-endpoints-check"),
    ("filter-prerouting-pre-dnat", f"{_NEW}firewall-check"), ("filter-output-pre-dnat", f"{_NEW}firewall-check"),
    ("nat-output", "jump services"), ("nat-prerouting", "jump services"), ("nat-postrouting", "jump masquerading"),
    ("filter-forward", f"{_NEW}cluster-ips-check"), ("filter-output", f"{_NEW}cluster-ips-check"),
)  # fmt: skip


@dataclass(frozen=True)
class SetContent:
    """A set or a map of the table: its `type`, flags and timeout as nft prints them, and its elements as text."""

    type: str
    comment: str = ""
    options: tuple[str, ...] = ()
    elements: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """Return its lines inside of the braces."""
        comment = [f'comment "{self.comment}"'] if self.comment else []
        elements = [f"elements = {{ {', '.join(sorted(self.elements))} }}"] if self.elements else []
        return [f"type {self.type}", *self.options, *comment, *elements]


@dataclass(frozen=True)
class Table:
    """kube-proxy's table of one family (`ip` or `ip6`): sets, maps and chains by name. `str()` prints it.

    `chains`: the rules of each chain, the line of its hook first where it has one. `counters`: the names of its
    counters, which start at 0.
    """

    family: str
    sets: Mapping[str, SetContent]
    maps: Mapping[str, SetContent]
    chains: Mapping[str, Sequence[str]]
    counters: Sequence[str] = ()

    def __str__(self) -> str:
        lines = [f"table {self.family} kube-proxy {{", '\tcomment "rules for kube-proxy"']
        for name in self.counters:
            lines += [f"\tcounter {name} {{", "\t\tpackets 0 bytes 0", "\t}"]
        for kind, found in (("set", self.sets), ("map", self.maps)):
            for name, content in found.items():
                lines += [f"\t{kind} {name} {{", *(f"\t\t{line}" for line in content.lines()), "\t}"]
        for name, rules in self.chains.items():
            lines += [f"\tchain {name} {{", *(f"\t\t{rule}" for rule in rules), "\t}"]
        return "\n".join([*lines, "}", ""])


def write(services: Iterable[KubeObject], endpointslices: Iterable[KubeObject], node: str, config: Config) -> Table:
    """Return what kube-proxy writes on `node` for these Services and EndpointSlices, in nftables mode.

    `node` is the name of a node of `config`. NodePorts answer at the node's primary address where `config` does not
    say otherwise (Kubernetes v1.37.2 cmd/kube-proxy/app/server_linux.go platformApplyDefaults).

    >>> print(write([], [], "worker", Config(addresses={"worker": "192.0.2.11"})).chains["services"][-1])
    ip daddr @nodeport-ips meta l4proto . th dport vmap @service-nodeports
    """
    if not config.nodeport_addresses:
        config = config.with_primary_nodeports(node)
    writer = _TableWriter(node, config)
    writer.common()
    for port, endpoints in service_ports(services, endpointslices, config):
        writer.service(_without_open_ranges(port), select_endpoints(endpoints, port, node, config))
    return writer.table()


def select_endpoints(endpoints: Iterable[Endpoint], port: ServicePort, node: str, config: Config) -> EndpointSelection:
    """Return the endpoints of a Service port by traffic policy, on `node`, as v1.37 selects them.

    Where every ready endpoint has hints for nodes, those for this one count; else the hints for zones do
    (pkg/proxy/topology.go topologyModeFromHints).
    """

    def near(ready: Sequence[Endpoint]) -> Sequence[Endpoint]:
        here = [one for one in ready if node in one.nodes] if all(one.nodes for one in ready) else []
        return here or in_zone(ready, config.zones.get(node, ""))

    return EndpointSelection.of(distinct(endpoints, lambda one: not one.terminating), port, node, near)


def _without_open_ranges(port: ServicePort) -> ServicePort:
    """Return a port without its source ranges where one of them is everything (pkg/proxy/serviceport.go)."""
    is_open = any(cidr.endswith("/0") for cidr in port.source_ranges)
    return replace(port, source_ranges=()) if is_open else port


def chain_name(kind: str, port: ServicePort, endpoint: Endpoint | None = None) -> str:
    """Return the name of a chain of a Service's port, or of one of its endpoints (servicePortChainNameBase).

    `kind`: service, local, external, firewall; for an endpoint `endpoint`, and `affinity` for its set.
    """
    service, _, port_name = port.name.partition(":")
    name = f"{service}/{port.protocol}/{port_name}"
    if endpoint is not None:
        name += f"__{endpoint.address.replace(':', '.')}/{endpoint.port}"
    digest = base64.b32encode(hashlib.sha256(name.encode()).digest()).decode()[:8]
    whole = f"{digest}-{name}"
    return f"{kind}-{whole if len(whole) <= _LONGEST_NAME else f'{whole[: _LONGEST_NAME - 3]}...'}"


@dataclass
class _TableWriter:
    """Write the table of one node."""

    node: str
    config: Config
    sets: dict[str, SetContent] = field(default_factory=dict)
    maps: dict[str, SetContent] = field(default_factory=dict)
    chains: dict[str, list[str]] = field(default_factory=dict)
    elements: dict[str, dict[str, str]] = field(default_factory=dict)  # of each set or map: key to element
    counters: list[str] = field(default_factory=list)

    @property
    def _ip(self) -> str:
        return "ip6" if self.config.ipv6 else "ip"

    @property
    def _type(self) -> str:
        return "ipv6_addr" if self.config.ipv6 else "ipv4_addr"

    @property
    def _loopback(self) -> str:
        return "::1" if self.config.ipv6 else "127.0.0.0/8"

    @property
    def rejected(self) -> tuple[str, ...]:
        """The protocols whose NodePorts are refused at loopback addresses."""
        if not self.config.localhost_rejects:
            return ()
        return ("udp", "sctp") if self.config.names_loopback else ("tcp", "udp", "sctp")

    def table(self) -> Table:
        """Return what has been written."""
        sets, maps = (
            {name: replace(one, elements=tuple(self.elements.get(name, {}).values())) for name, one in found.items()}
            for found in (self.sets, self.maps)
        )
        return Table(self._ip, sets, maps, self.chains, self.counters)

    def _rule(self, chain: str, *words: str, comment: str = "") -> None:
        shown = f'comment "{comment}"' if comment else ""
        self.chains.setdefault(chain, []).append(" ".join(filter(None, (*words, shown))))

    def _element(self, of: str, *key: str | int, verdict: str = "", comment: str = "") -> None:
        shown = f' comment "{comment[:_LONGEST_COMMENT]}"' if comment else ""
        text = " . ".join(map(str, key))
        self.elements.setdefault(of, {})[text] = f"{text}{shown}{f' : {verdict}' if verdict else ''}"

    # ── common to all nodes ───────────────────────────────────────────────────────────────────────────────

    def common(self) -> None:
        """Write the base chains, the sets and maps, and the chains that ask them."""
        self.chains.update({name: [f"{hook}; policy accept;"] for name, hook in _BASE_CHAINS.items()})
        for base, rule in _JUMPS:
            self._rule(base, rule)
        service, port = f"{self._type} . inet_proto . inet_service : verdict", "inet_proto . inet_service : verdict"
        self.sets["cluster-ips"] = SetContent(self._type, "Active ClusterIPs")
        if (addresses := self.config.nodeport_ips(self.node)) is not None:
            self.sets["nodeport-ips"] = SetContent(self._type, "IPs that accept NodePort traffic")
            for address in addresses:
                if not ip_address(address).is_loopback:
                    self._element("nodeport-ips", address)
        pair = f"{self._type} . {self._type} . inet_proto . inet_service"
        self.sets["hairpin-connections"] = SetContent(pair, "service hairpin connections")
        self.maps["no-endpoint-services"] = SetContent(
            service, "vmap to drop or reject packets to services with no endpoints"
        )
        self.maps["no-endpoint-nodeports"] = SetContent(
            port, "vmap to drop or reject packets to service nodeports with no endpoints"
        )
        self.maps["firewall-ips"] = SetContent(service, "destinations that are subject to LoadBalancerSourceRanges")
        self.maps["service-ips"] = SetContent(service, "ClusterIP, ExternalIP and LoadBalancer IP traffic")
        self.maps["service-nodeports"] = SetContent(port, "NodePort traffic")
        self._checks()
        self._dispatch()

    def _checks(self) -> None:
        """Write the chains that refuse, masquerade and check, each of which asks a set or a map."""
        key = f"{self._ip} daddr . meta l4proto . th dport"
        ports = "meta l4proto . th dport"
        self._rule("nodeport-endpoints-check", *self._at_nodeports(""), ports, "vmap @no-endpoint-nodeports")
        self._localhost_rejects()
        self._rule("service-endpoints-check", key, "vmap @no-endpoint-services")
        self._rule("firewall-check", key, "vmap @firewall-ips")
        self.chains["services"] = []
        changed = f"meta mark & {_MARK} != 0x00000000 meta mark set meta mark ^ {_MARK}"
        self._rule("masquerading", changed, "masquerade fully-random")
        pair = f"{self._ip} saddr . {self._ip} daddr . meta l4proto . th dport @hairpin-connections"
        self._rule("masquerading", "ct status dnat", pair, "masquerade fully-random")
        clusters = f"{self._ip} daddr @cluster-ips"
        self._rule("cluster-ips-check", clusters, "reject", comment="Reject traffic to invalid ports of ClusterIPs")
        if self.config.service_cidr:
            unknown = f"{self._ip} daddr {_anonymous_set(self.config.service_cidr.split(','))}"
            self._rule("cluster-ips-check", unknown, "drop", comment="Drop traffic to unallocated ClusterIPs")
        self._rule("reject-chain", "reject")

    def _localhost_rejects(self) -> None:
        """Refuse NodePorts at loopback addresses, but those of TCP where kube-proxy itself listens there.

        Kubernetes v1.37.2 localhostNodePortRejectProtocols.
        """
        if not self.rejected:
            return
        comment = "localhost NodePorts rejected by kube-proxy"
        self.maps[_REJECTED] = SetContent("inet_proto . inet_service : verdict", comment)
        for protocol in self.rejected:
            counter = f"localhost-nodeport-rejected-{protocol}"
            self.counters.append(counter)
            self._rule(f"localhost-nodeport-reject-{protocol}", f'counter name "{counter}" reject')
        here = f"{self._ip} daddr {self._loopback}"
        self._rule("nodeport-endpoints-check", here, "meta l4proto . th dport", f"vmap @{_REJECTED}")

    def _dispatch(self) -> None:
        """Write the chain `services`, which every new connection meets."""
        clusters = f"{self._ip} daddr @cluster-ips"
        if self.config.masquerade_all:
            self._rule("services", clusters, _MASQUERADE, comment="masquerade all clusterIP traffic")
        elif pods := self.config.cluster_cidr:
            outside = f"{self._ip} saddr != {pods}"
            comment = "masquerade clusterIP traffic from outside cluster"
            self._rule("services", clusters, outside, _MASQUERADE, comment=comment)
        self._rule("services", f"{self._ip} daddr . meta l4proto . th dport", "vmap @service-ips")
        local = self._at_nodeports("fib daddr type local")
        self._rule("services", *local, "meta l4proto . th dport", "vmap @service-nodeports")

    def _at_nodeports(self, local: str) -> list[str]:
        """Return the matches for addresses at which NodePorts answer; `local`: what stands before "not loopback"."""
        if "nodeport-ips" in self.sets:
            return [f"{self._ip} daddr @nodeport-ips"]
        return [local, f"{self._ip} daddr != {self._loopback}"]

    # ── one Service port ─────────────────────────────────────────────────────────────────────────────────

    def service(self, svc: ServicePort, selected: EndpointSelection) -> None:
        """Write the elements and chains of one Service port."""
        for endpoint in selected.all:
            if endpoint.node == self.node:
                self._element("hairpin-connections", endpoint.address, endpoint.address, svc.protocol, endpoint.port)
        self._element("cluster-ips", svc.cluster_ip)
        internal = chain_name("local" if svc.internal_local else "service", svc)
        if bool(selected.local) if svc.internal_local else selected.has_any:
            self._element("service-ips", svc.cluster_ip, svc.protocol, svc.port, verdict=f"goto {internal}")
        else:
            self._refuse(svc, selected, svc.cluster_ip)
        self._external_elements(svc, selected)
        if svc.external and selected.has_any:
            self._external_chain(svc, selected)
        if svc.vips and svc.source_ranges:
            self._firewall(svc)
        if selected.cluster and (svc.external or not svc.internal_local):
            self._balance(svc, chain_name("service", svc), selected.cluster)
        if selected.local:
            self._balance(svc, chain_name("local", svc), selected.local)
        if svc.affinity:
            for endpoint in selected.all:
                self._endpoint(svc, endpoint)

    def _refuse(self, svc: ServicePort, selected: EndpointSelection, address: str) -> None:
        key = (address, svc.protocol, svc.port)
        self._element("no-endpoint-services", *key, verdict=_refusal(selected), comment=svc.name)

    def _external_elements(self, svc: ServicePort, selected: EndpointSelection) -> None:
        """Write the elements of external addresses, VIPs and the NodePort."""
        outside = bool(selected.local) if svc.external_local else selected.has_any
        external = f"goto {chain_name('external', svc)}"
        for address in (*svc.external_ips, *svc.vips):
            if selected.has_any:
                self._element("service-ips", address, svc.protocol, svc.port, verdict=external)
            if not outside:
                self._refuse(svc, selected, address)
        for vip in svc.vips if svc.source_ranges else ():
            firewall = f"goto {chain_name('firewall', svc)}"
            self._element("firewall-ips", vip, svc.protocol, svc.port, verdict=firewall)
        if svc.node_port and selected.has_any:
            self._element("service-nodeports", svc.protocol, svc.node_port, verdict=external)
        if svc.node_port and svc.protocol in self.rejected:
            refuse = f"goto localhost-nodeport-reject-{svc.protocol}"
            self._element(_REJECTED, svc.protocol, svc.node_port, verdict=refuse)
        if svc.node_port and not outside:
            key = (svc.protocol, svc.node_port)
            self._element("no-endpoint-nodeports", *key, verdict=_refusal(selected), comment=svc.name)

    def _external_chain(self, svc: ServicePort, selected: EndpointSelection) -> None:
        chain, everywhere = chain_name("external", svc), f"goto {chain_name('service', svc)}"
        if not svc.external_local:
            self._rule(chain, _MASQUERADE, comment="masquerade")
            self._rule(chain, everywhere)
            return
        if self.config.cluster_cidr:
            pods = f"{self._ip} saddr {self.config.cluster_cidr}"
            self._rule(chain, pods, everywhere, comment="short-circuit pod traffic")
        here = "fib saddr type local"
        self._rule(chain, here, _MASQUERADE, comment="masquerade local traffic")
        self._rule(chain, here, everywhere, comment="short-circuit local traffic")
        if selected.local:
            self._rule(chain, f"goto {chain_name('local', svc)}")

    def _firewall(self, svc: ServicePort) -> None:
        own = self.config.addresses.get(self.node, "")
        here = bool(own) and any(ip_address(own) in ip_network(cidr) for cidr in svc.source_ranges)
        allowed = [*svc.source_ranges, *(svc.vips if here else ())]
        self._rule(chain_name("firewall", svc), f"{self._ip} saddr != {_anonymous_set(allowed)}", "drop")

    def _balance(self, svc: ServicePort, chain: str, endpoints: Sequence[Endpoint]) -> None:
        """Send a connection to a random endpoint; with session affinity a known client to its own."""
        if svc.affinity:
            self._balance_by_jumps(svc, chain, endpoints)
        elif len(endpoints) == 1:
            self._rule(chain, f"meta l4proto {svc.protocol}", f"dnat to {endpoints[0]}")
        else:
            choices = ", ".join(f"{place} : {one.address} . {one.port}" for place, one in enumerate(endpoints))
            where = f"dnat {self._ip} to numgen random mod {len(endpoints)} map {{ {choices} }}"
            self._rule(chain, f"meta l4proto {svc.protocol}", where)

    def _balance_by_jumps(self, svc: ServicePort, chain: str, endpoints: Sequence[Endpoint]) -> None:
        jumps = [f"goto {chain_name('endpoint', svc, one)}" for one in endpoints]
        for endpoint, jump in zip(endpoints, jumps, strict=True):
            self._rule(chain, f"{self._ip} saddr @{chain_name('affinity', svc, endpoint)}", jump)
        choices = ", ".join(f"{place} : {jump}" for place, jump in enumerate(jumps))
        self._rule(chain, f"numgen random mod {len(endpoints)} vmap {{ {choices} }}")

    def _endpoint(self, svc: ServicePort, endpoint: Endpoint) -> None:
        """Write the chain of an endpoint, which remembers its clients in a set."""
        affinity, chain = chain_name("affinity", svc, endpoint), chain_name("endpoint", svc, endpoint)
        options = ("size 65535", "flags dynamic,timeout", f"timeout {_duration(svc.affinity)}")
        self.sets[affinity] = SetContent(self._type, options=options)
        self._rule(chain, f"update @{affinity} {{ {self._ip} saddr }}")
        self._rule(chain, f"meta l4proto {svc.protocol}", f"dnat to {endpoint}")


def _anonymous_set(members: Sequence[str]) -> str:
    """Return a set that has no name, as nft prints it: one of a single member without its braces."""
    return f"{{ {', '.join(members)} }}" if len(members) > 1 else members[0]


def _duration(seconds: int) -> str:
    """Return a time as nft prints it.

    >>> _duration(10800), _duration(90)
    ('3h', '1m30s')
    """
    parts, left = [], seconds
    for unit, name in ((86400, "d"), (3600, "h"), (60, "m"), (1, "s")):
        parts.append(f"{left // unit}{name}" if left >= unit else "")
        left %= unit
    return "".join(parts)


def _refusal(selected: EndpointSelection) -> str:
    """Return the verdict where no endpoint may serve: packets are dropped while others may, else refused."""
    return "drop" if selected.has_any else "goto reject-chain"
