"""A conflict of two network cards, and an address that moved from one to another."""

from __future__ import annotations

import pytest

from kanslib.analysis.conflicts import ConflictKind
from kanslib.analysis.neighbors import NeighborAnalysis
from kanslib.packets.ethernet import COOKED, COOKED_2, ETHERNET
from tests.wire import NODE1, NODE2, VIP, VIP6, Wire, two_answers


def analysis(wire: Wire, link: int = ETHERNET) -> NeighborAnalysis:
    return NeighborAnalysis.of(wire.read(link))


@pytest.mark.parametrize("link", [ETHERNET, COOKED, COOKED_2])
@pytest.mark.parametrize("seconds", [1, 2, 6])
def test_conflicts_two_answers_to_each_question(link: int, seconds: int) -> None:
    (conflict,) = analysis(two_answers(seconds), link).conflicts()
    assert (conflict.address, conflict.macs) == (VIP, (NODE1, NODE2))
    assert (conflict.kind, conflict.questions) == (ConflictKind.ONE_QUESTION, seconds)


def test_conflicts_answers_in_turns() -> None:
    wire = Wire()
    for second in range(8):
        wire.question(second * 10)
        wire.answer(second * 10 + 0.001, (NODE1, NODE2)[second % 2])
    (conflict,) = analysis(wire).conflicts()
    assert (conflict.macs, conflict.kind) == ((NODE1, NODE2), ConflictKind.IN_TURNS)
    assert analysis(wire).takeovers(VIP) == []


def test_conflicts_announcements_of_two_leaders_in_turns() -> None:
    wire = Wire()
    for number in range(5):
        wire.announcement(number * 1.1, NODE1)
        wire.announcement(number * 1.1 + 0.4, NODE2)
    assert [conflict.kind for conflict in analysis(wire).conflicts()] == [ConflictKind.IN_TURNS]


def test_conflicts_a_host_that_starts_with_the_address_of_another() -> None:
    wire = Wire()
    for second in range(0, 60, 10):
        wire.question(second)
        wire.answer(second + 0.001, NODE1)
    wire.announcement(25, NODE2)
    assert [conflict.macs for conflict in analysis(wire).conflicts()] == [(NODE1, NODE2)]


def test_conflicts_of_ipv6() -> None:
    wire = Wire()
    for second in range(4):
        wire.solicitation(second)
        wire.answer6(second + 0.001, NODE1)
        wire.answer6(second + 0.002, NODE2)
    (conflict,) = analysis(wire).conflicts()
    assert (conflict.address, conflict.questions) == (VIP6, 4)


@pytest.mark.parametrize("overlap", [0.0, 0.8])
def test_takeovers_failover_and_back_is_no_conflict(overlap: float) -> None:
    """The old leader answers once more while the new one has begun; later it takes the address back."""
    wire = Wire()
    for second in range(20):
        wire.question(second)
        wire.answer(second + 0.001, NODE1 if second < 10 else NODE2)
    if overlap:
        wire.question(10 + overlap)
        wire.answer(10 + overlap + 0.001, NODE1)
    for number in range(5):
        wire.announcement(10 + number * 1.1, NODE2)
        wire.announcement(30 + number * 1.1, NODE1)
    found = analysis(wire)
    assert found.conflicts() == []
    there, back = found.takeovers(VIP)
    assert (there.before, there.after, there.is_announced) == (NODE1, NODE2, True)
    assert there.overlap == pytest.approx(overlap and overlap + 0.001, abs=1e-5)
    assert (back.before, back.after) == (NODE2, NODE1)


def test_takeovers_failover_with_one_question_that_both_answer_is_no_conflict() -> None:
    wire = Wire()
    for second in range(20):
        wire.question(second)
        if second <= 10:
            wire.answer(second + 0.001, NODE1)
        if second >= 10:
            wire.answer(second + 0.002, NODE2)
    assert analysis(wire).conflicts() == []
    assert [one.is_announced for one in analysis(wire).takeovers(VIP)] == [False]
