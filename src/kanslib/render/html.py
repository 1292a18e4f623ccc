"""HTML that several answers share."""

from __future__ import annotations

from html import escape


def scrollable(html: str, label: str) -> str:
    """Return HTML in a box that scrolls sideways and that the Tab key reaches; a screen reader says `label`.

    >>> scrollable("…", "cluster map")
    '<div tabindex="0" role="group" style="overflow-x:auto" aria-label="cluster map">…</div>'
    """
    return f'<div tabindex="0" role="group" style="overflow-x:auto" aria-label="{escape(label)}">{html}</div>'
