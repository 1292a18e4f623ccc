"""Compare two dumps of one machine: rules removed, rules added, counters that changed."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from kanslib.i18n import tr
from kanslib.iptables.dump import Chain, Dump, Rule

_One = TypeVar("_One")


@dataclass(frozen=True)
class Changes(Generic[_One]):
    """What was removed and added, in the order of its own list, and what was kept: as it was and as it is."""

    removed: tuple[_One, ...]
    added: tuple[_One, ...]
    kept: tuple[tuple[_One, _One], ...]

    @staticmethod
    def between(before: Iterable[tuple[Hashable, _One]], after: Iterable[tuple[Hashable, _One]]) -> Changes[_One]:
        """Return the changes between two lists of keys and what has them; a key can stand in a list several times.

        >>> Changes.between([("a", 1), ("b", 2)], [("b", 3), ("b", 4)])
        Changes(removed=(1,), added=(4,), kept=((2, 3),))
        """
        places: dict[Hashable, deque[int]] = defaultdict(deque)
        earlier: list[_One] = []
        for key, one in before:
            places[key].append(len(earlier))
            earlier.append(one)
        added: list[_One] = []
        kept: list[tuple[int, _One]] = []
        for key, one in after:
            if same := places.get(key):
                kept.append((same.popleft(), one))
            else:
                added.append(one)
        found = {place for place, _ in kept}
        removed = (one for place, one in enumerate(earlier) if place not in found)
        return Changes(tuple(removed), tuple(added), tuple((earlier[place], one) for place, one in kept))


@dataclass(frozen=True)
class CounterChange:
    """A rule whose counters differ between two dumps, and the difference."""

    rule: Rule
    packets: int
    bytes: int


@dataclass(frozen=True)
class RulesetDifference:
    """The differences between two dumps; false when there is none.

    `removed` rules are those of the earlier dump, `added` rules and `counters` those of the later one. `reordered`:
    chains with the same rules in another order. `policies`: chains removed, added, or with another policy, in words.
    """

    removed: tuple[Rule, ...]
    added: tuple[Rule, ...]
    counters: tuple[CounterChange, ...]
    reordered: tuple[Chain, ...]
    policies: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.removed or self.added or self.counters or self.reordered or self.policies)


def diff(before: Dump, after: Dump) -> RulesetDifference:
    r"""Return the differences between two dumps. Rules are the same when chain and text are, without the counters.

    >>> from kanslib.iptables import parse
    >>> text = '*nat\n:X - [0:0]\n[{}:60] -A X -j {}\nCOMMIT\n'
    >>> found = diff(parse(text.format(1, "ACCEPT")), parse(text.format(3, "ACCEPT")))
    >>> found.counters[0].packets, found.removed
    (2, ())
    >>> [rule.text for rule in diff(parse(text.format(0, "ACCEPT")), parse(text.format(0, "DROP"))).added]
    ['-A X -j DROP']
    """
    rules = Changes.between(_in_order(before), _in_order(after))
    counters = [
        CounterChange(later, (later.packets or 0) - (earlier.packets or 0), (later.bytes or 0) - (earlier.bytes or 0))
        for earlier, later in rules.kept
    ]
    changed = {(rule.table, rule.chain) for rule in (*rules.removed, *rules.added)}
    return RulesetDifference(
        rules.removed,
        rules.added,
        tuple(one for one in counters if one.packets or one.bytes),
        tuple(_reordered(before, after, changed)),
        tuple(_policies(before, after)),
    )


def _in_order(dump: Dump) -> Iterator[tuple[Hashable, Rule]]:
    yield from (((rule.table, rule.text), rule) for rule in sorted(dump.rules(), key=lambda rule: rule.line))


def _reordered(before: Dump, after: Dump, changed: set[tuple[str, str]]) -> Iterator[Chain]:
    for table, chains in after.tables.items():
        for name in chains:
            if (table, name) in changed or name not in before.tables.get(table, {}):
                continue
            old, new = before.chain(name, table), after.chain(name, table)
            if [rule.text for rule in old] != [rule.text for rule in new]:
                yield new


def _policies(before: Dump, after: Dump) -> Iterator[str]:
    for table in {**before.tables, **after.tables}:
        old, new = before.tables.get(table, {}), after.tables.get(table, {})
        for name in {**old, **new}:
            if name not in new:
                yield tr("{table} {name}: the chain is gone", table=table, name=name)
            elif name not in old:
                yield tr("{table} {name}: the chain is new", table=table, name=name)
            elif old[name].policy != new[name].policy:
                yield tr(
                    "{table} {name}: policy {policy} → {new_policy}",
                    table=table,
                    name=name,
                    policy=old[name].policy,
                    new_policy=new[name].policy,
                )
