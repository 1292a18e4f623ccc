"""Evidence: where a fact can be read (a frame, a line of a log, an event, an object's version, a command's output)."""

from __future__ import annotations

from typing import NamedTuple

from kanslib.i18n import tr
from kanslib.packets.capture import Frame


class Evidence(NamedTuple):
    """Where a fact can be read (`frame 700 of 05-bridge.pcap`), and the text there.

    >>> print(Evidence("event svc1.18a", "announcing from node a"))
    event svc1.18a: announcing from node a
    """

    source: str
    text: str

    def __str__(self) -> str:
        return f"{self.source}: {self.text}"

    @classmethod
    def of(cls, frame: Frame) -> Evidence:
        """Return a frame as evidence."""
        source = tr(" of {source}", source=frame.source.rpartition("/")[2]) if frame.source else ""
        return cls(
            tr("frame {number}{source}", number=frame.number, source=source) if frame.number else tr("a frame"),
            str(frame),
        )
