"""kanslib: a MetalLB cluster that you can hold in your hand.

    import kanslib
    lab = kanslib.open_lab(story="failover")

The same cell asks a recording of a real cluster, a live cluster or a simulation, and says which of them answered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kanslib._version import __version__

if TYPE_CHECKING:
    from pathlib import Path

    from kanslib.backends.base import Backend
    from kanslib.course import manifests
    from kanslib.lab.lab import Lab
    from kanslib.render.tables import Table

__all__ = ["Lab", "__version__", "manifests", "open_lab", "outages"]


def open_lab(
    story: str | None = None,
    *,
    backend: str | None = None,
    recording: str | Path | None = None,
    manifest: str | None = None,
) -> Lab:
    """Open a lab at the opening of a story, and print which backend answers.

    `story`: a story of the course (default `l2`, the whole lesson) or of `recording`, a path; a `recording`
    without a story is opened whole. `backend`: `recorded` (default), `live`, the course's own cluster, or `simulated`,
    a simulation that starts from the story's opening; else the value of KANS_BACKEND. `manifest`: YAML of a kind
    configuration and of objects; the simulator starts from these instead. Raises UnknownNameError
    for a story that does not exist, RecordingError for a path that is no recording, BackendUnavailableError without a
    cluster to ask.
    """
    import os

    from kanslib.backends import factory
    from kanslib.backends.recorded import RecordedBackend
    from kanslib.course.recordings import shipped
    from kanslib.recording import Recording

    if manifest is not None and backend not in (None, "simulated"):
        raise ValueError(f"a manifest needs backend='simulated', not {backend!r}")
    if manifest is not None:
        return _announce_lab(factory.simulate_manifest(manifest))
    chosen = backend or ("recorded" if recording else os.environ.get("KANS_BACKEND")) or "recorded"
    factory.validate_backend_name(chosen)

    def recorded() -> RecordedBackend:
        return RecordedBackend(
            Recording.shared(recording or shipped(story or "l2")), story or (None if recording else "l2")
        )

    if chosen == "live":
        return _announce_lab(factory.connect(story or "l2", recorded), story or "l2")
    if chosen == "simulated":
        return _announce_lab(factory.simulate_story(recorded), story or "l2")
    return _announce_lab(factory.with_simulator(recorded()), story or ("" if recording else "l2"))


def outages(service: str = "svc1", recording: str | Path | None = None) -> Table:
    """Return every recorded outage of a Service, one row for each action around which it was probed.

    Columns ACTION, STORY, DARK and PARTLY (seconds), TRIED, FAILED, LOST SECONDS (each second counts by the share of
    requests that failed in it) and BECAUSE. `recording`: a path; the course's own without one.
    """
    from kanslib.backends.observation import observed_actions
    from kanslib.course.recordings import shipped
    from kanslib.recording import Recording
    from kanslib.render import outage_tables
    from kanslib.render.tables import Table

    actions = list(observed_actions(Recording.shared(recording or shipped("l2"))))
    rows = [
        outage_tables.summary_row(one.action, one.story, one.outage, service)
        for one in actions
        if service in one.outage.attempts
    ]
    return Table.from_rows(rows, actions[-1].observation.provenance, outage_tables.SUMMARY_COLUMNS)


def _announce_lab(backend: Backend, story: str = "") -> Lab:
    """Print the banner of a backend and return a lab on it."""
    from kanslib.backends import factory
    from kanslib.lab.lab import Lab
    from kanslib.lab.learning import kernel_predictions

    print(backend.banner())
    if backend.provenance().source == "recorded" and factory.owned_cluster_exists():
        print("a course cluster was made on this machine (kans up): backend='live' asks it instead")
    if note := _edition_note():
        print(note)
    return Lab(backend, story, kernel_predictions())


def _edition_note() -> str:
    """Return a note where the notebook is of another edition (Jupyter names the file in JPY_SESSION_NAME)."""
    import os
    from pathlib import Path

    notebook = os.environ.get("JPY_SESSION_NAME", "")
    if not notebook.endswith(".ipynb"):
        return ""
    from kanslib.course.chapters import version_notice

    return version_notice(Path(notebook))


def __getattr__(name: str) -> Any:
    import importlib

    if name == "Lab":
        return importlib.import_module("kanslib.lab.lab").Lab
    where = {"manifests": "kanslib.course.manifests", "iptables": "kanslib.iptables"}
    if name in where:
        return importlib.import_module(where[name])
    raise AttributeError(f"module 'kanslib' has no attribute {name!r}")
