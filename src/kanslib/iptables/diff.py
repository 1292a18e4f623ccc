"""Compare two dumps of one machine: rules removed, rules added, counters that changed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from kanslib.i18n import tr
from kanslib.iptables.dump import Chain, Dump, Rule


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
    old, new = _by_text(before), _by_text(after)
    removed: list[Rule] = []
    added: list[Rule] = []
    counters: list[CounterChange] = []
    for key in {**old, **new}:
        old_rules, new_rules = old.get(key, []), new.get(key, [])
        for earlier, later in zip(old_rules, new_rules, strict=False):
            packets, size = (later.packets or 0) - (earlier.packets or 0), (later.bytes or 0) - (earlier.bytes or 0)
            if packets or size:
                counters.append(CounterChange(later, packets, size))
        removed += old_rules[len(new_rules) :]
        added += new_rules[len(old_rules) :]
    changed = {(rule.table, rule.chain) for rule in (*removed, *added)}
    return RulesetDifference(
        tuple(sorted(removed, key=lambda rule: rule.line)),
        tuple(sorted(added, key=lambda rule: rule.line)),
        tuple(sorted(counters, key=lambda change: change.rule.line)),
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
