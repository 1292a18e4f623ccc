"""Recordings that have to be refused: archives, folders, manifests, rows and captures."""

from __future__ import annotations

import json
import lzma
import os
import socket
import struct
import unicodedata
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from tests.hostile import good
from tests.hostile.good import BODY, MANIFEST, NODE, SERVICE, T, event, recording, rows, with_manifest
from tests.hostile.zips import BZIP2, DEVICE, LINK, LZMA, PIPE, SOCKET, STORED, Member, write_zip, zeros

LOG = "logs/speaker-a@n1.log"
SERVICES = "objects/services.ndjson"


@dataclass(frozen=True)
class Hostile:
    """Something hostile: how it is made in a folder, the command that has to refuse it, and words of its message."""

    name: str
    make: Callable[[Path], object]
    words: str
    command: str = "verify r.zip"
    as_nobody: bool = False


def member(name: str, **changes: object) -> Callable[[Path], object]:
    """Return how to write a recording in which one member is otherwise."""

    def make(folder: Path) -> Path:
        listed = [replace(one, **changes) if one.name == name else one for one in good.members()]  # type: ignore[arg-type]
        return write_zip(folder / "r.zip", listed)

    return make


def also(*members: Member) -> Callable[[Path], object]:
    """Return how to write a recording with more members, which its manifest does not list."""
    return lambda folder: write_zip(folder / "r.zip", [*good.members(), *members])


def named(name: str | bytes) -> Callable[[Path], object]:
    return also(Member(name, b"evil"))


def file(name: str, content: bytes, **changes: object) -> Callable[[Path], object]:
    """Return how to write a recording whose file has this content, as its manifest says."""
    return lambda folder: recording(folder, {name: content}, **changes)


def body(**changes: object) -> Callable[[Path], object]:
    """Return how to write a recording with other fields in its manifest."""
    return lambda folder: recording(folder, None, **changes)


def text(old: str, new: str) -> Callable[[Path], object]:
    """Return how to write a recording with another text in its manifest."""
    return lambda folder: with_manifest(folder, lambda whole: _replaced(whole, old, new))


def _replaced(whole: str, old: str, new: str) -> str:
    assert old in whole
    return whole.replace(old, new, 1)


def content(data: bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / "r.zip").write_bytes(data)


# ── zips ─────────────────────────────────────────────────────────────────────────────────────────────────


def lzma_packed(data: bytes, dictionary: int) -> bytes:
    """Return data as a zip packs it with LZMA, with a dictionary that is declared to have so many bytes."""
    packer = lzma.LZMACompressor(lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA1, "preset": 0}])
    return struct.pack("<BBHBI", 9, 4, 5, 93, dictionary) + packer.compress(data) + packer.flush()


def overlapping(folder: Path) -> None:
    """Quote the header of the next member in a stored block of the one before, so that both hold its bytes."""
    inner = Member("b.txt", b"x" * 1000, STORED)
    head = b"PK\3\4" + struct.pack("<HHHHHIIIHH", 45, 0x800, 0, 0, 33, zlib.crc32(inner.content), 1000, 1000, 5, 0)
    both = head + b"b.txt" + inner.content
    start = 30 + len("a.txt")
    write_zip(folder / "r.zip", [Member("a.txt", both, STORED), replace(inner, offset=start), *good.members()])


def in_directory(folder: Path) -> None:
    whole = write_zip(folder / "r.zip", good.members()).read_bytes()
    at = whole.index(b"PK\1\2")
    size = struct.unpack_from("<I", whole, at + 20)[0]
    (folder / "r.zip").write_bytes(whole[: at + 20] + struct.pack("<I", size + 5_000_000) + whole[at + 24 :])


def wide_directory(folder: Path) -> None:
    """Let the end of the zip64 say that its directory has 2⁶² bytes."""
    whole = write_zip(folder / "r.zip", good.members()).read_bytes()
    end = struct.pack("<IQHHIIQQQQ", 0x06064B50, 44, 45, 45, 0, 0, 9, 9, 1 << 62, 0)
    locator = struct.pack("<IIQI", 0x07064B50, 0, len(whole) - 22, 1)
    tail = struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    (folder / "r.zip").write_bytes(whole[:-22] + end + locator + tail)


def large_directory(folder: Path) -> None:
    write_zip(
        folder / "r.zip", [*good.members(), *(Member(f"f/{number:040}", method=STORED) for number in range(60_000))]
    )


def many_members(folder: Path) -> None:
    write_zip(folder / "r.zip", [*good.members(), *(Member(f"f/{number}", method=STORED) for number in range(20_001))])


def bombs_of(megabytes: int, number: int) -> tuple[Member, ...]:
    packed = zeros(megabytes)
    return tuple(Member(f"captures/s/{one}.pcap", size=megabytes << 20, packed=packed) for one in range(number))


# refused when they are opened
ZIPS = [
    Hostile("bomb of 2.5 GB, told", also(*bombs_of(2500, 1)), r"captures/s/0.pcap: 2621440000 bytes, expected at most"),
    Hostile("bomb of 2.5 GB in the manifest", member(MANIFEST, packed=zeros(2500), size=2500 << 20), "manifest.json: 26"),
    Hostile("bomb in the manifest, said to be small", member(MANIFEST, packed=zeros(2500)), "manifest.json.*CRC"),
    Hostile("bomb of ten large files", also(*bombs_of(30, 10)), "r.zip: 31.* bytes unpacked, expected at most"),
    Hostile("sizes of zip64 that are not true", member(LOG, wide=True, size=1 << 60), f"{LOG}: 1152921504606846976 bytes"),
    Hostile("stored in other bytes than it has", member(LOG, method=STORED, size=20 << 20), f"{LOG}: stored as it is"),
    Hostile("overlapping members", overlapping, "b.txt: lies in the same bytes of the zip as 'a.txt'"),
    Hostile("members that are one", also(Member("logs/twin.log", local=LOG, offset=0)), "same bytes of the zip|damaged"),
    Hostile("a member in the directory", in_directory, "same bytes of the zip as"),
    Hostile("a directory of 2⁶² bytes", wide_directory, r"r.zip: not a whole zip"),
    Hostile("a directory of 7 MB", large_directory, r"r.zip: not a whole zip \(a directory of .* expected at most 4,194,304"),
    Hostile("20,000 files", many_members, r"r.zip: 20,013 files, expected at most 20,000"),
    Hostile("a file twice", also(Member(LOG, b"other")), f"{LOG}: expected each file once"),
    Hostile("two files for one, in capitals", named("LOGS/Speaker-a@n1.log"), "LOGS/Speaker-a@n1.log: expected each file once"),
    Hostile("two files for one, decomposed",
            also(Member("logs/ä.log", b"1"), Member(unicodedata.normalize("NFD", "logs/ä.log"), b"2")), "expected each file once"),
    Hostile("a file that is a folder as well", named("logs"), "logs: expected a folder"),
    Hostile("name with ..", named("../../evil.txt"), r"\.\./\.\./evil.txt: expected the name of a file inside"),
    Hostile("name with .. inside", named("logs/../../evil.txt"), "evil.txt: expected the name of a file inside"),
    Hostile("absolute name", named("/etc/cron.d/evil"), "/etc/cron.d/evil: expected the name of a file inside"),
    Hostile("name with a drive", named("C:/evil.txt"), "C:/evil.txt: expected the name of a file inside"),
    Hostile("name with a stream of NTFS", named("logs/a.log:evil"), "logs/a.log:evil: expected the name of a file"),
    Hostile("name with a backslash", named("..\\evil.txt"), "evil.txt: expected the name of a file inside"),
    Hostile("name with NUL", named("logs/a.log\0.png"), r"logs/a.log\\x00.png: expected the name of a file inside"),
    Hostile("name of no letter", named(""), "expected the name of a file inside"),
    Hostile("name with an empty part", named("logs//evil.log"), "logs//evil.log: expected the name of a file inside"),
    Hostile("name with the folder itself", named("./evil.log"), "./evil.log: expected the name of a file inside"),
    Hostile("folder with ..", named("../evil/"), "../evil: expected the name of a file inside"),
    Hostile("name of 60,000 letters", named("a" * 60_000), "a{200}.*: expected the name of a file inside"),
    Hostile("name that colours a terminal", named("logs/\x1b[31mred\x1b]0;evil\x07.log"), r"\\x1b\[31mred"),
    Hostile("name of two lines", named("logs/a.log\nkans: all is well"), r"a.log\\nkans: all is well: expected"),
    Hostile("name that is no UTF-8", named(b"logs/\xff\xfe.log"), "r.zip: not a whole zip"),
    Hostile("symbolic link", member(LOG, mode=LINK), f"{LOG}: a symbolic link, expected a regular file"),
    Hostile("named pipe", member(LOG, mode=PIPE), f"{LOG}: a named pipe, expected a regular file"),
    Hostile("device", member(LOG, mode=DEVICE), f"{LOG}: a device, expected a regular file"),
    Hostile("socket", member(LOG, mode=SOCKET), f"{LOG}: a socket, expected a regular file"),
    Hostile("encrypted", member(LOG, flags=1), f"{LOG}: is encrypted"),
    Hostile("encrypted strongly", member(LOG, flags=0x41), f"{LOG}: is encrypted"),
    Hostile("bzip2", member(LOG, method=BZIP2, packed=b"BZh9"), f"{LOG}: compression method 12, expected stored"),
    Hostile("zstd", member(LOG, method=93), f"{LOG}: compression method 93, expected stored"),
    Hostile("AES of WinZip", member(LOG, method=99), f"{LOG}: compression method 99, expected stored"),
    Hostile("empty file", content(b""), "r.zip: not a whole zip"),
    Hostile("no zip", content(b"MZ" + bytes(5000)), "r.zip: not a whole zip"),
    Hostile("the end of a zip alone", content(b"PK\5\6" + bytes(18)), "holds no manifest.json"),
    Hostile("a zip in a zip", lambda folder: write_zip(folder / "r.zip", [Member("r.zip", zeros(1))]), "holds no manifest.json"),
]  # fmt: skip
# refused when a file is read, or by kans verify
MEMBERS = [
    Hostile("bomb of 2.5 GB, said to be small", member(LOG, packed=zeros(2500)), f"{LOG}: .*(damaged|CRC)"),
    Hostile("bomb of LZMA, said to be small",
            member(LOG, method=LZMA, flags=2, packed=lzma_packed(bytes(100 << 20), 1 << 16)), f"{LOG}: .*CRC"),
    Hostile("LZMA that asks for 4 GB",
            member(LOG, method=LZMA, flags=2, packed=lzma_packed(b"x" * 99, 0xFFFFFFFF)), f"{LOG}: .*"),
    Hostile("fewer bytes than declared", member(LOG, size=90), f"{LOG}: .*(damaged|manifest says)"),
    Hostile("more bytes than declared", member(LOG, size=5), f"{LOG}: 5 bytes, the manifest says"),
    Hostile("wrong checksum", member(LOG, checksum=1), f"{LOG}: cannot be unpacked .*CRC"),
    Hostile("no deflate inside", member(LOG, packed=b"\xff" * 50), f"{LOG}: cannot be unpacked"),
    Hostile("another name in its own header", member(LOG, local=LOG.replace("a@", "b@")), f"{LOG}: .*differ"),
    Hostile("name written backwards", named("logs/\u202egol.a"), r"\\u202egol.a: the manifest does not list"),
    Hostile("name with HTML", named("logs/<img src=x onerror=alert(1)>.log"), "<img src=x onerror=alert"),
]  # fmt: skip

# ── folders ──────────────────────────────────────────────────────────────────────────────────────────────


def in_folder(change: Callable[[Path], object]) -> Callable[[Path], object]:
    """Return how to write a recording as a folder, and to change something in it."""
    return lambda folder: change(good.unpacked(folder))


def _link(place: str, target: str) -> Callable[[Path], object]:
    def make(folder: Path) -> None:
        (folder / place).unlink(missing_ok=True)
        (folder / place).symlink_to(target)

    return in_folder(make)


def _socket(folder: Path) -> None:
    before = Path.cwd()
    os.chdir(folder)  # the path of a socket has at most 107 bytes
    try:
        with socket.socket(socket.AF_UNIX) as one:
            one.bind("s")
    finally:
        os.chdir(before)


def _sparse(folder: Path) -> None:
    os.truncate(folder / LOG, 1 << 40)


def _fifo(name: str) -> Callable[[Path], object]:
    def make(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        os.mkfifo(folder / name)

    return make


def _unreadable(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).chmod(0)


def _deep(folder: Path) -> None:
    place = folder
    for _ in range(100):
        place /= "aaaa"
    place.mkdir(parents=True)


FOLDERS = [
    Hostile("link to a file outside", _link(LOG, "/etc/passwd"), f"{LOG}: a symbolic link, expected", "verify r"),
    Hostile("link to a folder outside", _link("reads/etc", "/etc"), "reads/etc: a symbolic link, expected", "diff r r"),
    Hostile("manifest that is a link", _link(MANIFEST, "/dev/zero"), "manifest.json: a symbolic link", "open_lab r"),
    Hostile("pipe", in_folder(_fifo(LOG)), f"{LOG}: a named pipe, expected a regular file", "verify r"),
    Hostile("manifest that is a pipe", in_folder(_fifo(MANIFEST)), "manifest.json: a named pipe", "diff r r"),
    Hostile("socket in a folder", in_folder(_socket), "s: a socket, expected a regular file", "verify r"),
    Hostile("file of a terabyte", in_folder(_sparse), f"{LOG}: 1099511627776 bytes, expected at most", "verify r"),
    Hostile("unreadable file", in_folder(_unreadable(LOG)), f"{LOG}: cannot be read .Permission", "verify r", True),
    Hostile("unreadable folder", in_folder(_unreadable("logs")), "logs: cannot be read .Permission", "verify r", True),
    Hostile("unreadable manifest", in_folder(_unreadable(MANIFEST)), "manifest.json: cannot be read", "open_lab r", True),
    Hostile("folders in folders", in_folder(_deep), "aaaa: expected the name of a file inside", "verify r"),
    Hostile("name of a line", in_folder(lambda one: (one / "a\nb").touch()), r"a\\nb: expected the name", "verify r"),
    Hostile("name of no letters", in_folder(lambda one: (one / os.fsdecode(b"\xff")).touch()), r"\\udcff: ", "verify r"),
    Hostile("recording that is a device", lambda _: None, "/dev/zero: a device, expected", "verify /dev/zero"),
    Hostile("recording that is a pipe", lambda one: os.mkfifo(one / "r.zip"), "r.zip: a named pipe, expected"),
]  # fmt: skip

# ── manifests ────────────────────────────────────────────────────────────────────────────────────────────

DEEP = "[" * 200_000
SEGMENT, STORY, ACTION = BODY["takes"][0], BODY["stories"][0], BODY["acts"][0]
MANIFESTS = [
    Hostile("a list", lambda one: with_manifest(one, lambda _: "[]"), "manifest.json: Expected `object`"),
    Hostile("nothing", lambda one: with_manifest(one, lambda _: ""), "manifest.json, line 1: not JSON"),
    Hostile("null", lambda one: with_manifest(one, lambda _: "null"), "manifest.json: Expected `object`"),
    Hostile("lists in lists", lambda one: with_manifest(one, lambda _: DEEP), "manifest.json"),
    Hostile("lists in an unknown field", text('"format"', f'"x": {DEEP}, "format"'), "manifest.json: .*too deep"),
    Hostile("a huge integer", text('"format": 1', '"format": 1' + "0" * 5000), "manifest.json"),
    Hostile("format 2", text('"format": 1', '"format": 2'), "format 2 is newer than this kanslib reads"),
    Hostile("NaN", text(f'"start": {T}', '"start": NaN'), "manifest.json, line 1: not JSON"),
    Hostile("infinity", text(f'"start": {T}', '"start": Infinity'), "manifest.json, line 1: not JSON"),
    Hostile("1e999", text(f'"start": {T}', '"start": 1e999'), "manifest.json"),
    Hostile("year 30000", text(f'"start": {T}', '"start": 9e11'), r"field takes\[0\].start: Expected `float` <= 253402300799"),
    Hostile("half of a surrogate", text('"small"', '"\\ud800"'), "manifest.json, line 1: not JSON"),
    Hostile("a surrogate in UTF-8", text('"small"', '"\ud800"'), "manifest.json: not UTF-8"),
    Hostile("no UTF-8", lambda one: with_manifest(one, lambda _: b'{"format": 1, "title": "\xff"}'), "manifest.json"),
    Hostile("a mark of byte order", lambda one: with_manifest(one, lambda whole: "\ufeff" + whole), "line 1: not JSON"),
    Hostile("without files", text('"files"', '"filez"'), "manifest.json: Object (missing|contains unknown)"),
    Hostile("without segments", body(takes=[]), "manifest.json, field takes: Expected `array` of length >= 1"),
    Hostile("segments that are a number", body(takes=7), "manifest.json, field takes: Expected `array`"),
    Hostile("a node that is an object", body(takes=[SEGMENT | {"nodes": [{}]}]), r"field takes\[0\].nodes\[0\]: Expected `str`"),
    Hostile("no network", body(takes=[SEGMENT | {"network": "any"}]), r"field takes\[0\]"),
    Hostile("an action without steps", body(acts=[ACTION | {"steps": []}]), r"field acts\[0\].steps"),
    Hostile("an unknown verb", body(acts=[ACTION | {"steps": [good.STEP | {"verb": "rm"}]}]), "unknown verb 'rm'"),
    Hostile("an action of no target", body(acts=[ACTION | {"steps": [good.STEP | {"targets": []}]}]), "kill_node", "timeline r.zip"),
    Hostile("an action of another segment", body(acts=[ACTION | {"take": "x"}]), "belongs to no segment .'x'"),
    Hostile("a story of another segment", body(stories=[STORY | {"take": "x"}]), "is not inside its segment .'x'"),
    Hostile("a story of no segment, opened", body(stories=[STORY | {"take": "x"}]), "segment", "diff r.zip r.zip"),
    Hostile("a size below zero", text('"size": ', '"size": -'), "manifest.json, field files"),
    Hostile("a file outside", body(files={"../../evil.txt": {"sha256": "0" * 64, "size": 1}}), "not a path inside"),
    Hostile("a file named by escapes", body(files={"\x1b[2J": {"sha256": "0" * 64, "size": 1}}), "not a path inside"),
    Hostile("a manifest of 9 MB", text('"small"', '"' + "x" * (9 << 20) + '"'), "manifest.json: .* expected at most 8,388,608"),
    Hostile("a million redactions", body(redactions=[""] * 1_500_000 + [1]), r"redactions\[1500000\]: Expected `str`"),
]  # fmt: skip

# ── rows, texts and captures ─────────────────────────────────────────────────────────────────────────────────


def without(obj: Mapping[str, object], *path: str) -> dict[str, object]:
    """Return a copy of an object that lacks a field."""
    found: dict[str, object] = json.loads(json.dumps(obj))
    inner: dict[str, dict[str, object]] = found  # type: ignore[assignment]
    for part in path[:-1]:
        inner = inner[part]  # type: ignore[assignment]
    del inner[path[-1]]
    return found


def with_field(obj: Mapping[str, object], value: object, *path: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(json.dumps(obj))
    inner: dict[str, dict[str, object]] = found  # type: ignore[assignment]
    for part in path[:-1]:
        inner = inner[part]  # type: ignore[assignment]
    inner[path[-1]] = value  # type: ignore[assignment]
    return found


def services(*objects: object) -> Callable[[Path], object]:
    return file(SERVICES, rows(*map(event, objects)))


def nodes(*objects: object) -> Callable[[Path], object]:
    return file("objects/nodes.ndjson", rows(*map(event, objects)))


def gz(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return packer.compress(data) + packer.flush()


def gz_zeros(head: bytes, megabytes: int) -> bytes:
    """Return a gzip of `head` and megabytes of zeros, without a checksum at its end."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    start = packer.compress(head) + packer.flush(zlib.Z_FULL_FLUSH)
    return b"\x1f\x8b\x08" + bytes(7) + start + zeros(megabytes)


def block(kind: int, data: bytes, size: int | None = None) -> bytes:
    length = 12 + len(data) if size is None else size
    return struct.pack("<II", kind, length) + data + struct.pack("<I", length)


def pcapng(*blocks: bytes) -> bytes:
    section = block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))
    return section + block(1, struct.pack("<HHI", 1, 0, 0)) + b"".join(blocks)


def enhanced(data: bytes, ticks: int = 0, interface: int = 0, size: int | None = None) -> bytes:
    length = len(data) if size is None else size
    head = struct.pack("<IIIII", interface, ticks >> 32, ticks & 0xFFFFFFFF, length, length)
    return block(6, head + data + bytes(-len(data) % 4))


LONG = b'{"t": 1, "type": "ADDED", "object": {"metadata": {"name": "' + b"x" * (3 << 20) + b'"}}}\n'
DEEP_ROW = b'{"t": 1, "type": "ADDED", "object": {"metadata": {"name": "x"}, "a": ' + b'{"a":' * 100_000 + b"\n"
ROW = rows(event(SERVICE | {"a": [{}] * 300_000}))
PCAP = good.pcap()
CAPTURE = "captures/s/eth0.pcap"
CONTENTS = [
    Hostile("a row of 3 MB", file(SERVICES, LONG), f"{SERVICES}, line 1: a row of .* expected at most 2,097,152"),
    Hostile("objects in objects", file(SERVICES, DEEP_ROW), f"{SERVICES}, line 1: .*too deep"),
    Hostile("no JSON, compared", file("reads.ndjson", b"{not json\n"), "reads.ndjson, line 1", "diff r.zip r.zip"),
    Hostile("millions of values", file(SERVICES, ROW * 9), f"{SERVICES}: 5,400,.* values .* expected at most", "open_lab r.zip"),
    Hostile("almost too many values", file(SERVICES, ROW * 3 + b"{}\n"), f"{SERVICES}, line 4: ", "open_lab r.zip"),
    Hostile("30 MB of empty rows", file(SERVICES, b"\n" * (30 << 20)), f"{SERVICES}, line 1: not JSON"),
    Hostile("a Service without a spec", services(without(SERVICE, "spec")), f"{SERVICES}, line 1, field object: .*`spec`", "diff r.zip r.zip"),
    Hostile("a Service whose ports are text", services(with_field(SERVICE, "80", "spec", "ports")), "field object.spec.ports: Expected `array`", "open_lab r.zip"),
    Hostile("a Service whose status is null", services(with_field(SERVICE, None, "status")), "field object.status: Expected `object`", "open_lab r.zip"),
    Hostile("a Service with numbers for labels", services(with_field(SERVICE, {"a": 1}, "metadata", "labels")), "field object.metadata.labels", "diff r.zip r.zip"),
    Hostile("a node without a date", nodes(without(NODE, "metadata", "creationTimestamp")), "`creationTimestamp`", "open_lab r.zip"),
    Hostile("a node of the 99th of a month", nodes(with_field(NODE, "2026-11-99T00:00:00Z", "metadata", "creationTimestamp")), "RFC3339", "open_lab r.zip"),
    Hostile("a node whose address is a number", nodes(with_field(NODE, [1], "status", "addresses")), r"status.addresses\[0\]", "timeline r.zip"),
    Hostile("a number for rows", file(SERVICES, b"7\n"), f"{SERVICES}, line 1: Expected `object`"),
    Hostile("an output that is a file elsewhere", file("reads.ndjson", rows({"t": T, "end": T, "place": "n1", "command": "id", "rc": 0, "file": "../../../etc/passwd"})), "reads.ndjson, line 1, field file"),
    Hostile("an exit code of text", file("reads.ndjson", rows({"t": T, "end": T, "place": "n1", "command": "id", "rc": "0", "file": LOG})), "reads.ndjson, line 1, field rc"),
    Hostile("a probe of 1e300 ms", file("probes/s/client.ndjson", rows({"t": T, "to": "a", "ok": True, "ms": 1e300})), "field ms: Expected `float` <= 86400000"),
    Hostile("a log of the 99th of a month", file(LOG, b"2026-99-99T99:99:99Z hello\n"), f"{LOG}, line 1: does not start with a timestamp"),
    Hostile("a log that is no text", file(LOG, b"2026-11-23T07:10:10Z \xff\xfe\n"), f"{LOG}, line 1: not UTF-8"),
    Hostile("a log of one line", file(LOG, b"2026-11-23T07:10:10Z " + b"a" * (30 << 20)), f"{LOG}: has a line of more than"),
    Hostile("a text of one line of emoji", file("reads/n1/id/001.txt", "😀".encode() * (7 << 20)), "has a line of more than"),
    Hostile("a capture that is none", file(CAPTURE, b"\0" * 40), f"{CAPTURE}: starts with 00000000: neither pcap nor pcapng"),
    Hostile("a capture of zeros in a gzip", file("captures/s/a.pcap.gz", gz_zeros(PCAP, 2000)), "captures/s/a.pcap.gz: zeros in place"),
    Hostile("a capture of tiny frames in a gzip", file("captures/s/a.pcap.gz", gz(PCAP + (struct.pack("<IIII", 9, 9, 1, 1) + b"x") * 1_000_000)), "captures/s/a.pcap.gz: .* frames in .* no capture"),
    Hostile("a capture of large frames in a gzip", file("captures/s/a.pcap.gz", gz_zeros(PCAP + struct.pack("<IIII", 9, 9, 262_144, 1), 2000)), "captures/s/a.pcap.gz: "),
    Hostile("a gzip in a gzip", file("captures/s/a.pcap.gz", gz(gz(PCAP))), "captures/s/a.pcap.gz: starts with 1f8b.*: neither"),
    Hostile("a frame longer than any", file(CAPTURE, PCAP + struct.pack("<IIII", 9, 9, 0x7FFFFFFF, 60)), f"{CAPTURE}: .*declares 2,147,483,647 bytes"),
    Hostile("a block longer than any", file(CAPTURE, pcapng(struct.pack("<III", 6, 0xFFFFFFF0, 0))), f"{CAPTURE}: a block declares 4,294,967,280"),
    Hostile("a block of no length", file(CAPTURE, pcapng(struct.pack("<III", 6, 0, 0))), f"{CAPTURE}: a block declares 0 bytes"),
    Hostile("a frame longer than its block", file(CAPTURE, pcapng(enhanced(b"x", size=1 << 20))), f"{CAPTURE}: a block does not fit"),
    Hostile("a frame of no interface", file(CAPTURE, pcapng(enhanced(b"x", interface=9))), f"{CAPTURE}: a block does not fit"),
    Hostile("a frame of the year 30000", file(CAPTURE, pcapng(enhanced(b"x", ticks=9 << 56))), f"{CAPTURE}: a block does not fit"),
    Hostile("70,000 interfaces", file(CAPTURE, pcapng(*[block(1, struct.pack("<HHI", 1, 0, 0))] * 70_000)), f"{CAPTURE}: a block does not fit"),
]  # fmt: skip
ARCHIVES = [*ZIPS, *MEMBERS, *FOLDERS, *MANIFESTS, *CONTENTS]
