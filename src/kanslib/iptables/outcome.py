"""The result of a trace: the end of each path of a packet, the rules on it, and its assumptions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

from kanslib.i18n import all_of, tr
from kanslib.iptables.explain import share
from kanslib.iptables.missing import MissingRules
from kanslib.iptables.packet import Packet, endpoint
from kanslib.iptables.questions import Assumption

_MAX_ALTERNATIVES = 4  # that an explanation lists; `alternatives` has them all


class WalkedRule(Protocol):
    """What an outcome says of a rule, of iptables or of nftables."""

    @property
    def table(self) -> str:
        """Its table."""

    @property
    def chain(self) -> str:
        """Its chain."""

    @property
    def short_chain(self) -> str:
        """Its chain without a hash of kube-proxy."""

    @property
    def line(self) -> int:
        """Its line in the text, from 1."""

    @property
    def raw(self) -> str:
        """Its text as it stands there."""

    @property
    def text(self) -> str:
        """Its text without counters."""

    @property
    def packets(self) -> int | None:
        """How many packets it has counted; None where it does not count."""

    def describe(self, effect: str, chance: Fraction) -> str:
        """Return what it did to a packet, in words; `effect`: its change, `chance`: the probability of its match."""
        ...


@dataclass(frozen=True, slots=True)
class Step:
    """A rule that the packet matched.

    `chance`: the probability of the match. `effect`: the change by its target. `to`: the chain to which it leads.
    `is_nat`: below a base chain of nat, which only the first packet of a connection meets (iptables(8), nft(8)).
    """

    hook: str
    rule: WalkedRule
    chance: Fraction
    effect: str
    to: str = ""
    is_nat: bool = False

    def describe(self) -> str:
        """Return what the rule did to the packet, in words for readers who do not know the rules' language."""
        return self.rule.describe(self.effect, self.chance)


@dataclass(frozen=True)
class Outcome:
    """One path that the packet can take.

    `probability` is exact under the assumptions in `assumes`. `verdict`: ACCEPT, DROP, REJECT, … or NO ROUTE.
    `packet`: as it leaves, after DNAT, SNAT and marks. `hook`: the last one on the path: INPUT (for this machine),
    POSTROUTING (sent out), or the one where the packet was stopped, with the `reason`. `notes`: further remarks.
    `missing`: rules that the dump has not, so that the path may be another one.
    Paths that end alike under different assumptions are one outcome: then `alternatives` has the further assumptions
    of each of them, one of which is to be true, and `steps` are those of one.
    """

    probability: Fraction
    verdict: str
    packet: Packet
    steps: tuple[Step, ...]
    assumes: tuple[Assumption, ...]
    notes: tuple[str, ...]
    hook: str
    reason: str = ""
    missing: tuple[MissingRules, ...] = ()
    alternatives: tuple[tuple[Assumption, ...], ...] = ()

    @property
    def accepted(self) -> bool:
        """Whether the packet is let through."""
        return self.verdict == "ACCEPT"

    @property
    def cases(self) -> tuple[tuple[Assumption, ...], ...]:
        """The assumptions under which the packet ends so: one case, or all that belong to one of the alternatives."""
        return tuple((*self.assumes, *more) for more in self.alternatives or ((),))

    def is_compatible(self, other: Outcome) -> bool:
        """Return whether both can happen under the same assumptions, so that their probabilities add up."""
        return any(_is_compatible(case, other) for case in self.cases)

    @property
    def walked(self) -> tuple[WalkedRule, ...]:
        """The rules that the packet matched, in order."""
        return tuple(step.rule for step in self.steps)

    def describe_end(self) -> str:
        """Return in one sentence where the path ends."""
        packet = self.packet
        if self.verdict != "ACCEPT":
            end = tr("{verdict} at {hook}", verdict=self.verdict, hook=self.hook)
            return f"{end} ({self.reason})" if self.reason else end
        destination, source = endpoint(packet.dst, packet.dport), endpoint(packet.src, packet.sport)
        if self.hook == "INPUT":
            return tr(
                "ACCEPT: this machine itself takes it, at {destination}, from {source}",
                destination=destination,
                source=source,
            )
        values = {"destination": destination, "source": source, "interface": packet.out_interface}
        if packet.out_interface:
            return tr("ACCEPT: on to {destination} by {interface}, from {source}", **values)
        return tr("ACCEPT: on to {destination}, from {source}", **values)

    def explain(self) -> str:
        """Return the path in words: one line a rule under its hook, the end, then assumptions and notes."""
        lines: list[str] = []
        hook = ""
        for step in self.steps:
            if step.hook != hook:
                hook = step.hook
                lines.append(hook)
            lines.append(
                "  "
                + tr(
                    "{chain}: {words}   (line {line})",
                    chain=step.rule.short_chain,
                    words=step.describe(),
                    line=step.rule.line,
                )
            )
        lines.append(f"{share(self.probability)} → {self.describe_end()}")
        lines += [*self._assumption_lines(), *(tr("note: {note}", note=note) for note in self.notes)]
        return "\n".join(lines)

    def _assumption_lines(self) -> Iterator[str]:
        for assumption in self.assumes:
            yield tr("assumed that {assumption}", assumption=assumption)
        if self.alternatives:
            yield tr("assumed that one of these is true:")
        shortest = sorted(self.alternatives, key=len)
        for case in shortest[:_MAX_ALTERNATIVES]:
            yield "  " + all_of(map(str, case))
        if len(shortest) > _MAX_ALTERNATIVES:
            yield "  " + tr("or one of {number} further combinations", number=len(shortest) - _MAX_ALTERNATIVES)


def is_certain(outcomes: Sequence[Outcome]) -> bool:
    """Return whether the outcomes of a packet say for sure if it is let through.

    It is not certain where rules are missing from the dump, or where an assumption decides. Chance leaves it certain.
    """
    if any(outcome.missing for outcome in outcomes):
        return False
    if len({outcome.accepted for outcome in outcomes}) <= 1:
        return True
    verdicts = {
        frozenset(other.accepted for other in outcomes if _is_compatible(case, other))
        for outcome in outcomes
        for case in outcome.cases
    }
    return len(verdicts) <= 1


def open_questions(outcomes: Sequence[Outcome]) -> list[str]:
    """Return what decides between the outcomes and is not known, in words; empty where only chance does."""
    answers: dict[tuple[str, str], set[str]] = {}
    for outcome in outcomes:
        for case in outcome.cases:
            for one in case:
                answers.setdefault((one.question, one.value), set()).add(one.answer)
    return [f"{question} {value}".rstrip() for (question, value), given in answers.items() if len(given) > 1]


def _is_compatible(case: Sequence[Assumption], outcome: Outcome) -> bool:
    """Return whether an outcome can happen under these assumptions."""
    return any(not any(one.contradicts(other) for one in case for other in theirs) for theirs in outcome.cases)
