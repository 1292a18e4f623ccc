"""The texts of a figure with the boxes that they fill at most, as the layout computes them, and what is wrong there."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import NamedTuple
from xml.etree import ElementTree as ET

from kanslib.render.figure import SIZES, Figure, text_width

SVG = "{http://www.w3.org/2000/svg}"
_NOT_VISIBLE = {SVG + tag for tag in ("title", "desc", "style")}
_ASCENT, _DESCENT = 0.78, 0.2  # of a text's size, without the gaps that typefaces add


class Text(NamedTuple):
    """A text of a drawing, and its box in px."""

    words: str
    left: float
    top: float
    right: float
    bottom: float

    def touches(self, other: Text) -> bool:
        is_beside = self.right < other.left or other.right < self.left
        return not (is_beside or self.bottom < other.top or other.bottom < self.top)


def texts(figure: Figure, width: int, hidden: str = "kans-raw") -> list[Text]:
    """The texts of a figure at a width; `hidden` is the class of those that nobody sees until they are pointed at."""
    return list(_texts(ET.fromstring(str(figure.svg(width))), SIZES.text, False, hidden))


def faults(figure: Figure, width: int) -> list[str]:
    """What is wrong with the texts of a figure at a width: two that touch, one that is outside."""
    height, placed = figure.drawing(width).height, texts(figure, width)
    assert placed
    found = [f"{one} touches {other}" for one, other in combinations(placed, 2) if one.touches(other)]
    outside = [one for one in placed if one.left < 0 or one.right > width or one.top < 0 or one.bottom > height]
    return found + [f"{one} is outside" for one in outside]


def _texts(element: ET.Element, size: float, bold: bool, hidden: str) -> Iterator[Text]:
    if hidden in (element.get("class") or "").split():
        return
    assert element.tag == SVG + "path" or not element.get("transform")
    size = float(element.get("font-size") or size)
    assert size >= 11
    bold = element.get("font-weight") == "bold" or (bold and element.get("font-weight") is None)
    if element.tag == SVG + "text":
        yield _placed(element, size, bold)
    elif element.tag not in _NOT_VISIBLE:
        for inner in element:
            yield from _texts(inner, size, bold, hidden)


def _placed(element: ET.Element, size: float, bold: bool) -> Text:
    words = element.text or ""
    width = text_width(words, size, bold=bold)
    for part in element.iter(SVG + "tspan"):
        inner, after = part.text or "", part.tail or ""
        words += inner + after
        width += text_width(inner, size, bold=part.get("font-weight", "bold" if bold else "") == "bold")
        width += text_width(after, size, bold=bold)
    x, y = float(element.get("x") or 0), float(element.get("y") or 0)
    left = x - {"middle": width / 2, "end": width}.get(element.get("text-anchor") or "", 0)
    edges = left, y - _ASCENT * size, left + width, y + _DESCENT * size
    return Text(words, *(round(edge, 6) for edge in edges))  # sums of floats are not exact
