"""The ARP of a capture: who claimed which address when, announcements, conflicts, scans, a neighbor cache. Pure.

How Linux handles ARP: net/ipv4/arp.c arp_process; what MetalLB sends: v0.14.8 internal/layer2/arp.go.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from kanslib.packets.arp import ARP, BROADCAST_MAC, REPLY, REQUEST
from kanslib.packets.capture import Frame

_PAUSE_S = 2.5  # seconds without a round: the next one begins a new announcement
_ROUND_S = 0.3  # seconds: a request and a reply of one round lie closer together
_LOCKTIME_S = 1.0  # seconds in which Linux does not let a plain answer replace a fresh one (locktime)
_SCAN_TARGETS, _SCAN_PAUSE_S = 12, 2.0  # so many addresses asked for in so many seconds are a scan
_CONFLICT_S = 1.0  # seconds: two machines that answer the same question


@dataclass(frozen=True)
class ARPOwnership:
    """A span of time (Unix seconds) in which one MAC address spoke for an IP address."""

    address: str
    mac: str
    first: float
    last: float
    answers: int
    announcements: int


@dataclass(frozen=True)
class Announcement:
    """Gratuitous ARP without a pause: `rounds` moments, and how many requests and replies were in them."""

    address: str
    mac: str
    rounds: tuple[float, ...]
    requests: int
    replies: int
    oddities: tuple[str, ...]

    @property
    def gaps(self) -> tuple[float, ...]:
        """Seconds between the rounds."""
        return tuple(round(b - a, 3) for a, b in zip(self.rounds, self.rounds[1:], strict=False))

    @property
    def seconds(self) -> float:
        """How long it went on."""
        return round(self.rounds[-1] - self.rounds[0], 3)


@dataclass(frozen=True)
class Conflict:
    """Two machines or more that answered for one address, each while the other did: `frames` are their answers."""

    address: str
    macs: tuple[str, ...]
    first: float
    last: float
    frames: tuple[int, ...]


@dataclass(frozen=True)
class Scan:
    """One machine that asked for many addresses in a row; `answered`: those that somebody answered for."""

    mac: str
    ip: str
    first: float
    last: float
    requested: int
    answered: tuple[str, ...]


@dataclass(frozen=True)
class NeighborUpdate:
    """A change of a neighbor cache: from `time` on, this MAC address for that address, and which frame told it."""

    time: float
    address: str
    mac: str
    reason: str
    frame: int


@dataclass(frozen=True)
class ARPAnalysis:
    """An index of the ARP of a capture. `frames` are its ARP frames, in order of time."""

    frames: tuple[Frame, ...]
    _by_address: dict[str, list[Frame]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        found: dict[str, list[Frame]] = defaultdict(list)
        for frame in self.frames:
            for address in _addresses_in(frame):
                found[address].append(frame)
        object.__setattr__(self, "_by_address", dict(found))

    @classmethod
    def of(cls, frames: Iterable[Frame]) -> ARPAnalysis:
        """Return the analysis of these frames; those that are no ARP are left out."""
        return cls(tuple(sorted((frame for frame in frames if frame.arp), key=lambda frame: frame.time)))

    @property
    def addresses(self) -> list[str]:
        """Every address that somebody claimed, in order."""
        claimed = {
            address for address, frames in self._by_address.items() if any(_claims_address(f, address) for f in frames)
        }
        return sorted(claimed, key=lambda address: tuple(map(int, address.split("."))))

    def ownership(self, address: str) -> list[ARPOwnership]:
        """Return who spoke for an address, one after the other. A machine that asks for others claims its own, too."""
        out: list[ARPOwnership] = []
        for frame in self._by_address.get(address, []):
            arp = frame.arp
            if arp is None or not _claims_address(frame, address):
                continue
            gratuitous = int(arp.is_gratuitous)
            answer = int(arp.operation == REPLY and not gratuitous)
            if out and out[-1].mac == arp.sender_mac:
                before = out[-1]
                out[-1] = ARPOwnership(
                    address,
                    before.mac,
                    before.first,
                    frame.time,
                    before.answers + answer,
                    before.announcements + gratuitous,
                )
            else:
                out.append(ARPOwnership(address, arp.sender_mac, frame.time, frame.time, answer, gratuitous))
        return out

    def announcements(self, address: str | None = None) -> list[Announcement]:
        """Return the gratuitous ARP, each address and machine by itself, cut where there was a pause."""
        runs: dict[tuple[str, str], list[list[Frame]]] = defaultdict(list)
        for frame in self.frames:
            arp = frame.arp
            if arp is None or not arp.is_gratuitous or arp.is_objection or address not in (None, arp.sender_ip):
                continue
            mine = runs[arp.sender_ip, arp.sender_mac]
            if mine and frame.time - mine[-1][-1].time < _PAUSE_S:
                mine[-1].append(frame)
            else:
                mine.append([frame])
        found = [_announcement(ip, mac, run) for (ip, mac), mine in runs.items() for run in mine]
        return sorted(found, key=lambda one: one.rounds[0])

    def objections(self, address: str | None = None) -> list[Frame]:
        """Answers to announcements: moments in which two speakers believed that they lead."""
        return [
            frame for frame in self.frames
            if frame.arp and frame.arp.is_objection and address in (None, frame.arp.sender_ip)
        ]  # fmt: skip

    def conflicts(self) -> list[Conflict]:
        """Return the addresses for which two machines answered the same question, or in turns."""
        out = []
        for address in self.addresses:
            answers = [
                frame for frame in self._by_address[address]
                if frame.arp and _claims_address(frame, address) and frame.arp.operation == REPLY
                and not frame.arp.is_gratuitous
            ]  # fmt: skip
            double = [
                (one, other)
                for place, one in enumerate(answers)
                for other in answers[place + 1 : place + 4]
                if other.time - one.time < _CONFLICT_S
                and _sender_mac(one) != _sender_mac(other)
                and _requester_mac(one) == _requester_mac(other)
            ]
            if double:
                frames = sorted({frame.number for pair in double for frame in pair})
                macs = tuple(dict.fromkeys(_sender_mac(frame) for pair in double for frame in pair))
                out.append(Conflict(address, macs, double[0][0].time, double[-1][1].time, tuple(frames)))
        return out

    def scans(self) -> list[Scan]:
        """Return who asked for many addresses in a row."""
        questions: dict[str, list[Frame]] = defaultdict(list)
        for frame in self.frames:
            if frame.arp and frame.arp.operation == REQUEST and not frame.arp.is_gratuitous and _is_broadcast(frame):
                questions[frame.arp.sender_mac].append(frame)
        out = []
        for mac, asked in questions.items():
            for run in _runs(asked):
                targets = {frame.arp.target_ip for frame in run if frame.arp}
                if len(targets) < _SCAN_TARGETS:
                    continue
                first, last = run[0].time, run[-1].time
                answered = sorted(ip for ip in targets if self._answered(ip, mac, first, last + 1))
                ip = next(frame.arp.sender_ip for frame in run if frame.arp)
                out.append(Scan(mac, ip, first, last, len(targets), tuple(answered)))
        return sorted(out, key=lambda scan: scan.first)

    def _answered(self, address: str, mac: str, start: float, end: float) -> bool:
        return any(
            frame.arp and frame.arp.operation == REPLY and frame.arp.target_mac == mac and start <= frame.time <= end
            for frame in self._by_address.get(address, [])
            if _claims_address(frame, address)
        )

    def neighbor_updates(self, ip: str, mac: str, known: Mapping[str, str] | None = None) -> list[NeighborUpdate]:
        """Return how the neighbor cache of one machine changed, as Linux keeps it, from what was on the wire.

        `known`: what it held before the capture began. A gratuitous frame, or anybody's question, changes an entry that
        is there and makes none; an answer to the machine's own question does both; so does a question that is for the
        machine itself. Scanning programs ask past the kernel: their answers make no entry either.
        """
        held = dict(known or {})
        fresh: dict[str, float] = {}
        asked: dict[str, float] = {}
        sweeps = [(scan.first, scan.last) for scan in self.scans() if scan.mac == mac]
        out: list[NeighborUpdate] = []
        for frame in self.frames:
            arp = frame.arp
            if arp is None:
                continue
            if arp.sender_mac == mac:
                if arp.operation == REQUEST and not any(start <= frame.time <= end for start, end in sweeps):
                    asked[arp.target_ip] = frame.time
                continue
            how = _update_reason(arp, frame, ip, mac, held, asked)
            if not how or arp.sender_ip == "0.0.0.0":
                continue
            locked = frame.time - fresh.get(arp.sender_ip, float("-inf")) < _LOCKTIME_S and not arp.is_gratuitous
            if held.get(arp.sender_ip) == arp.sender_mac:
                fresh[arp.sender_ip] = frame.time
            elif not locked:
                held[arp.sender_ip] = arp.sender_mac
                fresh[arp.sender_ip] = frame.time
                out.append(NeighborUpdate(frame.time, arp.sender_ip, arp.sender_mac, how, frame.number))
        return out


def neighbors_at(
    changes: Sequence[NeighborUpdate], moment: float, known: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return what a neighbor cache held at a moment (address: MAC address), from its changes."""
    place = bisect_right(changes, moment, key=lambda change: change.time)
    return {**(known or {}), **{change.address: change.mac for change in changes[:place]}}


def _update_reason(
    arp: ARP, frame: Frame, ip: str, mac: str, cache: Mapping[str, str], requested: Mapping[str, float]
) -> str:  # fmt: skip
    """Return why a machine takes note of a message; empty when it does not."""
    to_me = frame.ethernet is None or frame.ethernet.destination in (mac, BROADCAST_MAC)
    if not to_me:
        return ""
    if arp.is_gratuitous:
        return "an announcement" if arp.sender_ip in cache else ""
    if arp.operation == REPLY and arp.target_mac == mac:
        if arp.sender_ip in requested or arp.sender_ip in cache:
            return "an answer"
        return ""
    if arp.operation == REQUEST and arp.target_ip == ip:
        return "a question"
    return "a question to somebody else" if arp.operation == REQUEST and arp.sender_ip in cache else ""


def _addresses_in(frame: Frame) -> set[str]:
    return {frame.arp.sender_ip, frame.arp.target_ip} - {"0.0.0.0"} if frame.arp else set()


def _claims_address(frame: Frame, address: str) -> bool:
    return frame.arp is not None and frame.arp.sender_ip == address


def _sender_mac(frame: Frame) -> str:
    return frame.arp.sender_mac if frame.arp else ""


def _requester_mac(frame: Frame) -> str:
    return frame.arp.target_mac if frame.arp else ""


def _is_broadcast(frame: Frame) -> bool:
    return frame.ethernet is not None and frame.ethernet.destination == BROADCAST_MAC


def _runs(frames: Sequence[Frame]) -> Iterator[list[Frame]]:
    run: list[Frame] = []
    for frame in frames:
        if run and frame.time - run[-1].time > _SCAN_PAUSE_S:
            yield run
            run = []
        run.append(frame)
    if run:
        yield run


def _announcement(address: str, mac: str, run: Sequence[Frame]) -> Announcement:
    rounds: list[float] = []
    for frame in run:
        if not rounds or frame.time - rounds[-1] > _ROUND_S:
            rounds.append(frame.time)
    messages = [frame.arp for frame in run if frame.arp]
    replies = sum(arp.operation == REPLY for arp in messages)
    oddities = tuple(dict.fromkeys(arp.deviation for arp in messages if arp.deviation))
    return Announcement(address, mac, tuple(rounds), len(messages) - replies, replies, oddities)
