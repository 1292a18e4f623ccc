"""Convert raw recordings to one recording of format 1."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from msgspec import UNSET
from msgspec.structs import replace

from kanslib.actions import ACTIONS, Verb, deduplicate
from kanslib.exceptions import ManifestError, RecordingError
from kanslib.i18n import tr
from kanslib.k8s.logs import with_timestamps
from kanslib.k8s.objects import WatchEvent, key_of
from kanslib.recording import Recording
from kanslib.recording.format import (
    FORMAT,
    READS,
    Action,
    CommandOutput,
    Manifest,
    ProbeRow,
    RecordedStep,
    Segment,
    Story,
    WatchRow,
    decode_text,
    encode_rows,
    verb_on_disk,
)
from kanslib.recording.raw import settling
from kanslib.recording.raw.commands import ClusterNames, interpret
from kanslib.recording.raw.files import HOST, RawAction, RawOutput, RawRecording
from kanslib.recording.writer import RecordingWriter

# verbs that name their action, whatever the recording script called it
_NAMED_BY_VERB: set[Verb] = {
    "create_cluster", "start_client", "install_metallb", "kill_node", "start_node", "link_down", "link_up",
    "start_router", "stop_router", "route_client", "unroute_client",
}  # fmt: skip
_SETUP: set[Verb] = {"create_cluster", "start_client"}

WHOLE_LESSON = "l2"
# titles of stories that cover a whole segment, by its name
SEGMENT_TITLES = {
    "l2": "The whole lesson, on layer 2",
    "bgp": "MetalLB and a router that speaks BGP",
    "bgp-silent": "A link is cut: under BGP, then on layer 2",
}

REDACTIONS = (
    "managedFields left out of every object",
    "paths of the recording machine left out of commands",
    "one command that queried every node in turn is kept as one output a node",
    "what a later segment repeats of an earlier one of the same cluster is kept once",
)
RECORDER_REDACTIONS = (
    "managedFields left out of every object",
    "captures keep ARP, ping, BGP, and how the client's connections begin and end, 192 bytes of each frame",
    "gossip (encrypted) is kept only around a node's loss and return",
)


@dataclass(frozen=True)
class ChapterSpan:
    """A chapter's story: it opens when the action `after` has settled, and ends when the action `until` begins."""

    name: str
    title: str
    after: str
    until: str


CHAPTERS = (
    ChapterSpan("service-types", "Three types of Service, before MetalLB", "start-client", "install-metallb"),
    ChapterSpan("metallb", "MetalLB from install to an address", "delete-service-types", "kill-node"),
    ChapterSpan("arp", "Who answers for the address?", "apply-services", "kill-node"),
    ChapterSpan("iptables", "From the leader to a pod", "apply-services", "kill-node"),
    ChapterSpan("election", "Who leads, and why", "apply-services", "apply-etp-local"),
    ChapterSpan("failover", "The leader dies", "apply-services-2", "apply-etp-local"),
    ChapterSpan("etp-local", "Traffic policy, affinity, source ranges", "include-leader", "break-no-l2advertisement"),
)


@dataclass(frozen=True)
class Labels:
    """What raw recordings do not contain: a title, versions, and the substitutes."""

    title: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    substitutes: tuple[str, ...] = ()


def convert(
    raws: Sequence[Path],
    out: Path,
    labels: Labels | None = None,
    check: Callable[[Recording], object] = lambda _recording: None,
) -> Recording:
    """Write the raw recordings as one recording to `out` (a .zip, else a directory) and open it.

    `check` gets the recording before it is written; what it raises leaves nothing behind. Raises RecordingError for a
    folder that is not a raw recording or for two that overlap in time, and FileExistsError when `out` exists.
    """
    if out.exists():
        raise FileExistsError(out)
    labels = labels or Labels()
    sources = sorted((RawRecording(path) for path in raws), key=lambda raw: raw.span)
    _refuse_overlap(sources)
    writer = RecordingWriter()
    segments = _segments(sources)
    actions = [action for raw in sources for action in _actions(raw)]
    _write_objects(sources, writer)
    _write_logs(sources, writer)
    _write_reads(sources, writer)
    _write_captures(sources, writer)
    _write_probes(sources, writer)
    manifest = Manifest(
        format=FORMAT,
        title=labels.title or ", ".join(raw.name for raw in sources),
        versions={**_versions(sources), **labels.versions},
        substitutes=labels.substitutes,
        redactions=RECORDER_REDACTIONS if any(raw.stories for raw in sources) else REDACTIONS,
        segments=tuple(segments),
        actions=tuple(actions),
        stories=tuple(_stories(sources, segments, actions)),
        files=writer.entries(),
    )
    check(writer.recording(manifest, out))
    writer.write(manifest, out)
    return Recording.open(out)


def _refuse_overlap(sources: Sequence[RawRecording]) -> None:
    names = Counter(raw.name for raw in sources)
    for name, count in names.items():
        if count > 1:
            raise RecordingError(name, tr("two raw recordings of this name: rename one folder"))
    for earlier, later in pairwise(sources):
        if later.span[0] < earlier.span[1]:
            raise RecordingError(
                str(later.path), tr("overlaps in time with {name}: convert them one by one", name=earlier.name)
            )


# ── segments ────────────────────────────────────────────────────────────────────────────────────────────────


def _segments(sources: Sequence[RawRecording]) -> list[Segment]:
    addresses: dict[str, dict[str, str]] = {}
    segments = []
    for raw in sources:
        by_name = addresses.setdefault(raw.cluster, {})
        by_name |= _addresses(raw)
        client, router = _client(raw), _router(raw)
        segments.append(
            Segment(
                id=raw.name,
                start=raw.span[0],
                end=raw.span[1],
                cluster=raw.cluster,
                network=raw.places.network if raw.places else raw.network,
                client=client,
                router=router,
                control_plane=raw.control_plane,
                nodes=tuple(sorted(raw.nodes)),
                addresses={name: by_name[name] for name in (*sorted(raw.nodes), client, router) if name in by_name},
            )
        )
    return segments


def _addresses(raw: RawRecording) -> dict[str, str]:
    if raw.places:
        return dict(raw.places.addresses)
    found = dict(raw.node_addresses)
    for action in raw.actions:
        options = re.search(r"--name[ =](\S+).*--ip[ =](\S+)", action.command)
        if options:
            found[options[1]] = options[2]
    for read in raw.reads:
        interface = re.search(rb"^Interface: .* IPv4: (\S+)$", read.content, re.MULTILINE)
        if interface and "arp-scan" in read.command:
            found.setdefault(read.place, interface[1].decode())
    return found


def _router(raw: RawRecording) -> str | None:
    if raw.places:
        return raw.places.router
    return next((r.place for r in raw.reads if r.command.startswith("vtysh") and r.place not in raw.nodes), None)


def _client(raw: RawRecording) -> str | None:
    """Return the container, neither node nor router, that sent most requests and scans."""
    if raw.places:
        return raw.places.client
    counts = Counter(
        read.place
        for read in raw.reads
        if re.search(r"\b(curl|arp-scan|ping)\b", read.command) and read.place not in (*raw.nodes, HOST)
    )
    counts.pop(_router(raw) or "", None)
    return counts.most_common(1)[0][0] if counts else None


# ── actions ─────────────────────────────────────────────────────────────────────────────────────────────────


def _actions(raw: RawRecording) -> list[Action]:
    """Return the actions of one segment: consecutive commands of one name are one action, repeats get a number."""
    groups: list[tuple[str, list[RecordedStep]]] = []
    ids: list[str] = []
    for raw_action in raw.actions:
        step = _step(raw, raw_action)
        name = _name(raw_action, step)
        if groups and ids[-1] == raw_action.group and (groups[-1][0] == name or _only_waits(groups[-1][1])):
            groups[-1] = (name, [*groups[-1][1], step])
        else:
            groups.append((name, [step]))
            ids.append(raw_action.group)
    changed = settling.changes(raw.watches)
    names = deduplicate(name for name, _ in groups)
    ends = [*(steps[0].t for _, steps in groups[1:]), raw.span[1]]
    actions = []
    for name, group, (_, steps), following in zip(names, ids, groups, ends, strict=True):
        settled = raw.settled.get(group) or _settled_at(raw, steps, changed, following)
        actions.append(Action(name, raw.name, settled, tuple(steps)))
    return actions


def _step(raw: RawRecording, action: RawAction) -> RecordedStep:
    stdin, output = action.stdin or "", action.output or ""
    verb, targets = action.recorded_verb, action.targets
    if verb is None:
        try:
            found, targets = interpret(action.command, stdin, output, ClusterNames(raw.nodes, raw.vips))
        except ManifestError as exc:
            raise RecordingError(f"{raw.name}/acts.ndjson", f"action {action.label!r}: {exc}") from None
        verb = verb_on_disk(found)
    return RecordedStep(action.t, action.end, verb, targets, stdin, action.command, action.rc, output)


def _only_waits(steps: Sequence[RecordedStep]) -> bool:
    return all(step.verb == "wait" for step in steps)


def _name(action: RawAction, step: RecordedStep) -> str:
    if action.recorded_verb is not None:
        return action.label
    if action.label.startswith(("break-", "fix-")) or step.verb not in _NAMED_BY_VERB:
        return re.sub(r"-again$", "", action.label)
    return verb_on_disk(step.verb).replace("_", "-")


def _settled_at(raw: RawRecording, steps: Sequence[RecordedStep], changed: Sequence[float], until: float) -> float:
    if ACTIONS[steps[0].verb].loses_node:
        settled = settling.settled_after_loss(raw.watches, steps[0].targets[0], steps[0].t, until)
        # when the next action began before all effects were complete, the last change counts
        return settled if settled is not None else settling.last_change(changed, steps[-1].end, until)
    end = steps[-1].end
    query = next((read.t for read in raw.reads if read.t >= end), until)
    return settling.last_change(changed, end, min(query, until))


# ── stories ──────────────────────────────────────────────────────────────────────────────────────────────


def _stories(
    sources: Sequence[RawRecording], segments: Sequence[Segment], actions: Sequence[Action]
) -> Iterator[Story]:
    if any(raw.stories for raw in sources):
        yield from (
            story for raw, segment in zip(sources, segments, strict=True) for story in _journal_stories(raw, segment)
        )
        return
    stories: set[str] = set()
    for raw, segment in zip(sources, segments, strict=True):
        own = [action for action in actions if action.segment == segment.id]
        lessons = [action for action in own if not action.id.startswith(("break-", "fix-"))]
        if lessons or not own:
            # the actions break-… are stories of their own: their names here would give the diagnoses away
            end = next((action.t for action in own if action.id.startswith("break-")), segment.end)
            yield Story(
                segment.id, SEGMENT_TITLES.get(segment.id, f"All of {segment.id}"), segment.id, _opening(raw, own), end
            )
        for story in _chapters(segment, own):
            if story.name not in stories:
                yield story
            stories.add(story.name)
    number = 0
    for raw, segment in zip(sources, segments, strict=True):
        own = [action for action in actions if action.segment == segment.id]
        for broken, following in zip(own, [*own[1:], None], strict=True):
            fixed_at = following.t if following else segment.end
            was_queried = any(broken.end <= read.t < fixed_at for read in raw.reads)
            if broken.id.startswith("break-") and was_queried:
                number += 1
                end = _until_next(own, following, segment)
                yield Story(f"case-{number}", f"Case {number}", segment.id, broken.settled, end, hide_actions=True)


def _journal_stories(raw: RawRecording, segment: Segment) -> Iterator[Story]:
    """Yield a journal's stories, each from its first opening until another one opens; the whole lesson comes first."""
    stories: dict[str, Story] = {}
    lesson: list[Story] = []
    open_name = ""
    for number, row in enumerate(raw.stories):
        name = row.name
        if not name:
            continue
        later = raw.stories[number + 1 :]
        end = next((one.t for one in later if one.name != name), segment.end)
        if name not in stories:
            stories[name] = Story(name, row.title, segment.id, row.t, end, row.hide_actions)
        elif name == open_name:  # opened again without another in between: it continues
            stories[name] = replace(stories[name], end=end)
        open_name = name
        if row.lesson:
            lesson.append(stories[name])
    if len({story.name for story in lesson}) > 1 and WHOLE_LESSON not in stories:
        yield Story(
            WHOLE_LESSON, SEGMENT_TITLES[WHOLE_LESSON], segment.id, lesson[0].start, max(one.end for one in lesson)
        )
    yield from stories.values()


def _until_next(actions: Sequence[Action], action: Action | None, segment: Segment) -> float:
    if action is None:
        return segment.end
    after = actions[actions.index(action) + 1 :]
    return after[0].t if after else segment.end


def _opening(raw: RawRecording, actions: Sequence[Action]) -> float:
    """Return when the cluster is complete: its set-up has settled, or the watches have listed the objects."""
    ready = [events[0].t for kind, events in raw.watches.items() if kind in ("nodes", "pods", "services") and events]
    opening = max([raw.span[0], *ready])
    for action in actions:
        if action.steps[0].verb not in _SETUP:
            break
        opening = max(opening, action.settled)
    return opening


def _chapters(segment: Segment, actions: Sequence[Action]) -> Iterator[Story]:
    by_name = {action.id: action for action in actions}
    for chapter in CHAPTERS:
        if chapter.after in by_name and chapter.until in by_name:
            start, end = by_name[chapter.after].settled, by_name[chapter.until].t
            if start < end:
                yield Story(chapter.name, chapter.title, segment.id, start, end)


# ── files ────────────────────────────────────────────────────────────────────────────────────────────────


def _write_objects(sources: Sequence[RawRecording], writer: RecordingWriter) -> None:
    for kind in sorted({kind for raw in sources for kind in raw.watches}):
        rows = (WatchRow(event.t, event.type, event.object or UNSET) for event in _merged_events(sources, kind))
        writer.add(f"objects/{kind}.ndjson", encode_rows(rows))


def _merged_events(sources: Sequence[RawRecording], kind: str) -> Iterator[WatchEvent]:
    """Yield the watch events of all segments: a LIST where another cluster begins, else only changes."""
    current: dict[tuple[str, str], dict[str, Any]] = {}
    for number, raw in enumerate(sources):
        events = raw.watches.get(kind, [])
        start = raw.span[0]
        if number and raw.cluster != sources[number - 1].cluster:
            current.clear()
            yield WatchEvent(start, "LIST", {})
        elif number:
            yield from _deletions(current, _initial_list(events), start)
        for event in events:
            key = key_of(event.object)
            if event.type == "ADDED" and current.get(key) == event.object:
                continue
            if event.type == "DELETED":
                current.pop(key, None)
            else:
                current[key] = event.object
            yield event


def _initial_list(events: Sequence[WatchEvent]) -> list[WatchEvent]:
    """Return the initial list of a watch: the leading ADDED events, all within a second."""
    listed: list[WatchEvent] = []
    for event in events:
        if event.type != "ADDED" or event.t > events[0].t + 1.0:
            break
        listed.append(event)
    return listed


def _deletions(
    current: dict[tuple[str, str], dict[str, Any]], listed: Sequence[WatchEvent], start: float
) -> Iterator[WatchEvent]:
    """Yield DELETED for objects that were deleted between two segments, and remove them from `current`."""
    present = {key_of(event.object) for event in listed}
    moment = min([start, *(event.t for event in listed[:1])])
    for key in sorted(set(current) - present):
        yield WatchEvent(moment, "DELETED", current.pop(key))


def _write_logs(sources: Sequence[RawRecording], writer: RecordingWriter) -> None:
    logs: dict[str, dict[str, None]] = {}
    for raw in sources:
        for name in raw.names("logs", ".log"):
            text = decode_text(raw.content(name), f"{raw.name}/{name}")
            logs.setdefault(name, {}).update(dict.fromkeys(text.splitlines()))
    for name, lines in logs.items():
        ordered = [line for _, line in sorted(with_timestamps(lines), key=lambda pair: pair[0])]
        writer.add(name, "".join(line + "\n" for line in ordered).encode())


def _write_reads(sources: Sequence[RawRecording], writer: RecordingWriter) -> None:
    numbers: Counter[str] = Counter()
    rows = []
    for read in (read for raw in sources for read in raw.reads):
        stem = f"reads/{_slug(read.place)}/{_slug(read.command)}"
        numbers[stem] += 1
        file = writer.add(f"{stem}/{numbers[stem]:03}{_suffix(read)}", read.content)
        rows.append(CommandOutput(read.t, read.end, read.place, read.command, read.rc, file))
    writer.add(READS, encode_rows(rows))


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._]+", "-", text).strip("-.")[:60].strip("-.") or "command"


def _suffix(read: RawOutput) -> str:
    if read.command.startswith("tcpdump "):
        return ".pcap"
    return ".json" if read.content[:1] in (b"[", b"{") else ".txt"


def _write_captures(sources: Sequence[RawRecording], writer: RecordingWriter) -> None:
    for raw in sources:
        for name in raw.names("captures", ".pcap", ".pcapng", ".gz"):
            writer.add(f"captures/{raw.name}/{name.removeprefix('captures/')}", raw.content(name))


def _write_probes(sources: Sequence[RawRecording], writer: RecordingWriter) -> None:
    for raw in sources:
        for name in raw.names("probes", ".ndjson"):
            rows = sorted(raw.rows(name, ProbeRow), key=lambda row: row.t)
            writer.add(f"probes/{raw.name}/{name.removeprefix('probes/')}", encode_rows(rows))


# ── versions ─────────────────────────────────────────────────────────────────────────────────────────────


def _versions(sources: Sequence[RawRecording]) -> dict[str, str]:
    """Return the versions that the raw recordings contain."""
    found: dict[str, str] = {}
    for raw in sources:
        found.setdefault("kubernetes", raw.nodes[raw.control_plane].status.info.kubelet_version)
        for event in raw.watches.get("daemonsets", []):
            containers = event.object["spec"]["template"]["spec"]["containers"]
            for image in (c["image"] for c in containers if event.object["metadata"]["name"] == "speaker"):
                found.setdefault("metallb", image.rpartition(":")[2])
        for read in raw.reads:
            frr = re.search(rb"^frr version (\S+)", read.content[:300], re.MULTILINE)
            if frr:
                found.setdefault("frr", frr[1].decode())
    return found
