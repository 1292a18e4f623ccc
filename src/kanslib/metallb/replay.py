"""Replay MetalLB's controller and speakers over recorded watch streams: addresses, leaders, ServiceL2Status.

The replay does not read its own outcome: what the real controller wrote into a Service's status is not what the
addresses come from, nor do leaders come from events or from ServiceL2Status. Those are what it is compared with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kanslib.k8s.endpoints import slices_of
from kanslib.k8s.objects import (
    KubeObject,
    Store,
    WatchEvent,
    external_addresses,
    key_of,
    leader_in_event,
    qualified_name,
)
from kanslib.metallb import allocation, election
from kanslib.metallb.config import pool_of, pools

Watches = Callable[[str], Sequence[WatchEvent]]  # a kind's watch stream, in order of time
Memberships = Sequence[
    tuple[float, frozenset[str]]
]  # from a moment on (Unix seconds) these speakers were thought alive

CONFIG = ("nodes", "namespaces", "ipaddresspools", "l2advertisements", "bgpadvertisements")


@dataclass(frozen=True)
class AddressChange:
    """From `t` on a Service (`namespace/name`) has these addresses."""

    t: float
    service: str
    ips: tuple[str, ...]


@dataclass(frozen=True)
class LeaderChange:
    """From `t` on a node leads a Service (None: nobody), and its ServiceL2Status names `noted` (None: no node)."""

    t: float
    service: str
    leader: str | None
    status_node: str | None


def merge_watches(watches: Watches, kinds: Sequence[str]) -> Iterator[tuple[str, WatchEvent]]:
    """Yield the watch streams of several kinds as one, in order of time."""
    together = [
        (event.t, rank, place, kind, event)
        for rank, kind in enumerate(kinds)
        for place, event in enumerate(watches(kind))
    ]
    for _, _, _, kind, event in sorted(together, key=lambda row: row[:3]):
        yield kind, event


# ── the controller ───────────────────────────────────────────────────────────────────────────────────────


@dataclass
class ReplayedController:
    """MetalLB's controller while it works through a stream: the addresses of Services, and its events about them."""

    store: Store = field(default_factory=Store)
    allocator: allocation.Allocator = field(default_factory=allocation.Allocator)
    status: dict[str, tuple[str, ...]] = field(default_factory=dict)
    history: list[AddressChange] = field(default_factory=list)
    events: dict[str, list[allocation.EventMessage]] = field(default_factory=dict)  # by the Service's uid

    def take(self, kind: str, event: WatchEvent) -> None:
        """Take one change of the API, and reconcile as the controller does."""
        self.store.apply(kind, event)
        if event.type == "LIST":
            self.allocator, self.status = allocation.Allocator(), {}
        elif kind == "services":
            self._service(event)
        elif kind != "nodes":
            self.allocator.set_pools(pools(self.store.objects))
            self._all(event.t)

    def _service(self, event: WatchEvent) -> None:
        key = allocation.key_of_service(event.object)
        if event.type != "DELETED":
            return self._converge(event.t, event.object)
        self.status.pop(key, None)
        self.history.append(AddressChange(event.t, key, ()))
        if self.allocator.release(key):
            self._all(event.t)
        return None

    def _all(self, t: float) -> None:
        for service in self.store.objects("services"):
            self._converge(t, service)

    def _converge(self, t: float, service: KubeObject) -> None:
        key = allocation.key_of_service(service)
        before = self.status.get(key, ())
        decision = self.allocator.converge(with_addresses(service, before))
        self.events.setdefault(service["metadata"]["uid"], []).extend(decision.events)
        if decision.ips != before:
            self.status[key] = decision.ips
            self.history.append(AddressChange(t, key, decision.ips))
        if decision.released:
            self._all(t)


def with_addresses(service: KubeObject, ips: Sequence[str]) -> KubeObject:
    """Return the Service with these addresses in its status, whatever stood there."""
    status: dict[str, Any] = {"loadBalancer": {"ingress": [{"ip": ip} for ip in ips]} if ips else {}}
    return {**service, "status": status}


def addresses(watches: Watches) -> ReplayedController:
    """Return the controller after all watch events: `history` has the changes of addresses, `events` its messages."""
    controller = ReplayedController()
    for kind, event in merge_watches(watches, ("ipaddresspools", "namespaces", "nodes", "services")):
        controller.take(kind, event)
    return controller


# ── the speakers ─────────────────────────────────────────────────────────────────────────────────────────


def status_changes(before: str | None, led: str | None, leader: str | None, alive: frozenset[str]) -> str | None:
    """Return the node that a ServiceL2Status names once `leader` leads; before, `led` led and it named `before`.

    A speaker that steps down deletes its status, and the next one writes a new one. A leader that died cannot:
    its successor may not change `status.node`, so it keeps naming the dead node (MetalLB v0.14.8
    internal/k8s/controllers/layer2_status_controller.go; the field is immutable).

    >>> alive = frozenset({"b", "c"})
    >>> [status_changes(*nodes, alive) for nodes in (("b", "b", "c"), ("a", "a", "b"), (None, None, "b"))]
    ['c', 'a', 'b']
    """
    if before is None:
        return leader
    if before == led and before in alive and before != leader:
        return leader
    return before


def leaders(watches: Watches, memberships: Memberships) -> list[LeaderChange]:
    """Return every change of a leader or of its ServiceL2Status, in order of time.

    `memberships`: whom the speakers thought alive, from when on (`memberlist.membership_history` of a log).
    """
    kinds = (*CONFIG, "services", "endpointslices", "pods")
    changes: list[tuple[float, int, str, Any]] = [
        (event.t, 1, kind, event)
        for kind, event in merge_watches(watches, kinds)
        if kind != "pods" or event.type == "LIST"
    ]
    changes += [(t, 0, "members", alive) for t, alive in memberships]
    changes += [
        (event.t, 2, "owner", event) for event in watches("pods") if _speaker(event) and event.type == "DELETED"
    ]
    speakers = _Speakers()
    for t, _, kind, change in sorted(changes, key=lambda row: row[:2]):
        speakers.take(t, kind, change)
    return speakers.history


def _speaker(event: WatchEvent) -> bool:
    labels: dict[str, str] = event.object.get("metadata", {}).get("labels", {})
    return labels.get("component") == "speaker"


@dataclass(frozen=True)
class ReplayedLeaderEvent:
    """At `t` a leader event named `node`; `candidates`: which nodes could lead by what all speakers knew."""

    t: float
    service: str
    address: str
    node: str
    candidates: tuple[str, ...]


def leader_events(watches: Watches, memberships: Memberships) -> list[ReplayedLeaderEvent]:
    """Return every leader event on layer 2, with the candidates of that moment beside it.

    An event of another node than the first in order comes from a speaker with a view of its own: it had just started,
    or learned of a change a moment before or after the others.
    """
    kinds = (*CONFIG, "services", "endpointslices", "events")
    changes: list[tuple[float, int, str, Any]] = [(t, 0, "members", alive) for t, alive in memberships]
    changes += [(event.t, 1, kind, event) for kind, event in merge_watches(watches, kinds)]
    store, alive, found = Store(), frozenset[str](), list[ReplayedLeaderEvent]()
    for t, _, kind, change in sorted(changes, key=lambda row: row[:2]):
        if kind == "members":
            alive = change
        elif kind != "events":
            store.apply(kind, change)
        elif change.type in ("ADDED", "MODIFIED") and (node := leader_in_event(change.object)):
            found += _leader_event(store, alive, t, node, change.object["involvedObject"]["uid"])
    return found


def _leader_event(store: Store, alive: frozenset[str], t: float, node: str, uid: str) -> list[ReplayedLeaderEvent]:
    service = next((one for one in store.objects("services") if one["metadata"]["uid"] == uid), None)
    if service is None:
        return []
    key, ips = allocation.key_of_service(service), external_addresses(service)
    pieces = slices_of(store.objects("endpointslices"), *key.split("/"))
    pool = pool_of(pools(store.objects), ips)
    result = election.elect(service, ips, pool, pieces, store.objects("nodes"), alive)
    return [ReplayedLeaderEvent(t, qualified_name(service), ips[0], node, tuple(result.candidates))] if ips else []


@dataclass
class _Speakers:
    """All speakers at once, while they agree on who is alive."""

    store: Store = field(default_factory=Store)
    alive: frozenset[str] = frozenset()
    now: dict[str, LeaderChange] = field(default_factory=dict)
    history: list[LeaderChange] = field(default_factory=list)
    owners: dict[str, set[str]] = field(default_factory=dict)  # of a ServiceL2Status: nodes whose speaker Pods wrote it
    seen: dict[tuple[str, tuple[str, str]], Any] = field(default_factory=dict)

    def take(self, t: float, kind: str, change: Any) -> None:
        if kind == "members":
            self.alive = change
        elif kind == "owner":
            return self._collect(t, change.object["spec"].get("nodeName"))
        elif not self._is_relevant(kind, change):
            return None
        return self._elect(t)

    def _is_relevant(self, kind: str, event: WatchEvent) -> bool:
        """Store a change; return True if a speaker reacts to it (not to a heartbeat)."""
        self.store.apply(kind, event)
        if event.type == "LIST":
            self.now = {}
            return False
        if kind != "nodes":
            return True
        meta = event.object["metadata"]
        relevant = (event.type == "DELETED", meta.get("labels"), election.network_unavailable(event.object))
        place = (kind, key_of(event.object))
        new: bool = self.seen.get(place) != relevant
        self.seen[place] = relevant
        return new

    def _collect(self, t: float, node: str) -> None:
        """Delete each ServiceL2Status whose last owner, a speaker Pod, is gone, as the garbage collector does."""
        for key, one in list(self.now.items()):
            owners = self.owners.get(key, set())
            owners.discard(node)
            if one.status_node and not owners:
                self._record(LeaderChange(t, key, one.leader, one.leader))

    def _record(self, led: LeaderChange) -> None:
        self.now[led.service] = led
        self.history.append(led)

    def _elect(self, t: float) -> None:
        configured, nodes = pools(self.store.objects), self.store.objects("nodes")
        slices = self.store.objects("endpointslices")
        there = {allocation.key_of_service(service): service for service in self.store.objects("services")}
        for key, service in there.items():
            ips = [one["ip"] for one in service.get("status", {}).get("loadBalancer", {}).get("ingress") or []]
            pieces = slices_of(slices, *key.split("/"))
            found = election.elect(service, ips, pool_of(configured, ips), pieces, nodes, self.alive)
            self._lead(t, key, found.leader)
        for key in self.now.keys() - there.keys():
            self._lead(t, key, None)
            del self.now[key]

    def _lead(self, t: float, key: str, leader: str | None) -> None:
        before = self.now.get(key, LeaderChange(t, key, None, None))
        status_node = status_changes(before.status_node, before.leader, leader, self.alive)
        owners = self.owners.setdefault(key, set())
        if status_node == leader and status_node != before.status_node:
            owners.clear()
        if leader:
            owners.add(leader)
        if (leader, status_node) != (before.leader, before.status_node):
            self._record(LeaderChange(t, key, leader, status_node))


def newest_by_service(history: Sequence[LeaderChange] | Sequence[AddressChange], moment: float) -> Mapping[str, Any]:
    """Return the newest entry of each Service at a moment (Unix seconds)."""
    return {entry.service: entry for entry in history if entry.t <= moment}
