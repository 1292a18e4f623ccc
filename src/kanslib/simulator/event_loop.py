"""A cluster on a clock of its own: objects and their history, and what is still to happen. Pure.

Controllers register for kinds of objects. A change makes them due after their delay; when they run they look at
everything and set right what is not as it should be, as the real ones do.
"""

from __future__ import annotations

import copy
import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from kanslib.k8s.objects import KubeObject, Store, WatchEvent, key_of
from kanslib.simulator.api_server import IdGenerator, timestamp
from kanslib.simulator.delays import DELAYS, Delays

Callback = Callable[[], None]


@dataclass(order=True)
class _Due:
    t: float
    turn: int
    deed: Callback = field(compare=False)
    settles: bool = field(compare=False, default=True)


@dataclass
class EventLoop:
    """The API's objects, their watch streams, and a queue of what is to come; `now` in Unix seconds."""

    now: float
    numbers: IdGenerator = field(default_factory=IdGenerator)
    delays: Delays = DELAYS
    store: Store = field(default_factory=Store)
    history: dict[str, list[WatchEvent]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._queue: list[_Due] = []
        self._turn = count()
        self._cares: list[tuple[frozenset[str], float, Callback]] = []
        self._waiting: set[int] = set()

    # ── objects ──────────────────────────────────────────────────────────────────────────────────────────

    def load(self, kind: str, objects: Sequence[KubeObject]) -> None:
        """Objects that are there from the beginning."""
        self.history.setdefault(kind, [])
        for obj in objects:
            self._notify(kind, WatchEvent(self.now, "ADDED", obj))

    def objects(self, kind: str) -> list[KubeObject]:
        return self.store.objects(kind)

    def get(self, kind: str, name: str, namespace: str = "default") -> KubeObject | None:
        known = self.store.kinds.get(kind, {})
        return known.get((namespace, name)) or known.get(("", name))

    def put(self, kind: str, obj: KubeObject) -> KubeObject:
        """Create an object or change it; nothing happens when it is so already. Returns it as it then is."""
        obj = copy.deepcopy(obj)
        there = self.store.kinds.get(kind, {}).get(key_of(obj))
        if there is not None and {**there, "metadata": _plain(there)} == {**obj, "metadata": _plain(obj)}:
            return there
        meta = obj["metadata"]
        meta["resourceVersion"] = self.numbers.revision()
        if there is None:
            meta["uid"], meta["creationTimestamp"] = self.numbers.uid(), timestamp(self.now)
        self._notify(kind, WatchEvent(self.now, "MODIFIED" if there else "ADDED", obj))
        self._changed(kind)
        return obj

    def remove(self, kind: str, obj: KubeObject) -> None:
        if key_of(obj) in self.store.kinds.get(kind, {}):
            self._notify(kind, WatchEvent(self.now, "DELETED", obj))
            self._changed(kind)

    def _notify(self, kind: str, event: WatchEvent) -> None:
        self.store.apply(kind, event)
        self.history.setdefault(kind, []).append(event)

    # ── time ─────────────────────────────────────────────────────────────────────────────────────────────

    def schedule(self, seconds: float, deed: Callback, settles: bool = True) -> None:
        """Do something later. What does not `settles` is not waited for when an act settles."""
        heapq.heappush(self._queue, _Due(self.now + seconds, next(self._turn), deed, settles))

    def subscribe(self, kinds: Sequence[str], delay: float, deed: Callback) -> None:
        """Run a controller `delay` seconds after any of these kinds changed; changes in between are one."""
        self._cares.append((frozenset(kinds), delay, deed))

    def _changed(self, kind: str) -> None:
        for place, (kinds, _, _) in enumerate(self._cares):
            if kind in kinds:
                self._triggered(place)

    def trigger(self, deed: Callback) -> None:
        """Make a controller due though no object changed."""
        self._triggered(next(place for place, (_, _, one) in enumerate(self._cares) if one == deed))

    def _triggered(self, place: int) -> None:
        if place in self._waiting:
            return
        self._waiting.add(place)

        def run() -> None:
            self._waiting.discard(place)
            self._cares[place][2]()

        self.schedule(self._cares[place][1], run)

    def settle(self) -> float:
        """Let happen all that an act causes; the moment of the last of it."""
        last = self.now
        while any(due.settles for due in self._queue):
            last = self._step()
        self.now = max(self.now, last)
        return self.now

    def run(self, until: float) -> None:
        """Let time pass up to a moment."""
        while self._queue and self._queue[0].t <= until:
            self._step()
        self.now = max(self.now, until)

    def _step(self) -> float:
        due = heapq.heappop(self._queue)
        self.now = max(self.now, due.t)
        due.deed()
        return self.now


def _plain(obj: KubeObject) -> dict[str, Any]:
    return {key: value for key, value in obj["metadata"].items() if key != "resourceVersion"}
