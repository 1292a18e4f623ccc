"""What was watched around an action: an object to keep, to compare, and to ask again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from kanslib.analysis import observation_data as analysis
from kanslib.analysis.neighbor_messages import MessageKind
from kanslib.analysis.neighbors import NeighborAnalysis
from kanslib.analysis.observation_data import CapturedFrames, ObservationData
from kanslib.exceptions import NotFoundError, NotRecordedError, NotSimulatedError, UnknownNameError, UnsupportedError
from kanslib.i18n import tr, tr_later
from kanslib.k8s.objects import KubeObject
from kanslib.lab import places
from kanslib.lab.queries import QueryLog, query
from kanslib.packets.bgp import is_bgp
from kanslib.packets.capture import Frame

if TYPE_CHECKING:
    from markupsafe import Markup

    from kanslib.analysis import Attempt, Outage
    from kanslib.answer import Printer, Provenance
    from kanslib.packets.bgp import CapturedMessage
    from kanslib.render.arp_conversation import ARPConversation
    from kanslib.render.arp_timeline import ARPTimeline
    from kanslib.render.arp_words import PlotContext
    from kanslib.render.bgp_states import BGPStates
    from kanslib.render.leadership_timeline import LeadershipTimeline
    from kanslib.render.outage_timeline import OutageTimeline
    from kanslib.render.result_card import ResultCard
    from kanslib.render.rows import Columns, Rows
    from kanslib.render.tables import Table

_LAYERS: dict[str, Callable[[Frame], bool]] = {
    "arp": lambda frame: frame.arp is not None,
    "ip": lambda frame: frame.ip is not None,
    "tcp": lambda frame: frame.tcp is not None,
    "udp": lambda frame: frame.udp is not None,
    "bgp": is_bgp,
    "memberlist": lambda frame: any(seg and 7946 in (seg.sport, seg.dport) for seg in (frame.tcp, frame.udp)),
}
LEADER_HISTORY = ["AT", "SERVICE", "ADDRESS", "CANDIDATES", "LEADER"]
_NO_REQUEST = tr_later("no request was sent to {service} around {action}")
PROBES = ["SECONDS", "OK", "HOSTNAME", "REMOTE", "ERROR", "MS"]


def check_layer(layer: str) -> None:
    """Raise UnknownNameError for a layer by which frames are not sorted."""
    if layer not in _LAYERS:
        raise UnknownNameError("layer", layer, _LAYERS)


class _SharedData:
    """What an observation and its parts share: the data once it is over, and the Services and places in it."""

    def __init__(self, data: ObservationData | None) -> None:
        self._data = data

    @property
    def is_over(self) -> bool:
        """True when there is data."""
        return self._data is not None

    def finish(self, data: ObservationData) -> None:
        """Take what was seen."""
        self._data = data

    @property
    def data(self) -> ObservationData:
        """What was seen. NotFoundError while the observation is not over."""
        if self._data is None:
            raise NotFoundError(
                tr("an observation that is over"), tr("ask it below the block: with lab.observe(…) as seen: …")
            )
        return self._data

    def name(self, service: str) -> str:
        """Return the name of a Service that existed, as tables spell it."""
        return places.short_name(service, self._services)

    def vip(self, service: str) -> str:
        """Return the external address of a Service that existed."""
        return places.vip_of(self._services[self.name(service)], service)

    @cached_property
    def _services(self) -> dict[str, KubeObject]:
        return analysis.services_in(self.data)

    def address(self, place: str) -> str:
        """Return the address of a place. UnknownNameError for a place that did not exist."""
        known = self.data.topology.addresses
        if place not in known:
            raise UnknownNameError("place", place, known)
        return known[place]

    def table(
        self,
        rows: Rows,
        columns: Columns | Sequence[str],
        empty_because: str,
        provenance: Provenance | None = None,
        **values: object,
    ) -> Table:
        """Return a table with a provenance: the observation's, if no other is given.

        `empty_because`: what was not seen around the {action}, where there is no row: a message with `values`.
        """
        from kanslib.render.tables import Table

        why = tr(empty_because, action=self.data.action, **values)
        return Table.from_rows(rows, provenance or self.data.provenance, columns, empty_because=why)


class Observation(places.HelpfulAttributes):
    """What was watched around one action: requests, frames, logs and API events on one clock.

    `lab.observe()` yields one, `lab.observation()` returns the one around an action. Keep it, compare it with another,
    ask it again. All times are seconds after the action. Every method that names a Service takes `"svc1"` or
    `"namespace/svc1"`, and raises UnknownNameError for one that does not exist. What was not probed or captured
    raises NotRecordedError.

    >>> import kanslib
    >>> lab = kanslib.open_lab(story="failover")  # doctest: +ELLIPSIS
    recorded · story 'failover': ...
    >>> with lab.observe(probes=["svc1"], seconds=80) as seen:
    ...     _ = lab.kill_node("myk8s-worker")
    >>> seen.action, seen.phases("svc1").PHASE.tolist()[1:]
    ('kill-node', ['VIP dark', 'partly dark', 'healthy with stragglers'])
    """

    def __init__(
        self, log: QueryLog, data: ObservationData | None = None, services: Sequence[str] = (), done: str = ""
    ) -> None:
        self._query_log, self._shared, self._probed, self._done = log, _SharedData(data), tuple(services), done
        self.arp, self.bgp = ARPObservation(log, self._shared), BGPObservation(log, self._shared)

    def __repr__(self) -> str:
        return f"<Observation: {self.action if self._shared.is_over else tr('not over yet')}>"

    def _repr_html_(self) -> Markup | None:
        return self.result()._repr_html_() if self._shared.is_over else None

    def _repr_svg_(self) -> str | None:
        return self.result()._repr_svg_() if self._shared.is_over else None

    def _repr_pretty_(self, printer: Printer, cycle: bool) -> None:
        if self._shared.is_over:
            self.result()._repr_pretty_(printer, cycle)
        else:
            printer.text(repr(self))

    def finish(self, data: ObservationData, done: str) -> None:
        """Take what was seen, and the action in words: the block is over."""
        self._shared.finish(data)
        self._done = done

    # ── what it is about ─────────────────────────────────────────────────────────────────────────────────

    @property
    def action(self) -> str:
        """The name of the action, as `lab.moments()` has it; `"opening"` where none was done."""
        return self._shared.data.action

    @property
    def provenance(self) -> Provenance:
        """Where its answers come from."""
        return self._shared.data.provenance

    def seconds(self, time: float) -> float:
        """Return how long after the action a moment was (`time` in Unix seconds, as in `frame.time`).

        >>> import kanslib
        >>> lab = kanslib.open_lab(story="arp")  # doctest: +ELLIPSIS
        recorded · story 'arp': ...
        >>> seen = lab.observation()
        >>> [round(seen.seconds(frame.time)) for frame in seen.frames("arp")[:2]]
        [-4, -4]
        """
        return time - self._shared.data.zero

    # ── requests ─────────────────────────────────────────────────────────────────────────────────────────

    @query
    def probes(self, service: str) -> Table:
        """Return every request that was sent to a Service, one row each.

        Columns SECONDS, OK, HOSTNAME (of the Pod that answered), REMOTE (the client as the Pod saw it), ERROR and MS.

        >>> import kanslib
        >>> lab = kanslib.open_lab(story="failover")  # doctest: +ELLIPSIS
        recorded · story 'failover': ...
        >>> lab.at("kill-node")
        >>> bool(lab.observation().probes("svc1").OK.all())
        False
        """
        vip = self._shared.vip(service)
        zero = self._shared.data.zero
        rows = [
            {
                "SECONDS": round(row["t"] - zero, 3),
                "OK": row["ok"],
                "HOSTNAME": row.get("hostname", ""),
                "REMOTE": str(row.get("remote", "")).partition(":")[0],
                "ERROR": row.get("error", ""),
                "MS": row["ms"],
            }
            for row in self._shared.data.probes()
            if row["to"] == vip
        ]
        return self._shared.table(rows, PROBES, _NO_REQUEST, service=service)

    @query
    def attempts(self, service: str) -> tuple[Attempt, ...]:
        """Return every request to a Service as data: `.at`, `.is_ok`, `.port`, `.hostname`, and `.reason` of a failure.

        >>> import kanslib
        >>> lab = kanslib.open_lab(story="failover")  # doctest: +ELLIPSIS
        recorded · story 'failover': ...
        >>> lab.at("kill-node")
        >>> [one.port for one in lab.observation().attempts("svc1") if not one.is_ok][:2]
        [51736, 51770]
        """
        return self._outage.attempts.get(self._shared.name(service), ())

    @query
    def phases(self, service: str | None = None, *, wide: bool = False) -> Table:
        """Return the phases of an outage, computed from every request, one row each; of all Services without a name.

        Columns SERVICE, PHASE, FROM and TO, TRIED, FAILED, ANSWERED (the share, with its 95 % interval), BECAUSE (why
        requests failed, counted), ENDED BY (what ended the phase) and, shown with `wide`, EVIDENCE.

        >>> import kanslib
        >>> lab = kanslib.open_lab(story="failover")  # doctest: +ELLIPSIS
        recorded · story 'failover': ...
        >>> lab.at("kill-node")
        >>> lab.observation().phases("svc1")[["PHASE", "FAILED"]].values.tolist()[1:]
        [['VIP dark', 9], ['partly dark', 48], ['healthy with stragglers', 4]]
        """
        from kanslib.render import outage_tables

        rows = outage_tables.phase_rows(self._outage, self._shared.name(service) if service else None)
        columns = outage_tables.PHASE_COLUMNS.shown(wide)
        return self._shared.table(rows, columns, _NO_REQUEST, service=service or tr("a Service"))

    @query
    def failures(self, service: str) -> Table:
        """Return every request to a Service that failed, and why.

        Columns SECONDS, REASON, WHAT HAPPENED, PORT (the client's) and EVIDENCE (frames, objects).

        >>> import kanslib
        >>> lab = kanslib.open_lab(story="failover")  # doctest: +ELLIPSIS
        recorded · story 'failover': ...
        >>> lab.at("kill-node")
        >>> len(lab.observation().failures("svc1"))
        62
        """
        from kanslib.render import outage_tables

        rows = outage_tables.failure_rows(self._outage, self._shared.name(service))
        sent = len(self._outage.attempts.get(self._shared.name(service), ()))
        why = (
            tr_later("each of the {sent:,} requests to {service} was answered around {action}") if sent else _NO_REQUEST
        )
        return self._shared.table(rows, outage_tables.FAILURE_COLUMNS, why, sent=sent, service=service)

    def outage(self) -> Outage:
        """Return all of it as data: attempts with their reasons and frames, phases, timeline events.

        It is for code to work on, and no query: it scores no prediction.

        >>> import kanslib
        >>> lab = kanslib.open_lab(story="failover")  # doctest: +ELLIPSIS
        recorded · story 'failover': ...
        >>> lab.at("kill-node")
        >>> sorted(lab.observation().outage().attempts)
        ['svc1', 'svc2', 'svc3']
        """
        return self._outage

    @cached_property
    def _outage(self) -> Outage:
        with self._query_log.uncounted():
            vips = {self._shared.vip(name): self._shared.name(name) for name in self._probed}
            return analysis.outage_in(self._shared.data, vips or analysis.services_by_address(self._shared.data))

    def result(self) -> ResultCard:
        """Return the result as a card: what was done, how many requests failed, who leads at the end.

        A notebook shows it below the cell of `with lab.observe(…)`, and where an observation is a cell's last line.

        >>> import kanslib
        >>> lab = kanslib.open_lab(story="failover")  # doctest: +ELLIPSIS
        recorded · story 'failover': ...
        >>> with lab.observe(probes=["svc1"], seconds=80) as seen:
        ...     _ = lab.kill_node("myk8s-worker")
        >>> print(seen.result().describe())
        myk8s-worker killed · 118 s observed.
        svc1: 62 of 1,379 failed · leader now myk8s-worker2.
        """
        from kanslib.render.result_card import ResultCard

        data, leaders = self._shared.data, dict[str, str]()
        outage: Outage | None = None
        with self._query_log.uncounted():
            with suppress(NotRecordedError, NotSimulatedError, UnsupportedError):
                outage = self._outage
            with suppress(NotRecordedError, NotSimulatedError, UnsupportedError):
                leaders = analysis.leaders_in(data)
        return ResultCard(self._done or self.action, data.end - data.zero, outage, leaders, self.provenance)

    # ── what happened ────────────────────────────────────────────────────────────────────────────────────

    @query
    def timeline(self) -> OutageTimeline:
        """Draw it on one time axis: the clocks of the outage, what happened, and the requests to each Service.

        A clock is what the outage waited for: that the VIP moves, that the dead endpoint leaves the rules, that
        conntrack forgets. It is drawn where an event shows its end. `describe()` says all of it in words, `plotly()` is
        a plotly figure of it to hover over and to zoom. Behind it are `phases()`, `failures(service)` and `events()`.

        >>> import kanslib
        >>> lab = kanslib.open_lab(story="failover")  # doctest: +ELLIPSIS
        recorded · story 'failover': ...
        >>> lab.at("kill-node")
        >>> "VIP dark" in lab.observation().timeline().describe()
        True
        """
        from kanslib.render.outage_timeline import OutageTimeline

        return OutageTimeline(self._outage, self.provenance)

    @query
    def events(self, kind: str | None = None) -> Table:
        """Return the timeline events, in order: when, of which kind, what happened, and where it can be read.

        `kind`: memberlist, speaker, leader, gratuitous ARP, BGP, node, endpoints or rules; else all. Raise
        UnknownNameError for another kind.

        >>> import kanslib
        >>> lab = kanslib.open_lab(story="failover")  # doctest: +ELLIPSIS
        recorded · story 'failover': ...
        >>> lab.at("kill-node")
        >>> lab.observation().events("leader").WHAT.tolist()[0]
        'svc2: myk8s-worker3'
        """
        from kanslib.analysis import EventKind
        from kanslib.render import outage_tables

        if kind is not None and kind not in list(EventKind):
            raise UnknownNameError(tr("kind of timeline event"), kind, list(EventKind))
        rows = outage_tables.event_rows(self._outage, kind)
        of_kind = tr_later("no timeline event of the kind {kind} around {action}")
        why = of_kind if kind else tr_later("no timeline event around {action}")
        return self._shared.table(rows, outage_tables.EVENT_COLUMNS, why, kind=kind)

    @query
    def leader_history(self) -> Table:
        """Return every leader event of the cluster until then, with the nodes that could have led at that moment.

        Columns AT (seconds after the first), SERVICE, ADDRESS, CANDIDATES (derived from the objects and the gossip
        of that moment) and LEADER (the node in the event nodeAssigned).

        >>> import kanslib
        >>> lab = kanslib.open_lab(story="arp")  # doctest: +ELLIPSIS
        recorded · story 'arp': ...
        >>> lab.observation().leader_history()[["SERVICE", "LEADER"]].iloc[-1].tolist()
        ['svc3', 'myk8s-worker3']
        """
        from kanslib.metallb import memberlist, replay

        data = self._shared.data
        members = memberlist.membership_history(data.log("speaker", data.topology.control_plane))
        found = replay.leader_events(data.watch_events, members)
        start = found[0].t if found else 0.0
        rows = [
            {"AT": round(one.t - start, 1), "SERVICE": one.service, "ADDRESS": one.address,
             "CANDIDATES": list(one.candidates), "LEADER": one.node}
            for one in found
        ]  # fmt: skip
        why = tr_later("MetalLB wrote no leader event before and around {action}")
        return self._shared.table(rows, LEADER_HISTORY, why)

    def mac_owners(self) -> Mapping[str, str]:
        """Return whose network card each MAC address is: a node's, the client's, the router's.

        >>> import kanslib
        >>> lab = kanslib.open_lab(story="arp")  # doctest: +ELLIPSIS
        recorded · story 'arp': ...
        >>> lab.client in lab.observation().mac_owners().values()
        True
        """
        return self._shared.data.mac_owners

    @query
    def leadership(self, service: str) -> LeadershipTimeline:
        """Draw who thought which node to have a Service's address: a line each, drawn and in words.

        Every speaker by its own gossip, the client by its neighbor table, the API by its newest leader event. While a
        network is broken they need not agree. A disagreement that is too short to see is drawn again below, stretched.

        >>> import kanslib
        >>> lab = kanslib.open_lab(story="failover")  # doctest: +ELLIPSIS
        recorded · story 'failover': ...
        >>> lab.at("kill-node")
        >>> "mypc" in lab.observation().leadership("svc1").describe()
        True
        """
        from kanslib.render.leadership_timeline import LeadershipTimeline

        name, vip = self._shared.name(service), self._shared.vip(service)
        views = analysis.leadership_views(self._shared.data, name, vip)
        return LeadershipTimeline(
            views, tr("Who has {name} ({vip})?", name=name, vip=vip), self.action, self.provenance
        )

    @query
    def frames(self, layer: str = "arp") -> list[Frame]:
        """Return the captured frames of a layer: arp, ip, tcp, udp, bgp or memberlist.

        Raise UnknownNameError for another layer.

        >>> import kanslib
        >>> lab = kanslib.open_lab(story="arp")  # doctest: +ELLIPSIS
        recorded · story 'arp': ...
        >>> print(lab.observation().frames("arp")[0].arp)
        who-has 172.18.0.3 tell 172.18.0.1
        """
        check_layer(layer)
        return [frame for frame in self._shared.data.frames() if _LAYERS[layer](frame)]


class ARPObservation(places.HelpfulAttributes):
    """The ARP of an observation, and for IPv6 the neighbor discovery.

    >>> import kanslib
    >>> lab = kanslib.open_lab(story="failover")  # doctest: +ELLIPSIS
    recorded · story 'failover': ...
    >>> lab.at("kill-node")
    >>> set(lab.observation().arp.announcements("svc1").HOLDER)
    {'myk8s-worker2'}
    """

    def __init__(self, log: QueryLog, shared: _SharedData) -> None:
        self._query_log, self._shared = log, shared

    @query
    def timeline(self) -> ARPTimeline:
        """Draw who asked, answered and announced, and which holder the client remembered.

        The bar of each address is the client's neighbor table, as Linux keeps it, derived from the frames. `plotly()`
        is a plotly figure of it to hover over and to zoom.
        """
        from kanslib.render.arp_timeline import ARPTimeline

        data = self._shared.data
        return ARPTimeline(self._analyze(), analysis.neighbor_updates(data), self._context(), data.provenance)

    @query
    def conversation(self, service: str, asker: str | None = None) -> ARPConversation:
        """Draw the questions of one machine for a Service's address, and the answers that it got.

        `asker`: a place, else the client. `.answers` are the answers, each with its `.frame`. Raise UnknownNameError
        for a place that does not exist.

        >>> import kanslib
        >>> lab = kanslib.open_lab(story="arp")  # doctest: +ELLIPSIS
        recorded · story 'arp': ...
        >>> print(lab.observation().arp.conversation("svc1").describe().splitlines()[1])
        18.94 s myk8s-worker answers mypc · frame 118
        """
        from kanslib.render import arp_conversation

        data, vip = self._shared.data, self._shared.vip(service)
        place = asker or data.topology.client or tr("the client")
        self._shared.address(place)
        found = arp_conversation.conversation(self._analyze(), vip, data.topology.address(place, vip))
        cards = {message.mac: place for message in found if message.kind is MessageKind.QUESTION}
        context = self._context()
        context = replace(context, places={**context.places, **cards})
        machines = [*filter(None, [data.topology.client]), *data.topology.nodes]
        return arp_conversation.ARPConversation(found, vip, place, machines, context, data.provenance)

    @query
    def announcements(self, service: str | None = None) -> Table:
        """Return the gratuitous ARP of a Service or of all, one row for each run of rounds; of IPv6 the advertisements.

        Columns AT, ADDRESS, HOLDER (whose network card), ROUNDS, GAPS (seconds between them), REQUESTS, REPLIES,
        SECONDS (how long it went on) and ANOMALIES (where it differs from RFC 5227).
        """
        from kanslib.render import arp_tables

        data, vip = self._shared.data, self._shared.vip(service) if service else None
        rows = arp_tables.announcement_rows(self._analyze().announcements(vip), data, data.mac_owners)
        why = tr_later("no gratuitous ARP for {service} was captured around {action}")
        return self._shared.table(rows, arp_tables.ANNOUNCEMENT_COLUMNS, why, service=service or tr("an address"))

    @query
    def neighbor_updates(self) -> Table:
        """Return how the client's neighbor table changed, and which frame changed it.

        Columns AT, ADDRESS, HOLDER, BECAUSE and FRAME; derived from the frames as Linux does it. `lab.neighbors()`
        is what the client itself says.
        """
        from kanslib.render import arp_tables

        data = self._shared.data
        rows = arp_tables.neighbor_rows(analysis.neighbor_updates(data), data, data.mac_owners)
        provenance = data.provenance.with_notes(tr("derived from the frames"))
        why = tr_later("no captured frame changed the client's neighbor table around {action}")
        return self._shared.table(rows, arp_tables.NEIGHBOR_COLUMNS, why, provenance)

    @query
    def conflicts(self) -> Table:
        """Return the addresses for which two machines answered: AT, ADDRESS, HOLDERS and FRAMES."""
        from kanslib.render import arp_tables

        data = self._shared.data
        rows = arp_tables.conflict_rows(self._analyze(), data, data.mac_owners)
        why = tr_later("no two machines answered for one address around {action}")
        return self._shared.table(rows, arp_tables.CONFLICT_COLUMNS, why)

    def _context(self) -> PlotContext:
        from kanslib.render.arp_words import PlotContext

        data = self._shared.data
        client = data.topology.client or tr("the client")
        return PlotContext(data, analysis.services_by_address(data), data.mac_owners, client)

    def _analyze(self) -> NeighborAnalysis:
        return NeighborAnalysis.of(self._shared.data.frames())


class BGPObservation(places.HelpfulAttributes):
    """The BGP of an observation.

    >>> import kanslib
    >>> lab = kanslib.open_lab(story="bgp")  # doctest: +ELLIPSIS
    recorded · story 'bgp': ...
    >>> lab.at("apply-bgp")
    >>> lab.observation().bgp.messages("myk8s-worker").MESSAGE.tolist()[:2]
    ['OPEN', 'OPEN']
    """

    def __init__(self, log: QueryLog, shared: _SharedData) -> None:
        self._query_log, self._shared = log, shared

    @query
    def messages(self, node: str | None = None, *, wide: bool = False) -> Table:
        """Return the BGP messages of a node or of all; KEEPALIVEs in a row are counted.

        Columns AT, FROM, TO, MESSAGE, INFO and, shown with `wide`, FRAME. Raise UnknownNameError for a node that does
        not exist.
        """
        from kanslib.render import bgp

        captured, found = self._captured(node)
        names = {address: place for place, address in self._shared.data.topology.addresses.items()}
        rows = bgp.message_rows(found, names, captured.window.zero)
        why, columns = (
            tr_later("no BGP message of {node} was captured around {action}"),
            bgp.MESSAGE_COLUMNS.shown(wide),
        )
        return self._shared.table(rows, columns, why, captured.provenance, node=node or tr("a node"))

    @query
    def decode(self, message: str = "UPDATE", sender: str | None = None) -> Table:
        """Return the first BGP message of a type (sent by `sender`), byte by byte.

        Columns OFFSET, BYTES (hexadecimal), FIELD (a dot for each level of nesting) and INFO. Raise NotRecordedError
        where there is none.
        """
        from kanslib.render import bgp

        captured, found = self._captured(sender)
        address = self._shared.address(sender) if sender else None
        sent = [one.message for one in found if address in (None, one.flow.src)]
        mine = [one for one in sent if one.name == message.upper()]
        if not mine:
            names = sorted({one.name for one in sent})
            action = captured.window.action
            raise NotRecordedError(
                tr("a BGP {message} around {action}", message=message, action=action),
                names,
                tr("seen.bgp.messages() lists them"),
            )
        why = tr_later("the message is empty around {action}")
        return self._shared.table(bgp.byte_rows(mine[0]), bgp.BYTE_COLUMNS, why, captured.provenance)

    @query
    def states(self, node: str) -> BGPStates:
        """Return BGP's finite state machine as one node walked it until then, by the messages on the wire.

        Raise UnknownNameError for a node that does not exist, NotFoundError where no router runs.
        """
        from kanslib.packets import bgp_fsm
        from kanslib.render.bgp_states import BGPStates

        data = self._shared.data
        router = places.router_of(data.topology)
        captured = data.tcp_frames(start=0.0)
        transitions = bgp_fsm.transitions(captured.frames, self._shared.address(node), self._shared.address(router))
        return BGPStates(tuple(transitions), node, router, captured.window.zero, captured.provenance)

    @query
    def shares(self, service: str) -> Table:
        """Return how many connections to a Service the router sent to each next hop, beside an even share.

        Columns NEXT HOP, CONNECTIONS, MEASURED (share with its 95 % interval), EXPECTED and, not shown, PORTS SEEN
        AGAIN (client ports that were used more than once) and ELSEWHERE THEN (how many of them took another way).
        """
        from kanslib.lab import traffic
        from kanslib.render import bgp

        vip, routes = self._shared.vip(service), traffic.routes(self._query_log.view)
        hops = routes[(f"{vip}/32" == routes.PREFIX) & (routes["IN USE"] == "yes")].NODE.tolist()
        captured = self._shared.data.tcp_frames()
        since: Iterator[Frame] = (frame for frame in captured.frames if frame.time >= captured.window.zero)
        rows = bgp.share_rows(since, vip, hops, self._query_log.view.mac_owners())
        why = tr_later("no connection to {service} passed the router around {action}")
        return self._shared.table(rows, bgp.SHARE_COLUMNS, why, captured.provenance, service=service)

    def _captured(self, node: str | None) -> tuple[CapturedFrames, list[CapturedMessage]]:
        from kanslib.packets import bgp

        captured, address = self._shared.data.tcp_frames(), self._shared.address(node) if node else None
        return captured, [m for m in bgp.messages(captured.frames) if address in (None, m.flow.src, m.flow.dst)]
