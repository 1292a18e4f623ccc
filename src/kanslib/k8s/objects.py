"""Objects as of a moment, from the watch events of a recording."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

KubeObject = dict[str, Any]

# kubectl's short names and singulars, for people who type what they type every day
ALIASES = {
    "no": "nodes", "po": "pods", "svc": "services", "ns": "namespaces", "ev": "events", "ep": "endpoints",
    "ds": "daemonsets", "deploy": "deployments", "ipaddresspool": "ipaddresspools", "eps": "endpointslices",
}  # fmt: skip


@dataclass(frozen=True)
class WatchEvent:
    """One line of a watch stream: at `t` (Unix seconds) the object was ADDED, MODIFIED or DELETED.

    LIST has no object: what was known before is another cluster's.
    """

    t: float
    type: str
    object: KubeObject


def plural(kind: str) -> str:
    """The resource name of what a learner typed.

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


def key_of(obj: KubeObject) -> tuple[str, str]:
    """Namespace (empty for none) and name: what tells objects of a kind apart, in the order of kubectl -A."""
    meta = obj["metadata"]
    return meta.get("namespace", ""), meta["name"]


def identity(document: KubeObject) -> tuple[str, str, str]:
    """Kind, namespace and name: which object a manifest speaks of."""
    meta = document["metadata"]
    return document["kind"], meta.get("namespace", "default"), meta["name"]


@dataclass
class Store:
    """The objects of some kinds as a stream of changes leaves them.

    A watch that was connected again repeats ADDED for what it had told before: the newer one counts.
    """

    kinds: dict[str, dict[tuple[str, str], KubeObject]] = field(default_factory=dict)

    def take(self, kind: str, event: WatchEvent) -> None:
        """One change."""
        known = self.kinds.setdefault(kind, {})
        if event.type == "LIST":
            known.clear()
        elif event.type == "DELETED":
            known.pop(key_of(event.object), None)
        else:
            known[key_of(event.object)] = event.object

    def objects(self, kind: str) -> list[KubeObject]:
        """The objects of a kind, by namespace and name."""
        known = self.kinds.get(kind, {})
        return [known[key] for key in sorted(known)]


def as_of(events: Iterable[WatchEvent], moment: float) -> list[KubeObject]:
    """The objects that existed at `moment` (Unix seconds), by namespace and name, from the watch events of one kind."""
    store = Store()
    for event in events:
        if event.t > moment:
            break
        store.take("", event)
    return store.objects("")


def is_ready(obj: KubeObject) -> bool:
    """True when the object's condition Ready is True."""
    conditions = obj.get("status", {}).get("conditions") or []
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def leader_in_event(event: KubeObject) -> str | None:
    """The node that an event says to announce over layer 2; None for any other event.

    MetalLB v0.14.8 speaker/main.go handleService: reason nodeAssigned, the node in quotes, then the protocol.

    >>> leader_in_event({"reason": "nodeAssigned", "message": 'announcing from node "a" with protocol "layer2"'})
    'a'
    """
    message = event.get("message", "")
    if event.get("reason") != "nodeAssigned" or 'protocol "layer2"' not in message:
        return None
    return str(message.split('"')[1])


def newest_leaders(events: Iterable[KubeObject]) -> dict[str, str]:
    """Who claimed last to lead on layer 2: the Service's uid, and the node."""
    claims = [event for event in events if leader_in_event(event)]
    claims.sort(key=lambda event: int(event["metadata"]["resourceVersion"]))
    return {event["involvedObject"].get("uid", ""): leader_in_event(event) or "" for event in claims}


def external_addresses(service: KubeObject) -> list[str]:
    """A Service's external addresses; none while it is pending, and for one that is no LoadBalancer."""
    ingress = service.get("status", {}).get("loadBalancer", {}).get("ingress") or []
    return [one["ip"] for one in ingress if one.get("ip")]


def external_address(service: KubeObject) -> str:
    """The first of a Service's external addresses; empty while it has none."""
    return next(iter(external_addresses(service)), "")


def endpoints_of(slices: Iterable[KubeObject], service: str) -> list[KubeObject]:
    """The endpoints that the slices of a Service name, ready or not."""
    return [
        endpoint
        for piece in slices
        if piece["metadata"].get("labels", {}).get("kubernetes.io/service-name") == service
        for endpoint in piece.get("endpoints") or []
    ]
