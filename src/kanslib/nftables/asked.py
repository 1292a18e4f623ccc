"""Matches of what a trace asks about: fields of a packet that nobody tells, and what the kernel keeps elsewhere.

A question is about the value: `tcp window < 100` and `tcp window > 200` are never both true. A rule is not met by a
packet without the field, also with `!=` (Linux net/netfilter/nf_tables_core.c, NFT_BREAK).
"""

from __future__ import annotations

from collections.abc import Sequence

from kanslib.iptables import targets
from kanslib.iptables.match_types import (
    EVERYTHING,
    ConnectionTest,
    ConntrackMatch,
    FieldMatch,
    LabelMatch,
    Match,
    OutsideMatch,
    label_subject,
)
from kanslib.iptables.matches import tcp_option_words
from kanslib.iptables.packet import number
from kanslib.iptables.questions import ABSENT, NAME_BYTES, NO_MSS, Subject, address_number, name_ranges
from kanslib.iptables.ranges import YES, Ranges, contains, intersect, join, subtract
from kanslib.nftables.syntax import (
    Binary,
    Ct,
    Expression,
    Fib,
    HeaderOption,
    Inner,
    Interval,
    KernelFact,
    Meta,
    Payload,
    RawPayload,
    Route,
    Socket,
    Value,
)

_FIELDS = Payload | HeaderOption | RawPayload | Inner | KernelFact | Meta | Ct | Fib | Route | Socket
_MANY_BITS = 8  # whose parts are not told one by one
_PRESENT: Ranges = ((0, ABSENT - 1),)
# what every packet has that has the header, or is known of every packet
_ALWAYS_THERE = {"mark", "priority", "cpu", "time", "day", "hour", "nftrace", "random", "cgroup"}
_OPTIONS = {  # the names of nft(8), and those of iptables
    nft: targets.TCP_OPTIONS[iptables]
    for nft, iptables in {
        "maxseg": "mss", "window": "wscale", "sack-perm": "sack-permitted", "sack": "sack", "timestamp": "timestamp",
        "md5sig": "md5",
    }.items()
}  # fmt: skip


def asked_matches(left: Expression, values: Sequence[Expression], negated: bool) -> tuple[Match, ...] | None:
    """Return the match of a field that is asked about; None where its values cannot be told apart."""
    match left:
        case HeaderOption("tcp", "maxseg", "" | "size"):
            found = _ranges(values, "number", NO_MSS)
            if found is None:
                return None
            return (FieldMatch("mss", subtract(((0, NO_MSS - 1),), found) if negated else found, False),)
        case HeaderOption("tcp", name, "") if name in _OPTIONS and len(values) == 1:
            option, is_missing = _OPTIONS[name], (values[0] == Value("missing")) != negated
            return (OutsideMatch(f"tcp-option {option}", tcp_option_words(str(option)), (), is_missing),)
        case Ct("label") if len(values) == 1:
            return (LabelMatch(str(values[0]), False, negated),)
    return _asked(left, values, negated) if isinstance(_field_of(left), _FIELDS) else None


def _field_of(left: Expression) -> Expression:
    """Return the field from which an expression is computed: `ip frag-off & 0x1fff`; any other as it is."""
    return _field_of(left.left) if isinstance(left, Binary) and isinstance(left.right, Value) else left


def _asked(left: Expression, values: Sequence[Expression], negated: bool) -> tuple[Match, ...] | None:
    kind = _kind(values)
    found = _ranges(values, kind, ABSENT)
    if found is None:
        return None
    possible = _numbers_of(left)
    wanted = subtract(possible, found) if negated else intersect(found, join((*possible, (ABSENT, ABSENT)))) or found
    subject = _subject(left, kind)
    if isinstance(_field_of(left), Ct):
        for_new = _of_new_connection(left, wanted)
        test = ConnectionTest(subject.name, subject.words, wanted, subject.domain, for_new, False)
        return (ConntrackMatch(None, (test,)),)
    return (OutsideMatch(subject.name, subject.words, _depends_on(_field_of(left)), False, "", wanted, subject.domain),)


def _subject(left: Expression, kind: str) -> Subject:
    absent = [(ABSENT, ABSENT)] if _may_be_absent(_field_of(left)) else []
    return Subject(f"{kind} {left}", str(left), domain=join((*_numbers_of(left), *absent)))


def _numbers_of(left: Expression) -> Ranges:
    """Return the numbers that a field can have; those of its bits behind a mask are parts of the mask."""
    match left:
        case Binary("&", _, Value(int(mask))) if mask.bit_count() <= _MANY_BITS:
            parts = [0]
            for bit in (1 << place for place in range(mask.bit_length()) if mask >> place & 1):
                parts += [part | bit for part in parts]
            return join((part, part) for part in parts)
        case Binary("&", _, Value(int(mask))):
            return ((0, mask),)
    return _PRESENT


def _may_be_absent(left: Expression) -> bool:
    """Return whether a packet with the header of a field can be without the field."""
    return not isinstance(left, Payload | RawPayload) and not (isinstance(left, Meta) and left.key in _ALWAYS_THERE)


def _depends_on(left: Expression) -> tuple[str, ...]:
    """Return the packet's fields with which the answer changes."""
    match left:
        case Payload(_, field):
            return EVERYTHING if field == "checksum" else ()
        case HeaderOption() | KernelFact() | Inner():
            return ()
        case Meta(key):
            return ("out_interface",) if key.startswith("o") else EVERYTHING if key == "rtclassid" else ()
    return EVERYTHING


def _of_new_connection(left: Expression, wanted: Ranges) -> bool | None:
    """Return the answer for the first packet of a connection; None where that is not known.

    No helper has expected it. It may be counted or not (net.netfilter.nf_conntrack_acct), and nothing has come back.
    """
    match left:
        case Ct("helper"):
            return contains(wanted, ABSENT)
        case Ct("packets" | "bytes", "reply"):
            return contains(wanted, 0)
        case Ct("packets"):
            counted = {contains(wanted, 0), contains(wanted, 1)}
            return counted.pop() if len(counted) == 1 else None
    return None


# ── values ───────────────────────────────────────────────────────────────────────────────────────────────────


def _kind(values: Sequence[Expression]) -> str:
    """Return what values stand for, a key of `questions.FORMS`: numbers, addresses or names."""
    ends = [end for value in values for end in _ends(value) if end not in ("exists", "missing")]
    if not any(isinstance(end, str) for end in ends):
        return "number"
    return "address" if all(_address(end) is not None for end in ends) else "name"


def _ends(value: Expression) -> tuple[int | str, ...]:
    match value:
        case Value(one):
            return (one,)
        case Interval(first, last):
            return first, last
    return ()


def _address(end: int | str) -> int | None:
    try:
        return address_number(*number(end)) if isinstance(end, str) else None
    except ValueError:
        return None


def _ranges(values: Sequence[Expression], kind: str, absent: int) -> Ranges | None:
    found = [_range(value, kind, absent) for value in values]
    return join(one for ranges in found if ranges for one in ranges) if None not in found else None


def _range(value: Expression, kind: str, absent: int) -> Ranges | None:
    """Return the numbers that a value stands for; None where it cannot be compared with others."""
    match value:
        case Value("exists"):
            return ((0, absent - 1),)
        case Value("missing"):
            return ((absent, absent),)
        case Value(str(name)) if kind == "name":
            return name_ranges(name) if len(name.encode()) <= NAME_BYTES and not name.endswith("+") else None
    ends = [_address(end) if kind == "address" else end if isinstance(end, int) else None for end in _ends(value)]
    if not ends or None in ends:
        return None
    numbers = [end for end in ends if end is not None]
    return ((numbers[0], min(numbers[-1], absent - 1)),) if 0 <= numbers[0] <= numbers[-1] else None


# ── what rules set ───────────────────────────────────────────────────────────────────────────────────────────


def settle(target: Expression, value: Expression, words: str) -> targets.Action:
    """Return the action that gives a field a value; `words` say what it does. Behind it the value is known."""
    match target:
        case Ct("label") if isinstance(value, Value):
            return targets.Settle(label_subject(str(value)), YES, words, of_connection=True)
        case Ct("helper"):  # the value is the name of an object, which has that of a helper
            return targets.Settle(_subject(target, "name"), _PRESENT, words, of_connection=True)
    kind = _kind([value])
    found = _range(value, kind, ABSENT)
    if found is None:
        return targets.NoEffect(words)
    return targets.Settle(_subject(target, kind), found, words, isinstance(target, Ct))
