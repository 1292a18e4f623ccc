"""Imports go down only: the contracts of pyproject.toml; and `import kanslib` stays light."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {"kubernetes", "scapy", "pandas", "plotly", "ipywidgets", "IPython", "numpy", "yaml", "rich", "typer"}


def test_import_contracts_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    cli = pytest.importorskip("importlinter.cli")
    monkeypatch.chdir(Path(__file__).parent.parent)
    assert cli.lint_imports(no_cache=True) == cli.EXIT_STATUS_SUCCESS


def test_import_of_the_package_is_light() -> None:
    code = f"import sys; import kanslib; print([name for name in {sorted(HEAVY)!r} if name in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
