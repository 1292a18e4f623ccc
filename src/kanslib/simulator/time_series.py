"""A value through time: what it was at a moment, and from when on."""

from __future__ import annotations

from bisect import bisect_right
from typing import Generic, TypeVar

T = TypeVar("T")


class TimeSeries(Generic[T]):
    """The values something had, each from a moment (Unix seconds) on.

    >>> leader = TimeSeries(0.0, "a")
    >>> leader.set(5.7, "b")
    >>> leader.at(5.0), leader.at(6.0), leader.now
    ('a', 'b', 'b')
    """

    def __init__(self, t: float, value: T) -> None:
        self._moments, self._values = [t], [value]

    def set(self, t: float, value: T) -> None:
        if value != self._values[-1]:
            self._moments.append(t)
            self._values.append(value)

    def at(self, t: float) -> T:
        return self._values[max(0, bisect_right(self._moments, t) - 1)]

    @property
    def now(self) -> T:
        return self._values[-1]
