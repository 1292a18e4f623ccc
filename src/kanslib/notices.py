"""Show above a cell's output which lab was opened, and when another backend answers than the one that was asked."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import cache

import htpy as h
from markupsafe import Markup

from kanslib.palette import BLUE, VERMILLION, bar_style

FALLBACK_COLOUR, SIMULATED_COLOUR = VERMILLION, BLUE


def show_notice(words: str, colour: str, css_class: str) -> None:
    """Print a notice; in a notebook show it behind a bar in `colour`."""
    display_html(words, Markup(h.div(class_=css_class, style=bar_style(colour))[words]))


def show_banner(lines: Sequence[str]) -> None:
    """Print the lines that introduce a lab; in a notebook, its first cell with these shows all, each other one a line.

    Two labs of one kind differ in their first line (the story) and in the second (its moment) alone.
    """
    cell = _code_of_cell()
    if cell is not None and _introductions().setdefault((lines[0].partition(" ")[0], *lines[2:]), cell) != cell:
        lines = lines[:1]
    display_html("\n".join(lines), Markup(h.div(".kans-banner")[h.b[lines[0]], (h.div[one] for one in lines[1:])]))


@cache
def _introductions() -> dict[tuple[str, ...], str]:
    """Return the code of the cell of this kernel that showed a banner first; when it runs again, it does so again."""
    return {}


def _code_of_cell() -> str | None:
    """Return the code of the cell that runs; None outside of a notebook."""
    if not in_notebook():
        return None
    from IPython import get_ipython

    return str(get_ipython().get_parent().get("content", {}).get("code", ""))


def display_html(words: str, html: Markup) -> None:
    """Show HTML above a cell's output in a notebook, and print the same in words elsewhere."""
    if not in_notebook():
        print(words)  # noqa: T201 (a notice stands where answers are printed)
        return
    from IPython.display import display

    display({"text/html": html, "text/plain": words}, raw=True)


def show_answer(answer: object) -> None:
    """Show an answer below the cell of a notebook, as if it were the last line of the cell; elsewhere do nothing."""
    if in_notebook():
        from IPython.display import display

        display(answer)


def in_notebook() -> bool:
    """Return True where a Jupyter kernel runs this code, so that HTML is shown."""
    ipython = sys.modules.get("IPython")  # of a kernel it is imported
    return ipython is not None and getattr(ipython.get_ipython(), "kernel", None) is not None
