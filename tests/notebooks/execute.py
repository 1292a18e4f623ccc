"""Execute every chapter, and write what each cell gave, normalised, as JSON to the file that is named."""

from __future__ import annotations

import json
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

from kanslib.cli.run import execute
from kanslib.course import chapters


def normalised(outputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Outputs without what differs from run to run: cell numbers, addresses of objects, where a text was cut."""
    kept: list[dict[str, Any]] = []
    for output in outputs:
        output.get("data", {}).pop("application/vnd.jupyter.widget-view+json", None)  # names its model, at random
        plain = {key: value for key, value in output.items() if key not in ("execution_count", "metadata")}
        told = dict(json.loads(re.sub(r"0x[0-9a-f]{6,}", "0x", json.dumps(plain, sort_keys=True))))
        if kept and told["output_type"] == "stream" and kept[-1].get("name") == told["name"]:
            kept[-1]["text"] += told["text"]
        else:
            kept.append(told)
    return kept


def told(chapter: Path) -> dict[str, Any]:
    result, notebook = execute(chapter)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    outputs = [normalised(cell.outputs) for cell in cells]
    slowest = max((seconds(cell), cell.source) for cell in cells)
    return {
        "error": result.error, "seconds": result.seconds, "peak_mb": result.peak_mb, "outputs": outputs,
        "slowest": slowest,
    }  # fmt: skip


def seconds(cell: NotebookNode) -> float:
    """How long a cell ran, by the kernel's own word."""
    marks = cell.metadata.get("execution", {})
    said = [marks.get(f"iopub.status.{when}") for when in ("busy", "idle")]
    if None in said:
        return 0.0
    begun, done = (datetime.fromisoformat(str(moment)) for moment in said)
    return (done - begun).total_seconds()


def main() -> None:
    chosen = chapters.shipped()
    with ThreadPoolExecutor(2) as pool:
        found = dict(zip((chapter.stem for chapter in chosen), pool.map(told, chosen), strict=True))
    Path(sys.argv[1]).write_text(json.dumps(found))


if __name__ == "__main__":
    main()
