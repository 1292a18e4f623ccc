"""The time machine's slider and buttons: a thin shell, in the order in which the Tab key goes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets as ipw

from kanslib.exercises.forms import capture_keys
from kanslib.render.time_machine import TimelineStop, scene_html

if TYPE_CHECKING:
    from kanslib.lab.time_machine import TimeMachine


def time_machine_widget(machine: TimeMachine) -> ipw.Widget:
    """A slider over the story's seconds, buttons to the neighbouring stops, and the scene below them."""
    slider = ipw.FloatSlider(
        0.0, min=0.0, max=machine.film.end, step=0.1, description="seconds", readout_format=".1f",
        continuous_update=False, layout={"width": "520px", "max_width": "100%"}, style={"description_width": "initial"},
    )  # fmt: skip
    back = ipw.Button(description="◀ before", tooltip="To the stop before this moment", layout={"width": "auto"})
    on = ipw.Button(description="next ▶", tooltip="To the next stop", layout={"width": "auto"})
    scene = ipw.HTML(layout={"width": "auto", "max_width": "100%"})

    def show(_change: Any = None) -> None:
        before, after = machine.film.stops_around(slider.value)
        back.disabled, on.disabled = before is None, after is None
        scene.value = scene_html(machine.at(slider.value), machine.film)

    def stepper(which: int) -> Any:
        def step(_button: Any) -> None:
            stop: TimelineStop | None = machine.film.stops_around(slider.value)[which]
            if stop is not None:
                slider.value = stop.at

        return step

    back.on_click(stepper(0))
    on.on_click(stepper(1))
    slider.observe(show, "value")
    show()
    return capture_keys(ipw.VBox([ipw.HBox([slider, back, on], layout={"flex_flow": "row wrap"}), scene]))
