"""The ARP of an observation as a figure and as tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from markupsafe import Markup, escape

from kanslib.analysis.arp import Announcement, ARPAnalysis, NeighborUpdate
from kanslib.answer import Provenance
from kanslib.packets.arp import REPLY, REQUEST
from kanslib.packets.capture import Frame
from kanslib.palette import BLUE, GREEN, GREY, GRID, PURPLE, VERMILLION
from kanslib.render.outage_timeline import TimelineFigure
from kanslib.render.rows import Row

# kind of message: its offset from the line, its colour, its symbol
_KINDS = {
    "question": (0.24, GREY, "circle-open"),
    "answer": (0.08, BLUE, "circle"),
    "announcement": (-0.08, GREEN, "triangle-up"),
    "objection": (-0.24, VERMILLION, "x"),
}


class PlotWindow(Protocol):
    """The time that a figure shows (Unix seconds), and the action in it, at `zero`."""

    @property
    def start(self) -> float:
        """When it begins."""

    @property
    def zero(self) -> float:
        """When the action began."""

    @property
    def end(self) -> float:
        """When it ends."""

    @property
    def action(self) -> str:
        """The name of the action's moment."""


@dataclass(frozen=True)
class PlotContext:
    """What a figure names: its window, the Service of each address, the place of each MAC address, the client."""

    window: PlotWindow
    services: Mapping[str, str]
    places: Mapping[str, str]
    client: str


def _kind(frame: Frame) -> str:
    if frame.arp is None or frame.arp.is_objection:
        return "objection"
    if frame.arp.is_gratuitous:
        return "announcement"
    return "answer" if frame.arp.operation == REPLY else "question"


def _subject(frame: Frame) -> str:
    """Return the address that a message is about."""
    if frame.arp is None:
        return ""
    return frame.arp.target_ip if frame.arp.operation == REQUEST else frame.arp.sender_ip


def draw(
    analysis: ARPAnalysis, updates: Sequence[NeighborUpdate], context: PlotContext, provenance: Provenance
) -> TimelineFigure:
    """Draw one line for each address: ARP messages as symbols, the client's neighbor entry as a bar with its holder.

    `analysis` holds the frames, `updates` the changes of the client's neighbor cache. Time is seconds after the action.
    """
    figure, window = TimelineFigure(), context.window
    addresses = [
        address for address in context.services if any(_subject(frame) == address for frame in analysis.frames)
    ]
    level = {address: len(addresses) - place for place, address in enumerate(addresses)}
    for address in addresses:
        for start, end, holder in _holders(updates, address, context):
            x0, x1 = (moment - window.zero for moment in (start, end))
            figure.add_shape(
                type="rect", x0=x0, x1=x1, y0=level[address] - 0.4, y1=level[address] + 0.4, fillcolor=PURPLE,
                opacity=0.14, line={"width": 1, "color": PURPLE}, layer="below",
            )  # fmt: skip
            figure.add_annotation(
                x=(x0 + x1) / 2, y=level[address] + 0.4, yshift=8, showarrow=False, font={"size": 11},
                text=escape(f"{context.client}: {holder}"),
            )  # fmt: skip
    for kind, (height, colour, symbol) in _KINDS.items():
        mine = [frame for frame in analysis.frames if _kind(frame) == kind and _subject(frame) in level]
        figure.add_scatter(
            x=[round(frame.time - window.zero, 3) for frame in mine],
            y=[level[_subject(frame)] + height for frame in mine],
            text=[escape(_describe_frame(frame, context)) for frame in mine],
            mode="markers", name=kind, marker={"color": colour, "symbol": symbol, "size": 9},
            hovertemplate="%{x:+.2f} s · %{text}<extra></extra>",
        )  # fmt: skip
    figure.set_time_axis(window.action, 170 + 90 * len(addresses))
    names = [Markup("{}<br>{}").format(context.services[address], address) for address in addresses]
    room = [0.4, len(addresses) + 0.9]
    figure.update_yaxes(range=room, tickvals=list(level.values()), ticktext=names, gridcolor=GRID, zeroline=False)
    rows = [
        {"AT": round(frame.time - window.zero, 2), "ADDRESS": _subject(frame), "KIND": _kind(frame),
         "WHAT": _describe_frame(frame, context)}
        for frame in analysis.frames
        if _subject(frame) in level
    ]  # fmt: skip
    return figure.with_description("\n".join(sentences(analysis, updates, context)), provenance, rows)


def _holders(
    updates: Sequence[NeighborUpdate], address: str, context: PlotContext
) -> Iterator[tuple[float, float, str]]:
    """Yield start, end (Unix seconds) and holder of each entry for an address in the client's cache, in the window."""
    changes = [change for change in updates if change.address == address]
    ends = [*(change.time for change in changes[1:]), context.window.end]
    for change, following in zip(changes, ends, strict=False):
        start, end = max(change.time, context.window.start), min(following, context.window.end)
        if start < end:
            yield start, end, _holder(change.mac, context.places)


def _holder(mac: str, places: Mapping[str, str]) -> str:
    return places.get(mac, mac)


def _describe_frame(frame: Frame, context: PlotContext) -> str:
    arp = frame.arp
    if arp is None:
        return ""
    who = _holder(arp.sender_mac, context.places)
    kind = _kind(frame)
    verb = {
        "question": f"{who} asks who has {arp.target_ip}",
        "answer": f"{who} answers {_holder(arp.target_mac, context.places)}",
        "announcement": f"{who} announces itself ({'reply' if arp.operation == REPLY else 'request'})",
        "objection": f"{who} answers the announcement of {_holder(arp.target_mac, context.places)}",
    }[kind]
    return f"{verb} · frame {frame.number}"


def sentences(analysis: ARPAnalysis, updates: Sequence[NeighborUpdate], context: PlotContext) -> Iterator[str]:
    """Yield the figure in words, one line for each address."""
    for address, service in context.services.items():
        mine = [frame for frame in analysis.frames if _subject(frame) == address]
        if not mine:
            continue
        counts = {kind: sum(_kind(frame) == kind for frame in mine) for kind in _KINDS}
        messages = ", ".join(f"{count} {kind}{'s' if count > 1 else ''}" for kind, count in counts.items() if count)
        line = f"{address if service == address else f'{service} {address}'}: {messages}."
        for one in analysis.announcements(address):
            at, rounds = one.rounds[0] - context.window.zero, len(one.rounds)
            line += f" {_holder(one.mac, context.places)} announces itself from {at:+.1f} s on, in {rounds} rounds."
        entries = [
            f"{holder} from {start - context.window.zero:+.1f} s"
            for start, _, holder in _holders(updates, address, context)
        ]
        if entries:
            line += f" Neighbor cache of {context.client}: {', then '.join(entries)}."
        yield line


ANNOUNCEMENT_COLUMNS = ("AT", "ADDRESS", "HOLDER", "ROUNDS", "GAPS", "REQUESTS", "REPLIES", "SECONDS", "ANOMALIES")


def announcement_rows(
    announcements: Sequence[Announcement], window: PlotWindow, places: Mapping[str, str]
) -> list[Row]:
    """Return one row for each run of gratuitous ARP; AT, GAPS and SECONDS are seconds, AT counts from the action."""
    return [
        {
            "AT": round(one.rounds[0] - window.zero, 2),
            "ADDRESS": one.address,
            "HOLDER": _holder(one.mac, places),
            "ROUNDS": len(one.rounds),
            "GAPS": " ".join(f"{gap:.1f}" for gap in one.gaps),
            "REQUESTS": one.requests,
            "REPLIES": one.replies,
            "SECONDS": round(one.seconds, 1),
            "ANOMALIES": "; ".join(dict.fromkeys(part for odd in one.oddities for part in odd.split("; "))),
        }
        for one in announcements
    ]


NEIGHBOR_COLUMNS = ("AT", "ADDRESS", "HOLDER", "BECAUSE", "FRAME")


def neighbor_rows(updates: Sequence[NeighborUpdate], window: PlotWindow, places: Mapping[str, str]) -> list[Row]:
    """Return the changes of a neighbor cache within a window; AT is seconds after the action."""
    return [
        {
            "AT": round(change.time - window.zero, 2),
            "ADDRESS": change.address,
            "HOLDER": _holder(change.mac, places),
            "BECAUSE": change.reason,
            "FRAME": change.frame,
        }
        for change in updates
        if window.start <= change.time <= window.end
    ]


CONFLICT_COLUMNS = ("AT", "ADDRESS", "HOLDERS", "FRAMES")


def conflict_rows(analysis: ARPAnalysis, window: PlotWindow, places: Mapping[str, str]) -> list[Row]:
    """Return the addresses for which two machines answer; AT is seconds after the action."""
    return [
        {
            "AT": round(conflict.first - window.zero, 2),
            "ADDRESS": conflict.address,
            "HOLDERS": ", ".join(_holder(mac, places) for mac in conflict.macs),
            "FRAMES": ", ".join(map(str, conflict.frames)),
        }
        for conflict in analysis.conflicts()
    ]


SCAN_COLUMNS = ("AT", "HOST", "ASKED", "ANSWERED")


def scan_rows(analysis: ARPAnalysis, window: PlotWindow, places: Mapping[str, str]) -> list[Row]:
    """Return who asked for many addresses in a row; AT is seconds after the action."""
    return [
        {
            "AT": round(scan.first - window.zero, 2),
            "HOST": places.get(scan.mac, scan.ip),
            "ASKED": scan.requested,
            "ANSWERED": ", ".join(scan.answered),
        }
        for scan in analysis.scans()
    ]
