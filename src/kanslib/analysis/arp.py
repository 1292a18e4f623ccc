"""Analyse the ARP of a capture: owners of addresses, announcements, conflicts, scans, a client's neighbor cache. Pure.

Linux processes ARP in net/ipv4/arp.c arp_process; MetalLB v0.14.8 sends it in internal/layer2/arp.go.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from kanslib.packets.arp import ARP, BROADCAST_MAC, REPLY, REQUEST
from kanslib.packets.capture import Frame

_PAUSE_S = 2.5  # without a round for so long, the next one begins a new announcement
_ROUND_S = 0.3  # a request and a reply of one round are closer together
_LOCKTIME_S = 1.0  # Linux ignores a reply that would replace an entry so soon after its update (locktime)
_SCAN_TARGETS, _SCAN_PAUSE_S = 12, 2.0  # a scan requests so many addresses, without a longer pause (seconds)
_CONFLICT_S = 1.0  # two machines that reply to one request do so within this time


@dataclass(frozen=True)
class ARPOwnership:
    """A time span (`first` to `last`, Unix seconds) in which one MAC address claimed an IP address.

    `answers`, `announcements`: how many replies and gratuitous frames claimed it.
    """

    address: str
    mac: str
    first: float
    last: float
    answers: int
    announcements: int


@dataclass(frozen=True)
class Announcement:
    """Gratuitous ARP without a pause: the moments of its rounds (Unix seconds), its requests and replies.

    `oddities`: what is unusual about its frames, in words.
    """

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
        """The seconds from the first round to the last."""
        return round(self.rounds[-1] - self.rounds[0], 3)


@dataclass(frozen=True)
class Conflict:
    """Two or more machines that replied for one address at the same time; `frames`: the numbers of their replies."""

    address: str
    macs: tuple[str, ...]
    first: float
    last: float
    frames: tuple[int, ...]


@dataclass(frozen=True)
class Scan:
    """A scan by one machine: how many addresses it requested; `answered`: those with a reply."""

    mac: str
    ip: str
    first: float
    last: float
    requested: int
    answered: tuple[str, ...]


@dataclass(frozen=True)
class NeighborUpdate:
    """A change of a neighbor cache at `time` (Unix seconds): a new MAC for an address, why, and by which frame."""

    time: float
    address: str
    mac: str
    reason: str
    frame: int


@dataclass(frozen=True)
class ARPAnalysis:
    """An index of the ARP of a capture. `frames`: its ARP frames, in order of time."""

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
        """Return the analysis of these frames; other frames than ARP are left out."""
        return cls(tuple(sorted((frame for frame in frames if frame.arp), key=lambda frame: frame.time)))

    @property
    def addresses(self) -> list[str]:
        """Every address that a machine claimed, in numerical order."""
        claimed = {
            address for address, frames in self._by_address.items() if any(_claims_address(f, address) for f in frames)
        }
        return sorted(claimed, key=lambda address: tuple(map(int, address.split("."))))

    def ownership(self, address: str) -> list[ARPOwnership]:
        """Return the owners of an address, in order of time. Any frame claims its sender's address, requests too."""
        owners: list[ARPOwnership] = []
        for frame in self._by_address.get(address, []):
            arp = frame.arp
            if arp is None or not _claims_address(frame, address):
                continue
            gratuitous = int(arp.is_gratuitous)
            answer = int(arp.operation == REPLY and not gratuitous)
            if not owners or owners[-1].mac != arp.sender_mac:
                owners.append(ARPOwnership(address, arp.sender_mac, frame.time, frame.time, 0, 0))
            newest = owners[-1]
            owners[-1] = replace(
                newest,
                last=frame.time,
                answers=newest.answers + answer,
                announcements=newest.announcements + gratuitous,
            )
        return owners

    def announcements(self, address: str | None = None) -> list[Announcement]:
        """Return the announcements by gratuitous ARP (of one address), in order of time."""
        runs: dict[tuple[str, str], list[list[Frame]]] = defaultdict(list)
        for frame in self.frames:
            arp = frame.arp
            if arp is None or not arp.is_gratuitous or arp.is_objection or address not in (None, arp.sender_ip):
                continue
            sender_runs = runs[arp.sender_ip, arp.sender_mac]
            if sender_runs and frame.time - sender_runs[-1][-1].time < _PAUSE_S:
                sender_runs[-1].append(frame)
            else:
                sender_runs.append([frame])
        found = [_announcement(ip, mac, run) for (ip, mac), sender_runs in runs.items() for run in sender_runs]
        return sorted(found, key=lambda announcement: announcement.rounds[0])

    def objections(self, address: str | None = None) -> list[Frame]:
        """Return the replies to announcements of an address: two machines claim it, two leaders for example."""
        return [
            frame for frame in self.frames
            if frame.arp and frame.arp.is_objection and address in (None, frame.arp.sender_ip)
        ]  # fmt: skip

    def conflicts(self) -> list[Conflict]:
        """Return the addresses for which two machines replied to the same request, or in turns."""
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
        """Return the scans: many addresses requested by one machine without a pause."""
        requests: dict[str, list[Frame]] = defaultdict(list)
        for frame in self.frames:
            if frame.arp and frame.arp.operation == REQUEST and not frame.arp.is_gratuitous and _is_broadcast(frame):
                requests[frame.arp.sender_mac].append(frame)
        out = []
        for mac, frames in requests.items():
            for run in _runs(frames):
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
        """Return how the neighbor cache of one machine (its address and MAC) changed, as Linux updates it.

        `known`: the cache before the capture began, MAC by address. Gratuitous ARP and requests for other machines
        update an entry but create none; replies to the machine's own requests and requests for the machine do both.
        Scanners bypass the kernel: replies to them create no entry.
        """
        cache = dict(known or {})
        updated_at: dict[str, float] = {}
        requested: dict[str, float] = {}
        scans = [(scan.first, scan.last) for scan in self.scans() if scan.mac == mac]
        out: list[NeighborUpdate] = []
        for frame in self.frames:
            arp = frame.arp
            if arp is None:
                continue
            if arp.sender_mac == mac:
                if arp.operation == REQUEST and not any(start <= frame.time <= end for start, end in scans):
                    requested[arp.target_ip] = frame.time
                continue
            reason = _update_reason(arp, frame, ip, mac, cache, requested)
            if not reason or arp.sender_ip == "0.0.0.0":
                continue
            age = frame.time - updated_at.get(arp.sender_ip, float("-inf"))
            is_new = cache.get(arp.sender_ip) != arp.sender_mac
            if is_new and age < _LOCKTIME_S and not arp.is_gratuitous:
                continue
            updated_at[arp.sender_ip] = frame.time
            if is_new:
                cache[arp.sender_ip] = arp.sender_mac
                out.append(NeighborUpdate(frame.time, arp.sender_ip, arp.sender_mac, reason, frame.number))
        return out


def neighbors_at(
    changes: Sequence[NeighborUpdate], moment: float, known: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return a neighbor cache (address: MAC) at a moment (Unix seconds), from its changes in order of time."""
    count = bisect_right(changes, moment, key=lambda change: change.time)
    return {**(known or {}), **{change.address: change.mac for change in changes[:count]}}


def _update_reason(
    arp: ARP, frame: Frame, ip: str, mac: str, cache: Mapping[str, str], requested: Mapping[str, float]
) -> str:  # fmt: skip
    """Return why a machine updates its neighbor cache by a message; empty when it does not."""
    if frame.ethernet and frame.ethernet.destination not in (mac, BROADCAST_MAC):
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
