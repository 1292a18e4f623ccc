"""The marks of figures: texts, lines, arrows, bands, symbols, strips of requests, the axis of seconds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

import htpy as h

from kanslib.i18n import numeral
from kanslib.palette import BLUE, GREY, VERMILLION
from kanslib.render.figure.layout import SIZES, TimeAxis, text_width, wrap_text

_HEAD = 5  # half of the width of an arrow's head in px
# Paths around their middle, 10 px wide: who does not see the colours sees the shapes
SYMBOLS = {
    "circle": "M-5 0a5 5 0 1 0 10 0a5 5 0 1 0-10 0z",
    "square": "M-4.5-4.5h9v9h-9z",
    "triangle": "M0-5.5l5.5 10h-11z",
    "triangle-down": "M0 5.5l5.5-10h-11z",
    "diamond": "M0-6l6 6l-6 6l-6-6z",
    "cross": "M-4-5.4l4 4l4-4l1.4 1.4l-4 4l4 4l-1.4 1.4l-4-4l-4 4l-1.4-1.4l4-4l-4-4z",
    "plus": "M-1.8-5.4h3.6v3.6h3.6v3.6h-3.6v3.6h-3.6v-3.6h-3.6v-3.6h3.6z",
    "star": "M0-6l1.5 4h4.2l-3.4 2.6l1.3 4.2l-3.6-2.6l-3.6 2.6l1.3-4.2l-3.4-2.6h4.2z",
    "hexagon": "M-5.5 0l2.75-4.8h5.5l2.75 4.8l-2.75 4.8h-5.5z",
    "pentagon": "M0-5.8l5.5 4l-2.1 6.5h-6.8l-2.1-6.5z",
    "hourglass": "M-4.5-5h9l-9 10h9z",
}


def text(
    x: float, y: float, words: h.Node, anchor: str | None = None, *, bold: bool = False, size: int | None = None
) -> h.Element:
    """Return a text in the page's colour whose baseline is at `y`.

    `anchor`: `middle` or `end`, where `x` is not its start. `size` in px, where it is not SIZES.text.

    >>> print(text(1, 2.5, "a < b", bold=True))
    <text x="1" y="2.5" fill="currentColor" font-weight="bold">a &lt; b</text>
    """
    weight = "bold" if bold else None
    return h.text(
        x=f"{x:g}", y=f"{y:g}", fill="currentColor", text_anchor=anchor, font_weight=weight, font_size=size
    )[words]  # fmt: skip


def line(x1: float, y1: float, x2: float, y2: float, colour: str = GREY, width: float = SIZES.stroke,
         dash: str | None = None) -> h.Element:  # fmt: skip
    """Return a straight line. `width` in px; `dash`: an SVG dash pattern."""
    return h.line(
        x1=f"{x1:g}", y1=f"{y1:g}", x2=f"{x2:g}", y2=f"{y2:g}", stroke=colour, stroke_width=f"{width:g}",
        stroke_dasharray=dash,
    )  # fmt: skip


def arrow(points: Sequence[tuple[float, float]], colour: str = GREY, dash: str | None = None) -> h.Node:
    """Return lines through points with a head at the last one. It has no marker: markers need ids."""
    (x1, y1), (x2, y2) = points[-2:]
    dx, dy = ((x2 > x1) - (x2 < x1)) * _HEAD, ((y2 > y1) - (y2 < y1)) * _HEAD
    head = (
        f"M{x2:g} {y2:g}L{x2 - 1.6 * dx - dy:g} {y2 - 1.6 * dy - dx:g}L{x2 - 1.6 * dx + dy:g} {y2 - 1.6 * dy + dx:g}z"
    )
    lines = [line(*start, *end, colour, dash=dash) for start, end in pairwise([*points[:-1], (x2 - dx, y2 - dy)])]
    return h.fragment[lines, h.path(d=head, fill=colour)]


def box(x: float, y: float, width: float, height: float, colour: str = GREY, radius: float = 6,
        dash: str | None = None) -> h.Element:  # fmt: skip
    """Return an empty rectangle with round corners."""
    return h.rect(
        x=f"{x:g}", y=f"{y:g}", width=f"{width:g}", height=f"{height:g}", rx=f"{radius:g}", fill="none",
        stroke=colour, stroke_width=f"{SIZES.stroke:g}", stroke_dasharray=dash,
    )  # fmt: skip


def band(x1: float, y: float, x2: float, height: float, colour: str, opacity: float, title: str = "") -> h.Element:
    """Return a filled stretch from `x1` to `x2`; `title` is shown while it is pointed at."""
    return h.rect(
        x=f"{x1:g}", y=f"{y:g}", width=f"{max(x2 - x1, 0.5):g}", height=f"{height:g}", fill=colour,
        fill_opacity=f"{opacity:g}",
    )[title and h.title[title]]  # fmt: skip


def symbol(shape: str, x: float, y: float, colour: str, title: str = "", size: float = SIZES.symbol) -> h.Element:
    """Return a symbol of SYMBOLS around (x, y); `title` is shown while it is pointed at."""
    scale = "" if size == SIZES.symbol else f" scale({size / SIZES.symbol:g})"
    return h.path(d=SYMBOLS[shape], transform=f"translate({x:g} {y:g}){scale}", fill=colour)[title and h.title[title]]


def request_strip(
    attempts: Iterable[tuple[float, bool]], axis: TimeAxis, y: float, height: float
) -> Iterator[h.Element]:
    """Yield a density strip of requests, each (seconds, answered): the more of a slice failed, the higher its bar.

    A slice without a failure is a thin line; a slice without a request is empty.
    """
    slices = axis.slices()
    length = (axis.end - axis.start) / len(slices)
    answers: dict[int, list[bool]] = defaultdict(list)
    for at, answered in attempts:
        if axis.start <= at <= axis.end:
            answers[min(int((at - axis.start) / length), len(slices) - 1) if length else 0].append(answered)
    paths: dict[str, list[str]] = defaultdict(list)
    for place, found in sorted(answers.items()):
        failed = found.count(False) / len(found)
        tall = max(3.0, height * failed)
        left, right = (axis.x(seconds) for seconds in slices[place])
        bar = f"M{left:g} {y + height - tall:.1f}h{right - left:.1f}v{tall:.1f}h{left - right:.1f}z"
        paths[VERMILLION if failed else BLUE].append(bar)
    for colour, bars in paths.items():
        yield h.path(d="".join(bars), fill=colour)


def time_grid(axis: TimeAxis, top: float, bottom: float) -> Iterator[h.Element]:
    """Yield a thin line from `top` to `bottom` for each tick of the axis: behind a lane, not behind its name."""
    for tick in axis.ticks():
        yield h.g(opacity=".25")[line(axis.x(tick), top, axis.x(tick), bottom, "currentColor", 1)]


def time_axis(axis: TimeAxis, top: float, bottom: float, title: str) -> Iterator[h.Element]:
    """Yield the axis at `bottom`: a thin line from `top` for each tick, its seconds below, and the title under them.

    It needs `time_axis_height` px below `bottom`.
    """
    yield line(axis.left, bottom, axis.right, bottom, width=1)
    yield from time_grid(axis, top, bottom)
    for tick in axis.ticks():
        words = numeral(tick, "g")
        half = text_width(words) / 2
        x = min(max(axis.x(tick), half), axis.right + SIZES.gap - half)
        yield text(x, bottom + SIZES.line, words, "middle")
    for place, words in enumerate(wrap_text(title, axis.right - axis.left), start=2):
        yield text((axis.left + axis.right) / 2, bottom + place * SIZES.line, words, "middle")


def time_axis_height(axis: TimeAxis, title: str) -> float:
    """Return the px that `time_axis` needs below its line."""
    return SIZES.line * (1 + len(wrap_text(title, axis.right - axis.left))) + SIZES.gap
