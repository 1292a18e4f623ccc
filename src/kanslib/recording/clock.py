"""The clock of a recorded lab: the moment in a story, the actions before it and the actions after it.

Everything follows from one number, `now` (Unix seconds); traffic adds the outputs that were already used.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import dataclass

from msgspec.structs import replace

from kanslib.actions import base_name, deduplicate
from kanslib.answer import Freshness
from kanslib.exceptions import NotRecordedError, UnknownNameError
from kanslib.i18n import tr
from kanslib.recording.format import Action, CommandOutput, RecordedStep, Segment, Story

OPENING = "opening"
_CLOSE_S = 5  # seconds: an output no further away answers for the moment itself


@dataclass(frozen=True)
class OutputMatch:
    """A recorded output that was chosen for a moment, and how it relates to that moment."""

    output: CommandOutput
    freshness: Freshness


def name_actions(actions: Iterable[Action], hide_actions: bool) -> list[Action]:
    """Return actions under a learner's names, numbered within the story; `hide_actions` hides the diagnosis."""
    actions = list(actions)
    names = [
        re.sub(r"^(break|fix)-.*", r"\1", base_name(action.id)) if hide_actions else base_name(action.id)
        for action in actions
    ]
    return [replace(action, id=name) for action, name in zip(actions, deduplicate(names), strict=True)]


class Clock:
    """The moment in a story. `segments`: those that the story runs over; `actions`: all actions of these segments."""

    def __init__(self, story: Story, segments: Sequence[Segment], actions: Sequence[Action]) -> None:
        self.story, self.segments = story, segments
        before = [action for action in actions if action.t < story.start]
        inside = [action for action in actions if story.start <= action.t < story.end]
        self.actions = name_actions(inside, story.hide_actions)
        # an action is also found by its name in the whole recording
        self._by_name = {
            old.id: action for old, action in zip(inside, self.actions, strict=True) if not story.hide_actions
        }
        self._by_name |= {action.id: action for action in self.actions}
        self._all_actions = [*before, *self.actions, *(action for action in actions if action.t >= story.end)]
        self.now = story.start
        self._used: list[CommandOutput] = []

    def copy(self) -> Clock:
        """Return a copy that moves independently."""
        clock = copy(self)
        clock._used = list(self._used)  # noqa: SLF001 (a copy of its own)
        return clock

    @property
    def segment(self) -> Segment:
        """Return the segment of `now`."""
        started = [segment for segment in self.segments if segment.start <= self.now]
        return (started or list(self.segments))[-1]

    # ── position ─────────────────────────────────────────────────────────────────────────────────────────

    @property
    def last(self) -> Action | None:
        """Return the last action begun at or before now, also one before the opening."""
        done = [action for action in self._all_actions if action.t <= self.now and action.segment == self.segment.id]
        return done[-1] if done else None

    @property
    def last_name(self) -> str:
        """Return the last action's name; `opening` before the first. After the story's end any action counts."""
        if self.now > self.story.end and not self.story.hide_actions and self.last:
            return self.last.id
        done = [action for action in self.actions if action.t <= self.now]
        return done[-1].id if done else OPENING

    @property
    def until(self) -> float:
        """Return the end of the current span (Unix seconds): when the next action began, in this story or after it."""
        segment = self.segment
        later = [action.t for action in self._all_actions if action.t > self.now and action.segment == segment.id]
        return min([*later, segment.end + 1])

    @property
    def since(self) -> float:
        """Return the start of the current span (Unix seconds): the last action, or when it had settled."""
        last = self.last
        if last is None:
            return self.segment.start
        return last.settled if self.now >= last.settled else last.t

    def outputs_now(self, reads: Iterable[CommandOutput]) -> list[CommandOutput]:
        """Return the outputs that were recorded within the current span."""
        since, until = self.since, self.until
        return [read for read in reads if since <= read.t < until]

    def steps_ahead(self) -> list[tuple[Action, RecordedStep]]:
        """Return the later steps of the story, each with its action."""
        return [(action, step) for action in self.actions for step in action.steps if step.t > self.now]

    # ── moving ───────────────────────────────────────────────────────────────────────────────────────────

    def move(self, moment: float) -> None:
        """Move to `moment` (Unix seconds); in another span no output counts as used."""
        before = self.since, self.until
        self.now = moment
        if (self.since, self.until) != before:
            self._used = []

    def at(self, name: str, after: float | None = None) -> None:
        """Move to where the action `name` had settled, or to `after` seconds after it began."""
        if name == OPENING:
            return self.move(self.story.start + (after or 0.0))
        if name not in self._by_name:
            raise UnknownNameError("moment", name, [OPENING, *(action.id for action in self.actions)])
        action = self._by_name[name]
        if after is None:
            return self.move(action.settled)
        if after < 0:
            raise NotRecordedError(
                tr("{after} s after {name}", after=after, name=name),
                hint=tr("seconds after an action are counted forwards: use 0 or more"),
            )
        self._refuse_beyond(action, after)
        return self.move(action.t + after)

    def _refuse_beyond(self, action: Action, after: float) -> None:
        later = [other for other in self.actions if other.t > action.t]
        end = later[0].t if later else self.story.end
        if action.t + after > end:
            limit = tr("then {id} was done: lab.at({id!r})", id=later[0].id) if later else tr("the story ends there")
            raise NotRecordedError(
                tr("{after:g} s after {id}", after=after, id=action.id),
                hint=tr("recorded until +{seconds:.1f} s; {limit}", seconds=end - action.t, limit=limit),
            )

    def at_time(self, moment: float) -> None:
        """Move to a moment in Unix seconds, anywhere in the segments of this story."""
        for segment in self.segments:
            if segment.start <= moment <= segment.end:
                return self.move(moment)
        spans = [f"{segment.start:.3f}–{segment.end:.3f} ({segment.id})" for segment in self.segments]
        raise NotRecordedError(tr("the moment {moment}", moment=moment), spans)

    # ── outputs ──────────────────────────────────────────────────────────────────────────────────────────

    def match(self, reads: Sequence[CommandOutput]) -> OutputMatch | None:
        """Return the output of a command that answers for now; None without one.

        This is the last output at or before now after all traffic so far, else the next one in the span; without
        both, one from before the last action, whose freshness says so.
        """
        # the clock may have moved back to before some of it
        used_until = max((read.end for read in self._used if read.end <= self.now), default=self.since)
        in_span = self.outputs_now(reads)
        recent = [read for read in in_span if used_until <= read.t <= self.now]
        ahead = [read for read in in_span if read.t > self.now and read.t >= used_until]
        earlier = [read for read in reads if self.segment.start <= read.t <= self.now]
        if recent:
            return OutputMatch(recent[-1], Freshness(self._offset(recent[-1])))
        if ahead:
            return OutputMatch(ahead[0], Freshness(self._offset(ahead[0])))
        if not earlier:
            return None
        since = tr("the traffic") if earlier[-1] in in_span else self.last_name
        return OutputMatch(
            earlier[-1], Freshness(self._offset(earlier[-1]), since if self.last_name != OPENING else "")
        )

    def match_next(self, reads: Sequence[CommandOutput]) -> OutputMatch | None:
        """Return the next output of traffic in the span, or a used one when there is no other. Moves the clock."""
        in_span = self.outputs_now(reads)
        if not in_span:
            return None
        fresh = [read for read in in_span if read not in self._used]
        again = [read for read in self._used if read in in_span]
        read = next((read for read in fresh if read.t >= self.now), (fresh or again)[-1])
        self._used.append(read)
        offset = self._offset(read)
        self.now = max(self.now, read.end)
        return OutputMatch(read, Freshness(offset, is_repeat=not fresh))

    def _offset(self, read: CommandOutput) -> float:
        """Return by how many seconds an output is later than now (negative: earlier); 0 when it is close."""
        offset = read.t - self.now if read.t > self.now else min(read.end - self.now, 0.0)
        return offset if abs(offset) > _CLOSE_S else 0.0
