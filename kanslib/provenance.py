"""Where an answer comes from: live, recorded or computed. Every answer carries one."""

from __future__ import annotations

import time
from dataclasses import dataclass
from html import escape
from typing import Literal

Source = Literal["live", "recorded", "computed"]


def utc(moment: float) -> str:
    """The moment (Unix seconds) as `2026-11-23 07:09:02 UTC`.

    >>> utc(1795417742.6)
    '2026-11-23 07:09:02 UTC'
    """
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(moment))


@dataclass(frozen=True)
class Provenance:
    """Who answered, for which moment (Unix seconds), with which versions, and what has to be said about it.

    >>> print(Provenance("recorded", 1795417845.0, "apply-services", "MetalLB v0.14.8"))
    recorded 2026-11-23 07:10:45 UTC · after apply-services · MetalLB v0.14.8
    """

    source: Source
    moment: float
    after: str
    versions: str
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        place_in_story = [] if self.after == "opening" else [f"after {self.after}"]
        return " · ".join([f"{self.source} {utc(self.moment)}", *place_in_story, self.versions, *self.notes])

    def html(self) -> str:
        """The line that stands above an answer in a notebook."""
        return f'<small style="opacity:.75">{escape(str(self))}</small>'

    def noting(self, *notes: str) -> Provenance:
        """The same provenance with more to say."""
        return Provenance(
            self.source,
            self.moment,
            self.after,
            self.versions,
            (*self.notes, *(note for note in notes if note)),
        )
