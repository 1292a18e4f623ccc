"""Random actions for `LiveAndSimulated`: everything that the simulator does, and much that a cluster refuses."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from typing import Any

from kanslib.actions import ActiveAction, Verb
from kanslib.cluster import actions
from kanslib.cluster.api import kubectl
from kanslib.cluster.docker import CONFLICTING_HOST, ROUTER
from kanslib.course.addressing import address_plan
from kanslib.course.stories import EXCLUDE_LABEL
from kanslib.k8s.kubeproxy import ZONE
from kanslib.k8s.objects import KubeObject, external_address, labels_of, name_of
from tests.live.live_and_simulated import LiveAndSimulated
from tests.peers.random_configurations import RandomConfigurations
from tests.simulator import random_manifests

SYSTEM = "metallb-system"
IMAGE = "traefik/whoami:v1.10.3"
_ANTI_AFFINITY = {
    "podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "kubernetes.io/hostname"}]}
}
_ON_THE_CONTROL_PLANE = [{"key": "node-role.kubernetes.io/control-plane", "operator": "Exists"}]
# BGPPeers beside the right one: (fields that differ)
_WRONG_PEERS: tuple[dict[str, Any], ...] = (
    {"myASN": 64999}, {"peerASN": 64998}, {"password": "pepper"}, {"peerPort": 1790}, {"peerAddress": "172.18.0.77"},
    {"sourceAddress": "172.18.0.78"}, {"nodeSelectors": [{"matchLabels": {"mynode": "worker1"}}]}, {"holdTime": "3s"},
    {"nodeSelectors": [{"matchExpressions": [{"key": "mynode", "operator": "NotIn", "values": ["worker2"]}]}]},
)  # fmt: skip


def metallb(kind: str, name: str, spec: dict[str, Any], labels: dict[str, str] | None = None) -> KubeObject:
    """Return an object of MetalLB's."""
    version = "v1beta2" if kind == "BGPPeer" else "v1beta1"
    meta = {"name": name, "namespace": SYSTEM, "labels": labels or {}}
    return {"apiVersion": f"metallb.io/{version}", "kind": kind, "metadata": meta, "spec": spec}


class RandomActions:
    """Chooses random actions and does them to both clusters. `log`: what was done, in words."""

    def __init__(self, both: LiveAndSimulated, rng: random.Random) -> None:
        self.both, self.rng = both, rng
        self.made: dict[str, KubeObject] = {}  # by reference
        self.tainted: set[str] = set()
        self.count = 0
        self.until_back = 0  # actions until a lost node or a stopped thing comes back
        self.bring_back: Callable[[], str] | None = None
        self.log: list[str] = []
        self.weights: dict[Callable[[], str], int] = {
            self.add_service: 8, self.change_service: 8, self.delete_service: 3, self.add_pod: 4, self.delete_pod: 2,
            self.add_workload: 4, self.change_workload: 4, self.delete_workload: 2, self.add_manual_slice: 3,
            self.add_namespace: 2, self.delete_namespace: 1, self.label_node: 4, self.taint: 1, self.change_pool: 5,
            self.delete_pool: 1, self.advertise: 5, self.withdraw: 1, self.peer: 4, self.advertise_bgp: 3,
            self.make_stale: 1, self.router: 1, self.speaker: 1, self.conflict: 1, self.lose_node: 1,
            self.refused_object: 8, self.refused_configuration: 6, self.refused_deletion: 2, self.refused_change: 4,
        }  # fmt: skip

    def play(self) -> str:
        """Do one action, and return how the clusters differ in refusing it."""
        if self.bring_back:
            self.until_back -= 1
            if self.until_back <= 0:
                back, self.bring_back = self.bring_back, None
                return back()
        ways = [way for way in self.weights if not (self.bring_back and way in self.not_while_lost)]
        return self.rng.choices(ways, [self.weights[way] for way in ways])[0]()

    @property
    def not_while_lost(self) -> tuple[Callable[[], str], ...]:
        return (
            self.lose_node, self.speaker, self.router, self.conflict, self.add_workload, self.change_workload,
            self.delete_workload, self.add_pod, self.delete_pod, self.taint, self.delete_namespace,
        )  # fmt: skip

    @property
    def workers(self) -> list[str]:
        """The nodes other than the control plane."""
        return [node for node in self.both.nodes if node != self.both.control_plane]

    # ── objects ──────────────────────────────────────────────────────────────────────────────────────────

    def _name(self, stem: str) -> str:
        self.count += 1
        return f"{stem}{self.count}"

    def _some(self, kind: str) -> KubeObject | None:
        found = [obj for obj in self.made.values() if obj["kind"] == kind]
        return copy.deepcopy(self.rng.choice(found)) if found else None

    @staticmethod
    def _reference(obj: KubeObject) -> str:
        meta = obj["metadata"]
        middle = "" if obj["kind"] == "Namespace" else f"{meta.get('namespace', 'default')}/"
        return f"{obj['kind'].lower()}/{middle}{meta['name']}"

    def apply(self, obj: KubeObject) -> str:
        """Apply an object to both, and remember it where both have taken it."""
        content = {key: value for key, value in obj.items() if key not in ("apiVersion", "kind", "metadata")}
        meta = {key: value for key, value in obj["metadata"].items() if value and key != "name"}
        self.log.append(f"apply {self._reference(obj)} {content} {meta or ''}")
        taken = self.both.counts["taken"]
        difference = self.both.apply(obj)
        if self.both.counts["taken"] > taken:
            self.made[self._reference(obj)] = obj
        return difference

    def delete(self, obj: KubeObject) -> str:
        """Delete an object of both."""
        reference = self._reference(obj)
        self.log.append(f"delete {reference}")
        self.made.pop(reference, None)
        return self.both.delete(reference)

    def _namespace(self) -> str:
        names = [name_of(obj) for obj in self.made.values() if obj["kind"] == "Namespace"]
        return self.rng.choice([*names, *["default"] * 4])

    # ── Services ─────────────────────────────────────────────────────────────────────────────────────────

    def add_service(self) -> str:
        """Add a Service of any type."""
        if sum(obj["kind"] == "Service" for obj in self.made.values()) >= 10:
            return self.delete_service()
        name, rng = self._name("svc-random"), self.rng
        service: KubeObject = {
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": name, "namespace": self._namespace(), "annotations": self._annotations()},
        }  # fmt: skip
        service["spec"] = self._service_spec(rng.choice(["LoadBalancer"] * 5 + ["NodePort", "ClusterIP", "headless"]))
        return self.apply(service)

    def _annotations(self) -> dict[str, str]:
        rng, prefix = self.rng, "metallb.universe.tf"
        chosen: list[dict[str, str]] = [
            {}, {}, {}, {},
            {f"{prefix}/address-pool": rng.choice(["pool1", "pool2", "pool3", "nowhere"])},
            {f"{prefix}/loadBalancerIPs": rng.choice(["172.18.255.240", "172.18.255.241", "172.18.241.10", "ten"])},
            {f"{prefix}/allow-shared-ip": rng.choice("ab"), f"{prefix}/loadBalancerIPs": "172.18.255.245"},
        ]  # fmt: skip
        return rng.choice(chosen)

    def _service_spec(self, kind: str) -> dict[str, Any]:
        rng = self.rng
        spec: dict[str, Any] = {"type": kind if kind != "headless" else "ClusterIP"}
        spec |= {"clusterIP": "None"} if kind == "headless" else {}
        spec["selector"] = {"app": rng.choice(["webpod"] * 4 + ["nobody", "web"])}
        spec["ports"] = [self._port(number) for number in rng.sample([80, 81, 443, 8080], rng.choice([1, 1, 2]))]
        if kind in ("LoadBalancer", "NodePort"):
            spec["externalTrafficPolicy"] = rng.choice(["Cluster", "Local"])
        spec["internalTrafficPolicy"] = rng.choice(["Cluster", "Cluster", "Local"])
        if rng.random() < 0.2:
            spec |= {"sessionAffinity": "ClientIP"}
            if rng.random() < 0.5:
                spec["sessionAffinityConfig"] = {"clientIP": {"timeoutSeconds": rng.choice([10, 3600])}}
        if kind == "LoadBalancer":
            ranges = ["172.18.0.0/16", "172.18.0.100/32", "10.0.0.0/8", "172.18.0.3/32"]
            for likely, field, value in (
                (0.2, "loadBalancerSourceRanges", rng.sample(ranges, 2)),
                (0.15, "allocateLoadBalancerNodePorts", False),
                (0.1, "loadBalancerClass", "example.com/other"),
                (0.1, "loadBalancerIP", "172.18.255.243"),
            ):
                if rng.random() < likely:
                    spec[field] = value
        for likely, field, value in (
            (0.1, "externalIPs", ["172.18.0.99"]),
            (0.1, "publishNotReadyAddresses", True),
            (0.15, "trafficDistribution", "PreferClose"),
        ):
            if rng.random() < likely:
                spec[field] = value
        return spec

    def _port(self, number: int) -> dict[str, Any]:
        port: dict[str, Any] = {"name": f"p{number}", "port": number}
        port["targetPort"] = self.rng.choice([80, 80, 80, "http", 8080])
        if self.rng.random() < 0.15:
            port["protocol"] = "UDP"
        return port

    def change_service(self) -> str:
        """Give a Service another spec; of the same type, or of another one."""
        service = self._some("Service")
        if service is None:
            return self.add_service()
        kind, before = service["spec"].get("type", "ClusterIP"), service["spec"]
        if before.get("clusterIP") == "None" or "selector" not in before:
            return self.delete(service)
        if self.rng.random() < 0.25:
            kind = self.rng.choice(["LoadBalancer", "NodePort", "ClusterIP"])
        service["spec"] = self._service_spec(kind)
        if self.rng.random() < 0.7:
            service["spec"]["ports"] = before["ports"]
        if self.rng.random() < 0.7:
            service["metadata"]["annotations"] = self._annotations()
        return self.apply(service)

    def delete_service(self) -> str:
        """Delete a Service."""
        service = self._some("Service")
        return self.delete(service) if service else self.add_service()

    def add_manual_slice(self) -> str:
        """Add a Service without a selector, or an EndpointSlice of one."""
        found = [obj for obj in self.made.values() if obj["kind"] == "Service" and "selector" not in obj["spec"]]
        rng = self.rng
        if not found or rng.random() < 0.4:
            spec = {**self._service_spec(rng.choice(["LoadBalancer", "ClusterIP"])), "sessionAffinity": "None"}
            del spec["selector"]
            spec.pop("sessionAffinityConfig", None)
            spec["ports"] = [{"name": "web", "port": 80, "targetPort": 80}]
            meta: dict[str, Any] = {"name": self._name("svc-manual"), "namespace": "default"}
            return self.apply({"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec})
        service = rng.choice(found)
        addresses = rng.sample(["172.18.0.100", "192.0.2.10", "192.0.2.11", "203.0.113.5"], rng.choice([1, 2]))
        endpoints = [
            {"addresses": [ip], "conditions": {"ready": rng.random() < 0.8}}
            | ({"nodeName": rng.choice(self.both.nodes)} if rng.random() < 0.5 else {})
            for ip in addresses
        ]
        family = rng.choice(["IPv4", "IPv4", "IPv4", "FQDN", "IPv6"])
        if family == "FQDN":
            endpoints = [{"addresses": ["shop.example"]}]
        if family == "IPv6":
            endpoints = [{"addresses": [rng.choice(["2001:db8::10", "192.0.2.12"])]}]
        meta = {
            "name": self._name("manual"), "namespace": "default",
            "labels": {"kubernetes.io/service-name": name_of(service)},
        }  # fmt: skip
        ports = [{"name": rng.choice(["web", "web", "other"]), "port": rng.choice([80, 8080]), "protocol": "TCP"}]
        piece = {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": meta}
        return self.apply({**piece, "addressType": family, "endpoints": endpoints, "ports": ports})

    # ── Pods and what makes them ─────────────────────────────────────────────────────────────────────────

    def _template(self) -> dict[str, Any]:
        rng = self.rng
        ports = [[], [{"name": "http", "containerPort": 80}], [{"name": "http", "containerPort": 8080}]]
        container = {"name": "c", "image": IMAGE, "ports": rng.choice(ports)}
        return {"containers": [container], "terminationGracePeriodSeconds": 1}

    def add_pod(self) -> str:
        """Add a Pod for one node, or for none."""
        if sum(obj["kind"] == "Pod" for obj in self.made.values()) >= 6:
            return self.delete_pod()
        rng, number = self.rng, self.rng.choice([1, 2, 3])
        required = "requiredDuringSchedulingIgnoredDuringExecution"
        values = {"key": "mynode", "operator": "In", "values": [f"worker{number}", "nowhere"]}
        affinity = {"nodeAffinity": {required: {"nodeSelectorTerms": [{"matchExpressions": [values]}]}}}
        wishes: list[dict[str, Any]] = [
            {"nodeName": rng.choice(self.workers)},
            {"nodeSelector": {"mynode": f"worker{number}"}},
            {"nodeSelector": {"mynode": "nowhere"}},
            {"nodeSelector": {"mynode": "control-plane"}},
            {"nodeSelector": {"mynode": "control-plane"}, "tolerations": _ON_THE_CONTROL_PLANE},
            {"affinity": affinity},
        ]
        meta = {"name": self._name("extra"), "labels": {"app": rng.choice(["webpod", "webpod", "web"])}}
        spec = {**self._template(), **rng.choice(wishes)}
        spec["hostNetwork"] = False
        return self.apply(
            {"apiVersion": "v1", "kind": "Pod", "metadata": {**meta, "namespace": self._namespace()}, "spec": spec}
        )

    def delete_pod(self) -> str:
        """Delete a Pod."""
        pod = self._some("Pod")
        return self.delete(pod) if pod else self.add_pod()

    def add_workload(self) -> str:
        """Add a Deployment whose Pods have one place each, or a DaemonSet."""
        rng = self.rng
        if sum(obj["kind"] in ("Deployment", "DaemonSet") for obj in self.made.values()) >= 4:
            return self.delete_workload()
        name, kind = self._name("many"), rng.choice(["Deployment", "DaemonSet"])
        labels = {"app": rng.choice(["webpod", "web"]), "own": name}
        workload: KubeObject = {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name}}
        workload["metadata"]["namespace"] = self._namespace()
        template = {"metadata": {"labels": labels}, "spec": self._template()}
        workload["spec"] = {"selector": {"matchLabels": {"own": name}}, "template": template}
        self._place(workload)
        return self.apply(workload)

    def _place(self, workload: KubeObject) -> None:
        """Choose where the Pods run so that there is one way only."""
        rng, spec = self.rng, workload["spec"]
        pod = spec["template"]["spec"]
        for field in ("nodeSelector", "affinity", "tolerations"):
            pod.pop(field, None)
        if workload["kind"] == "DaemonSet":
            pod |= rng.choice([{}, {"tolerations": _ON_THE_CONTROL_PLANE}, {"nodeSelector": {"mynode": "worker2"}}])
            return
        if rng.random() < 0.5:
            spec["replicas"], affinity = rng.choice([0, 3, 4]), copy.deepcopy(_ANTI_AFFINITY)
            term = affinity["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][0]
            term["labelSelector"] = {"matchLabels": spec["selector"]["matchLabels"]}  # type: ignore[assignment]
            pod["affinity"] = affinity
        else:
            spec["replicas"] = rng.choice([0, 1, 2, 3])
            pod["nodeSelector"] = {"mynode": rng.choice(["worker1", "worker2", "worker3"])}

    def change_workload(self) -> str:
        """Scale a Deployment up or to nothing, or roll out another template."""
        workload = self._some(self.rng.choice(["Deployment", "DaemonSet"]))
        if workload is None:
            return self.add_workload()
        spec = workload["spec"]
        if workload["kind"] == "Deployment" and self.rng.random() < 0.6:
            # fewer, but some: which ones go is a matter of chance
            spec["replicas"] = 0 if spec["replicas"] >= 3 else spec["replicas"] + self.rng.choice([1, 2])
            return self.apply(workload)
        spec["template"]["metadata"]["labels"]["app"] = self.rng.choice(["webpod", "web"])
        if workload["kind"] == "DaemonSet":
            self._place(workload)
        return self.apply(workload)

    def delete_workload(self) -> str:
        """Delete a Deployment or a DaemonSet."""
        workload = self._some(self.rng.choice(["Deployment", "DaemonSet"]))
        return self.delete(workload) if workload else self.add_workload()

    # ── namespaces, nodes ────────────────────────────────────────────────────────────────────────────────

    def add_namespace(self) -> str:
        """Add a Namespace, with or without a label that pools select."""
        name = self.rng.choice(["shop", "till"])
        labels = self.rng.choice([{}, {"team": "red"}])
        return self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})

    def delete_namespace(self) -> str:
        """Delete a Namespace with all that is in it."""
        namespace = self._some("Namespace")
        if namespace is None:
            return self.add_namespace()
        name = name_of(namespace)
        self.made = {ref: obj for ref, obj in self.made.items() if obj["metadata"].get("namespace") != name}
        return self.delete(namespace)

    def label_node(self) -> str:
        """Label a node: what MetalLB excludes, a zone, or what selectors ask for."""
        node = self.rng.choice(self.workers)
        found = next(obj for obj in self.both.live.objects("nodes") if name_of(obj) == node)
        options = [f"{EXCLUDE_LABEL}-" if EXCLUDE_LABEL in labels_of(found) else f"{EXCLUDE_LABEL}=true"]
        options += [f"{ZONE}=ap-northeast-2{self.rng.choice('abc')}", f"rack={self.rng.choice('12')}", "rack-"]
        options += ["rack=a b", "r a c k=1", "/rack=1"]
        label = self.rng.choice(options)
        self.log.append(f"label {node} {label}")
        return self.both.label(node, label)

    def taint(self) -> str:
        """Add or remove a taint, which MetalLB v0.14.8 ignores."""
        node = self.rng.choice(self.workers)
        word = f"kans=random:NoSchedule{'-' if node in self.tainted else ''}"
        self.tainted ^= {node}
        self.log.append(f"taint {node} {word}")
        kubectl(f"taint node {node} {word}")
        self.both.do(lambda: self._taint(node))
        return ""

    def _taint(self, node: str) -> None:
        cluster = self.both.simulator.cluster
        obj = dict(cluster.get("nodes", node) or {})
        others = [one for one in obj["spec"].get("taints") or [] if one["key"] != "kans"]
        taints = [{"key": "kans", "value": "random", "effect": "NoSchedule"}] if node in self.tainted else []
        cluster.put("nodes", {**obj, "spec": {**obj["spec"], "taints": [*others, *taints]}})

    def lose_node(self) -> str:
        """Kill a worker or set its link down; it comes back after some other actions."""
        verbs: tuple[Verb, ...] = ("kill_node", "link_down")
        node, verb = self.rng.choice(self.workers), self.rng.choice(verbs)
        self.log.append(f"{verb} {node}")
        self.until_back = self.rng.randint(2, 5)
        self.bring_back = self._recover
        return self.both.lose(verb, node)

    def _recover(self) -> str:
        self.log.append("bring the node back")
        return self.both.recover()

    # ── MetalLB ──────────────────────────────────────────────────────────────────────────────────────────

    def change_pool(self) -> str:
        """Add or change a pool; each has a priority of its own, and only the course's serves all."""
        rng, number = self.rng, self.rng.choice([1, 2, 3])
        first = rng.choice([10, 10, 14, 20])
        spec: dict[str, Any] = {"addresses": [f"172.18.24{number}.{first}-172.18.24{number}.{first + 4}"]}
        if rng.random() < 0.15:  # overlaps with another pool, or is no range
            spec["addresses"] = [rng.choice(["172.18.255.240/28", "172.18.255.249-172.18.255.251", "172.18.241.0/33"])]
        spec["autoAssign"] = False
        allocations: list[dict[str, Any]] = [
            {"namespaces": ["shop"]}, {"namespaceSelectors": [{"matchLabels": {"team": "red"}}]},
            {"serviceSelectors": [{"matchLabels": {"app": "nobody"}}]}, {"namespaces": ["shop", "default"]},
        ]  # fmt: skip
        if rng.random() < 0.4:
            spec |= {"autoAssign": True, "serviceAllocation": {**rng.choice(allocations), "priority": number}}
        if rng.random() < 0.2:
            spec["avoidBuggyIPs"] = True
        return self.apply(metallb("IPAddressPool", f"pool{number}", spec, rng.choice([{}, {"rack": "1"}])))

    def delete_pool(self) -> str:
        """Delete one of the random pools."""
        pool = self._some("IPAddressPool")
        return self.delete(pool) if pool else self.change_pool()

    def _selection(self) -> dict[str, Any]:
        """Return pools and nodes as an advertisement selects them."""
        rng = self.rng
        chosen = rng.sample(["worker1", "worker2", "worker3"], rng.randint(1, 3))
        pools: list[dict[str, Any]] = [
            {}, {}, {"ipAddressPools": ["my-ippool", "pool1", "pool2"]}, {"ipAddressPools": ["nowhere"]},
            {"ipAddressPoolSelectors": [{"matchLabels": {"rack": "1"}}]},
        ]  # fmt: skip
        nodes: list[dict[str, Any]] = [
            {}, {"nodeSelectors": [{"matchLabels": {"mynode": name}} for name in sorted(chosen)]},
            {"nodeSelectors": [{"matchLabels": {"rack": "1"}}]},
            {"nodeSelectors": [{"matchExpressions": [{"key": "rack", "operator": "DoesNotExist"}]}]},
        ]  # fmt: skip
        return {**rng.choice(pools), **rng.choice(nodes)}

    def advertise(self) -> str:
        """Change an L2Advertisement: pools, nodes, interfaces."""
        spec = self._selection()
        if self.rng.random() < 0.25:
            spec["interfaces"] = self.rng.choice([["eth0"], ["eth9"], ["eth9", "eth0"]])
        return self.apply(metallb("L2Advertisement", self.rng.choice(["my-l2-advertise", "second"]), spec))

    def withdraw(self) -> str:
        """Delete an advertisement."""
        made = self._some("L2Advertisement") or self._some("BGPAdvertisement")
        return self.delete(made) if made else self.advertise()

    def advertise_bgp(self) -> str:
        """Change a BGPAdvertisement."""
        rng, spec = self.rng, self._selection()
        if rng.random() < 0.3:
            spec["aggregationLength"] = rng.choice([32, 30, 24, 33])
        if rng.random() < 0.3:
            spec["communities"] = rng.choice([["64500:1"], ["64500:1", "64500:2"], ["64500:70000"], ["large:1:2:3"]])
        if rng.random() < 0.2:
            spec["peers"] = rng.choice([["edge"], ["nobody"]])
        if rng.random() < 0.1:
            spec["localPref"] = 100
        return self.apply(metallb("BGPAdvertisement", "random", spec))

    def peer(self) -> str:
        """Change the BGPPeer: the right one, or one that the router does not accept."""
        router = address_plan(self.both.initial.network).router
        spec = {"myASN": 65000, "peerASN": 65001, "peerAddress": router, "holdTime": "9s"}
        wrong = self.rng.choice(_WRONG_PEERS) if self.rng.random() < 0.6 else {}
        return self.apply(metallb("BGPPeer", "edge", {**spec, **wrong}))

    def make_stale(self) -> str:
        """Apply what webhooks pass and the components refuse; it goes after some other actions."""
        if self.bring_back:
            return self.advertise()
        edge = {"myASN": 65000, "peerASN": 65001, "peerAddress": "172.18.0.77"}
        obj = self.rng.choice([
            metallb("BGPAdvertisement", "stale", {"communities": ["undefined-alias"]}),
            metallb("BGPPeer", "stale", {**edge, "bfdProfile": "nowhere"}),
            metallb("BGPPeer", "stale", {**edge, "passwordSecret": {"name": "nowhere"}}),
        ])  # fmt: skip
        self.until_back, self.bring_back = self.rng.randint(2, 4), lambda: self.delete(obj)
        return self.apply(obj)

    def router(self) -> str:
        """Start the router, or stop it."""
        verb: Verb = "stop_router" if self.both.simulator.router.latest else "start_router"
        self.log.append(verb)
        return self.both.perform(verb, [ROUTER])

    def speaker(self) -> str:
        """Delete the speaker's Pod of a node; the DaemonSet makes another one."""
        node = self.rng.choice(self.workers)
        self.log.append(f"delete the speaker of {node}")
        real, ours = (
            next(
                f"pod/{SYSTEM}/{name_of(pod)}" for pod in pods
                if labels_of(pod).get("component") == "speaker" and pod["spec"].get("nodeName") == node
            )
            for pods in (self.both.live.objects("pods"), self.both.simulator.cluster.objects("pods"))
        )  # fmt: skip
        actions.delete([real])
        self.both.do(lambda: self.both.simulator.delete([ours]))
        return ""

    def conflict(self) -> str:
        """Start another machine with the address of a Service; it goes after some other actions."""
        services = self.both.simulator.cluster.objects("services")
        address = next((ip for service in services if (ip := external_address(service))), "")
        if self.bring_back or not address.startswith("172.18.255."):
            return self.advertise()
        self.log.append(f"conflicting host {address}")
        self.until_back, self.bring_back = self.rng.randint(1, 3), self._end_conflict
        self.both.conflict = ActiveAction("add_conflicting_host", CONFLICTING_HOST)
        return self.both.perform("add_conflicting_host", [CONFLICTING_HOST, address])

    def _end_conflict(self) -> str:
        self.log.append("remove the conflicting host")
        self.both.conflict = None
        return self.both.perform("remove_conflicting_host", [CONFLICTING_HOST])

    # ── what is refused ──────────────────────────────────────────────────────────────────────────────────

    def refused_object(self) -> str:
        """Ask for a random Service, Pod or workload, most of which break a rule."""
        make = self.rng.choice([random_manifests.service, random_manifests.pod, random_manifests.workload])
        obj = make(self.rng)
        obj["metadata"]["namespace"] = self.rng.choice([*["default"] * 5, "nowhere"])
        self.log.append(f"ask for {obj}")
        return self.both.ask(obj)

    def refused_configuration(self) -> str:
        """Ask for a random object of MetalLB's, many of which its webhooks refuse."""
        drawn = RandomConfigurations(self.rng.randrange(10**9), wrong=0.2).draw()
        kinds = ("ipaddresspools", "l2advertisements", "bgpadvertisements", "bgppeers", "bfdprofiles", "communities")
        found = [obj for kind in kinds for obj in drawn[kind]]
        if not found:
            return self.refused_object()
        obj = self.rng.choice(found)
        self.log.append(f"ask for {obj}")
        return self.both.ask(obj)

    def refused_change(self) -> str:
        """Ask for a change of an object that exists: of an immutable field, to a port or an address that is taken."""
        obj = self._some(self.rng.choice(["Service", "Deployment", "DaemonSet", "Pod"]))
        if obj is None:
            return self.refused_object()
        spec = obj["spec"]
        if obj["kind"] == "Service":
            services = self.both.live.objects("services")
            other = self.rng.choice(services)["spec"]
            ports = [port["nodePort"] for port in other.get("ports") or [] if port.get("nodePort")]
            spec |= self.rng.choice([
                {"clusterIP": other.get("clusterIP", "None")},
                {"clusterIP": "10.200.1.77"},
                {"ports": [{**spec["ports"][0], "nodePort": (ports or [8080])[0]}]},
                {"loadBalancerClass": "example.com/another"},
                {"healthCheckNodePort": 30099},
                {"type": "ExternalName", "externalName": "shop.example"},
            ])  # fmt: skip
        elif obj["kind"] == "Pod":
            spec |= self.rng.choice([{"nodeName": "elsewhere"}, {"hostNetwork": True}, {"restartPolicy": "Never"}])
        else:
            spec["selector"] = {"matchLabels": {"own": "another"}}
            if self.rng.random() < 0.5:
                spec["template"]["metadata"]["labels"]["own"] = "another"
        self.log.append(f"ask for a change {obj['kind']} {name_of(obj)} {spec}")
        return self.both.ask(obj)

    def refused_deletion(self) -> str:
        """Delete what has to stay, or what is not there."""
        reference = self.rng.choice(["namespace/default", "namespace/kube-system", "pod/nobody", "service/shop/nobody"])
        self.log.append(f"delete {reference}")
        return self.both.delete(reference)

    # ── afterwards ───────────────────────────────────────────────────────────────────────────────────────

    def clear(self) -> None:
        """Delete all that was made, on the live cluster."""
        for one in actions.active_actions():
            actions.undo(one)
        kinds = ("service", "endpointslice", "deployment", "daemonset", "pod", "namespace")
        first = [ref for kind in kinds for ref in self.made if ref.startswith(f"{kind}/")]
        others = [ref for ref in self.made if ref not in first]
        for ref in [*first, *others, "bgpadvertisement/stale", "bgppeer/stale"]:
            actions.delete([ref])
        for node in self.workers:
            kubectl(f"taint node {node} kans=random:NoSchedule-")
            actions.label(node, ["rack-"])
