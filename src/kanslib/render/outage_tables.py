"""An outage as rows: its phases, its failed requests, its events."""

from __future__ import annotations

from collections import Counter

from kanslib.analysis import Outage, Phase
from kanslib.analysis.phases import DARK, PARTLY
from kanslib.i18n import listed, parted, tr
from kanslib.render.rows import Columns, Row, Whole


def format_success(phase: Phase) -> str:
    """Return the share of requests that were answered, with its 95 % interval.

    >>> format_success(Phase("partly dark", 5.2, 36.2, 98, 48))
    '51 % (41–61)'
    """
    low, high = phase.interval
    return f"{phase.success:.0%}".replace("%", " %") + f" ({low * 100:.0f}–{high * 100:.0f})"


SUMMARY_COLUMNS = Columns(
    ("ACTION", "STORY", "DARK", "PARTLY", "TRIED", "FAILED", "LOST SECONDS", "BECAUSE"),
    bars={"FAILED": Whole.LARGEST, "LOST SECONDS": Whole.LARGEST},
)


def summary_row(action: str, story: str, outage: Outage, service: str) -> Row:
    """Return the row of one outage.

    DARK and PARTLY are seconds; in LOST SECONDS each second counts by the share of requests that failed in it.
    """
    phases = outage.phases[service]
    seconds = {name: sum(one.end - one.start for one in phases if one.name == name) for name in (DARK, PARTLY)}
    lost = sum(round(outage.lost_seconds(service, name), 1) for name in (DARK, PARTLY))
    causes = Counter(one.reason.cause for one in outage.failures(service) if one.reason)
    return {
        "ACTION": action,
        "STORY": story,
        "DARK": round(seconds[DARK], 1),
        "PARTLY": round(seconds[PARTLY], 1),
        "TRIED": sum(one.tried for one in phases),
        "FAILED": sum(one.failed for one in phases),
        "LOST SECONDS": round(lost, 1),
        "BECAUSE": listed(f"{kind} ×{count}" for kind, count in causes.most_common()),
    }


PHASE_COLUMNS = Columns(
    ("SERVICE", "PHASE", "FROM", "TO", "TRIED", "FAILED", "ANSWERED", "BECAUSE", "ENDED BY", "EVIDENCE"),
    wide=("EVIDENCE",),
    bars={"FAILED": Whole.LARGEST},
)


def phase_rows(outage: Outage, service: str | None) -> list[Row]:
    """Return the phases of a Service; of all Services for None. FROM and TO are seconds after the action."""
    rows: list[Row] = []
    for name, found in outage.phases.items():
        for phase in found if service in (None, name) else ():
            ended = outage.ended_by(name, phase)
            rows.append(
                {
                    "SERVICE": name,
                    "PHASE": tr(phase.name),
                    "FROM": round(phase.start, 1),
                    "TO": round(phase.end, 1),
                    "TRIED": phase.tried,
                    "FAILED": phase.failed,
                    "ANSWERED": format_success(phase),
                    "BECAUSE": listed(f"{kind} ×{count}" for kind, count in phase.causes),
                    "ENDED BY": tr("{kind} at {at:+.1f} s: {ended}", kind=ended.kind, at=ended.at, ended=ended)
                    if ended
                    else "",
                    "EVIDENCE": parted(one.source for one in outage.evidence(name, phase)),
                }
            )
    return rows


FAILURE_COLUMNS = ("SECONDS", "REASON", "WHAT HAPPENED", "PORT", "EVIDENCE")


def failure_rows(outage: Outage, service: str) -> list[Row]:
    """Return the failed requests of a Service with their reasons; SECONDS counts from the action."""
    return [
        {
            "SECONDS": round(one.at, 3),
            "REASON": str(one.reason.cause) if one.reason else "",
            "WHAT HAPPENED": one.reason.text if one.reason else one.error,
            "PORT": one.port or "",
            "EVIDENCE": parted(shown.source for shown in one.reason.evidence) if one.reason else "",
        }
        for one in (outage.failures(service) if service in outage.attempts else ())
    ]


EVENT_COLUMNS = ("AT", "LANE", "WHAT", "EVIDENCE")


def event_rows(outage: Outage, lane: str | None) -> list[Row]:
    """Return the timeline events of a lane; of all lanes for None. AT is seconds after the action."""
    return [
        {"AT": round(event.at, 2), "LANE": str(event.kind), "WHAT": str(event), "EVIDENCE": str(event.evidence)}
        for event in outage.events
        if lane in (None, event.kind)
    ]
