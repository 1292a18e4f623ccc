"""The terminal: a console to which every string is plain text, also rich's markup `[lab]` and emoji `:b:`."""

from __future__ import annotations

from rich.console import Console


def plain_console(*, stderr: bool = False, soft_wrap: bool = False) -> Console:
    """Return a console that prints strings as they are; a style needs `style=` or a `rich.text.Text`.

    `soft_wrap`: leave it to the terminal to break long lines; tables need False.
    """
    return Console(highlight=False, markup=False, emoji=False, stderr=stderr, soft_wrap=soft_wrap)
