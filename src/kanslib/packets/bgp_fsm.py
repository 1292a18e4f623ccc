"""BGP's finite state machine, derived from what was on the wire (RFC 4271, section 8)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from kanslib.i18n import tr, tr_later
from kanslib.packets import bgp
from kanslib.packets.capture import Frame
from kanslib.packets.tcp_stream import Flow, flow_of

IDLE, CONNECT, OPEN_SENT, OPEN_CONFIRM, ESTABLISHED = "Idle", "Connect", "OpenSent", "OpenConfirm", "Established"
STATES = (IDLE, CONNECT, OPEN_SENT, OPEN_CONFIRM, ESTABLISHED)
_SYN_SENT = tr_later("TCP opens (SYN sent)")


@dataclass(frozen=True)
class Transition:
    """One event of one side: at `time` (Unix seconds) it went from state `before` to `after`.

    `frame` is the number of the frame in the capture; 0 for a timer.
    """

    time: float
    before: str
    event: str
    after: str
    frame: int

    def __str__(self) -> str:
        return f"{self.before} -- {self.event} --> {self.after}"


def transitions(frames: Iterable[Frame], local: str, peer: str) -> list[Transition]:
    """Return every event of the connections that `local` opens to `peer` on port 179, in order, with its states.

    `frames` are those of a capture, in order; `local` and `peer` are IP addresses. Messages that do not change the
    state are transitions too.
    """
    kept = [frame for frame in frames if frame.ip and frame.tcp and {frame.ip.src, frame.ip.dst} == {local, peer}]
    messages: dict[tuple[int, float], list[bgp.CapturedMessage]] = defaultdict(list)
    last: dict[Flow, float] = {}  # a session that goes on after a pause did not expire: the capture has a hole there
    for captured in bgp.messages(kept):
        messages[captured.frame.number, captured.frame.time].append(captured)
        last[captured.flow] = captured.frame.time
    steps: list[Transition] = []
    state, flow = IDLE, None
    hold = _Hold()
    for frame in kept:
        expired = last.get(flow.back, frame.time) + hold.agreed if flow else frame.time
        if state == ESTABLISHED and hold.agreed and frame.time > expired:
            steps.append(Transition(expired, state, tr_later("hold timer expired"), IDLE, 0))
            state = IDLE
        brought = messages[frame.number, frame.time]
        for event, to in _events(frame, local, state, flow, brought):
            if event == _SYN_SENT:
                flow, hold = flow_of(frame), _Hold()
            steps.append(Transition(frame.time, state, event, to, frame.number))
            state = to
        for captured in brought:
            hold = hold.after(captured.message)
    return steps


@dataclass(frozen=True)
class _Hold:
    """The hold time (seconds) that two sides agree on: the smaller one in their OPENs (RFC 4271, section 4.2)."""

    proposed: tuple[int, ...] = ()

    @property
    def agreed(self) -> int:
        return min(self.proposed, default=0) if len(self.proposed) > 1 else 0

    def after(self, message: bgp.Message) -> _Hold:
        return _Hold((*self.proposed, message.hold_time or 0)) if message.type == bgp.OPEN else self


def _events(
    frame: Frame, me: str, state: str, flow: Flow | None, messages: Iterable[bgp.CapturedMessage]
) -> Iterator[tuple[str, str]]:
    """Yield what a frame means for one side: events, each with the state it leads to."""
    tcp, mine = frame.tcp, flow_of(frame)
    if tcp is None or mine is None or bgp.PORT not in (mine.dport, mine.sport):
        return
    if mine.src == me and mine.dport == bgp.PORT and tcp.flags == "S":
        yield _SYN_SENT, CONNECT
        return
    if flow is None or mine not in (flow, flow.back):
        return
    is_mine = mine == flow
    for captured in messages:
        state, event = _message(state, captured.message, is_mine)
        yield event, state
    if tcp.flags == "SA" and not is_mine:
        yield tr_later("TCP is open (SYN-ACK received)"), CONNECT
    if "R" in tcp.flags and state != IDLE:
        yield tr_later("connection reset by itself") if is_mine else tr_later("connection reset by the peer"), IDLE
    elif "F" in tcp.flags and state != IDLE:
        yield tr_later("connection closed by itself") if is_mine else tr_later("connection closed by the peer"), IDLE


def _message(state: str, message: bgp.Message, is_mine: bool) -> tuple[str, str]:
    name = message.name
    event = tr("{message} sent", message=name) if is_mine else tr("{message} received", message=name)
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
