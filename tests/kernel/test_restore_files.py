"""Files for iptables-restore: what it takes and what its rules mean, as its own iptables-save prints them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import pytest

from kanslib import iptables
from kanslib.iptables import DumpError, Packet, Ruleset
from tests.iptables.rulesets import ROUTING

from .machine import Machine, machine

PACKETS = [
    Packet(src, dst, protocol, 10000, dport, "eth0", tcp_flags="SYN", icmp_type="8", ttl=64, length=60)
    for src, dst, protocol, dport in product(
        ("10.0.0.7", "10.0.0.8"), ("10.0.1.20", "10.0.0.1", "192.0.2.50"), ("tcp", "udp", "icmp", "4"), (53, 80, 8080)
    )
]
FLAVOURS = ("nft", "legacy")  # iptables-nft-restore 1.8.9 itself crashes at -R
EMPTY = (
    "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\nCOMMIT\n*nat\nCOMMIT\n*mangle\nCOMMIT\n"
)


@pytest.fixture(scope="module")
def made() -> Iterator[Machine]:
    with machine(ROUTING) as made:
        yield made


def meaning(ruleset: Ruleset) -> list[object]:
    """What the rules do with each packet."""
    return [
        [(way.verdict, way.probability, way.packet, way.hook) for way in ruleset.trace(packet, ROUTING)]
        for packet in PACKETS
    ]


TAKEN = {
    "target first": "*filter\n-A FORWARD -j DROP -p udp -m udp --dport 53\nCOMMIT\n",
    "target first, match implied by the protocol": "*filter\n-A FORWARD -j DROP -p udp --dport 53\nCOMMIT\n",
    "target between": "*filter\n-A FORWARD -p tcp -j DROP -m tcp --dport 80 -s 10.0.0.7\nCOMMIT\n",
    "target's options at the end": "*filter\n"
    "-A FORWARD -j REJECT -p udp --reject-with icmp-port-unreachable --dport 53\nCOMMIT\n",
    "a long option with =": "*filter\n-A FORWARD -p tcp --dport=80 -j DROP\nCOMMIT\n",
    "beginnings of names": "*filter\n-A FORWARD --prot tcp --destination-p 80 --jum DROP\nCOMMIT\n",
    "built-in chain not declared": "*filter\n:one - [0:0]\n-A FORWARD -j one\n-A one -s 10.0.0.7 -j DROP\nCOMMIT\n",
    "-N and -I": "*nat\n-N MY-PRE\n-I PREROUTING 1 -j MY-PRE\n-A MY-PRE -d 192.0.2.50 -p tcp --dport http -j DNAT "
    "--to 10.0.1.21:8080\nCOMMIT\n",
    "-I at a place": "*filter\n-A FORWARD -s 10.0.0.7 -j ACCEPT\n-A FORWARD -j DROP\n-I FORWARD 2 -p udp -j ACCEPT\n"
    "-I FORWARD -p icmp -j DROP\nCOMMIT\n",
    "-R": "*filter\n-A FORWARD -p udp -j DROP\n-A FORWARD -p tcp -j DROP\n-R FORWARD 1 -p icmp -j DROP\nCOMMIT\n",
    "-D by text": "*filter\n-A FORWARD -p udp -j DROP\n-A FORWARD -p tcp -j DROP\n-D FORWARD -p udp -j DROP\nCOMMIT\n",
    "-D by number": "*filter\n-A FORWARD -p udp -j DROP\n-A FORWARD -p tcp -j DROP\n-D FORWARD 2\nCOMMIT\n",
    "-F of a chain": "*filter\n-A FORWARD -j DROP\n-F FORWARD\n-A FORWARD -p tcp -j DROP\nCOMMIT\n",
    "-P": "*filter\n-P FORWARD DROP\n-A FORWARD -p tcp -j ACCEPT\nCOMMIT\n",
    "-N and -X": "*filter\n-N one\n-X one\n-A FORWARD -p tcp -j DROP\nCOMMIT\n",
    "counters in a rule": "*filter\n[3:4] -A FORWARD -p tcp -j DROP\n-A FORWARD -c 5 6 -p udp -j DROP\nCOMMIT\n",
    "names of protocols": "*filter\n-A FORWARD -p UDP -j DROP\n-A FORWARD -p ipencap -j DROP\nCOMMIT\n",
    "names of ports": "*filter\n-A FORWARD -p udp --dport domain -j DROP\n-A FORWARD -p tcp --dport http:www -j DROP\n"
    "COMMIT\n",
    "goto before the match": "*filter\n:one - [0:0]\n-A FORWARD -g one -p tcp\n-A FORWARD -j DROP\nCOMMIT\n",
    "! behind the target": "*filter\n-A FORWARD -p tcp --syn -j DROP ! -d 10.0.1.20\nCOMMIT\n",
    "a match twice": "*filter\n-A FORWARD -p tcp -m tcp --dport 80 -m tcp --sport 10000 -j DROP\nCOMMIT\n",
    "an extension's option of the same name": "*mangle\n"
    "-A PREROUTING -m mark --mark 0x0 -j MARK --set-mark 0x5\nCOMMIT\n",
    "a mask in full": "*filter\n-A FORWARD -s 10.0.0.8/255.255.255.254 -j DROP\nCOMMIT\n",
}
REFUSED = {
    "no such chain": "*filter\n-A NOWHERE -j DROP\nCOMMIT\n",
    "built-in chain of another table": "*nat\n-A FORWARD -j ACCEPT\nCOMMIT\n",
    "two targets": "*filter\n-A FORWARD -j DROP -j ACCEPT\nCOMMIT\n",
    "two protocols": "*filter\n-A FORWARD -p tcp -p udp -j DROP\nCOMMIT\n",
    "no such protocol": "*filter\n-A FORWARD -p warp -j DROP\nCOMMIT\n",
    "no such port": "*filter\n-A FORWARD -p tcp --dport nowhere -j DROP\nCOMMIT\n",
    "chain with rules removed": "*filter\n-N one\n-A one -j DROP\n-X one\nCOMMIT\n",
    "chain made twice": "*filter\n-N one\n-N one\nCOMMIT\n",
    "place behind the end": "*filter\n-I FORWARD 5 -j DROP\nCOMMIT\n",
    "! without an option": "*filter\n! -A FORWARD -j DROP\nCOMMIT\n",
    "no COMMIT": "*filter\n-A FORWARD -j DROP\n",
}


@pytest.mark.kernel
@pytest.mark.parametrize(("name", "flavour"), [both for both in product(TAKEN, FLAVOURS) if both != ("-R", "nft")])
def test_parse_equals_iptables_restore(made: Machine, name: str, flavour: str) -> None:
    made.load(EMPTY, flavour)
    made.load(TAKEN[name], flavour)
    saved = iptables.parse(made.save(flavour))
    assert meaning(iptables.parse(TAKEN[name])) == meaning(saved)


@pytest.mark.kernel
@pytest.mark.parametrize(("name", "flavour"), list(product(REFUSED, FLAVOURS)))
def test_parse_refuses_what_iptables_restore_refuses(made: Machine, name: str, flavour: str) -> None:
    with pytest.raises(RuntimeError, match="restore"):
        made.load(REFUSED[name], flavour)
    with pytest.raises(DumpError):
        iptables.parse(REFUSED[name])
