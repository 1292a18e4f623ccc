"""What every world can be asked, whoever answers. A Lab knows nothing else of its world."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from kanslib.actions import Verb
from kanslib.answer import Provenance, Text
from kanslib.k8s.objects import KubeObject, WatchEvent
from kanslib.packets.capture import Frame
from kanslib.recording.clock import Clock


@dataclass(frozen=True)
class TimeWindow:
    """A stretch of time (Unix seconds) around an act at `zero`."""

    start: float
    zero: float
    end: float
    action: str


@dataclass(frozen=True)
class Topology:
    """The places of a cluster by their role, and the addresses they have on the Docker network."""

    client: str | None
    control_plane: str
    router: str | None
    nodes: tuple[str, ...]
    network: str
    addresses: Mapping[str, str]


@dataclass(frozen=True)
class HopCapture:
    """The frames of one request as they were seen at one place, on one interface."""

    place: str
    interface: str
    frames: tuple[Frame, ...]


class Backend(Protocol):
    """A cluster that can be asked and acted on."""

    def banner(self) -> str: ...
    def provenance(self) -> Provenance: ...
    def topology(self) -> Topology: ...

    # reads
    def objects(self, kind: str) -> list[KubeObject]: ...
    def log(self, component: str, node: str | None) -> Text: ...
    def run(self, place: str, command: str) -> Text: ...
    def requests(self, target: str, times: int, source: str) -> tuple[Text, int]: ...
    def arp_scan(self, source: str) -> Text: ...
    def mac_owners(self) -> dict[str, str]: ...
    def capture_path(
        self, target: str, service: str
    ) -> tuple[list[HopCapture], Provenance]: ...  # one request, seen everywhere

    # acts
    def apply(self, documents: Sequence[KubeObject]) -> Text: ...
    def delete(self, references: Sequence[str]) -> Text: ...
    def perform(self, verb: Verb, targets: Sequence[str]) -> Text: ...

    # observation
    def observe(
        self, vips: Sequence[str], seconds: float, queries_at: Sequence[float]
    ) -> AbstractContextManager[None]: ...
    def advance_to(self, window: TimeWindow) -> None: ...  # the observed time is over
    def window(self, seconds: float) -> TimeWindow: ...
    def probes(self, window: TimeWindow) -> list[dict[str, Any]]: ...
    def frames(self, window: TimeWindow) -> list[Frame]: ...
    def tcp_frames(
        self, window: TimeWindow
    ) -> tuple[TimeWindow, list[Frame], Provenance]: ...  # TCP on the wire, and of which window
    def command_outputs(
        self, command: str, window: TimeWindow
    ) -> list[tuple[float, str, str]]: ...  # when, at which node, what it printed
    def watch_events(
        self, kind: str, window: TimeWindow
    ) -> list[WatchEvent]: ...  # from the cluster's beginning to the window's end

    # a check's questions: no clock moves, and nobody else answers; they are asked where a recording once `stood`
    def position(self) -> Clock | None: ...
    def isolated(self, stood: Clock | None = None) -> AbstractContextManager[None]: ...

    # time
    def now(self) -> float: ...
    def actions(self) -> list[dict[str, Any]]: ...
    def moments(self) -> list[dict[str, Any]]: ...
    def at(self, moment: str, after: float | None) -> None: ...
    def at_time(self, moment: float) -> None: ...
    def restore(self) -> Text: ...
