"""The outcomes of a packet as a tree of boxes: common rules first, then one branch for each different rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise

from kanslib.i18n import all_of, parted, tr, tr_plural
from kanslib.iptables import Outcome, Step
from kanslib.iptables.explain import share, simple_fraction
from kanslib.render.figure.walk import WalkBox, WalkedRule

SHOWN_BRANCHES, MAX_BRANCHES = 4, 6  # more branches than MAX are drawn as SHOWN boxes and one for the rest


def shown_steps(outcome: Outcome) -> tuple[Step, ...]:
    """Return the steps of an outcome without jumps out of FORWARD and POSTROUTING, and into chains without a match."""
    kept = [
        step
        for step, following in pairwise([*outcome.steps, None])
        if step is not None and not _is_fruitless(step, following)
    ]
    return tuple(kept)


def _is_fruitless(step: Step, following: Step | None) -> bool:
    if not step.to:
        return False
    leads_there = following is not None and following.rule.chain == step.to
    return not leads_there or step.rule.chain in ("FORWARD", "POSTROUTING", "INPUT")


_ShownOutcome = tuple[Outcome, tuple[Step, ...]]  # an outcome and its shown steps


def outcome_tree(outcomes: Sequence[Outcome]) -> WalkBox:
    """Return the outcomes as a tree of boxes: common steps first, then one branch for each different step."""
    return _outcome_box([(way, shown_steps(way)) for way in outcomes], 0, _Branch())


@dataclass(frozen=True)
class _Branch:
    """How packets come into a box; see WalkBox."""

    share: str = ""
    weight: float = 1.0
    conditions: tuple[str, ...] = ()


def _outcome_box(ways: list[_ShownOutcome], start: int, branch: _Branch) -> WalkBox:
    common = start
    first = ways[0][1]
    while common < len(first) and all(len(s) > common and s[common].rule == first[common].rule for _, s in ways):
        common += 1
    if len(ways) == 1:
        way = ways[0][0]
        return replace(
            _box(first[start:], branch),
            end=(("→ " if way.accepted else "✗ ") + way.describe_end(),),
            let_through=way.accepted,
        )
    groups: dict[object, list[_ShownOutcome]] = {}
    for number, (way, steps_shown) in enumerate(ways):
        key: object = steps_shown[common].rule if len(steps_shown) > common else number
        groups.setdefault(key, []).append((way, steps_shown))
    found = list(groups.values())
    drawn = found if len(found) <= MAX_BRANCHES else found[:SHOWN_BRANCHES]
    parts = [_outcome_box(group, common, _branch(group, ways, common)) for group in drawn]
    if rest := [way for group in found[len(drawn) :] for way in group]:
        parts.append(_rest_box(rest, ways, common))
    return replace(_box(first[start:common], branch), branches=tuple(parts))


def _box(steps: Sequence[Step], branch: _Branch) -> WalkBox:
    return WalkBox(tuple(map(_walked_rule, steps)), branch.share, branch.weight, branch.conditions)


def _rest_box(rest: list[_ShownOutcome], ways: list[_ShownOutcome], common: int) -> WalkBox:
    branch = _branch(rest, ways, common)
    return replace(
        _box((), branch),
        share=tr("together {share}", share=branch.share) if branch.share else tr("together"),
        end=(tr_plural("{n} more way like these", "{n} more ways like these", len(rest)), tr("(in words: below)")),
        let_through=all(way.accepted for way, _ in rest),
        hidden=len(rest),
    )


def _walked_rule(step: Step) -> WalkedRule:
    rule, words = step.rule, step.describe()
    place = tr("{table}, line {line}", table=rule.table, line=rule.line)
    if rule.packets is not None:
        place = tr_plural("{place} · {n} packet so far", "{place} · {n:,} packets so far", rule.packets, place=place)
    return WalkedRule(
        rule.short_chain, "" if rule.chain == step.hook else step.hook, words, rule.text,
        place,
        tr(
            "{hook}, {chain}: {words}. Rule: {text}",
            hook=step.hook, chain=rule.short_chain, words=words, text=rule.text,
        ),
    )  # fmt: skip


def _branch(group: list[_ShownOutcome], of: list[_ShownOutcome], start: int) -> _Branch:
    """Return how packets come to a group: its conditions, and its share of the packets that come here.

    `start`: the place of the first step by which the groups differ.
    """
    common = [assumed for assumed in group[0][0].assumes if all(assumed in way.assumes for way, _ in group)]
    conditions = tuple(str(assumed) for assumed in common if any(assumed not in way.assumes for way, _ in of))
    if len(group) == 1 and group[0][0].alternatives:
        conditions += (
            tr(
                "one of: {alternatives}",
                alternatives=parted(all_of(map(str, case)) for case in group[0][0].alternatives),
            ),
        )
    first = group[0][0]
    chance = _probability(group, first) / _probability(of, first)
    is_nat = any(step.is_nat for _, steps in of for step in steps[start : start + 1])
    words = _share_words(chance, of_connections=is_nat) if chance < 1 else ""
    return _Branch(words, float(chance), conditions)


def _share_words(chance: Fraction, *, of_connections: bool) -> str:
    """Return a share of packets or of connections as a simple fraction and in percent, or in percent alone."""
    one, percent = share(chance), float(chance) * 100
    match simple_fraction(chance) is None, of_connections:
        case True, True:
            return tr("{share} of the connections", share=one)
        case True, False:
            return tr("{share} of the packets", share=one)
        case _, True:
            return tr("{share} of the connections ({percent:.3g} %)", share=one, percent=percent)
    return tr("{share} of the packets ({percent:.3g} %)", share=one, percent=percent)


def _probability(ways: list[_ShownOutcome], like: Outcome) -> Fraction:
    """Return the probability of the outcomes whose assumptions are compatible with those of `like`."""
    return sum((way.probability for way, _ in ways if way.is_compatible(like)), Fraction(0))
