"""Read a kind configuration (v1alpha4): what it says of nodes and networks, what kind refuses, what is not simulated.

kind v0.24.0 pkg/internal/apis/config. kubeadm's patches are read for the labels and taints of nodes, and for the
options of kube-proxy. Pure.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any

from kanslib.exceptions import NotSimulatedError, RefusedError
from kanslib.i18n import tr
from kanslib.k8s.manifest import load_yaml
from kanslib.k8s.objects import KubeObject
from kanslib.simulator import kube_proxy_options
from kanslib.simulator.address_family import Network, is_cidr
from kanslib.simulator.kube_proxy_options import KubeProxyOptions

POD_SUBNET, SERVICE_SUBNET = "10.10.0.0/16", "10.200.1.0/24"  # the lesson's
_NAME = "myk8s"  # the lesson's
# by ipFamily: the default podSubnet and serviceSubnet (the lesson's, then kind's own)
_SUBNETS = {
    "ipv4": (POD_SUBNET, SERVICE_SUBNET),
    "ipv6": ("fd00:10:244::/56", "fd00:10:96::/112"),
    "dual": ("10.244.0.0/16,fd00:10:244::/56", "10.96.0.0/16,fd00:10:96::/112"),
}
_NODE_MASK = {4: 24, 6: 64}  # of a node's range of Pods (kube-controller-manager --node-cidr-mask-size-ipv4, -ipv6)
_SERVICE_BITS = 20  # kubeadm's MaximumBitsForServiceSubnet
_TWO_FAMILIES = "expected one (IPv4 or IPv6) CIDR or two CIDRs from each family for dual-stack networking"
_CONTROL_PLANE = "control-plane"
_KUBE_PROXY = "KubeProxyConfiguration"
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
    """The nodes of a kind cluster and its ranges of addresses, one of each family.

    `kube_proxy`: the options of kube-proxy. `unread`: the fields that change nothing here.
    """

    nodes: tuple[KindNode, ...]
    pod_subnets: tuple[Network, ...]
    service_subnets: tuple[Network, ...]
    kube_proxy: KubeProxyOptions
    unread: tuple[str, ...]

    def pod_cidrs(self) -> Iterator[tuple[str, ...]]:
        """Yield the ranges of Pods of each node, in their order: /24 after /24 of an IPv4 subnet, /64 of IPv6."""
        ranges = [map(str, subnet.subnets(new_prefix=_NODE_MASK[subnet.version])) for subnet in self.pod_subnets]
        return zip(*ranges, strict=False)


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
    if (mode := networking.get("kubeProxyMode", "iptables")) != "iptables":
        raise NotSimulatedError(tr("kube-proxy in mode {mode}", mode=mode), ["iptables"])
    pods, services = _subnets(networking, "podSubnet", 0), _subnets(networking, "serviceSubnet", 1)
    _refuse_pod_subnets(pods, len(nodes))
    _refuse_service_subnets(services)
    patches = list(_patches(cluster, "kubeadmConfigPatches", unread))
    found, roles = [], Counter[str]()
    kube_proxy = KubeProxyOptions()
    for place, node in enumerate(nodes):
        role = node.get("role", _CONTROL_PLANE)
        roles[role] += 1
        name = f"{cluster.get('name') or _NAME}-{role}{roles[role] if roles[role] > 1 else ''}"
        kind = "InitConfiguration" if role == _CONTROL_PLANE and roles[role] == 1 else "JoinConfiguration"
        own = [*patches, *_patches(node, f"nodes[{place}].kubeadmConfigPatches", unread)]
        registrations = [one.get("nodeRegistration") or {} for one in own if one.get("kind") == kind]
        if kind == "InitConfiguration":  # `kubeadm init` writes kube-proxy's configuration for all nodes
            kube_proxy = kube_proxy_options.read(_merged(one for one in own if one["kind"] == _KUBE_PROXY))
        found.append(_node(name, role == _CONTROL_PLANE, node, registrations, is_single=len(nodes) == 1))
    return KindConfiguration(tuple(found), pods, services, kube_proxy, tuple(dict.fromkeys(unread)))


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
            known = " · ".join((*_READ[kind], *_UNREAD[kind]))
            raise RefusedError("kind", message, tr("{kind} has: {fields}", kind=kind, fields=known))


def _errors(cluster: KubeObject, networking: Mapping[str, Any], nodes: list[KubeObject]) -> Iterator[str]:
    """Yield what kind says of the configuration (validate.go)."""
    name = cluster.get("name") or _NAME
    if not re.fullmatch("[a-z0-9.-]+", name):
        yield f"'{name}' is not a valid cluster name, cluster names must match `^[a-z0-9.-]+$`"
    family = networking.get("ipFamily", "ipv4")
    if family not in _SUBNETS:
        yield f"invalid ipFamily: {family}"
    for field, what in (("podSubnet", "pod"), ("serviceSubnet", "service")):
        if (subnet := networking.get(field)) and family in _SUBNETS:
            yield from (f"invalid {what} subnet {problem}" for problem in _subnet_problems(subnet, family))
    mode = networking.get("kubeProxyMode", "iptables")
    if mode not in ("iptables", "ipvs", "nftables", "none"):
        yield f"invalid kubeProxyMode: {mode}"
    roles = [node.get("role", _CONTROL_PLANE) for node in nodes]
    for place, role in enumerate(roles):
        if role not in (_CONTROL_PLANE, "worker"):
            yield f'invalid configuration for node {place}: "{role}" is not a valid node role'
    if _CONTROL_PLANE not in roles:
        yield "must have at least one control-plane node"


def _subnet_problems(subnets: str, family: str) -> Iterator[str]:
    """Yield what kind says of a podSubnet or a serviceSubnet (validate.go validateSubnets)."""
    cidrs = subnets.split(",")
    if wrong := next((cidr for cidr in cidrs if not is_cidr(cidr)), None):
        yield f'failed to parse cidr value:"{wrong}" with error: invalid CIDR address: {wrong}'
        return
    versions = [ip_network(cidr, strict=False).version for cidr in cidrs]
    if family == "dual":
        if len(cidrs) > 2 or (len(cidrs) == 2 and versions[0] == versions[1]):
            yield _TWO_FAMILIES
    elif len(cidrs) > 1:
        yield "only one CIDR allowed for single-stack networking"
    elif versions[0] != int(family[-1]):
        yield f"expected IPv{family[-1]} CIDR for IPv{family[-1]} family"


def _subnets(networking: Mapping[str, Any], field: str, default: int) -> tuple[Network, ...]:
    """Return a podSubnet or serviceSubnet; `default`: its place among the defaults.

    Raise NotSimulatedError for a dual-stack cluster whose ranges are not one of IPv4 and then one of IPv6.
    """
    family = networking.get("ipFamily", "ipv4")
    found = tuple(
        ip_network(one, strict=False) for one in (networking.get(field) or _SUBNETS[family][default]).split(",")
    )
    if family == "dual" and [one.version for one in found] != [4, 6]:
        raise NotSimulatedError(
            tr("networking.{field}: {networking} of ipFamily dual", field=field, networking=networking[field]),
            [tr("an IPv4 CIDR, then IPv6")],
        )
    return found


def _refuse_pod_subnets(subnets: Iterable[Network], nodes: int) -> None:
    """Refuse ranges of Pods that kubeadm refuses (Kubernetes v1.31 cmd/kubeadm/app/apis/kubeadm/validation)."""
    for pods in subnets:
        mask = _NODE_MASK[pods.version]
        if pods.prefixlen > mask:
            size = (
                f"the size of pod subnet with mask {pods.prefixlen} is smaller than the size of node subnet with mask"
            )
            raise RefusedError("kubeadm", f'networking.podSubnet: Invalid value: "{pods}": {size} {mask}')
        if pods.prefixlen < mask - 16:
            message = f"pod subnet mask ({pods.prefixlen}) and node-mask ({mask}) difference is greater than 16"
            raise RefusedError("kubeadm", f'networking.podSubnet: Invalid value: "{pods}": {message}')
        if nodes > 2 ** (mask - pods.prefixlen):
            raise NotSimulatedError(
                tr(
                    "a node without a range of Pods: {pods} is enough for fewer than {nodes} nodes",
                    pods=pods,
                    nodes=nodes,
                )
            )


def _refuse_service_subnets(subnets: Iterable[Network]) -> None:
    """Refuse ranges of ClusterIPs that kubeadm refuses (ValidateIPNetFromString, ValidateServiceSubnetSize)."""
    for services in subnets:
        bits, message = services.max_prefixlen, ""
        if services.num_addresses < 10:
            message = f"subnet with {services.num_addresses} address(es) is too small, the minimum is 10"
        elif bits - services.prefixlen > _SERVICE_BITS:
            smallest = f"the mask must be >= {bits - _SERVICE_BITS}"
            message = f"specified service subnet is too large; for {bits}-bit addresses, {smallest}"
        if message:
            raise RefusedError("kubeadm", f'networking.serviceSubnet: Invalid value: "{services}": {message}')


def _patches(owner: KubeObject, path: str, unread: list[str]) -> Iterator[KubeObject]:
    """Yield the patches that are read; add the others, and fields that are not read, to `unread`."""
    for place, text in enumerate(owner.get("kubeadmConfigPatches") or []):
        for patch in load_yaml(text):
            if isinstance(patch, dict) and patch.get("kind") in ("InitConfiguration", "JoinConfiguration", _KUBE_PROXY):
                if patch["kind"] == _KUBE_PROXY:
                    unread += (f"{path}[{place}].{field}" for field in kube_proxy_options.unread_fields(patch))
                yield patch
            else:
                unread.append(f"{path}[{place}]")


def _merged(patches: Iterable[KubeObject]) -> KubeObject:
    """Return one object of several patches; a later one overrides an earlier one (RFC 7386)."""
    merged: KubeObject = {}
    for patch in patches:
        for field, value in patch.items():
            before = merged.get(field)
            merged[field] = {**before, **value} if isinstance(before, dict) and isinstance(value, dict) else value
    return merged
