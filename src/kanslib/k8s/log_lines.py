"""Read the lines of any container log, without the prefixes of kubectl, a runtime, Docker or a collector. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import cast

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_PREFIXES = re.compile(
    r"(?:\[(?P<kubectl>[^\]\s]+)\] )?"  # kubectl logs --prefix: [pod/speaker-abcde/speaker]
    r"(?:(?P<stern>[\w.-]*speaker[\w.-]*) (?:› )?[\w.-]+ (?=\{|\d{4}-))?"  # stern: speaker-abcde speaker {…
    r"(?:(?P<time>\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?) )?"
    r"(?:(?P<stream>stdout|stderr) (?P<tag>[FP])\S* ?)?"  # CRI: stdout F …; P is a part of a line
)
_TEXT_KEYS = ("log", "message", "line", "MESSAGE")  # where Docker, Fluent Bit, Loki and journald keep the line
_LAST_SECOND = 253_402_300_799  # 9999-12-31T23:59:59Z, the last one that has a date
_TIME_KEYS = ("time", "@timestamp", "timestamp", "ts")


@dataclass(frozen=True)
class LogLine:
    """A line of a log without its prefixes.

    `number`: from 1. `time`: Unix seconds, of the prefix or else of the line's own `ts`; None if neither is there.
    `pod`: the Pod that a prefix names, or empty.
    """

    number: int
    text: str
    time: float | None = None
    pod: str = ""

    @cached_property
    def fields(self) -> Mapping[str, object]:
        """The fields of a line that is one JSON object; empty for any other."""
        return _json_object(self.text)


def read_lines(text: str) -> Iterator[LogLine]:
    """Yield the lines of a log, with the time and the Pod that their prefixes name.

    Reads `kubectl logs` with and without `--timestamps` and `--prefix`, stern, the CRI format of /var/log/pods (parts
    of a line are joined), Docker's json-file, and collectors' JSON. A time without a zone is taken as UTC.

    >>> [line] = read_lines('2026-11-08T17:06:02.5+09:00 stdout F {"msg":"hello"}')
    >>> line.time, line.text
    (1794125162.5, '{"msg":"hello"}')
    """
    parts: dict[str, str] = {}
    for number, raw in enumerate(text.splitlines(), 1):
        line = _COLOUR.sub("", raw) if "\x1b" in raw else raw
        time, envelope = None, _json_object(line) if line.startswith("{") else {}
        if (inner := _enveloped(envelope)) is not None:
            time, line = _time_in(envelope), inner.rstrip("\n")
        found = cast(re.Match[str], _PREFIXES.match(line))
        stream, body = found["stream"] or "", line[found.end() :]
        if found["tag"] == "P":
            parts[stream] = parts.get(stream, "") + body
            continue
        pod = (found["kubectl"] or found["stern"] or "").removeprefix("pod/").partition("/")[0]
        text = parts.pop(stream, "") + body
        time = _parse_time(found["time"]) or time
        yield LogLine(number, text, time, pod) if time is not None else _timed_by_its_fields(number, text, pod)


def _timed_by_its_fields(number: int, text: str, pod: str) -> LogLine:
    fields = _json_object(text)
    line = LogLine(number, text, _time_in(fields), pod)
    vars(line)["fields"] = fields  # the cached property: JSON is slow to parse, and logs are long
    return line


def by_pod(lines: Iterable[LogLine]) -> dict[str, list[LogLine]]:
    """Return the lines by the Pod that their prefixes name; those without such a prefix under the empty name."""
    found: dict[str, list[LogLine]] = {}
    for line in lines:
        found.setdefault(line.pod, []).append(line)
    return found


def _json_object(text: str) -> Mapping[str, object]:
    try:
        found = json.loads(text) if text.startswith("{") else {}
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _enveloped(fields: Mapping[str, object]) -> str | None:
    """Return the line that a collector's JSON object holds; None for an object that is the line itself."""
    if "msg" in fields:
        return None
    return next((text for key in _TEXT_KEYS if isinstance(text := fields.get(key), str)), None)


def _time_in(fields: Mapping[str, object]) -> float | None:
    for value in (fields.get(key) for key in _TIME_KEYS):
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _LAST_SECOND:
            return float(value)
        if isinstance(value, str) and (time := _parse_time(value)) is not None:
            return time
    return None


def _parse_time(text: str | None) -> float | None:
    """Return Unix seconds of an RFC 3339 time; None for any other text."""
    if not text:
        return None
    try:
        time = datetime.fromisoformat(text.replace(",", "."))
    except ValueError:
        return None
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
