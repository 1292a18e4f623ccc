"""What is wrong with a frame, named."""

from __future__ import annotations


class MalformedPacketError(ValueError):
    """A layer that cannot be read: which one, and what does not fit.

    >>> print(Malformed("ARP", "20 bytes, expected 28"))
    ARP: 20 bytes, expected 28
    """

    def __init__(self, layer: str, what: str) -> None:
        self.layer, self.what = layer, what
        super().__init__(f"{layer}: {what}")


def enough(layer: str, raw: bytes, expected: int, part: str = "") -> None:
    """Raises Malformed when `raw` is shorter than `expected` bytes."""
    if len(raw) < expected:
        raise MalformedPacketError(layer, f"{part + ' of ' if part else ''}{len(raw)} bytes, expected {expected}")
