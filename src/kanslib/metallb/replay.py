"""Replay MetalLB's controller and speakers over recorded watch streams: addresses, leaders, ServiceL2Status.

The replay does not read the outcome that it is compared with: addresses do not come from the Services' status, leaders
come neither from events nor from ServiceL2Status.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

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
_SpeakerInput = WatchEvent | frozenset[str]  # an object changed, or whom the speakers take for alive
Memberships = Sequence[tuple[float, frozenset[str]]]  # since when (Unix seconds) which speakers were taken for alive

CONFIG = ("nodes", "namespaces", "ipaddresspools", "l2advertisements", "bgpadvertisements")


@dataclass(frozen=True)
class AddressChange:
    """From `t` on (Unix seconds) a Service (`namespace/name`) has these addresses."""

    t: float
    service: str
    ips: tuple[str, ...]


@dataclass(frozen=True)
class LeaderChange:
    """From `t` on (Unix seconds) `leader` leads a Service; its ServiceL2Status names `status_node`; None: no node."""

    t: float
    service: str
    leader: str | None
    status_node: str | None


def merge_watches(watches: Watches, kinds: Sequence[str]) -> Iterator[tuple[str, WatchEvent]]:
    """Yield the watch streams of several kinds as one, in order of time."""
    merged = [(kind, event) for kind in kinds for event in watches(kind)]
    yield from sorted(merged, key=lambda pair: pair[1].t)


# ── the controller ───────────────────────────────────────────────────────────────────────────────────────


@dataclass
class ReplayedController:
    """MetalLB's controller, fed with watch events: the Services' addresses, their history, and its event messages."""

    store: Store = field(default_factory=Store)
    allocator: allocation.Allocator = field(default_factory=allocation.Allocator)
    status: dict[str, tuple[str, ...]] = field(default_factory=dict)
    history: list[AddressChange] = field(default_factory=list)
    events: dict[str, list[allocation.EventMessage]] = field(default_factory=dict)  # by the Service's uid

    def take(self, kind: str, event: WatchEvent) -> None:
        """Process one watch event, and reconcile as the controller does."""
        self.store.apply(kind, event)
        if event.type == "LIST":
            self.allocator, self.status = allocation.Allocator(), {}
        elif kind == "services":
            self._take_service(event)
        elif kind != "nodes":
            self.allocator.set_pools(pools(self.store.objects))
            self._converge_all(event.t)

    def _take_service(self, event: WatchEvent) -> None:
        key = allocation.key_of_service(event.object)
        if event.type != "DELETED":
            return self._converge(event.t, event.object)
        self.status.pop(key, None)
        self.history.append(AddressChange(event.t, key, ()))
        if self.allocator.release(key):
            self._converge_all(event.t)
        return None

    def _converge_all(self, t: float) -> None:
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
            self._converge_all(t)


def with_addresses(service: KubeObject, ips: Sequence[str]) -> KubeObject:
    """Return the Service with these addresses in its status, in place of those that it has."""
    status: dict[str, Any] = {"loadBalancer": {"ingress": [{"ip": ip} for ip in ips]} if ips else {}}
    return {**service, "status": status}


def addresses(watches: Watches) -> ReplayedController:
    """Return the controller after all watch events: `history` has the address changes, `events` its messages."""
    controller = ReplayedController()
    for kind, event in merge_watches(watches, ("ipaddresspools", "namespaces", "nodes", "services")):
        controller.take(kind, event)
    return controller


# ── the speakers ─────────────────────────────────────────────────────────────────────────────────────────


def status_changes(
    before: str | None, previous_leader: str | None, leader: str | None, alive: frozenset[str]
) -> str | None:
    """Return the node that a ServiceL2Status names once `leader` leads.

    `before`: the node that it named so far, under `previous_leader`. A speaker that steps down deletes its status, and
    the next one writes a new one. A leader that died cannot, and its successor may not change `status.node`: the status
    keeps naming the dead node (MetalLB v0.14.8 internal/k8s/controllers/layer2_status_controller.go; the field is
    immutable).

    >>> alive = frozenset({"b", "c"})
    >>> [status_changes(*nodes, alive) for nodes in (("b", "b", "c"), ("a", "a", "b"), (None, None, "b"))]
    ['c', 'a', 'b']
    """
    if before is None:
        return leader
    if before == previous_leader and before in alive and before != leader:
        return leader
    return before


def leaders(watches: Watches, memberships: Memberships) -> list[LeaderChange]:
    """Return every change of a leader or of its ServiceL2Status, in order of time.

    `memberships`: whom the speakers took for alive, and since when (`memberlist.membership_history` of a log).
    """
    kinds = (*CONFIG, "services", "endpointslices", "pods")
    changes: list[tuple[float, int, str, _SpeakerInput]] = [
        (event.t, 1, kind, event)
        for kind, event in merge_watches(watches, kinds)
        if kind != "pods" or event.type == "LIST"
    ]
    changes += [(t, 0, "members", alive) for t, alive in memberships]
    changes += [
        (event.t, 2, "owner", event) for event in watches("pods") if _is_speaker(event) and event.type == "DELETED"
    ]
    speakers = _Speakers()
    for t, _, kind, change in sorted(changes, key=lambda row: row[:2]):
        speakers.take(t, kind, change)
    return speakers.history


def _is_speaker(event: WatchEvent) -> bool:
    labels: dict[str, str] = event.object.get("metadata", {}).get("labels", {})
    return labels.get("component") == "speaker"


@dataclass(frozen=True)
class ReplayedLeaderEvent:
    """A leader event for `node` at `t` (Unix seconds); `candidates`: the nodes that could lead, in the API's order."""

    t: float
    service: str
    address: str
    node: str
    candidates: tuple[str, ...]


def leader_events(watches: Watches, memberships: Memberships) -> list[ReplayedLeaderEvent]:
    """Return every leader event on layer 2, with the candidates of that moment.

    An event for another node than the first in order comes from a speaker that knew something else: it had just
    started, or saw a change a moment before or after the others.
    """
    kinds = (*CONFIG, "services", "endpointslices", "events")
    changes: list[tuple[float, int, str, _SpeakerInput]] = [(t, 0, "members", alive) for t, alive in memberships]
    changes += [(event.t, 1, kind, event) for kind, event in merge_watches(watches, kinds)]
    store, alive, found = Store(), frozenset[str](), list[ReplayedLeaderEvent]()
    for t, _, kind, change in sorted(changes, key=lambda row: row[:2]):
        if isinstance(change, frozenset):
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
    """All speakers, while they agree on who is alive."""

    store: Store = field(default_factory=Store)
    alive: frozenset[str] = frozenset()
    current: dict[str, LeaderChange] = field(default_factory=dict)
    history: list[LeaderChange] = field(default_factory=list)
    owners: dict[str, set[str]] = field(default_factory=dict)  # of a ServiceL2Status: nodes whose speaker Pods wrote it
    relevant_fields: dict[tuple[str, tuple[str, str]], object] = field(default_factory=dict)

    def take(self, t: float, kind: str, change: _SpeakerInput) -> None:
        """Elect anew after a change that matters to a speaker."""
        if isinstance(change, frozenset):
            self.alive = change
        elif kind == "owner":
            return self._garbage_collect(t, change.object["spec"].get("nodeName"))
        elif not self._is_relevant(kind, change):
            return None
        return self._elect(t)

    def _is_relevant(self, kind: str, event: WatchEvent) -> bool:
        """Store a change; return True if a speaker reacts to it (not to a heartbeat)."""
        self.store.apply(kind, event)
        if event.type == "LIST":
            self.current = {}
            return False
        if kind != "nodes":
            return True
        meta = event.object["metadata"]
        fields = (event.type == "DELETED", meta.get("labels"), election.network_unavailable(event.object))
        key = (kind, key_of(event.object))
        is_new = self.relevant_fields.get(key) != fields
        self.relevant_fields[key] = fields
        return is_new

    def _garbage_collect(self, t: float, node: str) -> None:
        """Delete each ServiceL2Status whose last owner, a speaker Pod, is gone, as the garbage collector does."""
        for key, newest in list(self.current.items()):
            owners = self.owners.get(key, set())
            owners.discard(node)
            if newest.status_node and not owners:
                self._record(LeaderChange(t, key, newest.leader, newest.leader))

    def _record(self, change: LeaderChange) -> None:
        self.current[change.service] = change
        self.history.append(change)

    def _elect(self, t: float) -> None:
        known_pools, nodes = pools(self.store.objects), self.store.objects("nodes")
        slices = self.store.objects("endpointslices")
        services = {allocation.key_of_service(service): service for service in self.store.objects("services")}
        for key, service in services.items():
            ips = external_addresses(service)
            pieces = slices_of(slices, *key.split("/"))
            found = election.elect(service, ips, pool_of(known_pools, ips), pieces, nodes, self.alive)
            self._set_leader(t, key, found.leader)
        for key in self.current.keys() - services.keys():
            self._set_leader(t, key, None)
            del self.current[key]

    def _set_leader(self, t: float, key: str, leader: str | None) -> None:
        before = self.current.get(key, LeaderChange(t, key, None, None))
        status_node = status_changes(before.status_node, before.leader, leader, self.alive)
        owners = self.owners.setdefault(key, set())
        if status_node == leader and status_node != before.status_node:
            owners.clear()
        if leader:
            owners.add(leader)
        if (leader, status_node) != (before.leader, before.status_node):
            self._record(LeaderChange(t, key, leader, status_node))


Change = TypeVar("Change", LeaderChange, AddressChange)


def newest_by_service(history: Sequence[Change], moment: float) -> dict[str, Change]:
    """Return the newest change of each Service at a moment (Unix seconds)."""
    return {entry.service: entry for entry in history if entry.t <= moment}
