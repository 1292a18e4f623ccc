"""HTML that several answers share."""

from __future__ import annotations

import htpy as h
from markupsafe import Markup


def scrollable(content: h.Node, label: str) -> Markup:
    """Return HTML in a box that scrolls sideways and that the Tab key reaches; a screen reader says `label`.

    >>> print(scrollable("1 < 2", "sum"))
    <div tabindex="0" role="group" style="overflow-x:auto" aria-label="sum">1 &lt; 2</div>
    """
    return Markup(h.div(tabindex=0, role="group", style="overflow-x:auto", aria_label=label)[content])


def folded(summary: str, words: str) -> Markup:
    """Return `words`, line by line, folded below `summary`; empty for no words.

    >>> print(folded("In words", "One line."))
    <details class="kans-words"><summary>In words</summary><div>One line.</div></details>
    """
    lines = [h.div[line] for line in words.splitlines()]
    return Markup(h.details(".kans-words")[h.summary[summary], lines]) if lines else Markup()
