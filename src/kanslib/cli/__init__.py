"""The `kans` command."""

from __future__ import annotations

import sys
from contextlib import suppress

from kanslib.i18n import tr


def main() -> None:
    """Run `kans`. Whatever ends it becomes one message and an exit code, never a traceback.

    Exit codes: 0 yes, or nothing found; 1 no, or findings; 2 could not be asked; 3 answered, not certain; 128 + n ended
    by signal n. Nothing else is imported before: Ctrl-C may come at any time.
    """
    try:
        code = _run()
    except KeyboardInterrupt:
        code = 130
    sys.exit(_close_streams(code))


def _run() -> int:
    from kanslib.cli import os_errors
    from kanslib.exceptions import KanslibError

    _prepare_process()
    try:
        return _run_app()
    except KanslibError as exc:
        return _fail(str(exc))
    except BrokenPipeError:
        return _BROKEN_PIPE
    except OSError as exc:
        return _fail(os_errors.describe(exc))
    except MemoryError:
        return _fail(tr("not enough memory; next step: a smaller input, or a higher limit (ulimit -v)"))
    except Exception as exc:
        if isinstance(exc.__cause__, KeyboardInterrupt):  # while a class is made, Python 3.11 wraps it
            raise KeyboardInterrupt from exc
        return _fail_unexpectedly(exc)  # a fault of our own is one message as well


def _prepare_process() -> None:
    """Let signals end the process through every `finally`, and let no character be one that stdout cannot write."""
    import io
    import signal

    def stop(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number and signal.getsignal(number) == signal.SIG_DFL:  # nohup ignores SIGHUP
            signal.signal(number, stop)
    for stream in (sys.stdout, sys.stderr):  # a redirected Windows console is cp1252, which has no ✔
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


_BROKEN_PIPE = 141  # 128 + SIGPIPE: who reads our output has gone, as with `kans verify | head -1`


def _run_app() -> int:
    """Run the command; return its exit code."""
    from typer.main import get_command

    from kanslib.cli import help_texts
    from kanslib.cli.app import app

    help_texts.choose_language(sys.argv[1:])
    command = get_command(app)
    help_texts.translate(command)
    try:
        command(prog_name="kans")  # also for `python -m kanslib`
    except SystemExit as exc:
        if isinstance(exc.__context__, BrokenPipeError):  # typer exits with 1
            return _BROKEN_PIPE
        return exc.code if isinstance(exc.code, int) else int(exc.code is not None)
    return 0


def _fail_unexpectedly(exc: Exception) -> int:
    import logging

    logging.getLogger(__name__).info("unexpected", exc_info=exc)
    words = tr("unexpected {name}: {exc}", name=type(exc).__name__, exc=exc).rstrip(": ")
    return _fail(
        tr(
            "{words}\nThis is a fault in kanslib. Next step: `kans -v …` shows where it is; report it with that",
            words=words,
        )
    )


def _fail(message: str) -> int:
    from kanslib.cli.terminal import print_error

    with suppress(OSError):  # stderr may be full or closed as well
        print_error(message)
    return 2


def _close_streams(code: int) -> int:
    """Flush stdout and stderr, and return the exit code; Python would print a traceback where this fails at its end."""
    import os
    import signal

    signal.signal(signal.SIGINT, signal.SIG_DFL)  # nothing is left to clean up
    for stream in (sys.stdout, sys.stderr):
        if stream is None:  # closed by who started us
            continue
        try:
            stream.flush()
        except OSError as exc:
            if stream is sys.stdout and code != 2:
                code = (
                    _BROKEN_PIPE
                    if isinstance(exc, BrokenPipeError)
                    else _fail(tr("standard output: {strerror}", strerror=exc.strerror))
                )
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return code
