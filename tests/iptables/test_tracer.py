from __future__ import annotations

import math
import sys
from fractions import Fraction
from unittest.mock import patch

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from kanslib import iptables
from kanslib.exceptions import PacketError
from kanslib.iptables import Assumption, Outcome, Packet, Routing, Ruleset, TraceError, compiled
from kanslib.iptables.compiled import CompiledDump
from kanslib.iptables.ranges import contains
from kanslib.iptables.tracer import Limits, Tracer
from kanslib.recording import Recording
from tests.nftables.ipv6_rulesets import DUAL
from tests.types import OpenLab

from .kube_dump import kube_dump, pod, vip
from .recorded_dumps import recorded_dumps as recorded
from .rulesets import ROUTING, TRIES, dumps, packets

COMING = Packet("10.0.0.7", "10.0.1.20", "udp", 10000, 53, "eth0")

QUICK = settings(TRIES, max_examples=150)


def filtered(*rules: str, policy: str = "ACCEPT", chains: tuple[str, ...] = ()) -> str:
    declared = "".join(f":{name} - [0:0]\n" for name in chains)
    return f"*filter\n:FORWARD {policy} [0:0]\n{declared}" + "".join(f"-A {rule}\n" for rule in rules) + "COMMIT\n"


def ways(*rules: str, packet: Packet = COMING, policy: str = "ACCEPT", chains: tuple[str, ...] = ()) -> list[Outcome]:
    return iptables.parse(filtered(*rules, policy=policy, chains=chains)).trace(packet, ROUTING)


def limited(limits: Limits, *rules: str, chains: tuple[str, ...] = ()) -> list[Outcome]:
    return Tracer((CompiledDump(iptables.parse(filtered(*rules, chains=chains))),), limits).trace(COMING, ROUTING)


def verdicts(*rules: str, **options: object) -> list[str]:
    return [way.verdict for way in ways(*rules, **options)]  # type: ignore[arg-type]


# ── what the cluster did ─────────────────────────────────────────────────────────────────────────────────────


def test_trace_source_equals_what_pod_saw(open_lab: OpenLab) -> None:
    lab = open_lab("iptables")
    walk = lab.trace("svc1")
    promised = {way.packet.src for way in walk}
    assert set(lab.curl("svc1").REMOTE) <= promised
    trip = lab.capture_path("svc1")
    first = trip[trip.FLAGS == "S"]
    at_the_pod = first.iloc[-1]
    assert (at_the_pod.FROM.partition(":")[0], at_the_pod.TO) in {
        (way.packet.src, f"{way.packet.dst}:{way.packet.dport}") for way in walk
    }


def test_trace_equals_counters_of_hundred_requests(open_lab: OpenLab) -> None:
    lab = open_lab("iptables")
    before = lab.rules("myk8s-worker")
    walk = lab.trace("svc1")
    answers = lab.curl("svc1", times=100).COUNT.tolist()
    moved = {one.rule.text: one.packets for one in before.diff(lab.rules("myk8s-worker")).counters}
    nat = {rule.text: sum(w.probability for w in walk if rule in w.walked) for w in walk for rule in w.walked}
    for text, probability in nat.items():
        if (text.startswith(("-A KUBE-EXT", "-A KUBE-S")) and "svc1" in text) or "KUBE-EXT-" in text:
            if probability == 1:
                assert moved[text] == 100
            else:
                deviation = float(100 * probability * (1 - probability)) ** 0.5
                assert abs(moved[text] - 100 * probability) < 6 * deviation
                assert moved[text] in answers


def test_trace_equals_recorded_answers(open_lab: OpenLab) -> None:
    """Traffic policy, affinity, source ranges: who answered, whom it took for its client, or nobody."""
    lab = open_lab("etp-local")
    lab.at("apply-etp-local")
    (way,) = lab.trace("svc1")
    answer = lab.curl("svc1").iloc[0]
    assert (way.packet.src, answer.REMOTE) == (lab.address(lab.client),) * 2
    assert [way.verdict for way in lab.trace("svc1", node="myk8s-worker3")] == ["DROP"]
    lab.at("apply-source-ranges")
    assert [way.verdict for way in lab.trace("svc2", source="myk8s-worker3")] == ["DROP"]
    assert lab.curl("svc2", source="myk8s-worker3").HOSTNAME.tolist() == ["(no answer): timed out"]
    assert {way.verdict for way in lab.trace("svc2")} == {"ACCEPT"}


def test_trace_affinity_splits_on_earlier_packets(open_lab: OpenLab) -> None:
    lab = open_lab("etp-local")
    lab.at("apply-session-affinity")
    walk = lab.trace("svc3")
    new = [way for way in walk if not any(assumed.holds for assumed in way.assumes)]
    assert [way.probability for way in new] == [Fraction(1, 2)] * 2
    known = [way for way in walk if way not in new]
    assert [way.probability for way in known] == [1, 1]
    assert {way.packet.dst for way in known} == {way.packet.dst for way in new}
    assert len(lab.curl("svc3", times=100)) == 1


def test_trace_dead_endpoint_until_rules_change(open_lab: OpenLab) -> None:
    lab = open_lab("failover")
    lab.at("kill-node", after=15)
    early = lab.trace("svc1")
    lab.at("kill-node")
    late = lab.trace("svc1")
    assert [way.probability for way in early] == [Fraction(1, 2)] * 2
    assert [way.probability for way in late] == [1]
    dead = {way.packet.dst for way in early} - {way.packet.dst for way in late}
    assert lab.pods().set_index("IP").NODE[str(dead.pop())] == "myk8s-worker"


def test_trace_nodeport_shares_endpoints(open_lab: OpenLab) -> None:
    lab = open_lab("iptables")
    leader = lab.leader("svc1")
    port = lab.object("service", "svc1")["spec"]["ports"][0]["nodePort"]
    by_vip, by_port = ({rule.text for rule in lab.trace(to)[0].walked} for to in ("svc1", f"{leader}:{port}"))
    chains = {text.split()[1] for text in by_vip ^ by_port}
    assert chains == {"KUBE-SERVICES", "KUBE-NODEPORTS"}


def test_trace_names_assumptions(open_lab: OpenLab) -> None:
    lab = open_lab("iptables")
    with pytest.raises(Exception, match=r"no source named 'nobody'"):
        lab.trace("svc1", source="nobody")
    assert "derived from that node's rules" in str(lab.trace("svc1").provenance)


# ── the same, however it is walked ───────────────────────────────────────────────────────────────────────────


def without_index(ruleset: Ruleset, packet: Packet, routing: Routing | None = None) -> list[Outcome]:
    """The same trace, in which every rule of a chain is evaluated."""
    with patch.object(compiled, "INDEXED_FROM", math.inf):
        return ruleset.trace(packet, routing)


def shown(outcomes: list[Outcome]) -> list[tuple[object, ...]]:
    return [(way.probability, way.verdict, way.packet, way.walked, way.assumes) for way in outcomes]


def test_tracer_index_equals_naive_on_recorded_dumps(recording: Recording) -> None:
    for text in recorded(recording)[::25]:
        ruleset = iptables.parse(text)
        for rule in ruleset.chain("KUBE-SERVICES"):
            address, port = rule.option("-d"), rule.option("--dport")
            if address and port:
                to = Packet(
                    "172.18.0.100", address.removesuffix("/32"), rule.option("-p") or "", None, int(port), "eth0"
                )
                assert shown(ruleset.trace(to)) == shown(without_index(ruleset, to))


@pytest.mark.slow
@settings(TRIES, max_examples=50)
@given(text=dumps(), packet=packets(), with_routing=st.booleans())
def test_trace_unknown_splits_into_each_packet(text: str, packet: Packet, with_routing: bool) -> None:
    """The outcomes of a packet with unknown fields that agree with a complete packet are that packet's outcomes."""
    text = text.replace("--restore-mark", "--save-mark")  # else its mark is one that the trace cannot know
    little = Packet(packet.src, packet.dst, "udp", in_interface=packet.in_interface, ctstate=None)
    routing = ROUTING if with_routing else None
    ruleset = iptables.parse(text)
    with patch.object(compiled, "INDEXED_FROM", 1):
        outcomes = ruleset.trace(little, routing)
    assert shown(outcomes) == shown(without_index(ruleset, little, routing))
    if routing is None:
        return  # the routing decision does not branch: another machine's address is assumed, and stated
    asked = {one.subject.name for way in outcomes for case in way.cases for one in case}
    assume(asked <= {"ctstate", "mark", *Packet.__dataclass_fields__})  # all that a packet settles
    agreeing = [way for way in outcomes if any(all(agrees(one, packet) for one in case) for case in way.cases)]
    whole = ruleset.trace(packet, ROUTING)
    assert ends(agreeing) == ends(whole)
    assert sum(way.probability for way in agreeing) == 1


def ends(outcomes: list[Outcome]) -> dict[object, Fraction]:
    """The share of each end: its verdict and the packet's addresses and mark."""
    found: dict[object, Fraction] = {}
    for way in outcomes:
        packet = way.packet
        key = way.verdict, way.reason, way.hook, packet.src, packet.dst, packet.mark
        found[key] = found.get(key, Fraction(0)) + way.probability
    return found


def agrees(assumed: Assumption, packet: Packet) -> bool:
    if assumed.subject.name == "ctstate":
        return contains(assumed.values, 0)  # NEW is the first of the states
    if assumed.subject.name == "mark":  # of the connection: 0 for a new one
        return assumed.holds == assumed.value.startswith("0x0/")
    return contains(assumed.values, getattr(packet, assumed.subject.name))


def test_trace_index_keeps_work_small_at_five_thousand_services() -> None:
    def calls(services: int) -> int:
        ruleset, count = iptables.parse(kube_dump(services)), 0
        packet = Packet("172.18.0.100", vip(services // 2), dport=80, in_interface="eth0")
        assert [way.packet.dst for way in ruleset.trace(packet)] == [pod(services // 2, n, 2) for n in range(2)]

        def counted(_frame: object, event: str, _argument: object) -> None:
            nonlocal count
            count += event in ("call", "c_call")

        sys.setprofile(counted)
        ruleset.trace(packet)
        sys.setprofile(None)
        return count

    assert calls(5000) < 1.5 * calls(20)


def test_trace_two_hundred_endpoints_equal_probability() -> None:
    found = iptables.parse(kube_dump(3, 200)).trace(Packet("172.18.0.100", vip(1), dport=80, in_interface="eth0"))
    assert len({way.packet.dst for way in found}) == 200
    assert sum(way.probability for way in found) == 1
    assert max(abs(way.probability - Fraction(1, 200)) for way in found) < Fraction(1, 10**8)


# ── chains ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_trace_jump_returns_goto_does_not() -> None:
    back = ("FORWARD -j one", "FORWARD -j DROP", "one -j two", "one -j ACCEPT", "two -j RETURN")
    assert verdicts(*back, chains=("one", "two")) == ["ACCEPT"]
    gone = ("FORWARD -j one", "FORWARD -j DROP", "one -g two", "one -j ACCEPT", "two -j RETURN")
    assert verdicts(*gone, chains=("one", "two")) == ["DROP"], "from a goto's chain back to the one that jumped"
    assert verdicts("FORWARD -g one", "FORWARD -j DROP", chains=("one",)) == ["ACCEPT"], "the policy"


def test_trace_chain_policy_explained() -> None:
    (way,) = ways("FORWARD -s 10.9.9.9 -j ACCEPT", policy="DROP")
    assert (way.verdict, way.reason, way.walked) == ("DROP", "policy of filter FORWARD", ())
    assert way.explain().endswith("1 → DROP at FORWARD (policy of filter FORWARD)")
    (way,) = ways("FORWARD -j REJECT --reject-with icmp-port-unreachable")
    assert (way.verdict, way.reason) == ("REJECT", "icmp-port-unreachable")


def test_trace_loops_refused() -> None:
    with pytest.raises(TraceError, match="line 7: one → two → one: a circle"):
        ways("FORWARD -j one", "one -j two", "two -j one", chains=("one", "two"))
    with pytest.raises(TraceError, match="a → a: a circle"):
        ways("FORWARD -g a", "a -g a", chains=("a",))


def test_trace_limits_refused() -> None:
    chains = tuple(f"c{n}" for n in range(13))
    deep = [f"c{n} -j c{n + 1}" for n in range(12)]
    with pytest.raises(TraceError, match="more than 10 chains deep"):
        limited(Limits(depth=10), "FORWARD -j c0", *deep, chains=chains)
    often = [rule for rule in deep for _ in (1, 2)]
    with pytest.raises(TraceError, match=r"more than 1,000 rules .* chains call each other too often"):
        limited(Limits(rules=1000), "FORWARD -j c0", *often, chains=chains)
    many = [f"FORWARD -m set --match-set s{n} src -j MARK --set-xmark {1 << n:#x}/0x0" for n in range(6)]
    with pytest.raises(TraceError, match="more than 50 paths"):
        limited(Limits(paths=50), *many)
    assert len(limited(Limits(paths=64), *many)) == 64


# ── unknown fields ─────────────────────────────────────────────────────────────────────────────────────────


def test_trace_unknown_splits_once() -> None:
    rules = (
        "FORWARD -m set --match-set bad src -j MARK --set-xmark 0x1/0x1",
        "FORWARD -m set ! --match-set bad src -j DROP",
    )
    bad, good = ways(*rules)
    assert (bad.verdict, bad.packet.mark, str(bad.assumes[0])) == ("ACCEPT", 1, "set bad holds 10.0.0.7")
    assert (good.verdict, str(good.assumes[0])) == ("DROP", "set bad does not hold 10.0.0.7")
    assert [bad.probability, good.probability] == [1, 1], "each is certain, given what it assumes"


def test_trace_unknown_ports_narrowed() -> None:
    rules = (
        "FORWARD -p udp -m udp --dport 0:99 -j MARK --set-xmark 0x1/0x1",
        "FORWARD -p udp -m udp --dport 50 -j DROP",
        "FORWARD -p udp -m udp --dport 100:65535 -j REJECT",
    )
    unknown = Packet("10.0.0.7", "10.0.1.20", "udp", 10000, None, "eth0")
    found = [(way.verdict, way.packet.mark) for way in ways(*rules, packet=unknown)]
    assert found == [("DROP", 1), ("ACCEPT", 1), ("REJECT", 0)], "no way has a port that is both below and above 100"


def test_trace_conntrack_states_exclusive() -> None:
    rules = (
        "FORWARD -m conntrack --ctstate NEW -j DROP",
        "FORWARD -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT",
        "FORWARD -m conntrack --ctstate INVALID,UNTRACKED -j REJECT",
        "FORWARD -j DROP",
    )
    unknown = Packet("10.0.0.7", "10.0.1.20", "udp", 10000, 53, "eth0", ctstate=None)
    assert [way.verdict for way in ways(*rules, packet=unknown)] == ["DROP", "ACCEPT", "REJECT"]


def test_trace_nat_first_packet_only() -> None:
    text = "*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p udp -j DNAT --to-destination 10.0.1.21\nCOMMIT\n"
    later = Packet("10.0.0.7", "10.0.1.20", "udp", 10000, 53, "eth0", ctstate="ESTABLISHED")
    (way,) = iptables.parse(text).trace(later, ROUTING)
    assert way.packet.dst == "10.0.1.20"
    assert "follow conntrack's memory" in way.notes[0]
    (way,) = iptables.parse(text).trace(COMING, ROUTING)
    assert way.packet.dst == "10.0.1.21"


def test_trace_unknown_target_both_ways() -> None:
    ruleset = iptables.parse(filtered("FORWARD -j TARPIT --tarpit", "FORWARD -j DROP"))
    on, ended = ruleset.trace(COMING, ROUTING)
    assert (on.verdict, ended.verdict) == ("DROP", "TARPIT")
    assert [text for _, text in ruleset.unknown] == ["-j TARPIT --tarpit"]


def test_trace_unknown_rule_kept_and_named() -> None:
    text = "*nat\n:X - [0:0]\n-A X -s ! 10.0.0.0/8 -j DNAT [unsupported revision]\n-A X -m shiny --new 3 -j Y\nCOMMIT\n"
    ruleset = iptables.parse(text)
    assert ruleset.save() == text
    assert [text for _, text in ruleset.unknown] == ["-j DNAT [unsupported revision]", "-m shiny --new 3"]
    assert ruleset.chain("X").rules[0].body.own["-s"].negated


def test_trace_without_routing_assumption() -> None:
    (way,) = iptables.parse(filtered("FORWARD -j ACCEPT")).trace(COMING)
    assert [str(assumed) for assumed in way.assumes] == ["10.0.1.20 is not an address of this machine"]
    (way,) = iptables.parse(filtered("FORWARD -j ACCEPT")).trace(Packet("10.0.0.7", "127.0.0.1", in_interface="lo"))
    assert (way.hook, way.assumes) == ("INPUT", ())


def test_trace_routing_decides_chain() -> None:
    nowhere = Routing.read("[]", "[]")
    (way,) = iptables.parse(filtered("FORWARD -j ACCEPT")).trace(COMING, nowhere)
    assert way.verdict == "NO ROUTE"
    (way,) = ways("FORWARD -o eth1 -j DROP")
    assert (way.verdict, way.packet.out_interface) == ("DROP", "eth1")
    with pytest.raises(PacketError, match="not what `ip -j addr`"):
        Routing.read("eth0", "[]")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"src": "here", "dst": "10.0.0.1"}, "src='here' is no address"),
        ({"src": "10.0.0.1", "dst": "fd00::1"}, "one family"),
        ({"src": "10.0.0.1", "dst": "10.0.0.2", "dport": 70000}, "dport=70000 is out of range"),
        ({"src": "10.0.0.1", "dst": "10.0.0.2", "ctstate": "OLD"}, "expected one of NEW"),
        ({"src": "10.0.0.1", "dst": "10.0.0.2", "protocol": "carrier pigeon"}, "expected a number up to 255"),
    ],
)
def test_packet_impossible_refused(arguments: dict[str, object], words: str) -> None:
    with pytest.raises(PacketError, match=words):
        Packet(**arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("2001:db8:0:1::", "ANYCAST"),
        ("2001:db8:0:1::1", "LOCAL"),
        ("2001:db8:0:1::2", "UNICAST"),
        ("10.0.1.0", "UNICAST"),
    ],
)
def test_first_address_of_a_network_of_ipv6_belongs_to_its_routers(address: str, kind: str) -> None:
    assert DUAL.type_of(address) == kind
    assert DUAL.type_of(address, "eth0") == "UNICAST"
