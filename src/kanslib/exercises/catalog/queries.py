"""What several exercises ask of a lab. None of it sends traffic, so no clock moves."""

from __future__ import annotations

from typing import Any

from kanslib.exceptions import NotRecordedError
from kanslib.k8s.endpoints import slices_of
from kanslib.k8s.objects import KubeObject, endpoints_of, external_address, external_addresses
from kanslib.metallb.config import L2Advertisement, pool_of, pools
from kanslib.metallb.election import EXCLUDE


def nodes(lab: Any) -> set[str]:
    """Every node."""
    return {node["metadata"]["name"] for node in lab.objects("nodes")}


def excluded(lab: Any) -> set[str]:
    """The nodes that carry the label by which load balancers stay away."""
    return {n["metadata"]["name"] for n in lab.objects("nodes") if EXCLUDE in n["metadata"].get("labels", {})}


def with_endpoints(lab: Any, service: str = "svc1") -> set[str]:
    """The nodes that run a ready Pod of a Service."""
    ready = [
        one
        for one in endpoints_of(slices(lab, service), service)
        if one.get("conditions", {}).get("ready") is not False
    ]
    return {one["nodeName"] for one in ready if one.get("nodeName")}


def slices(lab: Any, service: str = "svc1") -> list[KubeObject]:
    """The EndpointSlices of a Service."""
    return slices_of(lab.objects("endpointslices"), "default", service)


def balancers(lab: Any) -> list[KubeObject]:
    """The Services of type LoadBalancer."""
    return [one for one in lab.objects("services", "default") if one["spec"].get("type") == "LoadBalancer"]


def balancer(lab: Any, hint: str) -> KubeObject:
    """A Service of type LoadBalancer, svc1 if it is one; NotRecordedError where there is none."""
    found = {one["metadata"]["name"]: one for one in balancers(lab)}
    if not found:
        raise NotRecordedError("a Service of type LoadBalancer at this moment", hint=hint)
    return found.get("svc1") or next(iter(found.values()))


def with_an_address(lab: Any) -> list[KubeObject]:
    """The Services that have an external address; NotRecordedError where there is none."""
    found = [one for one in balancers(lab) if external_address(one)]
    if not found:
        raise NotRecordedError("a Service with an external address at this moment", hint="apply the Services first")
    return found


def advertisements(lab: Any, service: KubeObject) -> tuple[L2Advertisement, ...]:
    """The L2Advertisements that cover a Service's address."""
    pool = pool_of(pools(lab.objects), external_addresses(service))
    return pool.layer2 if pool else ()


def node_port(service: KubeObject) -> int:
    """The NodePort of a Service's first port; NotRecordedError where it has none."""
    port = service["spec"]["ports"][0].get("nodePort")
    if not port:
        raise NotRecordedError(f"a NodePort of {service['metadata']['name']}", hint="apply the Services first")
    return int(port)
