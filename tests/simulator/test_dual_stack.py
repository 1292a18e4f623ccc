"""Clusters of ipFamily dual and ipv6: addresses, Services, MetalLB's layer 2, the rules of ip6tables, requests."""

from __future__ import annotations

import pytest

import kanslib
from kanslib.exceptions import NotSimulatedError, RefusedError
from kanslib.lab.lab import Lab
from kanslib.metallb import election
from kanslib.packets.icmp import ADVERTISEMENT

pytestmark = pytest.mark.slow
HEAD = """kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
nodes: [{role: control-plane}, {role: worker}, {role: worker}, {role: worker}]
"""
BEHIND = """
---
apiVersion: metallb.io/v1beta1
kind: L2Advertisement
metadata: {name: all, namespace: metallb-system}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, image: whoami, ports: [{containerPort: 80}]}]}
"""
V4, V6 = "172.18.255.10-172.18.255.20", "fc00:f853:ccd:e793:ffff::10-fc00:f853:ccd:e793:ffff::20"
FIRST_VIPS = ["172.18.255.10", "fc00:f853:ccd:e793:ffff::10"]


def pool(*addresses: str, name: str = "pears") -> str:
    meta = f"metadata: {{name: {name}, namespace: metallb-system}}"
    ranges = ", ".join(f'"{one}"' for one in addresses)
    return f"---\napiVersion: metallb.io/v1beta1\nkind: IPAddressPool\n{meta}\nspec: {{addresses: [{ranges}]}}\n"


def service(spec: str = "ipFamilyPolicy: PreferDualStack", name: str = "till") -> str:
    fields = f"type: LoadBalancer, selector: {{app: web}}, ports: [{{port: 80}}]{', ' if spec else ''}{spec}"
    return f"---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{{fields}}}\n"


def dual(*manifests: str) -> Lab:
    networking = "networking: {ipFamily: dual}"
    return kanslib.simulate(HEAD + networking + BEHIND + pool(V4, V6) + "".join(manifests))


def vips(lab: Lab, name: str = "till") -> list[str]:
    return [one["ip"] for one in lab.object("service", name)["status"]["loadBalancer"].get("ingress", [])]


def test_dual_nodes_have_an_address_and_a_range_of_each_family() -> None:
    worker = dual().object("node", "myk8s-worker")
    addresses = [one["address"] for one in worker["status"]["addresses"] if one["type"] == "InternalIP"]
    assert addresses == ["172.18.0.3", "fc00:f853:ccd:e793::3"]
    assert worker["spec"]["podCIDRs"] == ["10.244.1.0/24", "fd00:10:244:1::/64"]


def test_dual_service_prefers_both_families() -> None:
    lab = dual(service(), service("", name="plain"))
    spec = lab.object("service", "till")["spec"]
    assert spec["ipFamilies"] == ["IPv4", "IPv6"]
    assert [ip.startswith(start) for ip, start in zip(spec["clusterIPs"], ("10.96.", "fd00:10:96::"), strict=True)]
    assert vips(lab) == FIRST_VIPS
    assert lab.object("service", "plain")["spec"]["ipFamilies"] == ["IPv4"]
    assert vips(lab, "plain") == ["172.18.255.11"]


def test_dual_service_first_family_decides() -> None:
    lab = dual(
        service("ipFamilyPolicy: RequireDualStack, ipFamilies: [IPv6, IPv4]"), service("ipFamilies: [IPv6]", "six")
    )
    assert lab.object("service", "till")["spec"]["clusterIP"].startswith("fd00:10:96::")
    assert vips(lab, "six") == ["fc00:f853:ccd:e793:ffff::11"]


def test_dual_service_without_addresses_of_both_families_stays_pending() -> None:
    lab = kanslib.simulate(f"{HEAD}networking: {{ipFamily: dual}}{BEHIND}{pool(V4)}{service()}")
    assert vips(lab) == []
    assert "no available IPs" in str(lab.events("till").MESSAGE.tolist())


def test_dual_service_becomes_dual_and_single_again() -> None:
    lab = dual(service("ipFamilyPolicy: SingleStack"))
    before = lab.object("service", "till")["spec"]["clusterIP"]
    lab.apply(service("ipFamilyPolicy: RequireDualStack"))
    spec = lab.object("service", "till")["spec"]
    assert (spec["clusterIP"], len(spec["clusterIPs"])) == (before, 2)
    assert vips(lab) == FIRST_VIPS
    lab.apply(service("ipFamilyPolicy: SingleStack"))
    assert lab.object("service", "till")["spec"]["clusterIPs"] == [before]
    assert vips(lab) == FIRST_VIPS[:1]
    families = [
        one["addressType"] for one in lab.objects("endpointslices") if one["metadata"]["name"].startswith("till")
    ]
    assert families == ["IPv4"]


@pytest.mark.parametrize(
    ("family", "spec", "words"),
    [
        ("ipv4", "ipFamilyPolicy: RequireDualStack", "this cluster is not configured for dual-stack services"),
        ("ipv4", "ipFamilies: [IPv6]", 'spec.ipFamilies[0]: Invalid value: "IPv6": not configured on this cluster'),
        ("ipv6", "clusterIP: 10.96.0.9", "IPv4 is not configured on this cluster"),
        ("dual", "ipFamilies: [IPv4, IPv6]", "when multiple IP families are specified"),
        ("dual", "ipFamilyPolicy: PreferDualStack, clusterIPs: ['fd00:10:96::9']", "must be empty when `clusterIP`"),
        ("dual", "clusterIP: 'fd00:10:97::9'", "The range of valid IPs is fd00:10:96::/112"),
    ],
)
def test_service_families_refused(family: str, spec: str, words: str) -> None:
    lab = kanslib.simulate(f"{HEAD}networking: {{ipFamily: {family}}}")
    with pytest.raises(RefusedError) as refused:
        lab.apply(service(spec))
    assert words in refused.value.message


def test_dual_one_node_leads_both_addresses() -> None:
    """MetalLB hashes the first address (speaker/layer2_controller.go ShouldAnnounce)."""
    lab = dual(service())
    workers = ["myk8s-worker", "myk8s-worker2", "myk8s-worker3"]
    leader = election.order(workers, FIRST_VIPS[0])[0]
    for vip in FIRST_VIPS:
        lab.curl(f"[{vip}]" if ":" in vip else vip)
    neighbors = lab.neighbors()
    assert neighbors.ADDRESS.tolist() == FIRST_VIPS
    assert neighbors.HOLDER.tolist() == [leader, leader]
    assert lab.leader("till") == leader


def test_dual_requests_and_traces_over_ipv6_reach_the_same_pods() -> None:
    lab = dual(service())
    pods = {one["metadata"]["name"] for one in lab.objects("pods") if one["metadata"]["name"].startswith("web-")}
    for vip in FIRST_VIPS:
        target = f"[{vip}]:80" if ":" in vip else f"{vip}:80"
        answers = lab.curl(target, times=60)
        assert set(answers.HOSTNAME) == pods
        ends = {outcome.packet.dst for outcome in lab.trace(target).outcomes}
        own = [one["status"]["podIPs"] for one in lab.objects("pods") if one["metadata"]["name"] in pods]
        assert ends == {ip["ip"] for ips in own for ip in ips if (":" in ip["ip"]) == (":" in vip)}
    assert {":" in remote for remote in lab.curl(f"[{FIRST_VIPS[1]}]", times=5).REMOTE} == {True}


def test_dual_rules_of_each_family_name_its_own_addresses_only() -> None:
    lab = dual(service())
    four, six = (str(lab.run("myk8s-worker", f"{program}-save")) for program in ("iptables", "ip6tables"))
    assert FIRST_VIPS[0] in four
    assert "fd00:" not in four
    assert f"-d {FIRST_VIPS[1]}/128 -p tcp" in six
    assert "10.244" not in six
    assert "KUBE-FIREWALL" not in six
    assert "reject-with icmp6-port-unreachable" in str(
        dual(service("selector: {app: none}, ipFamilies: [IPv6]")).run("myk8s-worker", "ip6tables-save")
    )


def test_dual_failover_is_announced_by_neighbor_advertisements() -> None:
    lab = dual(service())
    lab.curl(f"[{FIRST_VIPS[1]}]")
    leader = lab.leader("till")
    assert leader
    lab.kill_node(leader)
    seen = lab.observation()
    successor = lab.leader("till")
    rounds = seen.arp.announcements().groupby("ADDRESS").ROUNDS.sum()
    assert rounds.index.tolist() == FIRST_VIPS
    assert rounds.iloc[0] == rounds.iloc[1] >= 5
    sent = [frame for frame in seen.frames("ip") if frame.icmpv6 and frame.icmpv6.type == ADVERTISEMENT]
    sent = [frame for frame in sent if frame.icmpv6 and not frame.icmpv6.is_solicited]
    assert len(sent) == rounds.iloc[1]
    assert all(frame.icmpv6 and frame.icmpv6.is_override for frame in sent)
    assert {frame.destination_mac for frame in sent} == {"33:33:00:00:00:01"}
    assert set(lab.neighbors().HOLDER) == {successor}


def test_dual_neighbor_frames_have_right_checksums() -> None:
    """RFC 4443, section 2.3: the sum over pseudo header and message is all ones."""
    lab = dual(service())
    lab.curl(f"[{FIRST_VIPS[1]}]")
    lab.kill_node(lab.leader("till") or "")
    frames = [frame for frame in lab.observation().frames("ip") if frame.icmpv6]
    assert frames
    for frame in frames:
        packet = frame.raw[14:]
        pseudo = packet[8:40] + len(packet[40:]).to_bytes(4, "big") + bytes([0, 0, 0, 58])
        data = pseudo + packet[40:]
        total = sum(int.from_bytes(data[place : place + 2], "big") for place in range(0, len(data), 2))
        assert total % 0xFFFF == 0


def test_ipv6_cluster() -> None:
    lab = kanslib.simulate(f"{HEAD}networking: {{ipFamily: ipv6}}{BEHIND}{pool(V6)}{service('')}")
    assert lab.address("myk8s-worker") == "fc00:f853:ccd:e793::3"
    assert lab.object("service", "kubernetes")["spec"]["clusterIP"] == "fd00:10:96::1"
    assert lab.vip("till") == FIRST_VIPS[1]
    assert len(lab.curl("till", times=60)) == 3
    assert "KUBE-SVC-" in str(lab.rules("myk8s-worker").save())
    assert lab.trace("till").outcomes
    with pytest.raises(NotSimulatedError, match="BGP router"):
        lab.start_router()


@pytest.mark.parametrize(
    ("networking", "words"),
    [
        ("ipFamily: ipv6, podSubnet: 10.0.0.0/16", "invalid pod subnet expected IPv6 CIDR for IPv6 family"),
        ("ipFamily: dual, serviceSubnet: '10.0.0.0/16,10.1.0.0/16'", "two CIDRs from each family for dual-stack"),
        ("podSubnet: '10.0.0.0/16,fd00::/56'", "only one CIDR allowed for single-stack networking"),
        ("podSubnet: 'fd00::/56'", "invalid pod subnet expected IPv4 CIDR for IPv4 family"),
        (
            "ipFamily: dual, podSubnet: '10.0.0.0/16,fd00::/47'",
            "pod subnet mask (47) and node-mask (64) difference is greater than 16",
        ),
        (
            "ipFamily: ipv6, serviceSubnet: 'fd00::/107'",
            "specified service subnet is too large; for 128-bit addresses, the mask must be >= 108",
        ),
    ],
)
def test_subnets_refused(networking: str, words: str) -> None:
    with pytest.raises(RefusedError) as refused:
        kanslib.simulate(f"{HEAD}networking: {{{networking}}}")
    assert words in refused.value.message


def test_dual_subnets_of_one_family_are_not_simulated() -> None:
    with pytest.raises(NotSimulatedError, match="an IPv4 CIDR, then IPv6"):
        kanslib.simulate(f"{HEAD}networking: {{ipFamily: dual, podSubnet: 10.0.0.0/16}}")
