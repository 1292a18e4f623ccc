"""A world that lets others answer: everything goes to whichever world answers now."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from kanslib.objects import KubeObject, WatchEvent
from kanslib.packets.capture import Frame
from kanslib.provenance import Provenance
from kanslib.recording.clock import Clock
from kanslib.recording.format import Verb
from kanslib.text import Text
from kanslib.worlds.protocol import Places, Sighting, Window, World


class ForwardingWorld(ABC):
    """Implements `World` by asking the one that `_now` names; those who inherit change what they have to."""

    @property
    @abstractmethod
    def _now(self) -> World:
        """Who answers now."""

    def banner(self) -> str:
        return self._now.banner()

    def provenance(self) -> Provenance:
        return self._now.provenance()

    def places(self) -> Places:
        return self._now.places()

    # ── reads ────────────────────────────────────────────────────────────────────────────────────────────

    def objects(self, kind: str) -> list[KubeObject]:
        return self._now.objects(kind)

    def log(self, component: str, node: str | None) -> Text:
        return self._now.log(component, node)

    def run(self, place: str, command: str) -> Text:
        return self._now.run(place, command)

    def requests(self, target: str, times: int, source: str) -> tuple[Text, int]:
        return self._now.requests(target, times, source)

    def scan(self, source: str) -> Text:
        return self._now.scan(source)

    def macs(self) -> dict[str, str]:
        return self._now.macs()

    def follow(self, target: str, service: str) -> tuple[list[Sighting], Provenance]:
        return self._now.follow(target, service)

    # ── acts ─────────────────────────────────────────────────────────────────────────────────────────────

    def apply(self, documents: Sequence[KubeObject]) -> Text:
        return self._acted(lambda world: world.apply(documents))

    def delete(self, references: Sequence[str]) -> Text:
        return self._acted(lambda world: world.delete(references))

    def act(self, verb: Verb, targets: Sequence[str]) -> Text:
        return self._acted(lambda world: world.act(verb, targets))

    def _acted(self, deed: Callable[[World], Text]) -> Text:
        """Do an act in the world that answers now."""
        return deed(self._now)

    # ── observation ──────────────────────────────────────────────────────────────────────────────────────

    @contextmanager
    def observing(self, vips: Sequence[str], seconds: float, looks: Sequence[float]) -> Iterator[None]:
        with self._now.observing(vips, seconds, looks):
            yield

    def passed(self, window: Window) -> None:
        self._now.passed(window)

    def window(self, seconds: float) -> Window:
        return self._now.window(seconds)

    def probes(self, window: Window) -> list[dict[str, Any]]:
        return self._now.probes(window)

    def frames(self, window: Window) -> list[Frame]:
        return self._now.frames(window)

    def segments(self, window: Window) -> tuple[Window, list[Frame], Provenance]:
        return self._now.segments(window)

    def looks(self, command: str, window: Window) -> list[tuple[float, str, str]]:
        return self._now.looks(command, window)

    def changes(self, kind: str, window: Window) -> list[WatchEvent]:
        return self._now.changes(kind, window)

    def stands(self) -> Clock | None:
        return self._now.stands()

    def undisturbed(self, stood: Clock | None = None) -> AbstractContextManager[None]:
        return self._now.undisturbed(stood)

    # ── time ─────────────────────────────────────────────────────────────────────────────────────────────

    def now(self) -> float:
        return self._now.now()

    def at(self, moment: str, after: float | None) -> None:
        self._now.at(moment, after)

    def at_time(self, moment: float) -> None:
        self._now.at_time(moment)

    def acts(self) -> list[dict[str, Any]]:
        return self._now.acts()

    def moments(self) -> list[dict[str, Any]]:
        return self._now.moments()

    def restore(self) -> Text:
        return self._now.restore()
