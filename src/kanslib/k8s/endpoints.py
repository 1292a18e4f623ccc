"""What the models read of EndpointSlices and label selectors. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kanslib.exceptions import ManifestError
from kanslib.k8s.objects import KubeObject

SERVICE_NAME = "kubernetes.io/service-name"


@dataclass(frozen=True)
class Endpoint:
    """One endpoint of a Service port: where it is, and what its conditions say of it."""

    address: str
    port: int
    node: str
    ready: bool
    serving: bool
    terminating: bool
    zones: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


def slices_of(slices: Iterable[KubeObject], namespace: str, service: str) -> list[KubeObject]:
    """The EndpointSlices that belong to a Service."""
    return [
        piece
        for piece in slices
        if piece["metadata"].get("labels", {}).get(SERVICE_NAME) == service
        and piece["metadata"].get("namespace", "default") == namespace
    ]


def by_service(slices: Iterable[KubeObject]) -> dict[tuple[str, str], list[KubeObject]]:
    """The EndpointSlices by the namespace and the name of the Service they belong to."""
    found: dict[tuple[str, str], list[KubeObject]] = {}
    for piece in slices:
        owner = piece["metadata"].get("labels", {}).get(SERVICE_NAME)
        if owner:
            found.setdefault((piece["metadata"].get("namespace", "default"), owner), []).append(piece)
    return found


def conditions(entry: Mapping[str, Any]) -> tuple[bool, bool, bool]:
    """Ready, serving, terminating, as kube-proxy reads an endpoint: unless denied it is ready and serving."""
    given = entry.get("conditions") or {}
    ready, serving, terminating = (given.get(name) for name in ("ready", "serving", "terminating"))
    return ready is not False, serving is not False, terminating is True


def can_serve(entry: Mapping[str, Any]) -> bool:
    """True when MetalLB counts an endpoint as able to serve, a terminating one too.

    MetalLB v0.14.8 internal/k8s/epslices/endpoint_slices.go EndpointCanServe.

    >>> can_serve({"conditions": {"ready": False, "serving": True, "terminating": True}})
    True
    """
    given = entry.get("conditions") or {}
    return given.get("ready") in (None, True) or given.get("serving") is True


def endpoints_in(slices: Iterable[KubeObject]) -> Iterator[KubeObject]:
    """Every endpoint of some slices, as the API writes it."""
    for piece in slices:
        yield from piece.get("endpoints") or []


def selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """True when a LabelSelector (matchLabels, matchExpressions) selects an object with these labels.

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
    raise ManifestError(f"operator {one['operator']!r}: expected In, NotIn, Exists or DoesNotExist")
