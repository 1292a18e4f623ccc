"""Rules of the kinds that other programs and people write, one of each kind that was once read or traced wrongly."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from kanslib import iptables, nftables
from kanslib.iptables import Packet
from kanslib.nftables.syntax import Counter, Interval, Log, Lookup, Nat, Prefix, Verdict
from tests.iptables.rulesets import ROUTING
from tests.nftables.test_json_reader import of_json
from tests.nftables.test_trace import COMING, chain, forward, ruleset, traced

SYN = Packet("10.0.0.7", "10.0.1.20", "tcp", 10000, 53, "eth0", ttl=64, tcp_flags="SYN")
PING = Packet("10.0.0.7", "10.0.1.20", "icmp", in_interface="eth0", icmp_type="8", ttl=64)
SHORT = replace(COMING, length=28)
RAW = chain("raw", "notrack", base="type filter hook prerouting priority raw; policy accept;")


@pytest.mark.parametrize(
    ("rule", "packet"),
    [
        ("ct state 0x8", COMING), ("ct state 0x8,0x2", COMING), ("ct state { 0x1, 0x8 }", COMING),
        ("ct state != 0x2", COMING), ("ct state vmap { 0x8 : drop, 0x2 : accept }", COMING),
        ("ct status != 0x20", COMING), ("ct direction 0", COMING), ("tcp flags 0x2 / 0x1,0x2", SYN),
        ("tcp flags & (0x1 | 0x2) == 0x2", SYN), ("icmp type { 0, 8 }", PING), ("fib daddr type 1", COMING),
        ("fib daddr type != 2", COMING), ("ip protocol 17", COMING), ("meta l4proto { 6, 17 }", COMING),
        ("meta nfproto 2", COMING), ("meta protocol 0x0800", COMING), ("fib saddr . iif oif != 0", COMING),
        ("ct state invalid,new,0x10,0x80000000", COMING),
    ],
)  # fmt: skip
def test_numbers_of_nft_n_mean_what_their_names_mean(rule: str, packet: Packet) -> None:
    rule = rule if "vmap" in rule else f"{rule} drop"
    assert [way.verdict for way in traced(ruleset(forward(rule)), packet)] == ["DROP"]


@pytest.mark.parametrize("rule", ["fib daddr type 99", "ct state 0x10", "ct status 0x200", "iif 7", "oif 7"])
def test_number_that_is_not_known_is_asked_for(rule: str) -> None:
    assert not iptables.is_certain(traced(ruleset(forward(f"{rule} drop"))))


@pytest.mark.parametrize(
    "rule",
    ["ct status != dnat", "ct mark != 0x1", "ct mark 0x0", "ct direction original", "ct direction != reply",
     "ct original ip saddr != 10.9.9.9", "ct mark & 0x1 != 0x1", "ct mark { 0x0, 0x1 }"],
)  # fmt: skip
def test_rule_that_asks_a_connection_stops_where_there_is_none(rule: str) -> None:
    assert [way.verdict for way in traced(ruleset(forward(f"{rule} drop")))] == ["DROP"]
    assert [way.verdict for way in traced(ruleset(RAW, forward(f"{rule} drop")))] == ["ACCEPT"]


@pytest.mark.parametrize(
    ("rule", "packet", "verdict"),
    [
        ("tcp flags & (fin | syn) < fin", SYN, "ACCEPT"), ("tcp flags & (fin | ack) < fin", SYN, "DROP"),
        ("meta mark 0x0-0x5", COMING, "DROP"), ("meta mark 0x1-0x5", COMING, "ACCEPT"),
        ("meta length <= 28", SHORT, "DROP"), ("meta length > 28", SHORT, "ACCEPT"),
        ("meta mark < 0x5", COMING, "DROP"), ("meta mark { 0x0-0x2, 0x9 }", COMING, "DROP"),
    ],
)  # fmt: skip
def test_numbers_in_an_interval(rule: str, packet: Packet, verdict: str) -> None:
    assert [way.verdict for way in traced(ruleset(forward(f"{rule} drop")), packet)] == [verdict]


@pytest.mark.parametrize(
    "to",
    ["tcp dport map { 80 : 10.0.0.1 }:tcp dport map { 80 : 8080 }", ":ip6 daddr . tcp dport map @m",
     "10.0.0.1:tcp dport map { 80 : 8080 }"],
)  # fmt: skip
def test_port_behind_a_colon_is_an_expression(to: str) -> None:
    text = ruleset(chain("c", f"dnat to {to}"))
    (statement,) = nftables.parse(text).table("ip", "t").chains["c"].rules[0].statements
    assert isinstance(statement, Nat)
    assert isinstance(statement.port, Lookup)


@pytest.mark.parametrize("network", [Prefix("192.0.2.20", 30), Prefix("2001:db8::20", 126)])
def test_range_with_ports_is_printed_as_a_network(network: Prefix) -> None:
    text = ruleset(chain("c", f"snat to {network}:1024-65535"), family="inet")
    (statement,) = nftables.parse(text).table("inet", "t").chains["c"].rules[0].statements
    assert statement == Nat("snat", network, Interval(1024, 65535))


@pytest.mark.parametrize("match", ['iifname "lan" ', ""])
def test_comment_of_iptables_may_stand_before_the_end_of_a_rule(match: str) -> None:
    text = ruleset(chain("c", f'{match}comment "of lan" counter packets 0 bytes 0 jump d'), chain("d", "accept"))
    (rule,) = nftables.parse(text).table("ip", "t").chains["c"].rules
    assert (rule.comment, [type(one) for one in rule.statements[-2:]]) == ("of lan", [Counter, Verdict])


def test_source_of_several_is_said_to_be_one_of_them() -> None:
    rule = "snat to 10.0.1.77-10.0.1.79"
    (way,) = traced(ruleset(chain("c", rule, base="type nat hook postrouting priority srcnat; policy accept;")))
    assert way.steps[-1].describe() == "the source becomes one of 10.0.1.77 to 10.0.1.79"


def test_flags_of_a_log_are_one_option() -> None:
    text = ruleset(chain("c", 'log prefix "a { b } # \\" flags tcp sequence,options flags skuid flags ether'))
    (statement,) = nftables.parse(text).table("ip", "t").chains["c"].rules[0].statements
    assert statement == Log((("prefix", "a { b } # \\"), ("flags", "tcp sequence options skuid ether")))


@pytest.mark.parametrize(("family", "kind"), [("ip", "icmp"), ("ip6", "icmpv6"), ("inet", "icmpx")])
def test_refusal_of_json_is_the_plain_one_of_the_text(family: str, kind: str) -> None:
    place = {"family": family, "table": "t"}
    reject = {"reject": {"type": kind, "expr": "port-unreachable"}}
    entries = [{"table": {"family": family, "name": "t"}}, {"chain": {**place, "name": "c"}},
               {"rule": {**place, "chain": "c", "expr": [reject]}}]  # fmt: skip
    of_json = nftables.parse(json.dumps({"nftables": entries})).table(family, "t").chains["c"].rules[0]
    of_text = nftables.parse(ruleset(chain("c", "reject"), family=family)).table(family, "t").chains["c"].rules[0]
    assert of_json.statements == of_text.statements


def test_timeout_of_a_set_is_one_of_its_flags() -> None:
    text = ruleset(sets="\tset s {\n\t\ttype ipv4_addr\n\t\ttimeout 10m\n\t}\n", family="inet")
    entry = {"family": "inet", "table": "t", "name": "s", "type": "ipv4_addr", "flags": ["timeout"], "timeout": 600}
    found = nftables.parse(text).table("inet", "t").sets["s"], of_json({"set": entry}).table("inet", "t").sets["s"]
    assert found[0] == found[1]


def test_frame_that_another_interface_gets_is_the_same_in_both_forms() -> None:
    rule = {"rule": {"family": "inet", "table": "t", "chain": "c", "expr": [{"fwd": {"dev": "eth1"}}]}}
    of_text = nftables.parse(ruleset(chain("c", 'fwd to "eth1"'), family="inet")).table("inet", "t")
    assert of_json(rule).table("inet", "t").chains["c"].rules[0].statements == of_text.chains["c"].rules[0].statements


def test_dump_of_the_other_family_is_not_asked() -> None:
    base = "type filter hook forward priority filter; policy accept;"
    dump = "# Generated by ip{}tables-save v1.8.13\n*filter\n:FORWARD DROP [0:0]\nCOMMIT\n"
    rules = nftables.parse(ruleset(chain("c", "accept", base=base), family="inet"))
    for six, verdict in (("", "DROP"), ("6", "ACCEPT")):
        (way,) = rules.trace(COMING, ROUTING, beside=[iptables.parse(dump.format(six))])
        assert way.verdict == verdict
