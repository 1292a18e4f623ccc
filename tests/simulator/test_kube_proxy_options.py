"""A KubeProxyConfiguration in a kind configuration changes the rules of the nodes, or is refused by kube-proxy."""

from __future__ import annotations

import pytest

import kanslib
from kanslib.exceptions import NotSimulatedError, RefusedError
from kanslib.lab.lab import Lab

HEAD = """kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
nodes: [{role: control-plane}, {role: worker}]
networking: {podSubnet: 10.20.0.0/16, serviceSubnet: 10.96.0.0/16}
kubeadmConfigPatches:
- |
  kind: KubeProxyConfiguration
  apiVersion: kubeproxy.config.k8s.io/v1alpha1
"""
OBJECTS = """
---
apiVersion: v1
kind: Pod
metadata: {name: p1, labels: {app: web}}
spec: {containers: [{name: c, image: whoami, ports: [{containerPort: 80}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: till}
spec: {type: NodePort, selector: {app: web}, ports: [{port: 80, nodePort: 30080}]}
"""


def lab_with(options: str) -> Lab:
    return kanslib.simulate(f"{HEAD}  {options}\n{OBJECTS}")


def rules(options: str) -> list[str]:
    return str(lab_with(options).run("myk8s-worker", "iptables-save")).splitlines()


def pods_of(lines: list[str]) -> set[str]:
    """Return what kube-proxy takes for the range of Pods: traffic from elsewhere to a ClusterIP is masqueraded."""
    return {line.split()[4] for line in lines if line.startswith("-A KUBE-SVC-") and " ! -s " in line}


def test_node_port_addresses_open_node_ports_there_only() -> None:
    lab = lab_with("nodePortAddresses: [203.0.113.0/24]")
    assert lab.curl("myk8s-worker:30080").HOSTNAME.tolist() != ["p1"]
    assert lab_with("nodePortAddresses: [172.18.0.0/16]").curl("myk8s-worker:30080").HOSTNAME.tolist() == ["p1"]


def test_node_port_addresses_primary_is_the_node_itself() -> None:
    last = [line for line in rules("nodePortAddresses: [primary]") if line.endswith("-j KUBE-NODEPORTS")]
    assert [line.split()[3] for line in last if line.startswith("-A KUBE-SERVICES")] == ["172.18.0.3/32"]


def test_cluster_cidr_and_local_mode_decide_who_is_masqueraded() -> None:
    assert pods_of(rules("mode: iptables")) == {"10.20.0.0/16"}
    assert pods_of(rules("clusterCIDR: 10.0.0.0/8")) == {"10.0.0.0/8"}
    assert pods_of(rules("detectLocalMode: NodeCIDR")) == {"10.20.1.0/24"}
    everybody = [line for line in rules("iptables: {masqueradeAll: true}") if line.startswith("-A KUBE-SVC-")]
    assert any("-s " not in line and line.endswith("-j KUBE-MARK-MASQ") for line in everybody)


def test_localhost_node_ports_off_keeps_the_rule_of_the_kubelet() -> None:
    lines = rules("iptables: {localhostNodePorts: false}")
    assert not any("localhost_nps_accepted_pkts" in line for line in lines)
    assert sum(line.startswith("-A KUBE-FIREWALL") for line in lines) == 1
    assert lab_with("iptables: {localhostNodePorts: false}").curl("till").HOSTNAME.tolist() != []


def test_liberal_conntrack_drops_nothing_invalid() -> None:
    assert any("ctstate INVALID" in line for line in rules("mode: iptables"))
    assert not any("ctstate INVALID" in line for line in rules("conntrack: {tcpBeLiberal: true}"))


def test_unread_options_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    lab_with("bindAddress: 0.0.0.0\n  conntrack: {maxPerCore: 0, tcpBeLiberal: true}")
    words = "kubeadmConfigPatches[0].bindAddress · kubeadmConfigPatches[0].conntrack.maxPerCore"
    assert f"not read: {words}" in capsys.readouterr().out.replace("\n", " ")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            "nodePortAddresses: [172.18.0.3]",
            'KubeProxyConfiguration.NodePortAddresses[0]: Invalid value: "172.18.0.3": must be a valid CIDR',
        ),
        ("nodePortAddresses: [172.18.0.0/16, primary]", "can't use both 'primary' and CIDRs"),
        ("clusterCIDR: 10.20.0.0", "must be a valid CIDR block (e.g. 10.100.0.0/16 or fde4:8dba:82e1::/48)"),
    ],
)
def test_options_that_kube_proxy_refuses(options: str, words: str) -> None:
    with pytest.raises(RefusedError) as refused:
        lab_with(options)
    assert refused.value.component == "kube-proxy"
    assert words in refused.value.message


@pytest.mark.parametrize("options", ["mode: ipvs", "detectLocalMode: BridgeInterface"])
def test_options_that_are_not_simulated(options: str) -> None:
    with pytest.raises(NotSimulatedError, match="kube-proxy"):
        lab_with(options)
