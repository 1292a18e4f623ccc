"""The slowest cell of each chapter, and the memory of its kernel.

    python bench/chapters.py

A cell that takes more than three seconds is too slow.
"""

from __future__ import annotations

import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parent.parent / "src"))
sys.path.insert(0, str(Path(__file__).parent.parent))

from kanslib.course import chapters
from tests.notebooks.execute import told


def main() -> None:
    """Execute every chapter and print the table."""
    table = Table("chapter", "seconds", "slowest cell, s", "its first line", "MB")
    for chapter in chapters.shipped():
        ran = told(chapter)
        seconds, source = ran["slowest"]
        first = source.splitlines()[0]
        table.add_row(chapter.stem, f"{ran['seconds']:.1f}", f"{seconds:.1f}", first, f"{ran['peak_mb']:.0f}")
    Console().print(table)


if __name__ == "__main__":
    main()
