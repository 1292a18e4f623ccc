"""Which fields of an applied object the simulator does not read, though they would change what a cluster does. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kanslib.k8s.manifest import reference
from kanslib.k8s.objects import KubeObject

_POD = (
    "initContainers", "overhead", "preemptionPolicy", "priority", "priorityClassName", "readinessGates",
    "resourceClaims", "schedulingGates", "topologySpreadConstraints",
)  # fmt: skip
_CONTAINER = ("lifecycle", "livenessProbe", "readinessProbe", "resources", "startupProbe")
_SPEC = {
    "Deployment": ("minReadySeconds", "paused", "strategy"),
    "DaemonSet": ("minReadySeconds", "updateStrategy"),
    "ReplicaSet": ("minReadySeconds",),
}


def unread_fields(obj: KubeObject) -> list[str]:
    """Return the fields of an object that are not read, with its reference.

    >>> unread_fields({"kind": "Pod", "metadata": {"name": "web"}, "spec": {"priority": 10}})
    ['pod/web spec.priority']
    """
    return [f"{reference(obj)} {path}" for path in _paths(obj["kind"], obj.get("spec") or {})]


def _paths(kind: str, spec: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"spec.{field}" for field in _SPEC.get(kind, ()) if spec.get(field))
    if kind == "Pod":
        yield from _pod_paths(spec, "spec")
    elif kind in _SPEC:
        yield from _pod_paths((spec.get("template") or {}).get("spec") or {}, "spec.template.spec")


def _pod_paths(spec: Mapping[str, Any], path: str) -> Iterator[str]:
    yield from (f"{path}.{field}" for field in _POD if spec.get(field))
    for place, container in enumerate(spec.get("containers") or []):
        yield from (f"{path}.containers[{place}].{field}" for field in _CONTAINER if container.get(field))
