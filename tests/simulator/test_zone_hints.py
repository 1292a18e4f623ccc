"""trafficDistribution: PreferClose gives endpoints a hint for their zone, and kube-proxy follows it."""

from __future__ import annotations

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


def auto(distribution: str = "") -> str:
    notes = "metadata: {name: till, annotations: {service.kubernetes.io/topology-mode: Auto}}"
    return service(distribution).replace("metadata: {name: till}", notes)


def hint_events(lab: Lab) -> list[tuple[str, str]]:
    found = [one for one in lab.objects("events") if one["reason"].startswith("TopologyAwareHints")]
    return [
        (one["reason"], one["message"]) for one in sorted(found, key=lambda one: one["metadata"]["resourceVersion"])
    ]


def test_topology_mode_auto_keeps_requests_in_their_zone() -> None:
    """East has one of three workers, and so the right to one of three endpoints."""
    lab = kanslib.simulate(CLUSTER + PODS + pod("nearer", "myk8s-worker2") + auto())
    assert who_answers(lab) == ["near", "nearer"]
    enabled = ("TopologyAwareHintsEnabled", "Topology Aware Hints has been enabled, addressType: IPv4")
    assert hint_events(lab)[-1] == enabled


def test_topology_mode_auto_gives_an_endpoint_to_a_zone_that_needs_it() -> None:
    pods = "".join(pod(f"p{number}", "myk8s-worker3") for number in range(3))
    lab = kanslib.simulate(CLUSTER + pods + auto())
    slices = [one for one in lab.objects("endpointslices") if one["metadata"]["name"].startswith("till-")]
    zones = [entry["hints"]["forZones"][0]["name"] for one in slices for entry in one["endpoints"]]
    assert sorted(zones) == ["east", "west", "west"]
    assert {entry["zone"] for one in slices for entry in one["endpoints"]} == {"west"}


def test_topology_mode_auto_with_too_few_endpoints_says_so() -> None:
    """The annotation goes before trafficDistribution, also where it gives no hints."""
    lab = kanslib.simulate(CLUSTER + PODS + auto("PreferClose"))
    assert who_answers(lab) == ["far", "near"]
    reason, message = hint_events(lab)[-1]
    assert reason == "TopologyAwareHintsDisabled"
    assert message.endswith("exceeding overload threshold (2 endpoints, 2 zones), addressType: IPv4")


def test_topology_mode_auto_ends_with_the_annotation() -> None:
    lab = kanslib.simulate(CLUSTER + PODS + pod("nearer", "myk8s-worker2") + auto())
    lab.apply(service())
    assert hint_events(lab)[-1] == (
        "TopologyAwareHintsDisabled",
        "Topology Aware Hints has been disabled, addressType: IPv4",
    )
    assert who_answers(lab) == ["far", "near", "nearer"]
