"""Fuzz the reader and the tracer of nftables rulesets with atheris, from whole rulesets and single rules on.

    pip install atheris && python bench/fuzz_nftables.py -max_total_time=600

Ends with a traceback and the input when a text crashes, hangs (25 s) or loses a rule.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parent.parent))
sys.path.insert(0, str(Path(__file__).parent.parent / "src"))

with atheris.instrument_imports(include=["kanslib.nftables"]):
    from tests.nftables.invariants import holds
    from tests.nftables.kube_table import kube_table
    from tests.nftables.test_json_reader import SAME, whole_json
    from tests.nftables.test_parser import INLINE, RULESET, STATEMENTS, table

seen = {"read": 0, "refused": 0}


def one(data: bytes) -> None:
    """Check one input."""
    seen["read" if holds(data.decode(errors="surrogateescape")) else "refused"] += 1
    if (total := sum(seen.values())) % 20_000 == 0:
        print(f"{total:,} texts: {seen}", flush=True)


def corpus(folder: Path) -> None:
    """Write rulesets to a folder: kube-proxy's for some Services, the tests' own, and each statement alone."""
    for services in (0, 2):
        (folder / f"kube-{services}").write_text(kube_table(services))
    for number, text in enumerate((RULESET, INLINE)):
        (folder / f"table-{number}").write_text(text)
    base = "\ttype filter hook prerouting priority mangle; policy accept;"
    for number, rule in enumerate((*STATEMENTS, *SAME)):
        (folder / f"rule-{number}").write_text(table("chain c {", base, f"\t{rule}", "}"))
    for number, statements in enumerate(SAME.values()):
        (folder / f"json-{number}").write_text(whole_json(statements))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        corpus(Path(folder))
        atheris.Setup([sys.argv[0], "-timeout=25", "-max_len=6000", *sys.argv[1:], folder], one)
        atheris.Fuzz()
