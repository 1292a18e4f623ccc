"""Reading and tracing kube-proxy's nftables rules, beside its iptables rules for the same Services, in one run.

    python bench/nftables_dumps.py

Every line is the best of some runs; ratios are what counts, since all of it runs on the same machine.
"""

from __future__ import annotations

import gc
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parent.parent))
sys.path.insert(0, str(Path(__file__).parent.parent / "src"))

from kanslib import iptables, nftables
from kanslib.iptables import Outcome, Packet
from tests.iptables.kube_dump import kube_dump, vip
from tests.nftables.kube_table import kube_table

SERVICES = (20, 500, 5000)
_Ruleset = iptables.Ruleset | nftables.Ruleset
_KINDS: dict[str, tuple[Callable[[int], str], Callable[[str], _Ruleset]]] = {
    "iptables": (kube_dump, iptables.parse),
    "nftables": (kube_table, nftables.parse),
}


def best(work: Callable[[], object], runs: int) -> float:
    """Return the shortest of some runs, in seconds."""
    found = []
    for _ in range(runs):
        gc.collect()
        began = time.process_time()
        work()
        found.append(time.process_time() - began)
    return min(found)


def packet(services: int) -> Packet:
    """Return a packet to one of the Services."""
    return Packet("172.18.0.100", vip(services // 2), dport=80, in_interface="eth0")


def measure(table: Table, services: int, kind: str) -> None:
    """Add a line: reading, the first trace, and one of many traces."""
    write, parse = _KINDS[kind]
    text = write(services)
    reading = best(lambda: parse(text), 3)
    ruleset = parse(text)
    asked = packet(services)
    began = time.process_time()
    outcomes: list[Outcome] = ruleset.trace(asked)
    first = time.process_time() - began
    assert len(outcomes) == 2
    again = best(lambda: [ruleset.trace(asked) for _ in range(200)], 3) / 200
    table.add_row(
        str(services), kind, f"{text.count(chr(10)):,}", f"{len(text) / 1e6:.2f}", f"{reading * 1e3:.1f}",
        f"{first * 1e3:.1f}", f"{again * 1e6:.0f}", f"{held(parse, text) / services:.0f}",
    )  # fmt: skip


def held(parse: Callable[[str], _Ruleset], text: str) -> int:
    """Return the bytes that a ruleset holds."""
    gc.collect()
    tracemalloc.start()
    kept = parse(text)
    gc.collect()
    found, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del kept
    return found


def main() -> None:
    """Print the table."""
    table = Table("Services", "rules of", "lines", "MB", "read, ms", "first trace, ms", "then, µs", "bytes a Service")
    for services in SERVICES:
        for kind in _KINDS:
            measure(table, services, kind)
    old, new = (nftables.parse(kube_table(services)) for services in (5000, 4999))
    seconds = best(lambda: nftables.diff(old, new), 2)
    console = Console()
    console.print(table)
    console.print(f"diff of 5,000 Services with 4,999: {seconds:.2f} s")


if __name__ == "__main__":
    main()
