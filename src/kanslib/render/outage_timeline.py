"""The timeline of an outage: its clocks, its events, and the requests to each Service with the phases they show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

import htpy as h

from kanslib.analysis import EventKind, Outage, Phase, TimelineEvent
from kanslib.analysis.clocks import Clock, ClockKind, clocks
from kanslib.analysis.phases import DARK, HEALTHY, PARTLY, STRAGGLERS
from kanslib.answer import Provenance
from kanslib.i18n import listed, numeral, parted, tr, tr_later, tr_plural
from kanslib.palette import VERMILLION
from kanslib.render.event_marks import EVENT_STYLES, PHASE_STYLES, EventMark, event_marks
from kanslib.render.figure import (
    SIZES,
    Drawing,
    Figure,
    TimeAxis,
    first_fitting,
    name_column,
    place_notes,
    text_width,
    wrap_text,
)
from kanslib.render.figure.marks import band, line, request_strip, symbol, text, time_axis, time_axis_height, time_grid
from kanslib.render.rows import Row

if TYPE_CHECKING:
    from kanslib.render.interactive import InteractiveFigure

_PHASE_NAMES = {
    DARK: (tr_later("VIP dark · {failed} of {tried} failed"), tr_later("dark {failed}/{tried}"), tr_later("dark")),
    PARTLY: (
        tr_later("partly dark · {failed} of {tried} failed"),
        tr_later("partly dark {failed}/{tried}"),
        tr_later("partly {failed}/{tried}"),
        tr_later("partly"),
    ),
    HEALTHY: (tr_later("healthy"),),
    STRAGGLERS: (
        tr_later("healthy with stragglers · {failed} of {tried} failed"),
        tr_later("{failed} stragglers"),
        "{failed}",
    ),
}
_SHORTEST_S = 0.001  # a figure of less than that has no axis
_MOST_MARKS = 14  # of events: more are a table
_STRIP = 26  # px of a Service's requests
_RIBBON_GAP = 4  # px between the phases and the requests, whose colours are alike
_SHADES = (0.07, 0.03)  # opacities: more would hide what stands on them
_PAD = 2  # px between the edge of a band and its name
# a clock has the colour of the phases that it explains
_CLOCK_PHASES = {
    ClockKind.ADDRESS: DARK, ClockKind.ROUTE: PARTLY, ClockKind.ENDPOINT: PARTLY, ClockKind.CONNTRACK: STRAGGLERS,
}  # fmt: skip


@dataclass(frozen=True, repr=False)
class OutageTimeline(Figure):
    """The timeline of an outage, with its words and its table; `plotly()` is the same to hover over and to zoom."""

    outage: Outage
    provenance: Provenance

    def drawing(self, width: int) -> Drawing:
        """Draw the clocks on top, then the events, then a lane for each Service; time is seconds after the action.

        The lanes are shaded while a clock runs. A lane has the phases, named, and below them the requests: the more
        of a moment's requests failed, the higher the bar.
        """
        outage = self.outage
        failures = {service: _count_failures(phases) for service, phases in outage.phases.items()}
        column = name_column([*failures, *failures.values()], width)
        axis = TimeAxis(*_time_span(outage), max(column, SIZES.gap), width - SIZES.gap)
        layers = _Layers(axis, column > 0)
        running = clocks(outage)
        for clock in running:
            layers.add_clock(clock)
        layers.add_events(outage)
        top = layers.y
        for service, counts in failures.items():
            layers.add_service_name(service, counts)
            layers.add_requests(outage, service)
        shades = _shades(running, axis, top, layers.y)
        drops = [line(x, y, x, top, "currentColor", 1) for x, y in layers.symbols]
        drops += [line(x, start, x, end, "currentColor", 1) for x, _ in layers.symbols for start, end in layers.lanes]
        title = tr("seconds after {action}", action=outage.action)
        grids = [time_grid(axis, start, end) for start, end in layers.lanes]
        foot = list(time_axis(axis, layers.y, layers.y, title))
        height = layers.y + time_axis_height(axis, title)
        return Drawing(
            tr("Timeline of the outage around {action}", action=outage.action),
            height,
            [shades, grids, foot, h.g(opacity=".35")[drops], layers.parts],
        )

    def describe(self) -> str:
        """Return what the figure shows, in sentences."""
        return describe(self.outage)

    def rows(self) -> list[Row]:
        """Return the clocks, the phases of each Service, then all timeline events."""
        found = [
            {
                "LINE": tr("clock"),
                "AT": round(one.start, 1),
                "UNTIL": numeral(one.end, ".1f"),
                "WHAT": str(one.kind),
                "FAILED": "",
            }
            for one in clocks(self.outage)
        ]
        found += [
            {"LINE": service, "AT": round(one.start, 1), "UNTIL": numeral(one.end, ".1f"), "WHAT": tr(one.name),
             "FAILED": f"{one.failed}/{one.tried}"}
            for service, phases in self.outage.phases.items()
            for one in phases
        ]  # fmt: skip
        found += [
            {"LINE": str(event.kind), "AT": round(event.at, 1), "UNTIL": "", "WHAT": str(event), "FAILED": ""}
            for event in self.outage.events
        ]
        return found

    def plotly(self) -> InteractiveFigure:
        """Return the requests and all events as a plotly figure, to hover over and to zoom."""
        from kanslib.render import interactive

        return interactive.outage_timeline(self.outage)


def _shades(running: Sequence[Clock], axis: TimeAxis, top: float, bottom: float) -> list[h.Node]:
    """Return the ground of the lanes: a shade while clocks run, another one from the end of each clock on."""
    edges = sorted({edge for clock in running for edge in (clock.start, clock.end)})
    return [
        band(axis.x(start), top, axis.x(end), bottom - top, "currentColor", _SHADES[place % 2])
        for place, (start, end) in enumerate(pairwise(edges))
        if any(clock.start <= start and end <= clock.end for clock in running)
    ]


def _time_span(outage: Outage) -> tuple[float, float]:
    """Return the first and the last second that the figure shows, the action among them."""
    moments = [0.0, *(event.at for event in outage.events)]
    moments += [one.at for attempts in outage.attempts.values() for one in attempts[:1] + attempts[-1:]]
    first, last = min(moments), max(moments)
    return first, last if last - first > _SHORTEST_S else first + 1.0


def _count_failures(phases: Sequence[Phase]) -> str:
    failed, tried = sum(one.failed for one in phases), sum(one.tried for one in phases)
    return tr("{failed:,} of {tried:,} failed", failed=failed, tried=tried) if tried else tr("no request")


@dataclass
class _Layers:
    """The figure as it grows downward: `y` is where the next part begins.

    `symbols`: the places of the events. `lanes`: from where to where lines go through lanes, not through their names.
    `is_beside`: the names of Services stand at the left of their lanes, not above them.
    """

    axis: TimeAxis
    is_beside: bool
    y: float = float(SIZES.gap)
    parts: list[h.Node] = field(default_factory=list)
    symbols: list[tuple[float, float]] = field(default_factory=list)
    lanes: list[tuple[float, float]] = field(default_factory=list)

    def add_clock(self, clock: Clock) -> None:
        """Draw a clock as a bar with its name and its seconds inside, else beside it, else above it."""
        axis, x1, x2 = self.axis, self.axis.x(clock.start), self.axis.x(clock.end)
        words = f"{clock.kind} · {numeral(clock.end - clock.start, '.1f')} s"
        width = text_width(words, bold=True)
        colour, opacity = PHASE_STYLES[_CLOCK_PHASES[clock.kind]]
        if width + SIZES.gap <= x2 - x1:
            self._write(words, x1 + SIZES.gap / 2)
        elif x2 + width + SIZES.gap <= axis.right:
            self._write(words, x2 + SIZES.gap)
        elif x1 - width - SIZES.gap >= axis.left:
            self._write(words, x1 - SIZES.gap - width)
        else:
            for one in wrap_text(words, axis.right - axis.left, bold=True):
                self._write(one, min(x1, axis.right - text_width(one, bold=True)))
                self.y += SIZES.line
        self.parts.append(band(x1, self.y, x2, SIZES.line, colour, opacity, words))
        self.y += SIZES.line + 3

    def _write(self, words: str, x: float) -> None:
        self.parts.append(text(x, self.y + SIZES.text, words, bold=True))

    def add_events(self, outage: Outage) -> None:
        """Draw the action and the events, each a symbol with its words."""
        marks = event_marks(outage.events)
        shown = [(one.at, one.text, *EVENT_STYLES[one.kind], _titles(one)) for one in marks[:_MOST_MARKS]]
        shown.append((0.0, outage.action, VERMILLION, "triangle-down", outage.action))
        shown.sort(key=lambda one: one[0])
        axis = self.axis
        notes = place_notes([(axis.x(at), words) for at, words, *_ in shown], axis.left, axis.right)
        self.y += SIZES.gap
        for note, (_, _, colour, shape, title) in zip(notes, shown, strict=True):
            y = self.y + SIZES.line * note.row + SIZES.text
            self.parts.append(symbol(shape, note.x, y - 4, colour, title))
            self.symbols.append((note.x, y + 2))
            for place, words in enumerate(note.lines):
                self.parts.append(text(note.text_x, y + SIZES.line * place, words, note.anchor))
        self.y += SIZES.line * max(note.row + len(note.lines) for note in notes)
        if len(marks) > _MOST_MARKS:
            words = tr_plural("and {n} more: .table", "and {n} more: .table", len(marks) - _MOST_MARKS)
            self.parts.append(text(axis.left, self.y + SIZES.text, words))
            self.y += SIZES.line

    def add_service_name(self, service: str, counts: str) -> None:
        """Draw a Service's name and how many requests failed: at the left of its lane, or above it."""
        self.y += 2 * SIZES.gap
        if self.is_beside:
            self.parts.append(text(SIZES.gap, self.y + SIZES.text, service, bold=True))
            self.parts.append(text(SIZES.gap, self.y + SIZES.text + SIZES.line, counts))
            return
        left, right = self.axis.left, self.axis.right
        for place, words in enumerate(wrap_text(service, right - left - SIZES.gap - text_width(counts), bold=True)):
            self.parts.append(text(left, self.y + SIZES.text, words, bold=True))
            if place == 0:
                self.parts.append(text(right, self.y + SIZES.text, counts, "end"))
            self.y += SIZES.line
        self.y += SIZES.gap / 2

    def add_requests(self, outage: Outage, service: str) -> None:
        """Draw the phases of a Service as named bands, and its requests below them."""
        axis, top = self.axis, self.y - (2 * SIZES.gap if self.is_beside else 0)
        free = axis.left  # the names end here
        for phase in outage.phases[service]:
            colour, opacity = PHASE_STYLES[phase.name]
            x1, x2 = axis.x(phase.start), axis.x(phase.end)
            self.parts.append(band(x1, self.y, x2, SIZES.line + 2, colour, opacity, describe_phase(phase)))
            x, names = max(x1 + _PAD, free), _phase_names(phase)
            if free > x1 + _PAD:  # the name before stands in this band: the arrow parts them
                names = [f"→ {name}" for name in names]
            words = first_fitting(names, x2 - x - _PAD)
            if not words and phase.name == DARK and x + text_width(names[-1]) <= axis.right:
                words = names[-1]  # it may reach into the next band: no outage is without this word
            if words:
                self.parts.append(text(x, self.y + SIZES.text + 1, words))
                free = x + text_width(words) + 2 * _PAD
        requests = ((one.at, one.is_ok) for one in outage.attempts[service])
        self.y += SIZES.line + 2 + _RIBBON_GAP
        self.parts += request_strip(requests, axis, self.y, _STRIP)
        self.y += _STRIP
        self.lanes.append((top, self.y))


def _titles(mark: EventMark) -> str:
    return "\n".join(f"{numeral(event.at, '+.2f')} s {event}" for event in mark.events)


def _phase_names(phase: Phase) -> list[str]:
    """Return what a band may say of its phase, from the longest text to the shortest."""
    counts = {"failed": numeral(phase.failed, ","), "tried": numeral(phase.tried, ",")}
    return [tr(words, **counts) for words in _PHASE_NAMES[phase.name]]


def describe(outage: Outage) -> str:
    """Return the timeline in words: its clocks, the phases of each Service, the first event of each lane.

    Without requests, as with logs alone: all events in order.
    """
    if not outage.phases:
        return "\n".join(f"{numeral(event.at, '+.1f')} s {event.kind}: {event}" for event in outage.events)
    sentences = [
        tr("Clock: {kind}, {start:+.1f} to {end:+.1f} s.", kind=one.kind, start=one.start, end=one.end)
        for one in clocks(outage)
    ]
    for service, phases in outage.phases.items():
        texts = [describe_phase(phase) for phase in phases] or [tr("no request after {action}", action=outage.action)]
        sentences.append(f"{service}: " + parted(texts) + ".")
    firsts: dict[EventKind, TimelineEvent] = {}
    for event in outage.events:
        if event.at > 0:
            firsts.setdefault(event.kind, event)
    if firsts:
        texts = [
            tr("{kind} at {at:+.1f} s ({event})", kind=kind, at=event.at, event=event) for kind, event in firsts.items()
        ]
        sentences.append(tr("First after {action}: {events}.", action=outage.action, events=parted(texts)))
    sentences += [tr("Limit of the capture: {limit}.", limit=limit) for limit in outage.limits]
    return "\n".join(sentences)


def describe_phase(phase: Phase) -> str:
    """Return a phase in words: from when to when, its name, and how many requests failed for which causes."""
    failed = tr("{failed} of {tried} failed", failed=phase.failed, tried=phase.tried)
    if phase.causes:
        failed = tr(
            "{failed} of {tried} failed: {causes}",
            failed=phase.failed,
            tried=phase.tried,
            causes=listed(f"{kind} {count}" for kind, count in phase.causes),
        )
    return tr(
        "{start:+.1f} to {end:+.1f} s {name} ({failed})",
        start=phase.start,
        end=phase.end,
        name=tr(phase.name),
        failed=failed,
    )
