from __future__ import annotations

from itertools import pairwise

from kanslib.timeline import phases


def tries(*runs: tuple[int, bool]) -> list[dict[str, object]]:
    """Requests ten a second, in runs of (how many, answered)."""
    flat = [ok for number, ok in runs for _ in range(number)]
    return [{"t": 100 + i / 10, "ok": ok} for i, ok in enumerate(flat)]


def test_nothing_tried() -> None:
    assert phases([], 100) == []


def test_a_clean_act() -> None:
    assert [(p.name, p.tried) for p in phases(tries((20, True)), 100)] == [("clean", 20)]


def test_dark_then_partly_dark_then_clean() -> None:
    found = phases(tries((10, False), (2, True), (1, False), (2, True), (1, False), (60, True)), 100)
    assert [(p.name, p.tried, p.failed) for p in found] == [("dark", 10, 10), ("partly dark", 6, 2), ("clean", 60, 0)]


def test_stragglers_are_a_phase_of_their_own() -> None:
    found = phases(tries((10, False), (60, True), (1, False), (1, True), (1, False), (60, True)), 100)
    assert [p.name for p in found] == ["dark", "clean", "partly dark", "clean"]


def test_each_request_belongs_to_one_phase_and_phases_join() -> None:
    found = phases(tries((3, True), (7, False), (5, True), (2, False), (90, True)), 100)
    assert sum(phase.tried for phase in found) == 107
    assert all(earlier.end == later.start for earlier, later in pairwise(found))


def test_what_was_before_the_act_does_not_count() -> None:
    assert sum(phase.tried for phase in phases(tries((20, True)), 101)) == 10


def test_a_last_answer_of_a_dying_node_does_not_hide_that_it_is_dark() -> None:
    found = phases(
        tries((5, True), (1, False), (1, True), (9, False), (3, True), (1, False), (1, True), (2, False), (60, True)),
        100,
    )
    assert [(p.name, p.tried, p.failed) for p in found] == [
        ("clean", 5, 0), ("partly dark", 2, 1), ("dark", 9, 9), ("partly dark", 7, 3), ("clean", 60, 0),
    ]  # fmt: skip
