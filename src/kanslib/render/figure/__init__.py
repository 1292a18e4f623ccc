"""Figures: one scale of sizes, one layout at three widths, one bundle that every notebook and browser shows."""

from kanslib.render.figure.figure import Drawing, Figure
from kanslib.render.figure.layout import (
    NOTE_GAP,
    SIZES,
    WIDTHS,
    Label,
    Note,
    TimeAxis,
    first_fitting,
    name_column,
    place_notes,
    stack_labels,
    text_width,
    wrap_text,
)

__all__ = [
    "NOTE_GAP",
    "SIZES",
    "WIDTHS",
    "Drawing",
    "Figure",
    "Label",
    "Note",
    "TimeAxis",
    "first_fitting",
    "name_column",
    "place_notes",
    "stack_labels",
    "text_width",
    "wrap_text",
]
