"""MetalLB v0.14.8 beside us: a small program around its own packages, built once, asked with lines of JSON.

The packages are `internal`, so the program is built inside a temporary copy of the module.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.peers import golang
from tests.peers.golang import copy_module, run_go

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
    "write_case.go": "internal/peercases/peer.go",
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


def built() -> Path:
    """Return the folder of the program and of MetalLB's own cases; build both when they are not there."""
    sources = b"".join(path.read_bytes() for path in [Path(__file__), *sorted(SOURCES.iterdir())])
    return golang.built("metallb", sources, _build)


def _build(copy: Path, made: Path) -> None:
    _copy_module(copy)
    run_go(copy, "build", "-o", str(made / "metallb"), "./peer")
    for output, arguments in (
        ("cases", ("-run", "^(TestParse|TestValidate)$", "./internal/config")),
        ("calls", ("./internal/peerallocator",)),
        ("controller-calls", ("-vet=off", "./internal/peercontrollertests")),
    ):
        run_go(copy, "test", "-count=1", *arguments, PEER_CASES=str(made / output))


def _copy_module(copy: Path) -> None:
    copy_module(MODULE, copy)
    for part in ("controller", "speaker"):
        package = copy / "internal" / f"peer{part}"
        package.mkdir()
        for path in (copy / part).glob("*.go"):
            if not path.name.endswith("_test.go"):
                text = path.read_text().replace("package main", f"package peer{part}", 1)
                (package / path.name).write_text(text)
    _copy_allocator(copy)
    _copy_controller(copy)
    for folder in (copy / "peer", copy / "internal" / "peerpools", copy / "internal" / "peercases"):
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
