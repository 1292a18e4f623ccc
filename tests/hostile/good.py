"""Small inputs that every command takes, and ways to change one thing in them."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.hostile.zips import Member, write_zip

T = 1_795_440_000.0
MANIFEST = "manifest.json"
SERVICE = {
    "apiVersion": "v1", "kind": "Service", "metadata": {
        "name": "web", "namespace": "default", "uid": "u1", "resourceVersion": "7",
        "creationTimestamp": "2026-11-23T07:00:00Z"},
    "spec": {"type": "LoadBalancer", "clusterIP": "10.96.0.9", "ports": [{"port": 80, "protocol": "TCP"}]},
    "status": {"loadBalancer": {"ingress": [{"ip": "172.18.0.9"}]}},
}  # fmt: skip
NODE = {
    "apiVersion": "v1", "kind": "Node", "metadata": {
        "name": "n1", "uid": "u2", "resourceVersion": "8", "creationTimestamp": "2026-11-23T07:00:00Z",
        "labels": {"node-role.kubernetes.io/control-plane": ""}},
    "spec": {}, "status": {
        "nodeInfo": {"kubeletVersion": "v1.31.0"},
        "addresses": [{"type": "InternalIP", "address": "172.18.0.2"}],
        "conditions": [{"type": "Ready", "status": "True"}]},
}  # fmt: skip
ARP = bytes.fromhex("ffffffffffff0242ac120002080600010800060400010242ac120002ac120009000000000000ac120009")


def rows(*values: object) -> bytes:
    return b"".join(json.dumps(value).encode() + b"\n" for value in values)


def event(obj: object, t: float = T) -> dict[str, object]:
    return {"t": t, "type": "ADDED", "object": obj}


def pcap(*frames: bytes, link: int = 1) -> bytes:
    records = (struct.pack("<IIII", int(T) + at, 0, len(one), len(one)) + one for at, one in enumerate(frames))
    return struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262_144, link) + b"".join(records)


FILES: dict[str, bytes] = {
    "objects/services.ndjson": rows(event(SERVICE)),
    "objects/nodes.ndjson": rows(event(NODE)),
    "objects/pods.ndjson": rows({"t": T, "type": "LIST"}),
    "objects/servicel2statuses.ndjson": rows({"t": T + 2, "type": "LIST"}),
    "objects/endpointslices.ndjson": rows({"t": T + 3, "type": "LIST"}),
    "objects/events.ndjson": rows({"t": T + 1, "type": "LIST"}),
    "logs/speaker-a@n1.log": b'2026-11-23T07:10:10.5Z {"msg":"hello"}\n',
    "reads.ndjson": rows({"t": T, "end": T, "place": "n1", "command": "id", "rc": 0, "file": "reads/n1/id/001.txt"}),
    "reads/n1/id/001.txt": b"uid=0\n",
    "captures/s/eth0.pcap": pcap(ARP),
    "probes/s/client.ndjson": rows({"t": T, "to": "172.18.0.9", "ok": False, "error": "timeout", "ms": 1.0}),
}
STEP = {
    "t": T + 1, "end": T + 1, "verb": "kill_node", "targets": ["n1"], "manifest": "", "command": "docker stop n1",
    "rc": 0, "output": "",
}  # fmt: skip
BODY: dict[str, Any] = {
    "format": 1, "title": "small", "versions": {"kubernetes": "v1.31.0"}, "stand_ins": [], "redactions": [],
    "takes": [{
        "id": "s", "start": T, "end": T + 60, "cluster": "u2", "network": "172.18.0.0/16", "client": "pc",
        "router": None, "control_plane": "n1", "nodes": ["n1"], "addresses": {"n1": "172.18.0.2"}}],
    "acts": [{"id": "kill-node", "take": "s", "settled": T + 2, "steps": [STEP]}],
    "stories": [{"name": "l2", "title": "all", "take": "s", "start": T, "end": T + 60, "neutral": False}],
}  # fmt: skip


def manifest(contents: Mapping[str, bytes], **changes: object) -> bytes:
    """Return a manifest of these files, with other values for some of its fields."""
    entries = {
        name: {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
        for name, content in contents.items()
    }
    return json.dumps(BODY | {"files": entries} | changes).encode()


def members(others: Mapping[str, bytes] | None = None, **changes: object) -> list[Member]:
    """Return the members of a recording; `others` replace or join the files of the small one."""
    whole = FILES | dict(others or {})
    return [Member(MANIFEST, manifest(whole, **changes)), *(Member(name, content) for name, content in whole.items())]


def recording(folder: Path, others: Mapping[str, bytes] | None = None, **changes: object) -> Path:
    """Write a recording as a zip."""
    return write_zip(folder / "r.zip", members(others, **changes))


def with_manifest(folder: Path, change: Callable[[str], str | bytes]) -> Path:
    """Write a recording whose manifest's text was changed."""
    changed = change(manifest(FILES).decode())
    text = changed if isinstance(changed, bytes) else changed.encode(errors="surrogatepass")
    return write_zip(folder / "r.zip", [Member(MANIFEST, text), *members()[1:]])


def unpacked(folder: Path, files: Mapping[str, bytes] | None = None) -> Path:
    """Write a recording as a folder."""
    return written(folder / "r", {one.name: one.content for one in members(files) if isinstance(one.name, str)})


RAW: dict[str, bytes] = {
    "acts.ndjson": rows({"t": T + 1, "end": T + 2, "act": "kill-node", "cmd": "docker kill n1", "rc": 0}),
    "objects/nodes.ndjson": rows(event(NODE)),
    "objects/services.ndjson": rows(event(SERVICE)),
    "reads.ndjson": rows(
        {"t": T, "end": T, "cmd": "docker exec n1 ip -j addr", "rc": 0, "file": "reads/1"},
    ),
    "reads/1": json.dumps([{"addr_info": [{"local": "172.18.0.2", "prefixlen": 16}]}]).encode(),
    "logs/speaker-a@n1.log": b'2026-11-23T07:10:10.5Z {"msg":"hello"}\n',
    "captures/eth0.pcap": pcap(ARP),
}


def raw(folder: Path, **changes: bytes) -> Path:
    """Write a raw recording; names of `changes` have `__` for `/` and `_` for `.`."""
    renamed = {name.replace("__", "/").replace("_", "."): content for name, content in changes.items()}
    return written(folder / "raw", RAW | renamed)


def written(folder: Path, files: Mapping[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder
