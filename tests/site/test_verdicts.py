"""Every answer that a page offers, judged: compared with what a lab says to it."""

from __future__ import annotations

import random
from pathlib import Path

import msgspec
import pytest

from kanslib.exercises.catalog import CATALOG
from kanslib.exercises.exercise import OUTCOME_MARKS, AnswerOutcome
from kanslib.exercises.session import Prediction
from kanslib.site.page_data import PageData
from kanslib.site.verdicts import Sheet, judge_all
from tests.types import OpenLab


@pytest.fixture(autouse=True)
def mine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KANS_PROGRESS", str(tmp_path / "progress.json"))


def words(sheet: Sheet, number: int) -> str:
    """What a page says to the answer of a number, as the text of a lab's feedback."""
    verdict = sheet.verdicts[sheet.answers[number]]
    mark = OUTCOME_MARKS[AnswerOutcome.RIGHT if verdict.right else AnswerOutcome.WRONG]
    head = sheet.texts[verdict.head] if verdict.head >= 0 else f"{mark.sign} {mark.words}"
    return f"{head}: " + "\n".join(sheet.texts[line] for line in verdict.lines)


def test_judge_all_choice_says_what_a_lab_says(open_lab: OpenLab) -> None:
    view = open_lab("arp").exercise("whose-mac")
    sheet = judge_all(view, view.expected_answer(), [])
    assert [words(sheet, place) for place in range(len(view.exercise.choices))] == [
        str(view.check(choice.key)) for choice in view.exercise.choices
    ]
    assert sheet.solution is not None
    assert [str(view.hint()) for _ in view.exercise.hints] == [f"{one.head}: {one.lines[0]}" for one in sheet.hints]
    assert str(view.solution()) == f"Solution: {sheet.solution.words.lines[0]}"
    assert [view.check(key).outcome for key in sheet.solution.right] == [AnswerOutcome.RIGHT_AFTER_HELP]


def test_judge_all_names_and_numbers_say_what_a_lab_says(open_lab: OpenLab) -> None:
    lab = open_lab("election")
    view = lab.exercise("candidates-of-svc1")
    names = view.options()
    sheet = judge_all(view, view.expected_answer(), names)
    assert len(sheet.answers) == 2 ** len(names)
    assert sheet.answers[0] == -1  # nothing is ticked
    for number in range(1, len(sheet.answers)):
        ticked = [name for place, name in enumerate(names) if number >> place & 1]
        assert words(sheet, number) == str(view.check(ticked))
    view = lab.exercise("addresses-for-a-newcomer")
    sheet = judge_all(view, view.expected_answer(), [])
    assert [words(sheet, number) for number in range(52)] == [str(view.check(number)) for number in range(52)]


@pytest.mark.slow
def test_judge_all_number_without_scale_in_a_thousand_steps(open_lab: OpenLab) -> None:
    lab = open_lab("failover")
    lab.at("kill-node")
    view = lab.exercise("lost-seconds")
    sheet = judge_all(view, view.expected_answer(), [])
    assert len(sheet.answers) == 1001
    for tenths in (0, 1, 123, 207, 999, 1000):
        assert words(sheet, tenths) == str(view.check(tenths / 10))


def test_judge_all_function_has_help_and_no_answers(open_lab: OpenLab) -> None:
    view = open_lab("election").exercise("write-the-election")
    sheet = judge_all(view, view.expected_answer(), [])
    assert (sheet.answers, sheet.verdicts) == ([], [])
    assert len(sheet.hints) == len(view.exercise.hints)
    assert sheet.solution is not None
    assert sheet.solution.words.code == view.exercise.solution


def test_judge_all_prediction_repeats_the_guess(open_lab: OpenLab) -> None:
    lab = open_lab("failover")
    lab.at("kill-node")
    prediction = lab.predict("seconds-until-declared-dead", guess="about a minute")
    assert isinstance(prediction, Prediction)
    expected = lab.exercise("seconds-until-declared-dead").expected_answer()
    sheet = judge_all(prediction, expected, [])
    place = next(at for at, one in enumerate(prediction.exercise.choices) if one.text == "about a minute")
    assert words(sheet, place) == str(prediction.score(expected))
    assert words(sheet, place).endswith("\nRight is: 1–10 s.")
    assert sheet.hints == []


def test_judge_all_diagnosis_depends_on_what_was_asked(open_lab: OpenLab) -> None:
    lab = open_lab("case-4")
    asked = lab.exercise("case-4")
    unasked_sheet = judge_all(asked, asked.expected_answer(), [])
    lab.table("endpointslices")
    view = lab.exercise("case-4")
    sheet = judge_all(view, view.expected_answer(), [])
    assert unasked_sheet.diagnosis is not None
    assert sheet.diagnosis is not None
    assert (unasked_sheet.diagnosis.asked, sheet.diagnosis.asked) == ([], ["endpointslices"])
    parts = {part: [choice.key for choice in choices] for part, choices in view.exercise.parts.items()}
    chance = random.Random(4)
    for _ in range(60):
        answer = {part: chance.choice(keys) for part, keys in parts.items()}
        number = 0
        for part, keys in parts.items():
            number = number * len(keys) + keys.index(answer[part])
        table = sheet.answers if answer["evidence"] == "endpointslices" else sheet.diagnosis.unasked
        verdict = sheet.verdicts[table[number]]
        assert "\n".join(sheet.texts[line] for line in verdict.lines) == view.assess(answer).words


def test_diagnosis_offers_add_up() -> None:
    """What several queries unlock is what each of them unlocks: a page adds them up."""
    exercise = CATALOG["case-1"]
    assert exercise.offer is not None
    queries = [choice.key for choice in exercise.parts["evidence"]]
    chance = random.Random(1)
    for _ in range(50):
        some = chance.sample(queries, chance.randint(1, len(queries)))
        together = {part: set(choices) for part, choices in exercise.offer(some).items()}
        for part, choices in together.items():
            assert choices == {one for query in some for one in exercise.offer([query]).get(part, ())}


def test_page_data_inside_or_in_a_script_of_its_own(tmp_path: Path) -> None:
    data = PageData(tmp_path / "scripts")
    inside = data.embed({"words": "</script><!-- & 'quoted'"})
    assert "</script><" not in inside
    text = str(inside).partition(">")[2].rpartition("</script>")[0]
    assert msgspec.json.decode(text) == {"words": "</script><!-- & 'quoted'"}
    assert not (tmp_path / "scripts").exists()
    large = ["a text of some length"] * 1000
    outside = str(data.embed(large))
    assert data.embed(large) == outside
    [script] = (tmp_path / "scripts").iterdir()
    name = script.stem
    assert f'data-script="{name}"' in outside
    content = script.read_text().removeprefix(f'kansData("{name}",').removesuffix(");\n")
    assert msgspec.json.decode(content) == large


def test_hint_that_names_a_query_says_that_the_page_runs_none(open_lab: OpenLab) -> None:
    lab = open_lab("metallb")
    lab.at("apply-services")
    told = {}
    for name in ("room-in-the-pool", "next-address"):
        view = lab.exercise(name)
        told[name] = [line for hint in judge_all(view, view.expected_answer(), []).hints for line in hint.lines]
    assert (
        "This page runs no query. Look for its recorded output here, or run it in a notebook."
        in told["room-in-the-pool"]
    )
    assert not [line for line in told["next-address"] if "runs no query" in line]
