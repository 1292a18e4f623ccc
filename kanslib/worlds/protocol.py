"""What every world can be asked, whoever answers. A Lab knows nothing else of its world."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from kanslib.objects import KubeObject, WatchEvent
from kanslib.packets.capture import Frame
from kanslib.provenance import Provenance
from kanslib.recording.clock import Clock
from kanslib.recording.format import Verb
from kanslib.text import Text


@dataclass(frozen=True)
class Window:
    """A stretch of time (Unix seconds) around an act at `zero`."""

    start: float
    zero: float
    end: float
    act: str


@dataclass(frozen=True)
class Places:
    """The places of a cluster by their role, and the addresses they have on the Docker network."""

    client: str | None
    control_plane: str
    router: str | None
    nodes: tuple[str, ...]
    network: str
    addresses: Mapping[str, str]


@dataclass(frozen=True)
class Sighting:
    """The frames of one request as they were seen at one place, on one interface."""

    place: str
    interface: str
    frames: tuple[Frame, ...]


class World(Protocol):
    """A cluster that can be asked and acted on."""

    def banner(self) -> str: ...
    def provenance(self) -> Provenance: ...
    def places(self) -> Places: ...

    # reads
    def objects(self, kind: str) -> list[KubeObject]: ...
    def log(self, component: str, node: str | None) -> Text: ...
    def run(self, place: str, command: str) -> Text: ...
    def requests(self, target: str, times: int, source: str) -> tuple[Text, int]: ...
    def scan(self, source: str) -> Text: ...
    def macs(self) -> dict[str, str]: ...
    def follow(
        self, target: str, service: str
    ) -> tuple[list[Sighting], Provenance]: ...  # one request, seen everywhere

    # acts
    def apply(self, documents: Sequence[KubeObject]) -> Text: ...
    def delete(self, references: Sequence[str]) -> Text: ...
    def act(self, verb: Verb, targets: Sequence[str]) -> Text: ...

    # observation
    def observing(
        self, vips: Sequence[str], seconds: float, looks: Sequence[float]
    ) -> AbstractContextManager[None]: ...
    def passed(self, window: Window) -> None: ...  # the observed time is over
    def window(self, seconds: float) -> Window: ...
    def probes(self, window: Window) -> list[dict[str, Any]]: ...
    def frames(self, window: Window) -> list[Frame]: ...
    def segments(
        self, window: Window
    ) -> tuple[Window, list[Frame], Provenance]: ...  # TCP on the wire, and of which window
    def looks(
        self, command: str, window: Window
    ) -> list[tuple[float, str, str]]: ...  # when, at which node, what it printed
    def changes(
        self, kind: str, window: Window
    ) -> list[WatchEvent]: ...  # from the cluster's beginning to the window's end

    # a check's questions: no clock moves, and nobody else answers; they are asked where a recording once `stood`
    def stands(self) -> Clock | None: ...
    def undisturbed(self, stood: Clock | None = None) -> AbstractContextManager[None]: ...

    # time
    def now(self) -> float: ...
    def acts(self) -> list[dict[str, Any]]: ...
    def moments(self) -> list[dict[str, Any]]: ...
    def at(self, moment: str, after: float | None) -> None: ...
    def at_time(self, moment: float) -> None: ...
    def restore(self) -> Text: ...
