"""The records of a capture file: pcap and pcapng, of either byte order, micro- and nanoseconds, gzipped or not.

pcap: draft-ietf-opsawg-pcap; pcapng: draft-ietf-opsawg-pcapng. A file of any size is read in chunks.
"""

from __future__ import annotations

import gzip
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple

from kanslib.exceptions import RecordingError
from kanslib.i18n import tr, tr_plural

_CHUNK_SIZE = 1 << 20
LONGEST = 262_144  # bytes of one frame; a larger size means damage (tcpdump's MAXIMUM_SNAPLEN)
_PCAP = {
    b"\xd4\xc3\xb2\xa1": ("<", 1e-6),
    b"\xa1\xb2\xc3\xd4": (">", 1e-6),
    b"\x4d\x3c\xb2\xa1": ("<", 1e-9),
    b"\xa1\xb2\x3c\x4d": (">", 1e-9),
}
_PCAP_HEADER = 24
_PCAPNG = b"\x0a\x0d\x0d\x0a"
_SECTION, _INTERFACE, _OLD, _SIMPLE, _ENHANCED = 0x0A0D0D0A, 1, 2, 3, 6
_LONGEST_BLOCK = 1 << 24
_MOST_INTERFACES = 1 << 16  # of a pcapng section: the older block of a frame counts them with 16 bits
_LAST_SECOND = 253_402_300_799  # 9999-12-31T23:59:59Z, the last one that has a date
# A gzip can hold a thousand times its size. In one of a real capture each frame takes some bytes, of its time alone.
_UNCHECKED_FRAMES, _UNCHECKED_BYTES = 10_000, 128 << 20
_LARGEST_RATIO = 200


class CaptureWarning(UserWarning):
    """A capture is cut off or damaged; the frames before that place were read."""


class Batch(NamedTuple):
    """Some frames of a capture, in the order of the file: a chunk of it, and the offset of each frame in that chunk.

    `starts`, `captured` and `lengths` are in bytes (`lengths`: on the wire), `times` in Unix seconds; `links` are
    link types (https://www.tcpdump.org/linktypes.html), `interfaces` the numbers of pcapng's interfaces (pcap: 0).
    """

    content: bytes
    starts: list[int]
    captured: list[int]
    lengths: list[int]
    times: list[float]
    links: list[int]
    interfaces: list[int]

    @classmethod
    def of(cls, content: bytes) -> Batch:
        """Return a batch of these bytes that has no frames yet."""
        return cls(content, [], [], [], [], [], [])


class _Source:
    """A stream that is read in chunks: `content` was read and is not yet consumed from offset `at` on.

    `packed`: the file that a gzip is read from; None for a capture that is not gzipped.
    """

    def __init__(self, stream: BinaryIO | gzip.GzipFile, packed: BinaryIO | None = None) -> None:
        # read1 returns what is available; with read, a gzip that is cut off would withhold its last good bytes
        self._read: Callable[[int], bytes] = getattr(stream, "read1", stream.read)
        self._packed, self._unpacked = packed, 0
        self.content, self.at, self.frames, self.damage = b"", 0, 0, ""

    def fill(self) -> bool:
        """Read the next chunk behind the bytes that are not consumed. Return False at the end of the stream."""
        parts, size = [self.content[self.at :]], 0
        try:
            while size < _CHUNK_SIZE and (more := self._read(_CHUNK_SIZE)):
                parts.append(more)
                size += len(more)
        except (EOFError, zlib.error, gzip.BadGzipFile) as exc:
            self.damage = tr("cannot be unpacked further ({problem})", problem=exc)
        self.content, self.at = b"".join(parts), 0
        self._unpacked += size
        return bool(size)

    def refuse_bomb(self, name: str) -> None:
        """Raise RecordingError for a gzip that holds more frames or bytes than that of a capture can."""
        if self._packed is None:
            return
        packed = self._packed.tell()
        is_dense = self.frames > max(packed, _UNCHECKED_FRAMES)
        if is_dense or self._unpacked > max(packed * _LARGEST_RATIO, _UNCHECKED_BYTES):
            problem = tr(
                "{packed:,} bytes hold {frames:,} frames in {unpacked:,} bytes: no capture; "
                "if it is one, gunzip it first",
                packed=packed,
                frames=self.frames,
                unpacked=self._unpacked,
            )
            raise RecordingError(name, problem)


def batches(stream: BinaryIO, name: str) -> Iterator[Batch]:
    """Yield the frames of a capture, about a megabyte of the file at a time. `name` is used in errors.

    Raise RecordingError for a stream that is no capture. Warn once (CaptureWarning) where it is cut off or damaged.
    """
    magic = stream.read(4)
    stream.seek(-len(magic), 1)
    if magic[:2] == b"\x1f\x8b":
        with gzip.open(stream) as unpacked:
            yield from _batches(_Source(unpacked, stream), name)
    else:
        yield from _batches(_Source(stream), name)


def _batches(source: _Source, name: str) -> Iterator[Batch]:
    while source.fill() and len(source.content) < 24:
        pass  # a pipe may return a few bytes at a time
    magic = source.content[:4]
    if magic not in _PCAP and magic != _PCAPNG:
        why = source.damage or tr("starts with {beginning}", beginning=magic.hex() or tr("nothing"))
        raise RecordingError(name, tr("{why}: neither pcap nor pcapng", why=why))
    if len(source.content) < 24:
        raise RecordingError(name, tr("cut off in the header of the capture"))
    reader: _Pcap | _Pcapng = _Pcapng()
    if magic in _PCAP:
        reader, source.at = _Pcap(source.content), _PCAP_HEADER
    damage = ""
    while not damage and (source.at < len(source.content) or source.fill()):
        batch = Batch.of(source.content)
        source.at, damage = reader.read(batch, source.at)
        source.frames += len(batch.starts)
        source.refuse_bomb(name)
        if batch.starts:
            yield batch
        if not damage and not source.fill() and source.at < len(source.content):
            damage = tr("cut off in frame {number}", number=source.frames + 1)
    if source.damage or damage:
        message = tr_plural(
            "{name}: {damage}; {n} frame was read",
            "{name}: {damage}; {n} frames were read",
            source.frames,
            name=name,
            damage=source.damage or damage,
        )
        warnings.warn(CaptureWarning(message), stacklevel=2)


class _Pcap:
    """Read the records of a pcap, which share one header and one link type."""

    def __init__(self, content: bytes) -> None:
        order, self.tick = _PCAP[content[:4]]
        self.header = struct.Struct(order + "IIII")
        self.link = struct.unpack_from(order + "I", content, 20)[0] & 0xFFFF

    def read(self, into: Batch, at: int) -> tuple[int, str]:
        """Add the whole frames from offset `at` on to a batch. Return the offset behind them, and the damage there."""
        content, end, unpack, tick = into.content, len(into.content), self.header.unpack_from, self.tick
        starts, captured, lengths, times = into.starts, into.captured, into.lengths, into.times
        damage = ""
        while at + 16 <= end:
            seconds, fraction, size, length = unpack(content, at)
            if not (seconds or fraction or size or length):
                damage = tr(
                    "zeros in place of a frame after {count} others here: damaged from there", count=len(starts)
                )
                break
            if size > LONGEST:
                damage = tr(
                    "a frame after {count} others here declares {size:,} bytes: damaged from there",
                    count=len(starts),
                    size=size,
                )
                break
            if at + 16 + size > end:
                break
            starts.append(at + 16)
            captured.append(size)
            lengths.append(length)
            times.append(seconds + fraction * tick)
            at += 16 + size
        into.links.extend([self.link] * len(starts))
        into.interfaces.extend([0] * len(starts))
        return at, damage


class _Interface(NamedTuple):
    link: int
    snap: int
    tick: float  # seconds
    offset: int  # seconds to add


class _Pcapng:
    """Read the blocks of a pcapng: sections, their interfaces, and three kinds of frames."""

    def __init__(self) -> None:
        self.order, self.interfaces = "<", list[_Interface]()

    def read(self, into: Batch, at: int) -> tuple[int, str]:
        """Add the whole frames from offset `at` on to a batch; see `_Pcap.read`."""
        content, end = into.content, len(into.content)
        while at + 12 <= end:
            kind = struct.unpack_from(self.order + "I", content, at)[0]
            if kind == _SECTION:
                self.order = "<" if content[at + 8 : at + 12] == b"\x4d\x3c\x2b\x1a" else ">"
                self.interfaces = []
            (size,) = struct.unpack_from(self.order + "I", content, at + 4)
            if size < 12 or size > _LONGEST_BLOCK:
                return at, tr("a block declares {size:,} bytes: damaged from there", size=size)
            if at + size > end:
                break
            try:
                self._take(kind, into, at + 8, at + size - 4)
            except (struct.error, IndexError, OverflowError):
                return at, tr("a block does not fit its kind: damaged from there")
            at += size
        return at, ""

    def _take(self, kind: int, into: Batch, at: int, end: int) -> None:
        order, content = self.order, into.content
        if kind == _INTERFACE:
            if len(self.interfaces) == _MOST_INTERFACES:
                raise IndexError(_MOST_INTERFACES)
            self.interfaces.append(_interface(content[at:end], order))
        elif kind == _ENHANCED:
            number, high, low, size, length = struct.unpack_from(order + "IIIII", content, at)
            self._add(into, number, high << 32 | low, (at + 20, size, length), end)
        elif kind == _OLD:
            number, _drops, high, low, size, length = struct.unpack_from(order + "HHIIII", content, at)
            self._add(into, number, high << 32 | low, (at + 20, size, length), end)
        elif kind == _SIMPLE:
            (length,) = struct.unpack_from(order + "I", content, at)
            snap = self.interfaces[0].snap or length
            self._add(into, 0, None, (at + 4, min(length, snap, end - at - 4), length), end)

    def _add(self, into: Batch, number: int, ticks: int | None, where: tuple[int, int, int], end: int) -> None:
        interface, (start, size, length) = self.interfaces[number], where
        if start + size > end:
            raise IndexError(size)
        time = 0.0 if ticks is None else interface.offset + ticks * interface.tick
        if not 0 <= time <= _LAST_SECOND:
            raise OverflowError(time)
        into.starts.append(start)
        into.captured.append(size)
        into.lengths.append(length)
        into.times.append(time)
        into.links.append(interface.link)
        into.interfaces.append(number)


def _interface(body: bytes, order: str) -> _Interface:
    """Return link type, snap length and clock of an interface: options if_tsresol (9) and if_tsoffset (14)."""
    link, _reserved, snap = struct.unpack_from(order + "HHI", body)
    at, tick, offset = 8, 1e-6, 0
    while at + 4 <= len(body):
        code, size = struct.unpack_from(order + "HH", body, at)
        value = body[at + 4 : at + 4 + size]
        if code == 0:
            break
        if code == 9 and len(value) == 1:
            tick = 2.0 ** -(value[0] & 127) if value[0] & 128 else 10.0 ** -value[0]
        if code == 14 and len(value) == 8:
            (offset,) = struct.unpack(order + "q", value)
        at += 4 + (size + 3) // 4 * 4
    return _Interface(link, snap, tick, offset)


def filter_pcap(content: bytes, keep: Callable[[float, bytes], bool]) -> bytes:
    """Return a pcap with only the frames for which `keep(time, raw)` is true (Unix seconds, bytes), unchanged.

    Raise RecordingError for content that is no pcap. A frame that is cut off at the end is left out.
    """
    if content[:4] not in _PCAP or len(content) < 24:
        beginning = content[:4].hex() or tr("nothing")
        raise RecordingError("capture", tr("starts with {beginning}: not a pcap", beginning=beginning))
    batch = Batch.of(content)
    _Pcap(content).read(batch, _PCAP_HEADER)
    parts = [content[:_PCAP_HEADER]]
    for start, size, time in zip(batch.starts, batch.captured, batch.times, strict=True):
        if keep(time, content[start : start + size]):
            parts.append(content[start - 16 : start + size])
    return b"".join(parts)
