"""Where a recording and its twin meet: what was not recorded is worked out, from the recorded moment on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from kanslib.errors import NotComputed, NotRecorded
from kanslib.provenance import utc
from kanslib.recording.clock import OPENING, Clock
from kanslib.text import Text
from kanslib.worlds import aloud
from kanslib.worlds.forwarding import ForwardingWorld
from kanslib.worlds.protocol import World
from kanslib.worlds.recorded import RecordedWorld

if TYPE_CHECKING:
    from kanslib.worlds.computed import ComputedWorld


class MeetingWorld(ForwardingWorld):
    """A recording, and a twin for the acts that nobody recorded. Implements `World`.

    The first such act starts the twin at the recorded moment, and says so; from then on the twin answers, until
    `lab.at` goes to a moment of the recording.
    """

    def __init__(self, recorded: RecordedWorld) -> None:
        self.recorded = recorded
        self.twin: ComputedWorld | None = None

    @property
    def _now(self) -> World:
        return self.twin or self.recorded

    # ── acts ─────────────────────────────────────────────────────────────────────────────────────────────

    def _acted(self, deed: Callable[[World], Text]) -> Text:
        if self.twin is not None:
            return deed(self.twin)
        try:
            return deed(self.recorded)
        except NotRecorded as gap:
            twin = self._twin_from_here()
            try:
                told = deed(twin)
            except NotComputed as unknown:
                raise NotRecorded(*gap.parts, also=str(unknown)) from None
            self.twin = twin
            back = self.recorded.clock.last_name
            aloud.say(
                f"not recorded: {gap.asked} · computed from here on, from the recorded moment after {back}; "
                f"lab.at({back!r}) goes back to the recording",
                aloud.COMPUTED,
                "kans-computed",
            )
            return told

    def _twin_from_here(self) -> ComputedWorld:
        # most labs never need a twin, and it is most of what opening one would take
        from kanslib.worlds.computed import ComputedWorld
        from kanslib.worlds.origins import recorded_moment

        recorded = self.recorded
        since = f"the recorded moment {utc(recorded.now())}"
        if recorded.clock.last_name != OPENING:
            since += f", after {recorded.clock.last_name}"
        return ComputedWorld(recorded_moment(recorded), since, title=recorded.story.title)

    @contextmanager
    def undisturbed(self, stood: Clock | None = None) -> Iterator[None]:
        twin = self.twin
        if stood is not None:  # it was asked while the recording still answered
            self.twin = None
        try:
            with self._now.undisturbed(stood):
                yield
        finally:
            self.twin = twin

    # ── observation ──────────────────────────────────────────────────────────────────────────────────────

    @contextmanager
    def observing(self, vips: Sequence[str], seconds: float, looks: Sequence[float]) -> Iterator[None]:
        before = self.twin
        yield
        if self.twin is not None and self.twin is not before:
            with self.twin.observing(vips, seconds, looks):
                pass

    # ── time ─────────────────────────────────────────────────────────────────────────────────────────────

    def at(self, moment: str, after: float | None) -> None:
        if self.twin is not None and moment in {row["MOMENT"] for row in self.twin.moments()} - {OPENING}:
            return self.twin.at(moment, after)
        self.twin = None
        return self.recorded.at(moment, after)

    def acts(self) -> list[dict[str, Any]]:
        return [*self.recorded.acts(), *self._computed(self.twin.acts() if self.twin else [])]

    def moments(self) -> list[dict[str, Any]]:
        rows = self.recorded.moments()
        if self.twin is None:
            return rows
        mine = [row for row in self.twin.moments() if row["MOMENT"] != OPENING]
        return [*({**row, "HERE": ""} for row in rows), *self._computed(mine)]

    def _computed(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The twin's acts in the recording's seconds."""
        offset = self.recorded.now() - self.recorded.story.start
        return [{**row, "AT": round(row["AT"] + offset, 1), "DONE": f"{row['DONE']} (computed)"} for row in rows]

    def restore(self) -> Text:
        self.twin = None
        return self.recorded.restore()
