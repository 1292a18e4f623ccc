"""Kubernetes objects as small as a model needs them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import settings

from kanslib.metallb import allocation

MANY = settings(max_examples=200, deadline=None)


def node(name: str, labels: dict[str, str] | None = None, unavailable: bool = False) -> dict[str, Any]:
    conditions = [{"type": "NetworkUnavailable", "status": "True"}] if unavailable else []
    addresses = [{"type": "InternalIP", "address": "172.18.0.2"}]
    return {
        "metadata": {"name": name, "labels": labels or {}},
        "status": {"conditions": conditions, "addresses": addresses},
    }


def piece(*homes: tuple[str, dict[str, bool]]) -> dict[str, Any]:
    entries = [
        {"addresses": [f"10.1.0.{n}"], "nodeName": home, "conditions": said} for n, (home, said) in enumerate(homes)
    ]
    labels = {"kubernetes.io/service-name": "web"}
    return {"metadata": {"name": "web-1", "namespace": "default", "labels": labels}, "endpoints": entries}


READY = {"ready": True}


SERVICE = {"metadata": {"name": "web", "namespace": "default", "uid": "1"}, "spec": {"type": "LoadBalancer"}}


def service(
    name: str,
    port: int = 80,
    key: str = "",
    space: str = "default",
    notes: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | None = None,
    **spec: object,
) -> dict[str, Any]:
    annotations = {allocation.PREFIX + "allow-shared-ip": key} if key else {}
    annotations |= {allocation.PREFIX + name: value for name, value in (notes or {}).items()}
    ports = [{"port": port, "protocol": "TCP"}]
    return {
        "metadata": {"name": name, "namespace": space, "annotations": annotations, "labels": dict(labels or {})},
        "spec": {"type": "LoadBalancer", "clusterIPs": ["10.0.0.1"], "ports": ports, **spec},
        "status": {},
    }
