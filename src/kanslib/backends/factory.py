"""Choose the backend that answers a lab."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from kanslib.answer import Source, utc
from kanslib.exceptions import NotRecordedError, UnknownNameError
from kanslib.i18n import tr, tr_plural

if TYPE_CHECKING:
    from kanslib.backends.base import Backend
    from kanslib.backends.recorded import RecordedBackend
    from kanslib.backends.simulated import SimulatedBackend

BACKENDS: tuple[Source, ...] = ("recorded", "live", "simulated")
DEFAULT_STORY = "l2"  # the whole lesson


def validate_backend_name(name: str) -> None:
    """Raise UnknownNameError for a backend that does not exist."""
    if name not in BACKENDS:
        raise UnknownNameError("backend", name, BACKENDS)


def story_of(story: str | None, recording: str | Path | None) -> str:
    """Return the name of the story to open; empty for the whole of a learner's own recording."""
    return story or ("" if recording else DEFAULT_STORY)


def open_backend(story: str | None, backend: str | None, recording: str | Path | None) -> Backend:
    """Return the backend of a story at its opening.

    Without `backend`: `recorded` where a recording is named, else what KANS_BACKEND says, else `recorded`.
    Raises UnknownNameError, RecordingError, BackendUnavailableError.
    """
    name = backend or ("recorded" if recording else os.environ.get("KANS_BACKEND")) or "recorded"
    validate_backend_name(name)

    def open_recording() -> RecordedBackend:
        from kanslib.backends.recorded import RecordedBackend
        from kanslib.course.recordings import shipped
        from kanslib.recording import Recording

        path = recording or shipped(story or DEFAULT_STORY)
        return RecordedBackend(Recording.shared(path), story_of(story, recording) or None)

    if name == "live":
        return connect(story or DEFAULT_STORY, open_recording)
    if name == "simulated":
        return simulate_story(open_recording)
    return with_simulator(open_recording())


def connect(story: str, open_recording: Callable[[], RecordedBackend]) -> Backend:
    """Return the course's own cluster at the opening of a story, and its recording for what live cannot serve."""
    from kanslib.backends.fallback import RecordingFallback
    from kanslib.backends.live import LiveBackend

    return RecordingFallback(LiveBackend(story), open_recording)


def with_simulator(recorded: RecordedBackend) -> Backend:
    """Return a recording, and a simulation for the actions that nobody recorded."""
    from kanslib.backends.fallback import SimulatorFallback

    return SimulatorFallback(recorded)


def simulate_story(open_recording: Callable[[], RecordedBackend]) -> Backend:
    """Return a simulation from the opening of a story on, and its recording for what is not simulated."""
    from kanslib.backends.fallback import RecordingFallback
    from kanslib.backends.initial_state import from_recording
    from kanslib.backends.simulated import SimulatedBackend
    from kanslib.course import stories

    recorded = open_recording()
    since = tr("the opening of a recording of {utc}", utc=utc(recorded.now()))
    script = stories.SCRIPTED_STORIES.get(recorded.story.name)
    simulated = SimulatedBackend(from_recording(recorded), since, script, recorded.story.title)
    return RecordingFallback(simulated, open_recording)


def simulate_manifest(manifest: str) -> Backend:
    """Return a simulation of a cluster that nobody has: a kind configuration's nodes, and the objects beside it."""
    from kanslib.backends.simulated import SimulatedBackend
    from kanslib.course import manifests
    from kanslib.course.addressing import LESSON_NETWORK, address_plan
    from kanslib.simulator.admission import METALLB_KINDS
    from kanslib.simulator.from_manifest import from_manifest

    plan = address_plan(LESSON_NETWORK)
    state, documents, unread = from_manifest(
        manifest, manifests.kind_cluster, plan.client, plan.router, float(int(time.time()))
    )
    title = tr_plural("{n} node, from a manifest", "{n} nodes, from a manifest", len(state.objects["nodes"]))
    simulated = SimulatedBackend(state, tr("a manifest"), title=title, unread=unread)
    if any(document["kind"] in METALLB_KINDS for document in documents):
        simulated.perform("install_metallb", ())
    if documents:
        simulated.create(documents)
    simulated.set_opening()
    return simulated


def recording_of(backend: Backend) -> RecordedBackend:
    """Return the recording of a backend's story at its opening, with a clock of its own. Raises NotRecordedError."""
    from kanslib.backends.fallback import FallbackBackend

    if isinstance(backend, FallbackBackend):
        return backend.recording()
    raise _of_a_manifest()


def recorded_and_simulated(backend: Backend) -> tuple[RecordedBackend, SimulatedBackend]:
    """Return a backend's recording and a simulation of it, both where it stands. Raises NotRecordedError."""
    from kanslib.backends.fallback import FallbackBackend

    if isinstance(backend, FallbackBackend):
        return backend.recorded_and_simulated()
    raise _of_a_manifest()


def _of_a_manifest() -> NotRecordedError:
    return NotRecordedError(
        tr("this cluster: it is simulated from a manifest"), hint=tr("open a story: kanslib.open_lab('l2')")
    )


def owned_cluster_exists() -> bool:
    """Return True when `kans up` has made a cluster on this machine, whether it runs or not."""
    from kanslib.cluster.state_file import load_state

    return load_state() is not None
