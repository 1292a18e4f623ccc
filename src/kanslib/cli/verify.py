"""`kans verify`: check a recording for damage, order and secrets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from kanslib.cli.terminal import plain_console
from kanslib.course.recordings import shipped_recordings
from kanslib.recording import Recording
from kanslib.recording.verify import VerifyReport
from kanslib.recording.verify import verify as verify_recording
from kanslib.status import show_status

console = plain_console()


def verify(paths: Sequence[Path]) -> None:
    """Check each recording and print how much was checked."""
    table = Table("recording", "files", "MB", "watch events", "reads", "frames", "probes")
    for path in paths or shipped_recordings():
        found = verify_with_progress(Recording.open(path), path.name)
        numbers = (found.events, found.reads, found.frames, found.probes)
        table.add_row(path.name, str(found.files), f"{found.bytes / 1e6:.1f}", *(f"{number:,}" for number in numbers))
    console.print(table)
    console.print("complete, in order of time, no secrets")


def verify_with_progress(recording: Recording, name: str) -> VerifyReport:
    """Verify a recording behind a progress bar. RecordingError names the first fault."""
    with show_status(f"verifying {name}", total=len(recording.manifest.files)) as status:
        return verify_recording(recording, lambda _file: status.advance())
