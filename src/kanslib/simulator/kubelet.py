"""Simulate kubelets, the scheduler, and the endpoint slice and node controllers (Kubernetes v1.31). Pure."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from functools import partial
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from kanslib.k8s.endpoints import SERVICE_NAME, slices_of
from kanslib.k8s.objects import KubeObject, internal_ip, is_ready
from kanslib.simulator.api_server import timestamp
from kanslib.simulator.event_loop import EventLoop

UNREACHABLE = "node.kubernetes.io/unreachable"
_DAEMONS = ("kube-proxy", "kindnet", "speaker")


class Kubelets:
    """Run Pods on the nodes that are up, and keep EndpointSlices and node conditions.

    `lost`: the unreachable nodes, with the moment (Unix seconds) since when; the simulator changes it.
    """

    def __init__(self, cluster: EventLoop, lost: Mapping[str, float]) -> None:
        self.cluster, self._lost = cluster, lost
        self._last_ip: dict[str, str] = {}
        self._starting: set[str] = set()
        cluster.subscribe(("pods",), 0.0, self._sync_pods)
        cluster.subscribe(("pods", "services"), cluster.delays.endpoint_slices, self._sync_endpoint_slices)

    # ── Pods ─────────────────────────────────────────────────────────────────────────────────────────────

    def _sync_pods(self) -> None:
        for pod in self.cluster.objects("pods"):
            node = pod["spec"].get("nodeName") or self._schedule(pod)
            if node in self._lost:
                continue
            if not pod.get("status", {}).get("podIP") and pod["metadata"]["uid"] not in self._starting:
                self._starting.add(pod["metadata"]["uid"])
                self.cluster.schedule(self.cluster.delays.pod_start, partial(self._start_pod, pod, node))

    def _schedule(self, pod: KubeObject) -> str:
        """Bind a Pod to the ready node with the fewest Pods, the first by name, and return the node."""
        count = {
            node["metadata"]["name"]: 0
            for node in self.cluster.objects("nodes")
            if is_ready(node) and not any(t["effect"] != "PreferNoSchedule" for t in node["spec"].get("taints") or [])
        }
        for other in self.cluster.objects("pods"):
            if other["spec"].get("nodeName") in count:
                count[other["spec"]["nodeName"]] += 1
        node = min(count, key=lambda name: (count[name], name), default="")
        if node:
            pod = copy.deepcopy(pod)
            pod["spec"]["nodeName"] = node
            self.cluster.put("pods", pod)
        return node

    def _start_pod(self, pod: KubeObject, node: str) -> None:
        self._starting.discard(pod["metadata"]["uid"])
        existing = self.cluster.get("pods", pod["metadata"]["name"], pod["metadata"].get("namespace", "default"))
        if existing is None or existing["metadata"]["uid"] != pod["metadata"]["uid"] or node in self._lost:
            return
        pod = copy.deepcopy(existing)
        host_ip = internal_ip(self.cluster.get("nodes", node) or {})
        ip = host_ip if pod["spec"].get("hostNetwork") else self._pod_ip(pod, node)
        since = timestamp(self.cluster.now)
        ready = [{"type": kind, "status": "True", "lastTransitionTime": since} for kind in ("Ready", "PodScheduled")]
        containers = [_container_status(container, since) for container in pod["spec"].get("containers") or []]
        pod["spec"]["nodeName"] = node
        pod["status"] = {
            "phase": "Running", "conditions": ready, "hostIP": host_ip, "podIP": ip, "podIPs": [{"ip": ip}],
            "startTime": since, "containerStatuses": containers,
        }  # fmt: skip
        self.cluster.put("pods", pod)

    def _pod_ip(self, pod: KubeObject, node: str) -> str:
        network = IPv4Network((self.cluster.get("nodes", node) or {})["spec"]["podCIDR"])
        pods = [other for other in self._pods_on(node) if not other["spec"].get("hostNetwork")]
        taken = [other.get("status", {}).get("podIP", "") for other in pods]
        last = self._last_ip.get(node) or max((ip for ip in taken if ip), key=IPv4Address, default="")
        chosen = self.cluster.ids.pod_ip(pod["metadata"]["name"], network, taken, last)
        self._last_ip[node] = chosen
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

    # ── EndpointSlices ───────────────────────────────────────────────────────────────────────────────────

    def _sync_endpoint_slices(self) -> None:
        for service in self.cluster.objects("services"):
            if selector := service["spec"].get("selector"):
                self._sync_endpoint_slice(service, selector)
        for piece in self.cluster.objects("endpointslices"):
            meta, owner = piece["metadata"], piece["metadata"].get("labels", {}).get(SERVICE_NAME)
            if owner and self.cluster.get("services", owner, meta["namespace"]) is None:
                self.cluster.remove("endpointslices", piece)

    def _sync_endpoint_slice(self, service: KubeObject, selector: Mapping[str, str]) -> None:
        name, namespace = service["metadata"]["name"], service["metadata"].get("namespace", "default")
        existing = slices_of(self.cluster.objects("endpointslices"), namespace, name)
        pods = [
            pod for pod in self.cluster.objects("pods")
            if pod["metadata"].get("namespace", "default") == namespace
            and selector.items() <= pod["metadata"].get("labels", {}).items()
            and pod.get("status", {}).get("podIP")
        ]  # fmt: skip
        piece: KubeObject = copy.deepcopy(existing[0]) if existing else self._new_endpoint_slice(name, namespace)
        before = piece.get("endpoints") or []
        entries = {entry["addresses"][0]: entry for entry in map(self._endpoint, pods)}
        # known endpoints keep their places; the API guarantees no order
        order = [entry["addresses"][0] for entry in before if entry["addresses"][0] in entries]
        order += [address for address in entries if address not in order]
        piece["endpoints"] = [entries[address] for address in order]
        piece["ports"] = [_slice_port(port, pods) for port in service["spec"].get("ports") or []] if pods else []
        self.cluster.put("endpointslices", piece)

    def _new_endpoint_slice(self, service: str, namespace: str) -> KubeObject:
        labels = {
            "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
            SERVICE_NAME: service,
        }
        meta = {"name": f"{service}-{self.cluster.ids.name_suffix()}", "namespace": namespace, "labels": labels}
        return {
            "kind": "EndpointSlice", "apiVersion": "discovery.k8s.io/v1", "metadata": meta, "addressType": "IPv4",
        }  # fmt: skip

    def _endpoint(self, pod: KubeObject) -> dict[str, Any]:
        meta, terminating = pod["metadata"], bool(pod["metadata"].get("deletionTimestamp"))
        serving = is_ready(pod)
        node = self.cluster.get("nodes", pod["spec"]["nodeName"]) or {"metadata": {}}
        entry = {
            "addresses": [pod["status"]["podIP"]],
            "conditions": {"ready": serving and not terminating, "serving": serving, "terminating": terminating},
            "nodeName": pod["spec"]["nodeName"],
            "targetRef": {"kind": "Pod", "namespace": meta.get("namespace", "default"), "name": meta["name"]},
        }
        zone = node["metadata"].get("labels", {}).get("topology.kubernetes.io/zone")
        return {**entry, "zone": zone} if zone else entry

    # ── nodes ────────────────────────────────────────────────────────────────────────────────────────────

    def mark_node_not_ready(self, node: str) -> None:
        """Do what the node controller does without lease renewals: node and Pods NotReady, eviction in 5 minutes."""
        self._set_node_ready(node, "Unknown", [{"key": UNREACHABLE, "effect": "NoExecute"}])
        for pod in self._pods_on(node):
            self._set_pod_ready(pod, "False")
        self.cluster.schedule(self.cluster.delays.eviction, lambda: self._evict(node), awaited=False)

    def _evict(self, node: str) -> None:
        if node in self._lost:
            for pod in self._pods_on(node):
                if not pod["metadata"]["name"].startswith(_DAEMONS) and not pod["metadata"].get("deletionTimestamp"):
                    self.delete_pod(pod)

    def mark_node_ready(self, node: str) -> None:
        """Set a node Ready, as its kubelet does once it reports again."""
        self._set_node_ready(node, "True", [])

    def restart_pods(self, node: str) -> None:
        """Run a node's Pods again after a boot, with new addresses; remove those that were Terminating."""
        self._last_ip.pop(node, None)
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


def _container_status(container: Mapping[str, Any], since: str) -> dict[str, Any]:
    state = {"running": {"startedAt": since}}
    return {"name": container["name"], "ready": True, "restartCount": 0, "state": state, "image": container["image"]}


def _slice_port(port: Mapping[str, Any], pods: list[KubeObject]) -> dict[str, Any]:
    """Return a Service port as a slice has it: with the number of its target port on the Pods."""
    target = port.get("targetPort", port["port"])
    if isinstance(target, str):
        numbers = (
            container_port["containerPort"]
            for pod in pods
            for container in pod["spec"].get("containers") or []
            for container_port in container.get("ports") or []
            if container_port.get("name") == target
        )
        target = next(numbers, 0)
    return {"name": port.get("name", ""), "protocol": port.get("protocol", "TCP"), "port": target}
