"""Attempts to reach a Service: what the client noted, or what a capture shows, and the frames of each. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kanslib.analysis.evidence import Evidence
from kanslib.analysis.failure_reasons import Reason
from kanslib.packets.capture import Frame
from kanslib.packets.tcp import TCP

ANSWER_TIMEOUT_S = 1.0  # seconds: in a capture alone, an attempt that nobody answered for so long has failed


@dataclass(frozen=True)
class Attempt:
    """One connection to a VIP that was tried `at` seconds after the act. `ms` is how long the client waited.

    `syns` are the frames that carried its SYN: one, or two where a router passed it on. `reason` is why it failed.
    """

    at: float
    is_ok: bool
    ms: float = 0.0
    error: str = ""
    hostname: str = ""
    port: int | None = None
    syns: tuple[Frame, ...] = ()
    reason: Reason | None = None

    def with_reason(self, reason: Reason) -> Attempt:
        """The same attempt, with the reason for its failure."""
        return replace(self, reason=reason)


def _segment(frame: Frame, flags: str) -> TCP | None:
    return frame.tcp if frame.tcp and frame.tcp.flags == flags else None


def attempts_from_probes(
    probes: Iterable[Mapping[str, Any]], frames: Iterable[Frame], vip: str, zero: float
) -> list[Attempt]:
    """The attempts that a client noted (`t`, `ok`, `ms`, `error`, `hostname`), with their frames.

    A client asks a VIP again only when it has an answer or has given up: so a SYN belongs to the newest attempt.
    """
    mine = sorted((probe for probe in probes if probe["to"] == vip), key=lambda probe: float(probe["t"]))
    moments = [float(probe["t"]) for probe in mine]
    syns: dict[int, list[Frame]] = defaultdict(list)
    for frame in frames:
        if _segment(frame, "S") and frame.ip and frame.ip.dst == vip:
            place = bisect_right(moments, frame.time) - 1
            if place >= 0:
                syns[place].append(frame)
    return [
        Attempt(
            round(moment - zero, 6), bool(probe["ok"]), float(probe.get("ms", 0)), str(probe.get("error") or ""),
            str(probe.get("hostname") or ""), _port(first) or probe.get("port"), first, _reported_reason(probe),
        )
        for place, (moment, probe) in enumerate(zip(moments, mine, strict=True))
        for first in (_one_connection(syns[place]),)
    ]  # fmt: skip


def _reported_reason(probe: Mapping[str, Any]) -> Reason | None:
    """The reason that a twin gives with its probes: it knows what it did."""
    if not probe.get("cause"):
        return None
    said = str(probe["error"])
    return Reason(str(probe["cause"]), said, (Evidence("the twin's own account", said),))


def _one_connection(syns: Sequence[Frame]) -> tuple[Frame, ...]:
    """The SYNs of the first connection among these: later ones (a hundred curls between two probes) are others'."""
    ports = [frame.tcp.sport for frame in syns if frame.tcp]
    return tuple(frame for frame, port in zip(syns, ports, strict=True) if port == ports[0])


def _port(syns: Sequence[Frame]) -> int | None:
    return syns[0].tcp.sport if syns and syns[0].tcp else None


def attempts_from_capture(frames: Iterable[Frame], vip: str, zero: float) -> list[Attempt]:
    """The attempts that a capture shows: each SYN to the VIP, answered by a SYN-ACK or not.

    A SYN that is sent again (the same port and sequence number) belongs to its first. What happened in the last second
    of a capture is left out: its answer may have come later.

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
        if _segment(frame, "S") and frame.ip.dst == vip:
            tries.setdefault((frame.ip.src, frame.tcp.sport, frame.tcp.seq), []).append(frame)
        elif _segment(frame, "SA") and frame.ip.src == vip:
            answers.setdefault((frame.ip.dst, frame.tcp.dport, frame.tcp.ack - 1 & 0xFFFFFFFF), frame)
    out = []
    for key, syns in tries.items():
        answer = answers.get(key)
        if answer is None and last - syns[0].time < ANSWER_TIMEOUT_S:
            continue
        waited = ((answer.time if answer else syns[-1].time) - syns[0].time) * 1000
        error = "" if answer else "no answer"
        out.append(
            Attempt(
                round(syns[0].time - zero, 6), answer is not None, round(waited, 3), error, port=key[1],
                syns=tuple(one for one in syns if one.time - syns[0].time < ANSWER_TIMEOUT_S / 2),
            )
        )  # fmt: skip
    return sorted(out, key=lambda attempt: attempt.at)
