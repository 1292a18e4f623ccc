"""The recordings that ship with the course."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from kanslib.exceptions import UnknownNameError
from kanslib.recording import Recording

HERE = Path(__file__).parent


def shipped_recordings() -> list[Path]:
    """The recordings in the package, sorted by name."""
    return sorted(HERE.glob("*.zip"))


@cache
def stories() -> dict[str, Path]:
    """Every story that ships, with the recording that holds it."""
    return {story.name: path for path in shipped_recordings() for story in Recording.shared(path).manifest.stories}


def shipped(story: str) -> Path:
    """The recording that holds `story`; UnknownNameError says which stories there are."""
    known = stories()
    if story not in known:
        raise UnknownNameError("story", story, known)
    return known[story]
