"""The gallery: a figure of each kind that the chapters have, as an image that leads to the section where it stands."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import htpy as h

from kanslib.i18n import tr, tr_later
from kanslib.site.content import CHAPTERS

if TYPE_CHECKING:
    from nbformat import NotebookNode

FOLDER = "gallery"  # of the images, below that of the static files
KINDS = {  # the classes of figures, in the order in which they are shown, each with its caption
    "ClusterMap": tr_later("A cluster, and the way of requests to each VIP"),
    "OutageTimeline": tr_later("An outage: what failed, for how long, and which change took so long"),
    "ResultCard": tr_later("What came of an action"),
    "ARPConversation": tr_later("Who asks for an address, and who answers"),
    "ARPTimeline": tr_later("Questions, answers and announcements by ARP"),
    "Trace": tr_later("The way of a packet through the rules of a node"),
    "HashOrder": tr_later("The election: for each VIP the nodes in their order"),
    "PoolAddresses": tr_later("A pool: which addresses are in use"),
    "LeadershipTimeline": tr_later("Who leads, by the API, by each speaker and by the client"),
    "BGPStates": tr_later("The states of a BGP session"),
    "OutageComparison": tr_later("Outages side by side"),
    "NodeLosses": tr_later("What the loss of a node costs, by protocol and traffic policy"),
}
_TALLEST = 540  # px: of several figures of a kind the tallest up to here is shown, which has most to see
_SVG = "image/svg+xml"
_KIND, _SIZE = re.compile('data-kind="([^"]*)"'), re.compile('width="([0-9.]+)" height="([0-9.]+)"')


@dataclass(frozen=True)
class Picture:
    """A figure of a chapter: its kind, its section with its address, its width and height in px, and its SVG."""

    kind: str
    address: str
    section: str
    width: float
    height: float
    svg: str


def pictures(chapter: str, executed: NotebookNode) -> Iterator[Picture]:
    """Yield the figures of an executed chapter."""
    section, address = "", f"{CHAPTERS}/{chapter}.html"
    for cell in executed.cells:
        if cell.cell_type == "markdown":
            for heading in re.findall(r"^#+ (.*)", cell.source, re.MULTILINE):
                section = heading
        for output in cell.get("outputs", []):
            svg = output.get("data", {}).get(_SVG, "")
            kind, size = _KIND.search(svg), _SIZE.search(svg)
            if kind and size:
                yield Picture(kind[1], f"{address}#{_place(section)}", section, float(size[1]), float(size[2]), svg)


def write_gallery(chapters: Mapping[str, NotebookNode], static: Path) -> str:
    """Write a figure of each kind in these chapters to the static files; return what the page shows of them."""
    folder = static / FOLDER
    folder.mkdir(parents=True)
    found = [picture for name, executed in chapters.items() for picture in pictures(name, executed)]
    shown = []
    for kind in KINDS:
        if of_kind := [picture for picture in found if picture.kind == kind]:
            shown.append(_telling(of_kind))
            (folder / f"{kind}.svg").write_text(shown[-1].svg, encoding="utf-8")
    return f"```{{raw}} html\n{_list(shown)}\n```"


def _telling(of_kind: Sequence[Picture]) -> Picture:
    fitting = [one for one in of_kind if one.height <= _TALLEST]
    return max(fitting, key=lambda one: one.height) if fitting else min(of_kind, key=lambda one: one.height)


def _place(section: str) -> str:
    from docutils.nodes import make_id

    return str(make_id(section))


def _list(shown: Sequence[Picture]) -> h.Element:
    return h.div(".kans-gallery")[(_figure(one) for one in shown)]


def _figure(picture: Picture) -> h.Element:
    file = f"_static/{FOLDER}/{picture.kind}.svg"
    image = h.img(
        src=file, alt="", loading="lazy", width=f"{picture.width:g}", height=f"{picture.height:g}"
    )  # the caption stands below: a screen reader needs it once
    caption = h.figcaption[
        h.a(href=picture.address)[
            tr("{caption}: in “{section}”", caption=tr(KINDS[picture.kind]), section=picture.section)
        ],
        " · ",
        h.a(href=file, download=True)[tr("download as SVG")],
    ]
    return h.figure[h.a(href=picture.address, tabindex="-1", aria_hidden="true")[image], caption]
