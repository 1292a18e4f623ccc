"""Read the statements of a rule: matches, verdicts, and what changes a packet, a set or a counter (nft(8))."""

from __future__ import annotations

import re
from collections.abc import Callable

from kanslib.i18n import tr, tr_later
from kanslib.nftables.element_statements import read_element_statement, read_verdict
from kanslib.nftables.expressions import (
    constant,
    read_constants,
    read_element,
    read_expression,
    read_selector,
    read_set,
    read_value,
)
from kanslib.nftables.names import BIT_FIELDS
from kanslib.nftables.syntax import (
    Assign,
    Binary,
    Ct,
    Expression,
    Extension,
    FlowOffload,
    Interval,
    Log,
    Match,
    Nat,
    NoTrack,
    ObjectReference,
    Payload,
    Prefix,
    Queue,
    Reject,
    SetLiteral,
    SetReference,
    SetUpdate,
    SideEffect,
    Statement,
    SynProxy,
    TProxy,
    UnknownStatement,
    Value,
    VerdictMap,
)
from kanslib.nftables.tokens import Cursor

_COMPARISONS = ("==", "!=", "<", ">", "<=", ">=", "!")
_NAT_FLAGS = ("random", "fully-random", "persistent")
_SELECTED_PORT = re.compile(r"(?P<address>\[[^\]]+\]|[\d.]*):(?P<port>[a-z]\w+)")
# a range that is a network is printed as one: `10.0.0.4-10.0.0.7:80` as `10.0.0.4/30:80`, IPv6 without the brackets
_PORTED = re.compile(
    r"(?:(?P<network>[0-9a-f.:]+)/(?P<length>\d+)|\[(?P<address6>[^\]]+)\](?:-\[(?P<last6>[^\]]+)\])?"
    r"|(?P<address>[^:\[\]]*)):(?P<port>[\d-]+)"
)


def read_statements(cursor: Cursor) -> tuple[Statement, ...]:
    """Return the statements of a rule up to its comment. What is not known is kept as an UnknownStatement."""
    found: list[Statement] = []
    while not cursor.at_end and not (cursor.is_next("comment") and cursor.peek(1).kind == "string"):
        found.append(_read_statement(cursor))
        if cursor.is_next(";"):
            raise cursor.error(tr("one rule on a line"))
    return tuple(found)


def _read_statement(cursor: Cursor) -> Statement:
    reader = _READERS.get(cursor.peek().text) if cursor.peek().kind == "word" else None
    if reader is not None and (statement := reader(cursor)) is not None:
        return statement
    left = _read_left(cursor)
    if left is None:
        return UnknownStatement(cursor.rest())
    if cursor.accept("vmap"):
        return VerdictMap(left, read_set(cursor))
    if cursor.accept("set"):
        return _assignment(cursor, left)
    return _read_match(cursor, left)


def _read_left(cursor: Cursor) -> Expression | None:
    """Return what a statement begins with; None where no known selector comes."""
    known = cursor.is_next("(") or _begins_selector(cursor)
    return read_expression(cursor) if known else None


def _begins_selector(cursor: Cursor) -> bool:
    mark = cursor.mark()
    found = read_selector(cursor) is not None
    cursor.reset(mark)
    return found


def _assignment(cursor: Cursor, target: Expression) -> Statement:
    if isinstance(target, Ct) and target.key in ("helper", "timeout", "expectation"):
        return ObjectReference(f"ct {target.key}", read_expression(cursor))
    return Assign(target, read_expression(cursor))


def _read_match(cursor: Cursor, left: Expression) -> Match:
    operator = cursor.accept(*_COMPARISONS)
    if cursor.is_next("exists", "missing"):
        return Match(left, "==", Value(cursor.take().text))
    right = read_expression(cursor) if _begins_selector(cursor) else read_constants(cursor)
    if cursor.accept("/"):  # `tcp flags syn / fin,syn,rst,ack`
        return Match(Binary("&", left, read_value(cursor)), operator or "==", right)
    if not operator:
        operator = "in" if _is_bits(left) and not isinstance(right, SetLiteral | SetReference) else "=="
    return Match(left, operator, right)


def _is_bits(left: Expression) -> bool:
    if isinstance(left, Ct):
        return ("ct", left.key) in BIT_FIELDS
    return isinstance(left, Payload) and (left.protocol, left.field) in BIT_FIELDS


# ── verdicts ─────────────────────────────────────────────────────────────────────────────────────────────────


def _read_queue(cursor: Cursor) -> Queue:
    cursor.take()
    flags: list[str] = []
    number: Expression | None = None
    if cursor.accept("flags"):
        flags = _read_flags(cursor)
    if cursor.accept("to", "num"):
        number = read_expression(cursor)
    flags += _read_flags(cursor, "bypass", "fanout")
    return Queue(number, tuple(flags))


def _read_flags(cursor: Cursor, *known: str) -> list[str]:
    """Return words with commas between them; with `known`, only these."""
    flags: list[str] = []
    while (not known and not flags) or (known and cursor.is_next(*known)) or (flags and cursor.is_next(",")):
        cursor.accept(",")
        flags.append(cursor.word(tr_later("a flag")))
    return flags


def _read_reject(cursor: Cursor) -> Reject:
    cursor.take()
    if not cursor.accept("with"):
        return Reject()
    kind = cursor.expect("icmp", "icmpv6", "icmpx", "tcp")
    if kind == "tcp":
        cursor.expect("reset")
        return Reject("tcp reset")
    cursor.accept("type", "code")
    return Reject(kind, constant(cursor.word(tr_later("a code such as admin-prohibited"))))


# ── counters, limits, logs ───────────────────────────────────────────────────────────────────────────────────


def _read_limit(cursor: Cursor) -> Statement | None:
    """Return a counter or a limit, with or without a name; None where none comes."""
    if not cursor.is_next("name", ahead=1):
        return read_element_statement(cursor)
    kind = cursor.take().text
    cursor.take()
    return ObjectReference(kind, read_expression(cursor))


def _read_log(cursor: Cursor) -> Log:
    cursor.take()
    options: list[tuple[str, int | str]] = []
    flags: list[str] = []
    while name := cursor.accept("prefix", "level", "group", "snaplen", "queue-threshold", "flags"):
        if name == "flags":  # one word after the other: `flags skuid flags ether`
            flags += _log_flags(cursor)
        else:
            options.append((name, constant(cursor.word(tr_later("the log's {name}"), name=name))))
    return Log((*options, *([("flags", " ".join(flags))] if flags else ())))


def _log_flags(cursor: Cursor) -> list[str]:
    return [cursor.word(tr_later("a flag of log")), *_read_flags(cursor, "sequence", "options")]


# ── what changes a packet ────────────────────────────────────────────────────────────────────────────────────


def _read_nat(cursor: Cursor) -> Nat:
    kind = cursor.take().text
    family = cursor.accept("ip", "ip6")
    if cursor.accept("addr"):  # nft before 1.0 writes what is mapped: `addr . port`
        cursor.expect(".")
        cursor.expect("port")
    is_prefix = cursor.accept("prefix", "interval") == "prefix"
    address = port = None
    if cursor.accept("to"):
        is_prefix = cursor.accept("prefix") == "prefix" or is_prefix
        address, port = _read_target(cursor)
    return Nat(kind, address, port, family, tuple(_read_flags(cursor, *_NAT_FLAGS)), is_prefix)


def _read_tproxy(cursor: Cursor) -> TProxy:
    cursor.take()
    family = cursor.accept("ip", "ip6")
    cursor.expect("to")
    address, port = _read_target(cursor)
    return TProxy(address, port, family)


def _read_target(cursor: Cursor) -> tuple[Expression | None, Expression | None]:
    """Return the address and the port of a translation: `10.0.0.1:80`, `[2001:db8::1]:80`, `:8080`, or expressions."""
    token = cursor.peek()
    found = _PORTED.fullmatch(token.text) if token.kind == "word" else None
    if found:
        cursor.take()
        if found["network"]:
            return Prefix(found["network"], int(found["length"])), _range(found["port"])
        return _ported(found["address6"] or found["address"], found["last6"]), _range(found["port"])
    if token.kind == "word" and (found := _SELECTED_PORT.fullmatch(token.text)):
        cursor.split(found.start("port"))
        cursor.take()
        return _ported(found["address"].strip("[]"), None), read_expression(cursor)
    if token.kind == "word" and token.text.endswith(":") and cursor.peek(1).kind == "string":  # `nft -S`: `:"http"`
        cursor.take()
        return _ported(token.text[:-1].strip("[]"), None), Value(cursor.take().text)
    if token.kind == "word" and token.text == ":":
        cursor.take()
        return None, read_expression(cursor)
    address = read_expression(cursor)
    if cursor.peek().text.startswith(":") and len(cursor.peek().text) > 1:  # `map { … }:tcp dport map { … }`
        cursor.split(1)
    return address, read_expression(cursor) if cursor.accept(":") else None


def _ported(address: str, last: str | None) -> Expression | None:
    if last:
        return Interval(address, last)
    return _range(address) if address else None


def _range(text: str) -> Value | Interval | Prefix:
    first, dash, last = text.partition("-")
    return Interval(constant(first), constant(last)) if dash else Value(constant(first))


def _read_set_update(cursor: Cursor) -> SetUpdate | None:
    if not cursor.peek(1).text.startswith("@"):
        return None
    operation, name = cursor.take().text, cursor.take().text[1:]
    cursor.expect("{")
    element = read_element(cursor)
    cursor.expect("}")
    return SetUpdate(operation, name, element)


def _read_meter(cursor: Cursor) -> SetUpdate:
    """Return `meter NAME size N { … }`, which nft 1.0.8 and later print as `add @NAME { … }`."""
    cursor.take()
    name = cursor.word(tr_later("the name of a meter"))
    if cursor.accept("size"):
        cursor.number(tr_later("how many elements"))
    cursor.expect("{")
    element = read_element(cursor)
    cursor.expect("}")
    return SetUpdate("add" if element.timeout is None else "update", name, element)


def _read_flow(cursor: Cursor) -> FlowOffload:
    cursor.take()
    cursor.expect("add", "offload")
    return FlowOffload(cursor.word(tr_later("a flowtable such as @f")).removeprefix("@"))


def _read_synproxy(cursor: Cursor) -> SynProxy | ObjectReference:
    cursor.take()
    if cursor.accept("name"):
        return ObjectReference("synproxy", read_expression(cursor))
    options = []
    while option := cursor.accept("mss", "wscale", "timestamp", "sack-perm"):
        options.append(f"{option} {cursor.number(tr_later('a number'))}" if option in ("mss", "wscale") else option)
    return SynProxy(tuple(options))


def _read_side_effect(cursor: Cursor) -> SideEffect:
    """Return `dup to 192.0.2.1 device "eth0"`, `fwd to "eth0"` or `reset tcp option sack-perm`."""
    kind = cursor.take().text
    if kind in ("dup", "fwd"):
        words = [cursor.accept("ip", "ip6"), cursor.expect("to"), str(read_expression(cursor))]
        if cursor.accept("device"):
            words += ["device", str(read_expression(cursor))]
    else:
        words = [str(read_expression(cursor))]
    return SideEffect(kind, " ".join(filter(None, (kind, *words))))


def _read_tunnel(cursor: Cursor) -> ObjectReference | None:
    if not cursor.is_next("name", ahead=1):
        return None
    cursor.take()
    cursor.take()
    return ObjectReference("tunnel", read_expression(cursor))


def _read_extension(cursor: Cursor) -> Extension | None:
    if not cursor.is_next("match", "target", ahead=1):
        return None
    cursor.take()
    return Extension(cursor.take().text, cursor.word(tr_later("the name of an extension")))


def _read_notrack(cursor: Cursor) -> NoTrack:
    cursor.take()
    return NoTrack()


_READERS: dict[str, Callable[[Cursor], Statement | None]] = {
    **dict.fromkeys(("accept", "drop", "continue", "return", "jump", "goto"), read_verdict),
    **dict.fromkeys(("dnat", "snat", "masquerade", "redirect"), _read_nat),
    **dict.fromkeys(("add", "update", "delete"), _read_set_update),
    "queue": _read_queue, "reject": _read_reject, "log": _read_log, "tproxy": _read_tproxy,
    **dict.fromkeys(("counter", "limit", "quota", "last", "ct"), _read_limit),
    "xt": _read_extension, "notrack": _read_notrack, "meter": _read_meter, "flow": _read_flow,
    "synproxy": _read_synproxy, "tunnel": _read_tunnel,
    **dict.fromkeys(("dup", "fwd", "reset"), _read_side_effect),
}  # fmt: skip
