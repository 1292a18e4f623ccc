"""Our allocator beside MetalLB's own code: the same random steps, the same addresses, the same words.

python bench/allocator_beside_go.py [RUNS] [SEED]     (needs Go; builds a test in MetalLB v0.14.8)
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from kanslib.models import allocation
from kanslib.models.pools import pools
from kanslib.models.replay import with_addresses

MODULE = "go.universe.tf/metallb@v0.14.8"
PREFIX = allocation.PREFIX
Step = dict[str, Any]
_WISHES = ["192.0.2.1", "198.51.100.1", "203.0.113.1", "10.9.9.9", "x", "192.0.2.2,2001:db8::1"]


def steps(dice: random.Random) -> list[Step]:
    """A cluster's life: pools, Services that come, change and go, and other pools."""
    found: list[Step] = [{"pools": _pools(dice)}]
    for _ in range(40):
        name = f"s{dice.randrange(8)}"
        match dice.choice(["service"] * 7 + ["delete"] * 2 + ["pools"]):
            case "service":
                found.append({"service": _service(dice, name)})
            case "delete":
                found.append({"delete": f"default/{name}"})
            case "pools":
                found.append({"pools": _pools(dice)})
    return [*found, {"delete": "*"}]


def _pools(dice: random.Random) -> list[Step]:
    """At most one pool that anybody may draw on: among several, MetalLB's choice is not fixed."""
    wide = ["192.0.2.0-192.0.2.3", "2001:db8::/126"] if dice.random() < 0.5 else ["192.0.2.254-192.0.3.1"]
    auto = {"addresses": wide, "avoidBuggyIPs": dice.random() < 0.3}
    extra = {"addresses": ["198.51.100.0/31"], "autoAssign": False}
    web = [{"matchLabels": {"tier": "web"}}]
    pinned = {"addresses": ["203.0.113.0/31"], "serviceAllocation": {"priority": 5, "serviceSelectors": web}}
    chosen = {"auto": auto, "extra": extra, "pinned": pinned}
    names = [name for name in chosen if dice.random() < 0.8] or ["auto"]
    return [{"metadata": {"name": name}, "spec": chosen[name]} for name in names]


def _service(dice: random.Random, name: str) -> Step:
    notes: dict[str, str] = {}
    if dice.random() < 0.3:
        notes[PREFIX + "allow-shared-ip"] = dice.choice("ab")
    if dice.random() < 0.2:
        notes[PREFIX + "address-pool"] = dice.choice(["auto", "extra", "none"])
    if dice.random() < 0.2:
        notes[PREFIX + "loadBalancerIPs"] = dice.choice(_WISHES)
    families = [["10.0.0.1"]] * 6 + [["fd00::1"], ["10.0.0.1", "fd00::1"]]
    spec: Step = {"type": dice.choice(["LoadBalancer"] * 8 + ["ClusterIP"]), "clusterIPs": dice.choice(families)}
    spec["ports"] = [{"port": dice.choice([80, 81, 443]), "protocol": "TCP"}]
    if dice.random() < 0.2:
        spec |= {"externalTrafficPolicy": "Local"}
    spec["selector"] = {"app": dice.choice("xy")}
    if dice.random() < 0.15:
        spec["loadBalancerIP"] = dice.choice(["192.0.2.3", "203.0.113.0"])
    labels = {"tier": "web"} if dice.random() < 0.3 else {}
    return {"metadata": {"name": name, "namespace": "default", "annotations": notes, "labels": labels}, "spec": spec}


class Ours:
    """The same desk, with our allocator."""

    def __init__(self) -> None:
        self.desk, self.services, self.ips = allocation.Allocator(), dict[str, Step](), dict[str, tuple[str, ...]]()

    def take(self, step: Step) -> Step:
        said: list[list[str]] = []
        if "pools" in step:
            if not self.services:
                self.__init__()  # type: ignore[misc]
            self.desk.set_pools(pools(lambda kind: step["pools"] if kind == "ipaddresspools" else []))
            self._all(said)
        elif "service" in step:
            key = allocation.key_of_service(step["service"])
            self.services[key] = step["service"]
            self._converge(key, said)
        elif step["delete"] == "*":
            self.services, self.ips = {}, {}
        else:
            self.services.pop(step["delete"], None)
            self.ips.pop(step["delete"], None)
            if self.desk.release(step["delete"]):
                self._all(said)
        return {"ips": {key: list(ips) for key, ips in self.ips.items() if ips}, "said": said}

    def _all(self, said: list[list[str]]) -> None:
        again = True
        while again:
            again = sum(self._one(key, said) for key in sorted(self.services)) > 0  # all of them, each time

    def _converge(self, key: str, said: list[list[str]]) -> None:
        if self._one(key, said):
            self._all(said)

    def _one(self, key: str, said: list[list[str]]) -> bool:
        decision = self.desk.converge(with_addresses(self.services[key], self.ips.get(key, ())))
        self.ips[key] = decision.ips
        said += [[told.type, told.reason, told.message] for told in decision.events]
        return decision.released


def theirs(lines: list[Step]) -> list[Step]:
    """The answers of MetalLB's own code."""
    asked = subprocess.run(["go", "mod", "download", "-json", MODULE], capture_output=True, text=True, check=True)
    folder = Path(tempfile.mkdtemp()) / "metallb"
    shutil.copytree(json.loads(asked.stdout)["Dir"], folder, ignore=shutil.ignore_patterns("website", "e2etest"))
    subprocess.run(["chmod", "-R", "u+w", str(folder)], check=True)
    for test in (folder / "controller").glob("*_test.go"):
        test.unlink()
    shutil.copy(Path(__file__).parent / "metallb_desk.go", folder / "controller" / "desk_test.go")
    given, answers = folder / "steps", folder / "answers"
    given.write_text("".join(json.dumps(line) + "\n" for line in lines))
    told = {"DESK_STEPS": str(given), "DESK_ANSWERS": str(answers), "CGO_ENABLED": "0", "GOFLAGS": "-mod=mod"}
    ran = subprocess.run(
        ["go", "test", "-count=1", "-run", "TestDesk", "./controller"],
        cwd=folder, env={**os.environ, **told}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if ran.returncode:
        raise SystemExit(ran.stdout + ran.stderr)
    found = [json.loads(line) for line in answers.read_text().splitlines()]
    shutil.rmtree(folder.parent)
    return found


def main(runs: int, seed: int) -> None:
    dice = random.Random(seed)
    lines = [step for _ in range(runs) for step in steps(dice)]
    real, ours = theirs(lines), Ours()
    addresses = words = 0
    for number, (step, answer) in enumerate(zip(lines, real, strict=True)):
        mine = ours.take(step)
        answer["said"] = answer["said"] or []
        if mine != answer:
            raise SystemExit(f"seed {seed}, step {number}: {step}\nMetalLB: {answer}\nours:    {mine}")
        addresses, words = addresses + len(mine["ips"]), words + len(mine["said"])
    told = f"{len(lines):,} steps, {addresses:,} addresses and {words:,} events"
    print(f"seed {seed}: {told} as MetalLB's own code has them")


if __name__ == "__main__":
    main(*(int(word) for word in (*sys.argv[1:], *("500", "1")[len(sys.argv) - 1 :])))
