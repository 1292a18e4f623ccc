"""Read a kind configuration (v1alpha4): what it says of nodes and networks, what kind refuses, what is not simulated.

kind v0.24.0 pkg/internal/apis/config. kubeadm's patches are read for the labels and taints of nodes. Pure.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Any

from kanslib.exceptions import NotSimulatedError, RefusedError
from kanslib.k8s.manifest import load_yaml
from kanslib.k8s.objects import KubeObject

POD_SUBNET, SERVICE_SUBNET = "10.10.0.0/16", "10.200.1.0/24"  # the lesson's
_NAME = "myk8s"  # the lesson's
_NODE_MASK = 24  # of a node's range of Pods (kube-controller-manager --node-cidr-mask-size)
_CONTROL_PLANE = "control-plane"
_ROLE = "node-role.kubernetes.io/control-plane"
_READ = {
    "Cluster": ("kind", "apiVersion", "name", "nodes", "networking", "kubeadmConfigPatches"),
    "Networking": ("ipFamily", "podSubnet", "serviceSubnet", "kubeProxyMode"),
    "Node": ("role", "labels", "kubeadmConfigPatches"),
}
_UNREAD = {
    "Cluster": (
        "featureGates", "runtimeConfig", "kubeadmConfigPatchesJSON6902", "containerdConfigPatches",
        "containerdConfigPatchesJSON6902",
    ),
    "Networking": ("apiServerPort", "apiServerAddress", "disableDefaultCNI", "dnsSearch"),
    "Node": ("image", "extraMounts", "extraPortMappings", "kubeadmConfigPatchesJSON6902"),
}  # fmt: skip


@dataclass(frozen=True)
class KindNode:
    """A node of a kind cluster: its name, and what kubeadm registers it with."""

    name: str
    is_control_plane: bool
    labels: Mapping[str, str]
    taints: tuple[KubeObject, ...]


@dataclass(frozen=True)
class KindConfiguration:
    """The nodes of a kind cluster and its ranges of addresses. `unread`: the fields that change nothing here."""

    nodes: tuple[KindNode, ...]
    pod_subnet: IPv4Network
    service_subnet: IPv4Network
    unread: tuple[str, ...]

    def pod_cidrs(self) -> Iterator[str]:
        """Yield the range of Pods of each node, in their order: /24 after /24 of the Pod subnet."""
        return map(str, self.pod_subnet.subnets(new_prefix=_NODE_MASK))


def read(cluster: KubeObject) -> KindConfiguration:
    """Return what a document of kind `Cluster` says.

    Raise RefusedError in the words of kind or kubeadm, NotSimulatedError for what the simulator cannot do.

    >>> [node.name for node in read({"kind": "Cluster", "name": "lab", "nodes": [{"role": "control-plane"}] * 2}).nodes]
    ['lab-control-plane', 'lab-control-plane2']
    """
    unread = list(_unread_fields(cluster))
    networking = cluster.get("networking") or {}
    nodes = cluster.get("nodes") or [{}]
    if errors := list(_errors(cluster, networking, nodes)):
        raise RefusedError("kind", errors[0] if len(errors) == 1 else f"[{', '.join(errors)}]")
    if (family := networking.get("ipFamily", "ipv4")) != "ipv4":
        raise NotSimulatedError(f"a cluster of ipFamily {family}", ["ipv4"])
    if (mode := networking.get("kubeProxyMode", "iptables")) != "iptables":
        raise NotSimulatedError(f"kube-proxy in mode {mode}", ["iptables"])
    pods = IPv4Network(networking.get("podSubnet", POD_SUBNET), strict=False)
    services = IPv4Network(networking.get("serviceSubnet", SERVICE_SUBNET), strict=False)
    _refuse_subnets(pods, services, len(nodes))
    patches = list(_patches(cluster, "kubeadmConfigPatches", unread))
    found, roles = [], Counter[str]()
    for place, node in enumerate(nodes):
        role = node.get("role", _CONTROL_PLANE)
        roles[role] += 1
        name = f"{cluster.get('name') or _NAME}-{role}{roles[role] if roles[role] > 1 else ''}"
        kind = "InitConfiguration" if role == _CONTROL_PLANE and roles[role] == 1 else "JoinConfiguration"
        own = [*patches, *_patches(node, f"nodes[{place}].kubeadmConfigPatches", unread)]
        registrations = [one.get("nodeRegistration") or {} for one in own if one.get("kind") == kind]
        found.append(_node(name, role == _CONTROL_PLANE, node, registrations, is_single=len(nodes) == 1))
    return KindConfiguration(tuple(found), pods, services, tuple(dict.fromkeys(unread)))


def _node(
    name: str, is_control_plane: bool, node: KubeObject, registrations: Iterable[KubeObject], *, is_single: bool
) -> KindNode:
    labels = {key: str(value) for key, value in (node.get("labels") or {}).items()}
    taints: list[KubeObject] = [{"key": _ROLE, "effect": "NoSchedule"}] if is_control_plane else []
    for registration in registrations:
        arguments = registration.get("kubeletExtraArgs") or {}
        if isinstance(arguments, list):  # kubeadm v1beta4
            arguments = {one["name"]: one["value"] for one in arguments}
        pairs = filter(None, str(arguments.get("node-labels", "")).split(","))
        labels |= {key: value for key, _, value in (pair.partition("=") for pair in pairs)}
        taints = registration.get("taints", taints) or []
    return KindNode(name, is_control_plane, labels, () if is_single else tuple(taints))


def _unread_fields(cluster: KubeObject) -> Iterator[str]:
    """Yield the fields that are not read; refuse those that do not exist."""
    yield from _unread_of("Cluster", cluster, "")
    yield from _unread_of("Networking", cluster.get("networking") or {}, "networking.")
    for place, node in enumerate(cluster.get("nodes") or []):
        yield from _unread_of("Node", node, f"nodes[{place}].")


def _unread_of(kind: str, fields: Iterable[str], path: str) -> Iterator[str]:
    for field in fields:
        if field in _UNREAD[kind]:
            yield f"{path}{field}"
        elif field not in _READ[kind]:
            message = (
                f"unable to decode config: yaml: unmarshal errors: field {field} not found in type v1alpha4.{kind}"
            )
            raise RefusedError("kind", message, f"{kind} has: {' · '.join((*_READ[kind], *_UNREAD[kind]))}")


def _errors(cluster: KubeObject, networking: Mapping[str, Any], nodes: list[KubeObject]) -> Iterator[str]:
    """Yield what kind says of the configuration (validate.go)."""
    name = cluster.get("name") or _NAME
    if not re.fullmatch("[a-z0-9.-]+", name):
        yield f"'{name}' is not a valid cluster name, cluster names must match `^[a-z0-9.-]+$`"
    family = networking.get("ipFamily", "ipv4")
    if family not in ("ipv4", "ipv6", "dual"):
        yield f"invalid ipFamily: {family}"
    for field, what in (("podSubnet", "pod"), ("serviceSubnet", "service")):
        if (subnet := networking.get(field)) and family == "ipv4":
            yield from (f"invalid {what} subnet {problem}" for problem in _subnet_problems(subnet))
    mode = networking.get("kubeProxyMode", "iptables")
    if mode not in ("iptables", "ipvs", "nftables", "none"):
        yield f"invalid kubeProxyMode: {mode}"
    roles = [node.get("role", _CONTROL_PLANE) for node in nodes]
    for place, role in enumerate(roles):
        if role not in (_CONTROL_PLANE, "worker"):
            yield f'invalid configuration for node {place}: "{role}" is not a valid node role'
    if _CONTROL_PLANE not in roles:
        yield "must have at least one control-plane node"


def _subnet_problems(subnet: str) -> Iterator[str]:
    if "," in subnet:
        yield "only one CIDR allowed for single-stack networking"
    elif ":" in subnet:
        yield "expected IPv4 CIDR for IPv4 family"
    elif not _is_cidr(subnet):
        yield f'failed to parse cidr value:"{subnet}" with error: invalid CIDR address: {subnet}'


def _is_cidr(text: str) -> bool:
    try:
        IPv4Network(text, strict=False)
    except ValueError:
        return False
    return "/" in text


def _refuse_subnets(pods: IPv4Network, services: IPv4Network, nodes: int) -> None:
    """Refuse ranges that kubeadm refuses (Kubernetes v1.31 cmd/kubeadm/app/apis/kubeadm/validation)."""
    if pods.prefixlen > _NODE_MASK:
        message = f"the size of pod subnet with mask {pods.prefixlen} is smaller than the size of node subnet with mask"
        raise RefusedError("kubeadm", f'networking.podSubnet: Invalid value: "{pods}": {message} {_NODE_MASK}')
    if pods.prefixlen < _NODE_MASK - 16:
        message = f"pod subnet mask ({pods.prefixlen}) and node-mask ({_NODE_MASK}) difference is greater than 16"
        raise RefusedError("kubeadm", f'networking.podSubnet: Invalid value: "{pods}": {message}')
    if services.num_addresses < 10:
        message = f"subnet with {services.num_addresses} address(es) is too small, the minimum is 10"
        raise RefusedError("kubeadm", f'networking.serviceSubnet: Invalid value: "{services}": {message}')
    if services.prefixlen < 12:
        message = "the service subnet is too large; the maximum is 20 bits"
        raise RefusedError("kubeadm", f'networking.serviceSubnet: Invalid value: "{services}": {message}')
    if nodes > 2 ** (_NODE_MASK - pods.prefixlen):
        raise NotSimulatedError(f"a node without a range of Pods: {pods} is enough for fewer than {nodes} nodes")


def _patches(owner: KubeObject, path: str, unread: list[str]) -> Iterator[KubeObject]:
    """Yield the patches that a node's registration is read from; add the others to `unread`."""
    for place, text in enumerate(owner.get("kubeadmConfigPatches") or []):
        for patch in load_yaml(text):
            if isinstance(patch, dict) and patch.get("kind") in ("InitConfiguration", "JoinConfiguration"):
                yield patch
            else:
                unread.append(f"{path}[{place}]")
