"""How long an outage is expected to last, and how much traffic it costs. Pure.

Four clocks: gossip moves a VIP on layer 2 (memberlist v0.5.1), the node's lease takes endpoints out of the rules
(Kubernetes v1.31 node-monitor-grace-period), the hold timer takes a silent next hop out of the routes (RFC 4271), and
BFD does so sooner (RFC 5880). conntrack's memory comes on top and hits single connections: it is not in here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from kanslib.metallb.memberlist import LAN, MemberlistConfig, earliest, latest, typical

_ANNOUNCED = 0.1  # seconds from the verdict to the first gratuitous ARP


@dataclass(frozen=True)
class Scenario:
    """A Service and what it stands on. Times in seconds.

    `protocol`: how the address is announced; `policy`: externalTrafficPolicy; `death`: a node that is killed closes its
    sockets, a silent one does not. `endpoints` of which `lost` are on the dying node; `leads`: it led the address.
    `next_hops`: the nodes that announce under BGP. `grace`: node-monitor-grace-period; `renewal`: how often a node's
    lease is renewed; `hold`: BGP's hold time; `bfd`: BFD's detection time, None without it.
    """

    protocol: Literal["layer 2", "BGP"] = "layer 2"
    policy: Literal["Cluster", "Local"] = "Cluster"
    death: Literal["killed", "silent"] = "killed"
    endpoints: int = 2
    lost: int = 1
    leads: bool = True
    members: int = 4
    memberlist: MemberlistConfig = field(default=LAN)
    grace: float = 40.0
    renewal: float = 10.0
    monitor: float = 5.0
    next_hops: int = 2
    hold: float = 90.0
    bfd: float | None = None

    def replace(self, **changes: Any) -> Scenario:
        """Return the same scenario with other values.

        >>> Scenario().replace(endpoints=6).endpoints
        6
        """
        return replace(self, **changes)


@dataclass(frozen=True)
class ExpectedPhase:
    """From when to when (seconds after the death, as a rule) which share of new connections fails, and why.

    `earliest` and `latest` say when it can end.
    """

    why: str
    end: float
    share: float
    earliest: float
    latest: float


def expected(scenario: Scenario) -> tuple[ExpectedPhase, ...]:
    """Return the phases of an outage, in order; each lasts from the end of the one before. Empty: nobody notices.

    >>> [(one.why, one.end, one.share) for one in expected(Scenario())]
    [('the address moves', 5.8, 1.0), ('endpoints are still in the rules', 37.5, 0.5)]
    >>> silent = Scenario(protocol="BGP", policy="Local", death="silent", hold=9)
    >>> [(one.why, one.end, one.share) for one in expected(silent)]
    [('the route is still there', 7.5, 0.5)]
    """
    share = scenario.lost / scenario.endpoints if scenario.endpoints else 1.0
    taken = _takeover(scenario)
    rest = _endpoints_leave(scenario) if scenario.lost and scenario.policy == "Cluster" else None
    out = []
    if taken:
        why, typical_end, first, last, hit = taken
        out.append(ExpectedPhase(why, typical_end, round(hit + (1 - hit) * (share if rest else 0.0), 3), first, last))
    if rest and (not out or rest[0] > out[-1].end):
        out.append(ExpectedPhase("endpoints are still in the rules", rest[0], round(share, 3), rest[1], rest[2]))
    if scenario.policy == "Local" and scenario.lost == scenario.endpoints:  # nobody left to move to
        left = _endpoints_leave(scenario)
        out = [ExpectedPhase("all its endpoints are gone", float("inf"), 1.0, left[0], float("inf"))]
    return tuple(out)


def _takeover(scenario: Scenario) -> tuple[str, float, float, float, float] | None:
    """Return until when packets go to the dead node, at the earliest and the latest, and which share of them does."""
    if scenario.protocol == "layer 2":
        if not scenario.leads:
            return None
        ends = [
            round(one(scenario.members, scenario.memberlist).dead + _ANNOUNCED, 1)
            for one in (typical, earliest, latest)
        ]
        return "the address moves", ends[0], ends[1], ends[2], 1.0
    share = 1 / scenario.next_hops
    if scenario.bfd is not None:
        return "BFD notices", scenario.bfd, scenario.bfd * 2 / 3, scenario.bfd, share
    if scenario.death == "killed":
        return None  # its sockets close at once: hardly a connection is lost
    keepalive = scenario.hold / 3
    return "the route is still there", scenario.hold - keepalive / 2, scenario.hold - keepalive, scenario.hold, share


def _endpoints_leave(scenario: Scenario) -> tuple[float, float, float]:
    """Return when the dead node's endpoints are out of every rule: as a rule, at the earliest, at the latest."""
    first = scenario.grace - scenario.renewal
    last = scenario.grace + scenario.monitor + 1.0
    return round(scenario.grace - scenario.renewal / 2 + scenario.monitor / 2, 1), first, last


def lost_seconds(scenario: Scenario) -> float:
    """Return the outage as seconds of no service at all: each phase by its share.

    >>> lost_seconds(Scenario())
    21.6
    """
    total, start = 0.0, 0.0
    for one in expected(scenario):
        total += (one.end - start) * one.share
        start = one.end
    return round(total, 1)


def compare(scenarios: Mapping[str, Scenario]) -> list[dict[str, Any]]:
    """Return a row for each scenario: how long all fails, how long some does, and the lost seconds."""
    rows = []
    for name, scenario in scenarios.items():
        phases = expected(scenario)
        dark = [one for one in phases if one.share == 1.0]
        partly = [one for one in phases if one.share < 1.0]
        rows.append(
            {
                "SETUP": name,
                "DARK UNTIL": dark[-1].end if dark else 0.0,
                "PARTLY UNTIL": partly[-1].end if partly else 0.0,
                "SHARE FAILING": max((one.share for one in partly), default=0.0),
                "LOST SECONDS": lost_seconds(scenario),
            }
        )
    return rows
