"""The dumps of a recording."""

from __future__ import annotations

from kanslib.recording import Recording


def recorded_dumps(recording: Recording) -> list[str]:
    """What each iptables-save and ip6tables-save of a recording printed, by file."""
    files = {read.file for read in recording.reads() if "tables-save" in read.command and read.rc == 0}
    return [recording.text(file) for file in sorted(files)]
