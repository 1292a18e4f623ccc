"""SVG: a canvas with its words, and texts on it."""

from __future__ import annotations

import htpy as h


def canvas(words: str, width: int, height: int, style: str, role: str = "img") -> h.Element:
    """Return an empty picture that is at most `width` pixels wide; a screen reader says `words`.

    `style`: more CSS. `role`: `group` for a picture with parts that the Tab key reaches.

    >>> print(canvas("A line.", 9, 9, "font:13px sans-serif")[h.line(x2=9, y2=9)])
    <svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="A line." viewBox="0 0 9 9" \
style="width:100%;max-width:9px;font:13px sans-serif"><line x2="9" y2="9"></line></svg>
    """
    return h.svg(
        xmlns="http://www.w3.org/2000/svg", role=role, aria_label=words, viewBox=f"0 0 {width} {height}",
        style=f"width:100%;max-width:{width}px;{style}",
    )  # fmt: skip


def text(
    x: float, y: float, words: h.Node, colour: str = "currentColor", anchor: str | None = None, *, bold: bool = False
) -> h.Element:
    """Return a text whose baseline is at `y`. `anchor`: `middle` or `end`, where `x` is not its start.

    >>> print(text(1, 2.5, "a < b", bold=True))
    <text x="1" y="2.5" fill="currentColor" font-weight="bold">a &lt; b</text>
    """
    weight = "bold" if bold else None
    return h.text(x=f"{x:g}", y=f"{y:g}", fill=colour, text_anchor=anchor, font_weight=weight)[words]
