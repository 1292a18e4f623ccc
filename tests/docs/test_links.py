"""Links of README.md, CONTRIBUTING.md, docs/ and the chapters lead somewhere, and to this project's own repository."""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from kanslib.course import chapters
from tests.docs.pages import PAGES, PROJECT, ROOT, page_name

REPOSITORY = PROJECT["urls"]["Repository"]
OWNER_AND_NAME = urlsplit(REPOSITORY).path.strip("/")
OTHERS = {"hashicorp/memberlist", "metallb/metallb"}
SLUG = re.compile(
    r"(?:github\.com|raw\.githubusercontent\.com|mybinder\.org/v2/gh)/([\w.-]+/[\w-]+(?:\.[\w-]+)*)", re.ASCII
)
FILE = re.compile(rf"{re.escape(OWNER_AND_NAME)}/(?:(?:blob|tree)/)?main/([\w./-]+)")
BINDER = re.compile(r"mybinder\.org/v2/gh/[\w./-]+\?urlpath=lab/tree/([\w./-]+)")
RELATIVE = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)")


def text_of(page: Path) -> str:
    """Return a page as text; of a chapter the text of its cells."""
    if page.suffix != ".ipynb":
        return page.read_text()
    return "\n".join("".join(cell["source"]) for cell in json.loads(page.read_text())["cells"])


EVERYWHERE = [*PAGES, *chapters.shipped()]


@pytest.mark.parametrize("page", EVERYWHERE, ids=lambda page: page.name)
def test_page_names_own_repository(page: Path) -> None:
    assert set(SLUG.findall(text_of(page))) - OTHERS <= {OWNER_AND_NAME}


@pytest.mark.parametrize("page", EVERYWHERE, ids=lambda page: page.name)
def test_page_links_to_files_of_the_repository(page: Path) -> None:
    text = text_of(page)
    missing = [file for file in FILE.findall(text) + BINDER.findall(text) if not (ROOT / file).exists()]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_page_relative_links_exist(page: Path) -> None:
    missing = [link for link in RELATIVE.findall(page.read_text()) if not (page.parent / link).exists()]
    assert missing == []


def test_project_urls_name_one_repository() -> None:
    assert OWNER_AND_NAME.count("/") == 1
    assert all(url.startswith(REPOSITORY) for url in PROJECT["urls"].values())


def test_readme_links_are_absolute() -> None:
    """A package index shows README without the files beside it."""
    readme = (ROOT / "README.md").read_text()
    assert RELATIVE.findall(readme) == []
    assert len(SLUG.findall(readme)) > 5
