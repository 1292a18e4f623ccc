"""MetalLB v0.14.8 beside us: a small program around its own packages, built once, asked with lines of JSON.

The packages are `internal`, so the program is built inside a temporary copy of the module. The Go client fetches the
module and what it needs. The program stays in the user's cache, under a name made from its sources.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path

MODULE = "go.universe.tf/metallb@v0.14.8"
SOURCES = Path(__file__).parent / "go" / "metallb"
# a source of ours, and where it is put in the copy
PLACES = {
    "main.go": "peer/main.go",
    "describe.go": "peer/describe.go",
    "controllers.go": "internal/k8s/controllers/peer.go",
    "webhookv1beta1.go": "internal/k8s/webhooks/webhookv1beta1/peer.go",
    "webhookv1beta2.go": "internal/k8s/webhooks/webhookv1beta2/peer.go",
    "controller.go": "internal/peercontroller/peer.go",
    "speaker.go": "internal/peerspeaker/peer.go",
    "cases_test.go": "internal/config/cases_test.go",
    "allocator.go": "internal/peerallocator/peer.go",
    "pools.go": "internal/peerpools/peer.go",
    "controller_test_cases.go": "internal/peercontrollertests/peer_test.go",
}
# methods that a copy of the allocator has twice: the real one, and ours that also writes the call down
METHODS = ("SetPools", "Unassign", "Assign", "AllocateFromPool", "Allocate")
CONTROLLER_METHODS = ("SetPools", "SetBalancer")  # the same of the controller
# a call in MetalLB's tests, and the call in its place that also writes the case down
RECORDED = {
    "config_test.go": ("For(test.crs, DontValidate)", "recordedConfig(test.desc, test.crs)"),
    "validation_test.go": (
        "DiscardFRROnly(test.config)",
        'recorded("TestValidate", test.desc, test.config, func() error { return DiscardFRROnly(test.config) })',
    ),
}


def go() -> str:
    """Return the path of the Go command; empty where there is none."""
    return shutil.which("go", path=os.pathsep.join([os.environ["PATH"], "/usr/local/go/bin"])) or ""


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Let one process of this machine build a folder; the others wait."""
    import fcntl  # there is none on Windows

    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def built() -> Path:
    """Return the folder of the program and of MetalLB's own cases; build both when they are not there."""
    sources = b"".join(path.read_bytes() for path in [Path(__file__), *sorted(SOURCES.iterdir())])
    folder = user_cache_path("kanslib") / "peers" / f"metallb-{hashlib.sha256(sources).hexdigest()[:16]}"
    with alone(folder):
        if not folder.exists():
            _build(folder)
    return folder


def _build(folder: Path) -> None:
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        copy, made = Path(temporary, "module"), Path(temporary, "made")
        made.mkdir()
        _copy_module(copy)
        _run(copy, "build", "-o", str(made / "metallb"), "./peer")
        _run(copy, "test", "-count=1", "-run", "^(TestParse|TestValidate)$", "./internal/config", cases=made / "cases")
        _run(copy, "test", "-count=1", "./internal/peerallocator", cases=made / "calls")
        _run(copy, "test", "-count=1", "-vet=off", "./internal/peercontrollertests", cases=made / "controller-calls")
        made.rename(folder)


def _copy_module(copy: Path) -> None:
    downloaded = json.loads(_run(Path(tempfile.gettempdir()), "mod", "download", "-json", MODULE))
    shutil.copytree(downloaded["Dir"], copy, copy_function=shutil.copyfile)
    for folder in [copy, *(path for path in copy.rglob("*") if path.is_dir())]:
        folder.chmod(0o755)
    for part in ("controller", "speaker"):
        package = copy / "internal" / f"peer{part}"
        package.mkdir()
        for path in (copy / part).glob("*.go"):
            if not path.name.endswith("_test.go"):
                text = path.read_text().replace("package main", f"package peer{part}", 1)
                (package / path.name).write_text(text)
    _copy_allocator(copy)
    _copy_controller(copy)
    for folder in (copy / "peer", copy / "internal" / "peerpools"):
        folder.mkdir()
    for source, place in PLACES.items():
        shutil.copyfile(SOURCES / source, copy / place)
    for name, (call, replacement) in RECORDED.items():
        path = copy / "internal" / "config" / name
        path.write_text(path.read_text().replace(call, replacement))


def _copy_allocator(copy: Path) -> None:
    """Copy the allocator with its tests, its methods under other names."""
    package = copy / "internal" / "peerallocator"
    package.mkdir()
    for path in (copy / "internal" / "allocator").glob("*.go"):
        text = path.read_text()
        for name in METHODS if path.name == "allocator.go" else ():
            text = text.replace(f"func (a *Allocator) {name}(", f"func (a *Allocator) real{name}(")
        (package / path.name).write_text(text)


def _copy_controller(copy: Path) -> None:
    """Copy the controller with its tests, its methods under other names."""
    package = copy / "internal" / "peercontrollertests"
    package.mkdir()
    for path in (copy / "controller").glob("*.go"):
        text = path.read_text().replace("package main", "package peercontrollertests", 1)
        for name in CONTROLLER_METHODS:
            text = text.replace(f"func (c *controller) {name}(", f"func (c *controller) real{name}(")
        (package / path.name).write_text(text)


def _run(folder: Path, *arguments: str, cases: Path | None = None) -> str:
    environment = os.environ | {"GOFLAGS": "-mod=mod -buildvcs=false", "CGO_ENABLED": "0"}
    environment |= {"PEER_CASES": str(cases)} if cases else {}
    done = subprocess.run([go(), *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"go {' '.join(arguments)}: {done.stderr[-2000:]}{done.stdout[-2000:]}")
    return done.stdout


class MetalLB:
    """The running program. `ask` sends one question and returns its result, or raises RefusedByMetalLBError."""

    def __init__(self, folder: Path) -> None:
        self._process = subprocess.Popen([folder / "metallb"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, question: str, **parts: object) -> Any:  # noqa: ANN401 (JSON)
        """Ask a question. `parts`: the fields that it needs (tests/peers/go/metallb/main.go)."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps({"ask": question, **parts}) + "\n")
        self._process.stdin.flush()
        reply = json.loads(self._process.stdout.readline())
        if "error" in reply:
            raise RefusedByMetalLBError(reply["error"])
        return reply["result"]

    def close(self) -> None:
        """End the program."""
        self._process.communicate()


class RefusedByMetalLBError(Exception):
    """MetalLB refuses; the message is its own."""


def cases(folder: Path) -> Iterator[Mapping[str, Any]]:
    """Yield the cases of MetalLB's own TestParse and TestValidate: `table`, `name`, `resources` and `error`."""
    for line in (folder / "cases").read_text().splitlines():
        yield json.loads(line)


def allocator_calls(folder: Path) -> Iterator[Mapping[str, Any]]:
    """Yield every call that MetalLB's own tests make of an allocator, with what it answered."""
    for line in (folder / "calls").read_text().splitlines():
        yield json.loads(line)


def controller_calls(folder: Path) -> Iterator[Mapping[str, Any]]:
    """Yield every call that MetalLB's own tests make of a controller, with the Service's status after it."""
    for line in (folder / "controller-calls").read_text().splitlines():
        yield json.loads(line)
