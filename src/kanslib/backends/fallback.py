"""Where a live or a computed world cannot serve a cell, a recording does: marked across it, never for a check."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from kanslib import notices
from kanslib.analysis.observation import CapturedFrames, NodeOutput, ObservationData, TimeWindow, Topology
from kanslib.answer import Provenance, Source, Text
from kanslib.backends.base import Backend, HopCapture
from kanslib.backends.forwarding import ForwardingBackend
from kanslib.backends.recorded import RecordedBackend, RecordedObservation
from kanslib.exceptions import KanslibError, NotRecordedError, NotSimulatedError, UnknownNameError, UnsupportedError
from kanslib.k8s.objects import WatchEvent
from kanslib.packets.capture import Frame
from kanslib.recording.clock import Clock

if TYPE_CHECKING:
    from kanslib.backends.simulated import SimulatedBackend

T = TypeVar("T")
S = TypeVar("S")
GAPS = (UnsupportedError, NotSimulatedError)  # what a recording can answer instead


class PrimaryBackend(Backend, Protocol):
    """A world that knows at which moment of its story it stands."""

    @property
    def standing(self) -> str: ...


class FallbackBackend(ForwardingBackend):
    """Live or computed, and behind it the same story as it was recorded. Implements `World`.

    A look that the world cannot serve is answered by the recording, and the next one is its own again. An act that
    it cannot serve takes the rest of the section with it, until the next `lab.at` or `open_lab`.
    """

    def __init__(self, asked: PrimaryBackend, recorded: Callable[[], RecordedBackend]) -> None:
        self._asked, self._open = asked, recorded
        self._instead: RecordedBackend | None = None
        self._beside_at: tuple[str, RecordedBackend] | None = None
        self._reason = ""
        self._is_alone = False

    # ── who answers ──────────────────────────────────────────────────────────────────────────────────────

    @property
    def _now(self) -> Backend:
        return self._instead or self._asked

    def _ask(self, question: Callable[[Backend], T]) -> T:
        """The backend's own answer; the recording's where it cannot serve one."""
        if self._instead is not None:
            return self._marked(question(self._instead))
        primary: Backend = self._asked
        return self.ask(question, primary, self._recording_here)

    def ask(self, question: Callable[[S], T], primary: S, recorded: Callable[[], S]) -> T:
        """Return the primary's answer; where it has none, the recording's, marked, unless a check asks."""
        try:
            return question(primary)
        except GAPS as gap:
            if self._is_alone:
                raise
            self._reason = _reason(gap)
            try:
                return self._marked(question(recorded()))
            except KanslibError:
                raise gap from None

    def recording(self) -> RecordedBackend:
        """The recording of this story, at its opening."""
        return self._open()

    def recorded_and_simulated(self) -> tuple[RecordedBackend, SimulatedBackend]:
        """Return the recording and a simulation where the backend stands. NotRecordedError if there is none."""
        from kanslib.backends.replay import replay_in_simulator
        from kanslib.backends.simulated import SimulatedBackend

        if self._instead is not None:
            return self._instead, replay_in_simulator(self._instead)
        twin, recorded = self._asked, self._open()
        if not isinstance(twin, SimulatedBackend):
            story = f"kanslib.open_lab({recorded.story.name!r}, backend='recorded')"
            raise NotRecordedError("the cluster as it is now", hint=f"a recording has a twin to compare with: {story}")
        known = [moment.name for moment in recorded.moments()]
        if twin.standing not in known:
            raise NotRecordedError(f"the moment {twin.standing}", known, "lab.at('opening'), and then lab.compare()")
        recorded.at(twin.standing, twin.seconds_unsettled())
        return recorded, twin

    def _recording_here(self) -> RecordedBackend:
        """The recording, at the moment where the world stands."""
        standing = self._asked.standing
        if self._beside_at and self._beside_at[0] == standing:
            return self._beside_at[1]
        world = self._open()
        if self._source == "simulated":
            world.at(standing, None)  # after an act of the learner's own nothing that was recorded is true
        else:
            with suppress(UnknownNameError):
                world.at(standing, None)
        self._beside_at = (standing, world)
        return world

    @property
    def _source(self) -> Source:
        return self._asked.provenance().source

    def _marked(self, answer: T) -> T:
        _announce(self._reason, self._source)
        if isinstance(answer, Text):
            return Text(answer, self._mark(answer.provenance), answer.action_time)  # type: ignore[return-value]
        if isinstance(answer, Provenance):
            return self._mark(answer)  # type: ignore[return-value]
        if isinstance(answer, CapturedFrames):
            return replace(answer, provenance=self._mark(answer.provenance))
        if isinstance(answer, tuple):
            return tuple(self._marked(part) if isinstance(part, (Text, Provenance)) else part for part in answer)  # type: ignore[return-value]
        return answer

    def _mark(self, origin: Provenance) -> Provenance:
        return replace(origin, fallback_reason=self._reason, requested=self._source)

    def banner(self) -> str:
        return self._asked.banner()

    def provenance(self) -> Provenance:
        return self._mark(self._instead.provenance()) if self._instead else self._asked.provenance()

    # ── reads ────────────────────────────────────────────────────────────────────────────────────────────

    def log(self, component: str, node: str | None) -> Text:
        return self._ask(lambda world: world.log(component, node))

    def run(self, place: str, command: str) -> Text:
        return self._ask(lambda world: world.run(place, command))

    def requests(self, target: str, times: int, source: str) -> tuple[Text, int]:
        return self._ask(lambda world: world.requests(target, times, source))

    def arp_scan(self, source: str) -> Text:
        return self._ask(lambda world: world.arp_scan(source))

    def mac_owners(self) -> dict[str, str]:
        # the recording's nodes have other cards: whose card an address has is asked where the answer came from
        return {**self.recorded_mac_owners(), **self._asked.mac_owners()}

    def recorded_mac_owners(self) -> dict[str, str]:
        """Return the recording's places by their MAC address, once it has answered anything."""
        return self._open().mac_owners() if self._reason else {}

    def capture_path(self, target: str, service: str) -> tuple[list[HopCapture], Provenance]:
        return self._ask(lambda world: world.capture_path(target, service))

    # ── acts ─────────────────────────────────────────────────────────────────────────────────────────────

    def _acted(self, deed: Callable[[Backend], Text]) -> Text:
        if self._instead is not None:
            return self._marked(deed(self._instead))
        try:
            return deed(self._asked)
        except GAPS as gap:
            self._reason = _reason(gap)
            try:
                beside = self._recording_here()
                told = deed(beside)
            except KanslibError:
                raise gap from None
            self._instead = beside
            return self._marked(told)

    # ── observation ──────────────────────────────────────────────────────────────────────────────────────

    def observation(self, seconds: float | None = None) -> ObservationData:
        if self._instead is not None:
            return self._mark_observation(self._instead.observation(seconds))
        recorded = cache(lambda: self._recording_here().observation())
        return FallbackObservation.of(self._asked.observation(seconds), recorded, self)

    def observation_at(self, moment: str) -> ObservationData:
        if self._instead is not None:
            return self._mark_observation(self._instead.observation_at(moment))
        recorded = cache(lambda: self._open().observation_at(moment))
        return FallbackObservation.of(self._asked.observation_at(moment), recorded, self)

    def _mark_observation(self, observation: RecordedObservation) -> RecordedObservation:
        return replace(observation, provenance=self._mark(observation.provenance))

    @contextmanager
    def isolated(self, position: Clock | None = None) -> Iterator[None]:
        self._is_alone = True
        try:
            with self._now.isolated(position):
                yield
        finally:
            self._is_alone = False

    # ── time ─────────────────────────────────────────────────────────────────────────────────────────────

    def at(self, moment: str, after: float | None) -> None:
        self._instead = self._beside_at = None
        try:
            self._asked.at(moment, after)
        except GAPS as gap:
            self._reason = _reason(gap)
            self._instead = self._open()
            self._instead.at(moment, after)
            _announce(self._reason, self._source)

    def restore(self) -> Text:
        self._instead = None
        return self._asked.restore()


@dataclass(frozen=True)
class FallbackObservation(TimeWindow):
    """What a live or simulated backend saw; where it has no answer, what a recording has of the same action."""

    primary: ObservationData
    recorded: Callable[[], RecordedObservation]
    backend: FallbackBackend

    @classmethod
    def of(
        cls, primary: ObservationData, recorded: Callable[[], RecordedObservation], backend: FallbackBackend
    ) -> FallbackObservation:
        """Return the primary's observation, with a recording's behind it."""
        return cls(primary.start, primary.zero, primary.end, primary.action, primary, recorded, backend)

    @property
    def provenance(self) -> Provenance:
        """Who observed it."""
        return self.primary.provenance

    @property
    def topology(self) -> Topology:
        """The places of the cluster and their addresses."""
        return self.primary.topology

    @property
    def mac_owners(self) -> Mapping[str, str]:
        """Places by their MAC address; the recording's, too, once it has answered: its nodes have other ones."""
        return {**self.backend.recorded_mac_owners(), **self.primary.mac_owners}

    def probes(self) -> list[dict[str, Any]]:
        """Return every request that was sent again and again, in order."""
        return self._ask(lambda one: one.probes())

    def frames(self, start: float | None = None) -> list[Frame]:
        """Return the captured frames; those since `start` (Unix seconds), where it is given."""
        return self._ask(lambda one: one.frames(start))

    def tcp_frames(self, start: float | None = None) -> CapturedFrames:
        """Return the captured TCP segments; those since `start` (Unix seconds), where it is given."""
        return self._ask(lambda one: one.tcp_frames(start))

    def watch_events(self, kind: str) -> list[WatchEvent]:
        """Return the primary's watch events of a kind from the cluster's beginning to the end."""
        return self.primary.watch_events(kind)

    def command_outputs(self, command: str) -> list[NodeOutput]:
        """Return what a command printed on the nodes, each time it was run."""
        return self._ask(lambda one: one.command_outputs(command))

    def log(self, component: str, node: str) -> Text:
        """Return a log of a node, at least to the end."""
        return self._ask(lambda one: one.log(component, node))

    def _ask(self, question: Callable[[ObservationData], T]) -> T:
        return self.backend.ask(question, self.primary, self.recorded)


def _reason(gap: Exception) -> str:
    """Why the world cannot serve, in a few words."""
    return (
        gap.reason if isinstance(gap, UnsupportedError) else f"the twin does not work out {getattr(gap, 'asked', gap)}"
    )


def _announce(reason: str, source: Source) -> None:
    """Say above a cell's output, whatever it is, that a recording answers in it."""
    words = f"not {source}: answered by the recording, because {reason}"
    notices.show_notice(words, notices.FALLBACK_COLOUR, "kans-not-live")
