"""The scenes of a time machine as data: each drawing as a list of its elements, and each element once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise

import htpy as h
import msgspec

from kanslib.render.figure import WIDTHS, Drawing, Figure
from kanslib.render.time_machine import PacketPath, Scene, StoryTimeline

_TENTHS = 10
_STRIDE = 40  # tenths of a second: what comes and goes between two looks is no scene, unless a stop is there


class DrawnFigure(msgspec.Struct, frozen=True):
    """A figure: at each width its width, height, title and the places of its elements in `parts`; and its words."""

    drawings: Sequence[tuple[int, float, str, Sequence[int]]]
    words: Sequence[str]


class SceneChange(msgspec.Struct, frozen=True, array_like=True):
    """A scene: from this second on, with the places of its map, of its addresses and of its path."""

    at: float
    map: int
    addresses: int
    path: int


class Story(msgspec.Struct, frozen=True):
    """All that a time machine shows.

    stops: each moment at which something happened, and what happened last by then
    actions: when each action was done, and its name
    scenes: in their order; each holds until the next one
    names: for each map, what it says of each node and of each Service, as a number: another number is a change
    addresses: the table of each as HTML
    paths: a figure each, or why there is none
    parts: the elements of all drawings, as SVG
    """

    stops: Sequence[tuple[float, str]]
    actions: Sequence[tuple[float, str]]
    scenes: Sequence[SceneChange]
    maps: Sequence[DrawnFigure]
    names: Sequence[dict[str, int]]
    addresses: Sequence[str]
    paths: Sequence[DrawnFigure | str]
    parts: Sequence[str]


class _Places:
    """Things by the order in which they came, each once."""

    def __init__(self) -> None:
        self.of: dict[object, int] = {}

    def __call__(self, thing: object) -> int:
        return self.of.setdefault(thing, len(self.of))

    def is_new(self, thing: object) -> bool:
        return thing not in self.of


def collect_story(timeline: StoryTimeline, scene_at: Callable[[float], Scene]) -> Story:
    """Return the scenes of a story; `scene_at` returns the one so many seconds after the opening."""
    parts, views = _Places(), _Places()
    maps, tables, ways = _Places(), _Places(), _Places()
    drawn_maps: list[DrawnFigure] = []
    names: list[dict[str, int]] = []
    paths: list[DrawnFigure | str] = []
    scenes: list[SceneChange] = []
    for scene in _changes(timeline, scene_at):
        if maps.is_new(scene.map.view):
            nodes, vips = scene.map.view.nodes, scene.map.view.vips
            named = {**{node.name: views(node) for node in nodes}, **{vip.service: views(vip) for vip in vips}}
            names.append(named)
            drawn_maps.append(_drawn(scene.map.pointing_out(named), parts))
        path = _drawn(PacketPath(scene.trace), parts) if scene.trace else scene.trace_summary
        content = msgspec.json.encode(path)  # rules count packets: one path may be drawn otherwise later
        if ways.is_new(content):
            paths.append(path)
        places = maps(scene.map.view), tables(str(scene.addresses_html(None))), ways(content)
        scenes.append(SceneChange(scene.at, *places))
    stops = [(at, timeline.latest(at)) for at in sorted({stop.at for stop in timeline.stops})]
    texts = [str(part) for part in parts.of]
    return Story(
        stops, timeline.actions(), scenes, drawn_maps, names, [str(table) for table in tables.of], paths, texts
    )


def _changes(timeline: StoryTimeline, scene_at: Callable[[float], Scene]) -> Iterator[Scene]:
    """Yield the first scene and each that differs from the one before it, a tenth of a second exactly."""
    known: dict[int, Scene] = {}

    def look(tenth: int) -> Scene:
        if tenth not in known:
            known[tenth] = scene_at(tenth / _TENTHS)
        return known[tenth]

    def between(low: int, high: int) -> Iterator[Scene]:
        """Yield what changes after `low` and until `high`."""
        if _key(look(low)) == _key(look(high)):
            return
        if high - low == 1:
            yield look(high)
            return
        middle = (low + high) // 2
        yield from between(low, middle)
        yield from between(middle, high)

    end = round(timeline.end * _TENTHS)
    looks = sorted({0, end, *range(0, end, _STRIDE), *(round(stop.at * _TENTHS) for stop in timeline.stops)})
    yield look(0)
    for low, high in pairwise(looks):
        yield from between(low, high)


def _key(scene: Scene) -> tuple[object, ...]:
    return scene.map.view, [tuple(row.items()) for row in scene.addresses], scene.trace_summary


def _drawn(figure: Figure, parts: _Places) -> DrawnFigure:
    drawings = [(width, figure.drawing(width)) for width in WIDTHS]
    return DrawnFigure(
        [(width, one.height, one.title, [parts(part) for part in _elements(one)]) for width, one in drawings],
        figure.describe().splitlines(),
    )


def _elements(drawing: Drawing) -> Iterator[str]:
    """Yield the elements of a drawing, one by one, as SVG."""
    yield from _flat(drawing.parts)


def _flat(node: h.Node) -> Iterator[str]:
    if node is None or isinstance(node, bool):
        return
    if isinstance(node, Iterable) and not isinstance(node, (str, h.BaseElement)):
        for one in node:
            yield from _flat(one)
    else:
        yield str(node)
