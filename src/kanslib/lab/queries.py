"""Queries and actions: what counts as a query, what one of them reads of a cluster, and what the log tells of both."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from kanslib.analysis.observation_data import Topology
from kanslib.answer import Provenance, Text
from kanslib.backends.base import Backend
from kanslib.exceptions import KanslibError
from kanslib.k8s.objects import KubeObject, plural
from kanslib.recording.secret_patterns import redact

P = ParamSpec("P")
R = TypeVar("R")
_LOG = logging.getLogger(__name__)
_KINDS = {"ipaddresspools": "pool"}  # one name for what is asked for in two ways


class ClusterView:
    """One moment of a cluster, as one query reads it: the backend is asked for each fact once.

    Outside of a query (`held()`) nothing is kept, and every read goes to the backend.
    """

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self._objects: dict[str, list[KubeObject]] = {}
        self._logs: dict[tuple[str, str | None], Text] = {}
        self._topology: Topology | None = None
        self._mac_owners: dict[str, str] | None = None
        self._is_held = False

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep what is read in this block, and forget it at the end."""
        self._is_held = True
        try:
            yield
        finally:
            self._is_held = False
            self.forget()

    def forget(self) -> None:
        """Read everything anew: the moment has changed."""
        self._objects, self._logs, self._topology, self._mac_owners = {}, {}, None, None

    def provenance(self) -> Provenance:
        """Return where an answer of this moment comes from."""
        return self.backend.provenance()

    def topology(self) -> Topology:
        """Return the places of the cluster."""
        found = self._topology or self.backend.topology()
        self._topology = found if self._is_held else None
        return found

    def mac_owners(self) -> dict[str, str]:
        """Return whose network card each MAC address is."""
        found = self._mac_owners if self._mac_owners is not None else self.backend.mac_owners()
        self._mac_owners = found if self._is_held else None
        return found

    def objects(self, kind: str) -> list[KubeObject]:
        """Return the API objects of a kind. Raise NotRecordedError or NotSimulatedError for a kind nobody knows."""
        name = plural(kind)
        found = self._objects[name] if name in self._objects else self.backend.objects(kind)
        if self._is_held:
            self._objects[name] = found
        return found

    def log(self, component: str, node: str | None) -> Text:
        """Return the log of a component of MetalLB up to now."""
        key = component, node
        found = self._logs[key] if key in self._logs else self.backend.log(component, node)
        if self._is_held:
            self._logs[key] = found
        return found


class QueryLog:
    """Count a learner's queries; what a query asks for its own sake counts nothing."""

    def __init__(self, view: ClusterView) -> None:
        self.view = view
        self.counts: dict[str, int] = {}
        self.on_query: Callable[[str], None] | None = None  # scores what was predicted of it
        self._depth = 0

    @contextmanager
    def uncounted(self) -> Iterator[None]:
        """Count nothing in this block, and read each fact once."""
        self._depth += 1
        try:
            if self._depth == 1:
                with self.view.held():
                    yield
            else:
                yield
        finally:
            self._depth -= 1

    def count(self, kind: str) -> None:
        """Count one query, unless it is part of another."""
        if self._depth == 0:
            self.counts[kind] = self.counts.get(kind, 0) + 1
            if self.on_query:
                self.on_query(kind)


class _Queried(Protocol):
    """What has queries: a lab, and what it observed."""

    @property
    def _query_log(self) -> QueryLog: ...


Q = TypeVar("Q", bound=_Queried)


def query(method: Callable[Concatenate[Q, P], R]) -> Callable[Concatenate[Q, P], R]:
    """Make a method a query: it is counted, and scores what was predicted of it; queries within it are not counted."""

    @wraps(method)
    def counted(owner: Q, /, *args: P.args, **options: P.kwargs) -> R:
        log = owner._query_log  # noqa: SLF001 (every owner of queries has it; it is private to learners)
        with log.uncounted(), _logged(logging.DEBUG, method.__qualname__, args, log.view):
            answer = method(owner, *args, **options)
        log.count(_kind(method.__qualname__, args))
        return answer

    return counted


def action(method: Callable[Concatenate[Q, P], R]) -> Callable[Concatenate[Q, P], R]:
    """Make a method an action: the log says which backend did it."""

    @wraps(method)
    def performed(owner: Q, /, *args: P.args, **options: P.kwargs) -> R:
        log = owner._query_log  # noqa: SLF001 (as a query's)
        with _logged(logging.INFO, method.__qualname__, args, log.view):
            return method(owner, *args, **options)

    return performed


@contextmanager
def _logged(level: int, name: str, args: tuple[object, ...], view: ClusterView) -> Iterator[None]:
    """Log what was asked or done, which backend stands at which moment afterwards, and the milliseconds."""
    if not _LOG.isEnabledFor(level):
        yield
        return
    call = f"{name}({', '.join(map(_format_argument, args))})"
    began = time.perf_counter()
    try:
        yield
    except KanslibError as exc:
        _LOG.log(level, "%s: %s: %s", call, type(exc).__name__, redact(str(exc)))
        raise
    milliseconds = (time.perf_counter() - began) * 1000
    _LOG.log(level, "%s: %.1f ms, %s", call, milliseconds, view.provenance())


def _format_argument(argument: object) -> str:
    """Return a name or a command as it was typed; of a manifest only its type, since it may hold a Secret."""
    if isinstance(argument, str) and "\n" not in argument:
        return repr(redact(argument))
    return repr(argument) if isinstance(argument, (int, float)) else f"<{type(argument).__name__}>"


def _kind(name: str, args: tuple[object, ...]) -> str:
    """Return what was asked for: the kind of objects however they were asked for, else the method's own name."""
    owner, _, method = name.rpartition(".")
    if method in ("table", "objects", "object") and args and isinstance(args[0], str):
        kind = plural(args[0])
        return _KINDS.get(kind, kind)
    prefix = _PREFIXES.get(owner, "")
    return prefix + method


# `seen.events()` is not `lab.events()`, and `seen.arp.timeline()` not `seen.timeline()`
_PREFIXES = {"Observation": "observation.", "ARPObservation": "arp.", "BGPObservation": "bgp."}
