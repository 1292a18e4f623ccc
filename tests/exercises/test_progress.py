"""Progress survives: kernels, other kernels beside, damaged files, other machines."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from kanslib.exceptions import KanslibError
from kanslib.exercises.exercise import AnswerOutcome
from kanslib.exercises.progress import Progress, default_path, load, read_token


def test_progress_kept_for_next_kernel(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "progress.json"
    load(path).record_try("a", AnswerOutcome.RIGHT)
    assert load(path).of("a").outcome == "right"
    code = "import sys, pathlib; from kanslib.exercises.progress import load; "
    code += "print(load(pathlib.Path(sys.argv[1])).of('a').tries)"
    assert (
        subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True).stdout
        == "1\n"
    )


def test_progress_right_answer_stays_right(tmp_path: Path) -> None:
    progress = load(tmp_path / "p.json")
    progress.record_try("a", AnswerOutcome.RIGHT)
    progress.record_try("a", AnswerOutcome.WRONG, "an-idea")
    assert progress.of("a").outcome == "right"
    assert progress.of("a").tries == 2
    assert progress.of("a").misconceptions == ("an-idea",)


def test_progress_untried_not_recorded(tmp_path: Path) -> None:
    progress = load(tmp_path / "p.json")
    progress.record_try("a", AnswerOutcome.NOT_TRIED)
    assert not (tmp_path / "p.json").exists()


def test_progress_two_kernels_merged(tmp_path: Path) -> None:
    one, other = load(tmp_path / "p.json"), load(tmp_path / "p.json")
    one.record_try("a", AnswerOutcome.RIGHT)
    other.record_try("b", AnswerOutcome.WRONG)
    one.record_try("c", AnswerOutcome.RIGHT_AFTER_HELP)
    kept = load(tmp_path / "p.json")
    assert [kept.of(name).outcome for name in "abc"] == ["right", "wrong", "right after help"]


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"format": 99}', b"\xff\xfe\x00", b'{"format":1,"entries":{"a":3}}']
)
def test_progress_damaged_file_set_aside(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "progress.json"
    path.write_bytes(content)
    progress = load(path)
    assert "set aside as" in progress.notice
    aside = [file for file in tmp_path.iterdir() if "unreadable" in file.name]
    assert len(aside) == 1
    assert aside[0].read_bytes() == content
    progress.record_try("a", AnswerOutcome.RIGHT)
    assert load(path).of("a").outcome == "right"


def test_progress_unwritable_file_announced(tmp_path: Path) -> None:
    (tmp_path / "a file").write_text("")
    progress = Progress(tmp_path / "a file" / "progress.json")
    progress.record_try("a", AnswerOutcome.RIGHT)
    assert "cannot be kept" in progress.notice
    assert progress.of("a").outcome == "right"


def test_progress_token_merge_keeps_better(tmp_path: Path) -> None:
    here, there = load(tmp_path / "here.json"), load(tmp_path / "there.json")
    here.record_try("a", AnswerOutcome.WRONG)
    here.record_try("b", AnswerOutcome.RIGHT)
    there.record_try("a", AnswerOutcome.RIGHT)
    there.record_help("b", hints=2)
    assert there.merge_token(here.token) == 2
    assert there.of("a").outcome == there.of("b").outcome == "right"
    assert there.of("b").hints == 2
    assert load(tmp_path / "there.json").of("b").outcome == "right"


@pytest.mark.parametrize("token", ["", "hello", "kans1.", "kans1.AAAA", "kans1.é", "kans1." + "A" * 5000])
def test_read_token_invalid_shows_format(token: str) -> None:
    with pytest.raises(KanslibError, match=r"begins with 'kans1\.'"):
        read_token(token)


def test_progress_file_mode(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KANS_PROGRESS", str(tmp_path / "mine.json"))
    assert default_path() == tmp_path / "mine.json"
    monkeypatch.delenv("KANS_PROGRESS")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert default_path().name == "progress.json"
    load(tmp_path / "mine.json").record_try("a", AnswerOutcome.RIGHT)
    assert set(json.loads((tmp_path / "mine.json").read_text())) == {"format", "entries"}
