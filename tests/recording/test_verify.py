"""Every kind of damage is found, with its file and line."""

from __future__ import annotations

import hashlib
import json
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from kanslib.course.recordings import shipped_recordings
from kanslib.packets import capture
from kanslib.recording import Recording
from kanslib.recording.format import MANIFEST, READS
from kanslib.recording.verify import verify
from tests.recording.conftest import problem


def one_of(directory: Path, folder: str) -> str:
    """Return the name of the only file in a folder of the copy."""
    (found,) = (path for path in (directory / folder).rglob("*") if path.is_file())
    return found.relative_to(directory).as_posix()


def promise(directory: Path, name: str, content: bytes) -> None:
    """Write a file, and update its entry in the manifest."""
    (directory / name).parent.mkdir(parents=True, exist_ok=True)
    (directory / name).write_bytes(content)
    data = json.loads((directory / MANIFEST).read_text())
    data["files"][name] = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
    (directory / MANIFEST).write_text(json.dumps(data))


def edit(directory: Path, name: str, change: Callable[[str], str]) -> None:
    promise(directory, name, change((directory / name).read_text()).encode())


def test_verify_copy(copy: Path) -> None:
    found = verify(Recording.open(copy))
    assert found.reads == 40
    assert found.frames > 100
    assert found.probes > 100


@pytest.mark.slow
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


def test_verify_larger_than_listed_is_not_unpacked(copy: Path, tmp_path: Path) -> None:
    """A zip of some kilobytes can hold a file larger than the memory."""
    archive = tmp_path / "bomb.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as out:
        for path in (path for path in copy.rglob("*") if path.is_file()):
            name = path.relative_to(copy).as_posix()
            out.writestr(name, b"a" * 50_000_000 if name == "objects/services.ndjson" else path.read_bytes())
    tracemalloc.start()
    found = problem(archive)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (found.file, found.problem[:14]) == ("objects/services.ndjson", "50000000 bytes")
    assert peak < 20_000_000


def test_verify_path_outside_refused(copy: Path) -> None:
    manifest = json.loads((copy / MANIFEST).read_text())
    manifest["files"]["../evil.txt"] = next(iter(manifest["files"].values()))
    (copy / MANIFEST).write_text(json.dumps(manifest))
    assert "'../evil.txt', which is not a path inside the recording" in str(problem(copy))


def test_verify_bad_line_named(copy: Path) -> None:
    edit(copy, "objects/services.ndjson", lambda text: text.replace("\n", "\n{broken\n", 1))
    assert (problem(copy).file, problem(copy).line) == ("objects/services.ndjson", 2)


def test_verify_wrong_field_named(copy: Path) -> None:
    edit(copy, "objects/services.ndjson", lambda text: text.replace('"type":"ADDED"', '"type":"BORN"', 1))
    assert str(problem(copy)) == "objects/services.ndjson, line 1, field type: Invalid enum value 'BORN'"


def test_verify_lines_out_of_order_named(copy: Path) -> None:
    edit(copy, one_of(copy, "probes"), lambda text: "\n".join(text.splitlines()[::-1]) + "\n")
    assert problem(copy).line == 2
    assert "order of time" in str(problem(copy))


def test_verify_output_without_file_named(copy: Path) -> None:
    edit(copy, READS, lambda text: text.replace('"file":"reads/', '"file":"lost/', 1))
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
