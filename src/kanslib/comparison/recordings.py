"""Two recordings compared by what they mean: leaders, addresses, rules, routes, outages."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from kanslib import iptables
from kanslib.analysis.observation import outage_in
from kanslib.analysis.phases import DARK, PARTLY, Phase
from kanslib.backends.base import Backend
from kanslib.backends.recorded import RecordedBackend
from kanslib.comparison.normalize import fresh_output, generated_names, next_hops, normalize_rule
from kanslib.exceptions import KanslibError
from kanslib.k8s.objects import KubeObject, external_address, newest_leaders
from kanslib.recording import Recording

OUTAGE_TOLERANCE_S = (
    12.0  # seconds by which the same outage may differ from one time to another (36.7–44.2 s were measured)
)
_ROLE = "node-role.kubernetes.io/control-plane"


@dataclass(frozen=True)
class RecordingDifference:
    """Where two recordings do not mean the same: story, moment, what, and what each says of it."""

    story: str
    moment: str
    what: str
    a: str
    b: str


def compare(a: Recording, b: Recording) -> Iterator[RecordingDifference]:
    """Every difference in meaning, story by story and moment by moment."""
    for name in sorted({*a.manifest.versions, *b.manifest.versions}):
        pair = a.manifest.versions.get(name, "—"), b.manifest.versions.get(name, "—")
        if pair[0] != pair[1]:
            yield RecordingDifference("", "", f"version of {name}", *pair)
    stories = [{story.name: story for story in recording.manifest.stories} for recording in (a, b)]
    for name in dict.fromkeys([*stories[0], *stories[1]]):
        if name not in stories[0] or name not in stories[1]:
            yield RecordingDifference(name, "", "story", *("told" if name in known else "—" for known in stories))
            continue
        yield from _compare_story(name, RecordedBackend(a, name), RecordedBackend(b, name))


def _compare_story(name: str, a: RecordedBackend, b: RecordedBackend) -> Iterator[RecordingDifference]:
    moments = [[act.id for act in world.clock.actions if act.id.partition("-")[0] != "prepare"] for world in (a, b)]
    if moments[0] != moments[1]:
        yield RecordingDifference(name, "", "moments", " · ".join(moments[0]), " · ".join(moments[1]))
    for moment in ["opening", *(m for m in moments[0] if m in moments[1])]:
        told = [meaning(world, moment) for world in (a, b)]
        for what in dict.fromkeys([*told[0], *told[1]]):
            pair = told[0].get(what, "—"), told[1].get(what, "—")
            if not same_meaning(what, *pair):
                yield RecordingDifference(name, moment, what, *pair)


def same_meaning(what: str, a: str, b: str) -> bool:
    """Equal; an outage is alike when it has the same phases at about the same seconds."""
    if a == b:
        return True
    if "—" in (a, b):
        return what.startswith(("outage", "rules", "routes"))  # not looked at in both: nothing to compare
    if not what.startswith("outage"):
        return False
    if "none" in (a, b):
        return False
    parts = [[part.rpartition(" until +") for part in text.split(", ")] for text in (a, b)]
    return [p[0] for p in parts[0]] == [p[0] for p in parts[1]] and all(
        abs(float(x[2].rstrip(" s")) - float(y[2].rstrip(" s"))) <= OUTAGE_TOLERANCE_S
        for x, y in zip(*parts, strict=True)
    )


def meaning(world: Backend, moment: str) -> dict[str, str]:
    """What a story says at a moment, by what it is about, with nodes named by their roles.

    >>> from kanslib.course.recordings import shipped
    >>> meaning(RecordedBackend(Recording.open(shipped("arp")), "arp"), "opening")["address of svc1"]
    '172.18.255.200'
    """
    world.at(moment, None)
    roles = _roles(world.objects("nodes"))
    services = [o for o in world.objects("services") if o["metadata"]["namespace"] == "default"]
    names = _names(world, roles)
    claims = newest_leaders(world.objects("events"))
    told: dict[str, str] = {}
    for service in services:
        name = service["metadata"]["name"]
        address = external_address(service)
        told[f"address of {name}"] = address or "none"
        if address:
            told[f"leader of {name}"] = roles.get(claims.get(service["metadata"]["uid"], ""), "none")
            told |= _rules(world, service, names)
    return {**told, **_routes(world, names), **_outages(world, services)}


def _roles(nodes: list[KubeObject]) -> dict[str, str]:
    """Control plane, then the workers in order of their names."""
    workers = sorted(n["metadata"]["name"] for n in nodes if _ROLE not in n["metadata"].get("labels", {}))
    roles = {name: f"worker {number}" for number, name in enumerate(workers, 1)}
    return {n["metadata"]["name"]: roles.get(n["metadata"]["name"], "control plane") for n in nodes}


def _names(world: Backend, roles: Mapping[str, str]) -> dict[str, str]:
    """Addresses and ports that differ from cluster to cluster, and what they stand for."""
    return {
        address: roles.get(place, place) for place, address in world.topology().addresses.items()
    } | generated_names(world)


def _rules(world: Backend, service: KubeObject, names: Mapping[str, str]) -> dict[str, str]:
    """The nat rules of a Service on each node whose rules were read at this moment."""
    comment = f"default/{service['metadata']['name']}"
    told = {}
    for node in world.topology().nodes:
        dump = fresh_output(world, node, "iptables -t nat -S")
        if dump is None:
            continue
        saved = "*nat\n" + re.sub(r"(?m)^-[PN] (\S+)( \S+)?$", r":\1 -", dump) + "\nCOMMIT\n"
        lines = [
            re.sub(r"KUBE-SEP-[A-Z0-9]{16}", "KUBE-SEP", normalize_rule(rule.raw, names))
            for chain in iptables.parse(saved).path("KUBE-SERVICES", comment)
            for rule in chain
            if comment in rule.comment or chain.name != "KUBE-SERVICES"
        ]
        told[f"rules of {service['metadata']['name']}"] = " / ".join(sorted({*lines}))
    return told


def _routes(world: Backend, names: Mapping[str, str]) -> dict[str, str]:
    return {
        f"routes to {prefix}": ", ".join(sorted(names.get(hop, hop) for hop in hops))
        for prefix, hops in next_hops(world).items()
    }


def _is_trouble(phase: Phase, noticed: float) -> bool:
    return phase.name in (DARK, PARTLY) and phase.failed >= 3 and phase.start < noticed


def _outages(world: Backend, services: list[KubeObject]) -> dict[str, str]:
    done = world.actions()
    if not done:
        return {}
    vips = {external_address(service): service["metadata"]["name"] for service in services}
    try:
        found = outage_in(world.observation(), vips)
    except KanslibError:
        return {}
    # what fails long after all have noticed is chance: conntrack's memory (chapter 06)
    noticed = done[-1].settled_after or 0.0
    told = {}
    for name, phases in found.phases.items():
        parts = [f"{phase.name} until +{phase.end:.1f} s" for phase in phases if _is_trouble(phase, noticed)]
        told[f"outage of {name}"] = ", ".join(parts) or "none"
    return told
