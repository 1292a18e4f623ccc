"""Ask a second backend what the first cannot answer: a simulator behind a recording, a recording behind live."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, ClassVar, Protocol, TypeVar

from typing_extensions import override

from kanslib import notices
from kanslib.actions import ActiveAction, Verb
from kanslib.analysis.attempts import Probe
from kanslib.analysis.observation_data import CapturedFrames, NodeOutput, ObservationData, TimeWindow, Topology
from kanslib.answer import Provenance, Source, Text, utc
from kanslib.backends.base import Backend, HopCapture, Moment, SentRequests
from kanslib.backends.recorded import RecordedBackend, RecordedObservation
from kanslib.exceptions import (
    KanslibError,
    NotRecordedError,
    NotSimulatedError,
    RefusedError,
    UnknownNameError,
    UnsupportedError,
)
from kanslib.i18n import tr
from kanslib.k8s.objects import KubeObject, WatchEvent
from kanslib.packets.capture import Frame
from kanslib.recording.clock import OPENING, Clock

if TYPE_CHECKING:
    from kanslib.backends.simulated import SimulatedBackend

_LOG = logging.getLogger(__name__)
T = TypeVar("T")
S = TypeVar("S")


class FallbackBackend(Backend, ABC):
    """Two backends as one. Implements `Backend`.

    The first action that `primary` cannot do starts `secondary`, which answers everything from then on, until `at` or
    `restore`. A subclass says which errors mean that, how `secondary` starts, and what it answers before.
    """

    gaps: ClassVar[tuple[type[KanslibError], ...]]  # of an action that `primary` cannot do

    def __init__(self, primary: Backend) -> None:
        self._primary = primary
        self._secondary: Backend | None = None
        self._is_alone = False  # a check asks: nobody else may answer

    @property
    def active(self) -> Backend:
        """The backend that answers now."""
        return self._secondary or self._primary

    @abstractmethod
    def recording(self) -> RecordedBackend:
        """Return the story's recording at its opening, with a clock of its own."""

    @abstractmethod
    def recorded_and_simulated(self) -> tuple[RecordedBackend, SimulatedBackend]:
        """Return a recording and a simulation, both where this backend stands. NotRecordedError if there is none."""

    @abstractmethod
    def _start_secondary(self) -> Backend:
        """Return the second backend, at the moment at which the first one stands."""

    @abstractmethod
    def _take_over(self, gap: KanslibError) -> None:
        """Note that the second backend answers from here on, because of an action that the first could not do."""

    def _both_failed(self, gap: KanslibError, second: KanslibError) -> KanslibError:
        """Return the error of an action that neither backend can do."""
        del second
        return gap

    def _ask(self, question: Callable[[Backend], T]) -> T:
        return question(self.active)

    def _label_answer(self, answer: T) -> T:
        """Mark an answer of the second backend, and say so above the cell's output."""
        return answer

    # ── actions ──────────────────────────────────────────────────────────────────────────────────────────

    @override
    def apply(self, documents: Sequence[KubeObject]) -> Text:
        return self._perform_with_fallback(lambda backend: backend.apply(documents))

    @override
    def delete(self, references: Sequence[str]) -> Text:
        return self._perform_with_fallback(lambda backend: backend.delete(references))

    @override
    def perform(self, verb: Verb, targets: Sequence[str]) -> Text:
        return self._perform_with_fallback(lambda backend: backend.perform(verb, targets))

    def _perform_with_fallback(self, action: Callable[[Backend], Text]) -> Text:
        if self._secondary is not None:
            return self._label_answer(action(self._secondary))
        try:
            return action(self._primary)
        except self.gaps as gap:
            return self._perform_with_secondary(action, gap)

    def _perform_with_secondary(self, action: Callable[[Backend], Text], gap: KanslibError) -> Text:
        """Do what the first backend could not do with the second one, which answers from here on."""
        try:
            secondary = self._start_secondary()
            output = action(secondary)
        except RefusedError:
            raise
        except KanslibError as second:
            raise self._both_failed(gap, second) from None
        self._secondary = secondary
        _LOG.info("%s answers from here on: %s", type(secondary).__name__, _reason(gap))
        self._take_over(gap)
        return self._label_answer(output)

    # ── queries ──────────────────────────────────────────────────────────────────────────────────────────

    @override
    def banner(self) -> str:
        return self._primary.banner()

    @override
    def provenance(self) -> Provenance:
        return self.active.provenance()

    @override
    def topology(self) -> Topology:
        return self.active.topology()

    @override
    def active_actions(self) -> list[ActiveAction]:
        return self.active.active_actions()

    @override
    def objects(self, kind: str) -> list[KubeObject]:
        return self.active.objects(kind)

    @override
    def watch_events(self, kind: str) -> list[WatchEvent]:
        return self.active.watch_events(kind)

    @override
    def mac_owners(self) -> dict[str, str]:
        return self.active.mac_owners()

    @override
    def log(self, component: str, node: str | None) -> Text:
        return self._ask(lambda backend: backend.log(component, node))

    @override
    def run(self, place: str, command: str) -> Text:
        return self._ask(lambda backend: backend.run(place, command))

    @override
    def requests(self, target: str, times: int, source: str) -> SentRequests:
        return self._ask(lambda backend: backend.requests(target, times, source))

    @override
    def arp_scan(self, source: str) -> Text:
        return self._ask(lambda backend: backend.arp_scan(source))

    @override
    def capture_path(self, target: str, service: str) -> tuple[list[HopCapture], Provenance]:
        return self._ask(lambda backend: backend.capture_path(target, service))

    # ── observation, checks ──────────────────────────────────────────────────────────────────────────────

    @contextmanager
    @override
    def observe(self, vips: Sequence[str], seconds: float, queries_at: Sequence[float]) -> Iterator[None]:
        before = self.active
        with before.observe(vips, seconds, queries_at):
            yield
        if self.active is not before:
            with self.active.observe(vips, seconds, queries_at):
                pass

    @override
    def observation(self, seconds: float | None = None) -> ObservationData:
        return self.active.observation(seconds)

    @override
    def observation_at(self, moment: str) -> ObservationData:
        return self.active.observation_at(moment)

    @override
    def advance_to(self, moment: float) -> None:
        self.active.advance_to(moment)

    @override
    def position(self) -> Clock | None:
        return self.active.position()

    @contextmanager
    @override
    def isolated(self, position: Clock | None = None) -> Iterator[None]:
        self._is_alone = True
        try:
            with self.active.isolated(position):
                yield
        finally:
            self._is_alone = False

    # ── time ─────────────────────────────────────────────────────────────────────────────────────────────

    @override
    def now(self) -> float:
        return self.active.now()

    @override
    def actions(self) -> list[Moment]:
        return self.active.actions()

    @override
    def moments(self) -> list[Moment]:
        return self.active.moments()

    @abstractmethod
    @override
    def at(self, moment: str, after: float | None) -> None:
        """Go to where an action had settled, or to `after` seconds after it was done. Raises UnknownNameError."""

    @override
    def at_time(self, moment: float) -> None:
        self.active.at_time(moment)

    @override
    def restore(self) -> Text:
        self._secondary = None
        return self._primary.restore()


class SimulatorFallback(FallbackBackend):
    """A recording, and a simulation from the first action on that nobody recorded. `at` goes back to the recording."""

    gaps = (NotRecordedError,)

    def __init__(self, recorded: RecordedBackend) -> None:
        super().__init__(recorded)
        self._recorded = recorded

    @override
    def recording(self) -> RecordedBackend:
        return RecordedBackend(self._recorded.recording, self._recorded.story.name or None)

    @override
    def recorded_and_simulated(self) -> tuple[RecordedBackend, SimulatedBackend]:
        from kanslib.backends.replay import replay_in_simulator

        if self._secondary is not None:
            raise NotRecordedError(
                tr("this moment"), hint=tr("lab.compare() needs a moment of a recording: lab.at('opening')")
            )
        return self._recorded, replay_in_simulator(self._recorded)

    @override
    def _start_secondary(self) -> Backend:
        # most labs never need a simulation, and to import it is most of what opening one would take
        from kanslib.backends.initial_state import from_recording
        from kanslib.backends.simulated import SimulatedBackend

        recorded = self._recorded
        since = tr("the recorded moment {utc}", utc=utc(recorded.now()))
        if recorded.clock.last_name != OPENING:
            since = tr(
                "the recorded moment {utc}, after {last_name}",
                utc=utc(recorded.now()),
                last_name=recorded.clock.last_name,
            )
        return SimulatedBackend(from_recording(recorded), since, title=recorded.story.title, requested="recorded")

    @override
    def _both_failed(self, gap: KanslibError, second: KanslibError) -> KanslibError:
        if isinstance(gap, NotRecordedError) and isinstance(second, NotSimulatedError):
            return NotRecordedError(*gap.parts, also=str(second))
        return second

    @override
    def _take_over(self, gap: KanslibError) -> None:
        last = self._recorded.clock.last_name
        notices.show_notice(
            tr(
                "not recorded: {getattr} · simulated from here on, from the recorded moment after {last}; "
                "lab.at({last!r}) goes back to the recording",
                getattr=getattr(gap, "asked", gap),
                last=last,
            ),
            notices.SIMULATED_COLOUR,
            "kans-simulated",
        )

    @contextmanager
    @override
    def isolated(self, position: Clock | None = None) -> Iterator[None]:
        secondary = self._secondary
        if position is not None:  # it was asked while the recording still answered
            self._secondary = None
        try:
            with super().isolated(position):
                yield
        finally:
            self._secondary = secondary

    @override
    def at(self, moment: str, after: float | None) -> None:
        if self._secondary is not None and moment in self._simulated_moments():
            return self._secondary.at(moment, after)
        self._secondary = None
        return self._recorded.at(moment, after)

    @override
    def observation_at(self, moment: str) -> ObservationData:
        is_simulated = self._secondary is not None and moment in self._simulated_moments()
        return (self.active if is_simulated else self._recorded).observation_at(moment)

    @override
    def actions(self) -> list[Moment]:
        done = {moment.name for moment in self._secondary.actions()} if self._secondary else set()
        simulated = [moment for name, moment in self._simulated_moments().items() if name in done]
        return [*self._recorded.actions(), *simulated]

    @override
    def moments(self) -> list[Moment]:
        recorded = self._recorded.moments()
        if self._secondary is None:
            return recorded
        return [*(replace(one, is_current=False) for one in recorded), *self._simulated_moments().values()]

    def _simulated_moments(self) -> dict[str, Moment]:
        """The moments of simulated actions by name, in seconds from the recording's opening."""
        offset = self._recorded.now() - self._recorded.story.start
        moments = self._secondary.moments() if self._secondary else []
        return {one.name: replace(one, at=one.at + offset) for one in moments if one.at is not None}


class StoryBackend(Backend, Protocol):
    """A backend that knows at which moment of its story it stands."""

    @property
    def current_moment(self) -> str:
        """The name of the moment."""


class RecordingFallback(FallbackBackend):
    """A live or simulated cluster, and the recording of the same story, opened by `open_recording`.

    A query that the cluster cannot serve is answered by the recording, and the next one is the cluster's again. Each
    such answer is marked and never feeds a check.
    """

    gaps = (UnsupportedError, NotSimulatedError)

    def __init__(self, primary: StoryBackend, open_recording: Callable[[], RecordedBackend]) -> None:
        super().__init__(primary)
        self._story, self._open_recording = primary, open_recording
        self._recording_at: tuple[str, RecordedBackend] | None = None
        self._reason = ""

    @override
    def recording(self) -> RecordedBackend:
        return self._open_recording()

    @override
    def recorded_and_simulated(self) -> tuple[RecordedBackend, SimulatedBackend]:
        from kanslib.backends.replay import replay_in_simulator
        from kanslib.backends.simulated import SimulatedBackend

        if isinstance(self._secondary, RecordedBackend):
            return self._secondary, replay_in_simulator(self._secondary)
        simulated, recorded = self._story, self._open_recording()
        if not isinstance(simulated, SimulatedBackend):
            story = tr("kanslib.open_lab({name!r}, backend='recorded')", name=recorded.story.name)
            raise NotRecordedError(
                tr("the cluster as it is now"),
                hint=tr("a recording has a simulation to compare with: {story}", story=story),
            )
        known = [moment.name for moment in recorded.moments()]
        if simulated.current_moment not in known:
            raise NotRecordedError(
                tr("the moment {current_moment}", current_moment=simulated.current_moment),
                known,
                tr("lab.at('opening'), then lab.compare()"),
            )
        recorded.at(simulated.current_moment, simulated.seconds_unsettled())
        return recorded, simulated

    # ── who answers ──────────────────────────────────────────────────────────────────────────────────────

    @override
    def _start_secondary(self) -> Backend:
        return self._recording_here()

    @override
    def _take_over(self, gap: KanslibError) -> None:
        self._reason = _reason(gap)

    @override
    def _ask(self, question: Callable[[Backend], T]) -> T:
        if self._secondary is not None:
            return self._label_answer(question(self._secondary))
        primary: Backend = self._primary
        return self.ask(question, primary, self._recording_here)

    def ask(self, question: Callable[[S], T], primary: S, recorded: Callable[[], S]) -> T:
        """Return the primary's answer; where it has none, the recording's, marked, unless a check asks."""
        try:
            return question(primary)
        except self.gaps as gap:
            if self._is_alone:
                raise
            self._reason = _reason(gap)
            _LOG.info("the recording answers this query: %s", self._reason)
            try:
                return self._label_answer(question(recorded()))
            except KanslibError:
                raise gap from None

    def _recording_here(self) -> RecordedBackend:
        """Return the recording, at the moment where the cluster stands."""
        moment = self._story.current_moment
        if self._recording_at is None or self._recording_at[0] != moment:
            recorded = self._open_recording()
            if self._source == "simulated":
                recorded.at(moment, None)  # after an action of the learner's own nothing that was recorded is true
            else:
                with suppress(UnknownNameError):
                    recorded.at(moment, None)
            self._recording_at = moment, recorded
        return self._recording_at[1]

    @property
    def _source(self) -> Source:
        return self._primary.provenance().source

    @override
    def _label_answer(self, answer: T) -> T:
        words = tr(
            "not {source}: answered by the recording, because {reason}", source=self._source, reason=self._reason
        )
        notices.show_notice(words, notices.FALLBACK_COLOUR, "kans-not-live")
        return self._with_fallback_provenance(answer)

    def _with_fallback_provenance(self, answer: T) -> T:
        if isinstance(answer, Text):
            return Text(answer, self._with_fallback_provenance(answer.provenance), answer.action_time)  # type: ignore[return-value]
        if isinstance(answer, Provenance):
            return replace(answer, fallback_reason=self._reason, requested=self._source)
        if isinstance(answer, (CapturedFrames, RecordedObservation)):
            return replace(answer, provenance=self._with_fallback_provenance(answer.provenance))
        if isinstance(answer, tuple):
            return tuple(map(self._with_fallback_provenance, answer))  # type: ignore[return-value]
        return answer

    @override
    def provenance(self) -> Provenance:
        origin = self.active.provenance()
        return self._with_fallback_provenance(origin) if self._secondary else origin

    @override
    def mac_owners(self) -> dict[str, str]:
        # the recording's nodes have other cards: whose card an address has is asked where the answer came from
        return {**self.recorded_mac_owners(), **self._primary.mac_owners()}

    def recorded_mac_owners(self) -> dict[str, str]:
        """Return the recording's places by their MAC address, once it has answered anything."""
        return self._open_recording().mac_owners() if self._reason else {}

    # ── observation ──────────────────────────────────────────────────────────────────────────────────────

    @override
    def observation(self, seconds: float | None = None) -> ObservationData:
        if self._secondary is not None:
            return self._label_answer(self._secondary.observation(seconds))
        recorded = cache(lambda: self._recording_here().observation())
        return FallbackObservation.of(self._primary.observation(seconds), recorded, self)

    @override
    def observation_at(self, moment: str) -> ObservationData:
        if self._secondary is not None:
            return self._label_answer(self._secondary.observation_at(moment))
        recorded = cache(lambda: self._open_recording().observation_at(moment))
        return FallbackObservation.of(self._primary.observation_at(moment), recorded, self)

    # ── time ─────────────────────────────────────────────────────────────────────────────────────────────

    @override
    def at(self, moment: str, after: float | None) -> None:
        self._secondary = self._recording_at = None
        try:
            self._primary.at(moment, after)
        except self.gaps as gap:
            self._reason = _reason(gap)
            _LOG.info("the recording answers at %s: %s", moment, self._reason)
            self._secondary = self._open_recording()
            self._secondary.at(moment, after)
            self._label_answer(None)


@dataclass(frozen=True)
class FallbackObservation(TimeWindow):
    """What a live or simulated cluster saw; where it has no answer, what a recording has of the same action."""

    primary: ObservationData
    recorded: Callable[[], RecordedObservation]
    backend: RecordingFallback

    @classmethod
    def of(
        cls, primary: ObservationData, recorded: Callable[[], RecordedObservation], backend: RecordingFallback
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

    def probes(self) -> list[Probe]:
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


def _reason(gap: KanslibError) -> str:
    """Return why the primary cannot serve, in a few words."""
    if isinstance(gap, UnsupportedError):
        return gap.reason
    if isinstance(gap, NotRecordedError):
        return tr("not recorded: {getattr}", getattr=getattr(gap, "asked", gap))
    return tr("the simulator does not model {getattr}", getattr=getattr(gap, "asked", gap))
