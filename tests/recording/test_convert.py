"""The converter, on the raw recordings of the course and on others with their layout."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from kanslib.exceptions import RecordingError
from kanslib.recording.raw.convert import Labels, convert
from kanslib.recording.verify import verify
from tests.conftest import RAW_NAMES
from tests.types import OpenLab, OpenReference

LABELS = Labels(
    "The course on kind",
    {"kind": "v0.24.0"},
    ("pod network: kindnetd of kind v0.23", "node images built by hand on Debian 12 (containerd 1.6.20)"),
)
# longer names first, so that none is part of another
NAMES = {
    "myk8s-control-plane": "edge-control-plane", "myk8s-worker3": "edge-w3", "myk8s-worker2": "edge-w2",
    "myk8s-worker": "edge-w1", "mypc": "visitor", "172.18.": "172.31.", "172.18.0.0/16": "172.31.0.0/16",
}  # fmt: skip


def test_convert_deterministic(raw: Path, tmp_path: Path) -> None:
    made = [
        convert([raw / name for name in ("bgp", "ip-conflict")], tmp_path / name, LABELS) for name in ("a.zip", "b.zip")
    ]
    assert made[0].path.read_bytes() == made[1].path.read_bytes()
    verify(made[0])


@pytest.mark.parametrize("name", RAW_NAMES)
def test_convert_each_raw_recording_alone(raw: Path, tmp_path: Path, name: str, open_lab: OpenLab) -> None:
    made = convert([raw / name], tmp_path / name)
    verify(made)
    lab = open_lab(recording=tmp_path / name)
    assert len(lab.nodes()) == 4
    assert lab.client == "mypc"


def renamed(source: Path, target: Path) -> Path:
    """Write the same recording with other names and addresses."""
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("captures"))
    for path in sorted(target.rglob("*"), reverse=True):
        path.chmod(0o755)
        if path.is_file():
            text = path.read_text()
            for old, new in NAMES.items():
                text = text.replace(old, new)
            path.write_text(text)
        name = path.name
        for old, new in NAMES.items():
            name = name.replace(old, new)
        path.rename(path.with_name(name))
    return target


@pytest.mark.slow
def test_convert_lesson_of_another_cluster(raw: Path, tmp_path: Path, open_lab: OpenLab) -> None:
    verify(convert([renamed(raw / "l2", tmp_path / "evening-class")], tmp_path / "out.zip"))
    lab = open_lab("failover", recording=tmp_path / "out.zip")
    victim = lab.leader("svc1")
    assert victim == "edge-w1"
    with lab.observe(probes=["svc1"], seconds=60):
        lab.kill_node(victim)
    assert lab.leader("svc1") == "edge-w2"
    assert "partly dark" in lab.observation().timeline().describe()
    lab = open_lab("evening-class", recording=tmp_path / "out.zip")
    assert lab.address("visitor") == "172.31.0.100"


@pytest.mark.slow
def test_convert_other_names_and_addresses(raw: Path, tmp_path: Path, open_lab: OpenLab) -> None:
    convert([renamed(raw / "ip-conflict", tmp_path / "elsewhere")], tmp_path / "out.zip")
    lab = open_lab(recording=tmp_path / "out.zip")
    assert lab.network() == "172.31.0.0/16"
    assert lab.control_plane == "edge-control-plane"
    assert lab.leader("svc1") == "edge-w1"
    lab = open_lab("case-1", recording=tmp_path / "out.zip")
    assert lab.arp_scan(source="visitor").HOLDER.tolist() == ["", "edge-w1", "edge-w1", "edge-w3"]


def two_nodes(folder: Path) -> Path:
    """Write a minimal raw recording of a cluster of two nodes."""

    def write(name: str, *rows: dict[str, object]) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))

    def node(name: str, address: str, **labels: str) -> dict[str, object]:
        meta = {
            "name": name, "uid": f"uid-{name}", "resourceVersion": "7", "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": labels,
        }  # fmt: skip
        status = {
            "addresses": [{"type": "InternalIP", "address": address}],
            "conditions": [{"type": "Ready", "status": "True"}],
            "nodeInfo": {"kubeletVersion": "v1.99.0"},
        }
        return {"metadata": meta, "spec": {}, "status": status}

    control = node("alpha", "10.5.0.2", **{"node-role.kubernetes.io/control-plane": ""})
    write(
        "objects/nodes.ndjson",
        {"t": 100.5, "type": "ADDED", "object": control},
        {"t": 100.6, "type": "ADDED", "object": node("beta", "10.5.0.3")},
        {"t": 130.0, "type": "ADDED", "object": node("beta", "10.5.0.3")},
    )
    pool = "kind: IPAddressPool\nmetadata: {name: p, namespace: m}\nspec: {addresses: [10.5.9.1/32]}"
    write(
        "acts.ndjson",
        {
            "t": 110.0,
            "end": 111.0,
            "act": "apply-pool",
            "cmd": "kubectl apply -f -",
            "stdin": pool,
            "rc": 0,
            "out": "created",
        },
    )
    write(
        "reads.ndjson",
        {
            "t": 120.0,
            "end": 120.1,
            "step": "1",
            "file": "reads/1/a.json",
            "cmd": "docker exec alpha ip -j addr",
            "rc": 0,
        },
        {
            "t": 121.0,
            "end": 121.1,
            "step": "1",
            "file": "reads/1/b.txt",
            "cmd": "docker exec pc curl -s 10.5.9.1",
            "rc": 0,
        },
    )
    addresses = [{"address": "aa:bb", "addr_info": [{"local": "10.5.0.2", "prefixlen": 24}]}]
    (folder / "reads/1").mkdir(parents=True)
    (folder / "reads/1/a.json").write_text(json.dumps(addresses))
    (folder / "reads/1/b.txt").write_text("Hostname: x\n")
    return folder


def test_convert_other_node_count(tmp_path: Path, open_lab: OpenLab) -> None:
    made = convert([two_nodes(tmp_path / "tiny")], tmp_path / "out")
    verify(made)
    lab = open_lab(recording=tmp_path / "out")
    assert lab.nodes().NAME.tolist() == ["alpha", "beta"]
    assert (lab.network(), lab.client, made.manifest.versions) == ("10.5.0.0/24", "pc", {"kubernetes": "v1.99.0"})
    lab.at("apply-pool")
    assert lab.curl("10.5.9.1").HOSTNAME.tolist() == ["x"]


def test_convert_reconnected_watch_not_doubled(tmp_path: Path, open_lab: OpenLab) -> None:
    convert([two_nodes(tmp_path / "tiny")], tmp_path / "out")
    lab = open_lab(recording=tmp_path / "out")
    assert sum(node["metadata"]["name"] == "beta" for node in lab.objects("nodes")) == 1


def test_convert_joins_segments_of_one_cluster(
    open_reference: OpenReference,
) -> None:
    lab = open_reference("bgp")
    assert "10.10.1.3" in lab.pods().IP.tolist()  # webpod1, created again long before this segment
    silent = open_reference("bgp-silent")
    assert "webpod1" not in silent.pods().NAME.tolist()


def test_convert_errors_named(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=r"holds no acts\.ndjson"):
        convert([tmp_path], tmp_path / "out")
    broken = two_nodes(tmp_path / "broken")
    (broken / "objects/nodes.ndjson").write_text('{"t": 1\n')
    with pytest.raises(RecordingError, match=r"broken/objects/nodes\.ndjson, line 1"):
        convert([broken], tmp_path / "out")
    missing = two_nodes(tmp_path / "missing")
    (missing / "reads/1/b.txt").unlink()
    with pytest.raises(RecordingError, match=r"missing/reads/1/b\.txt"):
        convert([missing], tmp_path / "out")
    with pytest.raises(RecordingError, match="overlaps in time"):
        convert([two_nodes(tmp_path / "one"), two_nodes(tmp_path / "two")], tmp_path / "out")
    assert not (tmp_path / "out").exists()


ROWS = {
    "acts.ndjson": {"t": 110.0, "end": 111.0, "act": "a", "cmd": "true", "rc": 0},
    "reads.ndjson": {"t": 120.0, "end": 120.1, "file": "reads/1/a.json", "cmd": "true", "rc": 0},
    "settled.ndjson": {"group": "g", "settled": 112.0},
    "stories.ndjson": {"t": 115.0, "story": "a", "title": "A", "neutral": False, "lesson": True},
    "probes/p.ndjson": {"t": 115.0, "to": "10.5.9.1", "ok": True, "ms": 1.0},
    "objects/nodes.ndjson": {"t": 130.0, "type": "ADDED", "object": {}},
}


@pytest.mark.parametrize("name", ROWS)
def test_convert_wrong_row_named(tmp_path: Path, name: str) -> None:
    """Each field of each kind of row: left out, or of the wrong type."""
    folder = two_nodes(tmp_path / "raw")
    (folder / name).parent.mkdir(exist_ok=True)
    before = (folder / name).read_text() if (folder / name).exists() else ""
    line = before.count("\n") + 1
    for field in ROWS[name]:
        for row in ({**ROWS[name], field: ["wrong"]}, {key: ROWS[name][key] for key in ROWS[name] if key != field}):
            (folder / name).write_text(before + json.dumps(row) + "\n")
            with pytest.raises(RecordingError) as caught:
                convert([folder], tmp_path / "out")
            assert str(caught.value).startswith(f"raw/{name}, line {line}")
            assert field in str(caught.value)
    (folder / name).write_text(before + "{}\n")
    with pytest.raises(RecordingError, match=rf"^raw/{name}, line {line}: Object missing required field"):
        convert([folder], tmp_path / "out")


def test_convert_wrong_node_named(tmp_path: Path) -> None:
    folder = two_nodes(tmp_path / "raw")
    text = (folder / "objects/nodes.ndjson").read_text()
    (folder / "objects/nodes.ndjson").write_text(text.replace('"kubeletVersion"', '"version"', 1))
    with pytest.raises(RecordingError, match=r"nodes\.ndjson, line 1, field object\.status\.nodeInfo: .*kube"):
        convert([folder], tmp_path / "out")


def test_convert_log_not_utf8_named(tmp_path: Path) -> None:
    folder = two_nodes(tmp_path / "raw")
    (folder / "logs").mkdir()
    (folder / "logs/speaker-1@alpha.log").write_bytes(b"2026-01-01T00:00:00.0Z fine\n2026-01-01T00:00:01.0Z \xff\n")
    with pytest.raises(RecordingError, match=r"raw/logs/speaker-1@alpha\.log, line 2: not UTF-8"):
        convert([folder], tmp_path / "out")


def test_convert_nothing_recorded(tmp_path: Path) -> None:
    (tmp_path / "acts.ndjson").touch()
    with pytest.raises(RecordingError, match="nothing to convert"):
        convert([tmp_path], tmp_path / "out")


def test_convert_network_of_two_families(tmp_path: Path) -> None:
    """Docker lists the IPv6 range of a kind network beside the IPv4 range, in either order."""
    folder = two_nodes(tmp_path / "raw")
    row = {"t": 119.0, "end": 119.1, "file": "reads/1/net.json", "cmd": "docker network inspect kind", "rc": 0}
    ranges = [{"Subnet": "2001:db8::/64"}, {"Subnet": "10.5.0.0/16"}]
    (folder / "reads/1/net.json").write_text(json.dumps([{"IPAM": {"Config": ranges}}]))
    with (folder / "reads.ndjson").open("a") as reads:
        reads.write(json.dumps(row) + "\n")
    assert convert([folder], tmp_path / "out").manifest.segments[0].network == "10.5.0.0/16"


def test_convert_does_not_overwrite(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(FileExistsError):
        convert([two_nodes(tmp_path / "tiny")], tmp_path / "out")
