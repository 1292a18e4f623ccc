from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from kanslib.actions import ACTIONS
from kanslib.course.recordings import shipped, shipped_recordings
from kanslib.exceptions import RecordingError
from kanslib.packets import capture
from kanslib.recording import Recording
from kanslib.recording.format import FORMAT, MANIFEST, READS, FileEntry, Manifest
from kanslib.recording.verify import verify
from kanslib.recording.writer import RecordingWriter


def smallest(files: Mapping[str, FileEntry], folder: str) -> str:
    """The smallest file whose name begins so."""
    return min((name for name in files if name.startswith(folder)), key=lambda name: files[name].size)


def one_of(directory: Path, folder: str) -> str:
    """The name of the one file in a folder of the copy."""
    (found,) = (path for path in (directory / folder).rglob("*") if path.is_file())
    return found.relative_to(directory).as_posix()


@pytest.fixture
def copy(recording: Recording, tmp_path: Path) -> Path:
    """A small part of the shipped recording as a directory, whole in itself."""
    writer = RecordingWriter()
    files = recording.manifest.files
    names = [smallest(files, folder) for folder in ("probes/", "logs/speaker", "captures/")]
    names += [name for name in files if name.startswith("objects/services")]
    reads = recording.reads()[:40]
    for name in dict.fromkeys([*names, *(read.file for read in reads)]):
        writer.add(name, recording.read(name))
    writer.add(READS, "".join(json.dumps(vars(read)) + "\n" for read in reads).encode())
    kept = recording.manifest
    manifest = Manifest(
        kept.title,
        kept.versions,
        kept.substitutes,
        kept.redactions,
        kept.segments,
        kept.actions,
        kept.stories,
        writer.entries(),
    )
    writer.write(manifest, tmp_path / "copy")
    return tmp_path / "copy"


def promise(directory: Path, name: str, content: bytes) -> None:
    """Write `content` and let the manifest vouch for it, as a careless tool would."""
    import hashlib

    (directory / name).parent.mkdir(parents=True, exist_ok=True)
    (directory / name).write_bytes(content)
    data = json.loads((directory / MANIFEST).read_text())
    data["files"][name] = vars(FileEntry(hashlib.sha256(content).hexdigest(), len(content)))
    (directory / MANIFEST).write_text(json.dumps(data))


def edit(directory: Path, name: str, change: Callable[[str], str]) -> None:
    promise(directory, name, change((directory / name).read_text()).encode())


def problem(directory: Path) -> RecordingError:
    with pytest.raises(RecordingError) as caught:
        verify(Recording.open(directory))
    return caught.value


def test_verify_copy(copy: Path) -> None:
    found = verify(Recording.open(copy))
    assert found.reads == 40
    assert found.frames > 100
    assert found.probes > 100


def test_writer_zip_equals_directory(copy: Path, tmp_path: Path) -> None:
    archive = tmp_path / "copy.zip"
    with zipfile.ZipFile(archive, "w") as out:
        for path in sorted(copy.rglob("*")):
            if path.is_file():
                out.write(path, path.relative_to(copy).as_posix())
    assert verify(Recording.open(archive)) == verify(Recording.open(copy))


def test_manifest_json_round_trip(recording: Recording) -> None:
    assert Manifest.from_json(recording.manifest.to_json()) == recording.manifest


def test_verify_shipped_whole_and_small() -> None:
    assert sum(path.stat().st_size for path in shipped_recordings()) <= 3_000_000
    for path in shipped_recordings():
        verify(Recording.open(path))


def test_verify_shipped_each_content_once() -> None:
    seen: set[str] = set()
    for path in shipped_recordings():
        hashes = [entry.sha256 for entry in Recording.open(path).manifest.files.values()]
        assert len(set(hashes)) == len(hashes)
        assert not seen & set(hashes)
        seen |= set(hashes)


def test_verify_changed_byte_names_file(copy: Path) -> None:
    path = copy / "objects/services.ndjson"
    content = path.read_bytes()
    path.write_bytes(content[:-10] + bytes([content[-10] ^ 1]) + content[-9:])
    assert problem(copy).file == "objects/services.ndjson"
    assert "sha256" in str(problem(copy))


def test_verify_truncated_file_named(copy: Path) -> None:
    name = one_of(copy, "captures")
    path = copy / name
    path.write_bytes(path.read_bytes()[:-7])
    assert name in str(problem(copy))
    assert "cut off" in str(problem(copy))


def test_verify_missing_and_stray_files_named(copy: Path) -> None:
    (copy / "stray.txt").write_text("who put this here")
    assert str(problem(copy)) == "stray.txt: the manifest does not list this file"
    (copy / "stray.txt").unlink()
    (copy / "objects/services.ndjson").unlink()
    assert str(problem(copy)) == "objects/services.ndjson: the manifest lists this file, but it is missing"


def test_verify_bad_line_named(copy: Path) -> None:
    edit(copy, "objects/services.ndjson", lambda text: text.replace("\n", "\n{broken\n", 1))
    assert (problem(copy).file, problem(copy).line) == ("objects/services.ndjson", 2)


def test_verify_wrong_field_named(copy: Path) -> None:
    edit(copy, "objects/services.ndjson", lambda text: text.replace('"type":"ADDED"', '"type":"BORN"', 1))
    assert (problem(copy).file, problem(copy).line) == ("objects/services.ndjson", 1)


def test_verify_lines_out_of_order_named(copy: Path) -> None:
    edit(copy, one_of(copy, "probes"), lambda text: "\n".join(text.splitlines()[::-1]) + "\n")
    assert problem(copy).line == 2
    assert "order of time" in str(problem(copy))


def test_verify_output_without_file_named(copy: Path) -> None:
    edit(copy, READS, lambda text: text.replace('"file": "reads/', '"file": "lost/', 1))
    assert (problem(copy).file, problem(copy).line) == (READS, 1)


def test_verify_truncated_capture_named(copy: Path) -> None:
    name = one_of(copy, "captures")
    frames = sum(1 for _ in capture.read(copy / name))
    promise(copy, name, (copy / name).read_bytes()[:-7])
    assert f"cut off in frame {frames}" in str(problem(copy))


@pytest.mark.parametrize(
    ("secret", "what"),
    [
        ("Bearer eyJhbGciOiJSUzI1NiIsImtpZCI6Ing.eyJpc3MiOiJrdWJlcm5ldGVzL3NlcnZpY2U", "JSON web token"),
        ("-----BEGIN RSA PRIVATE KEY-----", "private key"),
        ("kubeadm join --token abcdef.0123456789abcdef", "bootstrap token"),
        ("open /home/somebody/kind.yaml", "path of the recording machine"),
        ("inet 8.8.8.8/24", "outside the cluster: 8.8.8.8"),
        ("    client-key-data: LS0tLS1CRUdJTiBSU0EgUFJJ", "key data"),
        ("password=hunter22", "password"),
    ],
)
def test_verify_secret_found_with_line(copy: Path, secret: str, what: str) -> None:
    promise(copy, "reads/host/oops/001.txt", f"harmless\n{secret}\n".encode())
    assert problem(copy).line == 2
    assert what in str(problem(copy))


def test_verify_same_content_twice_refused(copy: Path) -> None:
    promise(copy, "objects/again.ndjson", (copy / "objects/services.ndjson").read_bytes())
    assert "stored once" in str(problem(copy))


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


def test_manifest_round_trip(recording: Recording) -> None:
    """Its keys and verbs on disk are format 1's, whatever they are called in memory."""
    with zipfile.ZipFile(recording.path) as archive:
        text = archive.read(MANIFEST).decode()
    assert Manifest.from_json(text).to_json() == text
    assert '"verb": "cut_link"' in text
    assert '"verb": "add_squatter"' in text


def test_manifest_verbs_in_memory(recording: Recording) -> None:
    verbs = {act.id: [step.verb for step in act.steps] for act in recording.manifest.actions}
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
