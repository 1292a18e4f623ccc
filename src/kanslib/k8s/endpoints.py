"""EndpointSlices and label selectors, as kube-proxy and MetalLB read them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kanslib.exceptions import ManifestError
from kanslib.i18n import tr
from kanslib.k8s.objects import KubeObject

SERVICE_NAME = "kubernetes.io/service-name"
TOPOLOGY_MODE = "service.kubernetes.io/topology-mode"


@dataclass(frozen=True)
class Endpoint:
    """One endpoint of a Service port: its address, its node, its conditions, and the zones and nodes of its hints."""

    address: str
    port: int
    node: str
    ready: bool
    serving: bool
    terminating: bool
    zones: frozenset[str] = frozenset()
    nodes: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


def slices_of(slices: Iterable[KubeObject], namespace: str, service: str) -> list[KubeObject]:
    """Return the EndpointSlices that belong to a Service."""
    return [
        piece
        for piece in slices
        if piece["metadata"].get("labels", {}).get(SERVICE_NAME) == service
        and piece["metadata"].get("namespace", "default") == namespace
    ]


def by_service(slices: Iterable[KubeObject]) -> dict[tuple[str, str], list[KubeObject]]:
    """Return the EndpointSlices by namespace and name of the Service that they belong to."""
    found: dict[tuple[str, str], list[KubeObject]] = {}
    for piece in slices:
        owner = piece["metadata"].get("labels", {}).get(SERVICE_NAME)
        if owner:
            found.setdefault((piece["metadata"].get("namespace", "default"), owner), []).append(piece)
    return found


def conditions(entry: Mapping[str, Any]) -> tuple[bool, bool, bool]:
    """Return ready, serving and terminating as kube-proxy reads them: without a value an endpoint is ready and serving.

    Kubernetes v1.31 pkg/proxy/endpointslicecache.go newEndpointSliceInfo.
    """
    values = entry.get("conditions") or {}
    ready, serving, terminating = (values.get(name) for name in ("ready", "serving", "terminating"))
    return ready is not False, serving is not False, terminating is True


def can_serve(entry: Mapping[str, Any]) -> bool:
    """Return whether MetalLB counts an endpoint as able to serve, a terminating one too.

    MetalLB v0.14.8 internal/k8s/epslices/endpoint_slices.go EndpointCanServe.

    >>> can_serve({"conditions": {"ready": False, "serving": True, "terminating": True}})
    True
    """
    values = entry.get("conditions") or {}
    return values.get("ready") in (None, True) or values.get("serving") is True


def endpoints_in(slices: Iterable[KubeObject]) -> Iterator[KubeObject]:
    """Yield every endpoint of some slices, as the API returns it."""
    for piece in slices:
        yield from piece.get("endpoints") or []


def has_topology_hints(service: KubeObject) -> bool:
    """Return whether a Service asks for topology aware hints by annotation; trafficDistribution then does nothing.

    Kubernetes v1.31 k8s.io/endpointslice/utils.go hintsEnabled.

    >>> has_topology_hints({"metadata": {"annotations": {"service.kubernetes.io/topology-mode": "Auto"}}})
    True
    """
    annotations = service["metadata"].get("annotations") or {}
    mode = annotations.get("service.kubernetes.io/topology-aware-hints", annotations.get(TOPOLOGY_MODE))
    return mode in ("Auto", "auto")


def selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Return whether a LabelSelector (matchLabels, matchExpressions) selects an object with these labels.

    ManifestError for an unknown operator.

    >>> selects({"matchExpressions": [{"key": "zone", "operator": "NotIn", "values": ["a"]}]}, {"zone": "b"})
    True
    """
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    return all(_expression(one, labels) for one in selector.get("matchExpressions") or [])


def _expression(one: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    value, values = labels.get(one["key"]), one.get("values") or []
    match one["operator"]:
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return one["key"] in labels
        case "DoesNotExist":
            return one["key"] not in labels
    raise ManifestError(
        tr("operator {operator!r}: expected In, NotIn, Exists or DoesNotExist", operator=one["operator"])
    )
