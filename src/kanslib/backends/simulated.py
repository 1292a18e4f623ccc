"""The simulated backend: a simulator with a clock. It answers whatever its models know."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from copy import copy
from dataclasses import dataclass
from functools import partial
from typing import Self

from typing_extensions import override

from kanslib import notices
from kanslib.actions import ActiveAction, Verb, describe
from kanslib.analysis.attempts import Probe
from kanslib.analysis.observation_data import CapturedFrames, NodeOutput, Topology
from kanslib.answer import Provenance, Source, Text, source_words, utc
from kanslib.backends.active import is_done
from kanslib.backends.base import Backend, BackendObservation, HopCapture, Moment, PerformedAction, SentRequests
from kanslib.backends.recorded import CALM_BEFORE_ACTION_S
from kanslib.course import stories
from kanslib.course.stories import PlannedStep, Role, ScriptedMoment, StoryScript
from kanslib.exceptions import NodeDownError, NotSimulatedError, RefusedError, UnknownNameError
from kanslib.i18n import tr, tr_later
from kanslib.k8s.apply import is_applied
from kanslib.k8s.logs import merge_logs, timestamp_of
from kanslib.k8s.manifest import canonical_reference, documents, qualified_reference, reference
from kanslib.k8s.objects import KubeObject, WatchEvent, external_address, identity, newest_leaders, plural
from kanslib.metallb import memberlist
from kanslib.metallb.ranges import ipv4_addresses
from kanslib.packets.capture import Frame
from kanslib.recording.clock import OPENING, Clock
from kanslib.recording.format import Action
from kanslib.recording.raw.files import HOST
from kanslib.simulator import command_output
from kanslib.simulator.api_server import IdGenerator
from kanslib.simulator.network import SimulatedNetwork
from kanslib.simulator.simulator import InitialState, Simulator
from kanslib.simulator.unread import unread_fields

MODELS = tr_later("as Kubernetes v1.31 and MetalLB v0.14.8 work")
_UNREAD = tr_later("not simulated, and not read")
_RULES_WRITTEN = 2.0  # seconds after an endpoint changed: every kube-proxy has written it
_SECONDS_AHEAD = 180.0  # that an observation reaches beyond now, where nothing else was done
_PAUSE = 1.0  # seconds between the last query and the next action
_READS = (
    "iptables-save -c", "iptables-save", "iptables -t nat -S", "ip6tables-save -c", "ip6tables-save",
    "ip6tables -t nat -S", "ip -j addr", "ip -j route", "ip -6 -j route", "ip -j neigh",
    "vtysh -c 'show ip route bgp json'", "vtysh -c 'show bgp neighbors json'",
    "vtysh -c 'show bgp ipv4 unicast summary json'",
)  # fmt: skip


@dataclass(frozen=True)
class _Step:
    """One step of an action, and how to do it; not before `at` (Unix seconds)."""

    action: PerformedAction
    run: Callable[[Simulator], list[str]]
    at: float = 0.0

    @classmethod
    def apply(cls, manifests: Sequence[KubeObject], at: float = 0.0) -> _Step:
        """Apply manifests."""
        action = PerformedAction("apply", tuple(map(reference, manifests)))
        return cls(action, lambda simulator: simulator.apply(manifests), at)

    @classmethod
    def delete(cls, references: Sequence[str], at: float = 0.0) -> _Step:
        """Delete objects."""
        return cls(PerformedAction("delete", tuple(references)), lambda simulator: simulator.delete(references), at)

    @classmethod
    def perform(cls, verb: Verb, targets: Sequence[str], at: float = 0.0) -> _Step:
        """Do any other action."""
        return cls(PerformedAction(verb, tuple(targets)), lambda simulator: simulator.perform(verb, targets), at)


Steps = Callable[[Simulator], Iterable[_Step]]  # whom a role names is known when it is that step's turn


@dataclass(frozen=True)
class SimulatedAction:
    """An action of the simulator: when it was done and had settled (Unix seconds), and its steps, to do it again."""

    name: str
    t: float
    settled: float
    done: tuple[PerformedAction, ...]
    steps: Steps


class SimulatedBackend(Backend):
    """A cluster that is simulated from an initial state on. Implements `Backend`.

    >>> from kanslib.recording import Recording
    >>> from kanslib.course.recordings import shipped
    >>> from kanslib.backends.initial_state import from_recording
    >>> from kanslib.course import stories
    >>> from kanslib.backends.recorded import RecordedBackend
    >>> recorded = RecordedBackend(Recording.open(shipped("failover")), "failover")
    >>> backend = SimulatedBackend(from_recording(recorded), "a recording", stories.SCRIPTED_STORIES["failover"])
    >>> backend.perform("kill_node", ["myk8s-worker3"])
    'kill-node myk8s-worker3'
    >>> (backend.actions()[0].settled_after or 0) > 30
    True
    """

    def __init__(
        self,
        origin: InitialState,
        since: str,
        script: StoryScript | None = None,
        title: str = "",
        seed: int = 0,
        numbers: Callable[[], IdGenerator] = IdGenerator,
        unread: Sequence[str] = (),
        requested: Source = "simulated",
    ) -> None:
        """Start from `origin`. `requested`: the backend that was asked, where this one only stands in for it."""
        self._unread, self._requested = unread, requested
        self._start, self._since, self._seed, self._numbers = origin, since, seed, numbers
        self.script, self._title = script, title or (script.title if script else "")
        self._done: list[SimulatedAction] = []
        self._setup: tuple[SimulatedAction, ...] = ()  # what made the state of the opening
        self._vips: tuple[str, ...] = ()
        self._probed: dict[tuple[float, float, tuple[str, ...]], list[Probe]] = {}
        self._reset()

    def _reset(self) -> None:
        """Start again from the opening, with nothing done."""
        self._simulator = Simulator(self._start, self._numbers())
        self._network = SimulatedNetwork(self._simulator, self._seed)
        self._done, self._probed = [], {}
        self._now, self.current_moment = self._start.moment, OPENING
        for action in self._setup:
            self._perform(action.name, action.t, action.steps)
        self.set_opening()

    def set_opening(self) -> None:
        """Let the opening be now: what was done so far made its state, and is not undone."""
        self._setup, self._done = tuple(self._done), []
        self._opening, self.current_moment = self._now, OPENING

    # ── who answers ──────────────────────────────────────────────────────────────────────────────────────

    @override
    def banner(self) -> str:
        name = (
            tr("story {name!r}: {title}", name=self.script.name, title=self._title)
            if self.script
            else self._title or tr("a cluster of your own")
        )
        lines = [
            f"{source_words('simulated')} · {name}",
            tr("started from {since}, {models}; seed {seed}", since=self._since, models=MODELS, seed=self._seed),
        ]
        if self._unread:
            lines.append(f"{_UNREAD}: {' · '.join(self._unread)}")
        return "\n".join(lines)

    @override
    def provenance(self) -> Provenance:
        notes = (MODELS, *map(str, self._simulator.chances(self._now)))
        since = tr("from {since}", since=self._since)
        return Provenance("simulated", self._now, self.current_moment, since, notes, requested=self._requested)

    @override
    def topology(self) -> Topology:
        origin, nodes = self._start, tuple(self._simulator.nodes(self._now))
        router = self._simulator.router.at(self._now)
        first, *others = [
            {place: ip for place, ip in family.addresses.items() if place in (*nodes, origin.client)}
            for family in origin.families
        ]
        if router:
            first[router] = origin.address_of_router(router)
        return Topology(origin.client, origin.control_plane, router, nodes, origin.network, first, *others)

    # ── queries ────────────────────────────────────────────────────────────────────────────────────────────

    @override
    def objects(self, kind: str) -> list[KubeObject]:
        return self._simulator.objects(plural(kind), self._now)

    @override
    def watch_events(self, kind: str) -> list[WatchEvent]:
        return self.watch_events_until(kind, self._now)

    def watch_events_until(self, kind: str, moment: float) -> list[WatchEvent]:
        """Return the watch events of a kind until a moment (Unix seconds)."""
        return [event for event in self._simulator.cluster.history.get(plural(kind), []) if event.t <= moment]

    @override
    def log(self, component: str, node: str | None) -> Text:
        if component not in ("speaker", "controller"):
            raise NotSimulatedError(tr("a log of {component!r}", component=component), ["speaker", "controller"])
        if node is not None:
            self._refuse_down(node)
        nodes = [node] if node else self._simulator.nodes(self._now)
        logs = {f"{component}@{one}": self._log_of(component, one) for one in nodes}
        lines = merge_logs({pod: text for pod, text in logs.items() if text})
        return self._text("\n".join(line for t, line in lines if t <= round(self._now, 6)))  # as written

    def _log_of(self, component: str, node: str) -> str:
        """Return what a node's Pod had logged before the simulation began, and what the simulation adds."""
        lines = self._simulator.controller.logs.get(node, [])
        if component == "speaker":
            lines = [*self._simulator.speakers.logs.get(node, []), *self._simulator.session_log(node, self._now)]
            lines.sort(key=lambda line: timestamp_of(line) or 0)
        return "\n".join(filter(None, [self._start.log(component, node), *lines]))

    def _text(self, content: str) -> Text:
        last = self._last()
        return Text(content, self.provenance(), last.t if last else None)

    def _last(self) -> SimulatedAction | None:
        done = [action for action in self._done if action.t <= self._now]
        return done[-1] if done else None

    def _refuse_down(self, place: str) -> None:
        down = self._simulator.down.at(self._now)
        if place in down:
            since = next(
                (one.name for one in reversed(self._done) if any(place in done.targets for done in one.done)),
                tr("the beginning"),
            )
            raise NodeDownError(place, since, [node for node in self._simulator.nodes(self._now) if node not in down])

    @override
    def run(self, place: str, command: str) -> Text:
        places, wanted = self.topology(), " ".join(command.split())
        known = [HOST, *places.nodes, *(one for one in (places.client, places.router) if one)]
        if place not in known:
            raise UnknownNameError("place", place, known)
        self._refuse_down(place)
        text = self._printed(place, wanted, places)
        if text is None:
            raise NotSimulatedError(tr("{command!r} on {place}", command=command, place=place), _READS)
        return self._text(text)

    def _printed_by_router(self, command: str) -> str | None:
        view, known = self._simulator.router_view(self._now), self._start.addresses
        if view is None:
            return None
        hops, router = view.next_hops(), view.router
        neighbors = view.neighbors(known[node] for node in self._simulator.attempted.at(self._now) if node in known)
        printed = {
            "show ip route bgp json": lambda: command_output.frr_routes(hops, ""),
            "show bgp neighbors json": lambda: command_output.frr_neighbors(router, neighbors),
            "show bgp ipv4 unicast summary json": lambda: command_output.frr_summary(router, neighbors, len(hops)),
        }
        show = command.removeprefix("vtysh -c '").removesuffix("'")
        return printed[show]() if show in printed else None

    def _printed(self, place: str, command: str, places: Topology) -> str | None:
        if place == places.client:
            return self._network.neighbors(self._now) if command == "ip -j neigh" else None
        if place == places.router:
            return self._printed_by_router(command)
        if place not in places.nodes:
            return None
        ipv6 = command.startswith(("ip6tables", "ip -6 "))
        printed: dict[str, Callable[[], str]] = {
            "iptables-save -c": lambda: self._network.iptables_save(place, self._now, ipv6=ipv6),
            "iptables-save": lambda: re.sub(
                r"(?m)^\[\d+:\d+\] ", "", self._network.iptables_save(place, self._now, ipv6=ipv6)
            ),
            "iptables -t nat -S": lambda: command_output.nat_listing(
                self._simulator.rules(place, self._now, ipv6=ipv6)
            ),
            "ip -j addr": lambda: self._network.addresses(place, self._now),
            "ip -j route": lambda: self._network.routes(place, self._now, ipv6=ipv6),
        }
        wanted = command.replace("ip6tables", "iptables").replace("ip -6 ", "ip ")
        return printed[wanted]() if wanted in printed else None

    @override
    def requests(self, target: str, times: int, source: str) -> SentRequests:
        self._refuse_down(source)
        text = self._network.curl(source, target, times, self._now)
        self._now += times * 0.01
        return SentRequests(self._text(text), times, self._network.connect_error(target))

    @override
    def arp_scan(self, source: str) -> Text:
        self._refuse_down(source)
        asked = ipv4_addresses(self.objects("ipaddresspools"))
        return self._text(self._network.arp_scan(source, asked, self._now))

    @override
    def mac_owners(self) -> dict[str, str]:
        return {self._network.mac(place): place for place in self._simulator.nodes(self._now)}

    @override
    def capture_path(self, target: str, service: str) -> tuple[list[HopCapture], Provenance]:
        raise NotSimulatedError(
            tr("a request to {service} ({target}), packet by packet", service=service, target=target),
            hint=tr("lab.trace() walks its first one"),
        )

    # ── actions ─────────────────────────────────────────────────────────────────────────────────────────────

    @override
    def apply(self, documents: Sequence[KubeObject]) -> Text:
        there = {identity(obj): obj for document in documents for obj in self._or_none(document["kind"])}
        if all(is_applied(document, there.get(identity(document))) for document in documents):
            return self._text(
                "\n".join(tr("{reference} unchanged", reference=reference(document)) for document in documents)
            )
        applied = self._do(PlannedStep("apply", documents=tuple(documents)))
        if unread := [field for document in documents for field in unread_fields(document)]:
            notices.show_notice(f"{_UNREAD}: {' · '.join(unread)}", notices.SIMULATED_COLOUR, "kans-not-read")
        return applied

    def create(self, documents: Sequence[KubeObject]) -> Text:
        """Apply the objects of a manifest that the simulation starts with. Raise RefusedError for what is refused."""
        name = self._name_of(PlannedStep("apply", documents=tuple(documents)))
        step = _Step(
            PerformedAction("apply", tuple(map(reference, documents))), lambda simulator: simulator.create(documents)
        )
        return self._text("\n".join(self._perform(name, self._now + _PAUSE, lambda _: [step])))

    def _name_of(self, planned: PlannedStep) -> str:
        return stories.name_action(self.script, self.current_moment, planned, (action.name for action in self._done))

    def _or_none(self, kind: str) -> list[KubeObject]:
        try:
            return [{"kind": kind, **obj} for obj in self.objects(kind)]
        except NotSimulatedError:
            return []

    @override
    def delete(self, references: Sequence[str]) -> Text:
        wanted = set(map(canonical_reference, references))
        there = {
            canonical_reference(qualified_reference({**obj, "kind": kind}))
            for kind in {ref.partition("/")[0] for ref in references}
            for obj in self._or_none(kind)
        }
        if not wanted & there:
            return self._text("\n".join(tr("{ref} not found", ref=ref) for ref in references))
        return self._do(PlannedStep("delete", targets=tuple(references)))

    @override
    def perform(self, verb: Verb, targets: Sequence[str]) -> Text:
        if is_done(verb, targets, self.active_actions, self.objects):
            return self._text(tr("{describe}: already so", describe=describe(verb, targets)))
        return self._do(PlannedStep(verb, targets=tuple(targets)))

    @override
    def active_actions(self) -> list[ActiveAction]:
        return self._simulator.active_actions(self._now)

    def _do(self, planned: PlannedStep) -> Text:
        self._drop_later_actions()
        name = self._name_of(planned)
        return self._text(
            "\n".join(self._perform(name, self._now + _PAUSE, lambda simulator: [_step(simulator, planned)]))
        )

    def _drop_later_actions(self) -> None:
        """Undo the actions after the moment of the clock: another future begins there."""
        kept = [action for action in self._done if action.t <= self._now]
        if len(kept) == len(self._done):
            return
        moment = self._now
        self._reset()
        for action in kept:
            with suppress(RefusedError):  # what it refuses again was said before
                self._perform(action.name, action.t, action.steps)
        self._now = moment

    def _perform(self, name: str, t: float, steps: Steps) -> list[str]:
        """Do the steps of an action and let their effects settle. Raise RefusedError at the end, where one was refused.

        An action that changed nothing because it was refused is none.
        """
        simulator, output, done = self._simulator, list[str](), list[PerformedAction]()
        simulator.advance(max(t, simulator.cluster.now))
        t = simulator.cluster.now
        refused: RefusedError | None = None
        before = simulator.cluster.changes
        for step in steps(simulator):
            simulator.advance(max(step.at, simulator.cluster.now))
            try:
                output += step.run(simulator)
            except RefusedError as error:
                refused = error
            done.append(step.action)
        if refused and simulator.cluster.changes == before:
            raise refused
        settled = simulator.settle()
        self._done.append(SimulatedAction(name, t, settled, tuple(done), steps))
        self._now, self.current_moment = settled, name
        if refused:
            raise refused
        return output

    # ── observation ──────────────────────────────────────────────────────────────────────────────────────

    @contextmanager
    @override
    def observe(self, vips: Sequence[str], seconds: float, queries_at: Sequence[float]) -> Iterator[None]:
        del seconds, queries_at
        self._vips = tuple(vips)
        yield

    @override
    def advance_to(self, moment: float) -> None:
        self._now = max(self._now, moment - 0.001)
        self._simulator.advance(self._now)

    @override
    def observation(self, seconds: float | None = None) -> SimulatedObservation:
        last = self._last()
        zero = last.t if last else self._now
        later = [action.t for action in self._done if action.t > self._now]
        end = min([self._now + (_SECONDS_AHEAD if seconds is None else seconds), *later])
        self._simulator.advance(max(end, self._simulator.cluster.now))  # what is done next comes after it
        start, provenance = zero - CALM_BEFORE_ACTION_S, self.provenance()
        return SimulatedObservation(start, zero, end, last.name if last else OPENING, self._copy_at(end), provenance)

    def _copy_at(self, moment: float) -> Self:
        """Return a copy that stands at a moment (Unix seconds) and shares the simulator."""
        there = copy(self)
        there._now = moment  # noqa: SLF001 (a copy of its own)
        return there

    @override
    def observation_at(self, moment: str) -> SimulatedObservation:
        there = copy(self)
        there.at(moment, None)
        return there.observation()

    def probes_between(self, start: float, end: float) -> list[Probe]:
        """Return the probes of a span of time (Unix seconds), to the observed VIPs or else to all."""
        every_vip = tuple(ip for one in self.objects("services") if (ip := external_address(one)))
        key = (start, end, self._vips or every_vip)
        if key not in self._probed:
            self._probed[key] = self._network.fork().probes(key[2], max(start, self._opening), end)
        return self._probed[key]

    def frames_between(self, start: float, end: float) -> list[Frame]:
        """Return the frames of ARP and neighbor discovery of a span of time (Unix seconds)."""
        return self._network.frames(start, end)

    def outputs_at(self, command: str, moments: Iterable[float]) -> list[NodeOutput]:
        """Return what a command prints on every node that is up, at some moments from the beginning on."""
        found: list[NodeOutput] = []
        for moment in sorted(one for one in moments if self._opening <= one):
            there = self._copy_at(moment)
            down = self._simulator.down.at(moment)
            nodes = [node for node in there.topology().nodes if node not in down]
            found += [NodeOutput(moment, node, str(there.run(node, command))) for node in nodes]
        return found

    # ── time ─────────────────────────────────────────────────────────────────────────────────────────────

    @override
    def position(self) -> Clock | None:
        return None

    @override
    def isolated(self, position: Clock | None = None) -> AbstractContextManager[None]:
        del position
        return nullcontext()

    @override
    def now(self) -> float:
        return self._now

    @override
    def at(self, moment: str, after: float | None) -> None:
        done = [action for action in self._done if action.name == moment]
        if moment == OPENING:
            if self._done:
                self._reset()
            self._now, self.current_moment = self._opening, OPENING
            self._now += after or 0.0
            self._simulator.advance(self._now)
        elif done:
            self._set_moment(done[-1], after)
        elif self.script and moment in [one.id for one in self.script.moments]:
            self._follow_the_script(moment)
            self._set_moment(self._done[-1], after)
        else:
            known = [one.id for one in self.script.moments] if self.script else []
            raise UnknownNameError("moment", moment, [OPENING, *known, *(action.name for action in self._done)])

    def _set_moment(self, action: SimulatedAction, after: float | None) -> None:
        later = [other.t for other in self._done if other.t > action.t]
        moment = action.settled if after is None else action.t + after
        if after is not None and (after < 0 or (later and moment >= later[0])):
            raise NotSimulatedError(
                tr("{after:g} s after {name}: the next action was done before", after=after, name=action.name)
            )
        self._now, self.current_moment = moment, action.name
        self._simulator.advance(max(moment, self._simulator.cluster.now))

    def _follow_the_script(self, until: str) -> None:
        """Do the actions of the story, from its opening to one of its moments."""
        if self.script is None:
            return
        self._reset()
        for moment in self.script.moments:
            self._perform(moment.id, self._now + _PAUSE, partial(self._scripted_steps, moment, self.script))
            if moment.id == until:
                return

    def replay(self, actions: Sequence[Action]) -> None:
        """Do what a recording did, each action at its own moment: its commands, not what came of them."""
        self._reset()
        for action in actions:
            self._perform(action.id, action.t, partial(_replayed_steps, action))

    def _scripted_steps(self, moment: ScriptedMoment, script: StoryScript, simulator: Simulator) -> Iterator[_Step]:
        if moment.speaker_pod:
            yield _Step.delete([f"pod/{_speaker_pod(simulator)}"])
            return
        for plan in stories.plan_steps(script.before(moment), moment.after, self._start.network):
            yield _step(simulator, plan)

    @override
    def at_time(self, moment: float) -> None:
        if moment < self._opening:
            raise NotSimulatedError(
                tr("the moment {utc}: the simulation begins at {utc_2}", utc=utc(moment), utc_2=utc(self._opening))
            )
        done = [action for action in self._done if action.t <= moment]
        self._now, self.current_moment = moment, done[-1].name if done else OPENING
        self._simulator.advance(max(moment, self._simulator.cluster.now))

    @override
    def restore(self) -> Text:
        self.at(OPENING, None)
        return self._text(tr("back at the opening"))

    @override
    def actions(self) -> list[Moment]:
        return [self._moment(action) for action in self._done if action.t <= self._now]

    def _moment(self, action: SimulatedAction) -> Moment:
        is_hidden = self.script is not None and self.script.hide_actions
        return Moment(
            action.name, action.t - self._opening, action.settled - action.t, () if is_hidden else action.done,
            None, action.name == self.current_moment, "simulated",
        )  # fmt: skip

    @override
    def moments(self) -> list[Moment]:
        done = {action.name: self._moment(action) for action in self._done}
        scripted = [one.id for one in self.script.moments] if self.script else []
        names = dict.fromkeys([OPENING, *scripted, *done])
        return [
            done.get(name) or Moment(name, None, None, (), None, name == self.current_moment, "simulated")
            for name in names
        ]

    # ── for comparing ────────────────────────────────────────────────────────────────────────────────────

    def seconds_unsettled(self) -> float | None:
        """Return the seconds since the last action while it has not settled; None afterwards, and at the opening."""
        last = self._last()
        return self._now - last.t if last and self._now < last.settled else None

    def alive(self) -> frozenset[str]:
        """Return the nodes whose speakers the control plane's speaker takes for alive."""
        return memberlist.members(self._log_of("speaker", self._start.control_plane))


@dataclass(frozen=True)
class SimulatedObservation(BackendObservation["SimulatedBackend"]):
    """What a simulation says of the time around an action. Implements `ObservationData`."""

    def probes(self) -> list[Probe]:
        """Return the probes of this time, to the observed Services or else to all."""
        return self.source.probes_between(self.start, self.end)

    @override
    def tcp_frames(self, start: float | None = None) -> CapturedFrames:
        """Raise NotSimulatedError: TCP is not simulated segment by segment."""
        del start
        raise NotSimulatedError(tr("TCP segments around {action}", action=self.action), [tr("ARP frames")])

    def watch_events(self, kind: str) -> list[WatchEvent]:
        """Return the watch events of a kind from the beginning to the end."""
        return self.source.watch_events_until(kind, self.end)

    def command_outputs(self, command: str) -> list[NodeOutput]:
        """Return what a command prints before the action, after it, and after each change of an endpoint."""
        changed = [event.t for event in self.watch_events("endpointslices") if event.t > self.zero]
        moments = {self.zero - 1, self.zero + 1, *(moment + _RULES_WRITTEN for moment in changed)}
        return self.source.outputs_at(command, (moment for moment in moments if moment <= self.end))

    def log(self, component: str, node: str) -> Text:
        """Return a log of a node to the end."""
        return self.source.log(component, node)


def _step(simulator: Simulator, planned: PlannedStep) -> _Step:
    if planned.verb == "apply":
        return _Step.apply(planned.documents)
    if planned.verb == "delete":
        return _Step.delete(planned.targets)
    node = _resolve(simulator, planned.role) if planned.role else None
    if planned.ends:
        active = simulator.active_actions(simulator.cluster.now)
        node = next(one.target for one in active if one.verb == planned.ends)
    return _Step.perform(planned.verb, [*([node] if node else []), *planned.targets])


def _replayed_steps(action: Action, simulator: Simulator) -> Iterator[_Step]:
    """Yield the steps of a recorded action, each at its moment."""
    del simulator
    for step in action.steps:
        if step.verb == "apply":
            yield _Step.apply(documents(step.manifest), step.t)
        elif step.verb == "delete":
            yield _Step.delete(step.targets, step.t)
        elif step.verb not in ("wait", "create_cluster", "start_client"):
            yield _Step.perform(step.verb, step.targets, step.t)


def _resolve(simulator: Simulator, role: Role) -> str:
    """Return the node that has a role now."""
    if role.kind == "leader":
        uids = {one["metadata"]["name"]: one["metadata"]["uid"] for one in simulator.cluster.objects("services")}
        return newest_leaders(simulator.cluster.objects("events"))[uids[role.name]]
    pods = {pod["metadata"]["name"]: pod["spec"].get("nodeName", "") for pod in simulator.cluster.objects("pods")}
    return str(pods[role.name])


def _speaker_pod(simulator: Simulator) -> str:
    leader = _resolve(simulator, Role("leader", "svc1"))
    pods = [pod for pod in simulator.cluster.objects("pods") if pod["spec"].get("nodeName") == leader]
    return str(next(pod["metadata"]["name"] for pod in pods if pod["metadata"]["name"].startswith("speaker-")))
