"""What the search of a site looks through: the text of each section of each page, in one script."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from kanslib.site.content import CHAPTERS, DOCUMENTS

if TYPE_CHECKING:
    from docutils import nodes

SCRIPT = "kans-search-text.js"
MOST_CODE = 1500  # characters of a section's code and printed text: a dump of rules is not read in a search
_SPACES = re.compile(r"\s+")


class Section(msgspec.Struct, frozen=True, array_like=True):
    """A section of a page.

    page: the title of the page. title: that of the section; empty above the page's first section
    address: from the root of the site. rank: 0 for a chapter, 1 for another page, 2 for the reference
    text: a line for each paragraph or line of code
    """

    page: str
    title: str
    address: str
    rank: int
    text: str


def sections_of(name: str, tree: nodes.document) -> Iterator[Section]:
    """Yield the sections of the page of this name; what stands in a section below another one is its own."""
    from docutils import nodes

    page = ""
    for section in tree.findall(nodes.section):
        title = section.next_node(nodes.title)
        heading = title.astext() if title else ""
        page = page or heading
        text = "\n".join(_lines(section))
        if not text and heading != page:
            continue
        address = f"{name}.html" if heading == page else f"{name}.html#{section['ids'][0]}"
        yield Section(page, "" if heading == page else heading, address, _rank(name), text)


def write_search(folder: Path, sections: Sequence[Section], stop_words: Collection[str]) -> None:
    """Write the script into the folder of the static files; a script because a page from disk may not fetch.

    `stop_words`: those that a query is searched without, such as `the`.
    """
    data = ",".join(msgspec.json.encode(one).decode() for one in (sections, sorted(stop_words)))
    (folder / SCRIPT).write_text(f"kans.search({data});\n", encoding="utf-8")


def _rank(name: str) -> int:
    return 0 if name.startswith(f"{CHAPTERS}/") else 2 if name.startswith(f"{DOCUMENTS}/reference/") else 1


def _lines(section: nodes.section) -> Iterator[str]:
    """Yield the text of a section, without its title and without the sections in it."""
    from docutils import nodes

    room = MOST_CODE
    for child in section.children:
        if isinstance(child, (nodes.section, nodes.title)):
            continue
        for block in child.findall(nodes.TextElement):
            if isinstance(block, nodes.raw) or not isinstance(
                block, (nodes.paragraph, nodes.literal_block, nodes.term)
            ):
                continue
            lines = block.astext().splitlines() if isinstance(block, nodes.literal_block) else [block.astext()]
            for line in lines:
                text = _SPACES.sub(" ", line).strip()
                if isinstance(block, nodes.literal_block):
                    room -= len(text)
                if text and room > 0:
                    yield text
