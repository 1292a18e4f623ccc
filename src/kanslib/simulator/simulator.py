"""Simulate a whole cluster: start it in any state, perform actions, query any place at any moment. Pure."""

from __future__ import annotations

import copy
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property, partial
from ipaddress import ip_network

from kanslib.actions import ACTIONS, ActiveAction, Verb, describe
from kanslib.course.addressing import address_plan
from kanslib.course.router import course_router
from kanslib.exceptions import NotSimulatedError, RefusedError, UnknownNameError
from kanslib.i18n import tr
from kanslib.k8s import kubeproxy, schema
from kanslib.k8s.apply import is_applied
from kanslib.k8s.manifest import parse_reference
from kanslib.k8s.objects import (
    CLUSTER_SCOPED,
    KubeObject,
    as_of,
    external_address,
    is_ready,
    labels_of,
    name_of,
    plural,
)
from kanslib.metallb import bgp, bgp_sessions
from kanslib.metallb.bgp_sessions import CONNECT_S
from kanslib.metallb.election import EXCLUDE
from kanslib.metallb.resources import SYSTEM
from kanslib.metallb.webhook import WEBHOOKS, Operation
from kanslib.simulator import admission, api_server
from kanslib.simulator.address_family import AddressFamily, Network, is_ipv6
from kanslib.simulator.chance import Chance
from kanslib.simulator.delays import DELAYS, Delays
from kanslib.simulator.endpoint_slices import EndpointSlices
from kanslib.simulator.event_loop import EventLoop
from kanslib.simulator.event_recorder import EventRecorder
from kanslib.simulator.judgement import refuse_configuration, refuse_denied
from kanslib.simulator.kube_proxy_options import KubeProxyOptions
from kanslib.simulator.kubelet import Kubelets
from kanslib.simulator.metallb import SimulatedController, SimulatedSpeakers, is_installed
from kanslib.simulator.router import RouterView
from kanslib.simulator.scheduler import untolerated_taint
from kanslib.simulator.service_registry import stored_service
from kanslib.simulator.session_log import SpeakerState, session_lines
from kanslib.simulator.time_series import TimeSeries
from kanslib.simulator.workloads import Workloads, daemon_pod_spec

_ROUTED = ("services", "endpointslices", "nodes", "pods")
# MetalLB v0.14.8 config/manifests/metallb-native.yaml
_SPEAKER_VOLUMES = [  # of metallb-native.yaml v0.14.8
    {"name": "memberlist", "secret": {"secretName": "memberlist", "defaultMode": 420}},
    {"name": "metallb-excludel2", "configMap": {"name": "metallb-excludel2", "defaultMode": 256}},
]
_SPEAKER_TOLERATIONS = [
    {"effect": "NoSchedule", "key": f"node-role.kubernetes.io/{role}", "operator": "Exists"}
    for role in ("master", "control-plane")
]
# what rules depend on: node, its zone, versions of Services and slices, and the family: True for IPv6
RulesVersion = tuple[str, str, int, int, bool]


@dataclass(frozen=True)
class InitialState:
    """The state in which a simulation starts: the objects of a moment, active actions, and places with addresses.

    `moment`: Unix seconds. `objects`: by kind (plural, lower case). `network`: the Docker network. `addresses`, `macs`:
    of nodes, client and router, by name. `cluster_cidr`: the range of Pods. `service_cidr`: the range of ClusterIPs
    (empty: the /24 of the Service `kubernetes`). `second`: the addresses of the second family in a dual-stack cluster.
    `router`: its name while it runs. `kube_proxy`: the options of kube-proxy.
    """

    moment: float
    objects: Mapping[str, Sequence[KubeObject]]
    network: str
    addresses: Mapping[str, str]
    macs: Mapping[str, str]
    cluster_cidr: str
    control_plane: str
    service_cidr: str = ""
    second: AddressFamily | None = None
    kube_proxy: KubeProxyOptions = field(default_factory=KubeProxyOptions)
    client: str | None = "mypc"
    router: str | None = None
    router_address: str = ""
    active: tuple[ActiveAction, ...] = ()  # without the router's
    neighbors: Mapping[str, str] = field(default_factory=dict)  # of the client: an address, and the place it maps to
    dump: Callable[[str], str | None] = lambda _node: (
        None
    )  # a node's iptables-save, for chains that are not kube-proxy's
    log: Callable[[str, str], str] = lambda _component, _node: ""  # the earlier log of a component on a node

    @cached_property
    def families(self) -> tuple[AddressFamily, ...]:
        """The addresses by family: one, or two in a dual-stack cluster."""
        first = AddressFamily(self.network, self.addresses, self.cluster_cidr, self.service_cidr)
        return (first, self.second) if self.second else (first,)

    def family(self, *, ipv6: bool) -> AddressFamily | None:
        """Return the addresses of IPv6, or of IPv4; None where the cluster does not have that family."""
        return next((one for one in self.families if one.is_ipv6 == ipv6), None)

    def family_of(self, address: str) -> AddressFamily | None:
        """Return the addresses of the family of an address; None where the cluster does not have that family."""
        return self.family(ipv6=is_ipv6(address))

    def pod_range(self, *, ipv6: bool) -> str:
        """Return the range of Pods (CIDR) in IPv6, or in IPv4; empty where the cluster does not have that family."""
        family = self.family(ipv6=ipv6)
        return family.cluster_cidr if family else ""

    def place_at(self, address: str) -> str | None:
        """Return the place that has an address on the Docker network; None for an address that no place has."""
        return next((place for one in self.families if (place := one.place_at(address))), None)

    def address_of_router(self, name: str) -> str:
        """Return the address of the router: the known one, else the course's on this network."""
        return self.addresses.get(name) or self.router_address or address_plan(self.network).router


class Simulator:
    """A simulated cluster: API, kubelets, MetalLB, kube-proxy and router. Time passes only in `settle` and `advance`.

    `delays`: see `Delays`. `ids`: generates names, addresses and ports. Methods that take a `moment` (Unix seconds)
    answer for any moment until `cluster.now`.
    """

    def __init__(
        self, initial: InitialState, ids: api_server.IdGenerator | None = None, delays: Delays = DELAYS
    ) -> None:
        self.initial, self.delays = initial, delays
        self.cluster = EventLoop(initial.moment, ids or api_server.IdGenerator(), delays)
        for kind in {*map(plural, admission.KINDS), "nodes", "events", "servicel2statuses", "leases", "endpoints",
                     *initial.objects}:  # fmt: skip
            self.cluster.load(kind, initial.objects.get(kind, ()))
        now = initial.moment
        killed, isolated, hosts = (
            [one.target for one in initial.active if one.verb == verb]
            for verb in ("kill_node", "link_down", "add_conflicting_host")
        )
        self.lost: dict[str, float] = dict.fromkeys([*killed, *isolated], now)
        self._isolated = set(isolated)
        self.down: TimeSeries[frozenset[str]] = TimeSeries(now, frozenset(killed))
        self.unreachable: TimeSeries[frozenset[str]] = TimeSeries(now, frozenset(self.lost))
        self._api_visibility: dict[str, TimeSeries[float]] = {}
        self.router: TimeSeries[str | None] = TimeSeries(now, initial.router)
        # nodes that the router tries to reach
        self.attempted: TimeSeries[frozenset[str]] = TimeSeries(now, frozenset())
        self.routed: TimeSeries[bool] = TimeSeries(now, ActiveAction("route_client") in initial.active)
        host = (hosts[0], self._first_vip()) if hosts else None  # its name and address
        self.conflicting_host: TimeSeries[tuple[str, str] | None] = TimeSeries(now, host)
        self.events = EventRecorder(self.cluster)
        self.kubelets = Kubelets(self.cluster, self.events, self.lost)
        EndpointSlices(self.cluster, self.events)
        self.workloads = Workloads(self.cluster, self.kubelets)
        self.controller = SimulatedController(self.cluster, self.events, self.lost)
        self.speakers = SimulatedSpeakers(self.cluster, self.events, self.lost, self._isolated)
        self.controller.adopt_existing()
        self.speakers.adopt_existing()
        self._objects_cache: dict[tuple[str, int], list[KubeObject]] = {}
        self._router_views: dict[tuple[object, ...], RouterView] = {}
        self._rules_cache: dict[RulesVersion, kubeproxy.Rules] = {}
        self._zones_cache: dict[int, Mapping[str, str]] = {}

    # ── actions ──────────────────────────────────────────────────────────────────────────────────────────

    def advance(self, until: float) -> None:
        """Let time pass up to a moment (Unix seconds), and run what is scheduled until then."""
        self.cluster.run(until)

    def settle(self) -> float:
        """Run all effects of the actions so far, until kube-proxy has written its rules; return the moment."""
        settled = self.cluster.settle()
        kinds = ("services", "endpointslices")
        written = [
            self.cluster.history[kind][-1].t + self.delays.kube_proxy for kind in kinds if self.cluster.history[kind]
        ]
        self.cluster.run(max([settled, *written]))
        return self.cluster.now

    def apply(self, documents: Sequence[KubeObject]) -> list[str]:
        """Apply objects one after the other, as kubectl does, and return the lines that it prints.

        Raise NotSimulatedError for a kind that is not simulated, before anything is applied; RefusedError for the first
        object that the API server or a webhook of MetalLB's refuses, after the others were applied.
        """
        return self._apply_each(documents, self._ask_webhook)

    def create(self, documents: Sequence[KubeObject]) -> list[str]:
        """Apply the objects of a manifest that a simulation starts with, and return the lines that kubectl prints.

        Raise what `apply` raises, and RefusedError for a configuration that MetalLB refuses as a whole. An object of
        MetalLB's in another namespace than its own is created, though its webhook would deny it: nobody reads it.
        """
        printed = self._apply_each(documents, self._ask_webhook_about_its_own)
        refuse_configuration(self.cluster.objects)
        return printed

    def _apply_each(
        self, documents: Sequence[KubeObject], ask_webhook: Callable[[Operation, KubeObject], None]
    ) -> list[str]:
        for document in documents:
            admission.check_simulated(document)
        printed: list[str] = []
        refused: list[RefusedError] = []
        for document in documents:
            try:
                printed.append(self._apply(document, ask_webhook))
            except RefusedError as error:
                refused.append(error)
        if refused:
            raise refused[0]
        return printed

    def _ask_webhook(self, operation: Operation, obj: KubeObject) -> None:
        """Raise RefusedError for an object of MetalLB's that its webhook denies, or that no webhook is there for."""
        if obj.get("kind") not in WEBHOOKS:
            return
        unanswered = frozenset(node for node in self.lost if is_ready(self._node(node)))
        admission.check_webhook(obj["kind"], self.cluster.objects, unanswered)
        refuse_denied(operation, obj, self.cluster.objects)

    def _ask_webhook_about_its_own(self, operation: Operation, obj: KubeObject) -> None:
        if obj["metadata"].get("namespace") == SYSTEM:
            self._ask_webhook(operation, obj)

    def _apply(self, document: KubeObject, ask_webhook: Callable[[Operation, KubeObject], None]) -> str:
        namespaces = [name_of(one) for one in self.cluster.objects("namespaces")]
        admission.check_served(document, namespaces)
        admission.check_document(document)
        kind, meta = plural(document["kind"]), document["metadata"]
        existing = self.cluster.get(kind, meta["name"], meta.get("namespace", "default"))
        named = admission.named(document)
        if is_applied(document, existing):
            return f"{named} unchanged"
        merged = api_server.apply_object(document, existing)
        if schema.is_custom(merged):
            merged = schema.with_defaults(merged)
        if existing is None and kind not in CLUSTER_SCOPED:
            admission.check_namespace(merged, namespaces)
        if kind == "services":
            others = [service for service in self.cluster.objects("services") if service is not existing]
            merged = stored_service(merged, existing, self.cluster.ids, self._service_networks(), others)
        else:
            admission.check_object(merged, existing)
        if kind == "secrets":
            api_server.encode_secret(merged)
        ask_webhook("UPDATE" if existing else "CREATE", merged)
        if kind == "pods" and existing is None:
            merged["status"] = {"phase": "Pending"}
        self.cluster.put(kind, merged)
        if kind == "daemonsets" and existing and _is_speaker(merged) and merged["spec"] != existing["spec"]:
            self._restart_speakers()
        return f"{named} {'configured' if existing else 'created'}"

    def _service_networks(self) -> list[Network]:
        """Return the ranges of ClusterIPs: the cluster's, else that around the Service `kubernetes`."""
        if self.initial.service_cidr:
            return [ip_network(family.service_cidr) for family in self.initial.families]
        kubernetes = self.cluster.get("services", "kubernetes")
        address = kubernetes["spec"]["clusterIP"] if kubernetes else "10.96.0.1"
        return [ip_network(f"{address}/24", strict=False)]

    def delete(self, references: Sequence[str]) -> list[str]:
        """Delete objects (`pod/x`, or `pod/shop/x` in a namespace), and return the lines that kubectl prints.

        Raise RefusedError for a namespace that has to stay.
        """
        printed = []
        for ref in references:
            kind, namespace, name = parse_reference(ref)
            obj = self.cluster.store.kinds.get(kind, {}).get((namespace, name))
            if obj is None:
                printed.append(f"{ref} not found")
                continue
            admission.check_deletion(kind, name)
            if kind == "bfdprofiles":  # the only kind whose deletion a webhook is asked about
                self._ask_webhook("DELETE", obj)
            if kind == "namespaces":
                self._delete_namespace(name)
            self._delete(kind, obj)
            printed.append(f'{admission.named(obj).partition("/")[0]} "{name}" deleted')
        return printed

    def _delete_namespace(self, namespace: str) -> None:
        """Delete everything in a namespace; what makes Pods goes first."""
        for kind in sorted(self.cluster.store.kinds, key=lambda kind: kind == "pods"):
            for obj in self.cluster.objects(kind):
                if obj["metadata"].get("namespace") == namespace:
                    self._delete(kind, obj)

    def _delete(self, kind: str, obj: KubeObject) -> None:
        if kind != "pods":
            self.cluster.remove(kind, obj)
            if kind in ("deployments", "replicasets", "daemonsets"):
                for other, owned in self.workloads.owned_by({**obj, "kind": admission.kind_of(kind)}):
                    self._delete(other, owned)
            return
        self.kubelets.delete_pod(obj)
        component, node = labels_of(obj).get("component"), obj["spec"].get("nodeName", "")
        if component == "speaker" and node not in self.lost:
            self._replace_speaker(node)
            self.cluster.schedule(self.delays.pod_stop, lambda: self._respawn_speaker(obj))

    def _replace_speaker(self, node: str) -> None:
        def left() -> None:
            self.speakers.stop(node)
            self.speakers.leave(node)

        self.cluster.schedule(self.delays.leave, left)
        self.cluster.schedule(
            self.delays.replacement_joins, lambda: self.speakers.join(node) if self._may_run_speaker(node) else None
        )

    def _speakers_wanted(self) -> bool:
        daemonsets = self.cluster.objects("daemonsets")
        return any(map(_is_speaker, daemonsets)) and _speakers_wanted(daemonsets)

    def _may_run_speaker(self, node: str) -> bool:
        """Return True where the speakers' DaemonSet makes a Pod on a node: it has to tolerate the node's taints."""
        if not self._speakers_wanted():
            return False
        spec = daemon_pod_spec(self._speaker_daemonset())
        return not untolerated_taint(spec, self._node(node), ("NoSchedule", "NoExecute"))

    def _speaker_daemonset(self) -> KubeObject:
        return next(one for one in self.cluster.objects("daemonsets") if _is_speaker(one))

    def _respawn_speaker(self, pod: KubeObject) -> None:
        if not self._may_run_speaker(pod["spec"]["nodeName"]):
            return
        meta = {key: pod["metadata"][key] for key in ("namespace", "labels") if key in pod["metadata"]}
        meta["name"] = f"{pod['metadata']['name'].rpartition('-')[0]}-{self.cluster.ids.name_suffix()}"
        spec = {**pod["spec"], "containers": self._speaker_containers()}
        self.cluster.put("pods", {**pod, "metadata": meta, "spec": spec, "status": {"phase": "Pending"}})

    def _speaker_containers(self) -> list[KubeObject]:
        """Return the containers of a speaker, with its arguments, as the DaemonSet has them."""
        containers: list[KubeObject] = self._speaker_daemonset()["spec"]["template"]["spec"]["containers"]
        return containers

    def _restart_speakers(self) -> None:
        """Replace the speakers' Pods one after the other, as the DaemonSet's rolling update does."""
        pods = [pod for pod in self.cluster.objects("pods") if labels_of(pod).get("component") == "speaker"]
        for place, pod in enumerate(pods):
            self.cluster.schedule(place * self.delays.replacement_joins, partial(self._delete, "pods", pod))

    def perform(self, verb: Verb, targets: Sequence[str]) -> list[str]:  # noqa: C901, PLR0912 (one case an action)
        """Perform any other action, and return it in words.

        Raise NotSimulatedError for one that is not simulated, UnknownNameError for an unknown node, RefusedError for a
        label that cannot be.
        """
        now = self.cluster.now
        match verb:
            case "install_metallb":
                self._install_metallb()
            case "label":
                self._label(*targets)
            case "kill_node":
                self._kill_node(targets[0])
            case "start_node":
                self._start_node(targets[0])
            case "link_down":
                self._link_down(targets[0])
            case "link_up":
                self._link_up(targets[0])
            case "start_router":
                if is_ipv6(self.initial.network):
                    raise NotSimulatedError(tr("a BGP router beside a cluster of ipFamily ipv6"), ["ipv4", "dual"])
                self.router.set(now, self.initial.router or "router")
            case "stop_router":
                self.router.set(now, None)
                self.attempted.set(now, frozenset())
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
                raise NotSimulatedError(
                    tr("the action {verb}", verb=verb), (known for known, row in ACTIONS.items() if row.inverse)
                )
        return [describe(verb, targets)]

    def active_actions(self, moment: float) -> list[ActiveAction]:
        """Return the actions that are active at a moment."""
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
        """Return the nodes that are labelled so that MetalLB does not announce from them."""
        nodes = [name_of(node) for node in self.objects("nodes", moment) if EXCLUDE in labels_of(node)]
        return [node for node in nodes if node != self.initial.control_plane]

    def _label(self, node: str, *labels: str) -> None:
        obj = copy.deepcopy(self._node(node))
        admission.check_labels(node, labels)
        present = obj["metadata"].setdefault("labels", {})
        for label in labels:
            key, equals, value = label.partition("=")
            if not equals and key.endswith("-"):
                present.pop(key[:-1], None)
            else:
                present[key] = value
        if present.get(kubeproxy.ZONE) != labels_of(self._node(node)).get(kubeproxy.ZONE):
            self.cluster.schedule(self.delays.kube_proxy, lambda: None)  # the node's kube-proxy writes its rules again
        self.cluster.put("nodes", obj)

    def _node(self, name: str) -> KubeObject:
        found = self.cluster.get("nodes", name)
        if found is None:
            raise UnknownNameError("node", name, [node["metadata"]["name"] for node in self.cluster.objects("nodes")])
        return found

    # ── nodes that fail and recover ──────────────────────────────────────────────────────────────────────

    def _lose_node(self, node: str) -> None:
        self._node(node)
        if node == self.initial.control_plane:
            raise NotSimulatedError(
                tr("the failure of {node}: without the control plane there is no API to query", node=node)
            )
        now = self.cluster.now
        self.lost[node] = now
        self.unreachable.set(now, self.unreachable.latest | {node})
        self.speakers.detect_failure(node)
        self.cluster.schedule(self.delays.not_ready(self._lease_age(node)), lambda: self._mark_not_ready(node, now))

    def _lease_age(self, node: str) -> float:
        """Return the age of a node's lease in seconds; half its period where it is not known."""
        lease = self.cluster.get("leases", node, "kube-node-lease")
        renewed = (lease or {}).get("spec", {}).get("renewTime")
        if not renewed:
            return self.delays.lease_period / 2
        age = self.cluster.now - datetime.fromisoformat(renewed).timestamp()
        return age % self.delays.lease_period

    def _mark_not_ready(self, node: str, since: float) -> None:
        if self.lost.get(node) == since:
            self.kubelets.mark_node_not_ready(node)

    def _kill_node(self, node: str) -> None:
        self._lose_node(node)
        self._lose_session(node)
        self.speakers.stop(node)
        self.down.set(self.cluster.now, self.down.latest | {node})

    def _link_down(self, node: str) -> None:
        self._lose_node(node)
        self._isolated.add(node)
        self.api_visibility(node).set(self.cluster.now, self.cluster.now)
        self.speakers.isolate(node)
        self._let_session_expire(node)

    def _let_session_expire(self, node: str) -> None:
        """Close the BGP session of a node that fell silent, once the hold timer expires; at once without a session."""
        view, since = self.router_view(self.cluster.now), self.cluster.now
        hold = view.hold(node) if view else None
        if hold is None:
            self.speakers.close_session(node)
        elif hold:
            self.cluster.schedule(
                bgp.hold_timer_expiry(hold).typical,
                lambda: self._lose_session(node) if self.lost.get(node) == since else None,
            )

    def _lose_session(self, node: str) -> None:
        """Close the BGP session of a lost node; a router that had it tries to reach the node again, for a while."""
        view, since = self.router_view(self.cluster.now), self.lost[node]
        if view and view.hold(node) is not None:
            self.attempted.set(self.cluster.now, self.attempted.latest | {node})
            self.cluster.schedule(
                CONNECT_S,
                lambda: self._end_attempt(node) if self.lost.get(node) == since else None,
                awaited=False,
            )
        self.speakers.close_session(node)

    def _end_attempt(self, node: str) -> None:
        self.attempted.set(self.cluster.now, self.attempted.latest - {node})

    def api_visibility(self, node: str) -> TimeSeries[float]:
        """Return until when (Unix seconds) a node sees the API's changes; infinity while it is connected."""
        return self._api_visibility.setdefault(node, TimeSeries(self.initial.moment, float("inf")))

    def _start_node(self, node: str) -> None:
        self._node(node)
        now = self.cluster.now
        self.down.set(now, self.down.latest - {node})

        def boot() -> None:
            self._recover_node(node)
            self.kubelets.mark_node_ready(node)

        def restart() -> None:
            self.kubelets.restart_pods(node)
            self.kubelets.mark_pods_ready(node)

        self.cluster.schedule(self.delays.boot, boot)
        self.cluster.schedule(self.delays.restart, restart)
        self.cluster.schedule(self.delays.rejoin, lambda: self.speakers.join(node))
        self.cluster.schedule(
            self.delays.rejoin + self.delays.speaker_ready, lambda: self.kubelets.mark_speaker_ready(node)
        )

    def _link_up(self, node: str) -> None:
        self._node(node)
        self._isolated.discard(node)
        self._recover_node(node)
        self.api_visibility(node).set(self.cluster.now, float("inf"))
        self.cluster.schedule(1.8, lambda: self.speakers.open_session(node))
        self.cluster.schedule(self.delays.link_up_rejoin, lambda: self.speakers.join(node))
        self.cluster.schedule(self.delays.link_up, lambda: self.kubelets.mark_pods_ready(node))
        self.cluster.schedule(self.delays.link_up, lambda: self.kubelets.mark_speaker_ready(node))
        self.cluster.schedule(self.delays.link_up + 4, lambda: self.kubelets.mark_node_ready(node))

    def _recover_node(self, node: str) -> None:
        self.lost.pop(node, None)
        self.unreachable.set(self.cluster.now, self.unreachable.latest - {node})
        self._end_attempt(node)

    # ── MetalLB, the router, the neighbors ──────────────────────────────────────────────────────────────

    def _install_metallb(self) -> None:
        if is_installed(self.cluster.objects("namespaces")):
            return
        self.cluster.put("namespaces", {"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": SYSTEM}})
        labels = {"app": "metallb", "component": "speaker"}
        for kind, name in (("DaemonSet", "speaker"), ("Deployment", "controller")):
            own = {**labels, "component": name}
            template = {"metadata": {"labels": own}, "spec": _pod_spec(name)}
            spec = {"selector": {"matchLabels": own}, "template": template}
            meta = {"name": name, "namespace": SYSTEM, "labels": own}
            self.cluster.put(
                f"{kind.lower()}s", {"kind": kind, "apiVersion": "apps/v1", "metadata": meta, "spec": spec}
            )
        webhook = {"name": "metallb-webhook-service", "namespace": SYSTEM}
        ports = [{"port": 443, "targetPort": 9443, "protocol": "TCP"}]
        service = {"ports": ports, "selector": {"component": "controller"}}
        self._apply({"kind": "Service", "apiVersion": "v1", "metadata": webhook, "spec": service}, self._ask_webhook)
        self.cluster.put("pods", _pod("controller-8694df9d9b", "controller", "", self.cluster.ids))
        self._create_speakers(joined_after=self.delays.rejoin)
        self.cluster.schedule(self.delays.metallb_start, lambda: None)

    def _create_speakers(self, joined_after: float) -> None:
        """Create a speaker Pod on each node; after some seconds all join the member list."""
        nodes = [name for node in self.cluster.objects("nodes") if self._may_run_speaker(name := name_of(node))]
        for node in nodes:
            self.cluster.put("pods", _pod("speaker", "speaker", node, self.cluster.ids))

        def join_all() -> None:
            for node in nodes:
                self.speakers.join(node)

        self.cluster.schedule(joined_after, join_all)

    def _stop_speakers(self) -> None:
        """Give the DaemonSet a node selector that matches no node, and delete its Pods."""
        if not self._select_nodes({"no-such": "node"}):
            return
        for pod in self.cluster.objects("pods"):
            if labels_of(pod).get("component") == "speaker":
                self._delete("pods", pod)

    def _start_speakers(self) -> None:
        """Let the DaemonSet run on every node again."""
        if not self._speakers_wanted() and self._select_nodes({"kubernetes.io/os": "linux"}):
            self._create_speakers(joined_after=self.delays.replacement_joins)

    def _select_nodes(self, selector: dict[str, str]) -> bool:
        """Set the node selector of the speakers' DaemonSet; return False without a DaemonSet."""
        daemonset = copy.deepcopy(self.cluster.get("daemonsets", "speaker", SYSTEM))
        if daemonset is None:
            return False
        daemonset["spec"]["template"]["spec"]["nodeSelector"] = selector
        self.cluster.put("daemonsets", daemonset)
        return True

    def _add_conflicting_host(self, name: str = "squatter", address: str = "") -> None:
        self.conflicting_host.set(self.cluster.now, (name, address or self._first_vip()))

    def _first_vip(self) -> str:
        return next((ip for service in self.cluster.objects("services") if (ip := external_address(service))), "")

    # ── queries at a moment ──────────────────────────────────────────────────────────────────────────────

    def version(self, kind: str, moment: float) -> int:
        """Return how often objects of a kind had changed by a moment: the version of their state.

        Raise NotSimulatedError for a kind that is not simulated.
        """
        if kind not in self.cluster.history:
            raise NotSimulatedError(tr("objects of kind {kind!r}", kind=kind), sorted(self.cluster.history))
        return bisect_right(self.cluster.history[kind], moment, key=lambda event: event.t)

    def objects(self, kind: str, moment: float) -> list[KubeObject]:
        """Return the objects of a kind at a moment."""
        key = (kind, self.version(kind, moment))
        if key not in self._objects_cache:
            self._objects_cache[key] = as_of(self.cluster.history[kind], moment)
        return self._objects_cache[key]

    def api_view(self, node: str, moment: float, *, ipv6: bool) -> tuple[float, RulesVersion]:
        """Return the moment whose API state is in the rules of a node's kube-proxy, and the version of those rules.

        `ipv6`: the rules of ip6tables, else those of iptables.
        """
        seen = min(moment, self.api_visibility(node).at(moment)) - self.delays.kube_proxy + 1e-6
        seen = max(seen, self.initial.moment)
        zone = self._zones(seen).get(node, "")
        return seen, (node, zone, self.version("services", seen), self.version("endpointslices", seen), ipv6)

    def _zones(self, moment: float) -> Mapping[str, str]:
        """Return the zones of the nodes: kube-proxy writes all rules again when its own node gets another one."""
        version = self.version("nodes", moment)
        if version not in self._zones_cache:
            self._zones_cache[version] = kubeproxy.Config.of(self.objects("nodes", moment)).zones
        return self._zones_cache[version]

    def rules(self, node: str, moment: float, *, ipv6: bool = False) -> kubeproxy.Rules:
        """Return the rules of kube-proxy on a node at a moment. `ipv6`: those of ip6tables, else those of iptables."""
        seen, version = self.api_view(node, moment, ipv6=ipv6)
        if version not in self._rules_cache:
            config = self._kube_proxy(node, seen, ipv6=ipv6)
            self._rules_cache[version] = kubeproxy.write(*self._kube_proxy_sees(seen), node, config)
        return self._rules_cache[version]

    def health_checks(self, node: str, address: str, moment: float) -> list[kubeproxy.HealthCheck]:
        """Return what kube-proxy on a node answers to health checks at one of its addresses."""
        seen, _ = self.api_view(node, moment, ipv6=is_ipv6(address))
        config = self._kube_proxy(node, seen, ipv6=is_ipv6(address))
        own = config.nodeport_ips(node)
        if own is not None and address not in own:
            return []
        return kubeproxy.health_checks(*self._kube_proxy_sees(seen), node, config)

    def _kube_proxy(self, node: str, moment: float, *, ipv6: bool) -> kubeproxy.Config:
        pods = self.initial.pod_range(ipv6=ipv6)
        return self.initial.kube_proxy.config(self.objects("nodes", moment), node, pods, ipv6=ipv6)

    def _kube_proxy_sees(self, moment: float) -> tuple[list[KubeObject], list[KubeObject]]:
        return self.objects("services", moment), self.objects("endpointslices", moment)

    def router_view(self, moment: float) -> RouterView | None:
        """Return what the BGP router has at a moment; None where none runs."""
        name = self.router.at(moment)
        if name is None:
            return None
        running, config = self.speakers.sessions.at(moment), self.speakers.configs.at(moment)
        key = (name, running, id(config), *(self.version(kind, moment) for kind in _ROUTED))
        if key not in self._router_views:

            def objects(kind: str) -> list[KubeObject]:
                return self.objects(kind, moment)

            known = self.initial.addresses
            nodes = {node: known[node] for node in self.nodes(moment) if node in known}
            router = course_router(name, self.initial.address_of_router(name), nodes.values())
            self._router_views[key] = RouterView.of(router, config, objects, nodes, running)
        return self._router_views[key]

    def session_log(self, node: str, until: float) -> list[str]:
        """Return what the speaker of a node has logged about its BGP sessions by a moment (Unix seconds)."""
        changing = (self.router, self.speakers.sessions, self.speakers.configs, self.down, self.unreachable)
        moments = sorted({moment for series in changing for moment in series.moments if moment <= until})
        return session_lines([self._speaker_state(node, moment) for moment in moments], until)

    def _speaker_state(self, node: str, moment: float) -> SpeakerState:
        is_connected = node in self.speakers.sessions.at(moment)
        is_isolated = node in self.unreachable.at(moment) - self.down.at(moment)
        if not is_connected and not is_isolated:
            return SpeakerState(moment, None, {})
        peers, view = self.speakers.configs.at(moment).peers, self.router_view(moment)
        own = {node: self.initial.addresses[node]} if node in self.initial.addresses else {}
        found = bgp_sessions.sessions(peers.values(), own, [view.router] if view and is_connected else [])
        asn = view.router.asn if view else 0
        return SpeakerState(moment, peers, {session.peer: session for session in found}, asn)

    def chances(self, moment: float) -> list[Chance]:
        """Return what could have come otherwise at a moment, because MetalLB walks Go maps."""
        view = self.router_view(moment)
        return [*self.controller.chances.at(moment), *(view.chances() if view else ())]

    def next_hops(self, moment: float) -> dict[str, tuple[str, ...]]:
        """Return the router's BGP routes: next hops by prefix; none where no router runs."""
        view = self.router_view(moment)
        return view.next_hops() if view else {}

    def nodes(self, moment: float) -> list[str]:
        """Return the names of the nodes at a moment."""
        return [name_of(node) for node in self.objects("nodes", moment)]

    def arp_responders(self, address: str, moment: float, source: str | None = None) -> list[str]:
        """Return who replies to an ARP request: a conflicting host, then the nodes that announce the address.

        `source`, the sender of the request, does not reply to itself; neither do unreachable nodes.
        """
        unreachable = self.unreachable.at(moment)
        nodes = [
            node for node in sorted(self.speakers.announced.at(moment).get(address, ())) if node not in unreachable
        ]
        host = self.conflicting_host.at(moment)
        hosts = [host[0]] if host and host[1] == address else []
        return [responder for responder in [*hosts, *nodes] if responder != source]


def _is_speaker(daemonset: KubeObject) -> bool:
    return (daemonset["metadata"].get("namespace"), name_of(daemonset)) == (SYSTEM, "speaker")


def _speakers_wanted(daemonsets: Sequence[KubeObject]) -> bool:
    """Return False when the speakers have a node selector that no node matches."""
    specs = [daemonset["spec"] for daemonset in daemonsets if daemonset["metadata"]["name"] == "speaker"]
    selectors = [spec.get("template", {}).get("spec", {}).get("nodeSelector") or {} for spec in specs]
    return all(set(selector) <= {"kubernetes.io/os"} for selector in selectors)


def _container(name: str) -> dict[str, object]:
    return {"name": name, "image": f"quay.io/metallb/{name}:v0.14.8"}


def _pod_spec(component: str) -> dict[str, object]:
    speaker = {"hostNetwork": True, "tolerations": _SPEAKER_TOLERATIONS, "volumes": _SPEAKER_VOLUMES}
    own = speaker if component == "speaker" else {}
    return {"containers": [_container(component)], "terminationGracePeriodSeconds": 2, **own}


def _pod(stem: str, component: str, node: str, ids: api_server.IdGenerator) -> KubeObject:
    labels = {"app": "metallb", "component": component}
    meta = {"name": f"{stem}-{ids.name_suffix()}", "namespace": SYSTEM, "labels": labels}
    spec = {**_pod_spec(component), **({"nodeName": node} if node else {})}
    return {"kind": "Pod", "apiVersion": "v1", "metadata": meta, "spec": spec, "status": {"phase": "Pending"}}
