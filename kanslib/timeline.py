"""An outage taken apart: what happened when, and how the requests fared in between. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from kanslib.objects import WatchEvent, claimed_leader, is_ready, key_of
from kanslib.packets.capture import Frame
from kanslib.text import moment_of

LAST_WORDS = 1.0  # seconds after the first failure in which a dying node may still answer
_TOLD = re.compile(
    r"memberlist: (Suspect|Marking) (\S+) |\"node event\":\"(NodeLeave|NodeJoin)\".*\"node name\":\"([^\"]+)\""
)


@dataclass(frozen=True)
class Mark:
    """Something that happened `at` seconds after the act: in which lane, and in words."""

    at: float
    lane: str
    text: str


@dataclass(frozen=True)
class Phase:
    """A stretch (seconds after the act) in which requests fared alike: tried, and failed."""

    start: float
    end: float
    tried: int
    failed: int

    @property
    def name(self) -> str:
        """`dark`: all failed; `partly dark`: some did; `clean`: none did."""
        return "dark" if self.failed == self.tried else "partly dark" if self.failed else "clean"


def marks(
    events: Iterable[WatchEvent], nodes: Iterable[WatchEvent], slices: Iterable[WatchEvent], zero: float
) -> list[Mark]:
    """Leader events, nodes that became ready or not, endpoints that went or came, from `zero` on.

    The watch events have to begin well before `zero`: they tell what was the case until then.
    """
    found = [*_leaders(events, zero), *_readiness(nodes, zero), *_endpoints(slices, zero)]
    return sorted(found, key=lambda mark: mark.at)


def _leaders(events: Iterable[WatchEvent], zero: float) -> Iterable[Mark]:
    for event in events:
        node = claimed_leader(event.object)
        if event.t >= zero and event.type != "DELETED" and node:
            yield Mark(event.t - zero, "leader", f"{event.object['involvedObject']['name']}: {node}")


def _readiness(nodes: Iterable[WatchEvent], zero: float) -> Iterable[Mark]:
    known: dict[str, bool] = {}
    for event in nodes:
        name, now = event.object["metadata"]["name"], is_ready(event.object)
        if event.t >= zero and known.get(name, True) != now:
            yield Mark(event.t - zero, "node", f"{name} {'Ready' if now else 'NotReady'}")
        known[name] = now


def _endpoints(slices: Iterable[WatchEvent], zero: float) -> Iterable[Mark]:
    known: dict[tuple[str, str], set[str]] = {}
    for event in slices:
        service = event.object["metadata"].get("labels", {}).get("kubernetes.io/service-name", "")
        ready = (
            set()
            if event.type == "DELETED"
            else {
                address
                for endpoint in event.object.get("endpoints") or []
                for address in endpoint["addresses"]
                if endpoint.get("conditions", {}).get("ready", True)
            }
        )
        before = known.get(key_of(event.object))
        if before is not None and event.t >= zero:
            for address in sorted(before ^ ready):
                yield Mark(event.t - zero, "endpoints", f"{service}: {address} {'in' if address in ready else 'out'}")
        known[key_of(event.object)] = ready


def gossip(log: str, zero: float) -> list[Mark]:
    """What one speaker's memberlist said from the act on: suspicion, death, leaving and joining."""
    found = []
    for line in log.splitlines():
        moment, told = moment_of(line), _TOLD.search(line)
        if moment is None or moment < zero or not told:
            continue
        words = {"Suspect": "suspects", "Marking": "declares dead"}
        text = f"{words[told[1]]} {told[2]}" if told[1] else f"{told[3]} {told[4]}"
        found.append(Mark(moment - zero, "memberlist", text))
    return found


def gratuitous(frames: Iterable[Frame], vips: Mapping[str, str], zero: float) -> list[Mark]:
    """The gratuitous ARP of the given addresses (address: Service name)."""
    return [
        Mark(frame.time - zero, "gratuitous ARP", f"{vips[frame.arp.sender_ip]} is-at {frame.arp.sender_mac}")
        for frame in frames
        if frame.arp and frame.arp.is_gratuitous and frame.arp.sender_ip in vips
    ]


def phases(probes: Sequence[Mapping[str, Any]], zero: float, calm: float = 3.0, run: int = 5) -> list[Phase]:
    """The stretches of one Service's requests from the act on.

    Failures less than `calm` seconds apart are one trouble; `run` or more failures in a row at its beginning
    are its dark phase. Seconds are counted from `zero` (Unix seconds).

    >>> tries = [{"t": 10 + i / 10, "ok": i > 4} for i in range(60)]
    >>> [(phase.name, phase.tried) for phase in phases(tries, 10)]
    [('dark', 5), ('clean', 55)]
    """
    tries = [(probe["t"] - zero, bool(probe["ok"])) for probe in probes if probe["t"] >= zero]
    cuts = sorted({0, *_boundaries(tries, calm, run), len(tries)})
    starts = [tries[cut][0] for cut in cuts[:-1]]
    ends = [*starts[1:], tries[-1][0]] if tries else []
    parts = [tries[a:b] for a, b in pairwise(cuts)]
    return [
        Phase(start, end, len(part), sum(not ok for _, ok in part))
        for start, end, part in zip(starts, ends, parts, strict=True)
    ]


def _boundaries(tries: Sequence[tuple[float, bool]], calm: float, run: int) -> Iterable[int]:
    """Where a phase begins, as positions in `tries`."""
    failed = [i for i, (_, ok) in enumerate(tries) if not ok]
    for before, i in zip([None, *failed], failed, strict=False):
        if before is not None and tries[i][0] - tries[before][0] < calm:
            continue
        if before is not None:
            yield before + 1
        yield i
        # a dying node answers a few times more: its Pods go before its network does
        last_words = [n for n in range(i, len(tries)) if tries[n][0] - tries[i][0] < LAST_WORDS]
        for start in last_words:
            dark = next((n for n, (_, ok) in enumerate(tries[start:]) if ok), len(tries) - start)
            if dark >= run:
                yield start
                yield start + dark
                break
    if failed:
        yield failed[-1] + 1
