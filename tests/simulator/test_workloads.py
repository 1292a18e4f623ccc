"""Where Pods run, who makes them, and which endpoints a Service has because of it."""

from __future__ import annotations

from collections import Counter

import pytest

import kanslib
from kanslib.backends.factory import simulate_manifest
from kanslib.exceptions import RefusedError
from kanslib.k8s.manifest import documents
from kanslib.lab.lab import Lab

ZONES = """kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
nodes:
- role: control-plane
- role: worker
  labels: {zone: east}
- role: worker
  labels: {zone: west}
- role: worker
  labels: {zone: west}
"""
METALLB = """
---
apiVersion: metallb.io/v1beta1
kind: IPAddressPool
metadata: {name: pears, namespace: metallb-system}
spec: {addresses: [172.18.255.10-172.18.255.20]}
---
apiVersion: metallb.io/v1beta1
kind: L2Advertisement
metadata: {name: all, namespace: metallb-system}
"""
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
WEST = "{matchExpressions: [{key: zone, operator: In, values: [west]}]}"
TOGETHER = "[{labelSelector: {matchLabels: {app: web}}, topologyKey: %s}]"


def pod(name: str, spec: str = "", ports: str = "[{containerPort: 80}]", labels: str = "{app: web}") -> str:
    return f"""
---
apiVersion: v1
kind: Pod
metadata: {{name: {name}, labels: {labels}}}
spec: {{containers: [{{name: c, image: whoami, ports: {ports}}}]{spec}}}
"""


def service(spec: str = "", ports: str = "[{port: 80}]") -> str:
    return f"""
---
apiVersion: v1
kind: Service
metadata: {{name: till}}
spec: {{type: LoadBalancer, selector: {{app: web}}, ports: {ports}{spec}}}
"""


def workload(kind: str, spec: str = "", pod_spec: str = "", image: str = "whoami") -> str:
    return f"""
---
apiVersion: apps/v1
kind: {kind}
metadata: {{name: web}}
spec:
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec: {{containers: [{{name: c, image: {image}, ports: [{{containerPort: 80}}]}}]{pod_spec}}}
  {spec}
"""


def nodes_of(lab: Lab, prefix: str = "") -> dict[str, str]:
    pods = [one for one in lab.objects("pods") if one["metadata"]["namespace"] == "default"]
    named = {one["metadata"]["name"]: one["spec"].get("nodeName", "") for one in pods}
    return {name: node.removeprefix("myk8s-") for name, node in named.items() if name.startswith(prefix)}


def why_pending(lab: Lab, name: str) -> str:
    status = lab.object("pod", name)["status"]
    assert status["phase"] == "Pending"
    return str(status["conditions"][0]["message"])


# ── the scheduler ────────────────────────────────────────────────────────────────────────────────────────


def test_scheduler_keeps_node_selector_and_leader_follows() -> None:
    local = service(", externalTrafficPolicy: Local")
    lab = kanslib.simulate(ZONES + METALLB + pod("p1", ", nodeSelector: {zone: east}") + local)
    assert nodes_of(lab) == {"p1": "worker"}
    assert lab.leader("till") == "myk8s-worker"


@pytest.mark.parametrize(
    ("spec", "allowed"),
    [
        (f", affinity: {{nodeAffinity: {{{_REQUIRED}: {{nodeSelectorTerms: [{WEST}]}}}}}}", {"worker2"}),
        (f", affinity: {{nodeAffinity: {{{_PREFERRED}: [{{weight: 5, preference: {WEST}}}]}}}}", {"worker2"}),
        (
            ", tolerations: [{operator: Exists}], nodeSelector: {node-role.kubernetes.io/control-plane: ''}",
            {"control-plane"},
        ),
        (", nodeName: myk8s-worker3", {"worker3"}),
        ("", {"worker"}),
    ],
)
def test_scheduler_chooses_node(spec: str, allowed: set[str]) -> None:
    assert set(nodes_of(kanslib.simulate(ZONES + pod("p1", spec))).values()) == allowed


def test_scheduler_anti_affinity_spreads_and_affinity_gathers() -> None:
    term = TOGETHER % "kubernetes.io/hostname"
    apart = f", affinity: {{podAntiAffinity: {{requiredDuringSchedulingIgnoredDuringExecution: {term}}}}}"
    lab = kanslib.simulate(ZONES + "".join(pod(f"p{number}", apart) for number in range(4)))
    assert sorted(nodes_of(lab).values()) == ["", "worker", "worker2", "worker3"]
    assert why_pending(lab, "p3") == (
        "0/4 nodes are available: 1 node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }, "
        "3 node(s) didn't match pod anti-affinity rules. preemption: 0/4 nodes are available: "
        "1 Preemption is not helpful for scheduling, 3 No preemption victims found for incoming pod."
    )
    zone = TOGETHER % "zone"
    near = f", affinity: {{podAffinity: {{requiredDuringSchedulingIgnoredDuringExecution: {zone}}}}}"
    lab = kanslib.simulate(ZONES + "".join(pod(f"p{number}", near) for number in range(4)))
    assert set(nodes_of(lab).values()) == {"worker"}


def test_scheduler_pod_that_fits_nowhere_waits_for_a_label() -> None:
    lab = kanslib.simulate(ZONES + pod("p1", ", nodeSelector: {disk: ssd}"))
    assert nodes_of(lab) == {"p1": ""}
    assert why_pending(lab, "p1") == (  # of a real cluster of two nodes, with other numbers
        "0/4 nodes are available: 1 node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }, "
        "3 node(s) didn't match Pod's node affinity/selector. preemption: 0/4 nodes are available: "
        "4 Preemption is not helpful for scheduling."
    )
    lab.label("myk8s-worker3", "disk=ssd")
    assert nodes_of(lab) == {"p1": "worker3"}


def test_scheduler_node_that_does_not_exist_leaves_pod_pending() -> None:
    lab = kanslib.simulate(ZONES + pod("p1", ", nodeName: elsewhere"))
    assert lab.object("pod", "p1")["status"] == {"phase": "Pending"}


def test_scheduler_host_network_takes_ports_of_the_node() -> None:
    east = ", hostNetwork: true, nodeSelector: {zone: east}"
    lab = kanslib.simulate(ZONES + METALLB + pod("p1", east) + pod("p2", east) + service())
    assert nodes_of(lab) == {"p1": "worker", "p2": ""}
    assert "1 node(s) didn't have free ports for the requested pod ports" in why_pending(lab, "p2")
    assert lab.object("pod", "p1")["status"]["podIP"] == "172.18.0.3"
    assert lab.curl("till", times=2).HOSTNAME.tolist() == ["myk8s-worker"]  # whoami on its node's network


# ── Deployments and DaemonSets ───────────────────────────────────────────────────────────────────────────


def test_deployment_scales_heals_and_goes() -> None:
    lab = kanslib.simulate(ZONES + METALLB + workload("Deployment", "replicas: 3") + service())
    assert Counter(nodes_of(lab).values()) == {"worker": 1, "worker2": 1, "worker3": 1}
    assert len(list(lab.trace("till"))) == 3
    lab.apply(workload("Deployment", "replicas: 1"))
    assert len(nodes_of(lab)) == 1
    lab.apply(workload("Deployment", "replicas: 2"))
    before = nodes_of(lab)
    lab.delete_object(f"pod/{next(iter(before))}")
    after = nodes_of(lab)
    assert len(after) == 2
    assert len(after.keys() & before.keys()) == 1
    lab.delete_object("deploy/web")
    assert nodes_of(lab) == {}
    assert lab.objects("replicasets") == []


def test_deployment_rollout_keeps_endpoints() -> None:
    backend = simulate_manifest(ZONES + METALLB + workload("Deployment", "replicas: 4") + service())
    before = {one["metadata"]["name"] for one in backend.objects("pods") if one["metadata"]["namespace"] == "default"}
    backend.apply(documents(workload("Deployment", "replicas: 4", image="whoami:2")))
    after = {one["metadata"]["name"] for one in backend.objects("pods") if one["metadata"]["namespace"] == "default"}
    assert len(after) == 4
    assert not before & after
    ready = [
        sum(entry["conditions"]["ready"] for entry in event.object["endpoints"])
        for event in backend.watch_events("endpointslices")
        if event.object["metadata"]["name"].startswith("till-") and event.type == "MODIFIED"
    ]
    assert min(ready[ready.index(4) :]) >= 3  # a quarter may be missing
    images = [one["spec"]["template"]["spec"]["containers"][0]["image"] for one in backend.objects("replicasets")]
    assert images == ["whoami:2"]


def test_daemonset_runs_where_it_may() -> None:
    lab = kanslib.simulate(ZONES + workload("DaemonSet"))
    assert sorted(nodes_of(lab).values()) == ["worker", "worker2", "worker3"]
    lab.apply(workload("DaemonSet", pod_spec=", tolerations: [{operator: Exists}]"))
    assert sorted(nodes_of(lab).values()) == ["control-plane", "worker", "worker2", "worker3"]
    lab.apply(workload("DaemonSet", pod_spec=", nodeSelector: {zone: west}"))
    assert sorted(nodes_of(lab).values()) == ["worker2", "worker3"]
    lab.label("myk8s-worker", "zone=west")
    assert sorted(nodes_of(lab).values()) == ["worker", "worker2", "worker3"]


def test_daemonset_rolls_out_a_template_with_other_labels() -> None:
    lab = kanslib.simulate(ZONES + workload("DaemonSet"))
    before = nodes_of(lab)
    lab.apply(workload("DaemonSet").replace("labels: {app: web}", "labels: {app: web, track: canary}"))
    after = nodes_of(lab)
    assert sorted(after.values()) == sorted(before.values())
    assert not after.keys() & before.keys()
    labels = [one["metadata"]["labels"] for one in lab.objects("pods", "default")]
    assert [one["track"] for one in labels] == ["canary"] * 3
    assert len({one["controller-revision-hash"] for one in labels}) == 1


# ── endpoints ────────────────────────────────────────────────────────────────────────────────────────────


def test_endpoint_slices_named_port_with_two_numbers() -> None:
    numbers = {"blue": 8080, "green": 9090}
    pods = [pod(name, ports=f"[{{name: http, containerPort: {number}}}]") for name, number in numbers.items()]
    lab = kanslib.simulate(ZONES + METALLB + "".join(pods) + service(ports="[{port: 80, targetPort: http}]"))
    addresses = {lab.object("pod", name)["status"]["podIP"]: name for name in ("blue", "green")}
    slices = [one for one in lab.objects("endpointslices") if one["metadata"]["name"].startswith("till-")]
    found = {addresses[one["endpoints"][0]["addresses"][0]]: one["ports"][0]["port"] for one in slices}
    assert found == numbers
    rules = str(lab.run("myk8s-worker", "iptables-save"))
    targets = {line.split()[-1] for line in rules.splitlines() if "DNAT" in line and "default/till" in line}
    assert targets == {f"{address}:{found[name]}" for address, name in addresses.items()}
    lab.delete_object("pod/green")
    slices = [one for one in lab.objects("endpointslices") if one["metadata"]["name"].startswith("till-")]
    assert [one["ports"][0]["port"] for one in slices] == [8080]


def test_endpoint_slices_publish_not_ready_addresses() -> None:
    published = service(", publishNotReadyAddresses: true")
    lab = kanslib.simulate(ZONES + METALLB + pod("p1", ", nodeName: myk8s-worker") + published)
    lab.kill_node("myk8s-worker")
    piece = next(one for one in lab.objects("endpointslices") if one["metadata"]["name"].startswith("till-"))
    assert piece["endpoints"][0]["conditions"] == {"ready": True, "serving": False, "terminating": False}


def test_service_without_node_ports_and_with_health_check() -> None:
    spec = ", externalTrafficPolicy: Local, allocateLoadBalancerNodePorts: false"
    lab = kanslib.simulate(ZONES + METALLB + pod("p1", ", nodeName: myk8s-worker") + service(spec))
    till = lab.object("service", "till")["spec"]
    assert "nodePort" not in till["ports"][0]
    port = till["healthCheckNodePort"]
    assert lab.curl(f"172.18.0.3:{port}", times=1).HOSTNAME.tolist() == ["HTTP 200"]
    assert lab.curl(f"172.18.0.4:{port}", times=1).HOSTNAME.tolist() == ["HTTP 503"]


def test_service_node_ports_stay_when_allocation_is_switched_off() -> None:
    lab = kanslib.simulate(ZONES + METALLB + service())
    before = lab.object("service", "till")["spec"]["ports"][0]["nodePort"]
    lab.apply(service(", allocateLoadBalancerNodePorts: false"))
    assert lab.object("service", "till")["spec"]["ports"][0]["nodePort"] == before


# ── a node that is gone for long ─────────────────────────────────────────────────────────────────────────


def test_metallb_controller_returns_on_another_node() -> None:
    """The webhook is gone with it; 300 s after NotReady its Pod is evicted, and another one serves who waited."""
    lab = kanslib.simulate(ZONES + METALLB)
    controller = next(one for one in lab.objects("pods") if one["metadata"]["name"].startswith("controller-"))
    lab.kill_node(controller["spec"]["nodeName"])
    with pytest.raises(RefusedError, match="Internal error occurred: failed calling webhook") as refused:
        lab.apply(METALLB.replace("pears", "plums").replace("172.18.255.10-172.18.255.20", "192.0.2.0/28"))
    assert refused.value.message.endswith(":443: connect: connection refused")  # kube-proxy: no endpoint is ready
    lab.apply(service())
    assert lab.object("service", "till")["status"] == {"loadBalancer": {}}
    lab.at(lab.moments().MOMENT.iloc[-1], after=600)
    pods = [one for one in lab.objects("pods") if one["metadata"]["name"].startswith("controller-")]
    assert len(pods) == 2  # the old one is Terminating on its silent node
    assert lab.vip("till") == "172.18.255.10"


def test_tolerations_decide_when_a_pod_is_evicted() -> None:
    tolerations = ", tolerations: [{key: node.kubernetes.io/unreachable, operator: Exists, effect: NoExecute%s}]"
    pods = [
        pod("soon", ", nodeName: myk8s-worker" + tolerations % ", tolerationSeconds: 10"),
        pod("never", ", nodeName: myk8s-worker" + tolerations % ""),
        pod("default", ", nodeName: myk8s-worker"),
    ]
    lab = kanslib.simulate(ZONES + "".join(pods))
    lab.kill_node("myk8s-worker")

    def evicted(after: float) -> set[str]:
        lab.at("kill-node-myk8s-worker", after=after)
        found = [one["metadata"] for one in lab.objects("pods")]
        return {one["name"] for one in found if one.get("deletionTimestamp") and one["namespace"] == "default"}

    assert evicted(45) == set()
    assert evicted(60) == {"soon"}
    assert evicted(400) == {"soon", "default"}
    lab.start_node("myk8s-worker")
    assert set(nodes_of(lab)) == {"never"}


def test_pod_readiness_gates_are_said_not_to_be_read(capsys: pytest.CaptureFixture[str]) -> None:
    gated = pod("p1", ", readinessGates: [{conditionType: example.com/ready}]")
    lab = kanslib.simulate(ZONES + gated)
    assert "not simulated, and not read: pod/p1 spec.readinessGates" in capsys.readouterr().out
    lab.apply(workload("Deployment", "minReadySeconds: 5", ", topologySpreadConstraints: []"))
    assert "not read: deployment/web spec.minReadySeconds" in capsys.readouterr().out
    lab.apply(pod("p2"))
    assert "not read" not in capsys.readouterr().out


def test_metallb_daemonset_deleted_takes_its_speakers() -> None:
    lab = kanslib.simulate(ZONES + METALLB + pod("p1") + service())
    vip = lab.vip("till")
    lab.delete_object("ds/metallb-system/speaker")
    assert not [one for one in lab.objects("pods") if one["metadata"]["name"].startswith("speaker-")]
    assert vip not in set(lab.arp_scan().ADDRESS)
    lab.delete_object("ns/metallb-system")
    assert {one["metadata"]["namespace"] for one in lab.objects("pods")} == {"default", "kube-system"}
    with pytest.raises(RefusedError, match='no matches for kind "IPAddressPool"'):
        lab.apply(METALLB)


def test_scheduler_writes_an_event_for_a_pod_that_fits_nowhere() -> None:
    lab = kanslib.simulate(ZONES + pod("lost", ", nodeSelector: {disk: tape}"))
    event = next(one for one in lab.objects("events") if one["reason"] == "FailedScheduling")
    assert event["message"] == why_pending(lab, "lost")
    assert (event["type"], event["source"], event["count"]) == ("Warning", {"component": "default-scheduler"}, 1)
    assert event["involvedObject"]["kind"] == "Pod"
    lab.label("myk8s-worker", "disk=disc")
    assert next(one for one in lab.objects("events") if one["reason"] == "FailedScheduling")["count"] == 1
    assert "pod/lost" in lab.table("events").OBJECT.tolist()


def test_metallb_runs_no_speaker_where_its_daemonset_tolerates_no_taint() -> None:
    patch = (
        "  kubeadmConfigPatches:\n  - |\n    kind: JoinConfiguration\n    nodeRegistration:\n"
        "      taints: [{key: team, value: red, effect: NoSchedule}]\n"
    )
    lab = kanslib.simulate(ZONES.replace("zone: east}\n", "zone: east}\n" + patch) + METALLB)
    speakers = [pod for pod in lab.objects("pods") if pod["metadata"]["labels"].get("component") == "speaker"]
    nodes = sorted(pod["spec"]["nodeName"] for pod in speakers)
    assert nodes == ["myk8s-control-plane", "myk8s-worker2", "myk8s-worker3"]
