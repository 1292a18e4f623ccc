"""What a kind configuration decides in a simulated cluster, and what kind says of a wrong one."""

from __future__ import annotations

import pytest

import kanslib
from kanslib.exceptions import NotSimulatedError, RefusedError
from kanslib.lab.lab import Lab
from kanslib.metallb import election

HEAD = "kind: Cluster\napiVersion: kind.x-k8s.io/v1alpha4\n"
THREE = "nodes: [{role: control-plane}, {role: worker}, {role: worker}]\n"
POOL = """apiVersion: metallb.io/v1beta1
kind: IPAddressPool
metadata: {name: pears, namespace: metallb-system}
spec: {addresses: [172.18.255.10/32]}
---
apiVersion: metallb.io/v1beta1
kind: L2Advertisement
metadata: {name: all, namespace: metallb-system}
---
apiVersion: v1
kind: Pod
metadata: {name: p1, labels: {app: web}}
spec: {containers: [{name: c, image: whoami, ports: [{containerPort: 80}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: till}
spec: {type: LoadBalancer, selector: {app: web}, ports: [{port: 80}]}
"""


def _names(lab: Lab) -> list[str]:
    return [one["metadata"]["name"] for one in lab.objects("nodes")]


def test_simulate_cluster_name_names_nodes_and_decides_leader() -> None:
    lab = kanslib.simulate(f"{HEAD}name: orchard\n{THREE}---\n{POOL}")
    assert _names(lab) == ["orchard-control-plane", "orchard-worker", "orchard-worker2"]
    assert lab.leader("till") == election.order(["orchard-worker", "orchard-worker2"], "172.18.255.10")[0]
    assert lab.curl("till", times=2).HOSTNAME.tolist() == ["p1"]


def test_simulate_several_control_planes() -> None:
    lab = kanslib.simulate(f"{HEAD}nodes: [{{role: control-plane}}, {{role: control-plane}}, {{role: worker}}]")
    assert _names(lab) == ["myk8s-control-plane", "myk8s-control-plane2", "myk8s-worker"]
    tainted = [one["metadata"]["name"] for one in lab.objects("nodes") if one["spec"].get("taints")]
    assert tainted == ["myk8s-control-plane", "myk8s-control-plane2"]


def test_simulate_labels_and_taints_by_kubeadm_patches() -> None:
    patches = """nodes:
- role: control-plane
  kubeadmConfigPatches:
  - |
    kind: InitConfiguration
    nodeRegistration: {taints: []}
- role: worker
  labels: {disk: ssd}
  kubeadmConfigPatches:
  - |
    kind: JoinConfiguration
    nodeRegistration: {kubeletExtraArgs: {node-labels: "zone=east,rack=r1"}}
  - |
    kind: InitConfiguration
    nodeRegistration: {kubeletExtraArgs: {node-labels: "zone=west"}}
"""
    control_plane, worker = kanslib.simulate(HEAD + patches).objects("nodes")
    assert "taints" not in control_plane["spec"]
    labels = worker["metadata"]["labels"]
    assert (labels["zone"], labels["rack"], labels["disk"]) == ("east", "r1", "ssd")


@pytest.mark.parametrize(
    ("pods", "services", "cidrs", "kubernetes"),
    [
        ("10.64.128.0/17", "10.96.0.0/12", ["10.64.128.0/24", "10.64.129.0/24"], "10.96.0.1"),
        ("10.64.130.0/23", "172.30.7.64/27", ["10.64.130.0/24", "10.64.131.0/24"], "172.30.7.65"),
        ("100.64.0.0/8", "10.96.3.0/25", ["100.0.0.0/24", "100.0.1.0/24"], "10.96.3.1"),
    ],
)
def test_simulate_subnets_of_any_length(pods: str, services: str, cidrs: list[str], kubernetes: str) -> None:
    networking = f"networking: {{podSubnet: {pods}, serviceSubnet: {services}}}\n"
    lab = kanslib.simulate(f"{HEAD}nodes: [{{role: control-plane}}, {{role: worker}}]\n{networking}---\n{POOL}")
    assert [one["spec"]["podCIDR"] for one in lab.objects("nodes")] == cidrs
    assert lab.object("service", "kubernetes")["spec"]["clusterIP"] == kubernetes
    assert lab.object("pod", "p1")["status"]["podIP"].startswith(cidrs[1].removesuffix("0/24"))
    taken = f"""apiVersion: v1
kind: Service
metadata: {{name: second}}
spec: {{clusterIP: {lab.object("service", "till")["spec"]["clusterIP"]}, ports: [{{port: 80}}]}}"""
    with pytest.raises(RefusedError, match="provided IP is already allocated"):
        lab.apply(taken)


@pytest.mark.parametrize(
    ("configuration", "words"),
    [
        ("nodess: []", "field nodess not found in type v1alpha4.Cluster"),
        ("networking: {podsubnet: 10.0.0.0/8}", "field podsubnet not found in type v1alpha4.Networking"),
        ("nodes: [{role: control-plane, label: {a: b}}]", "field label not found in type v1alpha4.Node"),
        ("nodes: [{role: worker}]", "must have at least one control-plane node"),
        (
            "nodes: [{role: master}]",
            'node 0: "master" is not a valid node role, must have at least one control-plane node]',
        ),
        (
            "networking: {kubeProxyMode: ebpf, podSubnet: 10.0.0.0}",
            'cidr value:"10.0.0.0" with error: invalid CIDR address: 10.0.0.0, invalid kubeProxyMode: ebpf]',
        ),
        ("name: Big_One", "'Big_One' is not a valid cluster name, cluster names must match `^[a-z0-9.-]+$`"),
        ("networking: {ipFamily: IPv4}", "invalid ipFamily: IPv4"),
    ],
)
def test_simulate_refuses_in_the_words_of_kind(configuration: str, words: str) -> None:
    """The words are those that kind v0.24.0 printed, without the number of the line."""
    with pytest.raises(RefusedError) as refused:
        kanslib.simulate(HEAD + configuration)
    assert refused.value.component == "kind"
    assert refused.value.message.endswith(words)


@pytest.mark.parametrize("networking", ["kubeProxyMode: ipvs", "kubeProxyMode: nftables"])
def test_simulate_says_what_it_cannot(networking: str) -> None:
    with pytest.raises(NotSimulatedError, match="not simulated: "):
        kanslib.simulate(f"{HEAD}networking: {{{networking}}}")


def test_simulate_lists_what_it_does_not_read(capsys: pytest.CaptureFixture[str]) -> None:
    kanslib.simulate(HEAD + "featureGates: {A: true}\nnetworking: {apiServerPort: 6443}\n" + THREE)
    assert "not simulated, and not read: featureGates · networking.apiServerPort" in capsys.readouterr().out
    kanslib.simulate(HEAD + THREE)
    assert "not read" not in capsys.readouterr().out
