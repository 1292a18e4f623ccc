"""Random manifests of Services, Pods and what makes Pods: some are valid, most break one rule or several."""

from __future__ import annotations

import random
from typing import Any

Fields = dict[str, tuple[float, list[Any]]]  # a field: how often it is there, and its values
SERVICE: Fields = {
    "type": (0.9, ["ClusterIP", "NodePort", "LoadBalancer", "LoadBalancer", "ExternalName", "Loadbalancer"]),
    "selector": (0.8, [{"app": "web"}, {"app": "my web"}, {}, {"a/b/c": "d"}, {"app": ""}]),
    "clusterIP": (0.25, ["None", "10.200.1.50", "10.200.1.77", "192.0.2.1", "ten", "2001:db8::1", "", "10.200.1.255"]),
    "clusterIPs": (0.08, [["None"], ["10.200.1.77"], ["10.200.1.77", "2001:db8::1"], []]),
    "ipFamilies": (0.12, [["IPv4"], ["IPv6"], ["IPv4", "IPv6"], ["IPv4", "IPv4"], ["ipv4"], []]),
    "ipFamilyPolicy": (0.15, ["SingleStack", "PreferDualStack", "RequireDualStack", "Dual"]),
    "externalTrafficPolicy": (0.25, ["Cluster", "Local", "local", ""]),
    "internalTrafficPolicy": (0.12, ["Cluster", "Local", "Node"]),
    "healthCheckNodePort": (0.12, [30080, 30090, 8080, 0]),
    "allocateLoadBalancerNodePorts": (0.12, [True, False]),
    "loadBalancerClass": (0.1, ["example.com/a", "a b", "internal", ""]),
    "loadBalancerSourceRanges": (0.12, [["192.0.2.0/24"], ["192.0.2.1"], [" 192.0.2.0/24 "], ["192.0.2.0/33"], []]),
    "sessionAffinity": (0.2, ["None", "ClientIP", "client"]),
    "sessionAffinityConfig": (0.1, [{"clientIP": {"timeoutSeconds": 10}}, {"clientIP": {"timeoutSeconds": 0}}, {}]),
    "externalName": (0.2, ["shop.example", "Shop", "shop.example.", "a_b", ""]),
    "externalIPs": (0.1, [["192.0.2.9"], ["shop"], ["127.0.0.1"], ["0.0.0.0"], ["169.254.1.1"], ["224.0.0.1"]]),
    "trafficDistribution": (0.08, ["PreferClose", "Near"]),
    "prots": (0.03, [[]]),
}
SERVICE_PORT: Fields = {
    "port": (0.97, [80, 80, 443, 8080, 81, 0, 70000, 10250, "80"]),
    "name": (0.6, ["http", "https", "HTTP", "a_b", "very-long-name-indeed-over", ""]),
    "protocol": (0.3, ["TCP", "UDP", "SCTP", "tcp", "ICMP"]),
    "targetPort": (0.4, [80, 8080, "http", 0, 70000, "name-that-is-too-long", "80", "-x", "a--b", True]),
    "nodePort": (0.3, [30080, 30081, 30082, 8080, 0, 40000]),
    "appProtocol": (0.1, ["http", "kubernetes.io/h2c", "bad proto", "/x"]),
}
METADATA: Fields = {
    "labels": (0.15, [{"a": "b"}, {"a": "b c"}, {"a b": "c"}, {"/x": "y"}, {"x" * 64: "y"}, {"a": "x" * 64}]),
    "annotations": (0.1, [{"a": "b"}, {"a b": "c"}, {"Example.com/X": "y"}]),
}
CONTAINER: Fields = {"name": (0.95, ["c", "c", "web", "C", "a.b", ""]), "image": (0.95, ["whoami", "whoami", ""])}
CONTAINER_PORT: Fields = {
    "containerPort": (0.95, [80, 8080, 0, 70000]),
    "name": (0.5, ["http", "HTTP", "a--b", "1", "-a", "x" * 16]),
    "protocol": (0.2, ["TCP", "UDP", "tcp"]),
    "hostPort": (0.15, [80, 8080, 70000]),
}
POD: Fields = {
    "hostNetwork": (0.2, [True, False]),
    "nodeName": (0.1, ["elsewhere", "Bad_Name"]),
    "nodeSelector": (0.2, [{"a": "b"}, {"a b": "c"}, {"a": "b c"}, {}]),
    "restartPolicy": (0.15, ["Always", "Never", "always"]),
    "nodeselector": (0.03, [{}]),
}
TOLERATION: Fields = {
    "key": (0.8, ["a", "a b", "example.com/x", ""]),
    "operator": (0.6, ["Exists", "Equal", "In", ""]),
    "value": (0.3, ["b", "b c"]),
    "effect": (0.5, ["NoSchedule", "NoExecute", "NoRun"]),
}
EXPRESSION: Fields = {
    "key": (0.9, ["zone", "z z"]),
    "operator": (0.95, ["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt", "Is"]),
    "values": (0.6, [["a"], ["a", "b"], ["1"], []]),
}
WORKLOAD: Fields = {
    "replicas": (0.4, [0, 1, 3, -1, "2"]),
    "selector": (0.95, [*[{"matchLabels": {"app": "web"}}] * 5, {"matchLabels": {"app": "b c"}}, {}]),
}
TEMPLATE: Fields = {
    "metadata": (0.95, [*[{"labels": {"app": "web"}}] * 5, {"labels": {"app": "b c"}}, {"labels": {"app": "x"}}, {}])
}


def service(rng: random.Random) -> dict[str, Any]:
    """Return a Service `till`, or one with a wrong name."""
    ports = [_some(rng, SERVICE_PORT) for _ in range(rng.choice([0, 1, 1, 1, 2, 3]))]
    spec = _some(rng, SERVICE) | ({"ports": ports} if ports else {})
    name = rng.choice([*["till"] * 10, "Till", "1till", "a.b", "t" * 64])
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, **_some(rng, METADATA)}, "spec": spec}


def pod(rng: random.Random) -> dict[str, Any]:
    """Return a Pod `web`, or one with a wrong name."""
    name = rng.choice([*["web"] * 10, "Web", "w_b"])
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": _pod_spec(rng)}


def workload(rng: random.Random) -> dict[str, Any]:
    """Return a Deployment, a DaemonSet or a ReplicaSet `web`."""
    spec = _some(rng, WORKLOAD) | {"template": _some(rng, TEMPLATE) | {"spec": _pod_spec(rng)}}
    kind = rng.choice(["Deployment", "DaemonSet", "ReplicaSet"])
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": "web"}, "spec": spec}


def _pod_spec(rng: random.Random) -> dict[str, Any]:
    containers = [
        _some(rng, CONTAINER) | {"ports": [_some(rng, CONTAINER_PORT) for _ in range(rng.choice([0, 1, 2]))]}
        for _ in range(rng.choice([0, 1, 1, 1, 2]))
    ]
    spec = _some(rng, POD) | {"containers": containers}
    if rng.random() < 0.3:
        spec["tolerations"] = [_some(rng, TOLERATION) for _ in range(rng.choice([1, 2]))]
    if rng.random() < 0.3:
        terms = [{"matchExpressions": [_some(rng, EXPRESSION)]} for _ in range(rng.choice([0, 1, 2]))]
        required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
        spec["affinity"] = {"nodeAffinity": required}
    return spec


def _some(rng: random.Random, fields: Fields) -> dict[str, Any]:
    """Return some of the fields; every second value is the first of its list, a valid one."""
    chosen = {name: values for name, (probability, values) in fields.items() if rng.random() < probability}
    return {name: values[0] if rng.random() < 0.5 else rng.choice(values) for name, values in chosen.items()}
