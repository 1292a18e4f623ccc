"""Replay a recording's actions in the simulator."""

from __future__ import annotations

from kanslib.backends.initial_state import from_recording
from kanslib.backends.recorded import RecordedBackend
from kanslib.backends.simulated import SimulatedBackend
from kanslib.i18n import tr


def replay_in_simulator(recorded: RecordedBackend) -> SimulatedBackend:
    """Return a simulation that starts at the story's opening and does the recording's actions up to its moment."""
    opening = RecordedBackend(recorded.recording, recorded.story.name or None)
    simulated = SimulatedBackend(
        from_recording(opening), tr("the opening of the recording"), title=recorded.story.title
    )
    done = [action for action in recorded.clock.actions if action.t <= recorded.now()]
    simulated.replay(done)
    if done and recorded.now() < done[-1].settled:
        simulated.at(done[-1].id, recorded.now() - done[-1].t)
    return simulated
