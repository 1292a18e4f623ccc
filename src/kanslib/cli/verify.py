"""`kans verify`, `kans convert` and `kans diff`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from kanslib.comparison.recordings import compare
from kanslib.course.recordings import shipped_recordings
from kanslib.exceptions import KanslibError
from kanslib.recording import Recording
from kanslib.recording.raw.convert import Labels
from kanslib.recording.raw.convert import convert as convert_raw
from kanslib.recording.verify import VerifyReport
from kanslib.recording.verify import verify as verify_recording

console = Console(highlight=False)


def verify(paths: Sequence[Path]) -> None:
    """Check each recording and print how much was checked."""
    table = Table("recording", "files", "MB", "watch events", "reads", "frames", "probes")
    for path in paths or shipped_recordings():
        found = _verify(Recording.open(path), path.name)
        numbers = (found.events, found.reads, found.frames, found.probes)
        table.add_row(path.name, str(found.files), f"{found.bytes / 1e6:.1f}", *(f"{number:,}" for number in numbers))
    console.print(table)
    console.print("complete, in order of time, no secrets")


def _verify(recording: Recording, name: str) -> VerifyReport:
    with _progress() as progress:
        task = progress.add_task(name, total=len(recording.manifest.files))
        return verify_recording(recording, lambda _file: progress.advance(task))


def _progress() -> Progress:
    err = Console(stderr=True)
    return Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), console=err, transient=True)


def convert(paths: Sequence[Path], title: str, versions: Sequence[str], substitutes: Sequence[str]) -> None:
    """Convert the raw recordings `paths[:-1]` to `paths[-1]`, check the result and print its contents."""
    *raws, out = paths
    if not raws:
        raise KanslibError("kans convert needs at least one raw recording and then the output: kans convert RAW... OUT")
    pairs = [pair.partition("=") for pair in versions]
    for name, equals, value in pairs:
        if not (name and equals and value):
            raise KanslibError(f"--versions needs name=version, e.g. kind=v0.24.0, not {name + equals + value!r}")
    write_recording(raws, out, Labels(title, {name: value for name, _, value in pairs}, tuple(substitutes)))


def write_recording(raws: Sequence[Path], out: Path, labels: Labels) -> None:
    """Convert raw recordings to `out`, check the result and print its contents."""
    with console.status(f"converting {', '.join(raw.name for raw in raws)} …"):
        recording = convert_raw(raws, out, labels)
    _verify(recording, out.name)
    size = out.stat().st_size if out.is_file() else sum(p.stat().st_size for p in out.rglob("*") if p.is_file())
    console.print(f"{out}: {len(recording.manifest.files)} files, {size / 1e6:.2f} MB, verified")
    console.print("stories: " + ", ".join(story.name for story in recording.manifest.stories))


def diff(a: Path, b: Path, as_json: bool) -> int:
    """Print the differences in meaning between two recordings; return 1 when there are any."""
    with console.status(f"comparing {a.name} and {b.name} …"):
        found = list(compare(Recording.open(a), Recording.open(b)))
    if as_json:
        print(json.dumps([asdict(one) for one in found], indent=1))
        return 1 if found else 0
    table = Table("story", "moment", "what", a.name, b.name)
    for one in found:
        table.add_row(one.story, one.moment, one.what, one.a, one.b)
    if found:
        console.print(table)
    console.print(f"{len(found)} differences in meaning" if found else "the same in meaning")
    return 1 if found else 0
