"""The text of `nft list ruleset`: what is read, what is kept, what is refused."""

from __future__ import annotations

import re
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kanslib import nftables
from kanslib.exceptions import DumpError
from kanslib.nftables import Rule, Ruleset, Set
from kanslib.nftables.fast_rule import FAST_RULE
from kanslib.nftables.syntax import (
    Assign,
    BaseChain,
    Binary,
    Concatenation,
    ConnectionLimit,
    Counter,
    Ct,
    Element,
    Expression,
    Extension,
    Fib,
    Flags,
    FlowOffload,
    Hash,
    HeaderOption,
    Inner,
    Interval,
    KernelFact,
    Limit,
    Log,
    Lookup,
    Match,
    Meta,
    Nat,
    NumGen,
    ObjectReference,
    Payload,
    Prefix,
    Queue,
    RawPayload,
    Reject,
    SetLiteral,
    SetReference,
    SetUpdate,
    SideEffect,
    Statement,
    SynProxy,
    TProxy,
    UnknownStatement,
    Value,
    Verdict,
    VerdictMap,
)

SADDR, DADDR, DPORT = Payload("ip", "saddr"), Payload("ip", "daddr"), Payload("tcp", "dport")
MARK = Meta("mark")
SYN_ACK = Binary("|", Value("syn"), Value("ack"))


def table(*lines: str, family: str = "inet") -> str:
    return "\n".join([f"table {family} t {{", *(f"\t{line}" for line in lines), "}", ""])


def rule(text: str) -> Rule:
    return nftables.parse(table("chain c {", f"\t{text}", "}")).table("inet", "t").chains["c"].rules[0]


def a_set(*lines: str) -> Set:
    return nftables.parse(table("set s {", *(f"\t{line}" for line in lines), "}")).table("inet", "t").sets["s"]


def literal(*keys: Expression) -> SetLiteral:
    return SetLiteral(tuple(map(Element, keys)))


STATEMENTS: dict[str, list[Statement]] = {
    "ip saddr 10.0.0.0/8 drop": [Match(SADDR, "==", Prefix("10.0.0.0", 8)), Verdict("drop")],
    "ip saddr != 10.0.0.1-10.0.0.9 return": [Match(SADDR, "!=", Interval("10.0.0.1", "10.0.0.9")), Verdict("return")],
    "tcp dport { 22, 80-90 } accept": [Match(DPORT, "==", literal(Value(22), Interval(80, 90))), Verdict("accept")],
    "ip saddr @blocked goto other": [Match(SADDR, "==", SetReference("blocked")), Verdict("goto", "other")],
    "ct state established,related accept": [
        Match(Ct("state"), "in", Flags(("established", "related"))), Verdict("accept"),
    ],
    "ct original ip daddr 10.0.0.1": [Match(Ct("daddr", "original", "ip"), "==", Value("10.0.0.1"))],
    "meta mark & 0x0000ff00 == 0x00001200": [Match(Binary("&", MARK, Value(0xFF00)), "==", Value(0x1200))],
    "meta mark set meta mark | 0x00004000": [Assign(MARK, Binary("|", MARK, Value(0x4000)))],
    "meta mark set mark or 0x1": [Assign(MARK, Binary("|", MARK, Value(1)))],
    "ct mark set meta mark": [Assign(Ct("mark"), MARK)],
    "meta l4proto tcp tcp dport 80": [Match(Meta("l4proto"), "==", Value("tcp")), Match(DPORT, "==", Value(80))],
    "tcp flags syn / fin,syn,rst,ack": [
        Match(Binary("&", Payload("tcp", "flags"), Flags(("fin", "syn", "rst", "ack"))), "==", Value("syn"))
    ],
    "tcp option maxseg size set 1400": [Assign(HeaderOption("tcp", "maxseg", "size"), Value(1400))],
    "fib saddr . iif oif missing drop": [Match(Fib(("saddr", "iif"), "oif"), "==", Value("missing")), Verdict("drop")],
    "@nh,96,32 0xa000001": [Match(RawPayload("nh", 96, 32), "==", Value(0xA000001))],
    "numgen random mod 2 vmap { 0 : goto a, 1 : continue }": [
        VerdictMap(NumGen("random", 2), SetLiteral((Element(Value(0), Verdict("goto", "a")),
                                                    Element(Value(1), Verdict("continue"))))),
    ],
    "jhash ip saddr mod 4 seed 0xdead vmap { 0-3 : accept }": [
        VerdictMap(Hash("jhash", SADDR, 4, 0xDEAD), SetLiteral((Element(Interval(0, 3), Verdict("accept")),)))
    ],
    "dnat ip to 10.0.0.1:80": [Nat("dnat", Value("10.0.0.1"), Value(80), "ip")],
    "dnat ip6 to [2001:db8::1]:80": [Nat("dnat", Value("2001:db8::1"), Value(80), "ip6")],
    "dnat to tcp dport map { 80 : 10.0.0.1 }": [
        Nat("dnat", Lookup(DPORT, SetLiteral((Element(Value(80), Value("10.0.0.1")),))))
    ],
    "snat to 192.0.2.1-192.0.2.9:1024-65535 random": [
        Nat("snat", Interval("192.0.2.1", "192.0.2.9"), Interval(1024, 65535), flags=("random",))
    ],
    "masquerade to :1024-65535 fully-random,persistent": [
        Nat("masquerade", None, Interval(1024, 65535), flags=("fully-random", "persistent"))
    ],
    "redirect to :8080": [Nat("redirect", None, Value(8080))],
    "tproxy ip to 127.0.0.1:50080": [TProxy(Value("127.0.0.1"), Value(50080), "ip")],
    "counter packets 3 bytes 180 reject with icmpx admin-prohibited": [
        Counter(3, 180), Reject("icmpx", "admin-prohibited"),
    ],
    "reject with tcp reset": [Reject("tcp reset")],
    "limit rate over 10/minute burst 7 packets drop": [Limit(10, "minute", burst=7, over=True), Verdict("drop")],
    "limit rate 10 mbytes/second": [Limit(10, "second", "mbytes", 0, "bytes")],
    'log prefix "x: " level warn accept': [Log((("prefix", "x: "), ("level", "warn"))), Verdict("accept")],
    "queue flags bypass to 1-3": [Queue(Interval(1, 3), ("bypass",))],
    "update @seen { ip saddr timeout 10s limit rate 3/second }": [
        SetUpdate("update", "seen", Element(SADDR, timeout=10, statements=(Limit(3, "second"),)))
    ],
    "ip saddr @ll drop": [Match(SADDR, "==", SetReference("ll")), Verdict("drop")],
    'iif "|" drop': [Match(Meta("iif"), "==", Value("|")), Verdict("drop")],
    "ct count over 10 drop": [ConnectionLimit(10, True), Verdict("drop")],
    'counter name "c" quota name "q" ct helper set "h"': [
        ObjectReference("counter", Value("c")), ObjectReference("quota", Value("q")),
        ObjectReference("ct helper", Value("h")),
    ],
    'xt target "TCPMSS"': [Extension("target", "TCPMSS")],
    "frobnicate 7 accept": [UnknownStatement("frobnicate 7 accept")],
    "tcp flags & (syn | ack) == syn | ack drop": [
        Match(Binary("&", Payload("tcp", "flags"), SYN_ACK), "==", SYN_ACK), Verdict("drop"),
    ],
    "ct status ! dnat drop": [Match(Ct("status"), "!", Value("dnat")), Verdict("drop")],
    'counter name meta mark >> 8 & 0xf map { 1 : "c" }': [
        ObjectReference(
            "counter",
            Lookup(
                Binary("&", Binary(">>", MARK, Value(8)), Value(15)), SetLiteral((Element(Value(1), Value("c")),))
            ),
        )
    ],
    "fib saddr . iif check missing drop": [
        Match(Fib(("saddr", "iif"), "oif"), "==", Value("missing")), Verdict("drop"),
    ],
    "redirect to :tcp dport map { 80 : 8080 }": [
        Nat("redirect", None, Lookup(DPORT, SetLiteral((Element(Value(80), Value(8080)),))))
    ],
    "tproxy ip to 127.0.0.1:symhash mod 2 map { 0 : 23, 1 : 42 }": [
        TProxy(
            Value("127.0.0.1"),
            Lookup(
                Hash("symhash", None, 2), SetLiteral((Element(Value(0), Value(23)), Element(Value(1), Value(42))))
            ),
            "ip",
        )
    ],
    "snat ip prefix to ip saddr map { 10.0.0.0/24 : 192.0.2.0/24 }": [
        Nat(
            "snat", Lookup(SADDR, SetLiteral((Element(Prefix("10.0.0.0", 24), Prefix("192.0.2.0", 24)),))),
            family="ip", prefix=True,
        )
    ],
    "meter m size 9 { ip saddr timeout 10s limit rate 3/second } drop": [
        SetUpdate("update", "m", Element(SADDR, timeout=10, statements=(Limit(3, "second"),))), Verdict("drop"),
    ],
    "update @m { ip saddr : tcp dport }": [SetUpdate("update", "m", Element(SADDR, DPORT))],
    "flow add @f counter": [FlowOffload("f"), Counter()],
    "synproxy mss 1460 wscale 7 timestamp": [SynProxy(("mss 1460", "wscale 7", "timestamp"))],
    'synproxy name "s"': [ObjectReference("synproxy", Value("s"))],
    "last used 3s dup to 192.0.2.1 reset tcp option maxseg": [
        SideEffect("last", "last used 3s"), SideEffect("dup", "dup to 192.0.2.1"),
        SideEffect("reset", "reset tcp option maxseg"),
    ],
    "vxlan ip saddr 192.0.2.1 drop": [Match(Inner("vxlan", SADDR), "==", Value("192.0.2.1")), Verdict("drop")],
    'ipsec in reqid 1 osf name "Linux"': [
        Match(KernelFact("ipsec in reqid"), "==", Value(1)), Match(KernelFact("osf name"), "==", Value("Linux")),
    ],
    "tcp option mptcp subtype . tcp dport @s": [
        Match(Concatenation((HeaderOption("tcp", "mptcp", "subtype"), DPORT)), "==", SetReference("s"))
    ],
    "sctp chunk data stream 7": [Match(HeaderOption("sctp", "data", "stream"), "==", Value(7))],
}  # fmt: skip


@pytest.mark.parametrize(("text", "statements"), STATEMENTS.items())
def test_rule_statements(text: str, statements: list[Statement]) -> None:
    assert list(rule(text).statements) == statements


def test_rule_handle_and_comment() -> None:
    found = rule('iifname "lo" accept comment "loop # back" # handle 12')
    assert (found.handle, found.comment, found.line) == (12, "loop # back", 3)
    assert found.text == 'iifname "lo" accept comment "loop # back"'


PLAIN = re.sub(r"([*?+])\+", r"\1", FAST_RULE.pattern)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.from_regex(re.compile(PLAIN, re.ASCII), fullmatch=True, alphabet=st.characters(codec="ascii")))
def test_fast_rules_need_no_check(text: str) -> None:
    statements = rule(text.strip().replace("\n", " ")).statements
    assert statements
    assert not any(isinstance(one, UnknownStatement) for one in statements)


def test_fast_rule_with_a_modulus_of_zero_is_refused_at_once() -> None:
    with pytest.raises(DumpError, match="at least 1"):
        rule("numgen random mod 0 vmap { 0 : accept }")


def test_base_chain_priority_by_name() -> None:
    lines = ["chain c {", "\ttype filter hook input priority mangle - 5; policy drop;", "}"]
    chain = nftables.parse(table(*lines)).table("inet", "t").chains["c"]
    assert chain.base == BaseChain("filter", "input", -155, "drop")
    bridge = nftables.parse(table(*lines, family="bridge").replace("mangle - 5", "dstnat"))
    assert bridge.table("bridge", "t").chains["c"].base == BaseChain("filter", "input", -300, "drop")


def test_set_elements_on_several_lines() -> None:
    found = a_set(
        "type ipv4_addr", "flags interval,timeout", "timeout 1h",
        "elements = { 10.0.0.0/8 expires 59m59s992ms, 192.0.2.1-192.0.2.9 timeout 30m expires 29m,",
        '\t 198.51.100.7 comment "x" }',
    )  # fmt: skip
    assert (sorted(found.flags), found.timeout) == (["interval", "timeout"], 3600)
    assert found.elements == (
        Element(Prefix("10.0.0.0", 8), expires=3599),
        Element(Interval("192.0.2.1", "192.0.2.9"), timeout=1800, expires=1740),
        Element(Value("198.51.100.7"), comment="x"),
    )


@pytest.mark.parametrize(
    "elements",
    [
        "10.96.0.1, 10.96.0.0/16,\n\t\t\t     2001:db8::1",
        "10.96.0.1 . tcp . 80 : goto service-X-default/web/tcp/http, tcp . 30080 : drop",
        '10.96.0.1 . tcp . 80 comment "default/web: a, b" : goto reject-chain, 10.96.0.2 . udp . 53 : accept',
        "10.0.0.7 . 10.0.0.7 . tcp . 80, 2001:db8::7 . 2001:db8::7 . tcp . 80",
    ],
)
def test_elements_of_the_usual_form_are_those_that_the_tokens_give(elements: str) -> None:
    usual = a_set("type ipv4_addr", f"elements = {{ {elements} }}")
    with_time = a_set("type ipv4_addr", f"elements = {{ 192.0.2.1 timeout 1s, {elements} }}")  # needs the tokens
    assert usual.elements == with_time.elements[1:]


def test_set_with_a_count_and_a_limit_for_its_elements() -> None:
    found = a_set("type ipv4_addr", "size 65535\t# count 2", "limit rate 1/second", "elements = { 10.0.0.7 }")
    assert (found.size, found.statements) == (65535, (Limit(1, "second"),))


INLINE = table(
    "chain c {", "\tudp dport 53 jump {", "\t\tip saddr 10.0.0.7 goto {", "\t\t\tdrop", "\t\t} # handle 8",
    "\t\treturn", '\t} comment "dns" # handle 7', "\taccept", "}",
)  # fmt: skip


def test_chain_without_a_name_is_named_by_its_line() -> None:
    ruleset = nftables.parse(INLINE)
    chains = ruleset.table("inet", "t").chains
    assert ruleset.save() == INLINE
    assert {name: [rule.text for rule in chain.rules] for name, chain in chains.items()} == {
        "c": ["udp dport 53 jump { line 3 }", "accept"],
        "{ line 3 }": ["ip saddr 10.0.0.7 goto { line 4 }", "return"],
        "{ line 4 }": ["drop"],
    }
    first = chains["c"].rules[0]
    assert (first.comment, first.handle, first.statements[-1]) == ("dns", 7, Verdict("jump", "{ line 3 }"))
    assert chains["{ line 3 }"].rules[0].handle == 8


RULESET = table(
    "counter c1 { # handle 4", "\tpackets 1 bytes 2", "}",
    "flowtable f {", "\thook ingress priority filter", "\tdevices = { eth0 }", "}",
    "tunnel t {", "\tid 10", "\tvxlan {", "\t\tgbp 200", "\t}", "}",
    "chain c {", "\tcounter accept", "}",
)  # fmt: skip


@pytest.mark.parametrize(
    "text", [RULESET, "", "# Warning: table ip nat is managed by iptables-nft, do not touch!\n" + RULESET]
)
def test_save_returns_the_text(text: str) -> None:
    assert nftables.parse(text).save() == text


def test_objects_are_kept() -> None:
    found = nftables.parse(RULESET).table("inet", "t").objects
    assert [(one.kind, one.name) for one in found] == [
        ("counter", "c1"), ("flowtable", "f"), ("tunnel", "t"),
    ]  # fmt: skip
    assert found[2].text.splitlines() == ["id 10", "vxlan {", "gbp 200", "}"]


@pytest.mark.parametrize(
    ("text", "line", "column", "expected"),
    [
        ("hello\n", 1, 1, "a table such as"),
        ("table ip t {\n", 2, 1, "} for the block that begins on line 1"),
        ("table ip t {\n\tchain c {\n\t\tip saddr\n\t}\n}\n", 3, 11, "a value"),
        ("table ip t {\n\tchain c {\n\t\ttcp dport { 1, 2 accept\n\t}\n}\n", 3, 20, ","),
        ("table ip t {\n\tchain c {\n\t\tlimit rate many\n\t}\n}\n", 3, 14, "a rate such as 10/minute"),
        ("table ip t {\n\tset s {\n\t\tflags interval\n\t}\n}\n", 2, 2, "the type of s"),
        ("table ip t {\n\tchain c {\n\t\ttype filter hook input priority much;\n\t}\n}\n", 3, 3, "a priority"),
        ("table ip t {\n\twhatever x {\n\t}\n}\n", 2, 2, "chain, set, map"),
        ("table ip t {\n\tset s {\n\t\ttype mark\n\t\tsize many\n\t}\n}\n", 4, 1, "a size"),
        ("table ip t {\n\tchain c {\n\t\tjump {\n\t\t\tdrop\n", 5, 1, "} for the chain that begins on line 3"),
    ],
)  # fmt: skip
def test_wrong_text_is_refused_with_its_place(text: str, line: int, column: int, expected: str) -> None:
    with pytest.raises(DumpError) as refused:
        nftables.parse(text)
    assert (refused.value.line, refused.value.column) == (line, column)
    assert expected in refused.value.expected


@given(st.text(max_size=200))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    with suppress(DumpError):
        assert isinstance(nftables.parse(text), Ruleset)


@given(st.integers(0, len(RULESET)), st.text(max_size=5))
def test_any_change_is_parsed_or_refused(place: int, inserted: str) -> None:
    with suppress(DumpError):
        nftables.parse(RULESET[:place] + inserted + RULESET[place:])


def test_elements_are_the_same_read_at_once_and_one_by_one() -> None:
    fast = '10.96.0.1 . tcp . 443 comment "a/b" : goto one, 10.0.0.0/8 . udp . 53 : drop'
    text = "table ip t {{\n\tmap m {{\n\t\ttype x : verdict\n\t\telements = {{ {} }}\n\t}}\n}}\n"
    one, other = (
        nftables.parse(text.format(elements)).table("ip", "t").sets["m"].elements
        for elements in (fast, f"{fast}, * : accept")
    )
    assert one == other[:-1]
    assert one[1:] == other[1:-1]
    assert one != other
