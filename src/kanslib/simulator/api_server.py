"""The API server: the defaults and the generated values of an object that is applied. Pure."""

from __future__ import annotations

import copy
import json
import random
import time
import uuid
from collections.abc import Collection, Mapping
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from kanslib.k8s.apply import LAST_APPLIED
from kanslib.k8s.objects import KubeObject

_LETTERS = "bcdfghjklmnpqrstvwxz2456789"  # of generated names (k8s.io/apimachinery rand.String)
_NODE_PORTS = (30000, 32767)


class IdGenerator:
    """Generates every random value of a cluster from a seed: the same seed gives the same cluster.

    A subclass may look the values up by the object's `name`, as a test beside a live cluster does.
    """

    def __init__(self, seed: int = 0) -> None:
        self.rng = random.Random(seed)
        self._revision = 1_000_000

    def uid(self) -> str:
        """Return a random UUID (version 4)."""
        return str(uuid.UUID(int=self.rng.getrandbits(128), version=4))

    def resource_version(self) -> str:
        """Return the next resourceVersion."""
        self._revision += 1
        return str(self._revision)

    def name_suffix(self) -> str:
        """Return five random characters, as in the names of Pods."""
        return "".join(self.rng.choices(_LETTERS, k=5))

    def cluster_ip(self, name: str, network: IPv4Network, taken: Collection[str]) -> str:
        """Return a random free ClusterIP for a Service.

        The lower part of the range is reserved for ClusterIPs that a manifest names (KEP-3070).
        """
        del name
        upper = range(min(max(16, network.num_addresses // 16), 256), network.num_addresses - 1)
        free = [str(network[number]) for number in upper if str(network[number]) not in taken]
        return self.rng.choice(free)

    def node_port(self, name: str, taken: Collection[int]) -> int:
        """Return a random free port of the NodePort range for a Service."""
        del name
        return self.rng.choice([port for port in range(_NODE_PORTS[0], _NODE_PORTS[1] + 1) if port not in taken])

    def pod_ip(self, name: str, network: IPv4Network, taken: Collection[str], last: str) -> str:
        """Return the next free address of a node's Pod range after `last`, the newest one (host-local IPAM)."""
        del name
        start = int(IPv4Address(last)) + 1 if last else int(network[2])
        order = [*range(start, int(network[-1])), *range(int(network[2]), start)]
        return next(str(IPv4Address(number)) for number in order if str(IPv4Address(number)) not in taken)


def timestamp(moment: float) -> str:
    """Return a moment (Unix seconds) as the API writes it.

    >>> timestamp(1795417742.6)
    '2026-11-23T07:09:02Z'
    """
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))


def apply_object(document: KubeObject, existing: KubeObject | None) -> KubeObject:
    """Return the object after `kubectl apply`: a three-way merge of document, existing object and last-applied."""
    before = existing or {"metadata": {}}
    last_applied: KubeObject = json.loads((before["metadata"].get("annotations") or {}).get(LAST_APPLIED, "{}"))
    merged = _merge(copy.deepcopy(before), document, last_applied)
    merged["metadata"].setdefault("namespace", document["metadata"].get("namespace", "default"))
    merged["metadata"].setdefault("annotations", {})[LAST_APPLIED] = json.dumps(document, separators=(",", ":")) + "\n"
    return merged


def _merge(existing: KubeObject, wanted: KubeObject, last_applied: KubeObject) -> KubeObject:
    merged = {key: value for key, value in existing.items() if key in wanted or key not in last_applied}
    for key, value in wanted.items():
        before, applied = merged.get(key), last_applied.get(key)
        if isinstance(value, dict) and isinstance(before, dict):
            merged[key] = _merge(before, value, applied if isinstance(applied, dict) else {})
        else:
            merged[key] = copy.deepcopy(value)
    return merged


def with_service_defaults(
    service: KubeObject,
    existing: KubeObject | None,
    ids: IdGenerator,
    network: IPv4Network,
    others: Collection[KubeObject],
) -> KubeObject:
    """Return a Service with the API server's defaults (Kubernetes v1.31); changes `service` itself.

    ClusterIP, node ports and health check port are those of `existing`, else free ones from `ids`. `network`: the
    range of ClusterIPs. `others`: all other Services, whose addresses and ports are taken.
    """
    spec, name = service["spec"], service["metadata"]["name"]
    existing_spec = existing["spec"] if existing else {}
    kind = spec.setdefault("type", "ClusterIP")
    spec.setdefault("sessionAffinity", "None")
    if kind != "ExternalName":
        spec.setdefault("internalTrafficPolicy", "Cluster")
        spec.setdefault("ipFamilies", ["IPv4"])
        spec.setdefault("ipFamilyPolicy", "SingleStack")
        taken = {other["spec"].get("clusterIP") for other in others}
        spec.setdefault("clusterIP", existing_spec.get("clusterIP") or ids.cluster_ip(name, network, taken))
        spec.setdefault("clusterIPs", [spec["clusterIP"]])
    if spec["sessionAffinity"] == "ClientIP":
        spec.setdefault("sessionAffinityConfig", {"clientIP": {"timeoutSeconds": 10800}})
    else:
        spec.pop("sessionAffinityConfig", None)
    _set_port_defaults(service, existing_spec, ids, others)
    service.setdefault("status", {"loadBalancer": {}})
    return service


def _set_port_defaults(
    service: KubeObject, existing_spec: Mapping[str, Any], ids: IdGenerator, others: Collection[KubeObject]
) -> None:
    spec, name = service["spec"], service["metadata"]["name"]
    external = spec["type"] in ("NodePort", "LoadBalancer")
    node_ports = external and (spec["type"] == "NodePort" or spec.get("allocateLoadBalancerNodePorts", True))
    if spec["type"] == "LoadBalancer":
        spec.setdefault("allocateLoadBalancerNodePorts", True)
    taken = {port.get("nodePort", 0) for other in others for port in other["spec"].get("ports") or []}
    taken |= {other["spec"].get("healthCheckNodePort", 0) for other in others}
    ports = existing_spec.get("ports") or []
    existing_ports = {(port["port"], port.get("protocol", "TCP")): port.get("nodePort") for port in ports}
    for port in spec.get("ports") or []:
        port.setdefault("protocol", "TCP")
        port.setdefault("targetPort", port["port"])
        if node_ports and not port.get("nodePort"):
            port["nodePort"] = existing_ports.get((port["port"], port["protocol"])) or ids.node_port(name, taken)
            taken.add(port["nodePort"])
        elif not external:
            port.pop("nodePort", None)
    if external:
        spec.setdefault("externalTrafficPolicy", "Cluster")
    if spec["type"] == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local":
        port = existing_spec.get("healthCheckNodePort") or ids.node_port(f"{name} health check", taken)
        spec.setdefault("healthCheckNodePort", port)
    else:
        spec.pop("healthCheckNodePort", None)
