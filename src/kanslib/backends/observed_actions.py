"""List the actions of a recording around which requests were probed, with their outages."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from typing import NamedTuple

from kanslib.analysis import Outage
from kanslib.analysis.observation_data import outage_in, services_by_address
from kanslib.backends.recorded import RecordedBackend, RecordedObservation
from kanslib.exceptions import NotRecordedError
from kanslib.recording import Recording


class ObservedAction(NamedTuple):
    """An action that was probed: its moment's name, its story, what was seen around it, and what it did to Services."""

    action: str
    story: str
    observation: RecordedObservation
    services: Mapping[str, str]
    outage: Outage


def observed_actions(recording: Recording, actions: Collection[str] = ()) -> Iterator[ObservedAction]:
    """Yield every action of a recording around which Services were probed; only `actions`, where they are named."""
    done: set[float] = set()  # an action belongs to several stories
    for story in recording.manifest.stories:
        backend = RecordedBackend(recording, story.name)
        for action in backend.clock.actions:
            if (actions and action.id not in actions) or action.t in done:
                continue
            observation = backend.observation_at(action.id)
            services = services_by_address(observation)
            done.add(action.t)
            with suppress(NotRecordedError):  # nothing was probed around this action
                yield ObservedAction(action.id, story.name, observation, services, outage_in(observation, services))


def action_names(recording: Recording) -> dict[str, str]:
    """Return the actions of a recording by the names that `observed_actions` takes, each with a story that has it."""
    return {
        action.id: story.name
        for story in recording.manifest.stories
        for action in RecordedBackend(recording, story.name).clock.actions
    }
