"""What a lab can ask of a cluster and do to it, whichever backend answers. A Lab knows nothing else of its backend."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from typing import Generic, Protocol, TypeVar

from kanslib.actions import ActiveAction, Verb, describe
from kanslib.analysis.attempts import ClientError
from kanslib.analysis.observation_data import CapturedFrames, ObservationData, TimeWindow, Topology
from kanslib.answer import Provenance, Source, Text
from kanslib.k8s.objects import KubeObject, WatchEvent
from kanslib.packets.capture import Frame
from kanslib.recording.clock import Clock


@dataclass(frozen=True)
class PerformedAction:
    """An action that was done to a cluster, and to what: nodes, labels, or references such as `svc/svc1`."""

    verb: Verb
    targets: tuple[str, ...]

    def __str__(self) -> str:
        return describe(self.verb, self.targets)


@dataclass(frozen=True)
class Moment:
    """A moment of a story: its opening, or when an action had settled.

    `at`: seconds from the opening to the action; None while it has not been done. `settled_after`: seconds that its
    effects took. `actions`: empty where a story does not tell them. `queries_at`: seconds after the action at which
    commands were run; None where any second can be asked. `source`: which backend has it.
    """

    name: str
    at: float | None
    settled_after: float | None
    actions: tuple[PerformedAction, ...]
    queries_at: tuple[float, ...] | None
    is_current: bool
    source: Source


@dataclass(frozen=True)
class HopCapture:
    """The frames of one request as one place saw them on one interface."""

    place: str
    interface: str
    frames: tuple[Frame, ...]


@dataclass(frozen=True)
class SentRequests:
    """What curl printed for requests, and how many there were.

    `connect_error`: what its exit code 7 means here, a refusal or no route; OTHER where nothing shows which.
    """

    output: Text
    count: int
    connect_error: ClientError = ClientError.OTHER


class ObservedSource(Protocol):
    """What every observation reads of its backend."""

    def topology(self) -> Topology:
        """Return the places and their addresses."""

    def mac_owners(self) -> dict[str, str]:
        """Return places by their MAC address."""

    def frames_between(self, start: float, end: float) -> list[Frame]:
        """Return the captured frames of a time (Unix seconds)."""


S = TypeVar("S", bound=ObservedSource)


@dataclass(frozen=True)
class BackendObservation(TimeWindow, Generic[S]):
    """What a backend saw around an action: the part of `ObservationData` that is the same for all.

    `source`: the backend; if it has a clock, one that stands at the end of the observation.
    """

    source: S
    provenance: Provenance

    @cached_property
    def topology(self) -> Topology:
        """The places of the cluster and their addresses."""
        return self.source.topology()

    @cached_property
    def mac_owners(self) -> dict[str, str]:
        """Places by their MAC address."""
        return self.source.mac_owners()

    def frames(self, start: float | None = None) -> list[Frame]:
        """Return the captured frames; those since `start` (Unix seconds), where it is given."""
        return self.source.frames_between(self.start if start is None else start, self.end)

    def tcp_frames(self, start: float | None = None) -> CapturedFrames:
        """Return the captured TCP segments; those since `start` (Unix seconds), where it is given."""
        return CapturedFrames([frame for frame in self.frames(start) if frame.tcp], self, self.provenance)


class Backend(Protocol):
    """A cluster that can be asked and acted on. Moments are Unix seconds; a `place` is a node, the client or router.

    A query raises NotRecordedError, NotSimulatedError or UnsupportedError where the backend has no answer to it.
    """

    def banner(self) -> str:
        """Return which cluster this is and which versions it runs, in two or three lines."""

    def provenance(self) -> Provenance:
        """Return who answers now, and for which moment."""

    def topology(self) -> Topology:
        """Return the places of this moment and their addresses."""

    def active_actions(self) -> list[ActiveAction]:
        """Return what was done to nodes and places, and is not undone."""

    # ── queries ──────────────────────────────────────────────────────────────────────────────────────────

    def objects(self, kind: str) -> list[KubeObject]:
        """Return the API objects of a kind, by namespace and name."""

    def watch_events(self, kind: str) -> list[WatchEvent]:
        """Return the watch events of a kind from the cluster's beginning until now."""

    def log(self, component: str, node: str | None) -> Text:
        """Return the log of a component (`speaker`) until now; of all its Pods without a node."""

    def run(self, place: str, command: str) -> Text:
        """Return what a command printed at a place."""

    def requests(self, target: str, times: int, source: str) -> SentRequests:
        """Send requests to an address, with port or path."""

    def arp_scan(self, source: str) -> Text:
        """Return what arp-scan printed for the addresses of the pools."""

    def mac_owners(self) -> dict[str, str]:
        """Return places by their MAC address."""

    def capture_path(self, target: str, service: str) -> tuple[list[HopCapture], Provenance]:
        """Return one request to a Service as each place on its way captured it."""

    # ── actions ──────────────────────────────────────────────────────────────────────────────────────────

    def apply(self, documents: Sequence[KubeObject]) -> Text:
        """Apply manifests; return what kubectl printed."""

    def delete(self, references: Sequence[str]) -> Text:
        """Delete objects (`svc/svc1`); return what kubectl printed."""

    def perform(self, verb: Verb, targets: Sequence[str]) -> Text:
        """Do any other action; return what it printed."""

    # ── observation ──────────────────────────────────────────────────────────────────────────────────────

    def observe(self, vips: Sequence[str], seconds: float, queries_at: Sequence[float]) -> AbstractContextManager[None]:
        """Probe VIPs and capture frames around the actions of a `with` block and for `seconds` after it.

        `queries_at`: seconds after the action at which everything is asked of every node.
        """

    def observation(self, seconds: float | None = None) -> ObservationData:
        """Return what was seen around the last action, until `seconds` from now; to the end of it without `seconds`."""

    def observation_at(self, moment: str) -> ObservationData:
        """Return what was seen around the action of a moment; the clock stays. Raises UnknownNameError."""

    def advance_to(self, moment: float) -> None:
        """Move the clock on to just before a moment, where time does not pass by itself."""

    # ── checks: no clock moves, and no other backend answers ─────────────────────────────────────────────

    def position(self) -> Clock | None:
        """Return where a recording stands, to be asked there again; None where nobody can go back."""

    def isolated(self, position: Clock | None = None) -> AbstractContextManager[None]:
        """Ask in a `with` block (at a `position`) without moving any clock and without another backend's answers."""

    # ── time ─────────────────────────────────────────────────────────────────────────────────────────────

    def now(self) -> float:
        """Return the moment of the backend's clock."""

    def actions(self) -> list[Moment]:
        """Return the moments of the actions that were done until now, in order."""

    def moments(self) -> list[Moment]:
        """Return every moment of the story, from the opening on, in order."""

    def at(self, moment: str, after: float | None) -> None:
        """Go to where an action had settled, or to `after` seconds after it was done. Raises UnknownNameError."""

    def at_time(self, moment: float) -> None:
        """Go to a moment."""

    def restore(self) -> Text:
        """Undo all active actions and go back to the opening; return what was undone."""
