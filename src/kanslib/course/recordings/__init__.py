"""The recordings that ship with the course."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from kanslib.exceptions import UnknownNameError
from kanslib.recording import Recording

HERE = Path(__file__).parent


def shipped_recordings() -> list[Path]:
    """Return the recordings in the package, sorted by name."""
    return sorted(HERE.glob("*.zip"))


@cache
def stories() -> dict[str, Path]:
    """Return every story that ships, with the file of its recording."""
    return {story.name: path for path in shipped_recordings() for story in Recording.shared(path).manifest.stories}


def shipped(story: str) -> Path:
    """Return the file of the recording that holds `story`. Raises UnknownNameError, which lists the stories."""
    files = stories()
    if story not in files:
        raise UnknownNameError("story", story, files)
    return files[story]
