"""Every chapter, executed twice without a network."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kanslib.cli import run
from kanslib.course import chapters
from kanslib.exercises.catalog import CATALOG

pytestmark = pytest.mark.slow
NAMES = [chapter.stem for chapter in chapters.shipped()]


def without_network() -> list[str]:
    """The words before a command that take its network away; none where this machine does not allow it."""
    command = ["unshare", "-rn"]
    if shutil.which("unshare") and subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0:
        return command
    return []


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    found = []
    for number in range(2):
        out = tmp_path_factory.mktemp("run") / f"{number}.json"
        script = Path(__file__).with_name("execute.py")
        private = {**os.environ, "KANS_PROGRESS": str(out.with_name("progress.json"))}
        command = [*without_network(), sys.executable, str(script), str(out)]
        subprocess.run(command, check=True, timeout=300, env=private)
        found.append(json.loads(out.read_text()) | {"learned": out.with_name("progress.json").exists()})
    return found


@pytest.mark.parametrize("chapter", chapters.shipped(), ids=lambda path: path.stem)
def test_chapter_simulated_no_cell_fails(chapter: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KANS_BACKEND", "simulated")
    monkeypatch.setenv("KANS_PROGRESS", str(tmp_path / "progress.json"))
    result, _ = run.execute(chapter)
    assert result.error == ""
    assert result.peak_mb <= 200


@pytest.mark.parametrize("name", NAMES)
class TestChapter:
    def test_chapter_no_cell_fails(self, runs: list[dict[str, Any]], name: str) -> None:
        assert [run[name]["error"] for run in runs] == ["", ""]
        kinds = [output["output_type"] for cell in runs[0][name]["outputs"] for output in cell]
        assert "error" not in kinds

    def test_chapter_stderr_empty(self, runs: list[dict[str, Any]], name: str) -> None:
        streams = [output for cell in runs[0][name]["outputs"] for output in cell if output["output_type"] == "stream"]
        assert [stream["text"] for stream in streams if stream["name"] == "stderr"] == []

    def test_chapter_run_twice_same_output(self, runs: list[dict[str, Any]], name: str) -> None:
        assert runs[0][name]["outputs"] == runs[1][name]["outputs"]

    def test_chapter_run_all_hides_answers(self, runs: list[dict[str, Any]], name: str) -> None:
        # the twin of a form for paper has its solution folded
        said = re.sub(r"<details.*?</details>", "", json.dumps(runs[0][name]["outputs"], ensure_ascii=False))
        for exercise in CATALOG.values():
            if exercise.chapter == name[:2]:
                assert exercise.explanation.replace("{truth}", "").strip(" .:") not in said
                assert all(hint not in said for hint in exercise.hints)
                assert all(idea.text not in said for idea in exercise.misconceptions)

    def test_chapter_run_all_is_no_attempt(self, runs: list[dict[str, Any]], name: str) -> None:
        assert [run["learned"] for run in runs] == [False, False]

    def test_chapter_kernel_memory_below_200_megabytes(self, runs: list[dict[str, Any]], name: str) -> None:
        assert 50 < runs[0][name]["peak_mb"] <= 200

    def test_chapter_answers_have_provenance(self, runs: list[dict[str, Any]], name: str) -> None:
        tables = [
            output["data"]["text/html"]
            for cell in runs[0][name]["outputs"]
            for output in cell
            if "kans-answer" in output.get("data", {}).get("text/html", "")
        ]
        assert name.startswith("08") or tables
        assert all("recorded 2026-11-23" in table or "simulated 2026-11-23" in table for table in tables)
