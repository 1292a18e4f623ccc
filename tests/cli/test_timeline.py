"""`kans timeline` on somebody's own files: the raw captures and logs, and a recording."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kanslib.cli.app import app
from kanslib.course.recordings import shipped
from kanslib.exceptions import KanslibError
from kanslib.packets.ethernet import COOKED, COOKED_2, ETHERNET, RAW_IP
from kanslib.recording import Recording
from tests.wire import CLIENT, CLIENT6, NODE1, NODE2, VIP, VIP6, Wire, alive, failover6, stale, two_answers

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


def timeline_of(wire: Wire, tmp_path: Path, *more: str | Path, link: int = ETHERNET) -> str:
    path = tmp_path / "wire.pcap"
    path.write_bytes(wire.pcap(link))
    return run_timeline(path, *more, "--out", tmp_path / "t.html")


@pytest.mark.parametrize("link", [ETHERNET, COOKED, COOKED_2])
def test_kans_timeline_live_node_whose_pod_is_gone(tmp_path: Path, link: int) -> None:
    """The same frames, with their destination MAC addresses and without: a missing one is no evidence."""
    output = timeline_of(alive(), tmp_path, "--vip", VIP, link=link)
    assert "VIP dark (7 of 7 failed: endpoint gone 7)" in output
    limit = "the MAC address that a frame was sent to is not known (tcpdump -i any keeps none"
    assert output.count(limit) == (0 if link == ETHERNET else 2)  # in the facts of the file, and in the answer
    assert f"Neighbor cache of {CLIENT}: {NODE1} from -5.0 s" in output
    assert ("not each entry is shown" in output) is (link != ETHERNET)


def test_kans_timeline_raw_ip_without_mac_addresses(tmp_path: Path) -> None:
    output = timeline_of(alive(), tmp_path, "--vip", VIP, link=RAW_IP)
    assert "VIP dark (7 of 7 failed: not known 7)" in output
    assert "MAC addresses are not known (its link type has none" in output
    assert "where it was sent is not known in this capture" in (tmp_path / "t.html").read_text()


@pytest.mark.parametrize("link", [COOKED_2, RAW_IP])
def test_kans_timeline_half_of_the_pods_gone_without_destinations(tmp_path: Path, link: int) -> None:
    """Others are answered just before and after: the address has a holder, whoever it is."""
    wire = Wire()
    for number in range(60):
        if number % 2 and number > 10:
            wire.syn(number / 5, 40000 + number, NODE1)
        else:
            wire.request(number / 5, 40000 + number, NODE1)
    assert "endpoint gone 22" in timeline_of(wire, tmp_path, "--vip", VIP, link=link)


@pytest.mark.parametrize("link", [ETHERNET, COOKED, COOKED_2])
def test_kans_timeline_leader_that_falls_silent(tmp_path: Path, link: int) -> None:
    """The old leader sends nothing any more, ARP included: this is shown also without destination MAC addresses."""
    wire = Wire()
    wire.question(0)
    wire.answer(0.001, NODE1)
    for second in range(20):
        wire.syn(second + 0.1, 40000 + second, NODE1 if second < 12 else NODE2)
        if second < 5 or second >= 12:
            wire.syn_ack(second + 0.101, 40000 + second, NODE1 if second < 5 else NODE2)
    for number in range(5):
        wire.announcement(11.9 + number * 1.1, NODE2)
    assert "(7 of 7 failed: leader gone 7)" in timeline_of(wire, tmp_path, "--vip", VIP, link=link)


def test_kans_timeline_stale_neighbor_entry(tmp_path: Path) -> None:
    output = timeline_of(stale(), tmp_path, "--vip", VIP)
    assert "(15 of 15 failed: stale neighbor entry 12, leader gone 3)" in output
    assert f"Neighbor cache of {CLIENT}: {NODE1} from -5.1 s, then {NODE2} from +14.8 s." in output
    assert f"It moves from {NODE1} to {NODE2} at +2.9 s." in output
    page = (tmp_path / "t.html").read_text()
    assert f"sent to the MAC of {NODE1}, its last frame is from -1.0 s; {NODE2} claims {VIP} since +2.9 s" in page


def test_kans_timeline_stale_neighbor_entry_of_ipv6(tmp_path: Path) -> None:
    """The announcement has no override flag, so the client keeps its entry."""
    wire = Wire()
    for second in range(20):
        holder = NODE1 if second < 15 else NODE2
        wire.syn(second, 40000 + second, holder, VIP6)
        if second < 5 or second >= 15:
            wire.syn_ack(second + 0.001, 40000 + second, holder, VIP6)
    wire.advertisement(8.5, NODE2, override=False)
    output = timeline_of(wire, tmp_path)
    assert "(10 of 10 failed: stale neighbor entry 6, leader gone 4)" in output
    assert f"{NODE1} from -5.0 s, then {NODE2} from +10.0 s." in output


def test_kans_timeline_conflict_in_words(tmp_path: Path) -> None:
    output = timeline_of(two_answers(), tmp_path)
    assert "6 questions, 12 answers. Conflict: 2 network cards hold it" in output
    assert f"{NODE1} and {NODE2}: they answer the same question, 6 times, +0.0 to +5.0 s." in output


def test_kans_timeline_conflict_in_turns_in_words(tmp_path: Path) -> None:
    wire = Wire()
    for second in range(8):
        wire.question(second)
        wire.answer(second + 0.001, (NODE1, NODE2)[second % 2])
    output = timeline_of(wire, tmp_path)
    assert "they claim it in turns, +0.0 to +7.0 s." in output
    assert "It moves" not in output


def test_kans_timeline_ipv6_failover(tmp_path: Path) -> None:
    output = timeline_of(failover6(), tmp_path)
    assert f"{VIP6}: +0.0 to +3.5 s VIP dark (4 of 4 failed: leader gone 4)" in output
    assert f"neighbor advertisement at +3.4 s ({VIP6} is-at {NODE2})" in output
    assert f"{NODE2} announces itself from +3.4 s on, in 4 rounds." in output
    assert f"Neighbor cache of {CLIENT6}: {NODE1} from -5.0 s, then {NODE2} from +3.4 s." in output


def test_kans_timeline_ipv6_vip_in_another_spelling(tmp_path: Path) -> None:
    assert "leader gone 4" in timeline_of(failover6(), tmp_path, "--vip", "2001:0DB8:0:0::50")


def test_kans_timeline_ipv6_probe_is_no_claim(tmp_path: Path) -> None:
    wire = failover6()
    wire.solicitation(2, mac=NODE2, ip="::")
    assert "4 announcements, 1 probe." in timeline_of(wire, tmp_path)


def test_kans_timeline_questions_without_answer(tmp_path: Path) -> None:
    wire = Wire()
    for second in range(4):
        wire.question(second)
    assert "4 questions, no answer." in timeline_of(wire, tmp_path, "--vip", VIP)


def test_kans_timeline_connections_with_ecn(tmp_path: Path) -> None:
    """A SYN with the flags of ECN is a SYN (RFC 3168)."""
    wire = Wire()
    for second in range(10):
        wire.syn(second, 40000 + second, NODE1, flags="SEC")
        wire.syn_ack(second + 0.001, 40000 + second, NODE1, flags="SAE")
    assert "healthy (0 of 10 failed)" in timeline_of(wire, tmp_path, "--vip", VIP)


def test_kans_timeline_one_wire_captured_twice_counts_once(tmp_path: Path) -> None:
    """One wire by two captures, one of them given twice."""
    once = timeline_of(stale(), tmp_path, "--vip", VIP).splitlines()
    (tmp_path / "any.pcap").write_bytes(stale().pcap(COOKED_2))
    again = tmp_path / "any.pcap"
    both = timeline_of(stale(), tmp_path, again, again, "--vip", VIP)
    assert "any.pcap: given more than once: read once" in both
    assert "frames are copies of others, captured at another place: counted once" in both
    assert [line for line in once if line.startswith(VIP)] == [
        line for line in both.splitlines() if line.startswith(VIP)
    ]


def test_kans_timeline_captures_of_one_name_are_told_apart(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.pcap").write_bytes(stale().pcap())
    output = run_timeline(tmp_path / "a/x.pcap", tmp_path / "b/x.pcap", "--vip", VIP, "--out", tmp_path / "t.html")
    assert "2 questions, 2 answers, 10 announcements." in output


def test_kans_timeline_captures_in_any_order(tmp_path: Path) -> None:
    """The frames of a capture need not be in order of time (several threads write it)."""
    wire = stale()
    frames = wire.read()
    mixed = b"".join(
        struct.pack("<IIII", int(frame.time), round(frame.time % 1 * 1e6), len(frame.raw), len(frame.raw)) + frame.raw
        for frame in reversed(frames)
    )
    (tmp_path / "mixed.pcap").write_bytes(wire.pcap()[:24] + mixed)
    output = run_timeline(tmp_path / "mixed.pcap", "--vip", VIP, "--out", tmp_path / "t.html")
    assert "stale neighbor entry 12, leader gone 3" in output


def test_kans_timeline_unknown_link_type_is_named(tmp_path: Path) -> None:
    content = bytearray(stale().pcap())
    content[20:24] = struct.pack("<I", 127)
    (tmp_path / "wlan.pcap").write_bytes(content)
    output = run_timeline(tmp_path / "wlan.pcap", "--vip", VIP, "--out", tmp_path / "t.html")
    assert "link: type 127 (802.11 with radiotap) is none of those read here" in output
