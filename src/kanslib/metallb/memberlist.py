"""Compute when speakers detect a failed one (hashicorp/memberlist v0.5.1, as MetalLB v0.14.8 uses it)."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from kanslib.i18n import tr
from kanslib.k8s.logs import with_timestamps


@dataclass(frozen=True)
class MemberlistConfig:
    """memberlist's settings (config.go DefaultLANConfig); times in seconds."""

    probe_interval: float = 1.0  # one member is probed each interval
    suspicion_mult: int = 4
    suspicion_max_mult: int = 6
    awareness_max: int = 8


LAN = MemberlistConfig()


@dataclass(frozen=True)
class Detection:
    """Seconds from a member's failure until it is suspected and until it is declared dead."""

    suspect: float
    dead: float

    def __str__(self) -> str:
        return tr("suspected after {suspect:.1f} s, dead after {dead:.1f} s", suspect=self.suspect, dead=self.dead)


def suspicion_timeout(members: int, confirmations: int = 0, config: MemberlistConfig = LAN) -> float:
    """Return how long a suspected member has to answer, in seconds, after so many confirmations of the suspicion.

    memberlist v0.5.1 state.go suspectNode, suspicion.go remainingSuspicionTime: the timeout starts long and shrinks
    with each confirmation. Below four members there cannot be enough confirmations: the short timeout holds at once.

    >>> [suspicion_timeout(4, confirmations) for confirmations in (0, 1, 2)], suspicion_timeout(3)
    ([24.0, 11.381, 4.0], 4.0)
    """
    shortest = config.suspicion_mult * max(1.0, math.log10(max(1.0, members))) * config.probe_interval
    longest = config.suspicion_max_mult * shortest
    needed = config.suspicion_mult - 2  # confirmations until the shortest timeout
    if members - 2 < needed or needed < 1:
        return shortest
    share = math.log(confirmations + 1) / math.log(needed + 1)
    return max(shortest, math.floor(1000 * (longest - share * (longest - shortest))) / 1000)


def detection(first_probes: Iterable[float], members: int, config: MemberlistConfig = LAN) -> Detection:
    """Return when a failed member is suspected and declared dead, from each survivor's first probe of it (seconds).

    A probe fails when its interval is over. The first failure starts the suspicion; each later one confirms it.

    >>> detection([0.6, 1.9, 2.7], members=4)
    Detection(suspect=1.6, dead=5.6)
    """
    failures = sorted(probe + config.probe_interval for probe in first_probes)
    suspect = failures[0]
    dead = suspect + suspicion_timeout(members, 0, config)
    for confirmations, failure in enumerate(failures[1:], 1):
        if failure >= dead:
            break
        dead = max(failure, suspect + suspicion_timeout(members, confirmations, config))
    return Detection(round(suspect, 3), round(dead, 3))


def earliest(members: int, config: MemberlistConfig = LAN) -> Detection:
    """Return the fastest detection: every survivor probes the failed member at once."""
    return detection([0.0] * (members - 1), members, config)


def latest(members: int, config: MemberlistConfig = LAN) -> Detection:
    """Return the slowest detection: all had just probed the failed member, and it comes last in their next round."""
    return detection([(2 * (members - 1) - 1) * config.probe_interval] * (members - 1), members, config)


def typical(members: int, config: MemberlistConfig = LAN) -> Detection:
    """Return the typical detection: the survivors' next probes lie evenly over one round of `members - 1` intervals.

    >>> typical(4)
    Detection(suspect=1.75, dead=5.75)
    """
    survivors, turn = members - 1, (members - 1) * config.probe_interval
    return detection([turn * (place + 1) / (survivors + 1) for place in range(survivors)], members, config)


def sample(members: int, seed: int, config: MemberlistConfig = LAN) -> Detection:
    """Return one possible detection: each survivor probes the failed member at a random moment of its round."""
    rng, turn = random.Random(seed), (members - 1) * config.probe_interval
    return detection([rng.uniform(0, turn) for _ in range(members - 1)], members, config)


def isolated_detection(members: int, config: MemberlistConfig = LAN) -> tuple[float, ...]:
    """Return when an isolated member declares the others dead, at the earliest, in seconds after its first probe.

    Nobody confirms its suspicions, so the long timeout holds. Each failed probe without help from others also lowers
    its own health score (awareness.go), and with a lower score it probes more slowly.

    >>> isolated_detection(4)
    (25.0, 28.0, 32.0)
    """
    timeout, moment, declared = suspicion_timeout(members, 0, config), 0.0, []
    for turn in range(members - 1):
        slower = 1 if turn == 0 else min(turn + 2, config.awareness_max)
        moment += slower * config.probe_interval
        declared.append(moment + timeout)
    return tuple(declared)


def members(log: str) -> frozenset[str]:
    """Return the nodes that a speaker takes for alive, by its log so far (MetalLB speakerlist.go: "node event").

    >>> import kanslib
    >>> lab = kanslib.open_lab(story="failover")  # doctest: +ELLIPSIS
    recorded · story 'failover': ...
    >>> lab.at("kill-node", after=15)
    >>> sorted(members(lab.log("speaker", lab.control_plane)))
    ['myk8s-control-plane', 'myk8s-worker2', 'myk8s-worker3']
    """
    return membership_history(log)[-1][1]


class _NodeEventEntry(msgspec.Struct, frozen=True):
    """A line that a speaker logs when a node joins or leaves."""

    event: str = msgspec.field(name="node event")
    node: str = msgspec.field(name="node name")


def membership_history(log: str) -> list[tuple[float, frozenset[str]]]:
    """Return the nodes that a speaker took for alive, and since when (Unix seconds), by its log; none at first."""
    found: list[tuple[float, frozenset[str]]] = [(float("-inf"), frozenset())]
    for moment, line in with_timestamps(log.splitlines()):
        start = line.find("{")
        if '"node event":"' not in line or start < 0:
            continue
        try:
            entry = msgspec.json.decode(line[start:], type=_NodeEventEntry)
        except (msgspec.DecodeError, RecursionError):
            continue  # a line that is cut off
        alive = found[-1][1] - {entry.node}
        if entry.event != "NodeLeave":
            alive |= {entry.node}
        found.append((moment, alive))
    return found
