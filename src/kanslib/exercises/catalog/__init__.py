"""The exercises of the course, by id. Ids stay: a learner's progress is kept under them."""

from __future__ import annotations

from dataclasses import replace

from kanslib.exercises.catalog import (
    ch00_start_here,
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
    ch00_start_here,
    ch01_service_types,
    ch02_metallb,
    ch03_arp,
    ch04_iptables,
    ch05_election,
    ch06_failover,
    ch07_bgp,
    ch08_broken_labs,
)
# which quiz asks an exercise of an earlier chapter again; a lab of that later chapter knows the answer, too
_RECALLED_IN = {
    "does-a-load-balancer-open-a-node-port": "02", "who-hands-out": "03", "what-a-curl-on-a-node-proves": "04",
    "chances-of-three": "05", "what-is-hashed": "06", "seconds-until-declared-dead": "07",
    "cut-in-two": "08",
}  # fmt: skip
CATALOG: dict[str, Exercise] = {
    one.id: replace(one, recalled_in=_RECALLED_IN.get(one.id, "")) for part in _PARTS for one in part.EXERCISES
}
