"""Fuzz the reader and the tracer of iptables dumps with atheris, from real lines on.

    pip install atheris && python bench/fuzz_iptables.py -max_total_time=600

Ends with a traceback and the input when a text crashes, hangs (25 s) or loses a rule.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parent.parent / "src"))

with atheris.instrument_imports(include=["kanslib.iptables"]):
    from kanslib.course.recordings import shipped
    from kanslib.recording import Recording
    from tests.iptables.invariants import holds

seen = {"read": 0, "refused": 0}


def one(data: bytes) -> None:
    """Check one input."""
    seen["read" if holds(data.decode(errors="surrogateescape")) else "refused"] += 1
    if (total := sum(seen.values())) % 50_000 == 0:
        print(f"{total:,} texts: {seen}", flush=True)


def corpus(folder: Path) -> None:
    """Write real dumps to a folder, whole and each table alone, and one rule with every option in them."""
    recording = Recording.open(shipped("l2"))
    files = sorted({read.file for read in recording.reads() if "tables-save" in read.command})[::40]
    for number, file in enumerate(files):
        text = recording.text(file)
        (folder / f"{number}").write_text(text)
        for part, table in enumerate(text.split("*")[1:]):
            (folder / f"{number}-{part}").write_text("*" + table)
    words = " ".join(sorted({word for file in files for word in recording.text(file).split() if word.startswith("-")}))
    (folder / "words").write_text(f"*nat\n:X - [0:0]\n-A X {words}\nCOMMIT\n")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        corpus(Path(folder))
        atheris.Setup([sys.argv[0], "-timeout=25", "-max_len=6000", *sys.argv[1:], folder], one)
        atheris.Fuzz()
