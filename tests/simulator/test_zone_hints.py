"""trafficDistribution: PreferClose gives endpoints a hint for their zone, and kube-proxy follows it."""

from __future__ import annotations

import pytest

import kanslib
from kanslib.lab.lab import Lab

ZONES = ("east", "west", "west")
NODES = "".join(f"- role: worker\n  labels: {{topology.kubernetes.io/zone: {zone}}}\n" for zone in ZONES)
CLUSTER = f"""
kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
nodes:
- role: control-plane
{NODES}---
apiVersion: metallb.io/v1beta1
kind: IPAddressPool
metadata: {{name: pears, namespace: metallb-system}}
spec: {{addresses: [172.18.255.10-172.18.255.20]}}
---
apiVersion: metallb.io/v1beta1
kind: L2Advertisement
metadata: {{name: all, namespace: metallb-system}}
spec: {{nodeSelectors: [{{matchLabels: {{kubernetes.io/hostname: myk8s-worker2}}}}]}}
"""


def pod(name: str, node: str) -> str:
    containers = "containers: [{name: c, image: whoami, ports: [{containerPort: 80}]}]"
    meta = f"metadata: {{name: {name}, labels: {{app: web}}}}"
    return f"---\napiVersion: v1\nkind: Pod\n{meta}\nspec: {{nodeName: {node}, {containers}}}\n"


def service(distribution: str = "") -> str:
    more = f", trafficDistribution: {distribution}" if distribution else ""
    spec = f"{{type: LoadBalancer, ports: [{{port: 80}}], selector: {{app: web}}{more}}}"
    return f"---\napiVersion: v1\nkind: Service\nmetadata: {{name: till}}\nspec: {spec}\n"


PODS = pod("near", "myk8s-worker3") + pod("far", "myk8s-worker")


def who_answers(lab: Lab) -> list[str]:
    return sorted(lab.curl("till", times=30)["HOSTNAME"])


def test_prefer_close_stays_in_the_zone_of_the_leader() -> None:
    lab = kanslib.simulate(CLUSTER + PODS + service("PreferClose"))
    assert lab.leader("till") == "myk8s-worker2"
    assert who_answers(lab) == ["near"]


def test_without_distribution_every_zone_answers() -> None:
    assert who_answers(kanslib.simulate(CLUSTER + PODS + service())) == ["far", "near"]


def test_prefer_close_leaves_the_zone_that_has_none() -> None:
    lab = kanslib.simulate(CLUSTER + PODS + service("PreferClose"))
    lab.delete_object("pod/near")
    assert who_answers(lab) == ["far"]


def test_prefer_close_follows_the_label_of_the_node() -> None:
    lab = kanslib.simulate(CLUSTER + PODS + service("PreferClose"))
    lab.label("myk8s-worker2", "topology.kubernetes.io/zone=east")
    assert who_answers(lab) == ["far"]


def test_endpoints_keep_their_zone_until_a_pod_of_the_service_changes() -> None:
    lab = kanslib.simulate(CLUSTER + PODS + service())

    def zones() -> set[object]:
        slices = [one for one in lab.objects("endpointslices") if one["metadata"]["name"].startswith("till-")]
        return {entry["zone"] for one in slices for entry in one["endpoints"]}

    lab.label("myk8s-worker3", "topology.kubernetes.io/zone=north")
    lab.apply(pod("another", "myk8s-worker").replace("app: web", "app: other"))
    assert zones() == {"east", "west"}
    lab.apply(pod("third", "myk8s-worker"))
    assert zones() == {"east", "north"}


def test_hints_are_gone_without_distribution() -> None:
    lab = kanslib.simulate(CLUSTER + PODS + service("PreferClose"))

    def hints() -> list[object]:
        slices = [one for one in lab.objects("endpointslices") if one["metadata"]["name"].startswith("till-")]
        return [entry.get("hints") for one in slices for entry in one["endpoints"]]

    assert sorted(map(str, hints())) == [
        "{'forZones': [{'name': 'east'}]}",
        "{'forZones': [{'name': 'west'}]}",
    ]
    lab.apply(service())
    assert hints() == [None, None]


def test_topology_mode_auto_is_not_simulated_and_said(capsys: pytest.CaptureFixture[str]) -> None:
    """The annotation goes before trafficDistribution; its own hints need the CPUs of the nodes."""
    notes = "metadata: {name: till, annotations: {service.kubernetes.io/topology-mode: Auto}}"
    lab = kanslib.simulate(CLUSTER + PODS + service("PreferClose").replace("metadata: {name: till}", notes))
    assert "service/till metadata.annotations[service.kubernetes.io/topology-mode]" in capsys.readouterr().out
    assert who_answers(lab) == ["far", "near"]
