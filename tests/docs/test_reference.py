"""docs/reference is what docs/make_reference.py makes of the docstrings and of the help texts."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from tests.docs.pages import ROOT

REFERENCE = ROOT / "docs" / "reference"
MAKE = "run: python docs/make_reference.py"


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    return dict(runpy.run_path(str(ROOT / "docs" / "make_reference.py"))["pages"]())


def test_reference_has_every_page(made: dict[str, str]) -> None:
    assert {page.stem for page in REFERENCE.glob("*.md")} == set(made), MAKE


@pytest.mark.parametrize("page", sorted(REFERENCE.glob("*.md")), ids=lambda page: page.stem)
def test_reference_page_equals_docstrings(made: dict[str, str], page: Path) -> None:
    assert page.read_text() == made[page.stem], MAKE


def test_reference_names_what_a_lab_offers(made: dict[str, str]) -> None:
    assert "### Lab.leader\n" in made["lab"]
    assert "leader(service: str) -> str | None" in made["lab"]
    assert "### parse\n" not in made["iptables"]
    assert "## parse\n" in made["iptables"]
    assert "## `kans trace`\n" in made["kans"]
