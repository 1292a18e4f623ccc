"""Recordings: their format, their clock, and how they are read, written and verified."""

from kanslib.recording.reader import Recording

__all__ = ["Recording"]
