"""Timeline events as the few marks that a figure has room for; the colours of events and phases."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from kanslib.analysis import EventKind, TimelineEvent
from kanslib.analysis.phases import DARK, HEALTHY, PARTLY, STRAGGLERS
from kanslib.analysis.timeline_events import (
    BGPMessageEvent,
    BGPSessionEvent,
    EndpointEvent,
    GratuitousARPEvent,
    HoldTimerEvent,
    LeaderEvent,
    MemberlistEvent,
    NeighborAdvertisementEvent,
    NodeEvent,
    SpeakerEvent,
)
from kanslib.i18n import listed, tr, tr_later, tr_plural
from kanslib.palette import BLUE, GREEN, GREY, PURPLE, VERMILLION

# colour and symbol of each kind of event
EVENT_STYLES = {
    EventKind.MEMBERLIST: (PURPLE, "diamond"),
    EventKind.SPEAKER: (PURPLE, "pentagon"),
    EventKind.LEADER: (BLUE, "star"),
    EventKind.GRATUITOUS_ARP: (GREEN, "triangle"),
    EventKind.NEIGHBOR_ADVERTISEMENT: (GREEN, "triangle-down"),
    EventKind.BGP: (BLUE, "plus"),
    EventKind.NODE: (VERMILLION, "square"),
    EventKind.ENDPOINTS: (GREEN, "hexagon"),
    EventKind.RULES: (GREY, "hourglass"),
}
# colour and opacity; the name in a band says the same
PHASE_STYLES = {
    DARK: (VERMILLION, 0.38), PARTLY: (VERMILLION, 0.16), HEALTHY: (BLUE, 0.08), STRAGGLERS: (PURPLE, 0.14),
}  # fmt: skip
_TOGETHER_S = 2.0  # the same event within so many seconds is one mark: an announcement is repeated every 1.1 s


@dataclass(frozen=True)
class EventMark:
    """One mark: `at` seconds after the action, the kind of its events, a few words, and the events in full."""

    at: float
    kind: EventKind
    text: str
    events: tuple[TimelineEvent, ...]


@dataclass(frozen=True)
class _Phrase:
    """An event in a few words: with the Services that it is about, where it moves them."""

    event: TimelineEvent
    words: str
    moves_services: bool = False


def event_marks(events: Sequence[TimelineEvent]) -> list[EventMark]:
    """Return the marks of an outage, in order: who was declared dead, who took over, what became of node and endpoints.

    The same event of several Services, or soon after, is one mark. Suspicions, repeated announcements and rules are
    left out: the events themselves have them.
    """
    runs: dict[tuple[EventKind, str], list[list[_Phrase]]] = {}
    for phrase in sorted(_phrases(events), key=lambda phrase: phrase.event.at):
        same = runs.setdefault((phrase.event.kind, phrase.words), [])
        if same and phrase.event.at - same[-1][-1].event.at <= _TOGETHER_S:
            same[-1].append(phrase)
        else:
            same.append([phrase])
    marks = [_mark(run) for same in runs.values() for run in same]
    return sorted(marks, key=lambda mark: mark.at)


def _mark(run: Sequence[_Phrase]) -> EventMark:
    first, events = run[0], tuple(phrase.event for phrase in run)
    text = first.words
    if first.moves_services:
        services = list(dict.fromkeys(event.service for event in events))
        moved = listed(services) if len(services) < 3 else tr_plural("{n} Service", "{n} Services", len(services))
        text = f"{moved} → {text}"
    return EventMark(first.event.at, first.event.kind, text, events)


def _phrases(events: Sequence[TimelineEvent]) -> Iterator[_Phrase]:
    names = short_names(event.node for event in events if isinstance(event, (MemberlistEvent, LeaderEvent, NodeEvent)))
    troubled = {event.node for event in events if isinstance(event, NodeEvent)}
    troubled |= {event.node for event in events if isinstance(event, MemberlistEvent) and _is_verdict(event)}
    for event in events:
        match event:
            case MemberlistEvent() if _is_verdict(event):
                yield _Phrase(event, _about(event.node, troubled, names, tr_later("declared dead")))
            case NodeEvent():
                yield _Phrase(event, _about(event.node, troubled, names, "Ready" if event.is_ready else "NotReady"))
            case EndpointEvent():
                yield _Phrase(event, tr("endpoint in") if event.is_ready else tr("endpoint out"))
            case HoldTimerEvent():
                yield _Phrase(event, tr("{speaker}: hold timer over", speaker=names.get(event.speaker, event.speaker)))
            case BGPSessionEvent():
                speaker = names.get(event.speaker, event.speaker)
                resets, closes = (
                    tr("{speaker} resets its session", speaker=speaker),
                    tr("{speaker} closes its session", speaker=speaker),
                )
                yield _Phrase(event, resets if event.is_reset else closes)
            case BGPMessageEvent():
                yield _Phrase(event, f"{names.get(event.speaker, event.speaker)}: {_bgp_words(event)}")
    for service in dict.fromkeys(event.service for event in events if event.service):
        yield from _takeovers([event for event in events if event.service == service], names)


def _is_verdict(event: MemberlistEvent) -> bool:
    return event.change == "declares dead"


def _about(node: str, troubled: set[str], names: dict[str, str], words: str) -> str:
    """Return words about a node, a message; without its name where they can be about no other."""
    if len(troubled) == 1:
        return tr(words)
    return tr("{node} {became}", node=names[node], became=tr(words))


def _bgp_words(event: BGPMessageEvent) -> str:
    message = event.message
    if message.withdrawn:
        return tr("route withdrawn")
    return tr("route announced") if message.announced else message.name


def _takeovers(events: Sequence[TimelineEvent], names: dict[str, str]) -> Iterator[_Phrase]:
    """Yield who took over a Service's address, by the best source that there is: leader events, logs, the wire."""
    leaders = [event for event in events if isinstance(event, LeaderEvent)]
    speakers = [event for event in events if isinstance(event, SpeakerEvent) and event.is_announcing]
    if leaders:
        for event in leaders:
            if event.node != event.before:
                yield _Phrase(event, names[event.node], moves_services=True)
        return
    last = ""
    for one in speakers or events:
        holder = one.node if isinstance(one, SpeakerEvent) else _announced_mac(one)
        if holder and holder != last:
            yield _Phrase(one, names.get(holder, holder), moves_services=True)
            last = holder


def _announced_mac(event: TimelineEvent) -> str:
    return event.mac if isinstance(event, (GratuitousARPEvent, NeighborAdvertisementEvent)) else ""


def short_names(nodes: Iterable[str]) -> dict[str, str]:
    """Return a name for each node, without the word up to the first hyphen where all share it and letters follow.

    >>> short_names(["myk8s-worker", "myk8s-worker2"])
    {'myk8s-worker': 'worker', 'myk8s-worker2': 'worker2'}
    >>> short_names(["ip-10-0-0-1", "ip-10-0-0-2"])
    {'ip-10-0-0-1': 'ip-10-0-0-1', 'ip-10-0-0-2': 'ip-10-0-0-2'}
    """
    known = sorted(set(nodes))
    first = known[0].partition("-")[0] + "-" if len(known) > 1 else ""
    is_shared = all(node.startswith(first) and node[len(first) :][:1].isalpha() for node in known)
    return {node: node.removeprefix(first) if is_shared else node for node in known}
