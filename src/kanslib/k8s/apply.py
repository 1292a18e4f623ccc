"""What `kubectl apply` would change: manifests with the API's defaults, compared with the existing objects."""

from __future__ import annotations

import json
from collections.abc import Iterable

from kanslib.exceptions import UnknownNameError
from kanslib.k8s.objects import KubeObject

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"

_ENVELOPE = ("apiVersion", "kind", "metadata", "spec", "status")
_SERVICE_DEFAULTS = {
    "type": "ClusterIP",
    "sessionAffinity": "None",
    "internalTrafficPolicy": "Cluster",
}


def with_defaults(document: KubeObject) -> KubeObject:
    """Return the manifest with the API server's defaults, so that two spellings of one object are equal.

    >>> short = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {"ports": [{"port": 80}]}}
    >>> with_defaults(short)["spec"]["ports"]
    [{'protocol': 'TCP', 'targetPort': 80, 'port': 80}]
    """
    meta = document.get("metadata", {})
    spec = dict(document.get("spec") or {})
    kind = document["kind"]
    if kind == "Service":
        spec = {**_SERVICE_DEFAULTS, **spec}
        if spec["type"] in ("LoadBalancer", "NodePort"):
            spec = {"externalTrafficPolicy": "Cluster", **spec}
        if spec["type"] == "LoadBalancer":
            spec = {"allocateLoadBalancerNodePorts": True, **spec}
        spec["ports"] = [{"protocol": "TCP", "targetPort": p.get("port"), **p} for p in spec.get("ports") or []]
    if kind == "IPAddressPool":
        spec = {"autoAssign": True, "avoidBuggyIPs": False, **spec}
    return {
        "kind": kind,
        "namespace": meta.get("namespace", "default"),
        "name": meta["name"],
        "labels": meta.get("labels") or {},
        "annotations": {k: v for k, v in (meta.get("annotations") or {}).items() if k != LAST_APPLIED},
        "spec": spec,
        "content": {k: v for k, v in document.items() if k not in _ENVELOPE},  # of a ConfigMap, an EndpointSlice, …
    }


def is_applied(document: KubeObject, existing: KubeObject | None) -> bool:
    """Return whether `kubectl apply` of `document` would leave `existing` as it is; False where it does not exist.

    As kubectl: every field of the manifest must have its value, and a field of the manifest that was applied last,
    but not of this one, must be absent.
    """
    if existing is None or existing["metadata"].get("deletionTimestamp"):
        return False
    wanted, current = with_defaults(document), with_defaults(existing)
    parts = ("labels", "annotations", "spec", "content")
    if not all(_is_contained(wanted[part], current[part]) for part in parts):
        return False
    applied_text = (existing["metadata"].get("annotations") or {}).get(LAST_APPLIED)
    if not applied_text:
        return True
    applied = with_defaults(json.loads(applied_text))
    return all(_is_subset(wanted[part], applied[part]) for part in parts)


def _is_contained(wanted: object, current: object) -> bool:
    if isinstance(wanted, dict):
        return isinstance(current, dict) and all(
            key in current and _is_contained(value, current[key]) for key, value in wanted.items()
        )
    if isinstance(wanted, list):
        if not isinstance(current, list) or len(wanted) != len(current):
            return False
        return all(_is_contained(a, b) for a, b in zip(wanted, current, strict=True))
    return bool(wanted == current)


def _is_subset(wanted: object, applied: object) -> bool:
    if isinstance(applied, dict) and isinstance(wanted, dict):
        return all(key in wanted and _is_subset(wanted[key], value) for key, value in applied.items())
    return True


def has_labels(nodes: Iterable[KubeObject], name: str, labels: Iterable[str]) -> bool:
    """Return whether `kubectl label node NAME LABELS` would change nothing.

    `labels` are `key=value`, or `key-` to remove one. UnknownNameError for a node that does not exist.
    """
    objects = {obj["metadata"]["name"]: obj for obj in nodes}
    if name not in objects:
        raise UnknownNameError("node", name, objects)
    current = objects[name]["metadata"].get("labels", {})
    wanted = [label.partition("=") for label in labels]
    return all(
        (key[:-1] not in current) if not equals and key.endswith("-") else current.get(key) == value
        for key, equals, value in wanted
    )
