"""Compute the phases of an outage from the attempts: dark, partly dark, healthy, healthy with stragglers. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise

from kanslib.analysis.attempts import Attempt, Cause
from kanslib.i18n import tr_later

DARK, PARTLY, HEALTHY, STRAGGLERS = (
    tr_later("VIP dark"),
    tr_later("partly dark"),
    tr_later("healthy"),
    tr_later("healthy with stragglers"),
)
_Z = 1.959964  # 95 % of a normal distribution
# the gain that one more phase needs, in units of log(runs): as in BIC for three shares and a position
_CHANGE_POINT_PENALTY = 2.0
_MIN_RUN = 3  # attempts in a row that found no owner of the address: more than one lost frame
_RARE_SHARE = 0.1  # of the attempts: a smaller share of failures after the outage are stragglers, whatever their cause
_BURST_S = 5.0  # failures for a shorter time, after the outage, are stragglers
_UNOWNED = (Cause.NO_ARP, Cause.LEADER_GONE, Cause.STALE_NEIGHBOR)  # the packet found no owner of the address
_BLIP_S = 1.0  # a shorter part before the outage is no phase of its own


@dataclass(frozen=True)
class Phase:
    """A time span (seconds after the action) with one distribution of outcomes: how many attempts, how many failed.

    `start` and `end` lie half way between the last attempt of one phase and the first of the next; the first phase
    starts at 0, or with a first attempt that came later. `within`: their uncertainty in seconds. `causes`: failures by
    cause, the most frequent first.
    """

    name: str
    start: float
    end: float
    tried: int
    failed: int
    within: float = 0.0
    causes: tuple[tuple[str, int], ...] = ()

    @property
    def success(self) -> float:
        """The share of attempts that were answered, 0 to 1."""
        return (self.tried - self.failed) / self.tried if self.tried else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % confidence interval of the share of answers (Wilson's), 0 to 1."""
        return wilson(self.tried - self.failed, self.tried)


def wilson(hits: int, tries: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a share; it holds for few tries, and for shares of 0 and 1.

    >>> low, high = wilson(52, 112)
    >>> round(low, 3), round(high, 3)
    (0.375, 0.556)
    >>> wilson(0, 0)
    (0.0, 1.0)
    """
    if not tries:
        return 0.0, 1.0
    share, z2 = hits / tries, _Z * _Z
    middle = (share + z2 / (2 * tries)) / (1 + z2 / tries)
    half = _Z / (1 + z2 / tries) * math.sqrt(share * (1 - share) / tries + z2 / (4 * tries * tries))
    return max(0.0, min(share, middle - half)), min(1.0, max(share, middle + half))


def phases(attempts: Sequence[Attempt]) -> list[Phase]:
    """Return the phases of one Service's attempts from the action on; attempts before it (`at` below 0) do not count.

    The cuts are those that make the outcomes most likely, with a penalty for each cut (exact change-point search). An
    outcome is an answer or a cause of failure: a dark phase ends with the first attempt that reached a live node, even
    if it failed for another cause.

    >>> tries = [Attempt(i / 10, i > 9, reason=None) for i in range(60)]
    >>> [(phase.name, phase.tried) for phase in phases(tries)]
    [('VIP dark', 10), ('healthy', 50)]
    """
    after = [attempt for attempt in attempts if attempt.at >= 0]
    if not after:
        return []
    parts = [_Part.of(part) for piece in _cut_where_vip_is_unowned(after) for part in piece]
    start = 0.0 if attempts[0].at < _BLIP_S else after[0].at  # nobody knows what came before a late first attempt
    return list(_describe(_merge_search_cuts(parts), start))


def _outcome(attempt: Attempt) -> str:
    """Return an attempt's outcome for the search; failures by conntrack count as answers, they belong to no phase."""
    if attempt.is_ok or (attempt.reason and attempt.reason.cause is Cause.REMEMBERED):
        return "ok"
    return attempt.reason.cause if attempt.reason else Cause.FAILED


def _cut_where_vip_is_unowned(attempts: Sequence[Attempt]) -> Iterator[list[list[Attempt]]]:
    """Yield parts: a time in which no machine had the address is a part; the rest is searched."""
    rest: list[Attempt] = []
    for is_unowned, group in groupby(attempts, key=lambda one: _outcome(one) in _UNOWNED):
        part = list(group)
        if is_unowned and len(part) >= _MIN_RUN:
            if rest:
                yield _search_cuts(rest)
            yield [part]
            rest = []
        else:
            rest += part
    if rest:
        yield _search_cuts(rest)


def _search_cuts(attempts: Sequence[Attempt]) -> list[list[Attempt]]:
    """Return the attempts, cut at the best places. No best cut lies inside a run of equal outcomes, so runs suffice."""
    runs = [list(group) for _, group in groupby(attempts, key=_outcome)]
    counts = [Counter({_outcome(run[0]): len(run)}) for run in runs]
    price = _CHANGE_POINT_PENALTY * math.log(len(runs) + 1)
    best, cut_at = [0.0], [0]
    for end in range(1, len(runs) + 1):
        within: Counter[str] = Counter()
        choices = []
        for start in range(end - 1, -1, -1):
            within.update(counts[start])
            choices.append((best[start] + _cost(within) + price, start))
        value, start = min(choices)
        best.append(value)
        cut_at.append(start)
    cuts, end = [len(runs)], len(runs)
    while end:
        end = cut_at[end]
        cuts.append(end)
    return [[one for run in runs[a:b] for one in run] for a, b in pairwise(reversed(cuts))]


def _cost(outcomes: Counter[str]) -> float:
    """Return how unlikely outcomes are under their own shares: the negative log likelihood."""
    total = outcomes.total()
    return -sum(count * math.log(count / total) for count in outcomes.values())


@dataclass(frozen=True)
class _Part:
    """Consecutive attempts, with the name of their phase."""

    name: str
    attempts: list[Attempt]

    @classmethod
    def of(cls, attempts: list[Attempt]) -> _Part:
        """Return the attempts, named by their outcomes."""
        return cls(_name(attempts), attempts)

    @property
    def seconds(self) -> float:
        """The seconds from the first attempt to the last."""
        return self.attempts[-1].at - self.attempts[0].at

    @property
    def is_calm(self) -> bool:
        return self.name in (HEALTHY, STRAGGLERS)

    @property
    def is_rarely_failing(self) -> bool:
        """True where so few attempts failed that they are stragglers after the outage."""
        failed = sum(not one.is_ok for one in self.attempts)
        return self.name == PARTLY and failed < _RARE_SHARE * len(self.attempts)


def _name(attempts: Sequence[Attempt]) -> str:
    failed = [attempt for attempt in attempts if not attempt.is_ok]
    if not failed:
        return HEALTHY
    if all(_outcome(attempt) == "ok" for attempt in failed):
        return STRAGGLERS
    return DARK if len(failed) == len(attempts) else PARTLY


def _merge_search_cuts(parts: Iterable[_Part]) -> list[_Part]:
    """Join each part to the one before it where a rule says that both are one phase."""
    merged: list[_Part] = []
    is_after_trouble = False
    for part in parts:
        new = replace(part, name=STRAGGLERS) if is_after_trouble and part.is_rarely_failing else part
        if merged and is_after_trouble and _is_rest(merged[-1], new):
            merged[-1] = _join_rest(merged[-1], new)
        elif merged and (_is_same_phase(merged[-1], new) or (not is_after_trouble and _is_blip(new))):
            merged[-1] = _Part.of(merged[-1].attempts + new.attempts)
        else:
            merged.append(new)
        is_after_trouble = is_after_trouble or not new.is_calm
    return merged


def _is_rest(before: _Part, part: _Part) -> bool:
    """Return True for a part that belongs to a calm one before it: another calm part, or a short burst of failures."""
    return before.is_calm and (part.is_calm or part.seconds < _BURST_S)


def _join_rest(before: _Part, part: _Part) -> _Part:
    """Join two parts after the outage: healthy ones stay healthy, any failure makes stragglers."""
    name = HEALTHY if before.name == part.name == HEALTHY else STRAGGLERS
    return _Part(name, before.attempts + part.attempts)


def _is_same_phase(before: _Part, part: _Part) -> bool:
    """Return True for two parts with one name, except partly dark ones: the search found different shares there."""
    return part.name == before.name != PARTLY


def _is_blip(part: _Part) -> bool:
    """Return True for a short partly dark part: it is the edge of its neighbor."""
    return part.name == PARTLY and part.seconds < _BLIP_S


def _describe(parts: Sequence[_Part], start: float) -> Iterator[Phase]:
    gaps = [(before.attempts[-1].at, after.attempts[0].at) for before, after in pairwise(parts)]
    edges = [start, *((a + b) / 2 for a, b in gaps), parts[-1].attempts[-1].at]
    doubts = [0.0, *((b - a) / 2 for a, b in gaps), 0.0]
    for place, part in enumerate(parts):
        failed = [attempt for attempt in part.attempts if not attempt.is_ok]
        causes = Counter(attempt.reason.cause if attempt.reason else Cause.FAILED for attempt in failed)
        yield Phase(
            part.name, edges[place], edges[place + 1], len(part.attempts), len(failed),
            max(doubts[place : place + 2]), tuple(causes.most_common()),
        )  # fmt: skip
