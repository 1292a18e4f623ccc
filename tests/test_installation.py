"""The command that `kans doctor` and errors propose: it is for the Python that runs, and for the clone it runs from."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest

from kanslib.installation import pip_install

ROOT = Path(__file__).parents[1]


def test_pip_install_in_a_clone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(ROOT)
    assert shlex.split(pip_install("live")) == [sys.executable, "-m", "pip", "install", "-e", ".[live]"]
    monkeypatch.chdir(tmp_path)
    assert shlex.split(pip_install("lab"))[-1] == f"{ROOT}[lab]"
