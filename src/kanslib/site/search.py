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
TELLING = frozenset({"own", "down", "off"})  # of the words without which Sphinx searches: “my own cluster”, “link down”
# what people type, and the pages' words for the same, by language
SYNONYMS = {
    "en": {
        "ip": ["vip"],
        "duplicate": ["conflict", "conflicting"],
        "pcap": ["capture"],
        "choose": ["elect", "election"],
        "crash": ["die", "kill"],
    }
}
_SPACES = re.compile(r"\s+")


class Section(msgspec.Struct, frozen=True, array_like=True):
    """A section of a page.

    page: the title of the page. title: that of the section; empty above the page's first section
    address: from the root of the site. rank: 0 for a chapter, 1 for a how-to page, 2 for another page
    text: a line for each paragraph or line of code, without markup
    explained: the terms that the section explains, each in a box of its own, as in “**VIP**: the external address …”
    """

    page: str
    title: str
    address: str
    rank: int
    text: str
    explained: str = ""


class Vocabulary(msgspec.Struct, frozen=True):
    """What the search knows of a language. `stop_words`: a query is searched without them. `synonyms`: of a word."""

    stop_words: list[str]
    synonyms: dict[str, list[str]]


def sections_of(name: str, tree: nodes.document) -> Iterator[Section]:
    """Yield the sections of the page of this name; what stands in a section below another one is its own."""
    from docutils import nodes

    page = ""
    for section in tree.findall(nodes.section):
        title = section.next_node(nodes.title)
        heading = _words(title) if title else ""
        page = page or heading
        text = "\n".join(_lines(section))
        if not text and heading != page:
            continue
        address = f"{name}.html" if heading == page else f"{name}.html#{section['ids'][0]}"
        explained = " ".join(_explained(section))
        yield Section(page, "" if heading == page else heading, address, _rank(name), text, explained)


def write_search(folder: Path, sections: Sequence[Section], stop_words: Collection[str], language: str) -> None:
    """Write the script into the folder of the static files; a script because a page from disk may not fetch.

    `stop_words`: those that a query is searched without, such as `the`.
    """
    vocabulary = Vocabulary(sorted(set(stop_words) - TELLING), SYNONYMS.get(language, {}))
    data = ",".join(msgspec.json.encode(one).decode() for one in (sections, vocabulary))
    (folder / SCRIPT).write_text(f"kans.search({data});\n", encoding="utf-8")


def _rank(name: str) -> int:
    return 0 if name.startswith(f"{CHAPTERS}/") else 1 if name.startswith(f"{DOCUMENTS}/how-to/") else 2


def _words(block: nodes.Node) -> str:
    """Return the text of a node as a reader sees it: HTML that stands in a paragraph is no text."""
    from docutils import nodes

    return "".join(text.astext() for text in block.findall(nodes.Text) if not isinstance(text.parent, nodes.raw))


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
            lines = block.astext().splitlines() if isinstance(block, nodes.literal_block) else [_words(block)]
            for line in lines:
                text = _SPACES.sub(" ", line).strip()
                if isinstance(block, nodes.literal_block):
                    room -= len(text)
                if text and room > 0:
                    yield text


def _explained(section: nodes.section) -> Iterator[str]:
    """Yield the terms that a section explains: the bold words at the beginning of a paragraph in a box."""
    from docutils import nodes

    for box in section.children:
        if isinstance(box, nodes.block_quote):
            for paragraph in box.findall(nodes.paragraph):
                first = next((child for child in paragraph.children if child.astext()), None)
                if isinstance(first, nodes.strong):
                    yield first.astext()
