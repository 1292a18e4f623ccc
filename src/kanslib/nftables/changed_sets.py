"""Sets and maps that rules change on a packet's way: `add`, `update`, `delete` (Linux net/netfilter/nft_dynset.c)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kanslib.iptables.match_types import ActingMatch, Answer, Match, MatchedPacket, Probability, RecentEntry
from kanslib.iptables.questions import Question
from kanslib.nftables.computed import number_of
from kanslib.nftables.selectors import all_hold
from kanslib.nftables.syntax import (
    Concatenation,
    Expression,
    Interval,
    Meta,
    Prefix,
    Table,
    Value,
    Verdict,
)
from kanslib.nftables.terse import set_updates

_INTERFACES = {"iif": "in_interface", "iifname": "in_interface", "oif": "out_interface", "oifname": "out_interface"}


def parts_of(key: Expression) -> tuple[Expression, ...]:
    """Return the parts of a key, which may be a concatenation."""
    return key.parts if isinstance(key, Concatenation) else (key,)


def set_name(table: Table, name: str) -> str:
    """Return the name of a set that no other table has."""
    return f"{table.family} {table.name} {name}"


def changed_sets(table: Table) -> Mapping[str, tuple[Expression, ...]]:
    """Return the sets and maps that the rules of a table change, by name, with the data that they add, each once."""
    found: dict[str, list[Expression]] = {}
    for update in set_updates(table):
        data, known = update.element.data, found.setdefault(update.set, [])
        if update.operation != "delete" and data is not None and not isinstance(data, Verdict):
            known.append(data)
    return {name: tuple(dict.fromkeys(data)) for name, data in found.items()}


@dataclass(frozen=True, slots=True)
class SetMatch:
    """Whether a set holds the packet's key: among its elements, or because a rule on the packet's way has added it."""

    name: str
    key: tuple[Expression, ...]
    elements: tuple[Match, ...]
    negated: bool

    @property
    def names(self) -> tuple[str, ...]:
        """The set, and what its elements ask about."""
        return (f"recent {self.name}", *(name for match in self.elements for name in match.names))

    def holds(self, packet: MatchedPacket) -> Answer:
        """Look the key up."""
        entry = packet.recent.get(_entry(packet, self.name, self.key))
        if entry is not None:
            return (entry.added > 0) != self.negated
        for match in self.elements:
            answer = match.holds(packet)
            if answer is not True:
                return answer if isinstance(answer, Question | Probability) else self.negated
        return not self.negated


@dataclass(frozen=True, slots=True)
class ElementMatch:
    """Whether rules on the packet's way have left an element of a map as it was, or have added it with some `data`.

    `data` None: as it was. `changed`: the packet may have another value now than the one that was added.
    """

    name: str
    key: tuple[Expression, ...]
    data: Expression | None = None
    changed: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The map."""
        return (f"recent {self.name}",)

    def holds(self, packet: MatchedPacket) -> Answer:
        """Look at what the rules before this one did."""
        entry = packet.recent.get(_entry(packet, self.name, self.key))
        if self.data is None:
            return entry is None
        if entry is None or entry.data is None or entry.data[0] != self.data:
            return False
        number = entry.data[1]
        is_same = is_constant(self.data) or (number is not None and number == number_of(self.data, packet))
        return is_same != self.changed


@dataclass(frozen=True, slots=True)
class SetChange(ActingMatch):
    """A rule adds the packet's key to a set, or deletes it from a set or a map."""

    name: str
    key: tuple[Expression, ...]
    adds: bool

    @property
    def names(self) -> tuple[str, ...]:
        """The set."""
        return (f"recent {self.name}",)

    def holds(self, packet: MatchedPacket) -> Answer:
        """Change the set on this path."""
        entry = RecentEntry(1, False, None) if self.adds else RecentEntry(0, True, None)
        packet.recent = {**packet.recent, _entry(packet, self.name, self.key): entry}
        return True


@dataclass(frozen=True, slots=True)
class MapChange(ActingMatch):
    """A rule adds the packet's key to a map with some data. An element that is there keeps its own, also on `update`.

    `elements`: the match of a key that the map had at first.
    """

    name: str
    key: tuple[Expression, ...]
    data: Expression
    elements: tuple[Match, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The map, and what its elements ask about."""
        return (f"recent {self.name}", *(name for match in self.elements for name in match.names))

    def holds(self, packet: MatchedPacket) -> Answer:
        """Add the element on this path, unless the map has it."""
        place = _entry(packet, self.name, self.key)
        entry = packet.recent.get(place)
        has_key = all_hold(self.elements, packet) if entry is None else entry.added > 0
        if isinstance(has_key, Question):
            return has_key
        if not has_key:
            added = RecentEntry(1, False, None, (self.data, number_of(self.data, packet)))
            packet.recent = {**packet.recent, place: added}
        return True


def is_constant(data: Expression) -> bool:
    """Return whether data is the same for every packet."""
    return all(isinstance(part, Value | Interval | Prefix) for part in parts_of(data))


def _entry(packet: MatchedPacket, name: str, parts: Sequence[Expression]) -> tuple[object, ...]:
    """Return what stands for an element of a set: its name, and the value of each part of the packet's key."""
    return (name, *(_key_value(packet, part) for part in parts))


def _key_value(packet: MatchedPacket, part: Expression) -> object:
    """Return the value of a part of a key; the part itself where it is not known: the same part is the same value."""
    if isinstance(part, Meta) and part.key in _INTERFACES:
        return packet.key((_INTERFACES[part.key],))
    found = number_of(part, packet)
    return part if found is None else found
