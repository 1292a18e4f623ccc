"""The live world: the course's own kind cluster. It asks, it acts, it waits until what it did has settled."""

from __future__ import annotations

import io
import re
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import replace
from typing import Any

from kanslib import course
from kanslib.addressing import addresses
from kanslib.cluster import acts as deeds
from kanslib.cluster import docker, traffic
from kanslib.cluster.deed import CLUSTER
from kanslib.cluster.docker import CLIENT, ROUTER
from kanslib.cluster.kube import CONTROL_PLANE, PATHS, kubectl, logs
from kanslib.cluster.reach import Done
from kanslib.cluster.session import HOST, Acted, session
from kanslib.course import Moment, Script
from kanslib.errors import ClusterError, NodeDown, NotRecorded, RecordingError, UnknownName
from kanslib.objects import KubeObject, WatchEvent, endpoints_of, identity, plural
from kanslib.packets import capture
from kanslib.packets.capture import Frame
from kanslib.provenance import Provenance
from kanslib.recording.acts import numbered, reference, said, spelled
from kanslib.recording.clock import OPENING, Clock
from kanslib.recording.effects import already, labelled
from kanslib.recording.format import Verb
from kanslib.text import Text, merged
from kanslib.worlds.protocol import Places, Sighting, Window
from kanslib.worlds.recorded import BEFORE_ACT, RecordedWorld

_LOOK_TAKES = 1.0  # seconds: a look that is to tell of a moment begins before it
PREPARE = "prepare"  # what is done to bring the cluster to where a story begins


class LiveWorld:
    """A story on the course's own cluster. Implements `World`."""

    def __init__(self, story: str) -> None:
        if story not in course.SCRIPTS:
            raise UnknownName("story", story, course.SCRIPTS)
        self._session = session()
        self._hands = self._session.hands
        self.script: Script = course.SCRIPTS[story]
        self._past: RecordedWorld | None = None
        self._to_opening()

    def _to_opening(self) -> None:
        self._session.opens(self.script.name, self._finish)
        opening = self.script.opening
        if not self._hands.is_at(opening):
            self._session.act(PREPARE, lambda: self._hands.reach(opening, f"opening {self.script.name}"))
        if self.script.neutral:
            deeds.flush_client()
        if self._session.thorough:
            self._session.full_look()
        self._opened = self._zero = time.time()
        self.standing = OPENING
        lesson = self.script in course.LESSON_PARTS
        self._session.journal.story(self._opened, self.script.name, self.script.title, self.script.neutral, lesson)

    def _finish(self) -> None:
        """Do what the story has still to tell: a recorder wants all of it, whatever a chapter leaves out."""
        self._past = None
        told = {acted.name for acted in self._session.acted if acted.story == self.script.name}
        for moment in self.script.moments:
            if moment.id not in told:
                self._bring_to(moment)

    # ── who answers ──────────────────────────────────────────────────────────────────────────────────────

    def banner(self) -> str:
        name = f"story {self.script.name!r}: {self.script.title}"
        return f"live · {name}\nthe course's own cluster {CLUSTER}, now · {self._versions()}"

    def provenance(self) -> Provenance:
        if self._past:
            return self._remembered(self._past.provenance())
        return Provenance("live", time.time(), self.standing, self._versions())

    def _remembered(self, origin: Provenance) -> Provenance:
        notes = (*origin.notes, "as this kernel saw it then")
        return replace(origin, source="live", after=self.standing, versions=self._versions(), notes=notes)

    def _versions(self) -> str:
        nodes = self._session.watches.objects("nodes")
        told = [f"Kubernetes {nodes[0]['status']['nodeInfo']['kubeletVersion']}"] if nodes else []
        for daemons in self._session.watches.objects("daemonsets"):
            if daemons["metadata"]["name"] == "speaker":
                image = daemons["spec"]["template"]["spec"]["containers"][0]["image"]
                told.append(f"MetalLB {image.rpartition(':')[2]}")
        return " · ".join(told)

    def places(self) -> Places:
        there = self._session.look_around()
        nodes = tuple(name for name, one in there.items() if not one.owned)
        router = ROUTER if ROUTER in there else None
        known = {name: self._session.addresses.get(name, "") for name in (*nodes, CLIENT, ROUTER) if name in there}
        return Places(CLIENT if CLIENT in there else None, CONTROL_PLANE, router, nodes, self._hands.network, known)

    # ── reads ────────────────────────────────────────────────────────────────────────────────────────────

    def objects(self, kind: str) -> list[KubeObject]:
        if self._past:
            return self._past.objects(kind)
        if plural(kind) in PATHS:
            return self._session.watches.objects(plural(kind))
        return self._listed(plural(kind))

    def _listed(self, kind: str) -> list[KubeObject]:
        import json

        ran = kubectl(f"get {kind} -A -o json")
        if ran.rc:
            raise UnknownName("kind", kind, PATHS)
        return sorted(
            json.loads(ran.out)["items"], key=lambda o: (o["metadata"].get("namespace", ""), o["metadata"]["name"])
        )

    def log(self, component: str, node: str | None) -> Text:
        if self._past:
            return self._told_by_past(self._past.log(component, node))
        if node is not None:
            self._refuse_down(node)
        found = [entry for entry in logs(self._session.watches, component) if node in (None, entry[1])]
        if not found:
            raise NotRecorded(
                f"a log of {component!r}" + (f" on {node}" if node else ""), hint="lab.pods() shows who runs where"
            )
        return self._text("\n".join(line for _, line in merged({pod: text for pod, _, text in found})))

    def _told_by_past(self, text: Text) -> Text:
        return Text(text, self._remembered(text.provenance), self._zero)

    def _text(self, content: str, moment: float | None = None) -> Text:
        origin = self.provenance()
        return Text(content, replace(origin, moment=moment) if moment else origin, self._zero)

    def run(self, place: str, command: str) -> Text:
        if self._past:
            return self._told_by_past(self._past.run(place, command))
        self._refuse_down(place)
        ran = self._session.read(place, command)
        return self._text(ran.said, ran.t)

    def _refuse_down(self, place: str) -> None:
        if place == HOST:
            return
        there = {name: one for name, one in self._session.look_around().items() if not name.startswith("kans-")}
        if place not in there:
            raise UnknownName("place", place, [HOST, *there])
        if not there[place].running:
            since = next(
                (a.name for a in reversed(self._session.acted) for s in a.steps if s.targets[:1] == (place,)),
                "before this lab was opened",
            )
            raise NodeDown(place, since, [name for name, one in there.items() if one.running])

    def requests(self, target: str, times: int, source: str) -> tuple[Text, int]:
        self._refuse_past("requests")
        self._refuse_down(source)
        ran = self._session.read(source, traffic.requested(target, times))
        return self._text(ran.out, ran.t), times

    def _refuse_past(self, what: str) -> None:
        if self._past:
            raise NotRecorded(
                f"{what} at a moment that has passed",
                hint=f"back to now: lab.at({self.standing!r}); or in the recorded world, where the clock goes anywhere",
            )

    def scan(self, source: str) -> Text:
        self._refuse_past("an ARP scan")
        wanted = traffic.within(self._pool(), self._hands.network)
        if source == HOST:
            return self._sweep(wanted)
        self._refuse_down(source)
        command, ran = traffic.scan(source, wanted)
        self._session.keep(source, command, ran)
        return self._text(ran.out, ran.t)

    def _sweep(self, wanted: Sequence[str]) -> Text:
        found = docker.network()
        began = time.time()
        text = traffic.printed(traffic.sweep(wanted, found.bridge if found else ""))
        command = f"arp-scan (scapy) {wanted[0]}-{wanted[-1]}"
        self._session.journal.read(HOST, command, (began, time.time()), 0, text.encode())
        return self._text(text, began)

    def _pool(self) -> list[str]:
        pools = self.objects("ipaddresspools")
        found = [ip for pool in pools for spec in pool["spec"]["addresses"] for ip in addresses(spec)]
        if not found:
            raise ClusterError("there is no IPAddressPool, so there is nothing to scan: lab.apply(manifests.pool)")
        return found

    def macs(self) -> dict[str, str]:
        self._session.look_around()
        return dict(self._session.macs)

    def follow(self, target: str, service: str) -> tuple[list[Sighting], Provenance]:
        self._refuse_past("a request")
        ways = list(self._way(service))
        files = [self._session.journal.path / "reads" / f"hop-{time.time():.6f}-{i}.pcap" for i in range(len(ways))]
        began = time.time()
        captures = [
            traffic.Capture(f"container:{place}", interface, f"tcp port {port}", file, snap=128)
            for (place, interface, port), file in zip(ways, files, strict=True)
        ]
        self._session.read(CLIENT, traffic.requested(target, 1))
        for place, _, port in ways:
            if place != CLIENT:
                self._session.read(place, f"conntrack -L -p tcp --dport {port}")
        for one in captures:
            one.stop()
        sightings = []
        for (place, interface, port), file in zip(ways, files, strict=True):
            content = file.read_bytes()
            file.unlink()
            command = f"tcpdump -i {interface} tcp port {port}"
            self._session.journal.read(place, command, (began, time.time()), 0, content)
            sightings.append(Sighting(place, interface, tuple(capture.read(io.BytesIO(content), command))))
        return sightings, self.provenance()

    def _way(self, service: str) -> Iterator[tuple[str, str, int]]:
        """Where a request to the Service can be seen: place, interface, port."""
        from kanslib.cluster import waits

        port = self._port(service)
        yield CLIENT, "eth0", port[0]
        leader = waits.leaders(self._session.watches).get(service)
        if leader:
            yield leader, "eth0", port[0]
        for endpoint in endpoints_of(self.objects("endpointslices"), service):
            node, address = endpoint["nodeName"], endpoint["addresses"][0]
            found = re.search(r"dev (\S+)", docker.inside(node, f"ip route get {address}").out)
            if found:
                yield node, found[1], port[1]

    def _port(self, service: str) -> tuple[int, int]:
        spec = next(o for o in self.objects("services") if o["metadata"]["name"] == service)["spec"]["ports"][0]
        return int(spec["port"]), int(spec["targetPort"])

    # ── acts ─────────────────────────────────────────────────────────────────────────────────────────────

    def apply(self, documents: Sequence[KubeObject]) -> Text:
        kinds = {document["kind"] for document in documents}
        there = {identity(obj): obj for kind in kinds for obj in self._session.watches.objects(plural(kind))}
        if all(already(document, there.get(identity(document))) for document in documents):
            self._past = None
            return self._text("\n".join(f"{reference(document)} unchanged" for document in documents))
        keys = {identity(document) for document in documents}
        return self._do("apply", keys, lambda: [self._hands.apply(documents)])

    def delete(self, references: Sequence[str]) -> Text:
        known = {
            spelled(f"{kind}/{obj['metadata']['name']}")
            for kind in {ref.partition("/")[0] for ref in references}
            for obj in self.objects(kind)
        }
        wanted = set(map(spelled, references))
        if not wanted & known:
            return self._text("\n".join(f"{ref} not found" for ref in references))
        return self._do("delete", wanted, lambda: [self._hands.delete(references)])

    def act(self, verb: Verb, targets: Sequence[str]) -> Text:
        if self._in_force(verb, targets):
            self._past = None
            return self._text(f"{said(verb, targets)}: already so")
        return self._do(verb, set(targets), lambda: [self._hands.act(verb, targets)])

    def _in_force(self, verb: Verb, targets: Sequence[str]) -> bool:
        from kanslib.cluster import waits

        if verb == "install_metallb":
            return waits.installed(self._session.watches)
        if verb == "label":
            return labelled(self.objects("nodes"), targets[0], targets[1:])
        force = {(one.verb, one.target) for one in deeds.in_force(self._session.watches.objects)}
        target = targets[0] if targets and verb in ("kill_node", "cut_link", "start_node", "mend_link") else None
        undoes = {undo: did for did, undo in deeds.UNDO.items()}
        named = {v for v, t in force if target in (None, t)}
        return undoes[verb] not in named if verb in undoes else verb in named

    def _do(self, verb: Verb, about: set[Any], work: Any) -> Text:
        """Do an act of the learner's, named as the script names it where it is the script's next of its kind."""
        self._past = None
        done: list[Done] = []
        name = self._name(verb, about)

        def both() -> float:
            done.extend(work())
            return self._hands.settle(name, done)

        acted = self._session.act(name, both)
        if acted:
            self._stand(acted)
        return self._text("\n".join(step.output for step in done).strip())

    def _stand(self, acted: Acted) -> None:
        self.standing, self._zero = acted.name, acted.t

    def _name(self, verb: Verb, about: set[Any]) -> str:
        ahead = self.script.ahead(self.standing)
        moment = next((m for m in ahead if course.leads_to(m, self.script.before(m), verb, about)), None)
        if moment:
            return moment.id
        plain = verb.replace("_", "-")
        if verb in ("apply", "delete") and about:
            plain += "-" + sorted(str(one[2]) if isinstance(one, tuple) else one.rpartition("/")[2] for one in about)[0]
        return numbered([*(acted.name for acted in self._mine()), plain])[-1]

    def _mine(self) -> list[Acted]:
        return [acted for acted in self._session.acted if acted.t >= self._opened and acted.name != PREPARE]

    # ── observation ──────────────────────────────────────────────────────────────────────────────────────

    @contextmanager
    def observing(self, vips: Sequence[str], seconds: float, looks: Sequence[float]) -> Iterator[None]:
        self._past = None
        before = len(self._session.acted)
        probes = traffic.Probes(vips, lambda row: self._session.probe(dict(row)))
        over = threading.Event()
        watcher = threading.Thread(target=self._look_on, args=(before, looks, bool(vips), over), daemon=True)
        time.sleep(3.0 if vips else 0.5)  # a stretch of calm, to compare with
        watcher.start()
        try:
            yield
            acted = self._session.acted[before:]
            zero = acted[0].t if acted else time.time()
            end = max([zero + offset for offset in looks] + [time.time() + seconds])
            time.sleep(max(0.0, end - time.time()))
        finally:
            over.set()
            watcher.join(20)
            probes.stop()

    def _look_on(self, before: int, looks: Sequence[float], remembers: bool, over: threading.Event) -> None:
        """Full looks at their seconds after the act's first step; and what the client remembers, again and again."""
        due, neighbours = sorted(looks), time.time()
        while not over.wait(0.2):
            doing = self._session.doing()
            zero = doing if doing else (self._session.acted[before].t if len(self._session.acted) > before else None)
            if zero is not None and due and time.time() >= zero + due[0] - _LOOK_TAKES:
                due.pop(0)
                self._session.full_look()
            if remembers and time.time() >= neighbours:
                neighbours = time.time() + 3
                self._session.read(CLIENT, "ip -j neigh")

    def passed(self, window: Window) -> None:
        """Time passes by itself here."""

    def window(self, seconds: float) -> Window:
        del seconds
        later = [one.t for one in self._session.acted if one.t > self._zero]
        return Window(self._zero - BEFORE_ACT, self._zero, min([time.time(), *later]), self.standing)

    def probes(self, window: Window) -> list[dict[str, Any]]:
        rows = sorted(self._session.probes, key=lambda row: float(str(row["t"])))
        found = [row for row in rows if window.start <= float(str(row["t"])) <= window.end]
        if not found:
            raise NotRecorded(
                f"probes around {window.act}",
                hint="live, requests are sent while you observe: with lab.observe(probes=['svc1']): …",
            )
        return found

    def frames(self, window: Window) -> list[Frame]:
        kept = self._session.captured().read_bytes()
        with warnings.catch_warnings(), suppress(RecordingError):
            warnings.simplefilter("ignore", capture.CaptureWarning)  # the last frame is still being written
            return [f for f in capture.read(io.BytesIO(kept), "bridge") if window.start <= f.time <= window.end]
        return []

    def segments(self, window: Window) -> tuple[Window, list[Frame], Provenance]:
        return window, [frame for frame in self.frames(window) if frame.tcp], self.provenance()

    def looks(self, command: str, window: Window) -> list[tuple[float, str, str]]:
        """What this kernel's own looks at the nodes have printed."""
        return self._journal_as_world(window.end).looks(command, window) if self._session.acted else []

    def changes(self, kind: str, window: Window) -> list[WatchEvent]:
        return [event for event in self._session.watches.events(plural(kind)) if event.t <= window.end]

    # ── time ─────────────────────────────────────────────────────────────────────────────────────────────

    def stands(self) -> Clock | None:
        return None

    def undisturbed(self, stood: Clock | None = None) -> AbstractContextManager[None]:
        del stood
        return nullcontext()

    def now(self) -> float:
        return self._past.now() if self._past else time.time()

    def at(self, moment: str, after: float | None) -> None:
        if after is not None:
            return self._remember(moment, after)
        self._past = None
        if moment == OPENING:
            if self.standing != OPENING or not self._hands.is_at(self.script.opening):
                self._to_opening()
            return None
        known = {one.id: one for one in self.script.moments}
        acted = {one.name for one in self._mine()}
        if moment not in known and moment not in acted:
            raise UnknownName("moment", moment, [OPENING, *known])
        if moment in known:
            self._bring_to(known[moment])
        return None

    def _bring_to(self, moment: Moment) -> None:
        there = self._hands.is_at(moment.after)
        if self.standing == moment.id and there:
            return
        if moment.speaker_pod or not there:
            before = self.script.before(moment)
            if not self._hands.is_at(before):
                self._session.act(PREPARE, lambda: self._hands.reach(before, f"before {moment.id}"))
            acted = self._session.act(moment.id, lambda: self._perform(moment))
            if acted:
                self._stand(acted)
        self.standing = moment.id
        done = [one for one in self._session.acted if one.name == moment.id]
        self._zero = done[-1].t if done else time.time()

    def _perform(self, moment: Moment) -> float | None:
        if moment.speaker_pod:
            return self._hands.settle(moment.id, [self._hands.delete_speaker_pod("svc1")])
        return self._hands.reach(moment.after, moment.id)

    def _remember(self, moment: str, after: float) -> None:
        """Stand at a moment that this kernel itself has seen."""
        done = [one for one in self._session.acted if one.name == moment]
        if not done or done[-1].t + after > time.time():
            raise NotRecorded(
                f"{after:g} s after {moment}: this kernel did not see it",
                [f"{one.name} (until +{time.time() - one.t:.0f} s)" for one in self._session.acted],
                "see it live: with lab.observe(looks=(15, 60)): lab.kill_node(…)\n"
                f"or on the recording: kanslib.open_lab(story={self.script.name!r}, world='recorded')",
            )
        self._past = self._journal_as_world(done[-1].t + after)
        self._past.at_time(done[-1].t + after)
        self.standing, self._zero = done[-1].name, done[-1].t

    def _journal_as_world(self, moment: float) -> RecordedWorld:
        """The journal so far as a recorded world; the one that was made last, if it reaches to that moment."""
        from kanslib.recording.convert import convert

        kept = self._session.seen
        if kept is None or kept.manifest.takes[-1].end < moment + _LOOK_TAKES:
            self._session.describe()
            journal = self._session.journal.path
            kept = self._session.seen = convert([journal], journal / f"seen-{time.time():.3f}.zip")
        return RecordedWorld(kept)

    def at_time(self, moment: float) -> None:
        done = [one for one in self._session.acted if one.t <= moment]
        if not done or moment > time.time():
            raise NotRecorded(
                f"the moment {moment}", hint="live, a lab remembers only what this kernel itself has seen"
            )
        self._remember(done[-1].name, moment - done[-1].t)

    def restore(self) -> Text:
        """Undo what is in force, and bring the cluster back to the story's opening."""
        undone = [f"{one.verb} {one.target}".strip() for one in deeds.in_force(self._session.watches.objects)]
        self.at(OPENING, None)
        return self._text("back at the opening" + (f"; undone: {', '.join(undone)}" if undone else ""))

    def acts(self) -> list[dict[str, Any]]:
        return [self._row(acted) for acted in self._mine()]

    def _row(self, acted: Acted) -> dict[str, Any]:
        done = " · ".join(said(step.verb, step.targets) for step in acted.steps)
        return {
            "MOMENT": acted.name,
            "AT": round(acted.t - self._opened, 1),
            "SETTLED AFTER": round(acted.settled - acted.t, 1),
            "DONE": "" if self.script.neutral else done,
        }

    def moments(self) -> list[dict[str, Any]]:
        done = {row["MOMENT"]: row for row in self.acts()}
        names = [OPENING, *(moment.id for moment in self.script.moments)]
        names += [name for name in done if name not in names]
        empty = {"AT": None, "SETTLED AFTER": None, "DONE": ""}
        return [
            {
                **empty,
                "MOMENT": name,
                **done.get(name, {}),
                "LOOKS AFTER": "",
                "HERE": "←" if name == self.standing else "",
            }
            for name in names
        ]
