"""The bundle of a figure: what a page, an image and a screen reader get."""

from __future__ import annotations

import re
from collections.abc import Iterable
from xml.etree import ElementTree as ET

from IPython.core.formatters import DisplayFormatter

from kanslib.render.figure import WIDTHS, Drawing, Figure
from kanslib.render.figure.marks import text
from kanslib.render.rows import Rows


class _Line(Figure):
    def drawing(self, width: int) -> Drawing:
        return Drawing(f"a line of {width} px", 20, text(0, 12, "a < b"))

    def describe(self) -> str:
        return "One line.\nAnd its text."

    def rows(self) -> Rows:
        return [{"A": 1}]


def test_figure_html_holds_each_width_and_folded_words() -> None:
    html = str(_Line().body_html())
    assert re.findall(r'data-width="(\d+)" tabindex', html) == [str(width) for width in WIDTHS]
    assert "<details" in html
    assert "And its text." in html
    assert " open" not in html
    assert "a &lt; b" in html
    assert " id=" not in html


def test_figure_bundle_needs_no_network_and_has_every_form() -> None:
    data, _ = DisplayFormatter().format(_Line())
    assert set(data) == {"text/html", "image/svg+xml", "text/plain"}
    assert "http" not in data["text/html"]


def test_figure_svg_stands_alone_in_light_and_dark() -> None:
    root = ET.fromstring(str(_Line().svg()))
    style = _texts(root.iter("{http://www.w3.org/2000/svg}style"))
    assert "prefers-color-scheme:dark" in style
    assert "inherit" not in style
    assert _texts(root.iter("{http://www.w3.org/2000/svg}desc")).startswith("One line.")


def _texts(elements: Iterable[ET.Element]) -> str:
    return "".join(element.text or "" for element in elements)
