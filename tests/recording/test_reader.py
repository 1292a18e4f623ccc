"""Errors of recordings that cannot be opened."""

from __future__ import annotations

import json
import random
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from kanslib.course.recordings import shipped
from kanslib.exceptions import RecordingError
from kanslib.recording import Recording
from kanslib.recording.format import FORMAT, MANIFEST
from kanslib.recording.verify import verify
from kanslib.recording.writer import RecordingWriter
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


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"rc": 0', '"rc": null', "manifest.json, field acts[0].steps[0].rc: Expected `int`, got `null`"),
        ('"take": ', '"taken": ', "manifest.json, field acts[0]: Object contains unknown field `taken`"),
        ('"network": "172', '"network": "1172', "manifest.json, field takes[0]: "),
        ('"format": 1,', '"format": 1', "manifest.json, line "),
    ],
)
def test_recording_open_wrong_field_named(copy: Path, old: str, new: str, message: str) -> None:
    text = (copy / MANIFEST).read_text()
    assert old in text
    (copy / MANIFEST).write_text(text.replace(old, new, 1))
    assert str(problem(copy)).startswith(message)
    assert "\n" not in str(problem(copy))


@pytest.mark.slow
def test_recording_damaged_anywhere_is_recording_error(copy: Path, tmp_path: Path) -> None:
    """Whatever zipfile raises for bytes that were changed: the learner is told which file is damaged."""
    writer, recording = RecordingWriter(), Recording.open(copy)
    for name in ("objects/services.ndjson", *(name for name in recording.manifest.files if name.startswith("logs/"))):
        writer.add(name, recording.read(name))
    writer.write(replace(recording.manifest, files=writer.entries()), tmp_path / "small.zip")
    whole, refused = (tmp_path / "small.zip").read_bytes(), 0
    for seed in range(300):
        chance = random.Random(seed)
        content = bytearray(whole)
        for _ in range(chance.choice((1, 8))):
            content[chance.choice((chance.randrange(len(content)), -chance.randrange(1, 300)))] = chance.randrange(256)
        (tmp_path / "damaged.zip").write_bytes(content)
        try:
            verify(Recording.open(tmp_path / "damaged.zip"))
        except RecordingError:
            refused += 1
    assert refused > 250


def test_recording_open_missing_error(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="no such recording"):
        Recording.open(tmp_path / "nothing")
    with pytest.raises(RecordingError, match=r"holds no manifest\.json"):
        Recording.open(tmp_path)
