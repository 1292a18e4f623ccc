"""Build the initial state of a simulation from a manifest: a fresh cluster as kind creates it. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network
from typing import Any
from zlib import crc32

from kanslib.k8s.manifest import check_object, load_yaml
from kanslib.k8s.objects import KubeObject
from kanslib.metallb.election import EXCLUDE
from kanslib.simulator import kind_configuration
from kanslib.simulator.api_server import IdGenerator, timestamp
from kanslib.simulator.kind_configuration import KindNode
from kanslib.simulator.kube_system import kube_system
from kanslib.simulator.simulator import InitialState
from kanslib.simulator.unread import unread_fields

_NETWORK = "172.18.0.0/16"  # Docker's first one after its own
_ROLE = "node-role.kubernetes.io/control-plane"
_NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system", "local-path-storage")
_NODE_INFO = {"kubeletVersion": "v1.31.0", "osImage": "", "kernelVersion": "", "containerRuntimeVersion": ""}


def from_manifest(
    text: str, default_cluster: str, client: str, router: str, moment: float
) -> tuple[InitialState, list[KubeObject], tuple[str, ...]]:
    """Return a fresh cluster at a moment (Unix seconds), the objects that a manifest wants in it, and what is not read.

    `text`: YAML of a kind configuration (`default_cluster` without one) and of objects. `client`, `router`: their
    addresses. The last value lists the fields of the manifest that change nothing here. Raise ManifestError,
    RefusedError for a configuration that kind refuses, NotSimulatedError.
    """
    parsed = load_yaml(text)
    configurations = _configurations(parsed)
    documents = [check_object(one) for one in parsed if one not in configurations]
    cluster = kind_configuration.read((configurations or _configurations(load_yaml(default_cluster)))[0])
    nodes = [
        _node(node, f"172.18.0.{index + 2}", cidr, len(cluster.nodes) == 1, moment)
        for index, (node, cidr) in enumerate(zip(cluster.nodes, cluster.pod_cidrs(), strict=False))
    ]
    control_plane = next(node.name for node in cluster.nodes if node.is_control_plane)
    addresses = {node["metadata"]["name"]: node["status"]["addresses"][0]["address"] for node in nodes}
    addresses |= {"mypc": client, "router": router}
    objects = {
        "nodes": nodes,
        "namespaces": [_meta({"kind": "Namespace"}, {"name": name}, moment) for name in _NAMESPACES],
        **_kubernetes(cluster.service_subnet, addresses[control_plane], moment),
    }
    system = kube_system(nodes, cluster.service_subnet, moment, lambda obj, meta: _meta(obj, meta, moment))
    objects = {kind: [*objects.get(kind, []), *system.get(kind, [])] for kind in (*objects, *system)}
    macs = {name: "02:42:" + ":".join(f"{int(part):02x}" for part in ip.split(".")) for name, ip in addresses.items()}
    state = InitialState(
        moment, objects, _NETWORK, addresses, macs, str(cluster.pod_subnet), control_plane,
        service_cidr=str(cluster.service_subnet), router_address=router,
    )  # fmt: skip
    unread = [field for document in documents for field in unread_fields(document)]
    return state, documents, (*(cluster.unread if configurations else ()), *unread)


def _configurations(documents: Iterable[object]) -> list[KubeObject]:
    """Return kind's configurations among the documents of a YAML text."""
    return [one for one in documents if isinstance(one, dict) and one.get("kind") == "Cluster"]


def _node(node: KindNode, address: str, pod_cidr: str, is_single: bool, moment: float) -> KubeObject:
    labels = {"kubernetes.io/hostname": node.name, "kubernetes.io/os": "linux", **node.labels}
    if node.is_control_plane:
        labels |= {_ROLE: ""} | ({} if is_single else {EXCLUDE: ""})  # kind takes it off a single node
    spec = {"podCIDR": pod_cidr, **({"taints": list(node.taints)} if node.taints else {})}
    status = {
        "addresses": [{"type": "InternalIP", "address": address}],
        "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": timestamp(moment)}],
        "nodeInfo": _NODE_INFO,
    }
    return _meta({"kind": "Node", "spec": spec, "status": status}, {"name": node.name, "labels": labels}, moment)


def _kubernetes(services: IPv4Network, api: str, moment: float) -> dict[str, list[KubeObject]]:
    """Return the Service `kubernetes` and its endpoint, which exist before anything is applied."""
    first = str(services[1])
    port = {"name": "https", "port": 443, "protocol": "TCP", "targetPort": 6443}
    spec = {"type": "ClusterIP", "clusterIP": first, "clusterIPs": [first], "ports": [port], "sessionAffinity": "None"}
    name = {"name": "kubernetes", "namespace": "default"}
    service = _meta({"kind": "Service", "spec": spec, "status": {"loadBalancer": {}}}, name, moment)
    entry = {"addresses": [api], "conditions": {"ready": True}}
    labels = {"kubernetes.io/service-name": "kubernetes"}
    ports = [{"name": "https", "port": 6443, "protocol": "TCP"}]
    piece = {"kind": "EndpointSlice", "addressType": "IPv4", "endpoints": [entry], "ports": ports}
    return {"services": [service], "endpointslices": [_meta(piece, {**name, "labels": labels}, moment)]}


def _meta(obj: KubeObject, meta: dict[str, Any], moment: float) -> KubeObject:
    numbers = IdGenerator(crc32(f"{obj['kind']}/{meta['name']}".encode()))
    given = {"uid": numbers.uid(), "resourceVersion": "1", "creationTimestamp": timestamp(moment)}
    return {"apiVersion": "v1", **obj, "metadata": {**given, **meta}}
