"""Who leads an address in the view of each speaker, of the client and of the API, as a figure and in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import htpy as h

from kanslib.analysis.leadership import LeaderView, disagreements
from kanslib.answer import Provenance
from kanslib.i18n import in_turn, tr, tr_later
from kanslib.palette import SERIES
from kanslib.render.figure import SIZES, Drawing, Figure, TimeAxis, first_fitting, name_column, wrap_text
from kanslib.render.figure.marks import band, line, text, time_axis, time_axis_height, time_grid
from kanslib.render.rows import Row

_NOBODY = tr_later("nobody")
_LANE = 20  # px
_ZOOMED_PX = 80  # a disagreement that is narrower than this is shown again, as wide as the figure
_ZOOMS = 3  # at most
_MARGIN = 0.6  # of a disagreement, shown before and after it


@dataclass(frozen=True, repr=False)
class LeadershipTimeline(Figure):
    """Whom each viewer took for the leader. `title`: what is asked; `action`: what the seconds count from."""

    views: Sequence[LeaderView]
    title: str
    action: str
    provenance: Provenance

    def drawing(self, width: int) -> Drawing:
        """Draw a lane for each viewer, a bar for each leader that it saw, and below it the disagreements, zoomed in."""
        start = min((one.start for one in self.views), default=0.0)
        end = max((one.end for one in self.views), default=1.0)
        left = max(name_column([tr(one.viewer) for one in self.views], width), SIZES.gap)
        axis = TimeAxis(start, end, left, width - SIZES.gap)
        layers = _Layers(self.views)
        layers.add_heading(self.title, SIZES.gap, width)
        layers.add_lanes(axis, tr("seconds after {action}", action=self.action))
        for first, last in _zooms(self.views, axis):
            layers.add_zoom(axis, first, last, width)
        return Drawing(self.title, layers.y, layers.parts)

    def describe(self) -> str:
        """Return what the figure shows, in sentences."""
        return "\n".join([*sentences(self.views), describe_disagreements(self.views)])

    def rows(self) -> list[Row]:
        """Return a row for each view."""
        return [
            {
                "WHO": tr(one.viewer),
                "FROM": round(one.start, 2),
                "TO": round(one.end, 2),
                "LEADER": one.leader or tr(_NOBODY),
            }
            for one in self.views
        ]


def _zooms(views: Sequence[LeaderView], axis: TimeAxis) -> list[tuple[float, float]]:
    """Return the spans that are worth a second axis: from the first second to the last, with a margin."""
    near = (axis.end - axis.start) / 20
    spans: list[tuple[float, float]] = []
    for start, end, _ in disagreements(views):
        if spans and start - spans[-1][1] < near:
            spans[-1] = spans[-1][0], end
        else:
            spans.append((start, end))
    margins = [(start, end, max((end - start) * _MARGIN, 0.01)) for start, end in spans]
    return [
        (start - margin, end + margin) for start, end, margin in margins if axis.x(end) - axis.x(start) < _ZOOMED_PX
    ][:_ZOOMS]


@dataclass
class _Layers:
    """The figure as it grows downward: `y` is where the next part begins."""

    views: Sequence[LeaderView]
    y: float = 0.0
    axis_y: float = 0.0  # of the last time axis
    parts: list[h.Node] = field(default_factory=list)

    def add_heading(self, words: str, left: float, width: float) -> None:
        """Write a heading, in as many lines as it needs."""
        for one in wrap_text(words, width - left - SIZES.gap, bold=True):
            self.parts.append(text(left, self.y + SIZES.line, one, bold=True))
            self.y += SIZES.line
        self.y += SIZES.gap

    def add_zoom(self, whole: TimeAxis, start: float, end: float, width: int) -> None:
        """Draw a short time again over the whole width, and from where in the figure above it was taken."""
        axis = TimeAxis(start, end, whole.left, whole.right)
        x1, x2 = whole.x(start), max(whole.x(end), whole.x(start) + 1)
        top = self.axis_y
        self.y += SIZES.line
        span = [one for one in disagreements(self.views) if one[0] < end and one[1] > start]
        first, last = span[0][0], span[-1][1]
        words = tr("Not all agree, {first:+.2f} to {last:+.2f} s", first=first, last=last)
        self.add_heading(words, whole.left, width)
        corners = f"M{x1:g} {top:g}L{x2:g} {top:g}L{axis.right:g} {self.y:g}L{axis.left:g} {self.y:g}z"
        self.parts.insert(0, h.path(d=corners, fill="currentColor", fill_opacity=".07"))
        self.add_lanes(axis, tr("the same seconds, stretched"))

    def add_lanes(self, axis: TimeAxis, title: str) -> None:
        """Draw the lanes of all viewers over a time axis."""
        leaders = list(dict.fromkeys(one.leader for one in self.views))
        colours = {leader: SERIES[place % len(SERIES)] for place, leader in enumerate(leaders)}
        for viewer in dict.fromkeys(one.viewer for one in self.views):
            self._add_viewer(viewer, axis)
            grid = list(time_grid(axis, self.y, self.y + _LANE + 4))
            for one in self.views:
                if one.viewer == viewer and one.start < axis.end and one.end > axis.start:
                    self._add_bar(one, axis, colours[one.leader])
            self.parts += grid
            self.y += _LANE + 4
        self.parts += time_axis(axis, self.y, self.y, title)
        self.axis_y, self.y = self.y, self.y + time_axis_height(axis, title)

    def _add_viewer(self, viewer: str, axis: TimeAxis) -> None:
        if axis.left > SIZES.gap:
            self.parts.append(text(SIZES.gap, self.y + SIZES.text + 2, tr(viewer), bold=True))
            return
        for one in wrap_text(tr(viewer), axis.right - axis.left, bold=True):
            self.parts.append(text(axis.left, self.y + SIZES.text, one, bold=True))
            self.y += SIZES.line

    def _add_bar(self, view: LeaderView, axis: TimeAxis, colour: str) -> None:
        x1, x2 = axis.x(view.start), axis.x(view.end)
        leader = view.leader or tr(_NOBODY)
        words = tr("{leader} from {start:+.2f} s", leader=leader, start=view.start)
        self.parts.append(band(x1, self.y, x2, _LANE, colour, 0.3, f"{tr(view.viewer)}: {words}"))
        self.parts.append(line(x1, self.y, x1, self.y + _LANE, "currentColor"))
        names = [words, leader] if axis.start < view.start else [leader]
        if shown := first_fitting(names, x2 - x1 - SIZES.gap):
            self.parts.append(text(x1 + SIZES.gap / 2 + 1, self.y + SIZES.text + 2, shown))


def sentences(views: Sequence[LeaderView]) -> list[str]:
    """Return the figure in words, one sentence for each viewer."""
    lines = []
    for viewer in dict.fromkeys(one.viewer for one in views):
        mine = [one for one in views if one.viewer == viewer]
        leaders = [mine[0].leader or tr(_NOBODY)]
        leaders += [
            tr("{leader} from {start:+.1f} s", leader=one.leader or tr(_NOBODY), start=one.start)
            for before, one in pairwise(mine)
            if one.leader != before.leader
        ]
        words = f"{tr(viewer)}: {in_turn(leaders)}"
        if mine[-1].end < max(one.end for one in views) - 0.1:
            words = tr("{words} (until {end:+.1f} s)", words=words, end=mine[-1].end)
        lines.append(f"{words}.")
    return lines


def describe_disagreements(views: Sequence[LeaderView]) -> str:
    """Return for how long not all viewers agreed."""
    split = disagreements(views)
    if not split:
        return tr("All agreed, all the time.")
    seconds = sum(end - start for start, end, _ in split)
    return tr(
        "Not all agreed for {seconds:.1f} s, between {start:+.1f} and {end:+.1f} s.",
        seconds=seconds,
        start=split[0][0],
        end=split[-1][1],
    )
