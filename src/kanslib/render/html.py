"""HTML that several answers share."""

from __future__ import annotations

import htpy as h
from markupsafe import Markup


def folded(summary: str, words: str) -> Markup:
    """Return `words`, line by line, folded below `summary`; empty for no words.

    >>> print(folded("In words", "One line."))
    <details class="kans-words"><summary>In words</summary><div>One line.</div></details>
    """
    lines = [h.div[line] for line in words.splitlines()]
    return Markup(h.details(".kans-words")[h.summary[summary], lines]) if lines else Markup()
