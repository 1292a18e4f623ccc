"""A packet during a trace: its current fields, its position in the rules, what is known and what is assumed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

from kanslib.i18n import all_of, tr, tr_later
from kanslib.iptables.bits import Bits
from kanslib.iptables.ipset import IPSets
from kanslib.iptables.match_types import RecentEntry, Shares
from kanslib.iptables.names import ICMPV6_TYPES, PROTOCOLS, icmp, tcp_flags
from kanslib.iptables.outcome import Step
from kanslib.iptables.packet import WITH_PORTS, Packet, Routing, number, well_known
from kanslib.iptables.questions import (
    ADDRESSES,
    ANY_NAME,
    CERTAIN,
    INVALID,
    NEW,
    PORTS,
    STATES,
    TYPES,
    UNTRACKED,
    Answers,
    Condition,
    Question,
    Subject,
    address_number,
    mac_number,
    name_number,
    restrict,
)
from kanslib.iptables.ranges import YES, Ranges, contains, intersect, of_bits, subtract
from kanslib.iptables.stages import Role, Stage, TracedChain

Steps = tuple["Steps | None", Step]  # the steps before, the newest

# the fields that can be unknown: their words, and the numbers that are possible
FIELDS: dict[str, tuple[str, Ranges]] = {
    "src": (tr_later("the source"), ADDRESSES), "dst": (tr_later("the destination"), ADDRESSES),
    "sport": (tr_later("the source port"), PORTS), "dport": (tr_later("the destination port"), PORTS),
    "length": (tr_later("the length"), ((0, 65535),)),
    "ttl": (tr_later("the TTL"), ((0, 255),)),
    "tos": (tr_later("the TOS octet"), ((0, 255),)),
    "tcp_flags": (tr_later("the set of TCP flags"), ((0, 255),)),
    "icmp_type": (tr_later("the ICMP type"), ((0, 65535),)),
    "in_interface": (tr_later("the interface by which it comes in"), ANY_NAME),
    "out_interface": (tr_later("the interface by which it goes out"), ANY_NAME),
    "physdev_in": (tr_later("the bridge port by which it comes in"), ANY_NAME),
    "physdev_out": (tr_later("the bridge port by which it goes out"), ANY_NAME),
    "source_mac": (tr_later("the source MAC"), ((0, (1 << 48) - 1),)),
    "uid": (tr_later("the sending user"), ((0, 0xFFFFFFFF),)),
    "gid": (tr_later("the sending group"), ((0, 0xFFFFFFFF),)),
    "ctstate": (tr_later("conntrack's state"), ((0, len(STATES) - 1),)),
    "mss": (tr_later("the MSS that it announces"), ((0, 65536),)),
}  # fmt: skip
# the same once it has been changed and is not known
_NEW_FIELDS = {
    "src": tr_later("the new source"), "dst": tr_later("the new destination"),
    "sport": tr_later("the new source port"), "dport": tr_later("the new destination port"),
    "length": tr_later("the new length"), "ttl": tr_later("the new TTL"), "tos": tr_later("the new TOS octet"),
    "tcp_flags": tr_later("the new set of TCP flags"), "icmp_type": tr_later("the new ICMP type"),
    "in_interface": tr_later("the new interface by which it comes in"),
    "out_interface": tr_later("the new interface by which it goes out"),
    "physdev_in": tr_later("the new bridge port by which it comes in"),
    "physdev_out": tr_later("the new bridge port by which it goes out"), "source_mac": tr_later("the new source MAC"),
    "uid": tr_later("the new sending user"), "gid": tr_later("the new sending group"),
    "ctstate": tr_later("conntrack's state"), "mss": tr_later("the new MSS that it announces"),
}  # fmt: skip
# what a path's rest depends on, besides its place and what is known
_LASTING = (
    "src", "dst", "sport", "dport", "in_interface", "out_interface", "mark", "connmark", "tos", "tcp_flags", "ttl",
    "ttl_lost", "mss", "ctstate", "translated", "template", "socket", "hook", "table", "base", "role",
    "translated_at", "plan", "looped", "act", "notes", "entered", "moved",
    "chances",
)  # fmt: skip
_CONNECTION_MARK = tr_later("the connection's mark")


class ChainFrame(NamedTuple):
    """A chain in traversal: its caller, the positions of its candidate rules, the next of them, the active chains.

    `entry` counts the chains that the path has entered.
    """

    parent: ChainFrame | None
    chain: TracedChain
    positions: Sequence[int]
    next: int
    active: tuple[str, ...]
    entry: int

    @property
    def position(self) -> int:
        """The position in the chain of the next rule that can match."""
        return self.positions[self.next] if self.next < len(self.positions) else len(self.chain)

    def without_index(self) -> ChainFrame:
        """Return the same place with every rule as a candidate, in the callers, too."""
        parent, everything = self.parent and self.parent.without_index(), range(len(self.chain))
        return ChainFrame(parent, self.chain, everything, self.position, self.active, self.entry)

    @property
    def behind(self) -> ChainFrame:
        """The place behind the next rule; behind an element of a map, the place behind the rule that asks the map."""
        return self.parent if self.chain.is_map and self.parent else self.advance()

    @property
    def caller(self) -> ChainFrame | None:
        """The place to which a return leads; from a map, the one to which the chain that asks it returns."""
        return self.parent.parent if self.chain.is_map and self.parent else self.parent

    def advance(self) -> ChainFrame:
        """Return the frame behind the next rule."""
        return ChainFrame(self.parent, self.chain, self.positions, self.next + 1, self.active, self.entry)


class KnownMachine(NamedTuple):
    """What is known of the machine besides its rules: addresses and routes, sets, and answers to questions."""

    routing: Routing | None
    sets: IPSets
    answers: Answers | None = None


@lru_cache(maxsize=256)
def _icmp_number(text: str, protocol: int) -> int:
    return icmp(text, ICMPV6_TYPES if protocol == PROTOCOLS["ipv6-icmp"] else None)[0]


def _bits(known: int | None, source: str, mask: int) -> Bits:
    return Bits(0, ((source, mask),)) if known is None else Bits(known)


class PacketState:
    """A packet on one of its paths.

    Dicts are never changed in place, so that a fork shares them.
    """

    __slots__ = (
        "act", "answers", "base", "chances", "condition", "connmark", "ctstate", "domains", "dport", "drawn", "dst",
        "effects", "entered", "entries", "frame", "hook", "in_interface", "known", "learned", "looped", "mark",
        "moved", "mss", "notes", "original", "out_interface", "plan", "probability", "protocol", "recent", "role",
        "routing", "sets", "socket", "sport", "src", "stage", "steps", "table", "tcp_flags", "template", "tos",
        "trail", "translated", "translated_at", "ttl", "ttl_lost", "turns",
    )  # fmt: skip

    def __init__(self, packet: Packet, machine: KnownMachine, hook: str, plan: tuple[Stage, ...]) -> None:
        self.original = packet
        self.routing, self.sets, self.answers = machine
        self.protocol = PROTOCOLS.get(packet.protocol) or int(packet.protocol)
        self.src, self.dst, self.sport, self.dport = packet.src, packet.dst, packet.sport, packet.dport
        self.in_interface: str | None = packet.in_interface or ""
        self.out_interface: str | None = ""
        self.ttl, self.ttl_lost = packet.ttl, 0
        self.mss: int | None = None
        flags = None if packet.tcp_flags is None else tcp_flags(packet.tcp_flags)
        self.tcp_flags = _bits(flags, "tcp_flags", 0xFF)
        self.tos = Bits(0, (("tos", 0xFF),)) if packet.dscp is None else Bits(packet.dscp << 2, (("tos", 3),))
        self.ctstate = STATES.index(packet.ctstate) if packet.ctstate else None
        self.mark = _bits(packet.mark, tr("its mark"), 0xFFFFFFFF)
        self.connmark = _bits(0 if self.ctstate == NEW else None, tr(_CONNECTION_MARK), 0xFFFFFFFF)
        self.translated: frozenset[str] = frozenset()
        self.template = ""  # what CT assigned in table raw: a template for conntrack, or notrack
        self.socket = False  # TPROXY has assigned one
        # what is known of subjects, by the rules or by an assumption
        self.known: Mapping[Subject, Ranges] = {}
        self.learned: Mapping[str, tuple[int, int]] = {}  # bits of unknown words: source → (mask, value)
        self.turns: Mapping[str, int] = {}  # how often a field became unknown
        self.domains: Mapping[str, Ranges] = {}
        self.recent: Mapping[tuple[object, ...], RecentEntry] = {}
        self.drawn: Mapping[tuple[object, ...], Shares] = {}  # of hashes: the shares that are left
        self.condition: Condition = CERTAIN
        self.chances: tuple[object, ...] = ()  # what was left to chance, and how it came out
        self.trail: tuple[int, ...] = ()  # for the order of outcomes
        self.notes: tuple[str, ...] = ()
        self.probability = Fraction(1)
        self.steps: Steps | None = None
        self.effects: tuple[str, ...] = ()  # of the actions in the middle of the rule that is evaluated
        self.plan, self.stage = plan, 0
        self.frame: ChainFrame | None = None
        self.entries, self.act = 0, 0
        self.hook, self.table, self.base, self.role, self.looped = hook, "", "", Role.OTHER, False
        self.entered: tuple[str | None, int | None] | None = None  # its `way` when it met a chain that can change it
        self.moved = False  # such a chain has changed it, so that the routing is asked again
        self.translated_at = ""  # the hook at which a rule has given it a new address: nat is asked no more there

    def fork(self) -> PacketState:
        """Return a copy for another branch, which comes behind this one."""
        other = copy(self)
        self.trail, other.trail = (*self.trail, 0), (*self.trail, 1)
        return other

    def future(self, live: frozenset[str]) -> tuple[object, ...]:
        """Return all on which the rest of the path depends; `live`: the subjects that can still be asked about."""
        frames: list[object] = []
        frame = self.frame
        while frame is not None:
            frames.append((id(frame.chain), frame.position))
            frame = frame.parent
        known = frozenset((subject, values) for subject, values in self.known.items() if subject.name in live)
        recent = frozenset(one for one in self.recent.items() if f"recent {one[0][0]}" in live)
        fields = tuple(getattr(self, name) for name in _LASTING)
        learned = frozenset(self.learned.items()) if "mark" in live else None
        unknown = frozenset(self.turns.items()), frozenset(self.domains.items())
        return tuple(frames), fields, known, recent, learned, unknown, frozenset(self.drawn.items())

    # its way

    @property
    def way(self) -> tuple[str | None, int | None]:
        """Return what the routing is asked for: the destination and the mark."""
        return self.dst, self.mark.known

    def leave_chain(self) -> None:
        """Find out, behind a base chain, whether it has given the packet another way."""
        if self.entered is not None:
            self.moved = self.moved or self.way != self.entered
            self.entered = None

    # fields

    def value(self, field: str) -> int | None:
        """Return a field as a number (`questions` says how): None where it is not known."""
        if field in ("src", "dst"):
            text = self.src if field == "src" else self.dst
            return None if text is None else address_number(*number(text))
        if field in ("sport", "dport", "ttl", "ctstate", "mss"):
            found: int | None = getattr(self, field)
            return found
        if field in ("in_interface", "out_interface"):
            name = self.in_interface if field == "in_interface" else self.out_interface
            return None if name is None else name_number(name)
        return _original_value(self.original, field, self.protocol)

    def address(self, field: str) -> tuple[int, int] | None:
        """Return `src` or `dst` as (bits, value)."""
        text = self.src if field == "src" else self.dst
        return None if text is None else number(text)

    def change(self, field: str, value: str | int | None, domain: Ranges | None = None) -> None:
        """Give a field a new value; None where it is not known, of which `domain` is possible."""
        if value is None:
            self.leave_open(field, domain, again=True)
        else:
            setattr(self, field, value)

    def leave_open(self, field: str, domain: Ranges | None = None, *, again: bool) -> None:
        """Make the value of a field unknown; `again`: what was assumed of its former value is no more true."""
        setattr(self, field, None)
        self.domains = {**self.domains, field: domain or FIELDS[field][1]}
        if again:
            self.turns = {**self.turns, field: self.turns.get(field, 0) + 1}
        if field == "ttl":
            self.ttl_lost = 0

    def describe(self, field: str) -> str:
        """Return a field as text: its value, or its name where it is not known."""
        found = getattr(self, field)
        return str(self.subject(field).words if found is None else found)

    def subject(self, field: str) -> Subject:
        """Return what a question about a field is about."""
        words, domain = FIELDS[field]
        turn = self.turns.get(field, 0)
        if turn:
            words = _NEW_FIELDS[field]
        return Subject(field, tr(words), key=(turn,) if turn else (), domain=self.domains.get(field, domain))

    def key(self, fields: Sequence[str]) -> tuple[object, ...]:
        """Return the current values of fields: a question that depends on them is another one when one changes."""
        values = ((field, getattr(self, field)) for field in fields)
        return tuple((field, self.turns.get(field, 0)) if value is None else value for field, value in values)

    # questions

    def test(self, field: str, ranges: Ranges) -> bool | Question:
        """Return whether a field is in the ranges, or the question."""
        value = self.value(field)
        if value is not None:
            return contains(ranges, value)
        if field == "ttl" and self.ttl_lost:  # asked is what it had when it came
            ranges = tuple((first + self.ttl_lost, last + self.ttl_lost) for first, last in ranges)
        return self.ask(Question(self.subject(field), ranges))

    def test_bits(self, word: str, mask: int, wanted: int) -> bool | Question:
        """Return whether `word & mask == wanted` for mark, connmark, tos or tcp_flags, or the question."""
        bits: Bits = getattr(self, word)
        for source, (known, value) in self.learned.items():
            bits = bits.learn(source, known, value)
        unknown = [(source, open_bits & mask) for source, open_bits in bits.unknown if open_bits & mask]
        if wanted & ~mask or (bits.value ^ wanted) & mask & ~sum(open_bits for _, open_bits in unknown):
            return False
        if not unknown:
            return True
        asked = tuple((source, open_bits, (wanted ^ bits.value) & open_bits) for source, open_bits in unknown)
        source, open_bits, value = asked[0]
        if source in FIELDS:
            return self.ask(Question(self.subject(source), of_bits(8, open_bits, value)))
        text = all_of(f"{value:#x}/{open_bits:#x}" for _, open_bits, value in asked)
        return self.ask(Question(Subject("mark", tr("{source} {{is|is not}}", source=source), text, asked), YES, asked))

    def bits(self, word: str, mask: int) -> int | None:
        """Return the bits of mark, connmark, tos or tcp_flags under a mask; None where one of them is not known."""
        found: Bits = getattr(self, word)
        for source, (known, value) in self.learned.items():
            found = found.learn(source, known, value)
        return found.under(mask)

    def set_value(self, part: str, side: str) -> str | int | None:
        """Return what a set compares (Linux net/netfilter/ipset); see `ipset.SetPacket`."""
        is_source = side == "src"
        if part in ("ip", "net"):
            return self.src if is_source else self.dst
        if part == "port":
            if self.protocol in (PROTOCOLS["icmp"], PROTOCOLS["ipv6-icmp"]):
                return self.value("icmp_type")
            return (self.sport if is_source else self.dport) if self.protocol in WITH_PORTS else 0
        if part == "iface":
            return self.in_interface if is_source else self.out_interface
        if part == "mark":
            return self.mark.known
        return self.original.source_mac if is_source else None

    def ask(self, question: Question) -> bool | Question:
        """Return the answer to a question, as far as it is known on this path, or the question."""
        possible = self.known.get(question.subject, question.subject.domain)
        inside = intersect(possible, question.values)
        if inside == possible:
            return True
        if not inside:
            return False
        known = self.answers.answer(question) if self.answers else None
        return question if known is None else known

    def assume(self, question: Question, yes: bool) -> None:
        """Assume from here on that the answer to a question is yes, or that it is no."""
        subject = question.subject
        values = question.values if yes else subtract(subject.domain, question.values)
        self.known = {**self.known, subject: intersect(self.known.get(subject, subject.domain), values)}
        self.condition = restrict(self.condition, subject, values)
        if yes or (len(question.bits) == 1 and question.bits[0][1].bit_count() == 1):
            for source, mask, value in question.bits:
                old_mask, old_value = self.learned.get(source, (0, 0))
                bits = value if yes else value ^ mask
                self.learned = {**self.learned, source: (old_mask | mask, (old_value & ~mask) | bits)}

    def settle(self, subject: Subject, values: Ranges) -> None:
        """Record what a rule has made true of a subject: it is not asked about any more."""
        self.known = {**self.known, subject: values}

    # what matches ask about more than one field

    def test_untracked(self) -> bool | Question:
        """Return whether conntrack has no connection for the packet: in raw, and when it is INVALID or UNTRACKED."""
        if self.before_conntrack:
            return self.template != "template"
        return self.test("ctstate", ((INVALID, UNTRACKED),))

    def test_type(self, field: str, types: frozenset[str], dev: str = "") -> bool | Question:
        """Return whether `src` or `dst` is of one of these types (LOCAL and others), or the question.

        `dev`: only the addresses of this interface are local.
        """
        text = self.src if field == "src" else self.dst
        if text is not None:
            if self.routing is not None:
                return self.routing.type_of(text, dev) in types
            if fixed := well_known(*number(text)):
                return fixed in types
        wanted = tuple((at, at) for at, name in enumerate(TYPES[:3]) if name in types)
        return self.ask(Question(self.type_subject(field, dev), wanted))

    def type_subject(self, field: str, dev: str = "") -> Subject:
        """Return the subject of the type of `src` or `dst`; `dev`: among the addresses of one interface."""
        words = tr("the type of") if not dev else tr("the type at {dev} of", dev=dev)
        return Subject("type", words, self.describe(field), self.key((field,)), ((0, 2),))

    @property
    def before_conntrack(self) -> bool:
        """Return whether conntrack has not looked at the packet: in raw, when it passes the first time."""
        return self.role is Role.BEFORE_CONNTRACK and not self.looped

    @property
    def evaluation(self) -> tuple[int, tuple[object, ...]]:
        """Return the line of the rule that is evaluated, and what tells this evaluation from all others."""
        frame = self.frame
        if frame is None:
            raise RuntimeError(tr("no rule is evaluated between two chains"))
        line = frame.chain.rule(frame.positions[frame.next]).rule.line
        return line, (line, frame.entry)

    def forget_mark(self, source: str) -> None:
        """Give the packet a mark that is not known; `source` says whose."""
        self.turns = {**self.turns, "mark": self.turns.get("mark", 0) + 1}
        again = f" ({self.turns['mark']})" if self.turns["mark"] > 1 else ""
        self.mark = Bits(0, ((f"{source}{again}", 0xFFFFFFFF),))

    def note(self, text: str) -> None:
        """Add a remark to the outcome, once."""
        if text not in self.notes:
            self.notes = (*self.notes, text)


def _original_value(packet: Packet, field: str, protocol: int) -> int | None:
    """Return a field that no rule changes as a number."""
    if field == "icmp_type":
        return None if packet.icmp_type is None else _icmp_number(packet.icmp_type, protocol)
    known = getattr(packet, field)
    if known is None:
        return 0 if field.startswith("physdev") and packet.in_interface is None else None
    if field == "source_mac":
        return mac_number(known)
    return name_number(known) if isinstance(known, str) else int(known)
