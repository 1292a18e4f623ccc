"""A small recording, and ways to damage it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from msgspec.structs import replace

from kanslib.exceptions import RecordingError
from kanslib.recording import Recording
from kanslib.recording.format import READS, FileEntry, encode_rows
from kanslib.recording.verify import verify
from kanslib.recording.writer import RecordingWriter


def smallest(files: Mapping[str, FileEntry], folder: str) -> str:
    """Return the smallest file whose name begins with `folder`."""
    return min((name for name in files if name.startswith(folder)), key=lambda name: files[name].size)


@pytest.fixture
def copy(recording: Recording, tmp_path: Path) -> Path:
    """A small part of the shipped recording as a directory; a complete recording."""
    writer = RecordingWriter()
    files = recording.manifest.files
    names = [smallest(files, folder) for folder in ("probes/", "logs/speaker", "captures/")]
    names += [name for name in files if name.startswith("objects/services")]
    reads = recording.reads()[:40]
    for name in dict.fromkeys([*names, *(read.file for read in reads)]):
        writer.add(name, recording.read(name))
    writer.add(READS, encode_rows(reads))
    manifest = replace(recording.manifest, files=writer.entries())
    writer.write(manifest, tmp_path / "copy")
    return tmp_path / "copy"


def problem(directory: Path) -> RecordingError:
    with pytest.raises(RecordingError) as caught:
        verify(Recording.open(directory))
    return caught.value
