"""The rules that our kube-proxy writes beside those of the real one: random clusters, and its own tests."""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from pathlib import Path

import pytest

from kanslib.k8s import kubeproxy
from tests.peers import kubeproxy as peer
from tests.peers.random_clusters import random_cluster

pytestmark = pytest.mark.peers
CLUSTERS = int(os.environ.get("KANS_CLUSTERS", "100"))
SEED = int(os.environ.get("KANS_SEED", "19"))
# syncs of kube-proxy's own tests whose rules do not follow from the objects: the test, and how many of its syncs
HISTORY = {
    "TestSyncProxyRulesLargeClusterMode": 2,  # a partial sync leaves old comments and chains of endpoints in place
    "TestSyncProxyRulesRepeated": 1,  # iptables-restore fails, so the rules of the sync before stay
    "TestLoadBalancerIngressRouteTypeProxy": 1,  # the feature gate LoadBalancerIPMode is switched off
}


def differences(cluster: peer.Cluster) -> list[str]:
    theirs, ours = peer.their_rules(cluster), peer.our_rules(cluster)
    return [
        f"{key}\n  kube-proxy: {theirs.get(key)}\n  ours:       {ours.get(key)}"
        for key in sorted(theirs.keys() | ours.keys())
        if theirs.get(key) != ours.get(key)
    ]


def test_kubeproxy_write_equals_kube_proxy_on_random_clusters(kubeproxy_folder: Path) -> None:
    rng = random.Random(SEED)
    clusters = peer.ask(kubeproxy_folder, [random_cluster(rng) for _ in range(CLUSTERS)])
    rules = sum(len(lines) for cluster in clusters for lines in peer.their_rules(cluster).values())
    print(f"\nseed {SEED}: {len(clusters)} clusters, {rules} rules")
    assert len(clusters) == CLUSTERS
    for number, cluster in enumerate(clusters):
        found = differences(cluster)
        given = json.dumps({key: cluster[key] for key in ("config", "services", "endpointSlices")})
        assert not found, f"seed {SEED}, cluster {number}:\n" + "\n".join(found[:5]) + f"\n{given}"


def test_kubeproxy_write_equals_kube_proxys_own_tests(kubeproxy_folder: Path) -> None:
    syncs = list(peer.own_syncs(kubeproxy_folder))
    differing = [sync for sync in syncs if differences(sync)]
    print(f"\n{len(syncs)} syncs, {len(differing)} differ")
    assert len(syncs) > 100
    found = Counter(sync["test"] for sync in differing)
    texts = "\n".join(line for sync in differing for line in [sync["test"], *differences(sync)[:2]])
    assert found == HISTORY, texts


def test_kubeproxy_health_check_equals_kube_proxys(kubeproxy_folder: Path) -> None:
    rng = random.Random(SEED)
    clusters = peer.ask(kubeproxy_folder, [random_cluster(rng) for _ in range(CLUSTERS)])
    checked = 0
    for cluster in clusters:
        slices, node = cluster["endpointSlices"] or [], cluster["config"]["hostname"]
        answers = kubeproxy.health_checks(cluster["services"], slices, node, peer.config_of(cluster))
        ports = {f"{one.namespace}/{one.service}": one.port for one in answers}
        assert ports == cluster["healthPorts"]
        for one in answers:
            assert one.local_endpoints == cluster["localEndpoints"].get(f"{one.namespace}/{one.service}", 0)
        checked += len(answers)
    assert checked > CLUSTERS / 4
