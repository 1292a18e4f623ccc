"""Build the initial state of a simulation from a manifest: a fresh cluster as kind creates it. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kanslib.k8s.manifest import check_object, load_yaml
from kanslib.k8s.objects import KubeObject
from kanslib.metallb.election import EXCLUDE
from kanslib.simulator.api_server import IdGenerator, timestamp
from kanslib.simulator.simulator import InitialState

POD_SUBNET, SERVICE_SUBNET = "10.10.0.0/16", "10.200.1.0/24"  # the lesson's
_NETWORK = "172.18.0.0/16"  # Docker's first one after its own
_ROLE = "node-role.kubernetes.io/control-plane"


def from_manifest(
    text: str, default_cluster: str, client: str, router: str, moment: float
) -> tuple[InitialState, list[KubeObject]]:
    """Return a fresh cluster at a moment (Unix seconds), and the objects that a manifest wants in it.

    `text`: YAML of a kind configuration (`default_cluster` without one) and of objects. `client`, `router`: their
    addresses. Raises ManifestError.
    """
    parsed = load_yaml(text)
    configurations = _configurations(parsed)
    documents = [check_object(one) for one in parsed if one not in configurations]
    cluster = (configurations or _configurations(load_yaml(default_cluster)))[0]
    networking = cluster.get("networking") or {}
    pod_subnet = networking.get("podSubnet", POD_SUBNET)
    nodes = _nodes(cluster, pod_subnet, moment)
    control_plane = nodes[0]["metadata"]["name"]
    addresses = {node["metadata"]["name"]: node["status"]["addresses"][0]["address"] for node in nodes}
    addresses |= {"mypc": client, "router": router}
    objects = {
        "nodes": nodes,
        "namespaces": [_meta({"kind": "Namespace"}, {"name": name}, moment) for name in ("default", "kube-system")],
        **_kubernetes(networking.get("serviceSubnet", SERVICE_SUBNET), addresses[control_plane], moment),
    }
    macs = {name: "02:42:" + ":".join(f"{int(part):02x}" for part in ip.split(".")) for name, ip in addresses.items()}
    state = InitialState(moment, objects, _NETWORK, addresses, macs, pod_subnet, control_plane, router_address=router)
    return state, documents


def _configurations(documents: Iterable[object]) -> list[KubeObject]:
    """Return kind's configurations among the documents of a YAML text."""
    return [one for one in documents if isinstance(one, dict) and one.get("kind") == "Cluster"]


def _nodes(cluster: KubeObject, pods: str, moment: float) -> list[KubeObject]:
    roles = cluster.get("nodes") or [{"role": "control-plane"}]
    prefix, workers, found = ".".join(pods.split(".")[:2]), 0, []
    for index, node in enumerate(roles):
        workers += node["role"] == "worker"
        suffix = (
            "control-plane" if node["role"] == "control-plane" else "worker" + (str(workers) if workers > 1 else "")
        )
        labels = {"kubernetes.io/hostname": f"myk8s-{suffix}", "kubernetes.io/os": "linux", **node.get("labels", {})}
        is_single = len(roles) == 1
        if node["role"] == "control-plane":
            labels |= {_ROLE: ""} | ({} if is_single else {EXCLUDE: ""})  # kind takes it off a single node
        taints = [{"key": _ROLE, "effect": "NoSchedule"}] if node["role"] == "control-plane" and not is_single else []
        spec = {"podCIDR": f"{prefix}.{index}.0/24", **({"taints": taints} if taints else {})}
        status = {
            "addresses": [{"type": "InternalIP", "address": f"172.18.0.{index + 2}"}],
            "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": timestamp(moment)}],
            "nodeInfo": {
                "kubeletVersion": "v1.31.0",
                "osImage": "",
                "kernelVersion": "",
                "containerRuntimeVersion": "",
            },
        }
        meta = {"name": f"myk8s-{suffix}", "labels": labels}
        found.append(_meta({"kind": "Node", "spec": spec, "status": status}, meta, moment))
    return found


def _kubernetes(services: str, api: str, moment: float) -> dict[str, list[KubeObject]]:
    """Return the Service `kubernetes` and its endpoint, which exist before anything is applied."""
    first = services.rpartition(".")[0] + ".1"
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
    numbers = IdGenerator(sum(map(ord, meta["name"] + obj["kind"])))
    given = {"uid": numbers.uid(), "resourceVersion": "1", "creationTimestamp": timestamp(moment)}
    return {"apiVersion": "v1", **obj, "metadata": {**given, **meta}}
