"""Verify that a recording is complete, in order of time, and free of secrets and foreign addresses."""

from __future__ import annotations

import hashlib
import io
import re
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from kanslib.exceptions import RecordingError
from kanslib.i18n import tr, tr_later
from kanslib.k8s.logs import timestamp_of
from kanslib.k8s.objects import is_ip_address
from kanslib.packets import capture
from kanslib.packets.pcap import CaptureWarning
from kanslib.recording import Recording
from kanslib.recording.format import (
    LONGEST_ROW,
    MANIFEST,
    READS,
    CommandOutput,
    ProbeRow,
    WatchRow,
    decode_rows,
    decode_text,
)
from kanslib.recording.objects import watch_rows
from kanslib.recording.secret_patterns import SECRETS

_FORBIDDEN = (
    *SECRETS,
    (
        tr_later("a path of the recording machine"),
        re.compile(r"/(?<![\w.]/)(?:(?:home|Users)/[\w.-]+/\S*|root/\S+)"),  # re searches quickly for a first letter
    ),
)
_ADDRESS = re.compile(r"(?<![\w.:/-])(\d{1,3}(?:\.\d{1,3}){3})(?![\w.-]*\w)")
# private, loopback, link-local, unspecified, broadcast
_OWN_NETWORKS = tuple(
    map(
        IPv4Network,
        ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "169.254.0.0/16", "0.0.0.0/8", "255.0.0.0/8"),
    )
)

_PIECE = 1 << 20  # bytes of a text that are checked at once
_STAMPED = 400  # bytes of a log's line: its timestamp, and before it the names of its Pod and container


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
            raise RecordingError(
                name, tr("holds the same content as {first}: each content is stored once", first=first)
            )
        kind, number = _check_file(recording, name, content)
        if kind:
            counts[kind] += number
        if not name.endswith((".pcap", ".pcapng", ".gz")):
            _check_text(name, content, allowed)
    return VerifyReport(len(manifest.files), total, **counts)


def _check_manifest(recording: Recording) -> None:
    manifest = recording.manifest
    present, listed = set(recording.names()), set(manifest.files)
    for name in sorted(listed - present):
        raise RecordingError(name, tr("the manifest lists this file, but it is missing"))
    for name in sorted(present - listed):
        raise RecordingError(name, tr("the manifest does not list this file"))
    segments = {segment.id: segment for segment in manifest.segments}
    _count_in_order(MANIFEST, ((None, segment.start) for segment in manifest.segments), "segments")
    _count_in_order(MANIFEST, ((None, action.t) for action in manifest.actions), "actions")
    for action in manifest.actions:
        if action.segment not in segments:
            raise RecordingError(
                MANIFEST, tr("action {id!r} belongs to no segment ({segment!r})", id=action.id, segment=action.segment)
            )
        if action.settled < action.t:
            raise RecordingError(MANIFEST, tr("action {id!r} settled before it began", id=action.id))
    for story in manifest.stories:
        segment = segments.get(story.segment)
        if segment is None or not segment.start <= story.start <= story.end <= segment.end + 1e-6:
            raise RecordingError(
                MANIFEST,
                tr("story {name!r} is not inside its segment ({segment!r})", name=story.name, segment=story.segment),
            )


def _count_in_order(name: str, moments: Iterable[tuple[int | None, float]], what: str) -> int:
    """Return how many moments there are. RecordingError, with its line, for one that is before the one above it."""
    count, before = 0, float("-inf")
    for line, moment in moments:
        if moment < before:
            raise RecordingError(name, tr("not in order of time ({what})", what=what), line)
        count, before = count + 1, moment
    return count


def _check_file(recording: Recording, name: str, content: bytes) -> tuple[str, int]:
    if name == READS:
        return "reads", _count_in_order(name, _moments_of_reads(recording, content), "rows")
    if name.startswith("objects/"):
        kind = name.removeprefix("objects/").removesuffix(".ndjson")
        return "events", _count_in_order(name, _moments_of_rows(watch_rows(content, kind, name)), "rows")
    if name.startswith("probes/"):
        return "probes", _count_in_order(name, _moments_of_rows(decode_rows(content, ProbeRow, name)), "rows")
    if name.startswith("captures/"):
        return "frames", _check_capture(name, content)
    if name.startswith("logs/"):
        _count_in_order(name, _moments_of_log(name, content), "log")
    return "", 0


def _check_capture(name: str, content: bytes) -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("error", CaptureWarning)
        try:
            return sum(1 for _ in capture.read(io.BytesIO(content), name))
        except CaptureWarning as exc:
            raise RecordingError(name, str(exc).removeprefix(f"{name}: ")) from None


def _moments_of_log(name: str, content: bytes) -> Iterator[tuple[int, float]]:
    for number, line in enumerate(io.BytesIO(content), 1):
        moment = timestamp_of(line[:_STAMPED].decode(errors="replace"))
        if moment is None and number == 1:
            raise RecordingError(name, tr("does not start with a timestamp"), 1)
        if moment is not None:
            yield number, moment


def _moments_of_rows(rows: Iterable[WatchRow | ProbeRow]) -> Iterator[tuple[int, float]]:
    """Yield the number and moment of each row, none of which is kept: a recording may be larger than the memory."""
    for number, row in enumerate(rows, 1):
        yield number, row.t


def _moments_of_reads(recording: Recording, content: bytes) -> Iterator[tuple[int, float]]:
    for number, read in enumerate(decode_rows(content, CommandOutput, READS), 1):
        yield number, read.t
        if read.file not in recording.manifest.files:
            raise RecordingError(READS, tr("names a file that does not exist: {file}", file=read.file), number, "file")


def _own_networks(recording: Recording) -> list[IPv4Network]:
    """Return the ranges of a cluster's own addresses, and the Docker network of each segment, which may be any."""
    return [*_OWN_NETWORKS, *(IPv4Network(segment.network) for segment in recording.manifest.segments)]


def _check_text(name: str, content: bytes, allowed: list[IPv4Network]) -> None:
    """Refuse a text with a secret or a foreign address; some lines at a time, which bounds the memory."""
    line, lines = 1, io.BytesIO(content)
    while piece := lines.readlines(_PIECE):
        if max(map(len, piece)) > LONGEST_ROW:
            raise RecordingError(
                name,
                tr(
                    "has a line of more than {longest_row:,} bytes, behind line {line}",
                    longest_row=LONGEST_ROW,
                    line=line,
                ),
            )
        text = decode_text(b"".join(piece), name, line)
        for what, pattern in _FORBIDDEN:
            if found := pattern.search(text):
                raise RecordingError(name, tr("holds {what}", what=tr(what)), line + text[: found.start()].count("\n"))
        for address in dict.fromkeys(_ADDRESS.findall(text)):
            if is_ip_address(address) and not any(IPv4Address(address) in network for network in allowed):
                place = line + text[: text.find(address)].count("\n")
                raise RecordingError(
                    name, tr("holds an address from outside the cluster: {address}", address=address), place
                )
        line += len(piece)
