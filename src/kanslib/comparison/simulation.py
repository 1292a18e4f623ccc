"""Compare a recording with the simulator that replays its actions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from kanslib.backends.base import Backend
from kanslib.backends.recorded import RecordedBackend
from kanslib.backends.simulated import SimulatedBackend
from kanslib.comparison.facts import READ_BY_COMMANDS, Facts, generated_names, node_rules, object_facts, routes
from kanslib.i18n import listed, tr_plural

_SETTLE_MARGIN_S = 1.5


@dataclass(frozen=True)
class ComparedFact:
    """One fact as recorded and as simulated, in words; `differs`: how many of its values are not in both."""

    what: str
    recorded: str
    simulated: str
    differs: int


def _after_settling(recorded: RecordedBackend) -> RecordedBackend:
    """Return the recording a moment after the last action had settled, when all of its effects are recorded."""
    clock = recorded.clock
    if clock.last is None or recorded.now() < clock.last.settled:
        return recorded
    later = RecordedBackend(recorded.recording, recorded.story.name or None)
    later.at_time(
        min(max(recorded.now(), clock.last.settled + _SETTLE_MARGIN_S), clock.until - 0.001, clock.segment.end)
    )
    return later


def compare_with_simulator(recorded: RecordedBackend, simulated: SimulatedBackend) -> Iterator[ComparedFact]:
    """Yield every fact of this moment that both have: addresses, endpoints, leaders, statuses, rules, routes."""
    a, b = _facts(_after_settling(recorded)), _facts(simulated)
    for fact in dict.fromkeys([*a, *b]):
        if fact.topic in READ_BY_COMMANDS and not (fact in a and fact in b):
            continue  # it was not read in both
        x, y = a.get(fact, ()), b.get(fact, ())
        yield ComparedFact(str(fact), _shorten(x), _shorten(y), len(set(x) ^ set(y)))


def _facts(backend: Backend) -> Facts:
    names = generated_names(backend)
    return {**object_facts(backend, names), **node_rules(backend, names), **routes(backend, {})}


def _shorten(parts: tuple[str, ...]) -> str:
    return listed(parts) if len(parts) <= 4 else tr_plural("{n} rule", "{n} rules", len(parts))
