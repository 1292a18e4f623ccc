"""Random rulesets of nftables, random packets: what the trace says beside what this kernel counts."""

from __future__ import annotations

import random
import re
from collections import Counter as Counted
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from fractions import Fraction

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from kanslib import iptables, nftables
from kanslib.iptables import Outcome, Packet
from kanslib.iptables.compiled import CompiledDump
from kanslib.iptables.outcome import WalkedRule
from kanslib.iptables.tracer import Tracer
from kanslib.k8s import kubeproxy_nftables
from kanslib.k8s.kubeproxy import Config
from kanslib.nftables.compiler import CompiledRuleset
from tests.iptables.rulesets import HOOKS, PORTS, TRIES, dumps
from tests.iptables.rulesets import packets as packets_of_ipv4
from tests.nftables.ipv6_rulesets import DUAL
from tests.nftables.rulesets import packets, rulesets
from tests.peers.random_clusters import random_cluster

from .machine import SIGMAS, Machine, fits, machine
from .test_random_rulesets import Namespace

KINDS = st.lists(packets(), min_size=1, max_size=4, unique=True)
KINDS_OF_IPV4 = st.lists(packets_of_ipv4(), min_size=1, max_size=4, unique=True)  # those of iptables' dumps


@dataclass(frozen=True)
class Beside:
    """A dump of iptables on the same machine: how it is loaded, and whether before the rules of nftables."""

    dump: str = ""
    flavour: str = ""
    is_older: bool = True


NOTHING = Beside()
MIXED = st.builds(Beside, dumps(), st.sampled_from(["nft", "legacy"]), st.booleans()).filter(
    lambda one: one.flavour == "nft" or one.is_older  # the dump of iptables-legacy does not say when it was loaded
)
EACH = 40  # packets of a kind
COUNTED = re.compile(r"counter packets (\d+)")
# the kernel counts before it finds that the translation is not for this family; a trace names the rules that act
OF_THE_KERNEL = re.compile(r"(l4proto|nexthdr|protocol) != udp")  # its own ICMPv6 comes beside, to find neighbors
TRANSLATED = re.compile(r"counter packets \d+ bytes \d+ .*?\b[sd]nat (ip6?) ")


@pytest.fixture(scope="module")
def made() -> Iterator[Machine]:
    with machine(DUAL) as found:
        found.listen(PORTS)
        yield found


@dataclass(frozen=True)
class Loaded:
    """The rules that a machine has: as nft lists them, and those of iptables beside them, as iptables-save does."""

    text: str
    beside: str = ""

    def traced(self, packet: Packet) -> list[Outcome]:
        ruleset = nftables.parse(self.text)
        compiled = CompiledRuleset(ruleset.tables, ruleset.managed if self.beside else frozenset())
        dumps = [CompiledDump(iptables.parse(self.beside), compiled.ranks)] if self.beside else []
        outcomes = Tracer((compiled, *dumps)).trace(packet, DUAL, answers=Namespace())
        assert sum(way.probability for way in outcomes) == 1
        return outcomes

    def counters(self, families: AbstractSet[int]) -> Iterator[tuple[tuple[str, int], int]]:
        """Yield each rule that counts packets of some families, by its language and line, and what it has counted."""
        theirs = False
        for number, line in enumerate(self.text.splitlines(), 1):
            if line.startswith("table "):  # those of iptables-nft are counted by its own dump
                theirs = bool(self.beside) and line.split()[2] in HOOKS
            elif (counted := COUNTED.findall(line)) and not theirs and not counts_others(line, families):
                yield ("nftables", number), int(counted[-1])
        for one in iptables.parse(self.beside).rules() if self.beside else ():
            yield ("iptables", one.line), one.packets or 0


def counts_others(line: str, families: AbstractSet[int]) -> bool:
    """Return whether a rule counts packets that it does nothing to, or that nobody has sent here."""
    translated = TRANSLATED.search(line)
    is_of_others = translated is not None and families != {6 if translated[1] == "ip6" else 4}
    return is_of_others or OF_THE_KERNEL.search(line) is not None


def listed(made: Machine, flavour: str = "") -> Loaded:
    return Loaded(made.list_nftables(), made.save(flavour) if flavour else "")


def compare(made: Machine, script: str, packets: Sequence[Packet], each: int, beside: Beside = NOTHING) -> None:
    """Send packets of some kinds through a fresh copy of the rules, one kind after the other."""
    made.load_nftables("" if beside.is_older else script)
    if beside.flavour:
        made.load(beside.dump, beside.flavour)
    if beside.is_older:
        made.add_nftables(script)
    loaded, families = listed(made, beside.flavour), {packet.family for packet in packets}
    mean: dict[tuple[str, int], Fraction] = defaultdict(Fraction)
    variance: dict[tuple[str, int], Fraction] = defaultdict(Fraction)
    most: dict[tuple[str, int], int] = defaultdict(int)
    for packet in packets:
        outcomes = loaded.traced(packet)
        check_departures(made.send(packet, each), outcomes, each, (loaded, packet))
        once: dict[tuple[str, int], Fraction] = defaultdict(Fraction)
        square: dict[tuple[str, int], Fraction] = defaultdict(Fraction)
        for way in outcomes:
            for key, times in Counted(map(language, way.walked)).items():
                most[key] = max(most[key], times)
                once[key] += way.probability * times
                square[key] += way.probability * times**2
        for key, value in once.items():
            mean[key] += each * value
            variance[key] += each * (square[key] - value**2)
    # sets have more lines now; the rules are the same
    later = listed(made, beside.flavour)
    for (key, before), (_, number) in zip(loaded.counters(families), later.counters(families), strict=True):
        off = abs(number - before - float(mean[key]))
        # Bernstein's bound: of a rare event a single one is no difference
        allowed = SIGMAS**2 * (float(variance[key]) + (off * most[key] / 3 if variance[key] else 0))
        assert off**2 <= allowed, (loaded, packets, key, number, float(mean[key]))


def remembers(script: str) -> bool:
    """Return whether a packet finds what another one has put into a set."""
    return any(f"{word} @{name}" in script for word in ("add", "update", "delete") for name in ("seen", "filled"))


def compare_each(made: Machine, script: str, kinds: Sequence[Packet], each: int, beside: Beside = NOTHING) -> None:
    """Compare packets of some kinds, each with fresh rules; a single one where it would find what it has done."""
    for packet in kinds:
        compare(made, script, [packet], 1 if remembers(script) else each, beside)


def language(rule: WalkedRule) -> tuple[str, int]:
    """Return whose rule it is, and its line."""
    return "iptables" if isinstance(rule, iptables.Rule) else "nftables", rule.line


def check_departures(
    seen: Mapping[tuple[str, str, str, int], int], outcomes: Sequence[Outcome], each: int, what: object
) -> None:
    """Compare what has left a machine with the paths that a trace has found."""
    wanted: dict[object, Fraction] = defaultdict(Fraction)
    for way in outcomes:
        if way.verdict == "ACCEPT" and way.hook == "POSTROUTING":
            wanted[way.packet.out_interface, way.packet.src, way.packet.dst, way.packet.dport] += way.probability
    assert set(seen) <= set(wanted), (what, seen, dict(wanted), [way.explain() for way in outcomes])
    for key, probability in wanted.items():
        assert fits(seen.get(key, 0), each, probability), (what, key, seen, dict(wanted))  # type: ignore[call-overload]


@pytest.mark.kernel
@settings(TRIES, max_examples=60)
@given(script=rulesets(), kinds=KINDS)
def test_nftables_trace_equals_kernel_on_random_rulesets(made: Machine, script: str, kinds: list[Packet]) -> None:
    compare_each(made, script, kinds, EACH)


@pytest.mark.kernel_long
@settings(TRIES, max_examples=200)
@given(script=rulesets(), kinds=KINDS)
def test_nftables_trace_equals_kernel_on_many_random_rulesets(made: Machine, script: str, kinds: list[Packet]) -> None:
    compare_each(made, script, kinds, EACH)


@pytest.fixture(scope="module")
def mixed() -> Iterator[dict[str, Machine]]:
    """One for each flavour of iptables: in one namespace the rules of both would be asked."""
    with machine(DUAL) as nft, machine(DUAL) as legacy:
        nft.listen(PORTS)
        legacy.listen(PORTS)
        yield {"nft": nft, "legacy": legacy}


@pytest.mark.kernel
@settings(TRIES, max_examples=20)
@given(script=rulesets(), kinds=KINDS_OF_IPV4, beside=MIXED)
def test_trace_of_both_languages_equals_kernel(
    mixed: dict[str, Machine], script: str, kinds: list[Packet], beside: Beside
) -> None:
    compare_each(mixed[beside.flavour], script, kinds, EACH, beside)


@pytest.mark.kernel_long
@settings(TRIES, max_examples=100)
@given(script=rulesets(), kinds=KINDS_OF_IPV4, beside=MIXED)
def test_trace_of_both_languages_equals_kernel_often(
    mixed: dict[str, Machine], script: str, kinds: list[Packet], beside: Beside
) -> None:
    compare_each(mixed[beside.flavour], script, kinds, EACH, beside)


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
    assume(not any(name.startswith("{") for table in text.tables for name in table.chains))  # JSON names no such chain
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
@pytest.mark.parametrize(
    "rules",
    [
        "tcp window != 100 counter drop", "ip6 flowlabel != 5 counter drop", "icmp id 5 counter drop",
        "esp spi != 5 counter drop", "tcp option sack-perm missing counter drop", "frag id != 5 counter drop",
        "tcp window & 7 != 3 counter drop", 'ct helper "ftp" counter drop', 'ct helper != "ftp" counter drop',
        "ct packets > 1 counter drop", "ct reply packets > 0 counter drop", "ct reply bytes 0 counter accept",
        "ip ecn set ect0 counter; ip ecn ect0 counter drop", "ip ecn set ect0; ip ecn ce counter drop",
        "ct label set 3 counter; ct label 3 counter drop", "meta priority set 7; meta priority 7 counter drop",
        "ct status assured counter drop", "ct status != confirmed counter drop", "ct status seen-reply counter drop",
        "ct l3proto ipv4 counter drop", "ct original protocol udp counter drop", "ip version 4 counter drop",
        "tcp dport vmap { 80 : accept, * : drop }", "udp dport vmap { 80 : accept, * : drop }",
    ],
)  # fmt: skip
def test_what_a_packet_has_not_or_a_rule_has_set_is_as_in_the_kernel(made: Machine, rules: str) -> None:
    lines = "".join(f"\t\t{rule.strip()}\n" for rule in rules.split(";"))
    script = f"table inet t {{\n\tchain c {{\n\t\ttype filter hook forward priority 0;\n{lines}\t}}\n}}\n"
    packet = Packet("10.0.0.7", "10.0.1.20", "udp", 10000, 53, "eth0", ttl=64)
    compare(made, script, [packet], 3)
    assert len(listed(made).traced(packet)) == 1


@pytest.mark.kernel
@pytest.mark.parametrize("hook", ["input", "forward"])
def test_first_address_of_a_network_of_ipv6_is_its_routers(made: Machine, hook: str) -> None:
    rule = "ip6 daddr 2001:db8:0:1:: counter drop"
    script = f"table ip6 t {{\n\tchain c {{\n\t\ttype filter hook {hook} priority 0;\n\t\t{rule}\n\t}}\n}}\n"
    packet = Packet("2001:db8::7", "2001:db8:0:1::", "udp", 10000, 53, "eth0", ttl=64)
    compare(made, script, [packet], 1)
    assert [way.verdict for way in listed(made).traced(packet)] == ["DROP" if hook == "input" else "ACCEPT"]


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
