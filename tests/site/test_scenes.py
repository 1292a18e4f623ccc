"""The scenes of a time machine as data: put together they are the drawings of the lab."""

from __future__ import annotations

import msgspec
import pytest

from kanslib.lab.time_machine import TimeMachine
from kanslib.render.figure import WIDTHS
from kanslib.render.time_machine import PacketPath
from kanslib.site.scenes import DrawnFigure, Story, collect_story

MOST_DATA = 400_000  # bytes of a story's script, about 10 times more than what is transferred


@pytest.fixture(scope="module")
def machine() -> TimeMachine:
    import kanslib

    return kanslib.open_lab("failover").time_machine()


@pytest.fixture(scope="module")
def story(machine: TimeMachine) -> Story:
    return collect_story(machine.timeline, machine.at)


def put_together(story: Story, figure: DrawnFigure, width: int) -> str:
    [parts] = [parts for one, _, _, parts in figure.drawings if one == width]
    return "".join(story.parts[part] for part in parts)


@pytest.mark.slow
def test_story_has_each_scene_of_the_lab(story: Story, machine: TimeMachine) -> None:
    assert len(story.scenes) > 10
    for change in story.scenes:
        scene = machine.at(change.at)
        shown = story.maps[change.map]
        assert list(shown.words) == scene.map.describe().splitlines()
        pointed_out = str(scene.map.pointing_out(story.names[change.map]).body_html())
        assert all(put_together(story, shown, width) in pointed_out for width in WIDTHS)
        assert story.addresses[change.addresses] == scene.addresses_html(None)
        path = story.paths[change.path]
        if isinstance(path, str):
            assert path == scene.trace_summary
        else:
            assert scene.trace
            assert put_together(story, path, WIDTHS[0]) in str(PacketPath(scene.trace).body_html())


@pytest.mark.slow
def test_story_changes_where_the_lab_does(story: Story, machine: TimeMachine) -> None:
    """At other moments than those at which the data was made."""
    for at in (0.1, 5.3, 7.7, 13.1, 20.7, 43.7, 80.2, 149.6, 163.9, 173.0, 190.1, 226.0):
        scene, change = machine.at(at), next(one for one in reversed(story.scenes) if one.at <= at)
        assert list(story.maps[change.map].words) == scene.map.describe().splitlines(), at
        assert story.addresses[change.addresses] == scene.addresses_html(None), at
        path = story.paths[change.path]
        assert (path if isinstance(path, str) else path.drawings[0][2]) == scene.trace_summary, at


@pytest.mark.slow
def test_story_tells_changes_as_the_lab_does(story: Story, machine: TimeMachine) -> None:
    for before, after in ((0.0, 13.2), (13.2, 0.0), (20.0, 60.0), (60.0, 150.0)):
        places = [next(one.map for one in reversed(story.scenes) if one.at <= at) for at in (before, after)]
        known = set(story.names[places[0]].values())
        changed = {name for name, view in story.names[places[1]].items() if view not in known}
        assert changed == machine.at(after).map.since(machine.at(before).map).changed


@pytest.mark.slow
def test_story_is_light(story: Story) -> None:
    assert len(msgspec.json.encode(story)) < MOST_DATA
    assert len(set(story.parts)) == len(story.parts)
