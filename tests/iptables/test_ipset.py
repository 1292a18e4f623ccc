"""What sets hold: as Linux 6.18 answered for 10,944 random sets and packets (ipset 7.17), by the kinds found there."""

from __future__ import annotations

import pytest

from kanslib import iptables
from kanslib.exceptions import DumpError
from kanslib.iptables import Packet, ipset

SETS = """create hosts hash:ip family inet hashsize 1024 maxelem 65536 bucketsize 12 initval 0x0bbd157a
add hosts 198.51.100.7
create nets hash:net family inet hashsize 1024 maxelem 65536 counters comment
add nets 198.51.100.0/24 packets 0 bytes 0 comment "no nomatch here"
add nets 198.51.100.7 nomatch
create ports bitmap:port range 0-65535
add ports 443
add ports 8000-8099
create pairs hash:ip,port family inet hashsize 1024 maxelem 65536
add pairs 192.0.2.50,tcp:443
add pairs 192.0.2.50,udp:53
add pairs 192.0.2.50,icmp:echo-request
add pairs 192.0.2.51,https
create triples hash:ip,port,net family inet hashsize 1024 maxelem 65536
add triples 198.51.100.7,tcp:443,192.0.2.0/24
create cards hash:net,iface family inet hashsize 1024 maxelem 65536
add cards 198.51.100.0/24,eth0
add cards 198.51.100.7,eth1
create marks hash:ip,mark family inet markmask 0xffffffff hashsize 1024 maxelem 65536
add marks 198.51.100.7,0x00000200
create macs hash:mac hashsize 1024 maxelem 65536
add macs 02:00:00:00:00:0A
create cut hash:ip family inet netmask 24 hashsize 1024 maxelem 65536
add cut 198.51.100.0
create empty hash:ip family inet6 hashsize 1024 maxelem 65536
create both list:set size 8
add both hosts
add both empty
create six hash:net family inet6 hashsize 1024 maxelem 65536
add six 2001:db8::/64
create bridge hash:net,iface family inet hashsize 1024 maxelem 65536
add bridge 198.51.100.0/24,physdev:eth0
"""
TCP = Packet("198.51.100.7", "192.0.2.50", "tcp", 40000, 443, "eth0", mark=0x200, source_mac="02:00:00:00:00:0a")
OTHER = Packet("198.51.100.8", "192.0.2.51", "tcp", 40000, 443, "eth0", source_mac="02:00:00:00:00:0b")
PING = Packet("198.51.100.7", "192.0.2.50", "icmp", in_interface="eth0", icmp_type="8")
SIX = Packet("2001:db8::7", "2001:db8:1::50", in_interface="eth0")


def answers(match: str, packet: Packet, sets: str = SETS) -> set[str]:
    """The verdicts where a rule drops what a set holds."""
    rule = f"*filter\n:FORWARD ACCEPT [0:0]\n-A FORWARD -m set --match-set {match} -j DROP\nCOMMIT\n"
    return {way.verdict for way in iptables.parse(rule).trace(packet, sets=ipset.parse(sets))}


@pytest.mark.parametrize(
    ("match", "packet", "held"),
    [
        ("hosts src", TCP, True),
        ("hosts src", OTHER, False),
        ("nets src", TCP, False),  # nomatch: the longer prefix goes first
        ("nets src", OTHER, True),
        ("ports dst", TCP, True),
        ("ports src", TCP, False),
        ("pairs dst,dst", TCP, True),
        ("pairs dst,dst", OTHER, True),  # a port without a protocol is TCP's
        ("pairs dst,dst", PING, True),
        ("pairs src,dst", TCP, False),
        ("triples src,dst,dst", TCP, True),
        ("triples src,dst,dst", OTHER, False),
        ("cards src,src", OTHER, True),
        ("cards src,src", TCP, False),  # the longest prefix decides, whatever its interface
        ("marks src,src", TCP, True),
        ("macs src", TCP, True),
        ("macs src", OTHER, False),
        ("cut src", OTHER, True),
        ("empty src", TCP, False),
        ("both src", TCP, True),
        ("both src", OTHER, False),
        ("six src", SIX, True),
        ("six dst", SIX, False),
    ],
)
def test_set_holds_packet(match: str, packet: Packet, held: bool) -> None:
    assert answers(match, packet) == ({"DROP"} if held else {"ACCEPT"})


@pytest.mark.parametrize(
    ("match", "packet"),
    [
        ("unknown src", TCP),
        ("ports dst", Packet("198.51.100.7", "192.0.2.50", in_interface="eth0")),  # a port that is not known
        ("macs src", PING),
        ("bridge src,src", TCP),
    ],
)
def test_set_not_decidable_is_asked(match: str, packet: Packet) -> None:
    assert answers(match, packet) == {"DROP", "ACCEPT"}


def test_set_asked_about_new_destination() -> None:
    """DNAT changes what `dst` is: the set holds the external address, and FORWARD sees the endpoint's."""
    rules = (
        "*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -d 192.0.2.50/32 -j DNAT --to-destination 203.0.113.8\nCOMMIT\n"
        "*filter\n:FORWARD DROP [0:0]\n-A FORWARD -m set --match-set public dst -j ACCEPT\nCOMMIT\n"
    )
    for held, verdict in (("192.0.2.50", "DROP"), ("203.0.113.8", "ACCEPT")):
        sets = ipset.parse(f"create public hash:ip\nadd public {held}\n")
        assert [way.verdict for way in iptables.parse(rules).trace(TCP, sets=sets)] == [verdict]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("hello\n", "line 1.*what `ipset save` prints"),
        ("create a hash:net\nadd b 192.0.2.1\n", "line 2, column 5.*`create b TYPE`"),
        ("create a hash:nets\n", "line 1, column 10.*a type of ipset"),
        ("create a hash:net\nadd a 192.0.2.300\n", "line 2, column 7.*an entry of net"),
        ("create a hash:ip,port\nadd a 192.0.2.3,warp:5\n", "line 2, column 7.*an entry of ip,port"),
        ("create a hash:ip\nadd a 192.0.2.3,5\n", "line 2, column 7.*an entry of ip"),
    ],
)
def test_parse_wrong_line_refused(text: str, words: str) -> None:
    with pytest.raises(DumpError, match=words):
        ipset.parse(text)
