"""The BGP router of the course: how FRR is configured, as data and as commands. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from kanslib.metallb.bgp_sessions import Neighbor, Router

ROUTER_ID = "10.99.0.1"
_ROUTER_ASN, _NODE_ASN = 65001, 65000
_KEEPALIVE_S, _HOLD_S, _MAX_PATHS = 3, 9, 8


def course_router(name: str, address: str, nodes: Iterable[str]) -> Router:
    """Return the configuration of the course's router. `nodes`: the addresses of the nodes, its neighbors.

    >>> course_router("router", "172.18.0.200", ["172.18.0.3"]).neighbors
    (Neighbor(address='172.18.0.3', asn=65000, password=''),)
    """
    neighbors = tuple(Neighbor(node, _NODE_ASN) for node in nodes)
    return Router(name, address, _ROUTER_ASN, neighbors, hold=_HOLD_S, max_paths=_MAX_PATHS)


def vtysh_commands(router: Router) -> list[str]:
    """Return the lines that configure FRR so, for vtysh."""
    return [
        "configure terminal", f"router bgp {router.asn}", f"bgp router-id {ROUTER_ID}", "no bgp ebgp-requires-policy",
        "no bgp default ipv4-unicast", "neighbor MLB peer-group", f"neighbor MLB remote-as {_NODE_ASN}",
        f"neighbor MLB timers {_KEEPALIVE_S} {_HOLD_S}", "bgp bestpath as-path multipath-relax",
        *(f"neighbor {neighbor.address} peer-group MLB" for neighbor in router.neighbors),
        "address-family ipv4 unicast", "neighbor MLB activate", f"maximum-paths {router.max_paths}",
        "exit-address-family",
    ]  # fmt: skip
