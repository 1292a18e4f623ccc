"""The election as a figure: for each address the nodes on a line, from the smallest hash to the largest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import htpy as h

from kanslib.answer import Provenance
from kanslib.i18n import listed, tr, tr_plural
from kanslib.metallb import election
from kanslib.palette import GROUND, SERIES
from kanslib.render.figure import NOTE_GAP, SIZES, Drawing, Figure, Note, place_notes, wrap_text
from kanslib.render.figure.marks import SYMBOLS, line, symbol, text
from kanslib.render.rows import Rows

_MARGIN = 4
_ROW = SIZES.line + 4
_OVER_STEMS = f"paint-order:stroke;stroke:{GROUND};stroke-width:4px;stroke-linejoin:round"
_SHAPES = ("circle", "square", "triangle", "diamond", "cross", "hexagon", "pentagon")


@dataclass(frozen=True)
class HashLine:
    """One address: its nodes from the smallest hash on, each with its place between 0 and 1.

    `before` and `after`: the leader without and with the imagined joins and leaves.
    """

    name: str
    ip: str
    places: tuple[tuple[str, float], ...]
    before: str
    after: str


def hash_lines(
    vips: Mapping[str, str], nodes: Sequence[str], joins: Sequence[str], leaves: Sequence[str]
) -> list[HashLine]:
    """Return the line of each address. `vips`: Service name to address."""
    after = [node for node in (*nodes, *joins) if node not in leaves]
    lines = []
    for name, ip in vips.items():
        ordered = election.order(dict.fromkeys([*nodes, *joins]), ip)
        places = tuple((node, int.from_bytes(election.sort_key(node, ip)[:8], "big") / 2**64) for node in ordered)
        first = [next(iter(election.order(some, ip)), "") for some in (nodes, after)]
        lines.append(HashLine(name, ip, places, *first))
    return lines


@dataclass(frozen=True, repr=False)
class HashOrder(Figure):
    """The election of one or more addresses: a picture in a notebook, `describe()` in words, `table` with the hashes.

    `joins` and `leaves` are imagined: a node that joins has a dashed ring, a node that leaves is hollow.
    """

    lines: tuple[HashLine, ...]
    provenance: Provenance
    joins: tuple[str, ...] = ()
    leaves: tuple[str, ...] = ()

    def drawing(self, width: int) -> Drawing:
        """Return a line for each address; the leftmost node leads."""
        y = float(SIZES.line)
        parts: list[h.Node] = [
            text(_MARGIN, y, tr("← smallest hash: leads")),
            text(width - _MARGIN, y, tr("largest →"), "end"),
        ]
        for one in self.lines:
            for words in wrap_text(_line_words(one), width - 2 * _MARGIN, bold=True):
                y += SIZES.line
                parts.append(text(_MARGIN, y + SIZES.gap, words, bold=True))
            lane = _Lane(self, one, y + SIZES.gap + 6, width)
            parts.append(lane.drawn())
            y = lane.bottom
        return Drawing(tr("Nodes in the order of their hashes"), y + _MARGIN, parts)

    def node_words(self, node: str, row: HashLine) -> str:
        """Return a node with what it does for an address."""
        does = [tr("joins")] if node in self.joins else [tr("leaves")] if node in self.leaves else []
        does += [tr("leads")] if node == row.after else [tr("led")] if node == row.before else []
        star = "★ " if node == row.after else ""
        return f"{star}{node} ({listed(does)})" if does else node

    def describe(self) -> str:
        """Return the diagram in words."""
        sentences = []
        if self.joins:
            names = listed(self.joins)
            sentences.append(tr_plural("{names} joins.", "{names} join.", len(self.joins), names=names))
        if self.leaves:
            names = listed(self.leaves)
            sentences.append(tr_plural("{names} leaves.", "{names} leave.", len(self.leaves), names=names))
        for row in self.lines:
            order = listed(node for node, _ in row.places)
            sentences.append(
                tr("{line_words}; from the smallest hash on: {order}.", line_words=_line_words(row), order=order)
            )
        return "\n".join(sentences)

    def rows(self) -> Rows:
        """Return a row for each node of each address: SERVICE, ADDRESS, ORDER, NODE, HASH (0 to 1) and LEADS."""
        return [
            {"SERVICE": row.name, "ADDRESS": row.ip, "ORDER": number, "NODE": node, "HASH": f"{place:.4f}",
             "LEADS": node == row.after}
            for row in self.lines
            for number, (node, place) in enumerate(row.places, 1)
        ]  # fmt: skip


def _line_words(row: HashLine) -> str:
    stays = row.before == row.after
    return f"{row.name} {row.ip}: " + (
        tr("led by {before}", before=row.before)
        if stays
        else tr("moves from {before} to {after}", before=row.before, after=row.after or tr("nobody"))
    )


class _Lane:
    """The line of one address: nodes as symbols with their names beside them, each on a stem above its hash."""

    def __init__(self, order: HashOrder, row: HashLine, top: float, width: int) -> None:
        self._order, self._row, self._top = order, row, top
        self._left, self._right = _MARGIN + NOTE_GAP, width - _MARGIN - NOTE_GAP
        points = [(self._x(place), order.node_words(node, row)) for node, place in row.places]
        self._notes = place_notes(points, _MARGIN, width - _MARGIN)
        last = max((note.row + len(note.lines) for note in self._notes), default=1)
        self._axis = top + _ROW * last + 4

    @property
    def bottom(self) -> float:
        """The px at which the lane ends."""
        return self._axis + 10

    def _x(self, place: float) -> float:
        return round(self._left + place * (self._right - self._left), 1)

    def drawn(self) -> Iterator[h.Element]:
        """Yield the line, and each node above it."""
        yield line(self._left, self._axis, self._right, self._axis)
        for note in self._notes:
            y = self._y(note)
            yield line(note.x, y + 6, note.x, self._axis, width=1)
            yield line(note.x, self._axis - 5, note.x, self._axis + 5, width=2)
        for (node, _), note in zip(self._row.places, self._notes, strict=True):
            yield from self._node(node, note)

    def _y(self, note: Note) -> float:
        return self._top + _ROW * note.row + _ROW / 2

    def _node(self, node: str, note: Note) -> Iterator[h.Element]:
        y = self._y(note)
        yield self._symbol(node, note.x, y)
        lines = (text(note.text_x, y + 4 + _ROW * place, words, note.anchor) for place, words in enumerate(note.lines))
        yield h.g(style=_OVER_STEMS)[lines]

    def _symbol(self, node: str, x: float, y: float) -> h.Element:
        """Return a node's symbol: shape and colour differ, so that neither is needed alone."""
        number = [name for name, _ in sorted(self._row.places)].index(node)
        colour, shape = SERIES[number % len(SERIES)], _SHAPES[number % len(_SHAPES)]
        if node in self._order.leaves:
            return h.path(
                d=SYMBOLS[shape], transform=f"translate({x:g} {y:g})", fill="none", stroke=colour, stroke_width=2
            )
        ring = h.circle(cx=f"{x:g}", cy=f"{y:g}", r=7, fill="none", stroke=colour, stroke_dasharray="3 2")
        return h.g[symbol(shape, x, y, colour, node), node in self._order.joins and ring]
