"""A learner's copy: edited chapters stay."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kanslib.course import chapters
from kanslib.exceptions import UnknownNameError


@pytest.fixture
def edition(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two chapters that 'ship', in a directory that the test may change."""
    home = tmp_path / "edition"
    home.mkdir()
    for name in ("00-a.ipynb", "01-b.ipynb"):
        write(home / name, "first edition")
    monkeypatch.setattr(chapters, "shipped", lambda _language="en": sorted(home.glob("*.ipynb")))
    return home


def write(path: Path, text: str, outputs: bool = False) -> None:
    cell = {"cell_type": "code", "source": [text], "outputs": [{"text": "x"}] if outputs else []}
    path.write_text(json.dumps({"cells": [cell], "metadata": {"kanslib": {"version": "0.1.0"}}}))


def sync_statuses(directory: Path) -> list[str]:
    return [one.status for one in chapters.sync(directory)]


def test_sync_first_and_second_time(edition: Path, tmp_path: Path) -> None:
    assert sync_statuses(tmp_path / "copy") == ["new", "new"]
    assert sync_statuses(tmp_path / "copy") == ["unchanged", "unchanged"]


def test_sync_run_is_no_edit(edition: Path, tmp_path: Path) -> None:
    sync_statuses(tmp_path / "copy")
    write(tmp_path / "copy/00-a.ipynb", "first edition", outputs=True)
    write(edition / "00-a.ipynb", "second edition")
    assert sync_statuses(tmp_path / "copy") == ["replaced", "unchanged"]
    assert "second edition" in (tmp_path / "copy/00-a.ipynb").read_text()


def test_sync_keeps_edit_beside_new_edition(edition: Path, tmp_path: Path) -> None:
    sync_statuses(tmp_path / "copy")
    write(tmp_path / "copy/00-a.ipynb", "my own words")
    assert sync_statuses(tmp_path / "copy") == ["yours kept", "unchanged"]
    write(edition / "00-a.ipynb", "second edition")
    assert sync_statuses(tmp_path / "copy") == ["new edition beside yours", "unchanged"]
    assert "my own words" in (tmp_path / "copy/00-a.ipynb").read_text()
    new_editions = list((tmp_path / "copy").glob("00-a.kanslib-*.ipynb"))
    assert len(new_editions) == 1
    assert "second edition" in new_editions[0].read_text()


def test_sync_lost_state_file_keeps_edit(edition: Path, tmp_path: Path) -> None:
    sync_statuses(tmp_path / "copy")
    write(tmp_path / "copy/00-a.ipynb", "my own words")
    (tmp_path / "copy" / chapters.STATE).write_text("not json")
    sync_statuses(tmp_path / "copy")
    assert "my own words" in (tmp_path / "copy/00-a.ipynb").read_text()


def test_sync_deleted_chapter_returns(edition: Path, tmp_path: Path) -> None:
    sync_statuses(tmp_path / "copy")
    (tmp_path / "copy/01-b.ipynb").unlink()
    assert sync_statuses(tmp_path / "copy") == ["unchanged", "new"]


def test_version_notice_old_notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "x.ipynb", "text")
    assert chapters.version_notice(tmp_path / "x.ipynb") == ""
    monkeypatch.setattr(chapters, "__version__", "0.10.0")
    assert "the edition of kanslib 0.1.0, the library is 0.10.0" in chapters.version_notice(tmp_path / "x.ipynb")
    assert chapters.version_notice(tmp_path / "nothing.ipynb") == ""


def test_pick_by_number_or_name() -> None:
    assert [path.stem for path in chapters.pick(["03", "election"])] == ["03-arp", "05-election"]
    assert [path.stem for path in chapters.pick(["00"])] == ["00-start-here"]
    for name in ("00q", "fifteen-minutes", "00q-fifteen-minutes"):
        assert [path.stem for path in chapters.pick([name])] == ["00q-fifteen-minutes"]
    assert chapters.pick([]) == chapters.shipped()
    with pytest.raises(UnknownNameError, match="no chapter named '9'"):
        chapters.pick(["9"])
