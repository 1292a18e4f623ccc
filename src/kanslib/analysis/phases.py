"""The phases of an outage, computed from the attempts: dark, partly dark, healthy, with or without stragglers. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

from kanslib.analysis.attempts import Attempt, Cause

DARK, PARTLY, HEALTHY, STRAGGLERS = "VIP dark", "partly dark", "healthy", "healthy with stragglers"
_Z = 1.959964  # 95 % of a normal distribution
_CHANGE_POINT_PENALTY = (
    2.0  # what a phase more has to gain, in units of log(runs): as BIC has it for three shares and a place
)
_MIN_RUN = 3  # attempts in a row that found nobody with the address: no single frame that was lost
_RARE = 0.1  # of the attempts: so few failures after the trouble are stragglers, whatever their cause
_BURST = 5.0  # seconds: failures for so short a time, after the trouble is over, are stragglers
_BLIP = 1.0  # seconds: a phase shorter than this joins a neighbor


@dataclass(frozen=True)
class Phase:
    """A stretch (seconds after the act) in which attempts fared alike: tried, and failed.

    `start` and `end` lie half way between the last attempt of one phase and the first of the next: `within` (seconds)
    is how far off the truth can be for that. `causes` count the failures by the kind of their reason.
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
        """Where the share of answers lies with 95 % confidence (Wilson's interval), 0 to 1."""
        return wilson(self.tried - self.failed, self.tried)


def wilson(hits: int, tries: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share: honest for few tries, and for shares of 0 and 1.

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
    """The phases of one Service's attempts, from the act on; attempts before it (`at` below 0) do not count.

    Where they change is found, not marked: the cuts which make the outcomes most likely, each cut paid for (exact
    change-point search with a penalty). An outcome is an answer or a cause of failure, so a dark phase ends with the
    first attempt that reached a living node, even if that one failed for another cause.

    >>> tries = [Attempt(i / 10, i > 9, reason=None) for i in range(60)]
    >>> [(phase.name, phase.tried) for phase in phases(tries)]
    [('VIP dark', 10), ('healthy', 50)]
    """
    after = [attempt for attempt in attempts if attempt.at >= 0]
    if not after:
        return []
    stretches = [part for piece in _without_an_owner(after) for part in piece]
    return list(_described(_merge_phases(stretches)))


def _outcome(attempt: Attempt) -> str:
    """What counts for the search; what conntrack remembered belongs to no phase."""
    if attempt.is_ok or (attempt.reason and attempt.reason.cause is Cause.REMEMBERED):
        return "ok"
    return attempt.reason.cause if attempt.reason else "failed"


def _without_an_owner(attempts: Sequence[Attempt]) -> Iterator[list[list[Attempt]]]:
    """Stretches in which nobody had the address are phases for certain; what lies between them is searched."""
    rest: list[Attempt] = []
    for nowhere, group in groupby(attempts, key=lambda one: _outcome(one) in (Cause.NO_ARP, Cause.LEADER_GONE)):
        part = list(group)
        if nowhere and len(part) >= _MIN_RUN:
            if rest:
                yield _parts(rest)
            yield [part]
            rest = []
        else:
            rest += part
    if rest:
        yield _parts(rest)


def _parts(attempts: Sequence[Attempt]) -> list[list[Attempt]]:
    """The attempts cut where it pays. A best cut never lies inside a run of equal outcomes, so runs are searched."""
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
    """How unlikely outcomes are under their own shares: the negative log likelihood."""
    total = outcomes.total()
    return -sum(count * math.log(count / total) for count in outcomes.values())


def _name(part: Sequence[Attempt]) -> str:
    failed = [attempt for attempt in part if not attempt.is_ok]
    if not failed:
        return HEALTHY
    if all(_outcome(attempt) == "ok" for attempt in failed):
        return STRAGGLERS
    return DARK if len(failed) == len(part) else PARTLY


def _merge_phases(parts: Sequence[list[Attempt]]) -> list[tuple[str, list[Attempt]]]:
    """The parts by name. When the trouble is over, short bursts join the healthy rest: stragglers."""
    out: list[tuple[str, list[Attempt]]] = []
    was_trouble = False
    for part in parts:
        name, length = _name(part), part[-1].at - part[0].at
        before = out[-1][0] if out else ""
        is_calm = was_trouble and before in (HEALTHY, STRAGGLERS)
        if was_trouble and name == PARTLY and sum(not one.is_ok for one in part) < _RARE * len(part):
            name = STRAGGLERS
        if out and is_calm and (name in (HEALTHY, STRAGGLERS) or length < _BURST):
            both = HEALTHY if (before, name) == (HEALTHY, HEALTHY) else STRAGGLERS
            out[-1] = (both, out[-1][1] + part)
        elif out and ((name == before and name != PARTLY) or (length < _BLIP and not was_trouble and name == PARTLY)):
            out[-1] = (_name(out[-1][1] + part), out[-1][1] + part)
        else:
            out.append((name, part))
        was_trouble = was_trouble or name in (DARK, PARTLY)
    return out


def _described(parts: Sequence[tuple[str, Sequence[Attempt]]]) -> Iterator[Phase]:
    gaps = [(before[-1].at, after[0].at) for (_, before), (_, after) in pairwise(parts)]
    edges = [0.0, *((a + b) / 2 for a, b in gaps), parts[-1][1][-1].at]
    doubts = [0.0, *((b - a) / 2 for a, b in gaps), 0.0]
    for place, (name, part) in enumerate(parts):
        failed = [attempt for attempt in part if not attempt.is_ok]
        causes = Counter(attempt.reason.cause if attempt.reason else "failed" for attempt in failed)
        yield Phase(
            name, edges[place], edges[place + 1], len(part), len(failed), max(doubts[place : place + 2]),
            tuple(causes.most_common()),
        )  # fmt: skip
