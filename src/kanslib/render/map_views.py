"""What the map shows of a cluster: its nodes with their Pods, its VIPs with the nodes that announce them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from kanslib.i18n import listed, tr
from kanslib.k8s.endpoints import by_service, conditions, endpoints_in
from kanslib.k8s.objects import KubeObject, internal_ip, is_ready, join_name, labels_of, name_of, qualified_name
from kanslib.metallb.election import EXCLUDE


@dataclass(frozen=True)
class VIPView:
    """A VIP on the map: its Service, its addresses, the nodes that announce it, and whether they do so by BGP.

    `nodes`: the leader, or the nodes that advertise a route to a router; empty while nobody announces it.
    `local`: these nodes send requests to their own Pods only (`externalTrafficPolicy: Local`).
    """

    service: str
    addresses: str
    nodes: tuple[str, ...]
    by_bgp: bool = False
    local: bool = False

    def __str__(self) -> str:
        return f"{self.service} {self.addresses}"


@dataclass(frozen=True)
class PodView:
    """A Pod on the map, and the Services whose rules send requests to it."""

    name: str
    ready: bool
    services: tuple[str, ...]

    def __str__(self) -> str:
        return self.name if self.ready else tr("{name} (not ready)", name=self.name)


@dataclass(frozen=True)
class NodeView:
    """A node on the map. `stopped`: an action has killed it or cut it off, whatever the API still says (`ready`)."""

    name: str
    address: str
    zone: str
    role: str
    ready: bool
    stopped: bool
    speaker: bool
    excluded: bool
    pods: tuple[PodView, ...]

    @property
    def dead(self) -> bool:
        """Whether no packet is answered here, or the API says so."""
        return self.stopped or not self.ready

    @property
    def state(self) -> str:
        """The node's state in words."""
        health = "NotReady" if not self.ready else tr("down, the API still says Ready") if self.stopped else ""
        speaker = tr("speaker") if self.speaker else tr("no speaker")
        return listed(filter(None, [health, speaker, tr("not allowed to lead") if self.excluded else ""]))


@dataclass(frozen=True)
class MapView:
    """A cluster at one moment, as the map shows it.

    `client` and `router`: name and address. `disagreements`: who leads by the API's newest event, and who by the
    election, where these differ. `is_routed`: the client sends its packets for VIPs to the router.
    """

    nodes: tuple[NodeView, ...]
    vips: tuple[VIPView, ...]
    client: tuple[str, str] | None = None
    router: tuple[str, str] | None = None
    disagreements: tuple[str, ...] = ()
    is_routed: bool = False

    def is_only_routed(self, vip: VIPView) -> bool:
        """Return True where a router has the routes to a VIP, and the client does not send its packets there."""
        return vip.by_bgp and not (self.client and self.is_routed)

    def pods_of(self, vip: VIPView, node: NodeView) -> list[PodView]:
        """Return the Pods on a node that requests to a VIP can reach."""
        if not vip.nodes or (vip.local and node.name not in vip.nodes):
            return []
        return [pod for pod in node.pods if vip.service in pod.services]


def node_views(
    nodes: Sequence[KubeObject],
    pods: Sequence[KubeObject],
    slices: Sequence[KubeObject],
    services: Collection[str],
    stopped: Collection[str],
) -> list[NodeView]:
    """Return what the map shows of each node: the Pods of the namespace `default` and those behind the `services`."""
    served = _served_by_pod(slices, services)
    views = []
    for node in nodes:
        name, labels = name_of(node), labels_of(node)
        here = [pod for pod in pods if pod["spec"].get("nodeName") == name]
        shown = [pod for pod in here if qualified_name(pod) in served or pod["metadata"]["namespace"] == "default"]
        views.append(
            NodeView(
                name,
                internal_ip(node),
                labels.get("topology.kubernetes.io/zone", ""),
                tr("control plane") if "node-role.kubernetes.io/control-plane" in labels else tr("worker"),
                is_ready(node),
                name in stopped,
                any(labels_of(pod).get("component") == "speaker" for pod in here),
                EXCLUDE in labels,
                tuple(
                    PodView(qualified_name(pod), is_ready(pod), tuple(served.get(qualified_name(pod), ())))
                    for pod in shown
                ),
            )
        )
    return views


def _served_by_pod(slices: Sequence[KubeObject], services: Collection[str]) -> Mapping[str, list[str]]:
    """Return the Services that send requests to each Pod: it is a ready endpoint of theirs."""
    served: dict[str, list[str]] = {}
    for (namespace, name), mine in sorted(by_service(slices).items()):
        service = join_name(namespace, name)
        if service not in services:
            continue
        for endpoint in endpoints_in(mine):
            target = endpoint.get("targetRef", {})
            ready, _, _ = conditions(endpoint)
            if ready and target.get("kind") == "Pod":
                known = served.setdefault(join_name(target.get("namespace", namespace), target["name"]), [])
                known += [service] if service not in known else []
    return served
