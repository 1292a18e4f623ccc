"""What kube-proxy writes in nftables mode, beside what it writes in iptables mode: one packet, the same ways."""

from __future__ import annotations

import random
import re
from collections import Counter
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from kanslib import iptables, nftables
from kanslib.iptables import Outcome, Packet, Routing
from kanslib.iptables.compiled import CompiledDump
from kanslib.iptables.questions import Question
from kanslib.iptables.tracer import Tracer
from kanslib.k8s import kubeproxy, kubeproxy_nftables
from kanslib.k8s.kubeproxy import Config
from tests.peers.random_clusters import random_cluster

ALWAYS = ("KUBE-NODEPORTS", "KUBE-FIREWALL", "KUBE-FORWARD")
# the rules that lead to kube-proxy's chains (Kubernetes v1.31 pkg/proxy/iptables/proxier.go iptablesJumpChains)
JUMPS = {
    "nat": ["PREROUTING -j KUBE-SERVICES", "OUTPUT -j KUBE-SERVICES", "POSTROUTING -j KUBE-POSTROUTING"],
    "filter": [
        f"{hook} {match}-j {chain}"
        for hook, chains in {
            "INPUT": ("KUBE-PROXY-FIREWALL", "KUBE-NODEPORTS", "KUBE-EXTERNAL-SERVICES", "KUBE-FIREWALL"),
            "FORWARD": ("KUBE-PROXY-FIREWALL", "KUBE-FORWARD", "KUBE-SERVICES", "KUBE-EXTERNAL-SERVICES"),
            "OUTPUT": ("KUBE-PROXY-FIREWALL", "KUBE-SERVICES", "KUBE-FIREWALL"),
        }.items()
        for chain in chains
        for match in ["" if chain in ALWAYS else "-m conntrack --ctstate NEW "]
    ],
}
HOOKS = {"nat": ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"), "filter": ("INPUT", "FORWARD", "OUTPUT")}
ROUTING = Routing.read(
    '[{"ifname":"lo","addr_info":[{"local":"127.0.0.1","prefixlen":8,"scope":"host"}]},'
    '{"ifname":"eth0","addr_info":[{"local":"172.18.0.2","prefixlen":16,"scope":"global"}]}]',
    '[{"dst":"172.18.0.0/16","dev":"eth0"},{"dst":"10.1.0.0/16","dev":"cni0"},'
    '{"dst":"default","gateway":"172.18.0.1","dev":"eth0"}]',
)
CLIENTS = (("172.18.0.77", "eth0"), ("203.0.113.200", "eth0"), ("10.1.9.9", "cni0"))


class Fresh:
    """What is so on a node where nobody has asked before: the lists of `recent` are empty."""

    def answer(self, question: Question) -> bool | None:
        return False if question.subject.kind == "recent" else None


def iptables_text(rules: kubeproxy.Rules) -> str:
    lines = []
    for table in ("nat", "filter"):
        chains = {line.split()[1] for line in rules.lines(table)} | {
            word for line in (*rules.lines(table), *JUMPS[table]) for word in line.split() if word.startswith("KUBE-")
        }
        lines += [f"*{table}", *(f":{hook} ACCEPT [0:0]" for hook in HOOKS[table])]
        lines += [f":{chain} - [0:0]" for chain in sorted(chains)]
        lines += [*(f"-A {jump}" for jump in JUMPS[table]), *rules.lines(table), "COMMIT"]
    return "\n".join([*lines, ""])


def ways(outcomes: list[Outcome], client: str) -> Counter[tuple[object, ...]]:
    """What becomes of the packet: where it goes, whether its source is kept, how probably."""
    found: dict[tuple[object, ...], Fraction] = {}
    for way in outcomes:
        if way.accepted:
            end: tuple[object, ...] = (way.packet.dst, way.packet.dport, way.packet.src == client)
        else:
            end = (way.verdict,)
        found[end] = found.get(end, Fraction(0)) + way.probability
    # iptables rounds its probabilities to 1/2³¹
    return Counter({(*end, round(float(share), 6)): 1 for end, share in found.items()})


def targets(cluster: dict[str, Any]) -> set[tuple[str, int, str]]:
    """Every address and port at which a Service of the cluster may be asked."""
    found = set()
    for service in cluster["services"]:
        spec, ingress = service["spec"], service["status"]["loadBalancer"].get("ingress") or []
        addresses = [spec.get("clusterIP", ""), *(one.get("ip", "") for one in ingress), *spec.get("externalIPs", [])]
        for port in spec.get("ports", []):
            protocol = port["protocol"].lower()
            for address in addresses:
                if re.fullmatch(r"[0-9.]+", address):
                    found.add((address.replace(".078", ".78"), port["port"], protocol))
            if "nodePort" in port:
                found.add(("172.18.0.2", port["nodePort"], protocol))
    return found


@pytest.mark.parametrize("seed", [*range(10), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(10, 40))])
def test_both_modes_send_packets_the_same_ways(seed: int) -> None:
    rng = random.Random(seed)
    cluster = random_cluster(rng)
    given = cluster["config"]
    if given["ipv6"]:
        cluster["services"] = []
    config = Config(
        cluster_cidr="10.1.0.0/16" if given["clusterCIDR"] else "", addresses={"n1": "172.18.0.2"},
        zones={"n1": given["nodeLabels"].get("topology.kubernetes.io/zone", "")},
        masquerade_all=given["masqueradeAll"], nodeport_addresses=("0.0.0.0/0",), localhost_nodeports=False,
    )  # fmt: skip
    arguments = (cluster["services"], cluster["endpointSlices"], "n1", config)
    old = Tracer((CompiledDump(iptables.parse(iptables_text(kubeproxy.write(*arguments)))),))
    new = nftables.parse(str(kubeproxy_nftables.write(*arguments)))
    assert new.unknown == ()
    for address, port, protocol in sorted(targets(cluster)):
        for client, interface in CLIENTS:
            packet = Packet(client, address, protocol, 40000, port, interface, ttl=64)
            expected = ways(old.trace(packet, ROUTING, answers=Fresh()), client)
            found = new.trace(packet, ROUTING)
            # without endpoints, iptables refuses clients that a Service does not admit, and nftables drops them
            if expected == Counter({("REJECT", 1.0): 1}) and found[0].walked[-1].chain.startswith("firewall-"):
                expected = Counter({("DROP", 1.0): 1})
            assert ways(found, client) == expected, packet


SERVICE = {
    "metadata": {"name": "svc1", "namespace": "ns1"},
    "spec": {
        "type": "LoadBalancer", "clusterIP": "172.30.0.41",
        "ports": [{"name": "p80", "port": 80, "protocol": "TCP", "nodePort": 30080}],
    },
    "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}},
}  # fmt: skip
SLICE = {
    "metadata": {"name": "svc1-1", "namespace": "ns1", "labels": {"kubernetes.io/service-name": "svc1"}},
    "ports": [{"name": "p80", "port": 80, "protocol": "TCP"}],
    "endpoints": [{"addresses": ["10.180.0.1"], "nodeName": "n1"}, {"addresses": ["10.180.0.2"], "nodeName": "n2"}],
}
CONFIG = Config(cluster_cidr="10.180.0.0/16", addresses={"n1": "172.18.0.2"}, service_cidr="172.30.0.0/16")


def test_names_are_those_of_kube_proxys_documentation() -> None:
    """The two names stand in comments of Kubernetes v1.37.2 pkg/proxy/nftables/proxier.go."""
    ((port, endpoints),) = kubeproxy.service_ports([SERVICE], [SLICE], CONFIG)
    assert kubeproxy_nftables.chain_name("service", port) == "service-ULMVA6XW-ns1/svc1/tcp/p80"
    name = kubeproxy_nftables.chain_name("endpoint", port, endpoints[0])
    assert name == "endpoint-5OJB2KTY-ns1/svc1/tcp/p80__10.180.0.1/80"


def test_table_holds_what_kube_proxy_adds() -> None:
    table = kubeproxy_nftables.write([SERVICE], [SLICE], "n1", CONFIG)
    service = "service-ULMVA6XW-ns1/svc1/tcp/p80"
    assert table.sets["nodeport-ips"].elements == ("172.18.0.2",)
    assert table.sets["hairpin-connections"].elements == ("10.180.0.1 . 10.180.0.1 . tcp . 80",)
    assert f"172.30.0.41 . tcp . 80 : goto {service}" in table.maps["service-ips"].elements
    external = service.replace("service", "external", 1)
    assert table.maps["service-nodeports"].elements == (f"tcp . 30080 : goto {external}",)
    assert list(table.chains[service]) == [
        "meta l4proto tcp dnat ip to numgen random mod 2 map { 0 : 10.180.0.1 . 80, 1 : 10.180.0.2 . 80 }"
    ]
    assert table.chains["cluster-ips-check"][-1].startswith("ip daddr 172.30.0.0/16 drop")


def test_affinity_sends_a_known_client_to_its_endpoint() -> None:
    sticky = {**SERVICE, "spec": {**SERVICE["spec"], "sessionAffinity": "ClientIP"}}  # type: ignore[dict-item]
    table = kubeproxy_nftables.write([sticky], [SLICE], "n1", CONFIG)
    (affinity, *_) = (name for name in table.sets if name.startswith("affinity-") and name.endswith("10.180.0.2/80"))
    content = table.sets[affinity]
    assert "timeout 3h" in content.options
    remembered = {**table.sets, affinity: replace(content, elements=("172.18.0.77",))}
    packet = Packet("172.18.0.77", "192.0.2.1", dport=80, in_interface="eth0")
    asked = nftables.parse(str(replace(table, sets=remembered))).trace(packet, ROUTING)
    assert [way.packet.dst for way in asked] == ["10.180.0.2"]
    assert "this client was sent to 10.180.0.2:80 before, so again" in [step.describe() for step in asked[0].steps]
    third = {"addresses": ["10.180.0.3"], "nodeName": "n2"}
    spread = kubeproxy_nftables.write([sticky], [{**SLICE, "endpoints": [*SLICE["endpoints"], third]}], "n1", CONFIG)
    found = nftables.parse(str(spread)).trace(packet, ROUTING)
    assert {way.probability for way in found} == {Fraction(1, 3)}
    said = {step.describe() for way in found for step in way.steps}
    for address in ("10.180.0.1", "10.180.0.2", "10.180.0.3"):
        assert f"a random number chooses an endpoint, 1/3 of what comes here: {address}:80" in said


def test_service_without_endpoints_is_refused_at_its_address() -> None:
    rules = nftables.parse(str(kubeproxy_nftables.write([SERVICE], [], "n1", CONFIG)))
    packet = Packet("172.18.0.77", "192.0.2.1", dport=80, in_interface="eth0")
    assert [way.verdict for way in rules.trace(packet, ROUTING)] == ["REJECT"]
    unknown = replace(packet, dst="172.30.9.9")
    assert [way.verdict for way in rules.trace(unknown, ROUTING)] == ["DROP"]


def endpoint(address: str, **given: object) -> dict[str, object]:
    return {"addresses": [address], "nodeName": "n2", **given}


def served(*endpoints: dict[str, object]) -> str:
    table = kubeproxy_nftables.write([SERVICE], [{**SLICE, "endpoints": [*endpoints]}], "n1", CONFIG)
    return table.chains["service-ULMVA6XW-ns1/svc1/tcp/p80"][0]


def test_hints_for_nodes_come_before_hints_for_zones() -> None:
    near = endpoint("10.180.0.1", hints={"forNodes": [{"name": "n1"}], "forZones": [{"name": "east"}]})
    far = endpoint("10.180.0.2", hints={"forNodes": [{"name": "n2"}], "forZones": [{"name": "east"}]})
    unhinted = endpoint("10.180.0.3")
    assert served(near, far).endswith("dnat to 10.180.0.1:80")
    assert "mod 3" in served(near, far, unhinted)
    assert served(far).endswith("dnat to 10.180.0.2:80")


def test_terminating_endpoint_does_not_replace_one_of_the_same_address() -> None:
    gone = endpoint("10.180.0.1", conditions={"ready": False, "serving": False, "terminating": True})
    assert served(endpoint("10.180.0.1"), gone).endswith("dnat to 10.180.0.1:80")
    assert served(gone, endpoint("10.180.0.1")).endswith("dnat to 10.180.0.1:80")


def ranged(*ranges: str) -> kubeproxy_nftables.Table:
    spec = {**SERVICE["spec"], "loadBalancerSourceRanges": [*ranges]}  # type: ignore[dict-item]
    return kubeproxy_nftables.write([{**SERVICE, "spec": spec}], [SLICE], "n1", CONFIG)


def test_source_range_of_everything_admits_everybody() -> None:
    (rule,) = ranged("203.0.113.0/24").chains["firewall-ULMVA6XW-ns1/svc1/tcp/p80"]
    assert rule == "ip saddr != 203.0.113.0/24 drop"
    opened = ranged("203.0.113.0/24", "0.0.0.0/0")
    assert "firewall-ULMVA6XW-ns1/svc1/tcp/p80" not in opened.chains
    assert opened.maps["firewall-ips"].elements == ()


@pytest.mark.parametrize(("addresses", "verdict"), [((), "REJECT"), (("127.0.0.0/8",), "ACCEPT")])
def test_feature_gate_refuses_node_ports_at_loopback(addresses: tuple[str, ...], verdict: str) -> None:
    config = replace(CONFIG, localhost_rejects=True, nodeport_addresses=addresses)
    table = kubeproxy_nftables.write([SERVICE], [SLICE], "n1", config)
    assert ("localhost-nodeport-rejected-tcp" in table.counters) == (verdict == "REJECT")
    rules = nftables.parse(str(table))
    assert rules.unknown == ()
    packet = Packet("127.0.0.1", "127.0.0.1", dport=30080)
    assert [way.verdict for way in rules.trace(packet, ROUTING)] == [verdict]


def test_ranges_of_services_and_counters_are_printed_as_nft_prints_them() -> None:
    config = replace(CONFIG, service_cidr="172.30.0.0/16,172.31.0.0/16", localhost_rejects=True)
    text = str(kubeproxy_nftables.write([SERVICE], [SLICE], "n1", config))
    assert "ip daddr { 172.30.0.0/16, 172.31.0.0/16 } drop" in text
    assert "\tcounter localhost-nodeport-rejected-udp {\n\t\tpackets 0 bytes 0\n\t}" in text
    assert nftables.parse(text).unknown == ()
