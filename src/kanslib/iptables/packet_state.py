"""A packet during a trace: its fields, its position in the rules, and the assumptions about it."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

from kanslib.iptables.compiled import CompiledChain
from kanslib.iptables.matches import DOMAINS, Unknown
from kanslib.iptables.names import ICMPV6_TYPES, PROTOCOLS, icmp, tcp_flags
from kanslib.iptables.outcome import Assumption, Step
from kanslib.iptables.packet import STATES, Packet, Routing, number, well_known

INVALID, UNTRACKED = (1 << STATES.index(name) for name in ("INVALID", "UNTRACKED"))
Stage = tuple[str, str]  # hook, table
Steps = tuple["Steps | None", Step]  # the steps before, the newest


class ChainFrame(NamedTuple):
    """A chain in traversal: its caller, the positions of its candidate rules, the next of them, the active chains."""

    parent: ChainFrame | None
    chain: CompiledChain
    positions: Sequence[int]
    next: int
    active: tuple[str, ...]

    def advance(self) -> ChainFrame:
        """Return the frame behind the next rule."""
        return ChainFrame(self.parent, self.chain, self.positions, self.next + 1, self.active)


@lru_cache(maxsize=256)
def _flag_bits(text: str) -> int:
    return tcp_flags(text)


@lru_cache(maxsize=256)
def _icmp_number(text: str, protocol: int) -> int:
    return icmp(text, ICMPV6_TYPES if protocol == PROTOCOLS["ipv6-icmp"] else None)[0]


class PacketState:
    """A packet on one of its paths: its current fields, its position in the rules, its assumptions."""

    __slots__ = (
        "assumed", "connmark", "dport", "dst", "frame", "hook", "in_interface", "looped", "mark", "notes",
        "original", "out_interface", "plan", "possible", "probability", "protocol", "routing", "sport", "src", "steps",
        "table", "tracked", "translated", "ttl",
    )  # fmt: skip

    def __init__(self, packet: Packet, routing: Routing | None, plan: tuple[Stage, ...]) -> None:
        self.original, self.routing = packet, routing
        self.protocol = PROTOCOLS.get(packet.protocol) or int(packet.protocol)
        self.src, self.dst, self.sport, self.dport = packet.src, packet.dst, packet.sport, packet.dport
        self.in_interface: str | None = packet.in_interface or ""
        self.out_interface: str | None = ""
        self.mark, self.ttl = packet.mark, packet.ttl
        self.tracked = 1 << STATES.index(packet.ctstate) if packet.ctstate else (1 << len(STATES)) - 1
        self.connmark: int | None = 0 if packet.ctstate == "NEW" else None
        self.translated: frozenset[str] = frozenset()
        self.assumed: dict[str, Assumption] = {}
        self.possible: dict[str, int] = {}
        self.notes: tuple[str, ...] = ()
        self.probability = Fraction(1)
        self.steps: Steps | None = None
        self.plan = plan
        self.frame: ChainFrame | None = None
        self.hook, self.table, self.looped = "", "", False

    def fork(self) -> PacketState:
        """Return a copy for another branch."""
        other = copy(self)
        other.assumed, other.possible = dict(self.assumed), dict(self.possible)
        return other

    # the fields that matches read (matches.MatchedPacket)

    @property
    def states(self) -> int:
        """A bit for each possible state; INVALID in raw, which is before conntrack (net/netfilter/xt_conntrack.c)."""
        if self.table == "raw" and not self.looped and self.tracked != UNTRACKED:
            return INVALID
        return self.tracked

    @property
    def unconnected(self) -> bool:
        """True where conntrack has no connection for the packet: in raw, and when it is INVALID or UNTRACKED."""
        return not self.states & ~(INVALID | UNTRACKED)

    def name(self, field: str) -> str | None:
        """Return an interface or the source MAC address."""
        return self.original.source_mac if field == "source_mac" else getattr(self, field)

    def address(self, field: str) -> tuple[int, int] | None:
        """Return an address as (bits, value): `src`, `dst`, `original src` or `original dst`."""
        if field == "dst":
            text = self.dst
        elif field == "src":
            text = self.src
        else:
            text = self.original.dst if field.endswith("dst") else self.original.src
        return None if text is None else number(text)

    def value(self, field: str) -> int | None:
        """Return a number: a port, the length, the TTL, TCP flags as bits, or the ICMP type as type·256+code."""
        if field == "dport":
            known = self.dport
        elif field == "sport":
            known = self.sport
        elif field == "ttl":
            known = self.ttl
        else:
            known = getattr(self.original, field)
            if known is not None and field == "tcp_flags":
                return _flag_bits(known)
            if known is not None and field == "icmp_type":
                return _icmp_number(known, self.protocol)
        return known

    def type_of(self, field: str) -> str | Unknown:
        """Return the type of `src` or `dst`, such as LOCAL; Unknown where it depends on the machine's addresses."""
        text = self.src if field == "src" else self.dst
        if text is not None:
            if self.routing is not None:
                return self.routing.type_of(text)
            if fixed := well_known(*number(text)):
                return fixed
        side = "source" if field == "src" else "destination"
        return Unknown(f"{text or f'the new {side}'} is an address of this machine")

    # assumptions

    def decide(self, question: Unknown) -> bool | None:
        """Return whether the match is true under the assumptions of this path; None where they do not decide it."""
        if not question.field:
            answer = self.assumed.get(question.text)
            return None if answer is None else answer.holds == question.wanted
        possible = self._possible(question.field)
        inside = possible & question.values
        if inside == possible:
            return question.wanted
        return None if inside else not question.wanted

    def _possible(self, field: str) -> int:
        if field == "ctstate":
            return self.tracked
        return self.possible.get(field, (1 << DOMAINS[field]) - 1)

    def assume(self, question: Unknown, answer: bool) -> None:
        """Assume from here on that the statement is true (`answer`) or false."""
        if question.field:
            possible = self._possible(question.field)
            left = possible & question.values if answer else possible & ~question.values
            if question.field == "ctstate":
                self.tracked = left
            else:
                self.possible[question.field] = left
        self.assumed[question.text] = Assumption(question.text, answer, question.field, question.values)

    def note(self, text: str) -> None:
        """Add a remark to the outcome, once."""
        if text not in self.notes:
            self.notes = (*self.notes, text)
