"""The cluster as accessible SVG: zones, nodes, speakers, pods, VIPs at their leader, the client, the router."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Self

from kanslib.answer import Provenance
from kanslib.k8s.objects import KubeObject, is_ready
from kanslib.palette import BLUE, GREEN, GREY, PURPLE, VERMILLION
from kanslib.render.answers import TabledAnswer
from kanslib.render.html import scrollable
from kanslib.render.rows import Row, Rows

_BOX, _GAP, _TOP = 200, 16, 96


@dataclass(frozen=True)
class NodeView:
    """What the map shows of one node."""

    name: str
    address: str
    zone: str
    role: str
    ready: bool
    speaker: bool
    excluded: bool
    pods: tuple[str, ...]
    vips: tuple[str, ...]


class SVG(str, TabledAnswer):
    """An SVG text with its words and rows; a notebook shows the picture, `describe()` and `table` say the same."""

    provenance: Provenance
    _words: str
    _rows: Rows

    def __new__(cls, content: str, words: str, provenance: Provenance, rows: Rows = ()) -> Self:
        """Return the picture; `words`: what it shows, `rows`: what it is drawn from."""
        picture = super().__new__(cls, content)
        picture._words, picture.provenance, picture._rows = words, provenance, rows
        return picture

    def rows(self) -> Rows:
        """Return what the picture is drawn from."""
        return self._rows

    def describe(self) -> str:
        """Return what the picture shows, in sentences."""
        return self._words

    def body_html(self) -> str:
        """Return the picture in a box that scrolls sideways."""
        return scrollable(str(self), "picture")


def node_views(
    nodes: Sequence[KubeObject], pods: Sequence[KubeObject], vips: Mapping[str, tuple[str, str | None]]
) -> list[NodeView]:
    """Return what the map shows of each node. `vips`: Service name to address and leader; None: no leader."""
    views = []
    for node in nodes:
        name = node["metadata"]["name"]
        labels = node["metadata"].get("labels", {})
        mine = [pod for pod in pods if pod["spec"].get("nodeName") == name]
        addresses = node.get("status", {}).get("addresses", [])
        views.append(
            NodeView(
                name,
                next((a["address"] for a in addresses if a["type"] == "InternalIP"), ""),
                labels.get("topology.kubernetes.io/zone", ""),
                "control plane" if "node-role.kubernetes.io/control-plane" in labels else "worker",
                is_ready(node),
                any(pod["metadata"].get("labels", {}).get("component") == "speaker" for pod in mine),
                "node.kubernetes.io/exclude-from-external-load-balancers" in labels,
                tuple(_pod_words(pod) for pod in mine if pod["metadata"]["namespace"] == "default"),
                tuple(f"{service} {address}" for service, (address, leader) in vips.items() if leader == name),
            )
        )
    return views


def _pod_words(pod: KubeObject) -> str:
    return str(pod["metadata"]["name"]) + ("" if is_ready(pod) else " (not ready)")


def draw(
    nodes: Sequence[NodeView],
    client: tuple[str, str] | None,
    router: tuple[str, str] | None,
    without_leader: Sequence[str],
    provenance: Provenance,
    disagreements: Sequence[str] = (),
) -> SVG:
    """Draw the map. `client` and `router`: name and address; `without_leader`: VIPs that no node leads.

    `disagreements`: who leads by the API's newest event, and who by the election, where these are two.
    """
    rows = max([len(node.pods) + len(node.vips) for node in nodes], default=0)
    height = _TOP + 118 + 24 * rows
    width = max(1, len(nodes)) * (_BOX + _GAP) + _GAP
    parts = [_machine_outside(client, BLUE, _GAP), _machine_outside(router, PURPLE, _GAP + _BOX + _GAP)]
    parts.append(
        f'<line x1="{_GAP}" y1="{_TOP - 26}" x2="{width - _GAP}" y2="{_TOP - 26}" stroke="{GREY}" stroke-width="3"/>'
    )
    parts += [_node(node, _GAP + i * (_BOX + _GAP), height - _TOP - _GAP) for i, node in enumerate(nodes)]
    if without_leader:
        parts.append(_text(_GAP, height + 10, "✗ no leader: " + ", ".join(without_leader), bold=True))
        height += 24  # a line of its own: in the router's line it would cover it
    for line in disagreements:
        parts.append(_text(_GAP, height + 10, "≠ " + line, bold=True))
        height += 24
    words = " ".join([describe(nodes, client, router, without_leader), *(f"{line}." for line in disagreements)])
    return SVG(
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{escape(words)}"'
        f' viewBox="0 0 {width} {height}" '
        f'style="max-width:{width}px;width:100%;min-width:640px;font:13px sans-serif">'
        f"<title>Cluster map</title><desc>{escape(words)}</desc>{''.join(parts)}</svg>",
        words,
        provenance,
        [_row(node) for node in nodes],
    )


def _row(node: NodeView) -> Row:
    return {
        "NODE": node.name, "ADDRESS": node.address, "ROLE": node.role, "ZONE": node.zone, "STATE": _state(node),
        "PODS": ", ".join(node.pods), "LEADS": ", ".join(node.vips),
    }  # fmt: skip


def _text(
    x: float, y: float, words: str, colour: str = "currentColor", anchor: str = "start", bold: bool = False
) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return f'<text x="{x}" y="{y}" fill="{colour}" text-anchor="{anchor}"{weight}>{escape(words)}</text>'


def _machine_outside(machine: tuple[str, str] | None, colour: str, x: int) -> str:
    if machine is None:
        return ""
    name, address = machine
    return (
        f'<rect x="{x}" y="8" width="{_BOX}" height="40" rx="20" fill="none" stroke="{colour}" stroke-width="2"/>'
        + _text(x + _BOX / 2, 33, f"{name}  {address}", anchor="middle")
        + f'<line x1="{x + _BOX / 2}" y1="48" x2="{x + _BOX / 2}" y2="{_TOP - 26}" stroke="{GREY}" stroke-width="2"/>'
    )


def _node(node: NodeView, x: int, height: int) -> str:
    colour = GREY if node.ready else VERMILLION
    dash = "" if node.ready else ' stroke-dasharray="6 4"'
    lines = [
        (
            f'<line x1="{x + _BOX / 2}" y1="{_TOP - 26}" x2="{x + _BOX / 2}" y2="{_TOP}" stroke="{GREY}" '
            'stroke-width="2"/>'
        ),
        (
            f'<rect x="{x}" y="{_TOP}" width="{_BOX}" height="{height}" rx="8" fill="none" stroke="{colour}" '
            f'stroke-width="2"{dash}/>'
        ),
        _text(x + 12, _TOP + 24, node.name, bold=True),
        _text(x + 12, _TOP + 43, f"{node.address} · {node.role}"),
        _text(x + 12, _TOP + 61, node.zone),
        _text(x + 12, _TOP + 83, ("" if node.ready else "✗ ") + _state(node), bold=not node.ready),
    ]
    y = _TOP + 104
    for vip in node.vips:
        lines.append(f'<rect x="{x + 8}" y="{y - 15}" width="{_BOX - 16}" height="21" rx="4" fill="{BLUE}"/>')
        lines.append(_text(x + 14, y, f"★ {vip}", "#ffffff", bold=True))
        y += 24
    for pod in node.pods:
        lines.append(f'<circle cx="{x + 18}" cy="{y - 5}" r="6" fill="none" stroke="{GREEN}" stroke-width="3"/>')
        lines.append(_text(x + 32, y, pod))
        y += 24
    return "".join(lines)


def _state(node: NodeView) -> str:
    speaker = "speaker" if node.speaker else "no speaker"
    return ", ".join([*([] if node.ready else ["NotReady"]), speaker, *(["may not lead"] if node.excluded else [])])


def describe(
    nodes: Sequence[NodeView],
    client: tuple[str, str] | None,
    router: tuple[str, str] | None,
    without_leader: Sequence[str],
) -> str:
    """Return the map in words."""
    sentences = [
        f"{len(nodes)} nodes on one network" + (f", and the client {client[0]} at {client[1]}" if client else "") + "."
    ]
    if router:
        sentences.append(f"The router {router[0]} at {router[1]}.")
    for node in nodes:
        has = [_state(node)]
        has += [f"pods {', '.join(node.pods)}"] if node.pods else []
        has += [f"leads {', '.join(node.vips)}"] if node.vips else []
        zone = f", zone {node.zone}" if node.zone else ""
        sentences.append(f"{node.name} ({node.role}, {node.address}{zone}): {'; '.join(has)}.")
    if without_leader:
        sentences.append(f"Nobody leads {', '.join(without_leader)}.")
    return " ".join(sentences)
