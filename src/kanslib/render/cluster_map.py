"""The map of a cluster: zones, nodes, speakers, Pods, the client, the router, and the path of requests to each VIP."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from kanslib.answer import Provenance
from kanslib.i18n import any_of, listed, parted, tr, tr_plural
from kanslib.render.figure import Drawing, Figure
from kanslib.render.map_drawing import draw
from kanslib.render.map_views import MapView, NodeView, VIPView
from kanslib.render.rows import Row, Rows


@dataclass(frozen=True, repr=False)
class ClusterMap(Figure):
    """A cluster at one moment: a picture in a notebook, `describe()` in words, `table` with a row for each node.

    `changed`: the names of nodes and Services to point out.
    """

    view: MapView
    provenance: Provenance
    changed: frozenset[str] = frozenset()

    def since(self, before: ClusterMap) -> ClusterMap:
        """Return this map with what has changed since another moment pointed out."""
        old = {*before.view.nodes, *before.view.vips}
        changed = {node.name for node in self.view.nodes if node not in old}
        return self.pointing_out(changed | {vip.service for vip in self.view.vips if vip not in old})

    def pointing_out(self, names: Iterable[str]) -> ClusterMap:
        """Return this map with these nodes and Services pointed out."""
        return replace(self, changed=frozenset(names))

    def drawing(self, width: int) -> Drawing:
        """Return the map at a width in px: the nodes in as many columns as fit."""
        return draw(self.view, width, self.changed)

    def describe(self) -> str:
        """Return the map in words."""
        view = self.view
        lines = [tr_plural("{n} node on one network.", "{n} nodes on one network.", len(view.nodes))]
        if view.client:
            name, address = view.client
            words = tr_plural(
                "{n} node on one network, and the client {client} at {address}.",
                "{n} nodes on one network, and the client {client} at {address}.",
                len(view.nodes), client=name, address=address,
            )  # fmt: skip
            lines = [words]
        if view.router:
            lines.append(tr("The router {router} at {address}.", router=view.router[0], address=view.router[1]))
        lines += [self._describe_node(node) for node in view.nodes]
        lines += [self._describe_path(vip) for vip in view.vips if vip.nodes]
        if unannounced := [str(vip) for vip in view.vips if not vip.nodes]:
            lines.append(tr("Nobody leads {unannounced}.", unannounced=listed(unannounced)))
        return "\n".join([*lines, *(f"{line}." for line in view.disagreements)])

    def _describe_node(self, node: NodeView) -> str:
        has = [node.state]
        has += [tr("pods {pods}", pods=listed(map(str, node.pods)))] if node.pods else []
        has += [tr("leads {led}", led=led)] if (led := self._announced(node, by_bgp=False)) else []
        has += [tr("advertises {routes}", routes=routes)] if (routes := self._announced(node, by_bgp=True)) else []
        zone = [tr("zone {zone}", zone=node.zone)] if node.zone else []
        return f"{node.name} ({listed([node.role, node.address, *zone])}): {parted(has)}."

    def _describe_path(self, vip: VIPView) -> str:
        view = self.view
        pods = [pod.name for node in view.nodes for pod in view.pods_of(vip, node)]
        outside = [view.client[0]] if view.client and not view.is_only_routed(vip) else []
        outside += [view.router[0]] if vip.by_bgp and view.router else []
        path = " → ".join([*outside, any_of(vip.nodes), any_of(pods) or tr("no Pod")])
        if view.is_only_routed(vip):
            return tr("Routes to {vip}: {path}.", vip=vip, path=path)
        return tr("Requests to {vip}: {path}.", vip=vip, path=path)

    def _announced(self, node: NodeView, *, by_bgp: bool) -> str:
        return listed(str(vip) for vip in self.view.vips if vip.by_bgp == by_bgp and node.name in vip.nodes)

    def rows(self) -> Rows:
        """Return a row for each node: NODE, ADDRESS, ROLE, ZONE, STATE, PODS, LEADS, and ADVERTISES (by BGP)."""
        return [self._row(node) for node in self.view.nodes]

    def _row(self, node: NodeView) -> Row:
        return {
            "NODE": node.name, "ADDRESS": node.address, "ROLE": node.role, "ZONE": node.zone, "STATE": node.state,
            "PODS": listed(map(str, node.pods)), "LEADS": self._announced(node, by_bgp=False),
            "ADVERTISES": self._announced(node, by_bgp=True),
        }  # fmt: skip
