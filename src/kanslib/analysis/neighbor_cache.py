"""Derive the neighbor cache of a machine from its own frames, and between them from the messages that it got. Pure.

Linux: net/ipv4/arp.c arp_process, net/ipv6/ndisc.c ndisc_recv_na and ndisc_recv_ns, net/core/neighbour.c neigh_update.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from math import inf
from operator import attrgetter

from kanslib.analysis.neighbor_messages import MessageKind, NeighborMessage, is_group, receives
from kanslib.analysis.neighbors import NeighborAnalysis
from kanslib.i18n import Words, tr_later
from kanslib.packets.capture import Frame

_LOCKTIME_S = 1.0  # Linux ignores an ARP reply that would replace an entry so soon after its update (locktime)
_IN_FLIGHT_S = 0.05  # a frame so soon after an announcement was on its way already


class UpdateReason(Words):
    """What changed an entry of a neighbor cache."""

    ANNOUNCEMENT = tr_later("an announcement")
    ANSWER = tr_later("an answer")
    QUESTION = tr_later("a question")
    QUESTION_TO_ANOTHER = tr_later("a question to somebody else")
    OWN_FRAME = tr_later("its own frame")


@dataclass(frozen=True)
class NeighborUpdate:
    """A change of a neighbor cache at `time` (Unix seconds): a new MAC for an address, why, and by which frame.

    `is_shown`: a frame of the machine itself carries the MAC address. Else only messages to the machine suggest it.
    """

    time: float
    address: str
    mac: str
    reason: UpdateReason
    frame: int
    is_shown: bool = False


def neighbor_updates(
    analysis: NeighborAnalysis, ip: str, mac: str, sent: Iterable[Frame] = (), known: Mapping[str, str] | None = None
) -> list[NeighborUpdate]:
    """Return how the neighbor cache of one machine (its address and MAC) changed, in order of time.

    `sent`: frames among which its own are; they show its cache, and win over what messages suggest. `known`: the cache
    before the capture began, MAC by address.
    """
    known = known or {}
    by_address: dict[str, list[NeighborUpdate]] = defaultdict(list)
    shown = list(_shown_by(sent, mac, analysis))
    first_shown = {update.address: update.time for update in reversed(shown)}
    for update in chain(_Cache(analysis, ip, mac, known, first_shown).updates(), shown):
        by_address[update.address].append(update)
    settled = (_settle(updates, known.get(address, "")) for address, updates in by_address.items())
    return sorted(chain.from_iterable(settled), key=attrgetter("time"))


def neighbors_at(
    changes: Sequence[NeighborUpdate], moment: float, known: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return a neighbor cache (address: MAC) at a moment (Unix seconds), from its changes in order of time."""
    count = bisect_right(changes, moment, key=lambda change: change.time)
    return {**(known or {}), **{change.address: change.mac for change in changes[:count]}}


@dataclass
class _Cache:
    """The neighbor cache that a machine has by the messages that it receives, as Linux updates it.

    Announcements and questions to other machines update an entry but create none; answers to the machine's own
    questions and questions to the machine do both. Scanners bypass the kernel: answers to them create no entry.
    """

    analysis: NeighborAnalysis
    ip: str
    mac: str
    known: Mapping[str, str]
    first_shown: Mapping[str, float]  # when a frame of the machine first shows its entry for an address (Unix seconds)
    requested: set[str] = field(default_factory=set)
    incomplete: set[str] = field(default_factory=set)

    def updates(self) -> Iterator[NeighborUpdate]:
        """Yield each message that sets an entry, to a new MAC address or to the same."""
        cache, updated_at = dict(self.known), dict[str, float]()
        scans = [(scan.first, scan.last) for scan in self.analysis.scans() if scan.mac == self.mac]
        for message in self.analysis.messages:
            address, time = message.claimed, message.frame.time
            if message.mac == self.mac:
                if message.kind is MessageKind.QUESTION and not any(start <= time <= end for start, end in scans):
                    self._record_question(message)
                continue
            reason = self._reason(message, cache)
            is_new = cache.get(address) != message.mac
            if reason is None or not message.mac or (is_new and self._is_locked(message, cache, updated_at)):
                continue
            updated_at[address] = time
            self.incomplete.discard(address)
            cache[address] = message.mac
            yield NeighborUpdate(time, address, message.mac, reason, message.frame.number)

    def _record_question(self, message: NeighborMessage) -> None:
        self.requested.add(message.address)
        if message.is_to_all:  # with an entry, Linux asks its holder alone
            self.incomplete.add(message.address)

    def _is_locked(self, message: NeighborMessage, cache: Mapping[str, str], updated_at: Mapping[str, float]) -> bool:
        """Return True where Linux keeps the entry that it has."""
        if message.frame.arp:
            age = message.frame.time - updated_at.get(message.claimed, -inf)
            return age < _LOCKTIME_S and message.kind not in (MessageKind.ANNOUNCEMENT, MessageKind.OBJECTION)
        return not message.is_override and message.claimed in cache and message.claimed not in self.incomplete

    def _reason(self, message: NeighborMessage, cache: Mapping[str, str]) -> UpdateReason | None:
        """Return why the machine updates its cache by a message; None when it does not."""
        if not message.claimed or not receives(self.mac, self.ip, message):
            return None
        is_known = message.claimed in cache or self.first_shown.get(message.claimed, inf) < message.frame.time
        match message.kind:
            case MessageKind.ANNOUNCEMENT | MessageKind.OBJECTION:
                return UpdateReason.ANNOUNCEMENT if is_known else None
            case MessageKind.ANSWER if message.asker in (self.mac, self.ip):
                return UpdateReason.ANSWER if is_known or message.claimed in self.requested else None
            case MessageKind.QUESTION if message.address == self.ip:
                return UpdateReason.QUESTION
            case MessageKind.QUESTION if is_known and message.frame.arp:
                return UpdateReason.QUESTION_TO_ANOTHER
        return None


def _shown_by(sent: Iterable[Frame], mac: str, analysis: NeighborAnalysis) -> Iterator[NeighborUpdate]:
    """Yield the entry that each frame of a machine to a neighbor shows.

    An address is a neighbor's when the machine asks for it, or sends to a MAC address that claims it. A receiver that
    sends the packet on to the same address is a router: its MAC address is no entry for that address.
    """
    claims = {(message.claimed, message.mac) for message in analysis.messages}
    questions = (message for message in analysis.messages if message.kind is MessageKind.QUESTION)
    neighbors = {message.address for message in questions if message.mac == mac}
    packets = [(frame, frame.ip) for frame in sent if frame.ip and frame.destination_mac]
    own = [(frame, packet.dst, str(frame.destination_mac)) for frame, packet in packets if frame.source_mac == mac]
    sources = {packet.src for frame, packet in packets if frame.source_mac == mac}
    routers = {(packet.dst, frame.source_mac) for frame, packet in packets if packet.src in sources}
    neighbors |= {address for _, address, receiver in own if (address, receiver) in claims}
    for frame, address, receiver in own:
        if address in neighbors and (address, receiver) not in routers and not is_group(receiver):
            yield NeighborUpdate(frame.time, address, receiver, UpdateReason.OWN_FRAME, frame.number, is_shown=True)


def _settle(updates: Iterable[NeighborUpdate], before: str) -> list[NeighborUpdate]:
    """Return the changes of one entry; `before`: its MAC address when the capture began, empty for none.

    A change that a message suggests is left out when the machine's next frame still carries the MAC address of before.
    """
    settled: list[NeighborUpdate] = []
    suggested: list[NeighborUpdate] = []  # since the machine's last frame
    for update in sorted(updates, key=attrgetter("time")):
        current = settled[-1].mac if settled else before
        if not update.is_shown:
            if update.mac != (suggested[-1].mac if suggested else current):
                suggested.append(update)
            continue
        if suggested and update.mac == current and update.time - suggested[-1].time < _IN_FLIGHT_S:
            continue
        places = [place for place, one in enumerate(suggested) if one.mac == update.mac]
        if places:
            settled += [*suggested[: places[-1]], replace(suggested[places[-1]], is_shown=True)]
        elif update.mac != current:
            settled.append(update)
        elif settled:
            settled[-1] = replace(settled[-1], is_shown=True)
        suggested = []
    return settled + suggested
