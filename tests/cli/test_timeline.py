"""`kans timeline` on somebody's own files: the raw captures and logs, and a recording."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kanslib.cli.app import app
from kanslib.course.recordings import shipped
from kanslib.exceptions import KanslibError
from kanslib.recording import Recording

runner = CliRunner()


@pytest.fixture(scope="module")
def bridge(recording: Recording, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The capture of chapter 06, gzipped, as somebody would send it."""
    path = tmp_path_factory.mktemp("own") / "bridge.pcap.gz"
    path.write_bytes(gzip.compress(recording.read("captures/course/05-bridge.pcap"), mtime=0))
    return path


def run_timeline(*arguments: str | Path) -> str:
    ran = runner.invoke(app, ["timeline", *map(str, arguments)], catch_exceptions=False)
    assert ran.exit_code == 0, ran.output
    return ran.output


def test_kans_timeline_capture_alone(bridge: Path, tmp_path: Path) -> None:
    out = tmp_path / "t.html"
    output = run_timeline(bridge, "--out", out)
    for vip in ("172.18.255.200", "172.18.255.201"):
        line = next(line for line in output.splitlines() if line.startswith(f"{vip}: +"))
        assert "VIP dark (9 of 9 failed: leader gone 9)" in line
        assert "partly dark (48 of" in line
        assert "healthy with stragglers" in line
        assert "Neighbor cache of 172.18.0.100: 172.18.0.5 from" in output
    page = out.read_text()
    assert page.startswith("<!doctype html>")
    assert "endpoint gone" in page
    assert "as MetalLB does it" in page
    assert "11,529 frames" in page


def test_kans_timeline_page_self_contained(bridge: Path, tmp_path: Path) -> None:
    run_timeline(bridge, "--out", tmp_path / "t.html")
    page = (tmp_path / "t.html").read_text()
    assert 'src="http' not in page
    assert '<link rel="stylesheet" href="http' not in page


def test_kans_timeline_logs_same_clock(bridge: Path, recording: Recording, tmp_path: Path) -> None:
    logs = []
    for name, file in recording.under("logs").items():
        if name.startswith("speaker-"):
            logs.append(tmp_path / f"{name}.log")
            logs[-1].write_text(recording.text(file))
    output = run_timeline(
        bridge, *logs, "--vip", "172.18.255.200", "--zero", "2026-11-23T13:31:18.7376", "--out", tmp_path / "t.html"
    )
    assert "memberlist at +1.3 s (myk8s-worker3 suspects myk8s-worker)" in output
    assert "speaker at +5.3 s (myk8s-worker2 announces 172.18.255.200 (layer2))" in output


def test_kans_timeline_recording_by_action(tmp_path: Path) -> None:
    output = run_timeline(shipped("l2"), "--action", "cut-link", "--out", tmp_path / "t.html")
    assert "next hop gone 13" in output
    assert "router: hold timer for myk8s-worker over" in output


def test_kans_timeline_truncated_capture_noted(bridge: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.pcap"
    cut.write_bytes(gzip.decompress(bridge.read_bytes())[:700_001])
    run_timeline(cut, "--out", tmp_path / "t.html")
    assert "cut off in frame" in (tmp_path / "t.html").read_text()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file"),
        (b"hello\n", "neither a capture nor a log"),
        (b"hello\0", "neither pcap nor pcapng"),
        (b"\xd4\xc3\xb2\xa1" + bytes(16) + b"\x01\0\0\0", "name the address with --vip"),
    ],
)
def test_kans_timeline_bad_input_exit_code(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "x.pcap"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(KanslibError, match=message):
        run_timeline(path, "--out", tmp_path / "t.html")


def test_kans_timeline_bad_zero_shows_format(bridge: Path, tmp_path: Path) -> None:
    with pytest.raises(KanslibError, match="expected Unix seconds"):
        run_timeline(bridge, "--zero", "yesterday", "--out", tmp_path / "t.html")


ANNOUNCED = '{"event":"serviceAnnounced","ips":["192.0.2.50"],"protocol":"layer2","service":"shop/web"'


def test_kans_timeline_logs_alone_need_neither_zero_nor_vip(tmp_path: Path) -> None:
    for node, second in (("node1", "03"), ("node2", "10.5")):
        path = tmp_path / f"speaker@{node}.log.gz"
        path.write_bytes(gzip.compress(f"2026-11-08T17:06:{second}Z {ANNOUNCED}}}\n".encode()))
    output = run_timeline(*sorted(tmp_path.glob("*.gz")), "--out", tmp_path / "t.html")
    assert "192.0.2.50 from 2026-11-08 17:06:03 UTC on" in output
    assert "+0.0 s speaker: node1 announces 192.0.2.50 (layer2)" in output
    assert "+7.5 s speaker: node2 announces 192.0.2.50 (layer2)" in output


def test_kans_timeline_log_of_several_pods(tmp_path: Path) -> None:
    path = tmp_path / "speakers.log"
    path.write_text("".join(f"[pod/speaker-{x}/speaker] 2026-11-08T17:06:0{x}Z {ANNOUNCED}}}\n" for x in "25"))
    output = run_timeline(path, "--out", tmp_path / "t.html")
    assert "+3.0 s speaker: speaker-5 announces 192.0.2.50 (layer2)" in output


def test_kans_timeline_log_without_times_gives_an_order(tmp_path: Path) -> None:
    path = tmp_path / "speaker@node1.log"
    path.write_text(ANNOUNCED + "}\n" + ANNOUNCED.replace("Announced", "Withdrawn") + "}\n")
    output = run_timeline(path, "--out", tmp_path / "t.html")
    assert "no timestamps" in output
    assert "node1 announces 192.0.2.50 (layer2); node1 stops announcing 192.0.2.50 (layer2)" in output
    assert "1970" not in output


def test_kans_timeline_log_of_powershell(tmp_path: Path) -> None:
    path = tmp_path / "speaker@node1.log"
    path.write_bytes(f"2026-11-08T17:06:02Z {ANNOUNCED}}}\r\n".encode("utf-16"))
    assert "node1 announces 192.0.2.50" in run_timeline(path, "--out", tmp_path / "t.html")


def test_kans_timeline_log_with_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "speaker@node1.log"
    path.write_bytes(f"2026-11-08T17:06:02Z {ANNOUNCED},".encode() + b'"x":"\xff\xfe"}\n')
    assert "node1 announces 192.0.2.50" in run_timeline(path, "--out", tmp_path / "t.html")


def test_kans_timeline_other_component_adds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "kubelet.log"
    path.write_text("2026-11-08T17:06:02Z I1108 kubelet.go:1 hello\n")
    assert "no line in it is a speaker's" in run_timeline(path, "--out", tmp_path / "t.html")


def test_kans_timeline_text_that_is_no_log_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello\n")
    with pytest.raises(KanslibError, match="neither a capture nor a log"):
        run_timeline(tmp_path / "notes.txt")


def test_kans_timeline_vip_that_is_no_address_refused(tmp_path: Path) -> None:
    (tmp_path / "speaker.log").write_text(f"2026-11-08T17:06:02Z {ANNOUNCED}}}\n")
    with pytest.raises(KanslibError, match="expected an address"):
        run_timeline(tmp_path / "speaker.log", "--vip", "foo")
