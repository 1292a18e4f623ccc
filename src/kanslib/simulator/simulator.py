"""A whole cluster, worked out: start it anywhere, act on it, ask what every place would say at a moment. Pure."""

from __future__ import annotations

import copy
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import IPv4Network

from kanslib.actions import ACTIONS, ActiveAction, Verb, describe
from kanslib.exceptions import ClusterError, ConfigurationError, ManifestError, NotSimulatedError, UnknownNameError
from kanslib.k8s import kubeproxy
from kanslib.k8s.apply import is_applied
from kanslib.k8s.manifest import reference
from kanslib.k8s.objects import KubeObject, as_of, external_address, plural
from kanslib.metallb import bgp
from kanslib.metallb.config import pools
from kanslib.metallb.election import EXCLUDE
from kanslib.simulator import api_server
from kanslib.simulator.delays import DELAYS, Delays
from kanslib.simulator.event_loop import EventLoop
from kanslib.simulator.kubelet import Kubelets
from kanslib.simulator.metallb import SYSTEM, EventRecorder, SimulatedController, SimulatedSpeakers, installed
from kanslib.simulator.time_series import TimeSeries

_KINDS = {
    "Pod": "pods", "Service": "services", "IPAddressPool": "ipaddresspools", "L2Advertisement": "l2advertisements",
    "BGPPeer": "bgppeers", "BGPAdvertisement": "bgpadvertisements", "Namespace": "namespaces",
}  # fmt: skip
_ROUTED = ("services", "endpointslices", "nodes", "ipaddresspools", "bgpadvertisements", "bgppeers")
_METALLB = ("IPAddressPool", "L2Advertisement", "BGPPeer", "BGPAdvertisement")


@dataclass(frozen=True)
class InitialState:
    """Where a twin starts: the objects of a moment (Unix seconds), what is broken then, and the places around it."""

    moment: float
    objects: Mapping[str, Sequence[KubeObject]]
    network: str
    addresses: Mapping[str, str]
    macs: Mapping[str, str]  # of places, by name
    cluster_cidr: str
    control_plane: str
    client: str | None = "mypc"
    router: str | None = None
    router_address: str = ""
    active: tuple[ActiveAction, ...] = ()  # what was done before and not undone, the router aside
    neighbors: Mapping[str, str] = field(default_factory=dict)  # by the client: an address, and whose MAC it has
    dump: Callable[[str], str | None] = lambda _node: None  # a node's iptables-save, for what is not kube-proxy's
    log: Callable[[str, str], str] = lambda _component, _node: ""  # what a node's speaker or controller had said before


class Simulator:
    """MetalLB, kube-proxy and the rest as they would be. Time stands still between acts, until `pass_time`."""

    def __init__(
        self, origin: InitialState, numbers: api_server.IdGenerator | None = None, delays: Delays = DELAYS
    ) -> None:
        self.start, self.delays = origin, delays
        self.cluster = EventLoop(origin.moment, numbers or api_server.IdGenerator(), delays)
        for kind in {*_KINDS.values(), "nodes", "endpointslices", "events", "servicel2statuses", "daemonsets",
                     "deployments", "leases", "endpoints", *origin.objects}:  # fmt: skip
            self.cluster.load(kind, origin.objects.get(kind, ()))
        now = origin.moment
        killed, cut, hosts = (
            [one.target for one in origin.active if one.verb == verb]
            for verb in ("kill_node", "link_down", "add_conflicting_host")
        )
        self.lost: dict[str, float] = dict.fromkeys([*killed, *cut], now)
        self._cut = set(cut)
        self.down: TimeSeries[frozenset[str]] = TimeSeries(now, frozenset(killed))
        self.unreachable: TimeSeries[frozenset[str]] = TimeSeries(now, frozenset(self.lost))
        self.heard: dict[
            str, TimeSeries[float]
        ] = {}  # a node that cannot hear the API, and what it heard last; inf: hears
        self.router: TimeSeries[str | None] = TimeSeries(now, origin.router)
        self.routed: TimeSeries[bool] = TimeSeries(now, ActiveAction("route_client") in origin.active)
        held = (hosts[0], self._first_vip()) if hosts else None  # a container, and the address that it holds
        self.conflicting_host: TimeSeries[tuple[str, str] | None] = TimeSeries(now, held)
        self.workloads = Kubelets(self.cluster, self.lost)
        self.events = EventRecorder(self.cluster)
        self.controller = SimulatedController(self.cluster, self.events)
        self.speakers = SimulatedSpeakers(self.cluster, self.events, self.lost, self._cut)
        self.controller.adopt()
        self.speakers.begin()
        self._known: dict[tuple[str, int], list[KubeObject]] = {}
        self._routes: dict[tuple[object, ...], dict[str, tuple[str, ...]]] = {}
        self._written: dict[tuple[str, int, int], kubeproxy.Rules] = {}

    # ── acts ─────────────────────────────────────────────────────────────────────────────────────────────

    def advance(self, until: float) -> None:
        """Let time pass up to a moment; what was still to come, comes."""
        self.cluster.run(until)

    def settle(self) -> float:
        """Let happen what was caused, until kube-proxy has written the last of it; the moment (Unix seconds)."""
        settled = self.cluster.settle()
        kinds = ("services", "endpointslices")
        written = [self.cluster.history[kind][-1].t + self.delays.proxy for kind in kinds if self.cluster.history[kind]]
        self.cluster.run(max([settled, *written]))
        return self.cluster.now

    def apply(self, documents: Sequence[KubeObject]) -> list[str]:
        """`kubectl apply`: what kubectl would print. NotSimulatedError for a kind that the twin does not know."""
        unknown = [document["kind"] for document in documents if document["kind"] not in _KINDS]
        if unknown:
            raise NotSimulatedError(f"objects of kind {unknown[0]}", _KINDS)
        self._admit(documents)
        return [self._apply(document) for document in documents]

    def _admit(self, documents: Sequence[KubeObject]) -> None:
        """What MetalLB's webhook refuses: a pool that overlaps another, a range that is none."""
        wanted = [document for document in documents if document["kind"] == "IPAddressPool"]
        named = {document["metadata"]["name"] for document in wanted}
        kept = [pool for pool in self.cluster.objects("ipaddresspools") if pool["metadata"]["name"] not in named]
        try:
            pools(lambda kind: [*kept, *wanted] if kind == "ipaddresspools" else [])
        except (ConfigurationError, ManifestError) as refused:
            name = next(iter(named))
            raise ClusterError(f"the pool {name}: MetalLB's webhook denies it: {refused}") from None

    def _apply(self, document: KubeObject) -> str:
        kind = _KINDS[document["kind"]]
        there = self.cluster.get(kind, document["metadata"]["name"], document["metadata"].get("namespace", "default"))
        group = "metallb.io" if document["kind"] in _METALLB else ""
        named = reference(document).replace("/", f".{group}/", 1) if group else reference(document)
        if is_applied(document, there):
            return f"{named} unchanged"
        merged = api_server.apply_object(document, there)
        merged.setdefault("apiVersion", document.get("apiVersion", "v1"))
        if kind == "services":
            others = [one for one in self.cluster.objects("services") if one is not there]
            merged = api_server.with_service_defaults(
                merged, there, self.cluster.numbers, self.service_network(), others
            )
        if kind == "pods" and there is None:
            merged["status"] = {"phase": "Pending"}
        self.cluster.put(kind, merged)
        return f"{named} {'configured' if there else 'created'}"

    def service_network(self) -> IPv4Network:
        """The range of ClusterIPs: that of the Service `kubernetes`."""
        first = self.cluster.get("services", "kubernetes")
        address = first["spec"]["clusterIP"] if first else "10.96.0.1"
        return IPv4Network(f"{address}/24", strict=False)

    def delete(self, references: Sequence[str]) -> list[str]:
        """`kubectl delete`, in whatever namespace the object is."""
        said = []
        for ref in references:
            kind, _, name = ref.partition("/")
            obj = next((one for one in self.cluster.objects(plural(kind)) if one["metadata"]["name"] == name), None)
            if obj is None:
                said.append(f"{ref} not found")
                continue
            self._delete(plural(kind), obj)
            said.append(f'{plural(kind).removesuffix("s")} "{name}" deleted')
        return said

    def _delete(self, kind: str, obj: KubeObject) -> None:
        if kind != "pods":
            return self.cluster.remove(kind, obj)
        self.workloads.delete(obj)
        component = obj["metadata"].get("labels", {}).get("component")
        node = obj["spec"].get("nodeName", "")
        if component == "speaker" and node not in self.lost:
            self._replace_speaker(node)
        if component in ("speaker", "controller") and node not in self.lost:
            self.cluster.schedule(self.delays.pod_stop, lambda: self._respawn(obj, component))
        return None

    def _replace_speaker(self, node: str) -> None:
        def left() -> None:
            self.speakers.stop(node)
            self.speakers.leave(node)

        self.cluster.schedule(self.delays.leave, left)
        self.cluster.schedule(
            self.delays.return_, lambda: self.speakers.join(node) if self._speakers_wanted() else None
        )

    def _speakers_wanted(self) -> bool:
        return _speakers_wanted(self.cluster.objects("daemonsets"))

    def _respawn(self, pod: KubeObject, component: str) -> None:
        if component == "speaker" and not self._speakers_wanted():
            return
        fresh = copy.deepcopy(pod)
        meta = {key: fresh["metadata"][key] for key in ("namespace", "labels") if key in fresh["metadata"]}
        stem = pod["metadata"]["name"].rpartition("-")[0]
        fresh["metadata"] = {**meta, "name": f"{stem}-{self.cluster.numbers.suffix()}"}
        fresh["status"] = {"phase": "Pending"}
        self.cluster.put("pods", fresh)

    def perform(self, verb: Verb, targets: Sequence[str]) -> list[str]:  # noqa: PLR0912 (one case an action)
        """Do any other action, and return it in words. NotSimulatedError for one that is not simulated."""
        now = self.cluster.now
        match verb:
            case "install_metallb":
                self._install()
            case "label":
                self._label(*targets)
            case "kill_node":
                self._kill(targets[0])
            case "start_node":
                self._start(targets[0])
            case "link_down":
                self._link_down(targets[0])
            case "link_up":
                self._link_up(targets[0])
            case "start_router":
                self.router.set(now, self.start.router or "router")
            case "stop_router":
                self.router.set(now, None)
            case "route_client" | "unroute_client":
                self.routed.set(now, verb == "route_client")
            case "add_conflicting_host":
                self._add_conflicting_host(*targets)
            case "remove_conflicting_host":
                self.conflicting_host.set(now, None)
            case "stop_speakers":
                self._stop_speakers()
            case "start_speakers":
                self._start_speakers()
            case _:
                raise NotSimulatedError(f"the action {verb}", (known for known, row in ACTIONS.items() if row.inverse))
        return [describe(verb, targets)]

    def active_actions(self, moment: float) -> list[ActiveAction]:
        """Return what was done to nodes and places by a moment, and is not undone."""
        down = self.down.at(moment)
        router, host = self.router.at(moment), self.conflicting_host.at(moment)
        daemonsets = self.objects("daemonsets", moment)
        return [
            *(ActiveAction("kill_node", node) for node in sorted(down)),
            *(ActiveAction("link_down", node) for node in sorted(self.unreachable.at(moment) - down)),
            *([ActiveAction("start_router", router)] if router else []),
            *([ActiveAction("route_client")] if self.routed.at(moment) else []),
            *([ActiveAction("add_conflicting_host", host[0])] if host else []),
            *([] if _speakers_wanted(daemonsets) else [ActiveAction("stop_speakers", "ds/speaker")]),
            *(ActiveAction("label", node) for node in self._excluded(moment)),
        ]

    def _excluded(self, moment: float) -> list[str]:
        nodes = {one["metadata"]["name"]: one["metadata"].get("labels", {}) for one in self.objects("nodes", moment)}
        return [node for node, labels in nodes.items() if EXCLUDE in labels and node != self.start.control_plane]

    def _label(self, node: str, *labels: str) -> None:
        obj = copy.deepcopy(self._node(node))
        known = obj["metadata"].setdefault("labels", {})
        for label in labels:
            key, equals, value = label.partition("=")
            if not equals and key.endswith("-"):
                known.pop(key[:-1], None)
            else:
                known[key] = value
        self.cluster.put("nodes", obj)

    def _node(self, name: str) -> KubeObject:
        found = self.cluster.get("nodes", name)
        if found is None:
            raise UnknownNameError("node", name, [node["metadata"]["name"] for node in self.cluster.objects("nodes")])
        return found

    # ── losing a node, and getting it back ───────────────────────────────────────────────────────────────

    def _lose(self, node: str) -> None:
        self._node(node)
        if node == self.start.control_plane:
            raise NotSimulatedError(f"the loss of {node}: without the control plane there is no API to ask")
        now = self.cluster.now
        self.lost[node] = now
        self.unreachable.set(now, self.unreachable.now | {node})
        self.speakers.mark_unreachable(node)
        self.cluster.schedule(
            self.delays.not_ready(self._since_renewal(node)), lambda: self._seconds_to_not_ready(node, now)
        )

    def _since_renewal(self, node: str) -> float:
        """How old a node's lease is; half its period where nobody wrote it down."""
        lease = self.cluster.get("leases", node, "kube-node-lease")
        renewed = (lease or {}).get("spec", {}).get("renewTime")
        if not renewed:
            return self.delays.lease_period / 2
        age = self.cluster.now - datetime.fromisoformat(renewed.replace("Z", "+00:00")).timestamp()
        return age % self.delays.lease_period

    def _seconds_to_not_ready(self, node: str, since: float) -> None:
        if self.lost.get(node) == since:
            self.workloads.not_ready(node)

    def _kill(self, node: str) -> None:
        self._lose(node)
        self.speakers.stop(node)
        self.down.set(self.cluster.now, self.down.now | {node})

    def _link_down(self, node: str) -> None:
        self._lose(node)
        self._cut.add(node)
        self.api_visibility(node).set(self.cluster.now, self.cluster.now)
        self.speakers.isolate(node)
        hold = min((peer.hold for peer in bgp.peers(self.cluster.objects)), default=9.0)
        since = self.cluster.now
        self.cluster.schedule(
            bgp.hold_timer_expiry(min(hold, 9.0)).typical,
            lambda: self.speakers.close_bgp(node) if self.lost.get(node) == since else None,
        )

    def api_visibility(self, node: str) -> TimeSeries[float]:
        """Until when a node has heard of the API."""
        return self.heard.setdefault(node, TimeSeries(self.start.moment, float("inf")))

    def _start(self, node: str) -> None:
        self._node(node)
        now = self.cluster.now
        self.down.set(now, self.down.now - {node})

        def up() -> None:
            self._node_recovered(node)
            self.workloads.ready(node)

        def running() -> None:
            self.workloads.restarted(node)
            self.workloads.pods_ready(node)

        self.cluster.schedule(self.delays.boot, up)
        self.cluster.schedule(self.delays.restart, running)
        self.cluster.schedule(self.delays.rejoin, lambda: self.speakers.join(node))
        self.cluster.schedule(
            self.delays.rejoin + self.delays.speaker_ready, lambda: self.workloads.speaker_ready(node)
        )

    def _link_up(self, node: str) -> None:
        self._node(node)
        self._cut.discard(node)
        self._node_recovered(node)
        self.api_visibility(node).set(self.cluster.now, float("inf"))
        self.cluster.schedule(1.8, lambda: self.speakers.open_bgp(node))
        self.cluster.schedule(self.delays.remend, lambda: self.speakers.join(node))
        self.cluster.schedule(self.delays.mend, lambda: self.workloads.pods_ready(node))
        self.cluster.schedule(self.delays.mend, lambda: self.workloads.speaker_ready(node))
        self.cluster.schedule(self.delays.mend + 4, lambda: self.workloads.ready(node))

    def _node_recovered(self, node: str) -> None:
        self.lost.pop(node, None)
        self.unreachable.set(self.cluster.now, self.unreachable.now - {node})

    # ── MetalLB, the router, the neighbors ──────────────────────────────────────────────────────────────

    def _install(self) -> None:
        if installed(self.cluster.objects("namespaces")):
            return
        self.cluster.put("namespaces", {"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": SYSTEM}})
        labels = {"app": "metallb", "component": "speaker"}
        template = {
            "metadata": {"labels": labels},
            "spec": {"hostNetwork": True, "containers": [_container("speaker")]},
        }
        for kind, name in (("DaemonSet", "speaker"), ("Deployment", "controller")):
            spec = {"selector": {"matchLabels": {**labels, "component": name}}, "template": template}
            meta = {"name": name, "namespace": SYSTEM, "labels": {**labels, "component": name}}
            self.cluster.put(
                f"{kind.lower()}s", {"kind": kind, "apiVersion": "apps/v1", "metadata": meta, "spec": spec}
            )
        webhook = {"name": "metallb-webhook-service", "namespace": SYSTEM}
        ports = [{"port": 443, "targetPort": 9443, "protocol": "TCP"}]
        wanted = {"ports": ports, "selector": {"component": "controller"}}
        self._apply({"kind": "Service", "apiVersion": "v1", "metadata": webhook, "spec": wanted})
        self.cluster.put("pods", _pod("controller-8694df9d9b", "controller", "", self.cluster.numbers))
        for node in self.cluster.objects("nodes"):
            self.cluster.put("pods", _pod("speaker", "speaker", node["metadata"]["name"], self.cluster.numbers))
        self.cluster.schedule(self.delays.rejoin, self._all_join)
        self.cluster.schedule(self.delays.metallb_start, lambda: None)

    def _all_join(self) -> None:
        for node in self.cluster.objects("nodes"):
            self.speakers.join(node["metadata"]["name"])

    def _stop_speakers(self) -> None:
        """The DaemonSet may run nowhere: every speaker says goodbye."""
        daemons = copy.deepcopy(self.cluster.get("daemonsets", "speaker", SYSTEM))
        if daemons is None:
            return
        daemons["spec"]["template"]["spec"]["nodeSelector"] = {"no-such": "node"}
        self.cluster.put("daemonsets", daemons)
        for pod in self.cluster.objects("pods"):
            if pod["metadata"].get("labels", {}).get("component") == "speaker":
                self._delete("pods", pod)

    def _start_speakers(self) -> None:
        """The DaemonSet may run anywhere again."""
        daemons = copy.deepcopy(self.cluster.get("daemonsets", "speaker", SYSTEM))
        if daemons is None or self._speakers_wanted():
            return
        daemons["spec"]["template"]["spec"]["nodeSelector"] = {"kubernetes.io/os": "linux"}
        self.cluster.put("daemonsets", daemons)
        for node in self.cluster.objects("nodes"):
            self.cluster.put("pods", _pod("speaker", "speaker", node["metadata"]["name"], self.cluster.numbers))
        self.cluster.schedule(self.delays.return_, self._all_join)

    def _add_conflicting_host(self, name: str = "squatter", address: str = "") -> None:
        self.conflicting_host.set(self.cluster.now, (name, address or self._first_vip()))

    def _first_vip(self) -> str:
        return next((ip for one in self.cluster.objects("services") if (ip := external_address(one))), "")

    # ── what is true at a moment, and what a node believes ───────────────────────────────────────────────

    def version(self, kind: str, moment: float) -> int:
        """How often objects of a kind had changed by a moment: between two changes all is the same."""
        if kind not in self.cluster.history:
            raise NotSimulatedError(f"objects of kind {kind!r}", sorted(self.cluster.history))
        return bisect_right(self.cluster.history[kind], moment, key=lambda event: event.t)

    def objects(self, kind: str, moment: float) -> list[KubeObject]:
        """The objects of a kind at a moment (Unix seconds)."""
        place = (kind, self.version(kind, moment))
        if place not in self._known:
            self._known[place] = as_of(self.cluster.history[kind], moment)
        return self._known[place]

    def api_view_of(self, node: str, moment: float) -> tuple[float, tuple[str, int, int]]:
        """Until when kube-proxy on a node had worked in what it heard, and which version of the rules that is."""
        heard = min(moment, self.api_visibility(node).at(moment)) - self.delays.proxy + 1e-6
        heard = max(heard, self.start.moment)
        return heard, (node, self.version("services", heard), self.version("endpointslices", heard))

    def rules(self, node: str, moment: float) -> kubeproxy.Rules:
        """What kube-proxy has written on a node: from what the node had heard, a moment before."""
        heard, place = self.api_view_of(node, moment)
        if place not in self._written:
            config = kubeproxy.Config.of(self.objects("nodes", heard), self.start.cluster_cidr)
            services, slices = (self.objects(kind, heard) for kind in ("services", "endpointslices"))
            self._written[place] = kubeproxy.write(services, slices, node, config)
        return self._written[place]

    def next_hops(self, moment: float) -> dict[str, tuple[str, ...]]:
        """The router's routes; none where no router runs."""
        if self.router.at(moment) is None:
            return {}
        sessions = self.speakers.sessions.at(moment)
        place = (sessions, *(self.version(kind, moment) for kind in _ROUTED))
        if place not in self._routes:
            self._routes[place] = self._next_hops(lambda kind: self.objects(kind, moment), sessions)
        return self._routes[place]

    @staticmethod
    def _next_hops(objects: Callable[[str], list[KubeObject]], sessions: frozenset[str]) -> dict[str, tuple[str, ...]]:
        peer = next(iter(bgp.peers(objects)), None)
        return bgp.next_hops(bgp.advertised(objects, sessions), peer.name) if peer else {}

    def nodes(self, moment: float) -> list[str]:
        return [node["metadata"]["name"] for node in self.objects("nodes", moment)]

    def answers(self, address: str, moment: float, asker: str | None = None) -> list[str]:
        """Who answers ARP for an address: speakers that announce it and can be heard, and who else holds it."""
        deaf = self.unreachable.at(moment)
        found = [node for node in sorted(self.speakers.announced.at(moment).get(address, ())) if node not in deaf]
        host = self.conflicting_host.at(moment)
        others = [host[0]] if host and host[1] == address else []
        return [one for one in [*others, *found] if one != asker]


def _speakers_wanted(daemonsets: Sequence[KubeObject]) -> bool:
    """Return False when the speakers have a node selector that no node matches."""
    specs = [one["spec"] for one in daemonsets if one["metadata"]["name"] == "speaker"]
    selectors = [spec.get("template", {}).get("spec", {}).get("nodeSelector") or {} for spec in specs]
    return all(set(selector) <= {"kubernetes.io/os"} for selector in selectors)


def _container(name: str) -> dict[str, object]:
    return {"name": name, "image": f"quay.io/metallb/{name}:v0.14.8"}


def _pod(stem: str, component: str, node: str, numbers: api_server.IdGenerator) -> KubeObject:
    labels = {"app": "metallb", "component": component}
    meta = {"name": f"{stem}-{numbers.suffix()}", "namespace": SYSTEM, "labels": labels}
    spec: dict[str, object] = {"containers": [_container(component)], "terminationGracePeriodSeconds": 2}
    if node:
        spec |= {"nodeName": node, "hostNetwork": True}
    return {"kind": "Pod", "apiVersion": "v1", "metadata": meta, "spec": spec, "status": {"phase": "Pending"}}
