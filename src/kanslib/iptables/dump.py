"""A dump of iptables-save or ip6tables-save (with or without `-c`, legacy or nft) as tables, chains and rules.

Reading is an index: each line is checked, kept as it is, and filed under its chain. What a rule asks is taken apart
when somebody looks at it, so that a dump of 100,000 rules opens in a fraction of a second.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from kanslib.exceptions import DumpError, RuleSyntaxError, UnknownNameError
from kanslib.iptables import matches, targets
from kanslib.iptables.syntax import TARGETS, RuleOptions, parse_options
from kanslib.iptables.syntax import tokenize as cut

if TYPE_CHECKING:
    from kanslib.iptables.diff import RulesetDifference
    from kanslib.iptables.packet import Packet, Routing
    from kanslib.iptables.tracer import Outcome

_CHAIN = re.compile(
    r":(?P<name>\S+) (?P<policy>ACCEPT|DROP|QUEUE|REJECT|-)(?: \[(?P<packets>\d+):(?P<bytes>\d+)\])?\s*"
)
_RULE = re.compile(r"\s*(?:\[(?P<packets>\d+):(?P<bytes>\d+)\]\s+)?(?:-A|--append)\s+(?P<chain>[^\s\"]+)(?=\s|$)")
_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_ADDRESS = rf"{_OCTET}\.{_OCTET}\.{_OCTET}\.{_OCTET}"
_PORT = r"(?:0|[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])(?![0-9])"
_MARK = r"0x[0-9a-f]{1,8}"
_NETWORK = rf"{_ADDRESS}/(?:3[0-2]|[12]?[0-9])"
# A line in the forms that kube-proxy's rules have when iptables-save prints them. It is known to be good without being
# taken apart; any other line is taken apart at once, so that a bad one is found while reading.
# Groups are possessive (`?+`): nothing in them has to be tried twice.
_FAST_RULE = re.compile(
    r"(?:\[[0-9]+:[0-9]+\] )?+-A (?P<chain>[A-Za-z0-9_-]+)"
    rf"(?: (?P<not_src>! )?+-s (?P<src>{_NETWORK}))?+(?: (?P<not_dst>! )?+-d (?P<dst>{_NETWORK}))?+"
    r"(?: -p (?:tcp|udp|sctp))?+(?: -m addrtype (?:! )?+--(?:src|dst)-type LOCAL)?+"
    r"(?: -m comment --comment (?:\"[^\"\\\n]*\"|[A-Za-z0-9_./:][A-Za-z0-9_./:-]*+))?+"
    rf"(?: -m (?:tcp|udp|sctp)(?: --dport (?P<dport>{_PORT}))?+)?+"
    r"(?: -m statistic --mode random --probability (?:0\.[0-9]{1,11}|1\.0{1,11}))?+"
    r"(?: -m nfacct --nfacct-name  [a-z_]+)?+"
    rf"(?: -j (?:DNAT --to-destination {_ADDRESS}:{_PORT}|MARK --set-xmark {_MARK}/{_MARK}"
    r"|[A-Za-z0-9_][A-Za-z0-9_-]*+))?+"
)


@dataclass(frozen=True, slots=True)
class Rule:
    """One `-A` line: where it stands (`line`, from 1), its raw text, its counters (None without `-c`)."""

    table: str
    chain: str
    line: int
    raw: str
    packets: int | None
    bytes: int | None

    @property
    def body(self) -> RuleOptions:
        """The rule taken apart into its options."""
        found = _RULE.match(self.raw)
        return parse_options(self.raw, found.end() if found else 0)

    @property
    def text(self) -> str:
        """The rule without its counters, as `iptables -S` prints it."""
        return self.raw[self.raw.index("-A") :].rstrip() if "-A" in self.raw else self.raw

    @property
    def words(self) -> tuple[str, ...]:
        """The rule's options and values, quotes taken off."""
        found = _RULE.match(self.raw)
        return tuple(word.text for word in cut(self.raw, found.end() if found else 0))

    def option(self, name: str) -> str | None:
        """The value after an option, e.g. `--comment`; None where the rule has none."""
        words = self.words
        return words[words.index(name) + 1] if name in words[:-1] else None

    @property
    def target(self) -> str | None:
        """Where `-j` or `-g` leads: a verdict, an action or another chain."""
        target = self.body.target
        return target.name if target else None

    @property
    def comment(self) -> str:
        """What kube-proxy wrote beside the rule; empty without one."""
        return self.option("--comment") or ""

    @property
    def probability(self) -> float | None:
        """The chance of `-m statistic --mode random`; None for a rule that always matches its packets."""
        value = self.option("--probability")
        return float(value) if value is not None else None

    @property
    def unknown(self) -> tuple[str, ...]:
        """What in the rule iptables 1.8 does not explain; empty for nearly every rule."""
        return self.body.unknown


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain of a table: its policy (`-` for one that a program made), its policy's counters, its rules in order."""

    table: str
    name: str
    policy: str
    rules: tuple[Rule, ...]
    packets: int | None = None
    bytes: int | None = None

    def __iter__(self) -> Iterator[Rule]:
        return iter(self.rules)

    def __len__(self) -> int:
        return len(self.rules)


@dataclass(slots=True)
class ChainIndex:
    """Where a chain stands in the dump: its declaration and the lines of its rules (from 0)."""

    policy: str
    declared: int
    lines: list[int]


@dataclass(frozen=True, eq=False)
class Ruleset:
    """A whole dump. `save()` gives it back byte for byte, `trace()` walks a packet through it."""

    lines: Sequence[str] = field(repr=False)
    tables: Mapping[str, Mapping[str, ChainIndex]] = field(repr=False)
    _chains: dict[tuple[str, str], Chain] = field(default_factory=dict, repr=False)

    def save(self) -> str:
        """The same bytes that were parsed."""
        return "\n".join(self.lines)

    def names(self, table: str = "nat") -> list[str]:
        """The chains of a table, in the order of the dump; an empty list for a table that is not there."""
        return list(self.tables.get(table, ()))

    def chain(self, name: str, table: str = "nat") -> Chain:
        """One chain; UnknownNameError says which chains the table has."""
        key = table, name
        if key not in self._chains:
            if name not in self.tables.get(table, ()):
                raise UnknownNameError("chain", name, self.names(table))
            filed = self.tables[table][name]
            declared = _CHAIN.fullmatch(self.lines[filed.declared].strip())
            assert declared
            rules = tuple(self._rule(table, name, line) for line in filed.lines)
            self._chains[key] = Chain(table, name, filed.policy, rules, *_counters(declared))
        return self._chains[key]

    def _rule(self, table: str, chain: str, line: int) -> Rule:
        raw = self.lines[line].removesuffix("\r")
        found = _RULE.match(raw)
        assert found
        return Rule(table, chain, line + 1, raw, *_counters(found))

    def rules(self) -> Iterator[Rule]:
        """Every rule, chain after chain in the order of the dump."""
        for table, chains in self.tables.items():
            for name in chains:
                yield from self.chain(name, table)

    @cached_property
    def unknown(self) -> tuple[tuple[Rule, str], ...]:
        """Every rule with something that this grammar does not know, and what that is."""
        found = []
        for rule in self.rules():
            body = rule.body
            found += [(rule, said) for said in body.unknown]
            target = body.target
            known = target is None or target.name in TARGETS or target.name in self.tables[rule.table]
            if not known and not body.unknown:
                found.append((rule, f"-j {target}"))
        return tuple(found)

    def trace(self, packet: Packet, routing: Routing | None = None) -> list[Outcome]:
        """Every way the packet can go, with its exact probability, verdict, final packet and the rules on the way.

        `routing` is what the machine knows beside its rules (`Routing.read`). Without it a destination is taken as
        another machine's unless a rule asks: then the way branches, and each outcome says what it assumes. The
        probabilities of the outcomes that agree in what they assume add up to 1. Hooks and tables come in the order
        of Linux include/uapi/linux/netfilter_ipv4.h; nat is asked only for the first packet of a connection.
        Raises TraceError for rules that go round in circles.

        >>> from kanslib.iptables import Packet, parse
        >>> rules = parse('*nat\\n:PREROUTING ACCEPT [0:0]\\n-A PREROUTING -m statistic --mode random '
        ...     '--probability 0.25 -p tcp -j DNAT --to-destination 10.0.0.7:80\\nCOMMIT\\n')
        >>> [(str(way.probability), way.packet.dst)
        ...     for way in rules.trace(Packet("10.9.0.1", "10.9.0.2", in_interface="eth0"))]
        [('1/4', '10.0.0.7'), ('3/4', '10.9.0.2')]
        """
        return self._tracer.trace(packet, routing)

    @cached_property
    def _tracer(self) -> Tracer:
        from kanslib.iptables.tracer import Tracer

        return Tracer(self)

    def diff(self, other: Ruleset) -> RulesetDifference:
        """What is different in a later dump: rules gone, rules come, counters that moved."""
        from kanslib.iptables.diff import diff

        return diff(self, other)

    def path(self, start: str, comment: str, table: str = "nat") -> list[Chain]:
        """The chains that a packet for what `comment` names can pass, from the chain `start` on, each once.

        In `start` only rules whose comment contains `comment` are followed; below, every jump is.
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


if TYPE_CHECKING:
    from kanslib.iptables.tracer import Tracer


def _counters(found: re.Match[str]) -> tuple[int | None, int | None]:
    packets, size = found["packets"], found["bytes"]
    return (int(packets), int(size)) if packets is not None else (None, None)


def parse(text: str) -> Ruleset:
    """Read what iptables-save or ip6tables-save printed. DumpError names the first line that is wrong, and where.

    >>> ruleset = parse('*nat\\n:OUTPUT ACCEPT [1:60]\\n[2:120] -A OUTPUT -p tcp -j RETURN\\nCOMMIT\\n')
    >>> rule = ruleset.chain("OUTPUT").rules[0]
    >>> rule.target, rule.packets
    ('RETURN', 2)
    """
    lines = text.split("\n")
    reader = _DumpReader()
    good, chains = _FAST_RULE.fullmatch, reader.chains
    for number, line in enumerate(lines):
        # the common case first: 100,000 of these have to be quick
        if (found := good(line)) and (filed := chains.get(found[1])) is not None:
            filed.lines.append(number)
        else:
            reader.read(number, line)
            chains = reader.chains
    reader.end(len(lines))
    return Ruleset(lines, reader.tables)


class _DumpReader:
    """Files line after line; refuses the first that cannot stand where it stands."""

    def __init__(self) -> None:
        self.tables: dict[str, dict[str, ChainIndex]] = {}
        self.chains: dict[str, ChainIndex] = {}  # of the table that is open
        self.table: str | None = None
        self.began = 0

    def read(self, number: int, raw: str) -> None:
        if raw.startswith(":") and self.table is not None:
            self._declare(number, 1, raw, raw.rstrip())
            return
        line = raw.strip()
        if not line or line.startswith("#"):
            return
        column = raw.index(line[0]) + 1
        if line.startswith("*"):
            self._open(number, column, line)
        elif self.table is None:
            raise DumpError(number + 1, column, raw, _outside(line))
        elif line == "COMMIT":
            self.table, self.chains = None, {}
        elif line.startswith(":"):
            self._declare(number, column, raw, line)
        else:
            self._rule(number, column, raw.removesuffix("\r"))

    def _open(self, number: int, column: int, line: str) -> None:
        name = line[1:]
        if self.table is not None:
            expected = f"COMMIT before another table: {self.table!r} began in line {self.began} (cut off?)"
            raise DumpError(number + 1, column, line, expected)
        if not name or " " in name:
            raise DumpError(number + 1, column, line, "the name of a table behind '*', such as *nat")
        if name in self.tables:
            raise DumpError(number + 1, column, line, f"each table once: {name!r} stands above already (two dumps?)")
        self.table, self.began, self.chains = name, number + 1, {}
        self.tables[name] = self.chains

    def _declare(self, number: int, column: int, raw: str, line: str) -> None:
        found = _CHAIN.fullmatch(line)
        if not found:
            raise DumpError(number + 1, column, raw, "':NAME POLICY [packets:bytes]', such as ':INPUT ACCEPT [0:0]'")
        if found["name"] in self.chains:
            raise DumpError(number + 1, column, raw, f"each chain once: {found['name']!r} stands above already")
        self.chains[found["name"]] = ChainIndex(found["policy"], number, [])

    def _rule(self, number: int, column: int, raw: str) -> None:
        found = _RULE.match(raw)
        if not found:
            raise DumpError(number + 1, column, raw, "a rule ('-A CHAIN …'), a chain (':NAME …') or COMMIT")
        if found["chain"] not in self.chains:
            expected = f"a chain that was declared before (':{found['chain']} - [0:0]') in table {self.table!r}"
            raise DumpError(number + 1, found.start("chain") + 1, raw, expected)
        try:
            rule = parse_options(raw, found.end())
            matches.matches(rule)
            targets.action(rule, bool(rule.target and rule.target.name in self.chains))
        except RuleSyntaxError as bad:
            raise DumpError(number + 1, bad.column, raw, bad.expected) from None
        self.chains[found["chain"]].lines.append(number)

    def end(self, lines: int) -> None:
        if self.table is not None:
            raise DumpError(
                lines, 1, "", f"COMMIT of the table {self.table!r}, which began in line {self.began}: half a dump"
            )


def _outside(line: str) -> str:
    if line.startswith(("-P ", "-N ", "-A ")):
        return "a table ('*nat') first: this looks like `iptables -S`; `iptables-save` prints what is read here"
    return "a table first ('*nat'), as iptables-save prints it"
