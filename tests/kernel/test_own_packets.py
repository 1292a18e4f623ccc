"""The way and the source of packets that programs of the machine send, beside this kernel.

A socket that is bound to no address gets its source by the first route. DNAT and marks in OUTPUT change the way, and
the source stays: only NAT in POSTROUTING changes it (Linux net/ipv4/netfilter.c ip_route_me_harder).
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kanslib import iptables
from kanslib.iptables import Packet
from tests.iptables.rulesets import ROUTING

from .machine import Machine, machine

DUMP = "*{table}\n:OUTPUT ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n{rules}COMMIT\n"
RULES = {
    "none": ("filter", ""),
    "to eth1": ("nat", "-A OUTPUT -p {protocol} -j DNAT --to-destination 10.0.1.21:8080\n"),
    "to eth0": ("nat", "-A OUTPUT -j DNAT --to-destination 10.0.0.7\n"),
    "masqueraded": ("nat", "-A OUTPUT -j DNAT --to-destination 10.0.1.21\n-A POSTROUTING -j MASQUERADE\n"),
    "marked": ("mangle", "-A OUTPUT -j MARK --set-mark 0x5\n"),
}


@pytest.fixture(scope="module")
def sender() -> Iterator[Machine]:
    with machine(ROUTING) as made:
        yield made


@pytest.mark.kernel
@pytest.mark.parametrize("kind", ["connect", "sendto", "connected"])
@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize("flavour", ["nft", "legacy"])
def test_source_of_own_packet_equals_kernel(sender: Machine, flavour: str, rules: str, kind: str) -> None:
    protocol = "tcp" if kind == "connect" else "udp"
    table, text = RULES[rules]
    if table == "filter":
        dump = "*filter\n:OUTPUT ACCEPT [0:0]\nCOMMIT\n"
    else:
        dump = DUMP.format(table=table, rules=text.format(protocol=protocol))
    for empty in ("nat", "mangle"):
        sender.load(f"*{empty}\nCOMMIT\n", flavour)
    sender.load(dump, flavour)
    for source in (None, "10.0.0.1"):
        for dst in ("10.0.0.7", "10.0.1.20", "192.0.2.5", "10.0.1.1", "10.0.0.1"):
            ways = iptables.parse(dump).trace(Packet(source, dst, protocol, dport=53), ROUTING)
            wanted = {
                (way.packet.out_interface, way.packet.src, way.packet.dst, way.packet.dport): 1
                for way in ways
                if way.hook == "POSTROUTING"
            }
            assert sender.send_from_socket(kind, source, dst, 53) == wanted, (source, dst)


@pytest.mark.kernel
def test_source_of_own_packet_is_that_of_the_route(sender: Machine) -> None:
    sender.load("*nat\nCOMMIT\n", "nft")
    sender.ip("addr add 10.0.1.5/32 dev eth1", "route add 198.51.100.0/24 via 10.0.1.9 src 10.0.1.5")
    (seen,) = sender.send_from_socket("sendto", None, "198.51.100.7", 53)
    assert seen[1] == "10.0.1.5"
    routing = iptables.Routing.read(
        '[{"ifname":"eth1","addr_info":[{"local":"10.0.1.1","prefixlen":24,"scope":"global"}]}]',
        '[{"dst":"198.51.100.0/24","gateway":"10.0.1.9","dev":"eth1","prefsrc":"10.0.1.5"}]',
    )
    dump = "*nat\n:OUTPUT ACCEPT [0:0]\nCOMMIT\n"
    (way,) = iptables.parse(dump).trace(Packet(None, "198.51.100.7", "udp", dport=53), routing)
    assert (way.packet.src, way.notes[0][:35]) == ("10.0.1.5", "its source is taken from its first ")
