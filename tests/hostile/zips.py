"""Zips that no program writes: every field of a member is free, true or not (APPNOTE.TXT)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

STORED, DEFLATE, BZIP2, LZMA = 0, 8, 12, 14
FILE, LINK, PIPE, DEVICE, SOCKET = 0o100644, 0o120777, 0o010644, 0o060644, 0o140644


@dataclass(frozen=True)
class Member:
    """A member of a zip. What is None is as it has to be.

    packed: its bytes in the archive; size: the unpacked ones that it declares; local: the name in its own header;
    offset: where the directory says that it lies; wide: the size is in a zip64 field
    """

    name: str | bytes
    content: bytes = b""
    method: int = DEFLATE
    packed: bytes | None = None
    size: int | None = None
    checksum: int | None = None
    mode: int = FILE
    flags: int = 0
    local: str | bytes | None = None
    offset: int | None = None
    wide: bool = False

    def bytes(self) -> bytes:
        """Return the packed content."""
        if self.packed is not None:
            return self.packed
        if self.method == STORED:
            return self.content
        packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        return packer.compress(self.content) + packer.flush()


def encoded(name: str | bytes) -> bytes:
    return name if isinstance(name, bytes) else name.encode()


def write_zip(path: Path, members: Sequence[Member], *, entries: int | None = None, size: int | None = None) -> Path:
    """Write the members and their directory. `entries` and `size` are what its end says of the directory."""
    out, directory = bytearray(), bytearray()
    for one in members:
        packed, name = one.bytes(), encoded(one.name)
        unpacked = len(one.content) if one.size is None else one.size
        checksum = zlib.crc32(one.content) if one.checksum is None else one.checksum
        local = encoded(one.name if one.local is None else one.local)
        offset = len(out) if one.offset is None else one.offset
        extra = struct.pack("<HHQ", 1, 8, unpacked) if one.wide else b""
        sizes = len(packed), 0xFFFFFFFF if one.wide else unpacked
        head = struct.pack("<HHHHHI", 45, one.flags | 0x800, one.method, 0, 33, checksum) + struct.pack("<II", *sizes)
        if one.offset is None:
            out += b"PK\3\4" + head + struct.pack("<HH", len(local), 0) + local + packed
        directory += b"PK\1\2" + struct.pack("<H", 0x31E) + head
        directory += struct.pack("<HHHHHII", len(name), len(extra), 0, 0, 0, one.mode << 16, offset) + name + extra
    count, end = len(members) if entries is None else entries, len(directory) if size is None else size
    tail = struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, count, count, end, len(out), 0)
    path.write_bytes(bytes(out + directory) + tail)
    return path


def zeros(megabytes: int) -> bytes:
    """Return so many megabytes of zeros, deflated, without making them."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    piece = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    last = zlib.compressobj(9, zlib.DEFLATED, -15)
    return piece * megabytes + last.flush()
