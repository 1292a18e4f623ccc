"""Sets of numbers as sorted, disjoint ranges: the values that something unknown can still have."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from itertools import pairwise
from operator import itemgetter

Ranges = tuple[tuple[int, int], ...]  # (first, last), both included
YES_NO: Ranges = ((0, 1),)
YES: Ranges = ((1, 1),)
_SEARCHED_FROM = 8  # ranges; fewer are looked at one after the other


def join(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """Return the union of ranges in any order.

    >>> join([(5, 9), (1, 2), (3, 3)])
    ((1, 3), (5, 9))
    """
    found: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if found and first <= found[-1][1] + 1:
            found[-1] = found[-1][0], max(last, found[-1][1])
        else:
            found.append((first, last))
    return tuple(found)


def intersect(one: Ranges, other: Ranges) -> Ranges:
    """Return the numbers that are in both.

    >>> intersect(((0, 99),), ((50, 60), (90, 200)))
    ((50, 60), (90, 99))
    """
    found, i, j = [], 0, 0
    while i < len(one) and j < len(other):
        first, last = max(one[i][0], other[j][0]), min(one[i][1], other[j][1])
        if first <= last:
            found.append((first, last))
        if one[i][1] < other[j][1]:
            i += 1
        else:
            j += 1
    return tuple(found)


def subtract(one: Ranges, other: Ranges) -> Ranges:
    """Return the numbers that are in `one` and not in `other`.

    >>> subtract(((0, 99),), ((50, 60),))
    ((0, 49), (61, 99))
    """
    if not one or not other:
        return one
    bounds = [(-1, -1), *other, (one[-1][1] + 1, one[-1][1] + 1)]
    gaps = ((before[1] + 1, after[0] - 1) for before, after in pairwise(bounds))
    return intersect(one, tuple((first, last) for first, last in gaps if first <= last))


def contains(ranges: Ranges, value: int) -> bool:
    """Return whether a number is in one of the ranges."""
    if len(ranges) < _SEARCHED_FROM:
        return any(first <= value <= last for first, last in ranges)
    at = bisect_right(ranges, value, key=itemgetter(0))
    return at > 0 and value <= ranges[at - 1][1]


def size(ranges: Ranges) -> int:
    """Return how many numbers are in the ranges."""
    return sum(last - first + 1 for first, last in ranges)


def of_bits(bits: int, mask: int, wanted: int) -> Ranges:
    """Return the numbers of so many bits that have the bits `wanted` under the mask.

    >>> of_bits(3, 0b110, 0b010)
    ((2, 3),)
    """
    return join((value, value) for value in range(1 << bits) if value & mask == wanted)
