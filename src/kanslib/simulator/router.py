"""Simulate the BGP router beside the cluster: its sessions with the speakers, its routes, its neighbors. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from kanslib.metallb import bgp, bgp_sessions
from kanslib.metallb.bgp_sessions import BGPSession, NeighborSummary, Router, SessionProblem
from kanslib.metallb.config import Configuration
from kanslib.metallb.resources import Objects
from kanslib.simulator.chance import Chance, Unordered


@dataclass(frozen=True)
class RouterView:
    """What a router has at a moment: the sessions of the speakers that run, and all that these advertise."""

    router: Router
    sessions: tuple[BGPSession, ...]
    routes: tuple[bgp.BGPRoute, ...]

    @classmethod
    def of(
        cls,
        router: Router,
        config: Configuration,
        objects: Objects,
        addresses: Mapping[str, str],
        running: Collection[str],
    ) -> RouterView:
        """Return the view of a router. `addresses`: of the nodes; `running`: the nodes whose speakers can reach it."""
        reachable = {node: address for node, address in addresses.items() if node in running}
        sessions = bgp_sessions.sessions(config.peers.values(), reachable, [router])
        return cls(router, tuple(sessions), tuple(bgp.advertised_by(config, objects, running)))

    def next_hops(self) -> dict[str, tuple[str, ...]]:
        """Return the router's routes: each prefix with its equal next hops."""
        return bgp_sessions.routes_of(self.router, self.sessions, self.routes)

    def neighbors(self, attempted: Iterable[str]) -> list[NeighborSummary]:
        """Return the neighbors as the router sees them. `attempted`: addresses that it tries to reach, in vain."""
        return bgp_sessions.summary(self.router, self.sessions, self.routes, attempted)

    def hold(self, node: str) -> float | None:
        """Return the hold time of a node's session in seconds, 0 for one that never expires; None without a session."""
        return next((session.hold for session in self.sessions if session.node == node and session.is_up), None)

    def chances(self) -> list[Chance]:
        """Return, for each node with several peers that lead to the router, which of them can have the session."""
        found = []
        for up in (session for session in self.sessions if session.is_up):
            others = [
                (one.peer,)
                for one in self.sessions
                if one.node == up.node and one.router == up.router and one.problem is SessionProblem.COLLISION
            ]
            if others:
                found.append(Chance(Unordered.PEERS, (up.node,), ((up.peer,), *others)))
        return found
