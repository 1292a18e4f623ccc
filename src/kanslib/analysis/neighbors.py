"""Find out who holds which address, by ARP and neighbor discovery: owners, announcements, conflicts, scans. Pure.

MetalLB v0.14.8 sends both in internal/layer2/arp.go and ndp.go.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from kanslib.analysis.conflicts import Conflict, Takeover, conflicts_of, takeovers_of
from kanslib.analysis.neighbor_messages import MessageKind, NeighborMessage, neighbor_messages, sort_addresses
from kanslib.packets.arp import REPLY
from kanslib.packets.capture import Frame

PAUSE_S = 2.5  # without a round for so long, the next one begins a new announcement
_ROUND_S = 0.3  # a request and a reply of one round are closer together
_SCAN_TARGETS, _SCAN_PAUSE_S = 12, 2.0  # a scan requests so many addresses, without a longer pause (seconds)


@dataclass(frozen=True)
class Ownership:
    """A time span (`first` to `last`, Unix seconds) in which one MAC address claimed an IP address.

    `answers`, `announcements`: how many of its messages claimed it.
    """

    address: str
    mac: str
    first: float
    last: float
    answers: int
    announcements: int


@dataclass(frozen=True)
class Announcement:
    """Announcements without a pause: the moments of their rounds (Unix seconds), how many as requests and as replies.

    `oddities`: what is unusual about its frames, in words. A neighbor advertisement counts as a reply.
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
class Scan:
    """A scan by one machine: how many addresses it requested; `answered`: those with a reply."""

    mac: str
    ip: str
    first: float
    last: float
    requested: int
    answered: tuple[str, ...]


@dataclass(frozen=True)
class NeighborAnalysis:
    """An index of the ARP and the neighbor discovery of a capture. `messages` are in order of time."""

    messages: tuple[NeighborMessage, ...]
    _by_address: dict[str, list[NeighborMessage]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        found: dict[str, list[NeighborMessage]] = defaultdict(list)
        for message in self.messages:
            for address in {message.address, message.claimed} - {""}:
                found[address].append(message)
        object.__setattr__(self, "_by_address", dict(found))

    @classmethod
    def of(cls, frames: Iterable[Frame]) -> NeighborAnalysis:
        """Return the analysis of these frames; frames of other protocols are left out."""
        return cls(tuple(sorted(neighbor_messages(frames), key=lambda message: message.frame.time)))

    @property
    def addresses(self) -> list[str]:
        """Every address that a machine claimed, in numerical order."""
        return sort_addresses({message.claimed for message in self.messages} - {""})

    def claims(self, address: str) -> list[NeighborMessage]:
        """Return the messages whose sender claims an address, in order of time: questions of its owner, too."""
        return [message for message in self._by_address.get(address, []) if message.claimed == address]

    def ownership(self, address: str) -> list[Ownership]:
        """Return the owners of an address, in order of time."""
        owners: list[Ownership] = []
        for message in self.claims(address):
            time = message.frame.time
            if not owners or owners[-1].mac != message.mac:
                owners.append(Ownership(address, message.mac, time, time, 0, 0))
            newest = owners[-1]
            owners[-1] = replace(
                newest,
                last=time,
                answers=newest.answers + (message.kind is MessageKind.ANSWER),
                announcements=newest.announcements
                + (message.kind in (MessageKind.ANNOUNCEMENT, MessageKind.OBJECTION)),
            )
        return owners

    def announcements(self, address: str | None = None) -> list[Announcement]:
        """Return the announcements (of one address), in order of time."""
        runs: dict[tuple[str, str], list[list[NeighborMessage]]] = defaultdict(list)
        for message in self.messages:
            if message.kind is not MessageKind.ANNOUNCEMENT or address not in (None, message.address):
                continue
            sender_runs = runs[message.address, message.mac]
            if sender_runs and message.frame.time - sender_runs[-1][-1].frame.time < PAUSE_S:
                sender_runs[-1].append(message)
            else:
                sender_runs.append([message])
        found = [_announcement(ip, mac, run) for (ip, mac), sender_runs in runs.items() for run in sender_runs]
        return sorted(found, key=lambda announcement: announcement.rounds[0])

    def objections(self, address: str | None = None) -> list[NeighborMessage]:
        """Return the replies to announcements of an address: two machines claim it, two leaders for example."""
        return [
            message for message in self.messages
            if message.kind is MessageKind.OBJECTION and address in (None, message.address)
        ]  # fmt: skip

    def conflicts(self) -> list[Conflict]:
        """Return when two or more network cards held one address at one time, by address and time."""
        return [conflict for address in self.addresses for conflict in conflicts_of(address, self.claims(address))]

    def takeovers(self, address: str) -> list[Takeover]:
        """Return when an address moved from one network card to another: one stopped to claim it, the other began."""
        return takeovers_of(address, self.claims(address))

    def scans(self) -> list[Scan]:
        """Return the scans: many addresses requested by one machine without a pause."""
        requests: dict[str, list[NeighborMessage]] = defaultdict(list)
        for message in self.messages:
            if message.kind is MessageKind.QUESTION and message.is_to_all:
                requests[message.mac].append(message)
        out = []
        for mac, messages in requests.items():
            for run in _runs(messages):
                targets = {message.address for message in run}
                if len(targets) < _SCAN_TARGETS:
                    continue
                first, last = run[0].frame.time, run[-1].frame.time
                answered = sort_addresses(ip for ip in targets if self._answered(ip, run[0].asker, first, last + 1))
                out.append(Scan(mac, run[0].claimed, first, last, len(targets), tuple(answered)))
        return sorted(out, key=lambda scan: scan.first)

    def _answered(self, address: str, asker: str, start: float, end: float) -> bool:
        return any(
            message.kind is MessageKind.ANSWER and message.asker == asker and start <= message.frame.time <= end
            for message in self.claims(address)
        )


def _runs(messages: Sequence[NeighborMessage]) -> Iterator[list[NeighborMessage]]:
    run: list[NeighborMessage] = []
    for message in messages:
        if run and message.frame.time - run[-1].frame.time > _SCAN_PAUSE_S:
            yield run
            run = []
        run.append(message)
    if run:
        yield run


def _announcement(address: str, mac: str, run: Sequence[NeighborMessage]) -> Announcement:
    rounds: list[float] = []
    for message in run:
        if not rounds or message.frame.time - rounds[-1] > _ROUND_S:
            rounds.append(message.frame.time)
    replies = sum(message.frame.arp is None or message.frame.arp.operation == REPLY for message in run)
    oddities = tuple(dict.fromkeys(words for message in run for words in message.deviations))
    return Announcement(address, mac, tuple(rounds), len(run) - replies, replies, oddities)
