"""Pods, endpoints and nodes: what kubelets and the controller manager do (Kubernetes v1.31). Pure."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from kanslib.k8s.endpoints import SERVICE_NAME
from kanslib.k8s.objects import KubeObject, is_ready
from kanslib.simulator.api_server import timestamp
from kanslib.simulator.event_loop import EventLoop

UNREACHABLE = "node.kubernetes.io/unreachable"
_DAEMONS = ("kube-proxy", "kindnet", "speaker")


class Kubelets:
    """Runs Pods on the nodes that are up, and keeps EndpointSlices. `lost`: the nodes that nobody can reach."""

    def __init__(self, cluster: EventLoop, lost: Mapping[str, float]) -> None:
        self.cluster, self._lost = cluster, lost
        self._last_ip: dict[str, str] = {}
        self._starting: set[str] = set()
        cluster.subscribe(("pods",), 0.0, self._kubelets)
        cluster.subscribe(("pods", "services"), cluster.delays.slices, self._slices)

    # ── Pods ─────────────────────────────────────────────────────────────────────────────────────────────

    def _kubelets(self) -> None:
        for pod in self.cluster.objects("pods"):
            node = pod["spec"].get("nodeName") or self._scheduled(pod)
            if node in self._lost:
                continue
            if not pod.get("status", {}).get("podIP") and pod["metadata"]["uid"] not in self._starting:
                self._starting.add(pod["metadata"]["uid"])
                self.cluster.schedule(self.cluster.delays.pod_start, lambda pod=pod, node=node: self._start(pod, node))  # type: ignore[misc]

    def _scheduled(self, pod: KubeObject) -> str:
        """A node for a Pod that names none: the worker with the fewest Pods, the first by name."""
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

    def _start(self, pod: KubeObject, node: str) -> None:
        self._starting.discard(pod["metadata"]["uid"])
        there = self.cluster.get("pods", pod["metadata"]["name"], pod["metadata"].get("namespace", "default"))
        if there is None or there["metadata"]["uid"] != pod["metadata"]["uid"] or node in self._lost:
            return
        there = copy.deepcopy(there)
        ip = self.address(node) if there["spec"].get("hostNetwork") else self._pod_ip(there, node)
        since = timestamp(self.cluster.now)
        ready = [{"type": kind, "status": "True", "lastTransitionTime": since} for kind in ("Ready", "PodScheduled")]
        running = [_running(one, since) for one in there["spec"].get("containers") or []]
        there["spec"]["nodeName"] = node
        there["status"] = {
            "phase": "Running", "conditions": ready, "hostIP": self.address(node), "podIP": ip, "podIPs": [{"ip": ip}],
            "startTime": since, "containerStatuses": running,
        }  # fmt: skip
        self.cluster.put("pods", there)

    def address(self, node: str) -> str:
        """A node's address on the Docker network."""
        found = self.cluster.get("nodes", node)
        told = (found or {}).get("status", {}).get("addresses") or []
        return str(next((one["address"] for one in told if one["type"] == "InternalIP"), ""))

    def _pod_ip(self, pod: KubeObject, node: str) -> str:
        network = IPv4Network((self.cluster.get("nodes", node) or {})["spec"]["podCIDR"])
        here = [one for one in self.cluster.objects("pods") if one["spec"].get("nodeName") == node]
        taken = [one.get("status", {}).get("podIP", "") for one in here if not one["spec"].get("hostNetwork")]
        last = self._last_ip.get(node) or max((ip for ip in taken if ip), key=IPv4Address, default="")
        chosen = self.cluster.numbers.pod_ip(pod["metadata"]["name"], network, taken, last)
        self._last_ip[node] = chosen
        return chosen

    def delete(self, pod: KubeObject) -> None:
        """Delete a Pod: it is told to end, and is gone when it has; on a lost node it is never told."""
        pod = copy.deepcopy(pod)
        grace = pod["spec"].get("terminationGracePeriodSeconds", 30)
        pod["metadata"]["deletionTimestamp"] = timestamp(self.cluster.now + grace)
        pod["metadata"]["deletionGracePeriodSeconds"] = grace
        self.cluster.put("pods", pod)
        if pod["spec"].get("nodeName") not in self._lost:
            stop = min(grace, self.cluster.delays.pod_stop) or 0.01
            self.cluster.schedule(stop, lambda: self.cluster.remove("pods", pod))

    # ── EndpointSlices ───────────────────────────────────────────────────────────────────────────────────

    def _slices(self) -> None:
        kept = set()
        for service in self.cluster.objects("services"):
            selector = service["spec"].get("selector")
            if selector:
                kept.add(self._slice(service, selector))
        for piece in self.cluster.objects("endpointslices"):
            meta, owner = piece["metadata"], piece["metadata"].get("labels", {}).get(SERVICE_NAME)
            if owner and meta["name"] not in kept and self.cluster.get("services", owner, meta["namespace"]) is None:
                self.cluster.remove("endpointslices", piece)

    def _slice(self, service: KubeObject, selector: Mapping[str, str]) -> str:
        meta = service["metadata"]
        space = meta.get("namespace", "default")
        mine = [
            one for one in self.cluster.objects("endpointslices")
            if one["metadata"]["namespace"] == space and one["metadata"]["labels"].get(SERVICE_NAME) == meta["name"]
        ]  # fmt: skip
        pods = [
            pod for pod in self.cluster.objects("pods")
            if pod["metadata"].get("namespace", "default") == space
            and selector.items() <= pod["metadata"].get("labels", {}).items()
            and pod.get("status", {}).get("podIP")
        ]  # fmt: skip
        piece: KubeObject = copy.deepcopy(mine[0]) if mine else self._new_slice(service)
        before = piece.get("endpoints") or []
        entries = {entry["addresses"][0]: entry for entry in map(self._endpoint, pods)}
        # what was there stays where it was: the order of endpoints is nobody's promise
        order = [entry["addresses"][0] for entry in before if entry["addresses"][0] in entries]
        order += [address for address in entries if address not in order]
        piece["endpoints"] = [entries[address] for address in order]
        piece["ports"] = [_slice_port(port, pods) for port in service["spec"].get("ports") or []] if pods else []
        return str(self.cluster.put("endpointslices", piece)["metadata"]["name"])

    def _new_slice(self, service: KubeObject) -> KubeObject:
        meta = service["metadata"]
        labels = {
            "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
            SERVICE_NAME: meta["name"],
        }
        name = f"{meta['name']}-{self.cluster.numbers.suffix()}"
        new = {"name": name, "namespace": meta.get("namespace", "default"), "labels": labels}
        return {
            "kind": "EndpointSlice", "apiVersion": "discovery.k8s.io/v1", "metadata": new, "addressType": "IPv4",
        }  # fmt: skip

    def _endpoint(self, pod: KubeObject) -> dict[str, Any]:
        meta, leaving = pod["metadata"], bool(pod["metadata"].get("deletionTimestamp"))
        serving = is_ready(pod)
        node = self.cluster.get("nodes", pod["spec"]["nodeName"]) or {"metadata": {}}
        entry = {
            "addresses": [pod["status"]["podIP"]],
            "conditions": {"ready": serving and not leaving, "serving": serving, "terminating": leaving},
            "nodeName": pod["spec"]["nodeName"],
            "targetRef": {"kind": "Pod", "namespace": meta.get("namespace", "default"), "name": meta["name"]},
        }
        zone = node["metadata"].get("labels", {}).get("topology.kubernetes.io/zone")
        return {**entry, "zone": zone} if zone else entry

    # ── nodes ────────────────────────────────────────────────────────────────────────────────────────────

    def not_ready(self, node: str) -> None:
        """The controller manager gives a node up: NotReady, its Pods too; in five minutes they are to be deleted."""
        self._readiness(node, "Unknown", [{"key": UNREACHABLE, "effect": "NoExecute"}])
        for pod in self._on(node):
            self._pod_readiness(pod, "False")
        self.cluster.schedule(self.cluster.delays.eviction, lambda: self._evict(node), settles=False)

    def _evict(self, node: str) -> None:
        if node in self._lost:
            for pod in self._on(node):
                if not pod["metadata"]["name"].startswith(_DAEMONS) and not pod["metadata"].get("deletionTimestamp"):
                    self.delete(pod)

    def ready(self, node: str) -> None:
        """The kubelet reports again."""
        self._readiness(node, "True", [])

    def restarted(self, node: str) -> None:
        """A node's Pods run again after a boot, with addresses dealt anew."""
        self._last_ip.pop(node, None)
        mine = [pod for pod in self._on(node) if not pod["spec"].get("hostNetwork")]
        for pod in mine:
            if pod["metadata"].get("deletionTimestamp"):
                self.cluster.remove("pods", pod)
                continue
            fresh = copy.deepcopy(pod)
            fresh["status"] = {"phase": "Running", "conditions": []}
            self.cluster.put("pods", fresh)
        for pod in mine:
            if not pod["metadata"].get("deletionTimestamp"):
                self._start(pod, node)

    def pods_ready(self, node: str) -> None:
        """A node's kubelet says again that its Pods are Ready; but a speaker's probe takes longer."""
        for pod in self._on(node):
            if pod["metadata"].get("deletionTimestamp"):
                self.cluster.remove("pods", pod)
            elif not pod["metadata"]["name"].startswith("speaker"):
                self._pod_readiness(pod, "True")

    def speaker_ready(self, node: str) -> None:
        for pod in self._on(node):
            if pod["metadata"]["name"].startswith("speaker"):
                self._pod_readiness(pod, "True")

    def _on(self, node: str) -> list[KubeObject]:
        return [pod for pod in self.cluster.objects("pods") if pod["spec"].get("nodeName") == node]

    def _readiness(self, node: str, status: str, taints: list[dict[str, str]]) -> None:
        obj = copy.deepcopy(self.cluster.get("nodes", node) or {})
        for condition in obj["status"]["conditions"]:
            if condition["type"] == "Ready":
                condition.update(status=status, lastTransitionTime=timestamp(self.cluster.now))
        kept = [taint for taint in obj["spec"].get("taints") or [] if taint["key"] != UNREACHABLE]
        if kept or taints:
            obj["spec"]["taints"] = [*kept, *taints]
        else:
            obj["spec"].pop("taints", None)
        self.cluster.put("nodes", obj)

    def _pod_readiness(self, pod: KubeObject, status: str) -> None:
        pod = copy.deepcopy(pod)
        for condition in pod.get("status", {}).get("conditions") or []:
            if condition["type"] == "Ready":
                condition.update(status=status, lastTransitionTime=timestamp(self.cluster.now))
        self.cluster.put("pods", pod)


def _running(container: Mapping[str, Any], since: str) -> dict[str, Any]:
    state = {"running": {"startedAt": since}}
    return {"name": container["name"], "ready": True, "restartCount": 0, "state": state, "image": container["image"]}


def _slice_port(port: Mapping[str, Any], pods: list[KubeObject]) -> dict[str, Any]:
    """A Service port as a slice names it: with the number that its target has on the Pods."""
    target = port.get("targetPort", port["port"])
    if isinstance(target, str):
        known = [
            one["containerPort"]
            for pod in pods
            for container in pod["spec"].get("containers") or []
            for one in container.get("ports") or []
            if one.get("name") == target
        ]
        target = known[0] if known else 0
    return {"name": port.get("name", ""), "protocol": port.get("protocol", "TCP"), "port": target}
