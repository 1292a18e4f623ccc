"""BGP's state machine as a figure: the states, and an arrow with its events for each transition of a session."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby, pairwise

import htpy as h

from kanslib.answer import Provenance
from kanslib.i18n import numeral, parted, tr
from kanslib.packets.bgp_fsm import IDLE, STATES, Transition
from kanslib.palette import BLUE, GREY, VERMILLION
from kanslib.render.figure import SIZES, Drawing, Figure, text_width, wrap_text
from kanslib.render.figure.marks import arrow, band, box, text
from kanslib.render.rows import Rows

_MARGIN, _BOX, _HIGH = 4, 108, 36
_LEAST_GAP = 96  # px between two boxes in a row: less, and the states stand one below the other
_LANE = 14
_SHOWN_LOOPS = 4  # events that do not change a state, of each state


def _event(step: Transition) -> str:
    """Return the event of a transition in words."""
    return tr(step.event)


def _span(pair: tuple[str, str]) -> int:
    return abs(STATES.index(pair[0]) - STATES.index(pair[1]))


@dataclass(frozen=True, repr=False)
class BGPStates(Figure):
    """The states through which one BGP session went: a picture in a notebook, `describe()` in words, `table`.

    `zero`: the action (Unix seconds), from which times count.
    """

    steps: tuple[Transition, ...]
    node: str
    peer: str
    zero: float
    provenance: Provenance

    def drawing(self, width: int) -> Drawing:
        """Return the states in a row where there is room between them, else one below the other."""
        gap = (width - 2 * _MARGIN - len(STATES) * _BOX) / (len(STATES) - 1)
        drawn: _Row | _Column = _Row(self, gap) if gap >= _LEAST_GAP else _Column(self, width)
        title = tr("The BGP session of {node} with {peer}, state by state", node=self.node, peer=self.peer)
        return Drawing(title, drawn.height, drawn.parts())

    @property
    def last(self) -> str:
        """The state at the end."""
        return self.steps[-1].after if self.steps else IDLE

    @cached_property
    def arrows(self) -> Mapping[tuple[str, str], list[str]]:
        """The events that led from one state to another, each with its first time and how often it happened."""
        steps: dict[tuple[str, str], list[Transition]] = defaultdict(list)
        for step in self.steps:
            if step.before != step.after:
                steps[step.before, step.after].append(step)
        return {pair: self._events(found) for pair, found in steps.items()}

    @property
    def jumps(self) -> list[tuple[str, str]]:
        """The transitions that do not lead to the next state, the shortest first: their lines need not cross."""
        return sorted((pair for pair in self.arrows if pair not in pairwise(STATES)), key=_span)

    def loops(self, state: str) -> list[str]:
        """Return the events that did not change a state, the commonest first."""
        counts = Counter(tr(step.event) for step in self.steps if step.before == step.after == state)
        return [f"{event} ×{count}" for event, count in counts.most_common(_SHOWN_LOOPS)]

    def _events(self, steps: Sequence[Transition]) -> list[str]:
        words = []
        for event, group in groupby(sorted(steps, key=_event), key=_event):
            when = [step.time - self.zero for step in group]
            words.append(f"{event} {numeral(when[0], '+.1f')}\u00a0s" + (f" (×{len(when)})" if len(when) > 1 else ""))
        return words

    def describe(self) -> str:
        """Return the transitions in words."""
        moves = [step for step in self.steps if step.before != step.after]
        sentences = [
            tr(
                "{time:+.1f} s {event}: {before} to {after}",
                time=step.time - self.zero,
                event=tr(step.event),
                before=step.before,
                after=step.after,
            )
            for step in moves
        ]
        walked = parted(sentences) or tr("nothing was on the wire")
        return tr(
            "{node} towards {peer}: {walked}. At the end: {last}.",
            node=self.node,
            peer=self.peer,
            walked=walked,
            last=self.last,
        )

    def rows(self) -> Rows:
        """Return a row for each event: AT (seconds), BEFORE, EVENT and AFTER."""
        return [
            {"AT": round(step.time - self.zero, 1), "BEFORE": step.before, "EVENT": tr(step.event), "AFTER": step.after}
            for step in self.steps
        ]


class _Row:
    """The states from left to right: events above the arrows, jumps above and below the boxes."""

    def __init__(self, states: BGPStates, gap: float) -> None:
        self._states, self._gap = states, gap
        forward = [pair for pair in states.jumps if STATES.index(pair[0]) < STATES.index(pair[1])]
        back = [pair for pair in states.jumps if pair not in forward]
        self._lanes: dict[tuple[str, str], float] = {}  # the y of the line of each jump
        y = float(SIZES.gap)
        for pair in reversed(forward):
            y += SIZES.line * len(self._jump_words(pair)) + SIZES.gap
            self._lanes[pair] = y
        above = max(len(self._between(pair)) for pair in pairwise(STATES))
        self._top = y + max(SIZES.line * above - _HIGH / 2 + 10, SIZES.gap)
        y = max(self._below(state) for state in STATES)
        for pair in back:
            y += SIZES.line * len(self._jump_words(pair)) + SIZES.gap
            self._lanes[pair] = y
        self.height = y + SIZES.gap

    def _left(self, state: str) -> float:
        return _MARGIN + STATES.index(state) * (_BOX + self._gap)

    def _below(self, state: str) -> float:
        """Return where the box of a state and the words below it end."""
        words = self._loop_words(state)
        return self._top + _HIGH + (SIZES.line * len(words) + 6 if words else 0)

    def _between(self, pair: tuple[str, str]) -> list[str]:
        return _wrapped(self._states.arrows.get(pair, ()), self._gap - 6)

    def _loop_words(self, state: str) -> list[str]:
        return _wrapped(self._states.loops(state), _BOX + self._gap - 48)

    def _jump_words(self, pair: tuple[str, str]) -> list[str]:
        room = _span(pair) * (_BOX + self._gap) + _BOX - 2 * _aside(pair) - 2 * SIZES.gap
        return _wrapped(self._states.arrows[pair], room)

    def parts(self) -> Iterator[h.Node]:
        """Yield states, arrows and jumps."""
        end = self._left(STATES[-1]) + _BOX
        for state in STATES:
            x = self._left(state)
            yield _state(self._states, state, x, self._top)
            for place, words in enumerate(self._loop_words(state), 1):
                half = text_width(words) / 2
                middle = min(max(x + _BOX / 2, _MARGIN + half), end - half)
                yield text(middle, self._top + _HIGH + SIZES.line * place, words, "middle")
        for pair in pairwise(STATES):
            yield from self._next(pair)
        for pair in self._lanes:
            yield from self._jump(pair)

    def _next(self, pair: tuple[str, str]) -> Iterator[h.Node]:
        start, end, y = self._left(pair[0]) + _BOX, self._left(pair[1]), self._top + _HIGH / 2
        words = self._between(pair)
        yield arrow([(start, y), (end, y)], "currentColor" if words else GREY, None if words else "4 4")
        for place, one in enumerate(reversed(words)):
            yield text((start + end) / 2, y - 8 - SIZES.line * place, one, "middle")

    def _jump(self, pair: tuple[str, str]) -> Iterator[h.Node]:
        y, words = self._lanes[pair], self._jump_words(pair)
        is_above = y < self._top
        edges = [self._top if is_above else self._below(state) for state in pair]
        aside = _aside(pair)
        places = self._left(pair[0]), self._left(pair[1])
        start, end = (place + (aside if place == min(places) else _BOX - aside) for place in places)
        colour = VERMILLION if pair[1] == IDLE else "currentColor"
        yield arrow([(start, edges[0]), (start, y), (end, y), (end, edges[1])], colour)
        for place, one in enumerate(reversed(words)):
            yield text((start + end) / 2, y - 5 - SIZES.line * place, one, "middle")


def _aside(pair: tuple[str, str]) -> int:
    """Return how far from the outer ends of its boxes a jump leaves and arrives: a longer one around a shorter one."""
    return 8 * (len(STATES) - _span(pair))


class _Column:
    """The states from top to bottom: events at the right of the arrows, jumps at the left."""

    def __init__(self, states: BGPStates, width: int) -> None:
        self._states = states
        self._left = _MARGIN + _LANE * min(len(states.jumps), 4) + SIZES.gap
        self._words = self._left + _BOX + SIZES.gap
        self._room = width - _MARGIN - self._words
        self._tops: dict[str, float] = {}
        y = float(_MARGIN)
        for state, after in pairwise((*STATES, "")):
            self._tops[state] = y
            y += max(_HIGH, SIZES.line * len(self._beside(state)) + SIZES.gap)
            y += max(SIZES.line * len(self._between((state, after))) + SIZES.gap, 24) if after else 0
        self.height = y + _MARGIN

    def _beside(self, state: str) -> list[str]:
        """Return the words beside a state: what did not change it, and what led away from it to no next state."""
        states = self._states
        jumps = [
            tr("to {pair}: {arrows}", pair=pair[1], arrows=parted(states.arrows[pair]))
            for pair in states.jumps
            if pair[0] == state
        ]
        return _wrapped([*states.loops(state), *jumps], self._room)

    def _between(self, pair: tuple[str, str]) -> list[str]:
        return _wrapped(self._states.arrows.get(pair, ()), self._room + _BOX / 2)

    def parts(self) -> Iterator[h.Node]:
        """Yield states, arrows and jumps."""
        for state in STATES:
            y = self._tops[state]
            yield _state(self._states, state, self._left, y)
            for place, words in enumerate(self._beside(state)):
                yield text(self._words, y + 14 + SIZES.line * place, words)
        for pair in pairwise(STATES):
            yield from self._next(pair)
        for number, pair in enumerate(self._states.jumps):
            yield self._jump(pair, number)

    def _next(self, pair: tuple[str, str]) -> Iterator[h.Node]:
        words = self._between(pair)
        middle, end = self._left + _BOX / 2, self._tops[pair[1]]
        yield arrow(
            [(middle, self._tops[pair[0]] + _HIGH), (middle, end)],
            "currentColor" if words else GREY,
            None if words else "4 4",
        )
        for place, one in enumerate(reversed(words)):
            yield text(middle + SIZES.gap, end - SIZES.gap - SIZES.line * place, one)

    def _jump(self, pair: tuple[str, str], number: int) -> h.Node:
        aside = 7 * (number % 4)
        x = self._left - SIZES.gap - _LANE * (number % 4) - _LANE / 2
        start, end = self._tops[pair[0]] + _HIGH - 8 - aside, self._tops[pair[1]] + 8 + aside
        colour = VERMILLION if pair[1] == IDLE else "currentColor"
        return arrow([(self._left, start), (x, start), (x, end), (self._left, end)], colour)


def _wrapped(texts: Sequence[str], width: float) -> list[str]:
    return [words for one in texts for words in wrap_text(one, width)]


def _state(states: BGPStates, name: str, x: float, y: float) -> h.Node:
    """Return a state as a box; the one at the end is shaded."""
    is_last = name == states.last
    return h.fragment[
        is_last and band(x + 3, y + 3, x + _BOX - 3, _HIGH - 6, BLUE, 0.15),
        box(x, y, _BOX, _HIGH, BLUE if is_last else GREY, 8),
        text(x + _BOX / 2, y + _HIGH / 2 + 4, name, "middle", bold=True),
    ]
