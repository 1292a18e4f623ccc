"""Phases are found in the outcomes alone: known courses, cut where they were cut."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from kanslib.analysis import Attempt, Cause, Outage, Reason, phases
from kanslib.analysis.phases import DARK, HEALTHY, PARTLY, STRAGGLERS, wilson

Run = tuple[int, bool | Cause]  # how many, and answered or why not


def tries(*runs: Run) -> list[Attempt]:
    """Attempts ten a second."""
    flat = [outcome for number, outcome in runs for _ in range(number)]
    return [
        Attempt(i / 10, outcome is True, reason=Reason(outcome, "") if isinstance(outcome, Cause) else None)
        for i, outcome in enumerate(flat)
    ]


def told(attempts: list[Attempt]) -> list[tuple[str, int, int]]:
    return [(phase.name, phase.tried, phase.failed) for phase in phases(attempts)]


def test_phases_none_without_attempts() -> None:
    assert phases([]) == []


def test_phases_healthy_after_clean_action() -> None:
    assert told(tries((20, True))) == [(HEALTHY, 20, 0)]


def test_phases_dark_when_everything_failed() -> None:
    assert told(tries((20, False))) == [(DARK, 20, 20)]


def coins(seed: int, number: int, share: float, cause: Cause | bool = False) -> list[Run]:
    dice = random.Random(seed)
    return [(1, cause if dice.random() < share else True) for _ in range(number)]


@pytest.mark.parametrize("seed", range(20))
def test_phases_dark_partly_healthy_boundaries(seed: int) -> None:
    half = coins(seed, 80, 0.5, Cause.ENDPOINT_GONE)
    found = phases(tries((12, Cause.LEADER_GONE), *half, (300, True)))
    assert [phase.name for phase in found] == [DARK, PARTLY, HEALTHY]
    assert found[0].end == pytest.approx(1.15)
    last_failure = max(i for i, (_, outcome) in enumerate(half) if outcome is not True)
    assert found[1].end == pytest.approx((12 + last_failure + 0.5) / 10)


@pytest.mark.parametrize("seed", range(15))
def test_phases_dark_without_reasons_by_length(seed: int) -> None:
    """The coin may fail at once after the address moved: then the dark phase seems longer, by those attempts."""
    half = coins(seed, 80, 0.5)
    at_once = next(i for i, (_, ok) in enumerate(half) if ok is True)
    found = phases(tries((30, False), *half, (300, True)))
    assert [phase.name for phase in found] == [DARK, PARTLY, HEALTHY]
    assert found[0].tried == 30 + at_once


def test_phases_split_by_reason() -> None:
    """The first coins after the move fail: without their cause they would be dark."""
    runs: list[Run] = [
        (9, Cause.LEADER_GONE),
        (3, Cause.ENDPOINT_GONE),
        *coins(3, 60, 0.5, Cause.ENDPOINT_GONE),
        (200, True),
    ]
    assert [name for name, _, _ in told(tries(*runs))] == [DARK, PARTLY, HEALTHY]
    assert told(tries(*runs))[0] == (DARK, 9, 9)


def test_phases_stragglers_belong_to_healthy() -> None:
    runs: list[Run] = [
        (10, Cause.LEADER_GONE),
        (60, True),
        (1, Cause.REMEMBERED),
        (1, True),
        (2, Cause.REMEMBERED),
        (60, True),
    ]
    assert told(tries(*runs)) == [(DARK, 10, 10), (STRAGGLERS, 124, 3)]


def test_phases_short_unexplained_bursts_are_stragglers() -> None:
    runs: list[Run] = [(20, False), (100, True), (5, False), (200, True), (4, False), (100, True)]
    assert told(tries(*runs)) == [(DARK, 20, 20), (STRAGGLERS, 409, 9)]


def test_phases_rare_failures_after_trouble_are_stragglers() -> None:
    """Below a tenth, for however long, they are stragglers; before any trouble the same share is partly dark."""
    rare: list[Run] = [(1, Cause.ENDPOINT_GONE), (14, True)] * 10
    assert names(tries((30, Cause.LEADER_GONE), *rare)) == [DARK, STRAGGLERS]
    assert PARTLY in names(tries(*rare, (300, True)))


def test_phases_long_failures_after_trouble_are_a_phase() -> None:
    for failed, expected in ((45, [DARK, STRAGGLERS]), (55, [DARK, HEALTHY, DARK, HEALTHY])):
        runs: list[Run] = [(20, Cause.LEADER_GONE), (100, True), (failed, Cause.LEADER_GONE), (100, True)]
        assert names(tries(*runs)) == expected


def test_phases_blip_joins_neighbor_before_trouble() -> None:
    blip: list[Run] = [(1, Cause.UNREACHABLE), (1, True), (1, Cause.UNREACHABLE)]
    assert names(tries((50, True), *blip, (100, Cause.LEADER_GONE), (100, True)))[-2:] == [DARK, HEALTHY]
    assert len(names(tries((50, True), *blip, (100, Cause.LEADER_GONE), (100, True)))) == 3


def names(attempts: list[Attempt]) -> list[str]:
    return [phase.name for phase in phases(attempts)]


def test_phases_second_outage_is_a_phase() -> None:
    runs: list[Run] = [(20, Cause.LEADER_GONE), (100, True), (80, Cause.LEADER_GONE), (100, True)]
    assert [name for name, _, _ in told(tries(*runs))] == [DARK, HEALTHY, DARK, HEALTHY]


@pytest.mark.parametrize("seed", range(30))
def test_phases_none_by_chance(seed: int) -> None:
    """A hundred fair coins are one phase, nearly always."""
    found = phases(tries(*coins(seed, 100, 0.5, Cause.ENDPOINT_GONE), (300, True)))
    assert [phase.name for phase in found if phase.tried > 8] == [PARTLY, HEALTHY]


def test_phases_partition_all_attempts() -> None:
    found = phases(tries((3, True), (7, False), (5, True), (2, False), (90, True)))
    assert len(found) >= 2
    assert sum(phase.tried for phase in found) == 107
    assert all(earlier.end == later.start for earlier, later in pairwise(found))


def test_phases_ignore_attempts_before_action() -> None:
    before = [Attempt(-1 + i / 10, False) for i in range(10)]
    assert told([*before, *tries((20, True))]) == [(HEALTHY, 20, 0)]


@pytest.mark.parametrize(("hits", "total"), [(0, 10), (10, 10), (52, 112), (1, 1)])
def test_wilson_contains_share_within_zero_and_one(hits: int, total: int) -> None:
    low, high = wilson(hits, total)
    assert 0 <= low <= hits / total <= high <= 1


def test_outage_dark_seconds_sums_phases() -> None:
    outage = Outage("kill", 0.0, {"svc1": tuple(tries((10, Cause.LEADER_GONE), (60, True)))})
    assert outage.dark_seconds("svc1") == pytest.approx(0.95)
    assert outage.stragglers("svc1") == ()


@pytest.mark.parametrize(("first", "start"), [(-5.0, 0.0), (0.2, 0.0), (40.0, 40.0)])
def test_phases_first_starts_with_a_late_first_attempt(first: float, start: float) -> None:
    found = phases([Attempt(first + i, True) for i in range(50)])
    assert found[0].start == start
