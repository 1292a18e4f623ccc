"""The live backend: the course's own kind cluster. It queries, acts, and waits until an action has settled."""

from __future__ import annotations

import io
import re
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace

from typing_extensions import override

from kanslib.actions import ActiveAction, Verb, describe
from kanslib.analysis.attempts import Probe
from kanslib.analysis.observation_data import NodeOutput, TimeWindow, Topology
from kanslib.answer import Provenance, Text, source_words
from kanslib.backends.active import is_done
from kanslib.backends.base import Backend, BackendObservation, HopCapture, Moment, PerformedAction, SentRequests
from kanslib.backends.recorded import CALM_BEFORE_ACTION_S, QUERY_BEFORE_ACTION_S, RecordedBackend
from kanslib.cluster import actions as cluster_actions
from kanslib.cluster import captures, docker, probes
from kanslib.cluster.api import CONTROL_PLANE, PATHS, kubectl, logs
from kanslib.cluster.docker import CLIENT, ROUTER
from kanslib.cluster.reconciler import CompletedStep, raise_refusal
from kanslib.cluster.session import HOST, CompletedAction, session
from kanslib.cluster.state_file import CLUSTER
from kanslib.course import stories
from kanslib.course.stories import PlannedStep, ScriptedMoment, StoryScript
from kanslib.exceptions import NodeDownError, NotFoundError, NotRecordedError, RecordingError, UnknownNameError
from kanslib.i18n import listed, tr
from kanslib.k8s.apply import is_applied
from kanslib.k8s.logs import merge_logs
from kanslib.k8s.manifest import canonical_reference, qualified_reference, reference
from kanslib.k8s.objects import KubeObject, WatchEvent, endpoints_of, identity, plural
from kanslib.metallb.ranges import ipv4_addresses
from kanslib.packets import capture
from kanslib.packets.capture import Frame
from kanslib.recording.clock import OPENING, Clock

_QUERY_SECONDS = 1.0  # a query that is to tell of a moment begins so long before it
PREPARE = "prepare"  # the action that brings the cluster to where a story begins


class LiveBackend(Backend):
    """A story on the course's own cluster. Implements `Backend`."""

    def __init__(self, story: str) -> None:
        if story not in stories.SCRIPTED_STORIES:
            raise UnknownNameError("story", story, stories.SCRIPTED_STORIES)
        self._session = session()
        self._reconciler = self._session.reconciler
        self.script: StoryScript = stories.SCRIPTED_STORIES[story]
        self._journal_backend: RecordedBackend | None = None
        self._to_opening()

    def _to_opening(self) -> None:
        self._session.open_story(self.script.name, self._finish)
        opening = self.script.opening
        if not self._reconciler.is_at(opening):
            self._session.run_action(
                PREPARE, lambda: self._reconciler.reconcile(opening, tr("opening {name}", name=self.script.name))
            )
        if self.script.hide_actions:
            cluster_actions.flush_client()
        if self._session.is_recording:
            self._session.read_everything()
        self._opened = self._zero = time.time()
        self.current_moment = OPENING
        lesson = self.script in stories.LESSON_PARTS
        self._session.journal.story(self._opened, self.script.name, self.script.title, self.script.hide_actions, lesson)

    def _finish(self) -> None:
        """Do the rest of the story's actions: a recorder wants all of them, whatever a chapter leaves out."""
        self._journal_backend = None
        done = {acted.name for acted in self._session.completed if acted.story == self.script.name}
        for moment in self.script.moments:
            if moment.id not in done:
                self._bring_to(moment)

    # ── who answers ──────────────────────────────────────────────────────────────────────────────────────

    @override
    def banner(self) -> str:
        name = tr("story {name!r}: {title}", name=self.script.name, title=self.script.title)
        return tr(
            "{source} · {name}\nthe course's own cluster {cluster}, now · {versions}",
            source=source_words("live"),
            name=name,
            cluster=CLUSTER,
            versions=self._versions(),
        )

    @override
    def provenance(self) -> Provenance:
        if self._journal_backend:
            return self._journal_provenance(self._journal_backend.provenance())
        return Provenance("live", time.time(), self.current_moment, self._versions())

    def _journal_provenance(self, origin: Provenance) -> Provenance:
        notes = (*origin.notes, tr("as this kernel saw it then"))
        return replace(origin, source="live", after=self.current_moment, versions=self._versions(), notes=notes)

    def _versions(self) -> str:
        nodes = self._session.watches.objects("nodes")
        versions = [f"Kubernetes {nodes[0]['status']['nodeInfo']['kubeletVersion']}"] if nodes else []
        for daemons in self._session.watches.objects("daemonsets"):
            if daemons["metadata"]["name"] == "speaker":
                image = daemons["spec"]["template"]["spec"]["containers"][0]["image"]
                versions.append(f"MetalLB {image.rpartition(':')[2]}")
        return " · ".join(versions)

    @override
    def topology(self) -> Topology:
        there = self._session.refresh_containers()
        nodes = tuple(name for name, one in there.items() if not one.owned)
        router = ROUTER if ROUTER in there else None
        known = {name: self._session.addresses.get(name, "") for name in (*nodes, CLIENT, ROUTER) if name in there}
        return Topology(
            CLIENT if CLIENT in there else None, CONTROL_PLANE, router, nodes, self._reconciler.network, known
        )

    # ── queries ────────────────────────────────────────────────────────────────────────────────────────────

    @override
    def objects(self, kind: str) -> list[KubeObject]:
        if self._journal_backend:
            return self._journal_backend.objects(kind)
        if plural(kind) in PATHS:
            return self._session.watches.objects(plural(kind))
        return self._listed(plural(kind))

    def _listed(self, kind: str) -> list[KubeObject]:
        import json

        ran = kubectl(f"get {kind} -A -o json")
        if ran.rc:
            raise UnknownNameError("kind", kind, PATHS)
        return sorted(
            json.loads(ran.out)["items"], key=lambda o: (o["metadata"].get("namespace", ""), o["metadata"]["name"])
        )

    @override
    def log(self, component: str, node: str | None) -> Text:
        if self._journal_backend:
            return self._text_from_journal(self._journal_backend.log(component, node))
        return self.whole_log(component, node)

    def whole_log(self, component: str, node: str | None) -> Text:
        """Return the log of a component until this second, wherever the clock stands."""
        if node is not None:
            self._refuse_down(node)
        found = [entry for entry in logs(self._session.watches, component) if node in (None, entry[1])]
        if not found:
            raise NotFoundError(
                tr("a Pod of {component!r} on {node}", component=component, node=node)
                if node
                else tr("a Pod of {component!r}", component=component),
                tr("lab.pods() shows which Pods run where"),
            )
        return self._text("\n".join(line for _, line in merge_logs({pod: text for pod, _, text in found})))

    def _text_from_journal(self, text: Text) -> Text:
        return Text(text, self._journal_provenance(text.provenance), self._zero)

    def _text(self, content: str, moment: float | None = None) -> Text:
        origin = self.provenance()
        return Text(content, replace(origin, moment=moment) if moment else origin, self._zero)

    @override
    def run(self, place: str, command: str) -> Text:
        if self._journal_backend:
            return self._text_from_journal(self._journal_backend.run(place, command))
        self._refuse_down(place)
        ran = self._session.read(place, command)
        return self._text(ran.output, ran.t)

    def _refuse_down(self, place: str) -> None:
        if place == HOST:
            return
        there = {name: one for name, one in self._session.refresh_containers().items() if not name.startswith("kans-")}
        if place not in there:
            raise UnknownNameError("place", place, [HOST, *there])
        if not there[place].running:
            since = next(
                (a.name for a in reversed(self._session.completed) for s in a.steps if s.targets[:1] == (place,)),
                tr("before this lab was opened"),
            )
            raise NodeDownError(place, since, [name for name, one in there.items() if one.running])

    @override
    def requests(self, target: str, times: int, source: str) -> SentRequests:
        self._refuse_past(tr("requests"))
        self._refuse_down(source)
        ran = self._session.read(source, probes.curl_command(target, times))
        return SentRequests(self._text(ran.out, ran.t), times)

    def _refuse_past(self, what: str) -> None:
        if self._journal_backend:
            raise NotRecordedError(
                tr("{what} at a moment that has passed", what=what),
                hint=tr(
                    "back to now: lab.at({current_moment!r}); or use the recorded backend, for every moment",
                    current_moment=self.current_moment,
                ),
            )

    @override
    def arp_scan(self, source: str) -> Text:
        self._refuse_past(tr("an ARP scan"))
        wanted = probes.addresses_within(self._pool(), self._reconciler.network)
        if source == HOST:
            return self._scapy_scan(wanted)
        self._refuse_down(source)
        command, ran = probes.arp_scan(source, wanted)
        self._session.record_output(source, command, ran)
        return self._text(ran.out, ran.t)

    def _scapy_scan(self, wanted: Sequence[str]) -> Text:
        found = docker.network()
        began = time.time()
        text = probes.format_arp_scan(probes.arp_sweep(wanted, found.bridge if found else ""))
        command = f"arp-scan (scapy) {wanted[0]}-{wanted[-1]}"
        self._session.journal.output(HOST, command, (began, time.time()), 0, text.encode())
        return self._text(text, began)

    def _pool(self) -> list[str]:
        found = ipv4_addresses(self.objects("ipaddresspools"))
        if not found:
            raise NotFoundError(tr("an IPAddressPool to scan"), tr("lab.apply(manifests.pool) makes one"))
        return found

    @override
    def mac_owners(self) -> dict[str, str]:
        self._session.refresh_containers()
        return dict(self._session.macs)

    @override
    def capture_path(self, target: str, service: str) -> tuple[list[HopCapture], Provenance]:
        self._refuse_past(tr("a request"))
        ways = list(self._capture_points(service))
        files = [self._session.journal.path / "reads" / f"hop-{time.time():.6f}-{i}.pcap" for i in range(len(ways))]
        began = time.time()
        running = [
            captures.Capture(f"container:{place}", interface, f"tcp port {port}", file, snap=128)
            for (place, interface, port), file in zip(ways, files, strict=True)
        ]
        self._session.read(CLIENT, probes.curl_command(target, 1))
        for place, _, port in ways:
            if place != CLIENT:
                self._session.read(place, f"conntrack -L -p tcp --dport {port}")
        for one in running:
            one.stop()
        hops = []
        for (place, interface, port), file in zip(ways, files, strict=True):
            content = file.read_bytes()
            file.unlink()
            command = f"tcpdump -i {interface} tcp port {port}"
            self._session.journal.output(place, command, (began, time.time()), 0, content)
            hops.append(HopCapture(place, interface, tuple(capture.read(io.BytesIO(content), command))))
        return hops, self.provenance()

    def _capture_points(self, service: str) -> Iterator[tuple[str, str, int]]:
        """Yield where a request to the Service can be captured: place, interface, port."""
        from kanslib.cluster import readiness

        port = self._port(service)
        yield CLIENT, "eth0", port[0]
        leader = readiness.leaders(self._session.watches).get(service)
        if leader:
            yield leader, "eth0", port[0]
        for endpoint in endpoints_of(self.objects("endpointslices"), service):
            node, address = endpoint["nodeName"], endpoint["addresses"][0]
            found = re.search(r"dev (\S+)", docker.exec_in(node, f"ip route get {address}").out)
            if found:
                yield node, found[1], port[1]

    def _port(self, service: str) -> tuple[int, int]:
        spec = next(o for o in self.objects("services") if o["metadata"]["name"] == service)["spec"]["ports"][0]
        return int(spec["port"]), int(spec["targetPort"])

    # ── actions ─────────────────────────────────────────────────────────────────────────────────────────────

    @override
    def apply(self, documents: Sequence[KubeObject]) -> Text:
        watched = {kind for document in documents if plural(kind := document["kind"]) in PATHS}
        there = {identity(obj): obj for kind in watched for obj in self._session.watches.objects(plural(kind))}
        if all(is_applied(document, there.get(identity(document))) for document in documents):
            self._journal_backend = None
            return self._text(
                "\n".join(tr("{reference} unchanged", reference=reference(document)) for document in documents)
            )
        return self._perform_named(
            PlannedStep("apply", documents=tuple(documents)), lambda: [self._reconciler.apply(documents)]
        )

    @override
    def delete(self, references: Sequence[str]) -> Text:
        known = {
            canonical_reference(qualified_reference({**obj, "kind": kind}))
            for kind in {ref.partition("/")[0] for ref in references}
            for obj in self.objects(kind)
        }
        wanted = set(map(canonical_reference, references))
        if not wanted & known:
            return self._text("\n".join(tr("{ref} not found", ref=ref) for ref in references))
        return self._perform_named(
            PlannedStep("delete", targets=tuple(references)), lambda: [self._reconciler.delete(references)]
        )

    @override
    def perform(self, verb: Verb, targets: Sequence[str]) -> Text:
        objects = self._session.watches.objects
        if is_done(verb, targets, self.active_actions, objects):
            self._journal_backend = None
            return self._text(tr("{describe}: already so", describe=describe(verb, targets)))
        return self._perform_named(
            PlannedStep(verb, targets=tuple(targets)), lambda: [self._reconciler.perform(verb, targets)]
        )

    @override
    def active_actions(self) -> list[ActiveAction]:
        return cluster_actions.active_actions(self._session.watches.objects)

    def _perform_named(self, step: PlannedStep, work: Callable[[], list[CompletedStep]]) -> Text:
        """Do an action of the learner's, named as the script names it where it is the script's next of its kind.

        Raise RefusedError for what a component refused; the rest was done, and has settled.
        """
        self._journal_backend = None
        done: list[CompletedStep] = []
        name = stories.name_action(self.script, self.current_moment, step, (one.name for one in self._own_actions()))

        def both() -> float:
            done.extend(work())
            return self._reconciler.settle(name, done)

        acted = self._session.run_action(name, both)
        if acted:
            self._set_moment(acted)
        raise_refusal(done)
        return self._text("\n".join(step.output for step in done).strip())

    def _set_moment(self, acted: CompletedAction) -> None:
        self.current_moment, self._zero = acted.name, acted.t

    def _own_actions(self) -> list[CompletedAction]:
        return [acted for acted in self._session.completed if acted.t >= self._opened and acted.name != PREPARE]

    # ── observation ──────────────────────────────────────────────────────────────────────────────────────

    @contextmanager
    @override
    def observe(self, vips: Sequence[str], seconds: float, queries_at: Sequence[float]) -> Iterator[None]:
        self._journal_backend = None
        before = len(self._session.completed)
        running = probes.Probes(vips, self._session.add_probe)
        over = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(before, queries_at, bool(vips), over), daemon=True)
        time.sleep(3.0 if vips else 0.5)  # calm before the action, to compare with
        watcher.start()
        try:
            yield
            acted = self._session.completed[before:]
            zero = acted[0].t if acted else time.time()
            end = max([zero + offset for offset in queries_at] + [time.time() + seconds])
            time.sleep(max(0.0, end - time.time()))
        finally:
            over.set()
            watcher.join(20)
            running.stop()

    def _watch(self, before: int, queries_at: Sequence[float], reads_neighbors: bool, over: threading.Event) -> None:
        """Query everything at some seconds after the action's first step, and the client's neighbors every 3 s."""
        due, neighbors = sorted(queries_at), time.time()
        while not over.wait(0.2):
            doing = self._session.action_started()
            done = self._session.completed[before:]
            zero = doing or (done[0].t if done else None)
            if zero is not None and due and time.time() >= zero + due[0] - _QUERY_SECONDS:
                due.pop(0)
                self._session.read_everything()
            if reads_neighbors and time.time() >= neighbors:
                neighbors = time.time() + 3
                self._session.read(CLIENT, "ip -j neigh")

    @override
    def advance_to(self, moment: float) -> None:
        """Do nothing: time passes by itself."""

    @override
    def observation(self, seconds: float | None = None) -> LiveObservation:
        del seconds  # `observe` has waited for them
        return self._observed(self.current_moment, self._zero)

    @override
    def observation_at(self, moment: str) -> LiveObservation:
        zeros = {action.name: action.t for action in self._own_actions()}
        if moment not in zeros:
            raise NotRecordedError(tr("an observation of {moment}: this kernel did not see it", moment=moment), zeros)
        return self._observed(moment, zeros[moment])

    def _observed(self, name: str, zero: float) -> LiveObservation:
        later = [action.t for action in self._session.completed if action.t > zero]
        end = min([time.time(), *later])
        return LiveObservation(zero - CALM_BEFORE_ACTION_S, zero, end, name, self, self.provenance())

    def probes_between(self, start: float, end: float) -> list[Probe]:
        """Return the probes that this kernel sent in a span of time (Unix seconds)."""
        rows = sorted(self._session.probes, key=lambda row: float(str(row["t"])))
        return [row for row in rows if start <= float(str(row["t"])) <= end]

    def frames_between(self, start: float, end: float) -> list[Frame]:
        """Return the frames that this kernel captured in a span of time (Unix seconds)."""
        kept = self._session.flushed_capture().read_bytes()
        with warnings.catch_warnings(), suppress(RecordingError):
            warnings.simplefilter("ignore", capture.CaptureWarning)  # the last frame is still being written
            return [f for f in capture.read(io.BytesIO(kept), "bridge") if start <= f.time <= end]
        return []

    def outputs_around(self, command: str, observation: TimeWindow) -> list[NodeOutput]:
        """Return what a command printed on the nodes, each time this kernel ran it around an action."""
        if not self._session.completed:
            return []
        start, end = observation.start - QUERY_BEFORE_ACTION_S, observation.end
        return self._backend_of_journal(end).outputs_between(command, start, end)

    @override
    def watch_events(self, kind: str) -> list[WatchEvent]:
        return self.watch_events_until(kind, self.now())

    def watch_events_until(self, kind: str, moment: float) -> list[WatchEvent]:
        """Return the watch events of a kind until a moment (Unix seconds)."""
        return [event for event in self._session.watches.events(plural(kind)) if event.t <= moment]

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
        return self._journal_backend.now() if self._journal_backend else time.time()

    @override
    def at(self, moment: str, after: float | None) -> None:
        if after is not None:
            return self._go_to_journaled(moment, after)
        self._journal_backend = None
        if moment == OPENING:
            if self.current_moment != OPENING or not self._reconciler.is_at(self.script.opening):
                self._to_opening()
            return None
        known = {one.id: one for one in self.script.moments}
        acted = {one.name for one in self._own_actions()}
        if moment not in known and moment not in acted:
            raise UnknownNameError("moment", moment, [OPENING, *known])
        if moment in known:
            self._bring_to(known[moment])
        return None

    def _bring_to(self, moment: ScriptedMoment) -> None:
        there = self._reconciler.is_at(moment.after)
        if self.current_moment == moment.id and there:
            return
        if moment.speaker_pod or not there:
            before = self.script.before(moment)
            if not self._reconciler.is_at(before):
                self._session.run_action(
                    PREPARE, lambda: self._reconciler.reconcile(before, tr("before {id}", id=moment.id))
                )
            acted = self._session.run_action(moment.id, lambda: self._perform(moment))
            if acted:
                self._set_moment(acted)
        self.current_moment = moment.id
        done = [one for one in self._session.completed if one.name == moment.id]
        self._zero = done[-1].t if done else time.time()

    def _perform(self, moment: ScriptedMoment) -> float | None:
        if moment.speaker_pod:
            return self._reconciler.settle(moment.id, [self._reconciler.delete_speaker_pod("svc1")])
        return self._reconciler.reconcile(moment.after, moment.id)

    def _go_to_journaled(self, moment: str, after: float) -> None:
        """Go to a moment that this kernel itself has seen."""
        done = [one for one in self._session.completed if one.name == moment]
        if not done or done[-1].t + after > time.time():
            raise NotRecordedError(
                tr("{after:g} s after {moment}: this kernel did not see it", after=after, moment=moment),
                [f"{one.name} (until +{time.time() - one.t:.0f} s)" for one in self._session.completed],
                tr(
                    "see it live: with lab.observe(queries_at=(15, 60)): lab.kill_node(…)\nor on the "
                    "recording: kanslib.open_lab(story={name!r}, backend='recorded')",
                    name=self.script.name,
                ),
            )
        self._journal_backend = self._backend_of_journal(done[-1].t + after)
        self._journal_backend.at_time(done[-1].t + after)
        self.current_moment, self._zero = done[-1].name, done[-1].t

    def _backend_of_journal(self, moment: float) -> RecordedBackend:
        """Return the journal so far as a recorded backend; the newest one, if it reaches to that moment."""
        from kanslib.recording.raw.convert import convert

        kept = self._session.snapshot
        if kept is None or kept.manifest.segments[-1].end < moment + _QUERY_SECONDS:
            self._session.complete_journal()
            journal = self._session.journal.path
            kept = self._session.snapshot = convert([journal], journal / f"seen-{time.time():.3f}.zip")
        return RecordedBackend(kept)

    @override
    def at_time(self, moment: float) -> None:
        done = [one for one in self._session.completed if one.t <= moment]
        if not done or moment > time.time():
            raise NotRecordedError(
                tr("the moment {moment}", moment=moment),
                hint=tr("live, a lab remembers only what this kernel itself has seen"),
            )
        self._go_to_journaled(done[-1].name, moment - done[-1].t)

    @override
    def restore(self) -> Text:
        """Undo what is active, and bring the cluster back to the story's opening."""
        undone = [f"{one.verb} {one.target}".strip() for one in self.active_actions()]
        self.at(OPENING, None)
        if not undone:
            return self._text(tr("back at the opening"))
        return self._text(tr("back at the opening; undone: {undone}", undone=listed(undone)))

    @override
    def actions(self) -> list[Moment]:
        return [self._moment(action) for action in self._own_actions()]

    def _moment(self, action: CompletedAction) -> Moment:
        done = tuple(PerformedAction(step.verb, tuple(step.targets)) for step in action.steps)
        return Moment(
            action.name, action.t - self._opened, action.settled - action.t,
            () if self.script.hide_actions else done, (), action.name == self.current_moment, "live",
        )  # fmt: skip

    @override
    def moments(self) -> list[Moment]:
        done = {moment.name: moment for moment in self.actions()}
        names = dict.fromkeys([OPENING, *(moment.id for moment in self.script.moments), *done])
        return [
            done.get(name) or Moment(name, None, None, (), (), name == self.current_moment, "live") for name in names
        ]


@dataclass(frozen=True)
class LiveObservation(BackendObservation["LiveBackend"]):
    """What this kernel saw around an action. Implements `ObservationData`."""

    def probes(self) -> list[Probe]:
        """Return the probes of this time. Raises NotRecordedError where no Service was probed."""
        found = self.source.probes_between(self.start, self.end)
        if not found:
            raise NotRecordedError(
                tr("probes around {action}", action=self.action),
                hint=tr("live, requests are sent while you observe: with lab.observe(probes=['svc1']): …"),
            )
        return found

    def watch_events(self, kind: str) -> list[WatchEvent]:
        """Return the watch events of a kind from the cluster's beginning to the end."""
        return self.source.watch_events_until(kind, self.end)

    def command_outputs(self, command: str) -> list[NodeOutput]:
        """Return what a command printed on the nodes, each time this kernel ran it."""
        return self.source.outputs_around(command, self)

    def log(self, component: str, node: str) -> Text:
        """Return a log of a node, also of what came after the end."""
        return self.source.whole_log(component, node)
