"""The recorded backend: a recording with a clock. It looks up; it never guesses."""

from __future__ import annotations

import io
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, replace
from typing import Any, TypeVar
from urllib.parse import urlsplit

from msgspec import Struct
from typing_extensions import override

from kanslib.actions import ActiveAction, Verb, active_after, describe
from kanslib.analysis.attempts import ClientError, Probe
from kanslib.analysis.observation_data import NodeOutput, TimeWindow, Topology
from kanslib.answer import Provenance, Text, source_words, utc
from kanslib.backends.active import is_done
from kanslib.backends.base import Backend, BackendObservation, HopCapture, Moment, PerformedAction, SentRequests
from kanslib.exceptions import NodeDownError, NotFoundError, NotRecordedError, RecordingError, UnknownNameError
from kanslib.i18n import parted, tr, tr_plural
from kanslib.k8s.apply import is_applied, with_defaults
from kanslib.k8s.logs import merge_logs
from kanslib.k8s.manifest import canonical_reference, documents, qualified_reference, reference
from kanslib.k8s.objects import KubeObject, WatchEvent, as_of, identity, plural
from kanslib.packets import capture
from kanslib.packets.capture import Frame
from kanslib.recording import Recording
from kanslib.recording.clock import OPENING, Clock, OutputMatch
from kanslib.recording.format import MANIFEST, Action, CommandOutput, RecordedStep, Story, decode
from kanslib.recording.raw.files import HOST

_CURL = re.compile(r"\bcurl (?:-\S+(?: [\d.]+)? )*(?:http://)?(?P<to>[\d.]+(?::\d+)?(?:/\S*)?)")
_LOOP = re.compile(r"for i in (?:\{1\.\.(?P<brace>\d+)\}|\$\(seq (?P<seq>\d+)\)|(?P<list>[\d ]+)); do")
_VERSION_NAMES = {"kubernetes": "Kubernetes", "metallb": "MetalLB", "frr": "FRR"}
QUERY_BEFORE_ACTION_S = 10.0  # a query before an action was made at most so long before it
CALM_BEFORE_ACTION_S = 5.0  # before its action, that an observation shows

T = TypeVar("T")


class _LinkAddress(Struct, frozen=True):
    local: str


class _Link(Struct, frozen=True):
    """An interface as `ip -j addr` prints it."""

    addr_info: tuple[_LinkAddress, ...]
    address: str = ""


class RecordedBackend(Backend):
    """A story of a recording, or the whole of it, at a moment. Implements `Backend`.

    >>> from kanslib.course.recordings import shipped
    >>> backend = RecordedBackend(Recording.open(shipped("arp")), "arp")
    >>> [s["metadata"]["name"] for s in backend.objects("services")]
    ['kubernetes', 'svc1', 'svc2', 'svc3', 'kube-dns', 'metallb-webhook-service']
    """

    def __init__(self, recording: Recording, story: str | None = None) -> None:
        self.recording = recording
        manifest = recording.manifest
        stories = {known.name: known for known in manifest.stories}
        if story is not None and story not in stories:
            raise UnknownNameError("story", story, stories)
        self.story = stories[story] if story is not None else self._whole()
        segments = [segment for segment in manifest.segments if story is None or segment.id == self.story.segment]
        if not segments:
            raise RecordingError(
                MANIFEST,
                tr(
                    "story {name!r} belongs to no segment ({segment!r})",
                    name=self.story.name,
                    segment=self.story.segment,
                ),
            )
        ids = {segment.id for segment in segments}
        self.clock = Clock(self.story, segments, [action for action in manifest.actions if action.segment in ids])

    def _whole(self) -> Story:
        segments = self.recording.manifest.segments
        openings = [story.start for story in self.recording.manifest.stories if story.segment == segments[0].id]
        start = min(openings, default=segments[0].start)
        return Story("", self.recording.manifest.title, segments[0].id, start, segments[-1].end)

    # ── who answers ──────────────────────────────────────────────────────────────────────────────────────

    @property
    def _versions(self) -> str:
        versions = self.recording.manifest.versions
        order = {name: place for place, name in enumerate(("kind", "kubernetes", "metallb", "frr"))}
        shown = sorted(versions, key=lambda name: (order.get(name, 9), name))
        routed = any(step.verb == "start_router" for action in self.clock.actions for step in action.steps)
        if not routed and not self.topology().router:
            shown = [name for name in shown if name != "frr"]
        return " · ".join(f"{_VERSION_NAMES.get(name, name)} {versions[name]}" for name in shown)

    @override
    def provenance(self) -> Provenance:
        return Provenance("recorded", self.clock.now, self.clock.last_name, self._versions)

    def _provenance_of(self, match: OutputMatch) -> Provenance:
        origin = Provenance("recorded", match.output.t, self.clock.last_name, self._versions)
        return replace(origin, freshness=match.freshness)

    @override
    def banner(self) -> str:
        manifest = self.recording.manifest
        name = (
            tr("story {name!r}: {title}", name=self.story.name, title=self.story.title)
            if self.story.name
            else self.story.title
        )
        lines = [f"{source_words('recorded')} · {name}", f"{utc(self.clock.now)} · {self._versions}"]
        if manifest.substitutes:
            lines.append(tr("substitutes: {substitutes}", substitutes=parted(manifest.substitutes)))
        return "\n".join(lines)

    @override
    def topology(self) -> Topology:
        segment = self.clock.segment
        router = segment.router if "start_router" in {one.verb for one in self.active_actions()} else None
        return Topology(
            segment.client, segment.control_plane, router, segment.nodes, segment.network, segment.addresses
        )

    def _segment_actions(self) -> list[Action]:
        return [action for action in self.recording.manifest.actions if action.segment == self.clock.segment.id]

    # ── queries ────────────────────────────────────────────────────────────────────────────────────────────

    def _events(self, kind: str) -> list[WatchEvent]:
        files = self.recording.under("objects")
        if plural(kind) not in files:
            raise NotRecordedError(tr("objects of kind {kind!r}", kind=kind), files)
        return self.recording.watch(plural(kind))

    @override
    def objects(self, kind: str) -> list[KubeObject]:
        return as_of(self._events(kind), self.clock.now)

    @override
    def watch_events(self, kind: str) -> list[WatchEvent]:
        events = [event for event in self._events(plural(kind)) if event.t <= self.clock.now]
        first = max((place + 1 for place, event in enumerate(events) if event.type == "LIST"), default=0)
        return events[first:]  # before that it was another cluster

    def segment_outputs(self) -> list[CommandOutput]:
        """Return the command outputs of the segment in which the clock stands."""
        segment = self.clock.segment
        reads = self.recording.reads()
        first = bisect_left(reads, segment.start, key=lambda read: read.t)
        return reads[first : bisect_right(reads, segment.end, key=lambda read: read.t)]

    @override
    def active_actions(self) -> list[ActiveAction]:
        return active_after((step.verb, step.targets) for _, step in self._steps_done())

    def _steps_done(self) -> list[tuple[Action, RecordedStep]]:
        now = self.clock.now
        return [(action, step) for action in self._segment_actions() for step in action.steps if step.t <= now]

    def _down(self) -> dict[str, str]:
        """Return the nodes that are down, each with the name of the action that killed it."""
        down = {one.target for one in self.active_actions() if one.verb == "kill_node"}
        killed = ((action, step) for action, step in self._steps_done() if step.verb == "kill_node")
        return {step.targets[0]: action.id for action, step in killed if step.targets[0] in down}

    def _refuse_down(self, place: str) -> None:
        down = self._down()
        if place in down:
            segment = self.clock.segment
            up = [p for p in (*segment.nodes, segment.client, self.topology().router) if p and p not in down]
            raise NodeDownError(place, down[place], up)

    @override
    def run(self, place: str, command: str) -> Text:
        places = self.topology()
        known = [HOST, *places.nodes, *(p for p in (places.client, places.router) if p)]
        if place not in known:
            raise UnknownNameError("place", place, known)
        self._refuse_down(place)
        wanted = _normal(command)
        here = [read for read in self.segment_outputs() if read.place == place]
        match = self.clock.match([read for read in here if _normal(read.command) == wanted])
        if match is None:
            raise NotRecordedError(tr("{command!r} on {place}", command=command, place=place), _commands(here))
        return self._text(match)

    def _text(self, match: OutputMatch) -> Text:
        last = self.clock.last
        return Text(self.recording.text(match.output.file), self._provenance_of(match), last.t if last else None)

    @override
    def log(self, component: str, node: str | None) -> Text:
        if node is not None:
            self._refuse_down(node)
        pods = {
            pod["metadata"]["name"]: pod["spec"].get("nodeName", "")
            for pod in self.objects("pods")
            if pod["metadata"]["name"].startswith(component + "-")
        }
        if not any(node in (None, home) for home in pods.values()):
            raise NotFoundError(
                tr("a Pod of {component!r} on {node} now", component=component, node=node)
                if node
                else tr("a Pod of {component!r} now", component=component),
                tr("lab.pods() shows which Pods run where"),
            )
        logs = self.recording.under("logs")
        files = {
            name: logs[f"{name}@{home}"]
            for name, home in pods.items()
            if node in (None, home) and f"{name}@{home}" in logs
        }
        if not files:
            raise NotRecordedError(
                tr("a log of {component!r} on {node} at this moment", component=component, node=node)
                if node
                else tr("a log of {component!r} at this moment", component=component),
                sorted(logs),
            )
        lines = merge_logs({name: self.recording.text(file) for name, file in files.items()})
        last = self.clock.last
        text = "\n".join(line for t, line in lines if t <= self.clock.now)
        return Text(text, self.provenance(), last.t if last else None)

    @override
    def requests(self, target: str, times: int, source: str) -> SentRequests:
        """Return the recorded requests to `target` (address, with port or path)."""
        self._refuse_down(source)
        sent = {read: parse_request(read.command) for read in self.segment_outputs() if read.place == source}
        mine = {read: request[1] for read, request in sent.items() if request and request[0] == _request_target(target)}
        exact = [read for read, count in mine.items() if count == times]
        match = self.clock.match_next(exact) or self.clock.match_next(list(mine))
        if match is None:
            now = [request for read in self.clock.outputs_now(sent) if (request := sent[read])]
            others = [tr("{number} to {where}", number=number, where=where) for where, number in now]
            hint = tr("or move on: lab.moments() says where requests were recorded")
            raise NotRecordedError(
                tr_plural(
                    "{n} request from {source} to {target} at this moment",
                    "{n} requests from {source} to {target} at this moment",
                    times,
                    source=source,
                    target=target,
                ),
                others,
                hint,
            )
        count = mine[match.output]
        notes = (
            (
                tr_plural(
                    "{n} request was recorded, not {times}",
                    "{n} requests were recorded, not {times}",
                    count,
                    times=times,
                ),
            )
            if count != times
            else ()
        )
        text = self._text(match)
        said = Text(text, text.provenance.with_notes(*notes))
        if _NOT_CONNECTED not in said:  # the frames of a capture take a while to read
            return SentRequests(said, count)
        return SentRequests(said, count, self._connect_error(match.output, target))

    def _connect_error(self, read: CommandOutput, target: str) -> ClientError:
        """Return why requests could not connect, from the frames of that time: curl has one exit code for two facts."""
        address = urlsplit(f"//{_request_target(target)}").hostname or ""
        frames = self.frames_between(read.t, read.end)
        if any(one.tcp and one.ip and one.ip.src == address and "R" in one.tcp.flags for one in frames):
            return ClientError.REFUSED
        for one in frames:
            if one.icmp and one.icmp.is_unreachable and one.icmp.quoted and one.icmp.quoted.dst == address:
                return _UNREACHABLE.get(one.icmp.code, ClientError.NO_ROUTE)
        spoken = [one.arp for one in frames if one.arp and address in (one.arp.sender_ip, one.arp.target_ip)]
        is_answered = any(one.sender_ip == address for one in spoken)
        return ClientError.NO_ROUTE if spoken and not is_answered else ClientError.OTHER

    @override
    def arp_scan(self, source: str) -> Text:
        self._refuse_down(source)
        scans = [read for read in self.segment_outputs() if "arp-scan" in read.command]
        match = self.clock.match_next([read for read in scans if read.place == source])
        if match is None:
            now = {tr("from {place}", place=read.place) for read in self.clock.outputs_now(scans)}
            raise NotRecordedError(
                tr("an ARP scan from {source} at this moment", source=source),
                sorted(now),
                tr("or move on: lab.moments()"),
            )
        return self._text(match)

    @override
    def capture_path(self, target: str, service: str) -> tuple[list[HopCapture], Provenance]:
        del service
        captures = [read for read in self.segment_outputs() if read.command.startswith("tcpdump ")]
        asked = {read: parse_request(read.command) for read in self.segment_outputs() if "curl" in read.command}
        followed = [
            read for read, request in asked.items()
            if request and request[0] == _request_target(target)
            and any(one.t <= read.t and read.end <= one.end for one in captures)
        ]  # fmt: skip
        match = self.clock.match_next(followed)
        if match is None:
            raise NotRecordedError(
                tr("a request to {target} followed from place to place", target=target),
                hint=tr("story 'iptables' has one"),
            )
        mine = [one for one in captures if one.t <= match.output.t and match.output.end <= one.end]
        return [self._hop_capture(one) for one in mine], self._provenance_of(match)

    def _hop_capture(self, read: CommandOutput) -> HopCapture:
        interface = read.command.split()[2]
        frames = capture.read(io.BytesIO(self.recording.read(read.file)), read.file)
        return HopCapture(read.place, interface, tuple(frames))

    @override
    def mac_owners(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for read in self.segment_outputs():
            if read.command == "ip -j addr" and read.place not in found.values():
                own = self.clock.segment.addresses.get(read.place)
                for link in decode(self.recording.read(read.file), list[_Link], read.file):
                    if any(info.local == own for info in link.addr_info):
                        found[link.address] = read.place
        return found

    # ── actions ─────────────────────────────────────────────────────────────────────────────────────────────

    @override
    def apply(self, documents: Sequence[KubeObject]) -> Text:
        if self._applied(documents):
            return self._text_of([tr("{reference} unchanged", reference=reference(d)) for d in documents])
        wanted = {identity(document): with_defaults(document) for document in documents}
        asked = "apply " + " ".join(reference(d) for d in documents)
        return self._take_recorded_steps(
            "apply", wanted, lambda step: {identity(d): with_defaults(d) for d in _documents(step)}, asked
        )

    def _take_recorded_steps(
        self, verb: Verb, wanted: Mapping[Any, Any], effect: Callable[[RecordedStep], Mapping[Any, Any]], asked: str
    ) -> Text:
        """Take the next recorded steps of `verb` until together they have the wanted effect."""
        taken: dict[Any, Any] = {}
        output: list[str] = []
        for action, step in self._steps_ahead():
            if step.verb != verb:
                break
            taken |= effect(step)
            output += step.output.splitlines()
            if taken == wanted:
                return self._advance(action, step, output)
        raise self._unexpected(asked)

    def _applied(self, documents: Sequence[KubeObject]) -> bool:
        """Return True when applying the documents now would change nothing."""
        kinds = {document["kind"] for document in documents}
        there = {identity(obj): obj for kind in kinds for obj in self._objects_or_none(kind)}
        return all(is_applied(document, there.get(identity(document))) for document in documents)

    def _steps_ahead(self) -> Iterator[tuple[Action, RecordedStep]]:
        """Yield the steps still to come that change something, each with its action."""
        first = True
        for action, step in self.clock.steps_ahead():
            idle = step.verb == "wait" or (first and step.verb == "apply" and self._applied(_documents(step)))
            if not idle:
                first = False
                yield action, step

    def _objects_or_none(self, kind: str) -> list[KubeObject]:
        try:
            return self.objects(kind)
        except NotRecordedError:
            return []

    @override
    def delete(self, references: Sequence[str]) -> Text:
        wanted = dict.fromkeys(map(canonical_reference, references))
        there = {
            canonical_reference(qualified_reference({**obj, "kind": kind}))
            for kind in {ref.partition("/")[0] for ref in references}
            for obj in self._objects_or_none(kind)
        }
        if not wanted.keys() & there:
            return self._text_of([tr("{ref} not found", ref=ref) for ref in references])
        asked = "delete " + " ".join(references)
        return self._take_recorded_steps(
            "delete", wanted, lambda step: dict.fromkeys(map(canonical_reference, step.targets)), asked
        )

    @override
    def perform(self, verb: Verb, targets: Sequence[str]) -> Text:
        if is_done(verb, targets, self.active_actions, self.objects):
            return self._text_of([tr("{describe}: already so", describe=describe(verb, targets))])
        reached: tuple[Action, RecordedStep] | None = None
        output: list[str] = []
        for action, step in self._steps_ahead():
            if step.verb != verb or list(step.targets[: len(targets)]) != list(targets):
                break
            reached = action, step
            output += step.output.splitlines()
        if reached is None:
            raise self._unexpected(describe(verb, targets))
        return self._advance(*reached, output or [describe(verb, targets)])

    def _advance(self, action: Action, step: RecordedStep, output: list[str]) -> Text:
        self.clock.move(action.settled if step == action.steps[-1] else step.end)
        return self._text_of(output)

    def _text_of(self, output: Iterable[str]) -> Text:
        return Text("\n".join(output), self.provenance())

    def _unexpected(self, asked: str) -> NotRecordedError:
        ahead = next((action for action, _ in self._steps_ahead()), None)
        if ahead is None:
            return NotRecordedError(
                asked, hint=tr("nothing more was done in this story; lab.at('opening') goes back to its start")
            )
        if self.story.hide_actions:
            return NotRecordedError(
                asked, hint=tr("that is not what was done here; look again, or go on with lab.at('fix')")
            )
        steps = " · ".join(describe(step.verb, step.targets) for step in ahead.steps if step.verb != "wait")
        return NotRecordedError(
            asked, [f"{ahead.id} ({steps})"], tr("to go on as it was recorded: lab.at({id!r})", id=ahead.id)
        )

    # ── observation ──────────────────────────────────────────────────────────────────────────────────────

    @contextmanager
    @override
    def observe(self, vips: Sequence[str], seconds: float, queries_at: Sequence[float]) -> Iterator[None]:
        """Do nothing: all of this was done when the recording was made."""
        del vips, seconds, queries_at
        yield

    @override
    def observation(self, seconds: float | None = None) -> RecordedObservation:
        last, clock = self.clock.last, self.clock
        zero, until = (last.t if last else clock.now), clock.until
        end = until if seconds is None else min(clock.now + seconds, until)
        window = TimeWindow(zero - CALM_BEFORE_ACTION_S, zero, end, clock.last_name)
        before_next_action = max(clock.now, end - 0.001)
        provenance = replace(self.provenance(), moment=clock.now if seconds is None else before_next_action)
        return self._observed(window, before_next_action, provenance)

    @override
    def observation_at(self, moment: str) -> RecordedObservation:
        there = self.copy()
        there.at(moment, None)
        return there.observation()

    def story_observation(self) -> RecordedObservation:
        """Return the whole story as one observation around its opening."""
        start, end = self.story.start, self.story.end
        return self._observed(TimeWindow(start, start, end, OPENING), end, self.provenance())

    def _observed(self, window: TimeWindow, moment: float, provenance: Provenance) -> RecordedObservation:
        source = self.copy()
        source.clock.now = moment
        return RecordedObservation(window.start, window.zero, window.end, window.action, source, provenance)

    def copy(self) -> RecordedBackend:
        """Return the same backend with a clock of its own, to be moved on its own."""
        other = copy(self)
        other.clock = self.clock.copy()
        return other

    def probes_between(self, start: float, end: float) -> list[Probe]:
        """Return the probes that were sent in a span of time (Unix seconds)."""
        return _between(self.recording.probes(self.clock.segment.id), start, end, lambda row: float(row["t"]))

    def frames_between(self, start: float, end: float) -> list[Frame]:
        """Return the frames that were captured in a span of time (Unix seconds)."""
        return _between(self.recording.frames(self.clock.segment.id), start, end, lambda frame: frame.time)

    def outputs_between(self, command: str, start: float, end: float) -> list[NodeOutput]:
        """Return what a command printed on the nodes in a span of time (Unix seconds)."""
        nodes = self.clock.segment.nodes
        return [
            NodeOutput(read.t, read.place, self.recording.text(read.file))
            for read in self.segment_outputs()
            if read.place in nodes and _normal(read.command) == command and start <= read.t <= end
        ]

    @override
    def advance_to(self, moment: float) -> None:
        self.at_time(max(self.now(), moment - 0.001))

    # ── time ─────────────────────────────────────────────────────────────────────────────────────────────

    @override
    def position(self) -> Clock | None:
        return self.clock.copy()

    @contextmanager
    @override
    def isolated(self, position: Clock | None = None) -> Iterator[None]:
        clock, self.clock = self.clock, (position or self.clock).copy()
        try:
            yield
        finally:
            self.clock = clock

    @override
    def now(self) -> float:
        return self.clock.now

    @override
    def at(self, moment: str, after: float | None) -> None:
        self.clock.at(moment, after)

    @override
    def at_time(self, moment: float) -> None:
        self.clock.at_time(moment)

    @override
    def restore(self) -> Text:
        self.at(OPENING, None)
        return self._text_of([tr("back at the opening")])

    @override
    def actions(self) -> list[Moment]:
        return [self._moment(action) for action in self.clock.actions if action.t <= self.clock.now]

    def _moment(self, action: Action, queries_at: tuple[float, ...] = ()) -> Moment:
        done = [PerformedAction(step.verb, tuple(step.targets)) for step in action.steps if step.verb != "wait"]
        return Moment(
            action.id, action.t - self.story.start, action.settled - action.t,
            () if self.story.hide_actions else tuple(done), queries_at, action.id == self.clock.last_name, "recorded",
        )  # fmt: skip

    @override
    def moments(self) -> list[Moment]:
        starts = [self.story.start, *(action.t for action in self.clock.actions)]
        opening, *queries = [
            tuple(self._query_rounds(start, end))
            for start, end in zip(starts, [*starts[1:], self.story.end], strict=True)
        ]
        is_current = self.clock.last_name == OPENING
        return [
            Moment(OPENING, 0.0, 0.0, (), opening, is_current, "recorded"),
            *(self._moment(action, at) for action, at in zip(self.clock.actions, queries, strict=True)),
        ]

    def _query_rounds(self, start: float, end: float) -> list[float]:
        """Seconds after `start` at which a round of reads began; the client's memory, read all along, is none."""
        rounds: list[float] = []
        before = float("-inf")
        client = self.clock.segment.client
        for read in self.segment_outputs():
            if (read.place, read.command) == (client, "ip -j neigh"):
                continue
            if start <= read.t < end:
                if read.t - before > 5:
                    rounds.append(read.t - start)
                before = read.t
        return rounds


@dataclass(frozen=True)
class RecordedObservation(BackendObservation["RecordedBackend"]):
    """What a recording has of the time around an action. Implements `ObservationData`."""

    def probes(self) -> list[Probe]:
        """Return the probes of this time. Raises NotRecordedError, with the actions that were probed."""
        found = self.source.probes_between(self.start, self.end)
        if not found:
            actions = self.source.clock.actions
            probed = [action.id for action in actions if self.source.probes_between(action.t, action.t + 1)]
            raise NotRecordedError(tr("probes around {action}", action=self.action), probed)
        return found

    def watch_events(self, kind: str) -> list[WatchEvent]:
        """Return the watch events of a kind from the cluster's beginning to the end."""
        return self.source.watch_events(kind)

    def command_outputs(self, command: str) -> list[NodeOutput]:
        """Return what a command printed on the nodes, also shortly before the action."""
        return self.source.outputs_between(command, self.start - QUERY_BEFORE_ACTION_S, self.end)

    def log(self, component: str, node: str) -> Text:
        """Return a log of a node to the end."""
        return self.source.log(component, node)


def _between(items: Sequence[T], start: float, end: float, moment_of: Callable[[T], float]) -> list[T]:
    """Return the items, sorted by their moments, of a span of time."""
    first = bisect_left(items, start, key=moment_of)
    return list(items[first : bisect_right(items, end, key=moment_of)])


def _documents(step: RecordedStep) -> list[KubeObject]:
    return documents(step.manifest)


def _normal(command: str) -> str:
    return " ".join(command.split())


def _commands(reads: Sequence[CommandOutput]) -> list[str]:
    return sorted({_normal(read.command) for read in reads}, key=lambda command: (len(command), command))


_NOT_CONNECTED = "curl exit 7\n"
_UNREACHABLE = {0: ClientError.UNREACHABLE, 3: ClientError.REFUSED}  # by code of ICMP: a network, a port (man 7 icmp)


def _request_target(target: str) -> str:
    return target.removeprefix("http://").removesuffix("/").removesuffix(":80")


def parse_request(command: str) -> tuple[str, int] | None:
    """Where a recorded curl went and how often; None for another command."""
    found = _CURL.search(command)
    if not found:
        return None
    loop = _LOOP.search(command)
    times = 1
    if loop:
        times = int(loop["brace"] or loop["seq"] or 0) or len(loop["list"].split())
    return _request_target(found["to"]), times
