"""Read a recording of format 1: the manifest when it is opened, every other file when it is needed."""

from __future__ import annotations

import hashlib
import io
import logging
import lzma
import zipfile
import zlib
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Self

import msgspec

from kanslib.exceptions import RecordingError
from kanslib.k8s.objects import WatchEvent
from kanslib.packets import capture
from kanslib.packets.capture import Frame
from kanslib.recording.format import (
    MANIFEST,
    READS,
    CommandOutput,
    Manifest,
    ProbeRow,
    WatchRow,
    decode_rows,
    decode_text,
)

if TYPE_CHECKING:
    from kanslib.analysis.attempts import Probe

_LOG = logging.getLogger(__name__)
# of a damaged archive, in the words of zipfile and of the compressions that it may use; RuntimeError: encrypted
_UNPACKING_ERRORS = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, RuntimeError, ValueError,
)  # fmt: skip


class Recording:
    """A recording on disk. The manifest is read when it is opened, every other file when it is needed.

    Every method raises RecordingError for a file that is missing, cut off or changed.

    >>> from kanslib.course.recordings import shipped
    >>> recording = Recording.open(shipped("l2"))
    >>> recording.manifest.versions["metallb"]
    'v0.14.8'
    """

    def __init__(self, path: Path, manifest: Manifest, archive: zipfile.ZipFile | None) -> None:
        self.path, self.manifest, self._archive = path, manifest, archive
        self._watches: dict[str, list[WatchEvent]] = {}
        self._frames: dict[str, tuple[Frame, ...]] = {}
        self._probes: dict[str, tuple[Probe, ...]] = {}

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """Open a directory or a zip. Raises RecordingError when it does not exist or its manifest cannot be read."""
        path = Path(path).expanduser()
        _LOG.debug("opening %s", path)
        if path.is_dir():
            manifest = path / MANIFEST
            if not manifest.is_file():
                raise RecordingError(str(path), f"holds no {MANIFEST}: not a recording (see `kans convert --help`)")
            return cls(path, Manifest.from_json(manifest.read_bytes()), None)
        if not path.exists():
            raise RecordingError(str(path), "no such recording")
        try:
            archive = zipfile.ZipFile(path)
            content = archive.read(MANIFEST)
        except KeyError:
            raise RecordingError(str(path), f"holds no {MANIFEST}: not a recording") from None
        except _UNPACKING_ERRORS as exc:
            raise RecordingError(str(path), f"not a whole zip ({exc}): damaged or cut off") from None
        return cls(path, Manifest.from_json(content), archive)

    @classmethod
    def shared(cls, path: str | Path) -> Recording:
        """Open a recording as `open` does; an unchanged zip gives the same object again, so that it is read once."""
        path = Path(path).expanduser()
        if not path.is_file():
            return cls.open(path)
        status = path.stat()
        opened = _shared.cache_info().misses
        recording = _shared(path.resolve(), status.st_mtime_ns, status.st_size)
        if _shared.cache_info().misses == opened:
            _LOG.debug("%s is open already", path)
        return recording

    def names(self) -> list[str]:
        """Return the names of the existing files, sorted, without the manifest."""
        if self._archive is not None:
            found = [info.filename for info in self._archive.infolist() if not info.is_dir()]
        else:
            found = [p.relative_to(self.path).as_posix() for p in self.path.rglob("*") if p.is_file()]
        return sorted(set(found) - {MANIFEST})

    def under(self, folder: str) -> dict[str, str]:
        """Return the listed files of a folder: full names by the name without folder and suffix."""
        inside = (name for name in self.manifest.files if name.startswith(folder + "/"))
        return {name.removeprefix(folder + "/").rpartition(".")[0]: name for name in inside}

    def read(self, name: str) -> bytes:
        """Return the content of a file, checked against the manifest."""
        entry = self.manifest.files.get(name)
        if entry is None:
            raise RecordingError(name, "the manifest does not list this file")
        try:
            size = self._size(name)
            content = self._content(name) if size == entry.size else b""
        except (KeyError, FileNotFoundError):
            raise RecordingError(name, "the manifest lists this file, but it is missing") from None
        except _UNPACKING_ERRORS as exc:
            raise RecordingError(name, f"cannot be unpacked ({exc}): damaged or cut off") from None
        if size != entry.size:
            raise RecordingError(name, f"{size} bytes, the manifest says {entry.size}: cut off or changed")
        if hashlib.sha256(content).hexdigest() != entry.sha256:
            raise RecordingError(name, "its sha256 is not the manifest's: the content was changed")
        _LOG.debug("%s: read %s, %d bytes", self.path.name, name, len(content))
        return content

    def _size(self, name: str) -> int:
        """Return the unpacked size of a file, without reading it: a small zip can hold a file larger than memory."""
        return self._archive.getinfo(name).file_size if self._archive else (self.path / name).stat().st_size

    def _content(self, name: str) -> bytes:
        return self._archive.read(name) if self._archive else (self.path / name).read_bytes()

    def text(self, name: str) -> str:
        """Return a file as UTF-8 text."""
        return decode_text(self.read(name), name)

    def watch(self, kind: str) -> list[WatchEvent]:
        """Return the watch events of a kind (plural), in order; read once."""
        if kind not in self._watches:
            name = f"objects/{kind}.ndjson"
            rows = decode_rows(self.read(name), WatchRow, name)
            self._watches[kind] = [WatchEvent(row.t, row.type, row.object or {}) for row in rows]
        return self._watches[kind]

    def frames(self, segment: str) -> tuple[Frame, ...]:
        """Return the frames of a segment in order of time, without duplicates of two captures; read once."""
        if segment not in self._frames:
            found: dict[tuple[float, bytes], Frame] = {}
            for name in self.under(f"captures/{segment}").values():
                for frame in capture.read(io.BytesIO(self.read(name)), name):
                    found.setdefault((round(frame.time, 6), frame.raw), frame)
            self._frames[segment] = tuple(sorted(found.values(), key=lambda frame: frame.time))
        return self._frames[segment]

    def probes(self, segment: str) -> tuple[Probe, ...]:
        """Return the probes of a segment as they were recorded, in order of time; read once."""
        if segment not in self._probes:
            files = self.under(f"probes/{segment}").values()
            rows = [row for file in files for row in decode_rows(self.read(file), ProbeRow, file)]
            rows.sort(key=lambda row: row.t)
            self._probes[segment] = tuple(msgspec.to_builtins(row) for row in rows)
        return self._probes[segment]

    def reads(self) -> list[CommandOutput]:
        """Return every recorded command output, in order of time; read once."""
        return self._reads

    @cached_property
    def _reads(self) -> list[CommandOutput]:
        return list(decode_rows(self.read(READS), CommandOutput, READS))


@lru_cache(maxsize=2)
def _shared(path: Path, changed: int, size: int) -> Recording:
    del changed, size
    return Recording.open(path)
