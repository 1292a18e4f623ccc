"""kanslib: a MetalLB cluster that you can hold in your hand.

    import kanslib
    lab = kanslib.open_lab(story="failover")

The same cell asks a recording of a real cluster, a live one, or a model of one, and says which answered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kanslib._version import __version__

if TYPE_CHECKING:
    from pathlib import Path

    from kanslib import manifests
    from kanslib.lab import Lab
    from kanslib.views.tables import Table
    from kanslib.worlds.protocol import World

__all__ = ["Lab", "__version__", "manifests", "open_lab", "outages"]


def open_lab(
    story: str | None = None,
    *,
    world: str | None = None,
    recording: str | Path | None = None,
    manifest: str | None = None,
) -> Lab:
    """Open a lab at the opening of a story, and say whose answers it gives.

    `story`: a story of the course (default `l2`, the whole lesson) or of `recording`, a path; a `recording`
    without a story is opened whole. `world`: `recorded` (default), `live`, the course's own cluster, or `computed`,
    a twin that is worked out from the story's opening; else what KANS_WORLD says. `manifest`: YAML of a kind
    configuration and of objects; the twin starts from these instead, and the world is `computed`. Raises UnknownName
    for a story that does not exist, RecordingError for a path that is no recording, WorldUnavailable without a
    cluster to ask.
    """
    import os

    from kanslib import worlds
    from kanslib.recording.format import Recording
    from kanslib.stories import shipped
    from kanslib.worlds.recorded import RecordedWorld

    if manifest is not None and world not in (None, "computed"):
        raise ValueError(f"a manifest is worked out, so its world is computed, not {world}")
    if manifest is not None:
        return _opened(worlds.from_a_manifest(manifest))
    asked = world or ("recorded" if recording else os.environ.get("KANS_WORLD")) or "recorded"
    worlds.check(asked)

    def recorded() -> RecordedWorld:
        return RecordedWorld(
            Recording.shared(recording or shipped(story or "l2")), story or (None if recording else "l2")
        )

    if asked == "live":
        return _opened(worlds.on_the_cluster(story or "l2", recorded), story or "l2")
    if asked == "computed":
        return _opened(worlds.worked_out(recorded), story or "l2")
    return _opened(worlds.with_a_twin(recorded()), story or ("" if recording else "l2"))


def outages(service: str = "svc1", recording: str | Path | None = None) -> Table:
    """Every recorded way to lose a leader or a node, side by side: one row for each act that was probed.

    Columns ACT, STORY, DARK and PARTLY (seconds), TRIED, FAILED, LOST SECONDS (each second counts by the share of
    requests that failed in it) and BECAUSE. `recording`: a path; the course's own without one.
    """
    from kanslib.recording.format import Recording
    from kanslib.stories import shipped
    from kanslib.views import outage as views
    from kanslib.views.tables import Table
    from kanslib.worlds.outage import of_recording

    told = list(of_recording(Recording.shared(recording or shipped("l2"))))
    rows = [
        views.summary_row(one.act, one.story, one.outage, service) for one in told if service in one.outage.attempts
    ]
    return Table.of(rows, told[-1].world.provenance(), views.SIDE_BY_SIDE)


def _opened(world: World, story: str = "") -> Lab:
    """The lab on a world, once it has said whose answers it gives."""
    from kanslib import worlds
    from kanslib.lab import Lab

    print(world.banner())
    if world.provenance().source == "recorded" and worlds.cluster_made():
        print("a course cluster was made on this machine (kans up): world='live' asks it instead")
    if note := _edition_note():
        print(note)
    return Lab(world, story)


def _edition_note() -> str:
    """What a Jupyter kernel can tell of its notebook's age (Jupyter names the file in JPY_SESSION_NAME)."""
    import os
    from pathlib import Path

    notebook = os.environ.get("JPY_SESSION_NAME", "")
    if not notebook.endswith(".ipynb"):
        return ""
    from kanslib.chapters import edition_note

    return edition_note(Path(notebook))


def __getattr__(name: str) -> Any:
    import importlib

    if name == "Lab":
        return importlib.import_module("kanslib.lab").Lab
    if name in ("manifests", "iptables"):
        return importlib.import_module(f"kanslib.{name}")
    raise AttributeError(f"module 'kanslib' has no attribute {name!r}")
