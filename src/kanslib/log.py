"""Write kanslib's log to stderr: `kans -v`, and KANS_LOG for a notebook. Without them nothing is written."""

from __future__ import annotations

import logging
import os
import warnings

from kanslib.exceptions import UnknownNameError

LEVELS = ("info", "debug")
VARIABLE = "KANS_LOG"
_NAME = "kanslib-log"


def switch_on(level: str, handler: logging.Handler | None = None) -> None:
    """Write log records of `level` (`info` or `debug`) and above to a handler, by default to stderr, a line each.

    The handler of an earlier call is replaced. Raises UnknownNameError for another level.

    >>> switch_on("verbose")
    Traceback (most recent call last):
    ...
    kanslib.exceptions.UnknownNameError: no log level named 'verbose'
    known: info · debug
    """
    if level not in LEVELS:
        raise UnknownNameError("log level", level, LEVELS)
    logger = logging.getLogger("kanslib")
    for earlier in [one for one in logger.handlers if one.name == _NAME]:
        logger.removeHandler(earlier)
    if handler is None:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s"))
    handler.name = _NAME
    logger.addHandler(handler)
    logger.setLevel(level.upper())


def switch_on_from_environment() -> None:
    """Write the log that KANS_LOG asks for (`info` or `debug`); nothing where it is not set."""
    level = os.environ.get(VARIABLE, "").lower()
    if level in LEVELS:
        switch_on(level)
    elif level:
        warnings.warn(f"{VARIABLE}={level}: expected {' or '.join(LEVELS)}, so no log is written", stacklevel=2)
