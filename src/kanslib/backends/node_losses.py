"""Every loss of a node that a recording holds, and a simulation of each setting that it does not hold."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from itertools import product
from typing import NamedTuple, get_args

from kanslib.actions import Verb
from kanslib.analysis.node_loss import NodeLoss, Setting, objects_before, scenario_of
from kanslib.analysis.observation_data import outage_in, services_by_address, services_in
from kanslib.answer import utc
from kanslib.backends.initial_state import from_recording
from kanslib.backends.recorded import RecordedBackend, RecordedObservation
from kanslib.backends.simulated import SimulatedBackend
from kanslib.exceptions import NotRecordedError
from kanslib.i18n import tr
from kanslib.k8s.objects import KubeObject
from kanslib.metallb.config import is_on_layer2
from kanslib.metallb.expected_outage import Death, Policy, Protocol
from kanslib.recording import Recording
from kanslib.recording.format import Action

_DEATHS: dict[Verb, Death] = {"kill_node": "killed", "link_down": "silent"}
_WATCHED_S = 20.0  # after all has settled

SETTINGS: tuple[Setting, ...] = tuple(product(get_args(Protocol), get_args(Policy), get_args(Death)))


class _Recorded(NamedTuple):
    """A recorded action that took a node away from a cluster in which a Service had an external address."""

    backend: RecordedBackend
    action: Action
    observation: RecordedObservation
    node: str
    death: Death
    vip: str

    @property
    def protocol(self) -> Protocol:
        """How the address was announced."""
        return "layer 2" if is_on_layer2(objects_before(self.observation), [self.vip]) else "BGP"


def node_losses(recording: Recording, service: str) -> list[NodeLoss]:
    """Return the loss of a node in each setting, in the order of SETTINGS: recorded where it was, else simulated.

    A simulation starts from the moment before a recorded loss under the same protocol, and differs in the policy and
    in how the node goes. A setting is left out where no loss under its protocol was recorded, and where the node
    takes no packets of the Service from outside.
    """
    starts: dict[Protocol, _Recorded] = {}
    found: dict[Setting, NodeLoss] = {}
    for one in _recorded(recording, service):
        starts.setdefault(one.protocol, one)
        loss = _as_recorded(one, service)
        if loss and loss.setting not in found:
            found[loss.setting] = loss
    for setting in SETTINGS:
        if setting not in found and setting[0] in starts:
            loss = _simulated(starts[setting[0]], service, setting)
            if loss:
                found[setting] = loss
    return [found[setting] for setting in SETTINGS if setting in found]


def _recorded(recording: Recording, service: str) -> Iterator[_Recorded]:
    done: set[float] = set()  # an action belongs to several stories
    for story in recording.manifest.stories:
        backend = RecordedBackend(recording, story.name)
        for action in () if story.hide_actions else backend.clock.actions:
            taken = [(step.targets[0], _DEATHS[step.verb]) for step in action.steps if step.verb in _DEATHS]
            if len(taken) != 1 or action.t in done:
                continue
            done.add(action.t)
            observation = backend.observation_at(action.id)
            vips = {name: vip for vip, name in services_by_address(observation).items()}
            if service in vips:
                yield _Recorded(backend, action, observation, *taken[0], vips[service])


def _as_recorded(one: _Recorded, service: str) -> NodeLoss | None:
    scenario = scenario_of(objects_before(one.observation), service, one.node, one.death)
    if scenario:
        with suppress(NotRecordedError):  # nothing was probed around this action
            outage = outage_in(one.observation, {one.vip: service})
            if service in outage.attempts:
                action = f"{one.action.id} ({one.backend.story.name})"
                return NodeLoss(scenario, service, one.node, action, outage, one.observation.provenance)
    return None


def _simulated(start: _Recorded, service: str, setting: Setting) -> NodeLoss | None:
    _, policy, death = setting
    recorded = start.backend.copy()
    recorded.at_time(start.action.t - 0.01)
    before = tr(
        "the recorded moment {utc}, after {last_name}", utc=utc(recorded.now()), last_name=recorded.clock.last_name
    )
    simulated = SimulatedBackend(from_recording(recorded), before, title=recorded.story.title)
    simulated.apply([_with_policy(services_in(start.observation)[service], policy)])
    with simulated.observe([start.vip], _WATCHED_S, ()):
        simulated.perform(next(verb for verb, one in _DEATHS.items() if one == death), [start.node])
    observation = simulated.observation(_WATCHED_S)
    scenario = scenario_of(objects_before(observation), service, start.node, death)
    if not scenario:
        return None
    outage = outage_in(observation, {start.vip: service})
    action = tr(
        "{action} after {last_name} ({name})",
        action=observation.action,
        last_name=recorded.clock.last_name,
        name=start.backend.story.name,
    )
    return NodeLoss(scenario, service, start.node, action, outage, observation.provenance)


def _with_policy(service: KubeObject, policy: Policy) -> KubeObject:
    """Return the manifest of a Service as it is, with another traffic policy."""
    meta = {key: service["metadata"][key] for key in ("name", "namespace") if key in service["metadata"]}
    spec = {key: value for key, value in service["spec"].items() if key != "healthCheckNodePort"}
    return {
        "apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": {**spec, "externalTrafficPolicy": policy},
    }  # fmt: skip
