"""One JupyterLab at a time on a directory: its server holds a lock, and the locked file has its address."""

from __future__ import annotations

import sys
from typing import IO


def lock_or_read(file: IO[str], address: str) -> str:
    """Lock an open file and write `address` to it; where it is locked already, return the address that is in it.

    The lock ends with the last process that has the file open (flock(2)). Windows has no such lock: nothing is locked.
    """
    if sys.platform == "win32":
        return ""
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        return file.read()
    file.truncate(0)
    file.write(address)
    file.flush()
    return ""
