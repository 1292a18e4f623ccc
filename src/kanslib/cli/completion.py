"""What the Tab key offers after `kans COMMAND`: chapters, backends, cases, and the actions of a recording."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import typer


def backends() -> list[str]:
    """Return the backends."""
    from kanslib.backends.factory import BACKENDS

    return list(BACKENDS)


def chapter_names() -> list[str]:
    """Return the chapters, as `kans run` takes them."""
    from kanslib.course import chapters

    return [chapter.stem for chapter in chapters.shipped()]


def languages() -> list[str]:
    """Return the languages that have chapters."""
    from kanslib.site import content

    return content.shipped().languages()


def cases() -> list[tuple[str, str]]:
    """Return the numbers of the broken clusters, each with the complaint about it."""
    from kanslib.exercises.catalog.ch08_broken_labs import COMPLAINTS

    return [(name.removeprefix("case-"), " ".join(complaint.split())) for name, complaint in COMPLAINTS.items()]


def actions(context: typer.Context) -> Iterator[tuple[str, str]]:
    """Yield the actions of the recordings that stand on the command line already, each with its story."""
    from kanslib.backends.observed_actions import action_names
    from kanslib.exceptions import KanslibError
    from kanslib.recording import Recording

    for path in context.args:
        with suppress(KanslibError):  # a capture or a log
            yield from action_names(Recording.open(path)).items()
