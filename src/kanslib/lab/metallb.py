"""What MetalLB has decided in a cluster: pools, leaders, elections, and the map that shows them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

from kanslib.actions import ACTIONS
from kanslib.exceptions import ConfigurationError, KanslibError, LeaderDisagreementWarning, NotFoundError
from kanslib.k8s.objects import external_addresses, newest_leaders
from kanslib.lab import places
from kanslib.lab.queries import ClusterView
from kanslib.metallb import bgp
from kanslib.metallb.config import is_on_layer2
from kanslib.metallb.ranges import ipv4_addresses

if TYPE_CHECKING:
    from kanslib.metallb.election import Election
    from kanslib.render.cluster_map import ClusterMap
    from kanslib.render.election_diagram import HashOrder
    from kanslib.render.election_tables import ExplainedElection
    from kanslib.render.map_views import VIPView


def pool(view: ClusterView) -> list[str]:
    """Return every IPv4 address that the pools may hand out, in order."""
    return ipv4_addresses(view.objects("ipaddresspools"))


def leader(view: ClusterView, service: str) -> str | None:
    """Return the node that the newest leader event of a Service names; None while no L2Advertisement covers it."""
    obj = places.find_service(view, service)
    if not is_on_layer2(view.objects, external_addresses(obj)):
        return None
    return newest_leaders(view.objects("events")).get(obj["metadata"]["uid"])


def election(view: ClusterView, service: str) -> Election:
    """Work out who leads a Service, by the objects of this moment and the gossip of the control plane's speaker.

    Raise ConfigurationError while MetalLB refuses the configuration, so that its speakers keep an older one.
    """
    from kanslib.metallb import election, memberlist

    places.find_service(view, service)
    control_plane = view.topology().control_plane
    known = None  # nobody there who could say whom the gossip knows
    if control_plane in election.speakers(view.objects):
        known = memberlist.members(view.log("speaker", control_plane))
    try:
        return election.explain(view.objects, service, known)
    except ConfigurationError as error:
        raise ConfigurationError(
            f"MetalLB keeps an older configuration, because it refuses this one: {error}\n"
            f"next step: correct the object; lab.leader({service!r}) names the node that announced last"
        ) from None


def disagreement(view: ClusterView, service: str, named: str | None) -> str | None:
    """Return who wins the election, where the newest leader event names another node; else None."""
    try:
        elected = election(view, service).leader
    except KanslibError:  # the speaker's log was not kept, or its node is down
        return None
    return elected if named and elected and elected != named else None


def warn_of_disagreement(view: ClusterView, service: str, named: str | None) -> None:
    """Warn where the newest leader event names another node than wins the election."""
    if elected := disagreement(view, service, named):
        words = (
            f"{service}: the newest leader event names {named}, but {elected} wins the election among the speakers "
            f"that are alive. lab.arp_scan() shows who answers; lab.election({service!r}) shows why."
        )
        warnings.warn(words, LeaderDisagreementWarning, stacklevel=4)


def explained_election(view: ClusterView, service: str) -> ExplainedElection:
    """Return an election as an answer; see `Lab.election`."""
    from kanslib.render.election_tables import ExplainedElection

    return ExplainedElection.of(election(view, service), view.provenance())


def hash_order(view: ClusterView, services: Sequence[str], joins: Sequence[str], leaves: Sequence[str]) -> HashOrder:
    """Return the hash order of Services; see `Lab.hash_order`."""
    from kanslib.render import election_diagram

    names = [name.removeprefix("default/") for name in services] or list(places.vips(view))
    if not names:
        raise NotFoundError("a Service with an external address", "lab.services() shows them")
    candidates = election(view, names[0]).candidates
    provenance = view.provenance().with_notes("order derived from the hash")
    vips = {name: places.vip(view, name) for name in names}
    lines = election_diagram.hash_lines(vips, candidates, joins, leaves)
    return election_diagram.HashOrder(tuple(lines), provenance, tuple(joins), tuple(leaves))


def draw_map(view: ClusterView) -> ClusterMap:
    """Return the map of the cluster; a leader that the election contradicts is named beside the elected one."""
    from kanslib.render.cluster_map import ClusterMap
    from kanslib.render.map_views import MapView, node_views

    topology, vips = view.topology(), _vip_views(view)
    stopped = {one.target for one in view.backend.active_actions() if ACTIONS[one.verb].loses_node}
    nodes, pods, slices = (view.objects(kind) for kind in ("nodes", "pods", "endpointslices"))
    shown = node_views(nodes, pods, slices, [vip.service for vip in vips], stopped)
    client, router = (
        (name, topology.addresses.get(name, "")) if name else None for name in (topology.client, topology.router)
    )
    split = [
        f"{vip.service}: the API's newest event names {vip.nodes[0]}, the election {elected}"
        for vip in vips
        if vip.nodes and not vip.by_bgp and (elected := disagreement(view, vip.service, vip.nodes[0]))
    ]
    return ClusterMap(MapView(tuple(shown), tuple(vips), client, router, tuple(split)), view.provenance())


def _vip_views(view: ClusterView) -> list[VIPView]:
    """Return every VIP with the node that leads it over layer 2; without one, with the nodes that advertise it."""
    from kanslib.render.map_views import VIPView

    advertised = _advertising_nodes(view)
    found = []
    for name, service in places.services_by_name(view).items():
        if not (addresses := external_addresses(service)):
            continue
        led_by = leader(view, name)
        nodes = (led_by,) if led_by else tuple(advertised.get(name, ()))
        local = service["spec"].get("externalTrafficPolicy") == "Local"
        found.append(VIPView(name, " ".join(addresses), nodes, by_bgp=bool(nodes and not led_by), local=local))
    return found


def _advertising_nodes(view: ClusterView) -> dict[str, dict[str, None]]:
    """Return the nodes that advertise each Service to a router by BGP; none while no router runs."""
    if not view.topology().router:
        return {}
    try:
        routes = bgp.advertised(view.objects)
    except KanslibError:  # MetalLB refuses the configuration: its speakers keep an older one
        return {}
    found: dict[str, dict[str, None]] = {}
    for route in routes:
        for service in route.services:
            found.setdefault(service.removeprefix("default/"), {})[route.node] = None
    return found
