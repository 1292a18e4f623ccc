"""Where an answer comes from: live, recorded or computed. Every answer carries one."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from html import escape
from typing import Literal

Source = Literal["live", "recorded", "simulated"]


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
    instead: str = ""  # why a recording answers where another world was asked
    requested: Source = "live"  # the world that was asked, when a recording answers instead

    @property
    def checkable(self) -> bool:
        """True when the answer speaks of the world that was asked; a recording's in place of another's does not."""
        return not self.instead

    def __str__(self) -> str:
        place_in_story = [] if self.after == "opening" else [f"after {self.after}"]
        instead = [f"NOT {self.requested.upper()}: {self.instead}"] if self.instead else []
        return " · ".join([*instead, f"{self.source} {utc(self.moment)}", *place_in_story, self.versions, *self.notes])

    def html(self) -> str:
        """The line that stands above an answer in a notebook."""
        return f'<small style="opacity:.75">{escape(str(self))}</small>'

    @property
    def style(self) -> str:
        """CSS of an answer's frame: a bar beside all of it when a recording stands in for another world."""
        return "border-left:6px solid #D55E00;padding-left:.6em;" if self.instead else ""

    def with_notes(self, *notes: str) -> Provenance:
        """The same provenance with more to say."""
        return replace(self, notes=(*self.notes, *(note for note in notes if note)))
