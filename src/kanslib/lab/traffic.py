"""What is sent through a cluster or asked of its places: requests, ARP scans, neighbor tables, routes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kanslib.lab import packet_path, places
from kanslib.lab.queries import ClusterView
from kanslib.render import command_tables

if TYPE_CHECKING:
    from kanslib.answer import Text
    from kanslib.render.rows import Rows
    from kanslib.render.tables import Table

_CONTAINERS = "docker ps -a --format 'table {{.ID}}\\t{{.Image}}\\t{{.Status}}\\t{{.Ports}}\\t{{.Names}}'"


def _table(text: Text, rows: Rows, columns: Sequence[str] | None = None) -> Table:
    from kanslib.render.tables import Table

    return Table.from_rows(rows, text.provenance, columns)


def curl(view: ClusterView, target: str, times: int, source: str | None) -> Table:
    """Send requests and count who answered; see `Lab.curl`."""
    aim = packet_path.resolve(view, target)
    text, sent = view.backend.requests(str(aim), times, source or places.client(view))
    return _table(text, command_tables.request_rows(text, sent), command_tables.REQUEST_COLUMNS)


def arp_scan(view: ClusterView, source: str | None) -> Table:
    """Ask for every address of the pool; see `Lab.arp_scan`."""
    text = view.backend.arp_scan(source or places.client(view))
    return _table(text, command_tables.arp_scan_rows(text, view.mac_owners()), command_tables.ARP_SCAN_COLUMNS)


def neighbors(view: ClusterView, place: str | None) -> Table:
    """Read a place's neighbor table; see `Lab.neighbors`."""
    text = view.backend.run(place or places.client(view), "ip -j neigh")
    rows = command_tables.neighbor_rows(text, view.mac_owners())
    return _table(text, rows, command_tables.NEIGHBOR_COLUMNS)


def routes(view: ClusterView) -> Table:
    """Read the router's BGP routes; see `Lab.routes`."""
    text = view.backend.run(places.router(view), "vtysh -c 'show ip route bgp json'")
    rows = command_tables.route_rows(text, places.names_by_address(view))
    return _table(text, rows, command_tables.ROUTE_COLUMNS)


def containers(view: ClusterView) -> Table:
    """List the containers; see `Lab.containers`."""
    text = view.backend.run("host", _CONTAINERS)
    return _table(text, command_tables.column_rows(text))


def capture_path(view: ClusterView, service: str) -> Table:
    """Follow one request from place to place; see `Lab.capture_path`."""
    from kanslib.render.tables import Table

    name = service.removeprefix("default/")
    hops, provenance = view.backend.capture_path(str(packet_path.resolve(view, name)), name)
    rows = command_tables.path_rows([(hop.place, hop.interface, hop.frames) for hop in hops])
    return Table.from_rows(rows, provenance, command_tables.PATH_COLUMNS)
