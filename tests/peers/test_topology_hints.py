"""Hints of endpoints for zones beside Kubernetes v1.31's own package k8s.io/endpointslice/topologycache."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from kanslib.k8s.kubeproxy import ZONE
from kanslib.k8s.topology_hints import cpu_shares, hints
from tests.peers import golang
from tests.peers.golang import copy_module, run_go

pytestmark = pytest.mark.peers
SOURCE = Path(__file__).parent / "go" / "topologycache" / "main.go"
MODULE = "k8s.io/endpointslice@v0.31.0"
CASES, SEED = int(os.environ.get("KANS_CLUSTERS", "1000")), int(os.environ.get("KANS_SEED", "1"))
ZONES = ("east", "west", "north")


@pytest.fixture(scope="module")
def program(needs_go: None) -> Path:
    """The program around the package, built where it is not there yet."""
    return golang.built("topologycache", SOURCE.read_bytes(), _build) / "topologycache"


def _build(module: Path, made: Path) -> None:
    copy_module(MODULE, module)
    (module / "peer").mkdir()
    shutil.copyfile(SOURCE, module / "peer" / "main.go")
    run_go(module, "build", "-o", str(made / "topologycache"), "./peer")


def _node(rng: random.Random, number: int) -> dict[str, Any]:
    labels = {ZONE: rng.choice(ZONES)} if rng.random() < 0.98 else {}
    if rng.random() < 0.1:
        labels["node-role.kubernetes.io/control-plane"] = ""
    cpu = rng.choice(("2", "4", "8", "500m", "1500m"))
    ready = "True" if rng.random() < 0.9 else "Unknown"
    status = {"allocatable": {"cpu": cpu}, "conditions": [{"type": "Ready", "status": ready}]}
    return {"metadata": {"name": f"n{number}", "labels": labels}, "status": status}


def _endpoint(rng: random.Random, number: int) -> dict[str, Any]:
    entry: dict[str, Any] = {"addresses": [f"10.0.0.{number}"], "conditions": {"ready": rng.random() < 0.9}}
    if rng.random() < 0.995:
        entry["zone"] = rng.choice((*ZONES, "east", "east"))
    if rng.random() < 0.9:
        entry["hints"] = {"forZones": [{"name": entry.get("zone", "west") if rng.random() < 0.9 else "west"}]}
    return entry


def _ours(case: dict[str, Any]) -> dict[str, Any]:
    entries = case["slice"]["endpoints"]
    before = [next((one["name"] for one in (e.get("hints") or {}).get("forZones", [])), None) for e in entries]
    found = hints(
        [entry.get("zone") for entry in entries],
        [entry["conditions"]["ready"] for entry in entries],
        before if case["before"] else [],
        cpu_shares(case["nodes"]),
        "IPv4",
    )
    return {
        "hints": [zone or "" for zone in found.zones], "type": found.event_type, "reason": found.reason,
        "message": found.message,
    }  # fmt: skip


def test_hints_random_services(program: Path) -> None:
    """Among several zones that need an endpoint Kubernetes takes one by chance: it is asked 20 times."""
    rng, differences, kinds = random.Random(SEED), [], Counter[str]()
    cases: list[dict[str, Any]] = []
    for _ in range(CASES):
        nodes = [_node(rng, number) for number in range(rng.randint(1, 8))]
        entries = [_endpoint(rng, number) for number in range(rng.randint(0, 12))]
        piece = {"metadata": {"name": "web"}, "addressType": "IPv4", "endpoints": entries, "ports": []}
        cases.append({"nodes": nodes, "slice": piece, "before": rng.random() < 0.4})
    asked = "".join(json.dumps(case) + "\n" for case in cases for _ in range(20))
    done = subprocess.run([program], input=asked, capture_output=True, text=True, check=True)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    for number, case in enumerate(cases):
        theirs, ours = answers[20 * number : 20 * number + 20], _ours(case)
        for one in (*theirs, ours):  # a slice that stays may keep hints of endpoints that are not ready
            one["hints"] = [
                hint if endpoint["conditions"]["ready"] else ""
                for hint, endpoint in zip(one["hints"], case["slice"]["endpoints"], strict=True)
            ]
        kinds[ours["message"].partition(" (")[0]] += 1
        if ours not in theirs:
            differences.append((case, theirs[0], ours))
    print(f"seed {SEED}: {CASES} Services, {len(differences)} differences, {dict(kinds)}")
    assert not differences, differences[:1]
    assert len(kinds) >= 4
