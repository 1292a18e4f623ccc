"""Find out whether a listing has the elements of its sets: `nft -t` (terse) leaves them out, and does not say so."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from kanslib.nftables.syntax import Set, Table


def with_hidden_elements(tables: Iterable[Table]) -> tuple[Table, ...]:
    """Return tables whose sets say whether their elements are left out.

    An empty set and one of `nft -t` are printed alike. Where no set at all has an element, none can be taken for empty.
    Sets that only packets fill (`flags dynamic`) may well be empty, so they prove nothing.
    """
    found = tuple(tables)
    sets = [one for table in found for one in table.sets.values()]
    if not any(_is_filled_by_hand(one) for one in sets) or any(one.read is not tuple for one in sets):
        return found
    return tuple(
        replace(table, sets={name: replace(one, hidden=True) for name, one in table.sets.items()}) for table in found
    )


def _is_filled_by_hand(found: Set) -> bool:
    return "dynamic" not in found.flags
