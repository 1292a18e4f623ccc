"""Compute how long an outage is expected to last, and how much traffic it costs. Pure.

Four timers decide: memberlist moves a VIP on layer 2 (v0.5.1), the node's lease removes endpoints from the rules
(Kubernetes v1.31 node-monitor-grace-period), the hold timer removes a silent next hop from the routes (RFC 4271), and
BFD does so sooner (RFC 5880). Single connections that fail later because of conntrack are not modelled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from kanslib.i18n import tr
from kanslib.metallb.memberlist import LAN, MemberlistConfig, earliest, latest, typical

Protocol = Literal["layer 2", "BGP"]
Policy = Literal["Cluster", "Local"]
Death = Literal["killed", "silent"]

_ANNOUNCE_DELAY_S = 0.1  # from the member's death in memberlist to the first gratuitous ARP


@dataclass(frozen=True)
class Scenario:
    """A Service whose node fails, and the timers that matter. Times in seconds.

    `protocol`: how the address is announced. `policy`: externalTrafficPolicy. `death`: a node that is killed closes its
    sockets, a silent one does not. `endpoints`: how many, of which `lost` are on the node. `leads`: the node is the
    leader. `next_hops`: how many nodes advertise over BGP. `grace`: node-monitor-grace-period. `renewal`: how often a
    node's lease is renewed. `hold`: BGP's hold time. `bfd`: BFD's detection time, None without it.
    """

    protocol: Protocol = "layer 2"
    policy: Policy = "Cluster"
    death: Death = "killed"
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

    def replace(self, **changes: Any) -> Scenario:  # noqa: ANN401 (as dataclasses.replace takes them)
        """Return the same scenario with other values.

        >>> Scenario().replace(endpoints=6).endpoints
        6
        """
        return replace(self, **changes)


@dataclass(frozen=True)
class ExpectedPhase:
    """A phase of an outage: why, its end and the share of new connections that fail (0 to 1).

    `end` is the typical one, `earliest` and `latest` limit it, all in seconds after the node's failure.
    """

    why: str
    end: float
    share: float
    earliest: float
    latest: float


def expected(scenario: Scenario) -> tuple[ExpectedPhase, ...]:
    """Return the phases of an outage, in order; each begins at the end of the one before. Empty without an outage.

    >>> [(one.why, one.end, one.share) for one in expected(Scenario())]
    [('the address moves', 5.8, 1.0), ('endpoints are still in the rules', 37.5, 0.5)]
    >>> silent = Scenario(protocol="BGP", policy="Local", death="silent", hold=9)
    >>> [(one.why, one.end, one.share) for one in expected(silent)]
    [('the route is still there', 7.5, 0.5)]
    """
    removal = _endpoint_removal(scenario)
    if scenario.policy == "Local" and scenario.lost == scenario.endpoints:  # no endpoint is left on any node
        return (ExpectedPhase(tr("all its endpoints are gone"), float("inf"), 1.0, removal[0], float("inf")),)
    share = scenario.lost / scenario.endpoints if scenario.endpoints else 1.0
    stale_share = share if scenario.lost and scenario.policy == "Cluster" else 0.0
    out = []
    if takeover := _takeover(scenario):
        why, typical_end, first, last, hit = takeover
        out.append(ExpectedPhase(why, typical_end, round(hit + (1 - hit) * stale_share, 3), first, last))
    if stale_share and (not out or removal[0] > out[-1].end):
        out.append(ExpectedPhase(tr("endpoints are still in the rules"), removal[0], round(share, 3), *removal[1:]))
    return tuple(out)


def _takeover(scenario: Scenario) -> tuple[str, float, float, float, float] | None:
    """Return why packets go to the failed node, until when (typically, earliest, latest), and the share that does."""
    if scenario.protocol == "layer 2":
        if not scenario.leads:
            return None
        ends = [
            round(one(scenario.members, scenario.memberlist).dead + _ANNOUNCE_DELAY_S, 1)
            for one in (typical, earliest, latest)
        ]
        return tr("the address moves"), ends[0], ends[1], ends[2], 1.0
    share = 1 / scenario.next_hops
    if scenario.bfd is not None:
        return tr("BFD notices"), scenario.bfd, scenario.bfd * 2 / 3, scenario.bfd, share
    if scenario.death == "killed":
        return None  # its kernel closes the session at once: hardly a connection is lost
    keepalive = scenario.hold / 3
    return (
        tr("the route is still there"),
        scenario.hold - keepalive / 2,
        scenario.hold - keepalive,
        scenario.hold,
        share,
    )


def _endpoint_removal(scenario: Scenario) -> tuple[float, float, float]:
    """Return when the failed node's endpoints are out of all rules: typically, at the earliest, at the latest."""
    first = scenario.grace - scenario.renewal
    last = scenario.grace + scenario.monitor + 1.0
    return round(scenario.grace - scenario.renewal / 2 + scenario.monitor / 2, 1), first, last


def lost_seconds(scenario: Scenario) -> float:
    """Return the outage as seconds of complete failure: each phase multiplied by its share.

    >>> lost_seconds(Scenario())
    21.6
    """
    total, start = 0.0, 0.0
    for phase in expected(scenario):
        total += (phase.end - start) * phase.share
        start = phase.end
    return round(total, 1)


def compare(scenarios: Mapping[str, Scenario]) -> list[dict[str, Any]]:
    """Return a row for each scenario: until when all or some connections fail, and the lost seconds."""
    rows = []
    for name, scenario in scenarios.items():
        phases = expected(scenario)
        dark = [phase for phase in phases if phase.share == 1.0]
        partly = [phase for phase in phases if phase.share < 1.0]
        rows.append(
            {
                "SETUP": name,
                "DARK UNTIL": dark[-1].end if dark else 0.0,
                "PARTLY UNTIL": partly[-1].end if partly else 0.0,
                "SHARE FAILING": max((phase.share for phase in partly), default=0.0),
                "LOST SECONDS": lost_seconds(scenario),
            }
        )
    return rows
