"""Chapter 01: what a Service offers before there is anybody who gives it an address."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Any

from kanslib.exceptions import NotRecordedError
from kanslib.exercises.catalog import sources
from kanslib.exercises.catalog.queries import balancer, node_port, nodes, with_endpoints
from kanslib.exercises.exercise import Choice, Exercise
from kanslib.exercises.misconceptions import ExpectedAnswer, Misconception, chose, number
from kanslib.k8s.objects import KubeObject, external_address

_APPLY = "lab.apply(manifests.service_types), or lab.at('apply-service-types')"


def _of_type(lab: Any, kind: str) -> KubeObject:
    found = [one for one in lab.objects("services", "default") if one["spec"]["type"] == kind]
    mine = [one for one in found if one["spec"].get("selector")]
    if not mine:
        raise NotRecordedError(f"a Service of type {kind} at this moment", hint=_APPLY)
    first: KubeObject = mine[0]
    return first


def _external_ip(lab: Any) -> ExpectedAnswer:
    return ExpectedAnswer("address" if external_address(balancer(lab, _APPLY)) else "pending")


def _complaints(lab: Any) -> ExpectedAnswer:
    waiting = balancer(lab, _APPLY)
    if external_address(waiting):
        raise NotRecordedError("a Service that waits", hint=_APPLY)
    told = lab.events(waiting["metadata"]["name"])
    return ExpectedAnswer("nothing" if told.empty else "warning" if "Warning" in set(told.TYPE) else "normal")


def _reach_of_a_cluster_ip(lab: Any) -> ExpectedAnswer:
    service = _of_type(lab, "ClusterIP")
    name, address = service["metadata"]["name"], service["spec"]["clusterIP"]
    from_a_node = all(way.verdict == "ACCEPT" for way in lab.trace(name, source=lab.control_plane))
    near = ip_address(address) in ip_network(lab.network())
    return ExpectedAnswer("everybody" if near else "inside" if from_a_node else "pods")


def _node_port_too(lab: Any) -> ExpectedAnswer:
    ports = balancer(lab, _APPLY)["spec"]["ports"]
    return ExpectedAnswer("open" if any(port.get("nodePort") for port in ports) else "closed")


def _door(lab: Any) -> tuple[str, str]:
    """A Service's NodePort on a node that has none of its Pods, and that node."""
    service = _of_type(lab, "NodePort")
    homes = with_endpoints(lab, service["metadata"]["name"])
    node = next(node for node in sorted(nodes(lab), reverse=True) if node not in homes)
    return f"{node}:{node_port(service)}", node


def _without_a_pod(lab: Any) -> ExpectedAnswer:
    target, _ = _door(lab)
    verdicts = {way.verdict for way in lab.trace(target)}
    return ExpectedAnswer("answered" if verdicts == {"ACCEPT"} else "refused")


def _seen_by_the_pod(lab: Any) -> ExpectedAnswer:
    target, _ = _door(lab)
    seen = {way.packet.src for way in lab.trace(target)}
    return ExpectedAnswer("client" if seen == {lab.address(lab.client)} else "node")


def _doors(lab: Any) -> ExpectedAnswer:
    service = _of_type(lab, "NodePort")
    wanted = f"--dport {node_port(service)} "
    open_on = [n for n in nodes(lab) if any(wanted in rule.text for rule in lab.rules(n).rules())]
    homes = with_endpoints(lab, service["metadata"]["name"])
    return ExpectedAnswer(float(len(open_on)), {"homes": len(homes), "workers": len(nodes(lab)) - 1})


EXERCISES = (
    Exercise(
        "external-ip-without-metallb", "01",
        "MetalLB is not installed. What stands in EXTERNAL-IP of the Service of type LoadBalancer?", "choice",
        _external_ip,
        choices=(
            Choice("address", "an address"), Choice("none", "<none>"), Choice("pending", "<pending>"),
        ),
        hints=(
            "Kubernetes can write an address down. Who would choose it?",
            "Nobody here. What would kubectl say of a request that nobody has fulfilled yet?",
        ),
        explanation="{truth}: Kubernetes only has a place for the address. Somebody else has to fill it.",
        misconceptions=(
            Misconception(
                "kubernetes-has-a-load-balancer",
                "In a cloud it looks so, because the cloud's own controller answers. Kubernetes itself ships none for "
                "bare metal.",
                "MetalLB docs, start page (why?)", chose("address"),
            ),
        ),
        scored_by=("services",),
    ),
    Exercise(
        "does-pending-complain", "01", "The Service waits for an address. What do its events say?", "choice",
        _complaints,
        choices=(
            Choice("nothing", "nothing: there are none"), Choice("warning", "a warning that nobody answers"),
            Choice("normal", "a note that it is being worked on"),
        ),
        hints=("An event has an author.", "Who is there to write one?"),
        explanation="{truth}. An event needs somebody who tries, and nobody tries.",
        misconceptions=(
            Misconception(
                "pending-says-why",
                "The advice to look at the events is good once MetalLB has a pool. Before that nobody tries, and who "
                "does not try writes no event.",
                sources.EVENTS, chose("warning"),
            ),
        ),
        scored_by=("events",),
    ),
    Exercise(
        "who-reaches-a-cluster-ip", "01", "Who reaches a ClusterIP?", "choice", _reach_of_a_cluster_ip, quiz=True,
        choices=(
            Choice("everybody", "everybody on the nodes' network"), Choice("inside", "nodes and Pods"),
            Choice("pods", "Pods only"),
        ),
        hints=("It is on no interface. What makes a packet for it go anywhere?", "Which machines have those rules?"),
        explanation="{truth}: whoever has kube-proxy's rules. A node has them as much as its Pods.",
        misconceptions=(
            Misconception(
                "cluster-ip-is-on-the-network",
                "The address is not of this network, and no machine out there has rules for it. It is not routed: the "
                "same surprise that people have with VIPs on a laptop.",
                sources.NOT_ROUTED, chose("everybody"),
            ),
        ),
    ),
    Exercise(
        "does-a-load-balancer-open-a-node-port", "01", "Does the Service of type LoadBalancer open a NodePort, too?",
        "choice", _node_port_too,
        choices=(Choice("open", "yes"), Choice("closed", "no: that is what it is for")),
        hints=("Each type contains the one before it.", "Look at the column PORT(S)."),
        explanation="{truth}: unless allocateLoadBalancerNodePorts is false.",
        misconceptions=(
            Misconception(
                "load-balancer-hides-node-ports",
                "Clients learn one address instead of those of your workers, that is true. But the port is open on "
                "each worker all the same, unless allocateLoadBalancerNodePorts is false.",
                sources.LESSON, chose("closed"),
            ),
        ),
        scored_by=("services",),
    ),
    Exercise(
        "through-a-node-without-a-pod", "01", "You knock at the NodePort of a node that runs none of the Pods. Then?",
        "choice", _without_a_pod,
        choices=(Choice("answered", "a Pod on another node answers"), Choice("refused", "nobody answers")),
        hints=("Every node has the same rules.", "lab.trace('NODE:PORT') shows where the packet goes."),
        explanation="{truth}: the node takes the packet and passes it on.",
        misconceptions=(
            Misconception(
                "door-needs-a-pod",
                "Only the policy Local asks for a Pod on the node itself. By default any node passes packets on.",
                sources.ENDPOINTS_FIRST, chose("refused"),
            ),
        ),
        scored_by=("curl",),
    ),
    Exercise(
        "whom-does-the-pod-see", "01", "And whom does that Pod see as its client?", "choice", _seen_by_the_pod,
        choices=(Choice("client", "the client"), Choice("node", "the node that took the packet")),
        hints=("The answer has to come back the same way.", "Look at REMOTE."),
        explanation="{truth}: it wrote its own address over the client's, so that the answer comes back through it.",
        misconceptions=(
            Misconception(
                "pods-see-their-client",
                "Many look for their users in a Pod's log and find nodes. With the policy Cluster the node that takes "
                "a packet puts its own address in.",
                sources.SOURCE_ADDRESS, chose("client"),
            ),
        ),
        scored_by=("curl",),
    ),
    Exercise(
        "doors-of-a-node-port", "01", "On how many machines of this cluster is the NodePort open?", "number", _doors,
        quiz=True, scale=(0, 8, 1), unit="machines",
        hints=("Not only where the Pods are.", "The control plane runs kube-proxy, too."),
        explanation="On {truth}: kube-proxy writes the same rules on each of them.",
        misconceptions=(
            Misconception(
                "doors-only-where-pods-are",
                "As many nodes run a Pod. But a NodePort is on every node, whether or not one of the Pods is there.",
                sources.ENDPOINTS_FIRST, number(lambda truth: truth.facts["homes"], 0.0),
            ),
            Misconception(
                "control-plane-has-no-door",
                "You left the control plane out. Its label keeps load balancers away, and kube-proxy does not read it.",
                sources.LABEL, number(lambda truth: truth.facts["workers"], 0.0),
            ),
        ),
    ),
)  # fmt: skip
