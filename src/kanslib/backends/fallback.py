"""Where a live or a computed world cannot serve a cell, a recording does: marked across it, never for a check."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from kanslib.answer import Provenance, Source, Text
from kanslib.backends.base import Backend, HopCapture, TimeWindow
from kanslib.backends.forwarding import ForwardingBackend
from kanslib.backends.recorded import RecordedBackend
from kanslib.exceptions import KanslibError, NotRecordedError, NotSimulatedError, UnknownNameError, UnsupportedError
from kanslib.packets.capture import Frame
from kanslib.recording.clock import Clock
from kanslib.render import notices

if TYPE_CHECKING:
    from kanslib.backends.simulated import SimulatedBackend

T = TypeVar("T")
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
        """The world's own answer; the recording's where it cannot serve one."""
        if self._instead is not None:
            return self._marked(question(self._instead))
        try:
            return question(self._asked)
        except GAPS as gap:
            if self._is_alone:
                raise
            self._reason = _reason(gap)
            try:
                return self._marked(question(self._recording_here()))
            except KanslibError:
                raise gap from None

    def recording(self) -> RecordedBackend:
        """The recording of this story, at its opening."""
        return self._open()

    def recorded_and_simulated(self) -> tuple[RecordedBackend, SimulatedBackend]:
        """Return the recording and a simulation where the backend stands. NotRecordedError if there is none."""
        from kanslib.backends.simulated import SimulatedBackend
        from kanslib.comparison.simulation import replay_in_simulator

        if self._instead is not None:
            return self._instead, replay_in_simulator(self._instead)
        twin, recorded = self._asked, self._open()
        if not isinstance(twin, SimulatedBackend):
            story = f"kanslib.open_lab({recorded.story.name!r}, backend='recorded')"
            raise NotRecordedError("the cluster as it is now", hint=f"a recording has a twin to compare with: {story}")
        known = [str(row["MOMENT"]) for row in recorded.moments()]
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
        if isinstance(answer, tuple):
            return tuple(self._marked(part) if isinstance(part, (Text, Provenance)) else part for part in answer)  # type: ignore[return-value]
        return answer

    def _mark(self, origin: Provenance) -> Provenance:
        return replace(origin, instead=self._reason, requested=self._source)

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
        return {**self._secondary_mac_owners(), **self._asked.mac_owners()}

    def _secondary_mac_owners(self) -> dict[str, str]:
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

    def probes(self, window: TimeWindow) -> list[dict[str, Any]]:
        return self._ask(lambda world: world.probes(window if world is self._now else world.window(float("inf"))))

    def frames(self, window: TimeWindow) -> list[Frame]:
        return self._ask(lambda world: world.frames(window if world is self._now else world.window(float("inf"))))

    def tcp_frames(self, window: TimeWindow) -> tuple[TimeWindow, list[Frame], Provenance]:
        def question(world: Backend) -> tuple[TimeWindow, list[Frame], Provenance]:
            if world is self._now:
                return world.tcp_frames(window)
            other = world.window(float("inf"))
            return world.tcp_frames(replace(other, start=min(window.start, other.start)))

        return self._ask(question)

    def command_outputs(self, command: str, window: TimeWindow) -> list[tuple[float, str, str]]:
        return self._ask(
            lambda world: world.command_outputs(command, window if world is self._now else world.window(float("inf")))
        )

    @contextmanager
    def isolated(self, stood: Clock | None = None) -> Iterator[None]:
        self._is_alone = True
        try:
            with self._now.isolated(stood):
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


def _reason(gap: Exception) -> str:
    """Why the world cannot serve, in a few words."""
    return (
        gap.reason if isinstance(gap, UnsupportedError) else f"the twin does not work out {getattr(gap, 'asked', gap)}"
    )


def _announce(reason: str, source: Source) -> None:
    """Say above a cell's output, whatever it is, that a recording answers in it."""
    words = f"not {source}: answered by the recording, because {reason}"
    notices.show_notice(words, notices.FALLBACK_COLOUR, "kans-not-live")
