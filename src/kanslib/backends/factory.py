"""Who answers: one protocol, and the worlds that keep it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from kanslib.answer import utc
from kanslib.exceptions import NotRecordedError, UnknownNameError

if TYPE_CHECKING:
    from kanslib.backends.base import Backend
    from kanslib.backends.recorded import RecordedBackend
    from kanslib.backends.simulated import SimulatedBackend

BACKENDS = ("recorded", "live", "simulated")
METALLB = ("IPAddressPool", "L2Advertisement", "BGPPeer", "BGPAdvertisement")


def validate_backend_name(world: str) -> None:
    """Raise UnknownNameError for a world that does not exist."""
    if world not in BACKENDS:
        raise UnknownNameError("world", world, BACKENDS)


def connect(story: str, recorded: Callable[[], RecordedBackend]) -> Backend:
    """The course's own cluster at the opening of a story; behind it the recording, for what live cannot serve."""
    from kanslib.backends.fallback import FallbackBackend
    from kanslib.backends.live import LiveBackend

    return FallbackBackend(LiveBackend(story), recorded)


def with_simulator(recorded: RecordedBackend) -> Backend:
    """A recording, and a twin for the acts that nobody recorded."""
    from kanslib.backends.meeting import RecordedOrSimulatedBackend

    return RecordedOrSimulatedBackend(recorded)


def simulate_story(recorded: Callable[[], RecordedBackend]) -> Backend:
    """A twin at the opening of a story; behind it the recording, for what the twin does not work out."""
    from kanslib.backends.fallback import FallbackBackend
    from kanslib.backends.initial_state import from_recording
    from kanslib.backends.simulated import SimulatedBackend
    from kanslib.course import stories

    start = recorded()
    since = f"the opening of a recording of {utc(start.now())}"
    twin = SimulatedBackend(
        from_recording(start), since, stories.SCRIPTED_STORIES.get(start.story.name), start.story.title
    )
    return FallbackBackend(twin, recorded)


def recording_of(world: Backend) -> RecordedBackend:
    """The recording behind a world, at its opening, with a clock of its own. NotRecordedError where there is none."""
    from kanslib.backends.fallback import FallbackBackend
    from kanslib.backends.meeting import RecordedOrSimulatedBackend
    from kanslib.backends.recorded import RecordedBackend

    if isinstance(world, RecordedOrSimulatedBackend):
        return RecordedBackend(world.recorded.recording, world.recorded.story.name or None)
    if isinstance(world, FallbackBackend):
        return world.recording()
    raise _of_a_manifest()


def recorded_and_simulated(world: Backend) -> tuple[RecordedBackend, SimulatedBackend]:
    """Return a backend's recording and a simulation of it, both where it stands. NotRecordedError if there is none."""
    from kanslib.backends.fallback import FallbackBackend
    from kanslib.backends.meeting import RecordedOrSimulatedBackend
    from kanslib.backends.replay import replay_in_simulator

    if isinstance(world, RecordedOrSimulatedBackend):
        if world.simulated is not None:
            raise NotRecordedError("this moment", hint="lab.compare() needs a moment of a recording: lab.at('opening')")
        return world.recorded, replay_in_simulator(world.recorded)
    if isinstance(world, FallbackBackend):
        return world.recorded_and_simulated()
    raise _of_a_manifest()


def _of_a_manifest() -> NotRecordedError:
    return NotRecordedError(
        "this cluster: it was worked out from a manifest", hint="open a story: kanslib.open_lab('l2')"
    )


def simulate_manifest(manifest: str) -> Backend:
    """A twin of a cluster that nobody has: the nodes of a kind configuration, with the objects beside it applied."""
    import time

    from kanslib.backends.initial_state import from_manifest
    from kanslib.backends.simulated import SimulatedBackend

    origin, documents = from_manifest(manifest, float(int(time.time())))
    world = SimulatedBackend(
        origin, "a manifest", title=f"{len(origin.objects['nodes'])} nodes, worked out from a manifest"
    )
    if any(document["kind"] in METALLB for document in documents):
        world.perform("install_metallb", ())
    if documents:
        world.apply(documents)
    return world


def owned_cluster_exists() -> bool:
    """True when `kans up` has made a cluster on this machine; whether it runs is not looked at."""
    from kanslib.cluster.state_file import load_state

    return load_state() is not None
