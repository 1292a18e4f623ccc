"""Who answers: one protocol, and the worlds that keep it."""

from __future__ import annotations

from kanslib._version import __version__
from kanslib.errors import UnknownName, WorldUnavailable

WORLDS = ("recorded", "live", "computed")


def check(world: str) -> None:
    """Raise UnknownName for a world that does not exist, WorldUnavailable for one that this edition lacks."""
    if world not in WORLDS:
        raise UnknownName("world", world, WORLDS)
    if world != "recorded":
        raise WorldUnavailable(
            f"kanslib {__version__} has no {world} world yet; it answers from recordings of a real cluster.\n"
            "next step: name no world, and leave KANS_WORLD unset"
        )
