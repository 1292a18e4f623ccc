"""Captures: pcap and pcapng, of either byte order, micro- and nanoseconds, gzipped or not.

pcap: draft-ietf-opsawg-pcap; pcapng: draft-ietf-opsawg-pcapng. Only Ethernet is decoded.
"""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

from kanslib.errors import RecordingError
from kanslib.packets import ethernet, ip
from kanslib.packets.arp import Arp
from kanslib.packets.ethernet import Ethernet
from kanslib.packets.ip import Ipv4
from kanslib.packets.tcp import Tcp, Udp

_PCAP = {
    b"\xd4\xc3\xb2\xa1": ("<", 1e-6),
    b"\xa1\xb2\xc3\xd4": (">", 1e-6),
    b"\x4d\x3c\xb2\xa1": ("<", 1e-9),
    b"\xa1\xb2\x3c\x4d": (">", 1e-9),
}
_PCAPNG = b"\x0a\x0d\x0d\x0a"
_INTERFACE, _ENHANCED = 1, 6


@dataclass(frozen=True)
class Frame:
    """One captured frame: `time` in Unix seconds, `raw` bytes, and its layers, None where it has none."""

    time: float
    raw: bytes

    @cached_property
    def ethernet(self) -> Ethernet | None:
        return Ethernet.parse(self.raw)

    @cached_property
    def arp(self) -> Arp | None:
        return Arp.parse(self.ethernet.payload) if self.ethernet and self.ethernet.type == ethernet.ARP else None

    @cached_property
    def ip(self) -> Ipv4 | None:
        return Ipv4.parse(self.ethernet.payload) if self.ethernet and self.ethernet.type == ethernet.IPV4 else None

    @cached_property
    def tcp(self) -> Tcp | None:
        return Tcp.parse(self.ip.payload) if self._carries(ip.TCP) and self.ip else None

    @cached_property
    def udp(self) -> Udp | None:
        return Udp.parse(self.ip.payload) if self._carries(ip.UDP) and self.ip else None

    def _carries(self, protocol: int) -> bool:
        return self.ip is not None and self.ip.protocol == protocol and self.ip.fragment_offset == 0

    def __repr__(self) -> str:
        return f"<Frame {self}>"

    def __str__(self) -> str:
        if self.arp:
            return f"ARP {self.arp}"
        if self.ip and self.tcp:
            return f"TCP {self.ip.src}:{self.tcp.sport} > {self.ip.dst}:{self.tcp.dport} [{self.tcp.flags}]"
        if self.ip and self.udp:
            return f"UDP {self.ip.src}:{self.udp.sport} > {self.ip.dst}:{self.udp.dport}"
        return f"frame of {len(self.raw)} bytes"


def read(source: str | Path | BinaryIO, name: str = "") -> Iterator[Frame]:
    """The frames of a capture, one at a time, in the order of the file.

    Raises RecordingError, naming the frame, for what is no capture or breaks off in the middle.
    """
    if isinstance(source, (str, Path)):
        path = Path(source)
        with path.open("rb") as stream:
            yield from read(stream, path.name)
        return
    label = name or getattr(source, "name", "capture")
    magic = source.read(4)
    if magic[:2] == b"\x1f\x8b":
        source.seek(-len(magic), 1)
        with gzip.open(source) as unpacked:
            yield from read(unpacked, label)  # type: ignore[arg-type]
    elif magic in _PCAP:
        yield from _pcap(source, label, *_PCAP[magic])
    elif magic == _PCAPNG:
        yield from _pcapng(source, label)
    else:
        raise RecordingError(label, f"starts with {magic.hex() or 'nothing'}: neither pcap nor pcapng")


def _pcap(stream: BinaryIO, name: str, order: str, tick: float) -> Iterator[Frame]:
    if len(stream.read(20)) < 20:
        raise RecordingError(name, "cut off in the header of the capture")
    header = struct.Struct(order + "IIII")
    number = 0
    while head := stream.read(16):
        number += 1
        if len(head) < 16:
            raise RecordingError(name, f"cut off in the header of frame {number}")
        seconds, fraction, length, _on_wire = header.unpack(head)
        raw = stream.read(length)
        if len(raw) < length:
            raise RecordingError(name, f"cut off in frame {number}: {len(raw)} of {length} bytes")
        yield Frame(seconds + fraction * tick, raw)


def thinned(content: bytes, keep: Callable[[Frame], bool]) -> bytes:
    """A pcap with only the frames for which `keep` holds; each as it was, with the length that it had on the wire.

    Raises RecordingError for what is no pcap; what was cut off at the end is left out.
    """
    if content[:4] not in _PCAP:
        raise RecordingError("capture", f"starts with {content[:4].hex() or 'nothing'}: not a pcap")
    order, tick = _PCAP[content[:4]]
    header, parts, at = struct.Struct(order + "IIII"), [content[:24]], 24
    while at + 16 <= len(content):
        seconds, fraction, length, _on_wire = header.unpack_from(content, at)
        end = at + 16 + length
        if end > len(content):
            break
        if keep(Frame(seconds + fraction * tick, content[at + 16 : end])):
            parts.append(content[at:end])
        at = end
    return b"".join(parts)


def _pcapng(stream: BinaryIO, name: str) -> Iterator[Frame]:
    order, ticks, number = "<", list[float](), 0
    block_type = _PCAPNG
    while block_type:
        size_raw = stream.read(4)
        if block_type == _PCAPNG:
            bom = stream.read(4)
            order = "<" if bom == b"\x4d\x3c\x2b\x1a" else ">"
            ticks = []
        if len(size_raw) < 4:
            raise RecordingError(name, f"cut off after frame {number}")
        (size,) = struct.unpack(order + "I", size_raw)
        read_already = 12 if block_type == _PCAPNG else 8
        body = stream.read(size - read_already)
        if size < 12 or len(body) < size - read_already:
            raise RecordingError(name, f"cut off after frame {number}")
        (kind,) = struct.unpack(order + "I", block_type)
        if kind == _INTERFACE:
            ticks.append(_resolution(body, order))
        elif kind == _ENHANCED:
            number += 1
            interface, high, low, length = struct.unpack_from(order + "IIII", body)
            yield Frame(((high << 32) | low) * ticks[interface], body[20 : 20 + length])
        block_type = stream.read(4)


def _resolution(body: bytes, order: str) -> float:
    """Seconds per tick of an interface: its option if_tsresol (9), a microsecond without one."""
    at = 8
    while at + 4 <= len(body) - 4:
        code, length = struct.unpack_from(order + "HH", body, at)
        if code == 0:
            break
        if code == 9:
            value = body[at + 4]
            return float(2.0 ** -(value & 127) if value & 128 else 10.0**-value)
        at += 4 + (length + 3) // 4 * 4
    return 1e-6
