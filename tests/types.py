"""Types of what the fixtures give."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from kanslib.lab.lab import Lab


class OpenLab(Protocol):
    """Open a lab without its banner on the screen."""

    def __call__(
        self,
        story: str | None = None,
        *,
        backend: str | None = None,
        recording: str | Path | None = None,
        manifest: str | None = None,
    ) -> Lab: ...


class OpenReference(Protocol):
    """Open a lab on the reference recording."""

    def __call__(self, story: str) -> Lab: ...
