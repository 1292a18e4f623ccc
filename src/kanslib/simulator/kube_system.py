"""What runs in kube-system of a fresh kind cluster: CoreDNS and its Service, kube-proxy, the pod network. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ipaddress import ip_network
from typing import Any

from kanslib.k8s.objects import KubeObject, internal_ip, internal_ips, name_of
from kanslib.simulator.address_family import Network, family_name
from kanslib.simulator.api_server import timestamp
from kanslib.simulator.kubelet import running_status

_NAMESPACE = "kube-system"
_COREDNS, _KUBE_PROXY, _KINDNET = "coredns", "kube-proxy", "kindnet"
_IMAGES = {
    _COREDNS: "registry.k8s.io/coredns/coredns:v1.11.1",
    _KUBE_PROXY: "registry.k8s.io/kube-proxy:v1.31.0",
    _KINDNET: "docker.io/kindest/kindnetd:v20240813-c6f155d6",
}
_DNS_PORTS = (("dns", "UDP", 53), ("dns-tcp", "TCP", 53), ("metrics", "TCP", 9153))
_DNS_REPLICAS = ("jx5kq", "w2tzd")  # the ends of their Pods' names
_TOLERATES_ALL = [{"operator": "Exists"}]
Make = Callable[[KubeObject, dict[str, Any]], KubeObject]  # an object with its metadata


def kube_system(
    nodes: Sequence[KubeObject], services: Network, moment: float, make: Make
) -> dict[str, list[KubeObject]]:
    """Return the objects of kube-system by kind; CoreDNS runs on the first node, before another one has joined.

    `services`: the first range of ClusterIPs, whose tenth is that of kube-dns: it is of one family in a dual-stack
    cluster, too. `moment`: Unix seconds.
    """
    first = nodes[0]
    ranges = list(map(ip_network, first["spec"]["podCIDRs"]))
    dns_pods = [
        _pod(_COREDNS, f"{_COREDNS}-6f6b679f8f-{end}", first, moment, make, [str(one[2 + place]) for one in ranges])
        for place, end in enumerate(_DNS_REPLICAS)
    ]
    daemons = [
        _pod(name, f"{name}-{_ending(place)}", node, moment, make, internal_ips(node))
        for name in (_KINDNET, _KUBE_PROXY)
        for place, node in enumerate(nodes)
    ]
    return {
        "pods": [*dns_pods, *daemons],
        "deployments": [_owner("Deployment", _COREDNS, make, replicas=len(dns_pods))],
        "daemonsets": [_owner("DaemonSet", name, make) for name in (_KINDNET, _KUBE_PROXY)],
        "services": [_dns_service(str(services[10]), make)],
        "endpointslices": [_dns_slice(dns_pods, make)],
    }


def _labels(component: str) -> dict[str, str]:
    return {"app": _KINDNET, "k8s-app": _KINDNET} if component == _KINDNET else {"k8s-app": _selected(component)}


def _selected(component: str) -> str:
    return "kube-dns" if component == _COREDNS else component


def _spec(component: str) -> dict[str, Any]:
    ports = [{"name": name, "containerPort": port, "protocol": protocol} for name, protocol, port in _DNS_PORTS]
    container = {"name": component, "image": _IMAGES[component], **({"ports": ports} if component == _COREDNS else {})}
    own = {} if component == _COREDNS else {"hostNetwork": True}
    return {"containers": [container], "tolerations": _TOLERATES_ALL, **own}


def _pod(component: str, name: str, node: KubeObject, moment: float, make: Make, ips: Sequence[str]) -> KubeObject:
    spec = {**_spec(component), "nodeName": name_of(node)}
    status = running_status(spec, internal_ip(node), ips, timestamp(moment))
    return make({"kind": "Pod", "spec": spec, "status": status}, _meta(name, _labels(component)))


def _ending(place: int) -> str:
    """Return five letters, as at the end of a Pod's name, of the place of its node."""
    return "".join("bcdfghjklm"[int(digit)] for digit in f"{place:05}")


def _owner(kind: str, component: str, make: Make, **spec: int) -> KubeObject:
    labels = _labels(component)
    template = {"metadata": {"labels": labels}, "spec": _spec(component)}
    fields = {"selector": {"matchLabels": labels}, "template": template, **spec}
    return make({"kind": kind, "apiVersion": "apps/v1", "spec": fields}, _meta(component, labels))


def _dns_service(address: str, make: Make) -> KubeObject:
    ports = [
        {"name": name, "port": port, "protocol": protocol, "targetPort": port} for name, protocol, port in _DNS_PORTS
    ]
    spec = {
        "type": "ClusterIP", "clusterIP": address, "clusterIPs": [address], "ports": ports, "sessionAffinity": "None",
        "selector": _labels(_COREDNS), "internalTrafficPolicy": "Cluster", "ipFamilies": [family_name(address)],
        "ipFamilyPolicy": "SingleStack",
    }  # fmt: skip
    return make({"kind": "Service", "spec": spec, "status": {"loadBalancer": {}}}, _meta("kube-dns", _labels(_COREDNS)))


def _dns_slice(pods: Sequence[KubeObject], make: Make) -> KubeObject:
    labels = {
        "kubernetes.io/service-name": "kube-dns",
        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
    }
    endpoints = [
        {
            "addresses": [pod["status"]["podIP"]],
            "conditions": {"ready": True, "serving": True, "terminating": False},
            "nodeName": pod["spec"]["nodeName"],
            "targetRef": {"kind": "Pod", "namespace": _NAMESPACE, "name": name_of(pod)},
        }
        for pod in pods
    ]
    ports = [{"name": name, "protocol": protocol, "port": port} for name, protocol, port in _DNS_PORTS]
    piece = {
        "kind": "EndpointSlice",
        "apiVersion": "discovery.k8s.io/v1",
        "addressType": family_name(pods[0]["status"]["podIP"]),
        "endpoints": endpoints,
    }
    return make({**piece, "ports": ports}, _meta("kube-dns-7x2k5", labels))


def _meta(name: str, labels: dict[str, str]) -> dict[str, Any]:
    return {"name": name, "namespace": _NAMESPACE, "labels": labels}
