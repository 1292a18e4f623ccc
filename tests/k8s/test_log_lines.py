"""A log reads the same, whoever fetched it."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone

import pytest

from kanslib.k8s.log_lines import LogLine, by_pod, read_lines
from kanslib.k8s.logs import timestamp_of
from kanslib.recording import Recording

SEOUL = timezone(timedelta(hours=9))


@pytest.fixture(scope="module")
def log(recording: Recording) -> str:
    """The longest speaker log of the shipped recording, with kubectl's timestamps."""
    logs = (recording.text(file) for name, file in recording.under("logs").items() if name.startswith("speaker-"))
    return max(logs, key=len)


def contents(lines: list[LogLine]) -> list[tuple[float | None, str]]:
    return [(line.time, line.text) for line in lines]


def cri(line: str, zone: timezone | None = None) -> str:
    """A line as kubelet's file has it; a long one in two parts (the runtime cuts at 16 KiB)."""
    stamp, _, body = line.partition(" ")
    stamp = datetime.fromisoformat(stamp).astimezone(zone).isoformat() if zone else stamp
    if len(body) > 300:
        return f"{stamp} stdout P {body[:200]}\n{stamp} stdout F {body[200:]}"
    return f"{stamp} stdout F {body}"


def docker(line: str) -> str:
    stamp, _, body = line.partition(" ")
    return json.dumps({"log": body + "\n", "stream": "stdout", "time": stamp})


def test_read_lines_kubectl_timestamps(log: str) -> None:
    lines = list(read_lines(log))
    assert len(lines) == len(log.splitlines()) > 100
    assert [line.time for line in lines] == pytest.approx([timestamp_of(line) for line in log.splitlines()], abs=2e-6)
    assert sum(bool(line.fields) for line in lines) > 100


@pytest.mark.parametrize(
    "write",
    [
        cri,
        lambda line: cri(line, SEOUL),
        docker,
        lambda line: f"[pod/speaker-x7k2p/speaker] {line}",
        lambda line: f"speaker-x7k2p speaker {line}",
        lambda line: f"\x1b[32mspeaker-x7k2p\x1b[0m › speaker {line}",
    ],
    ids=["cri", "cri-seoul", "docker", "prefix", "stern", "stern-colours"],
)
def test_read_lines_other_prefixes_same_lines(log: str, write: object) -> None:
    assert callable(write)
    expected = contents(list(read_lines(log)))
    assert contents(list(read_lines("\n".join(map(write, log.splitlines()))))) == expected


def test_read_lines_own_time_without_prefix() -> None:
    [line] = read_lines('{"level":"info","msg":"hello","ts":"2026-11-08T17:06:02Z"}')
    assert line.time == 1794157562.0


def test_read_lines_no_time() -> None:
    assert [line.time for line in read_lines('{"msg":"hello"}\nplain text\n\n')] == [None, None, None]


def test_read_lines_collector_envelope() -> None:
    row = {"@timestamp": "2026-11-08T17:06:02.5Z", "message": '{"event":"serviceAnnounced","msg":"m"}', "pod": "x"}
    [line] = read_lines(json.dumps(row))
    assert (line.time, line.fields["event"]) == (1794157562.5, "serviceAnnounced")


@pytest.mark.parametrize(
    "text", ["", "\0\0", "{", '{"log": 3}', '{"ts": true}', '{"ts": "tomorrow"}', "[pod/x] ", "2026-99-99T00:00:00Z x"]
)
def test_read_lines_odd_text_has_no_time(text: str) -> None:
    assert all(line.time is None for line in read_lines(text))


def test_by_pod_mixed_file(log: str) -> None:
    lines = log.splitlines()[:10]
    mixed = [f"[pod/speaker-{'ab'[number % 2]}/speaker] {line}" for number, line in enumerate(lines)]
    found = by_pod(read_lines("\n".join(mixed)))
    assert {pod: len(kept) for pod, kept in found.items()} == {"speaker-a": 5, "speaker-b": 5}
