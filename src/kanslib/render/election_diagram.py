"""The election as SVG: for each address the nodes on a line, from the smallest hash to the largest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import htpy as h
from markupsafe import Markup

from kanslib.answer import Provenance
from kanslib.metallb import election
from kanslib.palette import GREY, INK, PAPER, SERIES
from kanslib.render.svg import SVG, canvas, text

_LEFT, _WIDTH, _ROW, _TOP = 190, 560, 74, 46
_SHAPES = (  # paths around their middle: circle, square, triangle, diamond, cross
    "M-8 0a8 8 0 1 0 16 0a8 8 0 1 0-16 0z", "M-7-7h14v14h-14z", "M0-9l9 16h-18z", "M0-10l10 10l-10 10l-10-10z",
    "M-3-9h6v6h6v6h-6v6h-6v-6h-6v-6h6z",
)  # fmt: skip


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


def draw(
    vips: Mapping[str, str],
    nodes: Sequence[str],
    provenance: Provenance,
    joins: Sequence[str] = (),
    leaves: Sequence[str] = (),
) -> SVG:
    """Draw the nodes on a line for each address: the leftmost node leads.

    `joins` and `leaves` are imagined: a node that leaves is hollow, a node that joins has a dashed ring.
    """
    lines = hash_lines(vips, nodes, joins, leaves)
    all_nodes = list(dict.fromkeys([*nodes, *joins]))
    height = _TOP + _ROW * len(lines) + 30 + 20 * len(all_nodes)
    parts: list[h.Node] = [_text(_LEFT, 22, "smallest hash: leads"), _text(_LEFT + _WIDTH, 22, "largest", "end")]
    for number, row in enumerate(lines):
        parts.append(_row(row, _TOP + _ROW * number + 30, all_nodes, joins, leaves))
    legend = _TOP + _ROW * len(lines) + 20
    for number, node in enumerate(all_nodes):
        parts.append(_symbol(node, _LEFT + 8, legend + 20 * number, all_nodes, node in leaves, node in joins))
        state = " (joins)" if node in joins else " (leaves)" if node in leaves else ""
        parts.append(_text(_LEFT + 26, legend + 5 + 20 * number, node + state))
    words = describe(lines, joins, leaves)
    style = f"min-width:560px;font:13px sans-serif;background:{PAPER};color:{INK}"
    picture = canvas(words, _LEFT + _WIDTH + 40, height, style)
    return SVG(
        Markup(picture[h.title["Hash order"], h.desc[words], parts]),
        words,
        provenance,
        [
            {
                "SERVICE": row.name,
                "ADDRESS": row.ip,
                "ORDER": number,
                "NODE": node,
                "HASH": f"{place:.4f}",
                "LEADS": node == row.after,
            }
            for row in lines
            for number, (node, place) in enumerate(row.places, 1)
        ],
    )


def _text(x: float, y: float, words: str, anchor: str | None = None, *, bold: bool = False) -> h.Element:
    return text(x, y, words, INK, anchor, bold=bold)


def _row(
    row: HashLine, y: int, all_nodes: Sequence[str], joins: Sequence[str], leaves: Sequence[str]
) -> list[h.Element]:
    line = h.line(x1=_LEFT, y1=y, x2=_LEFT + _WIDTH, y2=y, stroke=GREY, stroke_width=2)
    leader = row.before if row.before == row.after else f"{row.before} → {row.after or 'nobody'}"
    parts = [line, _text(12, y - 6, row.name, bold=True), _text(12, y + 12, row.ip)]
    for node, place in row.places:
        x = round(_LEFT + 8 + place * (_WIDTH - 16), 1)
        parts.append(_symbol(node, x, y, all_nodes, node in leaves, node in joins))
        if node == row.after:
            parts.append(_text(x, y - 14, "★", "middle", bold=True))
    parts.append(_text(_LEFT, y + 27, leader, bold=row.before != row.after))
    return parts


def _symbol(node: str, x: float, y: int, all_nodes: Sequence[str], hollow: bool, new: bool) -> h.Element:
    """Return a node's symbol: shape and colour differ, so that neither is needed alone."""
    number = all_nodes.index(node) % len(SERIES)
    colour, shape = SERIES[number], _SHAPES[number]
    fill = PAPER if hollow else colour
    symbol = h.path(d=shape, transform=f"translate({x} {y})", fill=fill, stroke=colour, stroke_width="2.5")
    ring = h.circle(cx=str(x), cy=y, r=13, fill="none", stroke=colour, stroke_dasharray="3 3")
    return h.g[h.title[node], symbol, new and ring]


def describe(lines: Sequence[HashLine], joins: Sequence[str], leaves: Sequence[str]) -> str:
    """Return the diagram in words."""
    sentences = [f"{', '.join(joins)} joins."] if joins else []
    sentences += [f"{', '.join(leaves)} leaves."] if leaves else []
    for row in lines:
        line = ", ".join(node for node, _ in row.places)
        stays = row.before == row.after
        moves = f"led by {row.before}" if stays else f"moves from {row.before} to {row.after or 'nobody'}"
        sentences.append(f"{row.name} {row.ip}: {moves}; from the smallest hash on: {line}.")
    return " ".join(sentences)
