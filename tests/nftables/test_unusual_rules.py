"""Rules of unusual forms, one of each kind that was once read or traced wrongly."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from kanslib import nftables
from kanslib.iptables import Packet
from kanslib.nftables.syntax import (
    BaseChain,
    Binary,
    HeaderOption,
    Lookup,
    Match,
    Nat,
    SetLiteral,
    SetReference,
    SetUpdate,
    Value,
)
from tests.iptables.rulesets import ROUTING
from tests.nftables.test_json_reader import of_json
from tests.nftables.test_trace import COMING, chain, forward, nat, ruleset, traced

SYN = Packet("10.0.0.7", "10.0.1.20", "tcp", 10000, 80, "eth0", ttl=64, tcp_flags="SYN")


def statements(rule: str) -> tuple[object, ...]:
    return nftables.parse(ruleset(chain("c", rule))).table("ip", "t").chains["c"].rules[0].statements


def test_comma_ends_an_element_of_several_flags() -> None:
    (match,) = statements("tcp flags { syn | ack, fin | psh | ack, syn }")
    assert isinstance(match, Match)
    assert isinstance(match.right, SetLiteral)
    ack = Value("ack")
    keys = [element.key for element in match.right.elements]
    assert keys == [
        Binary("|", Value("syn"), ack),
        Binary("|", Binary("|", Value("fin"), Value("psh")), ack),
        Value("syn"),
    ]


@pytest.mark.parametrize(("flags", "verdict"), [("SYN", "DROP"), ("SYN,ACK", "DROP"), ("ACK", "ACCEPT")])
def test_set_of_several_flags(flags: str, verdict: str) -> None:
    rules = ruleset(forward("tcp flags { syn | ack, syn } drop"))
    assert [way.verdict for way in traced(rules, replace(SYN, tcp_flags=flags))] == [verdict]


def test_port_behind_the_name_of_a_map() -> None:
    (found,) = statements("dnat ip to ip daddr map @backends:8080")
    assert isinstance(found, Nat)
    assert isinstance(found.address, Lookup)
    assert (found.address.map, found.port) == (SetReference("backends"), Value(8080))


@pytest.mark.parametrize("to", ["10.0.1.21", "[2001:db8::1]"])
def test_port_of_a_translation_with_the_name_of_a_service(to: str) -> None:
    (found,) = statements(f'dnat to {to}:"http"')
    assert isinstance(found, Nat)
    assert (found.address, found.port) == (Value(to.strip("[]")), Value("http"))


@pytest.mark.parametrize("rule", ['udp dport set "http"', 'redirect to :"http"', 'dnat to 10.0.1.21:"http"'])
def test_name_of_a_service_is_its_number(rule: str) -> None:
    place = nat if "to" in rule else forward
    assert [way.packet.dport for way in traced(ruleset(place(rule)))] == [80]


@pytest.mark.parametrize("devices", ["{ eth0, eth1 }", '{ "eth0", "eth1" }'])
def test_chain_at_several_interfaces(devices: str) -> None:
    base = f"type filter hook ingress devices = {devices} priority filter; policy accept;"
    found = nftables.parse(ruleset(chain("c", base=base), family="netdev")).table("netdev", "t").chains["c"].base
    assert found == BaseChain("filter", "ingress", 0, "accept", ("eth0", "eth1"))


@pytest.mark.parametrize("said", ["# progname firewalld", "# handle 7 progname firewalld"])
def test_table_that_a_program_owns(said: str) -> None:
    text = ruleset(forward("drop"), family="inet").replace("{", f"{{ {said}\n\tflags owner,persist", 1)
    (way,) = traced(text)
    assert way.verdict == "DROP"
    assert nftables.parse(text).table("inet", "t").flags == {"owner", "persist"}


def test_header_of_ipv6_with_the_name_of_a_route() -> None:
    (match, *_) = statements("rt type 0 drop")
    assert match == Match(HeaderOption("rt", "rt", "type"), "==", Value(0))


def test_text_in_json_is_read_as_a_rule() -> None:
    rule = {"family": "inet", "table": "t", "chain": "c", "expr": ["add @m { ip saddr : 0x00000005 }"]}
    (found,) = of_json({"rule": rule}).table("inet", "t").chains["c"].rules[0].statements
    assert found == statements("add @m { ip saddr : 0x00000005 }")[0]
    assert isinstance(found, SetUpdate)


def test_empty_set_that_a_rule_fills_is_not_left_out() -> None:
    sets = "\tset s {\n\t\ttype ipv4_addr\n\t}\n"
    rules = forward("ip saddr @s drop", "add @s { ip saddr }")
    assert [way.verdict for way in nftables.parse(ruleset(rules, sets=sets)).trace(COMING, ROUTING)] == ["ACCEPT"]


FILLED = "\tmap m {\n\t\ttype ipv4_addr : mark\n\t\tsize 99\n\t\tflags dynamic\n\t}\n"


@pytest.mark.parametrize(
    ("rules", "marks"),
    [
        (["add @m { ip saddr : 0x1 }"], {1}), (["add @m { ip saddr : 0x1 }", "update @m { ip saddr : 0x2 }"], {1}),
        (["add @m { ip saddr : 0x1 }", "delete @m { ip saddr : 0x1 }"], {0}), (["add @m { ip daddr : 0x1 }"], {0}),
        (["meta mark set 0x6", "add @m { ip saddr : meta mark }"], {6}),
    ],
)  # fmt: skip
def test_map_that_rules_fill(rules: list[str], marks: set[int]) -> None:
    found = ruleset(forward(*rules, "meta mark set ip saddr map @m"), sets=FILLED)
    assert {way.packet.mark for way in nftables.parse(found).trace(replace(COMING, mark=0), ROUTING)} == marks


def test_map_with_a_value_that_the_packet_has_no_longer_is_asked() -> None:
    rules = ["ip ttl set 3", "add @m { ip saddr : ip ttl }", "ip ttl set 4", "meta mark set ip saddr map @m"]
    found = nftables.parse(ruleset(forward(*rules), sets=FILLED)).trace(COMING, ROUTING)
    assert {way.verdict for way in found} == {"ACCEPT", "ip saddr map @m"}


ECHO = Packet("10.0.0.7", "10.0.1.20", "icmp", in_interface="eth0", icmp_type="8/0", ttl=64, dscp=10)
FULL = replace(COMING, dscp=10, length=28, mark=0x1234)


@pytest.mark.parametrize(
    ("rule", "matches"),
    [
        ("meta mark > 0x100", True), ("meta mark >= 0x2000", False), ("meta mark 0x1000-0xffff", True),
        ("meta mark != 0x1000-0xffff", False), ("meta mark & 0xff00 > 0x1100", True), ("ct mark < 5", True),
        ("meta mark >> 8 == 0x12", True), ("meta mark << 4 & 0xff == 0x40", True),
        ("meta mark ^ 0xffff == 0xedcb", True), ("ip dscp 8-16", True), ("ip dscp >= cs1", True),
        ("ip dscp != 8-16", False), ("ip dscp & 0x2 == 0x2", True), ("ip dscp { cs0, 0x08-0x0c }", True),
        ("(@nh,8,8 & 0xfc) >> 2 == 10", None),
        ("ip version 4", True), ("ip version != 4", False), ("udp dport & 1 == 1", True),
        ("th dport & 0xff == 53", True), ("ip ttl & 1 == 1", True), ("ip saddr & 0.0.0.7 < 10.0.0.8", True),
        ("@nh,16,16 28", True), ("@nh,128,8 0xa", True), ("@nh,120,8 7", True), ("@th,16,16 & 0xff == 53", True),
        ("@nh,0,4 4", True),
        ("ip hdrlength 5", None), ("ip id 1", None), ("udp length 8", None), ("@ll,0,48 1", None),
        ("@th,0,32 1", False), ("@th,0,32 != 1", True), ("@nh,96,64 0x0a0000070a000114", True),
        ("@nh,64,128 0x20010db8000000000000000000000007", False),
    ],
)  # fmt: skip
def test_number_that_is_computed_from_the_packet(rule: str, matches: bool | None) -> None:
    found = {way.verdict for way in traced(ruleset(forward(f"{rule} drop")), FULL)}
    assert found == {True: {"DROP"}, False: {"ACCEPT"}, None: {"ACCEPT", "DROP"}}[matches]


@pytest.mark.parametrize(
    ("protocol", "field", "ends", "packet"),
    [("ip", "dscp", ["cs1", "cs2"], FULL), ("icmp", "type", ["echo-reply", "address-mask-reply"], ECHO),
     ("icmp", "code", ["net-unreachable", "port-unreachable"], ECHO)],
)  # fmt: skip
def test_interval_of_names_in_json(protocol: str, field: str, ends: list[str], packet: Packet) -> None:
    left, right = {"payload": {"protocol": protocol, "field": field}}, {"range": ends}
    match = {"match": {"op": "==", "left": left, "right": right}}
    place = {"family": "inet", "table": "t"}
    base = {**place, "name": "c", "type": "filter", "hook": "forward", "prio": 0, "policy": "accept"}
    rules = of_json({"chain": base}, {"rule": {**place, "chain": "c", "expr": [match, {"drop": None}]}})
    assert [way.verdict for way in rules.trace(packet, ROUTING)] == ["DROP"]


@pytest.mark.parametrize("rule", ["meta mark > 0x100", "udp dport & 1 == 1", "@th,16,16 & 1 == 1", "ip dscp >= cs1"])
def test_number_that_cannot_be_computed_is_asked_for(rule: str) -> None:
    packet = replace(COMING, mark=None, dport=None)
    assert {way.verdict for way in traced(ruleset(forward(f"{rule} drop")), packet)} == {"ACCEPT", "DROP"}


@pytest.mark.parametrize(
    ("rule", "matches"),
    [
        ("icmp code net-unreachable", True), ("icmp code != 0", False), ("icmp code < host-unreachable", True),
        ("icmp type destination-unreachable icmp code frag-needed", False), ("icmp type 0-18", True),
        ("icmp type < router-advertisement", True), ("icmp type echo-reply-address-mask-reply", None),
        ("icmp type . icmp code { echo-request . net-unreachable }", True),
        ("th sport 2048", True), ("th sport != 53", True), ("th dport 53", None), ("th dport != 53", None),
        ("meta l4proto . th dport { udp . 53 }", False), ("meta l4proto . th dport != { udp . 53 }", True),
    ],
)  # fmt: skip
def test_fields_of_icmp(rule: str, matches: bool | None) -> None:
    found = {way.verdict for way in traced(ruleset(forward(f"{rule} drop")), ECHO)}
    assert found == {True: {"DROP"}, False: {"ACCEPT"}, None: {"ACCEPT", "DROP"}}[matches]


@pytest.mark.parametrize(
    "rule",
    ["tcp option maxseg size 1-536", "tcp option sack-perm exists", "tcp sequence 1", "esp spi 5", "ah spi 5",
     "comp cpi 5", "igmp type 1", "sctp chunk data exists", "dccp type request", "exthdr frag exists",
     "exthdr hbh missing", "frag more-fragments 1", "rt type 0", "ip6 flowlabel 0", "icmp id 77",
     "icmpv6 code no-route", "jhash ip6 saddr mod 2 0", "jhash ip6 saddr mod 1 vmap { 0 : drop }",
     "ct original ip6 saddr ::1"],
)  # fmt: skip
def test_what_the_packet_does_not_have_is_not_asked_for(rule: str) -> None:
    rule = rule if "vmap" in rule else f"{rule} drop"
    (way,) = traced(ruleset(forward(rule), family="inet"), FULL)
    assert (way.verdict, way.assumes) == ("ACCEPT", ())


@pytest.mark.parametrize("word", ["missing", "0"])
def test_packet_without_tcp_has_no_option_of_tcp(word: str) -> None:
    rules = ruleset(forward(f"tcp option timestamp {word} drop"))
    assert [way.verdict for way in traced(rules, FULL)] == ["DROP"]
    assert {way.verdict for way in traced(rules, SYN)} == {"ACCEPT", "DROP"}


@pytest.mark.parametrize(
    ("rule", "verdict"),
    [("ip saddr { 10.0.0.9, * }", "DROP"), ("ip saddr != { 10.0.0.9, * }", "ACCEPT"), ("udp dport { 5, * }", "DROP"),
     ("tcp dport { 5, * }", "ACCEPT"), ("ip saddr . udp dport { 10.0.0.9 . 53, * }", "DROP"),
     ("meta mark set tcp dport map { 5 : 0x1, * : 0x2 }", "ACCEPT"), ("meta mark set udp dport map { * : 2 }", "DROP")],
)  # fmt: skip
def test_element_for_all_that_is_left(rule: str, verdict: str) -> None:
    assert [way.verdict for way in traced(ruleset(forward(f"{rule} drop")))] == [verdict]


LATER = replace(COMING, ctstate="ESTABLISHED")
DNAT = nat("dnat ip to 10.0.1.21")


@pytest.mark.parametrize(
    ("rule", "packet", "verdict"),
    [
        ("ct state != established,related", COMING, "DROP"), ("ct state != established,related", LATER, "DROP"),
        ("ct state != established | related", LATER, "DROP"), ("ct state ! established,related", LATER, "ACCEPT"),
        ("ct state established | related", LATER, "DROP"), ("ct state { established, related }", LATER, "DROP"),
        ("ct status assured", COMING, "ACCEPT"), ("ct status seen-reply,assured", COMING, "ACCEPT"),
        ("ct status ! assured", COMING, "DROP"), ("ct status dnat", COMING, "DROP"),
        ("ct status != dnat", COMING, "DROP"),
        ("ct status { dnat, snat }", COMING, "ACCEPT"), ("ct status snat,assured", COMING, "ACCEPT"),
        ("ct protocol udp", COMING, "DROP"), ("ct original protocol tcp", COMING, "ACCEPT"),
        ("ct l3proto ipv4", COMING, "DROP"), ("ct l3proto ipv6", COMING, "ACCEPT"),
    ],
)  # fmt: skip
def test_what_conntrack_knows(rule: str, packet: Packet, verdict: str) -> None:
    assert [way.verdict for way in traced(ruleset(DNAT, forward(f"{rule} drop")), packet)] == [verdict]


@pytest.mark.parametrize(
    ("rule", "matches"),
    [
        ('fib daddr oif "eth1"', True), ('fib daddr oif "eth0"', False), ('fib daddr oifname "eth*"', True),
        ('fib saddr oifname != "eth0"', False), ("fib daddr oif exists", True), ("fib daddr oif missing", False),
        ("fib saddr oif 1", True), ('fib saddr . iif oif "eth0"', True), ('fib daddr . iif oif "eth1"', False),
        ("fib daddr . mark oif { exists }", True),
    ],
)  # fmt: skip
def test_interface_of_a_route(rule: str, matches: bool) -> None:
    rules = ruleset(forward(f"{rule} drop"))
    assert [way.verdict for way in traced(rules)] == ["DROP" if matches else "ACCEPT"]
    assert {way.verdict for way in nftables.parse(rules).trace(COMING)} == {"ACCEPT", "DROP"}


@pytest.mark.parametrize(
    ("adds", "asks", "matches"),
    [
        ("ether saddr", "ether saddr", True),
        ("iifname . ip saddr", "oifname . ip saddr", False), ("iifname . ip saddr", "iifname . ip saddr", True),
        ("ip saddr & 255.255.255.0", "ip daddr", False), ("ip saddr & 255.255.255.0", "ip saddr", False),
        ("ip saddr & 255.255.255.0", "ip saddr & 255.255.255.0", True), ("meta mark", "ct mark", True),
        ("udp dport", "udp sport", False), ("udp dport", "th dport", True),
    ],
)  # fmt: skip
def test_element_that_a_rule_adds_is_of_its_value(adds: str, asks: str, matches: bool) -> None:
    sets = "\tset s {\n\t\ttypeof x\n\t\tflags dynamic\n\t}\n"
    rules = ruleset(forward(f"add @s {{ {adds} }}", f"{asks} @s drop"), sets=sets)
    found = {way.verdict for way in traced(rules)}
    assert ("ACCEPT" in found, "DROP" in found) == (not matches, matches)


@pytest.mark.parametrize(
    ("rules", "mark"),
    [
        (["ct mark set meta mark | 0x10000", "meta mark set ct mark"], 0x11234),
        (["ct mark set 0x7", "meta mark set ct mark | 0x300"], 0x307),
        (["ct mark set 0x700", "meta mark set meta mark & 0xff | ct mark & 0xff00"], 0x734),
        (["meta mark set meta mark >> 8 << 16"], 0x120000), (["meta mark set ip dscp | 0x40"], 0x4A),
        (["meta mark set udp dport"], 53), (["ct mark set meta mark ^ ct mark", "meta mark set ct mark"], 0x1234),
    ],
)  # fmt: skip
def test_mark_that_is_computed(rules: list[str], mark: int) -> None:
    assert [way.packet.mark for way in traced(ruleset(forward(*rules)), FULL)] == [mark]


def test_mark_that_cannot_be_computed_is_not_known() -> None:
    rules = ruleset(forward("ct mark set numgen inc mod 4", "ct mark 9 drop", "meta mark 0x1234 accept", "drop"))
    assert {way.packet.mark for way in traced(rules, FULL)} == {0x1234}
    assert {way.verdict for way in traced(rules, FULL)} == {"ACCEPT", "DROP"}


@pytest.mark.parametrize("rule", ['udp dport set "no-such-service"', "ip ttl set ip hdrlength", "ip daddr set 5"])
def test_field_with_a_value_that_is_not_known_has_not_its_old_one(rule: str) -> None:
    asked = "udp dport 53" if "dport" in rule else "ip ttl 63" if "ttl" in rule else "ip daddr 10.0.1.20"
    assert {way.verdict for way in traced(ruleset(forward(rule, f"{asked} drop")))} == {"ACCEPT", "DROP"}


@pytest.mark.parametrize(
    ("rules", "dropped"),
    [
        (["symhash mod 2 0 accept", "symhash mod 2 1 accept", "drop"], 0),
        (["symhash mod 2 0 accept", "symhash mod 4 2 accept", "drop"], Fraction(1, 4)),
        (["symhash mod 3 0 accept", "symhash mod 3 offset 10 10 accept", "drop"], Fraction(2, 3)),
        (["symhash mod 2 != 0 accept", "symhash mod 2 vmap { 0 : drop }"], Fraction(1, 2)),
        (["symhash mod 4 vmap { 0 : accept, 1-2 : continue }", "symhash mod 4 vmap { 3 : accept, * : drop }"],
         Fraction(1, 2)),
        (["jhash ip saddr mod 2 seed 0x1 0 accept", "jhash ip saddr mod 2 seed 0x1 1 accept", "drop"], 0),
        (["jhash ether saddr mod 2 seed 0x1 0 accept", "jhash ether saddr mod 2 seed 0x2 1 accept", "drop"],
         Fraction(1, 4)),
        (["jhash ip saddr mod 2 0 accept", "jhash ip saddr mod 2 1 accept", "drop"], Fraction(1, 4)),
        (["symhash mod 2 0 udp dport set 5", "symhash mod 2 1 accept", "drop"], Fraction(1, 4)),
        (["meta mark set symhash mod 2 offset 1 map { 1 : 5, 2 : 6 }", "symhash mod 2 0 meta mark 5 drop"],
         Fraction(1, 2)),
    ],
)  # fmt: skip
def test_hash_of_a_packet_is_the_same_for_every_rule(rules: list[str], dropped: Fraction) -> None:
    found = traced(ruleset(forward(*rules)))
    assert sum(way.probability for way in found) == 1
    assert sum(way.probability for way in found if way.verdict == "DROP") == dropped
