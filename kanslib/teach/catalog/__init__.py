"""The exercises of the course, by id. Ids stay: a learner's progress is kept under them."""

from __future__ import annotations

from kanslib.teach.catalog import election, failover, wire
from kanslib.teach.exercise import Exercise

CATALOG: dict[str, Exercise] = {one.id: one for part in (wire, election, failover) for one in part.EXERCISES}
