"""Captures as numpy columns: millions of frames, a chunk at a time. Needs numpy, which pandas installs.

The decoding is that of `capture.read`, for all frames of a chunk at once. A test compares the two.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from kanslib.packets import ethernet, ip
from kanslib.packets.pcap import Batch, batches

Column = NDArray[Any]
_PADDING = bytes(128)  # a field that is cut off may end behind its chunk
_TAGS = (0x8100, 0x88A8, 0x9100)
_EXTENSIONS = (0, 43, 44, 60, 135, 139, 140)


def read(source: str | Path | BinaryIO, name: str = "") -> Iterator[dict[str, Column]]:
    """Yield the frames of a capture as columns of equal length, about a megabyte of the file at a time.

    number, time (Unix seconds), length, captured (bytes); ethernet_source, ethernet_destination (48 bits), type, vlan;
    is_arp, arp_operation, arp_sender_mac, arp_sender_ip, arp_target_mac, arp_target_ip; ip_version (4, 6 or 0),
    src, dst (IPv4 as 32 bits), src6, dst6 (16 bytes), protocol, ttl, fragment_offset; is_tcp, is_udp, sport, dport,
    seq, ack, flags (bits), window, payload (bytes); is_icmp, icmp_type, icmp_code. What a frame does not have is 0.

    Parameters, errors and warnings are those of `capture.read`.

    >>> import io
    >>> from kanslib.recording import Recording
    >>> from kanslib.course.recordings import shipped
    >>> content = Recording.open(shipped("failover")).read("captures/course/05-bridge.pcap")
    >>> sum(int((part["is_tcp"] & (part["flags"] == 2)).sum()) for part in read(io.BytesIO(content)))
    5186
    """
    if isinstance(source, (str, Path)):
        path = Path(source)
        with path.open("rb") as stream:
            yield from read(stream, path.name)
        return
    number = 1
    for batch in batches(source, name or getattr(source, "name", "capture")):
        yield _BatchDecoder(batch, number).columns()
        number += len(batch.starts)


def ipv4_text(address: int) -> str:
    """Return an IPv4 address of a column (32 bits) as text.

    >>> ipv4_text(2886926280)
    '172.18.255.200'
    """
    return ".".join(str(part) for part in int(address).to_bytes(4))


class _BatchDecoder:
    """Decode the frames of one batch: fields are gathered from views that begin at every byte."""

    def __init__(self, batch: Batch, number: int) -> None:
        self.batch, self.number = batch, number
        buffer = batch.content + _PADDING
        room = len(buffer) - 8
        self.u8 = np.frombuffer(buffer, np.uint8)
        self.u16: Column = np.ndarray((room,), ">u2", buffer, strides=(1,))
        self.u32: Column = np.ndarray((room,), ">u4", buffer, strides=(1,))
        self.start = np.array(batch.starts, np.int64)
        self.captured = np.array(batch.captured, np.int64)
        self.end = self.start + self.captured

    def _u16(self, at: Column) -> Column:
        return self.u16[np.minimum(at, len(self.u16) - 1)].astype(np.uint16)

    def _u32(self, at: Column) -> Column:
        return self.u32[np.minimum(at, len(self.u32) - 1)].astype(np.uint32)

    def _u8(self, at: Column) -> Column:
        return self.u8[np.minimum(at, len(self.u8) - 1)]

    def _mac(self, at: Column) -> Column:
        return self._u16(at).astype(np.uint64) << np.uint64(32) | self._u32(at + 2)

    def columns(self) -> dict[str, Column]:
        count = len(self.start)
        out: dict[str, Column] = {
            "number": np.arange(self.number, self.number + count),
            "time": np.array(self.batch.times),
            "length": np.array(self.batch.lengths, np.int64),
            "captured": self.captured,
        }
        kind, network = self._link(out)
        self._arp(out, kind, network)
        protocol, transport, payload_length, end = self._ip(out, kind, network)
        self._transport(out, protocol, transport, payload_length, end)
        return out

    def _link(self, out: dict[str, Column]) -> tuple[Column, Column]:
        """Return the protocol of each frame and the offset of its packet."""
        links = np.array(self.batch.links)
        is_ethernet = (links == ethernet.ETHERNET) & (self.captured >= 14)
        out["ethernet_destination"] = np.where(is_ethernet, self._mac(self.start), 0)
        out["ethernet_source"] = np.where(is_ethernet, self._mac(self.start + 6), 0)
        kind = np.where(is_ethernet, self._u16(self.start + 12), 0).astype(np.int64)
        network, vlan = self.start + 14, np.zeros(len(kind), np.uint16)
        if not is_ethernet.all():
            kind, network = self._other_links(links, kind, network)
        while (tagged := np.isin(kind, _TAGS) & (network + 4 <= self.end)).any():
            vlan = np.where(tagged & (vlan == 0), self._u16(network) & 0xFFF, vlan)
            kind = np.where(tagged, self._u16(network + 2), kind)
            network = np.where(tagged, network + 4, network)
        out["type"], out["vlan"] = np.where(is_ethernet, kind, 0).astype(np.uint16), vlan
        return kind, network

    def _other_links(self, links: Column, kind: Column, network: Column) -> tuple[Column, Column]:
        """Return the protocol and the offset of the packet, or of its VLAN tag, also of link types without Ethernet."""
        for link, header, place in ((ethernet.COOKED, 16, 14), (ethernet.COOKED_2, 20, 0)):
            mine = (links == link) & (self.captured >= header)
            kind = np.where(mine, self._u16(self.start + place), kind)
            network = np.where(mine, self.start + header, network)
        raw = np.isin(links, list(ethernet.RAW_LINKS)) & (self.captured > 0)
        six = self._u8(self.start) >> 4 == 6
        kind = np.where(raw, np.where(six, ethernet.IPV6, ethernet.IPV4), kind)
        network = np.where(raw, self.start, network)
        loopback = np.isin(links, list(ethernet.BSD_LOOPBACKS)) & (self.captured >= 4)
        family = np.maximum(self._u8(self.start), self._u8(self.start + 3))
        for number, protocol in ethernet.FAMILIES.items():
            kind = np.where(loopback & (family == number), protocol, kind)
        return kind, np.where(loopback, self.start + 4, network)

    def _arp(self, out: dict[str, Column], kind: Column, at: Column) -> None:
        is_arp = (kind == ethernet.ARP) & (at + 28 <= self.end)
        is_arp &= np.isin(self._u32(at), (0x00010800, 0x00060800)) & (self._u16(at + 4) == 0x0604)
        out["is_arp"] = is_arp
        for name, column in (
            ("operation", self._u16(at + 6)),
            ("sender_mac", self._mac(at + 8)),
            ("sender_ip", self._u32(at + 14)),
            ("target_mac", self._mac(at + 18)),
            ("target_ip", self._u32(at + 24)),
        ):
            out[f"arp_{name}"] = np.where(is_arp, column, 0)

    def _ip(self, out: dict[str, Column], kind: Column, at: Column) -> tuple[Column, Column, Column, Column]:
        """Return the transport protocol (-1 for none), its offset, its size on the wire, and its end."""
        first, room = self._u8(at), self.end - at
        header = (first & 15).astype(np.int64) * 4
        length = self._u16(at + 2).astype(np.int64)
        length = np.where(length == 0, room, length)
        four = (kind == ethernet.IPV4) & (room >= 20) & (first >> 4 == 4)
        four &= (header >= 20) & (header <= room) & (length >= header)
        six = (kind == ethernet.IPV6) & (room >= 40) & (first >> 4 == 6)
        protocol6, start6, offset6, size6, fits = self._ipv6(six, at)
        six &= fits
        out["ip_version"] = np.where(four, 4, np.where(six, 6, 0)).astype(np.uint8)
        out["src"], out["dst"] = (np.where(four, self._u32(at + place), 0) for place in (12, 16))
        out["src6"], out["dst6"] = (self._sixteen(six, at + place) for place in (8, 24))
        out["protocol"] = np.where(four, self._u8(at + 9), np.where(six, protocol6, 0)).astype(np.uint8)
        out["ttl"] = np.where(four, self._u8(at + 8), np.where(six, self._u8(at + 7), 0))
        offset4 = (self._u16(at + 6) & 0x1FFF).astype(np.int64) * 8
        offset = np.where(four, offset4, np.where(six, offset6, 0))
        out["fragment_offset"] = offset
        whole = (four | six) & (offset == 0)
        transport = np.where(six, start6, at + header)
        payload_length = np.where(six, size6, length - header)
        return (
            np.where(whole, out["protocol"].astype(np.int64), -1),
            transport,
            payload_length,
            np.minimum(self.end, transport + payload_length),
        )

    def _ipv6(self, six: Column, at: Column) -> tuple[Column, Column, Column, Column, Column]:
        """Return the protocol behind the extension headers, its offset, the fragment offset, its size, and validity."""
        protocol, start = self._u8(at + 6).astype(np.int64), at + 40
        offset, fits = np.zeros(len(at), np.int64), np.ones(len(at), bool)
        while (more := six & fits & np.isin(protocol, _EXTENSIONS) & (offset == 0)).any():
            fits &= ~more | (start + 8 <= self.end)
            more &= fits
            is_fragment = protocol == 44
            size = np.where(is_fragment, 8, (self._u8(start + 1).astype(np.int64) + 1) * 8)
            offset = np.where(more & is_fragment, self._u16(start + 2).astype(np.int64) & 0xFFF8, offset)
            protocol = np.where(more, self._u8(start), protocol)
            start = np.where(more, start + size, start)
        length = self._u16(at + 4).astype(np.int64)
        end = np.where(length > 0, at + 40 + length, self.end)
        fits &= start <= np.maximum(end, self.end)
        return protocol, start, offset, np.where(length > 0, end - start, np.maximum(self.end - start, 0)), fits

    def _sixteen(self, there: Column, at: Column) -> Column:
        found = np.zeros((len(at), 16), np.uint8)
        if there.any():
            found[there] = self.u8[at[there][:, None] + np.arange(16)]
        return found

    def _transport(
        self, out: dict[str, Column], protocol: Column, at: Column, payload_length: Column, end: Column
    ) -> None:
        room = end - at
        bits = self._u16(at + 12)
        header = (bits >> 12).astype(np.int64) * 4
        is_tcp = (protocol == ip.TCP) & (room >= 20) & (header >= 20) & (header <= payload_length)
        size = self._u16(at + 4).astype(np.int64)
        is_udp = (protocol == ip.UDP) & (room >= 8) & ((size == 0) | (size >= 8))
        is_icmp = np.isin(protocol, (ip.ICMP, ip.ICMPV6)) & (room >= 8)
        six = out["ip_version"] == 6
        is_icmp &= (protocol == ip.ICMPV6) == six
        neighbor = six & np.isin(self._u8(at), (135, 136))
        is_icmp &= ~neighbor | (room >= 24)
        out["is_tcp"], out["is_udp"], out["is_icmp"] = is_tcp, is_udp, is_icmp
        ports = is_tcp | is_udp
        out["sport"], out["dport"] = (np.where(ports, self._u16(at + place), 0) for place in (0, 2))
        out["seq"], out["ack"] = (np.where(is_tcp, self._u32(at + place), 0) for place in (4, 8))
        out["flags"] = np.where(is_tcp, bits & 0x1FF, 0)
        out["window"] = np.where(is_tcp, self._u16(at + 14), 0)
        udp = np.where(size > 0, size - 8, room - 8)
        out["payload"] = np.where(is_tcp, payload_length - header, np.where(is_udp, udp, 0))
        out["icmp_type"], out["icmp_code"] = (np.where(is_icmp, self._u8(at + place), 0) for place in (0, 1))
