"""Which BGP sessions come up: several peers, several routers, and what each end requires."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kanslib.metallb.bgp import BGPRoute
from kanslib.metallb.bgp_sessions import Neighbor, NeighborState, Router, SessionProblem, routes_of, sessions, summary
from kanslib.metallb.peers import Peer

NODES = {"n1": "192.0.2.11", "n2": "192.0.2.12"}
NEIGHBORS = tuple(Neighbor(address, 65000) for address in NODES.values())
ROUTER = Router("left", "192.0.2.1", 65001, NEIGHBORS, hold=9)
PEER = Peer("edge", "192.0.2.1", 65001, 65000, nodes=frozenset(NODES))


def route(peer: str, node: str, prefix: str = "198.51.100.7/32") -> BGPRoute:
    return BGPRoute(prefix, node, NODES[node], peer, 0, (), ("default/web",))


def test_sessions_hold_is_the_smaller_one() -> None:
    assert [(one.node, one.is_up, one.hold) for one in sessions([PEER], NODES, [ROUTER])] == [
        ("n1", True, 9),
        ("n2", True, 9),
    ]
    assert {one.hold for one in sessions([replace(PEER, hold=3.0)], NODES, [ROUTER])} == {3.0}


@pytest.mark.parametrize(
    ("peer", "router", "problem"),
    [
        (replace(PEER, source="192.0.2.99"), ROUTER, SessionProblem.NO_SOURCE_ADDRESS),
        (replace(PEER, address="192.0.2.2"), ROUTER, SessionProblem.NO_ROUTER),
        (PEER, replace(ROUTER, port=1790), SessionProblem.PORT_CLOSED),
        (replace(PEER, password="pepper"), ROUTER, SessionProblem.PASSWORD),
        (PEER, replace(ROUTER, neighbors=()), SessionProblem.UNKNOWN_NEIGHBOR),
        (replace(PEER, my_asn=64999), ROUTER, SessionProblem.BAD_PEER_AS),
        (PEER, replace(ROUTER, asn=65002), SessionProblem.UNEXPECTED_AS),
    ],
)
def test_sessions_problem(peer: Peer, router: Router, problem: SessionProblem) -> None:
    assert {one.problem for one in sessions([peer], NODES, [router])} == {problem}


def test_sessions_equal_password_and_own_source() -> None:
    router = replace(ROUTER, neighbors=(Neighbor(NODES["n1"], 65000, "pepper"), NEIGHBORS[1]))
    peer = replace(PEER, password="pepper", source=NODES["n1"])
    found = {one.node: one.problem for one in sessions([peer], NODES, [router])}
    assert found == {"n1": None, "n2": SessionProblem.NO_SOURCE_ADDRESS}


def test_sessions_second_peer_of_one_router_collides() -> None:
    again = replace(PEER, name="second", hold=30.0)
    found = [(one.peer, one.node, one.problem) for one in sessions([PEER, again], NODES, [ROUTER])]
    assert found == [
        ("edge", "n1", None),
        ("edge", "n2", None),
        ("second", "n1", SessionProblem.COLLISION),
        ("second", "n2", SessionProblem.COLLISION),
    ]


def test_routes_of_several_routers() -> None:
    """Each router has what its own sessions bring, and at most `max_paths` of it."""
    right = Router("right", "192.0.2.2", 65002, NEIGHBORS, max_paths=1)
    peers = [PEER, Peer("other", "192.0.2.2", 65002, 65000, nodes=frozenset(NODES))]
    found = sessions(peers, NODES, [ROUTER, right])
    routes = [route("edge", "n1"), route("other", "n1"), route("other", "n2"), route("other", "n2", "203.0.113.0/24")]
    assert routes_of(ROUTER, found, routes) == {"198.51.100.7/32": ("192.0.2.11",)}
    assert routes_of(right, found, routes) == {"198.51.100.7/32": ("192.0.2.11",), "203.0.113.0/24": ("192.0.2.12",)}
    counts = {one.neighbor.address: one.prefixes for one in summary(right, found, routes)}
    assert counts == {"192.0.2.11": 1, "192.0.2.12": 2}


def test_summary_states() -> None:
    wrong = sessions([replace(PEER, my_asn=64999, nodes=frozenset({"n1"}))], NODES, [ROUTER])
    found = summary(ROUTER, wrong, [], attempted=[NODES["n2"]])
    assert [(one.state, one.notified) for one in found] == [
        (NeighborState.ACTIVE, True),
        (NeighborState.CONNECT, False),
    ]
