"""Decide which BGP sessions come up: MetalLB's BGPPeers on one end, the routers' configurations on the other.

MetalLB v0.14.8 internal/bgp/native/native.go connect; FRR 8.4 bgpd (bgp_network.c bgp_accept, bgp_packet.c
bgp_open_receive). A speaker in native mode connects; it does not listen, so a session needs what the speaker dials.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from kanslib.metallb.bgp import BGPRoute, best_next_hops
from kanslib.metallb.peers import Peer


class SessionProblem(Enum):
    """Why a session does not come up."""

    NO_SOURCE_ADDRESS = "the node does not have the sourceAddress"
    NO_ROUTER = "nobody is at the peerAddress"
    PORT_CLOSED = "the router does not listen on the peerPort"
    PASSWORD = "the passwords differ, so the kernel drops the segments (TCP MD5)"
    UNKNOWN_NEIGHBOR = "the router does not know the node's address as a neighbor"
    BAD_PEER_AS = "the router expects another AS number than myASN: NOTIFICATION OPEN Message Error/Bad Peer AS"
    UNEXPECTED_AS = "the router has another AS number than peerASN"
    COLLISION = "the router has a session with this node already"


@dataclass(frozen=True)
class Neighbor:
    """A neighbor in a router's configuration: a node's address, its AS number, the password of TCP MD5."""

    address: str
    asn: int
    password: str = ""


@dataclass(frozen=True)
class Router:
    """A BGP router: its address, AS number, neighbors, hold time (seconds), and how many equal paths it uses."""

    name: str
    address: str
    asn: int
    neighbors: tuple[Neighbor, ...]
    hold: float = 90.0
    port: int = 179
    max_paths: int = 64

    def neighbor(self, address: str) -> Neighbor | None:
        """Return the neighbor with an address; None where the configuration has none."""
        return next((one for one in self.neighbors if one.address == address), None)


@dataclass(frozen=True)
class BGPSession:
    """The session of a node with a peer. `address`: the node's end. `router`: the other end; None where nobody is.

    `hold`: the hold time that both agree on, in seconds; 0 for none. `problem`: why it is down; None while it is up.
    """

    peer: str
    node: str
    address: str
    router: str | None
    hold: float
    problem: SessionProblem | None

    @property
    def is_up(self) -> bool:
        """True where both ends agree."""
        return self.problem is None


def sessions(peers: Iterable[Peer], addresses: Mapping[str, str], routers: Sequence[Router]) -> list[BGPSession]:
    """Return the session of every peer with every node that its nodeSelectors select, in order of peers and nodes.

    `addresses`: the nodes' addresses by name. Of two peers that lead a node to one router, the first gets the session;
    MetalLB starts them in no fixed order.

    >>> router = Router("router", "192.0.2.1", 65001, (Neighbor("192.0.2.2", 65000),))
    >>> peer = Peer("edge", "192.0.2.1", 65001, 64999, nodes=frozenset({"n1"}))
    >>> sessions([peer], {"n1": "192.0.2.2"}, [router])[0].problem.name
    'BAD_PEER_AS'
    """
    found: list[BGPSession] = []
    taken: set[tuple[str, str | None]] = set()
    for peer in peers:
        for node in sorted(peer.nodes & addresses.keys()):
            session = _session(peer, node, addresses[node], routers)
            if session.is_up and (node, session.router) in taken:
                session = replace(session, problem=SessionProblem.COLLISION)
            if session.is_up:
                taken.add((node, session.router))
            found.append(session)
    return found


def _session(peer: Peer, node: str, address: str, routers: Sequence[Router]) -> BGPSession:
    router = next((one for one in routers if one.address == peer.address), None)
    hold = min(peer.hold, router.hold) if router else peer.hold
    problem = _problem(peer, address, router)
    return BGPSession(peer.name, node, peer.source or address, router.name if router else None, hold, problem)


def _problem(peer: Peer, address: str, router: Router | None) -> SessionProblem | None:
    """Return what goes wrong first, in the order of a connection: address, TCP, then the OPEN messages."""
    if peer.source and peer.source != address:
        return SessionProblem.NO_SOURCE_ADDRESS
    if router is None:
        return SessionProblem.NO_ROUTER
    if router.port != peer.port:
        return SessionProblem.PORT_CLOSED
    neighbor = router.neighbor(address)
    if (neighbor.password if neighbor else "") != peer.password:
        return SessionProblem.PASSWORD
    if neighbor is None:
        return SessionProblem.UNKNOWN_NEIGHBOR
    if neighbor.asn != peer.my_asn:
        return SessionProblem.BAD_PEER_AS
    return SessionProblem.UNEXPECTED_AS if router.asn != peer.asn else None


def routes_of(router: Router, sessions: Iterable[BGPSession], routes: Iterable[BGPRoute]) -> dict[str, tuple[str, ...]]:
    """Return a router's routes, each prefix with its equal next hops: of what speakers advertise, what reaches it."""
    ends = {(one.peer, one.node): one.address for one in sessions if one.is_up and one.router == router.name}
    received = [
        replace(route, next_hop=ends[route.peer, route.node]) for route in routes if (route.peer, route.node) in ends
    ]
    return best_next_hops(received, router.max_paths)


# seconds of FRR's first attempt after a session ended, measured with FRR 8.4; the next one comes after 120 s
# (ConnectRetryTimer) and fails within 3 s, when nobody answers ARP
CONNECT_S = 75.0


class NeighborState(Enum):
    """The state of a neighbor as FRR prints it, while it lasts (RFC 4271, section 8.2.2)."""

    ESTABLISHED = "Established"
    ACTIVE = "Active"  # the node refused FRR's own connection: a speaker does not listen
    CONNECT = "Connect"  # the node does not answer at all: an attempt lasts CONNECT_S, then FRR waits in Active


@dataclass(frozen=True)
class NeighborSummary:
    """A neighbor as its router sees it. `prefixes`: how many it received. `notified`: it sent Bad Peer AS."""

    neighbor: Neighbor
    state: NeighborState
    prefixes: int
    notified: bool = False


def summary(
    router: Router, sessions: Iterable[BGPSession], routes: Iterable[BGPRoute], attempted: Iterable[str] = ()
) -> list[NeighborSummary]:
    """Return a router's neighbors as it sees them. `attempted`: addresses that it tries to reach, without an answer."""
    own = [one for one in sessions if one.router == router.name]
    up = {one.address: one for one in own if one.is_up}
    refused = {one.address for one in own if one.problem is SessionProblem.BAD_PEER_AS}
    received: dict[tuple[str, str], set[str]] = {}
    for route in routes:
        received.setdefault((route.peer, route.node), set()).add(route.prefix)
    found, unanswered = [], set(attempted)
    for neighbor in router.neighbors:
        session = up.get(neighbor.address)
        if session:
            prefixes = len(received.get((session.peer, session.node), ()))
            found.append(NeighborSummary(neighbor, NeighborState.ESTABLISHED, prefixes))
        else:
            state = NeighborState.CONNECT if neighbor.address in unanswered else NeighborState.ACTIVE
            found.append(NeighborSummary(neighbor, state, 0, neighbor.address in refused))
    return found
