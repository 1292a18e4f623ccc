"""A recording and its twin, side by side: what the cluster did, and what the models say it had to do."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from kanslib import iptables
from kanslib.backends.base import Backend
from kanslib.backends.initial_state import from_recording
from kanslib.backends.recorded import RecordedBackend
from kanslib.backends.simulated import SimulatedBackend
from kanslib.comparison.normalize import fresh_output, generated_names, next_hops, normalize_rule
from kanslib.exceptions import KanslibError
from kanslib.k8s.endpoints import conditions, endpoints_in, slices_of
from kanslib.k8s.objects import external_addresses, newest_leaders
from kanslib.metallb import election
from kanslib.metallb.memberlist import members

OF_KUBE_PROXY = re.compile(r"KUBE-(?!KUBELET|PROXY-CANARY|IPTABLES|FIREWALL)")
_SETTLE_MARGIN_S = 1.5  # seconds


@dataclass(frozen=True)
class ComparedFact:
    """One thing that both say: recorded and computed, in words; `differs`: how many parts are not the same."""

    what: str
    recorded: str
    simulated: str
    differs: int


def replay_in_simulator(recorded: RecordedBackend) -> SimulatedBackend:
    """A twin that starts where the story opens and does what the recording did until its clock's moment."""
    opening = RecordedBackend(recorded.recording, recorded.story.name or None)
    twin = SimulatedBackend(from_recording(opening), "the opening of the recording", title=recorded.story.title)
    done = [act for act in recorded.clock.actions if act.t <= recorded.now()]
    twin.replay(done)
    if done and recorded.now() < done[-1].settled:
        twin.at(done[-1].id, recorded.now() - done[-1].t)
    return twin


def _after_settling(recorded: RecordedBackend) -> RecordedBackend:
    """The recording a moment after an act had settled: what is written last about it is written then."""
    clock = recorded.clock
    if clock.last is None or recorded.now() < clock.last.settled:
        return recorded
    later = RecordedBackend(recorded.recording, recorded.story.name or None)
    later.at_time(
        min(max(recorded.now(), clock.last.settled + _SETTLE_MARGIN_S), clock.until - 0.001, clock.segment.end)
    )
    return later


def compare_with_simulator(recorded: RecordedBackend, computed: SimulatedBackend) -> Iterator[ComparedFact]:
    """Everything that both can tell of this moment, in order: addresses, leaders, notes, endpoints, rules, routes."""
    a, b = meaning(_after_settling(recorded)), meaning(computed)
    for what in dict.fromkeys([*a, *b]):
        if what.startswith(("rules", "routes")) and not (what in a and what in b):
            continue  # nobody looked
        mine, theirs = a.get(what, ()), b.get(what, ())
        yield ComparedFact(what, _shorten(mine), _shorten(theirs), len(set(mine) ^ set(theirs)))


def _shorten(parts: tuple[str, ...]) -> str:
    return ", ".join(parts) if len(parts) <= 4 else f"{len(parts)} rules"


def meaning(world: Backend) -> dict[str, tuple[str, ...]]:
    """What a world says at its moment, by what it is about; what a cluster draws by lot goes by its name."""
    names = generated_names(world)
    told: dict[str, tuple[str, ...]] = {}
    claims, notes = newest_leaders(world.objects("events")), _status_nodes(world)
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
    for node in world.topology().nodes:
        told |= _rules(world, node, names)
    return {**told, **_routes(world)}


def _alive(world: Backend) -> frozenset[str] | None:
    try:
        return members(world.log("speaker", world.topology().control_plane))
    except KanslibError:
        return None


def _status_nodes(world: Backend) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for note in world.objects("servicel2statuses"):
        if note.get("status"):
            found.setdefault(note["metadata"]["labels"]["metallb.io/service-name"], set()).add(note["status"]["node"])
    return found


def _endpoints(world: Backend, service: str, names: Mapping[str, str]) -> Iterator[str]:
    pieces = slices_of(world.objects("endpointslices"), "default", service)
    for entry in sorted(endpoints_in(pieces), key=lambda one: str(one["addresses"])):
        ready, _, terminating = conditions(entry)
        state = "" if ready else " (terminating)" if terminating else " (not ready)"
        yield names.get(entry["addresses"][0], entry["addresses"][0]) + state


def _rules(world: Backend, node: str, names: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """kube-proxy's rules on a node, where somebody looked at them at this moment."""
    dump = fresh_output(world, node, "iptables-save -c")
    if dump is None or any(note.startswith("looked") for note in dump.provenance.notes):
        return {}
    found = [rule for rule in iptables.parse(dump).rules() if rule.table in ("nat", "filter")]
    lines = [rule.text for rule in found if OF_KUBE_PROXY.match(rule.chain)]
    ends = {line.split()[1]: line.rpartition(" ")[2] for line in lines if "--to-destination" in line}
    ends = {chain: f"SEP of {normalize_rule(target, names)}" for chain, target in ends.items()}
    return {f"rules on {node}": tuple(sorted(_by_endpoint(normalize_rule(line, names), ends) for line in lines))}


def _by_endpoint(line: str, ends: Mapping[str, str]) -> str:
    """A rule with the chains of endpoints, whose names hash an address, called by where they lead."""
    return re.sub(r"KUBE-SEP-[A-Z0-9]{16}", lambda found: ends.get(found[0], found[0]), line)


def _routes(world: Backend) -> dict[str, tuple[str, ...]]:
    return {f"routes to {prefix}": tuple(hops) for prefix, hops in next_hops(world).items()}
