"""The script of the course: states that follow from manifests, and moments that a recording knows as well."""

from __future__ import annotations

from itertools import pairwise

import pytest

from kanslib.course import stories
from kanslib.course.addressing import address_plan
from kanslib.exceptions import ClusterError
from kanslib.k8s.objects import identity


@pytest.mark.parametrize("script", stories.SCRIPTED_STORIES.values(), ids=lambda script: script.name)
def test_scripted_stories_moments_unique_and_reachable(script: stories.StoryScript) -> None:
    names = [moment.id for moment in script.moments]
    assert len(set(names)) == len(names)
    states = [script.opening, *(moment.after for moment in script.moments)]
    for (before, after), moment in zip(pairwise(states), script.moments, strict=True):
        assert moment.speaker_pod or before != after, f"{moment.id} changes nothing"


def test_cluster_state_later_manifest_wins() -> None:
    state = stories.LAYER2.plus("services_local")
    policies = {
        doc["metadata"]["name"]: doc["spec"].get("externalTrafficPolicy")
        for doc in state.objects()
        if doc["kind"] == "Service"
    }
    assert policies == dict.fromkeys(("svc1", "svc2", "svc3"), "Local")


def test_cluster_state_deleted_object_absent() -> None:
    gone = stories.SCRIPTED_STORIES["etp-local"].moments[1].after
    pods = [doc["metadata"]["name"] for doc in gone.objects() if doc["kind"] == "Pod"]
    assert pods == ["webpod2"]


@pytest.mark.parametrize(
    ("network", "client", "router", "pool"),
    [
        ("172.18.0.0/16", "172.18.0.100", "172.18.0.200", "172.18.255.200-172.18.255.250"),
        ("172.22.0.0/16", "172.22.0.100", "172.22.0.200", "172.22.255.200-172.22.255.250"),
        ("192.168.228.0/24", "192.168.228.100", "192.168.228.150", "192.168.228.200-192.168.228.250"),
        ("10.89.0.0/20", "10.89.0.100", "10.89.0.150", "10.89.15.200-10.89.15.250"),
    ],
)
def test_address_plan_moves_with_network(network: str, client: str, router: str, pool: str) -> None:
    objects = stories.BGP.plus("source_ranges").objects(network)
    found = {identity(obj)[0::2]: obj["spec"] for obj in objects}
    assert found["IPAddressPool", "my-ippool"]["addresses"] == [pool]
    assert found["BGPPeer", "router"]["peerAddress"] == router
    assert found["Service", "svc2"]["loadBalancerSourceRanges"] == [f"{client}/32"]
    assert address_plan(network).client == client


def test_address_plan_small_network_refused() -> None:
    with pytest.raises(ClusterError, match="needs 256 addresses"):
        address_plan("192.168.1.0/26")


def test_scripted_stories_lesson_is_chapters_in_order() -> None:
    names = [moment.id for moment in stories.WHOLE.moments]
    assert names.index("install-metallb") < names.index("apply-services") < names.index("kill-node")
    assert names.count("apply-services") == 1
    assert "apply-services-2" in names
