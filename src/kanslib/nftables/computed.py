"""Numbers that rules compute from a packet: `meta mark >> 8`, `tcp dport & 1`, `@nh,8,8` (nft(8))."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from kanslib.iptables.match_types import Answer, Match, MatchedPacket
from kanslib.iptables.names import ICMPV6_TYPES, PORTS, PROTOCOLS, TCP_FLAGS, icmp
from kanslib.iptables.packet import WITH_PORTS, number
from kanslib.iptables.ranges import Ranges, contains
from kanslib.nftables.syntax import Binary, Ct, Expression, HeaderOption, Interval, Meta, Payload, RawPayload, Value

_ALL_BITS = 0xFFFFFFFF
_VERSIONS = {"ip": 4, "ip6": 6}
_PORTS = ("sport", "dport")


class _Part(NamedTuple):
    """A field of a header: its first bit, and how many it has."""

    field: Payload
    offset: int
    length: int


# what raw payload can read: the fields of each header (RFC 791, 8200, 792, 9293, 768)
_PARTS: dict[str, tuple[_Part, ...]] = {
    "nh": tuple(
        _Part(Payload(protocol, field), offset, length)
        for protocol, fields in {
            "ip": (("version", 0, 4), ("tos", 8, 8), ("length", 16, 16), ("ttl", 64, 8), ("protocol", 72, 8),
                   ("saddr", 96, 32), ("daddr", 128, 32)),
            "ip6": (("version", 0, 4), ("nexthdr", 48, 8), ("hoplimit", 56, 8), ("saddr", 64, 128),
                    ("daddr", 192, 128)),
        }.items()
        for field, offset, length in fields
    ),
    "th": tuple(
        _Part(Payload(protocol, field), offset, length)
        for protocol, field, offset, length in (
            ("th", "sport", 0, 16), ("th", "dport", 16, 16), ("tcp", "flags", 104, 8), ("icmp", "type", 0, 8),
            ("icmp", "code", 8, 8), ("icmpv6", "type", 0, 8), ("icmpv6", "code", 8, 8),
        )
    ),
}  # fmt: skip
# those that stand at their place in every packet of the family, or in every header with ports
_SAME_IN_ALL = frozenset(("saddr", "daddr", "ttl", "protocol", "sport", "dport"))
_WHOLE_FIELDS = {
    (base, part.offset, part.length): part.field
    for base, parts in _PARTS.items()
    for part in parts
    if part.field.field in _SAME_IN_ALL
}


def field_at(raw: RawPayload) -> Payload | None:
    """Return the field that a rule reads by its place in a header; None for other bits.

    >>> str(field_at(RawPayload("nh", 96, 32)))
    'ip saddr'
    """
    return _WHOLE_FIELDS.get((raw.base, raw.offset, raw.length))


@dataclass(frozen=True, slots=True)
class ComputedMatch:
    """A number that is computed from the packet's fields is in some ranges; `unknown` asks where one is not known."""

    number: Expression
    ranges: Ranges
    negated: bool
    unknown: Match

    @property
    def names(self) -> tuple[str, ...]:
        """What is asked where a field is not known."""
        return self.unknown.names

    def holds(self, packet: MatchedPacket) -> Answer:
        """Compute the number and compare it; of bits of a header those that are known can be enough."""
        value = number_of(self.number, packet)
        if value is not None:
            return contains(self.ranges, value) != self.negated
        if isinstance(self.number, RawPayload) and not _can_be(self.ranges, *_known_bits(self.number, packet)):
            return self.negated
        return self.unknown.holds(packet)


def _can_be(ranges: Ranges, mask: int, bits: int) -> bool:
    """Return whether a number in some ranges can have these bits in the places of a mask."""
    return any(first != last or first & mask == bits for first, last in ranges)


def is_computed(expression: Expression) -> bool:
    """Return whether a packet whose fields are known has a number for an expression."""
    match expression:
        case Binary("&" | "|" | "^" | "<<" | ">>", left, right):
            return is_computed(left) and (is_computed(right) or constant_bits(right, left) is not None)
        case Meta("mark") | Ct("mark", ""):
            return True
        case RawPayload(base, _, _):
            return base in _PARTS
        case Payload(protocol, field):
            return _is_known(protocol, field)
    return False


def _is_known(protocol: str, field: str) -> bool:
    if protocol in _VERSIONS:
        return field in ("version", "dscp", "ttl", "hoplimit", "length", "protocol", "nexthdr", "saddr", "daddr")
    return field in _PORTS or (protocol, field) == ("tcp", "flags") or (protocol in ("icmp", "icmpv6") and field in (
        "type", "code"
    ))  # fmt: skip


def number_of(expression: Expression, packet: MatchedPacket) -> int | None:
    """Return the number that an expression has for a packet; None where a field is not known, or not there."""
    match expression:
        case Binary(operator, left, right):
            one, other = number_of(left, packet), _operand(right, left, packet)
            return None if one is None or other is None else _OPERATORS[operator](one, other)
        case Meta("mark"):
            return packet.bits("mark", _ALL_BITS)
        case Ct("mark", ""):
            return packet.bits("connmark", _ALL_BITS)
        case RawPayload():
            mask, bits = _known_bits(expression, packet)
            return bits if mask == (1 << expression.length) - 1 else None
        case Payload(protocol, field):
            return _header(protocol, field, packet)
    return None


_OPERATORS = {
    "&": int.__and__,
    "|": int.__or__,
    "^": int.__xor__,
    "<<": lambda value, by: value << by & _ALL_BITS,
    ">>": int.__rshift__,
}


def _operand(right: Expression, left: Expression, packet: MatchedPacket) -> int | None:
    found = constant_bits(right, left)
    return number_of(right, packet) if found is None else found


def _known_bits(raw: RawPayload, packet: MatchedPacket) -> tuple[int, int]:
    """Return which bits of a header are known, as a mask, and what they are: those of each field that is known."""
    end, mask, bits = raw.offset + raw.length, 0, 0
    for field, offset, length in _PARTS.get(raw.base, ()):
        first, last = max(raw.offset, offset), min(end, offset + length)
        value = _header(field.protocol, field.field, packet) if first < last else None
        if value is not None:
            ones = (1 << last - first) - 1
            mask |= ones << end - last
            bits |= (value >> offset + length - last & ones) << end - last
    return mask, bits


def _header(protocol: str, field: str, packet: MatchedPacket) -> int | None:
    if protocol in _VERSIONS:
        return _network(protocol, field, packet) if packet.original.family == _VERSIONS[protocol] else None
    if field in _PORTS:
        return packet.value(field) if packet.protocol in WITH_PORTS else None
    if (protocol, field) == ("tcp", "flags"):
        return packet.bits("tcp_flags", 0xFF) if packet.protocol == PROTOCOLS["tcp"] else None
    if packet.protocol == PROTOCOLS["ipv6-icmp" if protocol == "icmpv6" else "icmp"]:
        found = packet.value("icmp_type")
        return None if found is None else found >> 8 if field == "type" else found & 0xFF
    return None


def _network(protocol: str, field: str, packet: MatchedPacket) -> int | None:
    match field:
        case "version":
            return _VERSIONS[protocol]
        case "tos":
            return packet.bits("tos", 0xFF)
        case "dscp":
            found = packet.bits("tos", 0xFC)
            return None if found is None else found >> 2
        case "protocol" | "nexthdr":
            return packet.protocol
        case "length" if protocol == "ip6":
            found = packet.value("length")
            return None if found is None else found - 40
        case "saddr" | "daddr":
            address = packet.address("src" if field == "saddr" else "dst")
            return None if address is None else address[1]
    return packet.value("ttl" if field in ("ttl", "hoplimit") else field)


# ── constants ────────────────────────────────────────────────────────────────────────────────────────────────

CODE_POINTS: dict[str, int] = {f"cs{n}": 8 * n for n in range(8)} | {
    f"af{n}{drop}": 8 * n + 2 * drop for n in range(1, 5) for drop in range(1, 4)
} | {"be": 0, "df": 0, "ef": 46, "lephb": 1, "va": 44}  # fmt: skip
_ECN = {"not-ect": 0, "ect1": 1, "ect0": 2, "ce": 3}
# `nft describe icmp code`, `nft describe icmpv6 code`
_ICMP_CODES = {
    "net-unreachable": 0, "host-unreachable": 1, "prot-unreachable": 2, "port-unreachable": 3, "frag-needed": 4,
    "net-prohibited": 9, "host-prohibited": 10, "admin-prohibited": 13,
}  # fmt: skip
_ICMPV6_CODES = {
    "no-route": 0, "admin-prohibited": 1, "addr-unreachable": 3, "port-unreachable": 4, "policy-fail": 5,
    "reject-route": 6,
}  # fmt: skip
# names that nft has and iptables has not, by family (`nft describe icmp type`, `nft describe icmpv6 type`)
ICMP_NAMES = {"info-request": "15", "info-reply": "16"}
ICMPV6_NAMES = {
    "nd-router-solicit": "133", "nd-router-advert": "134", "nd-neighbor-solicit": "135", "nd-neighbor-advert": "136",
    "nd-redirect": "137", "router-renumbering": "138", "ind-neighbor-solicit": "141", "ind-neighbor-advert": "142",
    "mld2-listener-report": "143",
}  # fmt: skip
_FLAGS = {name.lower(): bit for name, bit in TCP_FLAGS.items() if bit.bit_count() == 1} | {"ecn": TCP_FLAGS["ECE"]}


def _names_of(left: Expression) -> Mapping[str, int]:
    """Return the names that constants of an expression can have, and their numbers."""
    match left:
        case Binary(_, inner, _):
            return _names_of(inner)
        case Payload("icmp", "code"):
            return _ICMP_CODES
        case Payload("icmpv6", "code"):
            return _ICMPV6_CODES
        case Payload("ip" | "ip6", "dscp"):
            return CODE_POINTS
        case Payload("ip" | "ip6", "ecn"):
            return _ECN
        case Payload("tcp", "flags"):
            return _FLAGS
        case Payload(_, "sport" | "dport"):
            return PORTS
    return {}


def with_numbers(left: Expression, value: Expression) -> Expression:
    """Return a constant, or an interval, that is compared with `left`, with numbers in place of names.

    >>> str(with_numbers(Payload("ip", "dscp"), Interval("cs1", "cs2")))
    '8-16'
    """
    match value:
        case Value(int(found)) if isinstance(left, HeaderOption) and not left.field:  # `nft -n`: whether it is there
            return Value("exists" if found else "missing")
        case Value(str(name)):
            at = _number(left, name)
            return value if at is None else Value(at)
        case Interval(first, last):
            ends = [_number(left, one) if isinstance(one, str) else one for one in (first, last)]
            return value if None in ends else Interval(ends[0] or 0, ends[1] or 0)
    return value


def _number(left: Expression, name: str) -> int | None:
    if left in (Payload("icmp", "type"), Payload("icmpv6", "type")):
        is_six = left == Payload("icmpv6", "type")
        try:
            first, last = icmp(
                (ICMPV6_NAMES if is_six else ICMP_NAMES).get(name, name), ICMPV6_TYPES if is_six else None
            )
        except ValueError:
            return None
        return first >> 8 if last - first == 0xFF else None
    return _names_of(left).get(name)


def constant_bits(value: Expression, left: Expression) -> int | None:
    """Return a constant that is compared or combined with `left` as a number; None for anything else."""
    match value:
        case Value(int(found)):
            return found
        case Value(str(text)):
            named = _names_of(left).get(text)
            return _address(text) if named is None else named
        case Binary("|", one, other):
            bits = constant_bits(one, left), constant_bits(other, left)
            return None if bits[0] is None or bits[1] is None else bits[0] | bits[1]
    return None


def _address(text: str) -> int | None:
    try:
        return number(text)[1]
    except ValueError:
        return None
