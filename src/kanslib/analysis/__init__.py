"""An outage taken apart, on one clock: attempts and why they failed, phases, and what happened meanwhile. Pure.

attempts.py   what the client tried: its own notes, or a capture
reasons.py    why each attempt failed, from the frames
phases.py     dark, partly dark, healthy, stragglers: found, not marked
marks.py      gossip, speakers, leaders, ARP, BGP, nodes, endpoints, rules
outage.py     all of it together
claims.py     the ARP story: who claimed which address when
"""

from __future__ import annotations

from kanslib.analysis.attempts import Attempt, attempts_from_capture, attempts_from_probes
from kanslib.analysis.evidence import Evidence
from kanslib.analysis.failure_reasons import CaptureIndex, Reason, explain_failures
from kanslib.analysis.outage import Outage
from kanslib.analysis.phases import Phase, phases
from kanslib.analysis.timeline_events import TimelineEvent

__all__ = [
    "Attempt",
    "CaptureIndex",
    "Evidence",
    "Outage",
    "Phase",
    "Reason",
    "TimelineEvent",
    "attempts_from_capture",
    "attempts_from_probes",
    "explain_failures",
    "phases",
]
