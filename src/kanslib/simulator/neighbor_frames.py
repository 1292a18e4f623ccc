"""Build the frames of ARP (RFC 826) and of neighbor discovery (RFC 4861), as clients and MetalLB's speakers send them.

MetalLB v0.14.8 internal/layer2/arp.go, ndp.go. Pure.
"""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address

from kanslib.packets.icmp import ADVERTISEMENT, SOLICITATION
from kanslib.simulator.address_family import is_ipv6

BROADCAST = "ff:ff:ff:ff:ff:ff"
_NOBODY = "00:00:00:00:00:00"
_ALL_NODES = IPv6Address("ff02::1")
_SOLICITED, _OVERRIDE = 0x40, 0x20  # flags of an advertisement
_SOURCE_MAC, _TARGET_MAC = 1, 2  # types of options
_ICMPV6 = 58
_HOP_LIMIT = 255


def question(mac: str, own: str, address: str) -> bytes:
    """Return the frame that asks who has an address: an ARP request or a neighbor solicitation. `own`: the sender's."""
    if not is_ipv6(address):
        return _arp(1, mac, own, _NOBODY, address, to=BROADCAST)
    target = IPv6Address(address)
    group = IPv6Address(int(IPv6Address("ff02::1:ff00:0")) | int(target) & 0xFFFFFF)  # the solicited-node multicast
    return _neighbor_message(SOLICITATION, 0, mac, IPv6Address(own), group, target, _multicast_mac(group))


def reply(mac: str, address: str, to_mac: str, to: str, *, override: bool) -> bytes:
    """Return the frame that answers a question: an ARP reply or a solicited neighbor advertisement.

    `override`: the flag of IPv6, which a speaker leaves out and a kernel sets. Both ends by MAC and address.
    """
    if not is_ipv6(address):
        return _arp(2, mac, address, to_mac, to, to=to_mac)
    flags = _SOLICITED | (_OVERRIDE if override else 0)
    target = IPv6Address(address)
    source = target if override else _link_local(mac)
    return _neighbor_message(ADVERTISEMENT, flags, mac, source, IPv6Address(to), target, to_mac)


def announcements(mac: str, address: str) -> list[bytes]:
    """Return the frames of one round in which a speaker announces an address.

    IPv4: an ARP request and a reply, both broadcast. IPv6: an unsolicited advertisement to all nodes.
    """
    if not is_ipv6(address):
        return [_arp(operation, mac, address, BROADCAST, address, to=BROADCAST) for operation in (1, 2)]
    to = _multicast_mac(_ALL_NODES)
    return [
        _neighbor_message(ADVERTISEMENT, _OVERRIDE, mac, _link_local(mac), _ALL_NODES, IPv6Address(address), to)
    ]  # fmt: skip


def _arp(operation: int, sender: str, sender_ip: str, target: str, target_ip: str, to: str) -> bytes:
    """Return an Ethernet frame with one ARP message."""
    header = struct.pack("!HHBBH", 1, 0x0800, 6, 4, operation)
    message = header + _mac(sender) + IPv4Address(sender_ip).packed + _mac(target) + IPv4Address(target_ip).packed
    return _mac(to) + _mac(sender) + struct.pack("!H", 0x0806) + message


def _neighbor_message(
    kind: int, flags: int, mac: str, source: IPv6Address, destination: IPv6Address, target: IPv6Address, to: str
) -> bytes:
    """Return an Ethernet frame with one neighbor solicitation or advertisement, and the sender's MAC as its option."""
    option = bytes([_SOURCE_MAC if kind == SOLICITATION else _TARGET_MAC, 1]) + _mac(mac)
    body = bytes([flags, 0, 0, 0]) + target.packed + option
    pseudo_header = source.packed + destination.packed + struct.pack("!II", 4 + len(body), _ICMPV6)
    checksum = _checksum(pseudo_header + bytes([kind, 0, 0, 0]) + body)
    message = struct.pack("!BBH", kind, 0, checksum) + body
    header = struct.pack("!IHBB", 6 << 28, len(message), _ICMPV6, _HOP_LIMIT) + source.packed + destination.packed
    return _mac(to) + _mac(mac) + struct.pack("!H", 0x86DD) + header + message


def _checksum(data: bytes) -> int:
    """Return the Internet checksum of an even number of bytes (RFC 1071)."""
    total = sum(int.from_bytes(data[place : place + 2]) for place in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def _multicast_mac(group: IPv6Address) -> str:
    """Return the MAC of a multicast group (RFC 2464, section 7)."""
    return (b"\x33\x33" + group.packed[-4:]).hex(":")


def _link_local(mac: str) -> IPv6Address:
    """Return the link-local address that Linux makes of a MAC (RFC 4291, appendix A: modified EUI-64)."""
    first, *rest = _mac(mac)
    return IPv6Address(
        bytes.fromhex("fe80000000000000") + bytes([first ^ 2, *rest[:2]]) + b"\xff\xfe" + bytes(rest[2:])
    )
