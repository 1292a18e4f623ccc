"""A client's neighbor cache: what its own frames show wins over what messages suggest."""

from __future__ import annotations

import pytest

from kanslib.analysis.neighbor_cache import NeighborUpdate, UpdateReason, neighbor_updates, neighbors_at
from kanslib.analysis.neighbors import NeighborAnalysis
from tests.wire import CLIENT, CLIENT6, NODE1, NODE2, PC, START, VIP, VIP6, Wire, failover6, stale


def updates_of(wire: Wire, ip: str = CLIENT) -> list[NeighborUpdate]:
    frames = wire.read()
    return neighbor_updates(NeighborAnalysis.of(frames), ip, PC, frames)


def rows(updates: list[NeighborUpdate]) -> list[tuple[float, str, UpdateReason, bool]]:
    return [(round(one.time - START, 3), one.mac, one.reason, one.is_shown) for one in updates]


def test_neighbor_updates_frames_of_the_client_show_a_stale_entry() -> None:
    found = updates_of(stale())
    assert rows(found) == [
        (0.001, NODE1, UpdateReason.ANSWER, True),
        (19.901, NODE2, UpdateReason.ANSWER, True),
    ]
    assert neighbors_at(found, START + 15) == {VIP: NODE1}


def test_neighbor_updates_entry_from_before_the_capture() -> None:
    """Nobody claimed the address for the old leader in the capture: the frames to it are all there is."""
    wire = stale()
    wire.frames = wire.frames[2:]
    found = rows(updates_of(wire))
    assert found[0] == (0.1, NODE1, UpdateReason.OWN_FRAME, True)
    assert found[1][:2] == (19.901, NODE2)


def test_neighbor_updates_without_frames_are_only_suggested() -> None:
    wire = Wire()
    wire.question(0)
    wire.answer(0.001, NODE1)
    wire.announcement(5, NODE2)
    assert rows(updates_of(wire)) == [
        (0.001, NODE1, UpdateReason.ANSWER, False),
        (5.0, NODE2, UpdateReason.ANNOUNCEMENT, False),
    ]


def test_neighbor_updates_frame_in_flight_contradicts_nothing() -> None:
    wire = Wire()
    wire.question(0)
    wire.answer(0.001, NODE1)
    wire.syn(1, 40000, NODE1)
    wire.announcement(5, NODE2)
    wire.syn(5.001, 40001, NODE1)
    wire.syn(6, 40002, NODE2)
    assert rows(updates_of(wire))[1:] == [(5.0, NODE2, UpdateReason.ANNOUNCEMENT, True)]


def test_neighbor_updates_mac_of_a_router_is_no_entry() -> None:
    """The frame is sent on to the same address: its receiver is a router."""
    wire = Wire()
    wire.question(0)
    wire.answer(0.001, NODE1)
    wire.syn(1, 40000, NODE1)
    router = "02:00:00:00:00:99"
    wire.syn(2, 40001, router)
    wire.frames.append(
        (2.0001, bytes.fromhex(NODE1.replace(":", "") + router.replace(":", "")) + wire.frames[-1][1][12:])
    )
    assert [one.mac for one in updates_of(wire)] == [NODE1]


def test_neighbor_updates_of_ipv6_failover() -> None:
    assert rows(updates_of(failover6(), CLIENT6)) == [
        (0.0, NODE1, UpdateReason.OWN_FRAME, True),
        (8.4, NODE2, UpdateReason.ANNOUNCEMENT, True),
    ]


@pytest.mark.parametrize(("override", "holders"), [(True, [NODE1, NODE2]), (False, [NODE1])])
def test_neighbor_updates_advertisement_needs_the_override_flag(override: bool, holders: list[str]) -> None:
    wire = Wire()
    wire.solicitation(0)
    wire.answer6(0.001, NODE1)
    wire.advertisement(5, NODE2, override=override)
    assert [one.mac for one in updates_of(wire, CLIENT6)] == holders


def test_neighbor_updates_answer_without_override_fills_an_empty_entry_only() -> None:
    wire = Wire()
    wire.solicitation(0)
    wire.answer6(0.001, NODE1)
    wire.answer6(5, NODE2)  # nobody asked
    wire.solicitation(20)
    wire.answer6(20.001, NODE2)
    found = updates_of(wire, CLIENT6)
    assert [(round(one.time - START, 3), one.address, one.mac) for one in found] == [
        (0.001, VIP6, NODE1),
        (20.001, VIP6, NODE2),
    ]
