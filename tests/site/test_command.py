"""What `kans site` refuses before any work; tests/browser opens what it writes."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from kanslib.cli import site as command
from kanslib.exceptions import KanslibError, UnknownNameError


def test_folder_that_is_no_site_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("mine")
    with pytest.raises(KanslibError, match="exists already; next step"):
        command.site(tmp_path, "", [])
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


@pytest.mark.parametrize("address", ["somebody.github.io", "ftp://somebody.example/", "https://"])
def test_base_url_that_is_no_address_is_refused(tmp_path: Path, address: str) -> None:
    with pytest.raises(KanslibError, match="expected an address, such as"):
        command.site(tmp_path / "site", address, [])


def test_language_without_chapters_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="xx"):
        command.site(tmp_path / "site", "", ["xx"])
    assert not (tmp_path / "site").exists()


def test_missing_packages_are_named_with_the_next_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """These packages are installed where tests run."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in ("sphinx", "furo") else name)
    with pytest.raises(KanslibError, match=r"needs sphinx, furo; next step: .*\[site,lab\]"):
        command.site(tmp_path / "site", "", [])
