"""Where a lab meets the exercises: how they are shown, and which predictions of a kernel wait for their query."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from kanslib.exercises.session import PendingPredictions, display_text

if TYPE_CHECKING:
    from kanslib.exercises.lab_queries import LabQueries
    from kanslib.exercises.session import ExerciseView
    from kanslib.lab.lab import Lab

    def _check_lab(lab: Lab) -> LabQueries:
        return lab  # mypy: a lab has every query that an exercise makes


@cache
def kernel_predictions() -> PendingPredictions:
    """Return the predictions that wait in this kernel: whichever of its labs makes the query scores them."""
    return PendingPredictions()


def display_exercises(views: Sequence[ExerciseView], html: str, text: str) -> dict[str, Any]:
    """Return what a cell shows of exercises: forms where a kernel runs, HTML and text elsewhere."""
    if "ipykernel" not in sys.modules:  # ipywidgets takes half a second to import
        return display_text(views, html, text)
    from kanslib.exercises.forms import display_forms

    return display_forms(views, html, text)
