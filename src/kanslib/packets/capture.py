"""Captures, frame by frame: the time of each frame, its bytes and its layers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Generic, TypeVar, overload

from kanslib.exceptions import MalformedPacketError
from kanslib.i18n import tr
from kanslib.packets import ethernet, ip
from kanslib.packets.arp import ARP
from kanslib.packets.ethernet import Cooked, Ethernet
from kanslib.packets.http import HTTP
from kanslib.packets.icmp import ICMP, ICMPv6
from kanslib.packets.ip import IPv4, IPv6
from kanslib.packets.pcap import CaptureWarning, batches
from kanslib.packets.tcp import TCP, UDP

if TYPE_CHECKING:
    from scapy.packet import Packet

__all__ = ["CaptureWarning", "Frame", "read"]

T = TypeVar("T")
_NETWORK_PROTOCOLS = {kind.to_bytes(2): kind for kind in (ethernet.IPV4, ethernet.ARP, ethernet.IPV6)}


_LAYERS = ("ethernet", "cooked", "arp", "ip", "tcp", "udp", "icmp", "icmpv6")
_UNREAD = object()


class _Layer(Generic[T]):
    """A layer of a frame, decoded once on first use; None where it is missing or malformed."""

    def __init__(self, parse: Callable[[Frame], T | None]) -> None:
        self.parse, self.__doc__ = parse, parse.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self.place = _LAYERS.index(name)

    @overload
    def __get__(self, frame: None, owner: type) -> _Layer[T]: ...
    @overload
    def __get__(self, frame: Frame, owner: type) -> T | None: ...
    def __get__(self, frame: Frame | None, owner: type) -> T | _Layer[T] | None:
        if frame is None:
            return self
        layers = frame._layers  # noqa: SLF001
        if not layers:
            layers += [_UNREAD] * len(_LAYERS)
        value = layers[self.place]
        if value is _UNREAD:
            try:
                value = self.parse(frame)
            except MalformedPacketError as wrong:
                value = None
                layers.append(wrong.with_traceback(None))  # behind the layers: see Frame.malformed
            layers[self.place] = value
        return value  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)  # a recording has many of them
class Frame:
    """One captured frame: `time` in Unix seconds, `raw` bytes, and its layers, None where it has none.

    `length`: bytes on the wire (0: as many as were captured); `number`: its place in the capture, from 1;
    `link`: the link type (https://www.tcpdump.org/linktypes.html), 1 is Ethernet; `source`: the capture's name;
    `interface`: the number of its interface in a pcapng.
    A layer that cannot be decoded is None, and `malformed` holds the reason.

    >>> frame = Frame(0, bytes.fromhex("ffffffffffff" "0242ac120004" "0806" "0001080006040001" "0242"))
    >>> frame.arp, str(frame.malformed)
    (None, 'ARP: 10 bytes, expected 28')
    """

    time: float
    raw: bytes
    length: int = 0
    number: int = 0
    link: int = ethernet.ETHERNET
    source: str = ""
    interface: int = 0
    _layers: list[Any] = field(default_factory=list, init=False, repr=False, compare=False)

    @property
    def malformed(self) -> MalformedPacketError | None:
        """The error in the first layer that cannot be decoded; None when all can."""
        for layer in ("arp", "tcp", "udp", "icmp", "icmpv6"):
            getattr(self, layer)
        return next(iter(self._layers[len(_LAYERS) :]), None)

    @property
    def is_truncated(self) -> bool:
        """True when only the beginning of the frame was captured (tcpdump's snap length)."""
        return self.length > len(self.raw)

    @_Layer
    def ethernet(self) -> Ethernet | None:
        """Return the Ethernet header and its payload."""
        return Ethernet.parse(self.raw) if self.link == ethernet.ETHERNET else None

    @_Layer
    def cooked(self) -> Cooked | None:
        """Return the header and payload of a frame of `tcpdump -i any`."""
        return Cooked.parse(self.link, self.raw) if self.link in (ethernet.COOKED, ethernet.COOKED_2) else None

    @property
    def source_mac(self) -> str | None:
        """The sender's MAC address; None where the capture does not hold it."""
        if self.link == ethernet.ETHERNET:
            return ethernet.mac(self.raw[6:12]) if len(self.raw) >= 14 else None  # one of millions: no other layer
        return (self.cooked.source or None) if self.cooked else None

    @property
    def destination_mac(self) -> str | None:
        """The receiver's MAC address; None where the capture does not hold it, as with `tcpdump -i any`."""
        is_known = self.link == ethernet.ETHERNET and len(self.raw) >= 14
        return ethernet.mac(self.raw[:6]) if is_known else None

    @property
    def _carried(self) -> tuple[int, bytes] | None:
        raw = self.raw
        if self.link != ethernet.ETHERNET:
            return ethernet.network_packet(self.link, raw)
        kind = raw[12:14]
        if kind in _NETWORK_PROTOCOLS:  # most frames: no need for the addresses
            return _NETWORK_PROTOCOLS[kind], raw[14:]
        found = self.ethernet
        return (found.type, found.payload) if found else None

    @_Layer
    def arp(self) -> ARP | None:
        """Return the ARP message."""
        found = self._carried
        return ARP.parse(found[1]) if found and found[0] == ethernet.ARP else None

    def _ip(self) -> IPv4 | IPv6 | None:
        """Return the IP packet, of either version."""
        found = self._carried
        if not found:
            return None
        if found[0] == ethernet.IPV4:
            return IPv4.parse(found[1])
        return IPv6.parse(found[1]) if found[0] == ethernet.IPV6 else None

    ip = _Layer["IPv4 | IPv6"](_ip)

    def _packet(self, protocol: int) -> IPv4 | IPv6 | None:
        """Return the IP packet if it contains the header of this protocol."""
        packet = self.ip
        return packet if packet and packet.protocol == protocol and not packet.fragment_offset else None

    @_Layer
    def tcp(self) -> TCP | None:
        """Return the TCP segment."""
        packet = self._packet(ip.TCP)
        return TCP.parse(packet.payload, packet.payload_length) if packet else None

    @_Layer
    def udp(self) -> UDP | None:
        """Return the UDP datagram."""
        packet = self._packet(ip.UDP)
        return UDP.parse(packet.payload) if packet else None

    @_Layer
    def icmp(self) -> ICMP | None:
        """Return the ICMP message."""
        packet = self._packet(ip.ICMP)
        return ICMP.parse(packet.payload) if isinstance(packet, IPv4) else None

    @_Layer
    def icmpv6(self) -> ICMPv6 | None:
        """Return the ICMPv6 message, neighbor discovery included."""
        packet = self._packet(ip.ICMPV6)
        return ICMPv6.parse(packet.payload) if isinstance(packet, IPv6) else None

    @property
    def http(self) -> HTTP | None:
        """The first line of an HTTP message that begins in this frame."""
        return HTTP.parse(self.tcp.payload) if self.tcp and self.tcp.payload else None

    def to_scapy(self) -> Packet:
        """Return this frame as a scapy packet. Needs scapy (GPL-2.0-only), which is an extra."""
        from scapy.layers.inet import IP
        from scapy.layers.inet6 import IPv6
        from scapy.layers.l2 import CookedLinux, CookedLinuxV2, Ether, Loopback

        version = self.raw[0] >> 4 if self.raw else 4
        kinds = {ethernet.ETHERNET: Ether, ethernet.COOKED: CookedLinux, ethernet.COOKED_2: CookedLinuxV2}
        kinds.update(dict.fromkeys(ethernet.BSD_LOOPBACKS, Loopback))
        packet = kinds.get(self.link, IPv6 if version == 6 else IP)(self.raw)
        packet.time = self.time
        return packet

    def __repr__(self) -> str:
        return f"<Frame {self}>"

    def __str__(self) -> str:
        if self.arp:
            return f"ARP {self.arp}"
        if self.ip and self.tcp:
            request = f" {self.http}" if self.http else ""
            return f"TCP {self.ip.src}:{self.tcp.sport} > {self.ip.dst}:{self.tcp.dport} [{self.tcp.flags}]{request}"
        if self.ip and self.udp:
            return f"UDP {self.ip.src}:{self.udp.sport} > {self.ip.dst}:{self.udp.dport}"
        if self.ip and (icmp := self.icmp or self.icmpv6):
            return f"ICMP {self.ip.src} > {self.ip.dst} {icmp.meaning}"
        return tr("frame of {size} bytes", size=len(self.raw)) + (f" ({self.malformed})" if self.malformed else "")


def read(source: str | Path | BinaryIO, name: str = "") -> Iterator[Frame]:
    """Yield the frames of a capture in the order of the file: pcap or pcapng, gzipped or not.

    `source` is a path or a binary stream; `name` is used in errors and as `Frame.source`. Raise RecordingError for
    a file that is no capture. Where a capture is cut off or damaged, the frames before that place are read, and one
    CaptureWarning names the place.
    """
    if isinstance(source, (str, Path)):
        path = Path(source)
        with path.open("rb") as stream:
            yield from read(stream, path.name)
        return
    number, origin = 0, name or str(getattr(source, "name", "capture"))
    for batch in batches(source, origin):
        content = batch.content
        for start, size, length, time, link, interface in zip(
            batch.starts, batch.captured, batch.lengths, batch.times, batch.links, batch.interfaces, strict=True
        ):
            number += 1
            yield Frame(time, content[start : start + size], length, number, link, origin, interface)
