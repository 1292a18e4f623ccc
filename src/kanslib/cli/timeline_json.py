"""The answer of `kans timeline --json`: the inputs, and each outage with its phases, failures and events."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kanslib.analysis import Outage
from kanslib.analysis.timeline_events import TimelineEvent
from kanslib.cli.timeline_inputs import Facts
from kanslib.render.report import ReportSection


def timeline_json(facts: Facts, sections: Sequence[ReportSection]) -> dict[str, object]:
    """Return the inputs and the outages; docs/how-to/scripts.md describes the fields. Times: seconds after `zero`."""
    return {
        "inputs": [{"name": name, "content": content} for name, content in facts],
        "outages": [{"title": section.title, **_outage(section.outage)} for section in sections],
    }


def _outage(outage: Outage) -> dict[str, object]:
    return {
        "action": outage.action,
        "zero": outage.zero,
        "services": [
            {
                "service": service,
                "attempts": len(attempts),
                "phases": list(_phases(outage, service)),
                "failures": list(_failures(outage, service)),
            }
            for service, attempts in outage.attempts.items()
        ],
        "events": [_event(event) for event in outage.events],
        "limits": [str(limit) for limit in outage.limits],
    }


def _phases(outage: Outage, service: str) -> Iterator[dict[str, object]]:
    for phase in outage.phases[service]:
        yield {
            "name": phase.name,
            "start": phase.start,
            "end": phase.end,
            "within": phase.within,
            "tried": phase.tried,
            "failed": phase.failed,
            "causes": dict(phase.causes),
        }


def _failures(outage: Outage, service: str) -> Iterator[dict[str, object]]:
    for attempt in outage.failures(service):
        reason = attempt.reason
        yield {
            "at": attempt.at,
            "cause": reason.cause.value if reason else None,
            "why": reason.text if reason else None,
            "evidence": [one._asdict() for one in reason.evidence] if reason else [],
        }


def _event(event: TimelineEvent) -> dict[str, object]:
    return {
        "at": event.at,
        "kind": event.kind.value,
        "service": event.service,
        "text": str(event),
        "evidence": event.evidence._asdict(),
    }
