"""The table that our kube-proxy writes in nftables mode beside the real one's: random clusters, and its own tests."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path

import pytest

from tests.kernel.machine import needs_kernel
from tests.peers import kubeproxy_nftables as peer
from tests.peers.kubeproxy import ask, own_syncs

pytestmark = pytest.mark.peers
CLUSTERS = int(os.environ.get("KANS_CLUSTERS", "100"))
SEED = int(os.environ.get("KANS_SEED", "23"))
# how many of kube-proxy's own tests sync; the others ask of names, maps of Services and endpoints, and their own tracer
TESTS = 23


@pytest.fixture(autouse=True)
def _kernel() -> None:
    needs_kernel()


def test_kubeproxy_nftables_write_equals_kube_proxy_on_random_clusters(nftables_folder: Path) -> None:
    rng = random.Random(SEED)
    clusters = ask(nftables_folder, [peer.random_nftables_cluster(rng) for _ in range(CLUSTERS)])
    found = peer.differences(clusters)
    lines = sum(cluster["rules"].count("\nadd ") for cluster in clusters)
    print(f"\nseed {SEED}: {len(clusters)} clusters, {lines} lines, {sum(map(bool, found))} differ")
    assert len(clusters) == CLUSTERS
    for number, (cluster, differing) in enumerate(zip(clusters, found, strict=True)):
        given = json.dumps({key: cluster[key] for key in ("config", "services", "endpointSlices")})
        assert not differing, f"seed {SEED}, cluster {number}:\n" + "\n".join(differing[:5]) + f"\n{given}"


def test_kubeproxy_nftables_write_equals_kube_proxys_own_tests(nftables_folder: Path) -> None:
    syncs = list(own_syncs(nftables_folder))
    found = peer.differences(syncs)
    differing = [(sync["test"], lines) for sync, lines in zip(syncs, found, strict=True) if lines]
    tests, stale = {sync["test"] for sync in syncs}, sum(bool(sync["staleChains"]) for sync in syncs)
    print(f"\n{len(syncs)} syncs of {len(tests)} tests ({stale} with stale chains), {len(differing)} differ")
    assert len(tests) == TESTS
    assert not differing, "\n".join(line for test, lines in differing for line in [test, *lines[:2]])
