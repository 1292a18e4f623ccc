"""Write a recording of format 1 to a directory, or to a zip that has the same bytes every time."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from kanslib.i18n import tr
from kanslib.recording.files import MemoryFiles
from kanslib.recording.format import MANIFEST, FileEntry, Manifest
from kanslib.recording.reader import Recording


class RecordingWriter:
    """Collects files, each content once, and writes them with their manifest to a directory or a zip."""

    def __init__(self) -> None:
        self._files: dict[str, bytes] = {}
        self._by_content: dict[bytes, str] = {}

    def add(self, name: str, content: bytes) -> str:
        """Add a file, and return its name; that of an earlier file with the same content, if there is one.

        Raises ValueError for a second content under one name.
        """
        stored = self._by_content.setdefault(hashlib.sha256(content).digest(), name)
        if stored == name:
            if name in self._files and self._files[name] != content:
                raise ValueError(tr("two contents for {name}", name=name))
            self._files[name] = content
        return stored

    def entries(self) -> dict[str, FileEntry]:
        """Return SHA-256 and size of every file, for the manifest."""
        return {
            name: FileEntry(hashlib.sha256(content).hexdigest(), len(content))
            for name, content in sorted(self._files.items())
        }

    def recording(self, manifest: Manifest, path: Path) -> Recording:
        """Return the recording as it would be at `path`, before it is written there."""
        return Recording(path, manifest, MemoryFiles({MANIFEST: manifest.to_json().encode(), **self._files}))

    def write(self, manifest: Manifest, out: Path) -> None:
        """Write to a zip when `out` ends in .zip, else to a directory. Raises FileExistsError when `out` exists.

        `out` exists when all of it is written: until then the files are beside it, and an error removes them.
        """
        files = {MANIFEST: manifest.to_json().encode(), **dict(sorted(self._files.items()))}
        if out.exists():
            raise FileExistsError(out)
        out.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=f".{out.name[:40]}-", dir=out.parent) as folder:
            whole = Path(folder) / "whole"
            write = _write_zip if out.suffix == ".zip" else _write_directory
            write(files, whole)
            whole.rename(out)


def _write_directory(files: Mapping[str, bytes], out: Path) -> None:
    for name, content in files.items():
        target = out / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)


def _write_zip(files: Mapping[str, bytes], out: Path) -> None:
    """Write a zip that has the same bytes every time: fixed dates, a method chosen by size."""
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.external_attr = 0o644 << 16
            # LZMA is read slower than deflate, so only large files get it
            method = zipfile.ZIP_LZMA if len(content) > 20_000 and name != MANIFEST else zipfile.ZIP_DEFLATED
            archive.writestr(info, content, method, 9 if method == zipfile.ZIP_DEFLATED else None)
