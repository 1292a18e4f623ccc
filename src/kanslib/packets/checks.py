"""Checks that every decoder makes."""

from __future__ import annotations

from kanslib.exceptions import MalformedPacketError


def require_bytes(layer: str, raw: bytes, expected: int, part: str = "") -> None:
    """Raise MalformedPacketError when `raw` is shorter than `expected` bytes."""
    if len(raw) < expected:
        raise MalformedPacketError(layer, f"{part + ' of ' if part else ''}{len(raw)} bytes, expected {expected}")
