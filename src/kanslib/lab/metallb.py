"""What MetalLB has decided in a cluster: pools, leaders, elections, and the map that shows them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

from kanslib.actions import ACTIONS
from kanslib.exceptions import ConfigurationError, KanslibError, LeaderDisagreementWarning, NotFoundError
from kanslib.i18n import tr
from kanslib.k8s.objects import external_addresses, newest_leaders
from kanslib.lab import places
from kanslib.lab.queries import ClusterView
from kanslib.metallb import bgp
from kanslib.metallb.allocation import annotation
from kanslib.metallb.config import is_on_layer2, pools
from kanslib.metallb.ranges import ipv4_addresses

if TYPE_CHECKING:
    from kanslib.metallb.election import Election
    from kanslib.render.cluster_map import ClusterMap
    from kanslib.render.election_diagram import HashOrder
    from kanslib.render.election_tables import ExplainedElection
    from kanslib.render.map_views import VIPView
    from kanslib.render.pool_diagram import PoolAddresses


def pool(view: ClusterView) -> PoolAddresses:
    """Return every IPv4 address that the pools may hand out, in order, with a picture of who has which."""
    from kanslib.render.pool_diagram import PoolAddresses, WaitingService, pool_use

    balancers = {
        name: one for name, one in places.services_by_name(view).items() if one["spec"].get("type") == "LoadBalancer"
    }
    given = [(name, address) for name, one in balancers.items() for address in external_addresses(one)]
    waiting = [
        WaitingService(name, annotation(one, "loadBalancerIPs") or annotation(one, "address-pool"))
        for name, one in balancers.items()
        if not external_addresses(one)
    ]
    uses, problem = [], ""
    try:
        uses = [pool_use(one, given) for one in pools(view.objects).values() if one.networks]
    except ConfigurationError as error:
        problem = tr("MetalLB refuses this configuration: {error}", error=error)
    addresses = ipv4_addresses(view.objects("ipaddresspools"))
    return PoolAddresses(addresses, uses, waiting, view.provenance(), problem)


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
            tr(
                "MetalLB keeps an older configuration, because it refuses this one: {error}\nnext step: "
                "correct the object; lab.leader({service!r}) names the node that announced last",
                error=error,
                service=service,
            )
        ) from None


def _election_if_known(view: ClusterView, service: str) -> Election | None:
    """Return the election of a Service; None where nobody can work it out now."""
    try:
        return election(view, service)
    except KanslibError:  # the speaker's log was not kept, or its node is down
        return None


def disagreement(view: ClusterView, service: str, named: str | None) -> str | None:
    """Return who wins the election, where the newest leader event names another node; else None."""
    found = _election_if_known(view, service) if named else None
    return found.leader if found and found.leader != named else None


def warn_of_disagreement(view: ClusterView, service: str, named: str | None) -> None:
    """Warn where the newest leader event names another node than wins the election."""
    if elected := disagreement(view, service, named):
        words = tr(
            "{service}: the newest leader event names {named}, but {elected} wins the election among "
            "the speakers that are alive. lab.arp_scan() shows who answers; lab.election({service!r}) "
            "shows why.",
            service=service,
            named=named,
            elected=elected,
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
        raise NotFoundError(tr("a Service with an external address"), tr("lab.services() shows them"))
    candidates = election(view, names[0]).candidates
    provenance = view.provenance().with_notes(tr("order derived from the hash"))
    vips = {name: places.vip(view, name) for name in names}
    lines = election_diagram.hash_lines(vips, candidates, joins, leaves)
    return election_diagram.HashOrder(tuple(lines), provenance, tuple(joins), tuple(leaves))


def draw_map(view: ClusterView) -> ClusterMap:
    """Return the map of the cluster; a leader that the election contradicts is named beside the elected one."""
    from kanslib.render.cluster_map import ClusterMap
    from kanslib.render.map_views import MapView, node_views

    topology, active = view.topology(), view.backend.active_actions()
    is_routed = any(one.verb == "route_client" for one in active)
    vips, disagreements = _vip_views(view, is_routed=is_routed)
    stopped = {one.target for one in active if ACTIONS[one.verb].loses_node}
    nodes, pods, slices = (view.objects(kind) for kind in ("nodes", "pods", "endpointslices"))
    shown = node_views(nodes, pods, slices, [vip.service for vip in vips], stopped)
    client, router = (
        (name, topology.addresses.get(name, "")) if name else None for name in (topology.client, topology.router)
    )
    drawn = MapView(tuple(shown), tuple(vips), client, router, tuple(disagreements), is_routed=is_routed)
    return ClusterMap(drawn, view.provenance())


def _vip_views(view: ClusterView, *, is_routed: bool) -> tuple[list[VIPView], list[str]]:
    """Return every VIP with the nodes that take its requests, and where event and election name different leaders.

    These are the node that leads it over layer 2, or the nodes that advertise it: without a leader, and for a client
    that sends its packets to the router. An event stays when no speaker is left to lead, so the election counts, too.
    """
    from kanslib.render.map_views import VIPView

    advertised, found, disagreements = _advertising_nodes(view), [], []
    for name, service in places.services_by_name(view).items():
        if not (addresses := external_addresses(service)):
            continue
        nodes, led_by = tuple(advertised.get(name, ())), leader(view, name)
        elected = _election_if_known(view, name) if led_by else None
        if elected and elected.leader != led_by:
            words = elected.leader or tr("no node")
            disagreements.append(
                tr(
                    "{name}: the API's newest event names {led_by}, the election {words}",
                    name=name,
                    led_by=led_by,
                    words=words,
                )
            )
        by_bgp = bool(nodes) and (is_routed or not led_by)
        if not by_bgp:
            nodes = (led_by,) if led_by and not (elected and elected.leader is None) else ()
        local = service["spec"].get("externalTrafficPolicy") == "Local"
        found.append(VIPView(name, " ".join(addresses), nodes, by_bgp=by_bgp, local=local))
    return found, disagreements


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
