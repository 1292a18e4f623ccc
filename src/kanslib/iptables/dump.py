"""A dump of iptables-save or ip6tables-save (with or without `-c`, legacy or nft): its tables, chains and rules.

A dump is an index: each line is kept unchanged and assigned to its chain. A rule is parsed into its options on first
use, so that a dump of 100,000 rules opens in a fraction of a second.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import overload

from kanslib.exceptions import UnknownNameError
from kanslib.i18n import tr
from kanslib.iptables.explain import describe_rule, short
from kanslib.iptables.missing import MissingRules, missing_services, missing_tables
from kanslib.iptables.syntax import RuleOptions, parse_options, tokenize

CHAIN_LINE = re.compile(
    r":(?P<name>\S+) (?P<policy>ACCEPT|DROP|QUEUE|REJECT|-)(?: \[(?P<packets>\d+):(?P<bytes>\d+)\])?\s*"
)
RULE_LINE = re.compile(
    r"\s*(?:\[(?P<packets>\d+):(?P<bytes>\d+)\]\s+)?"
    r"(?:-(?P<letter>[AIRD])\s*|--(?P<word>append|insert|replace|delete)\s+)(?P<chain>[^\s\"-][^\s\"]*)"
    r"(?:\s+(?P<at>\d+))?(?=\s|$)"
)
BUILT_IN = {
    "raw": ("PREROUTING", "OUTPUT"),
    "mangle": ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"),
    "nat": ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"),
    "filter": ("INPUT", "FORWARD", "OUTPUT"),
    "security": ("INPUT", "FORWARD", "OUTPUT"),
}
_SIDE = r" (?:-[sd]|--(?!mac)\S*(?:src|dst|source|destination|to|range|on-ip)) "
_SIX = re.compile(_SIDE + r"\[?[0-9a-fA-F]*:[0-9a-fA-F]*:|[ -]icmp6[ -]")
_FOUR = re.compile(_SIDE + r"\d+\.\d+\.\d+\.\d+| -m icmp |icmp-\w+-unreach")


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: its table, chain and `line` (from 1), its raw text, its counters (None without `-c`)."""

    table: str
    chain: str
    line: int
    raw: str
    packets: int | None
    bytes: int | None

    @property
    def body(self) -> RuleOptions:
        """The rule parsed into its options."""
        found = RULE_LINE.match(self.raw)
        return parse_options(self.raw, found.end() if found else 0)

    @property
    def text(self) -> str:
        """The rule without its counters, as `iptables -S` prints it."""
        found = RULE_LINE.match(self.raw)
        return f"-A {self.chain}{self.raw[found.end() if found else 0 :].rstrip()}"

    @property
    def short_chain(self) -> str:
        """The name of its chain without kube-proxy's hash."""
        return short(self.chain)

    def describe(self, effect: str, chance: Fraction) -> str:
        """Return what the rule did to a packet, in words; see `explain.describe_rule`."""
        return describe_rule(self, effect, chance)

    @property
    def words(self) -> tuple[str, ...]:
        """The rule's options and values without quotes."""
        found = RULE_LINE.match(self.raw)
        return tuple(word.text for word in tokenize(self.raw, found.end() if found else 0))

    def option(self, name: str) -> str | None:
        """Return the value after an option, e.g. `--comment`; None where the rule has none."""
        words = self.words
        return words[words.index(name) + 1] if name in words[:-1] else None

    @property
    def target(self) -> str | None:
        """The target of `-j` or `-g`: a verdict, an action or another chain."""
        target = self.body.target
        return target.name if target else None

    @property
    def comment(self) -> str:
        """The value of `--comment`; empty without one."""
        return self.option("--comment") or ""

    @property
    def probability(self) -> float | None:
        """The probability of `-m statistic --mode random`; None for a rule without one."""
        value = self.option("--probability")
        return float(value) if value is not None else None

    @property
    def unknown(self) -> tuple[str, ...]:
        """The matches, options and targets that iptables 1.8 does not document; empty for nearly every rule."""
        return self.body.unknown


class RuleList(Sequence[Rule]):
    """The rules of a chain, each made when it is asked for; `raw`: the lines of their text."""

    def __init__(self, rule: Callable[[int], Rule], lines: Sequence[int], text: Sequence[str]) -> None:
        self._rule, self._lines, self._text = rule, lines, text

    @property
    def raw(self) -> Iterator[str]:
        """The text of each rule."""
        return (self._text[line].removesuffix("\r") for line in self._lines)

    def __len__(self) -> int:
        return len(self._lines)

    @overload
    def __getitem__(self, index: int) -> Rule: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Rule]: ...
    def __getitem__(self, index: int | slice) -> Rule | Sequence[Rule]:
        if isinstance(index, slice):
            return [self._rule(line) for line in self._lines[index]]
        return self._rule(self._lines[index])


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain: its policy (`-` for a user-defined chain), the policy's counters, its rules in order."""

    table: str
    name: str
    policy: str
    rules: RuleList
    packets: int | None = None
    bytes: int | None = None

    def __iter__(self) -> Iterator[Rule]:
        return iter(self.rules)

    def __len__(self) -> int:
        return len(self.rules)


@dataclass(slots=True)
class ChainIndex:
    """The lines of a chain in the dump (from 0): its declaration (None without one) and its rules.

    `unknown`: those of its rules with something that the grammar does not know.
    """

    policy: str
    declared: int | None
    lines: list[int]
    unknown: set[int] = field(default_factory=set)


@dataclass(frozen=True, eq=False)
class Dump:
    """A whole dump as text, with an index of its tables and chains.

    `first_line`: how many lines of the text stand before the dump. `program`: who wrote it (iptables-save or
    ip6tables-save; empty where no comment says so). `comments`: what its comments say is missing.
    """

    lines: Sequence[str] = field(repr=False)
    tables: Mapping[str, Mapping[str, ChainIndex]] = field(repr=False)
    first_line: int = 0
    program: str = ""
    comments: tuple[MissingRules, ...] = ()
    _chains: dict[tuple[str, str], Chain] = field(default_factory=dict, repr=False)

    def save(self) -> str:
        """Return the text that was parsed, byte for byte; lines that a terminal had wrapped come back whole."""
        return "\n".join(self.lines)

    def names(self, table: str = "nat") -> list[str]:
        """Return the names of a table's chains in the order of the dump; an empty list for a missing table."""
        return list(self.tables.get(table, ()))

    def chain(self, name: str, table: str = "nat") -> Chain:
        """Return one chain. UnknownNameError lists the chains of the table."""
        key = table, name
        if key not in self._chains:
            if name not in self.tables.get(table, ()):
                raise UnknownNameError("chain", name, self.names(table))
            index = self.tables[table][name]
            rules = RuleList(lambda line: self._rule(table, name, line), index.lines, self.lines)
            declared = CHAIN_LINE.fullmatch(self.lines[index.declared].strip()) if index.declared is not None else None
            self._chains[key] = Chain(table, name, index.policy, rules, *_counters(declared))
        return self._chains[key]

    def _rule(self, table: str, chain: str, line: int) -> Rule:
        raw = self.lines[line].removesuffix("\r")
        return Rule(table, chain, self.first_line + line + 1, raw, *_counters(RULE_LINE.match(raw)))

    def rules(self) -> Iterator[Rule]:
        """Yield every rule, chain after chain in the order of the dump."""
        for table, chains in self.tables.items():
            for name in chains:
                yield from self.chain(name, table)

    @cached_property
    def family(self) -> int | None:
        """The family of addresses, 4 or 6; None where neither a comment nor a rule shows it."""
        if self.program:
            return 6 if self.program.startswith("ip6") else 4
        for line in self.lines:
            if _FOUR.search(line):
                return 4
            if _SIX.search(line):
                return 6
        return None

    @cached_property
    def missing(self) -> tuple[MissingRules, ...]:
        """The rules that this machine has, or may have, and that are not in this dump; empty for a complete dump."""
        chains = {name for table in self.tables.values() for name in table}
        tables = missing_tables(self.tables, chains, self.comments)
        services = missing_services(self.tables.get("nat", {}), chains) if self.family != 6 else ()
        return (*self.comments, *tables, *services)

    @cached_property
    def unknown(self) -> tuple[tuple[Rule, str], ...]:
        """Every rule with a match, option or target that the grammar does not know, and the unknown text."""
        found: list[tuple[Rule, str]] = []
        for table, chains in self.tables.items():
            for name, chain in chains.items():
                rules = [self._rule(table, name, line) for line in chain.lines if line in chain.unknown]
                found += [
                    (rule, text)
                    for rule in rules
                    for text in rule.unknown or (tr("no chain {target} in this dump", target=rule.target),)
                ]
        return tuple(found)

    def path(self, start: str, comment: str, table: str = "nat") -> list[Chain]:
        """Return the chains that are reachable from `start` by rules of one Service, each once.

        In `start` only rules whose comment contains `comment` are followed; in the other chains every jump is.
        """
        order: dict[str, None] = {start: None}
        waiting = [rule.target for rule in self.chain(start, table) if comment in rule.comment]
        while waiting:
            name = waiting.pop(0)
            if name is None or name in order or name not in self.tables[table]:
                continue
            order[name] = None
            waiting += [rule.target for rule in self.chain(name, table)]
        return [self.chain(name, table) for name in order]


def _counters(found: re.Match[str] | None) -> tuple[int | None, int | None]:
    """Return the packet and byte counters of a line; None without `-c`."""
    if found is None or found["packets"] is None:
        return None, None
    return int(found["packets"]), int(found["bytes"])
