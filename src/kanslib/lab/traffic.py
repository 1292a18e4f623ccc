"""What is sent through a cluster or asked of its places: requests, ARP scans, neighbor tables, routes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kanslib.i18n import listed, tr
from kanslib.lab import packet_path, places
from kanslib.lab.queries import ClusterView
from kanslib.render import command_tables

if TYPE_CHECKING:
    from kanslib.answer import Text
    from kanslib.render.rows import Columns, Rows
    from kanslib.render.tables import Table

_CONTAINERS = "docker ps -a --format 'table {{.ID}}\\t{{.Image}}\\t{{.Status}}\\t{{.Ports}}\\t{{.Names}}'"


def _table(text: Text, rows: Rows, columns: Columns | Sequence[str], empty_because: str) -> Table:
    from kanslib.render.tables import Table

    return Table.from_rows(rows, text.provenance, columns, empty_because=empty_because)


def curl(view: ClusterView, target: str, times: int, source: str | None, *, in_order: bool) -> Table:
    """Send requests and count who answered, or list the answers one by one; see `Lab.curl`."""
    aim = packet_path.resolve(view, target)
    sent = view.backend.requests(str(aim), times, source or places.client(view))
    why = tr("no request was sent to {target}", target=target)
    if in_order:
        rows = command_tables.ordered_request_rows(sent.output, sent.count, sent.connect_error)
        return _table(sent.output, rows, command_tables.ORDERED_REQUEST_COLUMNS, why)
    rows = command_tables.request_rows(sent.output, sent.count, sent.connect_error)
    return _table(sent.output, rows, command_tables.REQUEST_COLUMNS, why)


def arp_scan(view: ClusterView, source: str | None) -> Table:
    """Ask for every address of the pool; see `Lab.arp_scan`."""
    text = view.backend.arp_scan(source or places.client(view))
    rows = command_tables.arp_scan_rows(text, view.mac_owners())
    why = tr("nobody answered for an address of the pools at this moment")
    return _table(text, rows, command_tables.ARP_SCAN_COLUMNS, why)


def neighbors(view: ClusterView, place: str | None) -> Table:
    """Read a place's neighbor table; see `Lab.neighbors`."""
    holder = place or places.client(view)
    text = view.backend.run(holder, "ip -j neigh")
    rows = command_tables.neighbor_rows(text, view.mac_owners())
    return _table(
        text, rows, command_tables.NEIGHBOR_COLUMNS, tr("{holder} has no neighbor entry at this moment", holder=holder)
    )


def routes(view: ClusterView) -> Table:
    """Read the router's BGP routes; see `Lab.routes`."""
    router = places.router(view)
    text = view.backend.run(router, "vtysh -c 'show ip route bgp json'")
    rows = command_tables.route_rows(text, places.names_by_address(view))
    return _table(
        text, rows, command_tables.ROUTE_COLUMNS, tr("{router} has no BGP route at this moment", router=router)
    )


def containers(view: ClusterView, *, wide: bool) -> Table:
    """List the containers; see `Lab.containers`."""
    text = view.backend.run("host", _CONTAINERS)
    columns = command_tables.CONTAINER_COLUMNS.shown(wide)
    return _table(text, command_tables.column_rows(text), columns, tr("docker lists no container at this moment"))


def capture_path(view: ClusterView, service: str) -> Table:
    """Follow one request from place to place; see `Lab.capture_path`."""
    from kanslib.render.tables import Table

    name = service.removeprefix("default/")
    hops, provenance = view.backend.capture_path(str(packet_path.resolve(view, name)), name)
    rows = command_tables.path_rows([(hop.place, hop.interface, hop.frames) for hop in hops])
    why = tr(
        "no TCP packet to {service} was captured at {hops}",
        service=service,
        hops=listed(hop.place for hop in hops) or tr("any place"),
    )
    return Table.from_rows(rows, provenance, command_tables.PATH_COLUMNS, empty_because=why)
