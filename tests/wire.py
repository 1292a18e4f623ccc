"""Frames that a test writes down, and the captures of them: on Ethernet, by `tcpdump -i any`, or as raw IP."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass, field

from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6NDOptDstLLAddr, ICMPv6NDOptSrcLLAddr, IPv6
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet

from kanslib.packets import capture
from kanslib.packets.capture import Frame
from kanslib.packets.ethernet import COOKED, COOKED_2, ETHERNET, RAW_IP

VIP, CLIENT, VIP6, CLIENT6 = "192.0.2.50", "192.0.2.9", "2001:db8::50", "2001:db8::9"
PC, NODE1, NODE2 = "02:00:00:00:00:0c", "02:00:00:00:00:01", "02:00:00:00:00:02"
ALL, ALL_NODES = "ff:ff:ff:ff:ff:ff", "33:33:00:00:00:01"
START = 1_794_000_000.0


@dataclass
class Wire:
    """Frames with their times, in seconds after START."""

    frames: list[tuple[float, bytes]] = field(default_factory=list)

    def add(self, at: float, packet: Packet) -> None:
        self.frames.append((at, bytes(packet)))

    def question(self, at: float, vip: str = VIP, mac: str = PC, ip: str = CLIENT) -> None:
        self.add(at, Ether(src=mac, dst=ALL) / ARP(op=1, hwsrc=mac, psrc=ip, hwdst="00:00:00:00:00:00", pdst=vip))

    def answer(self, at: float, mac: str, vip: str = VIP, asker: str = PC, ip: str = CLIENT) -> None:
        self.add(at, Ether(src=mac, dst=asker) / ARP(op=2, hwsrc=mac, psrc=vip, hwdst=asker, pdst=ip))

    def announcement(self, at: float, mac: str, vip: str = VIP) -> None:
        """Both frames of one round, as MetalLB sends them."""
        for place, operation in enumerate((1, 2)):
            message = ARP(op=operation, hwsrc=mac, psrc=vip, hwdst=ALL, pdst=vip)
            self.add(at + place / 2000, Ether(src=mac, dst=ALL) / message)

    def solicitation(self, at: float, vip: str = VIP6, mac: str = PC, ip: str = CLIENT6) -> None:
        ether = Ether(src=mac, dst="33:33:ff:00:00:50")
        message = IPv6(src=ip, dst="ff02::1:ff00:50", hlim=255) / ICMPv6ND_NS(tgt=vip)
        self.add(at, ether / message if ip == "::" else ether / message / ICMPv6NDOptSrcLLAddr(lladdr=mac))

    def advertisement(self, at: float, mac: str, vip: str = VIP6, override: bool = True) -> None:
        """An unsolicited one, to all nodes."""
        message = ICMPv6ND_NA(tgt=vip, R=0, S=0, O=int(override)) / ICMPv6NDOptDstLLAddr(lladdr=mac)
        self.add(at, Ether(src=mac, dst=ALL_NODES) / IPv6(src="fe80::1", dst="ff02::1", hlim=255) / message)

    def answer6(self, at: float, mac: str, vip: str = VIP6) -> None:
        """A solicited one without the override flag, as MetalLB answers."""
        message = ICMPv6ND_NA(tgt=vip, R=0, S=1, O=0) / ICMPv6NDOptDstLLAddr(lladdr=mac)
        self.add(at, Ether(src=mac, dst=PC) / IPv6(src="fe80::1", dst=CLIENT6, hlim=255) / message)

    def syn(self, at: float, port: int, mac: str, vip: str = VIP, flags: str = "S") -> None:
        tcp = TCP(sport=port, dport=80, flags=flags, seq=1000)
        self.add(at, Ether(src=PC, dst=mac) / _ip(vip, to_vip=True) / tcp)

    def syn_ack(self, at: float, port: int, mac: str, vip: str = VIP, flags: str = "SA") -> None:
        tcp = TCP(sport=80, dport=port, flags=flags, seq=5000, ack=1001)
        self.add(at, Ether(src=mac, dst=PC) / _ip(vip, to_vip=False) / tcp)

    def request(self, at: float, port: int, mac: str, vip: str = VIP) -> None:
        """A connection that is answered."""
        self.syn(at, port, mac, vip)
        self.syn_ack(at + 0.001, port, mac, vip)

    def pcap(self, link: int = ETHERNET, interface: int = 2) -> bytes:
        """The capture of the frames with a link type; by SLL and SLL2, as the client's `tcpdump -i any` has them."""
        out = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262_144, link)]
        for at, ethernet in sorted(self.frames, key=lambda frame: frame[0]):
            raw = linked(ethernet, link, interface)
            if raw:
                seconds, fraction = divmod(START + at, 1)
                out += [struct.pack("<IIII", int(seconds), round(fraction * 1e6), len(raw), len(raw)), raw]
        return b"".join(out)

    def read(self, link: int = ETHERNET) -> list[Frame]:
        return list(capture.read(io.BytesIO(self.pcap(link)), "wire.pcap"))


def _ip(vip: str, *, to_vip: bool) -> Packet:
    client, kind = (CLIENT6, IPv6) if ":" in vip else (CLIENT, IP)
    return kind(src=client, dst=vip) if to_vip else kind(src=vip, dst=client)


def linked(ethernet: bytes, link: int, interface: int = 2) -> bytes:
    """An Ethernet frame as a capture with another link type has it; empty where it has none."""
    destination, source, kind, packet = ethernet[:6], ethernet[6:12], ethernet[12:14], ethernet[14:]
    sent, group = source.hex(":") == PC, destination[0] & 1
    packet_type = 4 if sent else 1 if destination == b"\xff" * 6 else 2 if group else 0
    if link == COOKED:
        return struct.pack("!HHH6sxx", packet_type, 1, 6, source) + kind + packet
    if link == COOKED_2:
        return kind + struct.pack("!HIHBB6sxx", 0, interface, 1, packet_type, 6, source) + packet
    if link == RAW_IP:
        return packet if kind in (b"\x08\x00", b"\x86\xdd") else b""
    return ethernet


def alive() -> Wire:
    """A node that answers each ARP question while its Pod is gone for seven requests."""
    wire = Wire()
    for second in range(20):
        wire.question(second)
        wire.answer(second + 0.001, NODE1)
        wire.syn(second + 0.05, 42000 + second, NODE1)
        if not 5 <= second < 12:
            wire.syn_ack(second + 0.051, 42000 + second, NODE1)
    return wire


def stale() -> Wire:
    """A client that does not take the announcement of the new leader, and asks again 12 s later."""
    wire = Wire()
    wire.question(0)
    wire.answer(0.001, NODE1)
    for second in range(30):
        holder = NODE1 if second < 20 else NODE2
        wire.syn(second + 0.1, 40000 + second, holder)
        if second < 5 or second >= 20:
            wire.syn_ack(second + 0.101, 40000 + second, holder)
    for number in range(5):
        wire.announcement(8 + number * 1.1, NODE2)
    wire.question(19.9)
    wire.answer(19.901, NODE2)
    return wire


def failover6() -> Wire:
    """An IPv6 failover: the new leader announces with unsolicited neighbor advertisements."""
    wire = Wire()
    for second in range(20):
        holder = NODE1 if second < 9 else NODE2
        wire.syn(second, 40000 + second, holder, VIP6)
        if second < 5 or second >= 9:
            wire.syn_ack(second + 0.001, 40000 + second, holder, VIP6)
    for number in range(4):
        wire.advertisement(8.4 + number * 1.1, NODE2)
    return wire


def two_answers(seconds: int = 6) -> Wire:
    """Two network cards that answer each question."""
    wire = Wire()
    for second in range(seconds):
        wire.question(second)
        wire.answer(second + 0.0005, NODE1)
        wire.answer(second + 0.0009, NODE2)
    return wire
