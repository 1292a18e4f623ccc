"""Format 1 survives writing and reading."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from kanslib.actions import ACTIONS
from kanslib.exceptions import RecordingError
from kanslib.recording import Recording
from kanslib.recording.format import MANIFEST, Manifest
from kanslib.recording.verify import verify


def test_writer_zip_equals_directory(copy: Path, tmp_path: Path) -> None:
    archive = tmp_path / "copy.zip"
    with zipfile.ZipFile(archive, "w") as out:
        for path in sorted(copy.rglob("*")):
            if path.is_file():
                out.write(path, path.relative_to(copy).as_posix())
    assert verify(Recording.open(archive)) == verify(Recording.open(copy))


def test_manifest_json_round_trip(recording: Recording) -> None:
    assert Manifest.from_json(recording.manifest.to_json()) == recording.manifest


def test_manifest_round_trip(recording: Recording) -> None:
    """The manifest's keys and verbs on disk are those of format 1."""
    with zipfile.ZipFile(recording.path) as archive:
        text = archive.read(MANIFEST).decode()
    assert Manifest.from_json(text).to_json() == text
    assert '"verb": "cut_link"' in text
    assert '"verb": "add_squatter"' in text


def test_manifest_verbs_in_memory(recording: Recording) -> None:
    verbs = {action.id: [step.verb for step in action.steps] for action in recording.manifest.actions}
    assert verbs["cut-link"] == ["link_down"]
    assert verbs["mend-link-2"] == ["link_up"]
    assert verbs["prepare-11"] == ["stop_speakers"]
    assert verbs["fix-8"] == ["start_speakers"]
    assert verbs["prepare-12"] == ["add_conflicting_host"]
    assert verbs["fix-9"] == ["remove_conflicting_host"]
    assert {verb for found in verbs.values() for verb in found} <= set(ACTIONS)


def test_manifest_unknown_verb(recording: Recording) -> None:
    text = recording.manifest.to_json().replace('"verb": "cut_link"', '"verb": "melt_link"')
    with pytest.raises(RecordingError, match="unknown verb 'melt_link'"):
        Manifest.from_json(text)
