"""Analyse an outage on one clock: attempts and why they failed, phases, timeline events. Pure.

attempts.py         a client's attempts, from its probes or from a capture, and the causes of failure
failure_reasons.py  why each attempt failed, from the frames
phases.py           the phases of an outage, computed from the attempts
timeline_events.py  typed events: memberlist, speakers, leaders, ARP, BGP, nodes, endpoints, rules
event_sources.py    timeline events from objects, frames and rules
speaker_logs.py     timeline events from the logs of MetalLB's speakers
outage.py           attempts, phases and timeline events together
clocks.py           what an outage waited for, and until when
captures.py         an outage from anybody's captures and logs
capture_limits.py   what a capture cannot show
duplicates.py       one packet that was captured at several places
leadership.py       the leader as each speaker, the client and the API saw it
neighbor_messages.py  the messages of ARP and neighbor discovery, in one set of words
neighbors.py        who holds which address: owners, announcements, conflicts, scans
conflicts.py        an address that two machines hold, and one that moved
neighbor_cache.py   the neighbor cache of one machine
evidence.py         where a fact can be read
node_loss.py        what the loss of a node cost, and the scenario that it was
observation.py      what a backend observed around an action, and its analysis
"""

from __future__ import annotations

from kanslib.analysis.attempts import Attempt, Cause, Reason, attempts_from_capture, attempts_from_probes
from kanslib.analysis.evidence import Evidence
from kanslib.analysis.failure_reasons import CaptureIndex, explain_failures
from kanslib.analysis.outage import Outage
from kanslib.analysis.phases import Phase, phases
from kanslib.analysis.timeline_events import EventKind, TimelineEvent

__all__ = [
    "Attempt",
    "CaptureIndex",
    "Cause",
    "EventKind",
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
