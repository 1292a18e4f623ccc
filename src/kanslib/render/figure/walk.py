"""A packet's walk through rules as a tree of boxes: side by side where there is room, else one below the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import htpy as h

from kanslib.i18n import tr
from kanslib.palette import BLUE, GREEN, GREY, TOOLTIP, TOOLTIP_INK, VERMILLION
from kanslib.render.figure.figure import Drawing
from kanslib.render.figure.layout import SIZES, wrap_text
from kanslib.render.figure.marks import box, line, text

_MARGIN, _PAD, _BETWEEN, _FORK = 4, 10, 14, 60
_MIN_COLUMN, _MAX_COLUMN = 220, 560  # px; where a column would be narrower, boxes stand one below the other
_MIN_NESTED = 150  # px that the innermost of nested boxes keeps
_RULE_LINES, _RAW_LINES = 4, 12  # of one rule, in words and as its tool prints it
# The rule under the pointer, or with the focus, shows what its tool prints; the overlays of all rules are drawn last
_STYLE = f"""
.kans-figure .kans-rule:focus{{outline:none}}.kans-rule .kans-raw{{visibility:hidden;pointer-events:none}}
.kans-rule:hover .kans-raw,.kans-rule:focus .kans-raw{{visibility:visible}}
.kans-highlight{{fill:currentColor;fill-opacity:0}}
.kans-rule:hover .kans-highlight,.kans-rule:focus .kans-highlight{{fill-opacity:.13}}
.kans-rule:focus-visible .kans-highlight{{stroke:currentColor;stroke-width:2}}
.kans-raw text{{font:{SIZES.text}px monospace;fill:{TOOLTIP_INK}}}
"""


@dataclass(frozen=True)
class WalkedRule:
    """A rule that the packet matched.

    `chain` and `hook`: where it stands; `hook` may be empty. `words`: what it does. `raw`: the rule as its tool prints
    it. `origin`: the rule's table and line, and its counter. `label`: all of it in one sentence, for a screen reader.
    """

    chain: str
    hook: str
    words: str
    raw: str
    origin: str
    label: str


@dataclass(frozen=True)
class WalkBox:
    """Rules that a packet matches one after the other, and then its end, or the boxes that it branches into.

    `share`: the box's share of the packets at its branching, in words; `weight`: the same from 0 to 1. `conditions`:
    what this branch assumes and others do not. `end`: where the packet ends, empty where it branches; `let_through`
    says whether it gets there. `hidden`: how many ways the box stands for.
    """

    rules: tuple[WalkedRule, ...] = ()
    share: str = ""
    weight: float = 1.0
    conditions: tuple[str, ...] = ()
    end: tuple[str, ...] = ()
    let_through: bool = True
    hidden: int = 0
    branches: tuple[WalkBox, ...] = ()

    @cached_property
    def depth(self) -> int:
        """Return how many boxes follow one another at most, with this one."""
        return 1 + max((branch.depth for branch in self.branches), default=0)

    def deciding(self) -> WalkBox:
        """Return the walk in short: the last rule before each branching, and the first of each branch."""
        if not self.branches:
            return self
        branches = (replace(branch.deciding(), rules=branch.rules[:1]) for branch in self.branches)
        return replace(self, rules=self.rules[-1:], branches=tuple(branches))


def draw_walk(root: WalkBox, title: str, width: int) -> Drawing:
    """Draw the boxes at `width` px under their title, in columns from left to right, or nested from top to bottom."""
    column = (width - 2 * _MARGIN - (root.depth - 1) * _FORK) / root.depth
    lines = wrap_text(title, width - 2 * _MARGIN, SIZES.title, bold=True)
    top = len(lines) * (SIZES.title + 4) + SIZES.gap
    if column >= _MIN_COLUMN:
        placed = _in_columns(root, _MARGIN, top, min(column, _MAX_COLUMN))
    else:
        room = width - 2 * _MARGIN
        placed = _nested(root, _MARGIN, top, room, min(24.0, max(room - _MIN_NESTED, 0) / max(root.depth - 1, 1)))
    tall = [one.raw_height(rule) for one in placed.all() for rule in one.content.rules]
    height = max(_bottom(placed) + _MARGIN, *tall, 0)
    parts: list[h.Node] = [
        h.g(font_size=SIZES.title)[
            (text(_MARGIN, (SIZES.title + 4) * place, one, bold=True) for place, one in enumerate(lines, 1))
        ],
        list(_forks(placed)),
        [one.drawn() for one in placed.all()],
        [overlay for one in placed.all() for overlay in one.overlays(height)],
    ]
    return Drawing(title, height, parts, _STYLE, has_parts=True)


@dataclass(frozen=True)
class _Line:
    """One line of text in a box."""

    words: str
    bold: bool = False
    italic: bool = False
    faint: str = ""  # follows the words


@dataclass(frozen=True)
class _Placed:
    """A box with its place in px. `branches` are placed, too; `nested` ones stand below their box, not beside it."""

    content: WalkBox
    x: float
    y: float
    width: float
    branches: tuple[_Placed, ...] = ()
    nested: bool = False

    @cached_property
    def head(self) -> list[_Line]:
        room = self.width - 2 * _PAD
        conditions = [line for one in self.content.conditions for line in wrap_text(tr("if {one}", one=one), room)]
        share = wrap_text(self.content.share, room, bold=True)
        return [*(_Line(one, italic=True) for one in conditions), *(_Line(one, bold=True) for one in share)]

    @cached_property
    def rules(self) -> list[list[_Line]]:
        return [_rule_lines(rule, self.width - 2 * _PAD) for rule in self.content.rules]

    @cached_property
    def foot(self) -> list[_Line]:
        lines = [line for one in self.content.end for line in wrap_text(one, self.width - 2 * _PAD, bold=True)]
        return [_Line(one, bold=True) for one in lines]

    @property
    def height(self) -> float:
        lines = len(self.head) + sum(map(len, self.rules)) + len(self.foot)
        return SIZES.line * lines + 5 * len(self.rules) + 14

    def rule_places(self) -> Iterator[tuple[WalkedRule, float, float]]:
        """Yield each rule with its top and its height."""
        y = self.y + 6 + SIZES.line * len(self.head)
        for rule, lines in zip(self.content.rules, self.rules, strict=True):
            yield rule, y, SIZES.line * len(lines)
            y += SIZES.line * len(lines) + 5

    def all(self) -> Iterator[_Placed]:
        """Yield this box and all behind it."""
        yield self
        for branch in self.branches:
            yield from branch.all()

    def moved(self, by: float) -> _Placed:
        """Return the box and all behind it, `by` px further down."""
        branches = tuple(one.moved(by) for one in self.branches)
        return _Placed(self.content, self.x, self.y + by, self.width, branches, self.nested)

    def drawn(self) -> list[h.Element]:
        """Return the frame and its texts."""
        content = self.content
        colour = GREY if not content.end else GREEN if content.let_through else VERMILLION
        dash = None if content.let_through else "7 4"
        parts = [box(self.x, self.y, self.width, self.height, colour, 8, dash)]
        y = self.y + 6
        for lines in (self.head, *self.rules, self.foot):
            for one in lines:
                parts.append(_text_line(self.x + _PAD, y + 13, one))
                y += SIZES.line
            y += 5 if lines is not self.head and lines is not self.foot else 0
        return parts

    def raw_lines(self, rule: WalkedRule) -> list[str]:
        """Return where a rule stands and what its tool prints of it, in lines that fit in the box."""
        origin, raw = (wrap_text(words, self.width - 2 * _PAD, monospace=True) for words in (rule.origin, rule.raw))
        return [*origin, *_first(raw, _RAW_LINES)]

    def raw_height(self, rule: WalkedRule) -> float:
        """Return the height of these lines with their ground."""
        return SIZES.line * len(self.raw_lines(rule)) + 10

    def overlays(self, bottom: float) -> Iterator[h.Element]:
        """Yield for each rule what the pointer and the Tab key reach. All of it stays above `bottom` px."""
        for rule, y, height in self.rule_places():
            place = h.rect(
                ".kans-highlight", x=f"{self.x + 3:g}", y=f"{y:g}", width=f"{self.width - 6:g}",
                height=f"{height + 3:g}", rx=4,
            )  # fmt: skip
            below, tall = y + height + 2, self.raw_height(rule)
            top = below if below + tall <= bottom else max(y - tall - 2, 0)
            raw = h.g(".kans-raw", aria_hidden="true")[self._raw(rule, top, tall)]
            yield h.g(".kans-rule", tabindex=0, role="img", aria_label=rule.label)[place, raw]

    def _raw(self, rule: WalkedRule, top: float, height: float) -> Iterator[h.Element]:
        yield h.rect(
            x=f"{self.x:g}", y=f"{top:g}", width=f"{self.width:g}", height=f"{height:g}", rx=4, fill=TOOLTIP,
            stroke=GREY,
        )  # fmt: skip
        for place, one in enumerate(self.raw_lines(rule), 1):
            yield h.text(x=f"{self.x + _PAD:g}", y=f"{top + SIZES.line * place:g}")[one]


def _rule_lines(rule: WalkedRule, room: float) -> list[_Line]:
    """Return chain and hook, on one line where both fit, and then the rule in words."""
    hook = f" · {rule.hook}" if rule.hook else ""
    lines = [_Line(one, bold=True) for one in wrap_text(rule.chain, room, bold=True)]
    if hook and len(wrap_text(rule.chain + hook, room, bold=True)) == 1:
        lines = [_Line(rule.chain, bold=True, faint=hook)]
    elif hook:
        lines += [_Line(one) for one in wrap_text(rule.hook, room)]
    return lines + [_Line(one) for one in _first(wrap_text(rule.words, room), _RULE_LINES)]


def _first(lines: list[str], most: int) -> list[str]:
    return lines if len(lines) <= most else [*lines[: most - 1], "…"]


def _text_line(x: float, y: float, one: _Line) -> h.Element:
    faint = h.tspan(font_weight="normal")[one.faint] if one.faint else None
    drawn = text(x, y, [one.words, faint], bold=one.bold)
    return h.g(font_style="italic")[drawn] if one.italic else drawn


def _in_columns(content: WalkBox, x: float, top: float, width: float) -> _Placed:
    """Place a box beside its branches, each in the middle of the other's height."""
    branches: list[_Placed] = []
    y = top
    for one in content.branches:
        placed = _in_columns(one, x + width + _FORK, y, width)
        branches.append(placed)
        y = _bottom(placed) + _BETWEEN
    alone = _Placed(content, x, top, width)
    spare = (y - _BETWEEN - top) - alone.height if branches else 0.0
    if spare >= 0:
        return _Placed(content, x, top + spare / 2, width, tuple(branches))
    return _Placed(content, x, top, width, tuple(one.moved(-spare / 2) for one in branches))


def _nested(content: WalkBox, x: float, top: float, width: float, indent: float) -> _Placed:
    """Place the branches of a box below it, each `indent` px further to the right."""
    branches: list[_Placed] = []
    y = top + _Placed(content, x, top, width).height + _BETWEEN
    for one in content.branches:
        placed = _nested(one, x + indent, y, width - indent, indent)
        branches.append(placed)
        y = _bottom(placed) + _BETWEEN
    return _Placed(content, x, top, width, tuple(branches), nested=True)


def _bottom(placed: _Placed) -> float:
    return max(one.y + one.height for one in placed.all())


def _forks(placed: _Placed) -> Iterator[h.Element]:
    """Yield the lines to the branches of each box: the more packets take one, the thicker it is."""
    for one in placed.all():
        yield from _nested_fork(one) if one.nested else _fork(one)


def _fork(placed: _Placed) -> Iterator[h.Element]:
    left, start = placed.x + placed.width, placed.y + placed.height / 2
    for branch in placed.branches:
        end = branch.y + branch.height / 2
        half = left + _FORK / 2
        path = f"M{left:g} {start:g}C{half:g} {start:g} {half:g} {end:g} {left + _FORK:g} {end:g}"
        yield h.path(d=path, fill="none", stroke=BLUE, stroke_width=f"{_thickness(branch.content.weight):.1f}")


def _nested_fork(placed: _Placed) -> Iterator[h.Element]:
    """Yield a trunk that gets thinner with each branch that leaves it."""
    y = placed.y + placed.height
    for number, branch in enumerate(placed.branches):
        room = branch.x - placed.x
        x, to = placed.x + room / 2, branch.y + 14
        rest = sum(one.content.weight for one in placed.branches[number:])
        yield line(x, y, x, to, BLUE, min(_thickness(rest), room / 2))
        yield line(x, to, branch.x, to, BLUE, _thickness(branch.content.weight))
        y = to


def _thickness(weight: float) -> float:
    return 1.5 + 8 * min(weight, 1.0)
