"""Rules of unusual forms, one of each kind that was once read or traced wrongly."""

from __future__ import annotations

from dataclasses import replace

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
