"""An outage as rows: its phases, its failed requests, what happened."""

from __future__ import annotations

from collections import Counter
from typing import Any

from kanslib.analysis import Outage, Phase
from kanslib.analysis.phases import DARK, PARTLY

SUMMARY_COLUMNS = ["ACT", "STORY", "DARK", "PARTLY", "TRIED", "FAILED", "LOST SECONDS", "BECAUSE"]
PHASE_COLUMNS = ["SERVICE", "PHASE", "FROM", "TO", "TRIED", "FAILED", "ANSWERED", "BECAUSE", "ENDED BY", "EVIDENCE"]
FAILURE_COLUMNS = ["SECONDS", "REASON", "WHAT HAPPENED", "PORT", "EVIDENCE"]
EVENT_COLUMNS = ["AT", "LANE", "WHAT", "EVIDENCE"]


def format_success(phase: Phase) -> str:
    """The share of requests that were answered, with its 95 % interval.

    >>> format_success(Phase("partly dark", 5.2, 36.2, 98, 48))
    '51 % (41–61)'
    """
    low, high = phase.interval
    return f"{phase.success:.0%}".replace("%", " %") + f" ({low * 100:.0f}–{high * 100:.0f})"


def summary_row(action: str, story: str, outage: Outage, service: str) -> dict[str, Any]:
    """One outage in one row: how long it was dark and partly dark, and what both sum up to as seconds of no service."""
    phases = outage.phases[service]
    seconds = {name: sum(one.end - one.start for one in phases if one.name == name) for name in (DARK, PARTLY)}
    lost = sum((one.end - one.start) * (1 - one.success) for one in phases if one.name in (DARK, PARTLY))
    causes = Counter(one.reason.cause for one in outage.failures(service) if one.reason)
    return {
        "ACT": action,
        "STORY": story,
        "DARK": round(seconds[DARK], 1),
        "PARTLY": round(seconds[PARTLY], 1),
        "TRIED": sum(one.tried for one in phases),
        "FAILED": sum(one.failed for one in phases),
        "LOST SECONDS": round(lost, 1),
        "BECAUSE": ", ".join(f"{kind} ×{count}" for kind, count in causes.most_common()),
    }


def phase_rows(outage: Outage, service: str | None) -> list[dict[str, Any]]:
    """The phases of one Service or of all."""
    rows = []
    for name, found in outage.phases.items():
        for phase in found if service in (None, name) else ():
            ended = outage.ended_by(name, phase)
            rows.append(
                {
                    "SERVICE": name,
                    "PHASE": phase.name,
                    "FROM": round(phase.start, 1),
                    "TO": round(phase.end, 1),
                    "TRIED": phase.tried,
                    "FAILED": phase.failed,
                    "ANSWERED": format_success(phase),
                    "BECAUSE": ", ".join(f"{kind} ×{count}" for kind, count in phase.causes),
                    "ENDED BY": f"{ended.kind} at {ended.at:+.1f} s: {ended}" if ended else "",
                    "EVIDENCE": "; ".join(one.source for one in outage.evidence(name, phase)),
                }
            )
    return rows


def failure_rows(outage: Outage, service: str) -> list[dict[str, Any]]:
    """The failed requests of a Service, each with its reason and what shows it."""
    return [
        {
            "SECONDS": round(one.at, 3),
            "REASON": str(one.reason.cause) if one.reason else "",
            "WHAT HAPPENED": one.reason.words if one.reason else one.error,
            "PORT": one.port or "",
            "EVIDENCE": "; ".join(shown.source for shown in one.reason.evidence) if one.reason else "",
        }
        for one in (outage.failures(service) if service in outage.attempts else ())
    ]


def event_rows(outage: Outage, lane: str | None) -> list[dict[str, Any]]:
    """What happened, in one lane or in all."""
    return [
        {"AT": round(event.at, 2), "LANE": str(event.kind), "WHAT": str(event), "EVIDENCE": str(event.evidence)}
        for event in outage.events
        if lane in (None, event.kind)
    ]
