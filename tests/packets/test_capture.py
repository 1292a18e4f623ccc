"""The reader beside scapy's, frame by frame, on every capture that ships."""

from __future__ import annotations

import gzip
import io
import struct
import warnings
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import ARP, CookedLinuxV2, Ether
from scapy.utils import PcapNgWriter, RawPcapReader, rdpcap, wrpcap

from kanslib.exceptions import RecordingError
from kanslib.packets import bgp, capture
from kanslib.packets.capture import CaptureWarning, Frame
from kanslib.packets.ethernet import LinkAddresses, PacketType, link_addresses
from kanslib.recording import Recording


def captures(recording: Recording) -> list[str]:
    return [name for name in recording.manifest.files if name.startswith("captures/")]


def test_read_frames_and_times_equal_scapy(recording: Recording) -> None:
    for name in captures(recording):
        content = recording.read(name)
        mine = list(capture.read(io.BytesIO(content), name))
        theirs = list(RawPcapReader(io.BytesIO(content)))  # type: ignore[arg-type]  # a stream is documented, too
        assert [frame.raw for frame in mine] == [raw for raw, _ in theirs]
        assert [round(frame.time, 6) for frame in mine] == [round(m.sec + m.usec / 1e6, 6) for _, m in theirs]


def test_read_reference_frames_and_times_equal_scapy(reference_recording: Recording) -> None:
    test_read_frames_and_times_equal_scapy(reference_recording)


def test_frame_arp_equals_scapy(reference_recording: Recording) -> None:
    name = "captures/l2/lesson-arp.pcap"
    for frame in capture.read(io.BytesIO(reference_recording.read(name)), name):
        theirs = Ether(frame.raw)[ARP]
        assert frame.arp
        mine = (
            frame.arp.operation,
            frame.arp.sender_mac,
            frame.arp.sender_ip,
            frame.arp.target_mac,
            frame.arp.target_ip,
        )
        assert mine == (theirs.op, theirs.hwsrc, theirs.psrc, theirs.hwdst, theirs.pdst)
        assert frame.arp.is_gratuitous == (theirs.psrc == theirs.pdst)


@pytest.mark.parametrize("part", ["bgp/bgp.pcap", "l2/failover-memberlist.pcap"])
def test_frame_tcp_udp_equal_scapy(reference_recording: Recording, part: str) -> None:
    frames = list(capture.read(io.BytesIO(reference_recording.read(f"captures/{part}")), part))
    for frame in frames[:400]:
        theirs = Ether(frame.raw)
        if frame.arp:
            continue
        assert frame.ip
        assert (frame.ip.src, frame.ip.dst) == (theirs[IP].src, theirs[IP].dst)
        if frame.tcp:
            tcp = theirs[TCP]
            assert (frame.tcp.sport, frame.tcp.dport, frame.tcp.seq, frame.tcp.ack) == (
                tcp.sport,
                tcp.dport,
                tcp.seq,
                tcp.ack,
            )
            assert set(frame.tcp.flags) == set(str(tcp.flags))
        if frame.udp:
            assert (frame.udp.sport, frame.udp.dport) == (theirs[UDP].sport, theirs[UDP].dport)


def packets() -> list[Ether]:
    return [
        Ether(src="02:00:00:00:00:01", dst="ff:ff:ff:ff:ff:ff")
        / ARP(psrc="10.0.0.1", pdst="10.0.0.2", hwsrc="02:00:00:00:00:01")
    ] * 3


@pytest.mark.parametrize("nano", [False, True])
@pytest.mark.parametrize("endianness", ["<", ">"])
@pytest.mark.parametrize("packed", [False, True])
def test_read_pcap_byte_orders_and_resolutions(tmp_path: Path, nano: bool, endianness: str, packed: bool) -> None:
    path = tmp_path / ("x.pcap.gz" if packed else "x.pcap")
    wrpcap(str(path), packets(), nano=nano, endianness=endianness, gz=packed)
    mine, theirs = list(capture.read(path)), rdpcap(str(path))
    assert [frame.raw for frame in mine] == [bytes(packet) for packet in theirs]
    assert [frame.time for frame in mine] == pytest.approx([float(packet.time) for packet in theirs], abs=1e-6)


def test_read_pcapng(tmp_path: Path) -> None:
    path = tmp_path / "x.pcapng"
    with PcapNgWriter(str(path)) as out:
        out.write(packets())
    mine, theirs = list(capture.read(path)), rdpcap(str(path))
    assert [frame.raw for frame in mine] == [bytes(packet) for packet in theirs]
    assert [frame.time for frame in mine] == pytest.approx([float(packet.time) for packet in theirs], abs=1e-6)


def test_read_not_a_capture_raises(tmp_path: Path) -> None:
    for content in (b"", b"PK\x03\x04 a zip", b"ab"):
        (tmp_path / "no.pcap").write_bytes(content)
        with pytest.raises(RecordingError, match="neither pcap nor pcapng"):
            list(capture.read(tmp_path / "no.pcap"))


def test_read_truncated_header_raises(tmp_path: Path) -> None:
    wrpcap(str(tmp_path / "cut.pcap"), packets())
    (tmp_path / "cut.pcap").write_bytes((tmp_path / "cut.pcap").read_bytes()[:10])
    with pytest.raises(RecordingError, match="cut off"):
        list(capture.read(tmp_path / "cut.pcap"))


@pytest.mark.parametrize(("left", "whole"), [(30, 0), (45, 0), (90, 1), (110, 1), (160, 2)])
@pytest.mark.parametrize("packed", [False, True])
def test_read_truncated_capture_warns_once(tmp_path: Path, left: int, whole: int, packed: bool) -> None:
    wrpcap(str(tmp_path / "cut.pcap"), packets())
    content = (tmp_path / "cut.pcap").read_bytes()[:left]
    (tmp_path / "cut.pcap").write_bytes(gzip.compress(content) if packed else content)
    with pytest.warns(CaptureWarning, match=f"cut off in frame {whole + 1}; {whole} frames? (was|were) read") as caught:
        assert len(list(capture.read(tmp_path / "cut.pcap"))) == whole
    assert len(caught) == 1


def test_read_damaged_gzip_warns_once(tmp_path: Path) -> None:
    wrpcap(str(tmp_path / "x.pcap"), packets())
    packed = gzip.compress((tmp_path / "x.pcap").read_bytes())
    with pytest.warns(CaptureWarning, match="cannot be unpacked") as caught:
        assert list(capture.read(io.BytesIO(packed[:-9])))
    assert len(caught) == 1


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300), st.integers(0, 7))
def test_read_any_bytes_does_not_crash(noise: bytes, kind: int) -> None:
    """Frames of noise, captures of noise, BGP of noise: an answer or a named error, never another exception."""
    prefixes = [
        b"",
        bytes(12) + b"\x08\x00E",
        bytes(12) + b"\x86\xdd`",
        bytes(12) + b"\x08\x06",
        bytes(12) + b"\x81\x00",
    ]
    for link in (1, 101, 113, 276, 147):
        frame = Frame(0, prefixes[kind % 5] + noise, link=link)
        assert str(frame)
        assert frame.malformed is None or str(frame.malformed)
    assert bgp.parse(bgp.MARKER + struct.pack("!HB", 19 + len(noise), kind) + noise).name
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CaptureWarning)
        for header in (
            b"\xd4\xc3\xb2\xa1" + bytes(16) + b"\x01\0\0\0",
            bytes.fromhex("0a0d0d0a1c0000004d3c2b1a") + bytes(12) + b"\x1c\0\0\0",
        ):
            for one in capture.read(io.BytesIO(header + noise)):
                assert str(one)


def test_read_impossible_length_stops(tmp_path: Path) -> None:
    wrpcap(str(tmp_path / "x.pcap"), packets())
    content = bytearray((tmp_path / "x.pcap").read_bytes())
    content[24 + 58 + 8 : 24 + 58 + 12] = b"\xff\xff\xff\x7f"
    with pytest.warns(CaptureWarning, match="damaged"):
        assert len(list(capture.read(io.BytesIO(bytes(content))))) == 1


def test_frame_malformed_has_no_layers() -> None:
    assert Frame(0, b"short").arp is None
    tagged = bytes(12) + struct.pack("!HHH", 0x8100, 5, 0x0806) + bytes.fromhex("0001080006040002") + bytes(20)
    assert Frame(0, tagged).arp is not None
    assert Frame(0, bytes(12) + b"\x86\xdd" + bytes(60)).ip is None


def test_frame_to_scapy(recording: Recording) -> None:
    name = captures(recording)[0]
    for frame in list(capture.read(io.BytesIO(recording.read(name)), name))[:50]:
        packet = frame.to_scapy()
        assert bytes(packet) == frame.raw
        assert float(packet.time) == frame.time
        assert (ARP in packet) == (frame.arp is not None)


def test_frame_cooked_equals_scapy(odd_captures: dict[str, bytes]) -> None:
    first, second = capture.read(io.BytesIO(odd_captures["cooked 2"]))
    theirs = CookedLinuxV2(second.raw)
    assert second.cooked
    assert (second.cooked.interface, second.cooked.packet_type) == (theirs.ifindex, theirs.pkttype) == (7, 4)
    assert second.cooked.packet_type == PacketType.SENT_BY_US
    assert (second.source_mac, second.destination_mac) == ("02:02:02:02:02:02", None)
    assert first.tcp
    assert bytes(first.to_scapy()) == first.raw


@pytest.mark.parametrize(
    ("name", "source", "destination", "known"),
    [
        ("vlan", "02:00:00:00:00:0a", "02:00:00:00:00:0b", LinkAddresses.BOTH),
        ("cooked 2", "02:02:02:02:02:02", None, LinkAddresses.SOURCE),
        ("cooked without an address", None, None, LinkAddresses.SOURCE),
        ("raw ip", None, None, LinkAddresses.NONE),
        ("bsd loopback", None, None, LinkAddresses.NONE),
        ("shorter than a header", None, None, LinkAddresses.BOTH),
    ],
)
def test_frame_mac_addresses_are_what_the_link_type_keeps(
    odd_captures: dict[str, bytes], name: str, source: str | None, destination: str | None, known: LinkAddresses
) -> None:
    frame = next(capture.read(io.BytesIO(odd_captures[name])))
    assert (frame.source_mac, frame.destination_mac) == (source, destination)
    assert link_addresses(frame.link) is known


def test_read_pcapng_interfaces_of_several_link_types(odd_captures: dict[str, bytes]) -> None:
    frames = list(capture.read(io.BytesIO(odd_captures["pcapng with two link types"])))
    assert [(frame.interface, frame.link) for frame in frames] == [(0, 1), (1, 276), (0, 1)]
    assert [frame.tcp is not None for frame in frames] == [True, True, False]


def test_read_pcapng_frame_of_an_undeclared_interface_warns(odd_captures: dict[str, bytes]) -> None:
    content = odd_captures["pcapng with an interface that is not declared"]
    with pytest.warns(CaptureWarning, match="does not fit its kind"):
        assert len(list(capture.read(io.BytesIO(content)))) == 1


def test_frame_unknown_link_type_is_named() -> None:
    assert "type 127 (802.11 with radiotap)" in str(Frame(0, b"x" * 60, link=127).malformed)
    assert "type 9999 is none of those" in str(Frame(0, b"x" * 60, link=9999).malformed)


@pytest.mark.parametrize("flags", ["S", "SEC", "SE"])
def test_tcp_is_syn_also_with_ecn(flags: str) -> None:
    raw = bytes(Ether() / IP() / TCP(flags=flags))
    answer = bytes(Ether() / IP() / TCP(flags=flags + "A"))
    syn, syn_ack = Frame(0, raw).tcp, Frame(0, answer).tcp
    assert syn
    assert syn_ack
    assert (syn.is_syn, syn.is_syn_ack, syn_ack.is_syn, syn_ack.is_syn_ack) == (True, False, False, True)
