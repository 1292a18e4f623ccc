"""`kans record`: run the chapters live and write a recording of them."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from rich.text import Text

from kanslib.cli import run
from kanslib.cli.output_files import check_new_output
from kanslib.cli.terminal import plain_console
from kanslib.course import chapters
from kanslib.exceptions import KanslibError
from kanslib.i18n import listed, tr, tr_plural
from kanslib.status import show_status

console = plain_console(soft_wrap=True)
_WHOLE_LESSON = ("00-", "00q-")  # the other chapters record its story


def record(names: Sequence[str], out: Path, title: str, substitutes: Sequence[str], keep: Path | None) -> int:
    """Run the chapters live, write and check the recording, and print its contents.

    `substitutes` are the recording's substitutes, in words; `keep` is a folder for the raw recording. Return the exit
    code, 1 when a chapter failed. KanslibError when `out` or `keep` exists.
    """
    from kanslib.cluster import lifecycle, session
    from kanslib.cluster.recorder import Recorder, versions

    check_new_output("--out", out)
    if keep:
        check_new_output("--keep", keep)
    lifecycle.guard()
    chosen = [path for path in chapters.pick(names) if names or not path.name.startswith(_WHOLE_LESSON)]
    with tempfile.TemporaryDirectory(prefix="kans-record-") as temporary:
        folder = Path(temporary)
        os.environ["KANS_BACKEND"], os.environ[session.RECORD] = "live", temporary
        recorder, began = Recorder(folder), time.monotonic()
        failed = [path.stem for path in chosen if not _run(path)]
        raw = recorder.stop(keep or folder / "course")
        if failed:
            console.print(
                Text.assemble((tr("not recorded:"), "bold red"), " ", tr("{failed} failed", failed=listed(failed)))
            )
            return 1
        console.print(
            tr_plural(
                "{n} chapter in {seconds:.0f} s",
                "{n} chapters in {seconds:.0f} s",
                len(chosen),
                seconds=time.monotonic() - began,
            )
        )
        _write(raw, out, keep, title, versions(), substitutes)
    return 0


def _run(path: Path) -> bool:
    with show_status(tr("recording {stem}", stem=path.stem)):
        result, _ = run.execute(path)
    words = tr_plural(
        "{chapter}: {n} cell, {seconds:.0f} s",
        "{chapter}: {n} cells, {seconds:.0f} s",
        result.cells,
        chapter=path.stem,
        seconds=result.seconds,
    )
    console.print(f"{words}  {result.error}")
    return not result.error


def _write(
    raw: Path, out: Path, keep: Path | None, title: str, versions: dict[str, str], substitutes: Sequence[str]
) -> None:
    from kanslib.cli.convert import write_recording
    from kanslib.recording.raw.convert import Labels

    labels = Labels(title or "The course, recorded by itself", versions, tuple(substitutes))
    try:
        write_recording([raw], out, labels)
    except KanslibError as exc:  # hours of recording, of which nothing was written
        kept = keep or out.with_name(f"{out.stem}-raw")
        if not keep:
            shutil.copytree(raw, kept)
        raise KanslibError(
            tr("{exc}\nthe raw recording is in {kept}; then: kans convert {kept} {out}", exc=exc, kept=kept, out=out)
        ) from exc
