"""Every exercise on a recording: its solution is right, each wrong idea gets its own words, garbage a clear one."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kanslib.lab import Lab
from kanslib.teach.catalog import CATALOG
from kanslib.teach.exercise import Exercise, Outcome, judge
from kanslib.teach.ideas import Truth

OpenLab = Callable[..., Lab]
# where each exercise is asked: the story and the moment
PLACES = {
    "does-the-vip-answer-ping": ("arp", "opening"), "how-often-announced": ("arp", "apply-services"),
    "leader-of-svc1": ("election", "opening"), "candidates-of-svc1": ("election", "opening"),
    "who-moves-for-a-newcomer": ("election", "opening"), "does-it-move-back": ("election", "include-leader"),
    "write-the-election": ("election", "opening"),
    "seconds-until-declared-dead": ("failover", "kill-node"), "does-svc3-notice": ("failover", "kill-node"),
}  # fmt: skip
# an answer of somebody who holds the idea
HELD: dict[str, Callable[[Truth], Any]] = {
    "control-plane-may-lead": lambda truth: sorted(truth.facts["control plane"]),
    "leader-has-the-pod": lambda truth: sorted(truth.facts["endpoints"]),
    "every-speaker-is-a-candidate": lambda truth: sorted(truth.facts["everybody"]),
    "only-nodes-with-endpoints": lambda truth: sorted(truth.facts["endpoints"]),
    "election-balances": lambda _: "evened out", "leaders-are-sticky": lambda _: "stay",
    "vip-is-on-an-interface": lambda _: "yes", "gratuitous-arp-goes-on": lambda _: "for ever",
    "failover-takes-a-minute": lambda _: "about a minute", "node-ready-moves-the-vip": lambda _: "about 40 s",
    "only-the-leaders-services-suffer": lambda _: "a",
}  # fmt: skip
GARBAGE = [math.nan, math.inf, object(), b"bytes", 10**400, "x" * 100_000, {"a": 1}, [1, 2], True, lambda: None, 1j]


def elect(nodes: list[str], address: str) -> str:
    return min(nodes, key=lambda node: hashlib.sha256(f"{node}#{address}".encode()).digest())


def right(exercise: Exercise, truth: Truth) -> Any:
    return elect if exercise.kind == "code" else sorted(truth.value) if exercise.kind == "names" else truth.value


@pytest.fixture(params=CATALOG)
def asked(request: pytest.FixtureRequest, open_lab: OpenLab) -> tuple[Exercise, Lab]:
    story, moment = PLACES[request.param]
    lab = open_lab(story)
    lab.at(moment)
    return CATALOG[request.param], lab


def test_ids_stay_and_are_unique() -> None:
    assert set(CATALOG) == set(PLACES)
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name) for name in CATALOG)
    ideas = [idea.id for one in CATALOG.values() for idea in one.ideas]
    assert len(ideas) == len(set(ideas))
    assert set(ideas) == set(HELD)


def test_every_exercise_helps_and_every_idea_says_where_it_was_seen() -> None:
    for one in CATALOG.values():
        assert len(one.hints) >= 2
        assert one.because
        assert all(idea.says and idea.seen for idea in one.ideas)
        assert one.kind != "choice" or {choice.key for choice in one.choices}


def test_the_right_answer_is_right(asked: tuple[Exercise, Lab]) -> None:
    exercise, lab = asked
    truth = lab._truth(exercise)
    assert judge(exercise, right(exercise, truth), truth).outcome is Outcome.RIGHT
    assert judge(exercise, right(exercise, truth), truth, was_helped=True).outcome is Outcome.RIGHT_AFTER_HELP


def test_each_wrong_idea_gets_its_own_words(asked: tuple[Exercise, Lab]) -> None:
    exercise, lab = asked
    truth = lab._truth(exercise)
    for idea in exercise.ideas:
        verdict = judge(exercise, HELD[idea.id](truth), truth)
        assert verdict.outcome is Outcome.WRONG, idea.id
        assert verdict.idea is idea
        assert verdict.words == idea.says


def test_a_choice_is_taken_by_letter_by_key_and_by_words(asked: tuple[Exercise, Lab]) -> None:
    exercise, lab = asked
    truth = lab._truth(exercise)
    for place, choice in enumerate(exercise.choices):
        said = {judge(exercise, form, truth).outcome for form in (chr(97 + place), choice.key, choice.says.upper())}
        assert len(said) == 1


@pytest.mark.parametrize("nothing", [None, "", "   ", "...", ..., [], {}, "your answer"])
def test_no_answer_is_not_tried(asked: tuple[Exercise, Lab], nothing: Any) -> None:
    exercise, lab = asked
    verdict = judge(exercise, nothing, lab._truth(exercise))
    assert verdict.outcome is Outcome.NOT_TRIED
    assert "An answer is" in verdict.words


@pytest.mark.parametrize("garbage", GARBAGE, ids=lambda value: type(value).__name__)
def test_garbage_gets_a_clear_word(asked: tuple[Exercise, Lab], garbage: Any) -> None:
    exercise, lab = asked
    verdict = judge(exercise, garbage, lab._truth(exercise))
    assert verdict.outcome in (Outcome.NOT_TRIED, Outcome.WRONG)
    assert verdict.idea is None
    assert 5 < len(verdict.words) < 1000


def test_a_shown_question_gives_nothing_away(asked: tuple[Exercise, Lab]) -> None:
    exercise, lab = asked
    for shown in (lab.exercise(exercise.id), lab.predict(exercise.id)):
        for text in (repr(shown), shown._repr_html_()):
            assert exercise.because not in text
            assert all(hint not in text for hint in exercise.hints)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda nodes, _ip: nodes[0], "the cluster said"),
        (lambda _nodes, _ip: 1 / 0, "ended with ZeroDivisionError"),
        (lambda nodes: nodes[0], "ended with TypeError"),
        (lambda _nodes, _ip: None, "it says None"),
    ],
)
def test_a_function_that_is_wrong_gets_its_first_counterexample(open_lab: OpenLab, wrong: Any, words: str) -> None:
    lab = open_lab("election")
    exercise = CATALOG["write-the-election"]
    verdict = judge(exercise, wrong, lab._truth(exercise))
    assert verdict.outcome is Outcome.WRONG
    assert words in verdict.words


def test_the_computed_world_answers_too(open_lab: OpenLab) -> None:
    for name in ("leader-of-svc1", "seconds-until-declared-dead", "does-svc3-notice", "how-often-announced"):
        story, moment = PLACES[name]
        lab = open_lab(story, world="computed")
        lab.at(moment)
        assert lab._truth(CATALOG[name]).value == open_at(open_lab, name)._truth(CATALOG[name]).value


def open_at(open_lab: OpenLab, name: str) -> Lab:
    story, moment = PLACES[name]
    lab = open_lab(story)
    lab.at(moment)
    return lab


def test_no_chapter_types_an_answer_in() -> None:
    for chapter in Path("notebooks/en").glob("*.ipynb"):
        text = chapter.read_text()
        assert ".solution()" not in text.replace("`.solution()`", "")
