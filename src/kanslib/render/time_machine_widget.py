"""The time machine's slider and buttons, in the order in which the Tab key goes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from kanslib.render.time_machine import Scene, StoryTimeline, scene_html

if TYPE_CHECKING:
    import ipywidgets as ipw


def time_machine_widget(timeline: StoryTimeline, scene_at: Callable[[float], Scene]) -> ipw.Widget:
    """Return a slider over the story's seconds, buttons to the neighbouring stops, and the scene below them.

    `scene_at` returns the scene so many seconds after the opening.
    """
    import ipywidgets as ipw

    slider = ipw.FloatSlider(
        0.0, min=0.0, max=timeline.end, step=0.1, description="seconds", readout_format=".1f",
        continuous_update=False, layout={"width": "520px", "max_width": "100%"}, style={"description_width": "initial"},
    )  # fmt: skip
    back = ipw.Button(description="◀ before", tooltip="To the stop before this moment", layout={"width": "auto"})
    forward = ipw.Button(description="next ▶", tooltip="To the next stop", layout={"width": "auto"})
    scene = ipw.HTML(layout={"width": "auto", "max_width": "100%"})

    def show(_change: object = None) -> None:
        before, after = timeline.stops_around(slider.value)
        back.disabled, forward.disabled = before is None, after is None
        scene.value = scene_html(scene_at(slider.value), timeline)

    def step_to(side: int) -> Callable[[object], None]:
        def step(_button: object) -> None:
            stop = timeline.stops_around(slider.value)[side]
            if stop is not None:
                slider.value = stop.at

        return step

    back.on_click(step_to(0))
    forward.on_click(step_to(1))
    slider.observe(show, "value")
    show()
    return ipw.VBox([ipw.HBox([slider, back, forward], layout={"flex_flow": "row wrap"}), scene])
