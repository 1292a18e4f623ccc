"""Programs around packages of Go modules: built once, kept in the user's cache under names made from their sources.

The Go client fetches a module and what it needs.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from platformdirs import user_cache_path


def go() -> str:
    """Return the path of the Go command; empty where there is none."""
    return shutil.which("go", path=os.pathsep.join([os.environ["PATH"], "/usr/local/go/bin"])) or ""


def built(name: str, sources: bytes, build: Callable[[Path, Path], None]) -> Path:
    """Return the folder of a program; where it is not there, `build` fills it.

    `sources`: what the program is made of. `build` gets the path of a module to make, and the folder of what is kept.
    """
    digest = hashlib.sha256(Path(__file__).read_bytes() + sources).hexdigest()
    folder = user_cache_path("kanslib") / "peers" / f"{name}-{digest[:16]}"
    with _alone(folder):
        if not folder.exists():
            with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
                made = Path(temporary, "made")
                made.mkdir()
                build(Path(temporary, "module"), made)
                made.rename(folder)
    return folder


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let one process of this machine build a folder; the others wait."""
    import fcntl  # there is none on Windows

    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def download(module: str) -> Path:
    """Return the folder of a module (`path@version`) in the Go client's cache, where nothing may be written."""
    downloaded = json.loads(run_go(Path(tempfile.gettempdir()), "mod", "download", "-json", module))
    return Path(downloaded["Dir"])


def copy_module(module: str, copy: Path) -> None:
    """Copy a module (`path@version`) to where its packages can be changed, with its own requirements."""
    shutil.copytree(download(module), copy, copy_function=shutil.copyfile)
    for folder in [copy, *(path for path in copy.rglob("*") if path.is_dir())]:
        folder.chmod(0o755)


def run_go(folder: Path, *arguments: str, **environment: str) -> str:
    """Run the Go command in a folder, with more variables in its environment, and return what it printed."""
    return run(go(), folder, *arguments, GOFLAGS="-mod=mod -buildvcs=false", CGO_ENABLED="0", **environment)


def run(program: str | Path, folder: Path, *arguments: str, **environment: str) -> str:
    """Run a program in a folder, with more variables in its environment, and return what it printed."""
    command = [str(program), *arguments]
    done = subprocess.run(
        command, cwd=folder, env=os.environ | environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr[-2000:]}{done.stdout[-2000:]}")
    return done.stdout
