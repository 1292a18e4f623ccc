"""Whatever is applied, the simulator takes it or refuses it in words: it never crashes."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

import kanslib
from kanslib.exceptions import RefusedError
from tests.simulator import random_manifests


@pytest.mark.parametrize("make", [random_manifests.service, random_manifests.pod, random_manifests.workload])
def test_lab_apply_random_manifests_taken_or_refused(make: Callable[[random.Random], dict[str, Any]]) -> None:
    lab, refusals = kanslib.simulate("kind: Cluster\nnodes: [{role: control-plane}]"), list[RefusedError]()
    for seed in range(250):
        manifest = make(random.Random(seed))
        try:
            lab.apply(manifest)
        except RefusedError as refused:
            refusals.append(refused)
        else:
            lab.delete(manifest)
    assert 100 < len(refusals) < 245
    assert {refused.component for refused in refusals} <= {"kubectl", "kube-apiserver"}
    assert all(refused.message for refused in refusals)
