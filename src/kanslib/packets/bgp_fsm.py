"""BGP's finite state machine, walked by what was on the wire (RFC 4271, section 8). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from kanslib.packets import bgp
from kanslib.packets.capture import Frame
from kanslib.packets.tcp_stream import Flow, flow_of

IDLE, CONNECT, OPEN_SENT, OPEN_CONFIRM, ESTABLISHED = "Idle", "Connect", "OpenSent", "OpenConfirm", "Established"
STATES = (IDLE, CONNECT, OPEN_SENT, OPEN_CONFIRM, ESTABLISHED)


@dataclass(frozen=True)
class Transition:
    """One event as one side saw it: at `time` (Unix seconds) it went from state `before` to `after`."""

    time: float
    before: str
    event: str
    after: str
    frame: int

    def __str__(self) -> str:
        return f"{self.before} -- {self.event} --> {self.after}"


def walk(frames: Iterable[Frame], me: str, peer: str) -> list[Transition]:
    """Return every event of the connections that `me` opens to `peer` on port 179, in order, with the states it passes.

    Both addresses; the frames of a capture, in order. Messages that change no state are transitions, too.
    """
    kept = [frame for frame in frames if frame.ip and frame.tcp and {frame.ip.src, frame.ip.dst} == {me, peer}]
    messages = {(captured.frame.number, captured.frame.time): [] for captured in bgp.messages(kept)}  # type: ignore[var-annotated]
    for captured in bgp.messages(kept):
        messages[captured.frame.number, captured.frame.time].append(captured)
    steps: list[Transition] = []
    state, flow = IDLE, None
    hold = _Hold()
    # a session that goes on after a pause did not expire in it: the capture has a hole there
    last = {captured.flow: captured.frame.time for group in messages.values() for captured in group}
    for frame in kept:
        expired = last.get(flow.back, frame.time) + hold.agreed if flow else frame.time
        if state == ESTABLISHED and hold.agreed and frame.time > expired:
            steps.append(Transition(expired, state, "hold timer expired", IDLE, 0))
            state = IDLE
        for event, to in _events(frame, me, state, flow, messages.get((frame.number, frame.time), [])):
            if event.startswith("TCP opens"):
                flow, hold = flow_of(frame), _Hold()
            steps.append(Transition(frame.time, state, event, to, frame.number))
            state = to
        for captured in messages.get((frame.number, frame.time), []):
            hold = hold.after(captured.message)
    return steps


@dataclass(frozen=True)
class _Hold:
    """The hold time that two sides agree on: the smaller of what their OPENs say (RFC 4271, section 4.2)."""

    proposed: tuple[int, ...] = ()

    @property
    def agreed(self) -> int:
        return min(self.proposed, default=0) if len(self.proposed) > 1 else 0

    def after(self, message: bgp.Message) -> _Hold:
        return _Hold((*self.proposed, message.hold_time or 0)) if message.type == bgp.OPEN else self


def _events(
    frame: Frame, me: str, state: str, flow: Flow | None, messages: Iterable[bgp.CapturedMessage]
) -> Iterator[tuple[str, str]]:
    """Yield the events that a frame is for one side, each with the state it leads to."""
    tcp, mine = frame.tcp, flow_of(frame)
    if tcp is None or mine is None or bgp.PORT not in (mine.dport, mine.sport):
        return
    if mine.src == me and mine.dport == bgp.PORT and tcp.flags == "S":
        yield "TCP opens (SYN sent)", CONNECT
        return
    if flow is None or mine not in (flow, flow.back):
        return
    is_mine = mine == flow
    for captured in messages:
        state, event = _message(state, captured.message, is_mine)
        yield event, state
    if tcp.flags == "SA" and not is_mine:
        yield "TCP is open (SYN-ACK received)", CONNECT
    if "R" in tcp.flags and state != IDLE:
        yield f"connection reset {'by itself' if is_mine else 'by the peer'}", IDLE
    elif "F" in tcp.flags and state != IDLE:
        yield f"connection closed {'by itself' if is_mine else 'by the peer'}", IDLE


def _message(state: str, message: bgp.Message, is_mine: bool) -> tuple[str, str]:
    event = f"{message.name} {'sent' if is_mine else 'received'}"
    match message.type, is_mine, state:
        case bgp.OPEN, True, "Connect":
            return OPEN_SENT, event
        case bgp.OPEN, False, "OpenSent" | "Connect":
            return OPEN_CONFIRM, event
        case bgp.OPEN, True, "OpenConfirm":  # the peer's OPEN came first
            return OPEN_CONFIRM, event
        case bgp.KEEPALIVE, False, "OpenConfirm":
            return ESTABLISHED, event
        case bgp.NOTIFICATION, _, _:
            return IDLE, f"{event} ({message.reason})"
    return state, event
