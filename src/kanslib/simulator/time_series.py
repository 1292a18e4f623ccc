"""A value and its changes over time."""

from __future__ import annotations

from bisect import bisect_right
from typing import Generic, TypeVar

T = TypeVar("T")


class TimeSeries(Generic[T]):
    """The successive values of something, each with the moment (Unix seconds) from which it holds.

    >>> leader = TimeSeries(0.0, "a")
    >>> leader.set(5.7, "b")
    >>> leader.at(5.0), leader.at(6.0), leader.latest
    ('a', 'b', 'b')
    """

    def __init__(self, t: float, value: T) -> None:
        self._times, self._values = [t], [value]

    def set(self, t: float, value: T) -> None:
        """Let a value hold from `t` on (not before the last change)."""
        if value != self._values[-1]:
            self._times.append(t)
            self._values.append(value)

    def at(self, t: float) -> T:
        """Return the value at `t`; before the first change, the first value."""
        return self._values[max(0, bisect_right(self._times, t) - 1)]

    @property
    def moments(self) -> tuple[float, ...]:
        """The moments (Unix seconds) from which each value holds; the first is the beginning."""
        return tuple(self._times)

    @property
    def latest(self) -> T:
        """The value after the last change."""
        return self._values[-1]
