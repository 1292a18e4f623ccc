"""The simulator's models at size: leaders of many Services, rules of many Services, a story repeated, in one run.

python bench/simulator.py          (the election beside the same in Go, where `go` is installed)
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parent.parent / "src"))

from kanslib.backends.recorded import RecordedBackend
from kanslib.backends.replay import replay_in_simulator
from kanslib.course.recordings import shipped
from kanslib.k8s import kubeproxy
from kanslib.metallb import election
from kanslib.recording import Recording

NODES, ADDRESSES, SERVICES = 1_000, 10_000, 5_000


def took(work: Callable[[], object]) -> float:
    """Return the seconds that it takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def elections() -> Table:
    """Return the seconds of an election of many addresses among many nodes, beside the same in Go."""
    nodes = [f"node-{n:04d}" for n in range(NODES)]
    ips = [f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}" for n in range(ADDRESSES)]
    table = Table("election", "µs an address", f"s for {ADDRESSES:,} on {NODES:,} nodes", "ratio")
    leaders: dict[str, str] = {}
    seconds = took(lambda: leaders.update(election.leaders(nodes, ips))) / ADDRESSES
    rows = [("kanslib: leaders()", seconds)]
    rows.append(("kanslib: order(), all in line", took(lambda: [election.order(nodes, ip) for ip in ips[:500]]) / 500))
    for name, each, last in _go():
        rounds = ADDRESSES if name == "smallest" else ADDRESSES // 20
        assert last == leaders[ips[rounds - 1]], "Go elects another one"
        told = "the smallest hash" if name == "smallest" else "sorted, as MetalLB does"
        rows.append((f"Go: {told}", each))
    for name, each in rows:
        table.add_row(name, f"{each * 1e6:,.0f}", f"{each * ADDRESSES:.1f}", f"{each / seconds:.2f} ×")
    return table


def _go() -> list[tuple[str, float, str]]:
    if not shutil.which("go"):
        return []
    program = Path(__file__).parent / "election.go"
    ran = subprocess.run(
        ["go", "run", str(program), str(NODES), str(ADDRESSES)], capture_output=True, text=True, check=True
    )
    lines = [line.split() for line in sorted(ran.stdout.splitlines(), reverse=True)]
    return [(name, float(seconds), last) for name, seconds, last in lines]


def rules() -> Table:
    """Return the seconds that making kube-proxy's rules of many Services takes."""
    table = Table("kube-proxy", "seconds", "rules", "µs a rule")
    config = kubeproxy.Config(cluster_cidr="10.0.0.0/8")
    for count in (500, SERVICES):
        services, slices = zip(*(_service(n) for n in range(count)), strict=True)
        began = time.perf_counter()
        found = len(kubeproxy.nat_rules(services, slices, "n1", config))
        seconds = time.perf_counter() - began
        each = f"{seconds / found * 1e6:.1f}"
        table.add_row(f"{count:,} Services, 2 endpoints each", f"{seconds:.3f}", f"{found:,}", each)
    return table


def _service(n: int) -> tuple[dict[str, Any], dict[str, Any]]:
    name, high, low = f"s{n}", n >> 8, n & 255
    spec = {"type": "LoadBalancer", "clusterIP": f"10.200.{high}.{low}", "ports": [{"port": 80, "nodePort": 20000 + n}]}
    status = {"loadBalancer": {"ingress": [{"ip": f"172.18.{high}.{low}"}]}}
    ends = [{"addresses": [f"10.{place}.{high}.{low}"], "nodeName": f"n{place}"} for place in (1, 2)]
    labels = {"kubernetes.io/service-name": name}
    meta = {"name": name, "namespace": "default"}
    piece = {"metadata": {**meta, "labels": labels}, "endpoints": ends, "ports": [{"name": "", "port": 80}]}
    return {"metadata": meta, "spec": spec, "status": status}, piece


def stories() -> Table:
    """Return the seconds that repeating recorded stories in the simulator takes."""
    table = Table("twin", "recorded seconds", "computed in", "times faster")
    recording = Recording.open(shipped("l2"))
    for story in ("failover", "bgp-silent", "etp-local"):
        world = RecordedBackend(recording, story)
        world.at(world.clock.actions[-1].id, None)
        seconds = took(lambda world=world: replay_in_simulator(world))  # type: ignore[misc]
        lasted = world.now() - world.story.start
        table.add_row(story, f"{lasted:.0f}", f"{seconds:.2f} s", f"{lasted / seconds:,.0f}")
    return table


if __name__ == "__main__":
    console = Console()
    for part in (elections, rules, stories):
        console.print(part())
