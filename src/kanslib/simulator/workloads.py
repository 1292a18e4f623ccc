"""Simulate the controllers that make Pods: Deployments with their ReplicaSets, and DaemonSets (Kubernetes v1.31). Pure.

A Deployment that changes is rolled out with the default strategy: a quarter more Pods, at most a quarter fewer.
"""

from __future__ import annotations

import copy
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from kanslib.k8s.endpoints import selects
from kanslib.k8s.objects import KubeObject, is_ready, labels_of, name_of, namespace_of
from kanslib.simulator.event_loop import EventLoop
from kanslib.simulator.kubelet import Kubelets
from kanslib.simulator.scheduler import matches_node, untolerated_taint

HASH, REVISION = "pod-template-hash", "controller-revision-hash"
_LETTERS = "bcdfghjklmnpqrstvwxz2456789"  # k8s.io/apimachinery rand.SafeEncodeString
# a cluster's own namespaces: the simulator itself keeps their DaemonSets, and nobody looks at their ReplicaSets
_CLUSTERS_OWN = ("kube-system", "local-path-storage", "metallb-system")
# pkg/controller/daemon/util AddOrUpdateDaemonPodTolerations
_DAEMON_TOLERATIONS = tuple(
    {"key": f"node.kubernetes.io/{key}", "operator": "Exists", "effect": effect}
    for key, effect in (
        ("not-ready", "NoExecute"),
        ("unreachable", "NoExecute"),
        ("disk-pressure", "NoSchedule"),
        ("memory-pressure", "NoSchedule"),
        ("pid-pressure", "NoSchedule"),
        ("unschedulable", "NoSchedule"),
    )
)


def daemon_pod_spec(daemonset: KubeObject) -> KubeObject:
    """Return the spec of a DaemonSet's Pods, with the tolerations that its controller adds."""
    spec = daemonset["spec"]["template"]["spec"]
    return {**spec, "tolerations": [*(spec.get("tolerations") or []), *_DAEMON_TOLERATIONS]}


class Workloads:
    """Keep the Pods of Deployments, ReplicaSets and DaemonSets as their controllers do."""

    def __init__(self, cluster: EventLoop, kubelets: Kubelets) -> None:
        self._cluster, self._kubelets = cluster, kubelets
        self._adopted: dict[tuple[str, str, str], tuple[str, str]] = {}  # of an owner: its first template, and its hash
        cluster.subscribe(("deployments", "replicasets", "daemonsets", "pods", "nodes"), 0.0, self.sync)

    def sync(self) -> None:
        """Make the Pods that are missing and delete those that are too many."""
        for deployment in self._cluster.objects("deployments"):
            self._sync_deployment(deployment)
        for replicaset in self._cluster.objects("replicasets"):
            if not replicaset["metadata"].get("ownerReferences"):
                self._scale(replicaset, self._pods(replicaset), _replicas(replicaset))
        for daemonset in self._cluster.objects("daemonsets"):
            if namespace_of(daemonset) not in _CLUSTERS_OWN:
                self._sync_daemonset(daemonset)

    def owned_by(self, owner: KubeObject) -> list[tuple[str, KubeObject]]:
        """Return what the garbage collector deletes after an owner, with its kind (plural): ReplicaSets, then Pods."""
        replicasets = [one for one in self._cluster.objects("replicasets") if _is_owned(one, owner)]
        return [*(("replicasets", one) for one in replicasets), *(("pods", pod) for pod in self._pods(owner))]

    def _pods(self, owner: KubeObject) -> list[KubeObject]:
        """Return the Pods of an owner that are not being deleted: those that it selects and that have its name."""
        selector, prefix = owner["spec"].get("selector") or {}, f"{name_of(owner)}-"
        return [
            pod
            for pod in self._cluster.objects("pods")
            if namespace_of(pod) == namespace_of(owner)
            and name_of(pod).startswith(prefix)
            and not pod["metadata"].get("deletionTimestamp")
            and selects(selector, labels_of(pod))
        ]

    # ── Deployments ──────────────────────────────────────────────────────────────────────────────────────

    def _sync_deployment(self, deployment: KubeObject) -> None:
        wanted, pods = _replicas(deployment), self._pods(deployment)
        current = self._hash(deployment, [_hash_in(deployment, pod) for pod in pods])
        replicaset = self._replicaset(deployment, current)
        new = [pod for pod in pods if _hash_in(deployment, pod) == current]
        old = [pod for pod in pods if pod not in new]
        surge = math.ceil(wanted / 4) if old else 0
        self._scale(replicaset, new, min(wanted, wanted + surge - len(old)) if old else wanted)
        fewest = wanted - math.floor(wanted / 4)
        ready = sum(map(is_ready, pods))
        for pod in sorted(old, key=is_ready):
            if is_ready(pod) and ready <= fewest:
                break
            ready -= is_ready(pod)
            self._kubelets.delete_pod(pod)
        if not old:
            self._remove_old_replicasets(deployment, current)

    def _hash(self, owner: KubeObject, hashes: Sequence[str]) -> str:
        """Return the hash of a template. `hashes`: of the Pods; those that exist when the owner is first seen stay."""
        template = json.dumps(owner["spec"].get("template"), sort_keys=True)
        key = owner["kind"], namespace_of(owner), name_of(owner)
        first, adopted = self._adopted.setdefault(key, (template, hashes[0] if hashes else ""))
        return adopted if adopted and template == first else _encode(template)

    def _replicaset(self, deployment: KubeObject, current: str) -> KubeObject:
        """Return the ReplicaSet of a template; create it, or give it the number of Pods that the Deployment wants."""
        name, namespace = f"{name_of(deployment)}-{current}", namespace_of(deployment)
        template = copy.deepcopy(deployment["spec"]["template"])
        template.setdefault("metadata", {}).setdefault("labels", {})[HASH] = current
        meta = {
            "name": name, "namespace": namespace, "labels": template["metadata"]["labels"],
            "ownerReferences": [_owner(deployment)],
        }  # fmt: skip
        spec = {"replicas": _replicas(deployment), "selector": deployment["spec"].get("selector"), "template": template}
        known = self._cluster.get("replicasets", name, namespace)
        if known is not None:
            meta = known["metadata"]
        replicaset = {"kind": "ReplicaSet", "apiVersion": "apps/v1", "metadata": meta, "spec": spec}
        return replicaset if namespace in _CLUSTERS_OWN else self._cluster.put("replicasets", replicaset)

    def _remove_old_replicasets(self, deployment: KubeObject, current: str) -> None:
        for replicaset in self._cluster.objects("replicasets"):
            if _is_owned(replicaset, deployment) and not name_of(replicaset).endswith(f"-{current}"):
                self._cluster.remove("replicasets", replicaset)

    def _scale(self, replicaset: KubeObject, pods: Sequence[KubeObject], wanted: int) -> None:
        """Create Pods of a ReplicaSet, or delete some: those that are not Ready first, then the youngest."""
        for _ in range(wanted - len(pods)):
            self._create(replicaset, {})
        ranked = sorted(pods, key=lambda pod: (is_ready(pod), -int(pod["metadata"]["resourceVersion"])))
        for pod in ranked[: max(0, len(pods) - wanted)]:
            self._kubelets.delete_pod(pod)

    def _create(self, owner: KubeObject, spec: Mapping[str, Any], labels: Mapping[str, str] | None = None) -> None:
        template = copy.deepcopy(owner["spec"]["template"])
        meta = {
            "name": f"{name_of(owner)}-{self._cluster.ids.name_suffix()}", "namespace": namespace_of(owner),
            "labels": {**((template.get("metadata") or {}).get("labels") or {}), **(labels or {})},
            "ownerReferences": [_owner(owner)],
        }  # fmt: skip
        pod = {"kind": "Pod", "apiVersion": "v1", "metadata": meta, "spec": {**template["spec"], **spec}}
        self._cluster.put("pods", {**pod, "status": {"phase": "Pending"}})

    # ── DaemonSets ───────────────────────────────────────────────────────────────────────────────────────

    def _sync_daemonset(self, daemonset: KubeObject) -> None:
        spec = daemon_pod_spec(daemonset)
        matching = [node for node in self._cluster.objects("nodes") if matches_node(spec, node)]
        # a taint NoSchedule keeps new Pods away; those that run stay (daemon_controller.go NodeShouldRunDaemonPod)
        allowed, wanted = (
            {name_of(node) for node in matching if not untolerated_taint(spec, node, effects)}
            for effects in (("NoExecute",), ("NoSchedule", "NoExecute"))
        )
        pods = [pod for pod in self._cluster.objects("pods") if _is_owned(pod, daemonset)]
        covered = {pod["spec"].get("nodeName") for pod in pods}
        current = self._hash(daemonset, [labels_of(pod).get(REVISION, "") for pod in pods])
        for node in sorted(wanted - covered):
            self._create(daemonset, {"nodeName": node, "tolerations": spec["tolerations"]}, {REVISION: current})
        staying = [pod for pod in pods if not pod["metadata"].get("deletionTimestamp")]
        for pod in staying:
            if pod["spec"].get("nodeName") not in allowed:
                self._kubelets.delete_pod(pod)
        self._replace_outdated(staying, current, is_calm=len(pods) == len(staying))

    def _replace_outdated(self, pods: Sequence[KubeObject], current: str, *, is_calm: bool) -> None:
        """Delete one Pod of an older template, once all others are Ready (RollingUpdate, maxUnavailable 1)."""
        outdated = [pod for pod in pods if labels_of(pod).get(REVISION) != current]
        unready = [pod for pod in outdated if not is_ready(pod)]
        if unready or (outdated and is_calm and all(map(is_ready, pods))):
            self._kubelets.delete_pod((unready or outdated)[0])


def _replicas(obj: KubeObject) -> int:
    replicas = obj["spec"].get("replicas")
    return 1 if replicas is None else int(replicas)


def _owner(owner: KubeObject) -> dict[str, object]:
    fields = {"apiVersion": owner.get("apiVersion", "apps/v1"), "kind": owner["kind"], "name": name_of(owner)}
    return {**fields, "uid": owner["metadata"].get("uid", ""), "controller": True, "blockOwnerDeletion": True}


def _is_owned(obj: KubeObject, owner: KubeObject) -> bool:
    references = obj["metadata"].get("ownerReferences") or []
    return namespace_of(obj) == namespace_of(owner) and any(
        (one["kind"], one["name"]) == (owner["kind"], name_of(owner)) for one in references
    )


def _hash_in(deployment: KubeObject, pod: KubeObject) -> str:
    """Return the hash in the name of a Deployment's Pod: `web-7ccdf84c7f-hb9hq`."""
    return name_of(pod).removeprefix(f"{name_of(deployment)}-").rpartition("-")[0]


def _encode(template: str) -> str:
    """Return ten letters that stand for a template, as those in the names of ReplicaSets (not the same ones)."""
    return "".join(_LETTERS[byte % len(_LETTERS)] for byte in hashlib.sha256(template.encode()).digest()[:10])
