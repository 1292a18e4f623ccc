"""Rows of a table, each a mapping from column to value, and how its columns are shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum

Row = dict[str, object]
Rows = Sequence[Mapping[str, object]]


class Whole(Enum):
    """What a bar in a cell is a part of, where it is no other cell of its row."""

    SUM = "the sum of its column"
    LARGEST = "the largest number of its column"


@dataclass(frozen=True)
class Columns:
    """The columns of a table in their order.

    `wide`: those of them that only `wide=True` shows. `bars`: the columns of numbers in whose cells a bar stands, each
    with the whole that a full bar is: a column of the same row, or a Whole.
    """

    names: tuple[str, ...]
    wide: tuple[str, ...] = ()
    bars: Mapping[str, str | Whole] = field(default_factory=dict)

    def shown(self, wide: bool) -> Columns:
        """Return the same columns; with `wide`, all of them are shown."""
        return replace(self, wide=()) if wide else self
