"""Why an attempt failed, from what was on the wire. Pure.

Each reason is a cause that can be named (`kind`), in words, with the frames that show it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kanslib.analysis.causes import (
    ENDPOINT_GONE,
    HOP_GONE,
    LEADER_GONE,
    NO_ARP,
    NOT_BACK,
    REFUSED,
    REMEMBERED,
    UNKNOWN,
    UNREACHABLE,
)
from kanslib.analysis.evidence import Evidence
from kanslib.packets.arp import REPLY, REQUEST
from kanslib.packets.capture import Frame
from kanslib.packets.ethernet import ETHERNET, mac

if TYPE_CHECKING:
    from kanslib.analysis.attempts import Attempt
    from kanslib.analysis.timeline_events import TimelineEvent

MEMORY = 120.0  # seconds: net.netfilter.nf_conntrack_tcp_timeout_syn_sent
SILENT = 5.0  # seconds without a frame from a card that others send to
_RULES = 2.0  # seconds until every kube-proxy has written what the API says


@dataclass(frozen=True)
class Reason:
    """A cause (kanslib.analysis.causes), this case in words, and what shows it."""

    kind: str
    words: str
    evidence: tuple[Evidence, ...] = ()

    def __str__(self) -> str:
        return f"{self.kind}: {self.words}"


@dataclass
class CaptureIndex:
    """A capture, ready to be asked about single attempts. `names`: whose network card a MAC address is."""

    frames: Sequence[Frame]
    names: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._heard: dict[str, list[float]] = defaultdict(list)
        self._back: dict[tuple[str, int], list[Frame]] = defaultdict(list)
        self._asked: dict[str, list[Frame]] = defaultdict(list)
        self._owned: dict[str, dict[str, None]] = defaultdict(dict)
        for frame in self.frames:
            if frame.link == ETHERNET and len(frame.raw) >= 14:  # its addresses alone: there are many frames
                self._heard[mac(frame.raw[6:12])].append(frame.time)
            self._note(frame)

    def _note(self, frame: Frame) -> None:
        arp, packet, tcp, icmp = frame.arp, frame.ip, frame.tcp, frame.icmp
        if arp and not arp.is_probe:
            self._owned[arp.sender_mac][arp.sender_ip] = None
        if arp and not arp.is_gratuitous:
            self._asked[arp.target_ip if arp.operation == REQUEST else arp.sender_ip].append(frame)
        if packet and tcp and (tcp.flags == "SA" or "R" in tcp.flags):
            self._back[packet.src, tcp.dport].append(frame)
        if icmp and icmp.quoted and icmp.type == 3 and icmp.quoted.sport is not None:
            self._back[icmp.quoted.dst, icmp.quoted.sport].append(frame)

    def name(self, mac: str) -> str:
        """Whose card it is: by name where it is known, else by the first address it spoke for, else the MAC address."""
        return self.names.get(mac) or next(iter(self._owned.get(mac, ())), mac)

    def is_silent(self, mac: str, moment: float) -> bool:
        """True when nothing came from a card in the seconds after a moment."""
        times = self._heard.get(mac, [])
        after = bisect_right(times, moment)
        return after == len(times) or times[after] - moment > SILENT

    def last_heard(self, mac: str, moment: float) -> float | None:
        """When the last frame before a moment came from a card (Unix seconds)."""
        times = self._heard.get(mac, [])
        before = bisect_left(times, moment)
        return times[before - 1] if before else None

    def answers(self, vip: str, port: int, start: float, end: float) -> list[Frame]:
        """What came back for a client's port: SYN-ACK, RST, and ICMP that quotes its packet."""
        return [frame for frame in self._back[vip, port] if start <= frame.time <= end]

    def questions(self, address: str, start: float, end: float) -> list[Frame]:
        """Who asked for an address by ARP; empty when anybody answered."""
        near = [frame for frame in self._asked[address] if start <= frame.time <= end]
        if any(frame.arp and frame.arp.operation == REPLY for frame in near):
            return []
        return near


def explain_failures(
    attempts: Sequence[Attempt],
    wire: CaptureIndex,
    vip: str,
    zero: float,
    marks: Iterable[TimelineEvent],
    service: str = "",
) -> list[Attempt]:
    """The attempts, each failed one with its reason, from its frames.

    `marks` tell when endpoints of this Service went and came; where no packet was captured, they are all there is.
    """
    about = sorted((mark for mark in marks if _speaks_of(mark, service)), key=lambda mark: mark.at)
    endpoints = [mark for mark in about if mark.lane == "endpoints"]
    unanswered: dict[int, tuple[float, float, Frame]] = {}  # port: first and last SYN that nobody answered
    out = []
    for attempt in attempts:
        if attempt.is_ok or attempt.reason:
            unanswered.pop(attempt.port or 0, None)
            out.append(attempt)
            continue
        reason = _reason_of(attempt, wire, vip, zero, endpoints, unanswered.get(attempt.port or 0))
        if reason.kind == UNKNOWN:
            reason = _inferred(attempt, about) or reason
        if attempt.port and attempt.syns and reason.kind in (ENDPOINT_GONE, REMEMBERED, NOT_BACK, UNREACHABLE):
            first = unanswered.get(attempt.port)
            moment = attempt.syns[-1].time
            is_known = first is not None and moment - first[1] < MEMORY
            start, frame = (first[0], first[2]) if first and is_known else (moment, attempt.syns[-1])
            unanswered[attempt.port] = (start, moment, frame)
        out.append(attempt.with_reason(reason))
    return out


def _reason_of(
    attempt: Attempt,
    wire: CaptureIndex,
    vip: str,
    zero: float,
    endpoints: Sequence[TimelineEvent],
    before: tuple[float, float, Frame] | None,
) -> Reason:
    if not attempt.syns or attempt.port is None:
        return _without_a_syn(attempt, wire, vip, zero)
    syn = attempt.syns[-1]
    shown = tuple(Evidence.of(frame) for frame in attempt.syns)
    given_up = syn.time + max(attempt.ms / 1000, 0.05) + 0.05
    for frame in wire.answers(vip, attempt.port, syn.time, given_up):
        if frame.icmp:
            who = wire.name(frame.ethernet.source) if frame.ethernet else "somebody"
            return Reason(UNREACHABLE, f"{who} answered: {frame.icmp.meaning}", (*shown, Evidence.of(frame)))
        if frame.tcp and "R" in frame.tcp.flags:
            return Reason(REFUSED, "the answer was a reset", (*shown, Evidence.of(frame)))
    if any(words in attempt.error for words in ("nreachable", "No route")):  # said to the client, but not captured
        return Reason(UNREACHABLE, attempt.error, (*shown, Evidence("the client's own note", attempt.error)))
    target = syn.ethernet.destination if syn.ethernet else ""
    name = wire.name(target)
    if wire.is_silent(target, syn.time):
        heard = wire.last_heard(target, syn.time)
        since = f", last heard at {heard - zero:+.1f} s" if heard is not None else ", never heard"
        is_routed = len({frame.ethernet.destination for frame in attempt.syns if frame.ethernet}) > 1
        return Reason(HOP_GONE if is_routed else LEADER_GONE, f"sent to the card of {name}{since}", shown)
    return _at_a_living_node(attempt, name, zero, endpoints, before, shown)


def _at_a_living_node(
    attempt: Attempt,
    name: str,
    zero: float,
    endpoints: Sequence[TimelineEvent],
    before: tuple[float, float, Frame] | None,
    shown: tuple[Evidence, ...],
) -> Reason:
    at = attempt.syns[-1].time - zero
    if before is not None and at + zero - before[1] < MEMORY:
        ago = at + zero - before[0]
        words = f"port {attempt.port} had been left unanswered {ago:.1f} s before; {name} lives, and remembers"
        return Reason(REMEMBERED, words, (Evidence.of(before[2]), *shown))
    leaving = [mark for mark in endpoints if mark.text.endswith(" out") and at < mark.at + _RULES]
    coming = [mark for mark in endpoints if mark.text.endswith(" in") and at < mark.at + _RULES]
    # what comes first from here on says what the rules held: an endpoint about to go, or one not there yet
    if leaving and (not coming or leaving[0].at <= coming[0].at or at < leaving[0].at):
        mark = leaving[0]
        words = f"sent to {name}, which lives; its rules held {mark.text.split()[1]} until {mark.at:+.1f} s"
        return Reason(ENDPOINT_GONE, words, (*shown, *_of(mark)))
    if coming:
        mark = coming[0]
        words = f"sent to {name}, which lives; {mark.text.split()[1]} was not ready before {mark.at:+.1f} s"
        return Reason(NOT_BACK, words, (*shown, *_of(mark)))
    if not endpoints:
        return Reason(ENDPOINT_GONE, f"sent to {name}, which lives, and nothing came back: a Pod that is gone", shown)
    return Reason(UNKNOWN, f"sent to {name}, which lives, and nothing came back", shown)


def _speaks_of(mark: TimelineEvent, service: str) -> bool:
    if mark.lane == "endpoints":
        return mark.text.startswith(f"{service}: ")
    if mark.lane == "speaker":
        return f" announces {service} (layer2)" in mark.text
    return mark.lane == "BGP" and "hold timer" in mark.text


def _inferred(attempt: Attempt, about: Sequence[TimelineEvent]) -> Reason | None:
    """What happened next, where no packet tells: an address that was taken over, a route or an endpoint that went."""
    kinds = {"speaker": LEADER_GONE, "BGP": HOP_GONE}
    for lane in ("speaker", "BGP", "endpoints"):
        later = [
            mark
            for mark in about
            if mark.lane == lane and attempt.at < mark.at + (_RULES if lane == "endpoints" else 0)
        ]
        if later:
            mark = later[0]
            kind = kinds.get(lane) or (NOT_BACK if mark.text.endswith(" in") else ENDPOINT_GONE)
            words = f"no packet of it was captured; {mark.text} at {mark.at:+.1f} s"
            return Reason(kind, words, (Evidence("the client's own note", attempt.error), *_of(mark)))
    return None


def _of(mark: TimelineEvent) -> tuple[Evidence, ...]:
    return (mark.evidence,) if mark.evidence else ()


def _without_a_syn(attempt: Attempt, wire: CaptureIndex, vip: str, zero: float) -> Reason:
    start = zero + attempt.at
    asked = wire.questions(vip, start, start + attempt.ms / 1000 + 0.5)
    if asked:
        return Reason(NO_ARP, f"{len(asked)} questions for {vip}, no answer", tuple(Evidence.of(f) for f in asked[:3]))
    said = (Evidence("the client's own note", attempt.error),)
    for words, kind in (
        ("refused", REFUSED), ("reset", REFUSED), ("No route to host", NO_ARP), ("unreachable", UNREACHABLE),
    ):  # fmt: skip
        if words in attempt.error:
            return Reason(kind, attempt.error, said)
    return Reason(UNKNOWN, "no packet of it was captured", said)
