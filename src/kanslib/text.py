"""Text that remembers where it comes from, and can be searched from the last act on."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from html import escape
from typing import Any

from kanslib.answer import Provenance

_STAMP = re.compile(r"^(?:\[[^\]]+\] )?(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?Z ")
_NOISE = {"ts", "level", "caller", "component", "msg", "branch", "op", "stacktrace", "error"}


def timestamp_of(line: str) -> float | None:
    """Unix seconds at the start of a line of `kubectl logs --timestamps`; None where there is no timestamp.

    >>> moment_of('2026-11-23T07:10:10.508964Z {"msg":"hello"}')
    1795417810.508964
    """
    found = _STAMP.match(line)
    if not found:
        return None
    whole = datetime.fromisoformat(found[1] + "+00:00").timestamp()
    return round(whole + float(found[2] or 0), 6)


def with_timestamps(lines: Iterable[str]) -> Iterator[tuple[float, str]]:
    """Each line with its moment (Unix seconds); a line without a timestamp belongs to the one before it."""
    moment = 0.0
    for line in lines:
        moment = timestamp_of(line) or moment
        yield moment, line


def merge_logs(logs: Mapping[str, str]) -> list[tuple[float, str]]:
    """The lines of several Pods' logs in order of time, each with its moment; with more than one the Pod in front."""
    lines = [
        (t, (f"[pod/{pod}] " if len(logs) > 1 else "") + line)
        for pod, log in logs.items()
        for t, line in with_timestamps(log.splitlines())
    ]
    return sorted(lines, key=lambda pair: pair[0])


def readable_line(line: str) -> str:
    """A JSON log line as its message and the facts beside it; any other line as it is.

    >>> in_words('2026-11-23T07:11:46Z {"level":"info","msg":"node event","node event":"NodeLeave"}')
    'node event   node event=NodeLeave'
    """
    body = _STAMP.sub("", line, count=1)
    try:
        entry: Any = json.loads(body)
    except ValueError:
        return body
    if not isinstance(entry, dict):
        return body
    facts = [
        f"{key}={value if isinstance(value, str) else json.dumps(value)}"
        for key, value in entry.items()
        if key not in _NOISE and value not in ("", None)
    ]
    return "   ".join([str(entry.get("msg", "")), *facts]).strip()


class Text(str):
    """A `str` with a provenance; what a command printed, or what a log says up to the clock.

    >>> text = Text("one\\ntwo\\nthree", Provenance("recorded", 1795417845.0, "opening", "MetalLB v0.14.8"))
    >>> text.matching("^t").splitlines()
    ['two', 'three']
    """

    provenance: Provenance
    action_time: float | None

    def __new__(cls, content: str, provenance: Provenance, act: float | None = None) -> Text:
        text = super().__new__(cls, content)
        text.provenance = provenance
        text.action_time = act
        return text

    def matching(self, pattern: str, since_action: bool = False) -> Text:
        """The lines in which the regular expression `pattern` is found, as a Text.

        `since_action=True` keeps those from the last act on, writes the seconds since that act in front, and
        shortens JSON log lines to their message and facts. Raises `re.error` for a pattern that is none.
        """
        search = re.compile(pattern).search
        lines = [line for line in self.splitlines() if search(line)]
        if since_action:
            act = self.action_time if self.action_time is not None else float("-inf")
            stamped = [(timestamp_of(line), line) for line in lines]
            lines = [
                f"{moment - act:+8.1f} s  {readable_line(line)}"
                if self.action_time is not None
                else readable_line(line)
                for moment, line in stamped
                if moment is not None and moment >= act
            ]
        return Text("\n".join(lines), self.provenance, self.action_time)

    def section(self, start: str) -> Text:
        """The block of lines that starts with a line matching `start`, up to the next blank line pair or the end."""
        found = re.search(rf"(?ms)^{start}.*?(?=\n\n\n|\Z)", self)
        return Text(found[0].rstrip("\n") if found else "", self.provenance, self.action_time)

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:
        printer.text(f"# {self.provenance}\n{self}")

    def _repr_html_(self) -> str:
        return (
            f'<div class="kans-answer" style="{self.provenance.style}">{self.provenance.html()}'
            '<pre tabindex="0" role="group" aria-label="text" style="margin:.2em 0;white-space:pre;overflow-x:auto">'
            f"{escape(str(self)) or '(nothing)'}</pre></div>"
        )
