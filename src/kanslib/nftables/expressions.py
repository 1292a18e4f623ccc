"""Read the expressions of a rule: selectors, values, sets, and the operators between them (nft(8))."""

from __future__ import annotations

import re
from collections.abc import Callable

from kanslib.i18n import tr, tr_later
from kanslib.nftables.element_statements import read_element_statement, read_verdict
from kanslib.nftables.names import HEADER_FIELDS, KERNEL_FACTS, META_KEYS, OPTION_FIELDS, OPTION_HEADERS, TUNNELS
from kanslib.nftables.syntax import (
    Binary,
    Concatenation,
    Ct,
    Element,
    Expression,
    Fib,
    Flags,
    Hash,
    HeaderOption,
    Inner,
    Interval,
    KernelFact,
    Lookup,
    Meta,
    NumGen,
    Payload,
    Prefix,
    RawPayload,
    Route,
    SetLiteral,
    SetReference,
    Socket,
    Value,
)
from kanslib.nftables.tokens import Cursor

_NUMBER = re.compile(r"0x[0-9a-f]+|\d+", re.IGNORECASE)
_PREFIX = re.compile(r"(?P<address>[0-9a-f.:]*[.:][0-9a-f.:]*)/(?P<length>\d+)", re.IGNORECASE)
_NUMBERS = re.compile(r"(?P<number>0x[0-9a-f]+)/(?P<length>\d+)", re.IGNORECASE)
_END = r"0x[0-9a-f]+|\d[\d.]*|[0-9a-f]*:[0-9a-f:.]*|\d+[smhdw][\dsmhdw]*"
_INTERVAL = re.compile(rf"(?P<first>{_END})-(?P<last>{_END})", re.IGNORECASE)
_TIME = re.compile(r"(\d+)(ms|[dhms])")
_SECONDS = {"d": 86400, "h": 3600, "m": 60, "s": 1, "ms": 0}
_CT_DIRECTIONS = ("original", "reply")
_FIB_RESULTS = ("oif", "oifname", "type", "check")
_PRECEDENCE = {"|": 1, "^": 2, "&": 3, "<<": 4, ">>": 4}
# rules of iptables are printed with words for operators
_OPERATORS = {**{sign: sign for sign in _PRECEDENCE}, "and": "&", "or": "|", "xor": "^"}


def seconds(text: str) -> int:
    """Return a time as nft prints it, in whole seconds.

    >>> seconds("1h30m"), seconds("59m59s992ms")
    (5400, 3599)
    """
    return sum(int(count) * _SECONDS[unit] for count, unit in _TIME.findall(text))


def constant(word: str) -> int | str:
    """Return a word as a number, where it is one."""
    return int(word, 0) if _NUMBER.fullmatch(word) and not (word[0] == "0" and word.isdigit() and word != "0") else word


def read_expression(cursor: Cursor) -> Expression:
    """Return an expression with its operators, or what a map has for it."""
    found = _read_operators(cursor, read_concatenation(cursor))
    if cursor.accept("map"):
        return Lookup(found, read_set(cursor))
    return found


def read_constants(cursor: Cursor) -> Expression:
    """Return what a field is compared with: a value, or several with operators: `fin | syn`."""
    return _read_operators(cursor, read_value(cursor))


def _read_operators(
    cursor: Cursor, left: Expression, least: int = 0, operand: Callable[[Cursor], Expression] | None = None
) -> Expression:
    """Return an expression with the operators behind it that bind more than `least` (`_PRECEDENCE`).

    `operand` reads what follows an operator; without it a concatenation.
    """
    read = operand or read_concatenation
    while (operator := _next_operator(cursor)) and _PRECEDENCE[operator] > least:
        cursor.take()
        left = Binary(operator, left, _read_operators(cursor, read(cursor), _PRECEDENCE[operator], operand))
    return left


def _next_operator(cursor: Cursor) -> str:
    """Return the operator that comes, or ""; an interface may be called "|": a string is none."""
    token = cursor.peek()
    return "" if token.kind == "string" else _OPERATORS.get(token.text, "")


def read_concatenation(cursor: Cursor) -> Expression:
    """Return an expression, or several with dots between them."""
    parts = [_read_primary(cursor)]
    while cursor.accept("."):
        parts.append(_read_primary(cursor))
    return parts[0] if len(parts) == 1 else Concatenation(tuple(parts))


def _read_primary(cursor: Cursor) -> Expression:
    if cursor.accept("("):
        inner = read_expression(cursor)
        cursor.expect(")")
        return inner
    return read_selector(cursor) or read_value(cursor)


def read_selector(cursor: Cursor) -> Expression | None:
    """Return what a rule asks of a packet; None where no selector comes: in `meta l4proto tcp`, `tcp` is a value."""
    token, following = cursor.peek(), cursor.peek(1)
    if token.kind != "word":
        return None
    name = token.text
    if name in HEADER_FIELDS and following.text in HEADER_FIELDS[name]:
        cursor.take()
        return Payload(name, cursor.take().text)
    if name in OPTION_HEADERS and (following.text in OPTION_HEADERS[name]):  # before the `rt` of a route
        cursor.take()
        return HeaderOption(name, name, cursor.take().text)
    if name in _READERS:
        cursor.take()
        return _READERS[name](cursor)
    if name in META_KEYS and name not in ("length", "protocol", "priority", "random", "time", "hour", "day"):
        cursor.take()
        return Meta(name)
    if (following.text == "option" and name in ("tcp", "ip", "dccp")) or (name == "sctp" and following.text == "chunk"):
        return _read_option(cursor)
    if name in KERNEL_FACTS and (found := KERNEL_FACTS[name].match(cursor.text, token.at)):
        return _read_fact(cursor, found.end())
    if name in TUNNELS and (following.text in HEADER_FIELDS or following.text == "meta"):
        return _read_inner(cursor)
    if name in ("@ll", "@nh", "@th", "@ih") and following.text == ",":  # else a set of that name
        return _read_raw(cursor)
    return None


def _read_option(cursor: Cursor) -> HeaderOption:
    protocol, _, name = cursor.take().text, cursor.take(), cursor.word(tr_later("the name of an option"))
    if name.startswith("@"):  # its kind, first bit and length: `tcp option @255,8,8`
        for _ in range(2):
            name += cursor.expect(",") + cursor.word(tr_later("a number of bits"))
    has_field = cursor.peek().kind == "word" and cursor.peek().text in OPTION_FIELDS and not cursor.is_next("exists")
    return HeaderOption(protocol, name, cursor.take().text if has_field else "")


def _read_fact(cursor: Cursor, end: int) -> KernelFact:
    """Return what the kernel knows of a packet: the words up to a place of the text."""
    words = []
    while not cursor.at_end and cursor.peek().at < end:
        words.append(cursor.take().text)
    return KernelFact(" ".join(words))


def _read_inner(cursor: Cursor) -> Inner:
    tunnel = cursor.take().text
    field = read_selector(cursor)
    if field is None:
        raise cursor.error(tr("a field of the packet in {tunnel}", tunnel=tunnel))
    return Inner(tunnel, field)


def _read_raw(cursor: Cursor) -> RawPayload:
    base = cursor.take().text.removeprefix("@")
    cursor.expect(",")
    offset = cursor.number(tr_later("the first bit"))
    cursor.expect(",")
    return RawPayload(base, offset, cursor.number(tr_later("how many bits")))


def _read_meta(cursor: Cursor) -> Meta:
    return Meta(cursor.word(tr_later("a key of meta, such as mark")))


def _read_ct(cursor: Cursor) -> Ct:
    direction = cursor.accept(*_CT_DIRECTIONS)
    family = cursor.accept("ip", "ip6") if direction else ""
    return Ct(cursor.word(tr_later("a key of ct, such as state")), direction, family)


def _read_fib(cursor: Cursor) -> Fib:
    flags = [cursor.word(tr_later("a field that the routing is asked about"))]
    while cursor.accept("."):
        flags.append(cursor.word(tr_later("a field that the routing is asked about")))
    result = cursor.expect(*_FIB_RESULTS)
    return Fib(tuple(flags), "oif" if result == "check" else result)  # nft 1.1 prints `oif exists` as `check exists`


def _read_route(cursor: Cursor) -> Route:
    family = cursor.accept("ip", "ip6")
    return Route(cursor.word(tr_later("a key of rt, such as nexthop")), family)


def _read_socket(cursor: Cursor) -> Socket:
    key = cursor.word(tr_later("a key of socket, such as transparent"))
    level = f" level {cursor.number(tr_later('a level'))}" if cursor.accept("level") else ""
    return Socket(key + level)


def _read_numgen(cursor: Cursor) -> NumGen:
    mode = cursor.expect("random", "inc")
    cursor.expect("mod")
    modulus = _read_modulus(cursor)
    return NumGen(mode, modulus, cursor.number(tr_later("the first number")) if cursor.accept("offset") else 0)


def _read_modulus(cursor: Cursor) -> int:
    place, modulus = cursor.peek(), cursor.number(tr_later("how many numbers"))
    if modulus < 1:
        raise cursor.error_at(place.at, tr("how many numbers, at least 1"))
    return modulus


def _read_jhash(cursor: Cursor) -> Hash:
    of = read_concatenation(cursor)
    return _read_hash(cursor, "jhash", of)


def _read_symhash(cursor: Cursor) -> Hash:
    return _read_hash(cursor, "symhash", None)


def _read_hash(cursor: Cursor, kind: str, of: Expression | None) -> Hash:
    cursor.expect("mod")
    modulus = _read_modulus(cursor)
    seed = cursor.number(tr_later("the seed")) if cursor.accept("seed") else None
    return Hash(kind, of, modulus, seed, cursor.number(tr_later("the first number")) if cursor.accept("offset") else 0)


_READERS: dict[str, Callable[[Cursor], Expression]] = {
    "meta": _read_meta, "ct": _read_ct, "fib": _read_fib, "rt": _read_route, "socket": _read_socket,
    "numgen": _read_numgen, "jhash": _read_jhash, "symhash": _read_symhash,
}  # fmt: skip


def read_value(cursor: Cursor) -> Expression:
    """Return a constant: a value, an interval, a prefix, several flags, or a set."""
    if cursor.is_next("{"):
        return read_set_literal(cursor)
    token = cursor.peek()
    if token.kind == "word" and token.text.startswith("@"):
        return SetReference(cursor.take().text[1:])
    first = _read_constant(cursor)
    if not isinstance(first, Value):
        return first
    names = [first.value]
    while cursor.is_next(",") and cursor.peek(1).kind in ("word", "string"):
        cursor.take()
        names.append(constant(cursor.take().text))
    return first if len(names) == 1 else Flags(tuple(names))


def _read_constant(cursor: Cursor) -> Value | Interval | Prefix | Flags:
    """Return one value, interval or prefix; `fin|syn` is written as one word by older versions."""
    token = cursor.peek()
    word = cursor.word(tr_later("a value"))
    if token.kind == "string":
        if cursor.is_next("-") and cursor.peek(1).kind == "string":
            cursor.take()
            return Interval(word, cursor.take().text)
        return Value(word)
    if found := _PREFIX.fullmatch(word):
        return Prefix(found["address"], int(found["length"]))
    if found := _NUMBERS.fullmatch(word):
        return numbers_with_prefix(int(found["number"], 0), int(found["length"]))
    if found := _INTERVAL.fullmatch(word):
        return Interval(constant(found["first"]), constant(found["last"]))
    if "|" in word:
        return Flags(tuple(map(constant, word.split("|"))))
    return Value(constant(word))


def numbers_with_prefix(first: int, length: int) -> Interval | Value:
    """Return the numbers of 32 bits that have the first bits of one: `0x00000100/24`.

    nft prints `meta mark & 0xffffff00 == 0x100` so (src/datatype.c, DTYPE_F_PREFIX of mark_type). A number that has
    other bits too stays as it is printed: no mark is equal to it.
    """
    others = (1 << 32 - length) - 1 if 0 <= length <= 32 else first
    return Value(f"{first:#010x}/{length}") if first & others else Interval(first, first | others)


def read_set(cursor: Cursor) -> SetReference | SetLiteral:
    """Return a set: a name after `@`, or elements in braces."""
    if cursor.is_next("{"):
        return read_set_literal(cursor)
    if (colon := cursor.peek().text.find(":")) > 0:  # the port of a translation: `map @backends:8080`
        cursor.split(colon)
    name = cursor.word(tr_later("a set such as @blocked, or { its elements }"))
    return SetReference(name.removeprefix("@"))


def read_set_literal(cursor: Cursor) -> SetLiteral:
    """Return the elements in braces."""
    cursor.expect("{")
    elements: list[Element] = []
    while not cursor.accept("}"):
        elements.append(read_element(cursor))
        if not cursor.is_next("}"):
            cursor.expect(",")
    return SetLiteral(tuple(elements))


def read_element(cursor: Cursor) -> Element:
    """Return an element: its key, its times and comment, its statements, and its data in a map."""
    key = _read_key(cursor)
    timeout = expires = None
    comment = ""
    statements = []
    while True:
        if cursor.accept("timeout"):
            timeout = seconds(cursor.word(tr_later("a time such as 1h30m")))
        elif cursor.accept("expires"):
            expires = seconds(cursor.word(tr_later("a time such as 1h30m")))
        elif cursor.accept("comment"):
            comment = cursor.word(tr_later("a comment in quotes"))
        elif statement := read_element_statement(cursor):
            statements.append(statement)
        else:
            break
    data = (read_verdict(cursor) or _read_key(cursor)) if cursor.accept(":") else None
    return Element(key, data, timeout, expires, comment, tuple(statements))


def _read_key(cursor: Cursor) -> Expression:
    """Return the key or the data of an element: commas end it, so that flags are none."""
    parts = [_read_key_part(cursor)]
    while cursor.accept("."):
        parts.append(_read_key_part(cursor))
    key = parts[0] if len(parts) == 1 else Concatenation(tuple(parts))
    return _read_operators(cursor, key, operand=_read_key_part)  # a comma ends `syn | ack`, too


def _read_key_part(cursor: Cursor) -> Expression:
    selector = read_selector(cursor)
    return selector if selector is not None else _read_constant(cursor)
