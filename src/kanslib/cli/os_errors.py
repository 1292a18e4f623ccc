"""Errors of the operating system in words: the file, what is wrong with it, and the next step."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from kanslib.exceptions import KanslibError

_NEXT_STEPS = {
    errno.ENOENT: "check the name",
    errno.EISDIR: "name a file, not a directory",
    errno.ENOTDIR: "a part of this path is a file; name a directory there",
    errno.EEXIST: "choose another name, or remove it first",
    errno.EACCES: "check its permissions, or choose another place",
    errno.EPERM: "check its permissions, or choose another place",
    errno.EROFS: "choose another place",
    errno.ENOSPC: "free some space there, or choose another place",
    errno.EDQUOT: "free some space there, or choose another place",
    errno.EFBIG: "raise the limit of file sizes (ulimit -f), or choose another place",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
}
_WRITE_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)


def describe(error: OSError, name: object = None) -> str:
    """Return the error in one line. `name`: what it is about, where the error itself does not know it.

    >>> describe(FileNotFoundError(errno.ENOENT, "No such file or directory", "x.pcap"))
    'x.pcap: No such file or directory; next step: check the name'
    """
    about = name or _file_of(error)
    problem = error.strerror or str(error) or type(error).__name__
    step = _NEXT_STEPS.get(error.errno or 0)
    return "".join([f"{about}: " if about else "", problem, f"; next step: {step}" if step else ""])


def _file_of(error: OSError) -> str:
    """Return the file that an error is about; empty where it is about none. Python names no file that is open."""
    if isinstance(error.filename, str | bytes):
        return os.fsdecode(error.filename)
    return "standard output or a temporary file" if error.errno in _WRITE_ERRORS else ""


@contextmanager
def about(name: object) -> Iterator[None]:
    """Raise KanslibError that names `name` when the operating system refuses something in the block."""
    try:
        yield
    except OSError as error:
        raise KanslibError(describe(error, name)) from None
