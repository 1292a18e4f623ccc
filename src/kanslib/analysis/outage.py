"""An outage on one clock: attempts with their reasons, phases, and timeline events. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from kanslib.analysis.attempts import Attempt
from kanslib.analysis.capture_limits import CaptureLimit, capture_limits
from kanslib.analysis.evidence import Evidence
from kanslib.analysis.failure_reasons import CaptureIndex, explain_failures
from kanslib.analysis.phases import DARK, PARTLY, STRAGGLERS, Phase, phases
from kanslib.analysis.timeline_events import EventKind, TimelineEvent

_ENDED_BY = {
    DARK: (
        EventKind.GRATUITOUS_ARP,
        EventKind.NEIGHBOR_ADVERTISEMENT,
        EventKind.LEADER,
        EventKind.SPEAKER,
        EventKind.BGP,
    ),
    PARTLY: (EventKind.ENDPOINTS, EventKind.BGP, EventKind.RULES, EventKind.NODE),
}


@dataclass(frozen=True)
class Outage:
    """The effect of an action on Services: attempts and phases by Service, timeline events on the same clock.

    `zero`: the moment of the action (Unix seconds); all other times are seconds after it. `limits`: what the captures
    cannot show.
    """

    action: str
    zero: float
    attempts: Mapping[str, tuple[Attempt, ...]]
    events: tuple[TimelineEvent, ...] = ()
    limits: tuple[CaptureLimit, ...] = ()
    phases: Mapping[str, tuple[Phase, ...]] = field(init=False)

    def __post_init__(self) -> None:
        found = {service: tuple(phases(attempts)) for service, attempts in self.attempts.items()}
        object.__setattr__(self, "phases", found)

    def failures(self, service: str) -> Iterator[Attempt]:
        """Yield the failed attempts from the action on."""
        return (attempt for attempt in self.attempts[service] if not attempt.is_ok and attempt.at >= 0)

    def ended_by(self, service: str, phase: Phase) -> TimelineEvent | None:
        """Return the event that ended a phase: of a fitting kind, within half a second or the phase's uncertainty."""
        kinds = _ENDED_BY.get(phase.name, ())
        tolerance = max(phase.within, 0.5)
        near = [
            event
            for event in self.events
            if event.service in ("", service) and event.kind in kinds and abs(event.at - phase.end) <= tolerance
        ]
        return min(near, key=lambda event: (kinds.index(event.kind), abs(event.at - phase.end)), default=None)

    def evidence(self, service: str, phase: Phase) -> tuple[Evidence, ...]:
        """Return the evidence of a phase: its first and last failed attempt, and the event that ended it."""
        failed = [attempt for attempt in self.failures(service) if phase.start <= attempt.at <= phase.end]
        found = [item for one in failed[:1] + failed[-1:] if one.reason for item in one.reason.evidence[:1]]
        if event := self.ended_by(service, phase):
            found.append(event.evidence)
        return tuple(dict.fromkeys(found))

    def dark_seconds(self, service: str) -> float:
        """Return the seconds of all dark phases together."""
        return round(sum(phase.end - phase.start for phase in self.phases[service] if phase.name == DARK), 3)

    def lost_seconds(self, service: str, phase_name: str) -> float:
        """Return the seconds of all phases of a name, each counted by the share of its requests that failed."""
        phases = [phase for phase in self.phases[service] if phase.name == phase_name]
        return sum((phase.end - phase.start) * (1 - phase.success) for phase in phases)

    def stragglers(self, service: str) -> tuple[Attempt, ...]:
        """Return the failed attempts in phases with stragglers."""
        spans = [(phase.start, phase.end) for phase in self.phases[service] if phase.name == STRAGGLERS]
        return tuple(one for one in self.failures(service) if any(start <= one.at <= end for start, end in spans))


def build_outage(
    action: str,
    zero: float,
    vips: Mapping[str, str],
    attempts_of: Callable[[str], Sequence[Attempt]],
    index: CaptureIndex,
    events: Iterable[TimelineEvent],
) -> Outage:
    """Return the outage of some VIPs (address: Service): each failed attempt with its reason, and all events in order.

    `attempts_of`: returns the attempts to a VIP, in seconds after `zero` (Unix seconds). A Service without attempts is
    left out.
    """
    in_order = sorted(events, key=lambda event: event.at)
    attempts = {
        service: tuple(explain_failures(attempts_of(vip), index, vip, zero, in_order, service))
        for vip, service in vips.items()
    }
    answered = {service: found for service, found in attempts.items() if found}
    return Outage(action, zero, answered, tuple(in_order), capture_limits(index.frames))
