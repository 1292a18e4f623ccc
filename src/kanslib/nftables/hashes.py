"""The number that `jhash` with a seed has for a packet (Linux include/linux/jhash.h, net/netfilter/nft_hash.c)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kanslib.iptables.match_types import Answer, HashMatch, MatchedPacket
from kanslib.iptables.ranges import Ranges, contains
from kanslib.nftables.computed import number_of
from kanslib.nftables.syntax import Ct, Expression, Meta, Payload

_WORD = 0xFFFFFFFF
_START = 0xDEADBEEF
_REGISTER = 4  # bytes: each part of a concatenation begins in a register of its own (nf_tables.h, NFT_REG32_SIZE)
_WIDTHS = {"sport": 2, "dport": 2, "protocol": 1, "nexthdr": 1}  # bytes of a field of a header; others are not hashed


def jhash(key: bytes, seed: int) -> int:
    """Return the hash of Bob Jenkins's lookup3 as Linux has it on machines with little-endian words (x86, arm64).

    >>> f"{jhash(bytes([10, 0, 0, 7]), 1):#x}"
    '0x7c6fd07d'
    """
    a = b = c = _START + len(key) + seed & _WORD
    for start in range(0, max(len(key), 1), 12):
        block, is_last = key[start : start + 12].ljust(12, b"\0"), start + 12 >= len(key)
        one, two, three = (int.from_bytes(block[at : at + 4], "little") for at in (0, 4, 8))
        a, b, c = a + one & _WORD, b + two & _WORD, c + three & _WORD
        a, b, c = _final(a, b, c) if is_last else _mix(a, b, c)
    return c


def _mix(a: int, b: int, c: int) -> tuple[int, int, int]:
    for by in (4, 6, 8, 16, 19, 4):
        a, c = (a - c & _WORD) ^ _rotated(c, by), c + b & _WORD
        a, b, c = b, c, a
    return a, b, c


def _final(a: int, b: int, c: int) -> tuple[int, int, int]:
    for by in (14, 11, 25, 16, 4, 14, 24):
        c = (c ^ b) - _rotated(b, by) & _WORD
        a, b, c = b, c, a
    return c, a, b


def _rotated(word: int, by: int) -> int:
    return (word << by | word >> 32 - by) & _WORD


@dataclass(frozen=True, slots=True)
class SeededHashMatch:
    """A jhash with a seed is among some numbers; `unknown` has their share, where a field is not known."""

    key: tuple[Expression, ...]
    seed: int
    modulus: int
    ranges: Ranges
    unknown: HashMatch
    names = ()

    def holds(self, packet: MatchedPacket) -> Answer:
        """Compute the hash and compare its number (include/linux/kernel.h, reciprocal_scale)."""
        key = _key(self.key, packet)
        if key is None:
            return self.unknown.holds(packet)
        return contains(self.ranges, jhash(key, self.seed) * self.modulus >> 32)


def can_be_computed(key: Sequence[Expression]) -> bool:
    """Return whether the bytes of a key are known where its fields are."""
    return all(_width(part) is not None for part in key)


def _width(part: Expression) -> int | None:
    match part:
        case Payload("ip" | "ip6" as protocol, "saddr" | "daddr"):
            return 4 if protocol == "ip" else 16
        case Payload(_, field):
            return _WIDTHS.get(field)
        case Meta("mark") | Ct("mark", ""):
            return 4
        case Meta("l4proto"):
            return 1
    return None


def _key(parts: Sequence[Expression], packet: MatchedPacket) -> bytes | None:
    """Return the bytes that are hashed; None where a field is not known. Marks are in the order of the machine."""
    found = b""
    for part in parts:
        number = packet.protocol if part == Meta("l4proto") else number_of(part, packet)
        width = _width(part)
        if number is None or width is None:
            return None
        one = number.to_bytes(width, "little" if isinstance(part, Meta | Ct) else "big")
        found += one.ljust(-(-width // _REGISTER) * _REGISTER, b"\0") if len(parts) > 1 else one
    return found
