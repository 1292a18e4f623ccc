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

import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from ipaddress import IPv4Network
from typing import Annotated, Any, Final, Literal, Self, TypeVar

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType, field

from kanslib.actions import ACTIONS, Verb
from kanslib.exceptions import RecordingError
from kanslib.i18n import tr
from kanslib.k8s.objects import WatchType

FORMAT: Final = 1
MANIFEST = "manifest.json"
READS = "reads.ndjson"

# verbs with another name on disk; a `patch` of the speakers is identified by its command
_ON_DISK: dict[Verb, str] = {
    "link_down": "cut_link", "link_up": "mend_link",
    "add_conflicting_host": "add_squatter", "remove_conflicting_host": "remove_squatter",
    "stop_speakers": "patch", "start_speakers": "patch",
}  # fmt: skip
_IN_MEMORY: dict[str, Verb] = {_ON_DISK.get(verb, verb): verb for verb in ACTIONS}
_SPEAKERS = re.compile(r"(ds|daemonsets?)/speaker")
_SPEAKERS_AGAIN = re.compile("remove|undo|rollout|null")  # the node selector that no node matched is removed
_OFFSET = re.compile(r"\(byte (\d+)\)")  # in msgspec's message
# no absolute path, no `..`, and nothing that Windows reads as a drive or a folder
_PATH_INSIDE = re.compile(r"^(?!/)(?!(.*/)?\.{0,2}(/|$))[^\\:\x00-\x1f\x7f]+$")
LONGEST_NAME = 240  # characters of a file's name with its folders; file systems end at 255 bytes for a part of it
LONGEST_ROW = 2 << 20  # bytes of a line of an ndjson file; etcd takes no object of more than 1.5 MiB
LAST_SECOND = 253_402_300_799  # 9999-12-31T23:59:59Z, the last one that has a date


def verb_on_disk(verb: Verb) -> str:
    """Return a verb as format 1 writes it.

    >>> verb_on_disk("link_down"), verb_on_disk("kill_node")
    ('cut_link', 'kill_node')
    """
    return _ON_DISK.get(verb, verb)


def verb_in_memory(verb: str, targets: Sequence[str], command: str) -> Verb:
    """Return the verb of a step of format 1. Raises ValueError for an unknown one, or one that lacks its node.

    >>> verb_in_memory("mend_link", ["myk8s-worker"], "")
    'link_up'
    >>> verb_in_memory("patch", ["ds/speaker"], "undo patch ds/speaker")
    'start_speakers'
    """
    if verb == "patch":
        if not _SPEAKERS.fullmatch("".join(targets[:1])):
            return "patch"
        return "start_speakers" if _SPEAKERS_AGAIN.search(command) else "stop_speakers"
    if verb not in _IN_MEMORY:
        raise ValueError(tr("unknown verb {verb!r}", verb=verb))
    if ACTIONS[_IN_MEMORY[verb]].targets == "node" and not targets:
        raise ValueError(tr("{verb} without a node in `targets`", verb=verb))
    return _IN_MEMORY[verb]


def is_path_inside(name: str) -> bool:
    """Return True for the name of a file inside a recording, on any file system.

    >>> [is_path_inside(name) for name in ("logs/a.log", "../a.log", "/a.log", "C:/a.log", "logs/./a.log")]
    [True, False, False, False, False]
    """
    return len(name) <= LONGEST_NAME and bool(_PATH_INSIDE.fullmatch(name))


# ── the types of format 1: fields that have another name on disk give it ─────────────────────────────────────

Seconds = Annotated[float, Meta(ge=0, le=LAST_SECOND, description="Unix seconds")]
VerbOnDisk = Annotated[str, Meta(extra_json_schema={"enum": sorted(_IN_MEMORY)})]
_NAMED = {
    "required": ["metadata"],
    "properties": {
        "metadata": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}},
    },
}
PathInside = Annotated[str, Meta(extra_json_schema={"pattern": _PATH_INSIDE.pattern, "maxLength": LONGEST_NAME})]


class _Strict(Struct, frozen=True, forbid_unknown_fields=True):
    """A JSON object that has the fields of its type and no others."""


class RecordedStep(_Strict, frozen=True):
    """A command that changed the cluster, as verb, targets and manifest; `t` to `end` in Unix seconds."""

    t: Seconds
    end: Seconds
    recorded_verb: VerbOnDisk = field(name="verb")
    targets: tuple[str, ...]
    manifest: Annotated[str, Meta(description="the standard input of the command")]
    command: str
    rc: int
    output: str

    def __post_init__(self) -> None:
        verb_in_memory(self.recorded_verb, self.targets, self.command)  # raises ValueError

    @property
    def verb(self) -> Verb:
        """The verb under its name in memory."""
        return verb_in_memory(self.recorded_verb, self.targets, self.command)


class Action(_Strict, frozen=True):
    """An action of one step or several, and when the cluster had settled (Unix seconds)."""

    id: str
    segment: str = field(name="take")
    settled: Seconds
    steps: Annotated[tuple[RecordedStep, ...], Meta(min_length=1)]

    @property
    def t(self) -> float:
        """When its first step began (Unix seconds)."""
        return self.steps[0].t

    @property
    def end(self) -> float:
        """When its last step ended (Unix seconds)."""
        return self.steps[-1].end


class Segment(_Strict, frozen=True):
    """The span of one recorded cluster without interruption (Unix seconds), its places and their addresses."""

    id: str
    start: Seconds
    end: Seconds
    cluster: Annotated[str, Meta(description="what identifies the cluster: the UID of its control plane's node")]
    network: Annotated[
        str,
        Meta(
            description="the Docker network, a CIDR",
            extra_json_schema={"pattern": r"^[0-9]{1,3}(\.[0-9]{1,3}){3}/[0-9]{1,2}$"},
        ),
    ]
    client: str | None
    router: str | None
    control_plane: str
    nodes: tuple[str, ...]
    addresses: Annotated[Mapping[str, str], Meta(description="the address of each place")]

    def __post_init__(self) -> None:
        IPv4Network(self.network)  # raises ValueError


class Story(_Strict, frozen=True):
    """A stretch of a recording that a learner opens: `start` (the opening) to `end`, Unix seconds, in one segment."""

    name: str
    title: str
    segment: str = field(name="take")
    start: Seconds
    end: Seconds
    hide_actions: Annotated[
        bool, Meta(description="hide the names of its actions, which would give the diagnosis away")
    ] = field(name="neutral", default=False)


class FileEntry(_Strict, frozen=True):
    """The sha256 and the size in bytes that the manifest gives for a file."""

    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    size: Annotated[int, Meta(ge=0)]


class Manifest(_Strict, frozen=True):
    """The manifest of a recording: titles, versions, segments, actions, stories, and the digest of every file."""

    format: Literal[1]
    title: str
    versions: Mapping[str, str]
    substitutes: Annotated[tuple[str, ...], Meta(description="what was not the real thing")] = field(name="stand_ins")
    redactions: tuple[str, ...]
    segments: Annotated[tuple[Segment, ...], Meta(min_length=1)] = field(name="takes")
    actions: tuple[Action, ...] = field(name="acts")
    stories: tuple[Story, ...]
    files: Mapping[PathInside, FileEntry]

    def __post_init__(self) -> None:
        for name in self.files:
            if not is_path_inside(name):
                raise ValueError(tr("files lists {name!r}, which is not a path inside the recording", name=name))

    def to_json(self) -> str:
        """Return the manifest as format 1 writes it, keys in a fixed order."""
        return json.dumps(msgspec.to_builtins(self), ensure_ascii=False, indent=1, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, content: bytes | str) -> Self:
        """Read a manifest of format 1. Raises RecordingError with the line or the field that is wrong."""
        content = content.encode() if isinstance(content, str) else content
        version = decode(content, _Version, MANIFEST).format
        if version > FORMAT:
            raise RecordingError(
                MANIFEST,
                tr(
                    "format {version} is newer than this kanslib reads ({format}): upgrade kanslib",
                    version=version,
                    format=FORMAT,
                ),
                field="format",
            )
        return decode(content, cls, MANIFEST)


class _Version(Struct):
    """The field of a manifest that every format has."""

    format: int


class CommandOutput(_Strict, frozen=True):
    """The output of a command: its place, when it ran (Unix seconds), and the file that holds the text."""

    t: Seconds
    end: Seconds
    place: Annotated[str, Meta(description="a container; `host` for kubectl and docker")]
    command: str
    rc: int
    file: str


class WatchRow(_Strict, frozen=True):
    """A watch event. A row of type LIST has no object: from there on the stream is of another cluster."""

    t: Seconds
    type: WatchType
    object: Annotated[dict[str, Any] | UnsetType, Meta(extra_json_schema=_NAMED)] = UNSET

    def __post_init__(self) -> None:
        if self.object is UNSET:
            if self.type != "LIST":
                raise ValueError(tr("a row of type {type} needs an `object`", type=self.type))
            return
        metadata = self.object.get("metadata")
        if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str):
            raise ValueError(tr("its `object` has no `metadata.name`"))


class ProbeRow(_Strict, frozen=True, kw_only=True):
    """An HTTP request: when it was sent (Unix seconds), to which address, and what came back after `ms`."""

    t: Seconds
    to: str
    ok: bool
    status: int | UnsetType = UNSET
    hostname: str | UnsetType = UNSET
    remote: str | UnsetType = UNSET
    error: str | UnsetType = UNSET
    ms: Annotated[float, Meta(ge=0, le=86_400_000, description="milliseconds, at most a day")]


# ── reading and writing them ─────────────────────────────────────────────────────────────────────────────────

T = TypeVar("T")


def decode(content: bytes, kind: type[T], file: str, line: int | None = None) -> T:
    """Return JSON as a value of a type. Raises RecordingError with the file, and the line or the field that is wrong.

    >>> decode(b'{"t": 1.5, "type": "BORN"}', WatchRow, "objects/pods.ndjson", 3)
    Traceback (most recent call last):
    kanslib.exceptions.RecordingError: objects/pods.ndjson, line 3, field type: Invalid enum value 'BORN'
    """
    try:
        return msgspec.json.decode(content, type=kind)
    except msgspec.ValidationError as exc:
        problem, _, path = str(exc).partition(" - at `$")  # msgspec names the field in its message alone
        raise RecordingError(file, problem, line, path.strip(".`")) from None
    except UnicodeDecodeError as exc:
        raise RecordingError(file, tr("not UTF-8 ({reason})", reason=exc.reason), line) from None
    except RecursionError:
        raise RecordingError(file, tr("lists and objects too deep in one another"), line) from None
    except msgspec.DecodeError as exc:
        offset = _OFFSET.search(str(exc))
        before = content[: int(offset[1])] if offset else content
        problem = tr("not JSON ({exc}): damaged or cut off", exc=exc)
        raise RecordingError(file, problem, line or before.count(b"\n") + 1) from None


def decode_rows(content: bytes, kind: type[T], file: str) -> Iterator[T]:
    """Yield the rows of an ndjson file, in order. Raises RecordingError with the line and the field that is wrong."""
    for number, line in enumerate(io.BytesIO(content), 1):
        if len(line) > LONGEST_ROW:
            raise RecordingError(
                file,
                tr(
                    "a row of {number:,} bytes, expected at most {longest_row:,}",
                    number=len(line),
                    longest_row=LONGEST_ROW,
                ),
                number,
            )
        yield decode(line, kind, file, number)


def decode_text(content: bytes, file: str, first_line: int = 1) -> str:
    """Return UTF-8 text, of a file or from its `first_line` on. Raises RecordingError with the line that is not."""
    try:
        return content.decode()
    except UnicodeDecodeError as exc:
        raise RecordingError(
            file, tr("not UTF-8 ({reason})", reason=exc.reason), first_line + content[: exc.start].count(b"\n")
        ) from None


def encode_rows(rows: Iterable[Struct]) -> bytes:
    """Return rows as an ndjson file."""
    return b"".join(msgspec.json.encode(row) + b"\n" for row in rows)
