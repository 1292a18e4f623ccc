"""Show that work goes on: a bar or a line in a terminal, a line in a notebook, nothing elsewhere."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from kanslib.notices import in_notebook
from kanslib.plain_text import one_line

if TYPE_CHECKING:
    from IPython.display import DisplayHandle

console = Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True)


class Status(Protocol):
    """Work that goes on, as somebody sees it who waits for it."""

    def update(self, text: str) -> None:
        """Say what is being done now."""

    def advance(self, amount: int = 1, finished: str = "") -> None:
        """Count `amount` more as done; `finished`: what that is, where it is worth a line."""


@contextmanager
def show_status(text: str, total: int | None = None) -> Iterator[Status]:
    """Show what is being done while a `with` block runs; of work in `total` parts also how much of it is done.

    It is written to stderr, and nothing of it stays. Nothing is written where stderr is no terminal and no notebook.
    """
    text = one_line(text)
    if in_notebook():
        line = _NotebookLine(text)
        try:
            yield line
        finally:
            line.clear()
    elif console.is_terminal:
        parts = (BarColumn(), TaskProgressColumn()) if total is not None else ()
        columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), *parts, TimeElapsedColumn())
        with Progress(*columns, console=console, transient=True) as progress:
            yield _Bar(progress, progress.add_task(text, total=total))
    else:
        yield _Silent()


class _Bar:
    """A bar in a terminal, or a spinner for work without parts."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress, self._task = progress, task

    def update(self, text: str) -> None:
        self._progress.update(self._task, description=one_line(text))

    def advance(self, amount: int = 1, finished: str = "") -> None:
        del finished
        self._progress.advance(self._task, amount)


class _NotebookLine:
    """One line of a cell's output. rich turns it into HTML and escapes it."""

    def __init__(self, text: str) -> None:
        from IPython.display import display

        self._handle: DisplayHandle = display(Text(text, style="dim"), display_id=True)

    def update(self, text: str) -> None:
        self._handle.update(Text(one_line(text), style="dim"))

    def advance(self, amount: int = 1, finished: str = "") -> None:
        del amount
        if finished:
            self.update(finished)

    def clear(self) -> None:
        """Leave nothing behind."""
        nothing: dict[str, Any] = {"text/html": ""}
        self._handle.update(nothing, raw=True)


class _Silent:
    """Nothing: a file or a CI's log wants the result alone. `kans -v` logs there what is done."""

    def update(self, text: str) -> None:
        del text

    def advance(self, amount: int = 1, finished: str = "") -> None:
        del amount, finished


def log_handler() -> logging.Handler | None:
    """Return a log handler whose lines stand above a running bar; None where stderr is no terminal."""
    if not console.is_terminal:
        return None
    from rich.logging import RichHandler

    handler = RichHandler(console=console, show_path=False, log_time_format="%H:%M:%S")
    handler.setFormatter(logging.Formatter("%(name)s: %(message)s"))
    return handler
