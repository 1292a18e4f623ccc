"""A packet through rules of nftables: hooks, priorities, verdicts, maps, sets, and iptables beside them."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction

import pytest

from kanslib import iptables, nftables
from kanslib.exceptions import TraceError
from kanslib.iptables import Outcome, Packet
from kanslib.iptables.missing import MissingKind
from tests.iptables.rulesets import ROUTING

COMING = Packet("10.0.0.7", "10.0.1.20", "udp", 10000, 53, "eth0", ttl=64)


def chain(name: str, *rules: str, base: str = "") -> str:
    lines = [f"\tchain {name} {{", *([f"\t\t{base}"] if base else []), *(f"\t\t{rule}" for rule in rules), "\t}"]
    return "\n".join(lines) + "\n"


def forward(*rules: str, priority: str = "filter", policy: str = "accept", name: str = "forward") -> str:
    return chain(name, *rules, base=f"type filter hook forward priority {priority}; policy {policy};")


def ruleset(*chains: str, family: str = "ip", name: str = "t", sets: str = "") -> str:
    return f"table {family} {name} {{\n{sets}{''.join(chains)}}}\n"


def traced(text: str, packet: Packet = COMING) -> list[Outcome]:
    return nftables.parse(text).trace(packet, ROUTING)


def verdicts(*chains: str, packet: Packet = COMING) -> dict[str, Fraction]:
    found: dict[str, Fraction] = {}
    for way in traced(ruleset(*chains), packet):
        found[way.verdict] = found.get(way.verdict, Fraction(0)) + way.probability
    return found


def test_policy_decides_at_the_end_of_a_base_chain() -> None:
    (way,) = traced(ruleset(forward(policy="drop")))
    assert (way.verdict, way.reason) == ("DROP", "policy of ip t forward")


def test_accept_ends_its_own_base_chain_alone() -> None:
    first, second = forward("accept", priority="-5", name="a"), forward("drop", priority="5", name="b")
    assert verdicts(first, second) == {"DROP": 1}
    assert verdicts(forward("drop", priority="-5", name="a"), forward("accept", priority="5", name="b")) == {"DROP": 1}


def test_chains_of_several_tables_come_by_priority() -> None:
    late = ruleset(forward("meta mark 0x1 drop", priority="10"), name="late")
    early = ruleset(forward("meta mark set 0x1", priority="-10"), family="inet", name="early")
    assert [way.verdict for way in traced(late + early)] == ["DROP"]
    earliest = late.replace("priority 10", "priority -20")
    assert [way.verdict for way in traced(earliest + early)] == ["ACCEPT"]


def test_of_equal_priorities_the_chain_added_last_comes_first() -> None:
    marks, drops = forward("meta mark set 0x1", name="a"), forward("meta mark 0x1 drop", name="b")
    assert verdicts(marks, drops) == {"ACCEPT": 1}
    assert verdicts(drops, marks) == {"DROP": 1}


@pytest.mark.parametrize(
    ("element", "verdict"),
    [("jump one", "DROP"), ("goto one", "ACCEPT"), ("return", "ACCEPT"), ("continue", "DROP"), ("accept", "ACCEPT")],
)
def test_verdict_of_a_map_counts_in_the_chain_that_asks_it(element: str, verdict: str) -> None:
    chains = (chain("one", "return"), chain("two", f"udp dport vmap {{ 53 : {element} }}", "drop"), forward("jump two"))
    assert verdicts(*chains) == {verdict: 1}


def test_map_without_the_key_goes_on_behind_the_rule() -> None:
    assert verdicts(forward("udp dport vmap { 80 : accept }", "drop")) == {"DROP": 1}


@pytest.mark.parametrize(("element", "verdict"), [("goto one", "ACCEPT"), ("jump one", "DROP")])
def test_second_map_of_a_rule_leads_on_from_the_chain(element: str, verdict: str) -> None:
    two_maps = f"meta mark set udp dport map {{ 53 : 0x1 }} udp dport vmap {{ 53 : {element} }}"
    assert verdicts(chain("one", "return"), forward(two_maps, "drop")) == {verdict: 1}


def test_numgen_spreads_over_the_elements() -> None:
    rules = forward("numgen random mod 10 vmap { 0-2 : drop, 3 : accept }", "reject")
    assert verdicts(rules) == {"DROP": Fraction(3, 10), "ACCEPT": Fraction(1, 10), "REJECT": Fraction(6, 10)}


def test_element_that_no_number_reaches_is_never_met() -> None:
    spread = "numgen random mod 2 vmap { 0 : accept, 1 : drop, 2 : goto beyond }"
    assert verdicts(chain("beyond", "reject"), forward(spread)) == {"ACCEPT": Fraction(1, 2), "DROP": Fraction(1, 2)}


def test_unknown_port_splits_a_map_by_its_elements() -> None:
    packet = Packet("10.0.0.7", "10.0.1.20", "udp", 10000, None, "eth0", ttl=64)
    found = traced(ruleset(forward("udp dport vmap { 53 : accept, 80-90 : drop }", "reject")), packet)
    assert {(way.verdict, *map(str, way.assumes)) for way in found} == {
        ("ACCEPT", "the destination port is 53"), ("DROP", "the destination port is 80-90"),
        ("REJECT", "the destination port is none of 53, 80-90"),
    }  # fmt: skip


def nat(*rules: str, priority: str = "dstnat", name: str = "pre") -> str:
    return chain(name, *rules, base=f"type nat hook prerouting priority {priority}; policy accept;")


def test_nat_once_a_connection() -> None:
    first, second = nat("dnat to 10.0.1.21", name="a", priority="-110"), nat("dnat to 192.0.2.5", name="b")
    assert [way.packet.dst for way in traced(ruleset(first, second))] == ["10.0.1.21"]
    assert [way.packet.dst for way in traced(ruleset(nat("accept", name="a", priority="-110"), second))] == [
        "192.0.2.5"
    ]


def test_concatenated_map_gives_address_and_port() -> None:
    rules = nat("dnat ip to ip daddr . udp dport map { 10.0.1.20 . 53 : 10.0.1.21 . 5353 }")
    (way,) = traced(ruleset(rules))
    assert (way.packet.dst, way.packet.dport) == ("10.0.1.21", 5353)


SEEN = "\tset seen {{\n\t\ttype ipv4_addr\n\t\tsize 10\n\t\tflags dynamic,timeout\n\t\ttimeout 1h\n{}\t}}\n"


@pytest.mark.parametrize(
    ("rules", "elements", "verdict"),
    [
        (("ip saddr @seen drop",), "", "ACCEPT"),
        (("ip saddr @seen drop",), "\t\telements = { 10.0.0.7 expires 5m }\n", "DROP"),
        (("update @seen { ip saddr }", "ip saddr @seen drop"), "", "DROP"),
        (("update @seen { ip daddr }", "ip saddr @seen drop"), "", "ACCEPT"),
        (("delete @seen { ip saddr }", "ip saddr @seen drop"), "\t\telements = { 10.0.0.7 expires 5m }\n", "ACCEPT"),
    ],
)
def test_set_changed_on_the_packets_own_way(rules: tuple[str, ...], elements: str, verdict: str) -> None:
    assert [way.verdict for way in traced(ruleset(forward(*rules), sets=SEEN.format(elements)))] == [verdict]


def test_unknown_statement_makes_the_answer_uncertain() -> None:
    found = traced(ruleset(forward("frobnicate 7", "accept")))
    assert not iptables.is_certain(found)
    assert any("frobnicate 7" in str(assumed) for way in found for assumed in way.assumes)


@pytest.mark.parametrize(
    ("rule", "icmp_type"),
    [
        ("icmp type destination-unreachable drop", "3/1"),  # `nft describe icmp type`: 3, and 1 for icmpv6
        ("icmp type info-request drop", "15/0"),
        ("icmp type parameter-problem drop", "12/0"),
    ],
)
def test_name_of_an_icmp_type(rule: str, icmp_type: str) -> None:
    asked = Packet("10.0.0.7", "10.0.1.20", "icmp", in_interface="eth0", ttl=64, icmp_type=icmp_type)
    assert verdicts(forward(rule), packet=asked) == {"DROP": 1}
    assert verdicts(forward(rule), packet=replace(asked, icmp_type="1/0")) == {"ACCEPT": 1}


@pytest.mark.parametrize(
    "rule",
    ["ether saddr 0x11 drop", "ct direction { original, reply } drop", "ip frag-off & 8191 != 0 drop"],
)
def test_value_that_cannot_be_compared_is_asked_for(rule: str) -> None:
    assert {way.verdict for way in traced(ruleset(forward(rule)))} == {"ACCEPT", "DROP"}


def test_tproxy_without_a_socket_stops_its_rule_alone() -> None:
    """Linux net/netfilter/nft_tproxy.c: NFT_BREAK where no transparent socket is found, and for other protocols."""
    base = "type filter hook prerouting priority mangle; policy accept;"
    rules = ruleset(chain("divert", "tproxy ip to :50080 meta mark set 0x1", "meta mark 0x0 drop", base=base))
    ways = {way.verdict: way.packet.mark for way in traced(rules)}
    assert ways == {"DROP": 0, "ACCEPT": 1}
    (other,) = traced(rules, replace(COMING, protocol="icmp", sport=None, dport=None))
    assert other.verdict == "DROP"


@pytest.mark.parametrize(
    ("rule", "verdict"),
    [
        ("ip saddr & 255.0.0.255 == 10.0.0.7 drop", "DROP"),
        ("ip saddr & 255.0.0.255 != 10.0.0.7 drop", "ACCEPT"),
        ("ip saddr & 255.0.0.255 == 10.0.0.8 drop", "ACCEPT"),
        ("ip daddr & 255.255.0.0 { 10.1.0.0, 10.0.0.0 } drop", "DROP"),
        ("ip ttl != 64-62 drop", "DROP"),
        ("ip ttl != 60-3 drop", "ACCEPT"),
        ("@nh,96,32 0xa000007 drop", "DROP"),
        ("@nh,96,32 0xa000008 drop", "ACCEPT"),
        ("ct state ! new drop", "ACCEPT"),
        ("ct state ! established drop", "DROP"),
    ],
)
def test_bits_of_a_packet(rule: str, verdict: str) -> None:
    assert verdicts(forward(rule)) == {verdict: 1}


def test_no_flag_of_several() -> None:
    syn = Packet("10.0.0.7", "10.0.1.20", "tcp", 10000, 53, "eth0", ttl=64, tcp_flags="SYN")
    assert verdicts(forward("tcp flags ! ack,rst drop"), packet=syn) == {"DROP": 1}
    assert verdicts(forward("tcp flags ! syn,rst drop"), packet=syn) == {"ACCEPT": 1}


def test_prefix_is_replaced_and_the_rest_stays() -> None:
    to = "dnat ip prefix to ip daddr map { 192.0.2.0/24 : 10.0.1.0/24 }"
    packet = replace(COMING, dst="192.0.2.21")
    first, second = nat(to, name="a", priority="-110"), nat("dnat to 10.0.1.9", name="b")
    assert [way.packet.dst for way in traced(ruleset(first, second), packet)] == ["10.0.1.21"]


def test_chain_without_a_name() -> None:
    assert verdicts(forward("udp dport 53 jump {\n\t\t\treturn\n\t\t}", "drop")) == {"DROP": 1}
    assert verdicts(forward("udp dport 53 goto {\n\t\t\treturn\n\t\t}", "drop")) == {"ACCEPT": 1}


def test_refusal_of_one_family_leaves_the_other() -> None:
    six = Packet("2001:db8::1", "2001:db8::2", "udp", 10000, 53, "eth0", ttl=64)
    rules = nftables.parse(ruleset(forward("reject with icmp host-unreachable"), family="inet"))
    assert [way.verdict for way in rules.trace(COMING, ROUTING)] == ["REJECT"]
    assert [way.verdict for way in rules.trace(six)] == ["ACCEPT"]


def test_field_is_changed_in_packets_that_have_it() -> None:
    six = Packet("2001:db8::1", "2001:db8::2", "udp", 10000, 53, "eth0", ttl=64)
    rules = ruleset(forward("ip daddr set 10.0.1.21", "meta mark set 0x1 drop"), family="inet")
    assert [way.packet.dst for way in traced(rules)] == ["10.0.1.21"]
    assert [way.packet.dst for way in nftables.parse(rules).trace(six)] == ["2001:db8::2"]


def test_code_point_is_changed_by_its_name() -> None:
    rules = ("ip dscp set af11", "ip dscp != 0x0a drop")
    assert [(way.verdict, way.packet.dscp) for way in traced(ruleset(forward(*rules)))] == [("ACCEPT", 10)]


def test_mark_of_the_connection_stops_a_rule_where_there_is_none() -> None:
    rules = ("meta mark set ct mark drop", "ct mark set 0x1 meta mark set 0x2")
    early = chain("early", *rules, base="type filter hook prerouting priority raw; policy accept;")
    assert [(way.verdict, way.packet.mark) for way in traced(ruleset(early))] == [("ACCEPT", 2)]
    assert verdicts(forward(*rules)) == {"DROP": 1}


def test_notrack_behind_conntrack_does_nothing() -> None:
    rules = forward("notrack", "ct state untracked drop", priority="raw")
    early = chain("c", "notrack", base="type filter hook prerouting priority raw; policy accept;")
    assert verdicts(rules) == {"ACCEPT": 1}
    assert verdicts(early, rules) == {"DROP": 1}


def test_object_by_a_map_stops_a_rule_whose_packet_has_none() -> None:
    named = 'counter name ip saddr map { 10.0.0.7 : "a", 10.0.0.9 : "b" } drop'
    assert verdicts(forward(named)) == {"DROP": 1}
    assert verdicts(forward(named), packet=replace(COMING, src="10.0.0.8")) == {"ACCEPT": 1}


def test_limit_of_an_element_can_stop_the_rule() -> None:
    limited = "\tset s {\n\t\ttype ipv4_addr\n\t\telements = { 10.0.0.7 limit rate 1/second }\n\t}\n"
    assert {way.verdict for way in traced(ruleset(forward("ip saddr @s drop"), sets=limited))} == {"ACCEPT", "DROP"}
    assert {way.verdict for way in traced(ruleset(forward("ip daddr @s drop"), sets=limited))} == {"ACCEPT"}


@pytest.mark.parametrize("statement", ["last used 3s", 'dup to 192.0.2.1 device "eth0"', "flow add @f"])
def test_statement_that_changes_nothing_leaves_the_answer_certain(statement: str) -> None:
    (way,) = traced(ruleset(forward(statement)))
    assert way.verdict == "ACCEPT"


def test_synproxy_answers_a_handshake() -> None:
    syn = Packet("10.0.0.7", "10.0.1.20", "tcp", 10000, 53, "eth0", ttl=64, tcp_flags="SYN")
    assert verdicts(forward("synproxy mss 1460", "drop"), packet=syn) == {"SYNPROXY": 1}
    assert verdicts(forward("synproxy mss 1460", "drop")) == {"DROP": 1}


def test_circle_of_chains_is_refused() -> None:
    with pytest.raises(TraceError, match="one → two → one"):
        traced(ruleset(chain("one", "jump two"), chain("two", "goto one"), forward("jump one")))


def test_family_of_a_table_decides_which_packets_it_meets() -> None:
    six = Packet("2001:db8::1", "2001:db8::2", "udp", 10000, 53, "eth0", ttl=64)
    rules = forward("drop")
    assert [way.verdict for way in nftables.parse(ruleset(rules, family="ip6")).trace(COMING, ROUTING)] == ["ACCEPT"]
    assert [way.verdict for way in nftables.parse(ruleset(rules, family="ip")).trace(six)] == ["ACCEPT"]
    assert [way.verdict for way in nftables.parse(ruleset(rules, family="inet")).trace(six)] == ["DROP"]


IPTABLES = "*filter\n:FORWARD ACCEPT [0:0]\n-A FORWARD -m mark --mark 0x1 -j DROP\nCOMMIT\n"


@pytest.mark.parametrize(("priority", "verdict"), [("-1", "DROP"), ("1", "ACCEPT")])
def test_iptables_beside_nftables_in_the_order_of_priorities(priority: str, verdict: str) -> None:
    rules = nftables.parse(ruleset(forward("meta mark set 0x1", priority=priority)))
    found = rules.trace(COMING, ROUTING, beside=[iptables.parse(IPTABLES)])
    assert [way.verdict for way in found] == [verdict]


@pytest.mark.parametrize(("is_older", "verdict"), [(True, "DROP"), (False, "ACCEPT")])
def test_of_equal_priorities_iptables_comes_by_its_place_in_the_list(is_older: bool, verdict: str) -> None:
    ours = ruleset(forward("meta mark set 0x1"))
    theirs = ruleset(chain("FORWARD", base="type filter hook forward priority filter; policy accept;"), name="filter")
    rules = nftables.parse(theirs + ours if is_older else ours + theirs)
    found = rules.trace(COMING, ROUTING, beside=[iptables.parse(IPTABLES)])
    assert [way.verdict for way in found] == [verdict]


def test_tables_of_iptables_are_read_from_its_dump() -> None:
    theirs = ruleset(
        chain("FORWARD", "drop", base="type filter hook forward priority filter; policy accept;"), name="filter"
    )
    rules = nftables.parse(theirs)
    assert rules.managed == {("ip", "filter")}
    assert [way.verdict for way in rules.trace(COMING, ROUTING)] == ["DROP"]
    assert [way.verdict for way in rules.trace(COMING, ROUTING, beside=[iptables.parse(IPTABLES)])] == ["ACCEPT"]


def test_tables_of_iptables_without_its_dump_leave_the_answer_uncertain() -> None:
    base = "type filter hook forward priority filter; policy accept;"
    # nft 1.0.6 of: -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP
    printed = ruleset(chain("FORWARD", "ct status dnat counter packets 0 bytes 0 drop", base=base), name="filter")
    rules = nftables.parse(printed)
    (way,) = rules.trace(COMING, ROUTING)
    assert [(one.kind, one.name) for one in way.missing] == [(MissingKind.MANAGED_TABLE, "ip filter")]
    assert not iptables.is_certain([way])
    assert all(not way.missing for way in rules.trace(COMING, ROUTING, beside=[iptables.parse(IPTABLES)]))
    empty = ruleset(chain("FORWARD", base=base), name="filter")
    assert all(not way.missing for way in nftables.parse(empty).trace(COMING, ROUTING))


@pytest.mark.parametrize(("match", "is_whole"), [([], True), ([{"xt": {"type": "match", "name": "string"}}], False)])
def test_json_says_which_tables_of_iptables_are_not_whole(match: list[object], is_whole: bool) -> None:
    place = {"family": "ip", "table": "filter"}
    base = {"type": "filter", "hook": "forward", "prio": 0, "policy": "accept"}
    entries = [{"table": {"family": "ip", "name": "filter"}}, {"chain": {**place, "name": "FORWARD", **base}},
               {"rule": {**place, "chain": "FORWARD", "expr": [*match, {"drop": None}]}}]  # fmt: skip
    rules = nftables.parse(json.dumps({"nftables": entries}))
    assert rules.managed == {("ip", "filter")}
    assert iptables.is_certain(rules.trace(COMING, ROUTING)) == is_whole


@pytest.mark.parametrize(
    ("address", "verdict"), [("ip daddr != 10.9.9.9", "DROP"), ("ip6 daddr != 2001:db8::9", "ACCEPT")]
)
def test_addresses_of_a_connection_of_the_other_family_end_the_rule(address: str, verdict: str) -> None:
    (way,) = traced(ruleset(forward(f"ct original {address} drop"), family="inet"))
    assert way.verdict == verdict


def test_explanation_names_chains_and_lines() -> None:
    (way,) = traced(ruleset(chain("one", "counter drop"), forward("ip saddr 10.0.0.0/24 jump one")))
    assert way.explain().splitlines()[:3] == [
        "FORWARD", "  forward: ip saddr 10.0.0.0/24 jump one   (line 7)", "  one: counter drop   (line 3)",
    ]  # fmt: skip


ENTRIES = [*(f"10.7.{at // 200}.{at % 200} . tcp . {80 + at // 3 % 3}" for at in range(0, 999, 3)),
           "10.0.0.0/8 . udp . 53", "2001:db8::7 . tcp . 80"]  # fmt: skip


@pytest.mark.parametrize("comment", ["", ' timeout 1h comment "read one by one"'])
def test_long_map_finds_the_element_of_a_packet_however_it_is_read(comment: str) -> None:
    elements = ",\n".join(f"{key}{comment} : goto drops" for key in ENTRIES)
    sets = f"\tmap m {{\n\t\ttype a . b . c : verdict\n\t\telements = {{ {elements} }}\n\t}}\n"
    rules = forward("ip daddr . meta l4proto . th dport vmap @m"), chain("drops", "drop")
    for packet, verdict in (
        (Packet("10.0.0.7", "10.7.4.196", "tcp", dport=82, in_interface="eth0"), "DROP"),
        (Packet("10.0.0.7", "10.7.4.196", "tcp", dport=80, in_interface="eth0"), "ACCEPT"),
        (Packet("10.0.0.7", "10.7.4.196", "udp", dport=82, in_interface="eth0"), "ACCEPT"),
        (Packet("10.0.0.7", "10.9.9.9", "udp", dport=53, in_interface="eth0"), "DROP"),
        (Packet("10.0.0.7", "10.9.9.9", "udp", dport=54, in_interface="eth0"), "ACCEPT"),
    ):
        assert [way.verdict for way in traced(ruleset(*rules, sets=sets), packet)] == [verdict]


@pytest.mark.parametrize("last", ["10.8.0.1", "10.8.0.0/16", '10.8.0.1 timeout 1h comment "read one by one"'])
def test_long_set_of_addresses_holds_just_its_own(last: str) -> None:
    elements = ", ".join([*(f"10.7.{at}.1" for at in range(1, 40, 2)), last])
    sets = f"\tset s {{\n\t\ttype ipv4_addr\n\t\telements = {{ {elements} }}\n\t}}\n"
    text = ruleset(forward("ip daddr @s drop"), sets=sets)
    for dst, verdict in (("10.7.1.1", "DROP"), ("10.7.2.1", "ACCEPT"), ("10.7.39.1", "DROP"), ("10.8.0.1", "DROP")):
        packet = Packet("10.0.0.7", dst, "udp", 10000, 53, "eth0", ttl=64)
        assert [way.verdict for way in traced(text, packet)] == [verdict]
