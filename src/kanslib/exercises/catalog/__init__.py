"""The exercises of the course, by id. Ids stay: a learner's progress is kept under them."""

from __future__ import annotations

from kanslib.exercises.catalog import (
    ch01_service_types,
    ch02_metallb,
    ch03_arp,
    ch04_iptables,
    ch05_election,
    ch06_failover,
    ch07_bgp,
    ch08_broken_labs,
)
from kanslib.exercises.exercise import Exercise

_PARTS = (
    ch01_service_types,
    ch02_metallb,
    ch03_arp,
    ch04_iptables,
    ch05_election,
    ch06_failover,
    ch07_bgp,
    ch08_broken_labs,
)
CATALOG: dict[str, Exercise] = {one.id: one for part in _PARTS for one in part.EXERCISES}
