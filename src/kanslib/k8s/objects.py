"""Names and fields of Kubernetes objects, and the objects that existed at a moment, from watch events. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any, Literal

KubeObject = dict[str, Any]
WatchType = Literal["ADDED", "MODIFIED", "DELETED", "LIST"]

# kubectl's short names and singulars
ALIASES = {
    "no": "nodes", "po": "pods", "svc": "services", "ns": "namespaces", "ev": "events", "ep": "endpoints",
    "ds": "daemonsets", "deploy": "deployments", "ipaddresspool": "ipaddresspools", "eps": "endpointslices",
    "community": "communities", "cm": "configmaps", "rs": "replicasets",
}  # fmt: skip
CLUSTER_SCOPED = ("namespaces", "nodes")  # kinds without a namespace


@dataclass(frozen=True)
class WatchEvent:
    """One line of a watch stream: at `t` (Unix seconds) the object was ADDED, MODIFIED or DELETED.

    LIST has no object: the objects so far are those of another cluster.
    """

    t: float
    type: WatchType
    object: KubeObject


def plural(kind: str) -> str:
    """Return the resource name of a kind, of kubectl's short name or of a singular.

    >>> [plural(kind) for kind in ("svc", "Service", "services", "pod", "ServiceL2Status")]
    ['services', 'services', 'services', 'pods', 'servicel2statuses']
    """
    name = kind.lower()
    name = ALIASES.get(name, name)
    if name.endswith(("statuses", "endpoints")) or (
        name.endswith("s") and not name.endswith("ss") and not name.endswith("status")
    ):
        return name
    return name + ("es" if name.endswith(("s", "ss")) else "s")


def name_of(obj: KubeObject) -> str:
    """Return metadata.name."""
    return str(obj["metadata"]["name"])


def namespace_of(obj: KubeObject) -> str:
    """Return metadata.namespace; `default` where a manifest leaves it out."""
    return str(obj["metadata"].get("namespace", "default"))


def labels_of(obj: KubeObject) -> dict[str, str]:
    """Return metadata.labels; empty without any."""
    labels: dict[str, str] = obj["metadata"].get("labels") or {}
    return labels


def key_of(obj: KubeObject) -> tuple[str, str]:
    """Return namespace (empty for none) and name: unique within a kind, and the order of `kubectl get -A`."""
    meta = obj["metadata"]
    return meta.get("namespace", ""), meta["name"]


def qualified_name(obj: KubeObject) -> str:
    """Return the name of a namespaced object in arguments and answers: bare in `default`, else `namespace/name`.

    >>> qualified_name({"metadata": {"name": "svc1", "namespace": "shop"}})
    'shop/svc1'
    """
    meta = obj["metadata"]
    return join_name(meta.get("namespace", "default"), meta["name"])


def join_name(namespace: str, name: str) -> str:
    """Return the bare name in `default`, `namespace/name` elsewhere."""
    return name if namespace in ("", "default") else f"{namespace}/{name}"


def identity(document: KubeObject) -> tuple[str, str, str]:
    """Return kind, namespace and name of the object that a manifest describes."""
    return document["kind"], namespace_of(document), name_of(document)


@dataclass
class Store:
    """The objects of some kinds after a stream of watch events.

    A watch that reconnects repeats ADDED for objects that it sent before: the newest one counts.
    """

    kinds: dict[str, dict[tuple[str, str], KubeObject]] = field(default_factory=dict)

    def apply(self, kind: str, event: WatchEvent) -> None:
        """Apply one watch event."""
        known = self.kinds.setdefault(kind, {})
        if event.type == "LIST":
            known.clear()
        elif event.type == "DELETED":
            known.pop(key_of(event.object), None)
        else:
            known[key_of(event.object)] = event.object

    def objects(self, kind: str) -> list[KubeObject]:
        """Return the objects of a kind, by namespace and name."""
        known = self.kinds.get(kind, {})
        return [known[key] for key in sorted(known)]


def as_of(events: Iterable[WatchEvent], moment: float) -> list[KubeObject]:
    """Return the objects that existed at `moment` (Unix seconds), by namespace and name, from a kind's watch events."""
    store = Store()
    for event in events:
        if event.t > moment:
            break
        store.apply("", event)
    return store.objects("")


def internal_ips(node: KubeObject) -> list[str]:
    """Return a node's InternalIPs: in a dual-stack cluster one of each family."""
    addresses = node.get("status", {}).get("addresses") or []
    return [str(one["address"]) for one in addresses if one["type"] == "InternalIP"]


def internal_ip(node: KubeObject) -> str:
    """Return a node's first InternalIP; empty without one."""
    return next(iter(internal_ips(node)), "")


def pod_ips(pod: KubeObject) -> list[str]:
    """Return a Pod's addresses: in a dual-stack cluster one of each family, none before it has started."""
    status = pod.get("status", {})
    known = [str(one["ip"]) for one in status.get("podIPs") or []]
    return known or ([str(status["podIP"])] if status.get("podIP") else [])


def is_ready(obj: KubeObject) -> bool:
    """Return whether the object's condition Ready is True."""
    conditions = obj.get("status", {}).get("conditions") or []
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def leader_in_event(event: KubeObject) -> str | None:
    """Return the node that an event names as announcing over layer 2; None for any other event.

    MetalLB v0.14.8 speaker/main.go handleService: reason nodeAssigned, the node in quotes, then the protocol.

    >>> leader_in_event({"reason": "nodeAssigned", "message": 'announcing from node "a" with protocol "layer2"'})
    'a'
    """
    message = event.get("message", "")
    if event.get("reason") != "nodeAssigned" or 'protocol "layer2"' not in message:
        return None
    return str(message.split('"')[1])


def newest_leaders(events: Iterable[KubeObject]) -> dict[str, str]:
    """Return the node of the newest leader event of each Service, by the Service's uid."""
    leader_events = [event for event in events if leader_in_event(event)]
    leader_events.sort(key=lambda event: int(event["metadata"]["resourceVersion"]))
    return {event["involvedObject"].get("uid", ""): leader_in_event(event) or "" for event in leader_events}


def external_addresses(service: KubeObject) -> list[str]:
    """Return the external addresses of a Service; none while it is pending, and for other types than LoadBalancer."""
    ingress = service.get("status", {}).get("loadBalancer", {}).get("ingress") or []
    return [one["ip"] for one in ingress if one.get("ip")]


def is_ip_address(text: str) -> bool:
    """Return True for an IPv4 or IPv6 address, without a port or a prefix length.

    >>> is_ip_address("192.0.2.1"), is_ip_address("svc1")
    (True, False)
    """
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def external_address(service: KubeObject) -> str:
    """Return the first external address of a Service; empty while it has none."""
    return next(iter(external_addresses(service)), "")


def endpoints_of(slices: Iterable[KubeObject], service: str) -> list[KubeObject]:
    """Return the endpoints in the slices of a Service (by its name, of any namespace), ready or not."""
    return [
        endpoint
        for piece in slices
        if piece["metadata"].get("labels", {}).get("kubernetes.io/service-name") == service
        for endpoint in piece.get("endpoints") or []
    ]
