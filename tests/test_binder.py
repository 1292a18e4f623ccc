"""On Binder a learner is told that the session ends, and gets the line that brings the progress back."""

from __future__ import annotations

import re

import pytest

import kanslib
from kanslib import binder
from tests.types import OpenLab

ANSWERED = "leader-of-svc1"


@pytest.fixture
def on_binder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BINDER_REPO_URL", "https://github.com/somebody/course")


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests may run on Binder, too."""
    for name in ("BINDER_REPO_URL", "BINDER_LAUNCH_HOST", "BINDER_REQUEST", "BINDER_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("name", ["BINDER_REPO_URL", "BINDER_LAUNCH_HOST", "BINDER_REQUEST", "BINDER_SERVICE_HOST"])
def test_binder_found_by_each_of_its_variables(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not binder.is_here()
    monkeypatch.setenv(name, "x")
    assert binder.is_here()


@pytest.mark.usefixtures("on_binder")
def test_banner_on_binder_says_that_the_session_ends(capsys: pytest.CaptureFixture[str]) -> None:
    kanslib.open_lab("arp")
    assert "after ten minutes without activity: lab.progress()" in capsys.readouterr().out


def test_banner_elsewhere_does_not_name_binder(capsys: pytest.CaptureFixture[str]) -> None:
    kanslib.open_lab("arp")
    assert "Binder" not in capsys.readouterr().out


@pytest.mark.usefixtures("on_binder")
def test_progress_on_binder_shows_the_line_that_restores_it(
    open_lab: OpenLab, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.setenv("KANS_PROGRESS", str(tmp_path_factory.mktemp("first") / "progress.json"))
    lab = open_lab("election")
    lab.exercise(ANSWERED).check(lab.leader("svc1"))
    report = lab.progress()
    (line,) = [line for line in repr(report).splitlines() if line.startswith("lab.progress(")]
    assert "after ten minutes without activity" in repr(report)

    shown = re.search(r'<pre class="kans-token"[^>]*>(.*?)</pre>', report._repr_html_())
    assert shown
    assert shown[1].replace("&#34;", '"') == line

    monkeypatch.setenv("KANS_PROGRESS", str(tmp_path_factory.mktemp("second") / "progress.json"))
    next_session = {"lab": open_lab("arp")}
    assert next_session["lab"].progress().table.set_index("EXERCISE").OUTCOME[ANSWERED] == "not tried"
    exec(line, next_session)
    assert next_session["lab"].progress().table.set_index("EXERCISE").OUTCOME[ANSWERED] == "right"


def test_progress_elsewhere_shows_no_line(open_lab: OpenLab) -> None:
    report = open_lab("arp").progress()
    assert "kans1." not in repr(report) + report._repr_html_()
