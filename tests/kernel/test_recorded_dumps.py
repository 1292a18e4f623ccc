"""What a trace says a packet does, beside what this kernel does with thousands of packets under the same rules.

Each distinct dump of the recordings is loaded once, on a machine that has the addresses and routes its node had.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import pytest

from kanslib import iptables
from kanslib.iptables import Outcome, Packet, Routing, Rule, Ruleset
from kanslib.iptables.outcome import WalkedRule
from kanslib.recording import Recording

from .machine import SIGMAS, Machine, chi_squared, fits, machine, needs_kernel, text_of

EACH = 150  # connections of a flow
CLIENT = "172.18.0.100"
ACCOUNTS = ("localhost_nps_accepted_pkts", "ct_state_invalid_dropped_pkts")


@dataclass(frozen=True)
class Loaded:
    """One distinct dump, and the machine it was read on."""

    text: str
    routing: Routing


@dataclass(frozen=True)
class Flow:
    """Many connections of one kind, and what the trace says of each."""

    packet: Packet
    sources: tuple[str, ...]
    outcomes: tuple[Outcome, ...]

    @property
    def disturbs(self) -> bool:
        """True when the machine answers: its answers are counted, too, by rules that ask every packet."""
        return any(way.hook == "INPUT" or way.verdict == "REJECT" for way in self.outcomes)


def distinct(recording: Recording) -> Iterator[Loaded]:
    reads = [read for read in recording.reads() if read.rc == 0]
    beside = {command: [read for read in reads if read.command == command] for command in ("ip -j addr", "ip -j route")}
    seen = set()
    for read in reads:
        if read.command != "iptables-save -c":
            continue
        text = recording.text(read.file)
        rules = read.place, re.sub(r"(?m)^#.*\n|\[\d+:\d+\] ?", "", text)
        if rules not in seen:
            seen.add(rules)
            addresses, routes = (
                min((near for near in found if near.place == read.place), key=lambda near: abs(near.t - read.t))
                for found in beside.values()
            )
            yield Loaded(text, Routing.read(recording.text(addresses.file), recording.text(routes.file)))


def flows(ruleset: Ruleset, routing: Routing) -> Iterator[Flow]:
    """To every address and NodePort of a Service: from outside, from a Pod of this node, from the node itself."""
    own = next(held.address for held in routing.interfaces if held.dev == "eth0")
    pods = [(route.value, route.dev) for route in routing.routes if route.prefix == 32 and route.dev.startswith("veth")]
    senders = [(CLIENT, "eth0"), (own, None), *[(text_of(32, value), dev) for value, dev in pods[:1]]]
    for number, (dst, protocol, dport) in enumerate(targets(ruleset, own)):
        for src, dev in senders:
            packet = Packet(src, dst, protocol, dport=dport, in_interface=dev)
            outcomes = ruleset.trace(packet, routing)
            asked = {assumed.subject.name for way in outcomes for assumed in way.assumes}
            assert all(name.startswith("recent KUBE-SEP-") for name in asked), asked
            fresh = tuple(way for way in outcomes if not any(assumed.holds for assumed in way.assumes))
            assert sum(way.probability for way in fresh) == 1
            if asked and dev != "eth0":
                continue
            many = tuple(f"172.18.{100 + number}.{host}" for host in range(1, EACH + 1)) if asked else (src,)
            yield Flow(packet, many, fresh)


def targets(ruleset: Ruleset, own: str) -> list[tuple[str, str, int]]:
    found = [("8.8.8.8", "udp", 53), ("172.18.0.1", "udp", 53)]
    for chain, table in (("KUBE-SERVICES", "nat"), ("KUBE-NODEPORTS", "nat"), ("KUBE-EXTERNAL-SERVICES", "filter")):
        for rule in ruleset.chain(chain, table):
            protocol, port = rule.option("-p"), rule.option("--dport")
            if protocol and port and not (chain == "KUBE-NODEPORTS" and rule.option("-d")):
                found.append(((rule.option("-d") or own).removesuffix("/32"), protocol, int(port)))
    return list(dict.fromkeys(found))


def check(made: Machine, flavour: str, text: str, sent: list[Flow], quiet: bool, each: int = EACH) -> dict[str, float]:
    """Load, send, compare where packets left and what each rule counted; returns the worst and the sums."""
    made.load(text, flavour)
    squared = bound = worst = 0.0
    for flow in sent:
        seen = made.send(flow.packet, each, flow.sources)
        wanted: dict[object, Fraction] = defaultdict(Fraction)
        for way in flow.outcomes:
            if way.verdict == "ACCEPT" and way.hook == "POSTROUTING":
                source = "?" if len(flow.sources) > 1 and way.packet.src == flow.packet.src else way.packet.src
                wanted[way.packet.out_interface, source, way.packet.dst, way.packet.dport] += way.probability
        counted: dict[object, int] = defaultdict(int)
        for (dev, src, dst, dport), number in seen.items():
            counted[dev, "?" if src in flow.sources and len(flow.sources) > 1 else src, dst, dport] += number
        counted = {key: number for key, number in counted.items() if quiet or key in wanted}
        assert set(counted) <= set(wanted), (flow.packet, counted, dict(wanted))
        if arrive := sum(wanted.values()):
            counted["lost"], wanted["lost"] = each - sum(counted.values()), 1 - arrive
        for key, probability in wanted.items():
            assert fits(counted.get(key, 0), each, probability), (flow.packet, key, counted, dict(wanted))
        possible = {key: probability for key, probability in wanted.items() if probability}
        if len(possible) > 1:
            found, most = chi_squared(counted, possible)
            assert found <= most, (flow.packet, counted, dict(wanted))
            squared, bound = squared + found, bound + len(possible) - 1
    after = iptables.parse(made.save(flavour))
    for rule, position, mean, spread in counts(iptables.parse(text), sent, each):
        if not quiet and rule.table != "nat":
            continue
        packets = after.chain(rule.chain, rule.table).rules[position].packets
        assert packets is not None
        off = abs(packets - mean) / spread if spread else 0.0
        assert packets == mean if not spread else off <= SIGMAS, (rule.raw, packets, mean, spread)
        worst = max(worst, off)
    return {"χ²": squared, "freedom": bound, "worst rule, σ": worst}


def counts(ruleset: Ruleset, sent: list[Flow], each: int) -> Iterator[tuple[Rule, int, float, float]]:
    """What each rule, at its position in its chain, should count after all flows: mean and standard deviation."""
    mean: dict[WalkedRule, Fraction] = defaultdict(Fraction)
    variance: dict[WalkedRule, Fraction] = defaultdict(Fraction)
    for flow in sent:
        once: dict[WalkedRule, Fraction] = defaultdict(Fraction)
        square: dict[WalkedRule, Fraction] = defaultdict(Fraction)
        for way in flow.outcomes:
            for rule in set(way.walked):
                times = way.walked.count(rule)
                once[rule] += way.probability * times
                square[rule] += way.probability * times**2
        for rule, value in once.items():
            mean[rule] += each * value
            variance[rule] += each * (square[rule] - value**2)
    for table in ruleset.tables:
        for name in ruleset.names(table):
            for position, rule in enumerate(ruleset.chain(name, table)):
                yield rule, position, float(mean[rule]), float(variance[rule]) ** 0.5


def all_dumps(recording: Recording) -> tuple[int, int, float, float]:
    """Every distinct dump of a recording on this kernel; how many dumps, connections, χ² and its degrees of freedom."""
    needs_kernel()
    number = connections = 0
    squared = freedom = 0.0
    for number, loaded in enumerate(distinct(recording), 1):
        ruleset = iptables.parse(loaded.text)
        flavour = ("nft", "legacy")[number % 2]
        sent = [*flows(ruleset, loaded.routing)]
        with machine(loaded.routing) as made:
            made.accounts(ACCOUNTS)
            for quiet in (True, False):
                some = [flow for flow in sent if flow.disturbs != quiet]
                found = check(made, flavour, loaded.text, some, quiet)
                squared, freedom = squared + found["χ²"], freedom + found["freedom"]
                connections += EACH * len(some)
    return number, connections, squared, freedom


@pytest.mark.kernel_long
def test_trace_equals_kernel_on_shipped_dumps(recording: Recording) -> None:
    dumps, connections, squared, freedom = all_dumps(recording)
    print(f"{dumps} dumps, {connections:,} connections, χ² {squared:.0f} at {freedom:.0f} degrees of freedom")
    assert dumps >= 60
    assert abs(squared - freedom) < 6 * (2 * freedom) ** 0.5, "all dice together"
