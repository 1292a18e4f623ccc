"""Simulate kubelets and the node controller (Kubernetes v1.31). Pure."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from functools import partial
from ipaddress import ip_address, ip_network
from typing import Any

from kanslib.k8s.objects import KubeObject, internal_ips, name_of, namespace_of, pod_ips
from kanslib.metallb.allocation import EventMessage
from kanslib.simulator.address_family import Network
from kanslib.simulator.api_server import timestamp
from kanslib.simulator.event_loop import EventLoop
from kanslib.simulator.event_recorder import EventRecorder
from kanslib.simulator.scheduler import Scheduler, toleration_of

UNREACHABLE = "node.kubernetes.io/unreachable"
_UNREACHABLE_TAINT = {"key": UNREACHABLE, "effect": "NoExecute"}
_DAEMONS = ("kube-proxy", "kindnet", "speaker")


class Kubelets:
    """Bind Pods to nodes, run them on those that are up, and keep the nodes' conditions.

    `lost`: the unreachable nodes, with the moment (Unix seconds) since when; the simulator changes it.
    """

    def __init__(self, cluster: EventLoop, events: EventRecorder, lost: Mapping[str, float]) -> None:
        self.cluster, self._events, self._lost = cluster, events, lost
        self._last_ip: dict[tuple[str, int], str] = {}  # the newest of a node, by family
        self._starting: set[str] = set()
        cluster.subscribe(("pods", "nodes"), 0.0, self._sync_pods)

    # ── Pods ─────────────────────────────────────────────────────────────────────────────────────────────

    def _sync_pods(self) -> None:
        nodes = {name_of(node) for node in self.cluster.objects("nodes")}
        scheduler: Scheduler | None = None
        for pod in self.cluster.objects("pods"):
            node = pod["spec"].get("nodeName", "")
            if not node and not pod["metadata"].get("deletionTimestamp"):
                scheduler = scheduler or Scheduler(self.cluster.objects("nodes"), self.cluster.objects("pods"))
                node = self._schedule(pod, scheduler)
            if node not in nodes or node in self._lost:  # a Pod of a node that does not exist stays Pending
                continue
            if not pod.get("status", {}).get("podIP") and pod["metadata"]["uid"] not in self._starting:
                self._starting.add(pod["metadata"]["uid"])
                self.cluster.schedule(self.cluster.delays.pod_start, partial(self._start_pod, pod, node))

    def _schedule(self, pod: KubeObject, scheduler: Scheduler) -> str:
        """Bind a Pod to a node and return its name; a Pod that fits nowhere says why."""
        node, problem = scheduler.choose(pod)
        pod = copy.deepcopy(pod)
        if node:
            pod["spec"]["nodeName"] = node
        else:
            before = (pod.get("status", {}).get("conditions") or [{}])[0].get("message")
            if problem != before:
                message = EventMessage("Warning", "FailedScheduling", problem)
                self._events.write(pod, "default-scheduler", message, "default-scheduler")
            condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": problem}
            pod["status"] = {"phase": "Pending", "conditions": [condition]}
        self.cluster.put("pods", pod)
        return node

    def _start_pod(self, pod: KubeObject, node: str) -> None:
        self._starting.discard(pod["metadata"]["uid"])
        existing = self.cluster.get("pods", pod["metadata"]["name"], pod["metadata"].get("namespace", "default"))
        if existing is None or existing["metadata"]["uid"] != pod["metadata"]["uid"] or node in self._lost:
            return
        pod = copy.deepcopy(existing)
        host_ips = internal_ips(self.cluster.get("nodes", node) or {}) or [""]
        ips = host_ips if pod["spec"].get("hostNetwork") else self._pod_ips(pod, node)
        pod["spec"]["nodeName"] = node
        pod["status"] = running_status(pod["spec"], host_ips[0], ips, timestamp(self.cluster.now))
        self.cluster.put("pods", pod)

    def _pod_ips(self, pod: KubeObject, node: str) -> list[str]:
        """Return an address for a Pod of each of the node's ranges."""
        spec = (self.cluster.get("nodes", node) or {})["spec"]
        return [self._pod_ip(pod, node, ip_network(cidr)) for cidr in spec.get("podCIDRs") or [spec["podCIDR"]]]

    def _pod_ip(self, pod: KubeObject, node: str, network: Network) -> str:
        pods = [other for other in self._pods_on(node) if not other["spec"].get("hostNetwork")]
        taken = [ip for other in pods for ip in pod_ips(other) if ip_address(ip).version == network.version]
        last = self._last_ip.get((node, network.version)) or max(taken, key=lambda ip: int(ip_address(ip)), default="")
        chosen = self.cluster.ids.pod_ip(pod["metadata"]["name"], network, taken, last)
        self._last_ip[node, network.version] = chosen
        return chosen

    def delete_pod(self, pod: KubeObject) -> None:
        """Delete a Pod: once its kubelet has stopped it, the object is removed; on a lost node it stays Terminating."""
        pod = copy.deepcopy(pod)
        grace = pod["spec"].get("terminationGracePeriodSeconds", 30)
        pod["metadata"]["deletionTimestamp"] = timestamp(self.cluster.now + grace)
        pod["metadata"]["deletionGracePeriodSeconds"] = grace
        self.cluster.put("pods", pod)
        if pod["spec"].get("nodeName") not in self._lost:
            stop = min(grace, self.cluster.delays.pod_stop) or 0.01
            self.cluster.schedule(stop, lambda: self.cluster.remove("pods", pod))

    # ── nodes ────────────────────────────────────────────────────────────────────────────────────────────

    def mark_node_not_ready(self, node: str) -> None:
        """Do what the node controller does without lease renewals: node and Pods NotReady, eviction in 5 minutes."""
        self._set_node_ready(node, "Unknown", [_UNREACHABLE_TAINT])
        for pod in self._pods_on(node):
            self._set_pod_ready(pod, "False")
            if (seconds := self._seconds_tolerated(pod)) is not None:
                self.cluster.schedule(seconds, partial(self._evict, pod, node), awaited=False)

    def _seconds_tolerated(self, pod: KubeObject) -> float | None:
        """Return how long a Pod stays on an unreachable node, in seconds; None for one that is never evicted.

        Pods that do not say get 300 s (the admission plugin DefaultTolerationSeconds); Pods of DaemonSets stay.
        """
        owners = [owner["kind"] for owner in pod["metadata"].get("ownerReferences") or []]
        if pod["metadata"]["name"].startswith(_DAEMONS) or "DaemonSet" in owners:
            return None
        toleration = toleration_of(pod["spec"], _UNREACHABLE_TAINT)
        if toleration is None:
            return self.cluster.delays.eviction
        seconds = toleration.get("tolerationSeconds")
        return None if seconds is None else float(seconds)

    def _evict(self, pod: KubeObject, node: str) -> None:
        """Delete a Pod whose node is still unreachable; on a lost node it stays Terminating."""
        known = self.cluster.get("pods", name_of(pod), namespace_of(pod))
        is_same = known is not None and known["metadata"]["uid"] == pod["metadata"]["uid"]
        if known and is_same and node in self._lost and not known["metadata"].get("deletionTimestamp"):
            self.delete_pod(known)

    def mark_node_ready(self, node: str) -> None:
        """Set a node Ready, as its kubelet does once it reports again."""
        self._set_node_ready(node, "True", [])

    def restart_pods(self, node: str) -> None:
        """Run a node's Pods again after a boot, with new addresses; remove those that were Terminating."""
        for version in (4, 6):
            self._last_ip.pop((node, version), None)
        pods = [pod for pod in self._pods_on(node) if not pod["spec"].get("hostNetwork")]
        for pod in pods:
            if pod["metadata"].get("deletionTimestamp"):
                self.cluster.remove("pods", pod)
            else:
                self.cluster.put("pods", {**pod, "status": {"phase": "Running", "conditions": []}})
        for pod in pods:
            if not pod["metadata"].get("deletionTimestamp"):
                self._start_pod(pod, node)

    def mark_pods_ready(self, node: str) -> None:
        """Set a node's Pods Ready, except the speaker, whose readiness probe takes longer."""
        for pod in self._pods_on(node):
            if pod["metadata"].get("deletionTimestamp"):
                self.cluster.remove("pods", pod)
            elif not pod["metadata"]["name"].startswith("speaker"):
                self._set_pod_ready(pod, "True")

    def mark_speaker_ready(self, node: str) -> None:
        """Set a node's speaker Pod Ready."""
        for pod in self._pods_on(node):
            if pod["metadata"]["name"].startswith("speaker"):
                self._set_pod_ready(pod, "True")

    def _pods_on(self, node: str) -> list[KubeObject]:
        return [pod for pod in self.cluster.objects("pods") if pod["spec"].get("nodeName") == node]

    def _set_node_ready(self, node: str, status: str, taints: list[dict[str, str]]) -> None:
        obj = self._with_ready_condition(self.cluster.get("nodes", node) or {}, status)
        other_taints = [taint for taint in obj["spec"].get("taints") or [] if taint["key"] != UNREACHABLE]
        if other_taints or taints:
            obj["spec"]["taints"] = [*other_taints, *taints]
        else:
            obj["spec"].pop("taints", None)
        self.cluster.put("nodes", obj)

    def _set_pod_ready(self, pod: KubeObject, status: str) -> None:
        self.cluster.put("pods", self._with_ready_condition(pod, status))

    def _with_ready_condition(self, obj: KubeObject, status: str) -> KubeObject:
        obj = copy.deepcopy(obj)
        for condition in obj.get("status", {}).get("conditions") or []:
            if condition["type"] == "Ready":
                condition.update(status=status, lastTransitionTime=timestamp(self.cluster.now))
        return obj


def running_status(spec: KubeObject, host_ip: str, ips: Sequence[str], since: str) -> KubeObject:
    """Return the status of a Pod that runs and is ready since a time; `ips`: one of each family."""
    ready = [{"type": kind, "status": "True", "lastTransitionTime": since} for kind in ("Ready", "PodScheduled")]
    containers = [_container_status(container, since) for container in spec.get("containers") or []]
    return {
        "phase": "Running", "conditions": ready, "hostIP": host_ip, "podIP": ips[0],
        "podIPs": [{"ip": ip} for ip in ips], "startTime": since, "containerStatuses": containers,
    }  # fmt: skip


def _container_status(container: Mapping[str, Any], since: str) -> dict[str, Any]:
    state = {"running": {"startedAt": since}}
    return {"name": container["name"], "ready": True, "restartCount": 0, "state": state, "image": container["image"]}
