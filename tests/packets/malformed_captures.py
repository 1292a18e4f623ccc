"""Captures as they should not be, and as they seldom are: made with scapy, one file each."""

from __future__ import annotations

import gzip
import random
import struct
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from scapy.contrib.bgp import (
    BGPHeader,
    BGPKeepAlive,
    BGPNLRI_IPv4,
    BGPNotification,
    BGPOpen,
    BGPPAAS4BytesPath,
    BGPPACommunity,
    BGPPALocalPref,
    BGPPAMultiExitDisc,
    BGPPANextHop,
    BGPPAOrigin,
    BGPPathAttr,
    BGPRouteRefresh,
    BGPUpdate,
)
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import (
    ICMPv6DestUnreach,
    ICMPv6EchoRequest,
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6NDOptDstLLAddr,
    ICMPv6NDOptSrcLLAddr,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
)
from scapy.layers.l2 import ARP, CookedLinux, CookedLinuxV2, Dot1Q, Ether
from scapy.packet import Packet, Raw
from scapy.utils import PcapNgWriter

A, B = "02:00:00:00:00:0a", "02:00:00:00:00:0b"
ETHER = Ether(src=A, dst=B)
FOUR, SIX = IP(src="10.0.0.1", dst="10.0.0.2"), IPv6(src="fd00::1", dst="fd00::2")
GET = b"GET /index.html HTTP/1.1\r\nHost: svc1\r\n\r\n"


def pcap(*packets: Packet | bytes, nano: bool = False, order: str = "<", link: int = 1) -> bytes:
    magic, scale = (0xA1B23C4D, 10**9) if nano else (0xA1B2C3D4, 10**6)
    out = [struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 262_144, link)]
    for number, packet in enumerate(packets):
        raw = bytes(packet)
        stamp = (1_795_440_000 + number // 4, number % 4 * scale // 4)
        out += [struct.pack(order + "IIII", *stamp, len(raw), len(raw)), raw]
    return b"".join(out)


def snapped(content: bytes, snap: int) -> bytes:
    """The same pcap as tcpdump with this snap length would have written it."""
    out, at = [content[:24]], 24
    while at < len(content):
        seconds, fraction, size, length = struct.unpack_from("<IIII", content, at)
        kept = min(size, snap)
        out += [struct.pack("<IIII", seconds, fraction, kept, length), content[at + 16 : at + 16 + kept]]
        at += 16 + size
    return b"".join(out)


def talk(*payloads: bytes, port: int = 179, cut: tuple[int, ...] = (), sport: int = 40000) -> list[Packet]:
    """Return a TCP connection in which one side sends this payload in segments of these sizes."""
    syn = ETHER / FOUR / TCP(sport=sport, dport=port, flags="S", seq=1000)
    back = Ether(src=B, dst=A) / IP(src="10.0.0.2", dst="10.0.0.1")
    answer = back / TCP(sport=port, dport=sport, flags="SA", seq=5000, ack=1001)
    data, at = b"".join(payloads), 0
    out: list[Packet] = [syn, answer]
    sizes = [*cut, len(data)]
    for size in sizes:
        part = data[at : at + size]
        if part:
            out.append(ETHER / FOUR / TCP(sport=sport, dport=port, flags="PA", seq=1001 + at, ack=5001) / Raw(part))
        at += len(part)
    return out


def _bgp_open() -> bytes:
    capabilities = bytes.fromhex("01040001000101040002000102004104000100f44600400200784905044b616e7300")
    body = struct.pack("!BHHIBBB", 4, 23456, 90, 0x0A000001, len(capabilities) + 2, 2, len(capabilities)) + capabilities
    return b"\xff" * 16 + struct.pack("!HB", 19 + len(body), 1) + body


def _update(*attributes: BGPPathAttr, nlri: tuple[str, ...] = (), withdrawn: tuple[str, ...] = ()) -> bytes:
    return bytes(
        BGPHeader(type=2)
        / BGPUpdate(
            path_attr=list(attributes),
            nlri=[BGPNLRI_IPv4(prefix=prefix) for prefix in nlri],
            withdrawn_routes=[BGPNLRI_IPv4(prefix=prefix) for prefix in withdrawn],
        )
    )


def _usual() -> list[BGPPathAttr]:
    path = BGPPAAS4BytesPath(segments=[BGPPAAS4BytesPath.ASPathSegment(segment_type=2, segment_value=[65000, 70000])])
    return [
        BGPPathAttr(type_flags=0x40, type_code=1, attribute=BGPPAOrigin(origin=0)),
        BGPPathAttr(type_flags=0x40, type_code=2, attribute=path),
        BGPPathAttr(type_flags=0x40, type_code=3, attribute=BGPPANextHop(next_hop="10.0.0.1")),
    ]


def _more() -> list[BGPPathAttr]:
    return [
        *_usual(),
        BGPPathAttr(type_flags=0x80, type_code=4, attribute=BGPPAMultiExitDisc(med=77)),
        BGPPathAttr(type_flags=0x40, type_code=5, attribute=BGPPALocalPref(local_pref=200)),
        BGPPathAttr(type_flags=0xC0, type_code=8, attribute=BGPPACommunity(community=0xFDE80064)),
    ]


KEEPALIVE = bytes(BGPHeader(type=4) / BGPKeepAlive())
NOTIFICATION = bytes(BGPHeader(type=3) / BGPNotification(error_code=4, error_subcode=0))
SHUTDOWN = b"\xff" * 16 + struct.pack("!HB", 19 + 2 + 6, 3) + bytes([6, 2, 5]) + b"later"
REFRESH = bytes(BGPHeader(type=5) / BGPRouteRefresh())
MANY = _update(*_usual(), nlri=tuple(f"10.{i}.0.0/16" for i in range(60)))
MP = bytes.fromhex("900e002c00020120fd000000000000000000000000000001fe8000000000000000000000000000010030fd0000000000")
MP_UPDATE = b"\xff" * 16 + struct.pack("!HBHH", 23 + len(MP), 2, 0, len(MP)) + MP


def _bad_ip(**fields: Any) -> Packet:  # noqa: ANN401 (scapy takes any field)
    return ETHER / IP(src="10.0.0.1", dst="10.0.0.2", **fields) / UDP(sport=1, dport=2) / Raw(b"x" * 20)


def _any_clock() -> bytes:
    return _pcapng(b"\x09\x00\x01\x00\x09\x00\x00\x00" + b"\x0e\x00\x08\x00" + struct.pack("<q", 1_795_440_000), 10**9)


def _pcapng(options: bytes, ticks: int, order: str = "<") -> bytes:
    raw = bytes(ETHER / FOUR / UDP(sport=5, dport=6) / Raw(b"hi"))
    padded = raw + bytes(-len(raw) % 4)

    def block(kind: int, body: bytes) -> bytes:
        size = len(body) + 12
        return struct.pack(order + "II", kind, size) + body + struct.pack(order + "I", size)

    stamp = ticks // 4
    return (
        block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1))
        + block(1, struct.pack(order + "HHI", 1, 0, 0) + options + (bytes(4) if options else b""))
        + block(6, struct.pack(order + "IIIII", 0, stamp >> 32, stamp & 0xFFFFFFFF, len(raw), len(raw)) + padded)
        + block(5, struct.pack(order + "III", 0, 0, 0))
        + block(2, struct.pack(order + "HHIIII", 0, 0, stamp >> 32, stamp & 0xFFFFFFFF, len(raw), len(raw)) + padded)
        + block(3, struct.pack(order + "I", len(raw)) + padded)
    )


def _ng(*packets: Packet) -> bytes:
    with tempfile.NamedTemporaryFile() as file:
        with PcapNgWriter(file.name) as writer:
            writer.write(list(packets))
        return Path(file.name).read_bytes()


def _block(kind: int, body: bytes) -> bytes:
    size = len(body) + 12
    return struct.pack("<II", kind, size) + body + struct.pack("<I", size)


def _two_links() -> bytes:
    """Ethernet and `tcpdump -i any` in one file, a frame of each in turn."""
    packets = [
        (0, bytes(ETHER / FOUR / TCP(dport=80, flags="S"))), (1, bytes(_cooked_2(4) / FOUR / TCP(dport=80, flags="S"))),
        (0, bytes(ETHER / ARP(psrc="10.0.0.1", pdst="10.0.0.2"))),
    ]  # fmt: skip
    frames = [
        _block(6, struct.pack("<IIIII", interface, 0x66000, place, len(raw), len(raw)) + raw + bytes(-len(raw) % 4))
        for place, (interface, raw) in enumerate(packets)
    ]
    interfaces = [_block(1, struct.pack("<HHI", link, 0, 0)) for link in (1, 276)]
    return b"".join([_block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)), *interfaces, *frames])


def _cooked_2(packet_type: int) -> CookedLinuxV2:
    return CookedLinuxV2(ifindex=7, pkttype=packet_type, lladdrlen=6, src=b"\x02" * 6)


def _noise(seed: int) -> bytes:
    dice = random.Random(seed)
    return pcap(*(ETHER.copy() / Raw(dice.randbytes(dice.randrange(20, 80))) for _ in range(20)))


def _shuffled() -> bytes:
    """Segments out of order, one of them twice."""
    parts = talk(_bgp_open(), MANY, KEEPALIVE, cut=(30, 40, 50, 60, 70))
    return pcap(*(parts[i] for i in (0, 1, 2, 4, 3, 3, 6, 5, *range(7, len(parts)))))


MAKERS: dict[str, Callable[[], bytes]] = {
    "vlan": lambda: pcap(ETHER / Dot1Q(vlan=42, prio=5) / FOUR / UDP(sport=1, dport=2)),
    "two vlans": lambda: pcap(Ether(src=A, dst=B, type=0x88A8) / Dot1Q(vlan=7) / Dot1Q(vlan=8) / FOUR / TCP()),
    "vlan with arp": lambda: pcap(ETHER / Dot1Q(vlan=3) / ARP(psrc="10.0.0.1", pdst="10.0.0.1", hwsrc=A)),
    "vlan tag cut off": lambda: pcap(bytes(ETHER)[:12] + b"\x81\x00\x00"),
    "length instead of type": lambda: pcap(Ether(src=A, dst="01:80:c2:00:00:00", type=38) / Raw(bytes(60))),
    "padded to 60 bytes": lambda: pcap(
        bytes(ETHER / FOUR / TCP(flags="A")) + bytes(6)
    ),
    "shorter than a header": lambda: pcap(b"\x02" * 10),
    "arp for a strange network": lambda: pcap(ETHER / ARP(hwtype=6, hwlen=8, plen=16)),
    "arp cut off": lambda: pcap(bytes(ETHER / ARP(psrc="10.0.0.1", pdst="10.0.0.2"))[:30]),
    "arp probe": lambda: pcap(ETHER / ARP(psrc="0.0.0.0", pdst="10.0.0.9", hwsrc=A)),
    "arp announcements": lambda: pcap(
        ETHER / ARP(op=1, psrc="10.0.0.9", pdst="10.0.0.9", hwsrc=A, hwdst="ff:ff:ff:ff:ff:ff"),
        ETHER / ARP(op=2, psrc="10.0.0.9", pdst="10.0.0.9", hwsrc=A, hwdst="ff:ff:ff:ff:ff:ff"),
        ETHER / ARP(op=1, psrc="10.0.0.9", pdst="10.0.0.9", hwsrc=A, hwdst="00:00:00:00:00:00"),
    ),
    "reverse arp": lambda: pcap(ETHER / ARP(op=3, psrc="10.0.0.1", pdst="10.0.0.2")),
    "ip options": lambda: pcap(ETHER / IP(src="1.2.3.4", dst="5.6.7.8", options=b"\x94\x04\x00\x00") / TCP(dport=80)),
    "ip header too short": lambda: pcap(_bad_ip(ihl=3)),
    "ip header too long": lambda: pcap(bytes(ETHER) + b"\x4f" + bytes(IP(src="1.1.1.1", dst="2.2.2.2"))[1:]),
    "ip length too short": lambda: pcap(_bad_ip(len=12)),
    "ip length too long": lambda: pcap(_bad_ip(len=400)),
    "ip length of zero": lambda: pcap(_bad_ip(len=0)),
    "ip version five": lambda: pcap(_bad_ip(version=5)),
    "first fragment": lambda: pcap(ETHER / IP(src="1.1.1.1", dst="2.2.2.2", flags="MF") / UDP(sport=7, dport=8) / (b"x" * 24)),
    "later fragment": lambda: pcap(ETHER / IP(src="1.1.1.1", dst="2.2.2.2", frag=5, proto=17) / Raw(b"x" * 24)),
    "tcp options": lambda: pcap(
        ETHER / FOUR / TCP(flags="S", options=[("MSS", 1460), ("SAckOK", b""), ("Timestamp", (7, 9)), ("NOP", None), ("WScale", 7)])
    ),
    "tcp option of length zero": lambda: pcap(ETHER / FOUR / TCP(flags="S", dataofs=6) / Raw(b"\x02\x00\x00\x00")),
    "tcp header too short": lambda: pcap(ETHER / FOUR / TCP(dataofs=3)),
    "tcp header too long": lambda: pcap(ETHER / FOUR / TCP(dataofs=15)),
    "tcp header cut off": lambda: snapped(pcap(ETHER / FOUR / TCP(dport=80)), 44),
    "all tcp flags": lambda: pcap(*(ETHER / FOUR / TCP(flags=bits, seq=bits) for bits in (0, 1, 2, 4, 8, 16, 32, 64, 128, 255))),
    "udp length too short": lambda: pcap(ETHER / FOUR / UDP(sport=1, dport=2, len=5) / Raw(b"abc")),
    "udp length too long": lambda: pcap(ETHER / FOUR / UDP(sport=1, dport=2, len=99) / Raw(b"abc")),
    "udp length of zero": lambda: pcap(ETHER / FOUR / UDP(sport=1, dport=2, len=0) / Raw(b"abc")),
    "icmp echo": lambda: pcap(ETHER / FOUR / ICMP(id=5, seq=6) / b"hello", ETHER / FOUR / ICMP(type=0, id=5, seq=6)),
    "icmp unreachable": lambda: pcap(ETHER / FOUR / ICMP(type=3, code=1) / IP(src="10.0.0.2", dst="9.9.9.9") / TCP(sport=1234, dport=80)),
    "icmp quoting too little": lambda: pcap(ETHER / FOUR / ICMP(type=3, code=3) / Raw(b"\x45\x00\x00")),
    "icmp cut off": lambda: pcap(ETHER / IP(src="1.1.1.1", dst="2.2.2.2", proto=1) / Raw(b"\x08\x00")),
    "ipv6 tcp": lambda: pcap(ETHER / SIX / TCP(sport=1000, dport=80, flags="S", seq=9)),
    "ipv6 extension headers": lambda: pcap(ETHER / SIX / IPv6ExtHdrHopByHop() / IPv6ExtHdrDestOpt() / UDP(sport=1, dport=2) / b"x"),
    "ipv6 fragments": lambda: pcap(
        ETHER / SIX / IPv6ExtHdrFragment(m=1, id=3) / UDP(sport=1, dport=2) / (b"x" * 16),
        ETHER / SIX / IPv6ExtHdrFragment(offset=3, id=3, nh=17) / Raw(b"x" * 16),
    ),
    "ipv6 cut off": lambda: snapped(pcap(ETHER / SIX / TCP()), 50),
    "neighbor discovery": lambda: pcap(
        ETHER / SIX / ICMPv6ND_NS(tgt="fd00::9") / ICMPv6NDOptSrcLLAddr(lladdr=A),
        ETHER / SIX / ICMPv6ND_NA(tgt="fd00::9", R=0, S=1, O=0) / ICMPv6NDOptDstLLAddr(lladdr=B),
        ETHER / IPv6(src="fd00::9", dst="ff02::1") / ICMPv6ND_NA(tgt="fd00::9", R=0, S=0, O=1) / ICMPv6NDOptDstLLAddr(lladdr=B),
    ),
    "icmpv6": lambda: pcap(
        ETHER / SIX / ICMPv6EchoRequest(id=3, seq=4), ETHER / SIX / ICMPv6DestUnreach(code=3) / SIX / TCP(sport=7, dport=80)
    ),
    "http": lambda: pcap(
        *talk(GET, port=80), *talk(b"HTTP/1.1 503 Service Unavailable\r\nServer: x\r\n\r\n", port=80, sport=40001),
        *talk(b"POST /a?b=c HTTP/1.0\r\n\r\n", port=80, sport=40002),
    ),
    "bgp open": lambda: pcap(*talk(_bgp_open(), KEEPALIVE)),
    "bgp old open": lambda: pcap(*talk(bytes(BGPHeader(type=1) / BGPOpen(my_as=65000, hold_time=9, bgp_id="1.2.3.4")))),
    "bgp update": lambda: pcap(*talk(_bgp_open(), _update(*_usual(), nlri=("10.9.0.0/24", "10.8.0.1/32", "128.0.0.0/1")))),
    "bgp update with much to say": lambda: pcap(*talk(_bgp_open(), _update(*_more(), nlri=("10.9.0.0/24",), withdrawn=("10.7.0.0/20",)))),
    "bgp withdrawal and end of rib": lambda: pcap(*talk(_bgp_open(), _update(withdrawn=("10.9.0.0/24",)), _update())),
    "bgp ipv6 routes": lambda: pcap(*talk(_bgp_open(), MP_UPDATE)),
    "bgp in many segments": lambda: pcap(*talk(_bgp_open(), MANY, KEEPALIVE, cut=(7, 13, 40, 100, 33))),
    "bgp out of order": _shuffled,
    "bgp messages in one segment": lambda: pcap(*talk(_bgp_open() + KEEPALIVE + KEEPALIVE + MANY + NOTIFICATION)),
    "bgp notifications": lambda: pcap(*talk(_bgp_open(), REFRESH, SHUTDOWN)),
    "arp operations": lambda: pcap(
        *(ETHER / ARP(op=kind, psrc="10.0.0.9", pdst="10.0.0.9", hwsrc=A) for kind in (0, 3, 4, 5, 6, 8, 9, 10, 24, 999))
    ),
    "arp over ieee 802": lambda: pcap(ETHER / ARP(hwtype=6, op=2, psrc="10.0.0.9", pdst="10.0.0.1", hwsrc=A, hwdst=B)),
    "arp with long addresses": lambda: pcap(ETHER / ARP(hwlen=14, psrc="10.0.0.9", pdst="10.0.0.1") / Raw(bytes(20))),
    "arp from nobody": lambda: pcap(ETHER / ARP(op=1, psrc="0.0.0.0", pdst="0.0.0.0", hwsrc=A)),
    "advertisement with an option of length zero": lambda: pcap(
        ETHER / SIX / ICMPv6ND_NA(tgt="fd00::9", R=0, S=0, O=1) / Raw(b"\x02\x00\x02\x00\x00\x00\x00\x0b")
    ),
    "advertisement without options": lambda: pcap(ETHER / SIX / ICMPv6ND_NA(tgt="fd00::9", R=1, S=1, O=0)),
    "probe for an ipv6 address": lambda: pcap(
        ETHER / IPv6(src="::", dst="ff02::1:ff00:9", hlim=255) / ICMPv6ND_NS(tgt="fd00::9")
    ),
    "cooked 2": lambda: pcap(_cooked_2(0) / FOUR / TCP(dport=80, flags="S"), _cooked_2(4) / SIX / UDP(dport=53), link=276),
    "cooked arp": lambda: pcap(CookedLinux(src=b"\x02" * 6, proto=0x0806) / ARP(psrc="10.0.0.9", pdst="10.0.0.1"), link=113),
    "cooked 2 neighbor discovery": lambda: pcap(
        _cooked_2(2) / SIX / ICMPv6ND_NA(tgt="fd00::9", R=0, S=0, O=1) / ICMPv6NDOptDstLLAddr(lladdr=B), link=276
    ),
    "cooked with a vlan": lambda: pcap(
        CookedLinux(src=b"\x02" * 6, proto=0x8100) / Dot1Q(vlan=9, type=0x0800) / FOUR / UDP(sport=3, dport=4), link=113
    ),
    "cooked without an address": lambda: pcap(
        CookedLinux(lladdrtype=65534, lladdrlen=0, src=b"", proto=0x0800) / FOUR / UDP(sport=3, dport=4), link=113
    ),
    "cooked cut off": lambda: pcap(bytes(CookedLinux())[:13], link=113),
    "cooked 2 cut off": lambda: pcap(bytes(_cooked_2(0))[:19], link=276),
    "bsd loopback": lambda: pcap(
        b"\x02\0\0\0" + bytes(FOUR / UDP(sport=3, dport=4)), b"\0\0\0\x1e" + bytes(SIX / TCP(dport=80)), link=0
    ),
    "openbsd loopback": lambda: pcap(b"\0\0\0\x18" + bytes(SIX / UDP(sport=3, dport=4)), link=108),
    "raw ip as openbsd wrote it": lambda: pcap(FOUR / UDP(sport=3, dport=4), SIX / TCP(dport=80), link=14),
    "pcapng with two link types": _two_links,
    "pcapng with an interface that is not declared": lambda: _ng(ETHER / FOUR / TCP()) + _block(6, struct.pack("<IIIII", 9, 0, 0, 0, 0)),
    "cooked": lambda: pcap(CookedLinux(src=b"\x02" * 6, proto=0x0800) / FOUR / TCP(dport=80, flags="S"), link=113),
    "raw ip": lambda: pcap(FOUR / UDP(sport=3, dport=4), SIX / TCP(dport=80), link=101),
    "pcapng": lambda: _ng(ETHER / FOUR / TCP(), ETHER / SIX / UDP()),
    "pcapng with its own clock": _any_clock,
    "pcapng of the other byte order": lambda: _pcapng(b"", 10**6, ">"),
    "gzipped": lambda: gzip.compress(pcap(ETHER / FOUR / TCP(), ETHER / ARP()), mtime=0),
    "nanoseconds": lambda: pcap(ETHER / FOUR / TCP(), nano=True),
    "big-endian": lambda: pcap(ETHER / FOUR / TCP(), order=">"),
    "cut by the snap length": lambda: snapped(pcap(*talk(_bgp_open(), MANY, KEEPALIVE)), 90),
    "noise": lambda: _noise(1),
}  # fmt: skip


def all_of_them() -> Iterator[tuple[str, bytes]]:
    for name, make in MAKERS.items():
        yield name, make()
