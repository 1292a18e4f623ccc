"""Chapter 01: what the types of a Service offer, before MetalLB."""

from __future__ import annotations

import itertools
import json
from ipaddress import ip_address, ip_network

import yaml

from kanslib import manifests
from kanslib.lab.lab import Lab
from tests.notebooks.claims import Claims

CLAIMS = Claims()

_SERVICES = {"svc-clusterip", "svc-nodeport", "svc-loadbalancer"}


def _apply_types(lab: Lab) -> None:
    lab.at("apply-service-types")


def _pods_on(lab: Lab) -> dict[str, str]:
    pods = lab.objects("pods", "default")
    return {pod["metadata"]["name"]: pod["spec"]["nodeName"] for pod in pods}


@CLAIMS.claim("01-13", "Three Services select the same two Pods by the label `app: webpod`.", story="service-types")
def three_services_one_selector(lab: Lab) -> None:
    _apply_types(lab)
    services = [lab.object("service", name) for name in _SERVICES]
    assert all(service["spec"]["selector"] == {"app": "webpod"} for service in services)
    assert len({service["spec"]["type"] for service in services}) == len(services) == 3
    labelled = [pod for pod in lab.objects("pods", "default") if pod["metadata"]["labels"].get("app") == "webpod"]
    assert len(labelled) == 2


@CLAIMS.claim("01-53", "Only `type` differs. MetalLB is not installed when you apply them.", story="service-types")
def only_the_type_differs(lab: Lab) -> None:
    specs = [one["spec"] for one in yaml.safe_load_all(manifests.service_types)]
    for spec in specs:
        del spec["type"], spec["ports"][0]["name"]
    assert specs[0] == specs[1] == specs[2]
    _apply_types(lab)
    assert not [pod for pod in lab.objects("pods") if pod["metadata"]["namespace"] == "metallb-system"]


@CLAIMS.claim("01-21", "The Service has no event and no error.", story="service-types")
@CLAIMS.claim("does-pending-complain", "here no component tries", story="service-types")
def no_event(lab: Lab) -> None:
    _apply_types(lab)
    assert lab.events("svc-loadbalancer").empty


@CLAIMS.claim("01-21", "A node sends 100 requests to the ClusterIP, one after the other.", story="service-types")
def a_hundred_requests(lab: Lab) -> None:
    _apply_types(lab)
    assert len(lab.curl("svc-clusterip", times=100, source=lab.control_plane, in_order=True)) == 100


@CLAIMS.claim(
    "01-23",
    "Both Pods answer, but they do not take turns: the same Pod often answers several times in a row.",
    story="service-types",
)
def pods_do_not_take_turns(lab: Lab) -> None:
    _apply_types(lab)
    names = lab.curl("svc-clusterip", times=100, source=lab.control_plane, in_order=True).HOSTNAME.tolist()
    assert set(names) == {"webpod1", "webpod2"}
    same = [one == following for one, following in itertools.pairwise(names)]
    assert sum(same) > 20
    assert any(first and second for first, second in itertools.pairwise(same))


@CLAIMS.claim("01-23", "chapters 03 and 04 count again, and the counts differ there", story="arp", on=("recorded",))
def counts_of_chapter_03_differ(lab: Lab) -> None:
    lab.at("apply-l2advertisement")
    counts = lab.curl("svc1", times=100).COUNT.tolist()
    assert len(counts) == 2
    assert counts[0] != counts[1]


@CLAIMS.claim(
    "01-23", "chapters 03 and 04 count again, and the counts differ there", story="iptables", on=("recorded",)
)
def counts_of_chapter_04_differ(lab: Lab) -> None:
    counts = lab.curl("svc1", times=100).COUNT.tolist()
    assert len(counts) == 2
    assert counts[0] != counts[1]


@CLAIMS.claim("write-a-service", "The Pods listen on port 80", story="service-types")
def pods_listen_on_80(lab: Lab) -> None:
    _apply_types(lab)
    assert {way.packet.dport for way in lab.trace("svc-clusterip", source=lab.control_plane)} == {80}
    assert set(lab.curl("svc-clusterip", source=lab.control_plane).HOSTNAME) <= {"webpod1", "webpod2"}


@CLAIMS.claim("cluster-ip-from-outside", "the ClusterIP is not in the client's network", story="service-types")
def cluster_ip_is_of_another_network(lab: Lab) -> None:
    _apply_types(lab)
    network = ip_network(lab.network())
    assert ip_address(lab.address(lab.client)) in network
    assert ip_address(lab.object("service", "svc-clusterip")["spec"]["clusterIP"]) not in network


@CLAIMS.claim("01-25", "The client gets no answer.", story="service-types")
def client_gets_no_answer(lab: Lab) -> None:
    _apply_types(lab)
    assert lab.curl("svc-clusterip").HOSTNAME.item().startswith("(no answer)")


@CLAIMS.claim(
    "01-25",
    "it sends the packet to its default gateway",
    "`network unreachable` is the gateway's answer",
    story="service-types",
    on=("recorded",),
)
def client_has_a_default_route_only(lab: Lab) -> None:
    _apply_types(lab)
    routes = json.loads(lab.run(lab.client, "ip -j route"))
    destinations = [route["dst"] for route in routes]
    assert sorted(destinations) == sorted(["default", lab.network()])
    assert "unreachable" in lab.curl("svc-clusterip").HOSTNAME.item()


@CLAIMS.claim("01-25", "The control plane runs neither of the two Pods.", story="service-types")
@CLAIMS.claim("through-a-node-without-a-pod", "a node that runs none of the Pods", story="service-types")
def control_plane_without_a_pod(lab: Lab) -> None:
    _apply_types(lab)
    assert sorted(_pods_on(lab)) == ["webpod1", "webpod2"]
    assert lab.control_plane not in _pods_on(lab).values()


@CLAIMS.claim("01-35", "The node replaced the client's address by its own.", story="service-types")
@CLAIMS.claim("whom-does-the-pod-see", "the node replaced the client's address by its own", story="service-types")
def the_pod_sees_the_node(lab: Lab) -> None:
    _apply_types(lab)
    port = lab.object("service", "svc-nodeport")["spec"]["ports"][0]["nodePort"]
    assert lab.curl(f"{lab.control_plane}:{port}").REMOTE.item() == lab.address(lab.control_plane)


@CLAIMS.claim("01-35", "A NodePort is open on each node, with a Pod or without one.", story="service-types")
@CLAIMS.claim("doors-of-a-node-port", "a NodePort is open on each node", story="service-types")
def node_port_on_each_node(lab: Lab) -> None:
    _apply_types(lab)
    port = lab.object("service", "svc-nodeport")["spec"]["ports"][0]["nodePort"]
    for node in lab.nodes().NAME:
        assert any(f"--dport {port} " in rule.text for rule in lab.rules(node).rules())


@CLAIMS.claim(
    "01-56",
    "kind forwards the ports that its file lists as `extraPortMappings`, and no other.",
    "They are ports of the control plane's container.",
    story="service-types",
    on=("recorded",),
)
@CLAIMS.claim("from-your-laptop", "kind forwards only the ports in extraPortMappings.", story="service-types",
              on=("recorded",))  # fmt: skip
def forwarded_ports(lab: Lab) -> None:
    _apply_types(lab)
    ports = dict(zip(lab.containers(wide=True).NAMES, lab.containers(wide=True).PORTS, strict=True))
    assert "0.0.0.0:30000-30004->30000-30004/tcp" in ports[lab.control_plane]
    assert not any(text for name, text in ports.items() if name != lab.control_plane)


@CLAIMS.claim(
    "01-60",
    "kube-proxy answers 200 on a node with a ready Pod of this Service, and an error elsewhere.",
    "A node that answers with an error is alive.",
    story="service-types",
    on=("simulated",),
)
@CLAIMS.claim("01-37", "with HTTP status 200", story="service-types", on=("simulated",))
@CLAIMS.claim(
    "which-nodes-are-healthy",
    "kube-proxy answers 200 where a ready Pod of this Service runs, and 503 elsewhere.",
    "kube-proxy answers 200 only where a ready Pod of this Service runs.",
    "Which nodes answer 200 to its health check?",
    "one of the workers has none",
    story="service-types",
    on=("simulated",),
)
def health_port_answers(lab: Lab) -> None:
    _apply_types(lab)
    *_, service = yaml.safe_load_all(manifests.service_types)
    service["spec"]["externalTrafficPolicy"] = "Local"
    lab.apply(service)
    port = lab.object("service", "svc-loadbalancer")["spec"]["healthCheckNodePort"]
    answers = {node: lab.curl(f"{node}:{port}").HOSTNAME.item() for node in lab.nodes().NAME}
    with_pods = set(_pods_on(lab).values())
    assert answers == {node: "HTTP 200" if node in with_pods else "HTTP 503" for node in answers}
    assert len(with_pods) == 2


@CLAIMS.claim("01-62", "The port is still there.", story="service-types", on=("simulated",))
@CLAIMS.claim("01-64", "Now the Service has no port on the nodes.", story="service-types", on=("simulated",))
@CLAIMS.claim("does-the-field-close-the-port", "It does not release an old one.", story="service-types",
              on=("simulated",))  # fmt: skip
def the_field_keeps_the_port(lab: Lab) -> None:
    _apply_types(lab)

    def node_port() -> int | None:
        port = lab.object("service", "svc-loadbalancer")["spec"]["ports"][0]
        return int(port["nodePort"]) if "nodePort" in port else None

    before = node_port()
    *_, service = yaml.safe_load_all(manifests.service_types)
    service["spec"]["allocateLoadBalancerNodePorts"] = False
    lab.apply(service)
    assert node_port() == before is not None
    lab.delete_object("svc/svc-loadbalancer")
    lab.apply(service)
    assert node_port() is None


CLAIMS.fact(
    "01-25", "from the range 30000–32767", source="Kubernetes docs, Service, type NodePort (--service-node-port-range)"
)
CLAIMS.fact(
    "01-25", "This cluster uses its iptables mode.", source="the recorded kube-proxy's rules; kind's default mode"
)
CLAIMS.fact(
    "01-56",
    "kube-proxy's default mode is still iptables, and a NodePort is open on all addresses of a node.",
    "In nftables mode it is open on the node's primary addresses only.",
    source="Kubernetes v1.37 cmd/kube-proxy/app/server_linux.go (mode, nodePortAddresses)",
)
CLAIMS.fact(
    "01-56",
    "On macOS and Windows it does not, because Docker runs the nodes inside a virtual machine.",
    source="kind, known issues; kind issues #3482, #3556",
)
CLAIMS.fact(
    "01-60",
    "No component of MetalLB asks that port or connects to a Pod.",
    source="MetalLB v0.14.8 speaker/layer2_controller.go ShouldAnnounce, internal/k8s/epslices",
)
CLAIMS.fact(
    "01-62",
    'The field says "allocate no *new* port"',
    source="Kubernetes docs, Service, disabling load balancer NodePort allocation; KEP-1864",
)
CLAIMS.fact(
    "does-the-field-close-the-port",
    "It does not release an old one.",
    source="KEP-1864: existing node ports are not deallocated",
)
