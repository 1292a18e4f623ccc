"""The columns beside the frames: the same answer for every frame of every capture, and of damaged ones."""

from __future__ import annotations

import io
import random
import warnings
from socket import AF_INET6, inet_ntop

import numpy as np
import pytest

from kanslib.packets import capture, table
from kanslib.packets.capture import Frame
from kanslib.packets.tcp import FLAGS
from kanslib.recording import Recording


def mac(number: int) -> str:
    return int(number).to_bytes(6).hex(":")


def row_of(frame: Frame) -> dict[str, object]:
    """What the columns should hold of a frame, from its layers."""
    arp, packet, segment = frame.arp, frame.ip, frame.tcp or frame.udp
    message = frame.icmp or frame.icmpv6
    version = 0 if packet is None else 6 if ":" in packet.src else 4
    return {
        "number": frame.number, "time": frame.time, "length": frame.length, "captured": len(frame.raw),
        "arp": tuple(arp) if arp else None, "version": version,
        "src": packet.src if packet else None, "dst": packet.dst if packet else None,
        "protocol": packet.protocol if packet else 0, "ttl": packet.ttl if packet else 0,
        "offset": packet.fragment_offset if packet else 0,
        "ports": (segment.sport, segment.dport) if segment else None,
        "tcp": (frame.tcp.seq, frame.tcp.ack, frame.tcp.flags, frame.tcp.window, frame.tcp.length)
        if frame.tcp else None,
        "icmp": (message.type, message.code) if message else None,
    }  # fmt: skip


def row_in(part: dict[str, np.ndarray], i: int) -> dict[str, object]:
    version = int(part["ip_version"][i])
    src, dst = (
        None if version == 0
        else table.ipv4_text(part[side][i]) if version == 4
        else inet_ntop(AF_INET6, part[f"{side}6"][i].tobytes())
        for side in ("src", "dst")
    )  # fmt: skip
    arp = (
        int(part["arp_operation"][i]), mac(part["arp_sender_mac"][i]), table.ipv4_text(part["arp_sender_ip"][i]),
        mac(part["arp_target_mac"][i]), table.ipv4_text(part["arp_target_ip"][i]),
    )  # fmt: skip
    tcp = tuple(int(part[name][i]) for name in ("seq", "ack", "flags", "window", "payload"))
    has_ports = part["is_tcp"][i] or part["is_udp"][i]
    return {
        "number": part["number"][i], "time": part["time"][i], "length": part["length"][i],
        "captured": part["captured"][i], "arp": arp if part["is_arp"][i] else None, "version": version,
        "src": src, "dst": dst, "protocol": part["protocol"][i], "ttl": part["ttl"][i],
        "offset": part["fragment_offset"][i],
        "ports": (part["sport"][i], part["dport"][i]) if has_ports else None,
        "tcp": (tcp[0], tcp[1], FLAGS[tcp[2]], tcp[3], tcp[4]) if part["is_tcp"][i] else None,
        "icmp": (part["icmp_type"][i], part["icmp_code"][i]) if part["is_icmp"][i] else None,
    }  # fmt: skip


def same(content: bytes) -> int:
    frames = capture.read(io.BytesIO(content))
    count = 0
    for part in table.read(io.BytesIO(content)):
        for i in range(len(part["number"])):
            frame = next(frames)
            assert row_in(part, i) == row_of(frame), frame.raw.hex()
            count += 1
    assert next(frames, None) is None
    return count


def test_table_read_columns_equal_frames(recording: Recording, reference_recording: Recording) -> None:
    compared = 0
    for one in (recording, reference_recording):
        for name in one.manifest.files:
            if name.startswith("captures/"):
                compared += same(one.read(name))
    assert compared > 40_000


@pytest.mark.parametrize("seed", range(8))
def test_table_read_damaged_captures_equal_frames(recording: Recording, seed: int) -> None:
    """Bytes anywhere in the packets are changed, not in the headers of their records: the reader has to go on."""
    dice = random.Random(seed)
    content = bytearray(recording.read("captures/course/06-bridge.pcap")[:400_000])
    at = 24
    while at + 16 <= len(content):
        size = int.from_bytes(content[at + 8 : at + 12], "little")
        for _ in range(dice.randrange(3)):
            place = at + 16 + dice.randrange(min(size, 60))
            if place < len(content):
                content[place] = dice.randrange(256)
        at += 16 + size
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", capture.CaptureWarning)
        same(bytes(content))


def test_table_read_malformed_frames(odd_captures: dict[str, bytes]) -> None:
    for content in odd_captures.values():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", capture.CaptureWarning)
            same(content)
