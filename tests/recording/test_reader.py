"""Errors of recordings that cannot be opened."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from kanslib.course.recordings import shipped
from kanslib.exceptions import RecordingError
from kanslib.recording import Recording
from kanslib.recording.format import FORMAT, MANIFEST
from kanslib.recording.verify import verify
from tests.recording.conftest import problem


def test_recording_open_newer_format_refused(copy: Path) -> None:
    data = json.loads((copy / MANIFEST).read_text()) | {"format": FORMAT + 1}
    (copy / MANIFEST).write_text(json.dumps(data))
    assert "newer than this kanslib reads (1): upgrade kanslib" in str(problem(copy))


@pytest.mark.parametrize(
    "change", [lambda t: t[: len(t) // 2], lambda _: "[]", lambda t: t.replace('"acts"', '"deeds"')]
)
def test_recording_open_damaged_manifest_error(copy: Path, change: Callable[[str], str]) -> None:
    (copy / MANIFEST).write_text(change((copy / MANIFEST).read_text()))
    assert problem(copy).file == MANIFEST


def test_recording_open_truncated_zip_error(tmp_path: Path) -> None:
    whole = shipped("l2").read_bytes()
    (tmp_path / "cut.zip").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(RecordingError, match="damaged or cut off"):
        Recording.open(tmp_path / "cut.zip")


def test_recording_read_damaged_entry_names_file(tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.zip"
    shutil.copy(shipped("l2"), damaged)
    with zipfile.ZipFile(damaged) as archive:
        info = max((i for i in archive.infolist() if i.filename.endswith(".pcap")), key=lambda i: i.compress_size)
    content = bytearray(damaged.read_bytes())
    middle = info.header_offset + info.compress_size // 2
    content[middle : middle + 40] = bytes(40)
    damaged.write_bytes(content)
    with pytest.raises(RecordingError) as caught:
        verify(Recording.open(damaged))
    assert caught.value.file == info.filename


def test_recording_open_missing_error(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="no such recording"):
        Recording.open(tmp_path / "nothing")
    with pytest.raises(RecordingError, match=r"holds no manifest\.json"):
        Recording.open(tmp_path)
