"""The computed world: a twin with a clock. It may be asked anything that its models know."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

from kanslib import course
from kanslib.addressing import addresses
from kanslib.course import Do, Moment, Script
from kanslib.errors import NodeDown, NotComputed, UnknownName
from kanslib.models import memberlist
from kanslib.objects import KubeObject, WatchEvent, external_address, identity, newest_claims, plural
from kanslib.packets.capture import Frame
from kanslib.provenance import Provenance, utc
from kanslib.recording.acts import documents, numbered, reference, said, spelled
from kanslib.recording.clock import OPENING, Clock
from kanslib.recording.effects import already, labelled
from kanslib.recording.format import Act, Verb
from kanslib.recording.raw import HOST
from kanslib.text import Text, merged
from kanslib.twin import texts
from kanslib.twin.api import Numbers
from kanslib.twin.traffic import Traffic
from kanslib.twin.twin import Origin, Twin
from kanslib.worlds.protocol import Places, Sighting, Window
from kanslib.worlds.recorded import BEFORE_ACT

MODELS = "as Kubernetes v1.31 and MetalLB v0.14.8 work"
_RULES_WRITTEN = 2.0  # seconds after an endpoint changed: every kube-proxy has written it
_PAUSE = 1.0  # seconds between what was looked at last and the next act
_READS = (
    "iptables-save -c", "iptables-save", "iptables -t nat -S", "ip -j addr", "ip -j route", "ip -j neigh",
    "vtysh -c 'show ip route bgp json'",
)  # fmt: skip


@dataclass(frozen=True)
class Computed:
    """An act of the twin's: its name, when it was done and when it had settled, and how to do it again."""

    name: str
    t: float
    settled: float
    done: str
    deed: Callable[[Twin], list[str]]


class ComputedWorld:
    """A cluster that is worked out, from an origin on. Implements `World`.

    >>> from kanslib.recording.format import Recording
    >>> from kanslib.stories import shipped
    >>> from kanslib.worlds.origins import recorded_moment
    >>> from kanslib.worlds.recorded import RecordedWorld
    >>> recorded = RecordedWorld(Recording.open(shipped("failover")), "failover")
    >>> world = ComputedWorld(recorded_moment(recorded), "a recording", script=course.SCRIPTS["failover"])
    >>> world.act("kill_node", ["myk8s-worker3"])
    'kill-node myk8s-worker3'
    >>> round(world.acts()[0]["SETTLED AFTER"], 1) > 30
    True
    """

    def __init__(
        self,
        origin: Origin,
        since: str,
        script: Script | None = None,
        title: str = "",
        seed: int = 0,
        numbers: Callable[[], Numbers] = Numbers,
    ) -> None:
        self._origin, self._since, self._seed, self._numbers = origin, since, seed, numbers
        self.script, self._title = script, title or (script.title if script else "")
        self._acts: list[Computed] = []
        self._vips: tuple[str, ...] = ()
        self._probed: dict[tuple[float, float, tuple[str, ...]], list[dict[str, Any]]] = {}
        self._afresh()

    def _afresh(self) -> None:
        """The twin at its origin, with nothing done yet."""
        self._twin = Twin(self._origin, self._numbers())
        self._traffic = Traffic(self._twin, self._seed)
        self._acts, self._probed = [], {}
        self._now, self.standing = self._origin.moment, OPENING

    # ── who answers ──────────────────────────────────────────────────────────────────────────────────────

    def banner(self) -> str:
        name = f"story {self.script.name!r}: {self._title}" if self.script else self._title or "a cluster of your own"
        return f"computed · {name}\nworked out from {self._since}, {MODELS}; seed {self._seed}"

    def provenance(self) -> Provenance:
        return Provenance("computed", self._now, self.standing, f"from {self._since}", (MODELS,))

    def places(self) -> Places:
        origin, nodes = self._origin, tuple(self._twin.nodes(self._now))
        router = self._twin.router.at(self._now)
        known = {place: ip for place, ip in origin.addresses.items() if place in (*nodes, origin.client)}
        if router:
            known[router] = origin.addresses.get(router) or origin.router_address
        return Places(origin.client, origin.control_plane, router, nodes, origin.network, known)

    # ── reads ────────────────────────────────────────────────────────────────────────────────────────────

    def objects(self, kind: str) -> list[KubeObject]:
        return self._twin.objects(plural(kind), self._now)

    def changes(self, kind: str, window: Window) -> list[WatchEvent]:
        return [event for event in self._twin.cluster.history.get(plural(kind), []) if event.t <= window.end]

    def log(self, component: str, node: str | None) -> Text:
        if component not in ("speaker", "controller"):
            raise NotComputed(f"a log of {component!r}", ["speaker", "controller"])
        if node is not None:
            self._refuse_down(node)
        nodes = [node] if node else self._twin.nodes(self._now)
        told = {f"{component}@{one}": self._log_of(component, one) for one in nodes}
        lines = merged({pod: text for pod, text in told.items() if text})
        return self._text("\n".join(line for t, line in lines if t <= self._now))

    def _log_of(self, component: str, node: str) -> str:
        """What a node's Pod had logged before the twin began, and what the twin adds."""
        told = self._twin.speakers.logs if component == "speaker" else self._twin.controller.logs
        return "\n".join(filter(None, [self._origin.log(component, node), *told.get(node, [])]))

    def _text(self, content: str) -> Text:
        last = self._last()
        return Text(content, self.provenance(), last.t if last else None)

    def _last(self) -> Computed | None:
        done = [act for act in self._acts if act.t <= self._now]
        return done[-1] if done else None

    def _refuse_down(self, place: str) -> None:
        down = self._twin.down.at(self._now)
        if place in down:
            since = next((act.name for act in reversed(self._acts) if place in act.done.split()), "the beginning")
            raise NodeDown(place, since, [node for node in self._twin.nodes(self._now) if node not in down])

    def run(self, place: str, command: str) -> Text:
        places, wanted = self.places(), " ".join(command.split())
        known = [HOST, *places.nodes, *(one for one in (places.client, places.router) if one)]
        if place not in known:
            raise UnknownName("place", place, known)
        self._refuse_down(place)
        text = self._printed(place, wanted, places)
        if text is None:
            raise NotComputed(f"{command!r} on {place}", _READS)
        return self._text(text)

    def _printed(self, place: str, command: str, places: Places) -> str | None:
        if place == places.client:
            return self._traffic.neighbours(self._now) if command == "ip -j neigh" else None
        if place == places.router:
            routes = "vtysh -c 'show ip route bgp json'"
            return texts.frr_routes(self._twin.next_hops(self._now), "") if command == routes else None
        if place not in places.nodes:
            return None
        printed: dict[str, Callable[[], str]] = {
            "iptables-save -c": lambda: self._traffic.dump(place, self._now),
            "iptables-save": lambda: re.sub(r"(?m)^\[\d+:\d+\] ", "", self._traffic.dump(place, self._now)),
            "iptables -t nat -S": lambda: texts.nat_listing(self._twin.rules(place, self._now)),
            "ip -j addr": lambda: self._traffic.addresses(place, self._now),
            "ip -j route": lambda: self._traffic.routes(place, self._now),
        }
        return printed[command]() if command in printed else None

    def requests(self, target: str, times: int, source: str) -> tuple[Text, int]:
        self._refuse_down(source)
        text = self._traffic.requests(source, target, times, self._now)
        self._now += times * 0.01
        return self._text(text), times

    def scan(self, source: str) -> Text:
        self._refuse_down(source)
        pools = self.objects("ipaddresspools")
        asked = [ip for pool in pools for spec in pool["spec"]["addresses"] for ip in addresses(spec)]
        return self._text(self._traffic.scan(source, asked, self._now))

    def macs(self) -> dict[str, str]:
        return {self._traffic.mac(place): place for place in self._twin.nodes(self._now)}

    def follow(self, target: str, service: str) -> tuple[list[Sighting], Provenance]:
        raise NotComputed(
            f"a request to {service} ({target}), packet by packet", hint="lab.trace() walks its first one"
        )

    # ── acts ─────────────────────────────────────────────────────────────────────────────────────────────

    def apply(self, documents: Sequence[KubeObject]) -> Text:
        there = {identity(obj): obj for document in documents for obj in self._or_none(document["kind"])}
        if all(already(document, there.get(identity(document))) for document in documents):
            return self._text("\n".join(f"{reference(document)} unchanged" for document in documents))
        about = {identity(document) for document in documents}
        asked = "apply " + " ".join(reference(document) for document in documents)
        return self._do("apply", about, asked, lambda twin: twin.apply(documents))

    def _or_none(self, kind: str) -> list[KubeObject]:
        try:
            return [{"kind": kind, **obj} for obj in self.objects(kind)]
        except NotComputed:
            return []

    def delete(self, references: Sequence[str]) -> Text:
        wanted = set(map(spelled, references))
        there = {
            spelled(f"{kind}/{obj['metadata']['name']}")
            for kind in {ref.partition("/")[0] for ref in references}
            for obj in self._or_none(kind)
        }
        if not wanted & there:
            return self._text("\n".join(f"{ref} not found" for ref in references))
        return self._do("delete", wanted, "delete " + " ".join(references), lambda twin: twin.delete(references))

    def act(self, verb: Verb, targets: Sequence[str]) -> Text:
        if self._in_force(verb, targets):
            return self._text(f"{said(verb, targets)}: already so")
        return self._do(verb, set(targets), said(verb, targets), lambda twin: twin.act(verb, targets))

    def _in_force(self, verb: Verb, targets: Sequence[str]) -> bool:
        twin, now = self._twin, self._now
        target = targets[0] if targets else ""
        if verb == "label":
            return labelled(self.objects("nodes"), target, targets[1:])
        lost, down = target in twin.unreachable.at(now), target in twin.down.at(now)
        force: dict[str, bool] = {
            "install_metallb": any(one["metadata"]["name"] == "metallb-system" for one in self.objects("namespaces")),
            "kill_node": down, "start_node": not down, "cut_link": lost and not down, "mend_link": not lost,
            "start_router": twin.router.at(now) is not None, "stop_router": twin.router.at(now) is None,
            "route_client": twin.routed.at(now), "unroute_client": not twin.routed.at(now),
            "add_squatter": twin.squatter.at(now) is not None, "remove_squatter": twin.squatter.at(now) is None,
        }  # fmt: skip
        return force.get(verb, False)

    def _do(self, verb: Verb, about: set[Any], asked: str, deed: Callable[[Twin], list[str]]) -> Text:
        self._go_back()
        name = self._name(verb, about)
        return self._text("\n".join(self._perform(name, asked, self._now + _PAUSE, deed)))

    def _go_back(self) -> None:
        """Undo what was done after where the clock stands: another future begins here."""
        kept = [act for act in self._acts if act.t <= self._now]
        if len(kept) == len(self._acts):
            return
        moment = self._now
        self._afresh()
        for act in kept:
            self._perform(act.name, act.done, act.t, act.deed)
        self._now = moment

    def _perform(self, name: str, done: str, t: float, deed: Callable[[Twin], list[str]]) -> list[str]:
        self._twin.pass_time(max(t, self._twin.cluster.now))
        t = self._twin.cluster.now
        output = deed(self._twin)
        settled = self._twin.settle()
        self._acts.append(Computed(name, t, settled, done, deed))
        self._now, self.standing = settled, name
        return output

    def _name(self, verb: Verb, about: set[Any]) -> str:
        ahead = self.script.ahead(self.standing) if self.script else []
        moment = next(
            (m for m in ahead if self.script and course.leads_to(m, self.script.before(m), verb, about)), None
        )
        if moment:
            return moment.id
        plain = verb.replace("_", "-")
        names = sorted(str(one[2]) if isinstance(one, tuple) else one.rpartition("/")[2] for one in about)
        if names:
            plain += "-" + names[0].partition("=")[0].rpartition("/")[2]
        return numbered([*(act.name for act in self._acts), plain])[-1]

    # ── observation ──────────────────────────────────────────────────────────────────────────────────────

    @contextmanager
    def observing(self, vips: Sequence[str], seconds: float, looks: Sequence[float]) -> Iterator[None]:
        del seconds, looks
        self._vips = tuple(vips)
        yield

    def passed(self, window: Window) -> None:
        self._now = max(self._now, window.end - 0.001)
        self._twin.pass_time(self._now)

    def window(self, seconds: float) -> Window:
        last = self._last()
        zero = last.t if last else self._now
        later = [act.t for act in self._acts if act.t > self._now]
        most = self._now + 180 if seconds == float("inf") else self._now + seconds
        return Window(zero - BEFORE_ACT, zero, min([most, *later]), last.name if last else OPENING)

    def probes(self, window: Window) -> list[dict[str, Any]]:
        self._twin.pass_time(max(window.end, self._twin.cluster.now))
        everyone = tuple(ip for one in self.objects("services") if (ip := external_address(one)))
        place = (window.start, window.end, self._vips or everyone)
        if place not in self._probed:
            start = max(window.start, self._origin.moment)
            self._probed[place] = self._traffic.fork().probes(place[2], start, window.end)
        return self._probed[place]

    def frames(self, window: Window) -> list[Frame]:
        return self._traffic.frames(window.start, window.end)

    def segments(self, window: Window) -> tuple[Window, list[Frame], Provenance]:
        raise NotComputed(f"TCP segments around {window.act}", ["ARP frames"])

    def looks(self, command: str, window: Window) -> list[tuple[float, str, str]]:
        """A twin can be looked at any time: before the act, after it, and after each change of an endpoint."""
        changed = [event.t for event in self.changes("endpointslices", window) if event.t > window.zero]
        moments = {window.zero - 1, window.zero + 1, *(moment + _RULES_WRITTEN for moment in changed)}
        here, found = self._now, []
        for moment in sorted(one for one in moments if self._origin.moment <= one <= window.end):
            self._now = moment
            down = self._twin.down.at(moment)
            for node in self.places().nodes:
                if node not in down:
                    found.append((moment, node, str(self.run(node, command))))
        self._now = here
        return found

    # ── time ─────────────────────────────────────────────────────────────────────────────────────────────

    def stands(self) -> Clock | None:
        return None

    def undisturbed(self, stood: Clock | None = None) -> AbstractContextManager[None]:
        del stood
        return nullcontext()

    def now(self) -> float:
        return self._now

    def at(self, moment: str, after: float | None) -> None:
        done = [act for act in self._acts if act.name == moment]
        if moment == OPENING:
            if self._acts:
                self._afresh()
            self._now, self.standing = self._origin.moment, OPENING
            self._now += after or 0.0
            self._twin.pass_time(self._now)
        elif done:
            self._stand(done[-1], after)
        elif self.script and moment in [one.id for one in self.script.moments]:
            self._follow_the_script(moment)
            self._stand(self._acts[-1], after)
        else:
            known = [one.id for one in self.script.moments] if self.script else []
            raise UnknownName("moment", moment, [OPENING, *known, *(act.name for act in self._acts)])

    def _stand(self, act: Computed, after: float | None) -> None:
        later = [other.t for other in self._acts if other.t > act.t]
        moment = act.settled if after is None else act.t + after
        if after is not None and (after < 0 or (later and moment >= later[0])):
            raise NotComputed(f"{after:g} s after {act.name}: the next act was done before")
        self._now, self.standing = moment, act.name
        self._twin.pass_time(max(moment, self._twin.cluster.now))

    def _follow_the_script(self, until: str) -> None:
        """Do what the story does, from its opening to one of its moments."""
        if self.script is None:
            return
        self._afresh()
        for moment in self.script.moments:
            self._perform(moment.id, moment.id, self._now + _PAUSE, self._doing(moment, self.script))
            if moment.id == until:
                return

    def redo(self, acts: Sequence[Act]) -> None:
        """Do what a recording did, each act at its own moment: its commands, not what came of them."""
        self._afresh()
        for act in acts:
            done = " · ".join(said(step.verb, step.targets) for step in act.steps if step.verb != "wait")
            self._perform(act.id, done, act.t, lambda twin, act=act: _redone(twin, act))  # type: ignore[misc]

    def _doing(self, moment: Moment, script: Script) -> Callable[[Twin], list[str]]:
        def deed(twin: Twin) -> list[str]:
            if moment.speaker_pod:
                return twin.delete([f"pod/{_speaker_pod(twin)}"])
            output = []
            for do in course.steps(script.before(moment), moment.after, self._origin.network):
                output += _step(twin, do)
            return output

        return deed

    def at_time(self, moment: float) -> None:
        if moment < self._origin.moment:
            raise NotComputed(f"the moment {utc(moment)}: the twin begins at {utc(self._origin.moment)}")
        done = [act for act in self._acts if act.t <= moment]
        self._now, self.standing = moment, done[-1].name if done else OPENING
        self._twin.pass_time(max(moment, self._twin.cluster.now))

    def restore(self) -> Text:
        self.at(OPENING, None)
        return self._text("back at the opening")

    def acts(self) -> list[dict[str, Any]]:
        return [self._row(act) for act in self._acts if act.t <= self._now]

    def _row(self, act: Computed) -> dict[str, Any]:
        hidden = self.script is not None and self.script.neutral
        return {
            "MOMENT": act.name,
            "AT": round(act.t - self._origin.moment, 1),
            "SETTLED AFTER": round(act.settled - act.t, 1),
            "DONE": "" if hidden else act.done,
        }

    def moments(self) -> list[dict[str, Any]]:
        done = {act.name: self._row(act) for act in self._acts}
        scripted = [one.id for one in self.script.moments] if self.script else []
        names = [OPENING, *scripted, *(name for name in done if name not in scripted)]
        empty = {"AT": None, "SETTLED AFTER": None, "DONE": ""}
        return [
            {
                **empty, "MOMENT": name, **done.get(name, {}), "LOOKS AFTER": "any",
                "HERE": "←" if name == self.standing else "",
            }
            for name in names
        ]  # fmt: skip

    # ── for comparing ────────────────────────────────────────────────────────────────────────────────────

    def seconds_unsettled(self) -> float | None:
        """How long ago the last act was done, while it has not settled; None afterwards, and at the opening."""
        last = self._last()
        return self._now - last.t if last and self._now < last.settled else None

    def alive(self) -> frozenset[str]:
        """The nodes whose speakers the control plane's speaker thinks alive."""
        return memberlist.members(self._log_of("speaker", self._origin.control_plane))


def _step(twin: Twin, do: Do) -> list[str]:
    """One step of a script, done to a twin."""
    if do.verb == "apply":
        return twin.apply(do.documents)
    if do.verb == "delete":
        return twin.delete(do.references)
    targets = [_node(twin, do.role)] if do.role else []
    return twin.act(do.verb, [*targets, *do.references])


def _redone(twin: Twin, act: Act) -> list[str]:
    """The steps of a recorded act, done to a twin, each at its moment."""
    output: list[str] = []
    for step in act.steps:
        twin.pass_time(max(step.t, twin.cluster.now))
        if step.verb == "apply":
            output += twin.apply(documents(step.manifest))
        elif step.verb == "delete":
            output += twin.delete(step.targets)
        elif step.verb == "patch" and not re.search("remove|undo|rollout", step.command):
            twin.speakers_away()
        elif step.verb not in ("wait", "create_cluster", "start_client"):
            output += twin.act(step.verb, step.targets)
    return output


def _node(twin: Twin, role: str) -> str:
    """The node that has a role now: `leader of svc1`, `node of webpod1`, `lost`, `excluded`."""
    what, _, of = role.partition(" of ")
    if what == "lost":
        return next(iter(twin.unreachable.now | twin.down.now))
    if what == "excluded":
        workers = [
            node for node in twin.cluster.objects("nodes") if node["metadata"]["name"] != twin.origin.control_plane
        ]
        return str(next(n["metadata"]["name"] for n in workers if course.EXCLUDE in n["metadata"]["labels"]))
    if what == "leader":
        uids = {one["metadata"]["name"]: one["metadata"]["uid"] for one in twin.cluster.objects("services")}
        return newest_claims(twin.cluster.objects("events"))[uids[of]]
    pods = {pod["metadata"]["name"]: pod["spec"].get("nodeName", "") for pod in twin.cluster.objects("pods")}
    return str(pods[of])


def _speaker_pod(twin: Twin) -> str:
    leader = _node(twin, "leader of svc1")
    pods = [pod for pod in twin.cluster.objects("pods") if pod["spec"].get("nodeName") == leader]
    return str(next(pod["metadata"]["name"] for pod in pods if pod["metadata"]["name"].startswith("speaker-")))
