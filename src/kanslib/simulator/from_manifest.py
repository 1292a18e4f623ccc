"""Build the initial state of a simulation from a manifest: a fresh cluster as kind creates it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Network
from itertools import islice
from typing import Any
from zlib import crc32

from kanslib.k8s.manifest import check_object, load_yaml
from kanslib.k8s.objects import KubeObject
from kanslib.metallb.election import EXCLUDE
from kanslib.simulator import kind_configuration
from kanslib.simulator.address_family import AddressFamily, Network, family_name
from kanslib.simulator.api_server import IdGenerator, timestamp
from kanslib.simulator.kind_configuration import KindNode
from kanslib.simulator.kube_system import kube_system
from kanslib.simulator.simulator import InitialState
from kanslib.simulator.unread import unread_fields

_NETWORK = IPv4Network("172.18.0.0/16")  # Docker's first one after its own
_NETWORK_6 = IPv6Network("fc00:f853:ccd:e793::/64")  # kind's, made of the name `kind` of its network
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
    on_docker = _docker_addresses([node.name for node in cluster.nodes], client, router)
    families = [
        _family(on_docker, *subnets) for subnets in zip(cluster.pod_subnets, cluster.service_subnets, strict=True)
    ]
    first, second = families[0], families[1] if len(families) > 1 else None
    nodes = [
        _node(node, [one.addresses[node.name] for one in families], cidrs, len(cluster.nodes) == 1, moment)
        for node, cidrs in zip(cluster.nodes, cluster.pod_cidrs(), strict=False)
    ]
    control_plane = next(node.name for node in cluster.nodes if node.is_control_plane)
    objects = {
        "nodes": nodes,
        "namespaces": [_meta({"kind": "Namespace"}, {"name": name}, moment) for name in _NAMESPACES],
        **_kubernetes(cluster.service_subnets[0], first.addresses[control_plane], moment),
    }
    system = kube_system(nodes, cluster.service_subnets[0], moment, lambda obj, meta: _meta(obj, meta, moment))
    objects = {kind: [*objects.get(kind, []), *system.get(kind, [])] for kind in (*objects, *system)}
    macs = {name: (b"\x02\x42" + ip.packed).hex(":") for name, ip in on_docker.items()}
    state = InitialState(
        moment, objects, first.network, first.addresses, macs, first.cluster_cidr, control_plane,
        service_cidr=first.service_cidr, second=second, router_address=first.addresses["router"],
        kube_proxy=cluster.kube_proxy,
    )  # fmt: skip
    unread = [field for document in documents for field in unread_fields(document)]
    return state, documents, (*(cluster.unread if configurations else ()), *unread)


def _configurations(documents: Iterable[object]) -> list[KubeObject]:
    """Return kind's configurations among the documents of a YAML text."""
    return [one for one in documents if isinstance(one, dict) and one.get("kind") == "Cluster"]


def _docker_addresses(nodes: Iterable[str], client: str, router: str) -> dict[str, IPv4Address]:
    """Return the IPv4 addresses that Docker gives: to nodes those that are free, one after the other."""
    given = {"mypc": IPv4Address(client), "router": IPv4Address(router)}
    free = (ip for ip in islice(_NETWORK.hosts(), 1, None) if ip not in given.values())
    return {**dict(zip(nodes, free, strict=False)), **given}


def _family(on_docker: Mapping[str, IPv4Address], pods: Network, services: Network) -> AddressFamily:
    """Return the addresses in one family; in IPv6 Docker counts as in IPv4."""
    network = _NETWORK if pods.version == 4 else _NETWORK_6
    places = {name: str(network[int(ip) - int(_NETWORK[0])]) for name, ip in on_docker.items()}
    return AddressFamily(str(network), places, str(pods), str(services))


def _node(
    node: KindNode, addresses: Iterable[str], pod_cidrs: Sequence[str], is_single: bool, moment: float
) -> KubeObject:
    labels = {"kubernetes.io/hostname": node.name, "kubernetes.io/os": "linux", **node.labels}
    if node.is_control_plane:
        labels |= {_ROLE: ""} | ({} if is_single else {EXCLUDE: ""})  # kind takes it off a single node
    spec = {
        "podCIDR": pod_cidrs[0],
        "podCIDRs": list(pod_cidrs),
        **({"taints": list(node.taints)} if node.taints else {}),
    }
    status = {
        "addresses": [{"type": "InternalIP", "address": address} for address in addresses],
        "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": timestamp(moment)}],
        "nodeInfo": _NODE_INFO,
    }
    return _meta({"kind": "Node", "spec": spec, "status": status}, {"name": node.name, "labels": labels}, moment)


def _kubernetes(services: Network, api: str, moment: float) -> dict[str, list[KubeObject]]:
    """Return the Service `kubernetes` and its endpoint, which exist before anything is applied."""
    first = str(services[1])
    port = {"name": "https", "port": 443, "protocol": "TCP", "targetPort": 6443}
    spec = {"type": "ClusterIP", "clusterIP": first, "clusterIPs": [first], "ports": [port], "sessionAffinity": "None"}
    spec |= {"ipFamilies": [family_name(first)], "ipFamilyPolicy": "SingleStack"}
    name = {"name": "kubernetes", "namespace": "default"}
    service = _meta({"kind": "Service", "spec": spec, "status": {"loadBalancer": {}}}, name, moment)
    entry = {"addresses": [api], "conditions": {"ready": True}}
    labels = {"kubernetes.io/service-name": "kubernetes"}
    ports = [{"name": "https", "port": 6443, "protocol": "TCP"}]
    piece = {"kind": "EndpointSlice", "addressType": family_name(api), "endpoints": [entry], "ports": ports}
    return {"services": [service], "endpointslices": [_meta(piece, {**name, "labels": labels}, moment)]}


def _meta(obj: KubeObject, meta: dict[str, Any], moment: float) -> KubeObject:
    numbers = IdGenerator(crc32(f"{obj['kind']}/{meta['name']}".encode()))
    given = {"uid": numbers.uid(), "resourceVersion": "1", "creationTimestamp": timestamp(moment)}
    return {"apiVersion": "v1", **obj, "metadata": {**given, **meta}}
