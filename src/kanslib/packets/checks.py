"""Checks that every decoder makes."""

from __future__ import annotations

from kanslib.exceptions import MalformedPacketError
from kanslib.i18n import tr


def require_bytes(layer: str, raw: bytes, expected: int, part: str = "") -> None:
    """Raise MalformedPacketError when `raw` is shorter than `expected` bytes; `part` of the layer it is, a message."""
    if len(raw) < expected:
        size, name = len(raw), tr(part)
        named = tr("{part} of {size} bytes, expected {expected}", part=name, size=size, expected=expected)
        problem = named if part else tr("{size} bytes, expected {expected}", size=size, expected=expected)
        raise MalformedPacketError(layer, problem)
