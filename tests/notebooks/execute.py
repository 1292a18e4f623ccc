"""Execute every chapter and write what each cell gave, normalised, as JSON: python execute.py OUT"""

from __future__ import annotations

import json
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from kanslib import chapters
from kanslib.cli.runs import execute


def normalised(output: dict[str, Any]) -> dict[str, Any]:
    """An output without what differs from run to run: the order number of the cell, addresses of objects."""
    kept = {key: value for key, value in output.items() if key not in ("execution_count", "metadata")}
    return dict(json.loads(re.sub(r"0x[0-9a-f]{6,}", "0x", json.dumps(kept, sort_keys=True))))


def told(chapter: Path) -> dict[str, Any]:
    result, notebook = execute(chapter)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    outputs = [[normalised(output) for output in cell.outputs] for cell in cells]
    return {"error": result.error, "seconds": result.seconds, "peak_mb": result.peak_mb, "outputs": outputs}


def main() -> None:
    chosen = chapters.shipped()
    with ThreadPoolExecutor(2) as pool:
        found = dict(zip((chapter.stem for chapter in chosen), pool.map(told, chosen), strict=True))
    Path(sys.argv[1]).write_text(json.dumps(found))


if __name__ == "__main__":
    main()
