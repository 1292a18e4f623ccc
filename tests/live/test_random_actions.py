"""Do the same random actions to the course's cluster and to a simulator, and compare both after each few of them.

Run with `pytest -m live tests/live/test_random_actions.py -s`; it takes half an hour. KANS_SEED sets the seed,
KANS_ACTIONS the number of actions.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator

import pytest

from kanslib.backends.live import LiveBackend
from kanslib.cluster import docker
from kanslib.cluster.api import CONTROL_PLANE, kubectl
from kanslib.course import stories
from kanslib.lab.lab import Lab
from tests.live.live_and_simulated import LiveAndSimulated
from tests.live.random_actions import RandomActions

pytestmark = pytest.mark.live
SEED = int(os.environ.get("KANS_SEED", "20261126"))
ACTION_COUNT = int(os.environ.get("KANS_ACTIONS", "300"))
SETTLES_WITHIN = 45.0  # seconds that the cluster's controllers may need
RECONNECTS_WITHIN = 150.0  # seconds: MetalLB waits for up to two minutes between two attempts to reach a router

MANIFEST = "/etc/kubernetes/manifests/kube-controller-manager.yaml"
STARTED = "bootstrapsigner,tokencleaner"


@pytest.fixture
def steady() -> Iterator[None]:
    """Run kube-controller-manager without service-lb-controller, which panics in v1.31.0 at every changed policy.

    k8s.io/cloud-provider v0.31.0 controllers/service/controller.go needsUpdate writes an event with a recorder that
    does not exist without a cloud. After a few panics the restarts take minutes, without updates of endpoints.
    """
    changed = f"{STARTED},-service-lb-controller"
    try:
        _controllers(STARTED, changed)
        yield
    finally:
        _controllers(changed, STARTED)


def _controllers(before: str, after: str) -> None:
    """Change the controllers of the course's own cluster, and wait until they run."""
    # edited elsewhere first: the kubelet starts every file in that folder
    edit = f"sed 's/--controllers=\\*,{before}$/--controllers=*,{after}/' {MANIFEST} > /tmp/edited"
    docker.exec_in(CONTROL_PLANE, f"{edit} && cp /tmp/edited {MANIFEST}")
    for _ in range(120):
        time.sleep(1)
        shown = "{.items[*].spec.containers[0].command} {.items[*].status.containerStatuses[0].ready}"
        result = kubectl(f"get pods -n kube-system -l component=kube-controller-manager -o jsonpath='{shown}'")
        if f'{after}"' in result.out.replace("'", '"') and "true" in result.out:
            return
    raise AssertionError(f"kube-controller-manager did not come back: {result.out}")


def wait_until_equal(both: LiveAndSimulated) -> tuple[list[str], float]:
    """Return what still differs after the time that the cluster may need, and the seconds that it took."""
    began = time.time()
    while found := both.differences():
        allowed = RECONNECTS_WITHIN if all("BGP" in one for one in found) else SETTLES_WITHIN
        if both.lost:
            allowed = max(allowed, 90.0)
        if time.time() - began > allowed:
            break
        if not both.controllers_run():  # on a busy machine the controller manager restarts at times
            began = time.time()
        time.sleep(0.5)
    return found, time.time() - began


def test_simulator_equals_live_after_random_actions(steady: None) -> None:
    live = LiveBackend("election")
    lab = Lab(live, "election")
    assert stories.SCRIPTED_STORIES["election"].opening == stories.LAYER2
    both = LiveAndSimulated(lab, live)
    rng = random.Random(SEED)
    chosen = RandomActions(both, rng)
    slowest, began, done, differences = 0.0, time.time(), 0, list[str]()
    try:
        while done < ACTION_COUNT:
            group = min(rng.choice([1, 2, 3, 4, 5]), ACTION_COUNT - done)
            refused = list(filter(None, (chosen.play() for _ in range(group))))
            done += group
            found, seconds = wait_until_equal(both)
            if found and both.chance_services():
                both.counts["chances"] += 1
                both.start_again()
                continue
            slowest = max(slowest, seconds)
            if found or refused:
                told = [*refused, *found[:6], "before:", *chosen.log[-group - 4 :]]
                differences.append(f"after {done} actions:\n" + "\n".join(told))
                print(differences[-1], flush=True)
                both.start_again()
    finally:
        print(f"\nseed {SEED}: {done} actions in {time.time() - began:.0f} s; compared {dict(both.counts)}")
        print(f"equal within {slowest:.1f} s at the most")
        chosen.clear()
        lab.restore()
    assert not differences, f"seed {SEED}:\n" + "\n\n".join(differences)
