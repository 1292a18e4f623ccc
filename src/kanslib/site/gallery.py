"""The gallery: every figure of the chapters as an image of its own, below the chapter that it is from."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import htpy as h

if TYPE_CHECKING:
    from nbformat import NotebookNode

FOLDER = "gallery"  # of the images, below that of the static files
_SVG = "image/svg+xml"
_TITLE, _SIZE = re.compile('aria-label="([^"]*)"'), re.compile('width="([0-9.]+)" height="([0-9.]+)"')


@dataclass(frozen=True)
class Picture:
    """A figure of a chapter: the name of its file, its title, its width and height in px, and its SVG."""

    name: str
    title: str
    width: float
    height: float
    svg: str


def pictures(chapter: str, executed: NotebookNode) -> Iterator[Picture]:
    """Yield the figures of an executed chapter, each once."""
    outputs = (output for cell in executed.cells for output in cell.get("outputs", []))
    found = dict.fromkeys(output.data[_SVG] for output in outputs if _SVG in output.get("data", {}))
    for number, svg in enumerate(found, 1):
        title, size = _TITLE.search(svg), _SIZE.search(svg)
        if title and size:
            yield Picture(f"{chapter}-{number}.svg", title[1], float(size[1]), float(size[2]), svg)


def write_gallery(chapters: Mapping[str, NotebookNode], static: Path) -> str:
    """Write the images of chapters, by their names, to the static files; return what the page shows of them."""
    folder = static / FOLDER
    folder.mkdir(parents=True)
    parts = []
    for name, executed in chapters.items():
        shown = list(pictures(name, executed))
        for picture in shown:
            (folder / picture.name).write_text(picture.svg, encoding="utf-8")
        if shown:
            title = executed.cells[0].source.partition("\n")[0].removeprefix("# ")
            parts += [f"## [{title}](/chapters/{name}.ipynb)", str(_list(shown))]
    return "\n\n".join(parts)


def _list(shown: Sequence[Picture]) -> h.Element:
    return h.div(".kans-gallery")[
        (
            h.figure[
                h.a(href=f"_static/{FOLDER}/{one.name}")[
                    # the title stands below: a screen reader needs it once
                    h.img(
                        src=f"_static/{FOLDER}/{one.name}",
                        alt="",
                        loading="lazy",
                        width=f"{one.width:g}",
                        height=f"{one.height:g}",
                    ),
                    h.span[one.title],
                ]
            ]
            for one in shown
        )
    ]
