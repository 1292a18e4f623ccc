"""What a notebook holds: one object, asked the same way of every backend."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, overload

from kanslib import binder
from kanslib.actions import describe_done
from kanslib.backends.base import Backend
from kanslib.i18n import listed, tr
from kanslib.k8s.manifest import qualified_reference
from kanslib.k8s.objects import KubeObject
from kanslib.lab import kubernetes, metallb, packet_path, places, traffic
from kanslib.lab.learning import Guess, Learning
from kanslib.lab.observation import Observation, check_layer
from kanslib.lab.queries import ClusterView, QueryLog, action, query
from kanslib.notices import show_answer

if TYPE_CHECKING:
    from kanslib import iptables, nftables
    from kanslib.answer import Text
    from kanslib.exercises.session import ExerciseView, PendingPredictions, Prediction, Quiz
    from kanslib.lab.time_machine import TimeMachine
    from kanslib.render.cluster_map import ClusterMap
    from kanslib.render.election_diagram import HashOrder
    from kanslib.render.election_tables import ExplainedElection
    from kanslib.render.iptables_tables import NodeRules
    from kanslib.render.packet_trace import Trace
    from kanslib.render.pool_diagram import PoolAddresses
    from kanslib.render.progress import ProgressReport
    from kanslib.render.tables import Table


class Lab(places.HelpfulAttributes):
    """A MetalLB cluster in your hand. Open one with `kanslib.open_lab()`.

    Every argument `service` is `"svc1"` (in the namespace `default`) or `"namespace/svc1"`. A name that does not exist
    raises UnknownNameError, which lists the names that do. What a recording does not hold raises NotRecordedError, what
    does not exist at this moment NotFoundError, and a node that is down NodeDownError.

    >>> import kanslib
    >>> lab = kanslib.open_lab(story="arp")  # doctest: +ELLIPSIS
    recorded · story 'arp': ...
    >>> lab.vip("svc1"), lab.leader("svc1")
    ('172.18.255.200', 'myk8s-worker')
    """

    def __init__(self, backend: Backend, story: str = "", predictions: PendingPredictions | None = None) -> None:
        self._backend = backend
        self._view = ClusterView(backend)
        self._query_log = QueryLog(self._view)
        self._learning = Learning(self, backend, story, self._query_log, predictions)

    def __repr__(self) -> str:
        return f"<Lab: {self._backend.provenance()}>"

    # ── places and addresses ────────────────────────────────────────────────────────────────────────────────────

    @property
    def client(self) -> str:
        """The client outside the cluster. Raises NotFoundError where there is none.

        >>> import kanslib
        >>> lab = kanslib.open_lab(story="arp")  # doctest: +ELLIPSIS
        recorded · story 'arp': ...
        >>> lab.client
        'mypc'
        """
        return places.client(self._view)

    @property
    def control_plane(self) -> str:
        """The control plane's node.

        >>> import kanslib
        >>> lab = kanslib.open_lab(story="arp")  # doctest: +ELLIPSIS
        recorded · story 'arp': ...
        >>> lab.control_plane
        'myk8s-control-plane'
        """
        return self._view.topology().control_plane

    @property
    def router(self) -> str:
        """The BGP router. Raises NotFoundError where none runs at this moment.

        >>> import kanslib
        >>> lab = kanslib.open_lab(story="bgp")  # doctest: +ELLIPSIS
        recorded · story 'bgp': ...
        >>> lab.at("start-router")
        >>> lab.router
        'router'
        """
        return places.router(self._view)

    def address(self, place: str) -> str:
        """Return the address of a node, the client or the router on the Docker network.

        Raise UnknownNameError for a place that does not exist.

        >>> import kanslib
        >>> lab = kanslib.open_lab(story="arp")  # doctest: +ELLIPSIS
        recorded · story 'arp': ...
        >>> lab.address(lab.client)
        '172.18.0.100'
        """
        return places.address_of(self._view, place)

    @query
    def network(self) -> str:
        """Return the Docker network's range.

        >>> import kanslib
        >>> lab = kanslib.open_lab(story="arp")  # doctest: +ELLIPSIS
        recorded · story 'arp': ...
        >>> lab.network()
        '172.18.0.0/16'
        """
        return self._view.topology().network

    @query
    def vip(self, service: str) -> str:
        """Return the external address of a Service.

        Raise NotFoundError while it is pending and for a Service that is no LoadBalancer.

        >>> import kanslib
        >>> lab = kanslib.open_lab(story="arp")  # doctest: +ELLIPSIS
        recorded · story 'arp': ...
        >>> lab.vip("svc1")
        '172.18.255.200'
        """
        return places.vip(self._view, service)

    @query
    def pool(self) -> PoolAddresses:
        """Return every IPv4 address that the pools of this moment may hand out, in order, as a list.

        A notebook shows it as a picture: each pool, the Services that have its addresses, its advertisements, and the
        Services that wait. The real commands: `kubectl get ipaddresspools -n metallb-system`, `kubectl get svc -A`.

        >>> import kanslib
        >>> lab = kanslib.open_lab(story="arp")  # doctest: +ELLIPSIS
        recorded · story 'arp': ...
        >>> lab.pool()[0], len(lab.pool())
        ('172.18.255.200', 51)
        """
        return metallb.pool(self._view)

    @query
    def leader(self, service: str) -> str | None:
        """Return the node that the newest leader event of a Service names; None while no L2Advertisement covers it.

        A leader event is MetalLB's nodeAssigned (v0.14.8 speaker/main.go handleService): what the API says, not what
        the wire says. Warn with LeaderDisagreementWarning where another node wins the election now; `arp_scan()` shows
        who answers.

        >>> import kanslib
        >>> lab = kanslib.open_lab(story="arp")  # doctest: +ELLIPSIS
        recorded · story 'arp': ...
        >>> lab.leader("svc1")
        'myk8s-worker'
        """
        found = metallb.leader(self._view, service)
        metallb.warn_of_disagreement(self._view, service, found)
        return found

    # ── Kubernetes ──────────────────────────────────────────────────────────────────────────────────────────────

    @query
    def nodes(self, *, wide: bool = False) -> Table:
        """Return `kubectl get nodes -o wide`; `wide` also shows the columns that seldom matter.

        >>> import kanslib
        >>> lab = kanslib.open_lab(story="arp")  # doctest: +ELLIPSIS
        recorded · story 'arp': ...
        >>> lab.nodes().NAME.tolist()
        ['myk8s-control-plane', 'myk8s-worker', 'myk8s-worker2', 'myk8s-worker3']
        """
        return kubernetes.table(self._view, "nodes", None, wide=wide)

    @query
    def pods(self, *, wide: bool = False) -> Table:
        """Return `kubectl get pods -A -o wide`; `wide` also shows the columns that seldom matter.

        >>> import kanslib
        >>> lab = kanslib.open_lab(story="arp")  # doctest: +ELLIPSIS
        recorded · story 'arp': ...
        >>> lab.pods().query("NAMESPACE == 'default'").NAME.tolist()
        ['webpod1', 'webpod2']
        """
        return kubernetes.table(self._view, "pods", None, wide=wide)

    @query
    def services(self, *, wide: bool = False) -> Table:
        """Return `kubectl get svc -A -o wide`; `wide` also shows the columns that seldom matter.

        >>> import kanslib
        >>> lab = kanslib.open_lab(story="arp")  # doctest: +ELLIPSIS
        recorded · story 'arp': ...
        >>> lab.services().NAME.tolist()[:4]
        ['kubernetes', 'svc1', 'svc2', 'svc3']
        """
        return kubernetes.table(self._view, "services", None, wide=wide)

    @query
    def table(self, kind: str, namespace: str | None = None, *, wide: bool = False) -> Table:
        """Return `kubectl get KIND -o wide`: kubectl's headers, all namespaces unless one is named.

        `kind`: a resource, its singular or kubectl's short name. `wide`: also show the columns that seldom matter. The
        table has them in any case.

        >>> import kanslib
        >>> lab = kanslib.open_lab(story="arp")  # doctest: +ELLIPSIS
        recorded · story 'arp': ...
        >>> lab.table("ipaddresspools").NAME.tolist()
        ['my-ippool']
        """
        return kubernetes.table(self._view, kind, namespace, wide=wide)

    @query
    def objects(self, kind: str, namespace: str | None = None) -> list[KubeObject]:
        """Return the API objects of a kind (`"pods"`, `"svc"`, `"ServiceL2Status"`, …) as plain dicts.

        `namespace`: one of them; without it all.

        >>> import kanslib
        >>> lab = kanslib.open_lab(story="arp")  # doctest: +ELLIPSIS
        recorded · story 'arp': ...
        >>> len(lab.objects("nodes"))
        4
        """
        return kubernetes.objects(self._view, kind, namespace)

    @query
    def object(self, kind: str, name: str, namespace: str = "default") -> KubeObject:
        """Return one API object as a plain dict.

        Raise UnknownNameError, with the names that do exist, where it does not.

        >>> import kanslib
        >>> lab = kanslib.open_lab(story="arp")  # doctest: +ELLIPSIS
        recorded · story 'arp': ...
        >>> lab.object("service", "svc1")["spec"]["type"]
        'LoadBalancer'
        """
        return places.find_object(self._view, kind, name, namespace)

    @query
    def events(self, service: str) -> Table:
        """Return the Kubernetes events of a Service, as `kubectl describe svc` lists them; a repeat is counted.

        >>> import kanslib
        >>> lab = kanslib.open_lab(story="arp")  # doctest: +ELLIPSIS
        recorded · story 'arp': ...
        >>> lab.events("svc1").REASON.tolist()
        ['IPAllocated', 'nodeAssigned']
        """
        return kubernetes.events(self._view, service)

    @query
    def describe(self, service: str) -> Text:
        """Return what `kubectl describe svc` printed of one Service.

        >>> import kanslib
        >>> lab = kanslib.open_lab(story="metallb")  # doctest: +ELLIPSIS
        recorded · story 'metallb': ...
        >>> lab.at("apply-services")
        >>> lab.describe("svc1").splitlines()[0]
        'Name:                     svc1'
        """
        return kubernetes.describe(self._view, service)

    @query
    def containers(self, *, wide: bool = False) -> Table:
        """Return `docker ps -a`: the containers of the course; `wide` also shows their ids and ports.

        >>> import kanslib
        >>> lab = kanslib.open_lab(story="service-types")  # doctest: +ELLIPSIS
        recorded · story 'service-types': ...
        >>> "myk8s-worker" in lab.containers().NAMES.tolist()
        True
        """
        return traffic.containers(self._view, wide=wide)

    @query
    def log(self, component: str, node: str | None = None) -> Text:
        """Return the log of `"speaker"` or `"controller"` up to now.

        `node`: whose Pod; without it those of all Pods, merged in order of time. The real command: `kubectl -n
        metallb-system logs --timestamps POD`.

        >>> import kanslib
        >>> lab = kanslib.open_lab(story="arp")  # doctest: +ELLIPSIS
        recorded · story 'arp': ...
        >>> "serviceAnnounced" in lab.log("speaker", lab.leader("svc1"))
        True
        """
        if node is not None:
            places.check_node(self._view, node)
        return self._view.log(component, node)

    @query
    def run(self, place: str, command: str) -> Text:
        """Return what a command printed on a node, on the client, on the router, or on `"host"` (kubectl, docker).

        Raise NodeDownError where the place is down, UnknownNameError where it does not exist.

        >>> import kanslib
        >>> lab = kanslib.open_lab(story="arp")  # doctest: +ELLIPSIS
        recorded · story 'arp': ...
        >>> lab.vip("svc1") in lab.run(lab.leader("svc1"), "ip -j addr")
        False
        """
        return self._backend.run(place, command)

    # ── MetalLB and traffic ─────────────────────────────────────────────────────────────────────────────────────

    @query
    def election(self, service: str) -> ExplainedElection:
        """Work out who leads a Service on layer 2, who else could, and what keeps each other node out.

        From the objects of this moment and from whom the control plane's speaker believes alive (MetalLB v0.14.8
        speaker/layer2_controller.go ShouldAnnounce). `print` it, or ask `.leader`, `.candidates`, `.successors`,
        `.without(node)`, `.eligibilities`.

        >>> import kanslib
        >>> lab = kanslib.open_lab(story="election")  # doctest: +ELLIPSIS
        recorded · story 'election': ...
        >>> lab.election("svc1").order
        ('myk8s-worker', 'myk8s-worker2', 'myk8s-worker3')
        """
        return metallb.explained_election(self._view, service)

    @query
    def hash_order(self, *services: str, joins: Sequence[str] = (), leaves: Sequence[str] = ()) -> HashOrder:
        """Draw the election: every candidate on a line by its hash, for each Service; the leftmost leads.

        `services`: without names, all that have an address. `joins` and `leaves`: nodes to imagine there or away; who
        leads then stands beside it.

        >>> import kanslib
        >>> lab = kanslib.open_lab(story="election")  # doctest: +ELLIPSIS
        recorded · story 'election': ...
        >>> lab.hash_order("svc1", leaves=["myk8s-worker"]).table.query("LEADS").NODE.item()
        'myk8s-worker2'
        """
        return metallb.hash_order(self._view, services, joins, leaves)

    @query
    def curl(self, target: str, times: int = 1, source: str | None = None, *, in_order: bool = False) -> Table:
        """Send requests and return who answered: COUNT, HOSTNAME and REMOTE (the client, as the Pod saw it).

        `target`: a Service, `node:port`, or an address with or without a port. `source`: the place that asks (default:
        the client). `in_order`: one row for each request instead of the counts. The real command: `curl -s ADDRESS`.

        >>> import kanslib
        >>> lab = kanslib.open_lab(story="arp")  # doctest: +ELLIPSIS
        recorded · story 'arp': ...
        >>> lab.curl("svc1").COUNT.tolist()
        [1]
        >>> lab.curl("svc1", in_order=True).REQUEST.tolist()
        [1]
        """
        return traffic.curl(self._view, target, times, source, in_order=in_order)

    @query
    def arp_scan(self, source: str | None = None) -> Table:
        """Return who answers ARP for the addresses of the pool: ADDRESS, MAC and HOLDER (whose network card).

        `source`: the place that asks (default: the client); live, `"host"` asks from this machine, with scapy, where it
        is on Docker's bridge (Linux, CAP_NET_RAW). The real command: `arp-scan --interface=eth0 RANGE`.

        >>> import kanslib
        >>> lab = kanslib.open_lab(story="arp")  # doctest: +ELLIPSIS
        recorded · story 'arp': ...
        >>> lab.arp_scan().set_index("ADDRESS").HOLDER[lab.vip("svc1")]
        'myk8s-worker'
        """
        return traffic.arp_scan(self._view, source)

    @query
    def neighbors(self, place: str | None = None) -> Table:
        """Return the neighbor table of a place (default: the client): which MAC address it remembers for which address.

        Columns ADDRESS, MAC, HOLDER and STATE. The real command: `ip neigh`.

        >>> import kanslib
        >>> lab = kanslib.open_lab(story="arp")  # doctest: +ELLIPSIS
        recorded · story 'arp': ...
        >>> lab.at("apply-services")
        >>> lab.vip("svc1") in lab.neighbors().ADDRESS.tolist()
        True
        """
        return traffic.neighbors(self._view, place)

    @query
    def capture_path(self, service: str) -> Table:
        """Follow one request to a Service: every packet, at the client, on the leader's wire and at the Pod.

        Columns SECONDS (from the first packet on), PLACE, INTERFACE, FROM, TO (address:port) and FLAGS. What the nodes
        remember of the connection is in `lab.run(node, "conntrack -L -p tcp --dport 80")`.

        >>> import kanslib
        >>> lab = kanslib.open_lab(story="iptables")  # doctest: +ELLIPSIS
        recorded · story 'iptables': ...
        >>> _ = lab.curl("svc1", times=100), lab.curl("svc1")
        >>> lab.capture_path("svc1").FLAGS.iloc[0]
        'S'
        """
        return traffic.capture_path(self._view, service)

    @query
    def routes(self) -> Table:
        """Return the router's BGP routes, one row a next hop: PREFIX, NEXT HOP, NODE, IN USE and UP FOR.

        Raise NotFoundError where no router runs. The real command: `vtysh -c 'show ip route bgp'`.

        >>> import kanslib
        >>> lab = kanslib.open_lab(story="bgp")  # doctest: +ELLIPSIS
        recorded · story 'bgp': ...
        >>> lab.at("apply-bgp")
        >>> lab.routes().PREFIX.nunique()
        3
        """
        return traffic.routes(self._view)

    @query
    def rules(self, node: str) -> NodeRules:
        """Return all iptables rules of a node with their counters: `iptables-save -c`, parsed.

        `.chains(service)` has the chains of a Service as a table, `.diff(later)` what changed until a later query,
        `.compare()` who wrote each rule.
        Raise NodeDownError while the node is down.

        >>> import kanslib
        >>> lab = kanslib.open_lab(story="iptables")  # doctest: +ELLIPSIS
        recorded · story 'iptables': ...
        >>> lab.rules("myk8s-worker").chains("svc1").CHANCE.tolist()[2:4]
        ['', '0.50']
        """
        return packet_path.rules(self._view, node)

    @query
    def trace(
        self,
        target: str,
        source: str | None = None,
        node: str | None = None,
        rules: iptables.Ruleset | nftables.Ruleset | None = None,
    ) -> Trace:
        """Work out every way that a new connection can go through the iptables rules of one node, at this moment.

        `target`: a Service, `node:port` or `address:port`; `source`: the client (default), a node or a Pod. `node`:
        whose rules; default: the source's own node, the target's if it is one, else the Service's leader. `rules`: a
        parsed ruleset, of iptables or nftables, in place of that node's own. The answer is derived from the rules, and
        from the node's addresses and routes; as a list it holds an Outcome for each way, in a notebook it is a
        picture, `describe()` says it in words. Raise PacketError for an address without a port.

        >>> import kanslib
        >>> lab = kanslib.open_lab(story="iptables")  # doctest: +ELLIPSIS
        recorded · story 'iptables': ...
        >>> [(str(way.probability), way.verdict) for way in lab.trace("svc1")]
        [('1/2', 'ACCEPT'), ('1/2', 'ACCEPT')]
        """
        return packet_path.trace(self._view, target, source, node, rules)

    @query
    def map(self) -> ClusterMap:
        """Draw the cluster at this moment; `.describe()` says the same in words.

        It shows the path of requests as the API's objects and events have it; `arp_scan()` shows what the wire says.
        Where the newest leader event and the election differ, a line below the map says so, and no path leads to a
        leader that nobody elects.

        >>> import kanslib
        >>> lab = kanslib.open_lab(story="arp")  # doctest: +ELLIPSIS
        recorded · story 'arp': ...
        >>> lab.map().table.set_index("NODE").LEADS["myk8s-worker"]
        'svc1 172.18.255.200, svc2 172.18.255.201'
        """
        return metallb.draw_map(self._view)

    # ── actions ─────────────────────────────────────────────────────────────────────────────────────────────────

    @action
    def apply(self, manifest: str | KubeObject) -> Text:
        """Apply a manifest, as YAML text or as a dict: `kubectl apply -f`. Return what kubectl printed.

        A manifest of the course (`kanslib.manifests`) gets the addresses of this lab's network. Raise ManifestError for
        what is no manifest. A live or simulated lab raises RefusedError for what kubectl, the API server or a webhook
        refuses; the other objects of the manifest are applied.

        >>> import kanslib
        >>> lab = kanslib.open_lab(story="metallb")  # doctest: +ELLIPSIS
        recorded · story 'metallb': ...
        >>> from kanslib import manifests
        >>> lab.at("install-metallb")
        >>> print(lab.apply(manifests.pool))
        ipaddresspool.metallb.io/my-ippool created
        """
        return self._backend.apply(kubernetes.documents_of(self._view, manifest))

    @action
    def delete(self, manifest: str | KubeObject) -> Text:
        """Delete the objects of a manifest: `kubectl delete -f`. Return what kubectl printed.

        >>> import kanslib
        >>> lab = kanslib.open_lab(story="arp")  # doctest: +ELLIPSIS
        recorded · story 'arp': ...
        >>> from kanslib import manifests
        >>> len(lab.delete(manifests.services).splitlines())
        3
        """
        return self._backend.delete([qualified_reference(one) for one in kubernetes.documents_of(self._view, manifest)])

    @action
    def delete_object(self, *references: str) -> Text:
        """Delete objects by reference, `"pod/webpod1"`, as `kubectl delete` does. Return what kubectl printed.

        >>> import kanslib
        >>> lab = kanslib.open_lab(story="arp")  # doctest: +ELLIPSIS
        recorded · story 'arp': ...
        >>> len(lab.delete_object("svc/svc1", "svc/svc2", "svc/svc3").splitlines())
        3
        """
        return self._backend.delete(references)

    @action
    def install_metallb(self) -> Text:
        """Install MetalLB in native mode.

        >>> import kanslib
        >>> lab = kanslib.open_lab(story="metallb")  # doctest: +ELLIPSIS
        recorded · story 'metallb': ...
        >>> _ = lab.install_metallb()
        >>> lab.object("deployment", "controller", "metallb-system")["kind"]
        'Deployment'
        """
        return self._backend.perform("install_metallb", ())

    @action
    def label(self, node: str, *labels: str) -> Text:
        """Set labels of a node (`"key=value"`) or remove them (`"key-"`): `kubectl label node`.

        >>> import kanslib
        >>> lab = kanslib.open_lab(story="election")  # doctest: +ELLIPSIS
        recorded · story 'election': ...
        >>> _ = lab.label(lab.leader("svc1"), "node.kubernetes.io/exclude-from-external-load-balancers=true")
        >>> lab.leader("svc1")
        'myk8s-worker2'
        """
        return self._backend.perform("label", (node, *labels))

    @action
    def kill_node(self, node: str) -> Text:
        """Kill a node's container: `docker kill`.

        The kernel of its host lives on and closes the sockets of what was killed. A server that loses power closes
        none: `link_down()` is nearer to that. Raise UnknownNameError for a node that does not exist.

        >>> import kanslib
        >>> lab = kanslib.open_lab(story="failover")  # doctest: +ELLIPSIS
        recorded · story 'failover': ...
        >>> _ = lab.kill_node("myk8s-worker")
        >>> lab.leader("svc1")
        'myk8s-worker2'
        """
        return self._backend.perform("kill_node", (places.check_node(self._view, node),))

    @action
    def start_node(self, node: str) -> Text:
        """Start a killed node again: `docker start`.

        Raise UnknownNameError for a node that does not exist.

        >>> import kanslib
        >>> lab = kanslib.open_lab(story="failover")  # doctest: +ELLIPSIS
        recorded · story 'failover': ...
        >>> lab.at("kill-node")
        >>> _ = lab.start_node("myk8s-worker")
        >>> lab.leader("svc1")
        'myk8s-worker'
        """
        return self._backend.perform("start_node", (places.check_node(self._view, node),))

    @action
    def link_down(self, node: str) -> Text:
        """Take a node's network interface down: it lives on, but nobody can hear it.

        Raise UnknownNameError for a node that does not exist.

        >>> import kanslib
        >>> lab = kanslib.open_lab(story="bgp-silent")  # doctest: +ELLIPSIS
        recorded · story 'bgp-silent': ...
        >>> lab.at("bgp-etp-local")
        >>> _ = lab.link_down("myk8s-worker")
        >>> lab.observation().action
        'cut-link'
        """
        return self._backend.perform("link_down", (places.check_node(self._view, node),))

    @action
    def link_up(self, node: str) -> Text:
        """Bring a node's network interface up again.

        Raise UnknownNameError for a node that does not exist.

        >>> import kanslib
        >>> lab = kanslib.open_lab(story="bgp-silent")  # doctest: +ELLIPSIS
        recorded · story 'bgp-silent': ...
        >>> lab.at("cut-link")
        >>> _ = lab.link_up("myk8s-worker")
        >>> lab.observation().action
        'mend-link'
        """
        return self._backend.perform("link_up", (places.check_node(self._view, node),))

    @action
    def start_router(self) -> Text:
        """Start the BGP router (FRR) beside the cluster.

        >>> import kanslib
        >>> lab = kanslib.open_lab(story="bgp")  # doctest: +ELLIPSIS
        recorded · story 'bgp': ...
        >>> lab.at("delete-l2advertisement")
        >>> _ = lab.start_router()
        >>> lab.router
        'router'
        """
        return self._backend.perform("start_router", ())

    @action
    def stop_router(self) -> Text:
        """Stop the BGP router.

        >>> import kanslib
        >>> lab = kanslib.open_lab(story="bgp")  # doctest: +ELLIPSIS
        recorded · story 'bgp': ...
        >>> lab.at("apply-bgp")
        >>> _ = lab.stop_router()  # doctest: +ELLIPSIS
        not recorded: stop-router · ...
        """
        return self._backend.perform("stop_router", ())

    @action
    def route_client(self) -> Text:
        """Route the client's traffic for the pool through the router. `restore()` takes the route away.

        >>> import kanslib
        >>> lab = kanslib.open_lab(story="bgp")  # doctest: +ELLIPSIS
        recorded · story 'bgp': ...
        >>> lab.at("apply-bgp")
        >>> _ = lab.route_client()
        >>> lab.observation().action
        'route-client'
        """
        return self._backend.perform("route_client", ())

    @action
    def add_conflicting_host(self, name: str = "squatter") -> Text:
        """Start a container that has a Service's address already: an address conflict. `name`: the container's."""
        return self._backend.perform("add_conflicting_host", (name,))

    @action
    def remove_conflicting_host(self, name: str = "squatter") -> Text:
        """Remove that container.

        >>> import kanslib
        >>> lab = kanslib.open_lab(story="case-9")  # doctest: +ELLIPSIS
        recorded · story 'case-9': ...
        >>> _ = lab.remove_conflicting_host()
        >>> "squatter" in lab.containers().NAMES.tolist()
        False
        """
        return self._backend.perform("remove_conflicting_host", (name,))

    @action
    def restore(self) -> Text:
        """Undo every action that is still active, and go back to the story's opening.

        >>> import kanslib
        >>> lab = kanslib.open_lab(story="failover")  # doctest: +ELLIPSIS
        recorded · story 'failover': ...
        >>> _ = lab.kill_node("myk8s-worker")
        >>> print(lab.restore())
        back at the opening
        """
        return self._backend.restore()

    # ── observation ─────────────────────────────────────────────────────────────────────────────────────────────

    @contextmanager
    def observe(
        self,
        probes: Sequence[str] = (),
        capture: str | None = None,
        seconds: float = 0,
        queries_at: Sequence[float] = (),
    ) -> Iterator[Observation]:
        """Watch around an action, until `seconds` after it has settled; yield the Observation, to be asked afterwards.

        `probes`: Services to send requests to. `capture`: the layer to watch. `queries_at`: seconds after the action at
        which everything is queried, for `at(moment, after=…)`. Live this sends requests and captures frames. In a
        recording all of this was done already. When the block ends, a notebook shows the result below the cell
        (`Observation.result()`). Raise NotFoundError for a Service without an address.

        >>> import kanslib
        >>> lab = kanslib.open_lab(story="failover")  # doctest: +ELLIPSIS
        recorded · story 'failover': ...
        >>> with lab.observe(probes=["svc1"], seconds=60) as seen:
        ...     _ = lab.kill_node("myk8s-worker")
        >>> seen.phases("svc1").FAILED.tolist()[:2]
        [1, 9]
        """
        if capture is not None:
            check_layer(capture)
        with self._query_log.uncounted():
            vips = [places.vip(self._view, service) for service in probes]
        seen = Observation(self._query_log, services=probes)
        with self._backend.observe(vips, seconds, queries_at):
            yield seen
        data = self._backend.observation(seconds)
        seen.finish(data, self._done(data.action))
        if seconds:
            self._backend.advance_to(data.end)
        show_answer(seen)

    def observation(self, moment: str | None = None) -> Observation:
        """Return what was observed around an action: `"kill-node"`, as `moments()` names it; else around the last one.

        The lab's own moment stays. Raise UnknownNameError for an action that does not exist.

        >>> import kanslib
        >>> lab = kanslib.open_lab(story="failover")  # doctest: +ELLIPSIS
        recorded · story 'failover': ...
        >>> lab.observation("kill-node").action, lab.leader("svc1")
        ('kill-node', 'myk8s-worker')
        """
        found = self._backend.observation() if moment is None else self._backend.observation_at(moment)
        return Observation(self._query_log, found, done=self._done(found.action))

    def _done(self, moment: str) -> str:
        """Return the actions of a moment in words; empty where the story does not tell them."""
        done = (one.actions for one in self._backend.moments() if one.name == moment)
        return listed(describe_done(one.verb, one.targets) for one in next(done, ()))

    # ── time ────────────────────────────────────────────────────────────────────────────────────────────────────

    @action
    def at(self, moment: str, after: float | None = None) -> None:
        """Go to a moment: where an action had settled (`"kill-node"`), or the story's `"opening"`.

        `after`: seconds after the action was done, instead of when it had settled. Raise UnknownNameError, with the
        moments there are, for another name.

        >>> import kanslib
        >>> lab = kanslib.open_lab(story="failover")  # doctest: +ELLIPSIS
        recorded · story 'failover': ...
        >>> lab.at("kill-node", after=15)
        >>> lab.leader("svc1")
        'myk8s-worker2'
        """
        self._backend.at(moment, after)

    @action
    def at_time(self, seconds: float) -> None:
        """Go to a moment by its time (Unix seconds): for tools.

        Raise NotRecordedError for a time that the story does not cover.

        >>> import kanslib
        >>> lab = kanslib.open_lab(story="failover")  # doctest: +ELLIPSIS
        recorded · story 'failover': ...
        >>> lab.at("kill-node")
        >>> frame = lab.observation().frames("arp")[-1]
        >>> lab.at("opening")
        >>> lab.at_time(frame.time)
        >>> lab.moments().query("HERE != ''").MOMENT.item()
        'kill-node'
        """
        self._backend.at_time(seconds)

    def moments(self, *, wide: bool = False) -> Table:
        """Return every moment of this story: MOMENT, AT (seconds after the opening), SETTLED AFTER (seconds) and DONE.

        HERE marks where the lab stands. `wide` also shows QUERIES AFTER: seconds after the action at which commands
        were run.

        >>> import kanslib
        >>> lab = kanslib.open_lab(story="failover")  # doctest: +ELLIPSIS
        recorded · story 'failover': ...
        >>> lab.moments().MOMENT.tolist()[:3]
        ['opening', 'kill-node', 'start-node']
        """
        from kanslib.render import moments
        from kanslib.render.tables import Table

        rows = moments.moment_rows(self._backend.moments())
        return Table.from_rows(rows, self._backend.provenance(), moments.MOMENT_COLUMNS.shown(wide))

    def time_machine(self, service: str = "svc1") -> TimeMachine:
        """Return the whole recorded story under a slider: map, time axis, addresses, and a packet's way to a Service.

        Show it to walk through; `.at(seconds)` gives one scene, `.table` the stops, `.describe()` the story in words.
        This lab's own moment stays. Raise NotRecordedError where there is no recording.

        >>> import kanslib
        >>> lab = kanslib.open_lab(story="failover")  # doctest: +ELLIPSIS
        recorded · story 'failover': ...
        >>> lab.time_machine().at(30).latest
        'leader svc2: myk8s-worker3; leader svc1: myk8s-worker2; leader svc3: myk8s-worker3'
        """
        from kanslib.backends import factory
        from kanslib.lab.time_machine import TimeMachine

        return TimeMachine(factory.recording_of(self._backend), service)

    @query
    def compare(self) -> Table:
        """Return the recording beside a simulation of it, at this moment: WHAT, RECORDED, SIMULATED and DIFFERENCE.

        The simulator starts where the story opens and repeats its actions; in a simulated lab its own simulator is
        compared. Rules are compared one by one. Raise NotRecordedError where there is no such moment.

        >>> import kanslib
        >>> lab = kanslib.open_lab(story="election")  # doctest: +ELLIPSIS
        recorded · story 'election': ...
        >>> lab.compare().DIFFERENCE.any()
        np.False_
        """
        from kanslib.lab.comparing import compare

        return compare(self._view)

    # ── learning ────────────────────────────────────────────────────────────────────────────────────────────────

    def exercise(self, name: str) -> ExerciseView:
        """Return an exercise by its id: show it to read it, then `.check(answer)`, `.hint()`, `.solution()`.

        The right answer is derived from this lab, at this moment. Raise UnknownNameError, with the ids, for another
        one.
        """
        return self._learning.session.exercise(name)

    @overload
    def predict(self, name: str, /, *, guess: Guess = None) -> Prediction: ...
    @overload
    def predict(self, name: str, other: str, /, *names: str) -> Quiz: ...
    def predict(self, *names: str, guess: Guess = None) -> Prediction | Quiz:
        """Ask for a prediction: `.answer(guess)` writes it down, and the query that shows the answer scores it.

        `guess`: write one down at once. With several ids: all of them together, answered with `.check(…)` in order.
        Raise UnknownNameError for an id that does not exist.

        >>> import kanslib
        >>> lab = kanslib.open_lab(story="arp")  # doctest: +ELLIPSIS
        recorded · story 'arp': ...
        >>> lab.predict("does-curl-survive").exercise.id
        'does-curl-survive'
        """
        if len(names) == 1:
            return self._learning.session.predict(names[0], guess)
        return self._learning.session.predict_all(names)

    def quiz(self, chapter: str) -> Quiz:
        """Return the summary quiz of a chapter (`"03"`): show it to answer it, or `.check(answer, answer, …)` in order.

        Raise UnknownNameError for a chapter without one.

        >>> import kanslib
        >>> lab = kanslib.open_lab(story="arp")  # doctest: +ELLIPSIS
        recorded · story 'arp': ...
        >>> len(lab.quiz("03").views) > 2
        True
        """
        return self._learning.session.quiz(chapter)

    def progress(self, token: str | None = None) -> ProgressReport:
        """Return what you have done so far, as a picture and as `.table`; `.token` carries it to another machine.

        `.queries`: what was asked of this lab, and how often.

        It is kept in a file of yours (`.path`) and nowhere else. `token`: put another machine's progress beside it.
        On Binder, which deletes that file with the session, the token is shown.

        >>> import kanslib
        >>> lab = kanslib.open_lab(story="arp")  # doctest: +ELLIPSIS
        recorded · story 'arp': ...
        >>> "CHAPTER" in lab.progress().table
        True
        """
        from kanslib.render.progress import ProgressReport

        session = self._learning.session
        if token is not None:
            session.progress.merge_token(token)
        ends = tr(binder.ENDS) if binder.is_here() else ""
        return ProgressReport(session.progress, session.catalog, self._query_log.counts, ends)
