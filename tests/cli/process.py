"""Run `kans` in a forked process, whose surroundings can be made hostile at little cost."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, TextIO

DEADLINE_S = 300
Prepare = Callable[[], None]
_LIBC = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNS, _CLONE_NEWUSER, _CLONE_NEWNET, _MS_RDONLY, _MS_REC, _MS_PRIVATE = (
    0x20000,
    0x10000000,
    0x40000000,
    1,
    0x4000,
    1 << 18,
)
_CAPABILITY_VERSION_3, _CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH = 0x20080522, 1, 2


@dataclass(frozen=True)
class Ran:
    """What a command did: its exit code (minus a signal's number where that ended it), stdout and stderr."""

    code: int
    output: str
    errors: str


def run_forked(
    arguments: Sequence[str],
    folder: Path,
    prepare: Sequence[Prepare] = (),
    environment: Mapping[str, str] | None = None,
) -> Ran:
    """Run `kans` in `folder`, after `prepare` has changed the surroundings of its process. Its stdin is empty."""
    with tempfile.TemporaryDirectory() as outside:
        streams = [Path(outside, name) for name in ("output", "errors")]
        child = os.fork()
        if not child:
            _become_kans(arguments, folder, prepare, environment or {}, streams)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        return Ran(code, *(stream.read_text(errors="surrogateescape") for stream in streams))


def _become_kans(
    arguments: Sequence[str],
    folder: Path,
    prepare: Sequence[Prepare],
    environment: Mapping[str, str],
    streams: list[Path],
) -> NoReturn:
    code = 70
    try:
        signal.alarm(DEADLINE_S)
        os.chdir(folder)
        os.environ.update(environment)
        for number, path in enumerate(streams, 1):
            os.dup2(os.open(path, os.O_CREAT | os.O_WRONLY), number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for step in prepare:
            step()
        for number, name in enumerate(("stdin", "stdout", "stderr")):
            setattr(sys, name, _open_stream(number))
        sys.argv = ["kans", *arguments]
        from kanslib import cli

        cli.main()
    except SystemExit as exc:
        code = exc.code if isinstance(exc.code, int) else 71
    except BaseException:  # noqa: BLE001 (what would end the tests as well)
        os.write(2, traceback.format_exc().encode())
    finally:  # the code of the tests must not go on in this process
        os._exit(code)


def _open_stream(number: int) -> TextIO | None:
    """Return a standard stream as Python opens it: None for one that is closed."""
    try:
        return os.fdopen(number, "w" if number else "r")
    except OSError:
        return None


# ── surroundings ─────────────────────────────────────────────────────────────────────────────────────────────


def obey_permissions() -> None:
    """Let the modes of files hold for root as well: give up the capabilities that pass them by (capabilities(7))."""
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable: of capabilities 0 to 31, then of the others
    _check(_LIBC.capget(header, sets))
    sets[0] &= ~(1 << _CAP_DAC_OVERRIDE | 1 << _CAP_DAC_READ_SEARCH)
    _check(_LIBC.capset(header, sets))


def small_files() -> None:
    """Let no file grow above 10 kB, stdout and stderr included: EFBIG, as ENOSPC of a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))


def little_memory() -> None:
    """Let the process have a gigabyte of addresses."""
    resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))


def no_network() -> None:
    """Leave every network interface behind."""
    _check(_LIBC.unshare((0 if os.geteuid() == 0 else _CLONE_NEWUSER) | _CLONE_NEWNET))


def mount(folder: Path, *, kilobytes: int = 0) -> Prepare:
    """Return a step that mounts an empty disk on a folder: of a size, or read-only without one."""

    def step() -> None:
        if os.geteuid():
            user = os.geteuid()
            _check(_LIBC.unshare(_CLONE_NEWUSER | _CLONE_NEWNS))
            Path("/proc/self/uid_map").write_text(f"0 {user} 1")
        else:
            _check(_LIBC.unshare(_CLONE_NEWNS))
        _check(_LIBC.mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None))
        options = f"size={kilobytes}k".encode() if kilobytes else None
        _check(_LIBC.mount(b"none", os.fsencode(folder), b"tmpfs", 0 if kilobytes else _MS_RDONLY, options))

    return step


def chdir(folder: Path) -> Prepare:
    """Return a step that goes to a folder, after another has mounted something there."""
    return lambda: os.chdir(folder)


def stream(number: int, path: str) -> Prepare:
    """Return a step that lets stdin (0), stdout (1) or stderr (2) be a file, such as /dev/full."""

    def step() -> None:
        os.dup2(os.open(path, os.O_RDWR), number)

    return step


def close(number: int) -> Prepare:
    """Return a step that closes stdin (0), stdout (1) or stderr (2), as `<&-` and `>&-` do it: Python has None then."""
    return lambda: os.close(number)


def _check(result: int) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
