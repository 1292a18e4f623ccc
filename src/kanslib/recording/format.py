"""Recording format 1: a directory or a zip of native formats, readable with kubectl, Wireshark or less.

    manifest.json           format, title, versions, takes, acts, stories, and sha256 and size of every file
    objects/<kind>.ndjson   watch events {"t", "type", "object"}; a LIST line: another cluster begins
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

# verbs with another name on disk; a `patch` of the speakers is identified by its command
_ON_DISK: dict[Verb, str] = {
    "link_down": "cut_link", "link_up": "mend_link",
    "add_conflicting_host": "add_squatter", "remove_conflicting_host": "remove_squatter",
    "stop_speakers": "patch", "start_speakers": "patch",
}  # fmt: skip
_IN_MEMORY: dict[str, Verb] = {on_disk: verb for verb, on_disk in _ON_DISK.items()}
_SPEAKERS = re.compile(r"(ds|daemonsets?)/speaker")
_SPEAKERS_AGAIN = re.compile("remove|undo|rollout|null")  # the node selector that no node matched is removed


def verb_on_disk(verb: Verb) -> str:
    """Return a verb as format 1 writes it.

    >>> verb_on_disk("link_down"), verb_on_disk("kill_node")
    ('cut_link', 'kill_node')
    """
    return _ON_DISK.get(verb, verb)


def verb_in_memory(verb: str, targets: Sequence[str], command: str) -> Verb:
    """Return the verb of a step of format 1. Raises ValueError for an unknown one.

    >>> verb_in_memory("mend_link", ["myk8s-worker"], "")
    'link_up'
    >>> verb_in_memory("patch", ["ds/speaker"], "undo patch ds/speaker")
    'start_speakers'
    """
    if verb == "patch":
        if not _SPEAKERS.fullmatch("".join(targets[:1])):
            return "patch"
        return "start_speakers" if _SPEAKERS_AGAIN.search(command) else "stop_speakers"
    found = _IN_MEMORY.get(verb) or next((one for one in ACTIONS if one == verb), None)
    if found is None:
        raise ValueError(f"unknown verb {verb!r}")
    return found


@dataclass(frozen=True)
class RecordedStep:
    """A command that changed the cluster, as verb, targets and manifest; `t` to `end` in Unix seconds."""

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
    """An action of one step or several, and when the cluster had settled (Unix seconds)."""

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
    """The span of one recorded cluster without interruption (Unix seconds), its places and their addresses."""

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
    """A stretch of a recording that a learner opens: `start` (the opening) to `end`, Unix seconds, in one segment.

    `hide_actions`: the names of its actions would give the diagnosis away.
    """

    name: str
    title: str
    segment: str
    start: float
    end: float
    hide_actions: bool = False


@dataclass(frozen=True)
class CommandOutput:
    """The output of a command: its place, when it ran (Unix seconds), and the file that holds the text."""

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
    """The manifest of a recording: titles, versions, segments, actions, stories, and the digest of every file."""

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
        for step in (step for action in data["acts"] for step in action["steps"]):
            step["verb"] = verb_on_disk(step["verb"])
        return json.dumps(data, ensure_ascii=False, indent=1, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read a manifest of format 1. Raises RecordingError with the field, and the line where possible."""
        try:
            data = json.loads(text)
        except ValueError as exc:
            line = getattr(exc, "lineno", None)
            raise RecordingError(MANIFEST, f"not JSON ({exc}): the file is damaged or cut off", line) from None
        if not isinstance(data, dict) or not isinstance(data.get("format"), int):
            raise RecordingError(MANIFEST, "its field 'format' is not an integer", 1)
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


def _segment(row: dict[str, Any]) -> Segment:
    return Segment(**{**row, "nodes": tuple(row["nodes"]), "addresses": _texts(row["addresses"])})


def _action(row: dict[str, Any]) -> Action:
    if not row["steps"]:
        raise ValueError(f"action {row['id']!r} has no step")
    return Action(**{**_renamed(row, "take", "segment"), "steps": tuple(map(_step, row["steps"]))})


def _step(step: dict[str, Any]) -> RecordedStep:
    verb = verb_in_memory(_text(step["verb"]), step["targets"], step["command"])
    return RecordedStep(**{**step, "verb": verb, "targets": tuple(step["targets"])})


def _story(story: dict[str, Any]) -> Story:
    return Story(**_renamed(_renamed(story, "take", "segment"), "neutral", "hide_actions"))


def _renamed(row: dict[str, Any], key: str, name: str) -> dict[str, Any]:
    return {name if old == key else old: value for old, value in row.items()}
