"""How long things took, in every recorded instance, beside what the simulator takes for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime

import pytest

from kanslib.k8s.objects import KubeObject, is_ready
from kanslib.metallb import memberlist
from kanslib.recording.format import Action
from kanslib.simulator.delays import DELAYS
from tests.metallb.recording_helpers import RecordedCluster, members_seen_by

LONGEST = 120.0  # seconds after an act in which its effect is looked for


@pytest.fixture(params=["recording", "reference_recording"])
def cluster(request: pytest.FixtureRequest) -> RecordedCluster:
    return RecordedCluster(request.getfixturevalue(request.param))


def acts(cluster: RecordedCluster, verb: str) -> Iterator[tuple[Action, float, str]]:
    """Each act of a verb with the moment and the target of its step."""
    for act in cluster.recording.manifest.actions:
        for step in act.steps:
            if step.verb == verb:
                yield act, step.t, step.targets[0] if step.targets else ""


def first(cluster: RecordedCluster, kind: str, since: float, holds: Callable[[KubeObject], bool]) -> float | None:
    """Seconds from a moment until an object of a kind is first so, by its watch."""
    events = [e for e in cluster.watch(kind) if since <= e.t <= since + LONGEST and e.type not in ("LIST", "DELETED")]
    return next((e.t - since for e in events if holds(e.object)), None)


def named(name: str, ready: bool) -> Callable[[KubeObject], bool]:
    return lambda obj: obj["metadata"]["name"] == name and is_ready(obj) == ready


def near(taken: float, instances: list[float], least: int) -> None:
    """The twin's delay lies among the recorded ones, or not far outside."""
    print(f"\n{taken:g} s beside {sorted(round(one, 2) for one in instances)}")
    assert len(instances) >= least
    assert min(instances) * 0.6 - 0.2 <= taken <= max(instances) * 1.6 + 0.2


def test_delays_not_ready_when_lease_expires(cluster: RecordedCluster) -> None:
    """Counted from the last renewal: the grace period, and at most one period more until somebody looks."""
    taken = []
    for verb in ("kill_node", "link_down"):
        for _, t, node in acts(cluster, verb):
            seconds = first(cluster, "nodes", t, named(node, ready=False))
            renewed = [o["spec"]["renewTime"] for o in cluster.at(t, "leases") if o["metadata"]["name"] == node]
            if seconds is None or not renewed:
                continue
            taken.append(seconds)
            age = (t - datetime.fromisoformat(renewed[0]).timestamp()) % DELAYS.lease_period
            earliest = DELAYS.monitor_grace - age
            assert earliest - 1 <= seconds <= earliest + DELAYS.monitor_period + 2.5, (
                f"{node}: {seconds:.1f} s, {age:.1f}"
            )
    near(DELAYS.not_ready(DELAYS.lease_period / 2), taken, 3)


def test_delays_node_boot(cluster: RecordedCluster) -> None:
    boots, runs, joins = [], [], []
    for _, t, node in acts(cluster, "start_node"):
        known = members_seen_by(cluster, cluster.segment_at(t).control_plane)
        boots.append(first(cluster, "nodes", t, named(node, ready=True)) or 0)
        pods = [o["metadata"]["name"] for o in cluster.at(t, "pods") if o["spec"].get("nodeName") == node]
        web = next(name for name in pods if name.startswith("webpod"))
        gone = first(cluster, "pods", t, named(web, ready=False)) or 0
        runs.append(gone + (first(cluster, "pods", t + gone, named(web, ready=True)) or 0))
        joins.append(next(when - t for when, who in known if when >= t and node in who))
    near(DELAYS.boot, boots, 2)
    near(DELAYS.restart, runs, 2)
    near(DELAYS.rejoin, joins, 2)


def test_delays_link_up(cluster: RecordedCluster) -> None:
    pods = [
        seconds
        for _, t, _ in acts(cluster, "link_up")
        if (seconds := first(cluster, "pods", t, named("webpod1", True)))
    ]
    near(DELAYS.link_up, pods, 1)
    joins = []
    for _, t, node in acts(cluster, "link_up"):
        known = members_seen_by(cluster, cluster.segment_at(t).control_plane)
        joins += [when - t for when, who in known if when >= t and node in who][:1]
    near(DELAYS.link_up_rejoin, joins, 1)


def test_delays_speaker_replaced(cluster: RecordedCluster) -> None:
    leaves, returns = [], []
    for act, t, _ in acts(cluster, "delete"):
        if act.id.startswith("delete-speaker-pod"):
            known = members_seen_by(cluster, cluster.segment_at(t).control_plane)
            left = next(when for when, who in known if when >= t and len(who) == 3)
            leaves.append(left - t)
            returns.append(next(when for when, who in known if when > left and len(who) == 4) - t)
    near(DELAYS.leave, leaves, 1)
    near(DELAYS.replacement_joins, returns, 1)


def test_delays_pod_start(cluster: RecordedCluster) -> None:
    taken = [
        seconds
        for act, t, _ in acts(cluster, "apply")
        if act.id.startswith("apply-pods")
        and (seconds := first(cluster, "pods", t, named("webpod1", True)))
        and seconds > 0.5
    ]
    near(DELAYS.pod_start, taken, 2)


def test_delays_gossip_typical(cluster: RecordedCluster) -> None:
    taken = []
    for verb in ("kill_node", "link_down"):
        for _, t, node in acts(cluster, verb):
            known = members_seen_by(cluster, cluster.segment_at(t).control_plane)
            taken.append(next(when - t for when, who in known if when >= t and node not in who))
    near(memberlist.typical(4).dead, taken, 3)
