"""MetalLB v0.14.8 in the twin: a controller that gives addresses, speakers that agree on leaders and routes. Pure.

The decisions are the models' (allocation, election, routing, memberlist); here they meet time: who knows what, when
it is acted on, and what is left behind in events, logs, notes and frames.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from kanslib.k8s.endpoints import by_service, slices_of
from kanslib.k8s.objects import KubeObject, external_addresses, is_ready
from kanslib.metallb import allocation, bgp, election, memberlist, replay
from kanslib.metallb.config import Pool, pool_of, pools
from kanslib.simulator.api_server import timestamp
from kanslib.simulator.event_loop import EventLoop
from kanslib.simulator.time_series import TimeSeries

SYSTEM = "metallb-system"
_ROUND, _BURST = 1.1, 5.0  # seconds between gratuitous ARPs, and how long after the last sync (announcer.go spamLoop)
_EVENTS, _EVENT_EACH = 25.0, 300.0  # client-go's defaultSpamBurst, and the seconds until one more is allowed
_CONFIG = ("ipaddresspools", "l2advertisements", "bgpadvertisements", "bgppeers", "nodes", "namespaces")
Announced = dict[str, frozenset[str]]  # an address, and the nodes that answer for it


class EventRecorder:
    """The events of Services: a repeat is counted, and who says too much about one Service is not heard any more.

    client-go v0.30 tools/record/events_cache.go: a process may write 25 events about an object, then one in 5 minutes.
    """

    def __init__(self, cluster: EventLoop) -> None:
        self._cluster = cluster
        self._left: dict[tuple[str, str], tuple[float, float]] = {}  # process, object: events it may write, as of when
        self._known: dict[tuple[str, str, str], str] = {}
        for event in cluster.objects("events"):
            self._known[_about(event)] = event["metadata"]["name"]

    def write(self, service: KubeObject, author: str, told: allocation.EventMessage, process: str) -> None:
        """One event of an author, `metallb-speaker` say; `process`: which of them wrote it."""
        meta, now = service["metadata"], timestamp(self._cluster.now)
        if not self._may(process, meta["uid"]):
            return
        place = (meta["uid"], told.reason, told.message)
        if place in self._known:
            event = copy.deepcopy(self._cluster.get("events", self._known[place], meta["namespace"]) or {})
            event.update(count=event.get("count", 1) + 1, lastTimestamp=now)
        else:
            about = {"kind": "Service", "apiVersion": "v1", **{k: meta[k] for k in ("namespace", "name", "uid")}}
            name = f"{meta['name']}.{self._cluster.numbers.uid()[:16].replace('-', '')}"
            event = {
                "kind": "Event", "apiVersion": "v1", "metadata": {"name": name, "namespace": meta["namespace"]},
                "involvedObject": about, "reason": told.reason, "message": told.message, "type": told.type,
                "source": {"component": author}, "firstTimestamp": now, "lastTimestamp": now, "count": 1,
            }  # fmt: skip
            self._known[place] = name
        self._cluster.put("events", event)

    def _may(self, process: str, uid: str) -> bool:
        left, since = self._left.get((process, uid), (_EVENTS, self._cluster.now))
        left = min(_EVENTS, left + (self._cluster.now - since) / _EVENT_EACH)
        self._left[process, uid] = (left - 1 if left >= 1 else left, self._cluster.now)
        return left >= 1


def _about(event: KubeObject) -> tuple[str, str, str]:
    return event["involvedObject"].get("uid", ""), event.get("reason", ""), event.get("message", "")


class SimulatedController:
    """Gives addresses, and writes them into the Services' status."""

    def __init__(self, cluster: EventLoop, events: EventRecorder) -> None:
        self.cluster, self._events = cluster, events
        self._desk = allocation.Allocator()
        self._seen: dict[str, Any] = {}
        self._configured: Mapping[str, Pool] = {}
        self.logs: dict[str, list[str]] = {}
        cluster.subscribe(("services", *_CONFIG, "pods"), cluster.delays.allocate, self.work)

    def adopt(self) -> None:
        """Know what was given out before, as a controller that starts finds it in the Services' status."""
        self._configured = pools(self.cluster.objects)
        self._desk.set_pools(self._configured)
        for service in self.cluster.objects("services"):
            if external_addresses(service):
                self._desk.converge(service)
            self._seen[allocation.key_of_service(service)] = _relevant(service)

    @property
    def runs(self) -> bool:
        pods = self.cluster.objects("pods")
        return any(pod["metadata"].get("labels", {}).get("component") == "controller" and is_ready(pod) for pod in pods)

    def work(self) -> None:
        """Look at every Service that has changed, or all when the pools have."""
        if not self.runs:
            return
        configured = pools(self.cluster.objects)
        if configured != self._configured:
            self._configured, self._seen = configured, {}
            self._desk.set_pools(configured)
        there = {allocation.key_of_service(one): one for one in self.cluster.store.kinds.get("services", {}).values()}
        for key in [key for key in self._desk.allocations if key not in there]:
            self._desk.release(key)
            self._seen = {}
        for key, service in there.items():
            self._converge(key, service)

    def _converge(self, key: str, service: KubeObject) -> None:
        if self._seen.get(key) == _relevant(service):
            return
        if service["spec"].get("loadBalancerClass"):
            return
        if service["spec"].get("type") != "LoadBalancer" and not external_addresses(service):
            return
        decision = self._desk.converge(service)
        for told in decision.events:
            self._events.write(service, "metallb-controller", told, "controller")
            self._say(key, decision, told)
        fresh = copy.deepcopy(service)
        notes = fresh["metadata"].setdefault("annotations", {})
        if decision.pool:
            notes[allocation.FROM_POOL] = decision.pool
        else:
            notes.pop(allocation.FROM_POOL, None)
        ingress = [{"ip": ip, "ipMode": "VIP"} for ip in decision.ips]
        fresh["status"] = {"loadBalancer": {"ingress": ingress} if ingress else {}}
        fresh = self.cluster.put("services", fresh)
        self._seen[key] = _relevant(fresh)
        if decision.released:
            self._seen = {}
            self.cluster.trigger(self.work)

    def _say(self, key: str, decision: allocation.Decision, told: allocation.EventMessage) -> None:
        """A line in the log of the node on which the controller runs."""
        pods = [pod for pod in self.cluster.objects("pods") if is_ready(pod)]
        mine = [pod for pod in pods if pod["metadata"].get("labels", {}).get("component") == "controller"]
        facts: dict[str, Any] = {
            "event": "ipAllocated",
            "ip": list(decision.ips),
            "msg": "IP address assigned by controller",
        }
        if told.reason == "AllocationFailed":
            facts = {"op": "allocateIPs", "error": told.message.partition(": ")[2], "msg": "IP allocation failed"}
        level = "error" if told.type == "Warning" else "info"
        line = log_line(self.cluster.now, caller="service.go:150", level=level, service=key, **facts)
        self.logs.setdefault(mine[0]["spec"]["nodeName"], []).append(line)


def log_line(moment: float, **facts: Any) -> str:
    """A line of MetalLB's logs as `kubectl logs --timestamps` prints it."""
    when = datetime.fromtimestamp(moment, UTC).isoformat().replace("+00:00", "Z")
    ordered = dict(sorted({**facts, "ts": timestamp(moment)}.items()))
    return f"{when} {json.dumps(ordered, separators=(',', ':'))}"


def _relevant(service: KubeObject) -> Any:
    """What the controller looks at: while it stays, there is nothing to do."""
    known = service["metadata"].get("annotations") or {}
    wishes = {name: value for name, value in known.items() if name.startswith(allocation.PREFIX)}
    return service["metadata"].get("uid"), service["spec"], external_addresses(service), wishes


class SimulatedSpeakers:
    """One speaker a node: what each believes, what each announces, and what it leaves behind.

    `lost`: the nodes that are killed or cut off, and since when; `cut`: those of them that live on unheard.
    """

    def __init__(self, cluster: EventLoop, events: EventRecorder, lost: dict[str, float], cut: set[str]) -> None:
        self.cluster, self._events, self._lost, self._cut = cluster, events, lost, cut
        there = frozenset(election.speakers(cluster.objects)) - frozenset(lost)
        self.views: dict[str, frozenset[str]] = dict.fromkeys(sorted(there), there)
        self.logs: dict[str, list[str]] = {}
        self.bursts: dict[tuple[str, str], list[float]] = {}  # (node, address): rounds of gratuitous ARP
        self.announced: TimeSeries[Announced] = TimeSeries(cluster.now, {})
        self.sessions: TimeSeries[frozenset[str]] = TimeSeries(cluster.now, there)
        self._layer2: dict[tuple[str, str], Any] = {}  # (node, Service): what was announced, knowing what
        self._bgp: dict[tuple[str, str], Any] = {}
        self._led: dict[str, replay.LeaderChange] = {}
        cluster.subscribe(("services", "endpointslices", *_CONFIG), cluster.delays.announce, self.sync)

    def begin(self) -> None:
        """Know what is announced at the beginning, without announcing it anew."""
        for key, found in self._elections(self._common()).items():
            note = self._write_status(key)
            named = note.get("status", {}).get("node") if note else None
            self._led[key] = replay.LeaderChange(self.cluster.now, key, found.leader, named)
            for node in self.views:
                if found.leader == node:
                    self._layer2[node, key] = self._announcement_key(key, node)
        for node in self.views:
            for key in self._advertising(node):
                self._bgp[node, key] = self._announcement_key(key, node)
        self._publish()

    # ── what is known ────────────────────────────────────────────────────────────────────────────────────

    def _common(self) -> frozenset[str]:
        """Whom the speakers that can be heard think alive."""
        heard = [node for node in self.views if node not in self._lost]
        return self.views[heard[0]] if heard else frozenset()

    def _elections(self, alive: frozenset[str]) -> dict[str, election.Election]:
        configured, nodes = pools(self.cluster.objects), self.cluster.objects("nodes")
        slices = by_service(self.cluster.objects("endpointslices"))
        found = {}
        for service in self.cluster.objects("services"):
            ips = external_addresses(service)
            if service["spec"].get("type") == "LoadBalancer" and ips:
                key = allocation.key_of_service(service)
                pieces = slices.get((service["metadata"]["namespace"], service["metadata"]["name"]), [])
                found[key] = election.elect(service, ips, pool_of(configured, ips), pieces, nodes, alive)
        return found

    def _announcement_key(self, key: str, node: str) -> Any:
        """What an announcement rests on: when it changes, it is made anew."""
        space, name = key.split("/")
        service = self._service(key) or {"metadata": {}, "spec": {}}
        slices = slices_of(self.cluster.objects("endpointslices"), space, name)
        nodes = [(one["metadata"]["name"], one["metadata"].get("labels")) for one in self.cluster.objects("nodes")]
        ends = [piece.get("endpoints") for piece in slices]
        return (
            external_addresses(service),
            service["metadata"].get("uid"),
            service["spec"],
            ends,
            nodes,
            self.views.get(node),
        )

    def _service(self, key: str) -> KubeObject | None:
        space, name = key.split("/")
        return self.cluster.get("services", name, space)

    # ── announcing ───────────────────────────────────────────────────────────────────────────────────────

    def sync(self) -> None:
        """Every speaker that can be heard looks at every Service."""
        common = self._elections(self._common())
        for node in [node for node in self.views if node not in self._lost]:
            self._layer2_of(node, common)
            self._bgp_of(node)
        for key in common.keys() | self._led.keys():
            self._transfer_status(key, common[key].leader if key in common else None)
        self._publish()

    def sync_alone(self, node: str) -> None:
        """A speaker that is cut off decides by itself; nobody hears it, and it writes no events."""
        self._layer2_of(node, self._elections(self.views[node]))
        self._publish()

    def _layer2_of(self, node: str, found: Mapping[str, election.Election]) -> None:
        mine = {key for key, one in found.items() if one.leader == node}
        for key in sorted(mine):
            knowing = self._announcement_key(key, node)
            if self._layer2.get((node, key)) != knowing:
                self._layer2[node, key] = knowing
                self._announce(node, key, "layer2")
        for other, key in list(self._layer2):
            if other == node and key not in mine:
                ips = self._layer2.pop((node, key))[0]
                said = {
                    "event": "serviceWithdrawn",
                    "ip": ips,
                    "reason": "notOwner" if self._service(key) else "serviceDeleted",
                }
                self._say(node, "main.go:464", "withdrawing service announcement", **said)

    def _announce(self, node: str, key: str, protocol: str) -> None:
        service = self._service(key)
        if service is None:
            return
        ips = external_addresses(service)
        pool = service["metadata"].get("annotations", {}).get(allocation.FROM_POOL, "")
        said = {"event": "serviceAnnounced", "ips": ips, "pool": pool, "protocol": protocol}
        self._say(node, "main.go:420", "service has IP, announcing", **said)
        if protocol == "layer2":
            for ip in ips:
                self._send_gratuitous_arp(node, ip)
        if node not in self._lost:
            message = f'announcing from node "{node}" with protocol "{protocol}"'
            self._events.write(
                service, "metallb-speaker", allocation.EventMessage("Normal", "nodeAssigned", message), node
            )

    def _send_gratuitous_arp(self, node: str, ip: str) -> None:
        """Gratuitous ARP: a round at once, then every 1.1 s until 5 s after the last sync."""
        rounds, now = self.bursts.setdefault((node, ip), []), self.cluster.now
        if not rounds or now >= rounds[-1] + _ROUND:
            rounds.append(now)
        while rounds[-1] + _ROUND < now + _BURST:
            rounds.append(rounds[-1] + _ROUND)

    def _bgp_of(self, node: str) -> None:
        mine = self._advertising(node)
        for key in sorted(mine):
            knowing = self._announcement_key(key, node)
            if self._bgp.get((node, key)) != knowing:
                self._bgp[node, key] = knowing
                self._announce(node, key, "bgp")
        for other, key in list(self._bgp):
            if other == node and key not in mine:
                del self._bgp[node, key]

    def _advertising(self, node: str) -> set[str]:
        return {name for route in bgp.advertised(self.cluster.objects, [node]) for name in route.services}

    def _publish(self) -> None:
        found: dict[str, set[str]] = {}
        for (node, _), knowing in self._layer2.items():
            for ip in knowing[0]:
                found.setdefault(ip, set()).add(node)
        self.announced.set(self.cluster.now, {ip: frozenset(nodes) for ip, nodes in found.items()})

    # ── notes ────────────────────────────────────────────────────────────────────────────────────────────

    def _write_status(self, key: str) -> KubeObject | None:
        space, name = key.split("/")
        for note in self.cluster.objects("servicel2statuses"):
            labels = note["metadata"].get("labels", {})
            if (labels.get("metallb.io/service-namespace"), labels.get("metallb.io/service-name")) == (space, name):
                return note
        return None

    def _transfer_status(self, key: str, leader: str | None) -> None:
        """Keep the ServiceL2Status of a Service as v0.14.8 does, with the node it keeps naming after its death."""
        before = self._led.get(key, replay.LeaderChange(0.0, key, None, None))
        wanted = replay.status_changes(before.status_node, before.leader, leader, self._common())
        self._led[key] = replay.LeaderChange(self.cluster.now, key, leader, wanted)
        note = self._write_status(key)
        if note and wanted != before.status_node:
            self.cluster.remove("servicel2statuses", note)
            note = None
        if wanted and leader:
            self.cluster.put(
                "servicel2statuses", _with_leader_label(note, leader) if note else self._create_status(key, leader)
            )

    def _create_status(self, key: str, leader: str) -> KubeObject:
        space, name = key.split("/")
        labels = {"metallb.io/node": leader, "metallb.io/service-name": name, "metallb.io/service-namespace": space}
        meta = {"name": f"l2-{self.cluster.numbers.suffix()}", "namespace": SYSTEM, "labels": labels}
        status = {"node": leader, "serviceName": name, "serviceNamespace": space}
        return {
            "apiVersion": "metallb.io/v1beta1",
            "kind": "ServiceL2Status",
            "metadata": meta,
            "spec": {},
            "status": status,
        }

    # ── gossip ───────────────────────────────────────────────────────────────────────────────────────────

    def mark_unreachable(self, node: str) -> None:
        """A speaker answers no more: the others suspect it, then give it up."""
        members = self._common()
        survivors = sorted(members - {node} - self._lost.keys())
        if node not in members or not survivors:
            return
        turn = len(members) - 1
        probes = [turn * (place + 1) / (len(survivors) + 1) for place in range(len(survivors))]
        noticed = memberlist.detection(probes, len(members))
        for survivor, probe in zip(survivors, probes, strict=True):
            said = f"memberlist: Suspect {node} has failed, no acks received"
            self._later(probe + 1.0, survivor, "state.go:521", said, component="Memberlist")
        marked = (
            f"memberlist: Marking {node} as failed, suspect timeout reached ({min(2, turn - 1)} peer confirmations)"
        )
        for survivor in survivors:
            self._later(noticed.dead, survivor, "state.go:1245", marked, component="Memberlist")
        since = self._lost.get(node)
        self.cluster.schedule(noticed.dead, lambda: self._probe_failed(node, since))

    def _probe_failed(self, node: str, since: float | None) -> None:
        """It is given up, unless it came back in time."""
        if since is not None and self._lost.get(node) == since:
            self.leave(node)

    def isolate(self, node: str) -> None:
        """A cut-off speaker gives up the others, one by one."""
        others = sorted(self.views.get(node, frozenset()) - {node})
        for other, seconds in zip(others, memberlist.isolated_detection(len(others) + 1), strict=False):
            self.cluster.schedule(seconds, lambda other=other: self._declare_dead(node, other))  # type: ignore[misc]

    def _declare_dead(self, node: str, other: str) -> None:
        if node in self._cut:
            said = f"memberlist: Marking {other} as failed, suspect timeout reached (0 peer confirmations)"
            self._say(node, "state.go:1245", said, component="Memberlist")
            self._is_member(node, self.views[node] - {other}, other, "NodeLeave")
            self.sync_alone(node)

    def leave(self, node: str) -> None:
        """The others know that a speaker is gone."""
        for other in [one for one in self.views if one != node and one not in self._lost]:
            self._is_member(other, self.views[other] - {node}, node, "NodeLeave")
        self.sync()

    def stop(self, node: str) -> None:
        """A speaker's process is gone: it announces nothing any more."""
        self.views.pop(node, None)
        for known in (self._layer2, self._bgp):
            for place in [place for place in known if place[0] == node]:
                del known[place]
        self.close_bgp(node)
        self._publish()

    def join(self, node: str) -> None:
        """A speaker has found the others, and they it; its session with the router is up, too."""
        if node in self._lost:
            return
        there = self._common() | {node}
        self.views.setdefault(node, frozenset({node}))
        for one in [one for one in self.views if one not in self._lost]:
            for other in sorted(there - self.views[one]):
                self._is_member(one, self.views[one] | {other}, other, "NodeJoin")
        self.open_bgp(node)
        self.sync()

    def _is_member(self, node: str, view: frozenset[str], other: str, event: str) -> None:
        self.views[node] = view
        said = {"node addr": self._address(other), "node event": event, "node name": other}
        self._say(node, "speakerlist.go:313", "node event - forcing sync", **said)

    def _address(self, node: str) -> str:
        told = (self.cluster.get("nodes", node) or {}).get("status", {}).get("addresses") or []
        return str(next((one["address"] for one in told if one["type"] == "InternalIP"), ""))

    # ── sessions with the router ─────────────────────────────────────────────────────────────────────────

    def close_bgp(self, node: str) -> None:
        self.sessions.set(self.cluster.now, self.sessions.now - {node})

    def open_bgp(self, node: str) -> None:
        if node not in self._lost and node in self.views:
            self.sessions.set(self.cluster.now, self.sessions.now | {node})

    # ── logs ─────────────────────────────────────────────────────────────────────────────────────────────

    def _later(self, seconds: float, node: str, caller: str, msg: str, **facts: Any) -> None:
        self.cluster.schedule(seconds, lambda: self._say(node, caller, msg, **facts))

    def _say(self, node: str, caller: str, msg: str, **facts: Any) -> None:
        line = log_line(self.cluster.now, caller=caller, level="info", msg=msg, **facts)
        self.logs.setdefault(node, []).append(line)


def _with_leader_label(note: KubeObject, leader: str) -> KubeObject:
    """A note that a successor could sign, but not rewrite."""
    note = copy.deepcopy(note)
    note["metadata"]["labels"]["metallb.io/node"] = leader
    return note


def installed(objects: Iterable[KubeObject]) -> bool:
    """True when a namespace metallb-system is among the namespaces."""
    return any(one["metadata"]["name"] == SYSTEM for one in objects)
