"""A cluster that is made from a manifest has CoreDNS, kube-proxy and a pod network, as kind makes them."""

from __future__ import annotations

import kanslib

CLUSTER = """kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
nodes: [{role: control-plane}, {role: worker}]
networking: {podSubnet: 10.20.0.0/16, serviceSubnet: 10.96.0.0/16}
"""


def test_simulate_has_kube_dns_with_two_endpoints() -> None:
    lab = kanslib.simulate(CLUSTER)
    assert lab.object("service", "kube-dns", "kube-system")["spec"]["clusterIP"] == "10.96.0.10"
    rules = str(lab.run("myk8s-worker", "iptables-save"))
    dns = {line.split()[-1] for line in rules.splitlines() if "DNAT" in line and '"kube-system/kube-dns:dns"' in line}
    assert dns == {"10.20.0.2:53", "10.20.0.3:53"}


def test_simulate_daemons_run_on_every_node() -> None:
    pods = kanslib.simulate(CLUSTER).objects("pods")
    for daemon in ("kube-proxy", "kindnet"):
        own = [one for one in pods if one["metadata"]["name"].startswith(daemon)]
        assert sorted(one["spec"]["nodeName"] for one in own) == ["myk8s-control-plane", "myk8s-worker"]
    assert len({one["metadata"]["uid"] for one in pods}) == len(pods)


def test_simulate_core_dns_is_made_anew() -> None:
    lab = kanslib.simulate(CLUSTER)
    before = [one["metadata"]["name"] for one in lab.objects("pods") if "coredns" in one["metadata"]["name"]]
    lab.delete_object(f"pod/kube-system/{before[0]}")
    after = [one["metadata"]["name"] for one in lab.objects("pods") if "coredns" in one["metadata"]["name"]]
    assert len(after) == 2
    assert before[0] not in after


def test_pods_of_kube_system_are_ready() -> None:
    assert set(kanslib.simulate(kanslib.manifests.kind_cluster).pods().READY) == {"1/1"}
