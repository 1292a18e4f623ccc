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
        return cls(_place(frame), str(frame))


def _place(frame: Frame) -> str:
    """Return the number of a frame, and the file of its capture."""
    if not frame.number:
        return tr("a frame")
    if not frame.source:
        return tr("frame {number}", number=frame.number)
    return tr("frame {number} of {source}", number=frame.number, source=frame.source.rpartition("/")[2])
