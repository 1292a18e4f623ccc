"""A recording and its twin, side by side: what the cluster did, and what the models say it had to do."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from kanslib import iptables
from kanslib.errors import KansError
from kanslib.models import election
from kanslib.models.endpoints import conditions, entries, slices_of
from kanslib.models.memberlist import members
from kanslib.objects import external_addresses, newest_claims
from kanslib.worlds.by_name import drawn, looked_at, next_hops, renamed
from kanslib.worlds.computed import ComputedWorld
from kanslib.worlds.origins import recorded_moment
from kanslib.worlds.protocol import World
from kanslib.worlds.recorded import RecordedWorld

OF_KUBE_PROXY = re.compile(r"KUBE-(?!KUBELET|PROXY-CANARY|IPTABLES|FIREWALL)")
_LAST_WORDS = 1.5  # seconds


@dataclass(frozen=True)
class Pair:
    """One thing that both say: recorded and computed, in words; `differs`: how many parts are not the same."""

    what: str
    recorded: str
    computed: str
    differs: int


def twin_of(recorded: RecordedWorld) -> ComputedWorld:
    """A twin that starts where the story opens and does what the recording did until its clock's moment."""
    opening = RecordedWorld(recorded.recording, recorded.story.name or None)
    twin = ComputedWorld(recorded_moment(opening), "the opening of the recording", title=recorded.story.title)
    done = [act for act in recorded.clock.acts if act.t <= recorded.now()]
    twin.redo(done)
    if done and recorded.now() < done[-1].settled:
        twin.at(done[-1].id, recorded.now() - done[-1].t)
    return twin


def _calm(recorded: RecordedWorld) -> RecordedWorld:
    """The recording a moment after an act had settled: what is written last about it is written then."""
    clock = recorded.clock
    if clock.last is None or recorded.now() < clock.last.settled:
        return recorded
    later = RecordedWorld(recorded.recording, recorded.story.name or None)
    later.at_time(min(max(recorded.now(), clock.last.settled + _LAST_WORDS), clock.until - 0.001, clock.take.end))
    return later


def pairs(recorded: RecordedWorld, computed: ComputedWorld) -> Iterator[Pair]:
    """Everything that both can tell of this moment, in order: addresses, leaders, notes, endpoints, rules, routes."""
    a, b = meaning(_calm(recorded)), meaning(computed)
    for what in dict.fromkeys([*a, *b]):
        if what.startswith(("rules", "routes")) and not (what in a and what in b):
            continue  # nobody looked
        mine, theirs = a.get(what, ()), b.get(what, ())
        yield Pair(what, _told(mine), _told(theirs), len(set(mine) ^ set(theirs)))


def _told(parts: tuple[str, ...]) -> str:
    return ", ".join(parts) if len(parts) <= 4 else f"{len(parts)} rules"


def meaning(world: World) -> dict[str, tuple[str, ...]]:
    """What a world says at its moment, by what it is about; what a cluster draws by lot goes by its name."""
    names = drawn(world)
    told: dict[str, tuple[str, ...]] = {}
    claims, notes = newest_claims(world.objects("events")), _notes(world)
    for service in world.objects("services"):
        meta = service["metadata"]
        name = meta["name"]
        if meta.get("namespace") != "default" or name == "kubernetes":
            continue
        told[f"address of {name}"] = tuple(external_addresses(service))
        told[f"endpoints of {name}"] = tuple(_endpoints(world, name, names))
        if service["spec"].get("type") == "LoadBalancer":
            led = election.explain(world.objects, name, _alive(world)).leader
            if led:
                told[f"leader of {name}"] = (claims.get(meta["uid"], ""),)
            told[f"ServiceL2Status of {name}"] = tuple(sorted(notes.get(name, set())))
    for node in world.places().nodes:
        told |= _rules(world, node, names)
    return {**told, **_routes(world)}


def _alive(world: World) -> frozenset[str] | None:
    try:
        return members(world.log("speaker", world.places().control_plane))
    except KansError:
        return None


def _notes(world: World) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for note in world.objects("servicel2statuses"):
        if note.get("status"):
            found.setdefault(note["metadata"]["labels"]["metallb.io/service-name"], set()).add(note["status"]["node"])
    return found


def _endpoints(world: World, service: str, names: Mapping[str, str]) -> Iterator[str]:
    pieces = slices_of(world.objects("endpointslices"), "default", service)
    for entry in sorted(entries(pieces), key=lambda one: str(one["addresses"])):
        ready, _, terminating = conditions(entry)
        state = "" if ready else " (terminating)" if terminating else " (not ready)"
        yield names.get(entry["addresses"][0], entry["addresses"][0]) + state


def _rules(world: World, node: str, names: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """kube-proxy's rules on a node, where somebody looked at them at this moment."""
    dump = looked_at(world, node, "iptables-save -c")
    if dump is None or any(note.startswith("looked") for note in dump.provenance.notes):
        return {}
    found = [rule for rule in iptables.parse(dump).rules() if rule.table in ("nat", "filter")]
    lines = [rule.text for rule in found if OF_KUBE_PROXY.match(rule.chain)]
    ends = {line.split()[1]: line.rpartition(" ")[2] for line in lines if "--to-destination" in line}
    ends = {chain: f"SEP of {renamed(target, names)}" for chain, target in ends.items()}
    return {f"rules on {node}": tuple(sorted(_by_endpoint(renamed(line, names), ends) for line in lines))}


def _by_endpoint(line: str, ends: Mapping[str, str]) -> str:
    """A rule with the chains of endpoints, whose names hash an address, called by where they lead."""
    return re.sub(r"KUBE-SEP-[A-Z0-9]{16}", lambda found: ends.get(found[0], found[0]), line)


def _routes(world: World) -> dict[str, tuple[str, ...]]:
    return {f"routes to {prefix}": tuple(hops) for prefix, hops in next_hops(world).items()}
