"""An outage taken apart, on one clock: attempts and why they failed, phases, and what happened meanwhile. Pure.

attempts.py   what the client tried: its own notes, or a capture
reasons.py    why each attempt failed, from the frames
phases.py     dark, partly dark, healthy, stragglers: found, not marked
marks.py      gossip, speakers, leaders, ARP, BGP, nodes, endpoints, rules
outage.py     all of it together
claims.py     the ARP story: who claimed which address when
"""

from __future__ import annotations

from kanslib.timeline.attempts import Attempt, noted, seen
from kanslib.timeline.evidence import Evidence
from kanslib.timeline.marks import Mark
from kanslib.timeline.outage import Outage
from kanslib.timeline.phases import Phase, phases
from kanslib.timeline.reasons import Reason, Wire, explained

__all__ = ["Attempt", "Evidence", "Mark", "Outage", "Phase", "Reason", "Wire", "explained", "noted", "phases", "seen"]
