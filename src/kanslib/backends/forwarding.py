"""A world that lets others answer: everything goes to whichever world answers now."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

from kanslib.actions import Verb
from kanslib.analysis.observation import ObservationData, Topology
from kanslib.answer import Provenance, Text
from kanslib.backends.base import Backend, HopCapture, Moment
from kanslib.k8s.objects import KubeObject, WatchEvent
from kanslib.recording.clock import Clock


class ForwardingBackend(ABC):
    """Implements `World` by asking the one that `_now` names; those who inherit change what they have to."""

    @property
    @abstractmethod
    def _now(self) -> Backend:
        """Who answers now."""

    def banner(self) -> str:
        return self._now.banner()

    def provenance(self) -> Provenance:
        return self._now.provenance()

    def topology(self) -> Topology:
        return self._now.topology()

    # ── reads ────────────────────────────────────────────────────────────────────────────────────────────

    def objects(self, kind: str) -> list[KubeObject]:
        return self._now.objects(kind)

    def log(self, component: str, node: str | None) -> Text:
        return self._now.log(component, node)

    def run(self, place: str, command: str) -> Text:
        return self._now.run(place, command)

    def requests(self, target: str, times: int, source: str) -> tuple[Text, int]:
        return self._now.requests(target, times, source)

    def arp_scan(self, source: str) -> Text:
        return self._now.arp_scan(source)

    def mac_owners(self) -> dict[str, str]:
        return self._now.mac_owners()

    def capture_path(self, target: str, service: str) -> tuple[list[HopCapture], Provenance]:
        return self._now.capture_path(target, service)

    # ── acts ─────────────────────────────────────────────────────────────────────────────────────────────

    def apply(self, documents: Sequence[KubeObject]) -> Text:
        return self._acted(lambda world: world.apply(documents))

    def delete(self, references: Sequence[str]) -> Text:
        return self._acted(lambda world: world.delete(references))

    def perform(self, verb: Verb, targets: Sequence[str]) -> Text:
        return self._acted(lambda world: world.perform(verb, targets))

    def _acted(self, deed: Callable[[Backend], Text]) -> Text:
        """Do an act in the world that answers now."""
        return deed(self._now)

    # ── observation ──────────────────────────────────────────────────────────────────────────────────────

    @contextmanager
    def observe(self, vips: Sequence[str], seconds: float, queries_at: Sequence[float]) -> Iterator[None]:
        with self._now.observe(vips, seconds, queries_at):
            yield

    def advance_to(self, moment: float) -> None:
        self._now.advance_to(moment)

    def observation(self, seconds: float | None = None) -> ObservationData:
        return self._now.observation(seconds)

    def observation_at(self, moment: str) -> ObservationData:
        return self._now.observation_at(moment)

    def watch_events(self, kind: str) -> list[WatchEvent]:
        return self._now.watch_events(kind)

    def position(self) -> Clock | None:
        return self._now.position()

    def isolated(self, position: Clock | None = None) -> AbstractContextManager[None]:
        return self._now.isolated(position)

    # ── time ─────────────────────────────────────────────────────────────────────────────────────────────

    def now(self) -> float:
        return self._now.now()

    def at(self, moment: str, after: float | None) -> None:
        self._now.at(moment, after)

    def at_time(self, moment: float) -> None:
        self._now.at_time(moment)

    def actions(self) -> list[Moment]:
        return self._now.actions()

    def moments(self) -> list[Moment]:
        return self._now.moments()

    def restore(self) -> Text:
        return self._now.restore()
