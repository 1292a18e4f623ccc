"""A dump of `iptables-save` (with or without `-c`) as tables, chains and rules, byte for byte.

Each rule keeps the line it came from; what this module does not look into is kept all the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from kanslib.errors import KansError, UnknownName

_CHAIN = re.compile(r":(?P<name>\S+) (?P<policy>\S+)(?: \[(?P<packets>\d+):(?P<bytes>\d+)\])?\s*$")
_RULE = re.compile(r"(?:\[(?P<packets>\d+):(?P<bytes>\d+)\] )?-A (?P<chain>\S+)(?P<words>.*)$")
_WORD = re.compile(r'"((?:[^"\\]|\\.)*)"|(\S+)')
_TARGETS = ("-j", "--jump", "-g", "--goto")


class DumpError(KansError):
    """A line that no iptables-save writes; names line and text."""


@dataclass(frozen=True)
class Rule:
    """One `-A` line: where it stands, its raw text, its counters (None without `-c`)."""

    table: str
    chain: str
    line: int
    raw: str
    packets: int | None
    bytes: int | None

    @property
    def words(self) -> tuple[str, ...]:
        """The rule's options and values, quotes taken off."""
        body = _RULE.match(self.raw.rstrip("\r\n"))
        text = body["words"] if body else ""
        return tuple(
            quoted.replace('\\"', '"').replace("\\\\", "\\") if quoted else plain
            for quoted, plain in _WORD.findall(text)
        )

    def option(self, name: str) -> str | None:
        """The value after an option, e.g. `--comment`; None where the rule has none."""
        words = self.words
        return words[words.index(name) + 1] if name in words[:-1] else None

    @property
    def target(self) -> str | None:
        """Where `-j` or `-g` leads: a verdict, an action or another chain."""
        return next((self.option(name) for name in _TARGETS if self.option(name)), None)

    @property
    def comment(self) -> str:
        """What kube-proxy wrote beside the rule; empty without one."""
        return self.option("--comment") or ""

    @property
    def probability(self) -> float | None:
        """The chance of `-m statistic --mode random`; None for a rule that always matches its packets."""
        value = self.option("--probability")
        return float(value) if value is not None else None


@dataclass(frozen=True)
class Chain:
    """A chain of a table: its policy (`-` for one that a program made) and its rules in order."""

    table: str
    name: str
    policy: str
    rules: tuple[Rule, ...]

    def __iter__(self) -> Iterator[Rule]:
        return iter(self.rules)

    def __len__(self) -> int:
        return len(self.rules)


@dataclass(frozen=True)
class Ruleset:
    """A whole dump. `save()` gives the text back as it came."""

    text: str
    chains: dict[tuple[str, str], Chain]

    def save(self) -> str:
        """The same bytes that were parsed."""
        return self.text

    def chain(self, name: str, table: str = "nat") -> Chain:
        """One chain; UnknownName says which chains the table has."""
        if (table, name) not in self.chains:
            raise UnknownName("chain", name, [n for t, n in self.chains if t == table])
        return self.chains[table, name]

    def rules(self) -> Iterator[Rule]:
        """Every rule, in the order of the dump."""
        for chain in self.chains.values():
            yield from chain

    def path(self, start: str, comment: str, table: str = "nat") -> list[Chain]:
        """The chains that a packet for what `comment` names can pass, from the chain `start` on, each once.

        In `start` only rules whose comment contains `comment` are followed; below, every jump is.
        """
        order: dict[str, None] = {start: None}
        waiting = [rule.target for rule in self.chain(start, table) if comment in rule.comment]
        while waiting:
            name = waiting.pop(0)
            if name is None or name in order or (table, name) not in self.chains:
                continue
            order[name] = None
            waiting += [rule.target for rule in self.chain(name, table)]
        return [self.chain(name, table) for name in order]


def parse(text: str) -> Ruleset:
    """Read what iptables-save or ip6tables-save printed. DumpError names the first line that is wrong.

    >>> ruleset = parse('*nat\\n:OUTPUT ACCEPT [1:60]\\n[2:120] -A OUTPUT -p tcp -j RETURN\\nCOMMIT\\n')
    >>> rule = ruleset.chain("OUTPUT").rules[0]
    >>> rule.target, rule.packets
    ('RETURN', 2)
    """
    declared: dict[tuple[str, str], tuple[str, list[Rule]]] = {}
    table: str | None = None
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        if stripped.startswith("*"):
            table = stripped[1:]
        elif stripped == "COMMIT":
            table = None
        elif table is None:
            raise DumpError(
                f"line {number}: {stripped!r:.60} stands outside a table; expected '*nat' or another table first"
            )
        elif found := _CHAIN.match(stripped):
            declared[table, found["name"]] = (found["policy"], [])
        elif found := _RULE.match(stripped):
            _add(declared, table, found, number, line)
        else:
            raise DumpError(f"line {number}: {stripped!r:.60} is neither a chain (':NAME …') nor a rule ('-A NAME …')")
    if table is not None:
        raise DumpError(f"the table {table!r} has no COMMIT: half a dump (cut off?)")
    chains = {key: Chain(*key, policy, tuple(rules)) for key, (policy, rules) in declared.items()}
    return Ruleset(text, chains)


def _add(
    declared: dict[tuple[str, str], tuple[str, list[Rule]]],
    table: str,
    found: re.Match[str],
    number: int,
    line: str,
) -> None:
    key = table, found["chain"]
    if key not in declared:
        raise DumpError(f"line {number}: the chain {found['chain']!r} of table {table!r} was not declared before")
    counts = [int(found[name]) if found[name] is not None else None for name in ("packets", "bytes")]
    declared[key][1].append(Rule(table, found["chain"], number, line, *counts))
