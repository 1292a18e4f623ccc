"""The colours of every figure and notice: Okabe and Ito's with a contrast of 3:1 or more on white and on dark."""

from __future__ import annotations

BLUE, VERMILLION, GREEN, PURPLE, GREY = "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#7d7d7d"
SERIES = (BLUE, VERMILLION, GREEN, PURPLE, GREY)  # for things that differ by their place in a list

# the ground and the text of a picture that stands alone, which inherits neither from the page around it
PAPER, INK, GRID = "#ffffff", "#333333", "#d9d9d9"
DARK_GROUND, DARK_INK = "#111111", "#e0e0e0"


def bar_style(colour: str) -> str:
    """Return the CSS of a bar in `colour` at the left of a notice.

    >>> bar_style(BLUE)
    'border-left:6px solid #0072b2;padding:.2em .8em'
    """
    return f"border-left:6px solid {colour};padding:.2em .8em"
