"""Where the texts of a figure stand, read from its SVG."""

from __future__ import annotations

from itertools import combinations
from typing import NamedTuple
from xml.etree import ElementTree as ET

from kanslib.render.figure import SIZES, Figure, text_width

_SVG = "{http://www.w3.org/2000/svg}"
_ASCENT, _DESCENT = 0.75, 0.2  # of the size: where letters begin above the baseline, and end below it


class TextBox(NamedTuple):
    """A text and its box in px; `width` at most, in any usual typeface."""

    words: str
    left: float
    top: float
    right: float
    bottom: float


def text_boxes(figure: Figure, width: int) -> tuple[list[TextBox], float]:
    """Return the boxes of all texts of a figure at a width, and the figure's height. No text may be in a transform."""
    root = ET.fromstring(str(figure.svg(width)))
    assert not [one for one in root.iter(f"{_SVG}g") if one.get("transform")]
    return [_box(one) for one in root.iter(f"{_SVG}text")], float(root.attrib["height"])


def _box(element: ET.Element) -> TextBox:
    words = "".join(element.itertext())
    size = float(element.get("font-size", SIZES.text))
    long = text_width(words, size, bold=element.get("font-weight") == "bold")
    x, y = float(element.attrib["x"]), float(element.attrib["y"])
    left = x - long * {"middle": 0.5, "end": 1.0}.get(element.get("text-anchor", ""), 0.0)
    return TextBox(words, left, y - _ASCENT * size, left + long, y + _DESCENT * size)


def check_texts(figure: Figure, width: int) -> None:
    """Assert that no text of a figure touches another, and that all lie inside of it."""
    boxes, height = text_boxes(figure, width)
    for one, other in combinations(boxes, 2):
        apart = one.right < other.left or other.right < one.left or one.bottom < other.top or other.bottom < one.top
        assert apart, (width, one, other)
    for one in boxes:
        assert one.left >= 0 and one.right <= width + 0.5, (width, one)  # noqa: PT018 (one box is one thing)
        assert one.top >= 0 and one.bottom <= height, (width, height, one)  # noqa: PT018
