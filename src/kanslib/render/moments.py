"""The moments of a story as the rows of a table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from kanslib.answer import Source
from kanslib.i18n import listed, tr
from kanslib.render.rows import Columns, Row

MOMENT_COLUMNS = Columns(("MOMENT", "AT", "SETTLED AFTER", "DONE", "QUERIES AFTER", "HERE"), wide=("QUERIES AFTER",))


class StoryMoment(Protocol):
    """A moment of a story, as a backend has it."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def at(self) -> float | None:
        """Seconds from the opening to the action; None while it has not been done."""

    @property
    def settled_after(self) -> float | None:
        """Seconds that its effects took."""

    @property
    def actions(self) -> Sequence[object]:
        """What was done; empty where a story does not tell it."""

    @property
    def queries_at(self) -> Sequence[float] | None:
        """Seconds after the action at which commands were run; None where any second can be asked."""

    @property
    def is_current(self) -> bool:
        """True where the lab stands."""

    @property
    def source(self) -> Source:
        """Which backend has it."""


def moment_rows(moments: Iterable[StoryMoment]) -> list[Row]:
    """Return one row a moment, with the columns of MOMENT_COLUMNS; seconds are rounded to tenths."""
    return [
        {
            "MOMENT": one.name,
            "AT": _tenths(one.at),
            "SETTLED AFTER": _tenths(one.settled_after),
            "DONE": _done(one),
            "QUERIES AFTER": tr("any") if one.queries_at is None else listed(f"+{t:.0f}" for t in one.queries_at),
            "HERE": "←" if one.is_current else "",
        }
        for one in moments
    ]


def _tenths(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)


def _done(moment: StoryMoment) -> str:
    words = " · ".join(map(str, moment.actions))
    return tr("{words} (simulated)", words=words) if words and moment.source == "simulated" else words
