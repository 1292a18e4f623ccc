"""A story at one moment: its time axis, the map, who has which address, the trace of a packet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from kanslib.answer import Provenance
from kanslib.palette import BLUE, GREEN, GREY, PURPLE, VERMILLION
from kanslib.render.cluster_map import SVG
from kanslib.render.html import scrollable

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
    map: SVG
    addresses: Sequence[Mapping[str, str]]
    trace_html: str
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


def time_axis(timeline: StoryTimeline, now: float) -> str:
    """Draw the time axis: a lane for actions, for each kind of event, and for the requests of each Service."""
    lanes = [lane for lane in _SYMBOLS if any(stop.lane == lane for stop in timeline.stops)]
    names = [*lanes, *timeline.attempts]
    height = 34 + _LANE * len(names)
    x = _x(now, timeline.end)
    parts = [f'<line x1="{x}" x2="{x}" y1="18" y2="{height - 12}" stroke="currentColor" stroke-width="2"/>']
    parts.append(f'<text x="{x}" y="13" text-anchor="middle" fill="currentColor">{now:.1f} s</text>')
    for place, name in enumerate(names):
        y = 34 + _LANE * place
        parts.append(f'<text x="{_LEFT - 10}" y="{y + 5}" text-anchor="end" fill="currentColor">{escape(name)}</text>')
        parts.append(f'<line x1="{_LEFT}" x2="{_WIDTH}" y1="{y}" y2="{y}" stroke="{GREY}" stroke-opacity=".4"/>')
        parts += _lane_symbols(timeline, name, y) if name in lanes else _bars(timeline.attempts[name], timeline.end, y)
    words = escape(f"{timeline.title}. The clock stands at {now:.1f} s of {timeline.end:.0f} s.")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{words}" viewBox="0 0 {_WIDTH + 20} {height}"'
        f' style="width:100%;max-width:{_WIDTH + 20}px;min-width:640px;font:13px sans-serif">{"".join(parts)}</svg>'
    )


def _x(at: float, end: float) -> float:
    return round(_LEFT + (_WIDTH - _LEFT) * min(max(at / end if end else 0.0, 0.0), 1.0), 1)


def _lane_symbols(timeline: StoryTimeline, lane: str, y: float) -> Iterator[str]:
    symbol, colour = _SYMBOLS[lane]
    for stop in timeline.stops:
        if stop.lane == lane:
            title = escape(f"{stop.at:.1f} s: {stop.text}")
            yield (
                f'<text x="{_x(stop.at, timeline.end)}" y="{y + 5}" text-anchor="middle" fill="{colour}">'
                f"{symbol}<title>{title}</title></text>"
            )


def _bars(attempts: Sequence[tuple[float, bool]], end: float, y: float) -> Iterator[str]:
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
        yield f'<rect x="{x}" y="{y - high / 2:.1f}" width="{wide:.1f}" height="{high:.1f}" fill="{colour}"/>'


def scene_html(scene: Scene, timeline: StoryTimeline) -> str:
    """Return a scene as HTML: axis, map, addresses, trace; each in a labelled group for screen readers."""
    head = "".join(f'<th scope="col" style="text-align:left">{escape(name)}</th>' for name in ADDRESS_COLUMNS)
    body = "".join(
        "<tr>"
        + "".join(f'<td style="text-align:left">{escape(str(row[name]))}</td>' for name in ADDRESS_COLUMNS)
        + "</tr>"
        for row in scene.addresses
    )
    last = f"<p>{scene.at:.1f} s after the opening · last: <b>{escape(scene.latest)}</b></p>"
    return (
        f'<div class="kans-scene">{scene.provenance.html()}{last}'
        f"{scrollable(time_axis(timeline, scene.at), 'time axis')}{scrollable(str(scene.map), 'cluster map')}"
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        f"{scrollable(scene.trace_html, 'the trace of a packet')}</div>"
    )
