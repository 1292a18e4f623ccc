"""Lines of `kubectl logs --timestamps`: when each was written, several logs merged, JSON as readable text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

_STAMP = re.compile(r"^(?:\[[^\]]+\] )?(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?Z ")
_NOISE = {"ts", "level", "caller", "component", "msg", "branch", "op", "stacktrace", "error"}


def timestamp_of(line: str) -> float | None:
    """Return the timestamp (Unix seconds) of a line of `kubectl logs --timestamps`; None for a line without one.

    >>> timestamp_of('2026-11-23T07:10:10.508964Z {"msg":"hello"}')
    1795417810.508964
    """
    found = _STAMP.match(line)
    if not found:
        return None
    try:
        whole = datetime.fromisoformat(found[1] + "+00:00").timestamp()
    except ValueError:  # the 99th of a month
        return None
    return round(whole + float(found[2] or 0), 6)


def with_timestamps(lines: Iterable[str]) -> Iterator[tuple[float, str]]:
    """Yield each line with its time (Unix seconds); a line without a timestamp has that of the line before it."""
    moment = 0.0
    for line in lines:
        moment = timestamp_of(line) or moment
        yield moment, line


def merge_logs(logs: Mapping[str, str]) -> list[tuple[float, str]]:
    """Return the lines of several Pods' logs (by Pod name) in order of time, each with its time (Unix seconds).

    With more than one Pod each line begins with `[pod/NAME]`, as in `kubectl logs --prefix`.
    """
    lines = [
        (t, (f"[pod/{pod}] " if len(logs) > 1 else "") + line)
        for pod, log in logs.items()
        for t, line in with_timestamps(log.splitlines())
    ]
    return sorted(lines, key=lambda pair: pair[0])


def readable_line(line: str) -> str:
    """Return a JSON log line as its message and its other fields; any other line without its timestamp.

    >>> readable_line('2026-11-23T07:11:46Z {"level":"info","msg":"node event","node event":"NodeLeave"}')
    'node event   node event=NodeLeave'
    """
    body = _STAMP.sub("", line, count=1)
    try:
        entry: Any = json.loads(body)
    except (ValueError, RecursionError):
        return body
    if not isinstance(entry, dict):
        return body
    fields = [
        f"{key}={value if isinstance(value, str) else json.dumps(value)}"
        for key, value in entry.items()
        if key not in _NOISE and value not in ("", None)
    ]
    return "   ".join([str(entry.get("msg", "")), *fields]).strip()
