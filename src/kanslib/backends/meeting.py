"""Where a recording and its twin meet: what was not recorded is worked out, from the recorded moment on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from kanslib import notices
from kanslib.analysis.observation import ObservationData
from kanslib.answer import Text, utc
from kanslib.backends.base import Backend, Moment
from kanslib.backends.forwarding import ForwardingBackend
from kanslib.backends.recorded import RecordedBackend
from kanslib.exceptions import NotRecordedError, NotSimulatedError
from kanslib.recording.clock import OPENING, Clock

if TYPE_CHECKING:
    from kanslib.backends.simulated import SimulatedBackend


class RecordedOrSimulatedBackend(ForwardingBackend):
    """A recording, and a twin for the acts that nobody recorded. Implements `World`.

    The first such act starts the twin at the recorded moment, and says so; from then on the twin answers, until
    `lab.at` goes to a moment of the recording.
    """

    def __init__(self, recorded: RecordedBackend) -> None:
        self.recorded = recorded
        self.simulated: SimulatedBackend | None = None

    @property
    def _now(self) -> Backend:
        return self.simulated or self.recorded

    # ── acts ─────────────────────────────────────────────────────────────────────────────────────────────

    def _acted(self, deed: Callable[[Backend], Text]) -> Text:
        if self.simulated is not None:
            return deed(self.simulated)
        try:
            return deed(self.recorded)
        except NotRecordedError as gap:
            twin = self._simulate_from_here()
            try:
                told = deed(twin)
            except NotSimulatedError as unknown:
                raise NotRecordedError(*gap.parts, also=str(unknown)) from None
            self.simulated = twin
            back = self.recorded.clock.last_name
            notices.show_notice(
                f"not recorded: {gap.asked} · simulated from here on, from the recorded moment after {back}; "
                f"lab.at({back!r}) goes back to the recording",
                notices.SIMULATED_COLOUR,
                "kans-computed",
            )
            return told

    def _simulate_from_here(self) -> SimulatedBackend:
        # most labs never need a twin, and it is most of what opening one would take
        from kanslib.backends.initial_state import from_recording
        from kanslib.backends.simulated import SimulatedBackend

        recorded = self.recorded
        since = f"the recorded moment {utc(recorded.now())}"
        if recorded.clock.last_name != OPENING:
            since += f", after {recorded.clock.last_name}"
        return SimulatedBackend(from_recording(recorded), since, title=recorded.story.title)

    @contextmanager
    def isolated(self, position: Clock | None = None) -> Iterator[None]:
        twin = self.simulated
        if position is not None:  # it was asked while the recording still answered
            self.simulated = None
        try:
            with self._now.isolated(position):
                yield
        finally:
            self.simulated = twin

    # ── observation ──────────────────────────────────────────────────────────────────────────────────────

    @contextmanager
    def observe(self, vips: Sequence[str], seconds: float, queries_at: Sequence[float]) -> Iterator[None]:
        before = self.simulated
        yield
        if self.simulated is not None and self.simulated is not before:
            with self.simulated.observe(vips, seconds, queries_at):
                pass

    # ── time ─────────────────────────────────────────────────────────────────────────────────────────────

    def at(self, moment: str, after: float | None) -> None:
        if self.simulated is not None and self._is_simulated(moment):
            return self.simulated.at(moment, after)
        self.simulated = None
        return self.recorded.at(moment, after)

    def observation_at(self, moment: str) -> ObservationData:
        if self.simulated is not None and self._is_simulated(moment):
            return self.simulated.observation_at(moment)
        return self.recorded.observation_at(moment)

    def _is_simulated(self, moment: str) -> bool:
        return self.simulated is not None and moment in {
            one.name for one in self.simulated.moments() if one.at is not None
        }

    def actions(self) -> list[Moment]:
        return [*self.recorded.actions(), *self._simulated_moments()]

    def moments(self) -> list[Moment]:
        recorded = self.recorded.moments()
        if self.simulated is None:
            return recorded
        return [*(replace(moment, is_current=False) for moment in recorded), *self._simulated_moments()]

    def _simulated_moments(self) -> Iterator[Moment]:
        """Yield the moments of the simulation, in seconds from the recording's opening."""
        offset = self.recorded.now() - self.recorded.story.start
        for moment in self.simulated.moments() if self.simulated else []:
            if moment.at is not None:
                yield replace(moment, at=moment.at + offset)

    def restore(self) -> Text:
        self.simulated = None
        return self.recorded.restore()
