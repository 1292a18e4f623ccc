"""What a world saw around an act, put on one clock."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from itertools import chain
from typing import NamedTuple

from kanslib.errors import KansError, NotRecorded
from kanslib.objects import external_address
from kanslib.packets import bgp
from kanslib.packets.capture import Frame
from kanslib.recording.format import Recording
from kanslib.timeline import Mark, Outage, Wire, explained, noted
from kanslib.timeline import marks as lanes
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
