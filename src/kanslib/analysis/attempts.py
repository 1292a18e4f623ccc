"""Read attempts to reach a Service from a client's probes or from a capture, and name the causes of failure. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import NotRequired, TypedDict

from kanslib.analysis.evidence import Evidence
from kanslib.i18n import Words, tr, tr_later
from kanslib.packets.capture import Frame

ANSWER_TIMEOUT_S = 1.0  # in a capture without probes, an attempt without an answer for so long has failed


class Cause(Words):
    """The causes of a failed attempt that can be distinguished."""

    # no machine replied to the client's ARP request
    NO_ARP = tr_later("no ARP answer")
    # the client's packet went to a MAC that is silent: the address has not moved yet
    LEADER_GONE = tr_later("leader gone")
    # the client's packet went to a MAC that is silent, although another one has announced the address
    STALE_NEIGHBOR = tr_later("stale neighbor entry")
    # the router's packet went to a MAC that is silent: the route is still there
    HOP_GONE = tr_later("next hop gone")
    # a live node forwarded the packet to a Pod that is gone
    ENDPOINT_GONE = tr_later("endpoint gone")
    # a live node has no rule yet for a Pod that is ready again
    NOT_BACK = tr_later("endpoint not back")
    # a machine on the path replied that there is no route
    UNREACHABLE = tr_later("unreachable")
    # the other side reset the connection
    REFUSED = tr_later("refused")
    # conntrack has an entry for the client's port, with a Pod that is gone
    REMEMBERED = tr_later("remembered")
    # the capture does not show the cause
    UNKNOWN = tr_later("not known")
    # nothing was captured that could show it
    FAILED = tr_later("failed")


@dataclass(frozen=True)
class Reason:
    """Why an attempt failed: the cause, this case in words, and the evidence."""

    cause: Cause
    text: str
    evidence: tuple[Evidence, ...] = ()

    def __str__(self) -> str:
        return f"{self.cause}: {self.text}"


class ClientError(Enum):
    """What a client's error message alone shows about the path."""

    REFUSED = auto()
    NO_ROUTE = auto()
    UNREACHABLE = auto()
    OTHER = auto()

    @classmethod
    def parse(cls, message: str) -> ClientError:
        """Return what an error message of curl means; it contains libc's text (glibc and musl, strerror).

        >>> ClientError.parse("Failed to connect to 10.0.0.1 port 80: No route to host")
        <ClientError.NO_ROUTE: 2>
        >>> ClientError.parse("Connection timed out after 501 milliseconds")
        <ClientError.OTHER: 4>
        """
        phrases = {
            "refused": cls.REFUSED, "reset": cls.REFUSED, "no route to host": cls.NO_ROUTE,
            "unreachable": cls.UNREACHABLE,
        }  # fmt: skip
        return next((kind for words, kind in phrases.items() if words in message.lower()), cls.OTHER)


@dataclass(frozen=True)
class Attempt:
    """One attempt to connect to a VIP, `at` seconds after the action; the client waited `ms` milliseconds.

    `error`: the client's message; `client_error`: its meaning. `hostname`: the Pod that answered. `port`: the client's.
    `syns`: the frames of its SYN, two where a router forwarded it. `reason`: why it failed.
    """

    at: float
    is_ok: bool
    ms: float = 0.0
    error: str = ""
    client_error: ClientError = ClientError.OTHER
    hostname: str = ""
    port: int | None = None
    syns: tuple[Frame, ...] = ()
    reason: Reason | None = None

    def with_reason(self, reason: Reason) -> Attempt:
        """Return the same attempt with the reason for its failure."""
        return replace(self, reason=reason)


class Probe(TypedDict):
    """A request that a client sent again and again, as a recording has it (docs/recording-format.md).

    `t`: when it began (Unix seconds). `to`: the VIP. `ms`: how long it took. `status`: of HTTP. `hostname`: of the Pod
    that answered. `remote`: the client as the Pod saw it. `error`: curl's words. `port`: the client's. `cause`: why it
    failed, as the simulator knows it.
    """

    t: float
    to: str
    ok: bool
    ms: NotRequired[float]
    status: NotRequired[int]
    hostname: NotRequired[str]
    remote: NotRequired[str]
    error: NotRequired[str]
    port: NotRequired[int]
    cause: NotRequired[str | None]


def attempts_from_probes(probes: Iterable[Probe], frames: Iterable[Frame], vip: str, zero: float) -> list[Attempt]:
    """Return the attempts of a client's probes of a VIP (`t`, `ok`, `ms`, `error`, `hostname`), with their frames.

    `zero`: the moment of the action (Unix seconds). A client sends one request at a time, so a SYN belongs to the
    newest attempt.
    """
    probes_of_vip = sorted((probe for probe in probes if probe["to"] == vip), key=lambda probe: float(probe["t"]))
    moments = [float(probe["t"]) for probe in probes_of_vip]
    syns: dict[int, list[Frame]] = defaultdict(list)
    for frame in frames:
        if frame.tcp and frame.tcp.is_syn and frame.ip and frame.ip.dst == vip:
            index = bisect_right(moments, frame.time) - 1
            if index >= 0:
                syns[index].append(frame)
    return [_attempt(probe, _one_connection(syns[index]), zero) for index, probe in enumerate(probes_of_vip)]


def _attempt(probe: Probe, syns: tuple[Frame, ...], zero: float) -> Attempt:
    error = str(probe.get("error") or "")
    port = syns[0].tcp.sport if syns and syns[0].tcp else probe.get("port")
    return Attempt(
        round(float(probe["t"]) - zero, 6), bool(probe["ok"]), float(probe.get("ms", 0)), error,
        ClientError.parse(error), str(probe.get("hostname") or ""), port, syns, _reported_reason(probe),
    )  # fmt: skip


def _reported_reason(probe: Probe) -> Reason | None:
    """Return the reason that the simulator states with its probes."""
    if not (cause := probe.get("cause")):
        return None
    text = probe.get("error", "")
    return Reason(Cause(cause), text, (Evidence(tr("the simulator"), text),))


def _one_connection(syns: Sequence[Frame]) -> tuple[Frame, ...]:
    """Return the SYNs of the first connection; later ones (of curl between two probes) do not belong to it."""
    ports = [frame.tcp.sport for frame in syns if frame.tcp]
    return tuple(frame for frame, port in zip(syns, ports, strict=True) if port == ports[0])


def attempts_from_capture(frames: Iterable[Frame], vip: str, zero: float) -> list[Attempt]:
    """Return the attempts that a capture shows: each SYN to the VIP, answered by a SYN-ACK or not.

    `zero`: the moment of the action (Unix seconds). A retransmitted SYN (same port and sequence number) belongs to the
    first one. Unanswered SYNs in the last second of the capture are left out: the answer may have come later.

    >>> attempts_from_capture([], "172.18.255.200", 0)
    []
    """
    tries: dict[tuple[str, int, int], list[Frame]] = {}
    answers: dict[tuple[str, int, int], Frame] = {}
    last = zero
    for frame in frames:
        last = max(last, frame.time)
        if frame.ip is None or frame.tcp is None:
            continue
        if frame.tcp.is_syn and frame.ip.dst == vip:
            tries.setdefault((frame.ip.src, frame.tcp.sport, frame.tcp.seq), []).append(frame)
        elif frame.tcp.is_syn_ack and frame.ip.src == vip:
            answers.setdefault((frame.ip.dst, frame.tcp.dport, frame.tcp.ack - 1 & 0xFFFFFFFF), frame)
    found = [
        _captured_attempt(key[1], syns, answers.get(key), zero)
        for key, syns in tries.items()
        if key in answers or last - syns[0].time >= ANSWER_TIMEOUT_S
    ]
    return sorted(found, key=lambda attempt: attempt.at)


def _captured_attempt(port: int, syns: Sequence[Frame], answer: Frame | None, zero: float) -> Attempt:
    start = syns[0].time
    waited = ((answer or syns[-1]).time - start) * 1000
    return Attempt(
        round(start - zero, 6), answer is not None, round(waited, 3), "" if answer else tr("no answer"), port=port,
        syns=tuple(frame for frame in syns if frame.time - start < ANSWER_TIMEOUT_S / 2),
    )  # fmt: skip
