"""The rules that our kube-proxy writes beside those that the real one wrote, on every node, at every step."""

from __future__ import annotations

from typing import Any

import pytest

from kanslib.k8s import kubeproxy
from kanslib.recording import Recording
from tests.metallb.recording_helpers import CLUSTER_CIDR, RecordedCluster, comparable, rules_of, written

DUMP = "iptables-save -c"


def differences(recording: Recording) -> tuple[int, int, list[str]]:
    """How many dumps and rules were compared, and where they differ."""
    cluster, dumps, rules, found = RecordedCluster(recording), 0, 0, []
    for read in cluster.reads(DUMP):
        recorded = rules_of(cluster.text(read))
        ours = written(cluster, read.place, read.t)
        dumps, rules = dumps + 1, rules + sum(map(len, recorded.values()))
        if recorded[("nat", "KUBE-SERVICES")][-1] != ours[("nat", "KUBE-SERVICES")][-1]:
            found.append(f"{read.file}: another rule is last in KUBE-SERVICES")
        a, b = comparable(recorded), comparable(ours)
        found += [
            f"{read.file} {key}: {a.get(key)} != {b.get(key)}"
            for key in a.keys() | b.keys()
            if a.get(key) != b.get(key)
        ]
    return dumps, rules, found


@pytest.mark.parametrize("which", ["recording", "reference_recording"])
def test_kubeproxy_write_equals_every_recorded_dump(which: str, request: pytest.FixtureRequest) -> None:
    dumps, rules, found = differences(request.getfixturevalue(which))
    print(f"\n{which}: {dumps} dumps, {rules} rules, {len(found)} differences")
    assert not found, "\n".join(found[:10])
    assert dumps > 100
    assert rules > 5000


def test_kubeproxy_write_isolated_node_keeps_old_rules(reference_recording: Recording) -> None:
    """Written from what is true by then, the rules would be others: the cut node does not know."""
    cluster = RecordedCluster(reference_recording)
    stale = [read for read in cluster.reads(DUMP) if cluster.api_seen_until(read.place, read.t) < read.t]
    assert stale
    last = stale[-1]
    config = kubeproxy.Config.of(cluster.at(last.t, "nodes"), CLUSTER_CIDR)
    knowing = kubeproxy.write(cluster.at(last.t, "services"), cluster.at(last.t, "endpointslices"), last.place, config)
    sep = {key[1] for key in rules_of(cluster.text(last)) if key[1].startswith("KUBE-SEP")}
    assert sep > {chain for chain in knowing.nat if chain.startswith("KUBE-SEP")}


def test_kubeproxy_write_ipv6_without_services(reference_recording: Recording) -> None:
    cluster = RecordedCluster(reference_recording)
    reads = list(cluster.reads("ip6tables-save"))
    ours = kubeproxy.write([], [], "myk8s-worker", kubeproxy.Config(ipv6=True))
    wanted = {("nat", c): v for c, v in ours.nat.items() if v} | {("filter", c): v for c, v in ours.filter.items() if v}
    assert reads
    for read in reads:
        assert rules_of(cluster.text(read)) == wanted


# ── what no recording holds: against Kubernetes' own description of it (proxier.go, topology.go) ─────────


def service(**spec: object) -> dict[str, Any]:
    given = {"clusterIP": "10.0.0.1", "type": "LoadBalancer", "ports": [{"port": 80, "nodePort": 30000}], **spec}
    status = {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}
    return {"metadata": {"name": "web", "namespace": "default"}, "spec": given, "status": status}


def slice_of(*endpoints: tuple[str, str, dict[str, bool]]) -> dict[str, Any]:
    entries = [{"addresses": [ip], "nodeName": node, "conditions": conditions} for ip, node, conditions in endpoints]
    labels = {"kubernetes.io/service-name": "web"}
    ports = [{"name": "", "port": 8080, "protocol": "TCP"}]
    return {
        "metadata": {"name": "web-1", "namespace": "default", "labels": labels},
        "ports": ports,
        "endpoints": entries,
    }


READY = {"ready": True, "serving": True, "terminating": False}
LEAVING = {"ready": False, "serving": True, "terminating": True}
UNREADY = {"ready": False, "serving": False, "terminating": False}


def targets(rules: list[str], chain: str) -> list[str]:
    """Return the targets of the random matches of a chain."""
    ends = {line.split()[1]: line.rpartition(" ")[2] for line in rules if "DNAT" in line}
    return [
        ends[line.split()[-1]] for line in rules if line.startswith(f"-A KUBE-{chain}-") and line.split()[-1] in ends
    ]


CONFIG = kubeproxy.Config(cluster_cidr="10.1.0.0/16", addresses={"n1": "172.18.0.2"})


def test_nat_rules_endpoints_sorted_as_text() -> None:
    found = kubeproxy.nat_rules(
        [service()],
        [slice_of(("10.1.0.2", "n1", READY), ("10.1.0.10", "n1", READY), ("10.1.0.3", "n2", READY))],
        "n1",
        CONFIG,
    )
    assert targets(found, "SVC") == ["10.1.0.10:8080", "10.1.0.2:8080", "10.1.0.3:8080"]
    dice = [line.split("--probability ")[1].split()[0] for line in found if "probability" in line]
    assert dice == ["0.33333333349", "0.50000000000"]


def test_nat_rules_terminating_endpoint_serves_last() -> None:
    both = slice_of(("10.1.0.2", "n1", LEAVING), ("10.1.0.3", "n1", READY))
    assert targets(kubeproxy.nat_rules([service()], [both], "n1", CONFIG), "SVC") == ["10.1.0.3:8080"]
    alone = slice_of(("10.1.0.2", "n1", LEAVING), ("10.1.0.3", "n1", UNREADY))
    assert targets(kubeproxy.nat_rules([service()], [alone], "n1", CONFIG), "SVC") == ["10.1.0.2:8080"]


def test_nat_rules_external_local_own_terminating_endpoint() -> None:
    local = service(externalTrafficPolicy="Local", healthCheckNodePort=31000)
    pieces = [slice_of(("10.1.0.2", "n1", LEAVING), ("10.1.0.3", "n2", READY))]
    assert targets(kubeproxy.nat_rules([local], pieces, "n1", CONFIG), "SVL") == ["10.1.0.2:8080"]
    assert targets(kubeproxy.nat_rules([local], pieces, "n3", CONFIG), "SVL") == []


def test_kubeproxy_write_internal_traffic_policy_local() -> None:
    inner = service(type="ClusterIP", internalTrafficPolicy="Local", ports=[{"port": 80}])
    inner["status"] = {}
    pieces = [slice_of(("10.1.0.3", "n2", READY))]
    here = kubeproxy.write([inner], pieces, "n2", CONFIG)
    assert targets(here.lines("nat"), "SVL") == ["10.1.0.3:8080"]
    assert not [chain for chain in here.nat if chain.startswith("KUBE-SVC")]
    elsewhere = kubeproxy.write([inner], pieces, "n1", CONFIG)
    assert [line for line in elsewhere.filter["KUBE-SERVICES"] if line.endswith("-j DROP")]
    assert not [line for line in elsewhere.lines("nat") if "10.0.0.1" in line]


def test_nat_rules_source_range_with_node_address_admits_vip() -> None:
    ranged = service(loadBalancerSourceRanges=["172.18.0.0/24", "0.0.0.0/0"])
    found = kubeproxy.nat_rules([ranged], [slice_of(("10.1.0.2", "n1", READY))], "n1", CONFIG)
    firewall = [line.split(" -m ")[0] for line in found if line.startswith("-A KUBE-FW-")]
    name = "-A KUBE-FW-" + kubeproxy.chain_hash("default/web", "tcp")
    assert firewall == [f"{name} -s 172.18.0.0/24", name, f"{name} -s 192.0.2.1/32", name]


@pytest.mark.parametrize(
    "change",
    [{"clusterIP": "None"}, {"type": "ExternalName"}, {"clusterIP": ""}],
)
def test_nat_rules_skips_headless_and_external_name(change: dict[str, str]) -> None:
    assert not [line for line in kubeproxy.nat_rules([service(**change)], [], "n1", CONFIG) if "default/web" in line]


def test_nat_rules_large_cluster_without_comments() -> None:
    many = slice_of(*((f"10.1.{n // 250}.{n % 250 + 1}", "n1", READY) for n in range(1001)))
    found = kubeproxy.nat_rules([service()], [many], "n1", CONFIG)
    dice = [line for line in found if line.startswith("-A KUBE-SVC-") and "KUBE-SEP" in line]
    assert len(dice) == 1001
    assert not [line for line in dice if "--comment" in line]


def test_nat_rules_topology_hints() -> None:
    near = service()
    near["metadata"]["annotations"] = {"service.kubernetes.io/topology-mode": "Auto"}
    piece = slice_of(("10.1.0.2", "n1", READY), ("10.1.0.3", "n2", READY))
    for entry, zone in zip(piece["endpoints"], "ab", strict=True):
        entry["hints"] = {"forZones": [{"name": zone}]}
    config = kubeproxy.Config(cluster_cidr="10.1.0.0/16", zones={"n1": "a"})
    assert targets(kubeproxy.nat_rules([near], [piece], "n1", config), "SVC") == ["10.1.0.2:8080"]
    del piece["endpoints"][1]["hints"]
    assert len(targets(kubeproxy.nat_rules([near], [piece], "n1", config), "SVC")) == 2


def test_chain_hash_published_names() -> None:
    """Chain names from Kubernetes' own unit tests and from clusters that others published."""
    known = {"ns1/svc1:p80": "XPGD46QRK7WJZT7O", "default/kubernetes:https": "NPX46M4PTMTKRN6Y"}
    assert {name: kubeproxy.chain_hash(name, "tcp") for name in known} == known
    assert kubeproxy.chain_hash("kube-system/kube-dns:dns", "udp") == "TCOU7JCQXEZGVUNU"


@pytest.mark.parametrize("mode", [None, "Auto", "Disabled", "disabled"])
def test_nat_rules_hints_whatever_the_annotation(mode: str | None) -> None:
    """v1.31 follows hints without asking for an annotation: the gate ServiceTrafficDistribution is on."""
    shop = service()
    shop["metadata"]["annotations"] = {"service.kubernetes.io/topology-mode": mode} if mode else {}
    piece = slice_of(("10.1.0.2", "n1", READY), ("10.1.0.3", "n2", READY))
    for entry, zone in zip(piece["endpoints"], ("west", "east"), strict=True):
        entry["hints"] = {"forZones": [{"name": zone}]}
    config = kubeproxy.Config(cluster_cidr="10.1.0.0/16", zones={"n1": "east"})
    assert targets(kubeproxy.nat_rules([shop], [piece], "n1", config), "SVC") == ["10.1.0.3:8080"]


@pytest.mark.parametrize("label", ["service.kubernetes.io/service-proxy-name", "service.kubernetes.io/headless"])
def test_nat_rules_ignores_what_is_left_to_others(label: str) -> None:
    others, piece = service(), slice_of(("10.1.0.2", "n1", READY))
    others["metadata"]["labels"] = {label: "mesh"}
    assert not [line for line in kubeproxy.nat_rules([others], [piece], "n1", CONFIG) if "default/web" in line]
    piece["metadata"]["labels"][label] = "mesh"
    assert not [line for line in kubeproxy.nat_rules([service()], [piece], "n1", CONFIG) if "DNAT" in line]


def test_nat_rules_manual_slices_and_names() -> None:
    """Whoever manages a slice, its addresses count; a slice of names does not, nor one of the other family."""
    manual, names, other = (slice_of((ip, "n1", READY)) for ip in ("192.0.2.7", "db.example.test", "2001:db8::7"))
    manual["metadata"]["labels"]["endpointslice.kubernetes.io/managed-by"] = "staff"
    names["addressType"], other["addressType"] = "FQDN", "IPv6"
    found = kubeproxy.nat_rules([service()], [names, manual, other], "n1", CONFIG)
    assert targets(found, "SVC") == ["192.0.2.7:8080"]


@pytest.mark.parametrize(
    ("addresses", "on_localhost", "destinations"),
    [
        ((), True, ["KUBE-SERVICES"]),  # a rule for every local address
        (("172.18.0.0/16",), True, ["172.18.0.2/32"]),
        (("172.18.0.0/16", "127.0.0.0/8"), True, ["127.0.0.1/32", "172.18.0.2/32"]),
        (("172.18.0.0/16", "127.0.0.0/8"), False, ["172.18.0.2/32"]),
        (("203.0.113.0/24",), True, []),
    ],
)
def test_nat_rules_nodeport_addresses(addresses: tuple[str, ...], on_localhost: bool, destinations: list[str]) -> None:
    config = kubeproxy.Config(
        addresses={"n1": "172.18.0.2"}, nodeport_addresses=addresses, localhost_nodeports=on_localhost
    )
    rules = kubeproxy.write([service()], [slice_of(("10.1.0.2", "n1", READY))], "n1", config).nat["KUBE-SERVICES"]
    found = [line.split(" -m ")[0].split()[-1] for line in rules if "must be the last" in line]
    assert found == destinations


def test_filter_rules_conntrack_tcp_liberal() -> None:
    def invalid(config: kubeproxy.Config) -> list[str]:
        return [line for line in kubeproxy.filter_rules([], [], "n1", config) if "INVALID" in line]

    assert len(invalid(kubeproxy.Config())) == 1
    assert not invalid(kubeproxy.Config(conntrack_tcp_liberal=True))


def test_health_checks_count_addresses_of_the_node() -> None:
    local = service(externalTrafficPolicy="Local", healthCheckNodePort=31000)
    pieces = [slice_of(("10.1.0.2", "n1", READY), ("10.1.0.3", "n1", LEAVING), ("10.1.0.4", "n2", READY))]
    pieces[0]["ports"].append({"name": "more", "port": 9090, "protocol": "TCP"})  # two ports of one address
    found = {node: kubeproxy.health_checks([local], pieces, node, CONFIG) for node in ("n1", "n3")}
    assert [(one.port, one.status, one.local_endpoints) for one in found["n1"]] == [(31000, 200, 1)]
    assert [(one.status, one.local_endpoints) for one in found["n3"]] == [(503, 0)]
    assert not kubeproxy.health_checks([service()], pieces, "n1", CONFIG)


def test_health_check_body() -> None:
    check = kubeproxy.HealthCheck("default", "till", 32000, 0)
    assert str(check).splitlines() == [
        "{",
        '\t"service": {',
        '\t\t"namespace": "default",',
        '\t\t"name": "till"',
        "\t},",
        '\t"localEndpoints": 0,',
        '\t"serviceProxyHealthy": true',
        "}",
    ]
