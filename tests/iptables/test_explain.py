from __future__ import annotations

import pytest

from kanslib import iptables
from kanslib.iptables import Packet

FW, XLB, EXT = "KUBE-FW-AAAAAAAAAAAAAAAA", "KUBE-XLB-AAAAAAAAAAAAAAAA", "KUBE-EXT-AAAAAAAAAAAAAAAA"
SVC, SEP = "KUBE-SVC-AAAAAAAAAAAAAAAA", "KUBE-SEP-BBBBBBBBBBBBBBBB"
LB = '-m comment --comment "shop/web: loadbalancer IP"'


def walk(*rules: str, source: str = "198.51.100.7") -> list[str]:
    """What a client's packet meets in the chains of a Service, in words."""
    names = (FW, XLB, EXT, SVC, SEP, "KUBE-MARK-DROP", "KUBE-MARK-MASQ", "KUBE-SERVICES")
    first = [
        "-A PREROUTING -j KUBE-SERVICES",
        f"-A KUBE-SERVICES -d 192.0.2.50/32 -p tcp {LB} -m tcp --dport 80 -j {FW}",
        "-A KUBE-MARK-DROP -j MARK --set-xmark 0x8000/0x8000",
        "-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000",
        f"-A {SVC} -j {SEP}",
        f"-A {SEP} -p tcp -m tcp -j DNAT --to-destination 203.0.113.8:8080",
    ]
    declared = "".join(f":{name} - [0:0]\n" for name in names)
    text = f"*nat\n:PREROUTING ACCEPT [0:0]\n{declared}" + "\n".join([*first, *rules]) + "\nCOMMIT\n"
    (way,) = iptables.parse(text).trace(Packet(source, "192.0.2.50", dport=80, in_interface="eth0"))
    return [step.describe() for step in way.steps][1:]


def test_explain_firewall_chain_of_every_load_balancer() -> None:
    """kube-proxy v1.20 to v1.23, externalTrafficPolicy Cluster, no source ranges."""
    assert walk(f"-A {FW} {LB} -j KUBE-MARK-MASQ", f"-A {FW} {LB} -j {SVC}", f"-A {FW} {LB} -j KUBE-MARK-DROP")[:4] == [
        "it asks for the external address of shop/web",
        "came from outside, so mark for masquerade",
        "the mark 0x4000: to be masqueraded when it leaves",
        "from any source: on to the endpoints",
    ]


def test_explain_local_policy_without_local_endpoint() -> None:
    """kube-proxy v1.20 to v1.23, externalTrafficPolicy Local: the KUBE-XLB of a node without an endpoint."""
    rules = (
        f"-A {FW} {LB} -j {XLB}",
        f"-A {FW} {LB} -j KUBE-MARK-DROP",
        f"-A {XLB} -s 203.0.113.0/24 -m comment --comment Redirect -j {SVC}",
        f'-A {XLB} -m comment --comment "shop/web: has no local endpoints" -j KUBE-MARK-DROP',
    )
    assert walk(*rules)[1:4] == [
        "from any source: on to the endpoints",
        "shop/web has no endpoint on this node",
        "the mark 0x8000, which KUBE-FIREWALL drops in INPUT and OUTPUT",
    ]
    assert walk(*rules, source="203.0.113.7")[2] == "it comes from a Pod or from this machine: on to all endpoints"


@pytest.mark.parametrize(("source", "words"), [("198.51.100.7", "its source is let in"), ("192.0.2.9", "")])
def test_explain_source_ranges(source: str, words: str) -> None:
    """kube-proxy since v1.24: a KUBE-FW stands for source ranges alone, and ends with a rule without a target."""
    end = f'-A {FW} -m comment --comment "other traffic to shop/web will be dropped by KUBE-PROXY-FIREWALL"'
    said = walk(f"-A {FW} -s 198.51.100.0/24 {LB} -j {EXT}", end, f"-A {EXT} -j {SVC}", source=source)
    assert said[1] == (words or "its source is not let in; KUBE-PROXY-FIREWALL will drop it")
