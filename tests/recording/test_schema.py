"""The published JSON Schema and our reader accept the same recordings and refuse the same mistakes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from kanslib.exceptions import RecordingError
from kanslib.recording import Recording
from kanslib.recording.format import MANIFEST, CommandOutput, Manifest, ProbeRow, WatchRow, decode
from kanslib.recording.schema import json_schema

SCHEMA_FILE = Path(__file__).parents[2] / "docs" / "recording-format.schema.json"
KINDS = {kind.__name__: kind for kind in (Manifest, WatchRow, CommandOutput, ProbeRow)}
FOLDERS = {"objects": "WatchRow", "reads.ndjson": "CommandOutput", "probes": "ProbeRow"}
LEFT_OUT = object()

STEP = {
    "t": 1.5, "end": 2.0, "verb": "cut_link", "targets": ["n1"], "manifest": "", "command": "c", "rc": 0, "output": "",
}  # fmt: skip
SEGMENT = {
    "id": "s", "start": 1.0, "end": 9.0, "cluster": "u", "network": "192.0.2.0/24", "client": "pc", "router": None,
    "control_plane": "n1", "nodes": ["n1"], "addresses": {"n1": "192.0.2.1"},
}  # fmt: skip
VALID = {
    "Manifest": {
        "format": 1, "title": "T", "versions": {"metallb": "v0.14.8"}, "stand_ins": [], "redactions": [],
        "takes": [SEGMENT], "acts": [{"id": "a", "take": "s", "settled": 3, "steps": [STEP]}],
        "stories": [{"name": "l2", "title": "T", "take": "s", "start": 1, "end": 9, "neutral": False}],
        "files": {"logs/a.log": {"sha256": "0" * 64, "size": 1}},
    },
    "WatchRow": {"t": 1.0, "type": "ADDED", "object": {"metadata": {"name": "svc1"}, "spec": {"any": "thing"}}},
    "CommandOutput": {"t": 1.0, "end": 1.5, "place": "n1", "command": "c", "rc": -9, "file": "reads/n1/c/001.txt"},
    "ProbeRow": {"t": 1.0, "to": "192.0.2.10", "ok": True, "ms": 1.25, "hostname": "webpod1"},
}  # fmt: skip
MUTATIONS: list[tuple[str, str, object]] = [
    ("Manifest", "format", LEFT_OUT),
    ("Manifest", "format", "1"),
    ("Manifest", "title", None),
    ("Manifest", "versions metallb", 14),
    ("Manifest", "stand_ins", "none"),
    ("Manifest", "surprise", []),
    ("Manifest", "takes 0 start", "1.0"),
    ("Manifest", "takes 0 start", -1),
    ("Manifest", "takes 0 network", "fc00::/64"),
    ("Manifest", "takes 0 client", LEFT_OUT),
    ("Manifest", "takes 0 addresses n1", ["192.0.2.1"]),
    ("Manifest", "takes 0 color", "red"),
    ("Manifest", "acts 0 steps", []),
    ("Manifest", "acts 0 steps 0 verb", "melt_link"),
    ("Manifest", "acts 0 steps 0 verb", "link_down"),
    ("Manifest", "acts 0 steps 0 rc", 0.5),
    ("Manifest", "acts 0 steps 0 targets 0", 1),
    ("Manifest", "acts 0 settled", True),
    ("Manifest", "stories 0 neutral", 0),
    ("Manifest", "stories 0 take", LEFT_OUT),
    ("Manifest", "files logs/a.log sha256", "0" * 63),
    ("Manifest", "files logs/a.log size", -1),
    ("Manifest", "files ../evil.txt", {"sha256": "0" * 64, "size": 1}),
    ("Manifest", "files /etc/hosts", {"sha256": "0" * 64, "size": 1}),
    ("WatchRow", "t", None),
    ("WatchRow", "type", "BORN"),
    ("WatchRow", "object", LEFT_OUT),
    ("WatchRow", "object", []),
    ("WatchRow", "object metadata", LEFT_OUT),
    ("WatchRow", "object metadata name", 1),
    ("WatchRow", "surprise", 1),
    ("CommandOutput", "rc", "0"),
    ("CommandOutput", "place", LEFT_OUT),
    ("CommandOutput", "file", None),
    ("CommandOutput", "cmd", "c"),
    ("ProbeRow", "ok", "yes"),
    ("ProbeRow", "ms", LEFT_OUT),
    ("ProbeRow", "ms", -0.1),
    ("ProbeRow", "hostname", None),
    ("ProbeRow", "surprise", 1),
]


def validator(kind: str) -> Draft202012Validator:
    """Return a validator of one of the kinds, from the published file."""
    return Draft202012Validator({**json.loads(SCHEMA_FILE.read_text()), "$ref": f"#/$defs/{kind}"})


def is_refused(kind: str, text: str) -> bool:
    """Return True when our reader refuses a text."""
    try:
        decode(text.encode(), KINDS[kind], "file")
    except RecordingError:
        return True
    return False


def mutated(kind: str, path: str, value: object) -> object:
    """Return the valid document of a kind with one value changed, added or left out. `path`: its keys."""
    document = json.loads(json.dumps(VALID[kind]))
    *keys, last = (int(key) if key.isdigit() else key for key in path.split(" "))
    inner = document
    for key in keys:
        inner = inner[key]
    if value is LEFT_OUT:
        del inner[last]
    else:
        inner[last] = value
    return document


def documents(recording: Recording) -> Iterator[tuple[str, str, Any]]:
    """Yield kind, file and content of the manifest and of every row of a recording."""
    yield "Manifest", MANIFEST, json.loads(recording.manifest.to_json())
    for name in recording.manifest.files:
        if name.endswith(".ndjson"):
            for line in recording.read(name).splitlines():
                yield FOLDERS[name.partition("/")[0]], name, json.loads(line)


def test_schema_file_is_current() -> None:
    assert json.loads(SCHEMA_FILE.read_text()) == json_schema(), (
        "run: python -m kanslib.recording.schema > docs/recording-format.schema.json"
    )
    Draft202012Validator.check_schema(json_schema())


@pytest.mark.parametrize("name", ["recording", "reference_recording"])
def test_schema_accepts_recording(name: str, request: pytest.FixtureRequest) -> None:
    validators = {kind: validator(kind) for kind in KINDS}
    counts = dict.fromkeys(KINDS, 0)
    for kind, file, document in documents(request.getfixturevalue(name)):
        error = next(validators[kind].iter_errors(document), None)
        assert error is None, f"{file}: {error}"
        counts[kind] += 1
    assert counts["Manifest"] == 1
    assert min(counts["WatchRow"], counts["CommandOutput"], counts["ProbeRow"]) > 1000


@pytest.mark.parametrize("kind", KINDS)
def test_schema_accepts_valid_document(kind: str) -> None:
    assert validator(kind).is_valid(VALID[kind])
    assert not is_refused(kind, json.dumps(VALID[kind]))


def test_schema_list_row_has_no_object() -> None:
    row = {"t": 1.0, "type": "LIST"}
    assert validator("WatchRow").is_valid(row)
    assert not is_refused("WatchRow", json.dumps(row))


@pytest.mark.parametrize(("kind", "path", "value"), MUTATIONS)
def test_schema_and_reader_refuse(kind: str, path: str, value: object) -> None:
    document = mutated(kind, path, value)
    assert not validator(kind).is_valid(document)
    assert is_refused(kind, json.dumps(document))


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        # JSON has no NaN; Python's json module reads it
        ("ProbeRow", json.dumps(mutated("ProbeRow", "ms", float("nan")))),
        # for JSON Schema 1.0 is an integer
        ("Manifest", json.dumps(mutated("Manifest", "files logs/a.log size", 1.0))),
        # a pattern cannot bound a number
        ("Manifest", json.dumps(mutated("Manifest", "takes 0 network", "192.0.2.0/99"))),
    ],
)
def test_reader_stricter_than_schema(kind: str, text: str) -> None:
    assert validator(kind).is_valid(json.loads(text))
    assert is_refused(kind, text)
