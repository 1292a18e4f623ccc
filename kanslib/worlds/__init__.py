"""Who answers: one protocol, and the worlds that keep it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from kanslib.errors import NotRecorded, UnknownName
from kanslib.provenance import utc

if TYPE_CHECKING:
    from kanslib.worlds.computed import ComputedWorld
    from kanslib.worlds.protocol import World
    from kanslib.worlds.recorded import RecordedWorld

WORLDS = ("recorded", "live", "computed")
METALLB = ("IPAddressPool", "L2Advertisement", "BGPPeer", "BGPAdvertisement")


def check(world: str) -> None:
    """Raise UnknownName for a world that does not exist."""
    if world not in WORLDS:
        raise UnknownName("world", world, WORLDS)


def on_the_cluster(story: str, recorded: Callable[[], RecordedWorld]) -> World:
    """The course's own cluster at the opening of a story; behind it the recording, for what live cannot serve."""
    from kanslib.worlds.fallback import FallbackWorld
    from kanslib.worlds.live import LiveWorld

    return FallbackWorld(LiveWorld(story), recorded)


def with_a_twin(recorded: RecordedWorld) -> World:
    """A recording, and a twin for the acts that nobody recorded."""
    from kanslib.worlds.meeting import MeetingWorld

    return MeetingWorld(recorded)


def worked_out(recorded: Callable[[], RecordedWorld]) -> World:
    """A twin at the opening of a story; behind it the recording, for what the twin does not work out."""
    from kanslib import course
    from kanslib.worlds.computed import ComputedWorld
    from kanslib.worlds.fallback import FallbackWorld
    from kanslib.worlds.origins import recorded_moment

    start = recorded()
    since = f"the opening of a recording of {utc(start.now())}"
    twin = ComputedWorld(recorded_moment(start), since, course.SCRIPTS.get(start.story.name), start.story.title)
    return FallbackWorld(twin, recorded)


def as_recorded(world: World) -> RecordedWorld:
    """The recording behind a world, at its opening, with a clock of its own. NotRecorded where there is none."""
    from kanslib.worlds.fallback import FallbackWorld
    from kanslib.worlds.meeting import MeetingWorld
    from kanslib.worlds.recorded import RecordedWorld

    if isinstance(world, MeetingWorld):
        return RecordedWorld(world.recorded.recording, world.recorded.story.name or None)
    if isinstance(world, FallbackWorld):
        return world.as_recorded()
    raise _of_a_manifest()


def recorded_and_computed(world: World) -> tuple[RecordedWorld, ComputedWorld]:
    """The recording behind a world and a twin of it, at the moment of that world. NotRecorded where one is missing."""
    from kanslib.worlds.beside import twin_of
    from kanslib.worlds.fallback import FallbackWorld
    from kanslib.worlds.meeting import MeetingWorld

    if isinstance(world, MeetingWorld):
        if world.twin is not None:
            raise NotRecorded("this moment", hint="lab.compare() needs a moment of a recording: lab.at('opening')")
        return world.recorded, twin_of(world.recorded)
    if isinstance(world, FallbackWorld):
        return world.recorded_and_computed()
    raise _of_a_manifest()


def _of_a_manifest() -> NotRecorded:
    return NotRecorded("this cluster: it was worked out from a manifest", hint="open a story: kanslib.open_lab('l2')")


def from_a_manifest(manifest: str) -> World:
    """A twin of a cluster that nobody has: the nodes of a kind configuration, with the objects beside it applied."""
    import time

    from kanslib.worlds.computed import ComputedWorld
    from kanslib.worlds.origins import from_manifest

    origin, documents = from_manifest(manifest, float(int(time.time())))
    world = ComputedWorld(
        origin, "a manifest", title=f"{len(origin.objects['nodes'])} nodes, worked out from a manifest"
    )
    if any(document["kind"] in METALLB for document in documents):
        world.act("install_metallb", ())
    if documents:
        world.apply(documents)
    return world


def cluster_made() -> bool:
    """True when `kans up` has made a cluster on this machine; whether it runs is not looked at."""
    from kanslib.cluster.deed import deed

    return deed() is not None
