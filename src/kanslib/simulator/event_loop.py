"""A discrete event loop with virtual time, and the API objects with their watch streams. Pure.

Controllers subscribe to kinds of objects. A change schedules them after their delay; when they run they reconcile
all objects, as the real ones do.
"""

from __future__ import annotations

import copy
import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count

from kanslib.k8s.objects import KubeObject, Store, WatchEvent, key_of
from kanslib.simulator.api_server import IdGenerator, timestamp
from kanslib.simulator.delays import DELAYS, Delays

Callback = Callable[[], None]


@dataclass(order=True)
class _ScheduledCall:
    t: float
    sequence: int
    callback: Callback = field(compare=False)
    awaited: bool = field(compare=False, default=True)


@dataclass
class EventLoop:
    """The API's objects, their watch streams and a queue of scheduled calls. `now`: virtual time in Unix seconds."""

    now: float
    ids: IdGenerator = field(default_factory=IdGenerator)
    delays: Delays = DELAYS
    store: Store = field(default_factory=Store)
    history: dict[str, list[WatchEvent]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._queue: list[_ScheduledCall] = []
        self._sequence = count()
        self._subscriptions: list[tuple[frozenset[str], float, Callback]] = []
        self._pending: set[int] = set()

    @property
    def changes(self) -> int:
        """How many changes of objects there were."""
        return sum(map(len, self.history.values()))

    # ── objects ──────────────────────────────────────────────────────────────────────────────────────────

    def load(self, kind: str, objects: Sequence[KubeObject]) -> None:
        """Add objects of a kind (plural, lower case) that exist from the beginning; controllers are not notified."""
        self.history.setdefault(kind, [])
        for obj in objects:
            self._record(kind, WatchEvent(self.now, "ADDED", obj))

    def objects(self, kind: str) -> list[KubeObject]:
        """Return the objects of a kind as they are now."""
        return self.store.objects(kind)

    def get(self, kind: str, name: str, namespace: str = "default") -> KubeObject | None:
        """Return an object as it is now, namespaced or not; None if it does not exist."""
        known = self.store.kinds.get(kind, {})
        return known.get((namespace, name)) or known.get(("", name))

    def put(self, kind: str, obj: KubeObject) -> KubeObject:
        """Create or update an object, and return it as stored. An object that stays equal is not written."""
        obj = copy.deepcopy(obj)
        existing = self.store.kinds.get(kind, {}).get(key_of(obj))
        if existing is not None and _without_resource_version(existing) == _without_resource_version(obj):
            return existing
        meta = obj["metadata"]
        meta["resourceVersion"] = self.ids.resource_version()
        if existing is None:
            meta["uid"], meta["creationTimestamp"] = self.ids.uid(), timestamp(self.now)
        self._record(kind, WatchEvent(self.now, "MODIFIED" if existing else "ADDED", obj))
        self._notify_subscribers(kind)
        return obj

    def remove(self, kind: str, obj: KubeObject) -> None:
        """Delete an object; one that does not exist is ignored."""
        if key_of(obj) in self.store.kinds.get(kind, {}):
            self._record(kind, WatchEvent(self.now, "DELETED", obj))
            self._notify_subscribers(kind)

    def _record(self, kind: str, event: WatchEvent) -> None:
        self.store.apply(kind, event)
        self.history.setdefault(kind, []).append(event)

    # ── time ─────────────────────────────────────────────────────────────────────────────────────────────

    def schedule(self, seconds: float, callback: Callback, awaited: bool = True) -> None:
        """Schedule a call in some seconds; `settle` does not wait for one with `awaited=False`."""
        heapq.heappush(self._queue, _ScheduledCall(self.now + seconds, next(self._sequence), callback, awaited))

    def subscribe(self, kinds: Sequence[str], delay: float, callback: Callback) -> None:
        """Run a controller `delay` seconds after any of these kinds changed; changes in between cause no second run."""
        self._subscriptions.append((frozenset(kinds), delay, callback))

    def _notify_subscribers(self, kind: str) -> None:
        for place, (kinds, _, _) in enumerate(self._subscriptions):
            if kind in kinds:
                self._enqueue(place)

    def trigger(self, callback: Callback) -> None:
        """Schedule a subscribed controller though no object changed."""
        self._enqueue(next(place for place, (_, _, one) in enumerate(self._subscriptions) if one == callback))

    def _enqueue(self, place: int) -> None:
        if place in self._pending:
            return
        self._pending.add(place)

        def run() -> None:
            self._pending.discard(place)
            self._subscriptions[place][2]()

        self.schedule(self._subscriptions[place][1], run)

    def settle(self) -> float:
        """Run until no awaited call is left, and return the moment (Unix seconds) of the last one."""
        while any(call.awaited for call in self._queue):
            self._step()
        return self.now

    def run(self, until: float) -> None:
        """Run all calls up to a moment (Unix seconds)."""
        while self._queue and self._queue[0].t <= until:
            self._step()
        self.now = max(self.now, until)

    def _step(self) -> None:
        call = heapq.heappop(self._queue)
        self.now = max(self.now, call.t)
        call.callback()


def _without_resource_version(obj: KubeObject) -> KubeObject:
    meta = obj["metadata"]
    return {**obj, "metadata": {key: value for key, value in meta.items() if key != "resourceVersion"}}
