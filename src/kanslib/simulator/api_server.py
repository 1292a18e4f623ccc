"""The API server's part: what it fills into an object that somebody applies, and where it throws dice. Pure."""

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
    """Everything that a cluster draws by lot, from a seed: the same seed gives the same cluster."""

    def __init__(self, seed: int = 0) -> None:
        self.dice = random.Random(seed)
        self._revision = 1_000_000

    def uid(self) -> str:
        return str(uuid.UUID(int=self.dice.getrandbits(128), version=4))

    def revision(self) -> str:
        self._revision += 1
        return str(self._revision)

    def suffix(self) -> str:
        return "".join(self.dice.choices(_LETTERS, k=5))

    def cluster_ip(self, name: str, network: IPv4Network, taken: Collection[str]) -> str:
        """A free ClusterIP; the lower part of a range is kept for those who ask for one."""
        del name
        upper = range(min(max(16, network.num_addresses // 16), 256), network.num_addresses - 1)
        free = [str(network[number]) for number in upper if str(network[number]) not in taken]
        return self.dice.choice(free)

    def node_port(self, name: str, taken: Collection[int]) -> int:
        """A free port of the NodePort range."""
        del name
        return self.dice.choice([port for port in range(_NODE_PORTS[0], _NODE_PORTS[1] + 1) if port not in taken])

    def pod_ip(self, name: str, network: IPv4Network, taken: Collection[str], last: str) -> str:
        """The next address of a node's Pod range, after the last one given (host-local IPAM)."""
        del name
        start = int(IPv4Address(last)) + 1 if last else int(network[2])
        order = [*range(start, int(network[-1])), *range(int(network[2]), start)]
        return next(str(IPv4Address(number)) for number in order if str(IPv4Address(number)) not in taken)


def timestamp(moment: float) -> str:
    """A moment as the API writes it.

    >>> timestamp(1795417742.6)
    '2026-11-23T07:09:02Z'
    """
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))


def apply_object(document: KubeObject, existing: KubeObject | None) -> KubeObject:
    """What `kubectl apply` makes of an object: what the manifest says, without what only an earlier one said."""
    said = json.dumps(document, separators=(",", ":")) + "\n"
    before = copy.deepcopy(existing) if existing else {"metadata": {}}
    earlier: Any = json.loads((before["metadata"].get("annotations") or {}).get(LAST_APPLIED, "{}"))
    merged: KubeObject = _merge(before, document, earlier)
    merged["metadata"].setdefault("namespace", document["metadata"].get("namespace", "default"))
    merged["metadata"].setdefault("annotations", {})[LAST_APPLIED] = said
    return merged


def _merge(there: Any, wanted: Any, earlier: Any) -> Any:
    if not isinstance(wanted, Mapping) or not isinstance(there, Mapping):
        return copy.deepcopy(wanted)
    gone = set(earlier) - set(wanted) if isinstance(earlier, Mapping) else set()
    kept = {key: value for key, value in there.items() if key not in gone}
    for key, value in wanted.items():
        before = earlier.get(key) if isinstance(earlier, Mapping) else None
        kept[key] = _merge(kept.get(key), value, before)
    return kept


def with_service_defaults(
    service: KubeObject,
    before: KubeObject | None,
    numbers: IdGenerator,
    network: IPv4Network,
    others: Collection[KubeObject],
) -> KubeObject:
    """A Service with the defaults and the numbers that the API server gives it; those it had it keeps."""
    spec, name = service["spec"], service["metadata"]["name"]
    had = before["spec"] if before else {}
    kind = spec.setdefault("type", "ClusterIP")
    spec.setdefault("sessionAffinity", "None")
    if kind != "ExternalName":
        spec.setdefault("internalTrafficPolicy", "Cluster")
        spec.setdefault("ipFamilies", ["IPv4"])
        spec.setdefault("ipFamilyPolicy", "SingleStack")
        taken = {one["spec"].get("clusterIP") for one in others}
        spec.setdefault("clusterIP", had.get("clusterIP") or numbers.cluster_ip(name, network, taken))
        spec.setdefault("clusterIPs", [spec["clusterIP"]])
    if spec["sessionAffinity"] == "ClientIP":
        spec.setdefault("sessionAffinityConfig", {"clientIP": {"timeoutSeconds": 10800}})
    else:
        spec.pop("sessionAffinityConfig", None)
    _with_port_defaults(service, had, numbers, others)
    service.setdefault("status", {"loadBalancer": {}})
    return service


def _with_port_defaults(
    service: KubeObject, had: Mapping[str, Any], numbers: IdGenerator, others: Collection[KubeObject]
) -> None:
    spec, name = service["spec"], service["metadata"]["name"]
    outside = spec["type"] in ("NodePort", "LoadBalancer")
    wants = outside and (spec["type"] == "NodePort" or spec.get("allocateLoadBalancerNodePorts", True))
    if spec["type"] == "LoadBalancer":
        spec.setdefault("allocateLoadBalancerNodePorts", True)
    taken = {port.get("nodePort", 0) for one in others for port in one["spec"].get("ports") or []}
    taken |= {one["spec"].get("healthCheckNodePort", 0) for one in others}
    known = {(port["port"], port.get("protocol", "TCP")): port.get("nodePort") for port in had.get("ports") or []}
    for port in spec.get("ports") or []:
        port.setdefault("protocol", "TCP")
        port.setdefault("targetPort", port["port"])
        if wants and not port.get("nodePort"):
            port["nodePort"] = known.get((port["port"], port["protocol"])) or numbers.node_port(name, taken)
            taken.add(port["nodePort"])
        elif not outside:
            port.pop("nodePort", None)
    if outside:
        spec.setdefault("externalTrafficPolicy", "Cluster")
    if spec["type"] == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local":
        kept = had.get("healthCheckNodePort")
        spec.setdefault("healthCheckNodePort", kept or numbers.node_port(f"{name} health check", taken))
    else:
        spec.pop("healthCheckNodePort", None)
