"""Chains compiled for tracing: each rule once, and an index of the rules that can match a packet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from kanslib.iptables import matches, targets
from kanslib.iptables.dump import Chain, Rule
from kanslib.iptables.fast_rule import FAST_RULE
from kanslib.iptables.match_types import ActingMatch, FieldMatch, Match, NetworkMatch
from kanslib.iptables.packet import number
from kanslib.iptables.targets import Action, Jump

INDEXED_FROM = 16  # rules; shorter chains are searched rule by rule


@dataclass(frozen=True, slots=True)
class CompiledRule:
    """A rule with its matches and the action of its target."""

    rule: Rule
    matches: tuple[Match, ...]
    action: Action
    acts: bool  # a match changes something: the matches are evaluated in order, each once


class CompiledChain:
    """A chain whose rules are compiled on first use, and indexed by address and port where there are many."""

    def __init__(self, chain: Chain, chains: Mapping[str, object]) -> None:
        self.chain, self._chains = chain, chains
        self._compiled: list[CompiledRule | None] = [None] * len(chain)

    def rule(self, position: int) -> CompiledRule:
        """Return the rule at a position (from 0), compiled."""
        found = self._compiled[position]
        if found is None:
            rule = self.chain.rules[position]
            body = rule.body
            is_chain = body.target is not None and body.target.name in self._chains
            built = matches.matches(body)
            acts = any(isinstance(match, ActingMatch) for match in built)
            found = CompiledRule(rule, built, targets.action(body, is_chain), acts)
            self._compiled[position] = found
        return found

    def candidates(self, src: str | None, dst: str | None, dport: int | None) -> Sequence[int]:
        """Return the positions of the rules that can match such a packet, in order. None means unknown."""
        if len(self._compiled) < INDEXED_FROM or dst is None or src is None:
            return range(len(self._compiled))
        found: list[int] = list(self._index.get(None, ()))
        for kind, value in (("dst", number(dst)), ("src", number(src))):
            found += self._index.get((kind, value), ())
        if dport is not None:
            found += self._index.get(("dport", dport), ())
        else:
            found += self._any_port
        found.sort()
        return found

    @cached_property
    def _index(self) -> dict[object, list[int]]:
        index: dict[object, list[int]] = {}
        for position, rule in enumerate(self.chain.rules):
            index.setdefault(self._key(position, rule), []).append(position)
        return index

    @cached_property
    def _any_port(self) -> list[int]:
        return [
            at for key, places in self._index.items() if isinstance(key, tuple) and key[0] == "dport" for at in places
        ]

    def _key(self, position: int, rule: Rule) -> object:
        """Return the address or port that a packet must have for the rule to match; None where it is not one value."""
        if found := FAST_RULE.fullmatch(rule.raw):
            for side in ("dst", "src"):
                text = found[side]
                if text and not found[f"not_{side}"] and text.endswith("/32"):
                    return side, number(text[:-3])
            return ("dport", int(found["dport"])) if found["dport"] else None
        for match in self.rule(position).matches:
            if isinstance(match, ActingMatch):
                return None
            if isinstance(match, NetworkMatch) and match.host:
                return match.field, match.host
            if (
                isinstance(match, FieldMatch)
                and match.field == "dport"
                and not match.negated
                and len(match.ranges) == 1
            ):
                low, high = match.ranges[0]
                if low == high:
                    return "dport", low
        return None

    @cached_property
    def last_uses(self) -> dict[str, int]:
        """The last position at which a rule can ask about a `Subject.name`, or jump to a chain (`-j NAME`)."""
        uses: dict[str, int] = {}
        for position in range(len(self._compiled)):
            rule = self.rule(position)
            names = [name for match in rule.matches for name in match.names]
            names += [f"-j {rule.action.chain}"] if isinstance(rule.action, Jump) else targets.names(rule.action)
            uses.update(dict.fromkeys(names, position))
        return uses
