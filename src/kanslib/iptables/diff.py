"""Two dumps of one machine compared: which rules are gone, which have come, which counters moved."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from kanslib.iptables.dump import Chain, Dump, Rule


@dataclass(frozen=True)
class CounterChange:
    """A rule whose counters moved from one dump to the next, by how much."""

    rule: Rule
    packets: int
    bytes: int


@dataclass(frozen=True)
class RulesetDifference:
    """What a later dump has that an earlier one had not, and the other way round.

    `gone` rules are those of the earlier dump, `come` and `moved` those of the later one. `reordered`: chains whose
    rules are the same in another order. `policies`: chains that are gone, come, or have another policy.
    """

    removed: tuple[Rule, ...]
    added: tuple[Rule, ...]
    counters: tuple[CounterChange, ...]
    reordered: tuple[Chain, ...]
    policies: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.removed or self.added or self.counters or self.reordered or self.policies)


def diff(before: Dump, after: Dump) -> RulesetDifference:
    """Compare two dumps. Rules are the same when they stand in the same chain with the same text, counters aside.

    >>> from kanslib.iptables import parse
    >>> text = '*nat\\n:X - [0:0]\\n[{}:60] -A X -j {}\\nCOMMIT\\n'
    >>> found = diff(parse(text.format(1, "ACCEPT")), parse(text.format(3, "ACCEPT")))
    >>> found.counters[0].packets, found.removed
    (2, ())
    >>> [rule.text for rule in diff(parse(text.format(0, "ACCEPT")), parse(text.format(0, "DROP"))).added]
    ['-A X -j DROP']
    """
    old, new = _by_text(before), _by_text(after)
    gone: list[Rule] = []
    come: list[Rule] = []
    moved: list[CounterChange] = []
    for key in {**old, **new}:
        ours, theirs = old.get(key, []), new.get(key, [])
        for earlier, later in zip(ours, theirs, strict=False):
            packets, size = (later.packets or 0) - (earlier.packets or 0), (later.bytes or 0) - (earlier.bytes or 0)
            if packets or size:
                moved.append(CounterChange(later, packets, size))
        gone += ours[len(theirs) :]
        come += theirs[len(ours) :]
    by_line = sorted(moved, key=lambda one: one.rule.line)
    changed = {(rule.table, rule.chain) for rule in (*gone, *come)}
    return RulesetDifference(
        tuple(sorted(gone, key=lambda rule: rule.line)),
        tuple(sorted(come, key=lambda rule: rule.line)),
        tuple(by_line),
        tuple(_reordered(before, after, changed)),
        tuple(_policies(before, after)),
    )


def _by_text(ruleset: Dump) -> dict[tuple[str, str], list[Rule]]:
    found: dict[tuple[str, str], list[Rule]] = defaultdict(list)
    for rule in ruleset.rules():
        found[rule.table, rule.text].append(rule)
    return found


def _reordered(before: Dump, after: Dump, changed: set[tuple[str, str]]) -> Iterator[Chain]:
    for table, chains in after.tables.items():
        for name in chains:
            if (table, name) in changed or name not in before.tables.get(table, {}):
                continue
            ours, theirs = before.chain(name, table), after.chain(name, table)
            if [rule.text for rule in ours] != [rule.text for rule in theirs]:
                yield theirs


def _policies(before: Dump, after: Dump) -> Iterator[str]:
    for table in {**before.tables, **after.tables}:
        ours, theirs = before.tables.get(table, {}), after.tables.get(table, {})
        for name in {**ours, **theirs}:
            if name not in theirs:
                yield f"{table} {name}: the chain is gone"
            elif name not in ours:
                yield f"{table} {name}: the chain has come"
            elif ours[name].policy != theirs[name].policy:
                yield f"{table} {name}: policy {ours[name].policy} → {theirs[name].policy}"
