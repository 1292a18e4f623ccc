"""The types of matches: whether a packet matches, how probably, or which question decides it.

Each follows its module in the kernel (Linux net/netfilter/xt_*.c).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple, Protocol

from kanslib.i18n import any_of, tr, tr_plural
from kanslib.iptables.ipset import IPSets
from kanslib.iptables.packet import WITH_PORTS, Packet, Routing, endpoint, number
from kanslib.iptables.questions import (
    ADDRESSES,
    DIRECTIONS,
    ESTABLISHED,
    INVALID,
    NEW,
    PORTS,
    RELATED,
    UNTRACKED,
    Question,
    Subject,
    address_number,
)
from kanslib.iptables.ranges import YES, YES_NO, Ranges, contains

EVERYTHING = ("src", "dst", "sport", "dport", "ttl", "tos", "tcp_flags", "mark", "in_interface", "out_interface")
HEADER = EVERYTHING[:7]


@dataclass(frozen=True, slots=True)
class Probability:
    """The answer of a random match: it is true with this probability."""

    probability: Fraction


@dataclass(frozen=True, slots=True)
class Draw(Probability):
    """The answer of a match of a hash, which gives a packet the same number each time: what is left of [0, 1).

    `subject`: the hash, and what it is made of. `yes` and `no`: the shares that are left behind either answer.
    """

    subject: tuple[object, ...]
    yes: Shares
    no: Shares


Answer = bool | Question | Probability


Shares = tuple[tuple[Fraction, Fraction], ...]  # disjoint parts of [0, 1), in order, without their last number


class RecentEntry(NamedTuple):
    """What a path did to an address in a list of `recent`: stamps added, and whether the older ones are gone.

    `data`: what a map of nftables has beside the key.
    """

    added: int
    cleared: bool
    ttl: int | None
    data: tuple[Hashable, int | None] | None = None


class MatchedPacket(Protocol):
    """What matches read of a packet during its traversal. None means unknown; `PacketState` describes the methods."""

    original: Packet
    routing: Routing | None
    sets: IPSets
    protocol: int
    src: str | None
    dst: str | None
    sport: int | None
    dport: int | None
    ttl: int | None
    in_interface: str | None
    out_interface: str | None
    hook: str
    looped: bool
    template: str
    socket: bool
    translated: frozenset[str]
    known: Mapping[Subject, Ranges]
    recent: Mapping[tuple[object, ...], RecentEntry]
    drawn: Mapping[tuple[object, ...], Shares]

    def address(self, field: str) -> tuple[int, int] | None: ...  # noqa: D102 (as PacketState says)

    def value(self, field: str) -> int | None: ...  # noqa: D102 (as PacketState says)

    def bits(self, word: str, mask: int) -> int | None: ...  # noqa: D102 (as PacketState says)

    def set_value(self, part: str, side: str) -> str | int | None: ...  # noqa: D102 (as PacketState says)

    def describe(self, field: str) -> str: ...  # noqa: D102 (as PacketState says)

    def key(self, fields: Sequence[str]) -> tuple[object, ...]: ...  # noqa: D102 (as PacketState says)

    def test(self, field: str, ranges: Ranges) -> bool | Question: ...  # noqa: D102 (as PacketState says)

    def test_bits(self, word: str, mask: int, wanted: int) -> bool | Question: ...  # noqa: D102 (as PacketState says)

    def test_type(self, field: str, types: frozenset[str], dev: str = "") -> bool | Question: ...  # noqa: D102 (as PacketState says)

    def test_untracked(self) -> bool | Question: ...  # noqa: D102 (as PacketState says)

    def ask(self, question: Question) -> bool | Question: ...  # noqa: D102 (as PacketState says)

    def settle(self, subject: Subject, values: Ranges) -> None: ...  # noqa: D102 (as PacketState says)

    def forget_mark(self, source: str) -> None: ...  # noqa: D102 (as PacketState says)

    @property
    def before_conntrack(self) -> bool: ...  # noqa: D102 (as PacketState says)

    @property
    def evaluation(self) -> tuple[int, tuple[object, ...]]:
        """Return the line of the rule that is evaluated, and what tells this evaluation from all others."""
        ...


class Match(Protocol):
    """One match of a rule. `names`: the subjects that it can ask about (`Subject.name`)."""

    @property
    def names(self) -> tuple[str, ...]: ...  # noqa: D102 (as PacketState says)

    def holds(self, packet: MatchedPacket) -> Answer:
        """Return whether the packet matches."""
        ...


class ActingMatch:
    """A match that changes something: rules with one are evaluated strictly in order."""

    __slots__ = ()


def _flip(answer: bool | Question, negated: bool) -> bool | Question:
    return answer if isinstance(answer, Question) else answer != negated


def _all(answers: Iterable[bool | Question]) -> bool | Question:
    """Return False where one is False, else the first question, else True."""
    found = [*answers]
    return False not in found and next((answer for answer in found if answer is not True), True)


def _any(answers: Iterable[bool | Question]) -> bool | Question:
    """Return True where one is True, else the first question, else False."""
    found = [*answers]
    return True in found or next((answer for answer in found if answer is not False), False)


# ── the packet's own fields ──────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class FieldMatch:
    """A field of the packet is in some ranges: ports, length, ttl, ICMP type, interfaces and others."""

    field: str
    ranges: Ranges
    negated: bool

    @property
    def names(self) -> tuple[str, ...]:
        """The field."""
        return (self.field,)

    def holds(self, packet: MatchedPacket) -> Answer:
        """Compare the field with the ranges."""
        if self.field in ("sport", "dport") and packet.protocol not in WITH_PORTS:
            return False
        return _flip(packet.test(self.field, self.ranges), self.negated)


@dataclass(frozen=True, slots=True)
class NetworkMatch:
    """`-s`, `-d`: an address in one of some ranges (bits, value, mask)."""

    field: str
    networks: tuple[tuple[int, int, int], ...]
    negated: bool
    text: str

    @property
    def names(self) -> tuple[str, ...]:
        """The field, and the fact about an address whose mask makes no range."""
        return (self.field, f"network {self.field}")

    def holds(self, packet: MatchedPacket) -> Answer:
        """Compare the address with the networks."""
        address = packet.address(self.field)
        if address is None:
            return _flip(self._ask(packet), self.negated)
        bits, value = address
        for family, network, mask in self.networks:
            if family == bits and value & mask == network:
                return not self.negated
        return self.negated

    def _ask(self, packet: MatchedPacket) -> bool | Question:
        ranges = []
        for bits, value, mask in self.networks:
            rest = (1 << bits) - 1 ^ mask
            if rest & (rest + 1):  # a mask such as 255.0.255.0
                words = tr("{address} {{is|is not}} in", address=packet.describe(self.field))
                return packet.ask(
                    Question(Subject(f"network {self.field}", words, self.text, packet.key((self.field,))))
                )
            ranges.append((address_number(bits, value), address_number(bits, value | rest)))
        return packet.test(self.field, tuple(sorted(ranges)))

    @property
    def host(self) -> tuple[int, int] | None:
        """The address that matches, as (bits, value); None where it is not exactly one."""
        if self.negated or len(self.networks) != 1:
            return None
        bits, value, mask = self.networks[0]
        return (bits, value) if mask == (1 << bits) - 1 else None


@dataclass(frozen=True, slots=True)
class ProtocolMatch:
    """`-p`."""

    protocol: int
    negated: bool
    names = ()

    def holds(self, packet: MatchedPacket) -> Answer:
        """Compare the protocol."""
        return (packet.protocol == self.protocol) != self.negated


@dataclass(frozen=True, slots=True)
class EitherPortMatch:
    """`multiport --ports`: the source port or the destination port in one of some ranges."""

    ranges: Ranges
    negated: bool
    names = ("sport", "dport")

    def holds(self, packet: MatchedPacket) -> Answer:
        """Compare both ports with the ranges."""
        if packet.protocol not in WITH_PORTS:
            return False
        return _flip(_any(packet.test(field, self.ranges) for field in self.names), self.negated)


@dataclass(frozen=True, slots=True)
class BitsMatch:
    """Bits of a word under a mask: `mark`, `tcp --tcp-flags`, `dscp`, `tos`, `ecn`."""

    word: str
    mask: int
    wanted: int
    negated: bool

    @property
    def names(self) -> tuple[str, ...]:
        """The word; the mark and the connection's mark can have the same unknown bits."""
        return ("mark" if self.word == "connmark" else self.word,)

    def holds(self, packet: MatchedPacket) -> Answer:
        """Compare the bits under the mask."""
        if self.word == "connmark":
            untracked = packet.test_untracked()
            if untracked is not False:
                return False if untracked is True else untracked
        return _flip(packet.test_bits(self.word, self.mask, self.wanted), self.negated)


@dataclass(frozen=True, slots=True)
class MACMatch:
    """`mac`: the source address of the frame; a packet of the machine itself came in none."""

    address: int
    negated: bool
    names = ("source_mac",)

    def holds(self, packet: MatchedPacket) -> Answer:
        """Compare the MAC address."""
        if packet.original.in_interface is None:
            return False
        return _flip(packet.test("source_mac", ((self.address, self.address),)), self.negated)


@dataclass(frozen=True, slots=True)
class AddrTypeMatch:
    """`addrtype`: whether an address is the machine's own, a broadcast or of another type.

    `limit`: only the addresses of this interface are the machine's own (a field), or empty.
    """

    field: str
    types: frozenset[str]
    limit: str
    negated: bool
    names = ("type",)

    def holds(self, packet: MatchedPacket) -> Answer:
        """Compare the type of the address."""
        dev = packet.describe(self.limit) if self.limit else ""
        return _flip(packet.test_type(self.field, self.types, dev), self.negated)


@dataclass(frozen=True, slots=True)
class OwnerMatch:
    """`owner`: the sending program; a received packet has none, and matches where every option is negated."""

    tests: tuple[Match, ...]
    all_negated: bool

    @property
    def names(self) -> tuple[str, ...]:
        """What its tests can ask about."""
        return tuple(name for test in self.tests for name in test.names)

    def holds(self, packet: MatchedPacket) -> Answer:
        """Compare the sender."""
        if packet.original.in_interface is not None:
            return self.all_negated
        return _all(answer for test in self.tests if not isinstance(answer := test.holds(packet), Probability))


@dataclass(frozen=True, slots=True)
class PacketTypeMatch:
    """`pkttype`: whether the frame was for this machine, for all or for a group."""

    kind: int
    negated: bool
    names = ("pkttype",)

    def holds(self, packet: MatchedPacket) -> Answer:
        """Compare the type of the frame."""
        if packet.original.in_interface is None:
            return (self.kind == 0) != self.negated
        subject = Subject("pkttype", tr("its frame's type"), domain=((0, 2),))
        return _flip(packet.ask(Question(subject, ((self.kind, self.kind),))), self.negated)


@dataclass(frozen=True, slots=True)
class RandomMatch:
    """`statistic`: random with a share of 2^31, or every n-th packet, taken as its share 1/n."""

    chance: Probability
    names = ()

    def holds(self, packet: MatchedPacket) -> Answer:  # noqa: ARG002 (the protocol's parameter)
        """Return the probability."""
        return self.chance


@dataclass(frozen=True, slots=True)
class HashMatch:
    """A hash is among some shares of its numbers: random for a packet, and the same wherever rules ask for it.

    `fields`: those of the packet that it is made of. `shares`: half-open parts of [0, 1).
    """

    name: str
    fields: tuple[str, ...]
    shares: Shares
    names = ()

    def holds(self, packet: MatchedPacket) -> Answer:
        """Return the probability, given what the hash is known not to be."""
        subject = (self.name, *packet.key(self.fields))
        left = packet.drawn.get(subject, _ALL_SHARES)
        yes = _common(left, self.shares)
        chance = _total(yes) / _total(left)
        return chance == 1 if chance in (0, 1) else Draw(chance, subject, yes, _without(left, self.shares))


_ALL_SHARES: Shares = ((Fraction(0), Fraction(1)),)


def _total(shares: Shares) -> Fraction:
    return sum((end - start for start, end in shares), Fraction(0))


def _common(some: Shares, others: Shares) -> Shares:
    pairs = ((max(one[0], other[0]), min(one[1], other[1])) for one in some for other in others)
    return tuple((start, end) for start, end in pairs if start < end)


def _without(some: Shares, others: Shares) -> Shares:
    found = some
    for start, end in others:
        found = _common(found, ((Fraction(0), start), (end, Fraction(1))))
    return found


# ── the connection ───────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class StateTest:
    """`conntrack --ctstate`, `state`: the connection's state and translations in conntrack."""

    states: Ranges
    translated: frozenset[str]
    negated: bool

    def holds(self, packet: MatchedPacket) -> bool | Question:
        """Compare the state, and the translations that the connection has."""
        if packet.before_conntrack:  # before conntrack (xt_conntrack.c: no connection is INVALID)
            state = {"": INVALID, "template": NEW, "notrack": UNTRACKED}[packet.template]
            return contains(self.states, state) != self.negated
        answers = [
            packet.test("ctstate", self.states),
            *(self._is_translated(packet, kind) for kind in self.translated),
        ]
        return _flip(_any(answers), self.negated)

    def _is_translated(self, packet: MatchedPacket, kind: str) -> bool | Question:
        if kind in packet.translated:
            return True
        later = packet.test("ctstate", ((ESTABLISHED, ESTABLISHED),))
        if later is not True:
            return later
        side = "destination" if kind == "DNAT" else "source"
        return packet.ask(
            Question(Subject(f"nat {kind}", tr("NAT {{changes|does not change}} the connection's {side}", side=side)))
        )


@dataclass(frozen=True, slots=True)
class TupleTest:
    """`conntrack --ctorigdst` and the like: an address or a port of the connection, as one of its ends sends it."""

    reply: bool
    field: str  # src, dst, sport, dport
    ranges: Ranges
    negated: bool

    @property
    def name(self) -> str:
        """The subject for the direction that this packet does not show."""
        return f"ct{'repl' if self.reply else 'orig'}{self.field}"

    @property
    def in_template(self) -> bool:
        """The answer for a template of conntrack, whose tuple is empty."""
        return contains(self.ranges, 0) != self.negated

    def holds(self, packet: MatchedPacket) -> bool | Question:
        """Compare the value in the connection's tuple."""
        new = packet.test("ctstate", ((NEW, NEW), (RELATED, RELATED)))
        if isinstance(new, Question):
            return new
        if new:
            return _flip(self._test_new(packet), self.negated)
        subject = Subject("ctdir", tr("the direction"), domain=((0, len(DIRECTIONS) - 1),))
        here = packet.ask(Question(subject, ((self.reply, self.reply),)))
        if isinstance(here, Question):
            return here
        if here:
            return _flip(self._compare(packet, getattr(packet.original, self.field), self.field), self.negated)
        field = self.field
        words = tr("the original {field} of the connection", field=field)
        if self.reply:
            words = tr("the reply {field} of the connection", field=field)
        domain = PORTS if self.field.endswith("port") else ADDRESSES
        asked = Subject(f"{self.field} {self.name}", words, domain=domain)
        return _flip(packet.ask(Question(asked, self.ranges)), self.negated)

    def _test_new(self, packet: MatchedPacket) -> bool | Question:
        """Compare with the tuple of a connection's first packet; its reply is the packet as it is now, turned round."""
        if not self.reply:
            return self._compare(packet, getattr(packet.original, self.field), self.field)
        turned = {"src": "dst", "dst": "src", "sport": "dport", "dport": "sport"}[self.field]
        return packet.test(turned, self.ranges)

    def _compare(self, packet: MatchedPacket, value: str | int | None, field: str) -> bool | Question:
        if value is None:
            return packet.test(field, self.ranges)
        return contains(self.ranges, address_number(*number(value)) if isinstance(value, str) else value)


@dataclass(frozen=True, slots=True)
class ConnectionTest:
    """Something else that conntrack knows of a connection; `for_new`: the answer for its first packet, None if unknown.

    `name`, `words`, `domain`, `wanted` as in `OutsideMatch`. `in_template`: the answer for a template of conntrack.
    """

    name: str
    words: str
    wanted: Ranges
    domain: Ranges
    for_new: bool | None
    negated: bool
    in_template: bool = False

    def holds(self, packet: MatchedPacket) -> bool | Question:
        """Ask about the connection."""
        subject = Subject(self.name, self.words, domain=self.domain)
        if self.for_new is not None and subject not in packet.known:
            new = packet.test("ctstate", ((NEW, NEW),))
            if new is not False:
                return new if isinstance(new, Question) else self.for_new != self.negated
        return _flip(packet.ask(Question(subject, self.wanted)), self.negated)


@dataclass(frozen=True, slots=True)
class ProtocolTest:
    """`conntrack --ctproto`: the connection's protocol is that of its packets."""

    protocol: int
    negated: bool

    @property
    def in_template(self) -> bool:
        """The answer for a template of conntrack, which has no protocol."""
        return self.negated

    def holds(self, packet: MatchedPacket) -> bool | Question:
        """Compare the protocol."""
        return (packet.protocol == self.protocol) != self.negated


@dataclass(frozen=True, slots=True)
class StatusTest:
    """`conntrack --ctstatus`: EXPECTED, SEEN_REPLY, ASSURED, CONFIRMED."""

    statuses: frozenset[str]
    negated: bool

    @property
    def in_template(self) -> bool:
        """The answer for a template of conntrack, which is confirmed (xt_CT.c)."""
        return ("CONFIRMED" in self.statuses) != self.negated

    def holds(self, packet: MatchedPacket) -> bool | Question:
        """Compare the status; a first packet's connection has none until it has passed POSTROUTING or INPUT."""
        if "CONFIRMED" in self.statuses and packet.looped:
            return not self.negated
        if not self.statuses - {"NONE"}:
            return self.negated
        new = packet.test("ctstate", ((NEW, NEW),))
        if new is not False:
            return new if isinstance(new, Question) else self.negated
        words = tr("the connection {{is|is not}} {statuses}", statuses=any_of(sorted(self.statuses)))
        return _flip(packet.ask(Question(Subject("ctstatus", words))), self.negated)


ConnectionTests = TupleTest | ConnectionTest | ProtocolTest | StatusTest


@dataclass(frozen=True, slots=True)
class ConntrackMatch:
    """`conntrack`, `state`, `connbytes`, `helper`: all tests of one match; `state` is the one about the state, or None.

    Without a connection only the state can match (Linux net/netfilter/xt_conntrack.c conntrack_mt). `untracked`: the
    answer of a match without a test of the state.
    """

    state: StateTest | None
    tests: tuple[ConnectionTests, ...]
    untracked: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """What its tests can ask about."""
        names = {"ctstate"}
        for test in self.tests:
            if isinstance(test, TupleTest):
                names |= {"ctdir", "src", "dst", "sport", "dport", f"{test.field} {test.name}"}
            elif isinstance(test, StatusTest):
                names.add("ctstatus")
            elif isinstance(test, ConnectionTest):
                names.add(test.name)
        if self.state:
            names |= {f"nat {kind}" for kind in self.state.translated}
        return tuple(names)

    def holds(self, packet: MatchedPacket) -> Answer:
        """Test the state, then what else the connection has."""
        state = True if self.state is None else self.state.holds(packet)
        if state is not True or not self.tests:
            return state
        untracked = packet.test_untracked()
        if isinstance(untracked, Question):
            return untracked
        if untracked:
            return self.untracked if self.state is None else True
        if packet.before_conntrack:  # what CT has given it is a template
            return all(test.in_template for test in self.tests)
        return _all(test.holds(packet) for test in self.tests)


# ── facts outside of the packet ──────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class OutsideMatch:
    """A match that depends on more than the packet and this machine's rules, or that the grammar does not know.

    `words` is what the question is called (`Subject.words`), `fields` the packet's fields on which the answer depends,
    `shown` the one that is named in the question; `wanted` of the numbers in `domain`.
    """

    name: str
    words: str
    fields: tuple[str, ...]
    negated: bool
    shown: str = ""
    wanted: Ranges = YES
    domain: Ranges = YES_NO

    @property
    def names(self) -> tuple[str, ...]:
        """The subject."""
        return (self.name,)

    def holds(self, packet: MatchedPacket) -> Answer:
        """Ask."""
        value = packet.describe(self.shown) if self.shown else ""
        subject = Subject(self.name, self.words, value, packet.key(self.fields), self.domain)
        return _flip(packet.ask(Question(subject, self.wanted)), self.negated)


@dataclass(frozen=True, slots=True)
class FreshMatch:
    """A match whose answer can be another one each time: `limit`, `hashlimit`, `quota` use something up."""

    words: str
    negated: bool
    names = ()

    def holds(self, packet: MatchedPacket) -> Answer:
        """Ask about this evaluation of the rule."""
        line, key = packet.evaluation
        subject = Subject("fresh", self.words, tr("in line {line}", line=line), key)
        return _flip(packet.ask(Question(subject)), self.negated)


def set_subject(packet: MatchedPacket, name: str, flags: tuple[str, ...]) -> Subject:
    """Return the subject of whether an ipset holds what `--match-set NAME src,dst` or a target SET says of a packet.

    The type of the set is not known: its first and third dimension are taken for addresses, the second for an address
    or a port (ipset(8); bitmap:port, hash:net,iface and hash:ip,mark are used less).
    """
    key: list[object] = []
    shown: list[str] = []
    for at, side in enumerate(flags):
        address, port = ("src", "sport") if side == "src" else ("dst", "dport")
        is_same = getattr(packet, address) == getattr(packet.original, address)
        moved = is_same and getattr(packet, port) != getattr(packet.original, port)
        with_port = at == 1 or (moved and len(flags) == 1)
        key.append(packet.key((address, port) if with_port else (address,)))
        shown.append(endpoint(packet.describe(address), getattr(packet, port) if with_port else None))
    words = tr("set {name} {{holds|does not hold}}", name=name)
    return Subject(f"set {name}", words, ", ".join(shown), tuple(key))


@dataclass(frozen=True, slots=True)
class SetMatch:
    """`set --match-set`: whether an ipset holds the packet's addresses, ports or interfaces.

    `conditions`: further options, such as `--packets-gt 5`.
    """

    name: str
    flags: tuple[str, ...]
    negated: bool
    conditions: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """The set."""
        return (f"set {self.name}",)

    def holds(self, packet: MatchedPacket) -> Answer:
        """Ask about the set."""
        subject = set_subject(packet, self.name, self.flags)
        held = packet.ask(Question(subject))
        if isinstance(held, Question) and (known := packet.sets.holds(self.name, self.flags, packet)) is not None:
            held = known
        if held is True and self.conditions:
            words = tr(
                "set {name}, {conditions}, {{matches|does not match}}", name=self.name, conditions=self.conditions
            )
            held = packet.ask(Question(Subject(f"set {self.name}", words, subject.value, subject.key)))
        return _flip(held, self.negated)


@dataclass(frozen=True, slots=True)
class SocketMatch(ActingMatch):
    """`socket`: whether a socket is open for the packet; `restore`: the packet gets its mark.

    `wildcard`: a socket that is bound to no address counts, too (`--nowildcard`).
    """

    words: str
    wildcard: bool
    restore: bool
    names = ("socket",)

    def holds(self, packet: MatchedPacket) -> Answer:
        """Ask about the socket, except where TPROXY has found one."""
        fields = ("src", "dst", "sport", "dport", "in_interface")
        found = (packet.socket and self.wildcard) or packet.ask(
            Question(Subject("socket", self.words, key=packet.key(fields)))
        )
        if found is True and self.restore:
            packet.forget_mark(tr("the socket's mark"))
        return found


def label_subject(label: str) -> Subject:
    """Return the subject of whether the packet's connection has a label."""
    return Subject(f"connlabel {label}", tr("the connection {{has|does not have}} the label {label}", label=label))


@dataclass(frozen=True, slots=True)
class LabelMatch(ActingMatch):
    """`connlabel`: whether the connection has a label; `sets`: give it the label first."""

    label: str
    sets: bool
    negated: bool

    @property
    def names(self) -> tuple[str, ...]:
        """The label."""
        return (f"connlabel {self.label}",)

    def holds(self, packet: MatchedPacket) -> Answer:
        """Ask about the label."""
        untracked = packet.test_untracked()
        if untracked is not False:
            return self.negated if untracked is True else untracked
        subject = label_subject(self.label)
        if self.sets:
            packet.settle(subject, YES)
        return _flip(packet.ask(Question(subject)), self.negated)


@dataclass(frozen=True, slots=True)
class RecentMatch(ActingMatch):
    """`recent`: whether a list holds an address, and what that does to the list (Linux net/netfilter/xt_recent.c).

    `action`: set, rcheck, update or remove. `seconds` and `hits` are 0 where not given.
    """

    name: str
    action: str
    side: str
    mask: int
    seconds: int
    hits: int
    same_ttl: bool
    negated: bool

    @property
    def names(self) -> tuple[str, ...]:
        """The list."""
        return (f"recent {self.name}",)

    def holds(self, packet: MatchedPacket) -> Answer:
        """Look the address up, and change the list as the option says."""
        address = packet.address(self.side)
        key = (self.name, *(packet.key((self.side,)) if address is None else (address[0], address[1] & self.mask)))
        entry = packet.recent.get(key, RecentEntry(0, False, None))
        found = True if self.action == "set" else self._is_found(packet, key, entry)
        if isinstance(found, Question):
            return found
        matched = found != self.negated
        if self.action == "set" or (self.action == "update" and found and matched):
            entry = RecentEntry(entry.added + 1, entry.cleared, _first_ttl(packet))
        elif self.action == "remove" and found:
            entry = RecentEntry(0, True, None)
        packet.recent = {**packet.recent, key: entry}
        return matched

    def _is_found(self, packet: MatchedPacket, key: tuple[object, ...], entry: RecentEntry) -> bool | Question:
        """Return whether the list has stamps enough: those that this path added, and for the rest the question."""
        wanted = max(1, 1 if self.action == "remove" else self.hits)
        if entry.added >= wanted and (not self.same_ttl or entry.ttl in (_first_ttl(packet), 0)):
            return True
        if entry.cleared:
            return False
        words = [tr("the list {name} {{holds|does not hold}} VALUE", name=self.name)]
        words += [tr("seen in the last {seconds} s", seconds=self.seconds)] if self.seconds else []
        words += (
            [tr_plural("at least {n} time", "at least {n} times", wanted - entry.added)]
            if wanted - entry.added > 1
            else []
        )
        words += [tr("with the same TTL")] if self.same_ttl else []
        return packet.ask(Question(Subject(f"recent {self.name}", ", ".join(words), packet.describe(self.side), key)))


def _first_ttl(packet: MatchedPacket) -> int | None:
    """Return the TTL before forwarding, which `recent` keeps and compares as 8 bits."""
    forwarded = packet.original.in_interface is not None and packet.hook in ("FORWARD", "POSTROUTING")
    return None if packet.ttl is None else (packet.ttl + forwarded) & 0xFF


@dataclass(frozen=True, slots=True)
class ReversePathMatch:
    """`rpfilter`: whether the way back to the source leaves by the interface that the packet came in by."""

    loose: bool
    accepts_local: bool
    inverted: bool
    words: str
    names = ("rpfilter",)

    def holds(self, packet: MatchedPacket) -> Answer:
        """Look the route up, where routes are given."""
        if packet.looped or packet.in_interface == "lo":
            return not self.inverted
        if packet.routing is None or packet.src is None:
            subject = Subject(
                "rpfilter", self.words, packet.describe("src"), packet.key(("src", "in_interface", "mark"))
            )
            return _flip(packet.ask(Question(subject)), self.inverted)
        kind = packet.routing.type_of(packet.src)
        if kind != "UNICAST":
            return (kind == "LOCAL" and self.accepts_local and self.loose) != self.inverted
        route = packet.routing.route(packet.src)
        valid = route is not None and (self.loose or route.dev == packet.in_interface)
        return valid != self.inverted
