"""What a world saw around an act, put on one clock."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from itertools import chain
from typing import NamedTuple

from kanslib.errors import KansError, NotRecorded
from kanslib.models import election
from kanslib.objects import WatchEvent, as_of, external_address, newest_claims, plural
from kanslib.packets import bgp
from kanslib.packets.capture import Frame
from kanslib.recording.format import Recording
from kanslib.timeline import Mark, Outage, Wire, explained, noted
from kanslib.timeline import beliefs as sides
from kanslib.timeline import marks as lanes
from kanslib.timeline.beliefs import Belief
from kanslib.timeline.claims import Learned, Story
from kanslib.worlds.protocol import Window, World
from kanslib.worlds.recorded import RecordedWorld


def outage(world: World, window: Window, vips: Mapping[str, str]) -> Outage:
    """The attempts to these VIPs (address: Service) in a window, each failure with its reason, and all that happened.

    Raises NotRecorded where nothing was probed.
    """
    probes, frames = world.probes(window), world.frames(window)
    marks = sorted(
        (mark for mark in _marks(world, window, vips, frames) if mark.at <= window.end - window.zero),
        key=lambda mark: mark.at,
    )
    wire = Wire(frames, world.macs())
    attempts = {}
    for vip, service in vips.items():
        found = explained(noted(probes, frames, vip, window.zero), wire, vip, window.zero, marks, service)
        if found:
            attempts[service] = tuple(found)
    return Outage(window.act, window.zero, attempts, tuple(marks))


class Told(NamedTuple):
    """An act of a recording that was watched: its name, its story, the world at that moment, what came of it."""

    act: str
    story: str
    world: RecordedWorld
    window: Window
    services: Mapping[str, str]
    outage: Outage


def of_recording(recording: Recording, acts: Collection[str] = ()) -> Iterator[Told]:
    """Every act of a recording around which Services were probed; only `acts`, where they are named."""
    done: set[float] = set()  # a moment belongs to several stories
    for story in recording.manifest.stories:
        world = RecordedWorld(recording, story.name)
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
            with suppress(NotRecorded):  # nothing was asked around this act
                yield Told(name, story.name, world, window, services, outage(world, window, services))


_ELECTING = ("nodes", "services", "endpointslices", "ipaddresspools", "l2advertisements")


def _candidates(world: World, window: Window, service: str) -> Iterator[tuple[float, tuple[str, ...]]]:
    """Which nodes may lead a Service if all are alive, by the API's objects, from when on (Unix seconds)."""
    changes = {kind: world.changes(kind, window) for kind in _ELECTING}
    moments = sorted(event.t for events in changes.values() for event in events if event.t > window.start)
    everybody = frozenset(world.places().nodes)
    before: tuple[str, ...] | None = None
    for moment in (window.start, *moments):
        with suppress(KansError):
            found = _candidates_at(changes, moment, service, everybody)
            if found != before:
                yield (float("-inf") if before is None else moment), found
                before = found


def _candidates_at(
    changes: Mapping[str, list[WatchEvent]], moment: float, service: str, everybody: frozenset[str]
) -> tuple[str, ...]:
    now = {kind: as_of(events, moment) for kind, events in changes.items()}
    return tuple(election.explain(lambda kind: now.get(plural(kind), []), service, everybody).candidates)


def beliefs(world: World, window: Window, service: str, address: str) -> list[Belief]:
    """Who each speaker, the client and the API's events believed to have an address, in a window."""
    stretch = window.start - window.zero, window.end - window.zero
    story, memory = arp(world, window)
    del story
    events = world.changes("events", window)
    claims = newest_claims([event.object for event in events if event.t < window.zero and event.type != "DELETED"])
    uid = next(one["metadata"]["uid"] for one in world.objects("services") if one["metadata"]["name"] == service)
    told = lanes.marks(events, (), (), window.zero)
    found = sides.of_api(told, service, claims.get(uid, ""), stretch)
    candidates = list(_candidates(world, window, service))
    places = world.places()
    if places.client:
        found += sides.of_client(places.client, memory, world.macs(), address, window.zero, stretch)
    for node in places.nodes:
        with suppress(KansError):  # it is down, or its log was not kept
            log = world.log("speaker", node)
            found += sides.of_speaker(node, log, candidates, address, window.zero, stretch)
    return found


def arp(world: World, window: Window) -> tuple[Story, list[Learned]]:
    """The ARP of a window, and the client's neighbour cache through all of what was captured until its end."""
    everything = world.frames(replace(window, start=0.0))
    inside = Story.of(frame for frame in everything if frame.time >= window.start)
    places = world.places()
    if not places.client:
        return inside, []
    mac = next((mac for mac, place in world.macs().items() if place == places.client), "")
    return inside, Story.of(everything).cache(places.addresses.get(places.client, ""), mac)


def _is_bgp(frame: Frame) -> bool:
    return frame.tcp is not None and bgp.PORT in (frame.tcp.sport, frame.tcp.dport)


def _marks(world: World, window: Window, vips: Mapping[str, str], frames: list[Frame]) -> Iterator[Mark]:
    zero = window.zero
    events, nodes, slices = (world.changes(kind, window) for kind in ("events", "nodes", "endpointslices"))
    places = world.places()
    names = {address: place for place, address in places.addresses.items()}
    yield from lanes.marks(events, nodes, slices, zero)
    yield from lanes.gratuitous(frames, vips, zero)
    # a hold time is agreed on when a session opens, long before it is needed
    whole_story = world.frames(replace(window, start=0.0)) if any(map(_is_bgp, frames)) else []
    yield from lanes.sessions(whole_story, names, zero)
    for node in places.nodes:
        try:
            log = world.log("speaker", node)
        except KansError:  # it is down, or its log was not kept
            continue
        yield from chain(lanes.gossip(log, zero, node), lanes.announcements(log, zero, node, vips))
    yield from lanes.rules(world.looks("iptables-save -c", window), vips.values(), zero)
