"""Seconds to import kanslib and to open a recorded lab, each in a fresh Python; the best of some runs.

python bench/imports.py
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).parent.parent / "src"
RUNS = 5
# what is timed, the code before it, and the limit in seconds
MEASURED = {
    "import kanslib": ("", 0.1),
    "kanslib.open_lab(story='failover')": (
        "import kanslib, kanslib.course.recordings, kanslib.backends.recorded",
        0.2,
    ),
}


def seconds(timed: str, before: str) -> float:
    """Return the shortest of some runs."""
    code = f"import time; {before or 'pass'}; t = time.perf_counter(); {timed}; print(time.perf_counter() - t)"
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    runs = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
        for _ in range(RUNS)
    ]
    return min(float(ran.stdout.splitlines()[-1]) for ran in runs)


def main() -> int:
    """Print each figure beside its limit; the exit code is 1 when one is exceeded."""
    slow = 0
    for timed, (before, limit) in MEASURED.items():
        took = seconds(timed, before)
        slow += took > limit
        print(f"{timed:40} {took:.3f} s (at most {limit} s)")
    return int(slow > 0)


if __name__ == "__main__":
    sys.exit(main())
