"""Exercises of chapter 01 (expected answers, hints, feedback): what a Service offers before it has an address."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

from kanslib.exceptions import NotFoundError
from kanslib.exercises.catalog import sources
from kanslib.exercises.catalog.queries import column, load_balancer, name_of, node_port, nodes, nodes_with_endpoints
from kanslib.exercises.exercise import Choice, Exercise
from kanslib.exercises.lab_queries import LabQueries
from kanslib.exercises.misconceptions import ExpectedAnswer, Misconception, is_choice, is_wrong_number
from kanslib.k8s.objects import KubeObject, external_address

_APPLY = "lab.apply(manifests.service_types), or lab.at('apply-service-types')"


def _service_of_type(lab: LabQueries, kind: str) -> KubeObject:
    """Return a Service of this type that selects Pods; NotFoundError where there is none."""
    for service in lab.objects("services", "default"):
        if service["spec"]["type"] == kind and service["spec"].get("selector"):
            return service
    raise NotFoundError(f"a Service of type {kind} at this moment", hint=_APPLY)


def _expect_external_ip(lab: LabQueries) -> ExpectedAnswer:
    return ExpectedAnswer("address" if external_address(load_balancer(lab, _APPLY)) else "pending")


def _expect_events_while_pending(lab: LabQueries) -> ExpectedAnswer:
    service = load_balancer(lab, _APPLY)
    if external_address(service):
        raise NotFoundError("a Service that waits", hint=_APPLY)
    types = column(lab.events(name_of(service)), "TYPE")
    return ExpectedAnswer("nothing" if not types else "warning" if "Warning" in types else "normal")


def _expect_clients_of_a_cluster_ip(lab: LabQueries) -> ExpectedAnswer:
    service = _service_of_type(lab, "ClusterIP")
    ways_from_a_node = lab.trace(name_of(service), source=lab.control_plane)
    if ip_address(service["spec"]["clusterIP"]) in ip_network(lab.network()):
        return ExpectedAnswer("everybody")
    return ExpectedAnswer("inside" if all(way.verdict == "ACCEPT" for way in ways_from_a_node) else "pods")


def _expect_node_port_of_load_balancer(lab: LabQueries) -> ExpectedAnswer:
    ports = load_balancer(lab, _APPLY)["spec"]["ports"]
    return ExpectedAnswer("open" if any(port.get("nodePort") for port in ports) else "closed")


def _port_of_node_without_pod(lab: LabQueries) -> str:
    """Return `node:port` of a NodePort on a node that runs none of the Service's Pods."""
    service = _service_of_type(lab, "NodePort")
    node = max(nodes(lab) - nodes_with_endpoints(lab, name_of(service)))
    return f"{node}:{node_port(service)}"


def _expect_answer_without_a_pod(lab: LabQueries) -> ExpectedAnswer:
    verdicts = {way.verdict for way in lab.trace(_port_of_node_without_pod(lab))}
    return ExpectedAnswer("answered" if verdicts == {"ACCEPT"} else "refused")


def _expect_source_behind_node_port(lab: LabQueries) -> ExpectedAnswer:
    sources_seen = {way.packet.src for way in lab.trace(_port_of_node_without_pod(lab))}
    return ExpectedAnswer("client" if sources_seen == {lab.address(lab.client)} else "node")


def _expect_nodes_with_node_port(lab: LabQueries) -> ExpectedAnswer:
    service, everybody = _service_of_type(lab, "NodePort"), nodes(lab)
    match = f"--dport {node_port(service)} "
    open_on = [node for node in everybody if any(match in rule.text for rule in lab.rules(node).rules())]
    with_pods = nodes_with_endpoints(lab, name_of(service))
    return ExpectedAnswer(float(len(open_on)), {"with pods": len(with_pods), "workers": len(everybody) - 1})


EXERCISES = (
    Exercise(
        "external-ip-without-metallb", "01",
        "MetalLB is not installed. What stands in EXTERNAL-IP of the Service of type LoadBalancer?", "choice",
        _expect_external_ip,
        choices=(
            Choice("address", "an address"), Choice("none", "<none>"), Choice("pending", "<pending>"),
        ),
        hints=(
            "Kubernetes can write an address down. Who would choose it?",
            "Nobody here. What would kubectl say of a request that nobody has fulfilled yet?",
        ),
        explanation="{answer}: Kubernetes only has a place for the address. Somebody else has to fill it.",
        misconceptions=(
            Misconception(
                "kubernetes-has-a-load-balancer",
                "In a cloud it looks so, because the cloud's own controller answers. Kubernetes itself ships none for "
                "bare metal.",
                "MetalLB docs, start page (why?)", is_choice("address"),
            ),
        ),
        scored_by=("services",),
    ),
    Exercise(
        "does-pending-complain", "01", "The Service waits for an address. What do its events say?", "choice",
        _expect_events_while_pending,
        choices=(
            Choice("nothing", "nothing: there are none"), Choice("warning", "a warning that nobody answers"),
            Choice("normal", "a note that it is being worked on"),
        ),
        hints=("An event has an author.", "Who is there to write one?"),
        explanation="{answer}. An event needs somebody who tries, and nobody tries.",
        misconceptions=(
            Misconception(
                "pending-says-why",
                "The advice to look at the events is good once MetalLB has a pool. Before that nobody tries, and who "
                "does not try writes no event.",
                sources.EVENTS, is_choice("warning"),
            ),
        ),
        scored_by=("events",),
    ),
    Exercise(
        "who-reaches-a-cluster-ip", "01", "Who reaches a ClusterIP?",
        "choice", _expect_clients_of_a_cluster_ip, quiz=True,
        choices=(
            Choice("everybody", "everybody on the nodes' network"), Choice("inside", "nodes and Pods"),
            Choice("pods", "Pods only"),
        ),
        hints=("It is on no interface. What makes a packet for it go anywhere?", "Which machines have those rules?"),
        explanation="{answer}: whoever has kube-proxy's rules. A node has them as much as its Pods.",
        misconceptions=(
            Misconception(
                "cluster-ip-is-on-the-network",
                "The address is not of this network, and no machine out there has rules for it. It is not routed: the "
                "same surprise that people have with VIPs on a laptop.",
                sources.NOT_ROUTED, is_choice("everybody"),
            ),
        ),
    ),
    Exercise(
        "does-a-load-balancer-open-a-node-port", "01", "Does the Service of type LoadBalancer open a NodePort, too?",
        "choice", _expect_node_port_of_load_balancer,
        choices=(Choice("open", "yes"), Choice("closed", "no: that is what it is for")),
        hints=("Each type contains the one before it.", "Look at the column PORT(S)."),
        explanation="{answer}: unless allocateLoadBalancerNodePorts is false.",
        misconceptions=(
            Misconception(
                "load-balancer-hides-node-ports",
                "Clients learn one address instead of those of your workers, that is true. But the port is open on "
                "each worker all the same, unless allocateLoadBalancerNodePorts is false.",
                sources.LESSON, is_choice("closed"),
            ),
        ),
        scored_by=("services",),
    ),
    Exercise(
        "through-a-node-without-a-pod", "01", "You knock at the NodePort of a node that runs none of the Pods. Then?",
        "choice", _expect_answer_without_a_pod,
        choices=(Choice("answered", "a Pod on another node answers"), Choice("refused", "nobody answers")),
        hints=("Every node has the same rules.", "lab.trace('NODE:PORT') shows where the packet goes."),
        explanation="{answer}: the node takes the packet and passes it on.",
        misconceptions=(
            Misconception(
                "door-needs-a-pod",
                "Only the policy Local asks for a Pod on the node itself. By default any node passes packets on.",
                sources.ENDPOINTS_FIRST, is_choice("refused"),
            ),
        ),
        scored_by=("curl",),
    ),
    Exercise(
        "whom-does-the-pod-see", "01", "And whom does that Pod see as its client?",
        "choice", _expect_source_behind_node_port,
        choices=(Choice("client", "the client"), Choice("node", "the node that took the packet")),
        hints=("The answer has to come back the same way.", "Look at REMOTE."),
        explanation="{answer}: it wrote its own address over the client's, so that the answer comes back through it.",
        misconceptions=(
            Misconception(
                "pods-see-their-client",
                "Many look for their users in a Pod's log and find nodes. With the policy Cluster the node that takes "
                "a packet puts its own address in.",
                sources.SOURCE_ADDRESS, is_choice("client"),
            ),
        ),
        scored_by=("curl",),
    ),
    Exercise(
        "doors-of-a-node-port", "01", "On how many machines of this cluster is the NodePort open?",
        "number", _expect_nodes_with_node_port,
        quiz=True, scale=(0, 8, 1), unit="machines",
        hints=("Not only where the Pods are.", "The control plane runs kube-proxy, too."),
        explanation="On {answer}: kube-proxy writes the same rules on each of them.",
        misconceptions=(
            Misconception(
                "doors-only-where-pods-are",
                "As many nodes run a Pod. But a NodePort is on every node, whether or not one of the Pods is there.",
                sources.ENDPOINTS_FIRST, is_wrong_number("with pods", 0.0),
            ),
            Misconception(
                "control-plane-has-no-door",
                "You left the control plane out. Its label keeps load balancers away, and kube-proxy does not read it.",
                sources.LABEL, is_wrong_number("workers", 0.0),
            ),
        ),
    ),
)  # fmt: skip
