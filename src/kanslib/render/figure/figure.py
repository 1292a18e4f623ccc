"""The answer that is a figure: drawn at three widths as inline SVG, and once as an image of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import htpy as h
from markupsafe import Markup

from kanslib.i18n import tr
from kanslib.palette import DARK_GROUND, DARK_INK, INK, PAPER
from kanslib.render.answers import TabledAnswer
from kanslib.render.figure.layout import SIZES, WIDTHS
from kanslib.render.html import folded

# A page shows one of the drawings: the widest that fits into the output, whatever the window's width is. A browser
# without container queries (before 2023) shows the middle one. A drawing grows by a quarter at most, and never shrinks:
# its texts keep their size, and a narrower output scrolls inside its own box. On a phone nbclassic keeps the width of
# its prompt free, though the prompt stands above the output there.
_NARROW, _MEDIUM, _WIDE = WIDTHS
_STYLE = f"""
.kans-figure{{container-type:inline-size;margin:.3em 0}}
.kans-figure svg{{display:block;width:100%;height:auto;font-size:{SIZES.text}px;overflow:visible}}
.kans-drawing{{overflow-x:auto}}
.kans-drawing[data-width="{_NARROW}"],.kans-drawing[data-width="{_WIDE}"]{{display:none}}
@container (max-width:{_MEDIUM - 1}px){{
.kans-drawing[data-width="{_NARROW}"]{{display:block}}.kans-drawing[data-width="{_MEDIUM}"]{{display:none}}}}
@container (min-width:{_WIDE}px){{
.kans-drawing[data-width="{_WIDE}"]{{display:block}}.kans-drawing[data-width="{_MEDIUM}"]{{display:none}}}}
@media(max-width:540px){{.output_subarea.output_subarea.output_subarea:has(.kans-figure){{max-width:100%}}}}
.kans-figure [tabindex]:focus-visible{{outline:2px solid currentColor;outline-offset:1px}}
"""
# An image inherits nothing from the page around it: it brings its typeface and its ground, in light and in dark
Theme = Literal["light", "dark", "of the reader"]
_LIGHT = f"svg{{color:{INK};background:{PAPER};--jp-layout-color0:{PAPER}}}"
_DARK = f"svg{{color:{DARK_INK};background:{DARK_GROUND};--jp-layout-color0:{DARK_GROUND}}}"
_THEMES: dict[Theme, str] = {
    "light": _LIGHT, "dark": _DARK, "of the reader": f"{_LIGHT}@media (prefers-color-scheme:dark){{{_DARK}}}",
}  # fmt: skip


@dataclass(frozen=True)
class Drawing:
    """A figure at one width: its height in px, its SVG elements, its style.

    `title`: what it shows, in a few words. `has_parts`: True where the Tab key reaches parts of it. Texts inherit the
    page's typeface and its colour (`currentColor`). Ids are not allowed: a page holds a figure more than once.
    """

    title: str
    height: float
    parts: h.Node
    style: str = ""
    has_parts: bool = False


class Figure(TabledAnswer):
    """The base of every picture. A subclass draws itself at a width, and has words and rows that say the same."""

    def drawing(self, width: int) -> Drawing:
        """Return the figure at `width` px, one of WIDTHS or another."""
        raise NotImplementedError

    def body_html(self) -> Markup:
        """Return the figure at each of WIDTHS, of which a page shows the one that fits, and its words, folded."""
        drawings = [self.drawing(width) for width in WIDTHS]
        boxes = [
            h.div(".kans-drawing", data_width=width, tabindex=0, role="group", aria_label=drawing.title)[
                _inline(drawing, width)
            ]
            for drawing, width in zip(drawings, WIDTHS, strict=True)
        ]
        style = h.style[Markup(_STYLE + drawings[0].style)]
        return Markup(h.div(".kans-figure")[style, boxes, folded(tr("In words"), self.describe())])

    def svg(self, width: int = _WIDE) -> Markup:
        """Return the figure as an SVG image that stands alone, with a style of its own for light and for dark."""
        return svg_image(self.drawing(width), width, self.describe(), kind=type(self).__name__)

    def __str__(self) -> str:
        return self.describe()

    def _repr_svg_(self) -> str:
        return str(self.svg())


def svg_image(
    drawing: Drawing, width: int, words: str, theme: Theme = "of the reader", kind: str | None = None
) -> Markup:
    """Return a drawing as an SVG image that stands alone; `words` say the same to a screen reader.

    `kind`: the class of the figure, by which a gallery tells one kind from another.
    """
    height = f"{drawing.height:g}"
    svg = h.svg(
        xmlns="http://www.w3.org/2000/svg", role="img", aria_label=drawing.title, width=width, height=height,
        viewBox=f"0 0 {width} {height}", data_kind=kind,
    )  # fmt: skip
    style = f"svg{{font:{SIZES.text}px system-ui,sans-serif}}{_THEMES[theme]}{drawing.style}"
    return Markup(svg[h.title[drawing.title], h.desc[words], h.style[Markup(style)], drawing.parts])


def _inline(drawing: Drawing, width: int) -> h.Element:
    return h.svg(
        role="group" if drawing.has_parts else "img", aria_label=drawing.title,
        viewBox=f"0 0 {width} {drawing.height:g}", style=f"min-width:{width}px;max-width:{width * 5 // 4}px",
    )[drawing.parts]  # fmt: skip
