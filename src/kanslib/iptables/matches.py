"""The matches of a rule: true, false, unknown or random for a packet (Linux net/netfilter/xt_*.c)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Protocol

from kanslib.exceptions import RuleSyntaxError
from kanslib.iptables.names import ICMPV6_TYPES, PORTS, PROTOCOLS, TCP_FLAGS, icmp, tcp_flags
from kanslib.iptables.packet import STATES, WITH_PORTS, Packet, number
from kanslib.iptables.syntax import Module, Option, RuleOptions

HALF = 1 << 31  # statistic compares a random number of 31 bits
Ranges = tuple[tuple[int, int], ...]
_NONE: Mapping[str, int] = {}
# the fields whose unknown value can be restricted by assumptions, with the number of values of each
DOMAINS = {
    "sport": 65536,
    "dport": 65536,
    "length": 65536,
    "ttl": 256,
    "tcp_flags": 256,
    "icmp_type": 65536,
    "ctstate": 5,
}


@dataclass(frozen=True, slots=True)
class Unknown:
    """A statement about a packet whose truth is unknown. The match is true when the statement is as `wanted`.

    With a `field`, the statement is that its value is among `values` (a bit for each value).
    """

    text: str
    wanted: bool = True
    field: str = ""
    values: int = 0


@dataclass(frozen=True, slots=True)
class Probability:
    """The answer of a random match: it is true with this probability."""

    probability: Fraction


Answer = bool | Unknown | Probability


class MatchedPacket(Protocol):
    """The fields of a packet during its traversal, as matches read them. None means unknown."""

    original: Packet
    protocol: int
    mark: int
    connmark: int | None
    translated: frozenset[str]  # DNAT, SNAT: the translations of the connection

    @property
    def states(self) -> int:
        """A bit for each of STATES that is possible here."""
        ...

    @property
    def unconnected(self) -> bool:
        """True where conntrack has no connection for the packet."""
        ...

    def name(self, field: str) -> str | None:
        """Return an interface or a MAC address."""
        ...

    def address(self, field: str) -> tuple[int, int] | None:
        """Return an address as (bits, value)."""
        ...

    def value(self, field: str) -> int | None:
        """Return a number: a port, the length, the TTL, TCP flags or the ICMP type."""
        ...

    def type_of(self, field: str) -> str | Unknown:
        """Return the type of an address, such as LOCAL."""
        ...


class Match(Protocol):
    """One match of a rule."""

    def holds(self, packet: MatchedPacket) -> Answer:
        """Return whether the packet matches."""
        ...


@dataclass(frozen=True, slots=True)
class NetworkMatch:
    """`-s`, `-d`: an address in one of some ranges (bits, value, mask)."""

    field: str
    networks: tuple[tuple[int, int, int], ...]
    negated: bool
    text: str

    def holds(self, packet: MatchedPacket) -> Answer:
        """Compare the address with the networks."""
        address = packet.address(self.field)
        if address is None:
            return Unknown(self.text, not self.negated)
        bits, value = address
        for family, network, mask in self.networks:
            if family == bits and value & mask == network:
                return not self.negated
        return self.negated

    @property
    def host(self) -> tuple[int, int] | None:
        """The address that matches, as (bits, value); None where it is not exactly one."""
        if self.negated or len(self.networks) != 1:
            return None
        bits, value, mask = self.networks[0]
        return (bits, value) if mask == (1 << bits) - 1 else None


@dataclass(frozen=True, slots=True)
class IPRangeMatch:
    """`iprange`: an address between two others."""

    field: str
    bits: int
    first: int
    last: int
    negated: bool
    text: str

    def holds(self, packet: MatchedPacket) -> Answer:
        """Compare the address with the range."""
        address = packet.address(self.field)
        if address is None:
            return Unknown(self.text, not self.negated)
        return (address[0] == self.bits and self.first <= address[1] <= self.last) != self.negated


@dataclass(frozen=True, slots=True)
class NameMatch:
    """`-i`, `-o`, a MAC address: a name, or a prefix of names with `+` at its end."""

    field: str
    pattern: str
    negated: bool
    text: str

    def holds(self, packet: MatchedPacket) -> Answer:
        """Compare the name with the pattern."""
        name = packet.name(self.field)
        if name is None:
            return Unknown(self.text, not self.negated)
        if self.pattern.endswith("+"):
            return name.startswith(self.pattern[:-1]) != self.negated
        return (name == self.pattern) != self.negated


@dataclass(frozen=True, slots=True)
class ProtocolMatch:
    """`-p`."""

    protocol: int
    negated: bool

    def holds(self, packet: MatchedPacket) -> Answer:
        """Compare the protocol."""
        return (packet.protocol == self.protocol) != self.negated


@dataclass(frozen=True, slots=True)
class RangeMatch:
    """A number of the packet in one of some ranges: ports, length, ttl, icmp type."""

    field: str
    ranges: Ranges
    negated: bool
    text: str

    def holds(self, packet: MatchedPacket) -> Answer:
        """Compare the number with the ranges."""
        value = packet.value(self.field)
        if value is None:
            if self.field in ("sport", "dport") and packet.protocol not in WITH_PORTS:
                return False
            return Unknown(self.text, not self.negated, self.field, bits_of(self.ranges))
        for low, high in self.ranges:
            if low <= value <= high:
                return not self.negated
        return self.negated


@dataclass(frozen=True, slots=True)
class EitherPortMatch:
    """`multiport --ports`: the source port or the destination port in one of some ranges."""

    ranges: Ranges
    negated: bool
    text: str

    def holds(self, packet: MatchedPacket) -> Answer:
        """Compare both ports with the ranges."""
        answers = [RangeMatch(field, self.ranges, False, self.text).holds(packet) for field in ("sport", "dport")]
        if True in answers:
            return not self.negated
        unsure = next((answer for answer in answers if isinstance(answer, Unknown)), None)
        if unsure is None:
            return self.negated
        both = all(isinstance(answer, Unknown) for answer in answers)
        if both:
            return Unknown(self.text, not self.negated)
        return Unknown(unsure.text, not self.negated, unsure.field, unsure.values)


@dataclass(frozen=True, slots=True)
class TCPFlagsMatch:
    """`tcp --tcp-flags MASK SET`, `--syn`."""

    mask: int
    wanted: int
    negated: bool
    text: str

    def holds(self, packet: MatchedPacket) -> Answer:
        """Compare the flags under the mask."""
        flags = packet.value("tcp_flags")
        if flags is None:
            found = sum(1 << value for value in range(256) if value & self.mask == self.wanted)
            return Unknown(self.text, not self.negated, "tcp_flags", found)
        return (flags & self.mask == self.wanted) != self.negated


@dataclass(frozen=True, slots=True)
class ConntrackMatch:
    """`conntrack --ctstate`, `state`: the connection's state and translations in conntrack."""

    states: int
    translated: frozenset[str]
    negated: bool
    text: str

    def holds(self, packet: MatchedPacket) -> Answer:
        """Compare the states that are possible for the connection."""
        if self.translated & packet.translated:
            return not self.negated
        inside = packet.states & self.states
        if inside == packet.states:
            return not self.negated
        if not inside:
            return self.negated
        return Unknown(self.text, not self.negated, "ctstate", self.states)


@dataclass(frozen=True, slots=True)
class MarkMatch:
    """`mark`: the packet's mark under a mask."""

    value: int
    mask: int
    negated: bool

    def holds(self, packet: MatchedPacket) -> Answer:
        """Compare the packet's mark under the mask."""
        return (packet.mark & self.mask == self.value) != self.negated


@dataclass(frozen=True, slots=True)
class ConnmarkMatch:
    """`connmark`: the connection's mark under a mask."""

    value: int
    mask: int
    negated: bool
    text: str

    def holds(self, packet: MatchedPacket) -> Answer:
        """Compare the connection's mark under the mask."""
        if packet.unconnected:
            return False
        if packet.connmark is None:
            return Unknown(self.text, not self.negated)
        return (packet.connmark & self.mask == self.value) != self.negated


@dataclass(frozen=True, slots=True)
class RandomMatch:
    """`statistic`: random with a share of 2^31, or every n-th packet, taken as its share 1/n."""

    chance: Probability

    def holds(self, packet: MatchedPacket) -> Answer:  # noqa: ARG002 (the protocol's parameter)
        """Return the probability."""
        return self.chance


@dataclass(frozen=True, slots=True)
class AddrTypeMatch:
    """`addrtype`: whether an address is the machine's own, a broadcast or of another type."""

    field: str
    types: frozenset[str]
    negated: bool

    def holds(self, packet: MatchedPacket) -> Answer:
        """Compare the type of the address."""
        kind = packet.type_of(self.field)
        if isinstance(kind, str):
            return (kind in self.types) != self.negated
        if "LOCAL" in self.types:
            return Unknown(kind.text, not self.negated)
        if "UNICAST" in self.types:  # an address that is not the machine's own is another machine's
            return Unknown(kind.text, self.negated)
        return self.negated


@dataclass(frozen=True, slots=True)
class OwnerMatch:
    """`owner --uid-owner`: the sending user; a received packet has none (Linux net/netfilter/xt_owner.c)."""

    first: int
    last: int
    negated: bool
    text: str

    def holds(self, packet: MatchedPacket) -> Answer:
        """Compare the sender's user id."""
        if packet.original.in_interface is not None:
            return self.negated
        if packet.original.uid is None:
            return Unknown(self.text, not self.negated)
        return (self.first <= packet.original.uid <= self.last) != self.negated


@dataclass(frozen=True, slots=True)
class UndecidableMatch:
    """A match that depends on more than the packet (`recent`, `limit`, sets, contents), or that the grammar lacks."""

    text: str
    negated: bool

    def holds(self, packet: MatchedPacket) -> Answer:  # noqa: ARG002 (the protocol's parameter)
        """Return that the answer is unknown."""
        return Unknown(self.text, not self.negated)


@lru_cache(maxsize=4096)
def bits_of(ranges: Ranges) -> int:
    """Return a number with a bit set for each value in the ranges."""
    bits = 0
    for low, high in ranges:
        bits |= ((1 << (high - low + 1)) - 1) << low
    return bits


def matches(body: RuleOptions) -> tuple[Match, ...]:
    """Return the matches of a rule in order, without those that are always true (`comment`, `nfacct`).

    RuleSyntaxError for a wrong value.
    """
    found: list[Match] = []
    for name, field in (("-s", "src"), ("-d", "dst")):
        if option := body.own.get(name):
            found.append(_network(field, option))
    for name, field, words in (("-i", "in_interface", "comes in by"), ("-o", "out_interface", "goes out by")):
        if option := body.own.get(name):
            found.append(NameMatch(field, option.value, option.negated, f"the packet {words} {option.value}"))
    if option := body.own.get("-p"):
        found += _protocol(option)
    if (option := body.own.get("-f")) and not option.negated:
        found.append(UndecidableMatch("the packet is a later fragment", False))
    for part in body.matches:
        if not part.known or any(not option.known for option in part.options):
            found.append(UndecidableMatch(f"-m {part}" if part.name else str(part).strip(), False))
        elif part.name not in _ALWAYS:
            found += _BUILD.get(part.name, _undecidable)(part)
    return tuple(found)


def _undecidable(part: Module) -> list[Match]:
    single = part.options[0] if len(part.options) == 1 else None
    if single and single.negated:  # `! --match-set a src`: the statement is the one without the `!`
        return [UndecidableMatch(" ".join(["-m", part.name, single.name, *single.values]), True)]
    return [UndecidableMatch(f"-m {part}", False)]


def _syntax_error(option: Option, expected: str) -> RuleSyntaxError:
    return RuleSyntaxError(option.column, str(option), expected)


def _network(field: str, option: Option) -> NetworkMatch:
    networks = []
    for text in option.value.split(","):
        address, _, mask = text.partition("/")
        try:
            bits, value = number(address)
            full = (1 << bits) - 1
            cover = (full ^ (full >> int(mask))) if mask.isdigit() else number(mask)[1] if mask else full
            if mask.isdigit() and int(mask) > bits:
                raise ValueError
        except ValueError:
            raise _syntax_error(option, "an address or a range, such as 10.0.0.0/8") from None
        networks.append((bits, value & cover, cover))
    side = "source" if field == "src" else "destination"
    return NetworkMatch(field, tuple(networks), option.negated, f"the {side} is in {option.value}")


def _protocol(option: Option) -> list[Match]:
    """Return the match of `-p`, which takes a number or a name, in any case."""
    if option.value.isdecimal() and option.value.isascii():
        value = int(option.value)
    else:
        value = PROTOCOLS.get(option.value.lower(), 256)
    if value > 255:
        raise _syntax_error(option, "a protocol: a number up to 255, or a name that IANA has, such as tcp")
    return [ProtocolMatch(value, option.negated)] if value else []


def _number(text: str, names: Mapping[str, int]) -> int:
    return names[text] if text in names else int(text, 0)


def _numbers(option: Option, low: int, high: int, comma: bool = False, names: Mapping[str, int] = _NONE) -> Ranges:
    """Return the ranges of `80`, `1024:65535` or `:80`; with `comma` of a list of them."""
    ranges = []
    for text in option.value.split(",") if comma else [option.value]:
        first, colon, last = text.partition(":")
        try:
            bottom = _number(first, names) if first else low
            top = (_number(last, names) if last else high) if colon else bottom
            if not (first or colon) or not low <= bottom <= high or not low <= top <= high:
                raise ValueError
        except ValueError:
            raise _syntax_error(option, f"a number from {low} to {high}, or a range such as {low}:{high}") from None
        if bottom <= top:
            ranges.append((bottom, top))
    return tuple(ranges)


_PORT_TEXTS = {"sport": "the source port is", "dport": "the destination port is"}


def _ports(part: Module) -> list[Match]:
    found: list[Match] = []
    for option in part.options:
        field = option.name.removeprefix("--").removesuffix("s")
        if field in ("sport", "dport"):
            text = f"{_PORT_TEXTS[field]} {'one of ' if ',' in option.value else ''}{option.value}"
            ranges = _numbers(option, 0, 65535, comma=part.name == "multiport", names=PORTS)
            found.append(RangeMatch(field, ranges, option.negated, text))
        elif option.name == "--ports":
            ranges = _numbers(option, 0, 65535, comma=True, names=PORTS)
            found.append(
                EitherPortMatch(ranges, option.negated, f"the source or the destination port is {option.value}")
            )
        elif option.name == "--tcp-flags":
            mask, wanted = (_flag_bits(option, value) for value in option.values)
            text = f"of the flags {option.values[0]} just {option.values[1]} are set"
            found.append(TCPFlagsMatch(mask, wanted, option.negated, text))
        elif option.name == "--syn":
            found.append(TCPFlagsMatch(23, 2, option.negated, "of the flags FIN,SYN,RST,ACK just SYN are set"))
        else:
            found.append(UndecidableMatch(f"-m {part.name} {option.name} {' '.join(option.values)}", option.negated))
    return found


def _flag_bits(option: Option, value: str) -> int:
    try:
        return tcp_flags(value)
    except ValueError:
        raise _syntax_error(option, f"flags out of {', '.join(TCP_FLAGS)}") from None


def _icmp(part: Module) -> list[Match]:
    found: list[Match] = []
    for option in part.options:
        try:
            span = icmp(option.value, ICMPV6_TYPES if part.name == "icmp6" else None)
        except ValueError:
            raise _syntax_error(option, "an ICMP type such as 8, 3/4 or echo-request") from None
        found.append(RangeMatch("icmp_type", (span,), option.negated, f"the ICMP type is {option.value}"))
    return found


def _conntrack(part: Module) -> list[Match]:
    found: list[Match] = []
    for option in part.options:
        text = " ".join(["-m", part.name, option.name, *option.values])
        if option.name in ("--ctstate", "--state"):
            names = option.value.split(",")
            if not {*names} <= {*STATES, "DNAT", "SNAT"}:
                raise _syntax_error(option, f"states out of {', '.join(STATES)}, DNAT, SNAT")
            states = sum(1 << STATES.index(name) for name in {*names} if name in STATES)
            text = f"conntrack's state is {' or '.join(names)}"
            found.append(ConntrackMatch(states, frozenset(names) & {"DNAT", "SNAT"}, option.negated, text))
        elif option.name in ("--ctorigsrc", "--ctorigdst"):
            match = _network("src" if option.name.endswith("src") else "dst", option)
            found.append(NetworkMatch("original " + match.field, match.networks, match.negated, text))
        else:
            found.append(UndecidableMatch(text, option.negated))
    return found


def value_and_mask(option: Option) -> tuple[int, int]:
    """Return mark and mask of `0x4000/0x4000` or `5` (mask 0xffffffff). RuleSyntaxError for any other text."""
    value, slash, mask = option.value.partition("/")
    try:
        pair = int(value, 0), int(mask, 0) if slash else 0xFFFFFFFF
        if not all(0 <= part <= 0xFFFFFFFF for part in pair):
            raise ValueError
        return pair
    except ValueError:
        raise _syntax_error(option, "a mark such as 0x4000/0x4000") from None


def _mark(part: Module) -> list[Match]:
    pairs = [(option, *value_and_mask(option)) for option in part.options]
    if part.name == "mark":
        return [MarkMatch(value, mask, option.negated) for option, value, mask in pairs]
    return [
        ConnmarkMatch(value, mask, option.negated, f"the connection's mark is {option.value}")
        for option, value, mask in pairs
    ]


def _statistic(part: Module) -> list[Match]:
    mode, share, every = (part.option(name) for name in ("--mode", "--probability", "--every"))
    chosen = None if mode is None else share if mode.value == "random" else every
    if mode is None or chosen is None:
        return [UndecidableMatch(f"-m {part}", False)]
    try:
        if chosen is share:
            if not 0 <= float(chosen.value) <= 1:
                raise ValueError
            chance = Fraction(int(float(chosen.value) * HALF + 0.5), HALF)
        else:
            chance = Fraction(1, int(chosen.value, 0))
        return [RandomMatch(Probability(1 - chance if chosen.negated else chance))]
    except (ValueError, ZeroDivisionError):
        raise _syntax_error(share or every or mode, "a probability from 0 to 1, or a number from 1 on") from None


_TYPES = {
    "UNSPEC", "UNICAST", "LOCAL", "BROADCAST", "ANYCAST", "MULTICAST", "BLACKHOLE", "UNREACHABLE", "PROHIBIT", "THROW",
    "NAT", "XRESOLVE",
}  # fmt: skip


def _addrtype(part: Module) -> list[Match]:
    if limit := part.option("--limit-iface-in", "--limit-iface-out"):
        return [UndecidableMatch(f"-m {part}", limit.negated)]
    found: list[Match] = []
    for option in part.options:
        types = frozenset(option.value.split(","))
        if not types <= _TYPES:
            raise _syntax_error(option, f"types out of {', '.join(sorted(_TYPES))}")
        found.append(AddrTypeMatch(option.name[2:5], types, option.negated))
    return found


def _recent(part: Module) -> list[Match]:
    """Return no match for `--set`, which is always true; every other option depends on earlier packets."""
    if part.option("--set"):
        return []
    name = part.option("--name")
    seconds = part.option("--seconds")
    hits = part.option("--hitcount")
    text = f"the list {name.value if name else 'DEFAULT'} holds its address"
    text += f", seen in the last {seconds.value} s" if seconds else ""
    text += f", at least {hits.value} times" if hits else ""
    check = part.option("--rcheck", "--update", "--remove")
    return [UndecidableMatch(text, bool(check and check.negated))]


def _iprange(part: Module) -> list[Match]:
    found: list[Match] = []
    for option in part.options:
        first, _, last = option.value.partition("-")
        try:
            (bits, low), (_, high) = number(first), number(last or first)
        except ValueError:
            raise _syntax_error(option, "a range such as 10.0.0.1-10.0.0.9") from None
        field = option.name[2:5]
        side = "source" if field == "src" else "destination"
        found.append(IPRangeMatch(field, bits, low, high, option.negated, f"the {side} is in {option.value}"))
    return found


def _sizes(part: Module) -> list[Match]:
    """Return the matches of length, ttl and hl: numbers of the packet's header."""
    found: list[Match] = []
    for option in part.options:
        field, top = ("length", 65535) if part.name == "length" else ("ttl", 255)
        if part.name == "length":
            ranges = _numbers(option, 0, top)
        else:
            ((value, _),) = _numbers(option, 0, top) or ((0, 0),)
            ranges = {"-lt": ((0, value - 1),), "-gt": ((value + 1, top),)}.get(option.name[-3:], ((value, value),))
        ranges = tuple((low, high) for low, high in ranges if low <= high)
        found.append(RangeMatch(field, ranges, option.negated, f"-m {part.name} {option.name} {option.value}"))
    return found


def _mac(part: Module) -> list[Match]:
    return [
        NameMatch("source_mac", option.value.lower(), option.negated, f"the source MAC is {option.value.lower()}")
        for option in part.options
    ]


def _owner(part: Module) -> list[Match]:
    found: list[Match] = []
    for option in part.options:
        first, _, last = option.value.partition("-")
        text = f"the sender is {option.name.removeprefix('--').removesuffix('-owner')} {option.value}"
        if option.name == "--uid-owner" and first.isdigit() and (last or first).isdigit():
            found.append(OwnerMatch(int(first), int(last or first), option.negated, text))
        else:
            found.append(UndecidableMatch(text, option.negated))
    return found


_ALWAYS = {"comment", "nfacct"}
_BUILD: dict[str, Callable[[Module], list[Match]]] = {
    **dict.fromkeys(("tcp", "udp", "udplite", "sctp", "dccp", "multiport"), _ports),
    **dict.fromkeys(("icmp", "icmp6"), _icmp), **dict.fromkeys(("conntrack", "state"), _conntrack),
    **dict.fromkeys(("mark", "connmark"), _mark), **dict.fromkeys(("length", "ttl", "hl"), _sizes),
    "statistic": _statistic, "addrtype": _addrtype, "recent": _recent, "iprange": _iprange, "mac": _mac,
    "owner": _owner,
}  # fmt: skip
