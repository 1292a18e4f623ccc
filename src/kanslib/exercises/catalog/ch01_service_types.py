"""Exercises of chapter 01 (expected answers, hints, feedback): what a Service offers before it has an address."""

from __future__ import annotations

import json
from ipaddress import ip_address, ip_network

import yaml

from kanslib.course import manifests
from kanslib.exceptions import KanslibError, NotFoundError
from kanslib.exercises.catalog import sources
from kanslib.exercises.catalog.queries import (
    column,
    load_balancer,
    name_of,
    node_port,
    nodes,
    nodes_with_endpoints,
    refused,
    sorted_nodes,
    written_objects,
)
from kanslib.exercises.exercise import Choice, Exercise
from kanslib.exercises.lab_queries import LabQueries
from kanslib.exercises.misconceptions import (
    Case,
    Effect,
    ExpectedAnswer,
    Misconception,
    Phrase,
    behaves_like,
    is_choice,
    is_wrong_names,
    is_wrong_number,
    leads_to,
    phrase,
)
from kanslib.i18n import listed, tr, tr_later
from kanslib.k8s import kubectl
from kanslib.k8s.apply import LAST_APPLIED, with_defaults
from kanslib.k8s.endpoints import selects
from kanslib.k8s.field_errors import described
from kanslib.k8s.objects import KubeObject, external_address
from kanslib.k8s.service_validation import service_errors

_WEBPODS = {"app": "webpod"}
_WHOAMI_PORT = 80  # traefik/whoami listens there
_APPLY = tr_later("lab.apply(manifests.service_types), or lab.at('apply-service-types')")


def _service_of_type(lab: LabQueries, kind: str) -> KubeObject:
    """Return a Service of this type that selects Pods; NotFoundError where there is none."""
    for service in lab.objects("services", "default"):
        if service["spec"]["type"] == kind and service["spec"].get("selector"):
            return service
    raise NotFoundError(tr("a Service of type {kind} at this moment", kind=kind), hint=tr(_APPLY))


def _expect_external_ip(lab: LabQueries) -> ExpectedAnswer:
    return ExpectedAnswer("address" if external_address(load_balancer(lab, _APPLY)) else "pending")


def _expect_events_while_pending(lab: LabQueries) -> ExpectedAnswer:
    service = load_balancer(lab, _APPLY)
    if external_address(service):
        raise NotFoundError(tr("a Service that waits"), hint=tr(_APPLY))
    types = column(lab.events(name_of(service)), "TYPE")
    return ExpectedAnswer("nothing" if not types else "warning" if "Warning" in types else "normal")


def _expect_first_look_at_pending(lab: LabQueries) -> ExpectedAnswer:
    """Find out what is missing while a Service waits: a controller, or the Service's endpoints."""
    if external_address(load_balancer(lab, _APPLY)):
        raise NotFoundError(tr("a Service that waits"), hint=tr(_APPLY))
    deployments = {(one["metadata"]["namespace"], name_of(one)) for one in lab.objects("deployments")}
    has_controller = ("metallb-system", "controller") in deployments
    return ExpectedAnswer("events" if has_controller else "controller")


def _expect_clients_of_a_cluster_ip(lab: LabQueries) -> ExpectedAnswer:
    service = _service_of_type(lab, "ClusterIP")
    ways_from_a_node = lab.trace(name_of(service), source=lab.control_plane)
    if ip_address(service["spec"]["clusterIP"]) in ip_network(lab.network()):
        return ExpectedAnswer("everybody")
    return ExpectedAnswer("inside" if all(way.verdict == "ACCEPT" for way in ways_from_a_node) else "pods")


def _expect_answer_to_a_client_outside(lab: LabQueries) -> ExpectedAnswer:
    """Find out whether a client on the nodes' network can ask it for the ClusterIP: only for addresses of its own."""
    service = _service_of_type(lab, "ClusterIP")
    is_on_network = ip_address(service["spec"]["clusterIP"]) in ip_network(lab.network())
    return ExpectedAnswer("pod" if is_on_network else "nothing")


def _expect_node_port_of_load_balancer(lab: LabQueries) -> ExpectedAnswer:
    ports = load_balancer(lab, _APPLY)["spec"]["ports"]
    return ExpectedAnswer("open" if any(port.get("nodePort") for port in ports) else "closed")


def _expect_node_port_after_the_field(lab: LabQueries) -> ExpectedAnswer:
    """Find out whether the manifest names the NodePort: `kubectl apply` removes only what a manifest had."""
    service = load_balancer(lab, _APPLY)
    applied = json.loads(service["metadata"].get("annotations", {}).get(LAST_APPLIED, "{}"))
    named = any(port.get("nodePort") for port in applied.get("spec", {}).get("ports", []))
    return ExpectedAnswer("closes" if named else "stays")


def _expect_port_on_the_host(lab: LabQueries) -> ExpectedAnswer:
    """Find out whether kind's file forwards the NodePort from the machine that kind runs on."""
    return ExpectedAnswer("yes" if node_port(_service_of_type(lab, "NodePort")) in _forwarded_ports() else "no")


def _forwarded_ports() -> list[int]:
    """Return the ports of the machine that kind forwards to a node, as its file lists them."""
    nodes_in_file = yaml.safe_load(manifests.kind_cluster)["nodes"]
    return [one["hostPort"] for node in nodes_in_file for one in node.get("extraPortMappings", [])]


def _expect_service_at_localhost(lab: LabQueries) -> ExpectedAnswer:
    """Return which Pods a Service of two forwarded ports reaches."""
    pods = [name_of(pod) for pod in lab.objects("pods", "default") if pod["metadata"].get("labels") == _WEBPODS]
    if not pods:
        raise NotFoundError(tr("a Pod with the label app: webpod"), hint="lab.apply(manifests.webpods)")
    cases: list[Case] = [((port,), Effect((_reached(port, _WHOAMI_PORT, pods),))) for port in _forwarded_ports()[1:3]]
    return ExpectedAnswer(cases, effect=lambda written: _effect_at_localhost(lab.objects("pods", "default"), written))


def _effect_at_localhost(pods: list[KubeObject], written: object) -> Effect:
    """Return what `localhost` reaches by the Services of a manifest, or why the API server refuses one."""
    try:
        services = [
            {**one, "spec": with_defaults(one)["spec"]} for one in written_objects(written) if one["kind"] == "Service"
        ]
    except KanslibError as error:
        return refused(error)
    if errors := [error for service in services for error in service_errors(service, None)]:
        return refused(described("Service", name_of(services[0]), errors))
    reached = [
        _reached(
            port["nodePort"], port["targetPort"], [name_of(pod) for pod in pods if _is_selected(service["spec"], pod)]
        )
        for service in services
        for port in service["spec"]["ports"]
        if port.get("nodePort") in _forwarded_ports()
    ]
    return Effect(tuple(reached) or (phrase(tr_later("localhost reaches no port of this Service")),))


def _is_selected(spec: KubeObject, pod: KubeObject) -> bool:
    selector = spec.get("selector") or {}
    return bool(selector) and selects({"matchLabels": selector}, pod["metadata"].get("labels") or {})


def _reached(port: int, target: object, pods: list[str]) -> Phrase:
    names = listed(pods)
    if not pods:
        return phrase(tr_later("localhost:{port} reaches no Pod"), port=port)
    if target != _WHOAMI_PORT:
        message = tr_later("localhost:{port} reaches port {target} of {pods}, where nothing listens")
        return phrase(message, port=port, target=target, pods=names)
    return phrase(tr_later("localhost:{port} reaches {pods}"), port=port, pods=names)


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


def _expect_healthy_nodes(lab: LabQueries) -> ExpectedAnswer:
    """Return the nodes that answer 200 to a health check: those that run a ready Pod of the Service."""
    everybody = nodes(lab)
    wrong_names = {"everybody": everybody, "workers": everybody - {lab.control_plane}}
    return ExpectedAnswer(nodes_with_endpoints(lab, name_of(load_balancer(lab, _APPLY))), wrong_names=wrong_names)


def _expect_ways_in(lab: LabQueries) -> ExpectedAnswer:
    """Return three columns of `kubectl get svc`, each row with its ways in; the last row has an address, too."""
    services = lab.objects("services")
    address = str(ip_network(lab.network())[-2])
    given = {**load_balancer(lab, _APPLY), "status": {"loadBalancer": {"ingress": [{"ip": address}]}}}
    cases: list[Case] = []
    for service in [*services, given]:
        row, spec = kubectl.service(service, 0.0), service["spec"]
        ways = ["ClusterIP"]
        ways += ["NodePort"] if any(port.get("nodePort") for port in spec["ports"]) else []
        ways += ["VIP"] if external_address(service) else []
        cases.append(((row["CLUSTER-IP"], row["EXTERNAL-IP"], row["PORT(S)"]), ways))
    return ExpectedAnswer(cases)


def _ways_with_pending(_cluster_ip: str, external_ip: str, ports: str) -> list[str]:
    """Return the ways in as somebody does who takes `<pending>` for an address."""
    return ["ClusterIP", *(["NodePort"] if ":" in ports else []), *(["VIP"] if external_ip != "<none>" else [])]


EXERCISES = (
    Exercise(
        "external-ip-without-metallb", "01",
        "MetalLB is not installed. What does EXTERNAL-IP show for the Service of type LoadBalancer?", "choice",
        _expect_external_ip,
        choices=(
            Choice("address", "an address"), Choice("none", "<none>"), Choice("pending", "<pending>"),
        ),
        hints=(
            "Kubernetes can store an address. Which component would choose it?",
            "This cluster has no such component. What does kubectl print for a request that is still open?",
        ),
        explanation="{answer}: Kubernetes has a field for the address. Another component has to fill it.",
        misconceptions=(
            Misconception(
                "kubernetes-has-a-load-balancer",
                "In a cloud the cloud's own controller fills the field. Kubernetes itself contains no such controller "
                "for bare metal.",
                "MetalLB docs, start page (why?)", is_choice("address"),
            ),
            Misconception(
                "no-address-means-none",
                "<none> is for types that ask for no address. This Service asks for one, so kubectl shows that the "
                "request is still open.",
                sources.BRIEF, is_choice("none"),
            ),
        ),
        scored_by=("services",),
        gives_away=(r"<pending>",),
    ),
    Exercise(
        "does-pending-complain", "01", "The Service waits for an address. What do its events say?", "choice",
        _expect_events_while_pending,
        choices=(
            Choice("nothing", "nothing: it has no events"), Choice("warning", "a warning that no address comes"),
            Choice("normal", "a note that a component works on it"),
        ),
        hints=("A component writes an event.", "Which component could write one here?"),
        explanation="{answer}. A component that tries writes events, and here no component tries.",
        misconceptions=(
            Misconception(
                "pending-says-why",
                "The advice to look at the events is good after MetalLB is installed. Without MetalLB no component "
                "tries, so no component writes a warning.",
                sources.EVENTS, is_choice("warning"),
            ),
            Misconception(
                "kubernetes-works-on-it",
                "Kubernetes stores the Service and its ClusterIP, and then it is done. It does not look for an "
                "external address.",
                sources.BRIEF, is_choice("normal"),
            ),
        ),
        scored_by=("events",),
        gives_away=(r"has no event", r"\(none: svc-loadbalancer"),
    ),
    Exercise(
        "pending-for-a-week", "01",
        "A colleague's Service has been pending for a week. You delete it and apply it again, and it waits "
        "without an event. What do you check first?",
        "choice", _expect_first_look_at_pending, quiz=True,
        choices=(
            Choice("controller", "whether a controller for load balancers runs"),
            Choice("events", "whether kubectl shows the events wrongly"),
            Choice("pods", "whether the Pods of the Service are ready"),
        ),
        hints=("Which component writes the address into the Service?", "kubectl get pods -A: does it run?"),
        explanation="{answer}. It writes the address, and it would write an event if it failed.",
        misconceptions=(
            Misconception(
                "it-is-a-display-problem",
                "kubectl shows what the API stores. The API stores no event, because no component wrote one.",
                sources.BRIEF, is_choice("events"),
            ),
            Misconception(
                "no-pods-no-address",
                "MetalLB's controller gives an address to a Service without Pods, too. Pods matter later, when a node "
                "has to announce the address.",
                sources.EVENTS, is_choice("pods"),
            ),
        ),
    ),
    Exercise(
        "from-your-laptop", "01",
        "kind runs on your machine. Does curl localhost:PORT reach the NodePort that Kubernetes chose?",
        "choice", _expect_port_on_the_host,
        choices=(Choice("yes", "yes: kind forwards NodePorts"), Choice("no", "no: kind does not forward this one")),
        hints=("Which part of kind's file names ports of the host?", "extraPortMappings lists the forwarded ports."),
        explanation="{answer}. kind forwards the ports of extraPortMappings, on the node that lists them.",
        misconceptions=(
            Misconception(
                "kind-forwards-every-node-port",
                "kind forwards only the ports in extraPortMappings. Give the Service one of them with the field "
                "nodePort, or send the request to the node's own address.",
                sources.NOT_ROUTED, is_choice("yes"),
            ),
        ),
        scored_by=("containers",),
        gives_away=(r"30004", r"extraPortMappings"),
    ),
    Exercise(
        "who-reaches-a-cluster-ip", "01", "Which machines reach a ClusterIP?",
        "choice", _expect_clients_of_a_cluster_ip, quiz=True,
        choices=(
            Choice("everybody", "every machine on the nodes' network"), Choice("inside", "nodes and Pods"),
            Choice("pods", "Pods only"),
        ),
        hints=("No interface has the address. What delivers a packet for it?", "Which machines have those rules?"),
        explanation="{answer}: kube-proxy writes its rules on each node, and Pods send through their node.",
        misconceptions=(
            Misconception(
                "cluster-ip-is-on-the-network",
                "The address does not belong to this network, and a machine outside has no rules for it. No router "
                "knows a route to it.",
                sources.NOT_ROUTED, is_choice("everybody"),
            ),
            Misconception(
                "nodes-are-outside",
                "The rules for a ClusterIP are on the node itself. A program on the node uses them, too: in this "
                "chapter the control plane's node did.",
                sources.BRIEF, is_choice("pods"),
            ),
        ),
    ),
    Exercise(
        "cluster-ip-from-outside", "01",
        "The client is on the nodes' network. It sends a request to the ClusterIP. What happens?", "choice",
        _expect_answer_to_a_client_outside,
        choices=(
            Choice("pod", "a Pod answers"), Choice("refused", "a node refuses the connection"),
            Choice("nothing", "the packet does not get to a node"),
        ),
        hints=("Is the ClusterIP an address of the nodes' network?", "Compare it with lab.network()."),
        explanation="{answer}: the ClusterIP is not in the client's network, so the client sends it to its gateway.",
        misconceptions=(
            Misconception(
                "a-neighbor-of-nodes-is-inside",
                "The rules for a ClusterIP are on the cluster's nodes. The client is their neighbor, and it has no "
                "such rules.",
                sources.NOT_ROUTED, is_choice("pod"),
            ),
            Misconception(
                "nodes-hear-every-packet",
                "A node can only refuse a packet that it gets. The client sends this one to its gateway, because the "
                "ClusterIP is in another network.",
                sources.NOT_ROUTED, is_choice("refused"),
            ),
        ),
        scored_by=("curl",),
        gives_away=(r"gets no answer", r"default gateway", r"\(no answer"),
    ),
    Exercise(
        "does-a-load-balancer-open-a-node-port", "01", "Does the Service of type LoadBalancer open a NodePort, too?",
        "choice", _expect_node_port_of_load_balancer,
        choices=(Choice("open", "yes"), Choice("closed", "no: a load balancer makes it unnecessary")),
        hints=("A load balancer of a cloud has to reach the cluster somehow.", "Look at the column PORT(S)."),
        explanation="{answer}: Kubernetes allocates one, unless allocateLoadBalancerNodePorts is false.",
        misconceptions=(
            Misconception(
                "load-balancer-hides-node-ports",
                "Clients learn one address instead of those of your workers, that is true. But the port is open on "
                "each node all the same, unless allocateLoadBalancerNodePorts is false.",
                sources.LESSON, is_choice("closed"),
            ),
        ),
        scored_by=("services",),
        gives_away=(r"svc-loadbalancer (?:LoadBalancer \S+ \S+ )?80:\d+/TCP", r"LoadBalancer is a NodePort plus"),
    ),
    Exercise(
        "does-the-field-close-the-port", "01",
        "You add allocateLoadBalancerNodePorts: false to this Service and apply it again. What happens to its port?",
        "choice", _expect_node_port_after_the_field,
        choices=(Choice("closes", "it closes"), Choice("stays", "it stays open")),
        hints=("The field is about allocation.", "kubectl apply removes only fields that your manifest had before."),
        explanation="{answer}: the field stops Kubernetes from allocating a new port. It does not release an old one.",
        misconceptions=(
            Misconception(
                "the-field-closes-ports",
                "The field stops new allocations. The stored nodePort stays, until you delete the Service or remove "
                "the nodePort of each port.",
                sources.BRIEF, is_choice("closes"),
            ),
        ),
        scored_by=("services",),
        gives_away=(r"stays open", r"does not release"),
    ),
    Exercise(
        "through-a-node-without-a-pod", "01",
        "The client sends a request to the NodePort of a node that runs none of the Pods. What happens?",
        "choice", _expect_answer_without_a_pod,
        choices=(Choice("answered", "a Pod on another node answers"), Choice("refused", "the client gets no answer")),
        hints=("On which nodes does kube-proxy run?", "lab.trace('NODE:PORT') shows where the packet goes."),
        explanation="{answer}: the node forwards the packet to a Pod's node.",
        misconceptions=(
            Misconception(
                "door-needs-a-pod",
                "By default each node forwards packets. A node needs a Pod of its own only with the setting "
                "externalTrafficPolicy: Local, which follows in this chapter.",
                sources.ENDPOINTS_FIRST, is_choice("refused"),
            ),
        ),
        scored_by=("curl",),
        gives_away=(r"NodePort is open on each node", r"forwards the packet to a Pod"),
    ),
    Exercise(
        "whom-does-the-pod-see", "01", "Which address does that Pod see as its client's?",
        "choice", _expect_source_behind_node_port,
        choices=(Choice("client", "the client's"), Choice("node", "that of the node that took the packet")),
        hints=("The answer has to return through the same node.", "Look at REMOTE."),
        explanation="{answer}: the node replaced the client's address by its own, so the answer returns through it.",
        misconceptions=(
            Misconception(
                "pods-see-their-client",
                "Many people look for their users in a Pod's log and find nodes. By default the node that takes a "
                "packet replaces the client's address by its own.",
                sources.SOURCE_ADDRESS, is_choice("client"),
            ),
        ),
        scored_by=("curl",),
    ),
    Exercise(
        "which-nodes-are-healthy", "01",
        "The Service has the policy Local. Which nodes answer 200 to its health check?", "names",
        _expect_healthy_nodes, options=sorted_nodes,
        hints=("The check asks kube-proxy about one Service.", "With Local a node sends packets to its own Pods only."),
        explanation="{answer}: kube-proxy answers 200 where a ready Pod of this Service runs, and 503 elsewhere.",
        misconceptions=(
            Misconception(
                "health-is-a-living-node",
                "A node can live and fail this check. kube-proxy answers 200 only where a ready Pod of this Service "
                "runs.",
                sources.LESSON, is_wrong_names("everybody"),
            ),
            Misconception(
                "workers-are-healthy",
                "Ordinary Pods run on workers. But the check asks for a Pod of this one Service, and one of the "
                "workers has none.",
                sources.LESSON, is_wrong_names("workers"),
            ),
        ),
        scored_by=("curl",),
        gives_away=(r"HTTP (?:200|503)", r"answers? (?:200|503)"),
    ),
    Exercise(
        "write-the-ways-in", "01",
        "Write ways_in: it reads a row of kubectl get svc and returns a list of its ways in, out of 'ClusterIP', "
        "'NodePort' and 'VIP'.",
        "code", _expect_ways_in,
        starter="def ways_in(cluster_ip, external_ip, ports):\n    ...",
        hints=(
            "Begin with ['ClusterIP']. Then look for a NodePort in `ports`: it follows a colon.",
            "`external_ip` can be an address, `<none>` or `<pending>`. Only an address begins with a digit.",
        ),
        explanation="The columns show what a client can use now. The type only shows what the Service asked for.",
        solution=(
            "def ways_in(cluster_ip, external_ip, ports):\n"
            "    ways = ['ClusterIP']\n"
            "    if ':' in ports:\n"
            "        ways.append('NodePort')\n"
            "    if external_ip[0].isdigit():\n"
            "        ways.append('VIP')\n"
            "    return ways"
        ),
        misconceptions=(
            Misconception(
                "pending-is-an-address",
                "Your function counts `<pending>` as a VIP. It is a request that is still open: no client can use it.",
                sources.BRIEF, behaves_like(_ways_with_pending),
            ),
        ),
    ),
    Exercise(
        "write-a-service", "01",
        "Write local_service: it returns the YAML of a Service for the Pods with the label app: webpod. "
        "On your machine, curl localhost:PORT has to reach them. The port comes as a number.",
        "code", _expect_service_at_localhost,
        starter="def local_service(port):\n    ...",
        hints=(
            "Which type opens a port on the nodes? kind forwards such a port to your machine.",
            "Its fields: port is the ClusterIP's, targetPort the Pods', nodePort the nodes'.",
            "Return an f-string. The Pods listen on port 80, and kind forwards to the nodePort: {port}.",
        ),
        explanation="kind forwards the port to a node, the nodePort is open there, and the rules choose a Pod.",
        solution=(
            "def local_service(port):\n"
            '    return f"""\n'
            "apiVersion: v1\n"
            "kind: Service\n"
            "metadata:\n"
            "  name: local\n"
            "spec:\n"
            "  type: NodePort\n"
            "  selector:\n"
            "    app: webpod\n"
            "  ports:\n"
            "  - port: 80\n"
            "    targetPort: 80\n"
            "    nodePort: {port}\n"
            '"""'
        ),
        misconceptions=(
            Misconception(
                "port-is-open-on-the-machine",
                "Your Service has no nodePort that kind forwards. The field port is the port of the ClusterIP, and no "
                "node opens it.",
                sources.NOT_ROUTED, leads_to("reaches no port of"),
            ),
            Misconception(
                "each-type-has-a-node-port",
                "A Service without a type is a ClusterIP, and a ClusterIP has no nodePort. The API server refuses it.",
                sources.BRIEF, leads_to("may not be used when"),
            ),
            Misconception(
                "pods-listen-on-the-service-port",
                "Without targetPort a Service sends to the number in port. The Pods listen on another one.",
                sources.BRIEF, leads_to("where nothing listens"),
            ),
            Misconception(
                "pods-are-found-without-a-selector",
                "Your selector does not match the Pods. It has to name a label that they have.",
                sources.BRIEF, leads_to("reaches no Pod"),
            ),
        ),
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
                "So many nodes run a Pod. But a NodePort is open on each node, with a Pod or without one.",
                sources.ENDPOINTS_FIRST, is_wrong_number("with pods", 0.0),
            ),
            Misconception(
                "control-plane-has-no-door",
                "You left the control plane out. It runs kube-proxy, too, so the port is open there.",
                sources.LABEL, is_wrong_number("workers", 0.0),
            ),
        ),
    ),
)  # fmt: skip
