"""The clock of a recorded world: where in a story we are, what was done, and what comes next.

Everything follows from one number, `now` (Unix seconds); traffic adds what has already been asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import dataclass, replace

from kanslib.actions import base_name, deduplicate
from kanslib.answer import Freshness
from kanslib.exceptions import NotRecordedError, UnknownNameError
from kanslib.recording.format import Action, CommandOutput, RecordedStep, Segment, Story

OPENING = "opening"
_CLOSE_S = 5  # seconds: an output no further away answers for the moment itself


@dataclass(frozen=True)
class OutputMatch:
    """A recorded output that was chosen for a moment, and how it relates to that moment."""

    output: CommandOutput
    freshness: Freshness


def name_actions(acts: Iterable[Action], neutral: bool) -> list[Action]:
    """The acts under the names a learner uses: numbered within the story; a neutral one gives no diagnosis."""
    found = list(acts)
    own = [re.sub(r"^(break|fix)-.*", r"\1", base_name(act.id)) if neutral else base_name(act.id) for act in found]
    return [replace(act, id=name) for act, name in zip(found, deduplicate(own), strict=True)]


class Clock:
    """The moment in a story. `takes`: those the story runs over; `acts`: all acts of these takes."""

    def __init__(self, story: Story, takes: Sequence[Segment], acts: Sequence[Action]) -> None:
        self.story, self.segments = story, takes
        before = [act for act in acts if act.t < story.start]
        mine = [act for act in acts if story.start <= act.t < story.end]
        self.actions = name_actions(mine, story.hide_actions)
        # an act is also found under the name that it has in the whole recording
        self._known = {old.id: act for old, act in zip(mine, self.actions, strict=True) if not story.hide_actions}
        self._known |= {act.id: act for act in self.actions}
        self._whole = [*before, *self.actions, *(act for act in acts if act.t >= story.end)]
        self.now = story.start
        self._asked: list[CommandOutput] = []

    def copy(self) -> Clock:
        """The same clock, to be moved on its own."""
        twin = copy(self)
        twin._asked = list(self._asked)
        return twin

    @property
    def segment(self) -> Segment:
        """The take in which the clock stands."""
        begun = [take for take in self.segments if take.start <= self.now]
        return (begun or list(self.segments))[-1]

    # ── where we are ─────────────────────────────────────────────────────────────────────────────────────

    @property
    def last(self) -> Action | None:
        """The last act begun at or before now, also one before the opening."""
        done = [act for act in self._whole if act.t <= self.now and act.segment == self.segment.id]
        return done[-1] if done else None

    @property
    def last_name(self) -> str:
        """The name of the last act of this story; `opening` before the first. Past the story's end any act counts."""
        if self.now > self.story.end and not self.story.hide_actions and self.last:
            return self.last.id
        done = [act for act in self.actions if act.t <= self.now]
        return done[-1].id if done else OPENING

    @property
    def until(self) -> float:
        """The end of the stretch: when anything else was done next, in this story or after it."""
        take = self.segment
        later = [act.t for act in self._whole if act.t > self.now and act.segment == take.id]
        return min([*later, take.end + 1])

    @property
    def since(self) -> float:
        """The beginning of the stretch: the last act, or its settled moment once that has passed."""
        last = self.last
        if last is None:
            return self.segment.start
        return last.settled if self.now >= last.settled else last.t

    def outputs_now(self, reads: Iterable[CommandOutput]) -> list[CommandOutput]:
        """Those of the reads that were made since the last act and before the next one."""
        since, until = self.since, self.until
        return [read for read in reads if since <= read.t < until]

    def steps_ahead(self) -> list[tuple[Action, RecordedStep]]:
        """The steps that the story still has, each with its act."""
        return [(act, step) for act in self.actions for step in act.steps if step.t > self.now]

    # ── moving ───────────────────────────────────────────────────────────────────────────────────────────

    def move(self, moment: float) -> None:
        """Stand at `moment`; what was asked since counts no more when the stretch is another one."""
        before = self.since, self.until
        self.now = moment
        if (self.since, self.until) != before:
            self._asked = []

    def at(self, name: str, after: float | None = None) -> None:
        """Stand where the act `name` had settled, or `after` seconds after it was done."""
        if name == OPENING:
            return self.move(self.story.start + (after or 0.0))
        if name not in self._known:
            raise UnknownNameError("moment", name, [OPENING, *(act.id for act in self.actions)])
        act = self._known[name]
        if after is None:
            return self.move(act.settled)
        if after < 0:
            raise NotRecordedError(
                f"{after} s after {name}", hint="seconds after an act are counted forwards: use 0 or more"
            )
        self._refuse_beyond(act, after)
        return self.move(act.t + after)

    def _refuse_beyond(self, act: Action, after: float) -> None:
        later = [other for other in self.actions if other.t > act.t]
        end = later[0].t if later else self.story.end
        if act.t + after > end:
            what = f"then {later[0].id} was done: lab.at({later[0].id!r})" if later else "there the story ends"
            raise NotRecordedError(f"{after:g} s after {act.id}", hint=f"recorded until +{end - act.t:.1f} s; {what}")

    def at_time(self, moment: float) -> None:
        """Stand at a moment in Unix seconds, anywhere in the takes of this story."""
        for take in self.segments:
            if take.start <= moment <= take.end:
                return self.move(moment)
        spans = [f"{take.start:.3f}–{take.end:.3f} ({take.id})" for take in self.segments]
        raise NotRecordedError(f"the moment {moment}", spans)

    # ── looking ──────────────────────────────────────────────────────────────────────────────────────────

    def match(self, reads: Sequence[CommandOutput]) -> OutputMatch | None:
        """Of several recordings of one command the one that tells of now; None when none can.

        The last at or before now that includes all traffic done so far, else the next one before anything
        else was done; failing both, one from before the last act, which says so.
        """
        asked_until = max((read.end for read in self._asked), default=self.since)
        stretch = self.outputs_now(reads)
        settled = [read for read in stretch if asked_until <= read.t <= self.now]
        ahead = [read for read in stretch if read.t > self.now and read.t >= asked_until]
        earlier = [read for read in reads if self.segment.start <= read.t <= self.now]
        if settled:
            return OutputMatch(settled[-1], Freshness(self._offset(settled[-1])))
        if ahead:
            return OutputMatch(ahead[0], Freshness(self._offset(ahead[0])))
        if not earlier:
            return None
        since = "the traffic" if earlier[-1] in stretch else self.last_name
        return OutputMatch(
            earlier[-1], Freshness(self._offset(earlier[-1]), since if self.last_name != OPENING else "")
        )

    def match_next(self, reads: Sequence[CommandOutput]) -> OutputMatch | None:
        """Traffic: the next recorded one in this stretch; the same again when there is no other. Moves the clock."""
        stretch = self.outputs_now(reads)
        if not stretch:
            return None
        fresh = [read for read in stretch if read not in self._asked]
        again = [read for read in self._asked if read in stretch]
        read = next((read for read in fresh if read.t >= self.now), (fresh or again)[-1])
        self._asked.append(read)
        offset = self._offset(read)
        self.now = max(self.now, read.end)
        return OutputMatch(read, Freshness(offset, is_repeat=not fresh))

    def _offset(self, read: CommandOutput) -> float:
        """Return by how many seconds an output is later than now (negative: earlier); 0 when it is close."""
        offset = read.t - self.now if read.t > self.now else min(read.end - self.now, 0.0)
        return offset if abs(offset) > _CLOSE_S else 0.0
