"""Show a notice above a cell's output when another backend answers than the one that was asked."""

from __future__ import annotations

import sys

import htpy as h
from markupsafe import Markup

from kanslib.palette import BLUE, VERMILLION, bar_style

FALLBACK_COLOUR, SIMULATED_COLOUR = VERMILLION, BLUE


def show_notice(words: str, colour: str, css_class: str) -> None:
    """Print a notice; in a notebook show it behind a bar in `colour`."""
    display_html(words, Markup(h.div(class_=css_class, style=bar_style(colour))[words]))


def display_html(words: str, html: Markup) -> None:
    """Show HTML above a cell's output in a notebook, and print the same in words elsewhere."""
    if not in_notebook():
        print(words)  # noqa: T201 (a notice stands where answers are printed)
        return
    from IPython.display import HTML, display

    display(HTML(html))


def in_notebook() -> bool:
    """Return True where a Jupyter kernel runs this code, so that HTML is shown."""
    ipython = sys.modules.get("IPython")  # of a kernel it is imported
    return ipython is not None and getattr(ipython.get_ipython(), "kernel", None) is not None
