"""The outcomes of a packet as accessible SVG and in words: boxes of rules, thicker lines for likelier outcomes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from textwrap import wrap
from typing import overload

import htpy as h
from markupsafe import Markup

from kanslib.answer import Provenance
from kanslib.iptables import MissingRules, Outcome, Step, is_certain
from kanslib.iptables.explain import share, short
from kanslib.iptables.outcome import open_questions
from kanslib.iptables.syntax import TARGETS
from kanslib.palette import BLUE, GREEN, GREY, VERMILLION
from kanslib.render.answers import TabledAnswer
from kanslib.render.html import scrollable
from kanslib.render.rows import Rows
from kanslib.render.svg import canvas, text

_WIDTH, _GAP, _LINE, _MARGIN = 340, 96, 17, 12
_CHARS = 52  # of a line in a box
SHOWN_ENDS = 3
SHOWN_BRANCHES, MAX_BRANCHES = 4, 6  # more branches than MAX are drawn as SHOWN boxes and one for the rest
_STYLE = """
.kw-step:focus{outline:none}.kw-step .kw-raw{visibility:hidden}
.kw-step:hover .kw-raw,.kw-step:focus .kw-raw{visibility:visible}
.kw-step .kw-highlight{fill:currentColor;fill-opacity:0}
.kw-step:hover .kw-highlight,.kw-step:focus .kw-highlight{fill-opacity:.13;stroke:currentColor;stroke-width:1.5}
"""


@dataclass(frozen=True)
class Box:
    """Rules that a packet matches one after the other, and then its outcomes, or the boxes that it branches into.

    `label` stands on the line to the box. `conditions`: what these outcomes assume and other branches do not.
    `weight`: the box's share of the packets at its branching, 0 to 1. `hidden`: how many outcomes the box stands for.
    """

    steps: tuple[Step, ...]
    label: str
    conditions: tuple[str, ...]
    weight: float
    outcomes: tuple[Outcome, ...]
    branches: tuple[Box, ...]
    hidden: int = 0

    @property
    def height(self) -> int:
        """Return the height in SVG units."""
        return sum(_step_height(step) for step in self.steps) + _LINE * len([*self.head, *self.foot]) + 14

    @property
    def head(self) -> list[str]:
        """Return the lines at the head of the box: its conditions."""
        return [line for condition in self.conditions for line in wrap(f"if {condition}", _CHARS)]

    @property
    def foot(self) -> list[str]:
        """Return the lines at the foot of the box: where the packet ends."""
        if self.hidden:
            return [f"{self.hidden} more ways like these", "(in words: below)"]
        lines = []
        for way in self.outcomes[:1]:
            lines += wrap(("✓ " if way.verdict == "ACCEPT" else "✗ ") + way.describe_end(), _CHARS)
        return lines


class Trace(Sequence[Outcome], TabledAnswer):
    """Every outcome of a packet: a sequence of Outcome, a picture in a notebook, `describe()` in words."""

    def __init__(self, outcomes: Sequence[Outcome], title: str, provenance: Provenance) -> None:
        self.outcomes, self.title, self.provenance = tuple(outcomes), title, provenance

    @overload
    def __getitem__(self, index: int) -> Outcome: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Outcome, ...]: ...
    def __getitem__(self, index: int | slice) -> Outcome | tuple[Outcome, ...]:
        return self.outcomes[index]

    def __len__(self) -> int:
        return len(self.outcomes)

    def __repr__(self) -> str:
        return f"<Trace: {self.summary}>"

    @property
    def missing(self) -> tuple[MissingRules, ...]:
        """The rules that the machine has, or may have, and its dump has not."""
        return self.outcomes[0].missing if self.outcomes else ()

    @property
    def certain(self) -> bool:
        """Whether it is certain that the packet is let through, or that it is not; see `iptables.is_certain`."""
        return is_certain(self.outcomes)

    @property
    def summary(self) -> str:
        """Return the packet and where it can end, in one line."""
        asked = open_questions(self.outcomes)
        ends = list(dict.fromkeys(map(_destination if asked else _destination_with_share, self.outcomes)))
        if len({_destination(way) for way in self.outcomes}) == 1:
            ends = [f"{'' if self.missing else 'always '}{_destination(self.outcomes[0])}"]
        shown = " or ".join(ends[:SHOWN_ENDS]) + (
            f" or {len(ends) - SHOWN_ENDS} more" if len(ends) > SHOWN_ENDS else ""
        )
        if asked and len(ends) > 1:
            more = f" and {len(asked) - SHOWN_ENDS} more" if len(asked) > SHOWN_ENDS else ""
            shown += f"; it depends on what is not known ({', '.join(asked[:SHOWN_ENDS])}{more})"
        return (
            f"{self.title}: {shown}{' by these rules; not certain, because others are missing' if self.missing else ''}"
        )

    def describe(self) -> str:
        """Return the trace in words: the first outcomes rule by rule, the others by where they end."""
        explained = [way.explain() for way in self.outcomes[:MAX_BRANCHES]]
        others = [f"{share(way.probability)} → {way.describe_end()}" for way in self.outcomes[MAX_BRANCHES:]]
        missing = "\n".join(f"missing: {one}" for one in self.missing)
        return "\n\n".join(filter(None, [self.summary, missing, *explained, "\n".join(others)]))

    def rows(self) -> Rows:
        """Return every step of every way, one row each: WAY, SHARE, HOOK, CHAIN, RULE and where the way ENDS."""
        return [
            {"WAY": number, "SHARE": share(way.probability), "HOOK": step.hook, "CHAIN": step.rule.chain,
             "RULE": step.rule.raw, "ENDS": _destination(way)}
            for number, way in enumerate(self.outcomes, 1)
            for step in shown_steps(way)
        ]  # fmt: skip

    def svg(self) -> Markup:
        """Return the picture as SVG."""
        return draw(outcome_tree(self.outcomes), self.summary)

    def body_html(self) -> Markup:
        """Return the picture, and the same in words folded below it."""
        picture = scrollable(self.svg(), "the trace of the packet")
        words = h.pre(style="white-space:pre-wrap")[self.describe()]
        return Markup(
            h.fragment[
                h.details(open=True)[h.summary[self.summary], picture],
                h.details[h.summary["The same in words"], words],
            ]
        )


def _destination(way: Outcome) -> str:
    return f"to {way.packet.dst or 'an address that is not known'}" if way.accepted else way.verdict


def _destination_with_share(way: Outcome) -> str:
    return f"{share(way.probability)} {_destination(way)}"


# ── from outcomes to boxes ───────────────────────────────────────────────────────────────────────────────────


def shown_steps(outcome: Outcome) -> tuple[Step, ...]:
    """Return the steps of an outcome without jumps out of FORWARD and POSTROUTING, and into chains without a match."""
    kept = [
        step
        for step, following in pairwise([*outcome.steps, None])
        if step is not None and not _is_fruitless(step, following)
    ]
    return tuple(kept)


def _is_fruitless(step: Step, following: Step | None) -> bool:
    body = step.rule.body
    chain = body.target.name if body.target else ""
    if not chain or chain in TARGETS:
        return False
    return following is None or following.rule.chain != chain or step.rule.chain in ("FORWARD", "POSTROUTING", "INPUT")


_ShownOutcome = tuple[Outcome, tuple[Step, ...]]  # an outcome and its shown steps


def outcome_tree(outcomes: Sequence[Outcome]) -> Box:
    """Return the outcomes as a tree of boxes: common steps first, then one branch for each different step."""
    return _outcome_box([(way, shown_steps(way)) for way in outcomes], 0, "", (), 1.0)


def _outcome_box(ways: list[_ShownOutcome], start: int, label: str, conditions: tuple[str, ...], weight: float) -> Box:
    common = start
    first = ways[0][1]
    while common < len(first) and all(len(s) > common and s[common].rule == first[common].rule for _, s in ways):
        common += 1
    steps = first[start:common]
    if len(ways) == 1:
        return Box(first[start:], label, conditions, weight, (ways[0][0],), ())
    groups: dict[object, list[_ShownOutcome]] = {}
    for number, (way, steps_shown) in enumerate(ways):
        key: object = steps_shown[common].rule if len(steps_shown) > common else number
        groups.setdefault(key, []).append((way, steps_shown))
    found = list(groups.values())
    drawn = found if len(found) <= MAX_BRANCHES else found[:SHOWN_BRANCHES]
    parts = [_outcome_box(group, common, *_branch_label(group, ways)) for group in drawn]
    if rest := [way for group in found[len(drawn) :] for way in group]:
        text, conditions_of_rest, share_of_rest = _branch_label(rest, ways)
        ends = tuple(way for way, _ in rest)
        parts.append(Box((), f"together {text}", conditions_of_rest, share_of_rest, ends, (), len(rest)))
    return Box(steps, label, conditions, weight, (), tuple(parts))


def _branch_label(group: list[_ShownOutcome], of: list[_ShownOutcome]) -> tuple[str, tuple[str, ...], float]:
    """Return the label of the line to a group, its conditions, and its share of the packets that come here."""
    common = [assumed for assumed in group[0][0].assumes if all(assumed in way.assumes for way, _ in group)]
    conditions = tuple(str(assumed) for assumed in common if any(assumed not in way.assumes for way, _ in of))
    if len(group) == 1 and group[0][0].alternatives:
        conditions += (f"one of: {'; '.join(' and '.join(map(str, case)) for case in group[0][0].alternatives)}",)
    first = group[0][0]
    chance = _probability(group, first) / _probability(of, first)
    return ("if: " if conditions else "") + share(chance), conditions, float(chance)


def _probability(ways: list[_ShownOutcome], like: Outcome) -> Fraction:
    """Return the probability of the outcomes whose assumptions are compatible with those of `like`."""
    return sum((way.probability for way, _ in ways if way.is_compatible(like)), Fraction(0))


# ── from boxes to SVG ────────────────────────────────────────────────────────────────────────────────────────


def _rule_lines(step: Step) -> list[str]:
    return wrap(step.describe(), _CHARS, max_lines=2, placeholder=" …")


def _step_height(step: Step) -> int:
    return _LINE * (1 + len(_rule_lines(step))) + 5


def _total_height(box: Box) -> int:
    """Return the height of a box and of all boxes behind it."""
    return max(box.height, sum(_total_height(part) + 14 for part in box.branches) - 14)


def draw(root: Box, summary: str) -> Markup:
    """Draw the boxes; the rule of a step stands at the foot while the step is hovered or has the focus."""
    depth, tall = _depth(root), _total_height(root)
    width = max(720, _MARGIN * 2 + depth * _WIDTH + (depth - 1) * _GAP)  # the rule at the foot needs room
    foot = _MARGIN * 2 + tall
    picture = canvas(summary, width, foot + 5 * _LINE, f"min-width:{min(width, 700)}px;font:12.5px sans-serif", "group")
    hint = "Point at a rule, or reach it with the Tab key: it stands here as iptables-save prints it."
    return Markup(
        picture[
            h.style[_STYLE],
            h.title[summary],
            h.g(opacity=".75")[text(_MARGIN, foot + _LINE, hint)],
            _draw_box(root, _MARGIN, _MARGIN, foot, width),
        ]
    )


def _depth(box: Box) -> int:
    return 1 + max((_depth(part) for part in box.branches), default=0)


def _draw_box(box: Box, x: int, top: int, foot: int, width: int) -> Iterator[h.Element]:
    tall = _total_height(box)
    y = top + (tall - box.height) // 2
    good = all(way.verdict == "ACCEPT" for way in box.outcomes)
    colour = GREY if not box.outcomes else GREEN if good else VERMILLION
    yield h.rect(
        x=x, y=y, width=_WIDTH, height=box.height, rx=8, fill="none", stroke=colour, stroke_width=2,
        stroke_dasharray=None if good else "7 4",
    )  # fmt: skip
    at = y + 6
    for line in box.head:
        yield h.g(font_style="italic")[text(x + 10, at + 13, line)]
        at += _LINE
    for step in box.steps:
        yield _draw_step(step, x, at, foot, width)
        at += _step_height(step)
    for line in box.foot:
        yield text(x + 10, at + 13, line, bold=True)
        at += _LINE
    below = top + (tall - sum(_total_height(part) + 14 for part in box.branches) + 14) // 2
    for part in box.branches:
        middle = below + _total_height(part) // 2
        yield from _draw_edge(x + _WIDTH, y + box.height // 2, middle, part)
        yield from _draw_box(part, x + _WIDTH + _GAP, below, foot, width)
        below += _total_height(part) + 14


def _draw_edge(x: int, start: int, end: int, part: Box) -> Iterator[h.Element]:
    half = x + _GAP // 2
    path = f"M{x},{start} C{half},{start} {half},{end} {x + _GAP},{end}"
    yield h.path(d=path, fill="none", stroke=BLUE, stroke_width=f"{1.5 + 8 * part.weight:.1f}")
    label = text(x + _GAP - 6, end - 8 if end <= start else end + 16, part.label, anchor="end", bold=True)
    yield h.g(role="img", aria_label=part.label)[h.title[part.label], label]


def _draw_step(step: Step, x: int, y: int, foot: int, width: int) -> h.Element:
    rule, hook = step.rule, None
    if rule.chain != step.hook:
        hook = h.tspan(font_weight="normal", opacity=".75")[f" · {step.hook}"]
    words = [text(x + 10, y + 13 + _LINE * place, line) for place, line in enumerate(_rule_lines(step), 1)]
    counter = f" · {rule.packets:,} packets so far" if rule.packets is not None else ""
    raw = [f"{rule.table}, line {rule.line}{counter}", *wrap(rule.text, width // 8)]
    strip = h.g(".kw-raw", aria_hidden="true", font_family="monospace", font_size=12)
    label = f"{step.hook}, {short(rule.chain)}: {step.describe()}. Rule: {rule.text}"
    return h.g(".kw-step", tabindex=0, role="img", aria_label=label)[
        h.title[rule.text],
        h.rect(".kw-highlight", x=x + 3, y=y, width=_WIDTH - 6, height=_step_height(step) - 2, rx=4),
        text(x + 10, y + 13, [short(rule.chain), hook], bold=True),
        words,
        strip[(text(_MARGIN, foot + _LINE * place, line) for place, line in enumerate(raw[:3], 2))],
    ]
