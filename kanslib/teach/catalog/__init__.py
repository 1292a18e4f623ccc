"""The exercises of the course, by id. Ids stay: a learner's progress is kept under them."""

from __future__ import annotations

from kanslib.teach.catalog import addresses, election, failover, faults, routes, rules, services, wire
from kanslib.teach.exercise import Exercise

_PARTS = (services, addresses, wire, rules, election, failover, routes, faults)
CATALOG: dict[str, Exercise] = {one.id: one for part in _PARTS for one in part.EXERCISES}
