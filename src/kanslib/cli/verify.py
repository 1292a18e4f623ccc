"""`kans verify`: check a recording for damage, order and secrets."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from kanslib.cli.os_errors import about
from kanslib.cli.terminal import plain_console, plain_table, print_error
from kanslib.course.recordings import shipped_recordings
from kanslib.exceptions import KanslibError, RecordingError
from kanslib.i18n import numeral, tr
from kanslib.recording import Recording
from kanslib.recording.verify import VerifyReport
from kanslib.recording.verify import verify as verify_recording
from kanslib.status import show_status

console = plain_console()


def verify(paths: Sequence[Path], as_json: bool) -> int:
    """Check each recording and print how much was checked; return the exit code, 1 when one of them has a fault.

    KanslibError for a file that is not there or cannot be read.
    """
    for path in paths:
        _check_readable(path)
    found = {path: _verify_one(path) for path in paths or shipped_recordings()}
    if as_json:
        print(json.dumps([_as_json(path, one) for path, one in found.items()], indent=1))
    else:
        _print(found.items())
    return 1 if any(isinstance(one, RecordingError) for one in found.values()) else 0


def _check_readable(path: Path) -> None:
    if not path.exists():
        raise KanslibError(tr("{path}: no such recording; next step: check the name", path=path))
    if path.is_file():
        with about(path), path.open("rb"):
            pass


def _verify_one(path: Path) -> VerifyReport | RecordingError:
    """Verify a recording behind a progress bar; return what was checked, or the first fault."""
    try:
        recording = Recording.open(path)
        with show_status(tr("verifying {name}", name=path.name), total=len(recording.manifest.files)) as status:
            return verify_recording(recording, lambda _file: status.advance())
    except RecordingError as exc:
        return exc


def _as_json(path: Path, found: VerifyReport | RecordingError) -> dict[str, object]:
    if isinstance(found, RecordingError):
        return {"recording": str(path), "problem": str(found)}
    return {"recording": str(path), "problem": None, **asdict(found)}


def _print(found: Iterable[tuple[Path, VerifyReport | RecordingError]]) -> None:
    table = plain_table(tr("recording"), tr("files"), "MB", tr("watch events"), tr("reads"), tr("frames"), tr("probes"))
    problems: list[tuple[Path, RecordingError]] = []
    for path, one in found:
        if isinstance(one, RecordingError):
            problems.append((path, one))
            continue
        numbers = (one.events, one.reads, one.frames, one.probes)
        table.add_row(
            path.name,
            str(one.files),
            numeral(one.bytes / 1e6, ".1f"),
            *(numeral(number, ",") for number in numbers),
        )
    if table.row_count:
        console.print(table)
        console.print(tr("complete, in order of time, no secrets"))
    for path, problem in problems:
        where = "" if problem.file == str(path) else f"{path}: "
        print_error(f"{where}{problem}")
