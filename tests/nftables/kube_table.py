"""A table as kube-proxy and nft would print it for many Services, for sizes that no recording has."""

from __future__ import annotations

import re
from ipaddress import IPv4Address

from kanslib.k8s import kubeproxy_nftables
from kanslib.k8s.kubeproxy import Config
from kanslib.k8s.objects import KubeObject
from tests.iptables.kube_dump import FIRST_CLUSTER_IP, pod, vip

CONFIG = Config("10.128.0.0/9", {"n1": "192.0.2.11"})
_ELEMENTS = re.compile(r"(?m)^\t\telements = \{ .* \}$")


def kube_table(services: int, endpoints: int = 2) -> str:
    """`services` LoadBalancer Services with `endpoints` Pods each, one element on a line as nft prints them."""
    numbers = range(services)
    table = kubeproxy_nftables.write(
        [_service(number) for number in numbers], [_slice(number, endpoints) for number in numbers], "n1", CONFIG
    )
    return _ELEMENTS.sub(lambda found: found[0].replace(", ", ",\n\t\t\t     "), str(table))


def _service(number: int) -> KubeObject:
    port = {"name": "web", "port": 80, "protocol": "TCP", "targetPort": 80, "nodePort": 30000 + number % 2768}
    cluster_ip = str(IPv4Address(FIRST_CLUSTER_IP + number))
    spec = {"type": "LoadBalancer", "clusterIP": cluster_ip, "clusterIPs": [cluster_ip], "ports": [port]}
    status = {"loadBalancer": {"ingress": [{"ip": vip(number), "ipMode": "VIP"}]}}
    return {"metadata": {"name": f"svc{number}", "namespace": "default"}, "spec": spec, "status": status}


def _slice(number: int, endpoints: int) -> KubeObject:
    labels = {"kubernetes.io/service-name": f"svc{number}"}
    return {
        "metadata": {"name": f"svc{number}-x", "namespace": "default", "labels": labels},
        "addressType": "IPv4", "ports": [{"name": "web", "port": 80, "protocol": "TCP"}],
        "endpoints": [
            {"addresses": [pod(number, at, endpoints)], "nodeName": "n1", "conditions": {"ready": True}}
            for at in range(endpoints)
        ],
    }  # fmt: skip
