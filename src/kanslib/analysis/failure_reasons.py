"""Find out why attempts failed, from the frames of a capture and from timeline events. Pure."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from kanslib.analysis.attempts import Attempt, Cause, ClientError, Reason
from kanslib.analysis.evidence import Evidence
from kanslib.analysis.timeline_events import EndpointEvent, EventKind, HoldTimerEvent, SpeakerEvent, TimelineEvent
from kanslib.packets.arp import REPLY, REQUEST
from kanslib.packets.capture import Frame
from kanslib.packets.ethernet import ETHERNET, mac

_CONNTRACK_MEMORY_S = 120.0  # net.netfilter.nf_conntrack_tcp_timeout_syn_sent
_SILENCE_S = 5.0  # a MAC that sends no frame for so long is silent
_RULES_DELAY_S = 2.0  # until every kube-proxy has written a change of the API


@dataclass
class CaptureIndex:
    """An index of a capture for queries about single attempts. `names`: the places by MAC address."""

    frames: Sequence[Frame]
    names: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._frame_times: dict[str, list[float]] = defaultdict(list)
        self._answers: dict[tuple[str, int], list[Frame]] = defaultdict(list)
        self._arp: dict[str, list[Frame]] = defaultdict(list)
        self._addresses: dict[str, dict[str, None]] = defaultdict(dict)
        for frame in self.frames:
            if frame.link == ETHERNET and len(frame.raw) >= 14:  # its addresses alone: there are many frames
                self._frame_times[mac(frame.raw[6:12])].append(frame.time)
            self._add(frame)

    def _add(self, frame: Frame) -> None:
        arp, packet, tcp, icmp = frame.arp, frame.ip, frame.tcp, frame.icmp
        if arp and not arp.is_probe:
            self._addresses[arp.sender_mac][arp.sender_ip] = None
        if arp and not arp.is_gratuitous:
            self._arp[arp.target_ip if arp.operation == REQUEST else arp.sender_ip].append(frame)
        if packet and tcp and (tcp.flags == "SA" or "R" in tcp.flags):
            self._answers[packet.src, tcp.dport].append(frame)
        if icmp and icmp.quoted and icmp.type == 3 and icmp.quoted.sport is not None:
            self._answers[icmp.quoted.dst, icmp.quoted.sport].append(frame)

    def name(self, mac: str) -> str:
        """Return the name of a MAC's place, else the first address that it claimed, else the MAC itself."""
        return self.names.get(mac) or next(iter(self._addresses.get(mac, ())), mac)

    def is_silent(self, mac: str, moment: float) -> bool:
        """Return True when a MAC sent no frame in the 5 s after a moment (Unix seconds)."""
        times = self._frame_times.get(mac, [])
        after = bisect_right(times, moment)
        return after == len(times) or times[after] - moment > _SILENCE_S

    def last_frame_time(self, mac: str, moment: float) -> float | None:
        """Return the time of a MAC's last frame before a moment (both Unix seconds); None without one."""
        times = self._frame_times.get(mac, [])
        before = bisect_left(times, moment)
        return times[before - 1] if before else None

    def answers(self, vip: str, port: int, start: float, end: float) -> list[Frame]:
        """Return the replies of a VIP to a client's port: SYN-ACK, RST, and ICMP that quotes the client's packet."""
        return [frame for frame in self._answers[vip, port] if start <= frame.time <= end]

    def unanswered_requests(self, address: str, start: float, end: float) -> list[Frame]:
        """Return the ARP requests for an address; empty when any machine replied."""
        near = [frame for frame in self._arp[address] if start <= frame.time <= end]
        if any(frame.arp and frame.arp.operation == REPLY for frame in near):
            return []
        return near


def explain_failures(
    attempts: Sequence[Attempt],
    capture: CaptureIndex,
    vip: str,
    zero: float,
    events: Iterable[TimelineEvent],
    service: str = "",
) -> list[Attempt]:
    """Return the attempts to the VIP of a Service, each failed one with its reason.

    `zero`: the moment of the action (Unix seconds). `events` show when endpoints of the Service changed; for an attempt
    without a captured packet they alone decide.
    """
    about = sorted((event for event in events if _is_about(event, service)), key=lambda event: event.at)
    explain = _Explanation(capture, vip, zero, about)
    return [explain.next(attempt) for attempt in attempts]


def _is_about(event: TimelineEvent, service: str) -> bool:
    """Return True for an event that can end failures of a Service."""
    match event:
        case EndpointEvent():
            return event.service == service
        case SpeakerEvent():
            return event.is_announcing and event.protocol == "layer2" and event.service == service
        case _:
            return isinstance(event, HoldTimerEvent)


class _UnansweredPort(NamedTuple):
    """SYNs from one port without an answer: the moments of the first and the last (Unix seconds), the first frame."""

    first: float
    last: float
    frame: Frame

    def is_in_conntrack(self, moment: float) -> bool:
        """Return True while conntrack still has the connection."""
        return moment - self.last < _CONNTRACK_MEMORY_S


@dataclass
class _Explanation:
    """Explain attempts one after the other: an unanswered port explains later failures from the same port."""

    capture: CaptureIndex
    vip: str
    zero: float
    events: Sequence[TimelineEvent]
    unanswered: dict[int, _UnansweredPort] = field(default_factory=dict)

    def next(self, attempt: Attempt) -> Attempt:
        """Return the attempt with its reason, if it failed and has none yet."""
        if attempt.is_ok or attempt.reason:
            self.unanswered.pop(attempt.port or 0, None)
            return attempt
        reason = self._from_frames(attempt)
        if reason.cause is Cause.UNKNOWN:
            reason = self._from_events(attempt) or reason
        if reason.cause in (Cause.ENDPOINT_GONE, Cause.REMEMBERED, Cause.NOT_BACK, Cause.UNREACHABLE):
            self._record_unanswered(attempt)
        return attempt.with_reason(reason)

    def _record_unanswered(self, attempt: Attempt) -> None:
        if attempt.port and attempt.syns:
            syn, before = attempt.syns[-1], self.unanswered.get(attempt.port)
            if before is None or not before.is_in_conntrack(syn.time):
                before = _UnansweredPort(syn.time, syn.time, syn)
            self.unanswered[attempt.port] = before._replace(last=syn.time)

    def _from_frames(self, attempt: Attempt) -> Reason:
        if not attempt.syns or attempt.port is None:
            return self._without_syn(attempt)
        shown = _frames(attempt.syns)
        return (
            self._rejected(attempt, attempt.port, shown)
            or self._sent_to_silent_node(attempt, shown)
            or self._sent_to_live_node(attempt, attempt.port, shown)
        )

    def _rejected(self, attempt: Attempt, port: int, evidence: tuple[Evidence, ...]) -> Reason | None:
        """Return the reason where a machine replied with an error, in a frame or in the client's error message."""
        start = attempt.syns[-1].time
        timeout = start + max(attempt.ms / 1000, 0.05) + 0.05
        for frame in self.capture.answers(self.vip, port, start, timeout):
            if frame.icmp:
                sender = self.capture.name(frame.ethernet.source) if frame.ethernet else "a machine"
                text = f"{sender} answered: {frame.icmp.meaning}"
                return Reason(Cause.UNREACHABLE, text, (*evidence, Evidence.of(frame)))
            if frame.tcp and "R" in frame.tcp.flags:
                return Reason(Cause.REFUSED, "the answer was a reset", (*evidence, Evidence.of(frame)))
        if attempt.client_error in (ClientError.UNREACHABLE, ClientError.NO_ROUTE):  # its packet was not captured
            return Reason(Cause.UNREACHABLE, attempt.error, (*evidence, _client_evidence(attempt)))
        return None

    def _sent_to_silent_node(self, attempt: Attempt, evidence: tuple[Evidence, ...]) -> Reason | None:
        syn = attempt.syns[-1]
        target = syn.ethernet.destination if syn.ethernet else ""
        if not self.capture.is_silent(target, syn.time):
            return None
        last = self.capture.last_frame_time(target, syn.time)
        since = f"its last frame is from {last - self.zero:+.1f} s" if last is not None else "which sent no frame"
        is_routed = len({frame.ethernet.destination for frame in attempt.syns if frame.ethernet}) > 1
        text = f"sent to the MAC of {self.capture.name(target)}, {since}"
        return Reason(Cause.HOP_GONE if is_routed else Cause.LEADER_GONE, text, evidence)

    def _sent_to_live_node(self, attempt: Attempt, port: int, evidence: tuple[Evidence, ...]) -> Reason:
        syn = attempt.syns[-1]
        name = self.capture.name(syn.ethernet.destination if syn.ethernet else "")
        before = self.unanswered.get(port)
        if before and before.is_in_conntrack(syn.time):
            ago = syn.time - before.first
            text = f"port {port} got no answer {ago:.1f} s before; {name} is alive and has the connection in conntrack"
            return Reason(Cause.REMEMBERED, text, (Evidence.of(before.frame), *evidence))
        text = f"sent to {name}, which is alive"
        if not any(isinstance(event, EndpointEvent) for event in self.events):
            return Reason(Cause.ENDPOINT_GONE, f"{text}, and no answer came back: the Pod is gone", evidence)
        change = self._next_endpoint_change(syn.time - self.zero)
        if change is None:
            return Reason(Cause.UNKNOWN, f"{text}, and no answer came back", evidence)
        evidence = (*evidence, change.evidence)
        if change.is_ready:
            text = f"{text}; {change.address} was not ready before {change.at:+.1f} s"
            return Reason(Cause.NOT_BACK, text, evidence)
        text = f"{text}; its rules had {change.address} until {change.at:+.1f} s"
        return Reason(Cause.ENDPOINT_GONE, text, evidence)

    def _next_endpoint_change(self, at: float) -> EndpointEvent | None:
        """Return the next change of endpoints: it shows one that is still in the rules, or one that is not yet."""
        changes = [
            event for event in self.events if isinstance(event, EndpointEvent) and at < event.at + _RULES_DELAY_S
        ]
        leaving = next((event for event in changes if not event.is_ready), None)
        coming = next((event for event in changes if event.is_ready), None)
        if leaving and (coming is None or leaving.at <= coming.at or at < leaving.at):
            return leaving
        return coming

    def _without_syn(self, attempt: Attempt) -> Reason:
        start = self.zero + attempt.at
        requests = self.capture.unanswered_requests(self.vip, start, start + attempt.ms / 1000 + 0.5)
        if requests:
            return Reason(Cause.NO_ARP, f"{len(requests)} ARP requests for {self.vip}, no reply", _frames(requests[:3]))
        causes = {
            ClientError.REFUSED: Cause.REFUSED, ClientError.NO_ROUTE: Cause.NO_ARP,
            ClientError.UNREACHABLE: Cause.UNREACHABLE,
        }  # fmt: skip
        cause = causes.get(attempt.client_error, Cause.UNKNOWN)
        text = "no packet of it was captured" if cause is Cause.UNKNOWN else attempt.error
        return Reason(cause, text, (_client_evidence(attempt),))

    def _from_events(self, attempt: Attempt) -> Reason | None:
        """Return the reason from the next timeline event: a speaker that announces, BGP, a change of endpoints."""
        for kind in (EventKind.SPEAKER, EventKind.BGP, EventKind.ENDPOINTS):
            delay = _RULES_DELAY_S if kind is EventKind.ENDPOINTS else 0
            event = next((one for one in self.events if one.kind is kind and attempt.at < one.at + delay), None)
            if event:
                text = f"no packet of it was captured; {event} at {event.at:+.1f} s"
                return Reason(_cause_ended_by(event), text, (_client_evidence(attempt), event.evidence))
        return None


def _cause_ended_by(event: TimelineEvent) -> Cause:
    """Return the cause of the failures that end with an event."""
    if isinstance(event, EndpointEvent):
        return Cause.NOT_BACK if event.is_ready else Cause.ENDPOINT_GONE
    return Cause.LEADER_GONE if isinstance(event, SpeakerEvent) else Cause.HOP_GONE


def _frames(frames: Iterable[Frame]) -> tuple[Evidence, ...]:
    return tuple(map(Evidence.of, frames))


def _client_evidence(attempt: Attempt) -> Evidence:
    return Evidence("the client's error message", attempt.error)
