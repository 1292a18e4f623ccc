"""An exercise in a learner's hand: help is noted, predictions wait for their look."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import kanslib
from kanslib.errors import UnknownName
from kanslib.lab import Lab
from kanslib.teach import desk

OpenLab = Callable[..., Lab]


@pytest.fixture(autouse=True)
def mine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("KANS_PROGRESS", str(tmp_path / "progress.json"))
    desk._written.clear()
    return tmp_path / "progress.json"


def test_right_after_a_hint_says_so(open_lab: OpenLab) -> None:
    lab = open_lab("election")
    quest = lab.exercise("leader-of-svc1")
    assert "not yet" in quest.check("myk8s-worker3")
    assert "1 more" in quest.hint()
    assert "the last one" in quest.hint()
    assert "right, after help" in quest.check(lab.leader("svc1"))


def test_a_prediction_is_scored_by_its_look_and_once(capsys: pytest.CaptureFixture[str]) -> None:
    lab = kanslib.open_lab("failover")
    lab.predict("seconds-until-declared-dead", "about a minute")
    lab.predict("does-svc3-notice").answer("b")
    capsys.readouterr()
    with lab.observe(probes=["svc1", "svc2", "svc3"], seconds=80):
        lab.kill_node(str(lab.leader("svc1")))
    lab.map()
    assert capsys.readouterr().out == ""
    lab.timeline()
    told = capsys.readouterr().out
    assert "✗ Your prediction: about a minute: That is what clients felt" in told
    assert "✓ Your prediction: b: a share of failures" in told
    lab.timeline()
    lab.phases()
    assert capsys.readouterr().out == ""
    assert lab.progress().table.set_index("EXERCISE").OUTCOME["does-svc3-notice"] == "right"


def test_looks_that_the_library_makes_for_itself_score_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    lab = kanslib.open_lab("election")
    lab.predict("leader-of-svc1", "myk8s-worker2")
    capsys.readouterr()
    lab.map()
    assert capsys.readouterr().out == ""
    lab.leader("svc1")
    assert "Your prediction: myk8s-worker2" in capsys.readouterr().out


def test_without_a_guess_nothing_is_scored(capsys: pytest.CaptureFixture[str]) -> None:
    lab = kanslib.open_lab("election")
    lab.predict("leader-of-svc1")
    capsys.readouterr()
    lab.leader("svc1")
    assert capsys.readouterr().out == ""


def test_a_guess_that_is_none_is_not_written_down(open_lab: OpenLab) -> None:
    made = open_lab("failover").predict("seconds-until-declared-dead")
    assert "none of the choices" in made.answer(17)
    assert made.guess is None
    assert "No guess yet" in made.answer(None)


def test_what_cannot_be_checked_here_says_where(open_lab: OpenLab) -> None:
    said = open_lab("failover").exercise("seconds-until-declared-dead").check("b")
    assert "cannot be checked at this moment" in said
    assert "kill a node first" in said


def test_checking_moves_no_clock(open_lab: OpenLab) -> None:
    lab = open_lab("arp")
    before = lab._world.now()
    lab.exercise("does-the-vip-answer-ping").check("no")
    assert lab._world.now() == before


def test_an_unknown_exercise_names_those_there_are(open_lab: OpenLab) -> None:
    with pytest.raises(UnknownName, match="did you mean 'leader-of-svc1'"):
        open_lab("election").exercise("leader-of-svc2")


def test_progress_is_a_picture_and_a_table(open_lab: OpenLab) -> None:
    lab = open_lab("election")
    lab.exercise("leader-of-svc1").check(lab.leader("svc1"))
    report = lab.progress()
    assert "Chapter 05: 1 of 11 right." in report.describe()
    assert report._repr_html_().count("<rect") == len(report.table)
    other = open_lab("failover")
    assert other.progress(token=report.token).table.OUTCOME.tolist() == report.table.OUTCOME.tolist()
