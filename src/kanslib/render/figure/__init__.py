"""Figures: one scale of sizes, one layout at three widths, one bundle that every notebook and browser shows."""

from kanslib.render.figure.figure import Drawing, Figure
from kanslib.render.figure.layout import SIZES, WIDTHS, Label, TimeAxis, stack_labels, text_width, wrap_text

__all__ = ["SIZES", "WIDTHS", "Drawing", "Figure", "Label", "TimeAxis", "stack_labels", "text_width", "wrap_text"]
