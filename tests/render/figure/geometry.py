"""The texts of a drawing with the places that they take, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from xml.etree import ElementTree as ET

from kanslib.render.figure import SIZES, Drawing, Figure, text_width

NOT_VISIBLE = {"title", "desc", "style"}
ASCENT, DESCENT = 0.78, 0.2  # of a text's size, without the gaps that typefaces add


@dataclass(frozen=True)
class Placed:
    """A text with its box in px."""

    words: str
    left: float
    top: float
    right: float
    bottom: float

    def overlaps(self, other: Placed) -> bool:
        across = min(self.right, other.right) - max(self.left, other.left)
        down = min(self.bottom, other.bottom) - max(self.top, other.top)
        return across > 0.5 and down > 0.5


def faults(figure: Figure, width: int) -> list[str]:
    """What is wrong with the texts of a figure at a width: two that overlap, one that is outside, one that is small."""
    drawing = figure.drawing(width)
    placed = [*texts(figure, width)]
    assert placed
    found = [f"{one} overlaps {other}" for one, other in combinations(placed, 2) if one.overlaps(other)]
    found += [f"{one} is outside" for one in placed if not _is_inside(one, drawing, width)]
    return found


def _is_inside(one: Placed, drawing: Drawing, width: int) -> bool:
    return one.left >= -0.5 and one.right <= width + 0.5 and one.top >= -0.5 and one.bottom <= drawing.height + 0.5


def texts(figure: Figure, width: int, hidden: str = "kans-raw") -> Iterator[Placed]:
    """The texts of a figure at a width; `hidden` is the class of those that nobody sees until they are pointed at."""
    yield from _texts(ET.fromstring(str(figure.svg(width))), SIZES.text, False, hidden)


def _texts(element: ET.Element, size: float, bold: bool, hidden: str) -> Iterator[Placed]:
    if hidden in (element.get("class") or "").split():
        return
    assert "scale" not in (element.get("transform") or "") or element.tag.endswith("path")
    size = float(element.get("font-size") or size)
    assert size >= 11
    bold = element.get("font-weight") == "bold" or (bold and element.get("font-weight") is None)
    if element.tag.endswith("}text"):
        yield _placed(element, size, bold)
    elif element.tag.rpartition("}")[2] not in NOT_VISIBLE:
        for inner in element:
            yield from _texts(inner, size, bold, hidden)


def _placed(element: ET.Element, size: float, bold: bool) -> Placed:
    width = text_width(element.text or "", size, bold=bold)
    words = element.text or ""
    for part in element:
        if part.tag.endswith("}tspan"):
            words += part.text or ""
            width += text_width(part.text or "", size, bold=part.get("font-weight", "bold" if bold else "") == "bold")
    x, y = float(element.get("x") or 0), float(element.get("y") or 0)
    left = x - {"middle": width / 2, "end": width}.get(element.get("text-anchor") or "", 0)
    return Placed(words, left, y - ASCENT * size, left + width, y + DESCENT * size)
