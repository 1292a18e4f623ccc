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
