"""When an act had settled: the moment after which nothing that it causes was still to come."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kanslib.k8s.objects import KubeObject, WatchEvent, is_ready, key_of, leader_in_event

Watches = Mapping[str, Sequence[WatchEvent]]

# what a change has to touch to count: heartbeats, leases and repeated events do not
_RELEVANT_STATE: dict[str, Callable[[KubeObject], Any]] = {
    "nodes": lambda o: (is_ready(o), o["metadata"].get("labels")),
    "services": lambda o: (o.get("spec"), o.get("status")),
    "endpointslices": lambda o: (o.get("endpoints"), o.get("ports")),
    "pods": lambda o: (is_ready(o), o.get("status", {}).get("podIP"), o["metadata"].get("deletionTimestamp")),
    "ipaddresspools": lambda o: o.get("spec"),
    "l2advertisements": lambda o: o.get("spec"),
    "bgppeers": lambda o: o.get("spec"),
    "bgpadvertisements": lambda o: o.get("spec"),
}


def changes(watches: Watches) -> list[float]:
    """The moments (Unix seconds, sorted) at which something changed that a learner would notice."""
    moments = _leader_changes(watches.get("events", ()))
    for kind, telling in _RELEVANT_STATE.items():
        known: dict[tuple[str, str], Any] = {}
        for event in watches.get(kind, ()):
            if event.type == "LIST":
                continue
            key, now = key_of(event.object), telling(event.object)
            gone = event.type == "DELETED"
            if gone or known.get(key) != now:
                moments.append(event.t)
            known[key] = None if gone else now
    return sorted(moments)


def _leader_changes(events: Sequence[WatchEvent]) -> list[float]:
    """When a Service had another leader, or the controller said that it has no address to give."""
    moments: list[float] = []
    said: dict[str, str] = {}
    for event in events:
        if event.type in ("LIST", "DELETED"):
            continue
        if not leader_in_event(event.object) and event.object.get("reason") != "AllocationFailed":
            continue
        subject, message = event.object["involvedObject"].get("uid", ""), event.object["message"]
        if said.get(subject) != message:
            moments.append(event.t)
        said[subject] = message
    return moments


def last_change(changed: Sequence[float], end: float, until: float) -> float:
    """The last change between the act's end and `until`; the act's end when nothing changed."""
    return max((t for t in changed if end <= t < until), default=end)


def settled_after_loss(watches: Watches, node: str, lost: float, until: float) -> float | None:
    """When a lost node had been noticed by all: no leader there, NotReady, its endpoints out of use.

    None when one of them did not happen before `until`.
    """
    conditions = [
        _first(watches.get("nodes", ()), lost, until, lambda o: o["metadata"]["name"] == node and not is_ready(o)),
        _endpoints_out(watches.get("endpointslices", ()), node, lost, until),
        _leaders_gone(watches.get("events", ()), node, lost, until),
    ]
    known = [moment for moment in conditions if moment is not None]
    return max(known) if len(known) == len(conditions) else None


def _first(
    events: Sequence[WatchEvent], lost: float, until: float, holds: Callable[[KubeObject], bool]
) -> float | None:
    return next((e.t for e in events if lost <= e.t < until and e.type != "LIST" and holds(e.object)), None)


def _endpoints_out(slices: Sequence[WatchEvent], node: str, lost: float, until: float) -> float | None:
    """When the last slice stopped offering an endpoint on `node`; `lost` when none ever did."""
    offering: dict[tuple[str, str], bool] = {}
    out = lost
    for event in slices:
        if event.t >= until:
            break
        if event.type == "LIST":
            offering.clear()
            continue
        offers = event.type != "DELETED" and any(
            e.get("nodeName") == node and e.get("conditions", {}).get("ready", True)
            for e in event.object.get("endpoints") or []
        )
        if offering.get(key_of(event.object)) and not offers and event.t > lost:
            out = event.t
        offering[key_of(event.object)] = offers
    return None if any(offering.values()) else out


def _leaders_gone(events: Sequence[WatchEvent], node: str, lost: float, until: float) -> float | None:
    """When the last Service led by `node` over layer 2 had another leader; `lost` when it led none."""
    leader: dict[str, tuple[str, float]] = {}
    for event in events:
        if event.t >= until or event.type in ("LIST", "DELETED") or event.object.get("reason") != "nodeAssigned":
            continue
        leader[event.object["involvedObject"]["name"]] = (leader_in_event(event.object) or "", event.t)
    if any(who == node for who, _ in leader.values()):
        return None
    return max((t for _, t in leader.values() if t > lost), default=lost)
