"""Find when an action had settled: the last change that it caused."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kanslib.k8s.objects import KubeObject, WatchEvent, is_ready, key_of, leader_in_event

Watches = Mapping[str, Sequence[WatchEvent]]

# the part of an object whose change counts; heartbeats, leases and repeated events do not
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
    """Return the moments (Unix seconds, sorted) at which something changed that a learner can see."""
    moments = _leader_changes(watches.get("events", ()))
    for kind, relevant in _RELEVANT_STATE.items():
        states: dict[tuple[str, str], Any] = {}
        for event in watches.get(kind, ()):
            if event.type == "LIST":
                continue
            key, state = key_of(event.object), relevant(event.object)
            deleted = event.type == "DELETED"
            if deleted or states.get(key) != state:
                moments.append(event.t)
            states[key] = None if deleted else state
    return sorted(moments)


def _leader_changes(events: Sequence[WatchEvent]) -> list[float]:
    """Return when a Service got another leader, or the controller refused an address."""
    moments: list[float] = []
    messages: dict[str, str] = {}
    for event in events:
        if event.type in ("LIST", "DELETED"):
            continue
        if not leader_in_event(event.object) and event.object.get("reason") != "AllocationFailed":
            continue
        subject, message = event.object["involvedObject"].get("uid", ""), event.object["message"]
        if messages.get(subject) != message:
            moments.append(event.t)
        messages[subject] = message
    return moments


def last_change(changed: Sequence[float], end: float, until: float) -> float:
    """Return the last change between the action's `end` and `until` (Unix seconds); `end` when nothing changed."""
    return max((t for t in changed if end <= t < until), default=end)


def settled_after_loss(watches: Watches, node: str, lost: float, until: float) -> float | None:
    """Return when a lost node led no Service, was NotReady, and had no ready endpoint (Unix seconds).

    None when one of these was not so before `until`. `lost`: when it was lost (Unix seconds).
    """
    conditions = [
        _first(watches.get("nodes", ()), lost, until, lambda o: o["metadata"]["name"] == node and not is_ready(o)),
        _endpoints_out(watches.get("endpointslices", ()), node, lost, until),
        _leaders_gone(watches.get("events", ()), node, lost, until),
    ]
    moments = [moment for moment in conditions if moment is not None]
    return max(moments) if len(moments) == len(conditions) else None


def _first(
    events: Sequence[WatchEvent], lost: float, until: float, holds: Callable[[KubeObject], bool]
) -> float | None:
    return next((e.t for e in events if lost <= e.t < until and e.type != "LIST" and holds(e.object)), None)


def _endpoints_out(slices: Sequence[WatchEvent], node: str, lost: float, until: float) -> float | None:
    """Return when the last slice lost its ready endpoints on `node`; `lost` when none had any."""
    ready: dict[tuple[str, str], bool] = {}
    moment = lost
    for event in slices:
        if event.t >= until:
            break
        if event.type == "LIST":
            ready.clear()
            continue
        has_ready = event.type != "DELETED" and any(
            e.get("nodeName") == node and e.get("conditions", {}).get("ready", True)
            for e in event.object.get("endpoints") or []
        )
        if ready.get(key_of(event.object)) and not has_ready and event.t > lost:
            moment = event.t
        ready[key_of(event.object)] = has_ready
    return None if any(ready.values()) else moment


def _leaders_gone(events: Sequence[WatchEvent], node: str, lost: float, until: float) -> float | None:
    """Return when the last Service led by `node` over layer 2 got another leader; `lost` when it led none."""
    leaders: dict[str, tuple[str, float]] = {}
    for event in events:
        if event.t >= until or event.type in ("LIST", "DELETED") or event.object.get("reason") != "nodeAssigned":
            continue
        leaders[event.object["involvedObject"]["name"]] = (leader_in_event(event.object) or "", event.t)
    if any(leader == node for leader, _ in leaders.values()):
        return None
    return max((t for _, t in leaders.values() if t > lost), default=lost)
