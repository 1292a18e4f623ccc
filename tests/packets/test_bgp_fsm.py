"""The state machine has the states that the router printed."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest

from kanslib.packets.bgp_fsm import ESTABLISHED, IDLE, STATES, transitions
from kanslib.recording import Recording
from tests.types import OpenLab

# Neighbor V AS MsgRcvd MsgSent TblVer InQ OutQ Up/Down State/PfxRcd
_ROW = re.compile(r"^(\d+\.\d+\.\d+\.\d+)\s+4\s+\d+\s+\d+\s+\d+\s+\d+\s+\d+\s+\d+\s+(\S+)\s+(\S+)", re.MULTILINE)


def compare_sessions(recording: Recording) -> tuple[int, list[str]]:
    """Every line of every `show bgp summary` beside the state of the transitions at that moment."""
    same, wrong = 0, []
    for segment in recording.manifest.segments:
        if not segment.router:
            continue
        frames = recording.frames(segment.id)
        walks = {
            address: transitions(frames, address, segment.addresses[segment.router])
            for node, address in segment.addresses.items()
            if node in segment.nodes
        }
        for read in recording.reads():
            if "show bgp summary" not in read.command or not segment.start <= read.t <= segment.end:
                continue
            for address, up, state in _ROW.findall(recording.text(read.file)):
                steps = [step for step in walks.get(address, []) if step.time <= read.t]
                before = [step for step in walks.get(address, []) if read.t < step.time <= read.end + 0.3]
                if not steps and not before:
                    continue
                could_be = {*(step.after for step in steps[-1:]), *(step.after for step in before)}
                is_up = state.isdigit() and up != "never"
                if is_up == (ESTABLISHED in could_be) or (not is_up and could_be - {ESTABLISHED}):
                    same += 1
                else:
                    wrong.append(f"{segment.id} {read.t} {address}: router says {state}, expected one of {could_be}")
    return same, wrong


def test_walk_established_when_router_log_says_so(recording: Recording) -> None:
    same, wrong = compare_sessions(recording)
    print(f"{same} sessions compared, {len(wrong)} otherwise")
    assert not wrong, "\n".join(wrong)
    assert same >= 20


def test_walk_established_when_reference_router_log_says_so(reference_recording: Recording) -> None:
    same, wrong = compare_sessions(reference_recording)
    print(f"{same} sessions compared, {len(wrong)} otherwise")
    assert not wrong, "\n".join(wrong)
    assert same


def test_walk_states_in_order(recording: Recording) -> None:
    segment = next(segment for segment in recording.manifest.segments if segment.router)
    steps = transitions(
        recording.frames(segment.id), segment.addresses["myk8s-worker"], segment.addresses[str(segment.router)]
    )
    assert len(steps) >= len(STATES)
    assert steps[0].before == IDLE
    assert all(step.before in STATES and step.after in STATES for step in steps)
    assert all(one.after == other.before for one, other in pairwise(steps))
    events = [step.event for step in steps if step.after == IDLE]
    assert events[0] == "connection closed by itself"  # the node was killed: its kernel closed the socket
    assert "hold timer expired" in events  # its link was cut


@pytest.mark.parametrize(("moment", "hops"), [("route-client", 3), ("bgp-etp-local", 2)])
def test_share_rows_even_within_chance(open_lab: OpenLab, moment: str, hops: int) -> None:
    lab = open_lab("bgp")
    lab.at(moment)
    lab.curl("svc1", times=100)
    shares = lab.observation().bgp.shares("svc1")
    assert len(shares) == hops
    assert shares.CONNECTIONS.sum() >= 100
    for measured in shares.MEASURED:
        low, high = map(int, re.findall(r"\((\d+)–(\d+)\)", measured)[0])
        assert low - 3 <= 100 / hops <= high + 3


def test_byte_rows_cover_update(open_lab: OpenLab) -> None:
    lab = open_lab("bgp")
    lab.at("apply-bgp")
    table = lab.observation().bgp.decode("UPDATE", "myk8s-worker")
    raw = bytes.fromhex("".join(table.BYTES).replace(" ", ""))
    assert len(raw) == int.from_bytes(raw[16:18])
    assert table.OFFSET.tolist() == sorted(table.OFFSET)
    assert (table.FIELD.str.strip("· ") == "AS_PATH").sum() == 0  # it is the name of an attribute, and stands beside it
    assert "AS_PATH" in table.INFO.tolist()
    assert lab.address("myk8s-worker") in table.INFO.tolist()
