"""Reassemble TCP streams (RFC 9293): bytes in order, each with the frame that brought it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from kanslib.packets.capture import Frame

_HALF, _ALL = 1 << 31, 0xFFFFFFFF
_MAX_WAITING = 1024  # segments that wait for a missing one


class Flow(NamedTuple):
    """One direction of a TCP connection."""

    src: str
    sport: int
    dst: str
    dport: int

    @property
    def back(self) -> Flow:
        """The other direction."""
        return Flow(self.dst, self.dport, self.src, self.sport)

    def __str__(self) -> str:
        return f"{self.src}:{self.sport} > {self.dst}:{self.dport}"


class TCPSegment(NamedTuple):
    """New bytes of a stream and the frame that brought them.

    `lost`: bytes before them that were not captured; `is_truncated`: the frame had more bytes than were captured.
    """

    flow: Flow
    data: bytes
    frame: Frame
    lost: int = 0
    is_truncated: bool = False


@dataclass
class _Direction:
    expected: int
    waiting: dict[int, tuple[bytes, int, Frame]] = field(default_factory=dict)
    hole: int = 0  # bytes behind the snap length


def flow_of(frame: Frame) -> Flow | None:
    """Return the direction of the TCP connection that a frame belongs to; None for a frame without TCP."""
    if frame.ip is None or frame.tcp is None:
        return None
    return Flow(frame.ip.src, frame.tcp.sport, frame.ip.dst, frame.tcp.dport)


def segments(frames: Iterable[Frame]) -> Iterator[TCPSegment]:
    """Yield the payload of every TCP stream in sequence order; retransmitted bytes are left out.

    `frames` are in the order of the capture. Bytes that were not captured (behind the snap length, or in a hole that
    the receiver has acknowledged) are counted as `lost`.
    """
    directions: dict[Flow, _Direction] = {}
    for frame in frames:
        flow, tcp = flow_of(frame), frame.tcp
        if flow is None or tcp is None:
            continue
        if "S" in tcp.flags or flow not in directions:
            directions[flow] = _Direction(tcp.seq + ("S" in tcp.flags) & _ALL)
        if tcp.length:
            directions[flow].waiting.setdefault(tcp.seq, (tcp.payload, tcp.length, frame))
            yield from _in_order(directions[flow], flow)
        other = directions.get(flow.back)
        if "A" in tcp.flags and other and other.waiting:
            yield from _acknowledged(other, flow.back, tcp.ack)


def _distance(one: int, other: int) -> int:
    """Return the distance from `one` to `other` in sequence numbers modulo 2³²; negative where `other` is before."""
    distance = other - one & _ALL
    return distance if distance < _HALF else distance - _ALL - 1


def _in_order(direction: _Direction, flow: Flow, lost: int = 0) -> Iterator[TCPSegment]:
    """Yield the waiting segments that follow without a gap; with too many waiting, give up the missing one."""
    while direction.waiting:
        seq = max(direction.waiting, key=lambda one: _distance(one, direction.expected))
        old = _distance(seq, direction.expected)
        if old < 0 and len(direction.waiting) < _MAX_WAITING:
            return
        data, length, frame = direction.waiting.pop(seq)
        if old >= length:
            continue
        missing, old = max(0, -old), max(0, old)
        direction.expected = seq + length & _ALL
        is_truncated = len(data) < length
        yield TCPSegment(flow, data[old:length], frame, direction.hole + missing + lost, is_truncated)
        direction.hole, lost = max(0, length - max(len(data), old)), 0


def _acknowledged(direction: _Direction, flow: Flow, ack: int) -> Iterator[TCPSegment]:
    """Go on behind a hole in the capture that the receiver has acknowledged."""
    first = max(direction.waiting, key=lambda one: _distance(one, direction.expected))
    missing = _distance(direction.expected, first)
    if missing > 0 and _distance(first, ack) > 0:
        direction.expected = first
        yield from _in_order(direction, flow, missing)
