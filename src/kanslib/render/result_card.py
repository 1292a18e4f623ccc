"""The result of an action under observation as a card: what was done, how many requests failed, who leads now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import htpy as h

from kanslib.analysis import Outage
from kanslib.answer import Provenance
from kanslib.i18n import tr, tr_later
from kanslib.palette import VERMILLION
from kanslib.render.figure import SIZES, WIDTHS, Drawing, Figure, TimeAxis, text_width, wrap_text
from kanslib.render.figure.marks import box, line, request_strip, text
from kanslib.render.rows import Row

_NO_REQUEST = tr_later("No request was sent: lab.observe(probes=[…]) sends some.")
_STRIP = 18  # px
_PAD = 12  # px from the border


@dataclass(frozen=True, repr=False)
class ResultCard(Figure):
    """The result of an action. `done`: the action in words; `seconds`: how long it was observed after the action.

    `outage`: None where nobody sent requests; `leaders`: by Service.
    """

    done: str
    seconds: float
    outage: Outage | None
    leaders: Mapping[str, str]
    provenance: Provenance

    @property
    def headline(self) -> str:
        """What was done, and how long it was observed."""
        return tr("{done} · {seconds:.0f} s observed", done=self.done, seconds=self.seconds)

    def drawing(self, width: int) -> Drawing:
        """Draw the headline, and for each Service its requests as a strip, how many failed, and its leader."""
        inner = width - 2 * _PAD
        y, parts = float(_PAD), list[h.Node]()
        for words in wrap_text(self.headline, inner, SIZES.title, bold=True):
            parts.append(text(_PAD, y + SIZES.title, words, bold=True, size=SIZES.title))
            y += SIZES.line + 4
        for row in self._results:
            y = self._draw_result(parts, row, y + SIZES.gap, width)
        if not self._results:
            for words in wrap_text(tr(_NO_REQUEST), inner):
                parts.append(text(_PAD, y + SIZES.line, words))
                y += SIZES.line
        height = y + _PAD
        return Drawing(self.headline, height, [box(0.75, 0.75, width - 1.5, height - 1.5), parts])

    def _draw_result(self, parts: list[h.Node], result: _Result, y: float, width: int) -> float:
        """Draw a Service; return the y below. On a narrow card its strip stands below its words."""
        names = [text_width(one.service, bold=True) for one in self._results]
        words = [text_width(one.words) for one in self._results]
        left, right = _PAD + max(names) + _PAD, width - 2 * _PAD - max(words)
        if width < WIDTHS[1] or right - left < width / 4:
            for lines, bold in ((result.service, True), (result.words, False)):
                for one in wrap_text(lines, width - 2 * _PAD, bold=bold):
                    parts.append(text(_PAD, y + SIZES.text, one, bold=bold))
                    y += SIZES.line
            left, right, y = _PAD, width - _PAD, y + 2
        else:
            parts.append(text(_PAD, y + SIZES.text + 2, result.service, bold=True))
            parts.append(text(right + _PAD, y + SIZES.text + 2, result.words))
        if self.outage:
            attempts = self.outage.attempts[result.service]
            axis = TimeAxis(min(attempts[0].at, 0.0), max(attempts[-1].at, attempts[0].at + 1), left, right)
            x = axis.x(0)
            parts.append(line(x, y - 2, x, y + _STRIP + 2, VERMILLION, 1, "2 2"))
            parts += request_strip(((one.at, one.is_ok) for one in attempts), axis, y, _STRIP)
        return y + _STRIP

    def describe(self) -> str:
        """Return the card in words."""
        results = [f"{one.service}: {one.words}." for one in self._results] or [tr(_NO_REQUEST)]
        return "\n".join([f"{self.headline}.", *results])

    def rows(self) -> list[Row]:
        """Return a row for each Service that was asked."""
        return [
            {"SERVICE": one.service, "TRIED": one.tried, "FAILED": one.failed, "LEADER": one.leader}
            for one in self._results
        ]

    @cached_property
    def _results(self) -> list[_Result]:
        phases = self.outage.phases if self.outage else {}
        return [
            _Result(service, sum(one.tried for one in found), sum(one.failed for one in found),
                    self.leaders.get(service, ""))
            for service, found in phases.items()
        ]  # fmt: skip


@dataclass(frozen=True)
class _Result:
    """What an action did to a Service; `leader` is empty where none is known."""

    service: str
    tried: int
    failed: int
    leader: str

    @property
    def words(self) -> str:
        counts = (
            tr("{failed:,} of {tried:,} failed", failed=self.failed, tried=self.tried)
            if self.tried
            else tr("no request after the action")
        )
        return tr("{counts} · leader now {leader}", counts=counts, leader=self.leader) if self.leader else counts
