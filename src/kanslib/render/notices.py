"""A line above a cell's output that nobody can miss: another world than the one that was asked answers in it."""

from __future__ import annotations

import sys
from html import escape

FALLBACK_COLOUR, SIMULATED_COLOUR = "#D55E00", "#0072B2"


def notice(words: str, colour: str, kind: str) -> None:
    """Print the words; in a notebook with a bar beside them. `kind`: the CSS class."""
    bar = f"border-left:6px solid {colour};padding-left:.6em"
    display_html(words, f'<div class="{kind}" style="{bar}">{escape(words)}</div>')


def display_html(words: str, html: str) -> None:
    """Show an answer above a cell's output: as HTML in a notebook, as words elsewhere."""
    if "ipykernel" not in sys.modules:
        print(words)
        return
    from IPython.display import HTML, display

    display(HTML(html))
