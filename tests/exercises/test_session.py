"""An exercise in a learner's hand: help is noted, predictions wait for their look."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import kanslib
from kanslib.exceptions import UnknownNameError
from kanslib.lab.lab import Lab
from kanslib.lab.learning import kernel_predictions
from kanslib.lab.time_machine import TimeMachine

OpenLab = Callable[..., Lab]


@pytest.fixture(autouse=True)
def mine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("KANS_PROGRESS", str(tmp_path / "progress.json"))
    kernel_predictions.cache_clear()
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
    assert "✗ Your prediction: about a minute: Here: 1–10 s. That is what clients felt" in told
    assert "✓ Your prediction: a share of failures for a while: A share of failures" in told
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


def test_an_outage_as_data_and_an_observation_are_no_looks(capsys: pytest.CaptureFixture[str]) -> None:
    lab = kanslib.open_lab("failover")
    lab.predict("external-ip-without-metallb", "a")
    capsys.readouterr()
    with lab.observe(probes=["svc1", "svc2"], seconds=10):
        lab.kill_node("myk8s-worker")
    assert lab.outage().phases
    assert lab.queries == {}
    assert capsys.readouterr().out == ""
    with lab.observe(probes=["svc1"]):
        lab.services()  # the learner's own, while it is observed
    assert lab.queries == {"services": 1}
    assert "Your prediction" in capsys.readouterr().out


def test_what_a_learner_asks_for_is_a_look(open_lab: OpenLab) -> None:
    lab = open_lab("arp")
    lab.rules(lab.control_plane)
    lab.frames("arp")
    lab.frames("tcp")
    lab.compare()
    assert lab.queries == {"rules": 1, "frames": 2, "compare": 1}


@pytest.mark.parametrize("show", [lambda machine: machine.at(20), lambda machine: machine._repr_mimebundle_()])
def test_the_time_machine_scores_nothing(
    capsys: pytest.CaptureFixture[str], show: Callable[[TimeMachine], object]
) -> None:
    lab = kanslib.open_lab("failover")
    lab.predict("leader-of-svc1", "myk8s-worker2")
    machine = lab.time_machine()
    capsys.readouterr()
    assert show(machine)
    assert capsys.readouterr().out == ""
    assert lab.queries == {}
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
    before = lab._backend.now()
    lab.exercise("does-the-vip-answer-ping").check("no")
    assert lab._backend.now() == before


def test_an_unknown_exercise_names_those_there_are(open_lab: OpenLab) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'leader-of-svc1'"):
        open_lab("election").exercise("leader-of-svc2")


def test_progress_is_a_picture_and_a_table(open_lab: OpenLab) -> None:
    lab = open_lab("election")
    lab.exercise("leader-of-svc1").check(lab.leader("svc1"))
    report = lab.progress()
    assert "Chapter 05: 1 of 11 right." in report.describe()
    assert report._repr_html_().count("<rect") == len(report.table)
    other = open_lab("failover")
    assert other.progress(token=report.token).table.OUTCOME.tolist() == report.table.OUTCOME.tolist()


def test_a_guess_is_scored_by_whichever_lab_makes_the_look(capsys: pytest.CaptureFixture[str]) -> None:
    kanslib.open_lab("metallb").predict("one-too-many", "c")
    twin = kanslib.open_lab("case-2")
    capsys.readouterr()
    twin.events("svc3")
    said = capsys.readouterr().out
    assert "✗ Your prediction: no address, and silence" in said
    assert "Here: no address, and a warning" in said


def test_several_guesses_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    lab = kanslib.open_lab("failover")
    asked = lab.predict_all("seconds-until-declared-dead", "does-svc3-notice")
    assert "2. And svc3" in repr(asked)
    said = asked.check("d", "purple")
    assert "1. Your prediction: Written down" in said
    assert "2. ○ not tried: 'purple' is none of the choices" in said


def test_a_quiz_is_checked_in_order_and_what_is_left_out_is_not_tried(open_lab: OpenLab) -> None:
    lab = open_lab("arp")
    lab.at("apply-services")
    quiz = lab.quiz("03")
    said = quiz.check("myk8s-worker", "a")
    assert "1. ✓ right" in said
    assert "2. ✗ not yet" in said
    assert str(said).count("Not tried yet") == len(quiz.views) - 2
    assert lab.quiz("3").views[0].exercise is quiz.views[0].exercise
    with pytest.raises(UnknownNameError, match="no quiz named '12'"):
        lab.quiz("12")


def test_a_question_is_judged_by_the_moment_at_which_it_was_asked(open_lab: OpenLab) -> None:
    lab = open_lab("failover")
    asked = lab.exercise("leader-of-svc1")
    before = lab.leader("svc1")
    lab.at("kill-node")
    assert lab.leader("svc1") != before
    assert "✓ right" in asked.check(before)
    assert "✓ right" in lab.exercise("leader-of-svc1").check(lab.leader("svc1"))


def test_what_had_no_answer_when_it_was_asked_is_judged_when_it_has_one(open_lab: OpenLab) -> None:
    lab = open_lab("failover")
    asked = lab.exercise("does-svc3-notice")
    assert "cannot be checked at this moment" in asked.check("b")
    lab.at("kill-node")
    assert "✓ right" in asked.check("b")


def test_an_act_of_ones_own_does_not_change_what_was_asked_before_it(open_lab: OpenLab) -> None:
    lab = open_lab("election")
    asked, before = lab.exercise("leader-of-svc1"), lab.leader("svc1")
    lab.label("myk8s-worker", "node.kubernetes.io/exclude-from-external-load-balancers=true")
    lab.label("myk8s-worker2", "node.kubernetes.io/exclude-from-external-load-balancers=true")  # computed from here on
    assert lab.leader("svc1") != before
    assert "✓ right" in asked.check(before)
    assert lab._backend.provenance().source == "simulated"


def test_another_worlds_answer_never_feeds_a_check(open_lab: OpenLab, capsys: pytest.CaptureFixture[str]) -> None:
    lab = open_lab("arp", backend="simulated")
    assert "0 received" in lab.run(lab.client, f"ping -c 2 -W 1 {lab.vip('svc1')}")  # the recording's, marked
    assert "not simulated: answered by the recording" in capsys.readouterr().out
    assert "cannot be checked at this moment" in lab.exercise("does-the-vip-answer-ping").check("no")
    assert capsys.readouterr().out == "", "the recording was not asked"


def test_on_a_terminal_a_question_is_text_and_gives_nothing_away(open_lab: OpenLab) -> None:
    shown = open_lab("election").exercise("rename-a-node")._repr_mimebundle_()
    assert set(shown) == {"text/html", "text/plain"}
    assert "c) those that it led, and those that the new name wins" in shown["text/plain"]
