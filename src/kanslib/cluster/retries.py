"""Ask again until an answer is right or the time is over: tenacity, with a log line for each further attempt."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from tenacity import RetryCallState, Retrying, retry_if_result, stop_after_delay, wait_fixed

from kanslib.i18n import tr

_LOG = logging.getLogger(__name__)


def retry_until(
    is_done: Callable[[Any], bool], every: float, seconds: float, on_wait: Callable[[Any], None] = lambda _result: None
) -> Retrying:
    """Return what calls a function every so many seconds until its result is right; call it with the function.

    After `seconds` it returns the last result, right or not. `on_wait` is called with each result that is not right.

    >>> answers = iter([None, "ok"])
    >>> retry_until(bool, every=0.01, seconds=5)(lambda: next(answers))
    'ok'
    """

    def log_and_notify(state: RetryCallState) -> None:
        log_retry(state)
        on_wait(state.outcome and state.outcome.result())

    return Retrying(
        retry=retry_if_result(lambda result: not is_done(result)),
        wait=wait_fixed(every),
        stop=stop_after_delay(seconds),
        before_sleep=log_and_notify,
        retry_error_callback=lambda state: state.outcome and state.outcome.result(),
    )


def log_retry(state: RetryCallState) -> None:
    """Log that a call is repeated, and why: its error, or that its result was not right yet.

    Of the arguments only the first: the second of kubectl is a manifest, which may hold a Secret.
    """
    error = state.outcome.exception() if state.outcome else None
    _LOG.debug(
        "%s%s: attempt %d: %s; again in %.1f s",
        getattr(state.fn, "__name__", "call"),
        state.args[:1],
        state.attempt_number,
        error or tr("not ready yet"),
        state.upcoming_sleep,
    )
