"""Write the links to the project's own repository: `python docs/make_links.py`.

Owner, name, branch and release come from src/kanslib/repository.py; change them there, as in a fork. The old owner and
name are those of pyproject.toml, which is written last. A test compares every page with what this makes.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from kanslib.repository import REPOSITORY, Repository

ROOT = Path(__file__).parents[1]
PYPROJECT = "pyproject.toml"
# what can hold such a link, below the root
PATTERNS = (
    "*.md", "docs/**/*.md", "notebooks/*/*.ipynb", ".github/**/*.yml", ".github/*.md", ".devcontainer/*", "binder/*",
    PYPROJECT,
)  # fmt: skip


def pages() -> Iterator[Path]:
    """Yield every file that can hold a link to the repository, pyproject.toml as the last."""
    for pattern in PATTERNS:
        yield from sorted(path for path in ROOT.glob(pattern) if path.is_file())


def linked() -> Repository:
    """Return the repository that pyproject.toml names: the one before a change."""
    url = tomllib.loads((ROOT / PYPROJECT).read_text(encoding="utf-8"))["project"]["urls"]["Repository"]
    owner, name = url.removeprefix("https://github.com/").split("/")
    return Repository(owner, name)


def rewrite(text: str, old: Repository, new: Repository) -> str:
    """Return a page with links to `new` in place of those to `old`, whatever branch and release these had."""
    slug, end = re.escape(old.slug), r"(?![\w-])"
    for pattern, link in (
        (rf"https://github\.com/{slug}{end}", new.url),
        (rf"({re.escape(new.url)}/(?:blob|tree))/[^/\s)\"]+/", rf"\g<1>/{new.branch}/"),
        (rf"(https://raw\.githubusercontent\.com)/{slug}/[^/\s]+/", rf"\g<1>/{new.slug}/{new.branch}/"),
        (rf"(https://mybinder\.org/v2/gh)/{slug}/[^?\s)\"]+", rf"\g<1>/{new.slug}/{new.release}"),
        (rf"(https://codespaces\.new)/{slug}{end}", rf"\g<1>/{new.slug}"),
        (rf"{re.escape(old.site.rstrip('/'))}{end}", new.site.rstrip("/")),
        (rf"(git clone {re.escape(new.url)} && cd) {re.escape(old.name)}{end}", rf"\g<1> {new.name}"),
    ):
        text = re.sub(pattern, link, text)
    return text


def main() -> None:
    """Rewrite every page whose links differ, and print its path."""
    old = linked()
    for page in pages():
        text = page.read_text(encoding="utf-8")
        if (new := rewrite(text, old, REPOSITORY)) != text:
            page.write_text(new, encoding="utf-8", newline="\n")
            print(page.relative_to(ROOT).as_posix())


if __name__ == "__main__":
    main()
