"""Find out why attempts failed, from the frames of a capture and from timeline events. Pure."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from kanslib.analysis.attempts import Attempt, Cause, ClientError, Reason
from kanslib.analysis.evidence import Evidence
from kanslib.analysis.neighbor_messages import MessageKind, NeighborMessage, neighbor_message
from kanslib.analysis.timeline_events import EndpointEvent, EventKind, HoldTimerEvent, SpeakerEvent, TimelineEvent
from kanslib.i18n import tr
from kanslib.packets.capture import Frame

_CONNTRACK_MEMORY_S = 120.0  # net.netfilter.nf_conntrack_tcp_timeout_syn_sent
_SILENCE_S = 5.0  # a MAC that sends no frame for so long is silent
_IN_FLIGHT_S = 0.05  # a frame so soon after an announcement was on its way already
_AROUND_S = 2.0  # a VIP that answered others so shortly before and after is held by a live machine
_RULES_DELAY_S = 2.0  # until every kube-proxy has written a change of the API


@dataclass
class CaptureIndex:
    """An index of a capture for queries about single attempts. `names`: the places by MAC address."""

    frames: Sequence[Frame]
    names: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._frame_times: dict[str, list[float]] = defaultdict(list)
        self._answers: dict[tuple[str, int], list[Frame]] = defaultdict(list)
        self._answer_times: dict[str, list[float]] = defaultdict(list)
        self._questions: dict[str, list[NeighborMessage]] = defaultdict(list)
        self._claims: dict[str, list[NeighborMessage]] = defaultdict(list)
        self._holders: dict[str, list[NeighborMessage]] = defaultdict(list)  # the first claim of each in turn
        self._addresses: dict[str, dict[str, None]] = defaultdict(dict)
        for frame in self.frames:
            if source := frame.source_mac:
                self._frame_times[source].append(frame.time)
            if message := neighbor_message(frame):
                self._add_message(message)
            else:
                self._add_answer(frame)

    def _add_message(self, message: NeighborMessage) -> None:
        if message.claimed:
            self._addresses[message.mac][message.claimed] = None
            self._claims[message.claimed].append(message)
            holders = self._holders[message.claimed]
            if not holders or holders[-1].mac != message.mac:
                holders.append(message)
        if message.kind is MessageKind.QUESTION:
            self._questions[message.address].append(message)

    def _add_answer(self, frame: Frame) -> None:
        packet, tcp, icmp = frame.ip, frame.tcp, frame.icmp or frame.icmpv6
        if packet and tcp and (tcp.is_syn_ack or "R" in tcp.flags):
            self._answers[packet.src, tcp.dport].append(frame)
        if packet and tcp and tcp.is_syn_ack:
            self._answer_times[packet.src].append(frame.time)
        if icmp and icmp.quoted and icmp.is_unreachable and icmp.quoted.sport is not None:
            self._answers[icmp.quoted.dst, icmp.quoted.sport].append(frame)

    def name(self, mac: str, vip: str) -> str:
        """Return the name of a MAC's place, else the first address other than the VIP that it claimed, else the MAC."""
        others = (address for address in self._addresses.get(mac, ()) if address != vip)
        return self.names.get(mac) or next(others, mac)

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
        """Return the questions who has an address; empty when any machine answered."""
        if any(
            claim.kind is MessageKind.ANSWER and start <= claim.frame.time <= end for claim in self._claims[address]
        ):
            return []
        return [one.frame for one in self._questions[address] if start <= one.frame.time <= end]

    def newest_claim(self, address: str, moment: float) -> NeighborMessage | None:
        """Return the first claim of an address by the machine that was the last to claim it before a moment.

        `moment`: Unix seconds. None when nobody had claimed it.
        """
        holders = self._holders[address]
        before = bisect_left(holders, moment, key=lambda claim: claim.frame.time)
        return holders[before - 1] if before else None

    def answers_around(self, vip: str, moment: float) -> bool:
        """Return True when a VIP took a connection within 2 s before and within 2 s after a moment (Unix seconds)."""
        times = self._answer_times[vip]
        place = bisect_left(times, moment)
        return 0 < place < len(times) and moment - times[place - 1] < _AROUND_S and times[place] - moment < _AROUND_S


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


class _Target(NamedTuple):
    """The machine that a SYN was sent to: its MAC address, its name, and whether the SYN's own frame shows it.

    Else the newest claim of the address suggests it.
    """

    mac: str
    name: str
    is_shown: bool

    def describe_live(self) -> str:
        """Return in words that the machine is alive."""
        if self.is_shown:
            return tr("sent to {name}, which is alive", name=self.name)
        return tr("sent, as the newest claim of the address suggests, to {name}, which is alive", name=self.name)

    def describe_silent(self, last: float | None) -> str:
        """Return in words that the machine is silent since a moment (seconds after the action); None: always."""
        if last is None:
            if self.is_shown:
                return tr("sent to the MAC of {name}, which sent no frame", name=self.name)
            return tr(
                "sent, as the newest claim of the address suggests, to the MAC of {name}, which sent no frame",
                name=self.name,
            )
        if self.is_shown:
            return tr("sent to the MAC of {name}, its last frame is from {last:+.1f} s", name=self.name, last=last)
        return tr(
            "sent, as the newest claim of the address suggests, to the MAC of {name}, "
            "its last frame is from {last:+.1f} s",
            name=self.name,
            last=last,
        )


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
            reason = self._from_events(attempt, reason) or reason
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
            or self._sent_somewhere(attempt, shown)
        )

    def _rejected(self, attempt: Attempt, port: int, evidence: tuple[Evidence, ...]) -> Reason | None:
        """Return the reason where a machine replied with an error, in a frame or in the client's error message."""
        start = attempt.syns[-1].time
        timeout = start + max(attempt.ms / 1000, 0.05) + 0.05
        for frame in self.capture.answers(self.vip, port, start, timeout):
            if icmp := frame.icmp or frame.icmpv6:
                sender = self.capture.name(frame.source_mac, self.vip) if frame.source_mac else tr("a machine")
                text = tr("{sender} answered: {meaning}", sender=sender, meaning=icmp.meaning)
                return Reason(Cause.UNREACHABLE, text, (*evidence, Evidence.of(frame)))
            if frame.tcp and "R" in frame.tcp.flags:
                return Reason(Cause.REFUSED, tr("the answer was a reset"), (*evidence, Evidence.of(frame)))
        if attempt.client_error in (ClientError.UNREACHABLE, ClientError.NO_ROUTE):  # its packet was not captured
            return Reason(Cause.UNREACHABLE, attempt.error, (*evidence, _client_evidence(attempt)))
        return None

    def _target(self, attempt: Attempt) -> _Target | None:
        """Return where the attempt's last SYN was sent; None where the capture does not show it."""
        macs = [syn.destination_mac for syn in attempt.syns if syn.destination_mac]
        if macs:
            return _Target(macs[-1], self.capture.name(macs[-1], self.vip), True)
        claim = self.capture.newest_claim(self.vip, attempt.syns[-1].time)
        if claim is None or not claim.mac:
            return None
        return _Target(claim.mac, self.capture.name(claim.mac, self.vip), False)

    def _sent_to_silent_node(self, attempt: Attempt, evidence: tuple[Evidence, ...]) -> Reason | None:
        syn, target = attempt.syns[-1], self._target(attempt)
        if target is None or not self.capture.is_silent(target.mac, syn.time):
            return None
        last = self.capture.last_frame_time(target.mac, syn.time)
        text = target.describe_silent(None if last is None else last - self.zero)
        if claim := self._newer_claim(syn, target.mac):
            holder, start = self.capture.name(claim.mac, self.vip), claim.frame.time - self.zero
            text = tr(
                "{text}; {holder} claims {vip} since {start:+.1f} s",
                text=text,
                holder=holder,
                vip=self.vip,
                start=start,
            )
            return Reason(Cause.STALE_NEIGHBOR, text, (*evidence, Evidence.of(claim.frame)))
        is_routed = len({frame.destination_mac for frame in attempt.syns if frame.destination_mac}) > 1
        return Reason(Cause.HOP_GONE if is_routed else Cause.LEADER_GONE, text, evidence)

    def _newer_claim(self, syn: Frame, mac: str) -> NeighborMessage | None:
        """Return the newest claim of the VIP by another machine that was out when a SYN was sent to `mac`."""
        claim = self.capture.newest_claim(self.vip, syn.time - _IN_FLIGHT_S)
        return claim if claim and claim.mac != mac else None

    def _sent_to_live_node(self, attempt: Attempt, port: int, evidence: tuple[Evidence, ...]) -> Reason | None:
        syn, target = attempt.syns[-1], self._target(attempt)
        if target is None:
            return None
        name = target.name
        before = self.unanswered.get(port)
        if before and before.is_in_conntrack(syn.time):
            ago = syn.time - before.first
            text = tr(
                "port {port} got no answer {ago:.1f} s before; {name} is alive and has the connection in conntrack",
                port=port,
                ago=ago,
                name=name,
            )
            return Reason(Cause.REMEMBERED, text, (Evidence.of(before.frame), *evidence))
        text = target.describe_live()
        if not any(isinstance(event, EndpointEvent) for event in self.events):
            return Reason(
                Cause.ENDPOINT_GONE, tr("{text}, and no answer came back: the Pod is gone", text=text), evidence
            )
        change = self._next_endpoint_change(syn.time - self.zero)
        if change is None:
            return Reason(Cause.UNKNOWN, tr("{text}, and no answer came back", text=text), evidence)
        evidence = (*evidence, change.evidence)
        if change.is_ready:
            text = tr(
                "{text}; {address} was not ready before {at:+.1f} s", text=text, address=change.address, at=change.at
            )
            return Reason(Cause.NOT_BACK, text, evidence)
        text = tr("{text}; its rules had {address} until {at:+.1f} s", text=text, address=change.address, at=change.at)
        return Reason(Cause.ENDPOINT_GONE, text, evidence)

    def _sent_somewhere(self, attempt: Attempt, evidence: tuple[Evidence, ...]) -> Reason:
        """Return the reason of an attempt whose frames do not show where it was sent."""
        if self.capture.answers_around(self.vip, attempt.syns[-1].time):
            text = tr("no answer came back, while others got one: the Pod is gone")
            return Reason(Cause.ENDPOINT_GONE, text, evidence)
        return Reason(
            Cause.UNKNOWN, tr("no answer came back; where it was sent is not known in this capture"), evidence
        )

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
            values = {"number": len(requests), "vip": self.vip}
            text = (
                tr("{number} neighbor solicitations for {vip}, no reply", **values)
                if ":" in self.vip
                else tr("{number} ARP requests for {vip}, no reply", **values)
            )
            return Reason(Cause.NO_ARP, text, _frames(requests[:3]))
        causes = {
            ClientError.REFUSED: Cause.REFUSED, ClientError.NO_ROUTE: Cause.NO_ARP,
            ClientError.UNREACHABLE: Cause.UNREACHABLE,
        }  # fmt: skip
        cause = causes.get(attempt.client_error, Cause.UNKNOWN)
        text = tr("no packet of it was captured") if cause is Cause.UNKNOWN else attempt.error
        return Reason(cause, text, (_client_evidence(attempt),))

    def _from_events(self, attempt: Attempt, unknown: Reason) -> Reason | None:
        """Return the reason from the next timeline event: a speaker that announces, BGP, a change of endpoints."""
        for kind in (EventKind.SPEAKER, EventKind.BGP, EventKind.ENDPOINTS):
            delay = _RULES_DELAY_S if kind is EventKind.ENDPOINTS else 0
            event = next((one for one in self.events if one.kind is kind and attempt.at < one.at + delay), None)
            if event:
                text = tr("{text}; {event} at {at:+.1f} s", text=unknown.text, event=event, at=event.at)
                return Reason(_cause_ended_by(event), text, (*unknown.evidence, event.evidence))
        return None


def _cause_ended_by(event: TimelineEvent) -> Cause:
    """Return the cause of the failures that end with an event."""
    if isinstance(event, EndpointEvent):
        return Cause.NOT_BACK if event.is_ready else Cause.ENDPOINT_GONE
    return Cause.LEADER_GONE if isinstance(event, SpeakerEvent) else Cause.HOP_GONE


def _frames(frames: Iterable[Frame]) -> tuple[Evidence, ...]:
    return tuple(map(Evidence.of, frames))


def _client_evidence(attempt: Attempt) -> Evidence:
    return Evidence(tr("the client's error message"), attempt.error)
