"""Where a twin starts: at a moment of a recording, or from a manifest."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from typing import Any

from kanslib.actions import Verb
from kanslib.backends.recorded import RecordedBackend
from kanslib.course import manifests
from kanslib.course.addressing import LESSON_NETWORK, address_plan
from kanslib.course.stories import EXCLUDE_LABEL
from kanslib.exceptions import KanslibError
from kanslib.k8s.kubeproxy import pod_range
from kanslib.k8s.manifest import documents
from kanslib.k8s.objects import KubeObject, external_address
from kanslib.simulator.api_server import IdGenerator, timestamp
from kanslib.simulator.simulator import InitialState

CLUSTER_CIDR = "10.10.0.0/16"  # the lesson's podSubnet
_ROLE = "node-role.kubernetes.io/control-plane"


def from_recording(world: RecordedBackend) -> InitialState:
    """The cluster as a recording has it where its clock stands."""
    world, moment = RecordedBackend(world.recording, world.story.name or None), world.now()
    world.at_time(moment)  # a clock of its own: the learner's moves on
    places, take = world.topology(), world.clock.segment
    objects = {kind: world.objects(kind) for kind in world.recording.under("objects")}
    macs = {place: mac for mac, place in world.mac_owners().items()}
    force = world.active_actions()
    lost: dict[str, Verb] = {node: verb for verb, node in force if verb in ("kill_node", "link_down")}
    squatter = next((name for verb, name in force if verb == "add_conflicting_host"), None)
    vip = next((ip for one in objects.get("services", []) if (ip := external_address(one))), "")
    remembered = {
        str(entry["dst"]): macs_to[str(entry.get("lladdr"))]
        for macs_to in [world.mac_owners()]
        for entry in _client_neighbors(world)
        if entry.get("lladdr") in macs_to and str(entry["dst"]) not in places.addresses.values()
    }
    return InitialState(
        moment=world.now(),
        objects=objects,
        network=places.network,
        addresses={**take.addresses, **places.addresses},
        macs=macs,
        cluster_cidr=pod_range(objects.get("nodes", [])) or CLUSTER_CIDR,
        control_plane=places.control_plane,
        client=places.client,
        router=places.router,
        router_address=take.addresses.get(take.router or "", ""),
        routed=any(verb == "route_client" for verb, _ in force),
        conflicting_host=(squatter, vip) if squatter else None,
        lost=lost,
        neighbors=remembered,
        dump=cache(lambda node: _or_none(lambda: str(world.run(node, "iptables-save -c")))),
        log=cache(lambda component, node: _or_none(lambda: str(world.log(component, node))) or ""),
    )


def _or_none(question: Callable[[], str]) -> str | None:
    try:
        return question()
    except KanslibError:
        return None


def _client_neighbors(world: RecordedBackend) -> list[dict[str, Any]]:
    client = world.topology().client
    text = _or_none(lambda: str(world.run(client, "ip -j neigh"))) if client else None
    return json.loads(text) if text else []


def from_manifest(text: str, moment: float) -> tuple[InitialState, list[KubeObject]]:
    """A fresh cluster as a kind configuration describes it (else the course's own), and what is to be applied to it."""
    docs = [*_kind(text)]
    cluster = next((doc for doc in docs if doc.get("kind") == "Cluster"), None) or next(_kind(manifests.kind_cluster))
    wanted = [doc for doc in docs if doc.get("kind") != "Cluster"]
    networking = cluster.get("networking") or {}
    pods = networking.get("podSubnet", CLUSTER_CIDR)
    services = networking.get("serviceSubnet", "10.200.1.0/24")
    nodes = _nodes(cluster, pods, moment)
    names = [node["metadata"]["name"] for node in nodes]
    addresses = {node["metadata"]["name"]: node["status"]["addresses"][0]["address"] for node in nodes}
    ours = address_plan(LESSON_NETWORK)
    addresses |= {"mypc": ours.client, "router": ours.router}
    kubernetes = _kubernetes(services, addresses[names[0]], moment)
    spaces = [_meta({"kind": "Namespace"}, {"name": name}, moment) for name in ("default", "kube-system")]
    objects = {"nodes": nodes, "namespaces": spaces, **kubernetes}
    macs = {name: "02:42:" + ":".join(f"{int(part):02x}" for part in ip.split(".")) for name, ip in addresses.items()}
    origin = InitialState(moment, objects, LESSON_NETWORK, addresses, macs, pods, names[0], router_address=ours.router)
    return origin, wanted


def _kind(text: str) -> Any:
    import yaml

    for doc in yaml.safe_load_all(text):
        if doc and doc.get("kind") == "Cluster":
            yield doc
        elif doc:
            yield from documents(yaml.safe_dump(doc))


def _nodes(cluster: KubeObject, pods: str, moment: float) -> list[KubeObject]:
    roles = cluster.get("nodes") or [{"role": "control-plane"}]
    prefix, workers, found = ".".join(pods.split(".")[:2]), 0, []
    for place, node in enumerate(roles):
        workers += node["role"] == "worker"
        suffix = (
            "control-plane" if node["role"] == "control-plane" else "worker" + (str(workers) if workers > 1 else "")
        )
        labels = {"kubernetes.io/hostname": f"myk8s-{suffix}", "kubernetes.io/os": "linux", **node.get("labels", {})}
        alone = len(roles) == 1
        if node["role"] == "control-plane":
            labels |= {_ROLE: ""} | ({} if alone else {EXCLUDE_LABEL: ""})  # kind takes it off a single node
        taints = [{"key": _ROLE, "effect": "NoSchedule"}] if node["role"] == "control-plane" and not alone else []
        spec = {"podCIDR": f"{prefix}.{place}.0/24", **({"taints": taints} if taints else {})}
        status = {
            "addresses": [{"type": "InternalIP", "address": f"172.18.0.{place + 2}"}],
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
    """The Service `kubernetes` and its endpoint: there before anybody applies anything."""
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
