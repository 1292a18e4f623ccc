"""A ruleset compiled for tracing: each rule as matches and an action, each map as a chain of its elements.

The matches and actions are those of `iptables`, so that one trace follows a packet through the rules of both.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from functools import cached_property
from socket import AF_INET, inet_pton
from typing import NamedTuple

from kanslib.i18n import tr
from kanslib.iptables import targets
from kanslib.iptables.compiled import CompiledRule
from kanslib.iptables.match_types import ActingMatch, Match, Probability, RandomMatch
from kanslib.iptables.packet import number
from kanslib.iptables.rule_index import Condition, Network, RuleIndex
from kanslib.iptables.stages import CONNTRACK, Role, Stage
from kanslib.nftables import statement_actions
from kanslib.nftables.changed_sets import ElementMatch, changed_sets, is_constant, parts_of, set_name
from kanslib.nftables.explain import WalkedRule
from kanslib.nftables.fast_elements import FastElements
from kanslib.nftables.selectors import (
    CATCH_ALL,
    UnknownValueError,
    checked_address,
    network_of,
    requirements_of,
)
from kanslib.nftables.syntax import (
    Assign,
    BaseChain,
    Chain,
    Concatenation,
    Counter,
    Element,
    Expression,
    Hash,
    Interval,
    Lookup,
    Nat,
    NumGen,
    ObjectReference,
    Payload,
    Prefix,
    Rule,
    SetLiteral,
    SetReference,
    Statement,
    Table,
    UnknownStatement,
    Value,
    Verdict,
    VerdictMap,
)

_FAMILIES = {"ip": (4,), "ip6": (6,), "inet": (4, 6), "netdev": (4, 6)}
_HOOKS = ("ingress", "prerouting", "input", "forward", "output", "postrouting", "egress")
_AT_DEVICES = ("ingress", "egress")
_COUNTED = re.compile(r"counter packets \d+ bytes \d+")
_INDEXED_FROM = 16  # elements; shorter maps are searched element by element


class CompiledRuleset:
    """The rules of a ruleset as a trace asks for them; compiled chains are kept.

    `ignored`: tables that somebody else reads, each (family, name). `ranks`: those of all base chains (family, table,
    chain), see `Stage`.
    """

    def __init__(self, tables: Sequence[Table], ignored: frozenset[tuple[str, str]] = frozenset()) -> None:
        self._tables = {
            f"{table.family} {table.name}": table
            for table in tables
            if table.family in _FAMILIES and (table.family, table.name) not in ignored and "dormant" not in table.flags
        }
        bases = [(one.family, one.name, name) for one in tables for name, chain in one.chains.items() if chain.base]
        # nft lists tables and chains in the order in which they were added
        self.ranks = {key: rank for rank, key in enumerate(reversed(bases))}
        self._compiled: dict[tuple[str, str], CompiledChain] = {}
        self._scopes = {name: _Scope(name, table, self._compiled) for name, table in self._tables.items()}

    def stages(self, family: int) -> Iterator[Stage]:
        """Yield the base chains that packets of a family (4 or 6) meet."""
        for name, table in self._tables.items():
            for chain in table.chains.values():
                base = chain.base
                if base is not None and family in _FAMILIES[table.family] and base.hook in _HOOKS:
                    rank = self.ranks[table.family, table.name, chain.name]
                    devices = base.devices if base.hook in _AT_DEVICES else None
                    reroutes = base.type in ("nat", "route")
                    yield Stage(
                        base.hook.upper(), name, chain.name, base.priority, _role(base), rank, devices, reroutes
                    )

    def chain(self, table: str, name: str) -> CompiledChain | None:
        """Return a compiled chain, or the map of a compiled rule; None where the table does not have it."""
        key = table, name
        if key not in self._compiled:
            found = self._tables.get(table)
            if found is None or name not in found.chains:
                return None
            self._compiled[key] = _RuleChain(self._scopes[table], found.chains[name])
        return self._compiled[key]


def _role(base: BaseChain) -> Role:
    """Return what is special about a base chain; conntrack looks at a packet in prerouting and output.

    A chain of its priority comes first: rules that ask conntrack have switched it on before the chain was added.
    """
    if base.type == "nat":
        return Role.NAT
    before = base.hook == "ingress" or (base.priority <= CONNTRACK and base.hook in ("prerouting", "output"))
    return Role.BEFORE_CONNTRACK if before else Role.OTHER


class CompiledChain:
    """A chain whose rules are compiled on first use."""

    is_map = False
    policy = "-"

    def __init__(self, table: str, length: int) -> None:
        self.table = table
        self._rules: list[CompiledRule | None] = [None] * length

    def __len__(self) -> int:
        return len(self._rules)

    def rule(self, position: int) -> CompiledRule:
        """Return the rule at a position (from 0), compiled."""
        found = self._rules[position]
        if found is None:
            found = self._rules[position] = self._compile(position)
        return found

    def _compile(self, position: int) -> CompiledRule:
        raise NotImplementedError

    def candidates(self, src: str | None, dst: str | None, dport: int | None) -> Sequence[int]:  # noqa: ARG002 (a map looks at them)
        """Return the positions of the rules that can match such a packet, in order. None means unknown."""
        return range(len(self))

    @cached_property
    def last_uses(self) -> dict[str, int]:
        """The last position at which a rule can ask about a `Subject.name`, or lead to a chain (`-j NAME`)."""
        uses: dict[str, int] = {}
        for position in range(len(self)):
            rule = self.rule(position)
            names = [name for match in rule.matches for name in match.names]
            match rule.action:
                case targets.Jump(chain=to) | targets.Look(map=to):
                    names.append(f"-j {to}")
                case action:
                    names += targets.names(action)
            uses.update(dict.fromkeys(names, position))
        return uses


class _Scope:
    """The table in which rules are compiled, and where their maps are kept."""

    def __init__(self, name: str, table: Table, kept: dict[tuple[str, str], CompiledChain]) -> None:
        self.name, self.table, self._kept = name, table, kept

    def keep(self, chain: CompiledChain) -> str:
        """Keep the map of a rule, and return the name under which `CompiledRuleset.chain` has it."""
        name = f"map {len(self._kept)}"
        self._kept[self.name, name] = chain
        return name

    def elements(self, found: SetReference | SetLiteral) -> Sequence[Element]:
        """Return the elements of a set or map; none for a name that the table does not have."""
        if isinstance(found, SetLiteral):
            return found.elements
        named = self.table.sets.get(found.name)
        return named.elements if named else ()

    def is_changed(self, found: SetReference, asks: Statement) -> bool:
        """Return whether rules of the table change a map; they cannot where it has verdicts."""
        return not isinstance(asks, VerdictMap) and found.name in self._changed

    def added_data(self, found: SetReference) -> tuple[Expression, ...]:
        """Return the data that rules of the table put into a map."""
        return self._changed.get(found.name, ())

    @cached_property
    def _changed(self) -> Mapping[str, tuple[Expression, ...]]:
        return changed_sets(self.table)


class _RuleChain(CompiledChain):
    """A chain of rules."""

    def __init__(self, scope: _Scope, chain: Chain) -> None:
        super().__init__(scope.name, len(chain.rules))
        self._scope, self._chain = scope, chain
        self.policy = "-" if chain.base is None else chain.base.policy.upper()

    def _compile(self, position: int) -> CompiledRule:
        rule = self._chain.rules[position]
        packets = next((one.packets for one in rule.statements if isinstance(one, Counter)), None)
        walked = WalkedRule(
            self.table, self._chain.name, rule.line, rule.text, _without_counters(rule), packets, rule.comment,
            to=_leads_to(rule.statements),
        )  # fmt: skip
        return _compile(self._scope, walked, (), rule.statements)


def _without_counters(rule: Rule) -> str:
    """Return a rule's text without the numbers of its counters."""
    return _COUNTED.sub("counter", rule.text)


class _MapChain(CompiledChain):
    """The elements of a map as rules: each matches the packets that have its key."""

    is_map = True

    def __init__(
        self, scope: _Scope, walked: WalkedRule, key: Expression, elements: Sequence[Element],
        then: Callable[[Element], tuple[Statement, ...]],
    ) -> None:  # fmt: skip
        super().__init__(scope.name, len(elements))
        self._scope, self._walked, self._key, self._then = scope, walked, key, then
        self._elements = elements if isinstance(elements, FastElements) else _in_order(elements)

    def _compile(self, position: int) -> CompiledRule:
        element = self._elements[position]
        statements = self._then(element)
        chance = self._shares[position].of_all if self._shares else None
        walked = replace(
            self._walked, element=str(element), chance=chance, to=_leads_to(statements),
            comment=element.comment or self._walked.comment,
        )  # fmt: skip
        matches = self._matches(position)
        if statements and not isinstance(statements[0], Verdict):  # where one stops the rule, no other element is asked
            behind = _ElementChain(self._scope, walked, statements)
            return _rule(walked, matches, targets.Look(self._scope.keep(behind)))
        return _compile(self._scope, walked, matches, statements)

    def _matches(self, position: int) -> tuple[Match, ...]:
        element = self._elements[position]
        if isinstance(self._key, Hash) and statement_actions.is_same_each_time(self._key):
            with suppress(UnknownValueError):
                return (*requirements_of(self._key), statement_actions.hash_match(self._key, self._values(element)))
        if self._shares:
            return (*requirements_of(self._key), RandomMatch(Probability(self._shares[position].of_rest)))
        if element.key == CATCH_ALL:
            return requirements_of(self._key)
        return statement_actions.key_matches(self._key, element.key)

    def _values(self, element: Element) -> Sequence[Expression]:
        """Return the numbers of an element; of `*` all, as the elements before it have taken theirs."""
        if element.key == CATCH_ALL and isinstance(self._key, Hash):
            return [Interval(self._key.offset, self._key.offset + self._key.modulus - 1)]
        return [element.key]

    @cached_property
    def _shares(self) -> tuple[_Share, ...]:
        """The share of each element in a map of random numbers; empty for any other map."""
        return tuple(_shares(self._key, self._elements)) if isinstance(self._key, NumGen | Hash) else ()

    def candidates(self, src: str | None, dst: str | None, dport: int | None) -> Sequence[int]:
        """Return the positions of the elements that can have the packet's key, in order. None means unknown."""
        if len(self) < _INDEXED_FROM or src is None or dst is None:
            return range(len(self))
        return self._index.candidates(number(src), number(dst), dport)

    @cached_property
    def _index(self) -> RuleIndex:
        if isinstance(self._elements, FastElements):
            return RuleIndex(_fast_conditions(self._key, self._elements.keys))
        return RuleIndex(_condition(self._key, element.key) for element in self._elements)

    @cached_property
    def last_uses(self) -> dict[str, int]:
        """The last position: the elements of a map ask about the same, and their verdicts lead elsewhere."""
        if not self._elements:
            return {}
        last = len(self) - 1
        names = [name for match in self.rule(0).matches for name in match.names]
        chains = {*_chains(self._elements)}
        for position in {0, _first_continue(self._elements)}:
            match self.rule(position).action:
                case targets.Look(map=to):
                    chains.add(to)
        return dict.fromkeys([*names, *(f"-j {chain}" for chain in chains)], last)


class _ElementChain(CompiledChain):
    """What a rule does behind the element that it has found in a map."""

    is_map = True

    def __init__(self, scope: _Scope, walked: WalkedRule, statements: Sequence[Statement]) -> None:
        super().__init__(scope.name, 1)
        self._scope, self._walked, self._statements = scope, walked, statements

    def _compile(self, position: int) -> CompiledRule:  # noqa: ARG002 (there is one)
        return _compile(self._scope, self._walked, (), self._statements)


class _ChangedMapChain(_MapChain):
    """The elements of a map that rules change, and behind those that the text has the ones that rules can add."""

    def __init__(
        self, scope: _Scope, walked: WalkedRule, key: Expression, found: SetReference,
        then: Callable[[Element], tuple[Statement, ...]],
    ) -> None:  # fmt: skip
        name = set_name(scope.table, found.name)
        self._added = {
            element: ElementMatch(name, parts_of(key), data, element.statements != ())
            for data in scope.added_data(found)
            for element in _added_elements(key, data, found)
        }
        self._untouched = ElementMatch(name, parts_of(key))
        super().__init__(scope, walked, key, [*scope.elements(found), *self._added], then)

    def _matches(self, position: int) -> tuple[Match, ...]:
        element = self._elements[position]
        if element.key == CATCH_ALL:
            return super()._matches(position)
        if (added := self._added.get(element)) is not None:
            return (*requirements_of(self._key), added)
        return (*super()._matches(position), self._untouched)


def _added_elements(key: Expression, data: Expression, found: SetReference) -> Iterator[Element]:
    """Yield the element that a rule adds, and what is not known where the packet has changed since."""
    yield Element(key, data)
    if not is_constant(data):
        yield Element(key, data, statements=(UnknownStatement(f"{key} map {found}"),))


def _in_order(elements: Sequence[Element]) -> Sequence[Element]:
    """Return the elements of a map with the one for all that is left, `*`, behind the others."""
    return sorted(elements, key=lambda element: element.key == CATCH_ALL)


def _chains(elements: Sequence[Element]) -> frozenset[str]:
    """Return the chains to which the verdicts of elements lead."""
    if isinstance(elements, FastElements):
        return elements.chains
    return frozenset(one.data.chain for one in elements if isinstance(one.data, Verdict)) - {""}


def _first_continue(elements: Sequence[Element]) -> int:
    """Return the position of the first element behind which a rule goes on though others end it; 0 without one."""
    if isinstance(elements, FastElements):
        return elements.first_continue
    return next((at for at, one in enumerate(elements) if one.data == Verdict("continue")), 0)


class _Share(NamedTuple):
    """How probably a random number leads to an element: from the first one on, and when none before it was met."""

    of_all: Fraction
    of_rest: Fraction


def _shares(key: NumGen | Hash, elements: Sequence[Element]) -> Iterator[_Share]:
    """Yield the share of each element of a map of random numbers; `*` has what the others leave."""
    left = key.modulus
    for element in elements:
        count = left if element.key == CATCH_ALL else _count(key, element)
        yield _Share(Fraction(count, key.modulus), Fraction(count, left) if left else Fraction(0))
        left -= count


def _count(key: NumGen | Hash, element: Element) -> int:
    """Return how many numbers lead to an element; none where its key is no number."""
    try:
        return statement_actions.count_drawn(key, [element.key])
    except UnknownValueError:
        return 0


def _condition(key: Expression, value: Expression) -> Condition:
    """Return what an element wants of the packet's addresses and its destination port."""
    keys = key.parts if isinstance(key, Concatenation) else (key,)
    values = value.parts if isinstance(value, Concatenation) else (value,)
    src = dst = dport = None
    for one, wanted in zip(keys, values, strict=False):
        match one:
            case Payload("ip" | "ip6", "saddr"):
                src = _network(wanted)
            case Payload("ip" | "ip6", "daddr"):
                dst = _network(wanted)
            case Payload(_, "dport") if isinstance(wanted, Value) and isinstance(wanted.value, int):
                dport = wanted.value
    return src, dst, dport


def _fast_conditions(key: Expression, values: Iterable[str]) -> Iterator[Condition]:
    """Yield what each element wants, of which the key is still text: `10.96.0.1 . tcp . 443`."""
    parts = key.parts if isinstance(key, Concatenation) else (key,)
    src, dst, dport = (_place(parts, field) for field in ("saddr", "daddr", "dport"))
    for value in values:
        words = value.split(" . ")
        if len(words) != len(parts):
            yield None, None, None
            continue
        yield (
            None if src is None else _fast_network(words[src]),
            None if dst is None else _fast_network(words[dst]),
            int(words[dport]) if dport is not None and words[dport].isdecimal() else None,
        )


def _place(parts: Sequence[Expression], field: str) -> int | None:
    """Return which part of a key is an address of IP, or a port; None where none is."""
    for place, part in enumerate(parts):
        if isinstance(part, Payload) and part.field == field and (field == "dport" or part.protocol in ("ip", "ip6")):
            return place
    return None


def _fast_network(word: str) -> Network | None:
    try:
        return 32, 32, int.from_bytes(inet_pton(AF_INET, word))
    except OSError:
        address, slash, length = word.partition("/")
        return _network(Prefix(address, int(length)) if slash else Value(address))


def _network(value: Expression) -> Network | None:
    with suppress(UnknownValueError):
        match value:
            case Value(str(text)):
                bits, at = number(checked_address(text))
                return bits, bits, at
            case Prefix():
                network = network_of(value)
                bits, length = network.max_prefixlen, network.prefixlen
                return bits, length, int(network.network_address) >> (bits - length)
    return None


# ── statements ───────────────────────────────────────────────────────────────────────────────────────────────


def _compile(
    scope: _Scope, walked: WalkedRule, matches: tuple[Match, ...], statements: Sequence[Statement]
) -> CompiledRule:
    """Return a rule whose statements follow some matches. A statement that asks a map ends it: its elements go on."""
    found = list(matches)
    for place, statement in enumerate(statements):
        if (lookup := _lookup(statement)) is not None:
            key, mapped = lookup
            if statement_actions.is_hidden(mapped, scope.table):
                return _rule(walked, found, _hidden_map(key, mapped))
            found += requirements_of(key)
            rest = tuple(statements[place + 1 :])
            then = _then(statement, rest)
            if isinstance(mapped, SetReference) and scope.is_changed(mapped, statement):
                elements: CompiledChain = _ChangedMapChain(scope, walked, key, mapped, then)
            else:
                elements = _MapChain(scope, walked, key, scope.elements(mapped), then)
            return _rule(walked, found, targets.Look(scope.keep(elements)))
        done = statement_actions.compile_statement(statement, scope.table)
        if isinstance(done, tuple):
            found += done
        else:
            found += statement_actions.requirements(statement)
            if statement_actions.ends_rule(statement) or place == len(statements) - 1:
                return _rule(walked, found, done)
            found.append(statement_actions.Change(done))
    return _rule(walked, found, targets.NoEffect())


def _hidden_map(key: Expression, found: SetReference | SetLiteral) -> targets.Action:
    words = tr(
        "map {name}, whose elements this text leaves out (`nft list ruleset` without -t has them), for {key}:",
        name=found,
        key=key,
    )
    return targets.unknown(words, f"{key} map {found}")


def _rule(walked: WalkedRule, matches: Sequence[Match], action: targets.Action) -> CompiledRule:
    acts = any(isinstance(match, ActingMatch) for match in matches)
    return CompiledRule(walked, tuple(matches), action, acts)


def _lookup(statement: Statement) -> tuple[Expression, SetReference | SetLiteral] | None:
    """Return key and map of the map that a statement asks; None for a statement without one."""
    match statement:
        case VerdictMap(key, found):
            return key, found
        case Assign(_, Lookup(key, found)) | Nat(address=Lookup(key, found)) | Nat(port=Lookup(key, found)):
            return key, found
        case ObjectReference(_, Lookup(key, found)):
            return key, found
    return None


def _then(statement: Statement, rest: tuple[Statement, ...]) -> Callable[[Element], tuple[Statement, ...]]:
    """Return what an element's data makes of the statement that asked for it, with the statements behind."""

    def statements(element: Element) -> tuple[Statement, ...]:
        return (*element.statements, *with_data(element.data))

    def with_data(data: Expression | Verdict | None) -> tuple[Statement, ...]:
        match statement:
            case VerdictMap() if isinstance(data, Verdict):
                return (data,) if data.kind != "continue" else rest
            case Assign(target, _) if data is not None and not isinstance(data, Verdict):
                return (Assign(target, data), *rest)
            case Nat() if data is not None and not isinstance(data, Verdict):
                is_address = isinstance(statement.address, Lookup)
                found = replace(statement, address=data) if is_address else replace(statement, port=data)
                return (found, *rest)
            case ObjectReference(kind, _) if data is not None and not isinstance(data, Verdict):
                return (ObjectReference(kind, data), *rest)
        return rest

    return statements


def _leads_to(statements: Sequence[Statement]) -> str:
    """Return the chain to which a rule leads; empty where it leads to none, or a map says so."""
    return next((one.chain for one in statements if isinstance(one, Verdict)), "")
