"""Chains at interfaces: the first that a packet meets (ingress), and the last (egress)."""

from __future__ import annotations

import pytest

from kanslib import iptables, nftables
from kanslib.iptables import Packet
from tests.iptables.rulesets import ROUTING

COMING = Packet("10.0.0.7", "10.0.1.20", "udp", 10000, 53, "eth0", ttl=64)
OWN = Packet("10.0.0.1", "10.0.1.20", "udp", 10000, 53, ttl=64)


def netdev(hook: str, rule: str, device: str = 'device "eth0" ', family: str = "netdev") -> str:
    base = f"type filter hook {hook} {device}priority filter; policy accept;"
    return f"table {family} d {{\n\tchain c {{\n\t\t{base}\n\t\t{rule}\n\t}}\n}}\n"


@pytest.mark.parametrize(
    ("text", "packet", "verdict"),
    [
        (netdev("ingress", "udp dport 53 drop"), COMING, "DROP"),
        (netdev("ingress", "udp dport 54 drop"), COMING, "ACCEPT"),
        (netdev("ingress", "udp dport 53 drop", family="inet"), COMING, "DROP"),
        (netdev("ingress", "drop", 'device "eth1" '), COMING, "ACCEPT"),
        (netdev("ingress", "drop", 'devices = { "eth1", "eth0" } '), COMING, "DROP"),
        (netdev("ingress", "drop"), OWN, "ACCEPT"),
        (netdev("egress", "drop", 'device "eth1" '), COMING, "DROP"),
        (netdev("egress", "drop", 'device "eth1" '), OWN, "DROP"),
        (netdev("egress", "drop"), OWN, "ACCEPT"),
        (netdev("ingress", 'fwd to "eth1"'), COMING, "FWD"),
        (netdev("ingress", 'dup to "eth1"'), COMING, "ACCEPT"),
        (netdev("ingress", "ct mark != 0x1 drop"), COMING, "ACCEPT"),  # conntrack comes later
    ],
)
def test_chain_at_an_interface(text: str, packet: Packet, verdict: str) -> None:
    (way,) = nftables.parse(text).trace(packet, ROUTING)
    assert way.verdict == verdict
    assert way.hook in ("POSTROUTING", "INGRESS", "EGRESS")


def test_mark_of_ingress_is_seen_behind_it() -> None:
    forward = (
        "table ip t {\n\tchain f {\n\t\ttype filter hook forward priority 0; policy accept;\n\t\tmark 7 drop\n\t}\n}\n"
    )
    (way,) = nftables.parse(netdev("ingress", "meta mark set 0x7") + forward).trace(COMING, ROUTING)
    assert [step.hook for step in way.steps] == ["INGRESS", "FORWARD"]


@pytest.mark.parametrize(("rule", "policy", "number"), [("drop", "accept", 1), ("", "drop", 1), ("", "accept", 0)])
def test_table_of_a_bridge_is_named(rule: str, policy: str, number: int) -> None:
    base = f"type filter hook prerouting priority filter; policy {policy};"
    text = f"table bridge b {{\n\tchain c {{\n\t\t{base}\n\t\t{rule}\n\t}}\n}}\n"
    (way,) = nftables.parse(text).trace(COMING, ROUTING)
    assert way.notes == ("table bridge b decides on frames in a bridge; it is not followed",) * number


def test_chain_whose_interface_is_not_named_is_asked_for() -> None:
    ways = nftables.parse(netdev("ingress", "drop", "")).trace(COMING, ROUTING)
    assert not iptables.is_certain(ways)
    assert "chain netdev d c is attached to eth0" in {str(one) for way in ways for one in way.assumes}
