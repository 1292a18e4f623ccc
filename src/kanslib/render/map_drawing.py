"""Draw the map: nodes as boxes on one wire, and a line from the client to the leader of each VIP and on to its Pods."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import htpy as h

from kanslib.i18n import listed, tr, tr_plural
from kanslib.palette import GREY, VERMILLION, service_colours
from kanslib.render.figure import SIZES, Drawing, text_width, wrap_text
from kanslib.render.figure.marks import band, box, line, symbol, text
from kanslib.render.map_views import MapView, NodeView, VIPView

_LEAST_BOX, _GAP, _PAD, _TRACK = 164, 14, 10, 6  # px: a box's least width, the distances of boxes, texts and lines
_THICK, _THIN = 2.5, 1.5  # px: a request on its way to the leader, and on its way to a Pod
_MOST_LINES, _MOST_VIPS, _MOST_PODS = 8, 6, 4  # lines on the map; VIPs and Pods in a node
STYLE = """
.kans-changed{animation:kans-flash 2s ease-out}
@keyframes kans-flash{0%,30%{fill-opacity:.35;stroke-width:7}}
@media (prefers-reduced-motion:reduce){.kans-changed{animation:none}}
"""

Point = tuple[float, float]


@dataclass
class _Item:
    """A framed text in a node: a VIP that the node announces, or a Pod; with the Services whose lines reach it."""

    lines: list[str]
    services: Sequence[str]
    is_vip: bool
    top: float = 0.0

    @property
    def height(self) -> float:
        return SIZES.line * len(self.lines) + 6

    @property
    def middle(self) -> float:
        return self.top + self.height / 2


@dataclass
class _Box:
    """A node's box: where it stands, the x of the line of each Service in it, its texts and its items."""

    node: NodeView
    left: float
    width: float
    lines: dict[str, float]
    head: list[tuple[str, bool]] = field(default_factory=list)
    items: list[_Item] = field(default_factory=list)
    row: int = 0
    top: float = 0.0
    height: float = 0.0

    @property
    def text_left(self) -> float:
        return self.left + _PAD + (len(self.lines) * _TRACK + 4 if self.lines else 0)

    def find(self, service: str, *, vip: bool) -> list[_Item]:
        """Return the VIP of a Service, or its Pods, in this box."""
        return [item for item in self.items if item.is_vip == vip and service in item.services]

    def place(self, top: float, height: float) -> None:
        """Give the box its place, and each item below the texts."""
        self.top, self.height = top, height
        at = top + _PAD + SIZES.line * len(self.head) + 4
        for item in self.items:
            item.top = at
            at += item.height + 4

    @property
    def needed_height(self) -> float:
        return 2 * _PAD + SIZES.line * len(self.head) + sum(item.height + 4 for item in self.items)


def draw(view: MapView, width: int, changed: frozenset[str]) -> Drawing:
    """Return the map at a width in px; nodes and Services in `changed` flash."""
    return _Map(view, width, changed).drawing()


class _Map:
    """One drawing of the map: the places of everything, from the top down."""

    def __init__(self, view: MapView, width: int, changed: frozenset[str]) -> None:
        self._view, self._width, self._changed = view, width, changed
        self._colours = service_colours(vip.service for vip in view.vips)
        # from left to right at the client: those over layer 2, then those by way of the router, then without a leader
        ordered = sorted(view.vips, key=lambda vip: (not vip.nodes, vip.by_bgp))
        self._vips = ordered[:_MOST_LINES]
        self._without_line = ordered[_MOST_LINES:]
        self._parts: list[h.Node] = []
        self._lines: list[h.Node] = []
        self._rows = self._boxes()
        self._boxes_by_node = {one.node.name: one for row in self._rows for one in row}

    # ── the boxes ────────────────────────────────────────────────────────────────────────────────────────────

    def _boxes(self) -> list[list[_Box]]:
        nodes = self._view.nodes
        columns = min(len(nodes), max(1, int((self._width + _GAP) // (_LEAST_BOX + _GAP)))) or 1
        count = -(-len(nodes) // columns)
        columns = -(-len(nodes) // count) if count else 1
        margin = len(self._vips) * _TRACK + 10 if count > 1 else 2
        self._left, self._right = (margin, self._width - margin)
        wide = (self._right - self._left - _GAP * (columns - 1)) / columns
        boxes = [
            self._box(node, self._left + (place % columns) * (wide + _GAP), wide) for place, node in enumerate(nodes)
        ]
        rows = [boxes[start : start + columns] for start in range(0, len(boxes), columns)]
        for number, row in enumerate(rows):
            for one in row:
                one.row = number
        return rows

    def _box(self, node: NodeView, left: float, width: float) -> _Box:
        here = [vip for vip in self._vips if node.name in vip.nodes or self._view.pods_of(vip, node)]
        tracks = {vip.service: left + _PAD + _TRACK * (place + 0.5) for place, vip in enumerate(here)}
        found = _Box(node, left, width, tracks)
        room = left + width - _PAD - found.text_left
        for words, bold in _head(node):
            found.head += [(one, bold) for one in wrap_text(words, room, bold=bold)]
        found.items = [*self._vip_items(node, room - 10), *self._pod_items(node, room - 10)]
        return found

    def _vip_items(self, node: NodeView, room: float) -> Iterator[_Item]:
        mine = [vip for vip in (*self._vips, *self._without_line) if node.name in vip.nodes]
        shown = mine if len(mine) <= _MOST_VIPS else mine[: _MOST_VIPS - 1]
        for vip in shown:
            yield _Item(wrap_text(f"{vip.service} {vip.addresses}", room, bold=True), [vip.service], is_vip=True)
        if rest := mine[len(shown) :]:
            yield _Item([tr("+{number} VIPs", number=len(rest))], [vip.service for vip in rest], is_vip=True)

    def _pod_items(self, node: NodeView, room: float) -> Iterator[_Item]:
        reached: dict[str, list[str]] = {}
        for vip in self._vips:
            for pod in self._view.pods_of(vip, node):
                reached.setdefault(pod.name, []).append(vip.service)
        shown = node.pods if len(node.pods) <= _MOST_PODS else node.pods[: _MOST_PODS - 1]
        for pod in shown:
            yield _Item(wrap_text(str(pod), room), reached.get(pod.name, []), is_vip=False)
        if rest := node.pods[len(shown) :]:
            services = dict.fromkeys(service for pod in rest for service in reached.get(pod.name, []))
            yield _Item([tr_plural("+{n} Pod", "+{n} Pods", len(rest))], list(services), is_vip=False)

    # ── from the top down ────────────────────────────────────────────────────────────────────────────────────

    def drawing(self) -> Drawing:
        """Return everything in its place."""
        bottom = self._outside(2.0)
        bottom = self._nodes(bottom)
        bottom = self._foot(bottom)
        return Drawing(tr("Cluster map"), bottom, [*self._parts, *self._lines], STYLE)

    def _trunk(self, vip: VIPView) -> float:
        """Return the x of a VIP's line between the client and the rows of nodes."""
        return 8 + _TRACK * (self._vips.index(vip) + 0.5)

    def _outside(self, top: float) -> float:
        """Draw the client, the VIPs that nobody announces, and the router; return where the nodes can begin."""
        view, end = self._view, 8 + _TRACK * len(self._vips)
        self._start = top
        if view.client:
            top = self._start = self._machine(tr("client"), view.client, 2, top)
        unannounced = [vip for vip in self._vips if not vip.nodes]
        for vip in reversed(unannounced):
            top = self._unannounced(vip, end + 8, top + 4)
        self._router_x: float | None = None
        self._router_end: float | None = None
        if view.router:
            routed = [self._trunk(vip) for vip in self._vips if vip.nodes and vip.by_bgp]
            left = min(routed) - 8 if routed else end + 14
            self._router_x = min(routed, default=left + 20)
            top = self._router_end = self._machine(tr("router"), view.router, left, top + 12, max(routed, default=left))
        return top

    def _machine(
        self, role: str, machine: tuple[str, str], left: float, top: float, text_after: float | None = None
    ) -> float:
        """Draw a machine beside the cluster; its text stands to the right of `text_after`. Return its lower edge."""
        name, address = machine
        start = _PAD + (left if text_after is None else text_after)
        words = wrap_text(f"{'' if role == name else role} {name} · {address}", self._width - start - _PAD - 2)
        wide, tall = start - left + max(map(text_width, words)) + _PAD, SIZES.line * len(words) + 10
        self._parts.append(box(left, top, wide, tall, "currentColor", 12))
        self._parts += [text(start, top + 17 + SIZES.line * place, one) for place, one in enumerate(words)]
        return top + tall

    def _unannounced(self, vip: VIPView, left: float, top: float) -> float:
        words = wrap_text(tr("{vip}: nobody announces it", vip=vip), self._width - left - 24)
        y = top + 10
        if self._view.client:
            path = [(self._trunk(vip), self._start), (self._trunk(vip), y), (left, y)]
            self._lines.append(self._path(path, vip.service, _THICK, "3 3"))
        self._parts.append(symbol("cross", left + 8, y, VERMILLION))
        self._parts += [text(left + 18, y + 4 + SIZES.line * place, one) for place, one in enumerate(words)]
        return top + SIZES.line * len(words) + 4

    def _nodes(self, top: float) -> float:
        """Draw each row: the wire, the nodes that hang on it, and room for the lines to the Pods below."""
        tracks: list[tuple[dict[str, float], dict[str, float]]] = []
        wires = []
        for number, row in enumerate(self._rows):
            announced = [vip for vip in self._vips if any(one.node.name in vip.nodes for one in row)]
            served = [vip for vip in self._vips if any(vip.service in one.lines for one in row)]
            # the line that is farthest to the right at the client turns first: they do not cross there
            wire = top + 12
            tall = max(len(announced) * _TRACK, _TRACK) + 4
            requests = {vip.service: wire + 2 + _TRACK * (place + 0.5) for place, vip in enumerate(reversed(announced))}
            wires.append((wire, tall))
            box_top = wire + tall + 12
            height = max(one.needed_height for one in row)
            for one in row:
                one.place(box_top, height)
            below = box_top + height + 6
            pods = {vip.service: below + _TRACK * (place + 0.5) for place, vip in enumerate(served)}
            tracks.append((requests, pods))
            top = below + _TRACK * len(served) + (6 if number + 1 < len(self._rows) else 0)
        self._wire(wires)
        for one in self._boxes_by_node.values():
            self._parts.append(self._node(one))
        for vip in self._vips:
            self._lines += self._request_lines(vip, tracks)
            self._lines += self._pod_lines(vip, tracks)
        return top

    def _wire(self, wires: Sequence[tuple[float, float]]) -> None:
        """Draw the network: one grey wire with an arm to the client, the router and each node."""
        if not wires:
            return
        end, last = 8 + _TRACK * max(len(self._vips), 1) + 2, sum(wires[-1])
        arms: list[tuple[float, float, float, float]] = []  # x, y, width, height
        if self._view.client or len(wires) > 1:
            arms.append((6, self._start, end - 6, last - self._start))
        if self._router_x is not None and self._router_x > end:
            arms.append((self._router_x - 4, wires[0][0] - 12, 8, 12))
        left = end if arms else self._left
        arms += [(left, y, self._right - left, tall) for y, tall in wires]
        for one in self._boxes_by_node.values():
            y, tall = wires[one.row]
            arms.append((one.left + _PAD - 2, y + tall, max(len(one.lines), 1) * _TRACK + 4, 12))
        path = "".join(f"M{x:g} {y:g}h{wide:g}v{tall:g}h{-wide:g}z" for x, y, wide, tall in arms)
        self._parts.append(h.path(d=path, fill=GREY, fill_opacity=".1"))

    # ── a node ───────────────────────────────────────────────────────────────────────────────────────────────

    def _node(self, one: _Box) -> h.Element:
        node, parts = one.node, []
        if node.name in self._changed:
            parts.append(
                h.rect(
                    ".kans-changed",
                    data_name=node.name,
                    x=f"{one.left:g}",
                    y=f"{one.top:g}",
                    width=f"{one.width:g}",
                    height=f"{one.height:g}",
                    rx=6,
                    fill="currentColor",
                    fill_opacity=0,
                )
            )
        if node.dead:
            parts.append(_hatch(one))
        parts.append(
            box(
                one.left,
                one.top,
                one.width,
                one.height,
                VERMILLION if node.dead else GREY,
                dash="6 4" if node.dead else None,
            )
        )
        for place, (words, bold) in enumerate(one.head):
            parts.append(text(one.text_left, one.top + _PAD + 12 + SIZES.line * place, words, bold=bold))
        for item in one.items:
            parts += self._item(one, item)
        return h.g[parts]

    def _item(self, one: _Box, item: _Item) -> Iterator[h.Element]:
        left, right = one.text_left, one.left + one.width - _PAD
        if item.is_vip:
            colour = self._colours[item.services[0]] if len(item.services) == 1 else GREY
            yield band(left, item.top, right, item.height, colour, 0.2)
            yield band(left, item.top, left + 3, item.height, colour, 1)
        else:
            yield box(left, item.top, right - left, item.height, GREY, 4)
        for place, words in enumerate(item.lines):
            yield text(left + 7, item.top + 15 + SIZES.line * place, words, bold=item.is_vip)

    # ── the lines ────────────────────────────────────────────────────────────────────────────────────────────

    def _request_lines(
        self, vip: VIPView, tracks: Sequence[tuple[dict[str, float], dict[str, float]]]
    ) -> Iterator[h.Element]:
        """Yield the line from the client to each node that announces a VIP."""
        for name in vip.nodes:
            one = self._boxes_by_node.get(name)
            if one is None:
                continue
            x, track = one.lines[vip.service], tracks[one.row][0][vip.service]
            chip = one.find(vip.service, vip=True)[0]
            path = [(x, track), (x, chip.middle), (one.text_left, chip.middle)]
            if (first := self._first(vip)) is not None:
                path = [(self._trunk(vip), first), (self._trunk(vip), track), *path]
            yield self._path(path, vip.service, _THICK, "4 3" if one.node.dead else None)

    def _first(self, vip: VIPView) -> float | None:
        """Return the y at which a VIP's line begins: at the client or, if the client does not use it, at the router."""
        if self._view.is_only_routed(vip):
            return self._router_end
        return self._start if self._view.client else None

    def _pod_lines(
        self, vip: VIPView, tracks: Sequence[tuple[dict[str, float], dict[str, float]]]
    ) -> Iterator[h.Element]:
        """Yield the lines from the nodes that announce a VIP to the Pods that serve it, and a dot at each Pod."""
        service = vip.service
        sources = [one for name in vip.nodes if (one := self._boxes_by_node.get(name))]
        served = [one for one in self._boxes_by_node.values() if one.find(service, vip=False)]
        if vip.local:
            pairs = [(one, one) for one in sources if one in served]
        else:
            pairs = [(sources[0], one) for one in served] if sources else []
            pairs += [(one, served[-1]) for one in sources[1:] if served]
        for source, target in pairs:
            start = (source.lines[service], source.find(service, vip=True)[0].middle)
            pods = [item.middle for item in target.find(service, vip=False)]
            x = target.lines[service]
            if source is target:
                yield self._path([start, (x, max(pods))], service, _THIN)
                continue
            ways = [start, (start[0], tracks[source.row][1][service])]
            if source.row != target.row:
                trunk = self._right + 6 + _TRACK * (self._vips.index(vip) + 0.5)
                ways += [(trunk, tracks[source.row][1][service]), (trunk, tracks[target.row][1][service])]
            dash = "4 3" if source.node.dead else None
            yield self._path([*ways, (x, tracks[target.row][1][service]), (x, min(pods))], service, _THIN, dash)
        for one in served:
            for item in one.find(service, vip=False):
                yield from self._stop(one, one.lines[service], item, service)

    def _stop(self, one: _Box, x: float, item: _Item, service: str) -> Iterator[h.Element]:
        colour = self._colours[service]
        yield line(x, item.middle, one.text_left, item.middle, colour, _THIN)
        if one.node.dead:
            yield symbol("cross", x, item.middle, VERMILLION, tr("no answer from here"), 9)
        else:
            yield symbol("circle", x, item.middle, colour, f"{service} → {' '.join(item.lines)}", 6)

    def _path(self, points: Sequence[Point], service: str, width: float, dash: str | None = None) -> h.Element:
        changed = "kans-changed" if service in self._changed else None
        return h.path(
            class_=changed, data_name=service if changed else None, d=_rounded(points), fill="none",
            stroke=self._colours[service], stroke_width=f"{width:g}",
            stroke_dasharray=dash,
        )  # fmt: skip

    # ── the foot ─────────────────────────────────────────────────────────────────────────────────────────────

    def _foot(self, top: float) -> float:
        """Draw the legend of the lines, and what does not fit into the picture, in words."""
        routed = any(vip.by_bgp for vip in self._vips)
        has_client = self._view.client and self._view.is_routed
        way = tr("client → router → node") if has_client else tr("router → node")
        first, node = (way, tr("node")) if routed else (tr("client → leader"), tr("leader"))
        legend = [(first, _THICK), (tr("{node} → ready Pods of the Service", node=node), _THIN)] if self._vips else []
        x, y = 2.0, top + 8
        for words, width in legend:
            if x > 2 and x + 36 + text_width(words) > self._width:
                x, y = 2.0, y + SIZES.line
            self._parts += [line(x, y + 8, x + 24, y + 8, "currentColor", width), text(x + 30, y + 12, words)]
            x += 30 + text_width(words) + 16
        y += SIZES.line if legend else 0
        notes = [f"≠ {words}" for words in self._view.disagreements]
        unannounced = [str(vip) for vip in self._without_line if not vip.nodes]
        notes += [tr("✗ nobody announces {unannounced}", unannounced=listed(unannounced))] if unannounced else []
        notes += (
            [tr("Lines for {most_lines} of {number} VIPs.", most_lines=_MOST_LINES, number=len(self._view.vips))]
            if self._without_line
            else []
        )
        for note in notes:
            for words in wrap_text(note, self._width - 4, bold=True):
                y += SIZES.line
                self._parts.append(text(2, y + 6, words, bold=True))
        return y + 14


def _head(node: NodeView) -> Iterator[tuple[str, bool]]:
    """Yield the texts at the head of a node's box, and whether each is bold."""
    yield node.name, True
    yield " · ".join(filter(None, (node.address, node.role))), False
    if node.zone:
        yield tr("zone {zone}", zone=node.zone), False
    yield f"✗ {node.state}" if node.dead else node.state, node.dead


def _hatch(one: _Box) -> h.Element:
    """Return diagonal lines over a box, 9 px apart."""
    strokes = []
    for offset in range(0, int(one.width + one.height), 9):
        # from the left or lower edge to the upper or right edge
        left, right = max(0.0, offset - one.height), min(float(offset), one.width)
        strokes.append(
            f"M{one.left + left:g} {one.top + offset - left:g}L{one.left + right:g} {one.top + offset - right:g}"
        )
    return h.path(d="".join(strokes), stroke=VERMILLION, stroke_width=1, stroke_opacity=".3")


def _rounded(points: Sequence[Point], radius: float = 5) -> str:
    """Return an SVG path through points on horizontal and vertical lines, with round corners."""
    places = [point for point, before in zip(points, [None, *points], strict=False) if point != before]
    path = f"M{places[0][0]:g} {places[0][1]:g}"
    for before, corner, after in zip(places, places[1:], places[2:], strict=False):
        (x1, y1), (x2, y2) = _toward(corner, before, radius), _toward(corner, after, radius)
        path += f"L{x1:g} {y1:g}Q{corner[0]:g} {corner[1]:g} {x2:g} {y2:g}"
    return path + f"L{places[-1][0]:g} {places[-1][1]:g}"


def _toward(start: Point, end: Point, distance: float) -> Point:
    """Return the point `distance` px from the start, but no farther than half of the way."""
    length = abs(end[0] - start[0]) + abs(end[1] - start[1])
    part = min(distance / length, 0.5) if length else 0.0
    return round(start[0] + (end[0] - start[0]) * part, 1), round(start[1] + (end[1] - start[1]) * part, 1)
