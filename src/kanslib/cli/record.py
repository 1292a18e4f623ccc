"""`kans record`: the chapters run live, and what happened written as a recording."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from kanslib.cli import run
from kanslib.course import chapters
from kanslib.exceptions import KanslibError

console = Console(highlight=False, soft_wrap=True)
_TOLD_BY_OTHERS = "00"  # its story is the whole lesson, which the other chapters make


def record(names: Sequence[str], out: Path, title: str, stand_ins: Sequence[str], keep: Path | None) -> int:
    """Run the chapters live, write and check the recording, and say what is in it; 1 when a chapter failed."""
    from kanslib.cluster import lifecycle, session
    from kanslib.cluster.recorder import Recorder, versions

    lifecycle.guard()
    if out.exists():
        raise KanslibError(f"{out} exists already; the recorder overwrites nothing: choose another name")
    if keep and keep.exists():
        raise KanslibError(f"{keep} exists already: choose another folder for the raw recording")
    chosen = [path for path in chapters.pick(names) if names or not path.name.startswith(_TOLD_BY_OTHERS)]
    with tempfile.TemporaryDirectory(prefix="kans-record-") as temporary:
        folder = Path(temporary)
        os.environ["KANS_BACKEND"], os.environ[session.RECORD] = "live", temporary
        recorder, began = Recorder(folder), time.monotonic()
        failed = [path.stem for path in chosen if not _run(path)]
        raw = recorder.stop(keep or folder / "course")
        if failed:
            console.print(f"[bold red]not recorded:[/] {', '.join(failed)} failed")
            return 1
        console.print(f"{len(chosen)} chapters in {time.monotonic() - began:.0f} s")
        _write(raw, out, title, versions(), stand_ins)
    return 0


def _run(path: Path) -> bool:
    with console.status(f"recording {path.stem} …"):
        result, _ = run.execute(path)
    console.print(f"{result.chapter}: {result.cells} cells, {result.seconds:.0f} s  {result.error}", markup=False)
    return not result.error


def _write(raw: Path, out: Path, title: str, versions: dict[str, str], stand_ins: Sequence[str]) -> None:
    from kanslib.cli.verify import written
    from kanslib.recording.raw.convert import Labels

    written([raw], out, Labels(title or "The course, recorded by itself", versions, tuple(stand_ins)))
