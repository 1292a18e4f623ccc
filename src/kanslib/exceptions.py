"""Every exception that kanslib raises on purpose. Each message names the thing, what was expected, and the next step.

KanslibError
├── answers
│   ├── NotRecordedError         the recording has no answer to this query
│   ├── NotSimulatedError        the simulator does not model this
│   ├── NotFoundError            what the query is about does not exist now (LookupError)
│   ├── NodeDownError            the node or container is down at this moment
│   ├── UnsupportedError         the live backend lacks a tool, a right or an image
│   └── BackendUnavailableError  the requested backend cannot be used here
├── clusters and files
│   ├── ClusterError             the course's cluster cannot be created, reached or changed
│   ├── SettleTimeoutError       the effects of an action did not appear in time (TimeoutError)
│   └── RecordingError           the recording is damaged, truncated or too new
├── input
│   ├── UnknownNameError         no story, moment, node, kind, chain or Service has this name (LookupError)
│   ├── UnknownAttributeError    a lab or an observation has no attribute of this name (AttributeError)
│   ├── AnswerFormatError        the answer to an exercise has the wrong form (ValueError)
│   ├── ManifestError            the text is no YAML, or no Kubernetes object (ValueError)
│   ├── ConfigurationError       MetalLB rejects this configuration (ValueError)
│   └── RefusedError             a component of the cluster refuses what was asked, in its own words
├── rules
│   ├── DumpError                neither iptables-save nor nft writes such text (ValueError)
│   ├── RuleSyntaxError          a rule cannot be parsed (ValueError)
│   ├── PacketError              no such packet or routing table exists (ValueError)
│   └── TraceError               the rules are circular, too deep, lack a chain, or are of the other family
│       └── TooManyPathsError    a packet has too many paths through the rules
└── packets
    └── MalformedPacketError     a layer of a frame cannot be decoded (ValueError)
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from kanslib.i18n import listed, parted, tr, tr_plural
from kanslib.plain_text import one_line

_PACKAGE = os.path.dirname(__file__) + os.sep


class KanslibError(Exception):
    """The base class of every exception in this module. In a notebook it is shown without the frames of the library."""

    def _render_traceback_(self) -> list[str]:
        """Return what IPython prints in place of a traceback: the message, and of several lines of code the one."""
        import linecache
        import traceback
        from itertools import takewhile

        frames = traceback.extract_tb(self.__traceback__)
        callers = list(takewhile(lambda frame: not frame.filename.startswith(_PACKAGE), frames))
        lines = [f"\x1b[1m{type(self).__name__}\x1b[0m: {self}"]
        if callers and len(linecache.getlines(callers[-1].filename)) > 1:
            lines.append(f"in line {callers[-1].lineno}: {callers[-1].line}")
        return lines


class NotRecordedError(KanslibError):
    """The recording has no answer to a query; the message lists what it has.

    >>> print(NotRecordedError("curl svc9", ["curl svc1", "curl svc2"]))
    not recorded: curl svc9
    recorded here: curl svc1 · curl svc2
    """

    def __init__(self, asked: str, recorded: Iterable[str] = (), hint: str = "", *, also: str = "") -> None:
        known = list(dict.fromkeys(recorded))
        self.asked, self.parts = asked, (asked, known, hint)
        listed = [tr("recorded here: {known}", known=" · ".join(known))] if known else []
        super().__init__(
            "\n".join([tr("not recorded: {asked}", asked=asked), *listed, *(line for line in (hint, also) if line)])
        )


class NotSimulatedError(KanslibError):
    """The simulator does not model this; the message lists what it models.

    >>> print(NotSimulatedError("objects of kind Ingress", ["Pod", "Service"]))
    not simulated: objects of kind Ingress
    simulated here: Pod · Service
    """

    def __init__(self, asked: str, simulated: Iterable[str] = (), hint: str = "") -> None:
        self.asked = asked
        known = list(dict.fromkeys(simulated))
        listed = [tr("simulated here: {known}", known=" · ".join(known))] if known else []
        super().__init__("\n".join([tr("not simulated: {asked}", asked=asked), *listed, *([hint] if hint else [])]))


class NotFoundError(KanslibError, LookupError):
    """What a query is about does not exist now, on any backend; the hint says where or when it does.

    >>> print(NotFoundError("a Service of type NodePort", hint="apply the Services first"))
    not found: a Service of type NodePort
    apply the Services first
    """

    def __init__(self, what: str, hint: str = "") -> None:
        self.what = what
        super().__init__("\n".join([tr("not found: {what}", what=what), *([hint] if hint else [])]))


class NodeDownError(KanslibError):
    """The node or container that a query names is down at the lab's moment."""

    def __init__(self, place: str, since: str, up: Iterable[str]) -> None:
        super().__init__(
            tr(
                "{place} is down (since {since}): nothing runs there, so nothing can answer.\nplaces that are up: {up}",
                place=place,
                since=since,
                up=" · ".join(up),
            )
        )


class UnsupportedError(KanslibError):
    """The live backend cannot answer, though the cluster is fine: a tool, a right or an image is missing."""

    def __init__(self, asked: str, reason: str) -> None:
        self.asked, self.reason = asked, reason
        super().__init__(
            tr(
                "live cannot serve here: {asked}\nreason: {reason}\n`kans doctor` lists what would fix it",
                asked=asked,
                reason=reason,
            )
        )


class BackendUnavailableError(KanslibError):
    """The requested backend cannot be used here."""


class ClusterError(KanslibError):
    """The course's cluster cannot be created, reached or changed; says why and what to do."""


class SettleTimeoutError(KanslibError, TimeoutError):
    """An action was done, but its effects did not appear in time; says what is still missing.

    >>> print(SettleTimeoutError("kill-node", 60, ["myk8s-worker is NotReady"]))
    kill-node: not settled after 60 s. Still missing: myk8s-worker is NotReady
    next step: lab.map() shows the cluster, lab.restore() undoes what was done
    """

    def __init__(self, action: str, seconds: float, missing: Iterable[str]) -> None:
        super().__init__(
            tr(
                "{action}: not settled after {seconds:.0f} s. Still missing: {missing}\nnext step: "
                "lab.map() shows the cluster, lab.restore() undoes what was done",
                action=action,
                seconds=seconds,
                missing=parted(missing),
            )
        )


class RecordingError(KanslibError):
    """A recording cannot be trusted; names the file and, where there are any, the line and the field.

    Both may be anybody's text: the message is one line without control characters.

    >>> print(RecordingError("reads.ndjson", "Expected `int`, got `str`", 2, "rc"))
    reads.ndjson, line 2, field rc: Expected `int`, got `str`
    """

    def __init__(self, file: str, problem: str, line: int | None = None, field: str = "") -> None:
        self.file, self.line, self.field, self.problem = file, line, field, problem
        places = [
            one_line(file, 300),
            *([tr("line {line}", line=line)] if line else []),
            *([tr("field {field}", field=field)] if field else []),
        ]
        super().__init__(one_line(f"{listed(places)}: {problem}", 600))


class UnknownNameError(KanslibError, LookupError):
    """No such name exists; lists the known names and suggests the same name in another namespace, else the nearest.

    >>> print(UnknownNameError("story", "failovr", ["l2", "failover"]))
    no story named 'failovr' (did you mean 'failover'?)
    known: l2 · failover
    >>> print(UnknownNameError("service", "kube-dns", ["kubernetes", "kube-system/kube-dns"]))
    no service named 'kube-dns' (did you mean 'kube-system/kube-dns'?)
    known: kubernetes · kube-system/kube-dns
    """

    def __init__(self, what: str, name: str, known: Iterable[str]) -> None:
        names = list(known)
        bare = name.rpartition("/")[2]
        elsewhere = next((one for one in names if bare and one.rpartition("/")[2] == bare), None)
        guess = " " + tr("(did you mean {name!r}?)", name=elsewhere) if elsewhere else _guess(name, names)
        super().__init__(
            tr(
                "no {what} named {name!r}{guess}\nknown: {names}",
                what=tr(what),
                name=name,
                guess=guess,
                names=" · ".join(names) or tr("(none)"),
            )
        )


class UnknownAttributeError(KanslibError, AttributeError):
    """A lab or an observation has no attribute of this name; suggests the nearest.

    >>> print(UnknownAttributeError("Lab", "pod", ["pods", "pool", "nodes"]))
    Lab has no 'pod' (did you mean 'pods'?)
    dir(…) lists what it has
    """

    def __init__(self, what: str, name: str, known: Iterable[str]) -> None:
        super().__init__(
            tr(
                "{what} has no {name!r}{guess}\ndir(…) lists what it has",
                what=what,
                name=name,
                guess=_guess(name, list(known)),
            ),
            name=name,
        )


def _guess(name: str, known: list[str]) -> str:
    """Return the nearest name as a question; empty where none is near. 12 is no slip for 2."""
    from difflib import get_close_matches

    near = () if name.isdigit() else get_close_matches(name, known, n=1)
    return " " + tr("(did you mean {name!r}?)", name=near[0]) if near else ""


class AnswerFormatError(KanslibError, ValueError):
    """An answer to an exercise has the wrong form; says what was expected."""


class ManifestError(KanslibError, ValueError):
    """A manifest is no YAML, or holds something that is no Kubernetes object."""


class ConfigurationError(KanslibError, ValueError):
    """MetalLB rejects a configuration; says which entry and why, in MetalLB's words."""


class RefusedError(KanslibError):
    """A component of the cluster refuses what was asked: the `component` and its `message`, in its own words.

    >>> print(RefusedError("kube-apiserver", 'namespaces "shop" not found', "apply the Namespace first"))
    kube-apiserver refuses: namespaces "shop" not found
    apply the Namespace first
    """

    def __init__(self, component: str, message: str, hint: str = "") -> None:
        self.component, self.message = component, message
        super().__init__(
            "\n".join(
                [tr("{component} refuses: {message}", component=component, message=message), *([hint] if hint else [])]
            )
        )


class DumpError(KanslibError, ValueError):
    """Neither iptables-save nor nft writes such text: `line`, `column` (from 1), `text`, what was `expected` there."""

    def __init__(self, line: int, column: int, text: str, expected: str) -> None:
        self.line, self.column, self.text, self.expected = line, column, text, expected
        pointer = ""
        if text:
            start = max(0, column - 41)
            shown = "".join(sign if sign.isprintable() else "·" for sign in text[start : start + 80])
            pointer = f"\n  {shown}\n  {' ' * (column - 1 - start)}^"
        super().__init__(
            tr(
                "line {line}, column {column}: expected {expected}{pointer}",
                line=line,
                column=column,
                expected=expected,
                pointer=pointer,
            )
        )


class RuleSyntaxError(KanslibError, ValueError):
    """A rule cannot be parsed: the `column` (from 1), the `text` there, and what was `expected`."""

    def __init__(self, column: int, text: str, expected: str) -> None:
        self.column, self.text, self.expected = column, text, expected
        super().__init__(
            tr("column {column}: {text!r}: expected {expected}", column=column, text=text, expected=expected)
        )


class PacketError(KanslibError, ValueError):
    """No such packet or routing table exists; names the field and what was expected."""


class TraceError(KanslibError):
    """The rules are circular or too deep, lack a chain or a map, or are of the other family; names the line or rule."""


class TooManyPathsError(TraceError):
    """A packet has too many paths; `questions` are those that split them, each with how often, the most first.

    >>> print(TooManyPathsError("192.0.2.7 → 192.0.2.50:443", 100, [("set public holds 192.0.2.7", 64)]))
    192.0.2.7 → 192.0.2.50:443 has more than 100 paths. What is not known splits them:
      set public holds 192.0.2.7 (64 times)
    """

    def __init__(self, packet: str, paths: int, questions: Iterable[tuple[str, int]]) -> None:
        self.paths, self.questions = paths, tuple(questions)
        lines = [
            "  " + tr_plural("{question} ({n} time)", "{question} ({n:,} times)", times, question=question)
            for question, times in self.questions
        ]
        why = tr("What is not known splits them:") if lines else tr("The rules leave much to chance.")
        super().__init__(
            "\n".join(
                [tr("{packet} has more than {paths:,} paths. {why}", packet=packet, paths=paths, why=why), *lines]
            )
        )


class MalformedPacketError(KanslibError, ValueError):
    """A layer of a frame cannot be decoded: which one, and what does not fit.

    >>> print(MalformedPacketError("ARP", "20 bytes, expected 28"))
    ARP: 20 bytes, expected 28
    """

    def __init__(self, layer: str, problem: str) -> None:
        self.layer, self.problem = layer, problem
        super().__init__(f"{layer}: {problem}")


class LeaderDisagreementWarning(UserWarning):
    """The newest leader event names another node than the one that wins the election now."""
