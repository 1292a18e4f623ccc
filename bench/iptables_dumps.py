"""Reading and tracing iptables dumps: seconds beside a plain loop, shlex and iptables-restore --test, in one run.

    python bench/iptables_dumps.py          (iptables-restore is left out where it is not installed or not allowed)

Every line is the best of some runs; ratios are what counts, since all of it runs on the same machine.
"""

from __future__ import annotations

import gc
import resource
import shlex
import shutil
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parent.parent))
sys.path.insert(0, str(Path(__file__).parent.parent / "src"))

from kanslib import iptables
from kanslib.iptables import Packet, Ruleset
from tests.iptables.kube_dump import kube_dump, vip


def best(work: Callable[[], object], runs: int) -> float:
    """Return the shortest of some runs, in seconds."""
    found = []
    for _ in range(runs):
        gc.collect()
        began = time.perf_counter()
        work()
        found.append(time.perf_counter() - began)
    return min(found)


def reading(text: str) -> Table:
    """Return the seconds that reading a dump takes, beside other programs and loops."""
    rules = sum(line.startswith("-A") for line in text.split("\n"))
    plain = best(lambda: [line.split() for line in text.splitlines()], 5)
    table = Table("reading", "seconds", "beside the plain loop", title=f"{rules:,} rules, {len(text) / 1e6:.1f} MB")
    jobs: list[tuple[str, Callable[[], object], int]] = [
        ("kanslib: parse", lambda: iptables.parse(text), 5),
        ("kanslib: parse, then take every rule apart", lambda: [rule.body for rule in iptables.parse(text).rules()], 1),
        ("plain loop: split each line, keep the words", lambda: [line.split() for line in text.splitlines()], 5),
        ("plain loop: split each line, keep nothing", lambda: [None for line in text.splitlines() if line.split()], 5),
        ("shlex.split each line", lambda: [shlex.split(line) for line in text.splitlines()], 1),
    ]
    if shutil.which("iptables-legacy-restore"):
        jobs += [(f"iptables-{kind}-restore --test", partial(restore, kind, text), 2) for kind in ("legacy", "nft")]
    for name, work, runs in jobs:
        seconds = best(work, runs)
        table.add_row(name, f"{seconds:.3f}", f"{seconds / plain:.2f} ×")
    return table


def restore(kind: str, text: str) -> None:
    """Run iptables-restore --test (`legacy` or `nft`) in a namespace of its own."""
    command = ["unshare", "-rn", f"iptables-{kind}-restore", "--test"]
    subprocess.run(command, input=text, text=True, check=True, capture_output=True)


def tracing() -> Table:
    """Return the seconds that a trace takes with few and with many Services."""
    table = Table("Services", "rules", "first trace, ms", "then, µs", "a second", "beside 20 Services")
    least = 0.0
    for services in (20, 500, 5000):
        ruleset = iptables.parse(kube_dump(services))
        packet = Packet("172.18.0.100", vip(services // 2), dport=80, in_interface="eth0")
        began = time.perf_counter()
        ruleset.trace(packet)
        first = time.perf_counter() - began
        seconds = best(lambda r=ruleset, p=packet: [r.trace(p) for _ in range(300)], 5) / 300  # type: ignore[misc]
        least = least or seconds
        rules = sum(len(filed.lines) for filed in ruleset.tables["nat"].values())
        times = f"{seconds / least:.2f} ×"
        table.add_row(
            str(services), f"{rules:,}", f"{first * 1e3:.1f}", f"{seconds * 1e6:.0f}", f"{1 / seconds:,.0f}", times
        )
    return table


def flat(rules: int) -> str:
    """Return a dump with so many rules in one chain."""
    lines = [
        f"-A FORWARD -s 198.51.{at >> 8 & 255}.{at & 255}/32 -p tcp -m tcp --dport {at % 60000 + 1} -m conntrack "
        "--ctstate NEW -j DROP\n"
        for at in range(rules)
    ]
    return "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n" + "".join(lines) + "COMMIT\n"


def command() -> Table:
    """Measure `kans trace` as a whole, from the start of Python to its end."""
    table = Table("kans trace", "rules", "seconds", "of this process")
    for name, text in (("5,000 Services", kube_dump(5000)), ("one chain", flat(100_000)), ("one rule", flat(1))):
        arguments = [sys.executable, "-m", "kanslib", "trace", "-", "--from", "198.51.100.7", "--to", f"{vip(3)}:80"]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds = best(partial(answer, arguments, text), 1)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        table.add_row(name, f"{text.count(chr(10) + '-A'):,}", f"{seconds:.2f}", f"{used:.2f}")
    return table


def answer(arguments: list[str], text: str) -> None:
    """Run a command that may answer that it is not certain (exit code 3): rules list no addresses of the machine."""
    ran = subprocess.run(arguments, input=text, text=True, capture_output=True, check=False)
    if ran.returncode not in (0, 3):
        raise RuntimeError(ran.stderr)


def memory(text: str) -> Table:
    """Return the bytes a rule that a ruleset holds, before and after a trace."""
    table = Table("held after", "bytes a rule")
    rules = sum(line.startswith("-A") for line in text.split("\n"))
    for name, work in (("parse", lambda r: r), ("parse and a trace", trace_one)):
        gc.collect()
        tracemalloc.start()
        kept = work(iptables.parse(text))
        gc.collect()
        held, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        table.add_row(name, f"{held / rules:.0f}")
        del kept
    return table


def trace_one(ruleset: Ruleset) -> Ruleset:
    """Trace one packet, and return the ruleset with what it keeps of that."""
    ruleset.trace(Packet("172.18.0.100", vip(3), dport=80, in_interface="eth0"))
    return ruleset


if __name__ == "__main__":
    console = Console()
    big = kube_dump(8334)
    for made in (reading(big), tracing(), command(), memory(big)):
        console.print(made)
