"""Recording format 1: a directory or a zip that anybody can open with kubectl, Wireshark or less.

    manifest.json           format, title, versions, takes, acts, stories, and sha256 and size of every file
    objects/<kind>.ndjson   watch events {"t", "type", "object"}; a LIST line: from here on another cluster
    logs/<pod>@<node>.log   kubectl logs --timestamps
    reads.ndjson            which command printed which file: {"t", "end", "place", "command", "rc", "file"}
    reads/<place>/…         the exact text that was printed; the same text is stored once
    captures/*.pcap         frames
    probes/*.ndjson         one HTTP request a line

Times are Unix seconds throughout. The manifest's keys are those of format 1, whatever they are called in memory:
`takes` are segments, `acts` are actions, `stand_ins` are substitutes, `neutral` hides a story's actions.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from kanslib.actions import ACTIONS, Verb
from kanslib.exceptions import RecordingError

FORMAT = 1
MANIFEST = "manifest.json"
READS = "reads.ndjson"

# verbs that have another name on disk; `patch` of the speakers is told apart by its command
_ON_DISK: dict[Verb, str] = {
    "link_down": "cut_link", "link_up": "mend_link",
    "add_conflicting_host": "add_squatter", "remove_conflicting_host": "remove_squatter",
    "stop_speakers": "patch", "start_speakers": "patch",
}  # fmt: skip
_IN_MEMORY: dict[str, Verb] = {on_disk: verb for verb, on_disk in _ON_DISK.items()}
_SPEAKERS = re.compile(r"(ds|daemonsets?)/speaker")
_SPEAKERS_AGAIN = re.compile("remove|undo|rollout|null")  # the node selector that kept the speakers away goes


def verb_on_disk(verb: Verb) -> str:
    """Return a verb as format 1 writes it.

    >>> verb_on_disk("link_down"), verb_on_disk("kill_node")
    ('cut_link', 'kill_node')
    """
    return _ON_DISK.get(verb, verb)


def verb_in_memory(verb: str, targets: Sequence[str], command: str) -> Verb:
    """Return the verb of a step of format 1. ValueError for one that no table knows.

    >>> verb_in_memory("mend_link", ["myk8s-worker"], "")
    'link_up'
    >>> verb_in_memory("patch", ["ds/speaker"], "undo patch ds/speaker")
    'start_speakers'
    """
    if verb == "patch":
        if not _SPEAKERS.fullmatch("".join(targets[:1])):
            return "patch"
        return "start_speakers" if _SPEAKERS_AGAIN.search(command) else "stop_speakers"
    known = _IN_MEMORY.get(verb) or next((one for one in ACTIONS if one == verb), None)
    if known is None:
        raise ValueError(f"unknown verb {verb!r}")
    return known


@dataclass(frozen=True)
class RecordedStep:
    """One command that changed the cluster, and what it amounts to: a verb, its targets, its manifest."""

    t: float
    end: float
    verb: Verb
    targets: tuple[str, ...]
    manifest: str
    command: str
    rc: int
    output: str


@dataclass(frozen=True)
class Action:
    """One thing that was done, in one step or several, and the moment at which the cluster had settled."""

    id: str
    segment: str
    settled: float
    steps: tuple[RecordedStep, ...]

    @property
    def t(self) -> float:
        """When its first step began (Unix seconds)."""
        return self.steps[0].t

    @property
    def end(self) -> float:
        """When its last step ended (Unix seconds)."""
        return self.steps[-1].end


@dataclass(frozen=True)
class Segment:
    """The span of one recorded cluster without interruption: its places and their addresses."""

    id: str
    start: float
    end: float
    cluster: str
    network: str
    client: str | None
    router: str | None
    control_plane: str
    nodes: tuple[str, ...]
    addresses: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Story:
    """What a learner opens: `start` (the opening) to `end`, Unix seconds, in one segment."""

    name: str
    title: str
    segment: str
    start: float
    end: float
    hide_actions: bool = False  # their names would give a diagnosis away


@dataclass(frozen=True)
class CommandOutput:
    """One command's exact output: which place printed it, when, and the file that holds it."""

    t: float
    end: float
    place: str
    command: str
    rc: int
    file: str


@dataclass(frozen=True)
class FileEntry:
    """The sha256 and the size in bytes that the manifest gives for a file."""

    sha256: str
    size: int


@dataclass(frozen=True)
class Manifest:
    """The first file that is read of a recording; every other one is read when it is asked for."""

    title: str
    versions: Mapping[str, str]
    substitutes: tuple[str, ...]
    redactions: tuple[str, ...]
    segments: tuple[Segment, ...]
    actions: tuple[Action, ...]
    stories: tuple[Story, ...]
    files: Mapping[str, FileEntry]
    format: int = FORMAT

    def to_json(self) -> str:
        """Return the manifest as format 1 writes it, keys in a fixed order."""
        data = asdict(self)
        data["stand_ins"], data["takes"], data["acts"] = (data.pop(k) for k in ("substitutes", "segments", "actions"))
        for row in (*data["acts"], *data["stories"]):
            row["take"] = row.pop("segment")
        for story in data["stories"]:
            story["neutral"] = story.pop("hide_actions")
        for step in (step for act in data["acts"] for step in act["steps"]):
            step["verb"] = verb_on_disk(step["verb"])
        return json.dumps(data, ensure_ascii=False, indent=1, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read a manifest of format 1. RecordingError names the field, and the line where it is known."""
        try:
            data = json.loads(text)
        except ValueError as exc:
            line = getattr(exc, "lineno", None)
            raise RecordingError(MANIFEST, f"not JSON ({exc}): the file is damaged or cut off", line) from None
        if not isinstance(data, dict) or not isinstance(data.get("format"), int):
            raise RecordingError(MANIFEST, "has no whole number in its field 'format'", 1)
        if data["format"] > FORMAT:
            raise RecordingError(
                MANIFEST,
                f"format {data['format']} is newer than this kanslib reads ({FORMAT}): upgrade kanslib",
                _line_of(text, '"format"'),
            )
        try:
            return cls(
                title=_text(data["title"]),
                versions=_texts(data["versions"]),
                substitutes=tuple(map(_text, data["stand_ins"])),
                redactions=tuple(map(_text, data["redactions"])),
                segments=tuple(map(_segment, data["takes"])),
                actions=tuple(map(_action, data["acts"])),
                stories=tuple(map(_story, data["stories"])),
                files={_text(path): FileEntry(**entry) for path, entry in data["files"].items()},
                format=data["format"],
            )
        except KeyError as exc:
            raise RecordingError(MANIFEST, f"the field {exc.args[0]!r} is missing") from None
        except (TypeError, ValueError, AttributeError) as exc:
            raise RecordingError(MANIFEST, f"a field is not what format {FORMAT} says: {exc}") from None


def _line_of(text: str, needle: str) -> int:
    return text[: text.find(needle)].count("\n") + 1


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected text, found {value!r}")
    return value


def _texts(value: Mapping[str, object]) -> dict[str, str]:
    return {_text(key): _text(item) for key, item in value.items()}


def _segment(take: dict[str, Any]) -> Segment:
    return Segment(**{**take, "nodes": tuple(take["nodes"]), "addresses": _texts(take["addresses"])})


def _action(act: dict[str, Any]) -> Action:
    if not act["steps"]:
        raise ValueError(f"act {act['id']!r} has no step")
    return Action(**{**_renamed(act, "take", "segment"), "steps": tuple(map(_step, act["steps"]))})


def _step(step: dict[str, Any]) -> RecordedStep:
    verb = verb_in_memory(_text(step["verb"]), step["targets"], step["command"])
    return RecordedStep(**{**step, "verb": verb, "targets": tuple(step["targets"])})


def _story(story: dict[str, Any]) -> Story:
    return Story(**_renamed(_renamed(story, "take", "segment"), "neutral", "hide_actions"))


def _renamed(row: dict[str, Any], key: str, name: str) -> dict[str, Any]:
    return {name if known == key else known: value for known, value in row.items()}
