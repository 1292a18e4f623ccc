"""EndpointSlices that nobody but their author manages, and those that kube-proxy leaves to others."""

from __future__ import annotations

import pytest

import kanslib
from kanslib.lab.lab import Lab
from tests.simulator.test_zone_hints import CLUSTER, PODS, service, who_answers

NO_SELECTOR = service().replace(", selector: {app: web}", "")


def piece(name: str, address: str, kind: str = "IPv4", labels: str = "") -> str:
    meta = f"metadata: {{name: {name}, labels: {{kubernetes.io/service-name: till{labels}}}}}"
    rest = f"addressType: {kind}\nports: [{{port: 80}}]\nendpoints: [{{addresses: [{address}]}}]"
    return f"apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n{meta}\n{rest}\n"


@pytest.fixture
def lab() -> Lab:
    return kanslib.simulate(CLUSTER + PODS + NO_SELECTOR)


def address_of(lab: Lab, pod: str) -> str:
    return str(lab.object("pod", pod)["status"]["podIP"])


def test_manual_slices_of_a_service_without_selector(lab: Lab) -> None:
    lab.apply(piece("first", address_of(lab, "near")))
    assert who_answers(lab) == ["near"]
    lab.apply(piece("second", address_of(lab, "far")))
    assert who_answers(lab) == ["far", "near"]
    lab.delete_object("endpointslice/first")
    assert who_answers(lab) == ["far"]


@pytest.mark.parametrize(
    ("kind", "address", "labels"),
    [
        ("FQDN", "db.example.test", ""),
        ("IPv4", "", ", service.kubernetes.io/service-proxy-name: mesh"),
        ("IPv4", "", ', service.kubernetes.io/headless: ""'),
    ],
)
def test_manual_slices_that_kube_proxy_leaves_to_others(lab: Lab, kind: str, address: str, labels: str) -> None:
    lab.apply(piece("first", address_of(lab, "near")))
    lab.apply(piece("second", address or address_of(lab, "far"), kind, labels))
    assert who_answers(lab) == ["near"]


def test_manual_slice_beside_those_of_the_controller() -> None:
    lab = kanslib.simulate(CLUSTER + PODS + service())
    lab.delete_object("pod/far")
    lab.apply(piece("more", address_of(lab, "near")))  # the controller's slice has this address already
    assert who_answers(lab) == ["near"]
    assert len([one for one in lab.objects("endpointslices") if one["metadata"]["namespace"] == "default"]) >= 2
