"""ARP for IPv4 over Ethernet (RFC 826; probes and announcements: RFC 5227)."""

from __future__ import annotations

import struct
from typing import NamedTuple

from kanslib.exceptions import MalformedPacketError
from kanslib.i18n import tr, tr_later
from kanslib.packets.checks import require_bytes
from kanslib.packets.ethernet import mac
from kanslib.packets.ip import ipv4_text

REQUEST, REPLY = 1, 2
# operations that ask or answer something else than "who has this address" (RFC 903, RFC 1931, RFC 2390, IANA's table)
_OTHER_OPERATIONS = {
    3: "reverse ARP request", 4: "reverse ARP reply", 5: "dynamic RARP request", 6: "dynamic RARP reply",
    7: "dynamic RARP error", 8: "inverse ARP request", 9: "inverse ARP reply", 10: "ARP NAK",
}  # fmt: skip
_ETHERNET, _IEEE_802 = 1, 6  # hardware types whose addresses are MAC addresses (Linux net/ipv4/arp.c arp_process)
ZERO_MAC, BROADCAST_MAC = "00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff"
_HEADER = struct.Struct("!HHBBH")


class ARP(NamedTuple):
    """One message of 28 bytes. `operation` is 1 for a request, 2 for a reply; others are neither of them.

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
        """Return the message in `raw`. MalformedPacketError when it is cut off or not for IPv4 over Ethernet."""
        require_bytes("ARP", raw, 8, tr_later("header"))
        hardware, protocol, hardware_size, protocol_size, operation = _HEADER.unpack_from(raw)
        if hardware not in (_ETHERNET, _IEEE_802) or protocol != 0x0800:
            raise MalformedPacketError(
                "ARP",
                tr(
                    "hardware {hardware}, protocol {protocol:#06x}: not for IPv4 over Ethernet",
                    hardware=hardware,
                    protocol=protocol,
                ),
            )
        if (hardware_size, protocol_size) != (6, 4):
            raise MalformedPacketError(
                "ARP",
                tr(
                    "addresses of {hardware_size} and {protocol_size} bytes, expected 6 and 4",
                    hardware_size=hardware_size,
                    protocol_size=protocol_size,
                ),
            )
        require_bytes("ARP", raw, 28)
        return cls(operation, mac(raw[8:14]), ipv4_text(raw[14:18]), mac(raw[18:24]), ipv4_text(raw[24:28]))

    @property
    def is_gratuitous(self) -> bool:
        """True when the sender announces its own address, as a request or as a reply. A probe (0.0.0.0) is none."""
        return self.sender_ip == self.target_ip and self.operation in (REQUEST, REPLY)

    @property
    def is_probe(self) -> bool:
        """True when a host asks whether the address that it wants to use is free (RFC 5227, section 2.1.1)."""
        return self.operation == REQUEST and self.sender_ip == "0.0.0.0" != self.target_ip

    @property
    def is_objection(self) -> bool:
        """True for a reply to an announcement: the sender claims the announced address for itself.

        A leading speaker answers every request for its address, another speaker's announcement as well (MetalLB
        v0.14.8 internal/layer2/arp.go processRequest). So such a reply shows that two speakers act as leader.
        """
        return self.is_gratuitous and self.operation == REPLY and self.target_mac not in (BROADCAST_MAC, ZERO_MAC)

    @property
    def deviations(self) -> tuple[str, ...]:
        """How a gratuitous message deviates from RFC 5227, each in words; none where it does not.

        RFC 5227 announces with a *request* whose target MAC address is zero, because it is not needed. MetalLB sends
        two messages, a request and a reply, both with the broadcast address as the target MAC address (v0.14.8
        internal/layer2/arp.go gratuitous): no host can have that address, so no receiver takes it for its own.
        """
        if not self.is_gratuitous:
            return ()
        if self.is_objection:
            return (
                tr(
                    "a reply to an announcement by {target_mac}: two machines claim the address",
                    target_mac=self.target_mac,
                ),
            )
        remarks = []
        if self.operation == REPLY:
            remarks.append(tr("a reply without a request"))
        if self.target_mac == BROADCAST_MAC:
            remarks.append(
                tr(
                    "target MAC {broadcast_mac}, where RFC 5227 has zeros: as MetalLB does it",
                    broadcast_mac=BROADCAST_MAC,
                )
            )
        elif self.target_mac != ZERO_MAC:
            remarks.append(tr("target MAC {target_mac}, where RFC 5227 has zeros", target_mac=self.target_mac))
        return tuple(remarks)

    def __str__(self) -> str:
        if self.operation not in (REQUEST, REPLY):
            name = _OTHER_OPERATIONS.get(self.operation, "unknown")
            return f"operation {self.operation} ({name}) from {self.sender_mac}"
        if self.operation == REPLY:
            text = f"{self.sender_ip} is-at {self.sender_mac}"
        else:
            text = f"who-has {self.target_ip} tell {self.sender_ip}"
        return text + (" (gratuitous)" if self.is_gratuitous else "")
