"""What a speaker logs about its BGP sessions, from what held when. Pure.

MetalLB v0.14.8 speaker/bgp_controller.go, internal/bgp/native/native.go run and connect; the words of each failure are
those that its sessions logged beside FRR 8.4.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from kanslib.metallb.bgp_sessions import BGPSession, SessionProblem
from kanslib.metallb.go_text import quoted
from kanslib.metallb.peers import Peer
from kanslib.simulator.log_lines import LogValue, log_line

_LONGEST_PAUSE = 120.0  # seconds between two attempts (backoff.go)
# seconds until an attempt has failed: Linux asks three times for a MAC address, MetalLB waits 10 s for a connection
_SECONDS = {SessionProblem.NO_ROUTER: 3.07, SessionProblem.PASSWORD: 10.0}
# FRR sends its OPEN before it judges the other one, so a session comes up and goes down again at once
_NOTIFICATIONS = {
    SessionProblem.BAD_PEER_AS: "got BGP notification code 0x0202 (Bad peer AS)",
    SessionProblem.COLLISION: "got BGP notification code 0x0607 (Connection Collision Resolution)",
}
_HANDSHAKE = 0.001  # seconds


@dataclass(frozen=True)
class SpeakerState:
    """What a speaker's configuration has from a moment on (Unix seconds): the peers, and its sessions by peer.

    `peers` is None while the speaker does not run. `router_asn`: the AS number of the router that it reaches.
    """

    moment: float
    peers: Mapping[str, Peer] | None
    sessions: Mapping[str, BGPSession]
    router_asn: int = 0


@dataclass(frozen=True)
class _Span:
    """A time in which nothing changed for one peer. `peer` is None while the speaker has no session with it."""

    start: float
    end: float
    peer: Peer | None
    session: BGPSession | None
    runs: bool
    is_configured: bool
    router_asn: int


def session_lines(states: Sequence[SpeakerState], until: float) -> list[str]:
    """Return the lines of a log until a moment (Unix seconds), by time.

    `states`: in order of time, none of them after `until`. Peers and sessions that are there from the first one on have
    no line for it; attempts that fail have.
    """
    names = sorted({name for state in states for name in state.sessions})
    lines = [line for name in names for line in _lines_of_peer(_spans(name, states, until))]
    return [text for _, text in sorted(lines)]


def _spans(name: str, states: Sequence[SpeakerState], until: float) -> list[_Span]:
    spans: list[_Span] = []
    for state, end in zip(states, [*(one.moment for one in states[1:]), until], strict=True):
        session, peers = state.sessions.get(name), state.peers or {}
        found = _Span(
            state.moment,
            end,
            peers.get(name) if session else None,
            session,
            state.peers is not None,
            name in peers,
            state.router_asn,
        )
        if spans and (spans[-1].peer, spans[-1].session, spans[-1].runs) == (found.peer, session, found.runs):
            found = replace(found, start=spans.pop().start)
        spans.append(found)
    return spans


def _lines_of_peer(spans: Sequence[_Span]) -> Iterator[tuple[float, str]]:
    for before, span in zip([None, *spans], spans, strict=False):
        if before and span.runs and span.peer != before.peer:
            yield from _changed_peer(before, span)
        if not span.peer or not span.session:
            continue
        was_up = bool(before and before.session and before.session.is_up and before.peer == span.peer)
        if span.session.is_up and before and not was_up:
            yield _up(span.start + _HANDSHAKE, span.peer)
        if not span.session.is_up and was_up:
            yield _down(span.start, span.peer)
        if span.session.problem:
            yield from _attempts(span, span.peer, span.session.problem)


def _changed_peer(before: _Span, span: _Span) -> Iterator[tuple[float, str]]:
    """Yield that a peer went away, that it came, or both where it has other values now (SetConfig, syncPeers)."""
    if before.peer:
        is_filtered = span.is_configured and not span.peer
        line, reason = ("221", "filteredByNodeSelector") if is_filtered else ("102", "removedFromConfig")
        yield _line(
            span.start, f"bgp_controller.go:{line}", "info", event="peerRemoved", peer=before.peer.address,
            reason=reason, msg="peer deconfigured, closing BGP session",
        )  # fmt: skip
    if span.peer:
        yield _line(
            span.start, "bgp_controller.go:229", "info", event="peerAdded", peer=span.peer.address,
            msg="peer configured, starting BGP session",
        )  # fmt: skip


def _attempts(span: _Span, peer: Peer, problem: SessionProblem) -> Iterator[tuple[float, str]]:
    """Yield what the attempts to connect log: after a failure the next one waits 0, 1, 2, 4 … up to 120 s."""
    moment, pause, router = span.start, 0.0, f"{peer.address}:{peer.port}"
    while (moment := moment + _SECONDS.get(problem, 2 * _HANDSHAKE)) < span.end:
        if notification := _NOTIFICATIONS.get(problem):
            yield _up(moment, peer)
            yield _native(
                moment + 0.0002, "429", "error", peer, event="peerNotification", error=notification,
                msg="peer sent notification, closing session",
            )  # fmt: skip
            yield _down(moment + 0.0004, peer)
            moment, pause, error = moment + 2 * _HANDSHAKE, 1.0, f"read OPEN from {quoted(router)}: {notification}"
        else:
            error = _error(peer, problem, router, span.router_asn)
        yield _native(moment, "101", "error", peer, op="connect", error=error, msg="failed to connect to peer")
        moment, pause = moment + pause, min(2 * pause or 1.0, _LONGEST_PAUSE)


def _error(peer: Peer, problem: SessionProblem, router: str, router_asn: int) -> str:
    match problem:
        case SessionProblem.UNEXPECTED_AS:
            return f"unexpected peer ASN {router_asn}, want {peer.asn}"
        case SessionProblem.NO_SOURCE_ADDRESS:
            return f"dial {quoted(router)}: address {quoted(peer.source)} doesn't exist on this host"
        case SessionProblem.NO_ROUTER:
            return f"dial {quoted(router)}: getsockopt: no route to host"
        case SessionProblem.PORT_CLOSED:
            return f"dial {quoted(router)}: getsockopt: connection refused"
        case SessionProblem.PASSWORD:
            return f"dial {quoted(router)}: timeout"
        case _:  # FRR closes the connection of a neighbor that it does not know
            return f"read OPEN from {quoted(router)}: EOF"


def _up(moment: float, peer: Peer) -> tuple[float, str]:
    return _native(moment, "109", "info", peer, event="sessionUp", msg="BGP session established")


def _down(moment: float, peer: Peer) -> tuple[float, str]:
    return _native(moment, "115", "warn", peer, event="sessionDown", msg="BGP session down")


def _native(moment: float, line: str, level: str, peer: Peer, **fields: LogValue) -> tuple[float, str]:
    own: dict[str, LogValue] = {"peer": f"{peer.address}:{peer.port}", "localASN": peer.my_asn, "peerASN": peer.asn}
    return _line(moment, f"native.go:{line}", level, **own, **fields)


def _line(moment: float, caller: str, level: str, **fields: LogValue) -> tuple[float, str]:
    return moment, log_line(moment, caller=caller, level=level, **fields)
