"""Random manifests to the API server of the course's cluster and to the simulator: both take them, or say the same.

Run with `pytest -m live tests/live/test_refusals.py`. KANS_SEED sets the seed, KANS_MANIFESTS how many of each kind.
"""

from __future__ import annotations

import copy
import json
import os
import random
import re
import time
from collections.abc import Callable
from typing import Any

import pytest

from kanslib.backends.live import LiveBackend
from kanslib.cluster.api import kubectl
from kanslib.exceptions import RefusedError
from kanslib.lab.lab import Lab
from kanslib.simulator.simulator import InitialState, Simulator
from tests.live.live_and_simulated import CHANCE
from tests.simulator import random_manifests
from tests.types import OpenLab

pytestmark = pytest.mark.live
SEED = int(os.environ.get("KANS_SEED", "20261126"))
COUNT = int(os.environ.get("KANS_MANIFESTS", "100"))
KINDS = ("nodes", "namespaces", "services")
# what kubectl adds before the API server's message
PREFIX = re.compile(r'^(Error from server \(\w+\): )?(error when creating "STDIN": )?')


def real_message(manifest: dict[str, Any]) -> str:
    """Return what the API server says of a new object; empty when it takes it. The object is deleted again."""
    result = kubectl("create --validate=strict -f -", json.dumps(manifest))
    if result.rc == 0:
        kubectl("delete --wait=true --grace-period=0 --force -f -", json.dumps(manifest))
    return PREFIX.sub("", result.err.strip()) if result.rc else ""


def simulated_message(initial: InitialState, manifest: dict[str, Any]) -> str:
    """Return what the simulator says of it."""
    try:
        Simulator(initial).apply([copy.deepcopy(manifest)])
    except RefusedError as refused:
        return refused.message
    return ""


def comparable(message: str) -> str:
    """Return a message without what is chance, and without the form in which kubectl prints several errors."""
    head, _, errors = CHANCE.sub("", message).removeprefix("The ").partition("is invalid: ")
    if not errors:
        return head
    one_line = re.sub(r"\n\* ", ", ", errors.strip())
    lines = re.split(r", (?=spec|metadata)", re.sub(r"^\[|\]$|^\* ", "", one_line))
    return f"{head.split('.')[0].split(' ')[0]} {sorted(lines)}"


@pytest.mark.parametrize("make", [random_manifests.service, random_manifests.pod, random_manifests.workload])
def test_simulator_refuses_in_the_words_of_the_api_server(make: Callable[[random.Random], dict[str, Any]]) -> None:
    lab = Lab(LiveBackend("l2"), "l2")
    initial = InitialState(
        moment=time.time(), objects={kind: lab.objects(kind) for kind in KINDS}, network=lab.network(),
        addresses={}, macs={}, cluster_cidr="10.10.0.0/16", control_plane=lab.control_plane, client=None,
    )  # fmt: skip
    differences = list[str]()
    for number in range(COUNT):
        manifest = make(random.Random(SEED + number))
        real, simulated = real_message(manifest), simulated_message(initial, manifest)
        if comparable(real) != comparable(simulated):
            differences.append(f"seed {SEED + number}: {real or 'taken'}\n  simulated: {simulated or 'taken'}")
    assert not differences, "\n".join(differences)


REFUSED = """apiVersion: v1
kind: ConfigMap
metadata: {name: there}
---
apiVersion: v1
kind: Service
metadata: {name: till}
spec: {type: LoadBalancer, ports: [{port: 0}]}
"""
POOL = """apiVersion: metallb.io/v1beta1
kind: IPAddressPool
metadata: {name: second, namespace: metallb-system}
spec: {addresses: [172.18.255.240/28]}
"""


REFUSED_ACTIONS: tuple[Callable[[Lab], object], ...] = (
    lambda lab: lab.apply(REFUSED),
    lambda lab: lab.apply(POOL),
    lambda lab: lab.apply(POOL.replace("IPAddressPool", "IPAddresPool")),
    lambda lab: lab.delete_object("namespace/kube-system"),
    lambda lab: lab.label("myk8s-worker", "rack=a b"),
)


def test_lab_refuses_alike_live_and_simulated(open_lab: OpenLab) -> None:
    words = dict[str, list[tuple[str, str]]]()
    for backend in ("live", "simulated"):
        lab = open_lab(story="arp", backend=backend)
        words[backend] = []
        for act in REFUSED_ACTIONS:
            with pytest.raises(RefusedError) as refused:
                act(lab)
            words[backend].append((refused.value.component, refused.value.message))
        assert "there" in {one["metadata"]["name"] for one in lab.objects("configmaps", "default")}
        lab.delete_object("configmap/there")
    assert words["live"] == words["simulated"]
