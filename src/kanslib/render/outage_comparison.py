"""Outages side by side: the lost seconds of each as a bar, the longest first."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import htpy as h

from kanslib.analysis import Outage
from kanslib.analysis.phases import DARK, PARTLY
from kanslib.answer import Provenance
from kanslib.i18n import listed, tr, tr_later
from kanslib.metallb import expected_outage
from kanslib.metallb.expected_outage import Scenario
from kanslib.render.event_marks import PHASE_STYLES
from kanslib.render.figure import SIZES, WIDTHS, Drawing, Figure, first_fitting, text_width, wrap_text
from kanslib.render.figure.marks import band, text
from kanslib.render.outage_tables import summary_row
from kanslib.render.rows import Columns, Row, Rows, Whole

if TYPE_CHECKING:
    from kanslib.render.tables import Table

EXPECTED_COLUMNS = Columns(
    ("SETUP", "DARK UNTIL", "PARTLY UNTIL", "SHARE FAILING", "LOST SECONDS"), bars={"LOST SECONDS": Whole.LARGEST}
)

BAR = 20  # px
_NOTHING = tr_later("nothing lost")
_LEAST = 0.05  # lost seconds that count: they are shown to the tenth


@dataclass(frozen=True)
class LostTime:
    """What one outage cost, in seconds of complete failure: while all requests failed, and while some did.

    `name`: the action or the setting; `row`: all that is known of it.
    """

    name: str
    dark: float
    partly: float
    row: Row

    @property
    def seconds(self) -> float:
        """The seconds of both together; infinite for an outage without an end."""
        return self.dark + self.partly

    @property
    def is_loss(self) -> bool:
        """True for a tenth of a second or more."""
        return self.seconds >= _LEAST

    @property
    def total(self) -> str:
        """The seconds in words."""
        return lost_words(self.seconds)


@dataclass(frozen=True, repr=False)
class OutageComparison(Figure):
    """The lost seconds of several outages: a second in which half of the requests fail counts half.

    `title`: what is compared. `columns`: of the table. `empty_because`: why there is no outage, if there is none.
    `provenance`: None for what no cluster answered.
    """

    title: str
    outages: Sequence[LostTime]
    columns: Columns
    empty_because: str
    provenance: Provenance | None = None

    def drawing(self, width: int) -> Drawing:
        """Draw a bar for each outage: its dark part, its partly dark part, and the seconds beside it.

        Those that lost nothing have one line together.
        """
        shown = [one for one in self._ordered() if one.is_loss]
        finite = [one.seconds for one in shown if math.isfinite(one.seconds)]
        longest = max(finite, default=0.0) or 1.0
        is_beside = width >= WIDTHS[1]
        names = [wrap_text(one.name, width / 3 if is_beside else width - 2 * SIZES.gap, bold=True) for one in shown]
        left = float(SIZES.gap)
        if is_beside:
            heads = [*(words for lines in names for words in lines), tr(_NOTHING)]
            left += max(text_width(words, bold=True) for words in heads) + SIZES.gap
        room = width - left - 2 * SIZES.gap - max((text_width(one.total, bold=True) for one in shown), default=0.0)
        y, parts = float(SIZES.gap), list[h.Node]()
        for one, lines in zip(shown, names, strict=True):
            parts += _lines(lines, SIZES.gap, y + 2, bold=True)
            bar_y = y if is_beside else y + SIZES.line * len(lines) + 4
            parts += _bar(one, left, bar_y, room, longest)
            y = max(y + SIZES.line * len(lines), bar_y + BAR) + SIZES.gap
        if not self.outages:
            parts += _lines(wrap_text(self.describe(), width - 2 * SIZES.gap), SIZES.gap, y)
            y += SIZES.line * 3
        if others := listed(one.name for one in self._ordered() if not one.is_loss):
            parts += _lines([tr(_NOTHING)], SIZES.gap, y + 2, bold=True)
            y += 0 if is_beside else SIZES.line
            lines = wrap_text(others, width - left - SIZES.gap)
            parts += _lines(lines, left, y + 2)
            y += SIZES.line * len(lines) + SIZES.gap
        return Drawing(self.title, y, parts)

    def describe(self) -> str:
        """Return what the figure shows, in sentences."""
        sentences = [
            f"{one.name}: "
            + (
                tr(
                    "{lost} ({dark:.1f} dark, {partly:.1f} partly dark)",
                    lost=one.total,
                    dark=one.dark,
                    partly=one.partly,
                )
                if one.is_loss
                else str(one.total)
            )
            for one in self._ordered()
        ]
        return "\n".join(f"{words}." for words in sentences) or tr("(none: {why})", why=self.empty_because)

    def rows(self) -> Rows:
        """Return a row for each outage, the longest first."""
        return [one.row for one in self._ordered()]

    @property
    def table(self) -> Table:
        """The rows behind the figure, the longest outage first."""
        from kanslib.render.tables import Table

        return Table.from_rows(self.rows(), self.provenance, self.columns, empty_because=self.empty_because)

    def _ordered(self) -> list[LostTime]:
        return sorted(self.outages, key=lambda one: -one.seconds)


def lost_words(seconds: float) -> str:
    """Return lost seconds in words.

    >>> lost_words(20.04), lost_words(0.0)
    ('20.0 s lost', 'nothing lost')
    """
    if math.isinf(seconds):
        return tr("no end")
    return tr("{seconds:.1f} s lost", seconds=seconds) if seconds >= _LEAST else tr(_NOTHING)


def _lines(lines: Sequence[str], x: float, y: float, *, bold: bool = False) -> list[h.Node]:
    return [text(x, y + SIZES.line * place + SIZES.text, words, bold=bold) for place, words in enumerate(lines)]


def _bar(one: LostTime, left: float, y: float, room: float, longest: float) -> list[h.Node]:
    parts, x = lost_bar(one.dark, one.partly, left, y, room / longest, room)
    return [*parts, text(x + SIZES.gap, y + SIZES.text + 2, one.total, bold=True)]


def lost_bar(
    dark: float, partly: float, left: float, y: float, scale: float, room: float
) -> tuple[list[h.Node], float]:
    """Return a bar of lost seconds, `scale` px long for each, and its right end: the dark part, then the partly dark.

    A part is `room` px long at most.
    """
    parts: list[h.Node] = []
    x = left
    for phase, seconds, names in (
        (DARK, dark, (tr("VIP dark: {dark:.1f} s lost", dark=dark), tr("dark"))),
        (PARTLY, partly, (tr("partly dark: {partly:.1f} s lost", partly=partly), tr("partly dark"), tr("partly"))),
    ):
        if not seconds:
            continue
        long = min(seconds * scale, room)
        colour, opacity = PHASE_STYLES[phase]
        parts.append(band(x, y, x + long, BAR, colour, opacity, names[0]))
        if words := first_fitting(names, long - SIZES.gap):
            parts.append(text(x + SIZES.gap / 2, y + SIZES.text + 2, words))
        x += long
    return parts, x


def lost_time(action: str, story: str, outage: Outage, service: str) -> LostTime:
    """Return what a recorded outage cost a Service."""
    dark, partly = (round(outage.lost_seconds(service, name), 1) for name in (DARK, PARTLY))
    return LostTime(f"{action} ({story})", dark, partly, summary_row(action, story, outage, service))


def expected_times(scenarios: Mapping[str, Scenario]) -> list[LostTime]:
    """Return what each scenario is expected to cost (metallb/expected_outage.py)."""
    return [
        LostTime(str(row["SETUP"]), *_expected_seconds(scenario), row)
        for row, scenario in zip(expected_outage.compare(scenarios), scenarios.values(), strict=True)
    ]


def _expected_seconds(scenario: Scenario) -> tuple[float, float]:
    dark = partly = start = 0.0
    for phase in expected_outage.expected(scenario):
        lost = (phase.end - start) * phase.share
        if phase.share == 1.0:
            dark += lost
        else:
            partly += lost
        start = phase.end
    return dark, partly
