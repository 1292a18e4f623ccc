"""Who answers: one protocol, and the worlds that keep it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from kanslib._version import __version__
from kanslib.errors import UnknownName, WorldUnavailable

if TYPE_CHECKING:
    from kanslib.worlds.protocol import World
    from kanslib.worlds.recorded import RecordedWorld

WORLDS = ("recorded", "live", "computed")


def check(world: str) -> None:
    """Raise UnknownName for a world that does not exist, WorldUnavailable for one that this edition lacks."""
    if world not in WORLDS:
        raise UnknownName("world", world, WORLDS)
    if world == "computed":
        raise WorldUnavailable(
            f"kanslib {__version__} has no {world} world yet; it answers from recordings and from a live cluster.\n"
            "next step: name no world, or live"
        )


def on_the_cluster(story: str, recorded: Callable[[], RecordedWorld]) -> World:
    """The course's own cluster at the opening of a story; behind it the recording, for what live cannot serve."""
    from kanslib.worlds.fallback import FallbackWorld
    from kanslib.worlds.live import LiveWorld

    return FallbackWorld(LiveWorld(story), recorded)


def cluster_made() -> bool:
    """True when `kans up` has made a cluster on this machine; whether it runs is not looked at."""
    from kanslib.cluster.deed import deed

    return deed() is not None
