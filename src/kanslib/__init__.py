"""kanslib: a MetalLB cluster that you can hold in your hand.

    import kanslib
    lab = kanslib.open_lab(story="failover")

The same cell asks a recording of a real cluster, a live cluster, or a simulation, and says which one answered.
"""

from __future__ import annotations

import logging
from functools import cache
from typing import TYPE_CHECKING

from kanslib import i18n, log
from kanslib._version import __version__
from kanslib.exceptions import (
    AnswerFormatError,
    BackendUnavailableError,
    ClusterError,
    ConfigurationError,
    DumpError,
    KanslibError,
    LeaderDisagreementWarning,
    MalformedPacketError,
    ManifestError,
    NodeDownError,
    NotFoundError,
    NotRecordedError,
    NotSimulatedError,
    PacketError,
    RecordingError,
    RefusedError,
    RuleSyntaxError,
    SettleTimeoutError,
    TooManyPathsError,
    TraceError,
    UnknownAttributeError,
    UnknownNameError,
    UnsupportedError,
)
from kanslib.i18n import tr

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from kanslib import iptables
    from kanslib.backends.base import Backend
    from kanslib.course import manifests
    from kanslib.lab.lab import Lab
    from kanslib.lab.observation import Observation
    from kanslib.metallb.expected_outage import Scenario
    from kanslib.render.node_losses import NodeLosses
    from kanslib.render.outage_comparison import OutageComparison

__all__ = [
    "AnswerFormatError",
    "BackendUnavailableError",
    "ClusterError",
    "ConfigurationError",
    "DumpError",
    "KanslibError",
    "Lab",
    "LeaderDisagreementWarning",
    "MalformedPacketError",
    "ManifestError",
    "NodeDownError",
    "NotFoundError",
    "NotRecordedError",
    "NotSimulatedError",
    "Observation",
    "PacketError",
    "RecordingError",
    "RefusedError",
    "RuleSyntaxError",
    "SettleTimeoutError",
    "Table",
    "TooManyPathsError",
    "TraceError",
    "UnknownAttributeError",
    "UnknownNameError",
    "UnsupportedError",
    "__version__",
    "expected_outages",
    "iptables",
    "manifests",
    "node_losses",
    "open_lab",
    "outages",
    "simulate",
]
logging.getLogger(__name__).addHandler(logging.NullHandler())
log.switch_on_from_environment()

# imported when they are first used: `module` or `module:name`
_LAZY = {
    "Lab": "kanslib.lab.lab:Lab",
    "Observation": "kanslib.lab.observation:Observation",
    "iptables": "kanslib.iptables",
    "Table": "kanslib.render.tables:Table",
    "manifests": "kanslib.course.manifests",
}


def open_lab(
    story: str | None = None,
    *,
    backend: str | None = None,
    recording: str | Path | None = None,
) -> Lab:
    """Open a lab at the opening of a story, and print which backend answers.

    `story`: a story of the course (default `l2`, the whole lesson) or of `recording`, a path; a `recording` without a
    story is opened whole. `backend`: `recorded` (default), `live` (the course's own cluster) or `simulated` (from the
    story's opening on); without one, what KANS_BACKEND says. Raises UnknownNameError for a story that does not exist,
    RecordingError for a path that is no recording, BackendUnavailableError without a cluster to ask.
    """
    from kanslib.backends import factory

    return _lab(factory.open_backend(story, backend, recording), factory.story_of(story, recording))


def simulate(manifest: str) -> Lab:
    """Open a lab on a simulated cluster that nobody has, with everything in a manifest applied to it.

    `manifest`: YAML of a kind configuration (the course's own without one) and of Kubernetes objects; MetalLB is
    installed where there is an object of MetalLB's. Raises ManifestError for what is no YAML or no object,
    NotSimulatedError for a kind of object that the simulator does not model, RefusedError for what a component of the
    cluster refuses; MetalLB judges the whole configuration.
    """
    from kanslib.backends import factory

    return _lab(factory.simulate_manifest(manifest), "")


def outages(service: str = "svc1", recording: str | Path | None = None) -> OutageComparison:
    """Compare every recorded outage of a Service, one for each action around which it was probed.

    A figure of the lost seconds: each second counts by the share of requests that failed in it. `.table` has the
    columns ACTION, STORY, DARK and PARTLY (seconds), TRIED, FAILED, LOST SECONDS and BECAUSE. `recording`: a path;
    the course's own without one.
    """
    from kanslib.backends.observed_actions import observed_actions
    from kanslib.course.recordings import shipped
    from kanslib.recording import Recording
    from kanslib.render.outage_comparison import OutageComparison, lost_time
    from kanslib.render.outage_tables import SUMMARY_COLUMNS

    actions = list(observed_actions(Recording.shared(recording or shipped("l2"))))
    found = [lost_time(one.action, one.story, one.outage, service) for one in actions if service in one.outage.attempts]
    why = tr("around no recorded action were requests sent to {service}", service=service)
    provenance = actions[-1].observation.provenance
    return OutageComparison(
        tr("Recorded outages of {service}", service=service), found, SUMMARY_COLUMNS, why, provenance
    )


def node_losses(service: str = "svc1", recording: str | Path | None = None) -> NodeLosses:
    """Compare what the loss of a node costs a Service: layer 2 and BGP, both traffic policies, killed and silent.

    A figure of eight cells: recorded where the recording has it, else simulated from the moment before a recorded
    loss. `.table` has the columns PROTOCOL, POLICY, NODE, LOST SECONDS (as `outages()`), 95 % (the interval of it),
    EXPECTED (by the timers that matter), DARK and PARTLY (the parts of the lost seconds), BECAUSE and SOURCE; and,
    not shown, ACTION and PROVENANCE. The node is one to which packets from outside go. `recording`: a path; the
    course's own without one.

    >>> table = node_losses("svc1").table
    >>> len(table), table.SOURCE.value_counts().to_dict()
    (8, {'recorded': 4, 'simulated': 4})
    """
    from kanslib.backends.node_losses import node_losses as losses_in
    from kanslib.course.recordings import shipped
    from kanslib.recording import Recording
    from kanslib.render.node_losses import NodeLosses

    found = losses_in(Recording.shared(recording or shipped("l2")), service)
    return NodeLosses(
        service, found, tr("no loss of a node that takes packets of {service} was recorded", service=service)
    )


def expected_outages(scenarios: Mapping[str, Scenario]) -> OutageComparison:
    """Compare what settings are expected to cost when a node fails, by the timers that matter.

    `scenarios`: by name, `kanslib.metallb.expected_outage.Scenario`. A figure of the lost seconds, as `outages()`;
    `.table` has the columns SETUP, DARK UNTIL, PARTLY UNTIL (seconds), SHARE FAILING and LOST SECONDS.

    >>> from kanslib.metallb.expected_outage import Scenario
    >>> now = Scenario(endpoints=2, lost=1)
    >>> expected_outages({"now": now, "six endpoints": now.replace(endpoints=6)}).table["LOST SECONDS"].tolist()
    [21.6, 11.1]
    """
    from kanslib.render.outage_comparison import EXPECTED_COLUMNS, OutageComparison, expected_times

    return OutageComparison(
        tr("Expected outages"), expected_times(scenarios), EXPECTED_COLUMNS, tr("no scenario was given")
    )


def _lab(backend: Backend, story: str) -> Lab:
    """Return the lab of a backend; print its banner, and whether the notebook is of another edition."""
    from kanslib import notices
    from kanslib.lab.lab import Lab
    from kanslib.lab.learning import kernel_predictions

    notices.show_banner(_banner(backend))
    if missing := i18n.missing_language():
        _say_missing(missing)
    if edition := _edition_notice():
        notices.show_notice(edition, notices.FALLBACK_COLOUR, "kans-edition")
    return Lab(backend, story, kernel_predictions())


@cache
def _say_missing(language: str) -> None:
    """Say that a language has no catalogue, once in this process."""
    from kanslib import notices

    notices.show_notice(i18n.missing_language_words(language), notices.FALLBACK_COLOUR, "kans-language")


def _banner(backend: Backend) -> list[str]:
    from kanslib import binder
    from kanslib.backends import factory

    lines = backend.banner().splitlines()
    if backend.provenance().source == "recorded" and factory.owned_cluster_exists():
        lines.append(tr("a course cluster was made on this machine (kans up): backend='live' asks it instead"))
    if binder.is_here():
        lines.append(tr("{why}: lab.progress() shows a line that keeps what you have done", why=tr(binder.ENDS)))
    return lines


def _edition_notice() -> str:
    """Return what is to be said of the age of the notebook that asks (Jupyter names its file in JPY_SESSION_NAME)."""
    import os
    from pathlib import Path

    notebook = os.environ.get("JPY_SESSION_NAME", "")
    if not notebook.endswith(".ipynb"):
        return ""
    from kanslib.course.chapters import version_notice

    return version_notice(Path(notebook))


def __getattr__(name: str) -> object:
    import importlib

    if name not in _LAZY:
        raise AttributeError(f"module 'kanslib' has no attribute {name!r}")
    module, _, attribute = _LAZY[name].partition(":")
    found = importlib.import_module(module)
    result: object = getattr(found, attribute) if attribute else found
    return result


def __dir__() -> list[str]:
    return sorted(__all__)
