"""The cluster as accessible SVG: zones, nodes, speakers, pods, VIPs at their leader, the client, the router."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import htpy as h
from markupsafe import Markup

from kanslib.answer import Provenance
from kanslib.k8s.objects import KubeObject, is_ready
from kanslib.palette import BLUE, GREEN, GREY, PURPLE, VERMILLION
from kanslib.render.rows import Row
from kanslib.render.svg import SVG, canvas, text

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
    notices = [f"✗ no leader: {', '.join(without_leader)}"] if without_leader else []
    notices += [f"≠ {line}" for line in disagreements]
    parts: list[h.Node] = [
        _machine_outside(client, BLUE, _GAP),
        _machine_outside(router, PURPLE, _GAP + _BOX + _GAP),
        _line(_GAP, _TOP - 26, width - _GAP, _TOP - 26, 3),
        *(_node(node, _GAP + i * (_BOX + _GAP), height - _TOP - _GAP) for i, node in enumerate(nodes)),
        # lines of their own: in the router's line they would cover it
        *(text(_GAP, height + 10 + 24 * place, line, bold=True) for place, line in enumerate(notices)),
    ]
    words = " ".join([describe(nodes, client, router, without_leader), *(f"{line}." for line in disagreements)])
    picture = canvas(words, width, height + 24 * len(notices), "min-width:640px;font:13px sans-serif")
    title = [h.title["Cluster map"], h.desc[words]]
    return SVG(Markup(picture[title, parts]), words, provenance, [_row(node) for node in nodes])


def _row(node: NodeView) -> Row:
    return {
        "NODE": node.name, "ADDRESS": node.address, "ROLE": node.role, "ZONE": node.zone, "STATE": _state(node),
        "PODS": ", ".join(node.pods), "LEADS": ", ".join(node.vips),
    }  # fmt: skip


def _line(x1: int, y1: int, x2: int, y2: int, width: int = 2) -> h.Element:
    return h.line(x1=x1, y1=y1, x2=x2, y2=y2, stroke=GREY, stroke_width=width)


def _machine_outside(machine: tuple[str, str] | None, colour: str, x: int) -> list[h.Element]:
    if machine is None:
        return []
    name, address = machine
    middle = x + _BOX // 2
    return [
        h.rect(x=x, y=8, width=_BOX, height=40, rx=20, fill="none", stroke=colour, stroke_width=2),
        text(middle, 33, f"{name}  {address}", anchor="middle"),
        _line(middle, 48, middle, _TOP - 26),
    ]


def _node(node: NodeView, x: int, height: int) -> list[h.Element]:
    colour, dash = (GREY, None) if node.ready else (VERMILLION, "6 4")
    parts = [
        _line(x + _BOX // 2, _TOP - 26, x + _BOX // 2, _TOP),
        h.rect(
            x=x, y=_TOP, width=_BOX, height=height, rx=8, fill="none", stroke=colour, stroke_width=2,
            stroke_dasharray=dash,
        ),
        text(x + 12, _TOP + 24, node.name, bold=True),
        text(x + 12, _TOP + 43, f"{node.address} · {node.role}"),
        text(x + 12, _TOP + 61, node.zone),
        text(x + 12, _TOP + 83, ("" if node.ready else "✗ ") + _state(node), bold=not node.ready),
    ]  # fmt: skip
    y = _TOP + 104
    for vip in node.vips:
        parts.append(h.rect(x=x + 8, y=y - 15, width=_BOX - 16, height=21, rx=4, fill=BLUE))
        parts.append(text(x + 14, y, f"★ {vip}", "#ffffff", bold=True))
        y += 24
    for pod in node.pods:
        parts.append(h.circle(cx=x + 18, cy=y - 5, r=6, fill="none", stroke=GREEN, stroke_width=3))
        parts.append(text(x + 32, y, pod))
        y += 24
    return parts


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
