"""A story at one moment: its time axis, the map, who has which address, the trace of a packet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import htpy as h
from markupsafe import Markup

from kanslib.answer import Provenance
from kanslib.palette import BLUE, GREEN, GREY, PURPLE, VERMILLION
from kanslib.render.cluster_map import ClusterMap
from kanslib.render.html import scrollable
from kanslib.render.svg import canvas, text

_LEFT, _WIDTH, _LANE = 150, 940, 24
_SYMBOLS = {"leader": ("★", BLUE), "node": ("■", VERMILLION), "endpoints": ("⬢", GREEN), "actions": ("▼", PURPLE)}


@dataclass(frozen=True)
class TimelineStop:
    """A moment at which something happened: seconds after the opening, the lane it belongs to, the event in words."""

    at: float
    lane: str
    text: str


def _stop_text(stop: TimelineStop) -> str:
    return stop.text if stop.lane == "actions" else f"{stop.lane} {stop.text}"


@dataclass(frozen=True)
class StoryTimeline:
    """A whole story: its length in seconds, its stops, and the requests of each Service as (seconds, answered)."""

    title: str
    end: float
    stops: tuple[TimelineStop, ...]
    attempts: Mapping[str, Sequence[tuple[float, bool]]]

    def stops_around(self, at: float) -> tuple[TimelineStop | None, TimelineStop | None]:
        """Return the last stop before a moment and the first stop after it."""
        before = [stop for stop in self.stops if stop.at < at - 0.05]
        after = [stop for stop in self.stops if stop.at > at + 0.05]
        return (before[-1] if before else None), (after[0] if after else None)

    def latest(self, at: float) -> str:
        """Return what happened last, at a moment or before it; several things may have happened at once."""
        before = [stop for stop in self.stops if stop.at <= at + 0.05]
        return "; ".join(_stop_text(stop) for stop in before if before[-1].at - stop.at < 0.05)


ADDRESS_COLUMNS = ("SERVICE", "ADDRESS", "LEADER BY THE API", "CLIENT REMEMBERS")


@dataclass(frozen=True)
class Scene:
    """What a story shows at one moment, `at` seconds after the opening; `latest`: what happened last."""

    at: float
    latest: str
    map: ClusterMap
    addresses: Sequence[Mapping[str, str]]
    trace_html: Markup
    trace_summary: str
    provenance: Provenance

    def describe(self) -> str:
        """Return the scene in words."""
        leaders = [
            f"{row['SERVICE']} ({row['ADDRESS']}): led by {row['LEADER BY THE API']}, "
            f"the client remembers {row['CLIENT REMEMBERS']}."
            for row in self.addresses
        ]
        head = f"{self.at:.1f} s after the opening; last: {self.latest}."
        return "\n".join([head, self.map.describe(), *leaders, self.trace_summary])


def time_axis(timeline: StoryTimeline, now: float) -> Markup:
    """Draw the time axis: a lane for actions, for each kind of event, and for the requests of each Service."""
    lanes = [lane for lane in _SYMBOLS if any(stop.lane == lane for stop in timeline.stops)]
    names = [*lanes, *timeline.attempts]
    height = 34 + _LANE * len(names)
    x = _x(now, timeline.end)
    parts: list[h.Node] = [
        h.line(x1=str(x), x2=str(x), y1=18, y2=height - 12, stroke="currentColor", stroke_width=2),
        text(x, 13, f"{now:.1f} s", anchor="middle"),
    ]
    for place, name in enumerate(names):
        y = 34 + _LANE * place
        parts.append(text(_LEFT - 10, y + 5, name, anchor="end"))
        parts.append(h.line(x1=_LEFT, x2=_WIDTH, y1=y, y2=y, stroke=GREY, stroke_opacity=".4"))
        parts += _lane_symbols(timeline, name, y) if name in lanes else _bars(timeline.attempts[name], timeline.end, y)
    words = f"{timeline.title}. The clock stands at {now:.1f} s of {timeline.end:.0f} s."
    return Markup(canvas(words, _WIDTH + 20, height, "min-width:640px;font:13px sans-serif")[parts])


def _x(at: float, end: float) -> float:
    return round(_LEFT + (_WIDTH - _LEFT) * min(max(at / end if end else 0.0, 0.0), 1.0), 1)


def _lane_symbols(timeline: StoryTimeline, lane: str, y: int) -> Iterator[h.Element]:
    symbol, colour = _SYMBOLS[lane]
    for stop in timeline.stops:
        if stop.lane == lane:
            title = h.title[f"{stop.at:.1f} s: {stop.text}"]
            yield text(_x(stop.at, timeline.end), y + 5, [symbol, title], colour, "middle")


def _bars(attempts: Sequence[tuple[float, bool]], end: float, y: int) -> Iterator[h.Element]:
    """Yield a bar for each slice of time with requests: the more of them failed, the higher."""
    slices: dict[int, list[bool]] = {}
    count = 160
    for at, ok in attempts:
        slices.setdefault(int(at / end * count), []).append(ok)
    wide = (_WIDTH - _LEFT) / count
    for place, answers in sorted(slices.items()):
        failed = answers.count(False) / len(answers)
        colour, high = (VERMILLION, 4 + 14 * failed) if failed else (BLUE, 3)
        x = round(_LEFT + place * wide, 1)
        yield h.rect(x=str(x), y=f"{y - high / 2:.1f}", width=f"{wide:.1f}", height=f"{high:.1f}", fill=colour)


def scene_html(scene: Scene, timeline: StoryTimeline) -> Markup:
    """Return a scene as HTML: axis, map, addresses, trace; each in a labelled group for screen readers."""
    left = "text-align:left"
    head = h.tr[(h.th(scope="col", style=left)[column] for column in ADDRESS_COLUMNS)]
    body = (h.tr[(h.td(style=left)[row[column]] for column in ADDRESS_COLUMNS)] for row in scene.addresses)
    return Markup(
        h.div(".kans-scene")[
            scene.provenance.html(),
            h.p[f"{scene.at:.1f} s after the opening · last: ", h.b[scene.latest]],
            scrollable(time_axis(timeline, scene.at), "time axis"),
            scene.map.body_html(),
            h.table[h.thead[head], h.tbody[body]],
            scrollable(scene.trace_html, "the trace of a packet"),
        ]
    )
