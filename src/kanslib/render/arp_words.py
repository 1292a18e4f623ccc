"""ARP and neighbor discovery in words: each message, and for each address who asked, answered and announced."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from kanslib.analysis.conflicts import ConflictKind
from kanslib.analysis.neighbor_cache import NeighborUpdate
from kanslib.analysis.neighbor_messages import MessageKind, NeighborMessage
from kanslib.analysis.neighbors import NeighborAnalysis
from kanslib.analysis.observation_data import ObservedTime
from kanslib.i18n import all_of, in_turn, listed, tr, tr_later, tr_plural
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


_CONFLICTS = {
    ConflictKind.ONE_QUESTION: tr_later("they answer the same question"),
    ConflictKind.IN_TURNS: tr_later("they claim it in turns"),
}


def count_messages(kind: MessageKind, number: int) -> str:
    """Return a number of messages in words.

    >>> count_messages(MessageKind.QUESTION, 1), count_messages(MessageKind.ANSWER, 1200)
    ('1 question', '1,200 answers')
    """
    forms = {
        MessageKind.QUESTION: tr_plural("{n:,} question", "{n:,} questions", number),
        MessageKind.ANSWER: tr_plural("{n:,} answer", "{n:,} answers", number),
        MessageKind.ANNOUNCEMENT: tr_plural("{n:,} announcement", "{n:,} announcements", number),
        MessageKind.OBJECTION: tr_plural("{n:,} objection", "{n:,} objections", number),
        MessageKind.PROBE: tr_plural("{n:,} probe", "{n:,} probes", number),
        MessageKind.OTHER: tr_plural("{n:,} other message", "{n:,} other messages", number),
    }
    return forms[kind]


def describe_message(message: NeighborMessage, context: PlotContext) -> str:
    """Return what a message does, in words, with the number of its frame."""
    who = _holder(message.mac, context.places)
    asker = _holder(message.asker, context.places)
    arp = message.frame.arp
    form = tr("advertisement") if arp is None else tr("reply") if arp.operation == REPLY else tr("request")
    verb = {
        MessageKind.QUESTION: tr("{who} asks who has {address}", who=who, address=message.address),
        MessageKind.ANSWER: tr("{who} answers {asker}", who=who, asker=asker),
        MessageKind.ANNOUNCEMENT: tr("{who} announces itself ({form})", who=who, form=form),
        MessageKind.OBJECTION: tr("{who} answers the announcement of {asker}", who=who, asker=asker),
        MessageKind.PROBE: tr("{who} asks whether {address} is free", who=who, address=message.address),
        MessageKind.OTHER: f"{who}: {message.frame}",
    }[message.kind]
    return tr("{verb} · frame {number}", verb=verb, number=message.frame.number)


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
    texts = [count_messages(kind, count) for kind, count in counts.items() if count]
    if counts[MessageKind.QUESTION] and not counts[MessageKind.ANSWER]:
        texts.insert(1, tr("no answer"))
    return listed(texts)


def _describe_announcements(analysis: NeighborAnalysis, address: str, context: PlotContext) -> Iterator[str]:
    for one in analysis.announcements(address):
        at, rounds = one.rounds[0] - context.window.zero, len(one.rounds)
        holder = _holder(one.mac, context.places)
        yield tr_plural(
            "{holder} announces itself from {at:+.1f} s on, in {n} round.",
            "{holder} announces itself from {at:+.1f} s on, in {n} rounds.",
            rounds,
            holder=holder,
            at=at,
        )


def _describe_takeovers(analysis: NeighborAnalysis, address: str, context: PlotContext) -> Iterator[str]:
    for one in analysis.takeovers(address):
        before, after = (_holder(mac, context.places) for mac in (one.before, one.after))
        values = {"before": before, "after": after, "time": one.time - context.window.zero}
        if one.is_announced:
            yield tr("It moves from {before} to {after} at {time:+.1f} s.", **values)
        else:
            yield tr("It moves from {before} to {after} at {time:+.1f} s without an announcement.", **values)


def _describe_conflicts(analysis: NeighborAnalysis, address: str, context: PlotContext) -> Iterator[str]:
    for one in analysis.conflicts():
        if one.address == address:
            holders = all_of(_holder(mac, context.places) for mac in one.macs)
            start, end = (moment - context.window.zero for moment in (one.first, one.last))
            how = tr(_CONFLICTS[one.kind])
            if one.questions > 1:
                how = tr_plural("{how}, {n} time", "{how}, {n} times", one.questions, how=how)
            when = tr("{start:+.1f} to {end:+.1f} s", start=start, end=end)
            yield tr_plural(
                "Conflict: {n} network card holds it, {holders}: {how}, {when}.",
                "Conflict: {n} network cards hold it, {holders}: {how}, {when}.",
                len(one.macs),
                holders=holders,
                how=how,
                when=when,
            )


def _describe_cache(updates: Sequence[NeighborUpdate], address: str, context: PlotContext) -> Iterator[str]:
    entries = [
        tr("{holder} from {start:+.1f} s", holder=holder, start=start - context.window.zero)
        for start, _, holder in neighbor_entries(updates, address, context)
    ]
    if entries:
        is_shown = all(update.is_shown for update in updates if update.address == address)
        values = {"client": context.client, "entries": in_turn(entries)}
        if is_shown:
            yield tr("Neighbor cache of {client}: {entries}.", **values)
        else:
            yield tr(
                "Neighbor cache of {client}: {entries} "
                "(suggested by messages; not each entry is shown by a frame of the client).",
                **values,
            )
