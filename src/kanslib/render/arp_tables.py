"""ARP and neighbor discovery as rows: announcements, a neighbor cache, conflicts, scans."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kanslib.analysis.neighbor_cache import NeighborUpdate
from kanslib.analysis.neighbors import Announcement, NeighborAnalysis
from kanslib.analysis.observation_data import ObservedTime
from kanslib.i18n import listed, numeral, parted
from kanslib.render.rows import Row

ANNOUNCEMENT_COLUMNS = ("AT", "ADDRESS", "HOLDER", "ROUNDS", "GAPS", "REQUESTS", "REPLIES", "SECONDS", "ANOMALIES")


def announcement_rows(
    announcements: Sequence[Announcement], window: ObservedTime, places: Mapping[str, str]
) -> list[Row]:
    """Return one row for each run of gratuitous ARP; AT, GAPS and SECONDS are seconds, AT counts from the action."""
    return [
        {
            "AT": round(one.rounds[0] - window.zero, 2),
            "ADDRESS": one.address,
            "HOLDER": places.get(one.mac, one.mac),
            "ROUNDS": len(one.rounds),
            "GAPS": " ".join(numeral(gap, ".1f") for gap in one.gaps),
            "REQUESTS": one.requests,
            "REPLIES": one.replies,
            "SECONDS": round(one.seconds, 1),
            "ANOMALIES": parted(one.oddities),
        }
        for one in announcements
    ]


NEIGHBOR_COLUMNS = ("AT", "ADDRESS", "HOLDER", "BECAUSE", "FRAME")


def neighbor_rows(updates: Sequence[NeighborUpdate], window: ObservedTime, places: Mapping[str, str]) -> list[Row]:
    """Return the changes of a neighbor cache within a window; AT is seconds after the action."""
    return [
        {
            "AT": round(change.time - window.zero, 2),
            "ADDRESS": change.address,
            "HOLDER": places.get(change.mac, change.mac),
            "BECAUSE": str(change.reason),
            "FRAME": change.frame,
        }
        for change in updates
        if window.start <= change.time <= window.end
    ]


CONFLICT_COLUMNS = ("AT", "ADDRESS", "HOLDERS", "FRAMES")


def conflict_rows(analysis: NeighborAnalysis, window: ObservedTime, places: Mapping[str, str]) -> list[Row]:
    """Return the addresses for which two machines answer; AT is seconds after the action."""
    return [
        {
            "AT": round(conflict.first - window.zero, 2),
            "ADDRESS": conflict.address,
            "HOLDERS": listed(places.get(mac, mac) for mac in conflict.macs),
            "FRAMES": listed(map(str, conflict.frames)),
        }
        for conflict in analysis.conflicts()
    ]


SCAN_COLUMNS = ("AT", "HOST", "ASKED", "ANSWERED")


def scan_rows(analysis: NeighborAnalysis, window: ObservedTime, places: Mapping[str, str]) -> list[Row]:
    """Return who asked for many addresses in a row; AT is seconds after the action."""
    return [
        {
            "AT": round(scan.first - window.zero, 2),
            "HOST": places.get(scan.mac, scan.ip),
            "ASKED": scan.requested,
            "ANSWERED": listed(scan.answered),
        }
        for scan in analysis.scans()
    ]
