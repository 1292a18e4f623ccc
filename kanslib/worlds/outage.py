"""What a world saw around an act, put on one clock."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from itertools import chain, groupby
from typing import NamedTuple

from kanslib.errors import KansError, NotRecorded
from kanslib.models import election
from kanslib.objects import Store, external_address, newest_claims, plural
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
    changes = sorted(
        ((kind, event) for kind in _ELECTING for event in world.changes(kind, window)), key=lambda pair: pair[1].t
    )
    everybody, known = frozenset(world.places().nodes), Store()
    before: tuple[str, ...] | None = None
    for moment, together in groupby(changes, key=lambda pair: max(pair[1].t, window.start)):
        for kind, event in together:
            known.take(kind, event)
        with suppress(KansError):
            found = tuple(election.explain(lambda kind: known.objects(plural(kind)), service, everybody).candidates)
            if found != before:
                yield (float("-inf") if before is None else moment), found
                before = found


def beliefs(world: World, window: Window, service: str, address: str) -> list[Belief]:
    """Who each speaker, the client and the API's events believed to have an address, in a window."""
    stretch = window.start - window.zero, window.end - window.zero
    events = world.changes("events", window)
    claims = newest_claims([event.object for event in events if event.t < window.zero and event.type != "DELETED"])
    uid = next(one["metadata"]["uid"] for one in world.objects("services") if one["metadata"]["name"] == service)
    told = lanes.marks(events, (), (), window.zero)
    found = sides.of_api(told, service, claims.get(uid, ""), stretch)
    candidates = list(_candidates(world, window, service))
    places = world.places()
    if places.client:
        found += sides.of_client(places.client, memory(world, window), world.macs(), address, window.zero, stretch)
    for node in places.nodes:
        with suppress(KansError):  # it is down, or its log was not kept
            log = world.log("speaker", node)
            found += sides.of_speaker(node, log, candidates, address, window.zero, stretch)
    return found


def story(world: World, window: Window) -> Story:
    """The ARP of a window."""
    return Story.of(world.frames(window))


def memory(world: World, window: Window) -> list[Learned]:
    """The client's neighbour cache through all of what was captured until the end of a window."""
    places = world.places()
    if not places.client:
        return []
    mac = next((mac for mac, place in world.macs().items() if place == places.client), "")
    whole_story = Story.of(world.frames(replace(window, start=0.0)))
    return whole_story.cache(places.addresses.get(places.client, ""), mac)


def _marks(world: World, window: Window, vips: Mapping[str, str], frames: list[Frame]) -> Iterator[Mark]:
    zero = window.zero
    events, nodes, slices = (world.changes(kind, window) for kind in ("events", "nodes", "endpointslices"))
    places = world.places()
    names = {address: place for place, address in places.addresses.items()}
    yield from lanes.marks(events, nodes, slices, zero)
    yield from lanes.gratuitous(frames, vips, zero)
    # a hold time is agreed on when a session opens, long before it is needed
    whole_story = world.frames(replace(window, start=0.0)) if any(map(bgp.is_bgp, frames)) else []
    yield from lanes.sessions(whole_story, names, zero)
    for node in places.nodes:
        try:
            log = world.log("speaker", node)
        except KansError:  # it is down, or its log was not kept
            continue
        yield from chain(lanes.gossip(log, zero, node), lanes.announcements(log, zero, node, vips))
    yield from lanes.rules(world.looks("iptables-save -c", window), vips.values(), zero)
