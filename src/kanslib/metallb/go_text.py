"""Texts as Go reads and prints them: quoted strings, lists and label selectors, durations. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

from kanslib.exceptions import ConfigurationError

_NANOSECONDS = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_PART = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)([^0-9.]*)")


def quoted(text: str) -> str:
    r"""Return a string as `%q` prints it.

    >>> print(quoted('a "b"'))
    "a \"b\""
    """
    return json.dumps(text, ensure_ascii=False)


def quoted_list(texts: Iterable[str]) -> str:
    """Return a list of strings or addresses as `%q` prints it.

    >>> quoted_list(["192.0.2.1", "192.0.2.2"])
    '["192.0.2.1" "192.0.2.2"]'
    """
    return "[" + " ".join(map(quoted, texts)) + "]"


def quoted_number(number: int) -> str:
    """Return a number as `%q` prints it: the character that has this code.

    >>> quoted_number(33)
    "'!'"
    """
    if number == ord("'"):
        return r"'\''"
    if not 0 <= number <= 0x10FFFF:
        return "'\N{REPLACEMENT CHARACTER}'"
    return f"'\\u{number:04x}'" if 0x80 <= number < 0xA1 else repr(chr(number))


def quoted_selector(selector: Mapping[str, Any]) -> str:
    """Return a LabelSelector as `%q` prints the struct.

    >>> quoted_selector({"matchLabels": {"zone": "a"}, "matchExpressions": [{"key": "k", "operator": "Exists"}]})
    '{map["zone":"a"] [{"k" "Exists" []}]}'
    """
    labels = " ".join(f"{quoted(k)}:{quoted(v)}" for k, v in sorted((selector.get("matchLabels") or {}).items()))
    return f"{{map[{labels}] [{' '.join(map(quoted_expression, selector.get('matchExpressions') or []))}]}}"


def selector_value(selector: Mapping[str, Any]) -> str:
    """Return a LabelSelector as `%v` prints the struct.

    >>> selector_value({"matchLabels": {"zone": "a"}})
    '{map[zone:a] []}'
    """
    labels = " ".join(f"{key}:{value}" for key, value in sorted((selector.get("matchLabels") or {}).items()))
    expressions = (
        f"{{{one['key']} {one['operator']} [{' '.join(one.get('values') or [])}]}}"
        for one in selector.get("matchExpressions") or []
    )
    return f"{{map[{labels}] [{' '.join(expressions)}]}}"


def selector_string(selector: Mapping[str, Any]) -> str:
    """Return a LabelSelector as its own String method prints it.

    >>> selector_string({"matchLabels": {"zone": "a"}})
    '&LabelSelector{MatchLabels:map[string]string{zone: a,},MatchExpressions:[]LabelSelectorRequirement{},}'
    """
    labels = "".join(f"{key}: {value}," for key, value in sorted((selector.get("matchLabels") or {}).items()))
    expressions = "".join(
        f"LabelSelectorRequirement{{Key:{one['key']},Operator:{one['operator']},"
        f"Values:[{' '.join(one.get('values') or [])}],}},"
        for one in selector.get("matchExpressions") or []
    )
    parts = f"MatchLabels:map[string]string{{{labels}}},MatchExpressions:[]LabelSelectorRequirement{{{expressions}}},"
    return f"&LabelSelector{{{parts}}}"


def quoted_expression(expression: Mapping[str, Any]) -> str:
    """Return an expression of a LabelSelector as `%q` prints the struct."""
    key, operator = quoted(expression["key"]), quoted(expression["operator"])
    return f"{{{key} {operator} {quoted_list(expression.get('values') or [])}}}"


def nanoseconds(duration: str) -> int:
    """Return a duration such as `1m30s` in nanoseconds (time.ParseDuration). Raises ConfigurationError.

    >>> nanoseconds("1.5s")
    1500000000
    """
    unsigned, total = duration[1:] if duration[:1] in ("-", "+") else duration, 0
    rest = "" if unsigned == "0" else unsigned
    if not unsigned:
        raise ConfigurationError(f"time: invalid duration {quoted(duration)}")
    while rest:
        part = _PART.match(rest)
        if part is None:
            raise ConfigurationError(f"time: invalid duration {quoted(duration)}")
        if not part[2]:
            raise ConfigurationError(f"time: missing unit in duration {quoted(duration)}")
        if part[2] not in _NANOSECONDS:
            raise ConfigurationError(f"time: unknown unit {quoted(part[2])} in duration {quoted(duration)}")
        total, rest = total + int(Fraction(part[1].rstrip(".")) * _NANOSECONDS[part[2]]), rest[part.end() :]
    return -total if duration.startswith("-") else total


def duration_text(nanoseconds: int) -> str:
    """Return a duration as Go prints it (Duration.String).

    >>> [duration_text(one) for one in (2 * 10**9, 90 * 10**9, 1_500_000)]
    ['2s', '1m30s', '1.5ms']
    """
    sign, rest = "-" if nanoseconds < 0 else "", abs(nanoseconds)
    if rest < 10**9:
        unit = next((one for one in ("ms", "µs", "ns") if rest >= _NANOSECONDS[one]), "")
        return f"{sign}{_decimal(rest, _NANOSECONDS[unit])}{unit}" if unit else "0s"
    minutes, seconds = divmod(rest, 60 * 10**9)
    hours, minutes = divmod(minutes, 60)
    larger = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return f"{sign}{larger}{_decimal(seconds, 10**9)}s"


def _decimal(number: int, unit: int) -> str:
    whole, rest = divmod(number, unit)
    return f"{whole}.{str(rest).zfill(len(str(unit)) - 1).rstrip('0')}" if rest else str(whole)
