"""Random rulesets of nftables, random packets: what the trace says beside what this kernel counts."""

from __future__ import annotations

import random
from collections import Counter as Counted
from collections import defaultdict
from collections.abc import Iterator
from fractions import Fraction

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from kanslib import nftables
from kanslib.iptables import Outcome, Packet
from kanslib.iptables.questions import Question
from kanslib.iptables.ranges import contains
from kanslib.iptables.tracer import Tracer
from kanslib.k8s import kubeproxy_nftables
from kanslib.k8s.kubeproxy import Config
from kanslib.nftables.compiler import CompiledRuleset
from kanslib.nftables.syntax import Counter
from tests.iptables.rulesets import PORTS, ROUTING, TRIES, packets
from tests.nftables.rulesets import rulesets
from tests.peers.random_clusters import random_cluster

from .machine import SIGMAS, Machine, fits, machine

KINDS = st.lists(packets(), min_size=1, max_size=4, unique=True)
EACH = 40  # packets of a kind


class Namespace:
    """What is so in a namespace: a number that is asked for is 0."""

    def answer(self, question: Question) -> bool:
        return question.subject.is_fact or contains(question.values, 0)


@pytest.fixture(scope="module")
def made() -> Iterator[Machine]:
    with machine(ROUTING) as found:
        found.listen(PORTS)
        yield found


def traced(text: str, packet: Packet) -> list[Outcome]:
    outcomes = Tracer((CompiledRuleset(nftables.parse(text).tables),)).trace(packet, ROUTING, answers=Namespace())
    assert sum(way.probability for way in outcomes) == 1
    return outcomes


def counters(text: str) -> list[tuple[int, int | None]]:
    """The line of each rule, and what its last counter has counted."""
    return [
        (rule.line, next((one.packets for one in reversed(rule.statements) if isinstance(one, Counter)), None))
        for table in nftables.parse(text).tables
        for chain in table.chains.values()
        for rule in chain.rules
    ]


def compare(made: Machine, script: str, packet: Packet, each: int) -> None:
    """Send packets of one kind through a fresh copy of a ruleset."""
    made.load_nftables(script)
    text = made.list_nftables()
    outcomes = traced(text, packet)
    seen = made.send(packet, each)
    wanted: dict[object, Fraction] = defaultdict(Fraction)
    for way in outcomes:
        if way.verdict == "ACCEPT" and way.hook == "POSTROUTING":
            wanted[way.packet.out_interface, way.packet.src, way.packet.dst, way.packet.dport] += way.probability
    assert set(seen) <= set(wanted), (text, packet, seen, dict(wanted), [way.explain() for way in outcomes])
    for key, probability in wanted.items():
        assert fits(seen.get(key, 0), each, probability), (text, packet, key, seen, dict(wanted))  # type: ignore[call-overload]
    mean: dict[int, Fraction] = defaultdict(Fraction)
    square: dict[int, Fraction] = defaultdict(Fraction)
    for way in outcomes:
        for line, times in Counted(rule.line for rule in way.walked).items():
            mean[line] += way.probability * times
            square[line] += way.probability * times**2
    # sets have more lines now; the rules are the same
    for (line, before), (_, number) in zip(counters(text), counters(made.list_nftables()), strict=True):
        if before is None or number is None:
            continue
        spread = float(each * (square[line] - mean[line] ** 2)) ** 0.5
        off = abs(number - float(each * mean[line]))
        assert off <= SIGMAS * spread, (
            text,
            packet,
            line,
            number,
            each * mean[line],
            [way.explain() for way in outcomes],
        )


@pytest.mark.kernel
@settings(TRIES, max_examples=60)
@given(script=rulesets(), kinds=KINDS)
def test_nftables_trace_equals_kernel_on_random_rulesets(made: Machine, script: str, kinds: list[Packet]) -> None:
    for packet in kinds:
        compare(made, script, packet, EACH)


@pytest.mark.kernel_long
@settings(TRIES, max_examples=200)
@given(script=rulesets(), kinds=KINDS)
def test_nftables_trace_equals_kernel_on_many_random_rulesets(made: Machine, script: str, kinds: list[Packet]) -> None:
    for packet in kinds:
        compare(made, script, packet, EACH)


@pytest.mark.kernel
@settings(TRIES, max_examples=40)
@given(script=rulesets())
def test_nftables_text_and_json_are_the_same_rules(made: Machine, script: str) -> None:
    made.load_nftables(script)
    try:
        listed = made.list_nftables_as_json()
    except RuntimeError as error:  # nft 1.0.6 cannot print every rule as JSON
        assume("Assertion" not in str(error))
        raise
    text, as_json = (nftables.parse(one) for one in (made.list_nftables(), listed))
    for read, other in zip(text.tables, as_json.tables, strict=True):
        assert read.chains.keys() == other.chains.keys()
        for name, chain in read.chains.items():
            assert chain.base == other.chains[name].base
            pairs = zip(chain.rules, other.chains[name].rules, strict=True)
            assert [(one.statements, one.handle) for one, _ in pairs] == [
                (one.statements, one.handle) for one in other.chains[name].rules
            ]
        for name, found in read.sets.items():
            assert found.elements == other.sets[name].elements


@pytest.mark.kernel
@pytest.mark.parametrize("seed", range(20))
def test_nft_prints_the_table_of_kube_proxy_as_it_is_written(made: Machine, seed: int) -> None:
    cluster = random_cluster(random.Random(seed))
    given = cluster["config"]
    pods, services = ("2001:db8:1::/64", "2001:db8:2::/64") if given["ipv6"] else ("10.1.0.0/16", "198.51.100.0/24")
    config = Config(pods, {"n1": given["nodeIP"]}, ipv6=given["ipv6"], service_cidr=services)
    written = str(kubeproxy_nftables.write(cluster["services"], cluster["endpointSlices"], "n1", config))
    made.load_nftables(written)
    (ours,), (listed,) = (nftables.parse(text).tables for text in (written, made.list_nftables()))
    assert ours.chains.keys() == listed.chains.keys()
    for name, chain in ours.chains.items():
        assert chain.base == listed.chains[name].base
        if not name.startswith("firewall-"):  # nft merges ranges that overlap
            assert [one.statements for one in chain.rules] == [one.statements for one in listed.chains[name].rules]
    for name, found in ours.sets.items():
        assert set(found.elements) == set(listed.sets[name].elements)
