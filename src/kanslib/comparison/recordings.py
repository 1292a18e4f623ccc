"""Compare two recordings by meaning: leaders, addresses, rules, routes, outages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from kanslib.analysis.observation_data import outage_in
from kanslib.analysis.phases import DARK, PARTLY, Phase
from kanslib.backends.base import Backend
from kanslib.backends.recorded import RecordedBackend
from kanslib.comparison.facts import (
    READ_BY_COMMANDS,
    Facts,
    Topic,
    generated_names,
    object_facts,
    routes,
    service_rules,
)
from kanslib.exceptions import KanslibError, RecordingError
from kanslib.i18n import listed, tr
from kanslib.k8s.objects import KubeObject, external_address
from kanslib.recording import Recording

# seconds by which the same outage may differ from one time to another (36.7–44.2 s were measured)
OUTAGE_TOLERANCE_S = 12.0
_ROLE = "node-role.kubernetes.io/control-plane"
_MISSING = "—"


@dataclass(frozen=True)
class RecordingDifference:
    """A difference between two recordings: story, moment, fact, and its value in each, in words."""

    story: str
    moment: str
    what: str
    a: str
    b: str


@dataclass(frozen=True)
class Meaning:
    """The meaning of a story at a moment: facts, and by Service the dark and partly dark phases of the action."""

    facts: Facts
    outages: Mapping[str, tuple[Phase, ...]]


def compare(a: Recording, b: Recording) -> Iterator[RecordingDifference]:
    """Yield every difference in meaning, story by story and moment by moment."""
    for name in sorted({*a.manifest.versions, *b.manifest.versions}):
        pair = a.manifest.versions.get(name, _MISSING), b.manifest.versions.get(name, _MISSING)
        if pair[0] != pair[1]:
            yield RecordingDifference("", "", tr("version of {name}", name=name), *pair)
    stories = [{story.name: story for story in recording.manifest.stories} for recording in (a, b)]
    for name in dict.fromkeys([*stories[0], *stories[1]]):
        if name not in stories[0] or name not in stories[1]:
            yield RecordingDifference(
                name, "", tr("story"), *(tr("there") if name in known else _MISSING for known in stories)
            )
            continue
        yield from _compare_story(name, RecordedBackend(a, name), RecordedBackend(b, name))


def _compare_story(name: str, a: RecordedBackend, b: RecordedBackend) -> Iterator[RecordingDifference]:
    moments = [[step.id for step in one.clock.actions if step.id.partition("-")[0] != "prepare"] for one in (a, b)]
    if moments[0] != moments[1]:
        yield RecordingDifference(name, "", tr("moments"), " · ".join(moments[0]), " · ".join(moments[1]))
    for moment in ["opening", *(m for m in moments[0] if m in moments[1])]:
        for what, *pair in _differences(meaning(a, moment), meaning(b, moment)):
            yield RecordingDifference(name, moment, what, *pair)


def _differences(a: Meaning, b: Meaning) -> Iterator[tuple[str, str, str]]:
    """Yield each fact that differs, with both values in words; facts that only one side read are left out."""
    for fact in dict.fromkeys([*a.facts, *b.facts]):
        pair = a.facts.get(fact), b.facts.get(fact)
        if pair[0] != pair[1] and not (None in pair and fact.topic in READ_BY_COMMANDS):
            yield str(fact), _fact_text(pair[0]), _fact_text(pair[1])
    for service in a.outages:
        if service in b.outages and not outages_agree(a.outages[service], b.outages[service]):
            yield (
                tr("outage of {service}", service=service),
                _outage_text(a.outages[service]),
                _outage_text(b.outages[service]),
            )


def outages_agree(a: Sequence[Phase], b: Sequence[Phase]) -> bool:
    """Return True for outages with the same phases that end at about the same seconds."""
    return [phase.name for phase in a] == [phase.name for phase in b] and all(
        abs(one.end - other.end) <= OUTAGE_TOLERANCE_S for one, other in zip(a, b, strict=True)
    )


def _fact_text(values: tuple[str, ...] | None) -> str:
    return _MISSING if values is None else listed(values) or tr("none")


def _outage_text(phases: Sequence[Phase]) -> str:
    return listed(tr("{name} until {end:+.1f} s", name=tr(phase.name), end=phase.end) for phase in phases) or tr("none")


def meaning(backend: Backend, moment: str) -> Meaning:
    """Return the meaning of a story at a moment (the id of an action, or `opening`), with nodes named by their roles.

    >>> from kanslib.comparison.facts import Fact
    >>> from kanslib.course.recordings import shipped
    >>> backend = RecordedBackend(Recording.open(shipped("arp")), "arp")
    >>> meaning(backend, "opening").facts[Fact(Topic.ADDRESS, "svc1")]
    ('172.18.255.200',)
    """
    backend.at(moment, None)
    names = _names(backend)
    objects = object_facts(backend, names)
    compared = {fact: values for fact, values in objects.items() if fact.topic in (Topic.ADDRESS, Topic.LEADER)}
    return Meaning({**compared, **service_rules(backend, names), **routes(backend, names)}, _outages(backend))


def _names(backend: Backend) -> dict[str, str]:
    """Return the names of what differs from cluster to cluster: nodes, addresses, ports."""
    roles = _roles(backend.objects("nodes"))
    addresses = {address: roles.get(place, place) for place, address in backend.topology().addresses.items()}
    return roles | addresses | generated_names(backend)


def _roles(nodes: list[KubeObject]) -> dict[str, str]:
    """Return the role of each node: control plane, then the workers in order of their names."""
    workers = sorted(n["metadata"]["name"] for n in nodes if _ROLE not in n["metadata"].get("labels", {}))
    roles = {name: tr("worker {number}", number=number) for number, name in enumerate(workers, 1)}
    return {n["metadata"]["name"]: roles.get(n["metadata"]["name"], "control plane") for n in nodes}


def _outages(backend: Backend) -> dict[str, tuple[Phase, ...]]:
    """Return the dark phases that began before the action had settled; conntrack causes later failures."""
    done = backend.actions()
    if not done:
        return {}
    services = [one for one in backend.objects("services") if one["metadata"]["namespace"] == "default"]
    vips = {external_address(service): service["metadata"]["name"] for service in services}
    try:
        found = outage_in(backend.observation(), vips)
    except RecordingError:
        raise
    except KanslibError:
        return {}
    settled = done[-1].settled_after or 0.0
    return {
        service: tuple(phase for phase in phases if _is_trouble(phase) and phase.start < settled)
        for service, phases in found.phases.items()
    }


def _is_trouble(phase: Phase) -> bool:
    return phase.name in (DARK, PARTLY) and phase.failed >= 3
