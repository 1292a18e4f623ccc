"""An exercise in a notebook: help is recorded, predictions wait for their query."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import kanslib
from kanslib.exceptions import UnknownNameError
from kanslib.exercises.catalog import CATALOG
from kanslib.lab.time_machine import TimeMachine
from tests.types import OpenLab


@pytest.fixture(autouse=True)
def mine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("KANS_PROGRESS", str(tmp_path / "progress.json"))
    predicted = replace(CATALOG["leader-of-svc1"], scored_by=("leader",))  # whatever a chapter predicts today
    monkeypatch.setitem(CATALOG, "leader-of-svc1", predicted)
    return tmp_path / "progress.json"


def test_exercise_check_right_after_hint(open_lab: OpenLab) -> None:
    lab = open_lab("election")
    view = lab.exercise("leader-of-svc1")
    assert "not yet" in view.check("myk8s-worker3")
    assert "1 more" in view.hint()
    assert "the last one" in view.hint()
    assert "right, after help" in view.check(lab.leader("svc1"))


def test_prediction_scored_by_query_once(capsys: pytest.CaptureFixture[str]) -> None:
    lab = kanslib.open_lab("failover")
    lab.predict("seconds-until-declared-dead", guess="about a minute")
    lab.predict("does-svc3-notice").answer("b")
    capsys.readouterr()
    with lab.observe(probes=["svc1", "svc2", "svc3"], seconds=80):
        lab.kill_node(str(lab.leader("svc1")))
    lab.map()
    assert capsys.readouterr().out == ""
    lab.observation().timeline()
    output = capsys.readouterr().out
    assert "✗ Your prediction: about a minute: People report about a minute" in output
    assert "\nRight is: 1–10 s.\n" in output
    assert "✓ Your prediction: a share of failures for a while: A share of failures" in output
    lab.observation().timeline()
    lab.observation().phases()
    assert capsys.readouterr().out == ""
    assert lab.progress().table.set_index("EXERCISE").OUTCOME["does-svc3-notice"] == "right"


def test_prediction_not_scored_by_inner_queries(capsys: pytest.CaptureFixture[str]) -> None:
    lab = kanslib.open_lab("election")
    lab.predict("leader-of-svc1", guess="myk8s-worker2")
    capsys.readouterr()
    lab.map()
    assert capsys.readouterr().out == ""
    lab.leader("svc1")
    assert "Your prediction: myk8s-worker2" in capsys.readouterr().out


def test_lab_outage_and_observe_are_no_queries(capsys: pytest.CaptureFixture[str]) -> None:
    lab = kanslib.open_lab("failover")
    lab.predict("external-ip-without-metallb", guess="a")
    capsys.readouterr()
    with lab.observe(probes=["svc1", "svc2"], seconds=10):
        lab.kill_node("myk8s-worker")
    assert lab.observation().outage().phases
    assert lab.progress().queries == {}
    assert capsys.readouterr().out == ""
    with lab.observe(probes=["svc1"]):
        lab.services()  # the learner's own, while it is observed
    assert lab.progress().queries == {"services": 1}
    assert "Your prediction" in capsys.readouterr().out


def test_lab_public_reads_are_queries(open_lab: OpenLab) -> None:
    lab = open_lab("arp")
    lab.rules(lab.control_plane)
    lab.observation().frames("arp")
    lab.observation().frames("tcp")
    lab.compare()
    assert lab.progress().queries == {"rules": 1, "observation.frames": 2, "compare": 1}


@pytest.mark.parametrize("show", [lambda machine: machine.at(20), lambda machine: machine._repr_html_()])
def test_time_machine_scores_no_prediction(
    capsys: pytest.CaptureFixture[str], show: Callable[[TimeMachine], object]
) -> None:
    lab = kanslib.open_lab("failover")
    lab.predict("leader-of-svc1", guess="myk8s-worker2")
    machine = lab.time_machine()
    capsys.readouterr()
    assert show(machine)
    assert capsys.readouterr().out == ""
    assert lab.progress().queries == {}
    lab.leader("svc1")
    assert "Your prediction: myk8s-worker2" in capsys.readouterr().out


def test_prediction_without_guess_not_scored(capsys: pytest.CaptureFixture[str]) -> None:
    lab = kanslib.open_lab("election")
    lab.predict("leader-of-svc1")
    capsys.readouterr()
    lab.leader("svc1")
    assert capsys.readouterr().out == ""


def test_prediction_invalid_guess_not_kept(open_lab: OpenLab) -> None:
    made = open_lab("failover").predict("seconds-until-declared-dead")
    assert "none of the choices" in made.answer(17)
    assert made.guess is None
    assert "No guess yet" in made.answer(None)


def test_exercise_check_elsewhere_says_where(open_lab: OpenLab) -> None:
    said = open_lab("failover").exercise("seconds-until-declared-dead").check("b")
    assert "cannot be checked at this moment" in said
    assert "kill a node first" in said


def test_exercise_check_moves_no_clock(open_lab: OpenLab) -> None:
    lab = open_lab("arp")
    before = lab.nodes().provenance.moment
    lab.exercise("does-the-vip-answer-ping").check("no")
    assert lab.nodes().provenance.moment == before


def test_lab_exercise_unknown_suggests_known(open_lab: OpenLab) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'leader-of-svc1'"):
        open_lab("election").exercise("leader-of-svc2")


def test_lab_progress_figure_and_table(open_lab: OpenLab) -> None:
    lab = open_lab("election")
    lab.exercise("leader-of-svc1").check(lab.leader("svc1"))
    report = lab.progress()
    count = len([one for one in CATALOG.values() if one.chapter == "05"])
    assert f"Chapter 05: 1 of {count} right." in report.describe()
    assert report.svg().count("<rect") == len(report.table)
    other = open_lab("failover")
    assert other.progress(token=report.token).table.OUTCOME.tolist() == report.table.OUTCOME.tolist()


def test_prediction_scored_by_any_lab(capsys: pytest.CaptureFixture[str]) -> None:
    kanslib.open_lab("metallb").predict("one-too-many", guess="d")
    other_lab = kanslib.open_lab("case-2")
    capsys.readouterr()
    other_lab.events("svc3")
    said = capsys.readouterr().out
    assert "✗ Your prediction: no address, and no event" in said
    assert "Right is: no address, and a warning" in said


def test_lab_predict_several(capsys: pytest.CaptureFixture[str]) -> None:
    lab = kanslib.open_lab("failover")
    asked = lab.predict("seconds-until-declared-dead", "does-svc3-notice")
    assert "2. Another node leads svc3" in repr(asked)
    said = asked.check("d", "purple")
    assert "1. Your prediction: Written down" in said
    assert "2. Not answered yet: 'purple' is none of the choices" in said


def test_quiz_check_in_order_rest_not_tried(open_lab: OpenLab) -> None:
    lab = open_lab("arp")
    lab.at("apply-services")
    quiz = lab.quiz("03")
    said = quiz.check("myk8s-worker", "a")
    assert "1. ✓ right" in said
    assert "2. ✗ not yet" in said
    assert str(said).count("Not tried yet") == len(quiz.views) - 2
    recalled = quiz.views[-1]
    assert recalled.exercise.chapter == "02"
    assert "From chapter 02. " in repr(quiz)
    assert "From chapter 02. " in recalled.question_html()
    assert lab.quiz("3").views[0].exercise is quiz.views[0].exercise
    with pytest.raises(UnknownNameError, match="no quiz named '12'"):
        lab.quiz("12")


def test_exercise_check_at_moment_asked(open_lab: OpenLab) -> None:
    lab = open_lab("failover")
    asked = lab.exercise("leader-of-svc1")
    before = lab.leader("svc1")
    lab.at("kill-node")
    assert lab.leader("svc1") != before
    assert "✓ right" in asked.check(before)
    assert "✓ right" in lab.exercise("leader-of-svc1").check(lab.leader("svc1"))


def test_exercise_check_later_when_unanswerable_when_asked(open_lab: OpenLab) -> None:
    lab = open_lab("failover")
    asked = lab.exercise("does-svc3-notice")
    assert "cannot be checked at this moment" in asked.check("b")
    lab.at("kill-node")
    assert "✓ right" in asked.check("b")


def test_exercise_check_unchanged_by_own_action(open_lab: OpenLab) -> None:
    lab = open_lab("election")
    asked, before = lab.exercise("leader-of-svc1"), lab.leader("svc1")
    lab.label("myk8s-worker", "node.kubernetes.io/exclude-from-external-load-balancers=true")
    lab.label("myk8s-worker2", "node.kubernetes.io/exclude-from-external-load-balancers=true")  # computed from here on
    assert lab.leader("svc1") != before
    assert "✓ right" in asked.check(before)
    assert lab.nodes().provenance.source == "simulated"


def test_exercise_check_never_uses_fallback_answer(open_lab: OpenLab, capsys: pytest.CaptureFixture[str]) -> None:
    lab = open_lab("arp", backend="simulated")
    assert "0 received" in lab.run(lab.client, f"ping -c 2 -W 1 {lab.vip('svc1')}")  # the recording's, marked
    assert "not simulated: answered by the recording" in capsys.readouterr().out
    assert "cannot be checked at this moment" in lab.exercise("does-the-vip-answer-ping").check("no")
    assert capsys.readouterr().out == "", "the recording was not asked"


def test_exercise_view_text_on_terminal(open_lab: OpenLab, capsys: pytest.CaptureFixture[str]) -> None:
    open_lab("election").exercise("rename-a-node")._ipython_display_()
    assert "c) those that it led, and those that the new name wins" in capsys.readouterr().out


@pytest.mark.parametrize(
    "name",
    ["read-the-answer", "write-the-entry-change", "write-kube-svc", "write-the-election", "write-the-moves",
     "write-the-outage", "write-the-report", "write-the-conflict-check"],
)  # fmt: skip
def test_exercise_solution_code_is_right(open_lab: OpenLab, name: str) -> None:
    stories = {
        "read-the-answer": "arp", "write-the-entry-change": "arp", "write-kube-svc": "iptables",
        "write-the-election": "election", "write-the-moves": "election", "write-the-conflict-check": "case-9",
    }  # fmt: skip
    lab = open_lab(stories.get(name, "failover"))
    if name in ("write-the-outage", "write-the-report"):
        lab.at("kill-node")
    if name == "write-the-entry-change":
        lab.at("apply-services")
    solution = lab.exercise(name).solution()
    names: dict[str, object] = {}
    exec(solution.code, names)
    assert solution.code in str(solution)
    function = solution.code.partition("def ")[2].partition("(")[0]
    assert lab.exercise(name).check(names[function]).outcome == "right after help"


def test_exercise_marks_choices(open_lab: OpenLab) -> None:
    view = open_lab("arp").exercise("does-the-vip-answer-ping")
    assert view.check("a").marks == {"yes": False}
    assert view.solution().marks == {"no": True}
    assert view.check().marks == {}
    assert open_lab("election").exercise("leader-of-svc1").check("myk8s-worker").marks == {"myk8s-worker": True}


def test_exercise_messages_name_no_letters(open_lab: OpenLab) -> None:
    lab = open_lab("case-1")
    for name in ("whose-mac", "case-1", "chances-of-three"):
        words = str(lab.exercise(name).check())
        assert "'a'" not in words
        assert "=…" not in words


def test_prediction_result_beside_its_question() -> None:
    lab = kanslib.open_lab("election")
    made = lab.predict("leader-of-svc1", guess="myk8s-worker2")
    seen: list[object] = []
    made.when_scored(seen.append)
    assert "written down" in made.question_html()
    lab.leader("svc1")
    assert seen == [made.result]
    assert "not right" in made.question_html()
    again = lab.predict("leader-of-svc1")  # the cell, run again
    assert again.result == made.result
    assert str(made.result) in repr(again)
    again.answer("myk8s-worker")
    assert "written down" in again.question_html()


def test_exercise_on_paper_has_its_solution_folded(open_lab: OpenLab) -> None:
    lab = open_lab("arp")
    paper = lab.exercise("whose-mac").paper_html()
    assert "that of the Pod" in paper
    assert "myk8s-worker3" in open_lab("election").predict("leader-of-svc1").paper_html()
    assert "from 0 to" in open_lab("election").exercise("addresses-for-a-newcomer").paper_html()
    assert "<details><summary>Solution</summary>" in paper
    assert not lab.progress().table.set_index("EXERCISE")["SOLUTION SEEN"]["whose-mac"]
    assert "<details>" not in lab.predict("does-curl-survive").paper_html()
    assert "<details>" not in open_lab("arp").exercise("case-1").paper_html()  # of another story
