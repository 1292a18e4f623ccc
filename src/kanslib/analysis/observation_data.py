"""The data that a backend observed around an action, and its analysis: outages, neighbor caches, leaders. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import groupby
from typing import NamedTuple, Protocol

from kanslib.analysis import event_sources, leadership, neighbor_cache, speaker_logs
from kanslib.analysis.attempts import Probe, attempts_from_probes
from kanslib.analysis.failure_reasons import CaptureIndex
from kanslib.analysis.leadership import LeaderView
from kanslib.analysis.neighbor_cache import NeighborUpdate
from kanslib.analysis.neighbors import NeighborAnalysis
from kanslib.analysis.outage import Outage, build_outage
from kanslib.analysis.timeline_events import TimelineEvent
from kanslib.answer import Provenance, Text
from kanslib.exceptions import KanslibError
from kanslib.k8s.log_lines import read_lines
from kanslib.k8s.objects import (
    KubeObject,
    Store,
    WatchEvent,
    as_of,
    external_address,
    external_addresses,
    newest_leaders,
    plural,
    qualified_name,
)
from kanslib.metallb import election
from kanslib.metallb.config import is_on_layer2
from kanslib.packets import bgp
from kanslib.packets.capture import Frame


@dataclass(frozen=True)
class TimeWindow:
    """A span of time around an action: `start`, `end` and the action's moment `zero`, all in Unix seconds."""

    start: float
    zero: float
    end: float
    action: str


@dataclass(frozen=True)
class Topology:
    """The client, router and nodes of a cluster, and their addresses on the Docker network.

    `second_addresses`: those of the second family, in a dual-stack cluster.
    """

    client: str | None
    control_plane: str
    router: str | None
    nodes: tuple[str, ...]
    network: str
    addresses: Mapping[str, str]
    second_addresses: Mapping[str, str] = field(default_factory=dict)

    def address(self, place: str, towards: str) -> str:
        """Return the address of a place in the family of another address; KeyError for an unknown place.

        Without one of that family it is the first family's.
        """
        second = self.second_addresses.get(place, "")
        return second if second and (":" in second) == (":" in towards) else self.addresses[place]


class NodeOutput(NamedTuple):
    """What a command printed on a node, and when it was run (Unix seconds)."""

    time: float
    node: str
    text: str


@dataclass(frozen=True)
class CapturedFrames:
    """Frames, their time window and their provenance: a recording may answer in place of another backend."""

    frames: list[Frame]
    window: TimeWindow
    provenance: Provenance


class ObservedTime(Protocol):
    """The time that an observation covers (Unix seconds), and the action in it, at `zero`."""

    @property
    def action(self) -> str:
        """The name of the action's moment; `opening` before the first action."""

    @property
    def start(self) -> float:
        """The beginning, some seconds before the action (Unix seconds)."""

    @property
    def zero(self) -> float:
        """When the action began (Unix seconds)."""

    @property
    def end(self) -> float:
        """The end (Unix seconds)."""


class ObservationData(ObservedTime, Protocol):
    """What one backend observed around one action. It stays the same when the backend's clock moves.

    Each method raises NotRecordedError, NotSimulatedError or UnsupportedError where its backend has no such data.
    """

    @property
    def provenance(self) -> Provenance:
        """The backend that observed it."""

    @property
    def topology(self) -> Topology:
        """The places of the cluster and their addresses."""

    @property
    def mac_owners(self) -> Mapping[str, str]:
        """Places by their MAC address."""

    def probes(self) -> list[Probe]:
        """Return the probes, in order of time (docs/recording-format.md: probes)."""

    def frames(self, start: float | None = None) -> list[Frame]:
        """Return the captured frames; those since `start` (Unix seconds), where it is given."""

    def tcp_frames(self, start: float | None = None) -> CapturedFrames:
        """Return the captured TCP segments; those since `start` (Unix seconds), where it is given."""

    def watch_events(self, kind: str) -> list[WatchEvent]:
        """Return the watch events of a kind from the cluster's beginning to the end of the observation."""

    def command_outputs(self, command: str) -> list[NodeOutput]:
        """Return the outputs of a command on the nodes, each time it was run."""

    def log(self, component: str, node: str) -> Text:
        """Return the log of MetalLB's `speaker` or `controller` on a node, at least to the end of the observation."""


def services_by_address(observation: ObservationData) -> dict[str, str]:
    """Return the Services that have an external address when the observation ends, by that address."""
    return {address: name for name, one in services_in(observation).items() if (address := external_address(one))}


def services_in(observation: ObservationData) -> dict[str, KubeObject]:
    """Return the Services when the observation ends: by name in `default`, by `namespace/name` elsewhere."""
    return {qualified_name(one): one for one in as_of(observation.watch_events("services"), observation.end)}


def outage_in(observation: ObservationData, vips: Mapping[str, str]) -> Outage:
    """Return the attempts to some VIPs (address: Service), why each failed, and what happened meanwhile.

    Raises NotRecordedError where no probe ran.
    """
    probes, frames = observation.probes(), observation.frames()
    zero, seconds = observation.zero, observation.end - observation.zero
    return build_outage(
        observation.action,
        zero,
        vips,
        lambda vip: attempts_from_probes(probes, frames, vip, zero),
        CaptureIndex(frames, observation.mac_owners),
        (event for event in _timeline_events(observation, vips, frames) if event.at <= seconds),
    )


def neighbor_updates(observation: ObservationData) -> list[NeighborUpdate]:
    """Return how the client's neighbor cache changed, by all frames until the end of the observation."""
    client = observation.topology.client
    if not client:
        return []
    mac = next((mac for mac, place in observation.mac_owners.items() if place == client), "")
    frames, ip = observation.frames(start=0.0), observation.topology.addresses.get(client, "")
    return neighbor_cache.neighbor_updates(NeighborAnalysis.of(frames), ip, mac, frames)


def leadership_views(observation: ObservationData, service: str, address: str) -> list[LeaderView]:
    """Return whom each speaker, the client and the API took for the leader of a Service in an observation."""
    zero, span = observation.zero, (observation.start - observation.zero, observation.end - observation.zero)
    events = observation.watch_events("events")
    leaders = newest_leaders([event.object for event in events if event.t < zero and event.type != "DELETED"])
    uid = services_in(observation)[service]["metadata"]["uid"]
    leader_events = event_sources.cluster_events(events, (), (), zero)
    views = leadership.api_views(leader_events, service, leaders.get(uid, ""), span)
    topology = observation.topology
    if topology.client:
        updates = neighbor_updates(observation)
        views += leadership.client_views(topology.client, updates, observation.mac_owners, address, zero, span)
    candidates = list(_candidates(observation, service))
    for node, log in _speaker_logs(observation):
        views += leadership.speaker_views(node, log, candidates, address, zero, span)
    return views


def leaders_in(observation: ObservationData) -> dict[str, str]:
    """Return the node that the newest leader event names when the observation ends, by Service.

    A Service that no L2Advertisement covers is left out.
    """

    def objects(kind: str) -> list[KubeObject]:
        return as_of(observation.watch_events(kind), observation.end)

    leaders = newest_leaders(objects("events"))
    return {
        name: leaders[uid]
        for name, service in services_in(observation).items()
        if (uid := service["metadata"]["uid"]) in leaders and is_on_layer2(objects, external_addresses(service))
    }


_ELECTION_KINDS = ("nodes", "services", "endpointslices", "ipaddresspools", "l2advertisements")


def _candidates(observation: ObservationData, service: str) -> Iterator[tuple[float, tuple[str, ...]]]:
    """Yield which nodes may lead a Service if all are alive, by the API's objects, and since when (Unix seconds)."""
    changes = sorted(
        ((kind, event) for kind in _ELECTION_KINDS for event in observation.watch_events(kind)),
        key=lambda pair: pair[1].t,
    )
    all_nodes, store = frozenset(observation.topology.nodes), Store()
    before: tuple[str, ...] | None = None
    for moment, together in groupby(changes, key=lambda pair: max(pair[1].t, observation.start)):
        for kind, event in together:
            store.apply(kind, event)
        with suppress(KanslibError):
            found = tuple(election.explain(lambda kind: store.objects(plural(kind)), service, all_nodes).candidates)
            if found != before:
                yield (float("-inf") if before is None else moment), found
                before = found


def _speaker_logs(observation: ObservationData) -> Iterator[tuple[str, Text]]:
    """Yield the speakers' logs by node; a node that is down has none, and not every log was kept."""
    for node in observation.topology.nodes:
        with suppress(KanslibError):
            yield node, observation.log("speaker", node)


def _timeline_events(
    observation: ObservationData, vips: Mapping[str, str], frames: Sequence[Frame]
) -> Iterator[TimelineEvent]:
    zero = observation.zero
    events, nodes, slices = (observation.watch_events(kind) for kind in ("events", "nodes", "endpointslices"))
    names = {address: place for place, address in observation.topology.addresses.items()}
    yield from event_sources.cluster_events(events, nodes, slices, zero)
    yield from event_sources.announcement_events(frames, vips, zero)
    # a hold time is agreed on when a session opens, long before it is needed
    all_frames = observation.frames(start=0.0) if any(map(bgp.is_bgp, frames)) else []
    yield from event_sources.bgp_session_events(all_frames, names, zero)
    logs = {node: list(read_lines(log)) for node, log in _speaker_logs(observation)}
    yield from speaker_logs.speaker_events(logs, vips, zero)
    yield from event_sources.rule_events(observation.command_outputs("iptables-save -c"), vips.values(), zero)
