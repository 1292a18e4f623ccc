"""Verify that a recording is complete, in order of time, and free of secrets and foreign addresses."""

from __future__ import annotations

import hashlib
import io
import ipaddress
import re
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from kanslib.exceptions import RecordingError
from kanslib.k8s.logs import timestamp_of
from kanslib.packets import capture
from kanslib.packets.pcap import CaptureWarning
from kanslib.recording import Recording
from kanslib.recording.format import MANIFEST, READS, Segment
from kanslib.recording.secret_patterns import SECRETS

_FORBIDDEN = (
    *SECRETS,
    (
        "a path of the recording machine",
        re.compile(r"(?<![\w.])/(?:home|Users)/[\w.-]+/\S*|(?<![\w.])/root/\S+"),
    ),
)
_ADDRESS = re.compile(r"(?<![\w.:/-])(\d{1,3}(?:\.\d{1,3}){3})(?![\w.-]*\w)")


@dataclass(frozen=True)
class VerifyReport:
    """The numbers of checked files, bytes, watch events, command outputs, frames and probes."""

    files: int
    bytes: int
    events: int
    reads: int
    frames: int
    probes: int


def verify(recording: Recording, progress: Callable[[str], None] = lambda _name: None) -> VerifyReport:
    """Check every file, and count what was checked. Raises RecordingError with the first file (and line) that is wrong.

    `progress` is called with the name of each file.
    """
    manifest = recording.manifest
    _check_manifest(recording)
    counts = {"events": 0, "reads": 0, "frames": 0, "probes": 0}
    names: dict[bytes, str] = {}
    allowed = _own_networks(recording)
    total = 0
    for name in manifest.files:
        progress(name)
        content = recording.read(name)
        total += len(content)
        first = names.setdefault(hashlib.sha256(content).digest(), name)
        if first != name:
            raise RecordingError(name, f"holds the same content as {first}: each content is stored once")
        kind, number = _check_file(recording, name, content)
        if kind:
            counts[kind] += number
        if not name.endswith((".pcap", ".pcapng", ".gz")):
            _check_text(name, recording.text(name), allowed)
    return VerifyReport(len(manifest.files), total, **counts)


def _check_manifest(recording: Recording) -> None:
    manifest = recording.manifest
    present, listed = set(recording.names()), set(manifest.files)
    for name in sorted(listed - present):
        raise RecordingError(name, "the manifest lists this file, but it is missing")
    for name in sorted(present - listed):
        raise RecordingError(name, "the manifest does not list this file")
    segments = {segment.id: segment for segment in manifest.segments}
    _in_order(MANIFEST, ((None, segment.start) for segment in manifest.segments), "segments")
    _in_order(MANIFEST, ((None, action.t) for action in manifest.actions), "actions")
    for action in manifest.actions:
        if action.segment not in segments:
            raise RecordingError(MANIFEST, f"action {action.id!r} belongs to no segment ({action.segment!r})")
        if action.settled < action.t:
            raise RecordingError(MANIFEST, f"action {action.id!r} settled before it began")
    for story in manifest.stories:
        segment = segments.get(story.segment)
        if segment is None or not segment.start <= story.start <= story.end <= segment.end + 1e-6:
            raise RecordingError(MANIFEST, f"story {story.name!r} is not inside its segment ({story.segment!r})")


def _in_order(name: str, moments: Iterable[tuple[int | None, float]], what: str) -> None:
    before = float("-inf")
    for line, moment in moments:
        if moment < before:
            raise RecordingError(name, f"not in order of time ({what})", line)
        before = moment


def _check_file(recording: Recording, name: str, content: bytes) -> tuple[str, int]:
    if name == READS:
        return "reads", _check_reads(recording)
    if name.startswith("objects/"):
        return "events", _check_rows(recording, name, _is_watch_event)
    if name.startswith("probes/"):
        return "probes", _check_rows(recording, name, _is_probe)
    if name.startswith("captures/"):
        return "frames", _check_capture(name, content)
    if name.startswith("logs/"):
        _in_order(name, _log_moments(name, recording.text(name)), "log")
    return "", 0


def _check_capture(name: str, content: bytes) -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("error", CaptureWarning)
        try:
            return sum(1 for _ in capture.read(io.BytesIO(content), name))
        except CaptureWarning as exc:
            raise RecordingError(name, str(exc).removeprefix(f"{name}: ")) from None


def _log_moments(name: str, text: str) -> Iterator[tuple[int, float]]:
    for number, line in enumerate(text.splitlines(), 1):
        moment = timestamp_of(line)
        if moment is None and number == 1:
            raise RecordingError(name, "does not start with a timestamp", 1)
        if moment is not None:
            yield number, moment


def _check_reads(recording: Recording) -> int:
    reads = recording.reads()
    for number, read in enumerate(reads, 1):
        if read.file not in recording.manifest.files:
            raise RecordingError(READS, f"names a file that does not exist: {read.file}", number)
    _in_order(READS, ((number, read.t) for number, read in enumerate(reads, 1)), "reads")
    return len(reads)


def _check_rows(recording: Recording, name: str, is_valid: Callable[[dict[str, Any]], bool]) -> int:
    moments = []
    for number, row in enumerate(recording.rows(name), 1):
        if not isinstance(row.get("t"), (int, float)) or not is_valid(row):
            raise RecordingError(name, "a field is missing or of the wrong type", number)
        moments.append((number, float(row["t"])))
    _in_order(name, moments, name.partition("/")[0])
    return len(moments)


def _is_watch_event(row: dict[str, Any]) -> bool:
    if row.get("type") == "LIST":
        return True
    obj = row.get("object")
    named = isinstance(obj, dict) and isinstance(obj.get("metadata", {}).get("name"), str)
    return named and row.get("type") in ("ADDED", "MODIFIED", "DELETED")


def _is_probe(row: dict[str, Any]) -> bool:
    return isinstance(row.get("to"), str) and isinstance(row.get("ok"), bool)


def _own_networks(recording: Recording) -> list[ipaddress.IPv4Network]:
    """Return the ranges of a cluster's own addresses: private, loopback, link-local, unspecified, broadcast.

    The Docker network of each segment is added, which may be any range.
    """
    own = [
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "0.0.0.0/8",
        "255.0.0.0/8",
    ]
    segments: tuple[Segment, ...] = recording.manifest.segments
    return [ipaddress.IPv4Network(network) for network in (*own, *(segment.network for segment in segments))]


def _check_text(name: str, text: str, allowed: list[ipaddress.IPv4Network]) -> None:
    for what, pattern in _FORBIDDEN:
        found = pattern.search(text)
        if found:
            raise RecordingError(name, f"holds {what}", text[: found.start()].count("\n") + 1)
    for address_text in dict.fromkeys(_ADDRESS.findall(text)):
        try:
            address = ipaddress.IPv4Address(address_text)
        except ValueError:
            continue
        if not any(address in network for network in allowed):
            line = text[: text.find(address_text)].count("\n") + 1
            raise RecordingError(name, f"holds an address from outside the cluster: {address_text}", line)
