"""Find out whether a listing has the elements of its sets: `nft -t` (terse) leaves them out, and does not say so."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from kanslib.nftables.syntax import Set, SetUpdate, Table


def with_hidden_elements(tables: Iterable[Table]) -> tuple[Table, ...]:
    """Return tables whose sets say whether their elements are left out.

    An empty set and one of `nft -t` are printed alike. Where no set at all has an element, none can be taken for empty.
    Sets that only packets fill (`flags dynamic`, or a rule that adds to them) may well be empty, so they prove nothing.
    """
    found = tuple(tables)
    sets = [(table, one) for table in found for one in table.sets.values()]
    if any(one.read is not tuple for _, one in sets) or not any(_is_filled_by_hand(*one) for one in sets):
        return found
    return tuple(
        replace(table, sets={name: replace(one, hidden=True) for name, one in table.sets.items()}) for table in found
    )


def _is_filled_by_hand(table: Table, found: Set) -> bool:
    """Return whether no rule fills a set; the JSON of nft 1.0.6 leaves out the flag that says so."""
    return "dynamic" not in found.flags and not is_updated(found.name, table)


def is_updated(name: str, table: Table) -> bool:
    """Return whether a rule of a table adds to a set, or deletes from it."""
    return any(one.set == name for one in set_updates(table))


def set_updates(table: Table) -> Iterator[SetUpdate]:
    """Yield the statements of a table's rules that change its sets and maps."""
    for chain in table.chains.values():
        for rule in chain.rules:
            if "@" in rule.text:  # the others need not be read
                yield from (one for one in rule.statements if isinstance(one, SetUpdate))
