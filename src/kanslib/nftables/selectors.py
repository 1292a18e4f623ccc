"""Turn what a rule asks of a packet into matches: which field, compared with which values (nft(8)).

The matches are those of `iptables`: one packet, one set of questions, whichever language a rule is written in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

from kanslib.i18n import any_of, tr
from kanslib.iptables.match_types import (
    EVERYTHING,
    AddrTypeMatch,
    Answer,
    BitsMatch,
    ConnectionTest,
    ConntrackMatch,
    FieldMatch,
    MACMatch,
    Match,
    MatchedPacket,
    NetworkMatch,
    OutsideMatch,
    OwnerMatch,
    PacketTypeMatch,
    Probability,
    ReversePathMatch,
    SocketMatch,
    StateTest,
    StatusTest,
    TupleTest,
)
from kanslib.iptables.names import ICMPV6_TYPES, PORTS, PROTOCOLS, TCP_FLAGS, icmp
from kanslib.iptables.packet import WITH_PORTS, number
from kanslib.iptables.questions import (
    ANY_NAME,
    LINK_TYPES,
    STATES,
    Question,
    address_number,
    mac_number,
    name_number,
    name_ranges,
)
from kanslib.iptables.ranges import YES, YES_NO, Ranges, contains, join, subtract
from kanslib.nftables.asked import asked_matches
from kanslib.nftables.computed import (
    ICMP_NAMES,
    ICMPV6_NAMES,
    ComputedMatch,
    constant_bits,
    field_at,
    is_computed,
    with_numbers,
)
from kanslib.nftables.syntax import (
    Binary,
    Concatenation,
    Ct,
    Expression,
    Fib,
    Flags,
    Hash,
    HeaderOption,
    Interval,
    Lookup,
    Meta,
    Payload,
    Prefix,
    RawPayload,
    Socket,
    Value,
)

ALL_BITS = 0xFFFFFFFF
_IPV6_HEADER = 40  # bytes
_MOST_WORDS = 256  # in an interval of marks or flags
_IP = ("ip", "ip6")
# protocols that nft names in another way than /etc/protocols, or as it does
_OTHER_PROTOCOLS = {
    "icmp": "icmp", "icmpv6": "ipv6-icmp", "esp": "esp", "ah": "ah", "comp": "ipcomp", "igmp": "igmp", "gre": "gre",
}  # fmt: skip
_WITH_OPTIONS = frozenset(("tcp", "sctp", "dccp"))
_ICMP = (PROTOCOLS["icmp"], PROTOCOLS["ipv6-icmp"])
_PORTS_OF = frozenset(("tcp", "udp", "sctp", "dccp", "udplite"))
_FAMILIES = {"ip": 4, "ipv4": 4, "ip6": 6, "ipv6": 6, 0x0800: 4, 0x86DD: 6, 2: 4, 10: 6}
CATCH_ALL = Value("*")  # the element of a set for all that has no other


class UnknownValueError(Exception):
    """A value that this module cannot compare with the field; the rule then asks whether its packet matches."""


# ── matches that iptables does not have ──────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class FamilyMatch:
    """The packet is of a family of addresses, 4 or 6."""

    families: frozenset[int]
    negated: bool
    names = ()

    def holds(self, packet: MatchedPacket) -> Answer:
        """Compare the family."""
        return (packet.original.family in self.families) != self.negated


def of_family(name: str) -> FamilyMatch:
    """Return the match of packets of one family, `ip` or `ip6`."""
    return FamilyMatch(frozenset((4 if name == "ip" else 6,)), False)


@dataclass(frozen=True, slots=True)
class ProtocolsMatch:
    """The packet's protocol is one of some."""

    protocols: Ranges
    negated: bool
    names = ()

    def holds(self, packet: MatchedPacket) -> Answer:
        """Compare the protocol."""
        return contains(self.protocols, packet.protocol) != self.negated


@dataclass(frozen=True, slots=True)
class TransportMatch:
    """`th sport`, `th dport`: the first bytes behind the header of IP, whatever they are in the packet's protocol.

    Those of ICMP are its type and code, and a checksum (RFC 792, RFC 4443).
    """

    field: str
    ranges: Ranges
    negated: bool
    unknown: Match

    @property
    def names(self) -> tuple[str, ...]:
        """The port, the type of ICMP, or what is asked for other protocols."""
        return (self.field, "icmp_type", *self.unknown.names)

    def holds(self, packet: MatchedPacket) -> Answer:
        """Compare the bytes."""
        if packet.protocol in WITH_PORTS:
            field = self.field
        elif packet.protocol in _ICMP and self.field == "sport":
            field = "icmp_type"
        else:
            return self.unknown.holds(packet)
        found = packet.test(field, self.ranges)
        return found if isinstance(found, Question) else found != self.negated


@dataclass(frozen=True, slots=True)
class RouteMatch:
    """`fib daddr oifname "eth0"`: the interface of the route to an address is one of some; `ranges`: their names.

    The machine's own addresses have none (Linux net/ipv4/netfilter/nft_fib_ipv4.c, nft_fib4_eval). `limit`: the field
    with the one interface that counts, or empty. `unknown` asks where the routes are not known.
    """

    field: str
    limit: str
    ranges: Ranges
    negated: bool
    unknown: Match

    @property
    def names(self) -> tuple[str, ...]:
        """What is asked where the routes are not known."""
        return self.unknown.names

    def holds(self, packet: MatchedPacket) -> Answer:
        """Look the route up."""
        text = packet.src if self.field == "src" else packet.dst
        if packet.routing is None or text is None or packet.in_interface == "lo":
            return self.unknown.holds(packet)
        route = None if packet.routing.type_of(text) in ("LOCAL", "ANYCAST") else packet.routing.route(text)
        found = set() if route is None else {route.dev, *route.others}
        if self.limit:
            found &= {packet.describe(self.limit)}
        if len(found) > 1:
            return self.unknown.holds(packet)
        return contains(self.ranges, name_number("".join(found))) != self.negated


@dataclass(frozen=True, slots=True)
class TrackedMatch:
    """conntrack has a connection for the packet (Linux net/netfilter/nft_ct.c, nft_ct_get_eval)."""

    names = ("ctstate",)

    def holds(self, packet: MatchedPacket) -> Answer:
        """Look for the connection."""
        untracked = packet.test_untracked()
        return untracked if isinstance(untracked, Question) else not untracked


@dataclass(frozen=True, slots=True)
class AnyMatch:
    """One of several alternatives holds; each is several matches that all have to hold."""

    alternatives: tuple[tuple[Match, ...], ...]
    negated: bool

    @property
    def names(self) -> tuple[str, ...]:
        """What the alternatives can ask about."""
        return tuple({name for matches in self.alternatives for match in matches for name in match.names})

    def holds(self, packet: MatchedPacket) -> Answer:
        """Look for an alternative that holds; else return the first question."""
        question: Question | None = None
        for matches in self.alternatives:
            found = all_hold(matches, packet)
            if found is True:
                return not self.negated
            if isinstance(found, Question):
                question = question or found
        return question or self.negated


def all_hold(matches: Iterable[Match], packet: MatchedPacket) -> bool | Question:
    """Return whether all matches hold; else the first question, where none of them fails."""
    question: Question | None = None
    for match in matches:
        answer = match.holds(packet)
        if answer is False or isinstance(answer, Probability):
            return False
        if isinstance(answer, Question):
            question = question or answer
    return question or True


# ── fields ───────────────────────────────────────────────────────────────────────────────────────────────────

_Builder = Callable[[Sequence[Expression], bool], tuple[Match, ...]]


def matches_of(left: Expression, values: Sequence[Expression], negated: bool) -> tuple[Match, ...]:
    """Return the matches of a selector that is equal to one of some values, or to none of them.

    UnknownValueError where the selector, or a value, is not known here.
    """
    if isinstance(left, RawPayload) and (known := field_at(left)) is not None:
        return _raw_payload(left, known, values, negated)
    if CATCH_ALL in values:
        return (*requirements_of(left), AnyMatch(((),), negated))
    values = [with_numbers(left, value) for value in values]
    builder = _builder(left)
    if builder is not None:
        with suppress(UnknownValueError):
            return builder(values, negated)
    if is_computed(left):
        with suppress(UnknownValueError):
            return _computed(left, values, negated)
    found = asked_matches(left, values, negated)
    if found is None:
        raise UnknownValueError(str(left))
    if isinstance(left, HeaderOption) and left.protocol in _WITH_OPTIONS and [*values] == [Value("missing")]:
        # packets of other protocols miss it, too (Linux net/netfilter/nft_exthdr.c, nft_exthdr_tcp_eval)
        (of_protocol,) = _protocol(left.protocol)
        return (AnyMatch(((replace(of_protocol, negated=True),), found), negated),)
    return (*requirements_of(left), *found)


def _raw_payload(left: RawPayload, known: Payload, values: Sequence[Expression], negated: bool) -> tuple[Match, ...]:
    """Return the match of bits that are a field; behind a header of the other family they are what stands there."""
    named = [_of_bits(value, left.length) for value in values] if is_address(known) else values
    found = matches_of(known, named, negated)
    if left.base != "nh":
        return found
    other = of_family("ip6" if known.protocol == "ip" else "ip")
    with suppress(UnknownValueError):
        return (AnyMatch((found, (other, *_computed(left, values, negated))), False),)
    return found


def _computed(left: Expression, values: Sequence[Expression], negated: bool) -> tuple[Match, ...]:
    ranges = join(_computed_range(left, value) for value in values)
    asked = asked_matches(left, values, negated) or ()
    # rules and translations change these fields: behind them it is another question
    about = [replace(one, fields=EVERYTHING) for one in asked if isinstance(one, OutsideMatch)]
    unknown = about[0] if about else _unknown(left, values, negated)
    return (*requirements_of(left), ComputedMatch(left, ranges, negated, unknown))


def _computed_range(left: Expression, value: Expression) -> tuple[int, int]:
    """Return the numbers that a constant stands for. UnknownValueError where it is no constant."""
    ends = (value.first, value.last) if isinstance(value, Interval) else (value, value)
    first, last = (constant_bits(Value(end) if isinstance(end, int | str) else end, left) for end in ends)
    if first is None or last is None:
        raise UnknownValueError(str(value))
    return first, last


def _of_bits(value: Expression, bits: int) -> Expression:
    """Return an address that stands as a number in a rule, as an address."""
    return Value(_text(bits, value.value)) if isinstance(value, Value) and isinstance(value.value, int) else value


def _builder(left: Expression) -> _Builder | None:
    match left:
        case Payload():
            return _payload(left)
        case Meta():
            return _META.get(left.key)
        case Ct():
            return _ct(left)
        case Fib():
            return _fib(left)
        case Socket("transparent"):
            return _socket
        case Binary("&"):
            return _masked(left.left, left.right)
    return None


def _masked(inner: Expression, mask: Expression) -> _Builder | None:
    if word := _word(inner):
        return lambda values, negated: _bits(word, flag_bits(mask), values, negated)
    if inner == Payload("tcp", "flags"):
        return lambda values, negated: (*_protocol("tcp"), *_bits("tcp_flags", flag_bits(mask), values, negated))
    if inner == Ct("state"):
        return lambda values, negated: _masked_state(mask, values, negated)
    if inner == Ct("status"):
        return _of_connection(lambda values, negated: _masked_status(mask, values, negated))
    if is_address(inner):
        return lambda values, negated: _masked_address(inner, mask, values, negated)
    return None


def _word(expression: Expression) -> str:
    """Return the word of bits that an expression is; empty for any other."""
    if expression == Meta("mark"):
        return "mark"
    return "connmark" if isinstance(expression, Ct) and expression.key == "mark" else ""


def is_address(expression: Expression) -> bool:
    """Return whether an expression is the packet's source or destination, of IPv4 or IPv6."""
    return isinstance(expression, Payload) and expression.protocol in _IP and expression.field in ("saddr", "daddr")


def addresses_match(left: Payload, addresses: Ranges, negated: bool) -> tuple[Match, ...]:
    """Return the match of an address of the packet that is among some, given as numbers."""
    return (*requirements_of(left), FieldMatch("src" if left.field == "saddr" else "dst", addresses, negated))


def _masked_address(
    inner: Expression, mask: Expression, values: Sequence[Expression], negated: bool
) -> tuple[Match, ...]:
    """Return the match of `ip saddr & 255.255.0.0 == 10.1.0.0`."""
    bits, kept = _one_address(mask)
    wanted = [_one_address(value) for value in values]
    field = "src" if isinstance(inner, Payload) and inner.field == "saddr" else "dst"
    text = f"{inner} & {mask} {', '.join(map(str, values))}"
    networks = tuple((bits, value, kept) for other, value in wanted if other == bits)
    return (*requirements_of(inner), NetworkMatch(field, networks, negated, text))


def _one_address(value: Expression) -> tuple[int, int]:
    """Return an address as (bits, value). UnknownValueError for anything else."""
    if isinstance(value, Value) and isinstance(value.value, str):
        return _address(value.value)
    raise UnknownValueError(str(value))


def _field(field: str, read: Callable[[Expression], Ranges], *requires: Match) -> _Builder:
    """Return the builder of matches that compare a field of the packet; `requires`: what has to hold before."""

    def build(values: Sequence[Expression], negated: bool) -> tuple[Match, ...]:
        return (*requires, FieldMatch(field, join(one for value in values for one in read(value)), negated))

    return build


def _payload(left: Payload) -> _Builder | None:
    protocol, field = left.protocol, left.field
    if protocol in ("ip", "ip6"):
        return _network_header(left)
    if field in ("sport", "dport") and (protocol in _PORTS_OF or protocol == "th"):
        return _transport(field) if protocol == "th" else _field(field, _port, *_protocol(protocol))
    if left == Payload("tcp", "flags"):
        return lambda values, negated: (*_protocol("tcp"), *_bits("tcp_flags", 0xFF, values, negated))
    if protocol in ("icmp", "icmpv6") and field in ("type", "code"):
        return _icmp(protocol, field)
    if left == Payload("ether", "saddr"):
        return _mac
    if left == Payload("ether", "type"):
        return _family
    return None


def _transport(field: str) -> _Builder:
    def build(values: Sequence[Expression], negated: bool) -> tuple[Match, ...]:
        ranges = join(one for value in values for one in _port(value))
        return (TransportMatch(field, ranges, negated, _unknown(Payload("th", field), values, negated)),)

    return build


def _network_header(left: Payload) -> _Builder | None:
    family = of_family(left.protocol)
    match left.field:
        case "saddr" | "daddr":
            return _field("src" if left.field == "saddr" else "dst", _address_range, family)
        case "version":
            return lambda values, negated: (family, *_version(values, negated))
        case "ttl" | "hoplimit":
            return _field("ttl", integers, family)
        case "length" if left.protocol == "ip":
            return _field("length", integers, family)
        case "length":
            return _field("length", _length_of_ipv6, family)
        case "protocol" | "nexthdr":
            return lambda values, negated: (family, *_protocols(values, negated))
        case "dscp":
            return lambda values, negated: (family, _code_points(values, negated))
    return None


def _code_points(values: Sequence[Expression], negated: bool) -> Match:
    return _any_bits("tos", 0xFC, [flag_bits(value) << 2 for value in values], negated)


def _version(values: Sequence[Expression], negated: bool) -> tuple[Match, ...]:
    families = frozenset(at for at in (4, 6) for value in values if contains(integers(value), at))
    return (FamilyMatch(families, negated),)


def _length_of_ipv6(value: Expression) -> Ranges:
    """Return the lengths of packets whose length without their header (RFC 8200) is among some."""
    return tuple((first + _IPV6_HEADER, last + _IPV6_HEADER) for first, last in integers(value))


def _protocol(name: str) -> tuple[ProtocolsMatch, ...]:
    at = PROTOCOLS[_OTHER_PROTOCOLS.get(name, name)]
    return (ProtocolsMatch(((at, at),), False),)


def _protocols(values: Sequence[Expression], negated: bool) -> tuple[Match, ...]:
    return (ProtocolsMatch(join(one for value in values for one in _named(value, PROTOCOLS)), negated),)


def _family(values: Sequence[Expression], negated: bool) -> tuple[Match, ...]:
    families = frozenset(_FAMILIES.get(one.value, 0) for one in values if isinstance(one, Value))
    return (FamilyMatch(families, negated),)


def _icmp(protocol: str, field: str) -> _Builder:
    names, types = (ICMPV6_NAMES, ICMPV6_TYPES) if protocol == "icmpv6" else (ICMP_NAMES, None)

    def read(value: Expression) -> Ranges:
        if field == "code":
            return tuple(
                (kind << 8 | first, kind << 8 | last) for kind in range(256) for first, last in integers(value)
            )
        if isinstance(value, Value) and isinstance(value.value, str):
            try:
                return (icmp(names.get(value.value, value.value), types),)
            except ValueError:
                raise UnknownValueError(value.value) from None
        return tuple((first << 8, last << 8 | 0xFF) for first, last in integers(value))

    return _field("icmp_type", read, *_protocol(protocol))


def _mac(values: Sequence[Expression], negated: bool) -> tuple[Match, ...]:
    addresses = [_mac_address(value) for value in values]
    if len(addresses) == 1:
        return (MACMatch(addresses[0], negated),)
    return (AnyMatch(tuple((MACMatch(address, False),) for address in addresses), negated),)


def _mac_address(value: Expression) -> int:
    if isinstance(value, Value) and isinstance(value.value, str):
        with suppress(ValueError):
            return mac_number(value.value)
    raise UnknownValueError(str(value))


# ── meta ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _owner(field: str) -> _Builder:
    def build(values: Sequence[Expression], negated: bool) -> tuple[Match, ...]:
        ranges = join(one for value in values for one in integers(value))
        return (OwnerMatch((FieldMatch(field, ranges, negated),), False),)

    return build


def _packet_type(values: Sequence[Expression], negated: bool) -> tuple[Match, ...]:
    names: dict[int | str, str] = {
        "host": "unicast",
        **{name: name for name in LINK_TYPES},
        **dict(enumerate(LINK_TYPES)),
    }
    kinds = [names.get(one.value) for one in _constants(values)]
    if None in kinds:
        raise UnknownValueError
    found = tuple((PacketTypeMatch(LINK_TYPES.index(kind), False),) for kind in kinds if kind)
    return (AnyMatch(found, negated),)


def _mark(values: Sequence[Expression], negated: bool) -> tuple[Match, ...]:
    return _bits("mark", ALL_BITS, values, negated)


# ── bits ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _bits(word: str, mask: int, values: Sequence[Expression], negated: bool) -> tuple[Match, ...]:
    return (_any_bits(word, mask, [bits for value in values for bits in _each_bits(value)], negated),)


def _each_bits(value: Expression) -> Sequence[int]:
    """Return the words of bits that a value stands for: one, or those of a short interval."""
    match value:
        case Interval(int(first), int(last)) if last - first < _MOST_WORDS:
            return range(first, last + 1)
    return (flag_bits(value),)


def _any_bits(word: str, mask: int, wanted: Sequence[int], negated: bool) -> Match:
    """Return the match of a word that is one of some under a mask; of none, it is never so."""
    if len(wanted) == 1:
        return BitsMatch(word, mask, wanted[0], negated)
    return AnyMatch(tuple((BitsMatch(word, mask, value, False),) for value in wanted), negated)


def flag_bits(value: Expression) -> int:
    """Return numbers, or names of TCP flags, as one word of bits."""
    match value:
        case Value(int(found)):
            return found
        case Value("ecn"):
            return TCP_FLAGS["ECE"]
        case Value(str(name)) if name.upper() in TCP_FLAGS:
            return TCP_FLAGS[name.upper()]
        case Flags(names):
            return _union(flag_bits(Value(name)) for name in names)
        case Binary("|", left, right):
            return flag_bits(left) | flag_bits(right)
    raise UnknownValueError(str(value))


def _union(numbers: Iterable[int]) -> int:
    found = 0
    for value in numbers:
        found |= value
    return found


def any_bit(left: Expression, right: Expression, negated: bool) -> tuple[Match, ...] | None:
    """Return the match of flags without an operator, which asks for any of them: `tcp flags syn`, `ct state new`.

    `negated`: for none of them.
    """
    if left == Payload("tcp", "flags"):
        return (*_protocol("tcp"), BitsMatch("tcp_flags", flag_bits(right), 0, not negated))
    if isinstance(left, Ct):
        values = _alternatives(right)
        if left.key == "status":
            return (TrackedMatch(), _has_status(values, negated))
        return matches_of(left, values, negated)
    return None


def _alternatives(value: Expression) -> list[Expression]:
    """Return each of several symbols: `established,related`, which some versions print with `|`."""
    match value:
        case Flags(names):
            return [Value(name) for name in names]
        case Binary("|", left, right):
            return [*_alternatives(left), *_alternatives(right)]
    return [value]


# ── conntrack, routing, sockets ──────────────────────────────────────────────────────────────────────────────


def _ct(left: Ct) -> _Builder | None:
    match left.key:
        case "state":
            return _ct_state
        case "status":
            return _of_connection(_ct_is_status)
        case "mark":
            return _of_connection(lambda values, negated: _bits("connmark", ALL_BITS, values, negated))
        case "direction":
            return _of_connection(_ct_direction)
        case "l3proto":
            return _of_connection(_family)
        case "protocol":
            return _of_connection(_protocols)
        case "saddr" | "daddr" | "proto-src" | "proto-dst" if left.direction:
            return _of_connection(lambda values, negated: _ct_tuple(left, values, negated))
    return None


def _of_connection(build: _Builder) -> _Builder:
    """Return the builder of matches that need a connection: without one the rule stops, also at `!=`."""
    return lambda values, negated: (TrackedMatch(), *build(values, negated))


# as `nft -n` prints them (Linux uapi/linux/netfilter/nf_conntrack_common.h)
_STATE_BITS = {0x1: "invalid", 0x2: "established", 0x4: "related", 0x8: "new", 0x40: "untracked"}
_STATUS_BITS = {0x1: "EXPECTED", 0x2: "SEEN-REPLY", 0x4: "ASSURED", 0x8: "CONFIRMED", 0x10: "SNAT", 0x20: "DNAT"}


def _ct_state(values: Sequence[Expression], negated: bool) -> tuple[Match, ...]:
    """Return the match of states; among others, bits that the kernel never sets are left out (Tailscale names all).

    Several at once are compared as one word, and a connection has one of them: `ct state != established,related`.
    """
    several = [one for one in values if isinstance(one, Binary | Flags)]
    values = [one for one in values if not isinstance(one, Binary | Flags)]
    places = {name.lower(): place for place, name in enumerate(STATES)}
    constants = [one.value for one in _constants(values)]
    names = [_STATE_BITS.get(one) if isinstance(one, int) else one for one in constants if not _is_never_set(one)]
    found = [places.get(name or "") for name in names]
    if None in found or not (found or several):
        raise UnknownValueError
    return (ConntrackMatch(StateTest(join((at, at) for at in found if at is not None), frozenset(), negated), ()),)


def _masked_state(mask: Expression, values: Sequence[Expression], negated: bool) -> tuple[Match, ...]:
    """Return the match of some bits of a state: `ct state & new == new`. A connection has one state."""
    among, wanted = _ct_bits(mask, _STATE_BITS), {_ct_bits(one, _STATE_BITS) for one in values}
    found = [Value(name) for bit, name in _STATE_BITS.items() if bit & among in wanted]
    return _ct_state(found, negated) if found else (AnyMatch((), negated),)


def _ct_bits(value: Expression, names: Mapping[int, str]) -> int:
    """Return symbols of conntrack as one word of bits. UnknownValueError for others."""
    numbers = {name.lower(): bit for bit, name in names.items()}
    constants = [one.value for one in _constants(_alternatives(value))]
    found = [one if isinstance(one, int) else numbers.get(one) for one in constants]
    if None in found:
        raise UnknownValueError(str(value))
    return _union(bit for bit in found if bit is not None)


def _is_never_set(state: int | str) -> bool:
    """Return whether a number is one bit, of no state (Linux net/netfilter/nft_ct.c, nft_ct_get_eval)."""
    return isinstance(state, int) and state.bit_count() == 1 and state not in _STATE_BITS


_TRANSLATED = frozenset(("DNAT", "SNAT"))


def _status_names(values: Sequence[Expression]) -> frozenset[str]:
    constants = [one.value for one in _constants(values)]
    names = {_STATUS_BITS.get(one, "") if isinstance(one, int) else one.upper() for one in constants}
    if not names or not names <= {*_STATUS_BITS.values()}:
        raise UnknownValueError
    return frozenset(one.replace("-", "_") for one in names)


def _has_status(values: Sequence[Expression], negated: bool) -> Match:
    """Return the match of a connection that has any of some bits of its status; `negated`: none of them."""
    names = _status_names(values)
    translated, others = names & _TRANSLATED, names - _TRANSLATED
    tests: list[Match] = [ConntrackMatch(StateTest((), translated, False), ())] if translated else []
    tests += [ConntrackMatch(None, (StatusTest(others, False),))] if others else []
    return AnyMatch(tuple((one,) for one in tests), negated)


def _masked_status(mask: Expression, values: Sequence[Expression], negated: bool) -> tuple[Match, ...]:
    """Return the match of bits of a status that are all set: `ct status & dnat == dnat`."""
    bits = _alternatives(mask)
    if {_ct_bits(one, _STATUS_BITS) for one in values} != {_ct_bits(mask, _STATUS_BITS)} or (negated and len(bits) > 1):
        raise UnknownValueError(str(mask))
    return tuple(_has_status([one], negated) for one in bits)


def _ct_is_status(values: Sequence[Expression], negated: bool) -> tuple[Match, ...]:
    """Return the match of a status that is just this: `ct status != dnat`, `ct status { dnat, snat }`.

    Never so for a translation alone: a bit that it is done stands beside it (Linux net/netfilter/nf_nat_core.c,
    nf_nat_setup_info), so that `ct status != dnat` holds for every connection. A new one has none of the others.
    """
    names = _status_names(values)
    if names <= _TRANSLATED:
        return (AnyMatch((), negated),)
    words = tr("the connection {{is|is not}} {statuses}, and nothing else", statuses=any_of(sorted(names)))
    test = ConnectionTest(f"ctstatus {sorted(names)}", words, YES, YES_NO, False, negated)
    return (ConntrackMatch(None, (test,)),)


def _ct_direction(values: Sequence[Expression], negated: bool) -> tuple[Match, ...]:
    places: dict[Expression, int] = {Value("original"): 0, Value("reply"): 1, Value(0): 0, Value(1): 1}
    at = places.get(values[0]) if len(values) == 1 else None
    if at is None:
        raise UnknownValueError(" ".join(map(str, values)))
    test = ConnectionTest("ctdir", tr("the direction"), ((at, at),), YES_NO, at == 0, negated, at == 0)
    return (ConntrackMatch(None, (test,)),)


def _ct_tuple(left: Ct, values: Sequence[Expression], negated: bool) -> tuple[Match, ...]:
    field = {"saddr": "src", "daddr": "dst", "proto-src": "sport", "proto-dst": "dport"}[left.key]
    read = _address_range if field in ("src", "dst") else _port
    ranges = join(one for value in values for one in read(value))
    # Linux net/netfilter/nft_ct.c: the addresses of another family end the rule, also with `!=`
    family = (of_family(left.family),) if left.family else ()
    return (*family, ConntrackMatch(None, (TupleTest(left.direction == "reply", field, ranges, negated),)))


def _fib(left: Fib) -> _Builder | None:
    flags = {*left.flags}
    if left.result == "type" and flags <= {"saddr", "daddr", "iif", "oif"}:
        field = "src" if "saddr" in flags else "dst"
        limit = "in_interface" if "iif" in flags else "out_interface" if "oif" in flags else ""
        return lambda values, negated: (AddrTypeMatch(field, _types(values), limit, negated),)
    if left.result == "oif" and "saddr" in flags and flags <= {"saddr", "iif", "mark"}:
        return lambda values, negated: _reverse_path(left, values, negated)
    if left.result in ("oif", "oifname") and flags <= {"saddr", "daddr", "iif", "oif", "mark"}:
        return lambda values, negated: _route_interface(left, values, negated)
    return None


# types of routes in the order of their numbers (Linux uapi/linux/rtnetlink.h)
_ROUTE_TYPES = (
    "UNSPEC", "UNICAST", "LOCAL", "BROADCAST", "ANYCAST", "MULTICAST", "BLACKHOLE", "UNREACHABLE", "PROHIBIT", "THROW",
)  # fmt: skip


def _types(values: Sequence[Expression]) -> frozenset[str]:
    found = [one.value for one in _constants(values)]
    numbered = dict(enumerate(_ROUTE_TYPES))
    names = {numbered.get(one, "") if isinstance(one, int) else one.upper() for one in found}
    if not names <= {*_ROUTE_TYPES}:
        raise UnknownValueError(", ".join(map(str, found)))
    return frozenset(names)


def _constants(values: Sequence[Expression]) -> tuple[Value, ...]:
    """Return values that are all single constants. UnknownValueError where one is not."""
    found = tuple(one for one in values if isinstance(one, Value))
    if len(found) != len(values):
        raise UnknownValueError(", ".join(map(str, values)))
    return found


def _reverse_path(left: Fib, values: Sequence[Expression], negated: bool) -> tuple[Match, ...]:
    """Return the match of `fib saddr . iif oif missing`: no route back to the source by this interface."""
    if len(values) != 1 or values[0] not in _EXISTENCE:
        return _route_interface(left, values, negated)
    words = tr("the way back to VALUE {leaves|does not leave} by the interface that it came in by")
    inverted = _EXISTENCE[values[0]] == negated
    return (ReversePathMatch("iif" not in left.flags, True, inverted, words),)


# with `nft -n`, and before 1.0, a number says whether there is a route
_EXISTENCE: Mapping[Expression, bool] = {
    Value("exists"): True,
    Value("missing"): False,
    Value(0): False,
    Value(1): True,
}
_NO_NAME: Ranges = ((0, 0),)


def _route_interface(left: Fib, values: Sequence[Expression], negated: bool) -> tuple[Match, ...]:
    """Return the match of `fib daddr oif "eth0"`, `fib saddr . iif oifname "eth0"`, `fib daddr oif exists`."""
    ranges: Ranges = ()
    for value in values:
        if left.result == "oif" and value in _EXISTENCE:
            ranges = join((*ranges, *(subtract(ANY_NAME, _NO_NAME) if _EXISTENCE[value] else _NO_NAME)))
        else:
            ranges = join((*ranges, *_name(value)))
    limit = "in_interface" if "iif" in left.flags else "out_interface" if "oif" in left.flags else ""
    field = "src" if "saddr" in left.flags else "dst"
    return (RouteMatch(field, limit, ranges, negated, _unknown(left, values, negated)),)


def _socket(values: Sequence[Expression], negated: bool) -> tuple[Match, ...]:
    if values[0] != Value(1) or negated:
        raise UnknownValueError
    return (SocketMatch(tr("a transparent socket {is|is not} open for it"), True, False),)


# ── values ───────────────────────────────────────────────────────────────────────────────────────────────────


def _address(text: str) -> tuple[int, int]:
    try:
        return number(text)
    except ValueError:
        raise UnknownValueError(text) from None


def _address_range(value: Expression) -> Ranges:
    match value:
        case Value(str(text)):
            at = address_number(*_address(text))
            return ((at, at),)
        case Prefix():
            network = network_of(value)
            ends = (_address(str(end)) for end in (network[0], network[-1]))
            first, last = (address_number(*end) for end in ends)
            return ((first, last),)
        case Interval(str(low), str(high)):
            return ((address_number(*_address(low)), address_number(*_address(high))),)
    raise UnknownValueError(str(value))


def network_of(value: Prefix) -> IPv4Network | IPv6Network:
    """Return a prefix as a network. UnknownValueError where it is none."""
    try:
        return ip_network(f"{value.address}/{value.length}", strict=False)
    except ValueError:
        raise UnknownValueError(str(value)) from None


def checked_address(text: str) -> str:
    """Return an address as it is. UnknownValueError for any other text."""
    _address(text)
    return text


def integers(value: Expression) -> Ranges:
    """Return a number, or the numbers of an interval. UnknownValueError for anything else."""
    match value:
        case Value(int(found)):
            return ((found, found),)
        case Interval(int(first), int(last)):
            return ((first, last),)
    raise UnknownValueError(str(value))


def _named(value: Expression, names: dict[str, int] | None) -> Ranges:
    if isinstance(value, Value) and isinstance(value.value, str) and names is not None:
        name = "ipv6-icmp" if value.value == "icmpv6" else value.value
        if name in names:
            return ((names[name], names[name]),)
    return integers(value)


def _port(value: Expression) -> Ranges:
    return _named(value, {**PORTS})


def _name(value: Expression) -> Ranges:
    if not isinstance(value, Value) or isinstance(value.value, int):  # a number: of an interface that is not there now
        raise UnknownValueError(str(value))
    text = str(value.value)
    return name_ranges(f"{text[:-1]}+" if text.endswith("*") else text)


def above_below(operator: str, value: Expression, top: int = (1 << 128) - 1) -> Expression:
    """Return the values for which `<`, `>`, `<=` or `>=` holds, as an interval. UnknownValueError for no number."""
    match value:
        case Value(int(at)):
            low, high = {"<": (0, at - 1), "<=": (0, at), ">": (at + 1, top), ">=": (at, top)}[operator]
            return Interval(low, high)
        case Value(str(name)) if name.upper() in TCP_FLAGS:
            return above_below(operator, Value(TCP_FLAGS[name.upper()]), top)
        case Value(str(text)):
            bits, at = _address(text)
            most = (1 << bits) - 1
            low, high = {"<": (0, at - 1), "<=": (0, at), ">": (at + 1, most), ">=": (at, most)}[operator]
            return Interval(_text(bits, low), _text(bits, high))
    raise UnknownValueError(str(value))


def _text(bits: int, value: int) -> str:
    return str(IPv4Address(value) if bits == 32 else IPv6Address(value))


def unknown_match(text: str) -> Match:
    """Return the match of a comparison that is not known here: its packet may match, or not."""
    return OutsideMatch(text, tr("{text} {{matches|does not match}}", text=text), EVERYTHING, False)


def _unknown(left: Expression, values: Sequence[Expression], negated: bool) -> Match:
    """Return the match of a comparison with some values, where the packet's own value is not known."""
    return unknown_match(f"{left} {'!= ' if negated else ''}{', '.join(map(str, values))}")


def requirements_of(left: Expression) -> tuple[Match, ...]:
    """Return what has to hold so that a packet has an expression at all, whatever its value is."""
    match left:
        case Concatenation(parts):
            return tuple(match for part in parts for match in requirements_of(part))
        case Payload("ip" | "ip6" as protocol, _):
            return (of_family(protocol),)
        case Payload(protocol, _) if protocol in _PORTS_OF or protocol in _OTHER_PROTOCOLS:
            return _protocol(protocol)
        case HeaderOption(protocol, _) if protocol in _WITH_OPTIONS:
            return _protocol(protocol)
        case HeaderOption(protocol):  # all others are extension headers
            return (of_family("ip" if protocol == "ip" else "ip6"),)
        case Hash(_, inner) | Lookup(inner) | Binary(_, inner, _) if inner is not None:
            return requirements_of(inner)
        case Ct(key) if key != "state":
            return (TrackedMatch(),)
    return ()


def _interface(field: str) -> _Builder:
    return _field(field, _name)


_META: dict[str, _Builder] = {
    "iifname": _interface("in_interface"), "iif": _interface("in_interface"),
    "oifname": _interface("out_interface"), "oif": _interface("out_interface"),
    "l4proto": _protocols, "nfproto": _family, "protocol": _family, "mark": _mark,
    "length": _field("length", integers), "skuid": _owner("uid"), "skgid": _owner("gid"), "pkttype": _packet_type,
}  # fmt: skip
