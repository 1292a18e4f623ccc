"""What a trace asks, once for each value, and what it does not ask because a rule has settled it."""

from __future__ import annotations

import json

import pytest

from kanslib import iptables
from kanslib.iptables import Assumption, Outcome, Packet, Routing, is_certain
from kanslib.iptables.questions import Subject
from kanslib.iptables.ranges import YES, intersect, join, subtract

from .rulesets import ROUTING

HOOKS = {
    "raw": ("PREROUTING", "OUTPUT"), "mangle": ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"),
    "nat": ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"), "filter": ("INPUT", "FORWARD", "OUTPUT"),
}  # fmt: skip
DNS = Packet("198.51.100.7", "192.0.2.50", "udp", 4000, 53, "eth0")
LATER = Packet("198.51.100.7", "192.0.2.50", "udp", 4000, 53, "eth0", ctstate="ESTABLISHED")
OWN = Packet("10.0.0.1", "192.0.2.50", "udp", 4000, 53)


def dump(policy: str = "ACCEPT", **rules: tuple[str, ...]) -> str:
    lines = []
    for table, words in rules.items():
        lines += [f"*{table}"]
        lines += [f":{hook} {policy if table == 'filter' else 'ACCEPT'} [0:0]" for hook in HOOKS[table]]
        lines += [*(f"-A {rule}" for rule in words), "COMMIT"]
    return "\n".join([*lines, ""])


def trace(text: str, packet: Packet = DNS) -> list[Outcome]:
    """Trace; that addresses are another machine's is left out of the assumptions, which every outcome has."""
    return iptables.parse(text).trace(packet, ROUTING)


def ends(text: str, packet: Packet = DNS) -> list[tuple[str, list[str]]]:
    """The verdict of each outcome, and what it assumes."""
    return [(way.verdict, [str(one) for one in way.assumes]) for way in trace(text, packet)]


def forward(*rules: str, packet: Packet = DNS) -> list[tuple[str, list[str]]]:
    """The same without routes, for rules of FORWARD."""
    outcomes = iptables.parse(dump(filter=tuple(f"FORWARD {rule}" for rule in rules))).trace(packet)
    return [(way.verdict, [str(one) for one in way.assumes if one.subject.name != "type"]) for way in outcomes]


# ── values that exclude each other ───────────────────────────────────────────────────────────────────────────


def test_interface_out_is_one_choice() -> None:
    found = iptables.parse(
        dump(
            mangle=("FORWARD -o br-a -j MARK --set-xmark 0x1/0x1", "FORWARD -o br-b -j MARK --set-xmark 0x2/0x2"),
            filter=("FORWARD -m mark --mark 0x3/0x3 -j DROP",),
        )
    ).trace(DNS)
    assert [(way.verdict, way.packet.mark, str(way.assumes[-1])) for way in found] == [
        ("ACCEPT", 1, "the interface by which it goes out is br-a"),
        ("ACCEPT", 2, "the interface by which it goes out is br-b"),
        ("ACCEPT", 0, "the interface by which it goes out is none of br-a, br-b"),
    ]


@pytest.mark.parametrize(
    ("one", "other", "words"),
    [
        ("-m mac --mac-source 02:00:00:00:00:01", "-m mac --mac-source 02:00:00:00:00:07", "the source MAC is none of"),
        ("-m physdev --physdev-in veth1", "-m physdev --physdev-in veth2", "bridge port by which it comes in is none"),
        ("-m cpu --cpu 1", "-m cpu --cpu 2", "the processor that handles it is not 1-2"),
        ("-m pkttype --pkt-type unicast", "-m pkttype --pkt-type multicast", "its frame's type is broadcast"),
        (
            "-m helper --helper ftp",
            "-m helper --helper sip",
            "the helper of the connection to which it belongs is none",
        ),
    ],
)
def test_alternatives_are_never_both(one: str, other: str, words: str) -> None:
    packet = LATER if "helper" in one else DNS
    found = forward(f"{one} -j DROP", f"{other} -j REJECT", f"{one} {other} -j QUEUE", packet=packet)
    assert [verdict for verdict, _ in found] == ["DROP", "REJECT", "ACCEPT"]
    assert words in found[-1][1][-1]


def test_sender_is_one_choice() -> None:
    text = dump(filter=("OUTPUT -m owner --uid-owner 0-99 -j DROP", "OUTPUT -m owner --uid-owner 1000 -j REJECT"))
    assert ends(text, OWN) == [
        ("DROP", ["the sending user is 0-99"]),
        ("REJECT", ["the sending user is 1000"]),
        ("ACCEPT", ["the sending user is none of 0-99, 1000"]),
    ]
    assert ends(text) == [("ACCEPT", [])], "a received packet has no sender"


def test_address_is_one_choice() -> None:
    anybody = Packet(None, "192.0.2.50", "udp", 4000, 53, "eth0")
    found = forward(
        "-s 198.51.100.0/24 -j DROP", "-s 198.51.100.7/32 -j QUEUE", "! -s 203.0.113.0/24 -j REJECT", packet=anybody
    )
    assert found == [
        ("DROP", ["the source is 198.51.100.0/24"]),
        ("ACCEPT", ["the source is 203.0.113.0/24"]),
        ("REJECT", ["the source is none of 198.51.100.0/24, 203.0.113.0/24"]),
    ]


def test_interface_prefix_holds_the_interface() -> None:
    found = forward("! -o cali+ -j DROP", "-o cali0123 -j REJECT", "-o eth0 -j QUEUE")
    assert [verdict for verdict, _ in found] == ["REJECT", "ACCEPT", "DROP"]
    assert found[0][1] == ["the interface by which it goes out is cali0123"]


def test_several_next_hops_are_a_choice() -> None:
    links = [
        {"ifname": f"eth{n}", "addr_info": [{"local": f"10.0.{n}.1", "prefixlen": 24, "scope": "global"}]}
        for n in (0, 1)
    ]
    hops = [{"gateway": f"10.0.{n}.9", "dev": f"eth{n}", "weight": 1} for n in (0, 1)]
    routing = Routing.read(json.dumps(links), json.dumps([{"dst": "default", "nexthops": hops}]))
    text = dump(filter=("FORWARD -o eth1 -j DROP", "FORWARD -o eth2 -j REJECT"), nat=("POSTROUTING -j MASQUERADE",))
    dropped, sent = iptables.parse(text).trace(DNS, routing)
    assert (dropped.verdict, str(*dropped.assumes)) == ("DROP", "the interface by which it goes out is eth1")
    assert (sent.packet.src, str(*sent.assumes)) == (None, "the interface by which it goes out is eth0")


# ── questions about values ───────────────────────────────────────────────────────────────────────────────────


def test_question_asked_again_after_nat() -> None:
    text = dump(
        raw=("PREROUTING -m set ! --match-set public dst -j DROP",),
        nat=("PREROUTING -d 192.0.2.50/32 -p udp -m udp --dport 53 -j DNAT --to-destination 203.0.113.8:53",),
        filter=("FORWARD -m set --match-set public dst -j ACCEPT", "FORWARD -j DROP"),
    )
    held, not_held = "set public holds 192.0.2.50", "set public does not hold 192.0.2.50"
    assert ends(text) == [
        ("ACCEPT", [held, "set public holds 203.0.113.8"]),
        ("DROP", [held, "set public does not hold 203.0.113.8"]),
        ("DROP", [not_held]),
    ]
    assert ends(text.replace("DNAT --to-destination 203.0.113.8:53", "MARK --set-mark 1")) == [
        ("ACCEPT", [held]), ("DROP", [not_held])
    ], "of the same value it is the same question"  # fmt: skip


def test_question_about_source_asked_again_after_snat() -> None:
    text = dump(
        mangle=("FORWARD -m set --match-set office src -j MARK --set-mark 1", "POSTROUTING -m mark --mark 2 -j DROP"),
        nat=("POSTROUTING -j SNAT --to-source 203.0.113.1-203.0.113.9",),
    )
    way, other = trace(text)
    assert (way.packet.src, way.packet.mark, other.packet.mark) == (None, 1, 0), "one of a range"


def test_question_about_limit_is_asked_each_time() -> None:
    found = forward("-m limit --limit 5/min -j MARK --set-mark 1", "-m limit --limit 5/min -j DROP")
    assert [assumed for _, assumed in found] == [
        ["the limit of 5/min is not reached in line 5", "the limit of 5/min is not reached in line 6"],
        ["the limit of 5/min is not reached in line 5", "the limit of 5/min is reached in line 6"],
        ["the limit of 5/min is reached in line 5", "the limit of 5/min is not reached in line 6"],
        ["the limit of 5/min is reached in line 5", "the limit of 5/min is reached in line 6"],
    ]


def test_conntrack_tuple_of_new_connection_not_asked() -> None:
    text = dump(
        nat=("PREROUTING -p udp -j DNAT --to-destination 203.0.113.8:5353",),
        filter=(
            "FORWARD -m conntrack --ctorigdst 192.0.2.50 --ctorigdstport 53 --ctdir REPLY -j DROP",
            "FORWARD -m conntrack --ctorigdst 192.0.2.50 --ctreplsrc 203.0.113.8 --ctproto udp -j ACCEPT",
            "FORWARD -j DROP",
        ),
    )
    assert ends(text) == [("ACCEPT", [])]
    assert len(ends(text, LATER)) > 1, "of a later packet neither direction nor reply is known"


@pytest.mark.parametrize(
    ("rules", "wanted"),
    [
        (("CONNMARK --set-xmark 0x7/0xf", "CONNMARK --restore-mark"), [("DROP", [])]),
        (
            ("MARK --set-mark 0x7", "CONNMARK --save-mark", "MARK --set-mark 0", "CONNMARK --restore-mark"),
            [("DROP", [])],
        ),
        (("CONNMARK --restore-mark --mask 0xff00",), [("ACCEPT", [])]),
        (("CONNMARK --restore-mark --mask 0xff00", "MARK --or-mark 0x7"), [("DROP", [])]),
        (
            ("CONNMARK --restore-mark",),
            [("DROP", ["the connection's mark is 0x7/0xf"]), ("ACCEPT", ["the connection's mark is not 0x7/0xf"])],
        ),
    ],
)
def test_connection_mark_asked_where_rules_leave_it_open(
    rules: tuple[str, ...], wanted: list[tuple[str, list[str]]]
) -> None:
    text = dump(
        mangle=tuple(f"FORWARD -j {rule}" for rule in rules), filter=("FORWARD -m mark --mark 0x7/0xf -j DROP",)
    )
    assert ends(text, LATER) == wanted


def test_connection_mark_and_restored_mark_are_one_question() -> None:
    text = dump(
        mangle=("FORWARD -m connmark --mark 0x1/0x1 -j MARK --set-mark 0x10", "FORWARD -j CONNMARK --restore-mark"),
        filter=("FORWARD -m mark --mark 0x1/0x1 -j DROP",),
    )
    assert ends(text, LATER) == [
        ("DROP", ["the connection's mark is 0x1/0x1"]), ("ACCEPT", ["the connection's mark is not 0x1/0x1"])
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("rules", "verdicts"),
    [
        (("--set", "--rcheck"), ["DROP"]),
        (("--set", "--rcheck --hitcount 2"), ["DROP", "ACCEPT"]),
        (("--set", "--set", "--rcheck --seconds 60 --hitcount 2"), ["DROP"]),
        (("--set", "--remove", "--update"), ["ACCEPT"]),
        (("! --set", "--rcheck"), ["DROP"]),
        (("--update", "--rcheck"), ["DROP", "ACCEPT"]),
    ],
)
def test_recent_list_asked_for_what_rules_did_not_fill(rules: tuple[str, ...], verdicts: list[str]) -> None:
    *first, last = (f"-m recent --name K --rsource {rule}" for rule in rules)
    assert [verdict for verdict, _ in forward(*first, f"{last} -j DROP")] == verdicts


def test_recent_list_of_other_address_asked() -> None:
    found = forward("-m recent --name K --set --rsource", "-m recent --name K --rcheck --rdest -j DROP")
    assert found == [
        ("DROP", ["the list K holds 192.0.2.50"]), ("ACCEPT", ["the list K does not hold 192.0.2.50"])
    ]  # fmt: skip


def test_set_that_rule_filled_not_asked() -> None:
    fill, look = "-j SET --add-set knocked src", "-m set --match-set knocked src -j DROP"
    assert forward(fill, look) == [("DROP", [])]
    assert forward(fill, "-j SET --del-set knocked src", look) == [("ACCEPT", [])]
    assert len(forward(fill, look.replace("src", "dst"))) == 2, "another address"


# ── ttl, tos, flags ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("change", "match", "verdict"),
    [
        ("PREROUTING -j TTL --ttl-set 3", "--ttl-lt 5", "DROP"),
        ("PREROUTING -j TTL --ttl-set 5", "--ttl-eq 4", "DROP"),
        ("PREROUTING -j TTL --ttl-inc 250", "--ttl-eq 254", "DROP"),
        ("FORWARD -j TTL --ttl-dec 63", "--ttl-eq 0", "DROP"),
        ("PREROUTING -j MARK --set-mark 1", "--ttl-eq 63", "DROP"),
        ("PREROUTING -j MARK --set-mark 1", "--ttl-eq 64", "ACCEPT"),
    ],
)
def test_ttl_of_a_forwarded_packet(change: str, match: str, verdict: str) -> None:
    text = dump(mangle=(change,), filter=(f"FORWARD -m ttl {match} -j DROP",))
    packet = Packet("198.51.100.7", "192.0.2.50", "udp", 4000, 53, "eth0", ttl=64)
    assert ends(text, packet) == [(verdict, [])]


def test_ttl_asked_is_that_of_arrival() -> None:
    assert forward("-m ttl --ttl-lt 5 -j DROP")[0] == ("DROP", ["the TTL is 1-5"])


def test_ttl_used_up_before_forward() -> None:
    (way,) = trace(dump(mangle=("PREROUTING -j TTL --ttl-set 1",), filter=("FORWARD -j ACCEPT",)))
    assert (way.verdict, way.reason) == ("DROP", "its TTL is used up")


def test_dscp_set_by_rule_not_asked() -> None:
    text = dump(mangle=("FORWARD -j DSCP --set-dscp-class EF",), filter=("FORWARD -m tos --tos 0xb8/0xfc -j DROP",))
    assert ends(text) == [("DROP", [])]
    half = text.replace("0xb8/0xfc", "0xb8/0xff")
    assert ends(half) == [
        ("DROP", ["the TOS octet is 0x00/0x03"]), ("ACCEPT", ["the TOS octet is not 0x00/0x03"])
    ]  # fmt: skip


def test_tcp_flags_in_words() -> None:
    packet = Packet("198.51.100.7", "192.0.2.50", "tcp", 4000, 53, "eth0")
    assert [assumed for _, assumed in forward("-p tcp --syn -j DROP", packet=packet)] == [
        ["the set of TCP flags is SYN of FIN,SYN,RST,ACK"], ["the set of TCP flags is not SYN of FIN,SYN,RST,ACK"]
    ]  # fmt: skip


# ── targets ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_tproxy_asks_for_socket_and_route() -> None:
    text = dump(mangle=("PREROUTING -p udp -j TPROXY --on-port 15001 --tproxy-mark 0x200/0xffffffff",))
    taken, not_routed, dropped = trace(text)
    assert (taken.hook, taken.packet.dst, taken.packet.mark) == ("INPUT", "192.0.2.50", 0x200)
    assert not_routed.reason == "a local socket has it, but the routing would forward it"
    assert dropped.reason == "TPROXY: no transparent socket at port 15001"


def test_synproxy_takes_handshake_only() -> None:
    text = dump(filter=("FORWARD -p tcp -j SYNPROXY", "FORWARD -j DROP"))
    for flags, verdict in (("SYN", "SYNPROXY"), ("ACK", "SYNPROXY"), ("SYN,ACK", "DROP"), ("RST", "DROP")):
        packet = Packet("198.51.100.7", "192.0.2.50", "tcp", 4000, 53, "eth0", tcp_flags=flags)
        assert [way.verdict for way in trace(text, packet)] == [verdict]


def test_hmark_makes_mark_unknown() -> None:
    hashed = "PREROUTING -j HMARK --hmark-tuple src --hmark-mod {} --hmark-offset 5 --hmark-rnd 1"
    look = ("FORWARD -m mark --mark 0x5 -j DROP",)
    assert [verdict for verdict, _ in ends(dump(mangle=(hashed.format(2),), filter=look))] == ["DROP", "ACCEPT"]
    assert ends(dump(mangle=(hashed.format(1),), filter=look)) == [("DROP", [])]


def test_prefix_translation_keeps_to_the_network() -> None:
    text = dump(
        mangle=("PREROUTING -j DNPT --src-pfx 2001:db8:1::/64 --dst-pfx 2001:db8:2::/64",),
        filter=("FORWARD -d 2001:db8:2::/48 -j DROP",),
    )
    outcomes = iptables.parse(text).trace(Packet("2001:db8:9::1", "2001:db8:1::7", "udp", 1, 53, "eth0"))
    assert [(way.verdict, way.packet.dst) for way in outcomes] == [("DROP", None)]


@pytest.mark.parametrize(
    ("to", "dport"),
    [
        ("203.0.113.8:50-60", 53),
        ("203.0.113.8:80-90", 80),
        ("203.0.113.8:8000-8099/50", 8003),
        ("203.0.113.8:80-90 --random", None),
    ],
)
def test_dnat_port_range(to: str, dport: int | None) -> None:
    (way,) = trace(dump(nat=(f"PREROUTING -p udp -j DNAT --to-destination {to}",)))
    assert way.packet.dport == dport


def test_first_ct_rule_counts() -> None:
    text = dump(
        raw=("PREROUTING -j CT --zone 5", "PREROUTING -j NOTRACK"), filter=("FORWARD -m state --state NEW -j DROP",)
    )
    assert ends(text) == [("DROP", [])]


# ── paths that end alike ─────────────────────────────────────────────────────────────────────────────────────


def test_sets_with_one_mark_are_two_ways() -> None:
    rules = tuple(f"FORWARD -m set --match-set pol{n} src -j MARK --set-xmark 0x10000/0x10000" for n in range(40))
    accepted, dropped = trace(dump("DROP", mangle=rules, filter=("FORWARD -m mark --mark 0x10000/0x10000 -j ACCEPT",)))
    assert [(way.verdict, float(way.probability)) for way in (accepted, dropped)] == [("ACCEPT", 1.0), ("DROP", 1.0)]
    assert {str(one) for case in accepted.alternatives for one in case} == {
        f"set pol{n} holds 198.51.100.7" for n in range(40)
    }
    assert len(dropped.assumes) == 40
    assert len(accepted.walked) == 2, "of the ways that are one, that with the fewest rules is shown"
    assert "assumed that one of these is true:" in accepted.explain()
    assert not is_certain([accepted, dropped])


def test_sets_in_chains_of_their_own_are_two_ways() -> None:
    """As Calico writes policies: a chain for each, which returns when the mark is set."""
    chains = "".join(f":p{n} - [0:0]\n-A p{n} -m set --match-set s{n} src -j MARK --set-mark 1\n" for n in range(30))
    jumps = "".join(f"-A FORWARD -j p{n}\n-A FORWARD -m mark --mark 1 -j RETURN\n" for n in range(30))
    text = f"*filter\n:FORWARD ACCEPT [0:0]\n{chains}{jumps}-A FORWARD -j DROP\nCOMMIT\n"
    assert [(way.verdict, len(way.alternatives)) for way in iptables.parse(text).trace(DNS, ROUTING)] == [
        ("ACCEPT", 30), ("DROP", 0)
    ]  # fmt: skip


def test_paths_with_a_question_to_come_stay_apart() -> None:
    text = dump(
        mangle=(
            "FORWARD -m set --match-set a src -j MARK --set-mark 1",
            "FORWARD -m set --match-set b src -j MARK --set-mark 1",
        ),
        filter=(
            "FORWARD -m set --match-set a src -m mark --mark 0 -j DROP",
            "FORWARD -m set --match-set a src -j REJECT",
        ),
    )
    assert [way.verdict for way in trace(text)] == ["REJECT", "ACCEPT", "ACCEPT"]


def test_joined_paths_keep_probabilities() -> None:
    half = "-m statistic --mode random --probability 0.5"
    text = dump(
        "DROP",
        filter=("FORWARD -m set --match-set a src -j ACCEPT", f"FORWARD {half} -j ACCEPT",
                "FORWARD -m set --match-set b src -j ACCEPT"),
    )  # fmt: skip
    found = [(way.verdict, float(way.probability), len(way.assumes)) for way in trace(text)]
    assert found == [("ACCEPT", 1, 1), ("ACCEPT", 0.5, 1), ("ACCEPT", 0.5, 2), ("DROP", 0.5, 2)]


# ── the parts ────────────────────────────────────────────────────────────────────────────────────────────────


def test_ranges_as_sets_of_numbers() -> None:
    one, other = ((0, 9), (20, 29)), ((5, 21), (29, 40))
    numbers = {n for first, last in one for n in range(first, last + 1)}
    others = {n for first, last in other for n in range(first, last + 1)}
    assert intersect(one, other) == join((n, n) for n in numbers & others)
    assert subtract(one, other) == join((n, n) for n in numbers - others)
    assert join([*one, *other]) == join((n, n) for n in numbers | others)


def test_assumption_typed() -> None:
    fact = Assumption(Subject("set a", "set a {holds|does not hold}", "192.0.2.50"), YES)
    assert (fact.question, fact.value, fact.answer, fact.holds) == ("set a holds", "192.0.2.50", "yes", True)
    port = Assumption(Subject("dport", "the destination port", domain=((0, 65535),)), ((0, 99),))
    assert (port.question, port.answer, str(port)) == ("the destination port", "0-99", "the destination port is 0-99")
    assert not fact.contradicts(port)
