"""A story at one moment: its timeline, the map, who has which address, the path of a packet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import htpy as h
from markupsafe import Markup

from kanslib.answer import Provenance
from kanslib.i18n import numeral, parted, tr, tr_later, tr_plural
from kanslib.palette import BLUE, GREEN, GREY, PURPLE, VERMILLION
from kanslib.render.cluster_map import ClusterMap
from kanslib.render.figure import SIZES, WIDTHS, Drawing, Figure, TimeAxis, stack_labels, text_width, wrap_text
from kanslib.render.figure.marks import line, request_strip, symbol, text, time_axis
from kanslib.render.figure.walk import draw_walk
from kanslib.render.outcome_tree import outcome_tree
from kanslib.render.packet_trace import Trace
from kanslib.render.rows import Rows

_SYMBOLS = {
    tr_later("actions"): ("triangle-down", PURPLE), "leader": ("star", BLUE), "node": ("square", VERMILLION),
    "endpoints": ("hexagon", GREEN), tr_later("settled"): ("hourglass", GREY),
}  # fmt: skip
SINCE_ACTION = tr_later("{seconds} s after {action}")
_LANE, _LABEL_ROWS = 20, 3
# Map and path stand side by side where both have room. The path's drawing is the narrow one there
STYLE = """
.kans-time{container-type:inline-size}
.kans-time .kans-scene{display:grid;grid-template-columns:minmax(0,1fr);gap:4px 12px;align-items:start;
grid-template-rows:auto 1fr;margin:4px 0 0}
.kans-time .kans-scene>*{margin:0;min-width:0}
@container (min-width:980px){
.kans-time .kans-scene{grid-template-columns:minmax(640px,2fr) minmax(320px,1fr)}
.kans-time .kans-scene>.kans-map{grid-row:1/span 2}}
.kans-time .kans-addresses{overflow-x:auto}
.kans-time table{border-collapse:collapse;margin:4px 0;font-size:inherit}
.kans-time .kans-addresses table :is(th,td){padding:3px 14px 3px 0;text-align:left;vertical-align:top}
.kans-time .kans-changed{animation:kans-flash 2s ease-out}
.kans-time td.kans-changed{animation-name:kans-flash-cell}
@keyframes kans-flash-cell{0%,30%{background:#0072b255}}
@media (prefers-reduced-motion:reduce){.kans-time .kans-changed{animation:none}}
.kans-story section{border-top:1px solid #7d7d7d66;margin-top:8px;padding-top:4px}
.kans-story h4{margin:4px 0;font-size:inherit}
"""


@dataclass(frozen=True)
class TimelineStop:
    """A moment at which something happened: seconds after the opening, the lane it belongs to, the event in words."""

    at: float
    lane: str
    text: str

    def __str__(self) -> str:
        return self.text if self.lane == "actions" else tr("{lane} {event}", lane=tr(self.lane), event=self.text)


@dataclass(frozen=True, repr=False)
class StoryTimeline(Figure):
    """A whole story: its length in seconds, its stops, and the requests of each Service as (seconds, answered).

    `scenes`: moments to number, in seconds after the opening.
    """

    title: str
    end: float
    stops: tuple[TimelineStop, ...]
    attempts: Mapping[str, Sequence[tuple[float, bool]]]
    scenes: tuple[float, ...] = ()

    def stops_around(self, at: float) -> tuple[TimelineStop | None, TimelineStop | None]:
        """Return the last stop before a moment and the first stop after it."""
        before = [stop for stop in self.stops if stop.at < at - 0.05]
        after = [stop for stop in self.stops if stop.at > at + 0.05]
        return (before[-1] if before else None), (after[0] if after else None)

    def actions(self) -> list[tuple[float, str]]:
        """Return when each action was done, and its name; without the opening, from which the seconds count."""
        return [(stop.at, stop.text) for stop in self.stops if stop.lane == "actions" and stop.at > 0]

    def headline(self, at: float, words: str) -> Markup:
        """Return a moment, how long after the last action it is, and `words`, as HTML."""
        return Markup(h.fragment[h.b[f"{numeral(at, '.1f')} s"], f"{self._since_action(at)} · {words}"])

    def _since_action(self, at: float) -> str:
        """Return the seconds since the last action, in brackets; nothing before the first one and at an action."""
        done = [(at - start, name) for start, name in self.actions() if start <= at + 0.05]
        if not done or done[-1][0] < 0.05:
            return ""
        return f" ({tr(SINCE_ACTION, seconds=numeral(done[-1][0], '.1f'), action=done[-1][1])})"

    def latest(self, at: float) -> str:
        """Return what happened last, at a moment or before it; several things may have happened at once."""
        before = [stop for stop in self.stops if stop.at <= at + 0.05]
        return parted(str(stop) for stop in before if before[-1].at - stop.at < 0.05)

    def between(self, start: float, end: float) -> str:
        """Return what happened after `start` and until `end`: the first three things in words, the others counted."""
        found = [str(stop) for stop in self.stops if start < stop.at <= end]
        shown = parted(found[:3])
        return (
            tr_plural("{stops}; {n} more", "{stops}; {n} more", len(found) - 3, stops=shown)
            if len(found) > 3
            else shown
        )

    def calm_moments(self) -> list[float]:
        """Return a moment in each pause of more than 2 seconds between stops, at most 10 seconds after a stop."""
        pauses = pairwise([*(stop.at for stop in self.stops), self.end + 2.1])
        return [round(start + min((end - start) / 2, 10), 1) for start, end in pauses if end - start > 2]

    def describe(self) -> str:
        """Return the story in words: every stop with its seconds."""
        lines = [
            tr("{at:7.1f} s  {lane}: {event}", at=stop.at, lane=tr(stop.lane), event=stop.text) for stop in self.stops
        ]
        return "\n".join([f"{self.title}, {self.end:.0f} s:", *lines])

    def rows(self) -> Rows:
        """Return the stops: SECONDS after the opening, LANE, and WHAT happened."""
        return [{"SECONDS": stop.at, "LANE": tr(stop.lane), "WHAT": stop.text} for stop in self.stops]

    @cached_property
    def _lanes(self) -> list[str]:
        return [lane for lane in _SYMBOLS if any(stop.lane == lane for stop in self.stops)]

    def axis(self, width: int) -> TimeAxis:
        """Return where the story's seconds stand in the drawing of a width."""
        names = max(map(text_width, [*map(tr, self._lanes), *self.attempts]), default=0.0)
        return TimeAxis(0, self.end, round(min(names + 12, 0.34 * width)), width - 12)

    def drawing(self, width: int) -> Drawing:
        """Return a lane for actions, for each kind of event, and for the requests of each Service, on one axis."""
        axis = self.axis(width)
        numbers = stack_labels([(axis.x(at), str(number)) for number, at in enumerate(self.scenes, 1)], 0, width - 1)
        actions = [(axis.x(at), name) for at, name in self.actions()]  # the axis names the opening
        named = [label for label in stack_labels(actions, axis.left, width - 1) if label.row < _LABEL_ROWS]
        parts: list[h.Node] = []
        y = 0.0
        for labels, bold in ((numbers, True), (named, False)):
            rows = 1 + max((label.row for label in labels), default=-1)
            for one in labels:
                baseline = y + 12 + SIZES.line * (rows - 1 - one.row)
                parts.append(text(one.x, baseline, one.text, "middle", bold=bold))
            y += SIZES.line * rows
        top = y
        for name in (*self._lanes, *self.attempts):
            middle = y + _LANE / 2
            parts.append(text(axis.left - 8, middle + 4, _shortened(tr(name), axis.left - 8), "end"))
            if name in _SYMBOLS:
                parts += [h.g(opacity=".5")[line(axis.left, middle, axis.right, middle, width=1)]]
                parts += self._marks(name, axis, middle)
            else:
                parts += request_strip(self.attempts[name], axis, y + 2, _LANE - 4)
            y += _LANE
        parts += time_axis(axis, top, y + 4, tr("seconds after the opening"))
        return Drawing(f"{self.title}: {self.end:.0f} s", y + 4 + 2 * SIZES.line + 6, parts)

    def _marks(self, lane: str, axis: TimeAxis, y: float) -> Iterator[h.Element]:
        shape, colour = _SYMBOLS[lane]
        for stop in self.stops:
            if stop.lane == lane:
                yield symbol(shape, axis.x(stop.at), y, colour, f"{numeral(stop.at, '.1f')} s: {stop.text}")


def _shortened(name: str, room: float) -> str:
    lines = wrap_text(name, room)
    return lines[0] if len(lines) == 1 else wrap_text(name, room - text_width("…"))[0] + "…"


@dataclass(frozen=True, repr=False)
class PacketPath(Figure):
    """The path of a packet in short: of a trace's rules those that decide, and where the packet ends."""

    trace: Trace

    def drawing(self, width: int) -> Drawing:
        """Return the boxes of the trace with the rules that decide."""
        return draw_walk(outcome_tree(self.trace.outcomes).deciding(), self.trace.summary, width)

    def describe(self) -> str:
        """Return the trace in words."""
        return self.trace.describe()


ADDRESS_COLUMNS = ("SERVICE", "LEADER BY THE API", "CLIENT REMEMBERS")  # the map has the addresses


@dataclass(frozen=True)
class Scene:
    """What a story shows at one moment, `at` seconds after the opening; `latest`: what happened last.

    `trace` is None where no packet can be traced; `trace_summary` says why.
    """

    at: float
    latest: str
    map: ClusterMap
    addresses: Sequence[Mapping[str, str]]
    trace: Trace | None
    trace_summary: str
    provenance: Provenance

    def describe(self) -> str:
        """Return the scene in words."""
        leaders = [
            tr(
                "{service} ({address}): led by {leader_by_the_api}, the client remembers {client_remembers}.",
                service=row["SERVICE"],
                address=row["ADDRESS"],
                leader_by_the_api=row["LEADER BY THE API"],
                client_remembers=row["CLIENT REMEMBERS"],
            )
            for row in self.addresses
        ]
        head = tr("{at:.1f} s after the opening; last: {latest}.", at=self.at, latest=self.latest)
        return "\n".join([head, self.map.describe(), *leaders, self.trace_summary])

    def map_html(self, before: Scene | None) -> Markup:
        """Return the map; what has changed since `before` flashes."""
        return (self.map.since(before.map) if before else self.map).body_html()

    def path_html(self) -> Markup:
        """Return the path of a packet, drawn in short; or why there is none."""
        return PacketPath(self.trace).body_html() if self.trace else Markup(h.p[self.trace_summary])

    def addresses_html(self, before: Scene | None) -> Markup:
        """Return who has which address as a table; cells that have changed since `before` flash."""
        old = {row["SERVICE"]: row for row in before.addresses} if before else {}
        head = h.tr[(h.th(scope="col")[column] for column in ADDRESS_COLUMNS)]
        body = [h.tr[_address_cells(row, old.get(row["SERVICE"], row))] for row in self.addresses]
        table = h.table[h.thead[head], h.tbody[body]]
        return Markup(h.div(".kans-addresses", tabindex=0, role="group", aria_label=tr("addresses"))[table])


def _address_cells(row: Mapping[str, str], before: Mapping[str, str]) -> Iterator[h.Element]:
    for column in ADDRESS_COLUMNS:
        stale = column == "CLIENT REMEMBERS" and row[column] not in (row["LEADER BY THE API"], tr("nothing"))
        words = h.b[f"≠ {row[column]}"] if stale else row[column]
        yield h.td(class_="kans-changed" if row[column] != before[column] else None)[words]


def story_html(timeline: StoryTimeline, scenes: Sequence[Scene], left: int) -> Markup:
    """Return scenes one below the other, numbered on the timeline: what a page without a kernel shows.

    `left`: how many moments are not among them.
    """
    earlier = [-1.0, *(scene.at for scene in scenes)]
    numbered = replace(timeline, scenes=tuple(scene.at for scene in scenes))
    sections = [
        h.section[
            h.h4[f"{number}. ", timeline.headline(scene.at, timeline.between(before, scene.at))],
            h.div(".kans-scene")[scene.map.body_html(), h.div[h.p[scene.trace_summary], scene.addresses_html(None)]],
        ]
        for number, (before, scene) in enumerate(zip(earlier, scenes, strict=False), 1)
    ]
    more = (
        h.p[
            tr_plural(
                "{n} more moment: with a kernel, the slider has it.",
                "{n} more moments: with a kernel, the slider has them.",
                left,
            )
        ]
        if left
        else None
    )
    return Markup(h.div(".kans-time.kans-story")[h.style[Markup(STYLE)], numbered.body_html(), sections, more])


def axis_insets(timeline: StoryTimeline) -> dict[int, tuple[float, float]]:
    """Return how far the axis stands from the left and the right edge of the drawing of each width, in percent."""
    axes = {width: timeline.axis(width) for width in WIDTHS}
    return {width: (100 * axis.left / width, 100 - 100 * axis.right / width) for width, axis in axes.items()}


def slider_style(timeline: StoryTimeline) -> str:
    """Return the CSS that lays a slider over the timeline: its handle is a line through all lanes."""
    narrow, medium, wide = WIDTHS
    inset = {width: f"left:{left:.3f}%;right:{right:.3f}%" for width, (left, right) in axis_insets(timeline).items()}
    return f"""
.kans-paper{{display:none}}
.kans-strip{{position:relative;overflow:visible;margin:0}}
.kans-strip>*{{margin:0;width:100%}}
.kans-strip .kans-drawing{{overflow:visible}}
.kans-strip .kans-words{{display:none}}
.kans-strip .kans-drawing svg{{max-width:none!important;min-width:0!important}}
.kans-strip>.widget-hslider{{position:absolute;top:0;bottom:0;width:auto;height:auto;margin:0;{inset[medium]}}}
@container (max-width:{medium - 1}px){{.kans-strip>.widget-hslider{{{inset[narrow]}}}
.kans-strip{{max-width:{narrow * 5 // 4}px}}}}
@container (min-width:{wide}px){{.kans-strip>.widget-hslider{{{inset[wide]}}}}}
.kans-strip .widget-label{{position:absolute;clip-path:inset(50%);width:1px;height:1px;overflow:hidden}}
.kans-strip .slider-container{{position:absolute;inset:0;margin:0;padding:0;height:auto;width:auto;min-width:0}}
.kans-strip :is(.noUi-target,.noUi-base,.noUi-connects){{position:absolute;inset:0;width:auto;height:auto;margin:0;
border:0;box-shadow:none;background:none}}
.kans-strip .noUi-connect{{display:none}}
.kans-strip .noUi-target{{cursor:pointer}}
.kans-strip .noUi-target .noUi-origin{{height:100%}}
.kans-strip .noUi-handle.noUi-handle{{width:20px;height:100%;top:0;right:-10px;margin:0;border:0;border-radius:0;
background:none;box-shadow:none;cursor:ew-resize;transform:none}}
.kans-strip .noUi-handle::before{{content:"";position:absolute;left:9px;top:0;bottom:34px;width:2px;height:auto;
background:var(--jp-ui-font-color0,CanvasText)}}
.kans-strip .noUi-handle::after{{content:"";position:absolute;left:4px;top:auto;bottom:26px;width:12px;height:12px;
border-radius:6px;background:var(--jp-ui-font-color0,CanvasText)}}
.kans-strip .noUi-handle:focus-visible{{outline:2px solid {BLUE}}}
.kans-time-controls.widget-box{{position:sticky;top:0;z-index:3;align-items:center;gap:4px;
background:var(--jp-layout-color0,Canvas)}}
.kans-time-headline{{flex:1 1 200px}}
:is(.jp-OutputArea,.jp-OutputArea-child,.jp-OutputArea-output):has(.kans-time-controls){{overflow:visible}}
.kans-time.widget-box,.kans-time .widget-box{{overflow:visible}}
.kans-time .kans-scene.widget-box{{display:grid}}
.kans-time .widget-html-content{{line-height:1.35}}
"""
