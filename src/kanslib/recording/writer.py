"""Write a recording of format 1: a directory, or a zip that has the same bytes every time."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Mapping
from pathlib import Path

from kanslib.recording.format import MANIFEST, FileEntry, Manifest


class RecordingWriter:
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
