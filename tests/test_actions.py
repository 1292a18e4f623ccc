"""The table of actions: every row's inverse, and what is active after some steps."""

from __future__ import annotations

from typing import get_args

import pytest

from kanslib.actions import ACTIONS, ActiveAction, Verb, active_after, changes_nothing
from kanslib.course.stories import LAYER2, SCRIPTED_STORIES, PlannedStep, Role, name_action, plan_steps


def test_actions_one_row_per_verb() -> None:
    assert set(ACTIONS) == set(get_args(Verb))


@pytest.mark.parametrize("verb", ACTIONS)
def test_actions_inverse_ends_what_it_inverts(verb: Verb) -> None:
    row = ACTIONS[verb]
    if row.inverse:
        assert ACTIONS[row.inverse].ends == verb
    if row.ends:
        assert ACTIONS[row.ends].inverse == verb
    assert row.inverse or not (row.undone_at_exit or row.loses_node or row.before_objects)


def test_active_after_ends_by_target() -> None:
    steps: list[tuple[Verb, list[str]]] = [
        ("kill_node", ["a"]), ("link_down", ["b"]), ("start_node", ["c"]), ("unroute_client", [""]), ("link_up", ["b"]),
    ]  # fmt: skip
    assert active_after(steps) == [ActiveAction("kill_node", "a")]


def test_active_after_inverse_without_target_ends_all() -> None:
    assert active_after([("start_router", ["router"]), ("stop_router", [])]) == []


def test_changes_nothing_object_verbs() -> None:
    assert not changes_nothing("apply", ["service/svc1"], [])


@pytest.mark.parametrize("script", SCRIPTED_STORIES.values(), ids=lambda script: script.name)
def test_name_action_script_moments(script: object) -> None:
    """A step that alone leads to the next moment is called after it."""
    from kanslib.course.stories import StoryScript

    assert isinstance(script, StoryScript)
    position = "opening"
    for moment in script.moments:
        steps = plan_steps(script.before(moment), moment.after)
        if len(steps) == 1:
            assert name_action(script, position, steps[0], []) == moment.id
        position = moment.id


def test_name_action_without_moment() -> None:
    step = PlannedStep("link_down", targets=("myk8s-worker",))
    assert name_action(None, "opening", step, []) == "link-down-myk8s-worker"
    assert name_action(None, "opening", step, ["link-down-myk8s-worker"]) == "link-down-myk8s-worker-2"


def test_plan_steps_there_and_back() -> None:
    leader = Role("leader", "svc1")
    faulty = LAYER2.during("start_router").during("label", leader).during("kill_node", leader)
    assert [step.verb for step in plan_steps(LAYER2, faulty)] == ["start_router", "label", "kill_node"]
    assert [step.verb for step in plan_steps(faulty, LAYER2)] == ["start_node", "label", "stop_router"]
