"""The time machine's slider and buttons, in the order in which the Tab key goes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from kanslib.i18n import tr
from kanslib.render.time_machine import STYLE, Scene, StoryTimeline, slider_style

if TYPE_CHECKING:
    import ipywidgets as ipw

# The arrow keys to the left and right go from stop to stop, up and down go a tenth of a second
_KEYS = """<script>
{
  const box = document.currentScript.closest('.kans-time');
  box?.addEventListener('keydown', event => {
    const side = {ArrowLeft: 0, ArrowRight: 1}[event.key];
    if (side === undefined || !event.target.matches('[role=slider],button')) return;
    event.preventDefault();
    event.stopPropagation();
    box.querySelectorAll('.kans-time-controls button')[side].click();
  }, true);
}
</script>"""


def time_machine_widget(timeline: StoryTimeline, scene_at: Callable[[float], Scene]) -> ipw.Box:
    """Return the timeline with a slider on it, buttons to the neighbouring stops, and the scene below them.

    `scene_at` returns the scene so many seconds after the opening.
    """
    import ipywidgets as ipw
    from IPython.display import HTML

    slider = ipw.FloatSlider(0.0, min=0.0, max=timeline.end, step=0.1, description=tr("seconds"), readout=False)
    back = ipw.Button(
        description=tr("◀ before"), tooltip=tr("To the stop before this moment (←)"), layout={"width": "auto"}
    )
    forward = ipw.Button(description=tr("next ▶"), tooltip=tr("To the next stop (→)"), layout={"width": "auto"})
    origin, head = _html(), _html("kans-time-headline")
    cluster, path, addresses = _html("kans-map"), _html("kans-path"), _html()
    shown: Scene | None = None

    def show(_change: object = None) -> None:
        """Show the scene of the slider's moment; what is as before stays as it is."""
        nonlocal shown
        scene, before = scene_at(slider.value), shown
        shown = scene
        around = timeline.stops_around(slider.value)
        back.disabled, forward.disabled = around[0] is None, around[1] is None
        origin.value, head.value = scene.provenance.html(), timeline.headline(scene.at, scene.latest)
        if before is None or scene.map.view != before.map.view:
            cluster.value = scene.map_html(before)
        if before is None or scene.addresses != before.addresses:
            addresses.value = scene.addresses_html(before)
        if before is None or scene.trace_summary != before.trace_summary:
            path.value = scene.path_html()

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
    script = ipw.Output(layout={"display": "none"})
    script.append_display_data(HTML(_KEYS))
    style = ipw.HTML(f"<style>{STYLE}{slider_style(timeline)}</style>", layout={"display": "none"})
    strip = _box(ipw.Box([ipw.HTML(timeline.body_html()), slider]), "kans-strip")
    controls = _box(ipw.HBox([back, forward, head], layout={"flex_flow": "row wrap"}), "kans-time-controls")
    scene = _box(ipw.Box([cluster, path, addresses]), "kans-scene")
    return _box(ipw.VBox([style, origin, controls, strip, scene, script]), "kans-time")


def _html(name: str = "") -> ipw.HTML:
    import ipywidgets as ipw

    widget = ipw.HTML()
    if name:
        widget.add_class(name)
    return widget


def _box(box: ipw.Box, name: str) -> ipw.Box:
    box.add_class(name)
    return box
