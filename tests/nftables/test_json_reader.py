"""The JSON of `nft -j`: the same statements as from the text."""

from __future__ import annotations

import json

import pytest

from kanslib import nftables
from kanslib.nftables.syntax import Statement
from tests.nftables.invariants import holds

SADDR = {"payload": {"protocol": "ip", "field": "saddr"}}
DPORT = {"payload": {"protocol": "tcp", "field": "dport"}}
SAME: dict[str, list[object]] = {
    "ct status ! dnat": [{"match": {"op": "!", "left": {"ct": {"key": "status"}}, "right": "dnat"}}],
    "meta mark != 0x00000100/24": [
        {"match": {"op": "!=", "left": {"meta": {"key": "mark"}}, "right": {"prefix": {"addr": 256, "len": 24}}}}
    ],
    "fib saddr . iif check missing": [
        {"match": {"op": "==", "left": {"fib": {"result": "oif", "flags": ["saddr", "iif"]}}, "right": False}}
    ],
    "tcp flags & (fin | syn) == fin | syn": [
        {"match": {"op": "==", "left": {"&": [{"payload": {"protocol": "tcp", "field": "flags"}},
                                              {"|": ["fin", "syn"]}]}, "right": {"|": ["fin", "syn"]}}}
    ],
    "update @m { ip saddr timeout 1m : tcp dport }": [
        {"map": {"op": "update", "elem": {"elem": {"val": SADDR, "timeout": 60}}, "data": DPORT, "map": "@m"}}
    ],
    "meter m { ip saddr limit rate 3/second } drop": [
        {"meter": {"key": SADDR, "stmt": {"limit": {"rate": 3, "burst": 5, "per": "second"}}, "size": 9, "name": "m"}},
        {"drop": None},
    ],
    "flow add @f": [{"flow": {"op": "add", "flowtable": "@f"}}],
    "synproxy mss 1460 wscale 7 timestamp sack-perm": [
        {"synproxy": {"mss": 1460, "wscale": 7, "flags": ["timestamp", "sack-perm"]}}
    ],
    'synproxy name "s"': [{"synproxy": "s"}],
    'meta secmark set "s"': [{"secmark": "s"}],
    'tunnel name "t"': [{"tunnel": "t"}],
    "snat ip prefix to 192.0.2.0/24": [
        {"snat": {"family": "ip", "addr": {"prefix": {"addr": "192.0.2.0", "len": 24}}, "flags": ["netmap"],
                  "type_flags": ["prefix"]}}
    ],
    "vxlan ip saddr 192.0.2.1": [
        {"match": {"op": "==", "right": "192.0.2.1",
                   "left": {"payload": {"tunnel": "vxlan", "protocol": "ip", "field": "saddr"}}}}
    ],
    "ipsec in reqid 1": [
        {"match": {"op": "==", "left": {"ipsec": {"key": "reqid", "dir": "in", "spnum": 0}}, "right": 1}}
    ],
    'osf ttl loose name "Linux"': [
        {"match": {"op": "==", "left": {"osf": {"key": "name", "ttl": "loose"}}, "right": "Linux"}}
    ],
    "tunnel id 7": [{"match": {"op": "==", "left": {"tunnel": {"key": "id"}}, "right": 7}}],
    "sctp chunk data stream 7": [
        {"match": {"op": "==", "left": {"sctp chunk": {"name": "data", "field": "stream"}}, "right": 7}}
    ],
    "tcp option @255,8,8 7": [
        {"match": {"op": "==", "left": {"tcp option": {"base": 255, "offset": 8, "len": 8}}, "right": 7}}
    ],
    "dup to 192.0.2.1": [{"dup": {"addr": "192.0.2.1"}}],
    'dup to 192.0.2.1 device "lo"': [{"dup": {"addr": "192.0.2.1", "dev": "lo"}}],
    "last": [{"last": None}],
    "reset tcp option maxseg": [{"reset": {"tcp option": {"name": "maxseg"}}}],
}  # fmt: skip


PLACE = {"family": "inet", "table": "t"}


def of_json(*entries: object) -> nftables.Ruleset:
    document = [{"metainfo": {}}, {"table": {"family": "inet", "name": "t"}}, {"chain": {**PLACE, "name": "c"}}]
    return nftables.parse(json.dumps({"nftables": [*document, *entries]}))


def whole_json(expressions: list[object]) -> str:
    """Return a ruleset with one rule at a hook."""
    hook = {"type": "filter", "hook": "prerouting", "prio": -150, "policy": "accept"}
    chain = {"chain": {**PLACE, "name": "c", **hook}}
    rule = {"rule": {**PLACE, "chain": "c", "expr": expressions}}
    return json.dumps({"nftables": [{"table": {"family": "inet", "name": "t"}}, chain, rule]})


def statements(ruleset: nftables.Ruleset) -> tuple[Statement, ...]:
    assert not ruleset.unknown
    return ruleset.table("inet", "t").chains["c"].rules[0].statements


@pytest.mark.parametrize(("text", "expressions"), SAME.items())
def test_statements_of_text_and_json_are_the_same(text: str, expressions: list[object]) -> None:
    rule = {"rule": {**PLACE, "chain": "c", "expr": expressions}}
    of_text = nftables.parse(f"table inet t {{\n\tchain c {{\n\t\t{text}\n\t}}\n}}\n")
    assert statements(of_json(rule)) == statements(of_text)


@pytest.mark.parametrize("expressions", SAME.values(), ids=SAME)
def test_rules_of_json_can_be_traced(expressions: list[object]) -> None:
    assert holds(whole_json(expressions))


def test_elements_and_statements_of_a_set() -> None:
    elements = [{"elem": {"val": {"concat": ["eth0", True]}, "limit": {"rate": 1, "per": "second"}, "counter": None}}]
    limits = [{"ct count": {"val": 2, "inv": True}}]
    entry = {"family": "inet", "table": "t", "name": "s", "type": "mark", "elem": elements, "stmt": limits}
    text = """table inet t {
\tset s {
\t\ttype mark
\t\tct count over 2
\t\telements = { "eth0" . exists limit rate 1/second counter }
\t}
}
"""
    found = (of_json({"set": entry}).table("inet", "t"), nftables.parse(text).table("inet", "t"))
    (elements_of_json, elements_of_text) = (one.sets["s"].elements for one in found)
    assert elements_of_json == elements_of_text
    assert found[0].sets["s"].statements == found[1].sets["s"].statements != ()
