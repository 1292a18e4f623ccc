"""What the simulator refuses, beside what a real cluster refused: tests/data/refusals.json has its words."""

from __future__ import annotations

import json

import pytest

import kanslib
from kanslib.exceptions import ManifestError, RefusedError
from tests.data.record_refusals import FILE, metallb

CLUSTER = """kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
name: api
nodes: [{role: control-plane}, {role: worker}]
networking: {podSubnet: 10.10.0.0/16, serviceSubnet: 10.200.1.0/24}
"""
METALLB = metallb("IPAddressPool", "addresses: [198.51.100.0/28]", name="there")
ROWS = json.loads(FILE.read_text(encoding="utf-8"))


@pytest.mark.parametrize("row", ROWS, ids=[row["case"] for row in ROWS])
def test_lab_apply_refused_in_the_words_of_the_cluster(row: dict[str, str]) -> None:
    before = [row["before"]] if row["before"] else []
    lab = kanslib.simulate("\n---\n".join([CLUSTER, METALLB, *before]))
    if row["case"] in ("no kind", "no name"):  # no object: kanslib says so before kubectl is asked
        with pytest.raises(ManifestError, match=r"kind and metadata\.name are needed"):
            lab.apply(row["manifest"])
        return
    with pytest.raises(RefusedError) as refused:
        lab.apply(row["manifest"])
    assert refused.value.component == row["component"]
    compared = row["message"].partition("\n")[0] if "core.PodSpec{" in row["message"] else row["message"]
    assert refused.value.message == compared  # without Go's comparison of two specs


_CHARACTERS = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric"


@pytest.mark.parametrize(
    ("labels", "component", "message"),
    [
        (
            ["rack=a b"],
            "kubectl",
            'invalid label value: "rack=a b": a valid label must be an empty string or consist of',
        ),
        (
            [f"rack={'x' * 64}"],
            "kubectl",
            f'invalid label value: "rack={"x" * 64}": must be no more than 63 characters',
        ),
        (["a=b=c"], "kubectl", "invalid label spec: a=b=c"),
        (["rack"], "kubectl", "at least one label update is required"),
        (
            ["/rack=1"],
            "kube-apiserver",
            'Node "api-worker" is invalid: metadata.labels: Invalid value: "/rack": prefix part must be non-empty',
        ),
        (
            ["r a c k=1"],
            "kube-apiserver",
            f'Node "api-worker" is invalid: metadata.labels: Invalid value: "r a c k": name part {_CHARACTERS}',
        ),
        (
            ["/a=1", "/x=2"],
            "kube-apiserver",
            (
                'Node "api-worker" is invalid: [metadata.labels: Invalid value: "/a": prefix part must be non-empty, '
                'metadata.labels: Invalid value: "/x": prefix part must be non-empty]'
            ),
        ),
    ],
)
def test_lab_label_refused_in_the_words_of_the_cluster(labels: list[str], component: str, message: str) -> None:
    lab = kanslib.simulate(CLUSTER)
    with pytest.raises(RefusedError) as refused:
        lab.label("api-worker", *labels)
    assert (refused.value.component, refused.value.message[: len(message)]) == (component, message)
    assert "rack" not in lab.object("node", "api-worker")["metadata"]["labels"]


def peer(spec: str) -> str:
    fields = f"myASN: 64500, peerASN: 64501, peerAddress: 192.0.2.1, {spec}"
    return metallb("BGPPeer", fields, name="edge").replace("metallb.io/v1beta1", "metallb.io/v1beta2")


@pytest.mark.parametrize(
    ("spec", "details"),
    [
        ("connectTime: 0s", ["connect time should be between 1 seconds to 65535"]),
        ("connectTime: 65536s", ["connect time should be between 1 seconds to 65535"]),
        ("connectTime: 1500ms", ["connect time should contain a whole number of seconds"]),
        (
            "connectTime: 10ms",
            [
                "connect time should be between 1 seconds to 65535",
                "connect time should contain a whole number of seconds",
            ],
        ),
    ],
)
def test_lab_apply_rules_of_a_peers_connect_time(spec: str, details: list[str]) -> None:
    """The rules and their words: MetalLB v0.14.8 config/crd/bases/metallb.io_bgppeers.yaml."""
    lab = kanslib.simulate("\n---\n".join([CLUSTER, METALLB]))
    with pytest.raises(RefusedError) as refused:
        lab.apply(peer(spec))
    assert refused.value.component == "kube-apiserver"
    errors = [f'spec.connectTime: Invalid value: "string": {detail}' for detail in details]
    listed = errors[0] if len(errors) == 1 else f"[{', '.join(errors)}]"
    assert refused.value.message == f'BGPPeer.metallb.io "edge" is invalid: {listed}'


def test_lab_apply_rules_of_a_peer_wait_for_its_types() -> None:
    lab = kanslib.simulate("\n---\n".join([CLUSTER, METALLB]))
    with pytest.raises(RefusedError) as refused:
        lab.apply(peer("connectTime: 0s, vrf: 1"))
    assert "connect time should" not in refused.value.message
    assert "some validation rules were not checked" in refused.value.message


def test_lab_apply_graceful_restart_stays_as_it_was_created() -> None:
    lab = kanslib.simulate("\n---\n".join([CLUSTER, METALLB]))
    lab.apply(peer("enableGracefulRestart: false"))
    with pytest.raises(RefusedError, match="EnableGracefulRestart cannot be changed after creation"):
        lab.apply(peer("enableGracefulRestart: true"))


def test_lab_apply_key_that_stands_twice_counts_once() -> None:
    """Kubectl v1.31 keeps the last one and says nothing: its decoder (apimachinery util/yaml) is not strict."""
    lab = kanslib.simulate("\n---\n".join([CLUSTER, METALLB]))
    lab.apply("kind: ConfigMap\napiVersion: v1\nmetadata: {name: twice}\ndata: {a: '1'}\ndata: {a: '2'}\n")
    assert lab.object("configmap", "twice")["data"] == {"a": "2"}
