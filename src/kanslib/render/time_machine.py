"""A story at a moment: the clock on its time axis, the map, who has which address, the way of a packet. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from kanslib.answer import Provenance
from kanslib.palette import BLUE, GREEN, GREY, PURPLE, VERMILLION
from kanslib.render.cluster_map import SVG
from kanslib.render.html import scrollable

_LEFT, _WIDTH, _LANE = 150, 940, 24
_SIGNS = {"leader": ("★", BLUE), "node": ("■", VERMILLION), "endpoints": ("⬢", GREEN), "acts": ("▼", PURPLE)}
ADDRESS_COLUMNS = ["SERVICE", "ADDRESS", "LEADER BY THE API", "CLIENT REMEMBERS"]


@dataclass(frozen=True)
class TimelineStop:
    """A moment worth standing at: seconds from the opening, the lane it belongs to, what happened."""

    at: float
    lane: str
    text: str


def _stop_text(stop: TimelineStop) -> str:
    return stop.text if stop.lane == "acts" else f"{stop.lane} {stop.text}"


@dataclass(frozen=True)
class StoryTimeline:
    """A whole story: how many seconds it lasts, its stops, and per Service when requests were answered or not."""

    title: str
    end: float
    stops: tuple[TimelineStop, ...]
    attempts: Mapping[str, Sequence[tuple[float, bool]]]

    def stops_around(self, at: float) -> tuple[TimelineStop | None, TimelineStop | None]:
        """The last stop before a moment and the first after it."""
        before = [stop for stop in self.stops if stop.at < at - 0.05]
        after = [stop for stop in self.stops if stop.at > at + 0.05]
        return (before[-1] if before else None), (after[0] if after else None)

    def latest(self, at: float) -> str:
        """What happened last at or before a moment; several things may have happened at once."""
        before = [stop for stop in self.stops if stop.at <= at + 0.05]
        return "; ".join(_stop_text(stop) for stop in before if before[-1].at - stop.at < 0.05)


@dataclass(frozen=True)
class Scene:
    """Everything that a story shows at one moment."""

    at: float
    latest: str
    map: SVG
    addresses: Sequence[Mapping[str, str]]
    trace_html: str  # a packet's way, as HTML
    trace_summary: str
    provenance: Provenance

    def describe(self) -> str:
        """The scene in sentences."""
        held = [
            f"{row['SERVICE']} ({row['ADDRESS']}): led by {row['LEADER BY THE API']}, "
            f"the client remembers {row['CLIENT REMEMBERS']}."
            for row in self.addresses
        ]
        head = f"{self.at:.1f} s after the opening; last: {self.latest}."
        return "\n".join([head, self.map.describe(), *held, self.trace_summary])


def time_axis(timeline: StoryTimeline, now: float) -> str:
    """The story's time axis as SVG: a lane for acts and for each kind of event, one for each Service's requests."""
    lanes = [lane for lane in _SIGNS if any(stop.lane == lane for stop in timeline.stops)]
    names = [*lanes, *timeline.attempts]
    height = 34 + _LANE * len(names)
    x = _x(now, timeline.end)
    parts = [f'<line x1="{x}" x2="{x}" y1="18" y2="{height - 12}" stroke="currentColor" stroke-width="2"/>']
    parts.append(f'<text x="{x}" y="13" text-anchor="middle" fill="currentColor">{now:.1f} s</text>')
    for place, name in enumerate(names):
        y = 34 + _LANE * place
        parts.append(f'<text x="{_LEFT - 10}" y="{y + 5}" text-anchor="end" fill="currentColor">{escape(name)}</text>')
        parts.append(f'<line x1="{_LEFT}" x2="{_WIDTH}" y1="{y}" y2="{y}" stroke="{GREY}" stroke-opacity=".4"/>')
        parts += _signs(timeline, name, y) if name in lanes else _bars(timeline.attempts[name], timeline.end, y)
    words = escape(f"{timeline.title}. The clock stands at {now:.1f} s of {timeline.end:.0f} s.")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{words}" viewBox="0 0 {_WIDTH + 20} {height}"'
        f' style="width:100%;max-width:{_WIDTH + 20}px;min-width:640px;font:13px sans-serif">{"".join(parts)}</svg>'
    )


def _x(at: float, end: float) -> float:
    return round(_LEFT + (_WIDTH - _LEFT) * min(max(at / end if end else 0.0, 0.0), 1.0), 1)


def _signs(timeline: StoryTimeline, lane: str, y: float) -> Iterator[str]:
    sign, colour = _SIGNS[lane]
    for stop in timeline.stops:
        if stop.lane == lane:
            title = escape(f"{stop.at:.1f} s: {stop.text}")
            yield (
                f'<text x="{_x(stop.at, timeline.end)}" y="{y + 5}" text-anchor="middle" fill="{colour}">'
                f"{sign}<title>{title}</title></text>"
            )


def _bars(attempts: Sequence[tuple[float, bool]], end: float, y: float) -> Iterator[str]:
    """A bar for each slice of time in which something was asked: a line where all went well, high where all failed."""
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
    """A scene as HTML: axis, map, addresses, the packet's way; each with a heading that a screen reader can jump to."""
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
        f"{scrollable(scene.trace_html, 'the ways of a packet')}</div>"
    )
