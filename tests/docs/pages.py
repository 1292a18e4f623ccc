"""The pages of the documentation, and the place of the repository on the web."""

from __future__ import annotations

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def page_name(page: Path) -> str:
    """Return the path of a page below the root, as test ids show it."""
    return page.relative_to(ROOT).as_posix()
