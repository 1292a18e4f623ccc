"""Links of the documentation, which lead to files of the repository, as links between the pages of a site."""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from itertools import pairwise
from pathlib import PurePosixPath

from kanslib.repository import REPOSITORY
from kanslib.site.content import CHAPTERS, DOCUMENTS

_LINK = re.compile(r"(?<=\]\()(?!https?:|mailto:|#)([^)#\s]+)")
_FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)


def with_site_links(text: str, name: str, path: str, names: Collection[str]) -> str:
    """Return Markdown in which relative links lead to pages of the site, or to the repository for other files.

    `name`: the address of the page; `path`: its file, from the root of the repository. `names`: the site's addresses.
    """

    def resolve(found: re.Match[str]) -> str:
        target = PurePosixPath(os.path.normpath(PurePosixPath(path).parent / found[1])).as_posix()
        page = _page_of(target)
        if page in names:
            suffix = ".ipynb" if page.startswith(CHAPTERS) else ".md"
            return PurePosixPath(os.path.relpath(page, PurePosixPath(name).parent)).as_posix() + suffix
        return REPOSITORY.file(target)

    ends = [0, *(end for fence in _FENCE.finditer(text) for end in fence.span()), len(text)]
    parts = [text[start:end] for start, end in pairwise(ends)]
    return "".join(part if place % 2 else _LINK.sub(resolve, part) for place, part in enumerate(parts))


def _page_of(file: str) -> str:
    """Return the address of the page that is made of a file of the repository.

    >>> [_page_of(one) for one in ("docs/README.md", "docs/decisions", "notebooks/en/03-arp.ipynb", "notebooks/en")]
    ['docs/index', 'docs/decisions/index', 'chapters/03-arp', 'index']
    """
    path = PurePosixPath(file)
    if path.parts[:1] == ("notebooks",):
        return f"{CHAPTERS}/{path.stem}" if path.suffix else "index"
    if path.name == "README.md" and path.parts[:1] == (DOCUMENTS,):
        return f"{path.parent}/index"
    return path.with_suffix("").as_posix() if path.suffix == ".md" else f"{path}/index"
