"""The `kans` command."""

from __future__ import annotations

import io
import sys


def main() -> None:
    """Run `kans`; a user's mistake becomes one message and exit code 2, never a traceback."""
    from kanslib.cli.app import app
    from kanslib.exceptions import KanslibError

    for stream in (sys.stdout, sys.stderr):  # a redirected Windows console is cp1252, which has no ✔
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        app()
    except KanslibError as exc:
        _fail(str(exc))
    except FileExistsError as exc:
        _fail(f"{exc.args[0]} exists already: name another file or remove it first")
    except KeyboardInterrupt:
        sys.exit(130)


def _fail(message: str) -> None:
    from rich.console import Console
    from rich.text import Text

    words = Text.assemble(("kans: ", "bold red"), message)
    Console(stderr=True, highlight=False, soft_wrap=True).print(words)
    sys.exit(2)
