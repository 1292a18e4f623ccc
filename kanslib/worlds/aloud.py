"""A line above a cell's output that nobody can miss: another world than the one that was asked answers in it."""

from __future__ import annotations

import sys

INSTEAD, COMPUTED = "#D55E00", "#0072B2"


def say(words: str, colour: str, kind: str) -> None:
    """Print the words; in a notebook with a bar beside them. `kind`: the CSS class."""
    if "ipykernel" not in sys.modules:
        print(words)
        return
    from html import escape

    from IPython.display import HTML, display

    bar = f"border-left:6px solid {colour};padding-left:.6em"
    display(HTML(f'<div class="{kind}" style="{bar}">{escape(words)}</div>'))


def show(words: str, html: str) -> None:
    """Show an answer above a cell's output: as HTML in a notebook, as words elsewhere."""
    if "ipykernel" not in sys.modules:
        print(words)
        return
    from IPython.display import HTML, display

    display(HTML(html))
