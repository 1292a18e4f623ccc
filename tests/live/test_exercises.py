"""Check every exercise on the course's own cluster: the right answer equals the recording's.

Takes about a quarter of an hour: nodes are killed, links go down, and the tests wait for their return.
"""

from __future__ import annotations

from collections import defaultdict

import pytest

import kanslib
from kanslib.exceptions import KanslibError
from kanslib.exercises.catalog import CATALOG
from kanslib.k8s.objects import external_address
from kanslib.lab.lab import Lab
from tests.exercises.test_catalog import PLACES

pytestmark = pytest.mark.live
TOGETHER: dict[tuple[str, str], list[str]] = defaultdict(list)
for name, where in PLACES.items():
    if CATALOG[name].chapter != "08":  # tests/live/test_challenge.py has these
        TOGETHER[where].append(name)
# seconds of observation after an action: an outage has to end within them
OBSERVED_S = {"kill-node": 80.0, "cut-link": 25.0}
# exercises whose answer is random on a live cluster
RANDOM = {"who-remembers-the-dead-pod", "who-names-the-dead", "does-curl-survive"}


def at(lab: Lab, moment: str) -> None:
    """Bring a live lab to a moment while its Services are observed."""
    if moment == "opening":
        return
    observed = [one["metadata"]["name"] for one in lab.objects("services", "default") if external_address(one)]
    with lab.observe(probes=observed, capture="arp", seconds=OBSERVED_S.get(moment, 6.0)):
        lab.at(moment)
    if moment == "route-client":
        lab.curl("svc1", times=100)


@pytest.mark.parametrize("where", TOGETHER, ids="-".join)
def test_exercise_truth_live_equals_recorded(where: tuple[str, str]) -> None:
    story, moment = where
    live, recorded = kanslib.open_lab(story, backend="live"), kanslib.open_lab(story, backend="recorded")
    at(live, moment)
    recorded.at(moment)
    missing, other = {}, {}
    for name in TOGETHER[where]:
        exercise = CATALOG[name]
        try:
            truth = exercise.expected_answer(live)
        except KanslibError as exc:
            if name not in RANDOM:
                missing[name] = str(exc)
            continue
        if exercise.kind == "choice" and name not in RANDOM and truth.value != exercise.expected_answer(recorded).value:
            other[name] = truth.value
    assert (missing, other) == ({}, {})
