"""Read a recording of format 1: the manifest when it is opened, every other file when it is needed."""

from __future__ import annotations

import hashlib
import io
import logging
from collections import defaultdict
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Self

import msgspec

from kanslib.exceptions import RecordingError
from kanslib.i18n import tr
from kanslib.k8s.objects import WatchEvent
from kanslib.packets import capture
from kanslib.packets.capture import Frame
from kanslib.recording.files import RecordingFiles, open_files
from kanslib.recording.format import (
    MANIFEST,
    READS,
    CommandOutput,
    Manifest,
    ProbeRow,
    decode_rows,
    decode_text,
)
from kanslib.recording.objects import watch_rows

if TYPE_CHECKING:
    from kanslib.analysis.attempts import Probe

_LOG = logging.getLogger(__name__)
# A value of JSON (a number, a text, a list, …) takes up to 80 bytes once it is read. The rows of the recording that
# ships have 460,000 of them.
MOST_VALUES = 2_000_000
MOST_FRAMES = 150_000  # of up to 500 bytes each once they are read; the recording that ships has 30,000


class Recording:
    """A recording on disk. The manifest is read when it is opened, every other file when it is needed.

    Every method raises RecordingError for a file that is missing, cut off or changed.

    >>> from kanslib.course.recordings import shipped
    >>> recording = Recording.open(shipped("l2"))
    >>> recording.manifest.versions["metallb"]
    'v0.14.8'
    """

    def __init__(self, path: Path, manifest: Manifest, files: RecordingFiles) -> None:
        self.path, self.manifest, self._files = path, manifest, files
        self._values = 0
        self._watches: dict[str, list[WatchEvent]] = {}
        self._frames: dict[str, tuple[Frame, ...]] = {}
        self._probes: dict[str, tuple[Probe, ...]] = {}

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """Open a directory or a zip. RecordingError when it does not exist, or for a manifest or files not to be read.

        What `kanslib.recording.files` refuses is refused here, before any other file is read.
        """
        path = Path(path).expanduser()
        _LOG.debug("opening %s", path)
        files = open_files(path)
        if MANIFEST not in files.sizes:
            raise RecordingError(
                str(path), tr("holds no {manifest}: not a recording (see `kans convert --help`)", manifest=MANIFEST)
            )
        return cls(path, Manifest.from_json(files.read(MANIFEST)), files)

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
        return sorted(self._files.sizes.keys() - {MANIFEST})

    def under(self, folder: str) -> dict[str, str]:
        """Return the listed files of a folder: full names by the name without folder and suffix."""
        return dict(self._folders.get(folder, {}))

    @cached_property
    def _folders(self) -> dict[str, dict[str, str]]:
        found: dict[str, dict[str, str]] = defaultdict(dict)
        for name in self.manifest.files:
            parts = name.split("/")
            for depth in range(1, len(parts)):
                found["/".join(parts[:depth])]["/".join(parts[depth:]).rpartition(".")[0]] = name
        return found

    def read(self, name: str) -> bytes:
        """Return the content of a file, checked against the manifest."""
        entry = self.manifest.files.get(name)
        if entry is None:
            raise RecordingError(name, tr("the manifest does not list this file"))
        size = self._files.sizes.get(name)
        if size is None:
            raise RecordingError(name, tr("the manifest lists this file, but it is missing"))
        if size != entry.size:
            raise RecordingError(
                name,
                tr(
                    "{size} bytes, the manifest says {entry_size}: cut off or changed", size=size, entry_size=entry.size
                ),
            )
        content = self._files.read(name)
        if hashlib.sha256(content).hexdigest() != entry.sha256:
            raise RecordingError(name, tr("its sha256 is not the manifest's: the content was changed"))
        _LOG.debug("%s: read %s, %d bytes", self.path.name, name, len(content))
        return content

    def text(self, name: str) -> str:
        """Return a file as UTF-8 text."""
        return decode_text(self.read(name), name)

    def watch(self, kind: str) -> list[WatchEvent]:
        """Return the watch events of a kind (plural), in order; read once."""
        if kind not in self._watches:
            name = f"objects/{kind}.ndjson"
            rows = watch_rows(self._counted(name), kind, name)
            self._watches[kind] = [WatchEvent(row.t, row.type, row.object or {}) for row in rows]
        return self._watches[kind]

    def frames(self, segment: str) -> tuple[Frame, ...]:
        """Return the frames of a segment in order of time, without duplicates of two captures; read once."""
        if segment not in self._frames:
            found: dict[tuple[float, bytes], Frame] = {}
            for name in self.under(f"captures/{segment}").values():
                for frame in capture.read(io.BytesIO(self.read(name)), name):
                    found.setdefault((round(frame.time, 6), frame.raw), frame)
                    if len(found) > MOST_FRAMES:
                        raise RecordingError(
                            name,
                            tr(
                                "more than {most_frames:,} frames with those of other captures", most_frames=MOST_FRAMES
                            ),
                        )
            self._frames[segment] = tuple(sorted(found.values(), key=lambda frame: frame.time))
        return self._frames[segment]

    def probes(self, segment: str) -> tuple[Probe, ...]:
        """Return the probes of a segment as they were recorded, in order of time; read once."""
        if segment not in self._probes:
            files = self.under(f"probes/{segment}").values()
            rows = [row for file in files for row in decode_rows(self._counted(file), ProbeRow, file)]
            rows.sort(key=lambda row: row.t)
            self._probes[segment] = tuple(msgspec.to_builtins(row) for row in rows)
        return self._probes[segment]

    def reads(self) -> list[CommandOutput]:
        """Return every recorded command output, in order of time; read once."""
        return self._reads

    @cached_property
    def _reads(self) -> list[CommandOutput]:
        return list(decode_rows(self._counted(READS), CommandOutput, READS))

    def _counted(self, name: str) -> bytes:
        """Return a file of rows. RecordingError when those that were read would take too much memory with it."""
        content = self.read(name)
        self._values += sum(content.count(sign) for sign in (b",", b":", b"[", b"{"))
        if self._values > MOST_VALUES:
            problem = tr(
                "{values:,} values in this and the rows before, expected at most {most_values:,}",
                values=self._values,
                most_values=MOST_VALUES,
            )
            raise RecordingError(name, problem)
        return content


@lru_cache(maxsize=2)
def _shared(path: Path, changed: int, size: int) -> Recording:
    del changed, size
    return Recording.open(path)
