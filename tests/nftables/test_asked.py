"""What the packet does not say: a question about the value of a field, or none where the packet cannot have it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kanslib.iptables import Packet
from tests.nftables.test_trace import COMING, forward, ruleset, traced

SYN = replace(COMING, protocol="tcp", tcp_flags="SYN", length=60)


def told(*rules: str, packet: Packet = SYN, sets: str = "") -> list[tuple[str, list[str]]]:
    """Return each way's verdict, and what it assumes."""
    ways = traced(ruleset(forward(*rules), family="inet", sets=sets), packet)
    return [(way.verdict, [str(one) for one in way.assumes]) for way in ways]


@pytest.mark.parametrize(
    ("rules", "ways"),
    [
        (("tcp window < 100 drop", "tcp window > 200 drop"), ["0-99", "not 0-200", "100-200"]),
        (("meta cpu 1 drop", "meta cpu 2 drop"), ["1", "2", "not 1-2"]),
        (("rt nexthop 10.0.0.1 drop", "rt nexthop != 10.0.0.1 drop"), ["10.0.0.1", "any but 10.0.0.1", "absent"]),
        (('iifkind "veth" drop', 'iifkind "bridge" drop'), ["veth", "bridge", "none of bridge, veth"]),
        (("tcp option maxseg size 1-536 drop",), ["1-536", "not 1-536"]),
        (("ip option lsrr exists drop",), ["present", "absent"]),
        (("ip frag-off & 8191 != 0 drop", "ip frag-off & 8191 == 0 accept", "drop"), ["not 0", "0"]),
        (("meta cpu & 3 == 0 drop", "meta cpu & 3 < 2 drop"), ["0", "1", "2-3"]),
        (("meta cpu & 1 == 0 drop", "meta cpu & 1 == 1 accept", "drop"), ["0", "1"]),
        (("ip dscp & 32 == 32 drop", "ip dscp & 32 == 0 accept", "drop"), ["32", "0"]),
        (("@nh,8,8 & 240 == 64 drop", "@nh,8,8 & 240 != 64 accept", "drop"), ["64", "not 64"]),
        (("ip dscp & 0xc > 4 drop",), ["8 or 12", "0 or 4"]),
        (("ct avgpkt 0 drop", "ct avgpkt != 0 drop"), ["0", "1 or more", "absent"]),
        (("ct avgpkt & 3 == 0 drop", "ct avgpkt & 3 != 0 drop"), ["0", "1-3", "absent"]),
        (("ip id { 5, 7 } drop",), ["5 or 7", "none of 5, 7"]),
    ],
)
def test_question_is_about_the_value(rules: tuple[str, ...], ways: list[str]) -> None:
    assumed = [one.partition(" is ")[2] for _, (one,) in told(*rules)]
    assert assumed == ways


@pytest.mark.parametrize(
    "rule",
    [
        "tcp window != 100", "tcp option sack-perm exists", "tcp option maxseg size != 100", "ip6 flowlabel != 5",
        "icmp id 5", "esp spi != 5", "igmp type != 17", "frag id 5", "tcp window & 7 != 3", "ip6 dscp != 5",
        "tcp dport vmap { 80 : accept, * : drop }",
    ],
)  # fmt: skip
def test_packet_without_the_header_asks_nothing(rule: str) -> None:
    end = "" if "vmap" in rule else " drop"
    assert told(f"{rule}{end}", packet=COMING) == [("ACCEPT", [])]


@pytest.mark.parametrize(
    ("rules", "verdict"),
    [
        (('ct helper "ftp" drop',), "ACCEPT"),
        (('ct helper != "ftp" drop',), "ACCEPT"),
        (("ct packets > 1 drop",), "ACCEPT"),
        (("ct packets < 2 drop",), "DROP"),
        (("ct reply bytes 0 drop",), "DROP"),
        (("ip ecn set ect0", "ip ecn ect0 drop"), "DROP"),
        (("ip ecn set ect0", "ip ecn ce drop"), "ACCEPT"),
        (('ct label set "web"', 'ct label "web" drop'), "DROP"),
        (("tcp option sack-perm missing drop",), "DROP"),
        (("meta priority set 7", "meta priority 7 drop"), "DROP"),
    ],
)
def test_what_is_known_of_a_new_connection_or_set_by_a_rule(rules: tuple[str, ...], verdict: str) -> None:
    packet = COMING if "missing" in rules[0] else SYN
    assert told(*rules, packet=packet) == [(verdict, [])]


def test_helper_that_a_rule_has_given_is_asked_about() -> None:
    helper = '\tct helper h {\n\t\ttype "ftp" protocol tcp\n\t\tl3proto inet\n\t}\n'
    ways = told('ct helper set "h"', 'ct helper "ftp" drop', sets=helper)
    assert [verdict for verdict, _ in ways] == ["DROP", "ACCEPT"]


def test_established_connection_may_have_a_helper() -> None:
    ways = told('ct helper "ftp" drop', 'ct helper "sip" drop', packet=replace(SYN, ctstate="ESTABLISHED"))
    assert [assumed for _, assumed in ways] == [
        ["ct helper is ftp"],
        ["ct helper is sip"],
        ["ct helper is none of ftp, sip"],
    ]
