"""A listing of `nft -t` has no elements: what a set decides is then not known."""

from __future__ import annotations

import pytest

from kanslib import iptables, nftables
from kanslib.iptables import Packet
from tests.iptables.rulesets import ROUTING

COMING = Packet("10.0.0.7", "10.0.1.20", "udp", 10000, 53, "eth0", ttl=64)
EMPTY = "\tset s {\n\t\ttype ipv4_addr\n\t}\n\n\tmap m {\n\t\ttype inet_service : verdict\n\t}\n"
FULL = EMPTY.replace("verdict\n", "verdict\n\t\telements = { 80 : drop }\n")
DYNAMIC = "\tset s {\n\t\ttype ipv4_addr\n\t\tflags dynamic\n\t}\n"


def certain(sets: str, rule: str) -> bool:
    chain = f"\tchain c {{\n\t\ttype filter hook forward priority filter; policy accept;\n\t\t{rule}\n\t}}\n"
    outcomes = nftables.parse(f"table ip t {{\n{sets}\n{chain}}}\n").trace(COMING, ROUTING)
    assert sum(way.probability for way in outcomes) >= 1
    return iptables.is_certain(outcomes)


@pytest.mark.parametrize(
    "rule", ["ip saddr @s drop", "ip saddr != @s drop", "udp dport vmap @m", "add @s { ip saddr }"]
)
def test_set_decides_only_where_its_elements_are_known(rule: str) -> None:
    assert certain(EMPTY, rule) == rule.startswith("add")
    assert certain(FULL, rule)


def test_set_that_packets_fill_may_be_empty() -> None:
    assert certain(DYNAMIC, "ip saddr @s drop")


def test_question_names_the_set_and_the_way_to_its_elements() -> None:
    text = f"table ip t {{\n{EMPTY}\tchain c {{\n\t\ttype filter hook input priority 0; policy accept;\n"
    rules = nftables.parse(f"{text}\t\tip saddr @s drop\n\t}}\n}}\n")
    ways = rules.trace(Packet("10.0.0.7", "10.0.0.1", dport=22, in_interface="eth0"), ROUTING)
    assert {str(one) for way in ways for one in way.assumes} == {
        "set s, whose elements this text leaves out (`nft list ruleset` without -t has them), "
        f"{verb} ip saddr" for verb in ("holds", "does not hold")
    }  # fmt: skip


@pytest.mark.parametrize("elem", [{}, {"elem": ["10.0.0.7"]}])
def test_json_without_elements_is_no_more_certain(elem: dict[str, list[str]]) -> None:
    entries = [
        {"table": {"family": "ip", "name": "t"}},
        {"set": {"family": "ip", "table": "t", "name": "s", "type": "ipv4_addr", **elem}},
    ]
    ruleset = nftables.parse(str({"nftables": entries}).replace("'", '"'))
    assert ruleset.table("ip", "t").sets["s"].hidden == (not elem)


@pytest.mark.parametrize("rule", ["ip saddr @other drop", "udp dport vmap @other"])
def test_set_that_is_not_in_the_text_decides_nothing(rule: str) -> None:
    assert not certain(FULL, rule)
