"""The terminal: a console to which every string is plain text, also rich's markup `[lab]`, emoji `:b:` and escapes."""

from __future__ import annotations

from rich.console import Console, HighlighterType, JustifyMethod, OverflowMethod
from rich.style import StyleType
from rich.table import Column, Table
from rich.text import Text

from kanslib.plain_text import escape_controls


class _PlainConsole(Console):
    """A console that shows the control characters of a string as escapes: names may be those of strangers."""

    def render_str(
        self,
        text: str,
        *,
        style: StyleType = "",
        justify: JustifyMethod | None = None,
        overflow: OverflowMethod | None = None,
        emoji: bool | None = None,
        markup: bool | None = None,
        highlight: bool | None = None,
        highlighter: HighlighterType | None = None,
    ) -> Text:
        return super().render_str(
            escape_controls(text),
            style=style,
            justify=justify,
            overflow=overflow,
            emoji=emoji,
            markup=markup,
            highlight=highlight,
            highlighter=highlighter,
        )


def plain_console(*, stderr: bool = False, soft_wrap: bool = False) -> Console:
    """Return a console that prints strings as they are; a style needs `style=` or a `rich.text.Text`.

    `soft_wrap`: leave it to the terminal to break long lines; tables need False.
    """
    return _PlainConsole(highlight=False, markup=False, emoji=False, stderr=stderr, soft_wrap=soft_wrap)


def plain_table(*columns: str) -> Table:
    """Return a table that breaks long cells at any place: a narrow terminal loses nothing."""
    return Table(*(Column(name, overflow="fold") for name in columns))


def print_error(message: str) -> None:
    """Print an error to stderr, behind the name of the command."""
    words = Text.assemble(("kans: ", "bold red"), escape_controls(message))
    plain_console(stderr=True, soft_wrap=True).print(words)
