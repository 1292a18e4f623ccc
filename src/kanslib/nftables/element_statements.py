"""Read the statements that an element of a set can have, too: counters, limits, and the verdicts of a map (nft(8))."""

from __future__ import annotations

import re
from collections.abc import Callable

from kanslib.i18n import tr, tr_later
from kanslib.nftables.syntax import ConnectionLimit, Counter, Limit, Quota, SideEffect, Verdict
from kanslib.nftables.tokens import Cursor

_UNITS = {"bytes": 1, "kbytes": 1024, "mbytes": 1024**2}
_RATE = re.compile(r"(?P<rate>\d+)/(?P<per>second|minute|hour|day|week)")


def read_verdict(cursor: Cursor) -> Verdict | None:
    """Return a verdict; None where none comes."""
    if kind := cursor.accept("accept", "drop", "continue", "return"):
        return Verdict(kind)
    if kind := cursor.accept("jump", "goto"):
        return Verdict(kind, cursor.word(tr_later("the name of a chain")))
    return None


def read_element_statement(cursor: Cursor) -> Counter | Limit | Quota | ConnectionLimit | SideEffect | None:
    """Return a counter, a limit or `last`; None where none comes, or one with a name."""
    if cursor.is_next(*_READERS) and not cursor.is_next("name", ahead=1):
        return _READERS[cursor.peek().text](cursor)
    return _read_connection_limit(cursor)


def _read_counter(cursor: Cursor) -> Counter:
    cursor.take()
    if not cursor.accept("packets"):
        return Counter()
    packets = cursor.number(tr_later("how many packets"))
    cursor.expect("bytes")
    return Counter(packets, cursor.number(tr_later("how many bytes")))


def _read_limit(cursor: Cursor) -> Limit:
    cursor.take()
    cursor.expect("rate")
    over = bool(cursor.accept("over"))
    rate, per, unit = _read_rate(cursor)
    burst, burst_unit = (5, "packets") if unit == "packets" else (0, "bytes")
    if cursor.accept("burst"):
        burst, burst_unit = cursor.number(tr_later("how many packets or bytes")), cursor.expect("packets", *_UNITS)
    return Limit(rate, per, unit, burst, burst_unit, over)


def _read_rate(cursor: Cursor) -> tuple[int, str, str]:
    """Return a rate: `10/minute`, or `10 mbytes/second`."""
    first = cursor.peek()
    word = cursor.word(tr_later("a rate such as 10/minute"))
    if found := _RATE.fullmatch(word):
        return int(found["rate"]), found["per"], "packets"
    unit, _, per = cursor.peek().text.partition("/")
    if not word.isdecimal() or unit not in _UNITS or not per:
        raise cursor.error_at(first.at, tr("a rate such as 10/minute or 10 mbytes/second"))
    cursor.take()
    return int(word), per, unit


def _read_quota(cursor: Cursor) -> Quota:
    cursor.take()
    over = cursor.accept("over", "until") == "over"
    size = _read_bytes(cursor)
    return Quota(size, _read_bytes(cursor) if cursor.accept("used") else 0, over)


def _read_bytes(cursor: Cursor) -> int:
    count = cursor.number(tr_later("a number"))
    return count * _UNITS[cursor.expect(*_UNITS)]


def _read_connection_limit(cursor: Cursor) -> ConnectionLimit | None:
    if not (cursor.is_next("ct") and cursor.is_next("count", ahead=1)):
        return None
    cursor.take()
    cursor.take()
    over = bool(cursor.accept("over"))
    return ConnectionLimit(cursor.number(tr_later("how many connections")), over)


def _read_last(cursor: Cursor) -> SideEffect:
    cursor.take()
    used = f" used {cursor.word(tr_later('a time, or never'))}" if cursor.accept("used") else ""
    return SideEffect("last", f"last{used}")


_READERS: dict[str, Callable[[Cursor], Counter | Limit | Quota | SideEffect]] = {
    "counter": _read_counter, "limit": _read_limit, "quota": _read_quota, "last": _read_last,
}  # fmt: skip
