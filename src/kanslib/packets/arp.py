"""ARP for IPv4 over Ethernet (RFC 826; gratuitous ARP: RFC 5227, section 3)."""

from __future__ import annotations

import struct
from typing import NamedTuple

from kanslib.exceptions import MalformedPacketError
from kanslib.packets.checks import require_bytes
from kanslib.packets.ethernet import mac
from kanslib.packets.ip import four

REQUEST, REPLY = 1, 2
NOBODY, EVERYBODY = "00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff"
_HEADER = struct.Struct("!HHBBH")


class ARP(NamedTuple):
    """One question or answer: 28 bytes, five fields that matter.

    >>> raw = bytes.fromhex("0001080006040002" "0242ac120004" "ac12ffc8" "0242ac120064" "ac120064")
    >>> print(ARP.parse(raw))
    172.18.255.200 is-at 02:42:ac:12:00:04
    """

    operation: int
    sender_mac: str
    sender_ip: str
    target_mac: str
    target_ip: str

    @classmethod
    def parse(cls, raw: bytes) -> ARP:
        """The message in `raw`. Malformed when it is cut off or not for IPv4 over Ethernet."""
        require_bytes("ARP", raw, 8, "header")
        hardware, protocol, hardware_size, protocol_size, operation = _HEADER.unpack_from(raw)
        if (hardware, protocol, hardware_size, protocol_size) != (1, 0x0800, 6, 4):
            raise MalformedPacketError(
                "ARP", f"hardware {hardware}, protocol {protocol:#06x}: not for IPv4 over Ethernet"
            )
        require_bytes("ARP", raw, 28)
        return cls(operation, mac(raw[8:14]), four(raw[14:18]), mac(raw[18:24]), four(raw[24:28]))

    @property
    def is_gratuitous(self) -> bool:
        """True when the sender speaks of its own address: nobody asked. 0.0.0.0 as sender is a probe, not this."""
        return self.sender_ip == self.target_ip

    @property
    def is_probe(self) -> bool:
        """True when somebody asks for an address that it wants for itself and does not have yet (RFC 5227, 2.1)."""
        return self.operation == REQUEST and self.sender_ip == "0.0.0.0"

    @property
    def is_objection(self) -> bool:
        """True for a reply to an announcement: the sender thinks that the announced address is its own.

        A speaker that leads answers every question for its address, another speaker's announcement as well (MetalLB
        v0.14.8 internal/layer2/arp.go processRequest): it shows when two of them believe that they lead.
        """
        return self.is_gratuitous and self.operation == REPLY and self.target_mac not in (EVERYBODY, NOBODY)

    @property
    def oddity(self) -> str:
        """What in a gratuitous message is not as RFC 5227 has it, in words; empty where all is.

        RFC 5227 announces with a *request* and leaves the target's MAC address as zeros, as nobody is asked for it.
        MetalLB says everything twice, request and reply, both with the broadcast address as the target's (v0.14.8
        internal/layer2/arp.go gratuitous): nobody can have that address, so no receiver takes it for its own.
        """
        if not self.is_gratuitous:
            return ""
        if self.is_objection:
            return f"an answer to an announcement by {self.target_mac}: two machines think that the address is theirs"
        remarks = []
        if self.operation == REPLY:
            remarks.append("a reply that nobody asked for")
        if self.target_mac == EVERYBODY:
            remarks.append(f"target MAC {EVERYBODY}, where RFC 5227 has zeros: as MetalLB does it")
        elif self.target_mac != NOBODY:
            remarks.append(f"target MAC {self.target_mac}, where RFC 5227 has zeros")
        return "; ".join(remarks)

    def __str__(self) -> str:
        if self.operation == REPLY:
            text = f"{self.sender_ip} is-at {self.sender_mac}"
        else:
            text = f"who-has {self.target_ip} tell {self.sender_ip}"
        return text + (" (gratuitous)" if self.is_gratuitous else "")
