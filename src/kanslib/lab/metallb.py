"""What MetalLB has decided in a cluster: pools, leaders, elections, and the map that shows them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

from kanslib.exceptions import ConfigurationError, KanslibError, LeaderDisagreementWarning, NotFoundError
from kanslib.k8s.objects import KubeObject, external_addresses, newest_leaders
from kanslib.lab import places
from kanslib.lab.queries import ClusterView
from kanslib.metallb.config import pool_of, pools
from kanslib.metallb.ranges import ipv4_addresses

if TYPE_CHECKING:
    from kanslib.metallb.election import Election
    from kanslib.render.election_tables import ExplainedElection
    from kanslib.render.svg import SVG


def pool(view: ClusterView) -> list[str]:
    """Return every IPv4 address that the pools may hand out, in order."""
    return ipv4_addresses(view.objects("ipaddresspools"))


def leader(view: ClusterView, service: str) -> str | None:
    """Return the node that the newest leader event of a Service names; None while no L2Advertisement covers it."""
    obj = places.find_service(view, service)
    if not _is_covered(view, obj):
        return None
    return newest_leaders(view.objects("events")).get(obj["metadata"]["uid"])


def _is_covered(view: ClusterView, service: KubeObject) -> bool:
    """Return True when an L2Advertisement covers a Service, or when speakers keep an older configuration than this."""
    try:
        found = pool_of(pools(view.objects), external_addresses(service))
    except ConfigurationError:
        return True
    return found is not None and any(one.nodes for one in found.layer2)


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


def hash_order(view: ClusterView, services: Sequence[str], joins: Sequence[str], leaves: Sequence[str]) -> SVG:
    """Draw the hash order of Services; see `Lab.hash_order`."""
    from kanslib.render import election_diagram

    names = [name.removeprefix("default/") for name in services] or list(places.vips(view))
    if not names:
        raise NotFoundError("a Service with an external address", "lab.services() shows them")
    candidates = election(view, names[0]).candidates
    provenance = view.provenance().with_notes("order derived from the hash")
    return election_diagram.draw(
        {name: places.vip(view, name) for name in names}, candidates, provenance, joins, leaves
    )


def draw_map(view: ClusterView) -> SVG:
    """Draw the cluster; a leader that the election contradicts is shown beside the elected one."""
    from kanslib.render import cluster_map

    topology = view.topology()
    found = {name: (address, leader(view, name)) for name, address in places.vips(view).items()}
    nodes = cluster_map.node_views(view.objects("nodes"), view.objects("pods"), found)
    outside = [
        (name, topology.addresses.get(name, "")) if name else None for name in (topology.client, topology.router)
    ]
    homeless = [f"{name} {address}" for name, (address, node) in found.items() if node is None]
    split = [
        f"{name}: the API's newest event names {node}, the election {elected}"
        for name, (_, node) in found.items()
        if (elected := disagreement(view, name, node))
    ]
    return cluster_map.draw(nodes, outside[0], outside[1], homeless, view.provenance(), split)
