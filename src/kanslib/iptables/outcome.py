"""The result of a trace: the end of each path of a packet, the rules on it, and its assumptions."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from kanslib.iptables.dump import Rule
from kanslib.iptables.explain import describe_rule, share, short
from kanslib.iptables.missing import MissingRules
from kanslib.iptables.packet import Packet, endpoint


@dataclass(frozen=True, slots=True)
class Assumption:
    """A statement that an outcome assumes to be true or false (`holds`), because its truth is unknown.

    Where the statement is about a number of the packet, `field` names it and `values` has a bit for each value for
    which the statement is true.
    """

    text: str
    holds: bool
    field: str = ""
    values: int = dataclasses.field(default=0, repr=False)

    def __str__(self) -> str:
        return self.text if self.holds else f"not: {self.text}"


@dataclass(frozen=True, slots=True)
class Step:
    """A rule that the packet matched: hook, rule, probability of the match, and the target's change (`effect`)."""

    hook: str
    rule: Rule
    chance: Fraction
    effect: str

    def describe(self) -> str:
        """Return what the rule did to the packet, in words for readers without iptables."""
        return describe_rule(self.rule, self.effect, self.chance)


@dataclass(frozen=True)
class Outcome:
    """One path that the packet can take.

    `probability` is exact under the assumptions in `assumes`. `verdict`: ACCEPT, DROP, REJECT, … or NO ROUTE.
    `packet`: as it leaves, after DNAT, SNAT and marks. `hook`: the last one on the path: INPUT (for this machine),
    POSTROUTING (sent out), or the one where the packet was stopped, with the `reason`. `notes`: further remarks.
    `missing`: rules that the dump has not, so that the path may be another one.
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

    @property
    def accepted(self) -> bool:
        """Whether the packet is let through."""
        return self.verdict == "ACCEPT"

    @property
    def walked(self) -> tuple[Rule, ...]:
        """The rules that the packet matched, in order."""
        return tuple(step.rule for step in self.steps)

    def describe_end(self) -> str:
        """Return in one sentence where the path ends."""
        packet = self.packet
        if self.verdict != "ACCEPT":
            return f"{self.verdict} at {self.hook}{f' ({self.reason})' if self.reason else ''}"
        destination, source = endpoint(packet.dst, packet.dport), endpoint(packet.src, packet.sport)
        if self.hook == "INPUT":
            return f"ACCEPT: this machine itself takes it, at {destination}, from {source}"
        out = f" by {packet.out_interface}" if packet.out_interface else ""
        return f"ACCEPT: on to {destination}{out}, from {source}"

    def explain(self) -> str:
        """Return the path in words: one line a rule under its hook, the end, then assumptions and notes."""
        lines: list[str] = []
        hook = ""
        for step in self.steps:
            if step.hook != hook:
                hook = step.hook
                lines.append(hook)
            lines.append(f"  {short(step.rule.chain)}: {step.describe()}   (line {step.rule.line})")
        lines.append(f"{share(self.probability)} → {self.describe_end()}")
        lines += [f"assumed: {assumption}" for assumption in self.assumes]
        lines += [f"note: {note}" for note in self.notes]
        return "\n".join(lines)


def is_certain(outcomes: Sequence[Outcome]) -> bool:
    """Return whether the outcomes of a packet say for sure if it is let through.

    It is not certain where rules are missing from the dump, or where an assumption decides. Chance leaves it certain.
    """
    verdicts: dict[frozenset[Assumption], set[bool]] = {}
    for outcome in outcomes:
        verdicts.setdefault(frozenset(outcome.assumes), set()).add(outcome.accepted)
    return not any(outcome.missing for outcome in outcomes) and len({frozenset(one) for one in verdicts.values()}) <= 1
