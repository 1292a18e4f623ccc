"""Build the matches of a rule from its options (iptables-extensions(8), Linux net/netfilter/xt_*.c)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from fractions import Fraction

from kanslib.exceptions import RuleSyntaxError
from kanslib.i18n import listed, tr, tr_later
from kanslib.iptables.match_types import (
    EVERYTHING,
    HEADER,
    AddrTypeMatch,
    BitsMatch,
    ConnectionTest,
    ConnectionTests,
    ConntrackMatch,
    EitherPortMatch,
    FieldMatch,
    FreshMatch,
    LabelMatch,
    MACMatch,
    Match,
    NetworkMatch,
    OutsideMatch,
    OwnerMatch,
    PacketTypeMatch,
    Probability,
    ProtocolMatch,
    ProtocolTest,
    RandomMatch,
    RecentMatch,
    ReversePathMatch,
    SetMatch,
    SocketMatch,
    StateTest,
    StatusTest,
    TupleTest,
)
from kanslib.iptables.names import ICMPV6_TYPES, PORTS, PROTOCOLS, TCP_FLAGS, icmp, tcp_flags
from kanslib.iptables.packet import number
from kanslib.iptables.questions import LINK_TYPES, NO_MSS, STATES, address_number, mac_number, name_ranges
from kanslib.iptables.ranges import YES_NO, Ranges, contains, join, subtract
from kanslib.iptables.syntax import Module, Option, RuleOptions

ALL_BITS = 0xFFFFFFFF
_HALF = 1 << 31  # statistic compares a random number of 31 bits
_NO_NAMES: Mapping[str, int] = {}
_Builder = Callable[[Module], list[Match]]


def matches(body: RuleOptions) -> tuple[Match, ...]:
    """Return the matches of a rule in order, without those that are always true (`comment`, `nfacct`).

    RuleSyntaxError for a wrong value.
    """
    found: list[Match] = []
    for name, field in (("-s", "src"), ("-d", "dst")):
        if option := body.own.get(name):
            found.append(_network(field, option))
    for name, field in (("-i", "in_interface"), ("-o", "out_interface")):
        if option := body.own.get(name):
            found.append(FieldMatch(field, name_ranges(option.value), option.negated))
    if option := body.own.get("-p"):
        found += _protocol(option)
    if option := body.own.get("-f"):
        found.append(OutsideMatch("fragment", tr("the packet {is|is not} a later fragment"), (), option.negated))
    for part in body.matches:
        if not part.known or any(not option.known for option in part.options):
            text = f"-m {part}" if part.name else str(part).strip()
            found.append(OutsideMatch(text, tr("{text} {{matches|does not match}}", text=text), EVERYTHING, False))
        elif part.name not in ALWAYS:
            found += _BUILDERS[part.name](part) if part.name in _BUILDERS else _asked(part)
    return tuple(found)


def _syntax_error(option: Option, expected: str) -> RuleSyntaxError:
    return RuleSyntaxError(option.column, str(option), expected)


def _asked(part: Module) -> list[Match]:
    """Return the match of a module that looks at more than a trace knows: one question for all of its options."""
    single = part.options[0] if len(part.options) == 1 else None
    negated = single is not None and single.negated  # `! --genre Linux`: the statement is the one without the `!`
    text = " ".join(["-m", part.name, single.name, *single.values]) if single else f"-m {part}"
    return [
        OutsideMatch(
            f"-m {part.name}", tr("{text} {{matches|does not match}}", text=text), ASKED.get(part.name, ()), negated
        )
    ]


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
            raise _syntax_error(option, tr("an address or a range, such as 10.0.0.0/8")) from None
        networks.append((bits, value & cover, cover))
    return NetworkMatch(field, tuple(networks), option.negated, option.value)


def _protocol(option: Option) -> list[ProtocolMatch]:
    """Return the match of `-p`, which takes a number or a name, in any case."""
    if option.value.isdecimal() and option.value.isascii():
        value = int(option.value)
    else:
        value = PROTOCOLS.get(option.value.lower(), 256)
    if value > 255:
        raise _syntax_error(option, tr("a protocol: a number up to 255, or a name that IANA has, such as tcp"))
    return [ProtocolMatch(value, option.negated)] if value else []


# ── numbers ──────────────────────────────────────────────────────────────────────────────────────────────────


def _number(text: str, names: Mapping[str, int]) -> int:
    return names[text] if text in names else int(text, 0)


def _numbers(option: Option, low: int, high: int, comma: bool = False, names: Mapping[str, int] = _NO_NAMES) -> Ranges:
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
            raise _syntax_error(
                option, tr("a number from {low} to {high}, or a range such as {low}:{high}", low=low, high=high)
            ) from None
        if bottom <= top:
            ranges.append((bottom, top))
    return join(ranges)


def value_and_mask(option: Option, top: int = ALL_BITS) -> tuple[int, int]:
    """Return value and mask of `0x4000/0x4000` or `5` (mask: all bits). RuleSyntaxError for any other text."""
    value, slash, mask = option.value.partition("/")
    try:
        pair = int(value, 0), int(mask, 0) if slash else top
        if not all(0 <= part <= top for part in pair):
            raise ValueError
        return pair
    except ValueError:
        raise _syntax_error(option, tr("a number or a mark such as 0x4000/0x4000")) from None


def _ports(part: Module) -> list[Match]:
    found: list[Match] = []
    for option in part.options:
        field = option.name.removeprefix("--").removesuffix("s")
        if field in ("sport", "dport"):
            ranges = _numbers(option, 0, 65535, comma=part.name == "multiport", names=PORTS)
            found.append(FieldMatch(field, ranges, option.negated))
        elif option.name == "--ports":
            found.append(EitherPortMatch(_numbers(option, 0, 65535, comma=True, names=PORTS), option.negated))
        elif option.name == "--tcp-flags":
            mask, wanted = (_flag_bits(option, value) for value in option.values)
            found.append(BitsMatch("tcp_flags", mask, wanted, option.negated))
        elif option.name == "--syn":
            found.append(BitsMatch("tcp_flags", 0x17, 0x02, option.negated))
        elif option.name == "--tcp-option":
            found.append(OutsideMatch(f"tcp-option {option.value}", tcp_option_words(option.value), (), option.negated))
        else:
            text = f"-m {part.name} {option.name} {' '.join(option.values)}"
            found.append(
                OutsideMatch(f"-m {part.name}", tr("{text} {{matches|does not match}}", text=text), (), option.negated)
            )
    return found


def tcp_option_words(number_of_option: str) -> str:
    """Return the words of the question whether a packet has a TCP option."""
    return tr("the packet {{has|does not have}} TCP option {number_of_option}", number_of_option=number_of_option)


def _flag_bits(option: Option, value: str) -> int:
    try:
        return tcp_flags(value)
    except ValueError:
        raise _syntax_error(option, tr("flags out of {tcp_flags}", tcp_flags=listed(TCP_FLAGS))) from None


def _icmp(part: Module) -> list[Match]:
    found: list[Match] = []
    for option in part.options:
        try:
            span = icmp(option.value, ICMPV6_TYPES if part.name == "icmp6" else None)
        except ValueError:
            raise _syntax_error(option, tr("an ICMP type such as 8, 3/4 or echo-request")) from None
        found.append(FieldMatch("icmp_type", (span,), option.negated))
    return found


def _sizes(part: Module) -> list[Match]:
    """Return the matches of length, ttl, hl and tcpmss: numbers of the packet's headers."""
    field, top = {"length": ("length", 65535), "tcpmss": ("mss", NO_MSS - 1)}.get(part.name, ("ttl", 255))
    found: list[Match] = []
    for option in part.options:
        ranges = _numbers(option, 0, top)
        if option.name.endswith(("-lt", "-gt")):
            value = ranges[0][0]
            ranges = join([(0, value - 1)] if option.name.endswith("-lt") else [(value + 1, top)])
            ranges = tuple((low, high) for low, high in ranges if low <= high)
        found.append(FieldMatch(field, ranges, option.negated))
    return found


_DSCP_CLASSES = {"BE": 0, "EF": 46} | {f"CS{n}": 8 * n for n in range(8)} | {
    f"AF{n}{drop}": 8 * n + 2 * drop for n in range(1, 5) for drop in range(1, 4)
}  # fmt: skip
_TOS_NAMES = {
    "Minimize-Delay": 16, "Maximize-Throughput": 8, "Maximize-Reliability": 4, "Minimize-Cost": 2, "Normal-Service": 0,
}  # fmt: skip


def dscp(option: Option) -> int:
    """Return a differentiated services code point, given as a number or by the name of its class."""
    try:
        value = _DSCP_CLASSES[option.value.upper()] if option.name.endswith("class") else int(option.value, 0)
        if not 0 <= value <= 63:
            raise ValueError
        return value
    except (ValueError, KeyError):
        raise _syntax_error(option, tr("a code point from 0 to 63, or a class such as EF or AF11")) from None


def tos(option: Option) -> tuple[int, int]:
    """Return value and mask of a TOS octet; a name has the mask 0x3f."""
    return (_TOS_NAMES[option.value], 0x3F) if option.value in _TOS_NAMES else value_and_mask(option, 0xFF)


def _octet(part: Module) -> list[Match]:
    """Return the matches of dscp, tos and ecn: bits of the TOS octet, and of the TCP flags."""
    found: list[Match] = []
    for option in part.options:
        if part.name == "dscp":
            found.append(BitsMatch("tos", 0xFC, dscp(option) << 2, option.negated))
        elif part.name == "tos":
            value, mask = tos(option)
            found.append(BitsMatch("tos", mask, value, option.negated))
        elif option.name == "--ecn-ip-ect":
            ((value, _),) = _numbers(option, 0, 3)
            found.append(BitsMatch("tos", 3, value, option.negated))
        else:
            flag = TCP_FLAGS["CWR" if option.name.endswith("cwr") else "ECE"]
            found.append(BitsMatch("tcp_flags", flag, flag, option.negated))
    return found


def _mark(part: Module) -> list[Match]:
    found: list[Match] = []
    for option in part.options:
        value, mask = value_and_mask(option)
        found.append(BitsMatch(part.name, mask, value, option.negated))
    return found


# ── conntrack ────────────────────────────────────────────────────────────────────────────────────────────────

_STATUSES = frozenset(("NONE", "EXPECTED", "SEEN_REPLY", "ASSURED", "CONFIRMED"))
_LARGE: Ranges = ((0, (1 << 64) - 1),)


def _conntrack(part: Module) -> list[Match]:
    state: StateTest | None = None
    tests: list[ConnectionTests] = []
    for option in part.options:
        if option.name in ("--ctstate", "--state"):
            state = _state(option)
        elif option.name.startswith(("--ctorig", "--ctrepl")):
            tests.append(_tuple_test(option))
        elif option.name == "--ctproto":
            tests += [ProtocolTest(match.protocol, match.negated) for match in _protocol(option)]
        elif option.name == "--ctstatus":
            names = frozenset(option.value.split(","))
            if not names <= _STATUSES:
                raise _syntax_error(option, tr("statuses out of {statuses}", statuses=listed(sorted(_STATUSES))))
            tests.append(StatusTest(names, option.negated))
        else:
            tests.append(_connection_test(option))
    return [ConntrackMatch(state, tuple(tests))]


def _state(option: Option) -> StateTest:
    names = {*option.value.split(",")}
    if not names <= {*STATES, "DNAT", "SNAT"}:
        raise _syntax_error(option, tr("states out of {states}, DNAT, SNAT", states=listed(STATES)))
    states = join((at, at) for at, name in enumerate(STATES) if name in names)
    return StateTest(states, frozenset(names & {"DNAT", "SNAT"}), option.negated)


def _tuple_test(option: Option) -> TupleTest:
    field = option.name[len("--ctorig") :]
    if field.endswith("port"):
        ranges, field = _numbers(option, 0, 65535, names=PORTS), "dport" if field.startswith("dst") else "sport"
    else:
        ranges = join(
            (address_number(bits, value), address_number(bits, value | ((1 << bits) - 1 ^ mask)))
            for bits, value, mask in _network(field, option).networks
        )
    return TupleTest(option.name.startswith("--ctrepl"), field, ranges, option.negated)


def _connection_test(option: Option) -> ConnectionTest:
    """Return the test of `--ctdir` or `--ctexpire`."""
    if option.name == "--ctdir":
        at = int(option.value == "REPLY")
        return ConnectionTest("ctdir", tr("the direction"), ((at, at),), YES_NO, at == 0, option.negated, at == 0)
    words = tr("the seconds until conntrack forgets the connection")
    return ConnectionTest("ctexpire", words, _numbers(option, 0, ALL_BITS), _LARGE, None, option.negated)


def _connbytes(part: Module) -> list[Match]:
    """Return the match of connbytes: a number of bytes or packets that the connection has transferred."""
    option, direction, mode = (part.option(name) for name in ("--connbytes", "--connbytes-dir", "--connbytes-mode"))
    if option is None:
        return _asked(part)
    ranges = _numbers(option, 0, _LARGE[0][1])
    # a first packet counts itself, and nothing has come back (net/netfilter/nf_conntrack_acct.c)
    is_reply, counts_packets = (
        one is not None and one.value == word for one, word in ((direction, "reply"), (mode, "packets"))
    )
    for_new = contains(ranges, 0 if is_reply else 1) if is_reply or counts_packets else None
    unit, side = mode.value if mode else "bytes", direction.value if direction else "both"
    words = tr("the number of {unit} of the connection ({side})", unit=unit, side=side)
    test = ConnectionTest(f"connbytes {words}", words, ranges, _LARGE, for_new, option.negated)
    return [ConntrackMatch(None, (test,))]


def _helper(part: Module) -> list[Match]:
    """Return the match of helper: a connection that a helper expected, so never a new one (xt_helper.c)."""
    found: list[Match] = []
    for option in part.options:
        words = tr("the helper of the connection to which it belongs")
        test = ConnectionTest(
            "helper", words, name_ranges(option.value), ((0, (1 << 128) - 1),), False, option.negated, option.negated
        )
        found.append(ConntrackMatch(None, (test,), untracked=option.negated))
    return found


def _connlimit(part: Module) -> list[Match]:
    """Return the match of connlimit: how many connections an address has, this one included."""
    option = part.option("--connlimit-upto", "--connlimit-above")
    if option is None:
        return _asked(part)
    ((limit, _),) = _numbers(option, 0, ALL_BITS) or ((0, 0),)
    side = "dst" if part.option("--connlimit-daddr") else "src"
    mask = part.option("--connlimit-mask")
    words = tr("the number of connections of")
    if mask:
        words = tr("the number of connections of the /{length} of", length=mask.value)
    wanted: Ranges = ((limit + 1, ALL_BITS + 1),) if option.name.endswith("above") else ((0, limit),)
    domain: Ranges = ((1, ALL_BITS + 1),)
    return [OutsideMatch(f"connlimit {side}", words, (side,), option.negated, side, wanted, domain)]


def _connlabel(part: Module) -> list[Match]:
    option = part.option("--label")
    return [LabelMatch(option.value, part.option("--set") is not None, option.negated)] if option else _asked(part)


# ── addresses, interfaces, senders ───────────────────────────────────────────────────────────────────────────

_TYPES = {
    "UNSPEC", "UNICAST", "LOCAL", "BROADCAST", "ANYCAST", "MULTICAST", "BLACKHOLE", "UNREACHABLE", "PROHIBIT", "THROW",
    "NAT", "XRESOLVE",
}  # fmt: skip


def _addrtype(part: Module) -> list[Match]:
    limit = part.option("--limit-iface-in", "--limit-iface-out")
    field = "" if limit is None else "in_interface" if limit.name.endswith("in") else "out_interface"
    found: list[Match] = []
    for option in part.options:
        if option is limit:
            continue
        types = frozenset(option.value.split(","))
        if not types <= _TYPES:
            raise _syntax_error(option, tr("types out of {types}", types=listed(sorted(_TYPES))))
        found.append(AddrTypeMatch(option.name[2:5], types, field, option.negated))
    return found


def _iprange(part: Module) -> list[Match]:
    found: list[Match] = []
    for option in part.options:
        first, _, last = option.value.partition("-")
        try:
            (bits, low), (last_bits, high) = number(first), number(last or first)
            if bits != last_bits:
                raise ValueError
        except ValueError:
            raise _syntax_error(option, tr("a range such as 10.0.0.1-10.0.0.9")) from None
        ranges = ((address_number(bits, low), address_number(bits, high)),) if low <= high else ()
        found.append(FieldMatch(option.name[2:5], ranges, option.negated))
    return found


def _physdev(part: Module) -> list[Match]:
    """Return the matches of physdev; the number 0 is that of no bridge port (xt_physdev.c)."""
    none: Ranges = ((0, 0),)
    found: list[Match] = []
    for option in part.options:
        if option.name in ("--physdev-in", "--physdev-out"):
            field = option.name[2:].replace("-", "_")
            found.append(FieldMatch(field, subtract(name_ranges(option.value), none), option.negated))
        elif option.name == "--physdev-is-bridged":
            words = tr("the packet {is|is not} bridged, not routed")
            found.append(OutsideMatch("bridged", words, (), option.negated))
        else:
            field = "physdev_" + option.name.removeprefix("--physdev-is-")
            found.append(FieldMatch(field, none, not option.negated))
    return found


def _mac(part: Module) -> list[Match]:
    if any("x" in option.value.lower() for option in part.options):  # masked before it was published
        return _asked(part)
    try:
        return [MACMatch(mac_number(option.value), option.negated) for option in part.options]
    except ValueError:
        raise _syntax_error(part.options[0], tr("a MAC address such as 02:42:ac:12:00:03")) from None


def _owner(part: Module) -> list[Match]:
    tests: list[Match] = []
    for option in part.options:
        if option.name == "--suppl-groups":
            continue
        kind = option.name.removeprefix("--").removesuffix("-owner")
        first, _, last = option.value.partition("-")
        if kind == "socket-exists":
            words = tr("a program of this machine {sent it|did not send it}")
            tests.append(OutsideMatch("socket-exists", words, (), option.negated))
        elif kind in ("uid", "gid") and first.isdigit() and (last or first).isdigit():
            tests.append(FieldMatch(kind, join([(int(first), int(last or first))]), option.negated))
        else:
            words = tr("the sender's {kind} {{is|is not}} {value}", kind=kind, value=option.value)
            tests.append(OutsideMatch(f"owner {kind}", words, (), option.negated))
    return [OwnerMatch(tuple(tests), all(option.negated for option in part.options))]


def _pkttype(part: Module) -> list[Match]:
    found: list[Match] = []
    for option in part.options:
        if option.value not in LINK_TYPES:
            raise _syntax_error(option, tr("one of {link_types}", link_types=listed(LINK_TYPES)))
        found.append(PacketTypeMatch(LINK_TYPES.index(option.value), option.negated))
    return found


def _rpfilter(part: Module) -> list[Match]:
    options = {option.name.removeprefix("--") for option in part.options}
    words = tr("the way back to VALUE {leads|does not lead} through the interface that it came in by")
    return [ReversePathMatch("loose" in options, "accept-local" in options, "invert" in options, words)]


# ── what earlier packets and rules decide ────────────────────────────────────────────────────────────────────


def _set(part: Module) -> list[Match]:
    option = part.option("--match-set")
    if option is None:
        return _asked(part)
    flags = tuple(option.values[1].split(","))
    if not {*flags} <= {"src", "dst"}:
        raise _syntax_error(option, tr("a set and src or dst, such as --match-set allowed src"))
    counters = ("--packets-", "--bytes-", "--return-nomatch")
    further = " ".join(str(other) for other in part.options if other.name.startswith(counters))
    return [SetMatch(option.values[0], flags, option.negated, further)]


def _recent(part: Module) -> list[Match]:
    action = part.option("--set", "--rcheck", "--update", "--remove")
    if action is None:
        return _asked(part)
    name, seconds, hits, mask = (part.option(f"--{word}") for word in ("name", "seconds", "hitcount", "mask"))
    try:
        kept = number(mask.value)[1] if mask else (1 << 128) - 1
        age, count = (int(option.value) if option else 0 for option in (seconds, hits))
    except ValueError:
        raise _syntax_error(action, tr("--mask with an address, --seconds and --hitcount with a number")) from None
    side = "dst" if part.option("--rdest") else "src"
    listed = name.value if name else "DEFAULT"
    same_ttl = part.option("--rttl") is not None
    return [RecentMatch(listed, action.name[2:], side, kept, age, count, same_ttl, action.negated)]


def _statistic(part: Module) -> list[Match]:
    mode, share, every = (part.option(name) for name in ("--mode", "--probability", "--every"))
    chosen = None if mode is None else share if mode.value == "random" else every
    if mode is None or chosen is None:
        return _asked(part)
    try:
        if chosen is share:
            if not 0 <= float(chosen.value) <= 1:
                raise ValueError
            chance = Fraction(int(float(chosen.value) * _HALF + 0.5), _HALF)
        else:
            chance = Fraction(1, int(chosen.value, 0))
        return [RandomMatch(Probability(1 - chance if chosen.negated else chance))]
    except (ValueError, ZeroDivisionError):
        raise _syntax_error(share or every or mode, tr("a probability from 0 to 1, or a number from 1 on")) from None


def _limit(part: Module) -> list[Match]:
    """Return the match of limit, hashlimit or quota: each evaluation uses something up, so each is asked about."""
    option = part.option("--hashlimit-above", "--hashlimit-upto", "--hashlimit", "--limit", "--quota")
    rate = option.value if option else "3/hour"
    words = tr("the {kind} of {rate} {{is not reached|is reached}}", kind=part.name, rate=rate)
    above = option is not None and (option.name == "--hashlimit-above") != option.negated
    return [FreshMatch(words, above)]


def _socket(part: Module) -> list[Match]:
    options = {option.name.removeprefix("--") for option in part.options}
    is_transparent, wildcard = "transparent" in options, "nowildcard" in options
    words = {
        (False, False): tr("a socket with an address of its own {is|is not} open for it"),
        (False, True): tr("a socket {is|is not} open for it"),
        (True, False): tr("a transparent socket with an address of its own {is|is not} open for it"),
        (True, True): tr("a transparent socket {is|is not} open for it"),
    }[is_transparent, wildcard]
    return [SocketMatch(words, wildcard, "restore-skmark" in options)]


# ── modules whose numbers exclude each other ─────────────────────────────────────────────────────────────────

# option → words, the highest number, the fields on which it depends
_NUMBERS: dict[str, tuple[str, int, tuple[str, ...]]] = {
    "--cpu": (tr_later("the processor that handles it"), ALL_BITS, ()),
    "--ahspi": (tr_later("the SPI of its AH"), ALL_BITS, ()),
    "--espspi": (tr_later("the SPI of its ESP"), ALL_BITS, ()),
    "--ipcompspi": (tr_later("the CPI of its IPComp"), ALL_BITS, ()),
    "--fragid": (tr_later("the identification of its fragment header"), ALL_BITS, ()),
    "--rt-type": (tr_later("the type of its routing header"), 255, ()),
    "--mh-type": (tr_later("the type of its mobility header"), 255, ()),
    "--realm": (tr_later("the realm of its route"), ALL_BITS, ("dst",)),
    "--src-group": (tr_later("the group of its input interface"), ALL_BITS, ("in_interface",)),
    "--dst-group": (tr_later("the group of its output interface"), ALL_BITS, ("out_interface",)),
    "--cgroup": (tr_later("the cgroup of its sender"), ALL_BITS, ()),
}


_INTEGER = re.compile(r"[0-9]+|0x[0-9a-fA-F]+")


def _choice(part: Module) -> list[Match]:
    """Return one match for each option that is about one number; for other options, names and masks one question."""
    found: list[Match] = []
    for option in part.options:
        words, top, fields = _NUMBERS.get(option.name, ("", 0, ()))
        parts = option.value.split(":") if words else ["-"]
        if len(parts) > 2 or not all(_INTEGER.fullmatch(text) for text in parts if text):
            return _asked(part)
        ranges = _numbers(option, 0, top)
        found.append(OutsideMatch(option.name[2:], words, fields, option.negated, "", ranges, ((0, top),)))
    return found


ALWAYS = frozenset({"comment", "nfacct"})
_BUILDERS: dict[str, _Builder] = {
    **dict.fromkeys(("tcp", "udp", "udplite", "sctp", "dccp", "multiport"), _ports),
    **dict.fromkeys(("icmp", "icmp6"), _icmp), **dict.fromkeys(("conntrack", "state"), _conntrack),
    **dict.fromkeys(("mark", "connmark"), _mark), **dict.fromkeys(("length", "ttl", "hl", "tcpmss"), _sizes),
    **dict.fromkeys(("dscp", "tos", "ecn"), _octet), **dict.fromkeys(("limit", "hashlimit", "quota"), _limit),
    **dict.fromkeys(("cpu", "ah", "esp", "ipcomp", "frag", "rt", "mh", "realm", "devgroup", "cgroup"), _choice),
    "statistic": _statistic, "addrtype": _addrtype, "recent": _recent, "iprange": _iprange, "mac": _mac,
    "owner": _owner, "physdev": _physdev, "pkttype": _pkttype, "rpfilter": _rpfilter, "set": _set, "socket": _socket,
    "connbytes": _connbytes, "connlabel": _connlabel, "connlimit": _connlimit, "helper": _helper,
}  # fmt: skip
# modules that are asked about as a whole, with the fields of the packet on which their answer depends
ASKED: dict[str, tuple[str, ...]] = {
    "bpf": (*HEADER, "mark"), "u32": HEADER, "cluster": ("src",), "dst": (), "eui64": ("src",), "hbh": (),
    "ipv6header": (), "ipvs": HEADER, "l2tp": (), "osf": ("ttl",), "policy": (), "rateest": (), "srh": (), "string": (),
    "time": (),
}  # fmt: skip
MODELLED = frozenset(_BUILDERS)
