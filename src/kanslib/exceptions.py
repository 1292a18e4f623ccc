"""Every error a learner can meet, on one page.

    KanslibError
    ├── NotRecordedError        the recording has no answer to this question
    ├── NotSimulatedError        the twin does not work this out
    ├── NodeDownError           the place asked is down at this moment
    ├── BackendUnavailableError   this world is not to be had here
    ├── ClusterError       the course's own cluster cannot be made, reached or changed
    ├── SettleTimeoutError         an act was done, and what it causes has not come about in time
    ├── UnsupportedError          live cannot answer this here; a recording answers instead
    ├── UnknownNameError        a story, moment, place, kind or Service that does not exist
    └── RecordingError     a recording that is damaged, truncated or too new

Each message names the thing, what was expected, and the next step.
"""

from __future__ import annotations

from collections.abc import Iterable


class KanslibError(Exception):
    """The base of everything kanslib raises on purpose."""


class NotRecordedError(KanslibError):
    """The recording has no answer; says what it has.

    >>> print(NotRecordedError("curl svc9", ["curl svc1", "curl svc2"]))
    not recorded: curl svc9
    recorded here: curl svc1 · curl svc2
    """

    def __init__(self, asked: str, recorded: Iterable[str] = (), hint: str = "", *, also: str = "") -> None:
        known = list(dict.fromkeys(recorded))
        self.asked, self.parts = asked, (asked, known, hint)
        lines = [f"not recorded: {asked}"]
        if known:
            lines.append("recorded here: " + " · ".join(known))
        lines += [line for line in (hint, also) if line]
        super().__init__("\n".join(lines))


class NotSimulatedError(KanslibError):
    """The twin does not work this out; says what it does.

    >>> print(NotSimulatedError("objects of kind Ingress", ["Pod", "Service"]))
    not computed: objects of kind Ingress
    computed here: Pod · Service
    """

    def __init__(self, asked: str, computed: Iterable[str] = (), hint: str = "") -> None:
        self.asked = asked
        lines = [f"not computed: {asked}"]
        known = list(dict.fromkeys(computed))
        if known:
            lines.append("computed here: " + " · ".join(known))
        if hint:
            lines.append(hint)
        super().__init__("\n".join(lines))


class NodeDownError(KanslibError):
    """The place that was asked is down at the clock, in every world."""

    def __init__(self, place: str, since: str, up: Iterable[str]) -> None:
        super().__init__(
            f"{place} is down (since {since}): nothing runs there, so nothing can answer.\n"
            f"places that are up: {' · '.join(up)}"
        )


class BackendUnavailableError(KanslibError):
    """The world that was asked for cannot be had here."""


class UnknownNameError(KanslibError):
    """A name that does not exist, with the ones that do and the nearest of them."""

    def __init__(self, what: str, name: str, known: Iterable[str]) -> None:
        from difflib import get_close_matches

        names = list(known)
        near = get_close_matches(name, names, n=1)
        guess = f" (did you mean {near[0]!r}?)" if near else ""
        super().__init__(f"no {what} named {name!r}{guess}\nknown: {' · '.join(names) or '(none)'}")


class RecordingError(KanslibError):
    """A recording that cannot be trusted; names the file and, where there is one, the line."""

    def __init__(self, file: str, problem: str, line: int | None = None) -> None:
        self.file, self.line, self.problem = file, line, problem
        where = file if line is None else f"{file}, line {line}"
        super().__init__(f"{where}: {problem}")


class ClusterError(KanslibError):
    """The course's own cluster cannot be made, reached or changed; says why and what to do."""


class SettleTimeoutError(KanslibError):
    """An act was done, but what it causes has not come about in time; says what is still missing."""

    def __init__(self, act: str, seconds: float, missing: Iterable[str]) -> None:
        super().__init__(
            f"{act}: not settled after {seconds:.0f} s. Still missing: {'; '.join(missing)}\n"
            "next step: look again with lab.map(), or lab.restore() to undo what was done"
        )


class UnsupportedError(KanslibError):
    """Live cannot answer this here, though the cluster is fine: a tool, a right or an image is missing."""

    def __init__(self, asked: str, reason: str) -> None:
        self.asked, self.reason = asked, reason
        super().__init__(f"live cannot serve here: {asked}\nreason: {reason}\n`kans doctor` lists what would mend it")
