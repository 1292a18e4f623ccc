"""Links of the pages and chapters lead somewhere, and to this project's own repository, which one module names."""

from __future__ import annotations

import json
import os
import re
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from kanslib import __version__
from kanslib.course import chapters
from kanslib.repository import REPOSITORY, Repository
from tests.docs.pages import PAGES, PROJECT, ROOT, page_name

OWN = re.escape(REPOSITORY.slug)
OTHERS = {
    "hashicorp/memberlist",
    "jupyterhub/repo2docker",
    "kubernetes-sigs/aws-load-balancer-controller",
    "metallb/metallb",
    "somebody/course",  # an example
}
SLUG = re.compile(
    r"(?:github\.com|raw\.githubusercontent\.com|mybinder\.org/v2/gh|codespaces\.new)/([\w.-]+/[\w-]+(?:\.[\w-]+)*)",
    re.ASCII,
)
SITE = re.compile(r"https://([\w-]+)\.github\.io/([\w.-]+)", re.ASCII)
FILE = re.compile(rf"{OWN}/(?:(?:blob|tree)/)?main/([\w./-]+)")
BINDER = re.compile(r"mybinder\.org/v2/gh/[\w./-]+\?urlpath=lab/tree/([\w./-]+)")
RELATIVE = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)")
SCRIPT = runpy.run_path(str(ROOT / "docs" / "make_links.py"), run_name="links")
LINKED: list[Path] = list(SCRIPT["pages"]())
FORK = Repository("somebody", "bare-metal.course", branch="trunk", release="v9.8.7")
rewrite: Callable[[str, Repository, Repository], str] = SCRIPT["rewrite"]


def slugs(text: str) -> set[str]:
    """Return each repository that a page links to, itself or its website, as owner and name."""
    return {*SLUG.findall(text), *map("/".join, SITE.findall(text))}


def text_of(page: Path) -> str:
    """Return a page as text; of a chapter the text of its cells."""
    if page.suffix != ".ipynb":
        return page.read_text()
    return "\n".join("".join(cell["source"]) for cell in json.loads(page.read_text())["cells"])


@pytest.mark.parametrize("page", LINKED, ids=page_name)
def test_page_names_own_repository(page: Path) -> None:
    assert slugs(page.read_text()) - OTHERS <= {REPOSITORY.slug}


@pytest.mark.parametrize("page", LINKED, ids=page_name)
def test_page_links_equal_what_the_command_makes(page: Path) -> None:
    text = page.read_text()
    assert rewrite(text, REPOSITORY, REPOSITORY) == text, "run: python docs/make_links.py"


@pytest.mark.parametrize("page", [*PAGES, *chapters.shipped()], ids=lambda page: page.name)
def test_page_links_to_files_of_the_repository(page: Path) -> None:
    text = text_of(page)
    missing = [file for file in FILE.findall(text) + BINDER.findall(text) if not (ROOT / file).exists()]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_page_relative_links_exist(page: Path) -> None:
    missing = [link for link in RELATIVE.findall(page.read_text()) if not (page.parent / link).exists()]
    assert missing == []


def test_pages_with_links_are_all_known_to_the_command() -> None:
    """No file of another kind names the repository: `git grep` finds what a fork would forget."""
    site = re.escape(urlsplit(REPOSITORY.site).netloc)
    link = rf"(github\.com|githubusercontent\.com|/gh|codespaces\.new)/{OWN}|{site}"
    command = ["git", "grep", "--no-index", "--exclude-standard", "-lE", link]
    found = set(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split())
    assert "README.md" in found
    assert found <= {page_name(page) for page in LINKED}


def test_project_urls_name_one_repository() -> None:
    assert urlsplit(PROJECT["urls"]["Repository"]).path.strip("/") == REPOSITORY.slug
    assert all(url.startswith((REPOSITORY.url, REPOSITORY.site)) for url in PROJECT["urls"].values())


def test_release_is_the_newest_commit_or_a_version_in_the_changelog() -> None:
    released = re.findall(r"^## \[(\d+\.\d+\.\d+)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert __version__ in released
    assert REPOSITORY.release in {"HEAD", *(f"v{version}" for version in released)}


def test_readme_links_are_absolute() -> None:
    """A package index shows README without the files beside it."""
    readme = (ROOT / "README.md").read_text()
    assert RELATIVE.findall(readme) == []
    assert len(SLUG.findall(readme)) > 5


@pytest.mark.parametrize(
    ("text", "rewritten"),
    [
        ("https://github.com/me/one.", "https://github.com/somebody/bare-metal.course."),
        ("https://github.com/me/one/blob/main/a.md", "https://github.com/somebody/bare-metal.course/blob/trunk/a.md"),
        (
            "(https://github.com/me/one/tree/old/docs)",
            "(https://github.com/somebody/bare-metal.course/tree/trunk/docs)",
        ),
        ("https://github.com/me/one-more and https://github.com/me/ones", None),
        (
            "git clone https://github.com/me/one && cd one",
            "git clone https://github.com/somebody/bare-metal.course && cd bare-metal.course",
        ),
        (
            "https://mybinder.org/v2/gh/me/one/v1?urlpath=lab/tree/a.ipynb",
            "https://mybinder.org/v2/gh/somebody/bare-metal.course/v9.8.7?urlpath=lab/tree/a.ipynb",
        ),
        (
            "https://raw.githubusercontent.com/me/one/main/a.svg",
            "https://raw.githubusercontent.com/somebody/bare-metal.course/trunk/a.svg",
        ),
        ("https://me.github.io/one/en/", "https://somebody.github.io/bare-metal.course/en/"),
        ("https://codespaces.new/me/one?x=1", "https://codespaces.new/somebody/bare-metal.course?x=1"),
        ("https://github.com/you/one/blob/old/a.md, pip install one", None),
    ],
)
def test_rewrite_of_each_link(text: str, rewritten: str | None) -> None:
    assert rewrite(text, Repository("me", "one"), FORK) == (rewritten or text)


def test_make_links_in_a_fork(tmp_path: Path) -> None:
    for page in LINKED:
        copy = tmp_path / page.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(page, copy)
    source = (ROOT / "src" / "kanslib" / "repository.py").read_text()
    line = 'REPOSITORY = Repository(owner="somebody", name="bare-metal.course", branch="trunk", release="v9.8.7")'
    module = tmp_path / "src" / "kanslib" / "repository.py"
    module.parent.mkdir(parents=True)
    module.write_text(re.sub(r"^REPOSITORY = .*", line, source, flags=re.MULTILINE))
    (module.parent / "__init__.py").touch()
    shutil.copyfile(ROOT / "docs" / "make_links.py", tmp_path / "docs" / "make_links.py")

    def written() -> list[str]:
        command = [sys.executable, "docs/make_links.py"]
        env = {**os.environ, "PYTHONPATH": str(tmp_path / "src")}
        return subprocess.run(
            command, cwd=tmp_path, env=env, capture_output=True, text=True, check=True
        ).stdout.splitlines()

    changed = written()
    assert {"README.md", "CHANGELOG.md", "SECURITY.md", "pyproject.toml"} <= set(changed)
    assert {slug for page in changed for slug in slugs((tmp_path / page).read_text())} - OTHERS == {FORK.slug}
    assert FORK.binder("notebooks/en/00q-fifteen-minutes.ipynb") in (tmp_path / "README.md").read_text()
    assert "&& cd bare-metal.course" in (tmp_path / "README.md").read_text()
    assert written() == []
