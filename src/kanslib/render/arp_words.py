"""ARP and neighbor discovery in words: each message, and for each address who asked, answered and announced."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from kanslib.analysis.neighbor_cache import NeighborUpdate
from kanslib.analysis.neighbor_messages import MessageKind, NeighborMessage
from kanslib.analysis.neighbors import NeighborAnalysis
from kanslib.analysis.observation_data import ObservedTime
from kanslib.packets.arp import REPLY
from kanslib.palette import BLUE, GREEN, GREY, VERMILLION

# colour and symbol of each kind of message
MESSAGE_STYLES = {
    MessageKind.QUESTION: (GREY, "circle"),
    MessageKind.ANSWER: (BLUE, "square"),
    MessageKind.ANNOUNCEMENT: (GREEN, "triangle"),
    MessageKind.OBJECTION: (VERMILLION, "cross"),
    MessageKind.PROBE: (GREY, "diamond"),
    MessageKind.OTHER: (GREY, "plus"),
}


@dataclass(frozen=True)
class PlotContext:
    """What a figure names: its window, the Service of each address, the place of each MAC address, the client."""

    window: ObservedTime
    services: Mapping[str, str]
    places: Mapping[str, str]
    client: str


def neighbor_entries(
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


def describe_message(message: NeighborMessage, context: PlotContext) -> str:
    """Return what a message does, in words, with the number of its frame."""
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
    counts = {kind: sum(message.kind is kind for message in messages) for kind in MESSAGE_STYLES}
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
        for start, _, holder in neighbor_entries(updates, address, context)
    ]
    if entries:
        is_shown = all(update.is_shown for update in updates if update.address == address)
        doubt = "" if is_shown else " (suggested by messages; not each entry is shown by a frame of the client)"
        yield f"Neighbor cache of {context.client}: {', then '.join(entries)}{doubt}."
