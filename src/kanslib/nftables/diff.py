"""Compare two rulesets of one machine: rules and elements that came and went, counters that changed."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from kanslib.i18n import tr
from kanslib.iptables.diff import Changes
from kanslib.nftables.syntax import Chain, Counter, Element, Rule, Set, Statement, Table

if TYPE_CHECKING:
    from kanslib.nftables.ruleset import Ruleset

# what a rule has counted or used up, in the text and in the JSON
_COUNTED = re.compile(
    r'(?<=counter )packets \d+ bytes \d+| used \d+ \w+|(?<=last) used \w+|"(?:packets|bytes|used)": \d+'
)
_OF_OBJECT = re.compile(r'"?packets"?:? (\d+),? "?bytes"?:? (\d+)')


@dataclass(frozen=True)
class PlacedRule:
    """A rule, and where it stands: its table (`ip kube-proxy`) and chain."""

    table: str
    chain: str
    rule: Rule

    def __str__(self) -> str:
        return f"{self.table} {self.chain}: {self.rule.text}"


@dataclass(frozen=True)
class PlacedElement:
    """An element of a set or map, and where it stands."""

    table: str
    set: str
    element: Element

    def __str__(self) -> str:
        return f"{self.table} @{self.set}: {self.element}"


@dataclass(frozen=True)
class PlacedCounter:
    """A counter with a name, and its table."""

    table: str
    name: str

    def __str__(self) -> str:
        return tr("{table}: counter {name}", table=self.table, name=self.name)


@dataclass(frozen=True)
class CounterChange:
    """What has counted between two rulesets, and how much."""

    counted: PlacedRule | PlacedElement | PlacedCounter
    packets: int
    bytes: int

    def __str__(self) -> str:
        return tr(
            "{counted}: {packets:+,} packets, {bytes:+,} bytes",
            counted=self.counted,
            packets=self.packets,
            bytes=self.bytes,
        )


@dataclass(frozen=True)
class RulesetDifference:
    """The differences between two rulesets; false when there is none.

    `removed` rules and `removed_elements` are those of the earlier ruleset, the others of the later one. `reordered`:
    chains (table, chain) with the same rules in another order. `structure`: tables, chains and sets removed, added or
    of another kind, in words. When an element expires is no difference.
    """

    removed: tuple[PlacedRule, ...]
    added: tuple[PlacedRule, ...]
    removed_elements: tuple[PlacedElement, ...]
    added_elements: tuple[PlacedElement, ...]
    counters: tuple[CounterChange, ...]
    reordered: tuple[tuple[str, str], ...]
    structure: tuple[str, ...]

    def __bool__(self) -> bool:
        return any(vars(self).values())

    def describe(self) -> str:
        """Return the differences as lines: `-` what went, `+` what came, `#` what has counted."""
        lines = [f"- {one}" for one in (*self.removed, *self.removed_elements)]
        lines += [f"+ {one}" for one in (*self.added, *self.added_elements)]
        lines += [f"# {one}" for one in self.counters]
        lines += [
            tr("{table} {chain}: the rules have another order", table=table, chain=chain)
            for table, chain in self.reordered
        ]
        return "\n".join([*lines, *self.structure])


def diff(before: Ruleset, after: Ruleset) -> RulesetDifference:
    r"""Return the differences between two rulesets, both of `nft list ruleset` or both of `nft -j list ruleset`.

    Rules are the same when table, chain and text are, without the counters; elements when key and data are.

    >>> from kanslib.nftables import parse
    >>> text = 'table ip t {\n\tchain c {\n\t\tcounter packets 1 bytes 60 accept\n\t}\n}\n'
    >>> found = diff(parse(text), parse(text.replace("packets 1 bytes 60", "packets 3 bytes 180")))
    >>> print(found.describe())
    # ip t c: counter packets 3 bytes 180 accept: +2 packets, +120 bytes
    >>> print(diff(parse(text), parse(text.replace("accept", "drop"))).describe())
    - ip t c: counter packets 1 bytes 60 accept
    + ip t c: counter packets 1 bytes 60 drop
    """
    old, new = _tables(before), _tables(after)
    rules = Changes.between(_rules(old), _rules(new))
    elements = Changes.between(_elements(old), _elements(new))
    counters = [
        *(
            _change(later, earlier.rule.statements, later.rule.statements)
            for earlier, later in rules.kept
            if earlier.rule.text != later.rule.text  # the others need not be read
        ),
        *(_change(later, earlier.element.statements, later.element.statements) for earlier, later in elements.kept),
        *_named_counters(old, new),
    ]
    changed = {(one.table, one.chain) for one in (*rules.removed, *rules.added)}
    return RulesetDifference(
        rules.removed, rules.added, elements.removed, elements.added,
        tuple(one for one in counters if one.packets or one.bytes), tuple(_reordered(old, new, changed)),
        tuple(_structure(old, new)),
    )  # fmt: skip


# ── what came, went and stayed ───────────────────────────────────────────────────────────────────────────────

_Tables = Mapping[str, Table]
_Named = TypeVar("_Named")


def _tables(ruleset: Ruleset) -> _Tables:
    return {f"{table.family} {table.name}": table for table in ruleset.tables}


def _rules(tables: _Tables) -> Iterator[tuple[Hashable, PlacedRule]]:
    for name, table in tables.items():
        for chain in table.chains.values():
            for rule in chain.rules:
                yield (name, chain.name, _uncounted(rule)), PlacedRule(name, chain.name, rule)


def _uncounted(rule: Rule) -> str:
    return _COUNTED.sub("", rule.text)


def _elements(tables: _Tables) -> Iterator[tuple[Hashable, PlacedElement]]:
    for name, table in tables.items():
        for found in table.sets.values():
            for element in found.elements:
                yield (name, found.name, element.key, element.data), PlacedElement(name, found.name, element)


# ── counters ─────────────────────────────────────────────────────────────────────────────────────────────────


def _change(
    later: PlacedRule | PlacedElement, before: Sequence[Statement], after: Sequence[Statement]
) -> CounterChange:
    (old_packets, old_bytes), (packets, size) = _counted(before), _counted(after)
    return CounterChange(later, packets - old_packets, size - old_bytes)


def _counted(statements: Sequence[Statement]) -> tuple[int, int]:
    """Return what the last counter among some statements has counted: all that is before it has matched."""
    found = [one for one in statements if isinstance(one, Counter)]
    return (found[-1].packets, found[-1].bytes) if found else (0, 0)


def _named_counters(old: _Tables, new: _Tables) -> Iterator[CounterChange]:
    before, after = _counter_objects(old), _counter_objects(new)
    for place, (packets, size) in after.items():
        old_packets, old_bytes = before.get(place, (0, 0))
        yield CounterChange(place, packets - old_packets, size - old_bytes)


def _counter_objects(tables: _Tables) -> dict[PlacedCounter, tuple[int, int]]:
    return {
        PlacedCounter(name, one.name): (int(found[1]), int(found[2]))
        for name, table in tables.items()
        for one in table.objects
        if one.kind == "counter" and (found := _OF_OBJECT.search(one.text))
    }


# ── tables, chains and sets ──────────────────────────────────────────────────────────────────────────────────


def _reordered(old: _Tables, new: _Tables, changed: set[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    for name, table in new.items():
        for chain in table.chains.values():
            before = old[name].chains.get(chain.name) if name in old else None
            if before is None or (name, chain.name) in changed:
                continue
            if [*map(_uncounted, before.rules)] != [*map(_uncounted, chain.rules)]:
                yield name, chain.name


def _structure(old: _Tables, new: _Tables) -> Iterator[str]:
    yield from _present("table", "", old, new)
    for name, before, after in _both(old, new):
        yield from _present("chain", f"{name} ", before.chains, after.chains)
        yield from _present("set", f"{name} ", before.sets, after.sets)
        for key, earlier, later in _both(before.chains, after.chains):
            if earlier.base != later.base:
                yield tr(
                    "chain {name}: {before} → {after}", name=f"{name} {key}", before=_hook(earlier), after=_hook(later)
                )
        for key, old_set, new_set in _both(before.sets, after.sets):
            if _kind(old_set) != _kind(new_set):
                yield tr("set {name}: it has another type, flags, timeout or size", name=f"{name} {key}")


def _both(old: Mapping[str, _Named], new: Mapping[str, _Named]) -> Iterator[tuple[str, _Named, _Named]]:
    """Yield the names that stand in both, with what they are in each."""
    yield from ((name, one, new[name]) for name, one in old.items() if name in new)


def _present(kind: str, where: str, old: Mapping[str, object], new: Mapping[str, object]) -> Iterator[str]:
    yield from (tr("{kind} {name}: it is gone", kind=kind, name=f"{where}{name}") for name in old if name not in new)
    yield from (tr("{kind} {name}: it is new", kind=kind, name=f"{where}{name}") for name in new if name not in old)


def _hook(chain: Chain) -> str:
    base = chain.base
    return tr("no hook") if base is None else f"{base.type} {base.hook} priority {base.priority}, policy {base.policy}"


def _kind(found: Set) -> tuple[object, ...]:
    return found.type, found.data_type, found.flags, found.timeout, found.size
