"""The clock of a recorded lab: moments, outputs, traffic (CONTRIBUTING.md, docs/recording-format.md)."""

from __future__ import annotations

import pytest

from kanslib.course.recordings import shipped
from kanslib.exceptions import NotRecordedError, UnknownNameError
from kanslib.recording import Recording
from kanslib.recording.clock import Clock
from kanslib.recording.format import Action, CommandOutput, RecordedStep, Segment, Story
from tests.lab.moments import performed
from tests.types import OpenLab, OpenReference


def action(name: str, t: float, settled: float) -> Action:
    return Action(name, "segment", settled, (RecordedStep(t, t + 1, "apply", (), "", "", 0, ""),))


def read(t: float) -> CommandOutput:
    return CommandOutput(t, t + 0.5, "place", "command", 0, f"{t}")


@pytest.fixture
def clock() -> Clock:
    segment = Segment("segment", 0, 100, "c", "10.0.0.0/24", "pc", None, "cp", ("cp",), {})
    return Clock(Story("s", "", "segment", 5, 95), [segment], [action("one", 10, 20), action("two", 50, 60)])


def chosen(clock: Clock, *times: float) -> tuple[float, tuple[str, ...]] | None:
    match = clock.match([read(t) for t in times])
    return (match.output.t, match.freshness.notes) if match else None


def test_clock_output_last_at_or_before_now(clock: Clock) -> None:
    clock.at("one")
    clock.move(30)
    assert chosen(clock, 22, 29, 40) == (29, ())


def test_clock_output_next_before_next_action(clock: Clock) -> None:
    clock.at("one")
    assert chosen(clock, 15, 32, 55) == (32, ("recorded 12 s later",))


def test_clock_output_before_action_is_stale(clock: Clock) -> None:
    clock.at("one")
    assert chosen(clock, 7, 55) == (7, ("recorded 12 s earlier", "from before one"))


def test_clock_output_none(clock: Clock) -> None:
    clock.at("one")
    assert chosen(clock, 55) is None


def test_clock_output_unsettled_from_action_on(clock: Clock) -> None:
    clock.at("one", after=4)
    assert chosen(clock, 12, 22) == (12, ())


def test_clock_output_after_traffic_includes_it(clock: Clock) -> None:
    clock.at("one")
    match = clock.match_next([read(25)])
    assert match is not None
    assert clock.now == 25.5
    assert chosen(clock, 24, 33) == (33, ("recorded 8 s later",))
    assert chosen(clock, 24) == (24, ("from before the traffic",))


def test_clock_output_before_traffic_after_moving_back(clock: Clock) -> None:
    clock.at("one")
    clock.match_next([read(25)])
    clock.at("one")
    assert chosen(clock, 7, 24, 33) == (24, ())


def test_clock_output_repeated_traffic_noted(clock: Clock) -> None:
    clock.at("one")
    first, second, third = (clock.match_next([read(25), read(35)]) for _ in range(3))
    assert first
    assert second
    assert third
    assert (first.output.t, second.output.t, third.output.t) == (25, 35, 35)
    assert "again: the same recorded answer" in third.freshness.notes
    assert not any(match.freshness.is_repeat for match in (first, second))


def test_clock_output_not_across_actions(clock: Clock) -> None:
    clock.at("one")
    assert clock.match_next([read(70)]) is None


def test_clock_move_keeps_traffic_until_action(clock: Clock) -> None:
    clock.at("one")
    clock.match_next([read(25)])
    clock.at("two")
    clock.at("one")
    again = clock.match_next([read(25)])
    assert again is not None
    assert not again.freshness.is_repeat


def test_clock_at_after_limited_by_next_action(clock: Clock) -> None:
    clock.at("one", after=15)
    assert clock.now == 25
    with pytest.raises(NotRecordedError, match=r"recorded until \+40\.0 s; then two was done: lab\.at\('two'\)"):
        clock.at("one", after=41)
    with pytest.raises(NotRecordedError, match="forwards"):
        clock.at("one", after=-1)


def test_clock_at_unknown_moment_lists_known(clock: Clock) -> None:
    with pytest.raises(UnknownNameError, match=r"did you mean 'two'\?\)\nknown: opening · one · two"):
        clock.at("twoo")


def test_name_actions_numbers_repeats(open_lab: OpenLab) -> None:
    moments = open_lab("l2").moments().MOMENT.tolist()
    assert moments.index("apply-services") < moments.index("apply-services-2") < moments.index("kill-node")
    assert len(set(moments)) == len(moments)


def test_name_actions_only_cases_name_the_fault(open_lab: OpenLab, recording: Recording) -> None:
    for story in recording.manifest.stories:
        assert not [name for name in open_lab(story.name).moments().MOMENT if name.startswith("break")], story.name


def test_clock_actions_numbered_within_story(open_lab: OpenLab, recording: Recording) -> None:
    lab = open_lab("arp")
    assert "apply-services" in lab.moments().MOMENT.tolist()
    assert "apply-services-2" not in lab.moments().MOMENT.tolist()
    lab.at("apply-services")
    settled = lab.nodes().provenance.moment
    settled_at = {action.id: action.settled for action in recording.manifest.actions}
    name = next(name for name, moment in settled_at.items() if moment == settled)
    lab.at("opening")
    lab.at(name)
    assert lab.nodes().provenance.moment == settled


def test_clock_whole_recording_unique_moments(open_lab: OpenLab) -> None:
    lab = open_lab(recording=shipped("l2"))
    moments = lab.moments().MOMENT.tolist()
    assert len(set(moments)) == len(moments)
    assert {"apply-pods", "apply-pods-2", "kill-node", "kill-node-2", "cut-link", "cut-link-2"} <= set(moments)
    lab.at("kill-node-2", after=5)
    assert lab.router == "router"


def test_lab_starts_at_opening_and_lists_actions(open_lab: OpenLab) -> None:
    lab = open_lab("failover")
    assert not performed(lab)
    lab.at("start-node")
    assert performed(lab) == ["kill-node", "start-node"]
    lab.at("opening")
    assert not performed(lab)


def test_action_settled_after_kill_noticed_by_all(open_lab: OpenLab) -> None:
    lab = open_lab("failover")
    victim = str(lab.leader("svc1"))
    lab.at("kill-node")
    states = lab.nodes().set_index("NAME").STATUS
    assert states[victim] == "NotReady"
    assert victim not in {lab.leader(name) for name in ("svc1", "svc2", "svc3")}
    slices = [s for s in lab.objects("endpointslices") if s["metadata"]["name"].startswith("svc")]
    ready = {e["nodeName"] for s in slices for e in s["endpoints"] if e["conditions"]["ready"]}
    assert victim not in ready


@pytest.mark.parametrize("number", range(1, 10))
def test_cases_hide_actions(open_lab: OpenLab, number: int) -> None:
    lab = open_lab(f"case-{number}")
    moments = lab.moments()
    assert moments.MOMENT.tolist() == ["opening", "fix"]
    assert set(moments.DONE) == {""}
    assert not performed(lab)
    lab.at("fix")
    assert performed(lab) == ["fix"]
    assert "break" not in str(lab.services().provenance)


def test_recorded_backend_at_time_unix_seconds(open_reference: OpenReference) -> None:
    lab = open_reference("l2")
    lab.at_time(1795417916.2)
    assert lab.leader("svc1") == "myk8s-worker2"
    with pytest.raises(NotRecordedError, match=r"\(l2\)"):
        lab.at_time(5.0)
    with pytest.raises(TypeError):
        lab.at()  # type: ignore[call-arg]
