"""Simulate MetalLB v0.14.8: a controller that assigns addresses, speakers that announce them. Pure.

`kanslib.metallb` makes the decisions (allocation, election, bgp, memberlist). This module adds time: what each speaker
knows, when it reacts, and which events, logs, ServiceL2Statuses and gratuitous ARPs it writes.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from kanslib.k8s.endpoints import by_service, slices_of
from kanslib.k8s.objects import KubeObject, external_addresses, internal_ip, is_ready, labels_of
from kanslib.metallb import allocation, bgp, election, memberlist, replay
from kanslib.metallb.config import Configuration, L2Advertisement, pool_of
from kanslib.metallb.resources import SYSTEM
from kanslib.simulator.chance import Chance, Unordered
from kanslib.simulator.config_reader import CONTROLLER, SPEAKERS, ConfigReader
from kanslib.simulator.event_loop import EventLoop
from kanslib.simulator.event_recorder import EventRecorder
from kanslib.simulator.log_lines import LogValue, log_line
from kanslib.simulator.time_series import TimeSeries

_ROUND, _BURST = 1.1, 5.0  # seconds between gratuitous ARPs, and how long after the last sync (announcer.go spamLoop)
_INTERFACES = frozenset({"eth0"})  # of a kind node that MetalLB may announce on
Announced = dict[str, frozenset[str]]  # an address, and the nodes that answer ARP for it


_CONTROLLER_LINES: dict[str, tuple[str, str, tuple[str, str], str]] = {  # by the reason of the event beside it
    "IPAllocated": ("service.go:150", "info", ("event", "ipAllocated"), "IP address assigned by controller"),
    "AllocationFailed": ("service.go:143", "error", ("op", "allocateIPs"), "IP allocation failed"),
    "ClearAssignment": (
        "service.go:108", "info", ("event", "clearAssignment"), "current IP not allowed by config, clearing",
    ),
    "LoadBalancerFailed": (
        "service.go:128", "error", ("event", "loadbalancerIP"), "invalid requested loadbalancer IPs",
    ),
    "nolbIPsIPFamily": ("service.go:83", "error", ("event", "clearAssignment"), "Failed to retrieve lbIPs family"),
}  # fmt: skip


class SimulatedController:
    """Assign addresses, and write them into the Services' status. `logs`: its lines by node.

    `lost`: the unreachable nodes, on which a controller does nothing though the API still calls it Ready.
    `chances`: what Services might have got as well, where MetalLB takes pools or Services in no fixed order.
    """

    def __init__(self, cluster: EventLoop, events: EventRecorder, lost: Collection[str] = ()) -> None:
        self.cluster, self._events, self._lost = cluster, events, lost
        self._allocator = allocation.Allocator()
        self._processed: dict[str, object] = {}
        self._reader = ConfigReader(cluster, CONTROLLER)
        self.logs: dict[str, list[str]] = {}
        self._waiting: set[str] = set()  # Services without an address, which are reconciled together one day
        self.chances: TimeSeries[tuple[Chance, ...]] = TimeSeries(cluster.now, ())
        cluster.subscribe(("services", *CONTROLLER.kinds, "pods"), cluster.delays.allocate, self.sync)

    def adopt_existing(self) -> None:
        """Take over the addresses in the Services' status, as a controller that starts does."""
        self._reader.read()
        self._allocator.set_pools(self._reader.config.pools)
        for service in self.cluster.objects("services"):
            if external_addresses(service):
                self._allocator.converge(service)
            self._processed[allocation.key_of_service(service)] = _relevant_fields(service)

    @property
    def is_running(self) -> bool:
        """True while a controller Pod is Ready and its node can be reached."""
        return self._node is not None

    @property
    def _node(self) -> str | None:
        pods = (pod for pod in self.cluster.objects("pods") if labels_of(pod).get("component") == "controller")
        nodes = (str(pod["spec"]["nodeName"]) for pod in pods if is_ready(pod))
        return next((node for node in nodes if node not in self._lost), None)

    def sync(self) -> None:
        """Reconcile every Service that has changed, or all when the pools have."""
        stored = self.cluster.store.kinds.get("services", {}).values()
        services = {allocation.key_of_service(service): service for service in stored}
        if not self.is_running:
            self._waiting |= {key for key, service in services.items() if _waits_for_an_address(service)}
            return
        if self._reader.is_outdated:
            self._read_config()
        for key in [key for key in self._allocator.allocations if key not in services]:
            self._allocator.release(key)
            self._processed = {}
        # those with addresses come first (service_controller_reload.go reprocessAll)
        order = sorted(services, key=lambda key: not external_addresses(services[key]))
        decisions = {key: decision for key in order if (decision := self._converge(key, services[key]))}
        kept = {
            key for key, one in decisions.items() if one.ips and one.ips == tuple(external_addresses(services[key]))
        }
        self._record_chances({key: one for key, one in decisions.items() if key not in kept}, services)

    def _record_chances(self, decisions: Mapping[str, allocation.Decision], services: Collection[str]) -> None:
        """Record what else these Services could have got; of them, and of those that are gone, nothing older holds."""
        holding = set(services) - decisions.keys()
        recorded = [one for one in self.chances.latest if holding.issuperset(one.subjects)]
        recorded += [
            Chance(Unordered.POOLS, (key,), (decision.ips, *decision.alternatives))
            for key, decision in decisions.items()
            if decision.alternatives
        ]
        turns = sorted(decisions.keys() & self._waiting)
        if len(turns) > 1 and any(decisions[key].ips for key in turns):
            recorded.append(Chance(Unordered.SERVICES, tuple(turns), tuple(decisions[key].ips for key in turns)))
        self._waiting -= {key for key, decision in decisions.items() if decision.ips}
        self._waiting |= {key for key, decision in decisions.items() if not decision.ips}
        if tuple(recorded) != self.chances.latest:
            self.chances.set(self.cluster.now, tuple(recorded))

    def _read_config(self) -> None:
        """Read the configuration; keep the last good one, and log, where MetalLB refuses it."""
        before = self._reader.config
        self._reader.read()
        if self._reader.problem:
            self._write_log(stale_log_line(self.cluster.now, "pool_controller.go:81", "PoolReconciler", self._reader))
        if self._reader.config.pools != before.pools:
            self._processed = {}
            self._allocator.set_pools(self._reader.config.pools)

    def _converge(self, key: str, service: KubeObject) -> allocation.Decision | None:
        """Reconcile a Service; return the decision, or None for one that has not changed or is not MetalLB's."""
        if self._processed.get(key) == _relevant_fields(service):
            return None
        if service["spec"].get("loadBalancerClass"):
            return None
        if service["spec"].get("type") != "LoadBalancer" and not external_addresses(service):
            return None
        decision = self._allocator.converge(service)
        for message in decision.events:
            self._events.write(service, "metallb-controller", message, "controller")
            self._log(key, decision, message)
        updated = copy.deepcopy(service)
        annotations = updated["metadata"].setdefault("annotations", {})
        if decision.pool:
            annotations[allocation.FROM_POOL] = decision.pool
        else:
            annotations.pop(allocation.FROM_POOL, None)
        ingress = [{"ip": ip, "ipMode": "VIP"} for ip in decision.ips]
        updated["status"] = {"loadBalancer": {"ingress": ingress} if ingress else {}}
        self._processed[key] = _relevant_fields(self.cluster.put("services", updated))
        if decision.released:
            self._processed = {}
            self.cluster.trigger(self.sync)
        return decision

    def _log(self, key: str, decision: allocation.Decision, message: allocation.EventMessage) -> None:
        """Write the decision into the log of the node on which the controller runs (controller/service.go)."""
        caller, level, key_value, msg = _CONTROLLER_LINES[message.reason]
        detail: dict[str, LogValue] = {"error": message.message.partition(": ")[2]}
        if message.reason == "IPAllocated":
            detail = {"ip": list(decision.ips)}
        elif message.reason == "nolbIPsIPFamily":
            detail = {"reason": message.reason}
        fields: dict[str, LogValue] = {**dict([key_value]), **detail, "service": key, "msg": msg}
        self._write_log(log_line(self.cluster.now, caller=caller, level=level, **fields))

    def _write_log(self, line: str) -> None:
        self.logs.setdefault(self._node or "", []).append(line)


def _waits_for_an_address(service: KubeObject) -> bool:
    return service["spec"].get("type") == "LoadBalancer" and not external_addresses(service)


def stale_log_line(moment: float, caller: str, reconciler: str, reader: ConfigReader) -> str:
    """Return the line with which a component says that it cannot use the configuration, and why."""
    return log_line(moment, caller=caller, level="error", controller=reconciler, error=reader.problem)


def _relevant_fields(service: KubeObject) -> object:
    """Return what the controller reads of a Service: while it stays equal, there is nothing to do."""
    annotations = service["metadata"].get("annotations") or {}
    requested = {name: value for name, value in annotations.items() if name.startswith(allocation.PREFIX)}
    return service["metadata"].get("uid"), service["spec"], external_addresses(service), requested


@dataclass(frozen=True)
class _Announcement:
    """What an announcement depends on: when any of it changes, the speaker announces again.

    `config`: the identity of MetalLB's configuration; with another one a speaker reconciles every Service (SetConfig).
    """

    config: int
    ips: list[str]
    uid: str | None
    spec: KubeObject
    endpoints: list[object]
    nodes: list[tuple[str, Mapping[str, str] | None]]
    members: frozenset[str] | None


class SimulatedSpeakers:
    """The speakers, one a node: their member lists, announcements, BGP sessions and logs.

    `lost`: the unreachable nodes and since when (Unix seconds). `isolated`: those of them that still run, behind a
    broken link. The simulator changes both. `members`: by node, whom its speaker takes for alive. `gratuitous_rounds`:
    by (node, address), the moments of its gratuitous ARPs. `announced`, `sessions`: what held when.
    """

    def __init__(self, cluster: EventLoop, events: EventRecorder, lost: dict[str, float], isolated: set[str]) -> None:
        self.cluster, self._events, self._lost, self._isolated = cluster, events, lost, isolated
        running = frozenset(election.speakers(cluster.objects)) - frozenset(lost)
        self.members: dict[str, frozenset[str]] = dict.fromkeys(sorted(running), running)
        self.logs: dict[str, list[str]] = {}
        self.gratuitous_rounds: dict[tuple[str, str], list[float]] = {}
        self.announced: TimeSeries[Announced] = TimeSeries(cluster.now, {})
        self.sessions: TimeSeries[frozenset[str]] = TimeSeries(cluster.now, running)
        self._layer2_announced: dict[tuple[str, str], _Announcement] = {}  # (node, Service)
        self._bgp_announced: dict[tuple[str, str], _Announcement] = {}
        self._leader_changes: dict[str, replay.LeaderChange] = {}
        self._arp_answers: dict[tuple[str, str], tuple[str, ...]] = {}  # (node, Service): addresses
        self._reader = ConfigReader(cluster, SPEAKERS)
        self.configs: TimeSeries[Configuration] = TimeSeries(cluster.now, self._reader.config)
        cluster.subscribe(("services", "endpointslices", *SPEAKERS.kinds), cluster.delays.announce, self.sync)

    def adopt_existing(self) -> None:
        """Take over what is announced at the beginning, without announcing it again."""
        self._reader.read()
        self.configs = TimeSeries(self.cluster.now, self._reader.config)
        for key, found in self._elections(self._connected_members()).items():
            status = self._find_status(key)
            status_node = status.get("status", {}).get("node") if status else None
            self._leader_changes[key] = replay.LeaderChange(self.cluster.now, key, found.leader, status_node)
            for node in self.members:
                if found.leader == node:
                    self._layer2_announced[node, key] = announcement = self._announcement(key, node)
                    if self._has_interface(node, announcement.ips):
                        self._arp_answers[node, key] = tuple(announcement.ips)
        for node in self.members:
            for key in self._advertising(node):
                self._bgp_announced[node, key] = self._announcement(key, node)
        self._record_announced()

    # ── election ─────────────────────────────────────────────────────────────────────────────────────────

    def _reachable(self) -> list[str]:
        return [node for node in self.members if node not in self._lost]

    def _connected_members(self) -> frozenset[str]:
        """Return whom the reachable speakers take for alive."""
        reachable = self._reachable()
        return self.members[reachable[0]] if reachable else frozenset()

    def _elections(self, alive: frozenset[str]) -> dict[str, election.Election]:
        known_pools, nodes = self.configs.latest.pools, election.announcing_nodes(self.cluster.objects)
        slices = by_service(self.cluster.objects("endpointslices"))
        elections = {}
        for service in self.cluster.objects("services"):
            ips = external_addresses(service)
            if service["spec"].get("type") == "LoadBalancer" and ips:
                key = allocation.key_of_service(service)
                pieces = slices.get((service["metadata"]["namespace"], service["metadata"]["name"]), [])
                elections[key] = election.elect(service, ips, pool_of(known_pools, ips), pieces, nodes, alive)
        return elections

    def _announcement(self, key: str, node: str) -> _Announcement:
        """Return what the announcement of a Service by a node depends on now."""
        service = self._service(key) or {"metadata": {}, "spec": {}}
        slices = slices_of(self.cluster.objects("endpointslices"), *key.split("/"))
        nodes = [(one["metadata"]["name"], one["metadata"].get("labels")) for one in self.cluster.objects("nodes")]
        endpoints = [piece.get("endpoints") for piece in slices]
        uid = service["metadata"].get("uid")
        members, config = self.members.get(node), id(self.configs.latest)
        return _Announcement(config, external_addresses(service), uid, service["spec"], endpoints, nodes, members)

    def _service(self, key: str) -> KubeObject | None:
        namespace, name = key.split("/")
        return self.cluster.get("services", name, namespace)

    # ── announcing ───────────────────────────────────────────────────────────────────────────────────────

    def sync(self) -> None:
        """Let every reachable speaker read a new configuration, and reconcile every Service."""
        if self._reader.is_outdated:
            self._read_config()
        elections = self._elections(self._connected_members())
        for node in self._reachable():
            self._sync_layer2(node, elections)
            self._sync_bgp(node)
        for key in elections.keys() | self._leader_changes.keys():
            leader = elections[key].leader if key in elections else None
            self._update_status(key, leader if leader and (leader, key) in self._arp_answers else None)
        self._record_announced()

    def _read_config(self) -> None:
        """Read the configuration; keep the last good one, and log on every node, where MetalLB refuses it."""
        self._reader.read()
        self.configs.set(self.cluster.now, self._reader.config)
        if self._reader.problem:
            line = stale_log_line(self.cluster.now, "config_controller.go:140", "ConfigReconciler", self._reader)
            for node in self._reachable():
                self.logs.setdefault(node, []).append(line)

    def sync_isolated(self, node: str) -> None:
        """Let an isolated speaker reconcile by its own member list; it cannot write events."""
        self._sync_layer2(node, self._elections(self.members[node]))
        self._record_announced()

    def _sync_layer2(self, node: str, elections: Mapping[str, election.Election]) -> None:
        led = {key for key, found in elections.items() if found.leader == node}
        for key, announced in self._announce_new(node, led, self._layer2_announced, "layer2").items():
            reason = "notOwner" if self._service(key) else "serviceDeleted"
            fields: dict[str, LogValue] = {"event": "serviceWithdrawn", "ip": announced.ips, "reason": reason}
            self._log(node, "main.go:464", "withdrawing service announcement", **fields)

    def _sync_bgp(self, node: str) -> None:
        self._announce_new(node, self._advertising(node), self._bgp_announced, "bgp")

    def _announce_new(
        self, node: str, keys: set[str], announced: dict[tuple[str, str], _Announcement], protocol: str
    ) -> dict[str, _Announcement]:
        """Announce what is new or has changed among `keys`; forget and return by key what is not among them."""
        for key in sorted(keys):
            announcement = self._announcement(key, node)
            if announced.get((node, key)) != announcement:
                announced[node, key] = announcement
                self._announce(node, key, protocol)
        withdrawn = [key for other, key in announced if other == node and key not in keys]
        return {key: announced.pop((node, key)) for key in withdrawn}

    def _announce(self, node: str, key: str, protocol: str) -> None:
        service = self._service(key)
        if service is None:
            return
        ips = external_addresses(service)
        pool = service["metadata"].get("annotations", {}).get(allocation.FROM_POOL, "")
        if protocol == "layer2":
            self._answer_arp(node, key, service)
        fields = {"event": "serviceAnnounced", "ips": ips, "pool": pool, "protocol": protocol}
        self._log(node, "main.go:420", "service has IP, announcing", **fields)
        if node not in self._lost:
            text = f'announcing from node "{node}" with protocol "{protocol}"'
            message = allocation.EventMessage("Normal", "nodeAssigned", text)
            self._events.write(service, "metallb-speaker", message, node)

    def _answer_arp(self, node: str, key: str, service: KubeObject) -> None:
        """Let a node answer ARP for a Service; where it lacks the interfaces, write events instead of it.

        Addresses that it announced before stay announced (speaker/layer2_controller.go SetBalancer).
        """
        ips = tuple(external_addresses(service))
        if self._has_interface(node, ips):
            self._arp_answers[node, key] = ips
            for ip in ips:
                self._send_gratuitous_arp(node, ip)
            return
        for ip in ips:
            words = f'the interfaces specified by LB IP "{ip}" doesn\'t exist in assigned node "{node}"'
            message = allocation.EventMessage("Warning", "announceFailed", f'{words} with protocol "layer2"')
            self._events.write(service, "metallb-speaker", message, node)

    def _has_interface(self, node: str, ips: Sequence[str]) -> bool:
        """Return True when an L2Advertisement lets a node announce on an interface that it has."""
        pool = pool_of(self.configs.latest.pools, ips)
        covering: list[L2Advertisement] = [ad for ad in (pool.layer2 if pool else ()) if node in ad.nodes]
        return any(not ad.interfaces or _INTERFACES & set(ad.interfaces) for ad in covering)

    def _send_gratuitous_arp(self, node: str, ip: str) -> None:
        """Schedule gratuitous ARP: a round at once, then every 1.1 s until 5 s after the last sync."""
        rounds, now = self.gratuitous_rounds.setdefault((node, ip), []), self.cluster.now
        if not rounds or now >= rounds[-1] + _ROUND:
            rounds.append(now)
        while rounds[-1] + _ROUND < now + _BURST:
            rounds.append(rounds[-1] + _ROUND)

    def _advertising(self, node: str) -> set[str]:
        return {
            name
            for route in bgp.advertised_by(self.configs.latest, self.cluster.objects, [node])
            for name in route.services
        }

    def _record_announced(self) -> None:
        self._arp_answers = {key: ips for key, ips in self._arp_answers.items() if key in self._layer2_announced}
        nodes_by_ip: dict[str, set[str]] = {}
        for (node, _), ips in self._arp_answers.items():
            for ip in ips:
                nodes_by_ip.setdefault(ip, set()).add(node)
        self.announced.set(self.cluster.now, {ip: frozenset(nodes) for ip, nodes in nodes_by_ip.items()})

    # ── ServiceL2Status ──────────────────────────────────────────────────────────────────────────────────

    def _find_status(self, key: str) -> KubeObject | None:
        for status in self.cluster.objects("servicel2statuses"):
            labels = labels_of(status)
            if f"{labels.get('metallb.io/service-namespace')}/{labels.get('metallb.io/service-name')}" == key:
                return status
        return None

    def _update_status(self, key: str, leader: str | None) -> None:
        """Update the ServiceL2Status of a Service as v0.14.8 does: it may keep naming a leader that died."""
        before = self._leader_changes.get(key, replay.LeaderChange(0.0, key, None, None))
        status_node = replay.status_changes(before.status_node, before.leader, leader, self._connected_members())
        self._leader_changes[key] = replay.LeaderChange(self.cluster.now, key, leader, status_node)
        status = self._find_status(key)
        if status and status_node != before.status_node:
            self.cluster.remove("servicel2statuses", status)
            status = None
        if status_node and leader:
            status = _with_leader_label(status, leader) if status else self._create_status(key, leader)
            self.cluster.put("servicel2statuses", status)

    def _create_status(self, key: str, leader: str) -> KubeObject:
        namespace, name = key.split("/")
        labels = {"metallb.io/node": leader, "metallb.io/service-name": name, "metallb.io/service-namespace": namespace}
        meta = {"name": f"l2-{self.cluster.ids.name_suffix()}", "namespace": SYSTEM, "labels": labels}
        status = {"node": leader, "serviceName": name, "serviceNamespace": namespace}
        kind = {"apiVersion": "metallb.io/v1beta1", "kind": "ServiceL2Status"}
        return {**kind, "metadata": meta, "spec": {}, "status": status}

    # ── memberlist ───────────────────────────────────────────────────────────────────────────────────────

    def detect_failure(self, node: str) -> None:
        """Let the other speakers detect that one does not answer: they suspect it, then declare it dead."""
        members = self._connected_members()
        survivors = sorted(members - {node} - self._lost.keys())
        if node not in members or not survivors:
            return
        turn = len(members) - 1
        probes = [turn * (place + 1) / (len(survivors) + 1) for place in range(len(survivors))]
        dead = memberlist.detection(probes, len(members)).dead
        suspect = f"memberlist: Suspect {node} has failed, no acks received"
        failed = (
            f"memberlist: Marking {node} as failed, suspect timeout reached ({min(2, turn - 1)} peer confirmations)"
        )
        for survivor, probe in zip(survivors, probes, strict=True):
            self._log_later(probe + 1.0, survivor, "state.go:521", suspect, component="Memberlist")
            self._log_later(dead, survivor, "state.go:1245", failed, component="Memberlist")
        since = self._lost.get(node)
        self.cluster.schedule(dead, lambda: self._suspicion_timeout(node, since))

    def _suspicion_timeout(self, node: str, since: float | None) -> None:
        """Remove a speaker from the member lists, unless it came back in time."""
        if since is not None and self._lost.get(node) == since:
            self.leave(node)

    def isolate(self, node: str) -> None:
        """Let an isolated speaker declare the others dead, one after the other."""
        others = sorted(self.members.get(node, frozenset()) - {node})
        for other, seconds in zip(others, memberlist.isolated_detection(len(others) + 1), strict=False):
            self.cluster.schedule(seconds, partial(self._declare_dead, node, other))

    def _declare_dead(self, node: str, other: str) -> None:
        if node in self._isolated:
            failed = f"memberlist: Marking {other} as failed, suspect timeout reached (0 peer confirmations)"
            self._log(node, "state.go:1245", failed, component="Memberlist")
            self._update_members(node, self.members[node] - {other}, other, "NodeLeave")
            self.sync_isolated(node)

    def leave(self, node: str) -> None:
        """Remove a speaker from the member lists of the reachable ones, and let them reconcile."""
        for other in self._reachable():
            if other != node:
                self._update_members(other, self.members[other] - {node}, node, "NodeLeave")
        self.sync()

    def stop(self, node: str) -> None:
        """End a speaker's process: it announces nothing any more."""
        self.members.pop(node, None)
        for announced in (self._layer2_announced, self._bgp_announced):
            for key in [key for key in announced if key[0] == node]:
                del announced[key]
        self.close_session(node)
        self._record_announced()

    def join(self, node: str) -> None:
        """Add a speaker to the member lists, open its BGP session, and let all reconcile; not on a lost node."""
        if node in self._lost:
            return
        members = self._connected_members() | {node}
        if node not in self.members:
            self._update_members(node, frozenset({node}), node, "NodeJoin")  # a new process joins its own list first
        for reachable in self._reachable():
            for other in sorted(members - self.members[reachable]):
                self._update_members(reachable, self.members[reachable] | {other}, other, "NodeJoin")
        self.open_session(node)
        self.sync()

    def _update_members(self, node: str, members: frozenset[str], other: str, event: str) -> None:
        self.members[node] = members
        address = internal_ip(self.cluster.get("nodes", other) or {})
        fields = {"node addr": address, "node event": event, "node name": other}
        self._log(node, "speakerlist.go:313", "node event - forcing sync", **fields)

    # ── BGP sessions with the router ─────────────────────────────────────────────────────────────────────

    def close_session(self, node: str) -> None:
        """Close a speaker's BGP session."""
        self.sessions.set(self.cluster.now, self.sessions.latest - {node})

    def open_session(self, node: str) -> None:
        """Open a speaker's BGP session, if the speaker runs and is reachable."""
        if node not in self._lost and node in self.members:
            self.sessions.set(self.cluster.now, self.sessions.latest | {node})

    # ── logs ─────────────────────────────────────────────────────────────────────────────────────────────

    def _log_later(self, seconds: float, node: str, caller: str, msg: str, **fields: LogValue) -> None:
        self.cluster.schedule(seconds, lambda: self._log(node, caller, msg, **fields))

    def _log(self, node: str, caller: str, msg: str, **fields: LogValue) -> None:
        line = log_line(self.cluster.now, caller=caller, level="info", msg=msg, **fields)
        self.logs.setdefault(node, []).append(line)


def _with_leader_label(status: KubeObject, leader: str) -> KubeObject:
    """Return the status with another leader in its label: a successor can change the label, not the status."""
    status = copy.deepcopy(status)
    status["metadata"]["labels"]["metallb.io/node"] = leader
    return status


def is_installed(objects: Iterable[KubeObject]) -> bool:
    """Return True when the namespace metallb-system is among these objects."""
    return any(one["metadata"]["name"] == SYSTEM for one in objects)
