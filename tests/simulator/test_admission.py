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
