"""What a chapter asks can be answered: a later query scores each guess, each exercise has an answer after all cells."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar

import pytest

from kanslib.course import chapters
from kanslib.exercises.exercise import AnswerOutcome, Exercise
from kanslib.exercises.session import ExerciseSession, ExerciseView, Prediction
from kanslib.lab.learning import kernel_predictions

pytestmark = pytest.mark.slow

Asked = tuple[list[ExerciseView], list[Prediction]]


V = TypeVar("V", ExerciseView, Prediction)


def some_answer(exercise: Exercise) -> object:
    """An answer that can be understood, right or wrong."""
    answers: dict[str, object] = {"choice": "a", "number": 1, "names": ["myk8s-worker"]}
    return answers[exercise.kind]


@pytest.fixture(params=chapters.shipped(), ids=lambda path: path.stem)
def asked(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Asked:
    """Everything that a chapter asked while all of its cells ran, every prediction with a guess."""
    monkeypatch.setenv("KANS_PROGRESS", str(tmp_path / "progress.json"))
    made: Asked = ([], [])
    make = ExerciseSession.create_view

    def create_and_note(self: ExerciseSession, kind: type[V], name: str) -> V:
        view = make(self, kind, name)
        exercises, predictions = made
        if isinstance(view, Prediction):
            predictions.append(view)
        else:
            exercises.append(view)
        return view

    monkeypatch.setattr(ExerciseSession, "create_view", create_and_note)
    predict = ExerciseSession.predict
    monkeypatch.setattr(
        ExerciseSession, "predict", lambda self, name, _=None: predict(self, name, some_answer(self.catalog[name]))
    )
    names: dict[str, Any] = {}
    for cell in json.loads(Path(request.param).read_text())["cells"]:
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), Path(request.param).name, "exec"), names)
    return made


def test_chapter_predictions_scored_and_exercises_checkable(asked: Asked) -> None:
    exercises, predictions = asked
    assert exercises or predictions
    assert kernel_predictions().names == []
    for view in exercises:
        expected = view.expected_answer()
        assert expected.value not in (None, "", set()), view.exercise.id


def test_chapter_stub_function_not_tried_another_judged(asked: Asked) -> None:
    exercises, _ = asked
    for view in exercises:
        if view.exercise.kind == "code":
            assert view.assess(lambda *_: None).outcome is AnswerOutcome.NOT_TRIED
            assessment = view.assess(lambda *_: "some answer")
            assert assessment.outcome is AnswerOutcome.WRONG
            assert "the right result is" in assessment.words
