"""Who asked, answered and announced, by ARP and neighbor discovery, as a figure, in words and as tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from kanslib.analysis.neighbor_cache import NeighborUpdate
from kanslib.analysis.neighbor_messages import MessageKind, NeighborMessage
from kanslib.analysis.neighbors import Announcement, NeighborAnalysis
from kanslib.analysis.observation_data import ObservedTime
from kanslib.answer import Provenance
from kanslib.packets.arp import REPLY
from kanslib.palette import BLUE, GREEN, GREY, GRID, PURPLE, VERMILLION
from kanslib.render.outage_timeline import TimelineFigure
from kanslib.render.rows import Row

# kind of message: its offset from the line, its colour, its symbol
_KINDS = {
    MessageKind.QUESTION: (0.24, GREY, "circle-open"),
    MessageKind.ANSWER: (0.08, BLUE, "circle"),
    MessageKind.ANNOUNCEMENT: (-0.08, GREEN, "triangle-up"),
    MessageKind.OBJECTION: (-0.24, VERMILLION, "x"),
    MessageKind.PROBE: (0.32, GREY, "square-open"),
    MessageKind.OTHER: (-0.32, GREY, "diamond-open"),
}


@dataclass(frozen=True)
class PlotContext:
    """What a figure names: its window, the Service of each address, the place of each MAC address, the client."""

    window: ObservedTime
    services: Mapping[str, str]
    places: Mapping[str, str]
    client: str


def draw(
    analysis: NeighborAnalysis, updates: Sequence[NeighborUpdate], context: PlotContext, provenance: Provenance
) -> TimelineFigure:
    """Draw one line for each address: messages as symbols, the client's neighbor entry as a bar with its holder.

    `analysis`: the messages; `updates`: the changes of the client's neighbor cache. Time is seconds after the action.
    """
    figure, window = TimelineFigure(), context.window
    addresses = [
        address for address in context.services if any(message.address == address for message in analysis.messages)
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
        mine = [message for message in analysis.messages if message.kind is kind and message.address in level]
        if not mine and kind in (MessageKind.PROBE, MessageKind.OTHER):
            continue
        figure.add_scatter(
            x=[round(message.frame.time - window.zero, 3) for message in mine],
            y=[level[message.address] + height for message in mine],
            text=[escape(_describe_message(message, context)) for message in mine],
            mode="markers", name=str(kind), marker={"color": colour, "symbol": symbol, "size": 9},
            hovertemplate="%{x:+.2f} s · %{text}<extra></extra>",
        )  # fmt: skip
    figure.set_time_axis(window.action, 170 + 90 * len(addresses))
    names = [Markup("{}<br>{}").format(context.services[address], address) for address in addresses]
    room = [0.4, len(addresses) + 0.9]
    figure.update_yaxes(range=room, tickvals=list(level.values()), ticktext=names, gridcolor=GRID, zeroline=False)
    rows = [
        {"AT": round(message.frame.time - window.zero, 2), "ADDRESS": message.address, "KIND": str(message.kind),
         "WHAT": _describe_message(message, context)}
        for message in analysis.messages
        if message.address in level
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


def _describe_message(message: NeighborMessage, context: PlotContext) -> str:
    who = _holder(message.mac, context.places)
    asker = _holder(message.asker, context.places)
    arp = message.frame.arp
    form = "advertisement" if arp is None else "reply" if arp.operation == REPLY else "request"
    verb = {
        MessageKind.QUESTION: f"{who} asks who has {message.address}",
        MessageKind.ANSWER: f"{who} answers {asker}",
        MessageKind.ANNOUNCEMENT: f"{who} announces itself ({form})",
        MessageKind.OBJECTION: f"{who} answers the announcement of {asker}",
        MessageKind.PROBE: f"{who} asks whether {message.address} is free",
        MessageKind.OTHER: f"{who}: {message.frame}",
    }[message.kind]
    return f"{verb} · frame {message.frame.number}"


def sentences(analysis: NeighborAnalysis, updates: Sequence[NeighborUpdate], context: PlotContext) -> Iterator[str]:
    """Yield the figure in words, one line for each address."""
    for address, service in context.services.items():
        mine = [message for message in analysis.messages if message.address == address]
        if not mine:
            continue
        name = address if service == address else f"{service} {address}"
        parts = [
            f"{name}: {_count_messages(mine)}.",
            *_describe_announcements(analysis, address, context),
            *_describe_takeovers(analysis, address, context),
            *_describe_conflicts(analysis, address, context),
            *_describe_cache(updates, address, context),
        ]
        yield " ".join(parts)


def _count_messages(messages: Sequence[NeighborMessage]) -> str:
    counts = {kind: sum(message.kind is kind for message in messages) for kind in _KINDS}
    texts = [f"{count} {kind}{'s' if count > 1 else ''}" for kind, count in counts.items() if count]
    if counts[MessageKind.QUESTION] and not counts[MessageKind.ANSWER]:
        texts.insert(1, "no answer")
    return ", ".join(texts)


def _describe_announcements(analysis: NeighborAnalysis, address: str, context: PlotContext) -> Iterator[str]:
    for one in analysis.announcements(address):
        at, rounds = one.rounds[0] - context.window.zero, len(one.rounds)
        holder = _holder(one.mac, context.places)
        yield f"{holder} announces itself from {at:+.1f} s on, in {rounds} round{'s' if rounds > 1 else ''}."


def _describe_takeovers(analysis: NeighborAnalysis, address: str, context: PlotContext) -> Iterator[str]:
    for one in analysis.takeovers(address):
        before, after = (_holder(mac, context.places) for mac in (one.before, one.after))
        how = "" if one.is_announced else " without an announcement"
        yield f"It moves from {before} to {after} at {one.time - context.window.zero:+.1f} s{how}."


def _describe_conflicts(analysis: NeighborAnalysis, address: str, context: PlotContext) -> Iterator[str]:
    for one in analysis.conflicts():
        if one.address == address:
            holders = " and ".join(_holder(mac, context.places) for mac in one.macs)
            start, end = (moment - context.window.zero for moment in (one.first, one.last))
            how = f"{one.kind}, {one.questions} times" if one.questions > 1 else str(one.kind)
            when = f"{start:+.1f} to {end:+.1f} s"
            yield f"Conflict: {len(one.macs)} network cards hold it, {holders}: they {how}, {when}."


def _describe_cache(updates: Sequence[NeighborUpdate], address: str, context: PlotContext) -> Iterator[str]:
    entries = [
        f"{holder} from {start - context.window.zero:+.1f} s"
        for start, _, holder in _holders(updates, address, context)
    ]
    if entries:
        is_shown = all(update.is_shown for update in updates if update.address == address)
        doubt = "" if is_shown else " (suggested by messages; not each entry is shown by a frame of the client)"
        yield f"Neighbor cache of {context.client}: {', then '.join(entries)}{doubt}."


ANNOUNCEMENT_COLUMNS = ("AT", "ADDRESS", "HOLDER", "ROUNDS", "GAPS", "REQUESTS", "REPLIES", "SECONDS", "ANOMALIES")


def announcement_rows(
    announcements: Sequence[Announcement], window: ObservedTime, places: Mapping[str, str]
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


def neighbor_rows(updates: Sequence[NeighborUpdate], window: ObservedTime, places: Mapping[str, str]) -> list[Row]:
    """Return the changes of a neighbor cache within a window; AT is seconds after the action."""
    return [
        {
            "AT": round(change.time - window.zero, 2),
            "ADDRESS": change.address,
            "HOLDER": _holder(change.mac, places),
            "BECAUSE": str(change.reason),
            "FRAME": change.frame,
        }
        for change in updates
        if window.start <= change.time <= window.end
    ]


CONFLICT_COLUMNS = ("AT", "ADDRESS", "HOLDERS", "FRAMES")


def conflict_rows(analysis: NeighborAnalysis, window: ObservedTime, places: Mapping[str, str]) -> list[Row]:
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


def scan_rows(analysis: NeighborAnalysis, window: ObservedTime, places: Mapping[str, str]) -> list[Row]:
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
