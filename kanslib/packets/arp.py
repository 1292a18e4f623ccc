"""ARP for IPv4 over Ethernet (RFC 826; gratuitous ARP: RFC 5227, section 3)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address

from kanslib.packets.ethernet import mac

REQUEST, REPLY = 1, 2


@dataclass(frozen=True)
class Arp:
    """One question or answer: 28 bytes, five fields that matter.

    >>> raw = bytes.fromhex("0001080006040002" "0242ac120004" "ac12ffc8" "0242ac120064" "ac120064")
    >>> print(Arp.parse(raw))
    172.18.255.200 is-at 02:42:ac:12:00:04
    """

    operation: int
    sender_mac: str
    sender_ip: str
    target_mac: str
    target_ip: str

    @classmethod
    def parse(cls, raw: bytes) -> Arp | None:
        """The message in `raw`; None when it is cut off or not for IPv4 over Ethernet."""
        if len(raw) < 28:
            return None
        hardware, protocol, hardware_size, protocol_size, operation = struct.unpack_from("!HHBBH", raw)
        if (hardware, protocol, hardware_size, protocol_size) != (1, 0x0800, 6, 4):
            return None
        return cls(
            operation,
            mac(raw[8:14]),
            str(IPv4Address(raw[14:18])),
            mac(raw[18:24]),
            str(IPv4Address(raw[24:28])),
        )

    @property
    def is_gratuitous(self) -> bool:
        """True when the sender speaks of its own address: nobody asked. 0.0.0.0 as sender is a probe, not this."""
        return self.sender_ip == self.target_ip

    def __str__(self) -> str:
        if self.operation == REPLY:
            text = f"{self.sender_ip} is-at {self.sender_mac}"
        else:
            text = f"who-has {self.target_ip} tell {self.sender_ip}"
        return text + (" (gratuitous)" if self.is_gratuitous else "")
