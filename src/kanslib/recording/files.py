"""The files of a recording, in a folder or a zip: what is no plain file inside it, or too large, is refused unread.

A recording is handed on, so it may be anybody's: a small zip can hold more than a disk, and a name can point outside.
"""

from __future__ import annotations

import io
import lzma
import os
import stat
import unicodedata
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from kanslib.exceptions import RecordingError
from kanslib.i18n import tr, tr_later
from kanslib.recording.format import MANIFEST, is_path_inside

# The recording that ships has 1,416 files of 24 MB together, the largest 1.2 MB. Read whole, as they are, files of
# these sizes leave the memory that a command takes below 200 MB.
MOST_FILES = 20_000
LARGEST_FILE = 32 << 20  # bytes
LARGEST_TOTAL = 96 << 20  # bytes of all files
LARGEST_MANIFEST = 8 << 20  # bytes; as an object it takes up to six times as much memory
LARGEST_DIRECTORY = 4 << 20  # bytes of a zip's directory: 20,000 files with names of 160 characters
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA)
_LOCAL_HEADER = 30  # bytes before the name (APPNOTE.TXT 4.3.7)
_ENCRYPTED = 0x1 | 0x40 | 0x2000  # APPNOTE.TXT 4.4.4: encrypted, strongly, and the directory
_PIECE = 4096  # bytes: LZMA makes at most 28 MB of so many packed ones
_KINDS = {
    stat.S_IFLNK: tr_later("a symbolic link"),
    stat.S_IFIFO: tr_later("a named pipe"),
    stat.S_IFCHR: tr_later("a device"),
    stat.S_IFBLK: tr_later("a device"),
    stat.S_IFSOCK: tr_later("a socket"),
    stat.S_IFDIR: tr_later("a directory"),
}
# of a damaged archive, in the words of zipfile and of the compressions that it may use; MemoryError: LZMA declares
# how much it needs
_UNPACKING_ERRORS = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, RuntimeError, ValueError, OverflowError,
    MemoryError,
)  # fmt: skip


class RecordingFiles(Protocol):
    """The files of a recording. `sizes`: the unpacked size of each, in bytes."""

    @property
    def sizes(self) -> Mapping[str, int]:
        """The unpacked size of each file, in bytes."""

    def read(self, name: str) -> bytes:
        """Return the content of a file. KeyError for one that does not exist, RecordingError for a damaged one."""


def open_files(path: Path) -> RecordingFiles:
    """Return the files of a folder or a zip. RecordingError when one of them is not to be read, or there is none."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as exc:
        problem = (
            tr("no such recording") if isinstance(exc, FileNotFoundError) else tr("cannot be opened ({exc})", exc=exc)
        )
        raise RecordingError(str(path), problem) from None
    if stat.S_ISDIR(mode):
        return FolderFiles(path)
    _refuse_kind(str(path), mode)
    return ZipFiles(path)


class FolderFiles:
    """The files of a folder, without those that a link in it leads to."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.sizes: dict[str, int] = {}
        for name, status in _walk(path):
            _refuse_kind(name, status.st_mode)
            self.sizes[name] = status.st_size
            if len(self.sizes) > MOST_FILES:
                raise RecordingError(
                    str(path), tr("more than {most_files:,} files: no recording has so many", most_files=MOST_FILES)
                )
        _check_names(self.sizes)
        _check_sizes(str(path), self.sizes)

    def read(self, name: str) -> bytes:
        """Return the content of a file. KeyError for one that does not exist, RecordingError for an unreadable one."""
        size = self.sizes[name]
        try:
            with (self._path / name).open("rb") as stream:
                content = stream.read(size + 1)
        except OSError as exc:
            raise RecordingError(name, tr("cannot be read ({strerror})", strerror=exc.strerror)) from None
        if len(content) != size:
            raise RecordingError(name, tr("{size} bytes when it was opened, now others: somebody writes it", size=size))
        return content


class ZipFiles:
    """The files of a zip, as its directory lists them."""

    def __init__(self, path: Path) -> None:
        try:
            self._archive = zipfile.ZipFile(_BoundedReader(io.FileIO(path)))
        except _UNPACKING_ERRORS as exc:
            raise RecordingError(str(path), tr("not a whole zip ({exc}): damaged or cut off", exc=exc)) from None
        members = self._archive.infolist()
        if len(members) > MOST_FILES:
            raise RecordingError(
                str(path),
                tr("{number:,} files, expected at most {most_files:,}", number=len(members), most_files=MOST_FILES),
            )
        for info in members:
            _check_name(info.orig_filename.removesuffix("/"))  # zipfile cuts `filename` at a NUL
        files = [info for info in members if not info.is_dir()]
        _check_names(info.orig_filename for info in files)
        for info in files:
            _check_member(info)
        _refuse_overlap(members, self._archive.start_dir)
        self.sizes = {info.filename: info.file_size for info in files}
        _check_sizes(str(path), self.sizes)

    def read(self, name: str) -> bytes:
        """Return the content of a file. KeyError for one that does not exist, RecordingError for a damaged one."""
        size, unpacked = self.sizes[name], io.BytesIO()
        try:
            with self._archive.open(name) as stream:  # ends after the size that the directory declares
                while piece := stream.read(_PIECE):
                    unpacked.write(piece)
        except _UNPACKING_ERRORS as exc:
            raise RecordingError(name, tr("cannot be unpacked ({exc}): damaged or cut off", exc=exc)) from None
        if unpacked.tell() != size:
            raise RecordingError(
                name,
                tr("{size} bytes in the zip's directory, {tell} unpacked: damaged", size=size, tell=unpacked.tell()),
            )
        return unpacked.getvalue()


class MemoryFiles:
    """Files that are not written yet."""

    def __init__(self, contents: Mapping[str, bytes]) -> None:
        self._contents = contents
        self.sizes = {name: len(content) for name, content in contents.items()}
        _check_names(self.sizes)
        _check_sizes(tr("the recording"), self.sizes)

    def read(self, name: str) -> bytes:
        """Return the content of a file. KeyError for one that does not exist."""
        return self._contents[name]


class _BoundedReader(io.BufferedReader):
    """A file of which not more is read at once than a zip's directory may have: zipfile reads as much as it says."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > LARGEST_DIRECTORY:
            raise zipfile.BadZipFile(
                tr(
                    "a directory of {size:,} bytes, expected at most {largest_directory:,}",
                    size=size,
                    largest_directory=LARGEST_DIRECTORY,
                )
            )
        return super().read(size)


def _walk(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Yield the name and status of everything below a folder but its folders; no link is followed."""
    waiting = [""]
    while waiting:
        inside = waiting.pop()
        try:
            entries = sorted(os.scandir(folder / inside), key=lambda entry: entry.name)
            for entry in entries:
                name = f"{inside}/{entry.name}".lstrip("/")
                if entry.is_dir(follow_symlinks=False):
                    _check_name(name)
                    waiting.append(name)
                else:
                    yield name, entry.stat(follow_symlinks=False)
        except OSError as exc:
            raise RecordingError(
                inside or str(folder), tr("cannot be read ({strerror})", strerror=exc.strerror)
            ) from None


def _refuse_kind(name: str, mode: int) -> None:
    """Refuse what is no regular file; a mode without a kind is one (a zip made on Windows)."""
    kind = stat.S_IFMT(mode)
    if kind not in (stat.S_IFREG, 0):
        raise RecordingError(
            name, tr("{kind}, expected a regular file", kind=tr(_KINDS.get(kind, tr_later("a special file"))))
        )


def _check_name(name: str) -> None:
    if not is_path_inside(name):
        raise RecordingError(name, tr("expected the name of a file inside the recording, such as logs/a.log"))


def _check_names(names: Iterable[str]) -> None:
    """Refuse names that are no paths inside, and two files that are one for a system that ignores case."""
    known: dict[str, str] = {}
    for name in names:
        _check_name(name)
        same = unicodedata.normalize("NFC", name).casefold()
        if same in known:
            raise RecordingError(
                name, tr("expected each file once, also where case is ignored; there is {known!r}", known=known[same])
            )
        known[same] = name
    for same, name in known.items():
        for place in (place for place, sign in enumerate(same) if sign == "/"):
            if same[:place] in known:
                raise RecordingError(known[same[:place]], tr("expected a folder, for {name!r} is inside it", name=name))


def _check_sizes(where: str, sizes: Mapping[str, int]) -> None:
    for name, size in sizes.items():
        largest = LARGEST_MANIFEST if name == MANIFEST else LARGEST_FILE
        if size > largest:
            raise RecordingError(name, tr("{size} bytes, expected at most {largest:,}", size=size, largest=largest))
    if sum(sizes.values()) > LARGEST_TOTAL:
        raise RecordingError(
            where,
            tr(
                "{sum:,} bytes unpacked, expected at most {largest_total:,}",
                sum=sum(sizes.values()),
                largest_total=LARGEST_TOTAL,
            ),
        )


def _check_member(info: zipfile.ZipInfo) -> None:
    """Refuse a member of a zip that is no regular file, or is packed in a way that recordings are not."""
    name = info.filename
    _refuse_kind(name, info.external_attr >> 16)
    if info.flag_bits & _ENCRYPTED:
        raise RecordingError(name, tr("is encrypted, expected a file without a password"))
    if info.compress_type not in _COMPRESSIONS:
        raise RecordingError(
            name,
            tr(
                "compression method {compress_type}, expected stored, deflate or LZMA", compress_type=info.compress_type
            ),
        )
    if info.compress_type == zipfile.ZIP_STORED and info.compress_size != info.file_size:
        problem = tr(
            "stored as it is, in {compress_size} bytes, and {file_size} bytes unpacked: damaged",
            compress_size=info.compress_size,
            file_size=info.file_size,
        )
        raise RecordingError(name, problem)


def _refuse_overlap(members: Sequence[zipfile.ZipInfo], directory: int) -> None:
    """Refuse members that share packed bytes: a small zip could hold them any number of times."""
    end, before = 0, ""
    for info in sorted(members, key=lambda member: member.header_offset):
        if info.header_offset < end:
            raise RecordingError(
                info.filename, tr("lies in the same bytes of the zip as {before!r}: damaged", before=before)
            )
        end, before = info.header_offset + _LOCAL_HEADER + len(info.orig_filename) + info.compress_size, info.filename
    if end > directory:
        raise RecordingError(before, tr("lies in the same bytes of the zip as its directory: damaged"))
