"""Compute which node each viewer took for the leader: speakers, the client's neighbor cache, the API's events. Pure.

MetalLB has no common view: each speaker computes the leader from the members that *it* takes for alive (v0.14.8
speaker/layer2_controller.go ShouldAnnounce). While a network is partitioned, each side has its own leader.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from kanslib.analysis.neighbor_cache import NeighborUpdate
from kanslib.analysis.timeline_events import LeaderEvent, TimelineEvent
from kanslib.i18n import tr_later
from kanslib.k8s.logs import with_timestamps
from kanslib.metallb import election, memberlist

_START_LINE = "MetalLB speaker starting"
API = tr_later("the API's newest event")


@dataclass(frozen=True)
class LeaderView:
    """From `start` to `end` (seconds after the action) `viewer` took `leader` for the leader; empty: no node."""

    viewer: str
    start: float
    end: float
    leader: str


Candidates = Sequence[tuple[float, Sequence[str]]]


def speaker_views(
    node: str, log: str, candidates: Candidates, address: str, zero: float, span: tuple[float, float]
) -> list[LeaderView]:
    """Return whom one speaker took for the leader: the first by hash of the candidates that are alive by its own log.

    `candidates`: which nodes may lead by the API's objects, and since when (Unix seconds, the first one long before).
    `span`: start and end, in seconds after `zero` (Unix seconds).
    """
    history, absences = memberlist.membership_history(log), _absences(log)
    moments = {*(t for t, _ in history), *(t for t, _ in candidates), *(t for absence in absences for t in absence)}
    changes: list[tuple[float, str | None]] = []
    for moment in sorted(moments):
        if any(stopped <= moment < started for stopped, started in absences):
            changes.append((moment - zero, None))
            continue
        since = max((started for _, started in absences if started <= moment), default=float("-inf"))
        alive = next(members for t, members in reversed(history) if t <= moment and (t >= since or not members))
        nodes = [node for node in _candidates_at(candidates, moment) if node in alive]
        changes.append((moment - zero, election.order(nodes, address)[0] if nodes else ""))
    return _views(node, changes, span)


def _absences(log: str) -> list[tuple[float, float]]:
    """Return when a speaker did not run: from its last line to its next start."""
    found, last = [], float("-inf")
    for moment, line in with_timestamps(log.splitlines()):
        if _START_LINE in line:
            found.append((last, moment))
        last = moment
    return found


def _candidates_at(candidates: Candidates, moment: float) -> Sequence[str]:
    return next((nodes for t, nodes in reversed(candidates) if t <= moment), ())


def client_views(
    client: str, updates: Iterable[NeighborUpdate], places: Mapping[str, str], address: str, zero: float,
    span: tuple[float, float],
) -> list[LeaderView]:  # fmt: skip
    """Return whom the client took for the leader, by its neighbor cache. `places`: the place of each MAC."""
    changes = [(one.time - zero, places.get(one.mac, one.mac)) for one in updates if one.address == address]
    return _views(client, changes, span)


def api_views(
    events: Iterable[TimelineEvent], service: str, before: str, span: tuple[float, float]
) -> list[LeaderView]:
    """Return whom the newest leader event named; `before`: whom it named when the span began."""
    changes: list[tuple[float, str | None]] = [(span[0], before)]
    changes += [(one.at, one.node) for one in events if isinstance(one, LeaderEvent) and one.service == service]
    return _views(API, changes, span)


def _views(viewer: str, changes: Sequence[tuple[float, str | None]], span: tuple[float, float]) -> list[LeaderView]:
    """Return changes as views within `span`; a change to None means that the viewer did not run."""
    first, last = span
    out: list[LeaderView] = []
    ends = [*(moment for moment, _ in changes[1:]), last]
    for (moment, leader), end in zip(changes, ends, strict=False):
        start, until = max(moment, first), min(end, last)
        if start >= until or leader is None:
            continue
        if out and out[-1].leader == leader and out[-1].end == start:
            out[-1] = LeaderView(viewer, out[-1].start, until, leader)
        else:
            out.append(LeaderView(viewer, start, until, leader))
    return out


def disagreements(views: Iterable[LeaderView]) -> list[tuple[float, float, dict[str, str]]]:
    """Return the spans in which not all viewers agreed: start, end, and the leader by viewer."""
    known = list(views)
    edges = sorted({edge for one in known for edge in (one.start, one.end)})
    out: list[tuple[float, float, dict[str, str]]] = []
    for start, end in pairwise(edges):
        leaders = {one.viewer: one.leader for one in known if one.start <= start and one.end >= end}
        if len(set(leaders.values())) > 1:
            if out and out[-1][1] == start and out[-1][2] == leaders:
                out[-1] = (out[-1][0], end, leaders)
            else:
                out.append((start, end, leaders))
    return out
