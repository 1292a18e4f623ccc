"""What kube-proxy itself answers on a healthCheckNodePort, and where no Pod does."""

from __future__ import annotations

import kanslib
from kanslib.lab.lab import Lab
from tests.simulator.test_router import CLUSTER

LOCAL = CLUSTER.replace("selector: {app: web}}", "selector: {app: web}, externalTrafficPolicy: Local}").replace(
    "spec: {containers:", "spec: {nodeName: myk8s-worker, containers:"
)

L2_ADVERTISEMENT = """---
apiVersion: metallb.io/v1beta1
kind: L2Advertisement
metadata: {name: all, namespace: metallb-system}
"""


def answers(lab: Lab, node: str) -> list[str]:
    port = lab.object("service", "till")["spec"]["healthCheckNodePort"]
    return list(lab.curl(f"{lab.address(node)}:{port}", times=1)["HOSTNAME"])


def test_curl_health_check_200_where_an_endpoint_is() -> None:
    lab = kanslib.simulate(LOCAL)
    assert answers(lab, "myk8s-worker") == ["HTTP 200"]
    assert answers(lab, "myk8s-worker2") == ["HTTP 503"]


def test_curl_health_check_follows_the_endpoint() -> None:
    lab = kanslib.simulate(LOCAL)
    lab.delete_object("pod/p1")
    assert answers(lab, "myk8s-worker") == ["HTTP 503"]


def test_curl_host_network_pod_says_the_name_of_its_node() -> None:
    host_network = CLUSTER.replace("spec: {containers:", "spec: {hostNetwork: true, containers:")
    lab = kanslib.simulate(host_network + L2_ADVERTISEMENT)
    node = lab.object("pod", "p1")["spec"]["nodeName"]
    assert list(lab.curl("till", times=2)["HOSTNAME"]) == [node]
