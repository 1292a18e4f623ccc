"""The clocks of an outage: what it waited for, from when and until when. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kanslib.analysis.attempts import Cause
from kanslib.analysis.outage import Outage
from kanslib.analysis.phases import HEALTHY, STRAGGLERS, Phase
from kanslib.analysis.timeline_events import EndpointEvent, EventKind, NodeEvent, RulesEvent, TimelineEvent
from kanslib.i18n import Words, tr_later


class ClockKind(Words):
    """What an outage waits for, in the order in which it usually ends."""

    # MetalLB gives the address to another node: memberlist's verdict, then an announcement
    ADDRESS = tr_later("VIP moves")
    # the router gives up a next hop: the end of its BGP session, or the hold timer
    ROUTE = tr_later("route goes away")
    # the node turns NotReady, and kube-proxy takes its endpoints out of the rules
    ENDPOINT = tr_later("dead endpoint leaves the rules")
    # nf_conntrack_tcp_timeout_syn_sent: a port that met the dead Pod is sent there again
    CONNTRACK = tr_later("conntrack remembers")


_ENDED_BY = {
    EventKind.GRATUITOUS_ARP: ClockKind.ADDRESS, EventKind.NEIGHBOR_ADVERTISEMENT: ClockKind.ADDRESS,
    EventKind.LEADER: ClockKind.ADDRESS, EventKind.SPEAKER: ClockKind.ADDRESS, EventKind.BGP: ClockKind.ROUTE,
    EventKind.NODE: ClockKind.ENDPOINT, EventKind.ENDPOINTS: ClockKind.ENDPOINT, EventKind.RULES: ClockKind.ENDPOINT,
}  # fmt: skip


@dataclass(frozen=True)
class Clock:
    """A clock that ran from `start` to `end`, in seconds after the action; the longest of all Services."""

    kind: ClockKind
    start: float
    end: float


def clocks(outage: Outage) -> list[Clock]:
    """Return the clocks that an outage shows, by its phases and by the events that ended them, in order of their end.

    A phase whose end no event explains shows no clock.
    """
    found = sorted(
        (one for service, phases in outage.phases.items() for one in _clocks_of(outage, service, phases)),
        key=lambda one: (list(ClockKind).index(one.kind), one.start),
    )
    merged: list[Clock] = []
    for one in found:
        if merged and merged[-1].kind is one.kind and one.start <= merged[-1].end:
            merged[-1] = Clock(one.kind, merged[-1].start, max(merged[-1].end, one.end))
        else:
            merged.append(one)
    return sorted(merged, key=lambda one: one.end)


def _clocks_of(outage: Outage, service: str, phases: Sequence[Phase]) -> Iterator[Clock]:
    start: float | None = None  # of the trouble that a phase belongs to
    for phase in phases:
        if phase.name in (HEALTHY, STRAGGLERS):
            start = None
            yield from _conntrack_clock(outage, service, phase)
            continue
        start = phase.start if start is None else start
        event = outage.ended_by(service, phase)
        if event and not _adds(event):
            yield Clock(_ENDED_BY[event.kind], start, phase.end)


def _conntrack_clock(outage: Outage, service: str, phase: Phase) -> Iterator[Clock]:
    remembered = [
        one.at
        for one in outage.failures(service)
        if phase.start <= one.at <= phase.end and one.reason and one.reason.cause is Cause.REMEMBERED
    ]
    if remembered:
        yield Clock(ClockKind.CONNTRACK, phase.start, remembered[-1])


def _adds(event: TimelineEvent) -> bool:
    """Return True for an event by which something comes back: the outage did not wait for a removal."""
    match event:
        case EndpointEvent() | NodeEvent():
            return event.is_ready
        case RulesEvent():
            return len(event.endpoints) > len(event.before)
    return False
