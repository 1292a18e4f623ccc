"""What a notebook holds: one object, asked the same way in every world."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from kanslib import notices
from kanslib.actions import Verb
from kanslib.analysis.observation import CapturedFrames, ObservationData
from kanslib.answer import Text
from kanslib.backends.base import Backend
from kanslib.course import manifests
from kanslib.course.addressing import addresses
from kanslib.exceptions import KanslibError, NotRecordedError, UnknownNameError
from kanslib.k8s.manifest import documents, reference
from kanslib.k8s.objects import KubeObject, external_address, external_addresses, newest_leaders, plural
from kanslib.metallb.config import pool_of, pools
from kanslib.packets.bgp import is_bgp

if TYPE_CHECKING:
    from kanslib.analysis import Outage
    from kanslib.exercises.exercise import Exercise
    from kanslib.exercises.lab_queries import LabQueries
    from kanslib.exercises.misconceptions import ExpectedAnswer
    from kanslib.exercises.session import ExerciseSession, ExerciseView, PendingPredictions, Prediction, Quiz
    from kanslib.iptables import Routing, Ruleset
    from kanslib.lab.time_machine import TimeMachine
    from kanslib.metallb.election import Election
    from kanslib.packets.bgp import CapturedMessage
    from kanslib.packets.capture import Frame
    from kanslib.recording.clock import Clock
    from kanslib.render.cluster_map import SVG
    from kanslib.render.outage_timeline import TimelineFigure
    from kanslib.render.packet_trace import Trace
    from kanslib.render.progress import ProgressReport
    from kanslib.render.tables import Table

_LAYERS: dict[str, Callable[[Frame], bool]] = {
    "arp": lambda frame: frame.arp is not None,
    "ip": lambda frame: frame.ip is not None,
    "tcp": lambda frame: frame.tcp is not None,
    "udp": lambda frame: frame.udp is not None,
    "bgp": is_bgp,
    "memberlist": lambda frame: any(seg and 7946 in (seg.sport, seg.dport) for seg in (frame.tcp, frame.udp)),
}


P = ParamSpec("P")
R = TypeVar("R")


def _query(method: Callable[Concatenate[Lab, P], R]) -> Callable[Concatenate[Lab, P], R]:
    """A look scores what was predicted of it; a look that another look makes for itself scores nothing."""

    @wraps(method)
    def looking(lab: Lab, /, *args: P.args, **options: P.kwargs) -> R:
        with lab._uncounted():
            found = method(lab, *args, **options)
        if lab._depth == 0:
            lab._count_query(_kind_of_look(method.__name__, args))
        return found

    return looking


def _kind_of_look(method: str, args: tuple[Any, ...]) -> str:
    """What was looked at: the kind of objects, whichever way they were asked for, else the look's own name."""
    if method in ("table", "objects", "object") and args and isinstance(args[0], str):
        kind = plural(args[0])
        return "pool" if kind == "ipaddresspools" else kind
    return method


@dataclass(frozen=True)
class Observed:
    """What was watched, and the Services that were probed."""

    data: ObservationData
    services: tuple[str, ...]


class Lab:
    """A MetalLB cluster in your hand. Open one with `kanslib.open_lab()`.

    >>> import kanslib
    >>> lab = kanslib.open_lab(story="arp")  # doctest: +ELLIPSIS
    recorded · story 'arp': ...
    >>> lab.vip("svc1"), lab.leader("svc1")
    ('172.18.255.200', 'myk8s-worker')
    """

    def __init__(self, backend: Backend, story: str = "", predictions: PendingPredictions | None = None) -> None:
        self._backend, self._story = backend, story
        self._predictions = predictions  # None: queries of this lab score nothing
        self._observed: Observed | None = None
        self._session: ExerciseSession | None = None
        self._apart: tuple[tuple[object, ...], Outage] | None = None

        self._depth = 0  # looks within looks
        self.queries: dict[str, int] = {}  # what was looked at in this lab, and how often

    def __repr__(self) -> str:
        return f"<Lab: {self._backend.provenance()}>"

    # ── places and addresses ─────────────────────────────────────────────────────────────────────────────

    @property
    def client(self) -> str:
        """The client outside the cluster. Raises NotRecordedError where there is none."""
        return self._there(self._backend.topology().client, "a client")

    @property
    def control_plane(self) -> str:
        """The control plane's node."""
        return self._backend.topology().control_plane

    @property
    def router(self) -> str:
        """The BGP router. Raises NotRecordedError where none runs at this moment."""
        return self._there(self._backend.topology().router, "a router at this moment")

    @staticmethod
    def _there(place: str | None, what: str) -> str:
        if place is None:
            raise NotRecordedError(what, hint="the story 'bgp' has a router: kanslib.open_lab(story='bgp')")
        return place

    def address(self, place: str) -> str:
        """The address of a node, the client or the router on the Docker network."""
        known = self._backend.topology().addresses
        if place not in known:
            raise UnknownNameError("place", place, known)
        return known[place]

    def mac_owners(self) -> dict[str, str]:
        """Return whose network card each MAC address is: a node's, the client's, the router's."""
        return self._backend.mac_owners()

    @_query
    def network(self) -> str:
        """The Docker network's range, e.g. `172.18.0.0/16`."""
        return self._backend.topology().network

    @_query
    def vip(self, service: str) -> str:
        """The external address of a Service. Raises NotRecordedError while it is pending."""
        obj = self.object("service", service)
        address = external_address(obj)
        if not address:
            raise NotRecordedError(
                f"an external address of {service}: it is pending or no LoadBalancer",
                hint=f"lab.services() shows its type, lab.events({service!r}) why",
            )
        return address

    @_query
    def pool(self) -> list[str]:
        """Every address that the pools of this moment may hand out, in order."""
        out: list[str] = []
        for pool in self.objects("ipaddresspools"):
            for spec in pool["spec"]["addresses"]:
                out += addresses(spec)
        return out

    @_query
    def leader(self, service: str) -> str | None:
        """The node that last claimed to announce the Service on layer 2; None while no L2Advertisement covers it.

        It is a claim, the newest nodeAssigned event (MetalLB v0.14.8 speaker/main.go handleService).
        `arp_scan()` is the proof.
        """
        obj = self.object("service", service)
        pool = pool_of(pools(self.objects), external_addresses(obj))
        if pool is None or not any(one.nodes for one in pool.layer2):
            return None
        return newest_leaders(self._backend.objects("events")).get(obj["metadata"]["uid"])

    @_query
    def election(self, service: str) -> Election:
        """Who leads a Service on layer 2, who else could, and what keeps each other node out, worked out.

        From the objects of this moment and from whom the control plane's speaker believes alive
        (MetalLB v0.14.8 speaker/layer2_controller.go ShouldAnnounce). `print` it, or ask `.leader`, `.successors`,
        `.without(node)`, `.standings`.

        >>> import kanslib
        >>> lab = kanslib.open_lab(story="election")  # doctest: +ELLIPSIS
        recorded · story 'election': ...
        >>> lab.election("svc1").order
        ('myk8s-worker', 'myk8s-worker2', 'myk8s-worker3')
        """
        from kanslib.metallb import election, memberlist

        self.object("service", service)
        if self.control_plane not in election.speakers(self.objects):
            return election.explain(self.objects, service)  # nobody there who could say whom the gossip knows
        alive = memberlist.members(self._backend.log("speaker", self.control_plane))
        return election.explain(self.objects, service, alive)

    @_query
    def claims(self) -> Table:
        """Every claim to lead a Service so far, in order: who said it, for which address, and who the candidates were.

        Columns AT (seconds after the first), SERVICE, ADDRESS, CANDIDATES (worked out from the objects of that moment)
        and LEADER (the node in the event nodeAssigned).

        >>> import kanslib
        >>> lab = kanslib.open_lab(story="arp")  # doctest: +ELLIPSIS
        recorded · story 'arp': ...
        >>> lab.claims()[["SERVICE", "LEADER"]].iloc[-1].tolist()
        ['svc3', 'myk8s-worker3']
        """
        from kanslib.metallb import memberlist, replay
        from kanslib.render.tables import Table

        beliefs = memberlist.membership_history(self._backend.log("speaker", self.control_plane))
        found = replay.leader_events(self._backend.watch_events, beliefs)
        start = found[0].t if found else 0.0
        rows = [
            {
                "AT": round(claim.t - start, 1),
                "SERVICE": claim.service,
                "ADDRESS": claim.address,
                "CANDIDATES": list(claim.candidates),
                "LEADER": claim.node,
            }
            for claim in found
        ]
        return Table.from_rows(rows, self._backend.provenance(), ["AT", "SERVICE", "ADDRESS", "CANDIDATES", "LEADER"])

    @_query
    def hash_order(self, *services: str, joins: Sequence[str] = (), leaves: Sequence[str] = ()) -> SVG:
        """The election as a picture: every candidate on a line by its hash, for each Service; the leftmost leads.

        `joins` and `leaves`: nodes to imagine there or away; who leads then stands beside it. `describe()` says it in
        words. Without names: every Service with an address.
        """
        from kanslib.render import election_diagram as hash_order

        names = services or tuple(self._load_balancers())
        candidates = self.election(names[0]).candidates
        provenance = self._backend.provenance().with_notes("order worked out from the hash")
        return hash_order.draw({name: self.vip(name) for name in names}, candidates, provenance, joins, leaves)

    @_query
    def compare(self) -> Table:
        """Recorded beside computed, at this moment: the twin starts where the story opens and repeats its acts.

        In a computed lab: its own twin where it stands, beside the recording at the same moment of the story. Columns
        WHAT, RECORDED, SIMULATED and DIFFERENCE, in parts that are not the same (rules are compared one by one). Raises
        NotRecordedError where there is no such moment.
        """
        from kanslib.backends import factory
        from kanslib.comparison.simulation import compare_with_simulator
        from kanslib.render.tables import Table

        recorded, computed = factory.recorded_and_simulated(self._backend)
        rows = [
            {"WHAT": pair.what, "RECORDED": pair.recorded, "SIMULATED": pair.simulated, "DIFFERENCE": pair.differs}
            for pair in compare_with_simulator(recorded, computed)
        ]
        columns = ["WHAT", "RECORDED", "SIMULATED", "DIFFERENCE"]
        origin = self._backend.provenance()
        other = "its recording" if origin.source == "simulated" else "its twin"
        return Table.from_rows(rows, origin.with_notes(f"beside {other}"), columns)

    # ── looks ────────────────────────────────────────────────────────────────────────────────────────────

    @_query
    def objects(self, kind: str, namespace: str | None = None) -> list[KubeObject]:
        """The API objects of a kind (`"pods"`, `"svc"`, `"ServiceL2Status"`, …) as plain dicts."""
        found = self._backend.objects(kind)
        return [obj for obj in found if namespace in (None, obj["metadata"].get("namespace"))]

    @_query
    def object(self, kind: str, name: str, namespace: str = "default") -> KubeObject:
        """One API object as a plain dict; UnknownNameError says which there are."""
        found = {
            o["metadata"]["name"]: o for o in self.objects(kind) if o["metadata"].get("namespace") in (None, namespace)
        }
        if name not in found:
            raise UnknownNameError(plural(kind).removesuffix("s"), name, found)
        return found[name]

    @_query
    def table(self, kind: str, namespace: str | None = None) -> Table:
        """`kubectl get KIND -o wide` as a DataFrame: kubectl's headers, all namespaces unless one is named."""
        from kanslib.k8s import kubectl
        from kanslib.render.tables import Table

        rows = kubectl.rows(kind, self.objects(kind, namespace), self._backend.now())
        return Table.from_rows(rows, self._backend.provenance(), kubectl.columns(kind))

    @_query
    def nodes(self) -> Table:
        """`kubectl get nodes -o wide`."""
        return self.table("nodes")

    @_query
    def pods(self) -> Table:
        """`kubectl get pods -A -o wide`."""
        return self.table("pods")

    @_query
    def services(self) -> Table:
        """`kubectl get svc -A -o wide`."""
        return self.table("services")

    @_query
    def events(self, service: str) -> Table:
        """The events of a Service, as `kubectl describe svc` lists them; a repeat is counted."""
        from kanslib.k8s import kubectl
        from kanslib.render.tables import Table

        uid = self.object("service", service)["metadata"]["uid"]
        mine = [event for event in self._backend.objects("events") if event["involvedObject"].get("uid") == uid]
        mine.sort(key=lambda event: int(event["metadata"]["resourceVersion"]))
        rows = [kubectl.described_event(event, self._backend.now()) for event in mine]
        return Table.from_rows(rows, self._backend.provenance(), ["TYPE", "REASON", "AGE", "FROM", "MESSAGE"])

    @_query
    def describe(self, service: str) -> Text:
        """What `kubectl describe svc` printed of one Service."""
        text = self._backend.run("host", "kubectl describe svc")
        section = text.section(rf"Name: +{service}\n")
        if not section:
            self.object("service", service)
            raise NotRecordedError(
                f"kubectl describe of {service} at this moment",
                hint="lab.events() and lab.object() have the rest",
            )
        return section

    @_query
    def containers(self) -> Table:
        """`docker ps -a`: the containers of the course."""
        from kanslib.render import command_tables

        command = "docker ps -a --format 'table {{.ID}}\\t{{.Image}}\\t{{.Status}}\\t{{.Ports}}\\t{{.Names}}'"
        return self._table_of(self._backend.run("host", command), command_tables.column_rows)

    @staticmethod
    def _table_of(text: Text, rows: Any, columns: Sequence[str] | None = None) -> Table:
        from kanslib.render.tables import Table

        return Table.from_rows(rows(text), text.provenance, columns)

    @_query
    def curl(self, target: str, times: int = 1, source: str | None = None) -> Table:
        """Who answered `times` requests to a Service, `node:port` or address, asked from `source` (the client).

        Columns COUNT, HOSTNAME and REMOTE, the address that the Pod saw as its client, where it was noted.
        """
        from kanslib.render import command_tables

        text, sent = self._backend.requests(self._resolve(target), times, source or self.client)
        return self._table_of(
            text, lambda said: command_tables.request_rows(said, sent), ["COUNT", "HOSTNAME", "REMOTE"]
        )

    def _resolve(self, target: str) -> str:
        name, colon, port = target.partition(":")
        if name in self._backend.topology().addresses:
            return self.address(name) + colon + port
        if name.replace(".", "").isdigit():
            return target
        services = {o["metadata"]["name"]: o for o in self.objects("services", "default")}
        if name not in services:
            raise UnknownNameError("target", name, [*services, *self._backend.topology().addresses])
        spec = services[name]["spec"]
        return (self.vip(name) if spec["type"] == "LoadBalancer" else str(spec["clusterIP"])) + colon + port

    @_query
    def capture_path(self, service: str) -> Table:
        """One request to a Service, seen at the client, on the leader's wire and at the Pod: every packet, every place.

        Columns SECONDS (from the first packet on), PLACE, INTERFACE, FROM, TO (address:port) and FLAGS. What the
        nodes' memory says of the connection is in `lab.run(node, "conntrack -L -p tcp --dport 80")`.
        """
        from kanslib.render import command_tables
        from kanslib.render.tables import Table

        sightings, provenance = self._backend.capture_path(self._resolve(service), service)
        seen = [(one.place, one.interface, one.frames) for one in sightings]
        return Table.from_rows(command_tables.path_rows(seen), provenance, command_tables.PATH_COLUMNS)

    @_query
    def arp_scan(self, source: str | None = None) -> Table:
        """Who answers ARP for the addresses of the pool, asked from `source` (default: the client).

        Live, `source="host"` asks from this machine, with scapy, where it is on Docker's bridge (Linux, CAP_NET_RAW).
        """
        from kanslib.render import command_tables

        text = self._backend.arp_scan(source or self.client)
        return self._table_of(
            text,
            lambda said: command_tables.arp_scan_rows(said, self._backend.mac_owners()),
            ["ADDRESS", "MAC", "HOLDER"],
        )

    @_query
    def neighbors(self, place: str | None = None) -> Table:
        """The ARP memory of a place (default: the client): which MAC address it remembers for which address."""
        from kanslib.render import command_tables

        text = self._backend.run(place or self.client, "ip -j neigh")
        columns = ["ADDRESS", "MAC", "HOLDER", "STATE"]
        return self._table_of(
            text, lambda said: command_tables.neighbor_rows(said, self._backend.mac_owners()), columns
        )

    @_query
    def log(self, component: str, node: str | None = None) -> Text:
        """The log of `speaker` or `controller` up to now; without a node those of all its Pods, in order of time."""
        return self._backend.log(component, node)

    @_query
    def run(self, place: str, command: str) -> Text:
        """What `command` printed on a node, on the client, on the router, or on `host` (kubectl, docker)."""
        return self._backend.run(place, command)

    @_query
    def routes(self) -> Table:
        """The router's BGP routes, one row a next hop."""
        from kanslib.render import command_tables

        nodes = {address: name for name, address in self._backend.topology().addresses.items()}
        text = self._backend.run(self.router, "vtysh -c 'show ip route bgp json'")
        return self._table_of(
            text,
            lambda said: command_tables.route_rows(said, nodes),
            ["PREFIX", "NEXT HOP", "NODE", "IN USE", "UP FOR"],
        )

    @_query
    def chains(self, service: str, node: str | None = None, table: str = "nat") -> Table:
        """The iptables rules a packet for the Service can pass on `node` (default: its leader), with their counters."""
        from kanslib import iptables
        from kanslib.render import iptables_tables

        place = node or self.leader(service) or self.control_plane
        text = self._backend.run(place, "iptables-save -c")
        ruleset = iptables.parse(text)
        return self._table_of(
            text,
            lambda _: iptables_tables.chain_rows(ruleset, f"default/{service}", table=table),
            iptables_tables.CHAIN_COLUMNS,
        )

    @_query
    def rules(self, node: str) -> Ruleset:
        """All iptables rules of a node at this moment, with their counters: `iptables-save -c`, read.

        Raises NodeDownError while the node is down.
        """
        from kanslib import iptables

        return iptables.parse(self._backend.run(node, "iptables-save -c"))

    @_query
    def rule_changes(self, before: Ruleset, after: Ruleset) -> Table:
        """What is different between two looks at a node's rules: gone, come, and by how much counters moved."""
        from kanslib.render import iptables_tables
        from kanslib.render.tables import Table

        return Table.from_rows(
            iptables_tables.difference_rows(before.diff(after)),
            self._backend.provenance(),
            iptables_tables.DIFFERENCE_COLUMNS,
        )

    @_query
    def trace(self, target: str, source: str | None = None, node: str | None = None) -> Trace:
        """Every way a new connection to `target` can go through the iptables rules of one node, at this moment.

        `target`: a Service, `node:port` or `address:port`; `source`: the client (default), a node or a Pod. `node`:
        whose rules; default: the source's own node, the target's if it is one, else the Service's leader. The answer
        is worked out from the node's rules, addresses and routes; as a list it holds an Outcome for each way, in a
        notebook it is a picture, `describe()` says it in words.

        >>> import kanslib
        >>> lab = kanslib.open_lab(story="iptables")  # doctest: +ELLIPSIS
        recorded · story 'iptables': ...
        >>> [(str(way.probability), way.verdict) for way in lab.trace("svc1")]
        [('1/2', 'ACCEPT'), ('1/2', 'ACCEPT')]
        """
        from kanslib.iptables import Packet, parse
        from kanslib.render.packet_trace import Trace

        sender = source or self.client
        src, home = self._sender(sender)
        address, port = self._aimed(target)
        place = node or home or self._receiver(target, address)
        routing = self._routing(place)
        arrives = None if sender == place else routing.route(src)
        packet = Packet(src, address, dport=port, in_interface=arrives.dev if arrives else None)
        text = self._backend.run(place, "iptables-save -c")
        title = f"{sender} to {target} ({address}:{port}), by the rules of {place}"
        provenance = text.provenance.with_notes("worked out from that node's rules")
        return Trace(parse(text).trace(packet, routing), title, provenance)

    def _routing(self, node: str) -> Routing:
        from kanslib.iptables import Routing

        return Routing.read(*(self._backend.run(node, command) for command in ("ip -j addr", "ip -j route")))

    def _sender(self, source: str) -> tuple[str, str | None]:
        """The address of who asks, and the node whose rules catch it there; None for who is outside."""
        places = self._backend.topology()
        if source in places.addresses:
            return places.addresses[source], source if source in places.nodes else None
        pods = {pod["metadata"]["name"]: pod for pod in self.objects("pods", "default")}
        if source not in pods:
            raise UnknownNameError("source", source, [*places.addresses, *pods])
        address = pods[source].get("status", {}).get("podIP")
        if not address:
            raise NotRecordedError(f"an address of the Pod {source}", hint="lab.pods() shows its state")
        return address, pods[source]["spec"]["nodeName"]

    def _aimed(self, target: str) -> tuple[str, int]:
        """The address and the port that a target names; without a port, the Service's first one."""
        address, _, port = self._resolve(target).partition(":")
        if port:
            return address, int(port)
        services = [o for o in self.objects("services", "default") if o["metadata"]["name"] == target]
        if not services:
            raise ValueError(f"{target!r} names no port; expected a Service, node:port or address:port")
        return address, int(services[0]["spec"]["ports"][0]["port"])

    def _receiver(self, target: str, address: str) -> str:
        """The node that a packet from outside comes to."""
        places = self._backend.topology()
        for place in places.nodes:
            if places.addresses.get(place) == address:
                return place
        vips = {vip: service for service, vip in self._load_balancers().items()}
        leader = self.leader(vips[address]) if address in vips else None
        if leader is None:
            raise NotRecordedError(
                f"the node that a packet to {target} comes to: nobody leads {address}",
                hint=f"name the node whose rules you mean: lab.trace({target!r}, node={self.control_plane!r})",
            )
        return leader

    # ── acts ─────────────────────────────────────────────────────────────────────────────────────────────

    def apply(self, manifest: str | KubeObject) -> Text:
        """`kubectl apply`: a manifest as YAML text or as a dict; one of the course has this lab's addresses then."""
        return self._backend.apply(self._documents(manifest))

    def delete(self, manifest: str | KubeObject) -> Text:
        """`kubectl delete`: a manifest, or references such as `"pod/webpod1"` or `"svc/svc1 svc/svc2"`."""
        if isinstance(manifest, str) and "\n" not in manifest and "/" in manifest:
            return self._backend.delete(manifest.split())
        return self._backend.delete([reference(doc) for doc in self._documents(manifest)])

    def _documents(self, manifest: str | KubeObject) -> list[KubeObject]:
        if isinstance(manifest, manifests.CourseManifest) and manifest.name:
            manifest = manifests.on(self._backend.topology().network, manifest.name)
        found = [manifest] if isinstance(manifest, dict) else documents(manifest)
        if not found:
            raise ValueError(
                "the manifest is empty: expected YAML with at least one object, e.g. kanslib.course.manifests.services"
            )
        return found

    def install_metallb(self) -> Text:
        """Install MetalLB in native mode."""
        return self._act("install_metallb")

    def label(self, node: str, *labels: str) -> Text:
        """`kubectl label node`: `"key=value"` sets a label, `"key-"` takes it off."""
        return self._act("label", node, *labels)

    def kill_node(self, name: str) -> Text:
        """Kill a node's container, as a power cut would."""
        return self._act("kill_node", self._node(name))

    def start_node(self, name: str) -> Text:
        """Start a killed node again."""
        return self._act("start_node", self._node(name))

    def link_down(self, name: str) -> Text:
        """Take a node's network interface down: it lives on, but nobody can hear it."""
        return self._act("link_down", self._node(name))

    def link_up(self, name: str) -> Text:
        """Bring a node's network interface up again."""
        return self._act("link_up", self._node(name))

    def start_router(self) -> Text:
        """Start the BGP router (FRR) beside the cluster."""
        return self._act("start_router")

    def stop_router(self) -> Text:
        """Stop the BGP router."""
        return self._act("stop_router")

    def route_client(self) -> Text:
        """Route the client's traffic for the pool through the router."""
        return self._act("route_client")

    def unroute_client(self) -> Text:
        """Take that route away again."""
        return self._act("unroute_client")

    def add_conflicting_host(self, name: str = "squatter") -> Text:
        """Start a container that holds a Service's address."""
        return self._act("add_conflicting_host", name)

    def remove_conflicting_host(self, name: str = "squatter") -> Text:
        """Remove that container."""
        return self._act("remove_conflicting_host", name)

    def restore(self) -> Text:
        """Undo every act that is still in force, and go back to the story's opening."""
        self._observed = None
        return self._backend.restore()

    def _node(self, name: str) -> str:
        nodes = self._backend.topology().nodes
        if name not in nodes:
            raise UnknownNameError("node", name, nodes)
        return name

    def _act(self, verb: Verb, *targets: str) -> Text:
        return self._backend.perform(verb, targets)

    # ── observation ──────────────────────────────────────────────────────────────────────────────────────

    @contextmanager
    def observe(
        self,
        probes: Sequence[str] = (),
        capture: str | None = None,
        seconds: float = 0,
        queries_at: Sequence[float] = (),
    ) -> Iterator[None]:
        """Watch around an act: probe these Services, capture this layer, for `seconds` after it has settled.

        Live this sends requests, captures frames and makes full looks at `looks` seconds after the act. On a
        recording all of this was done already: what was probed, captured and looked at can be looked up.
        """
        if capture is not None and capture not in _LAYERS:
            raise UnknownNameError("layer", capture, _LAYERS)
        with self._uncounted():
            vips = [self.vip(service) for service in probes]
        with self._backend.observe(vips, seconds, queries_at):
            yield
        self._observed = Observed(self._backend.observation(seconds), tuple(probes))
        if seconds:
            self._backend.advance_to(self._observed.data.end)

    def _observation(self) -> Observed:
        return self._observed or Observed(self._backend.observation(), ())

    @_query
    def probes(self, service: str) -> Table:
        """Every request to the Service in the newest observation (else around the last act), one row each."""
        from kanslib.render.tables import Table

        window = self._observation().data
        vip = self.vip(service)
        rows = [
            {
                "SECONDS": round(row["t"] - window.zero, 3),
                "OK": row["ok"],
                "HOSTNAME": row.get("hostname", ""),
                "REMOTE": str(row.get("remote", "")).partition(":")[0],
                "ERROR": row.get("error", ""),
                "MS": row["ms"],
            }
            for row in window.probes()
            if row["to"] == vip
        ]
        return Table.from_rows(rows, self._backend.provenance(), ["SECONDS", "OK", "HOSTNAME", "REMOTE", "ERROR", "MS"])

    @_query
    def frames(self, layer: str = "arp") -> list[Frame]:
        """The captured frames of a layer (arp, ip, tcp, udp, bgp, memberlist) in the newest observation."""
        if layer not in _LAYERS:
            raise UnknownNameError("layer", layer, _LAYERS)
        return [frame for frame in self._observation().data.frames() if _LAYERS[layer](frame)]

    def seconds(self, moment: float) -> float:
        """How long after the observed act a moment (Unix seconds, as in `frame.time`) was."""
        return moment - self._observation().data.zero

    @_query
    def timeline(self) -> TimelineFigure:
        """The newest observation (else the last act) on one time axis: requests and phases above, what happened below.

        `describe()` says it in words; the tables behind it are `lab.phases()`, `lab.failures(service)`, `lab.marks()`.
        """
        from kanslib.render import outage_timeline

        return outage_timeline.draw(self.outage(), self._backend.provenance())

    @_query
    def phases(self, service: str | None = None) -> Table:
        """The phases of an outage, computed from every request of the newest observation, one row each.

        Columns SERVICE, PHASE, FROM and TO (seconds after the act), TRIED, FAILED, ANSWERED (the share, with its 95 %
        interval), BECAUSE (why requests failed, counted), ENDED BY (what ended the phase) and EVIDENCE.

        >>> import kanslib
        >>> lab = kanslib.open_lab(story="failover")  # doctest: +ELLIPSIS
        recorded · story 'failover': ...
        >>> lab.at("kill-node")
        >>> lab.phases("svc1")[["PHASE", "FAILED"]].values.tolist()[1:]
        [['VIP dark', 9], ['partly dark', 48], ['healthy with stragglers', 4]]
        """
        from kanslib.render import outage_tables as outage
        from kanslib.render.tables import Table

        rows = outage.phase_rows(self.outage(), self._known(service))
        return Table.from_rows(rows, self._backend.provenance(), outage.PHASE_COLUMNS)

    @_query
    def failures(self, service: str) -> Table:
        """Every request to a Service that failed in the newest observation, and why.

        Columns SECONDS (after the act), REASON, WHAT HAPPENED, PORT (the client's) and EVIDENCE (frames, objects).
        """
        from kanslib.render import outage_tables as outage
        from kanslib.render.tables import Table

        rows = outage.failure_rows(self.outage(), self._known(service) or service)
        return Table.from_rows(rows, self._backend.provenance(), outage.FAILURE_COLUMNS)

    @_query
    def marks(self, lane: str | None = None) -> Table:
        """What happened around the act, in order: seconds, lane, words, and where it can be read.

        Lanes: memberlist, speaker, leader, gratuitous ARP, BGP, node, endpoints, rules; one of them, or all.
        """
        from kanslib.analysis import EventKind
        from kanslib.render import outage_tables as outage
        from kanslib.render.tables import Table

        if lane is not None and lane not in list(EventKind):
            raise UnknownNameError("lane", lane, list(EventKind))
        rows = outage.event_rows(self.outage(), lane)
        return Table.from_rows(rows, self._backend.provenance(), outage.EVENT_COLUMNS)

    @_query
    def arp_story(self) -> TimelineFigure:
        """The ARP of the newest observation as a picture: who asked, answered, announced, and what the client believed.

        The bar behind each address is the client's neighbor cache, as Linux keeps it, worked out from the frames.
        """
        from kanslib.analysis.arp import ARPAnalysis
        from kanslib.analysis.observation import neighbor_updates
        from kanslib.render import arp_timeline as arp_story

        window, names = self._observation().data, {vip: name for name, vip in self._load_balancers().items()}
        story, memory = ARPAnalysis.of(window.frames()), neighbor_updates(window)
        places = self._backend.topology()
        told = arp_story.PlotContext(window, names, window.mac_owners, places.client or "the client")
        return arp_story.draw(story, memory, told, self._backend.provenance())

    @_query
    def announcements(self, service: str | None = None) -> Table:
        """The gratuitous ARP of the newest observation, one row for each run of rounds.

        Columns AT (seconds after the act), ADDRESS, HOLDER (whose network card), ROUNDS, GAPS (seconds between them),
        REQUESTS, REPLIES, SECONDS (how long it went on) and ANOMALIES (where it differs from RFC 5227).
        """
        from kanslib.analysis.arp import ARPAnalysis
        from kanslib.render import arp_timeline as arp_story
        from kanslib.render.tables import Table

        window, vip = self._observation().data, self.vip(service) if service else None
        story = ARPAnalysis.of(window.frames())
        rows = arp_story.announcement_rows(story.announcements(vip), window, window.mac_owners)
        return Table.from_rows(rows, self._backend.provenance(), arp_story.ANNOUNCEMENT_COLUMNS)

    @_query
    def remembered(self) -> Table:
        """How the client's neighbor cache changed in the newest observation: which frame told it what.

        Columns AT (seconds after the act), ADDRESS, HOLDER, BECAUSE and FRAME; worked out from the frames as Linux does
        it. `lab.neighbors()` is what the client itself says.
        """
        from kanslib.analysis.observation import neighbor_updates
        from kanslib.render import arp_timeline as arp_story
        from kanslib.render.tables import Table

        window = self._observation().data
        memory = neighbor_updates(window)
        rows = arp_story.neighbor_rows(memory, window, window.mac_owners)
        return Table.from_rows(
            rows, self._backend.provenance().with_notes("worked out from the frames"), arp_story.NEIGHBOR_COLUMNS
        )

    @_query
    def beliefs(self, service: str) -> TimelineFigure:
        """Who each one believed to have a Service's address in the newest observation: a line each, drawn and in words.

        Every speaker by its own gossip (whom it thought alive, and so who leads), the client by its neighbor cache,
        the API by its newest event. While a network is broken they need not agree.
        """
        from kanslib.analysis.observation import leadership_views
        from kanslib.render import leadership_timeline as beliefs

        window, vip = self._observation().data, self.vip(service)
        held = leadership_views(window, service, vip)
        return beliefs.draw(held, f"Who has {service} ({vip})?", window.action, self._backend.provenance())

    @_query
    def conflicts(self) -> Table:
        """Addresses for which two machines answered ARP in the newest observation.

        Columns AT (seconds after the act), ADDRESS, HOLDERS and FRAMES.
        """
        from kanslib.analysis.arp import ARPAnalysis
        from kanslib.render import arp_timeline as arp_story
        from kanslib.render.tables import Table

        window = self._observation().data
        story = ARPAnalysis.of(window.frames())
        rows = arp_story.conflict_rows(story, window, window.mac_owners)
        return Table.from_rows(rows, self._backend.provenance(), arp_story.CONFLICT_COLUMNS)

    @_query
    def messages(self, place: str | None = None) -> Table:
        """The BGP messages of the newest observation, of one node or of all; KEEPALIVEs in a row are counted.

        Columns AT (seconds after the act), FROM, TO, MESSAGE, INFO and FRAME.
        """
        from kanslib.render import bgp
        from kanslib.render.tables import Table

        captured, heard = self._heard(place)
        return Table.from_rows(
            bgp.message_rows(heard, self._names(), captured.window.zero), captured.provenance, bgp.MESSAGE_COLUMNS
        )

    @_query
    def decoded(self, message: str = "UPDATE", place: str | None = None) -> Table:
        """The first BGP message of a type in the newest observation (sent by `place`), byte by byte.

        Columns OFFSET, BYTES (hexadecimal), FIELD (a dot for each level of nesting) and INFO. Raises NotRecordedError
        where there is none.
        """
        from kanslib.render import bgp
        from kanslib.render.tables import Table

        captured, heard = self._heard(place)
        said = [one.message for one in heard if place is None or one.flow.src == self.address(place)]
        mine = [one for one in said if one.name == message.upper()]
        if not mine:
            raise NotRecordedError(
                f"a BGP {message} around {captured.window.action}",
                sorted({one.name for one in said}),
                "lab.messages() lists them",
            )
        return Table.from_rows(bgp.byte_rows(mine[0]), captured.provenance, bgp.BYTE_COLUMNS)

    @_query
    def bgp_states(self, node: str) -> SVG:
        """BGP's finite state machine as one node walked it in this story until now, by the messages on the wire."""
        from kanslib.packets import bgp_fsm
        from kanslib.render import bgp as views

        router = self.router
        captured = self._observation().data.tcp_frames(start=0.0)
        steps = bgp_fsm.walk(captured.frames, self.address(self._node(node)), self.address(router))
        return views.draw_states(steps, node, router, captured.window.zero, captured.provenance)

    @_query
    def ecmp(self, service: str) -> Table:
        """How many connections to a Service the router sent to each next hop, measured beside an even share.

        Columns NEXT HOP, CONNECTIONS, MEASURED (share with its 95 % interval), EXPECTED, PORTS SEEN AGAIN (client ports
        that were used more than once) and ELSEWHERE THEN (how many of them took another way).
        """
        from kanslib.render import bgp
        from kanslib.render.tables import Table

        vip, routes = self.vip(service), self.routes()
        hops = routes[(f"{vip}/32" == routes.PREFIX) & (routes["IN USE"] == "yes")].NODE.tolist()
        captured = self._observation().data.tcp_frames()
        since = (frame for frame in captured.frames if frame.time >= captured.window.zero)
        return Table.from_rows(
            bgp.share_rows(since, vip, hops, self._backend.mac_owners()), captured.provenance, bgp.SHARE_COLUMNS
        )

    def _heard(self, place: str | None) -> tuple[CapturedFrames, list[CapturedMessage]]:
        from kanslib.packets import bgp

        captured = self._observation().data.tcp_frames()
        address = self.address(place) if place else None
        heard = [one for one in bgp.messages(captured.frames) if address in (None, one.flow.src, one.flow.dst)]
        return captured, heard

    def _names(self) -> dict[str, str]:
        """Places by their address."""
        return {address: place for place, address in self._backend.topology().addresses.items()}

    def _known(self, service: str | None) -> str | None:
        if service is not None:
            self.object("service", service)
        return service

    def outage(self) -> Outage:
        """The newest observation taken apart, as data: attempts with their reasons and frames, phases, marks.

        It is for code to work on, and no look: it scores no prediction.
        """
        from kanslib.analysis.observation import outage_in

        observed = self._observation()
        with self._uncounted():
            names = observed.services or tuple(self._load_balancers())
            data = observed.data
            key = (data.start, data.zero, data.end, data.action, names, self._backend.provenance().source)
            if self._apart is None or self._apart[0] != key:
                self._apart = (key, outage_in(data, {self.vip(name): name for name in names}))
            return self._apart[1]

    def _load_balancers(self) -> dict[str, str]:
        """The Services with an external address, and that address."""
        return {o["metadata"]["name"]: address for o in self.objects("services") if (address := external_address(o))}

    def time_machine(self, service: str = "svc1") -> TimeMachine:
        """The whole story of this lab as it was recorded, under a slider: map, time axis, addresses, a packet's way.

        Show it to walk through; `.at(seconds)` gives one scene, `.table` the stops, `.describe()` the story in words.
        The clock of this lab stays where it is.
        """
        from kanslib.backends import factory
        from kanslib.lab.time_machine import TimeMachine

        recorded = factory.recording_of(self._backend)
        return TimeMachine(Lab(recorded, self._story), recorded, service)

    @_query
    def map(self) -> SVG:
        """The cluster as a picture at this moment; `.describe()` says the same in words."""
        from kanslib.render import cluster_map

        places = self._backend.topology()
        vips = {name: (address, self.leader(name)) for name, address in self._load_balancers().items()}
        nodes = cluster_map.node_views(self.objects("nodes"), self.objects("pods"), vips)
        outside = [(name, places.addresses.get(name, "")) if name else None for name in (places.client, places.router)]
        homeless = [f"{name} {address}" for name, (address, leader) in vips.items() if leader is None]
        return cluster_map.draw(nodes, outside[0], outside[1], homeless, self._backend.provenance())

    # ── learning ─────────────────────────────────────────────────────────────────────────────────────────

    def exercise(self, name: str) -> ExerciseView:
        """An exercise by its id: show it to read it, then `.check(answer)`, `.hint()`, `.solution()`.

        The right answer is worked out from this lab, at this moment. UnknownNameError lists the ids there are.
        """
        return self._exercise_session.exercise(name)

    def predict(self, name: str, guess: Any = None) -> Prediction:
        """A question before a look: `.answer(guess)` writes it down, and the look that shows the answer scores it."""
        return self._exercise_session.predict(name, guess)

    def predict_all(self, *names: str) -> Quiz:
        """Several predictions at once; each is scored by the look that shows its answer, in whichever lab."""
        return self._exercise_session.predict_all(names)

    def quiz(self, chapter: str) -> Quiz:
        """The summary quiz of a chapter (`"03"`): show it to answer it, or `.check(answer, answer, …)` in order."""
        return self._exercise_session.quiz(chapter)

    def progress(self, token: str | None = None) -> ProgressReport:
        """What you have done so far, as a picture and as `.table`; `.token` carries it to another machine.

        It is kept in a file of yours (`.path`) and nowhere else. `token`: put another machine's progress beside it.
        """
        from kanslib.render import progress

        kept = self._exercise_session.progress
        if token is not None:
            kept.merge_token(token)
        return progress.ProgressReport(kept, self._exercise_session.catalog)

    @property
    def _exercise_session(self) -> ExerciseSession:
        from kanslib.exercises.catalog import CATALOG
        from kanslib.exercises.progress import default_path, load
        from kanslib.exercises.session import ExerciseSession, PendingPredictions
        from kanslib.lab.learning import display_exercises

        if self._session is None:
            pending = PendingPredictions() if self._predictions is None else self._predictions
            self._session = ExerciseSession(
                CATALOG, load(default_path()), pending, self._asked_here, self._offered, display_exercises
            )
        return self._session

    def _truth(self, exercise: Exercise) -> ExpectedAnswer:
        """The right answer, as it stands here and now; what another world had to answer does not count."""
        return self._asked_here()(exercise)

    def _asked_here(self) -> Callable[[Exercise], ExpectedAnswer]:
        """How to find a right answer for a question that is asked now, and may be answered when the clock has moved.

        The moment of asking counts, where it can be stood at again and has an answer; else the moment of answering.
        """
        stood, observed = self._backend.position(), self._observed

        def truth(exercise: Exercise) -> ExpectedAnswer:
            try:
                return self._judged(exercise, stood, observed)
            except KanslibError:
                if stood is None:
                    raise
            return self._judged(exercise, None, self._observed)

        return truth

    def _judged(self, exercise: Exercise, stood: Clock | None, observed: Observed | None) -> ExpectedAnswer:
        if not self._backend.provenance().checkable:
            raise NotRecordedError(
                f"an answer of this world to {exercise.id!r}",
                hint="what a recording answers in place of another world is for looking, not for checking",
            )
        if exercise.story not in ("", self._story):
            raise NotRecordedError(
                f"{exercise.id} in the story {self._story!r}", hint=f"kanslib.open_lab(story={exercise.story!r})"
            )
        now, self._observed = self._observed, observed
        try:
            with self._uncounted(), self._backend.isolated(stood):
                return exercise.expected_answer(self)
        finally:
            self._observed = now

    def _offered(self, options: Callable[[LabQueries], list[str]]) -> list[str]:
        """The names that a form offers, which is no look."""
        with self._uncounted():
            return options(self)

    @contextmanager
    def _uncounted(self) -> Iterator[None]:
        """What is looked at in here belongs to something else, and is no look of the learner's."""
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1

    def _count_query(self, look: str) -> None:
        """Note the look, and score what was predicted of it."""
        self.queries[look] = self.queries.get(look, 0) + 1
        if self._predictions and self._predictions.scored_by(look):
            for feedback in self._exercise_session.score_predictions(look):
                notices.display_html(str(feedback), feedback.html())

    # ── time ─────────────────────────────────────────────────────────────────────────────────────────────

    def acts(self) -> Table:
        """What was done so far in this story: seconds from its opening, and how long until it had settled."""
        from kanslib.render import moments
        from kanslib.render.tables import Table

        rows = moments.action_rows(self._backend.actions())
        return Table.from_rows(rows, self._backend.provenance(), moments.ACTION_COLUMNS)

    def moments(self) -> Table:
        """Every moment of this story; LOOKS AFTER: seconds after the act at which commands were run."""
        from kanslib.render import moments
        from kanslib.render.tables import Table

        rows = moments.moment_rows(self._backend.moments())
        return Table.from_rows(rows, self._backend.provenance(), moments.MOMENT_COLUMNS)

    def at(self, moment: str | None = None, after: float | None = None, *, time: float | None = None) -> None:
        """Be where an act had settled (`"kill-node"`), or `after` seconds after it was done, or at the `"opening"`.

        `time` (Unix seconds) is for tools. UnknownNameError lists the moments there are.
        """
        if (moment is None) == (time is None):
            raise TypeError("lab.at takes the name of a moment or time=, e.g. lab.at('kill-node', after=15)")
        if time is not None:
            self._backend.at_time(time)
        elif moment is not None:
            self._backend.at(moment, after)
        self._observed = None
