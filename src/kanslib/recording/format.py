"""Recording format 1: a directory or a zip that anybody can open with kubectl, Wireshark or less.

    manifest.json           format, title, versions, takes, acts, stories, and sha256 and size of every file
    objects/<kind>.ndjson   watch events {"t", "type", "object"}; a LIST line: from here on another cluster
    logs/<pod>@<node>.log   kubectl logs --timestamps
    reads.ndjson            which command printed which file: {"t", "end", "place", "command", "rc", "file"}
    reads/<place>/…         the exact text that was printed; the same text is stored once
    captures/*.pcap         frames
    probes/*.ndjson         one HTTP request a line

Times are Unix seconds throughout. A *take* is one stretch of uninterrupted recording; a *story* is what a
learner opens: a stretch of a take from an opening to a closing moment.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from sys import intern
from typing import Any, Literal, Self

from kanslib.exceptions import RecordingError
from kanslib.k8s.objects import WatchEvent
from kanslib.packets import capture
from kanslib.packets.capture import Frame

FORMAT = 1
MANIFEST = "manifest.json"
READS = "reads.ndjson"

Verb = Literal[
    "create_cluster", "start_client", "apply", "delete", "install_metallb", "label", "patch",
    "kill_node", "start_node", "cut_link", "mend_link", "start_router", "stop_router",
    "route_client", "unroute_client", "add_squatter", "remove_squatter", "wait",
]  # fmt: skip


@dataclass(frozen=True)
class RecordedStep:
    """One command that changed the world, and what it amounts to: a verb, its targets, its manifest."""

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
    take: str
    settled: float
    steps: tuple[RecordedStep, ...]

    @property
    def t(self) -> float:
        return self.steps[0].t

    @property
    def end(self) -> float:
        return self.steps[-1].end


@dataclass(frozen=True)
class Segment:
    """One uninterrupted stretch of recording: one cluster, its places and their addresses."""

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
    """What a learner opens: `start` (the opening) to `end`, Unix seconds. `neutral` hides the names of acts."""

    name: str
    title: str
    take: str
    start: float
    end: float
    neutral: bool = False


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
    """What the manifest promises of a file."""

    sha256: str
    size: int


@dataclass(frozen=True)
class Manifest:
    """The first thing that is read of a recording, and the only one that is read at once."""

    title: str
    versions: Mapping[str, str]
    stand_ins: tuple[str, ...]
    redactions: tuple[str, ...]
    takes: tuple[Segment, ...]
    acts: tuple[Action, ...]
    stories: tuple[Story, ...]
    files: Mapping[str, FileEntry]
    format: int = FORMAT

    def to_json(self) -> str:
        """The manifest as it is written: one line per field of a list, keys in a fixed order."""
        return json.dumps(asdict(self), ensure_ascii=False, indent=1, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The manifest in `text`; RecordingError names the field and its line when it is not format 1."""
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
                stand_ins=tuple(map(_text, data["stand_ins"])),
                redactions=tuple(map(_text, data["redactions"])),
                takes=tuple(_take(take) for take in data["takes"]),
                acts=tuple(_act(act) for act in data["acts"]),
                stories=tuple(Story(**story) for story in data["stories"]),
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


def _take(data: dict[str, Any]) -> Segment:
    return Segment(**{**data, "nodes": tuple(data["nodes"]), "addresses": _texts(data["addresses"])})


def _act(data: dict[str, Any]) -> Action:
    steps = tuple(RecordedStep(**{**step, "targets": tuple(step["targets"])}) for step in data["steps"])
    if not steps:
        raise ValueError(f"act {data['id']!r} has no step")
    return Action(**{**data, "steps": steps})


class Recording:
    """A recording on disk: the manifest at once, every other file when it is asked for.

    >>> from kanslib.course.recordings import shipped
    >>> recording = Recording.open(shipped("l2"))
    >>> recording.manifest.versions["metallb"]
    'v0.14.8'
    """

    def __init__(self, path: Path, manifest: Manifest, archive: zipfile.ZipFile | None) -> None:
        self.path, self.manifest, self._archive = path, manifest, archive
        self._watches: dict[str, list[WatchEvent]] = {}
        self._reads: list[CommandOutput] | None = None
        self._frames: dict[str, tuple[Frame, ...]] = {}
        self._probes: dict[str, tuple[dict[str, Any], ...]] = {}

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """Open a directory or a zip. RecordingError when there is none, or when its manifest cannot be read."""
        path = Path(path).expanduser()
        if path.is_dir():
            manifest = path / MANIFEST
            if not manifest.is_file():
                raise RecordingError(str(path), f"holds no {MANIFEST}: not a recording (see `kans convert --help`)")
            return cls(path, Manifest.from_json(_decode(manifest.read_bytes(), MANIFEST)), None)
        if not path.exists():
            raise RecordingError(str(path), "no such recording")
        try:
            archive = zipfile.ZipFile(path)
            text = archive.read(MANIFEST)
        except KeyError:
            raise RecordingError(str(path), f"holds no {MANIFEST}: not a recording") from None
        except (zipfile.BadZipFile, EOFError, OSError) as exc:
            raise RecordingError(str(path), f"not a whole zip ({exc}): damaged or cut off") from None
        return cls(path, Manifest.from_json(_decode(text, MANIFEST)), archive)

    @classmethod
    def shared(cls, path: str | Path) -> Recording:
        """As `open`; a zip that was opened before, and did not change since, is the same object: it is read once."""
        path = Path(path).expanduser()
        if not path.is_file():
            return cls.open(path)
        told = path.stat()
        return _opened_before(path.resolve(), told.st_mtime_ns, told.st_size)

    def names(self) -> list[str]:
        """The files that are there, sorted; the manifest is not one of them."""
        if self._archive is not None:
            found = [info.filename for info in self._archive.infolist() if not info.is_dir()]
        else:
            found = [p.relative_to(self.path).as_posix() for p in self.path.rglob("*") if p.is_file()]
        return sorted(set(found) - {MANIFEST})

    def under(self, folder: str) -> dict[str, str]:
        """The files of a folder that the manifest lists: name without folder and suffix, to the whole name."""
        inside = (name for name in self.manifest.files if name.startswith(folder + "/"))
        return {name.removeprefix(folder + "/").rpartition(".")[0]: name for name in inside}

    def read(self, name: str) -> bytes:
        """One file, checked against the manifest. RecordingError when it is missing, cut off or changed."""
        promised = self.manifest.files.get(name)
        if promised is None:
            raise RecordingError(name, "the manifest does not list this file")
        content = self._raw(name)
        if len(content) != promised.size:
            raise RecordingError(name, f"{len(content)} bytes, the manifest says {promised.size}: cut off or changed")
        if hashlib.sha256(content).hexdigest() != promised.sha256:
            raise RecordingError(name, "its sha256 is not the manifest's: the content was changed")
        return content

    def _raw(self, name: str) -> bytes:
        try:
            if self._archive is not None:
                return self._archive.read(name)
            return (self.path / name).read_bytes()
        except (KeyError, FileNotFoundError):
            raise RecordingError(name, "the manifest lists this file, but it is missing") from None
        except Exception as exc:  # zlib.error, lzma.LZMAError, BadZipFile: the zip names no common base
            raise RecordingError(name, f"cannot be unpacked ({exc}): damaged or cut off") from None

    def text(self, name: str) -> str:
        """One file as UTF-8 text."""
        return _decode(self.read(name), name)

    def rows(self, name: str) -> Iterator[dict[str, Any]]:
        """The objects of an ndjson file, in order; RecordingError names the line that is none."""
        for number, line in enumerate(self.text(name).splitlines(), 1):
            try:
                row = json.loads(line)
            except ValueError:
                raise RecordingError(name, "not a line of JSON: damaged or cut off", number) from None
            if not isinstance(row, dict):
                raise RecordingError(name, "not a JSON object", number)
            yield row

    def watch(self, kind: str) -> list[WatchEvent]:
        """The watch events of a kind, in order; read once."""
        if kind not in self._watches:
            rows = self.rows(f"objects/{kind}.ndjson")
            self._watches[kind] = [WatchEvent(row["t"], row["type"], row.get("object", {})) for row in rows]
        return self._watches[kind]

    def frames(self, take: str) -> tuple[Frame, ...]:
        """Every captured frame of a take, in order of time, those that two captures hold once; read once."""
        if take not in self._frames:
            found: dict[tuple[float, bytes], Frame] = {}
            for name in self.under(f"captures/{take}").values():
                for frame in capture.read(io.BytesIO(self.read(name)), name):
                    found.setdefault((round(frame.time, 6), frame.raw), frame)
            self._frames[take] = tuple(sorted(found.values(), key=lambda frame: frame.time))
        return self._frames[take]

    def probes(self, take: str) -> tuple[dict[str, Any], ...]:
        """Every probe of a take as it was noted, in order of time; read once."""
        if take not in self._probes:
            found = (row for file in self.under(f"probes/{take}").values() for row in self.rows(file))
            rows = ({intern(key): _one_copy(value) for key, value in row.items()} for row in found)
            self._probes[take] = tuple(sorted(rows, key=lambda row: float(row["t"])))
        return self._probes[take]

    def reads(self) -> list[CommandOutput]:
        """Every recorded command output, in order of time; read once."""
        if self._reads is not None:
            return self._reads
        out = []
        for number, row in enumerate(self.rows(READS), 1):
            try:
                out.append(CommandOutput(**row))
            except TypeError as exc:
                raise RecordingError(READS, f"not a read of format {FORMAT}: {exc}", number) from None
        self._reads = out
        return out


def _one_copy(value: Any) -> Any:
    """Thousands of rows say the same few things."""
    return intern(value) if isinstance(value, str) and len(value) < 60 else value


@lru_cache(maxsize=2)
def _opened_before(path: Path, changed: int, size: int) -> Recording:
    del changed, size
    return Recording.open(path)


def _decode(content: bytes, name: str) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as exc:
        raise RecordingError(name, f"not UTF-8 ({exc.reason})", content[: exc.start].count(b"\n") + 1) from None


class Writer:
    """Collects files (the same content once) and writes them with their manifest to a directory or a zip."""

    def __init__(self) -> None:
        self._files: dict[str, bytes] = {}
        self._by_content: dict[bytes, str] = {}

    def add(self, name: str, content: bytes) -> str:
        """Keep `content` under `name`; the name under which it is kept already, if it is."""
        kept = self._by_content.setdefault(hashlib.sha256(content).digest(), name)
        if kept == name:
            if name in self._files and self._files[name] != content:
                raise ValueError(f"two contents for {name}")
            self._files[name] = content
        return kept

    def entries(self) -> dict[str, FileEntry]:
        """What the manifest has to promise."""
        return {
            name: FileEntry(hashlib.sha256(content).hexdigest(), len(content))
            for name, content in sorted(self._files.items())
        }

    def write(self, manifest: Manifest, out: Path) -> None:
        """To a zip when `out` ends in .zip, else to a directory; FileExistsError when something is there."""
        files = {MANIFEST: manifest.to_json().encode(), **dict(sorted(self._files.items()))}
        if out.exists():
            raise FileExistsError(out)
        if out.suffix == ".zip":
            _write_zip(files, out)
            return
        for name, content in files.items():
            target = out / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)


def _write_zip(files: Mapping[str, bytes], out: Path) -> None:
    """One zip, the same bytes every time: fixed dates, each file packed the way that packs it best."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.external_attr = 0o644 << 16
            # LZMA opens slower than deflate: worth it only where there is much to gain.
            method = zipfile.ZIP_LZMA if len(content) > 20_000 and name != MANIFEST else zipfile.ZIP_DEFLATED
            archive.writestr(info, content, method, 9 if method == zipfile.ZIP_DEFLATED else None)
