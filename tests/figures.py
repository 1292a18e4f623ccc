"""The texts of a figure and the boxes that they fill at most, computed as the layout computes them."""

from __future__ import annotations

from typing import NamedTuple
from xml.etree import ElementTree as ET

from kanslib.render.figure import SIZES, Figure, text_width

SVG = "{http://www.w3.org/2000/svg}"


class Text(NamedTuple):
    """A text of a drawing, and its box in px."""

    words: str
    left: float
    top: float
    right: float
    bottom: float


def texts(figure: Figure, width: int) -> tuple[list[Text], float]:
    """Return the texts of a drawing with their boxes, and the height of the drawing."""
    root, found = ET.fromstring(str(figure.svg(width))), []
    for node in root.iter(SVG + "text"):
        words = "".join(node.itertext())
        x, baseline = float(node.get("x", 0)), float(node.get("y", 0))
        width_px = text_width(words, bold=node.get("font-weight") == "bold")
        left = x - {None: 0, "middle": width_px / 2, "end": width_px}[node.get("text-anchor")]
        found.append(Text(words, left, baseline - 0.75 * SIZES.text, left + width_px, baseline + 0.2 * SIZES.text))
    return found, float(root.get("height", 0))


def overlap(one: Text, other: Text) -> bool:
    """Return whether two texts touch."""
    return one.left < other.right and other.left < one.right and one.top < other.bottom and other.top < one.bottom
