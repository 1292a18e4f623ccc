"""What a world saw around an act, put on one clock."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from itertools import chain, groupby
from typing import NamedTuple

from kanslib.analysis import CaptureIndex, Outage, TimelineEvent, attempts_from_probes, explain_failures
from kanslib.analysis import event_sources as sources
from kanslib.analysis import leadership as sides
from kanslib.analysis.arp import ARPAnalysis, NeighborUpdate
from kanslib.analysis.leadership import LeaderView
from kanslib.backends.base import Backend, TimeWindow
from kanslib.backends.recorded import RecordedBackend
from kanslib.exceptions import KanslibError, NotRecordedError
from kanslib.k8s.objects import Store, external_address, newest_leaders, plural
from kanslib.metallb import election
from kanslib.packets import bgp
from kanslib.packets.capture import Frame
from kanslib.recording import Recording


def outage_in(world: Backend, window: TimeWindow, vips: Mapping[str, str]) -> Outage:
    """The attempts to these VIPs (address: Service) in a window, each failure with its reason, and all that happened.

    Raises NotRecordedError where nothing was probed.
    """
    probes, frames = world.probes(window), world.frames(window)
    marks = sorted(
        (mark for mark in _timeline_events(world, window, vips, frames) if mark.at <= window.end - window.zero),
        key=lambda mark: mark.at,
    )
    wire = CaptureIndex(frames, world.mac_owners())
    attempts = {}
    for vip, service in vips.items():
        found = explain_failures(
            attempts_from_probes(probes, frames, vip, window.zero), wire, vip, window.zero, marks, service
        )
        if found:
            attempts[service] = tuple(found)
    return Outage(window.action, window.zero, attempts, tuple(marks))


class ObservedAction(NamedTuple):
    """An act of a recording that was watched: its name, its story, the world at that moment, what came of it."""

    act: str
    story: str
    world: RecordedBackend
    window: TimeWindow
    services: Mapping[str, str]
    outage: Outage


def observed_actions(recording: Recording, acts: Collection[str] = ()) -> Iterator[ObservedAction]:
    """Every act of a recording around which Services were probed; only `acts`, where they are named."""
    done: set[float] = set()  # a moment belongs to several stories
    for story in recording.manifest.stories:
        world = RecordedBackend(recording, story.name)
        for name in [row["MOMENT"] for row in world.moments()[1:]]:
            if acts and name not in acts:
                continue
            world.at(name, None)
            window = world.window(float("inf"))
            services = {
                ip: one["metadata"]["name"] for one in world.objects("services") if (ip := external_address(one))
            }
            if window.zero in done:
                continue
            done.add(window.zero)
            with suppress(NotRecordedError):  # nothing was asked around this act
                yield ObservedAction(name, story.name, world, window, services, outage_in(world, window, services))


_ELECTING = ("nodes", "services", "endpointslices", "ipaddresspools", "l2advertisements")


def _candidates(world: Backend, window: TimeWindow, service: str) -> Iterator[tuple[float, tuple[str, ...]]]:
    """Which nodes may lead a Service if all are alive, by the API's objects, from when on (Unix seconds)."""
    changes = sorted(
        ((kind, event) for kind in _ELECTING for event in world.watch_events(kind, window)), key=lambda pair: pair[1].t
    )
    everybody, known = frozenset(world.topology().nodes), Store()
    before: tuple[str, ...] | None = None
    for moment, together in groupby(changes, key=lambda pair: max(pair[1].t, window.start)):
        for kind, event in together:
            known.take(kind, event)
        with suppress(KanslibError):
            found = tuple(election.explain(lambda kind: known.objects(plural(kind)), service, everybody).candidates)
            if found != before:
                yield (float("-inf") if before is None else moment), found
                before = found


def leadership_views(world: Backend, window: TimeWindow, service: str, address: str) -> list[LeaderView]:
    """Who each speaker, the client and the API's events believed to have an address, in a window."""
    stretch = window.start - window.zero, window.end - window.zero
    events = world.watch_events("events", window)
    claims = newest_leaders([event.object for event in events if event.t < window.zero and event.type != "DELETED"])
    uid = next(one["metadata"]["uid"] for one in world.objects("services") if one["metadata"]["name"] == service)
    told = sources.cluster_events(events, (), (), window.zero)
    found = sides.api_views(told, service, claims.get(uid, ""), stretch)
    candidates = list(_candidates(world, window, service))
    places = world.topology()
    if places.client:
        found += sides.client_views(
            places.client, neighbor_updates(world, window), world.mac_owners(), address, window.zero, stretch
        )
    for node in places.nodes:
        with suppress(KanslibError):  # it is down, or its log was not kept
            log = world.log("speaker", node)
            found += sides.speaker_views(node, log, candidates, address, window.zero, stretch)
    return found


def arp_analysis(world: Backend, window: TimeWindow) -> ARPAnalysis:
    """The ARP of a window."""
    return ARPAnalysis.of(world.frames(window))


def neighbor_updates(world: Backend, window: TimeWindow) -> list[NeighborUpdate]:
    """The client's neighbor cache through all of what was captured until the end of a window."""
    places = world.topology()
    if not places.client:
        return []
    mac = next((mac for mac, place in world.mac_owners().items() if place == places.client), "")
    whole_story = ARPAnalysis.of(world.frames(replace(window, start=0.0)))
    return whole_story.neighbor_updates(places.addresses.get(places.client, ""), mac)


def _timeline_events(
    world: Backend, window: TimeWindow, vips: Mapping[str, str], frames: list[Frame]
) -> Iterator[TimelineEvent]:
    zero = window.zero
    events, nodes, slices = (world.watch_events(kind, window) for kind in ("events", "nodes", "endpointslices"))
    places = world.topology()
    names = {address: place for place, address in places.addresses.items()}
    yield from sources.cluster_events(events, nodes, slices, zero)
    yield from sources.gratuitous_arp_events(frames, vips, zero)
    # a hold time is agreed on when a session opens, long before it is needed
    whole_story = world.frames(replace(window, start=0.0)) if any(map(bgp.is_bgp, frames)) else []
    yield from sources.bgp_session_events(whole_story, names, zero)
    for node in places.nodes:
        try:
            log = world.log("speaker", node)
        except KanslibError:  # it is down, or its log was not kept
            continue
        yield from chain(sources.memberlist_events(log, zero, node), sources.announcement_events(log, zero, node, vips))
    yield from sources.rule_events(world.command_outputs("iptables-save -c", window), vips.values(), zero)
