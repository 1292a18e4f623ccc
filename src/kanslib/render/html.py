"""What is wider than its place scrolls, also by keyboard: it can be reached with the Tab key, and says what it is."""

from __future__ import annotations

from html import escape


def scrollable(html: str, what: str) -> str:
    """HTML in a box that scrolls sideways; `what` it is, for who hears it.

    >>> scrollable("…", "cluster map")
    '<div tabindex="0" role="group" style="overflow-x:auto" aria-label="cluster map">…</div>'
    """
    return f'<div tabindex="0" role="group" style="overflow-x:auto" aria-label="{escape(what)}">{html}</div>'
