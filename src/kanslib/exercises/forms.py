"""The form of an exercise: radio buttons, ticks, a slider, a text, and what came of it. A thin shell over the desk.

Everything is in the order in which the Tab key goes: question, answer, buttons, verdict. Nothing is judged here.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets as ipw
from IPython.display import HTML

from kanslib.exercises.exercise import Choice
from kanslib.exercises.session import ExerciseView, Prediction

_WIDE = {"width": "auto", "max_width": "100%"}
_NOTHING = "(choose)"
# JupyterLab takes arrow keys, Enter and Space for itself wherever no text is typed; in a form they belong to the form.
# It looks for the attribute at the very thing that has the focus. And ipywidgets gives no name to a slider's handle.
_KEYS = """<script>
{
  const form = document.currentScript.closest('.kans-form');
  const name = () => form.querySelectorAll('[role=slider]:not([aria-label])').forEach(handle => handle.setAttribute(
    'aria-label', handle.closest('.widget-slider')?.querySelector('.widget-label')?.textContent || 'value'));
  if (form) {
    form.addEventListener('focusin', event => event.target.setAttribute('data-lm-suppress-shortcuts', 'true'));
    new MutationObserver(name).observe(form, {childList: true, subtree: true});
    name();
  }
}
</script>"""


class FormField:
    """One thing to answer with: a widget, and how to read it; None while nobody has touched it."""

    def __init__(self, widget: ipw.Widget, read: Callable[[], Any]) -> None:
        self.widget, self.read = widget, read


def in_a_notebook() -> bool:
    """True where a form can be shown: in a kernel, not on a terminal."""
    if "ipykernel" not in sys.modules:
        return False
    from IPython import get_ipython

    shell = get_ipython()
    return shell is not None and getattr(shell, "kernel", None) is not None


def exercise_widget(quest: ExerciseView) -> ipw.Widget:
    """The form of one exercise or prediction."""
    question = ipw.HTML(quest.question_html(), layout=_WIDE)
    field = _field(quest)
    verdict = ipw.HTML("", layout=_WIDE)

    def answered(_button: Any) -> None:
        said = quest.answer(field.read()) if isinstance(quest, Prediction) else quest.check(field.read())
        verdict.value = said.html()

    def helped(take: Callable[[], Any]) -> Callable[[Any], None]:
        def clicked(_button: Any) -> None:
            verdict.value = take().html()

        return clicked

    if isinstance(quest, Prediction):
        buttons = [_button("Write it down", "Keep this guess; the look that shows the answer scores it", answered)]
    else:
        buttons = [
            _button("Check", "Is this right?", answered),
            _button("Hint", "The next hint", helped(quest.hint)),
            _button("Solution", "The answer, and why", helped(quest.solution)),
        ]
    box = ipw.VBox([question, field.widget, ipw.HBox(buttons, layout={"flex_flow": "row wrap"}), verdict])
    box.layout = {"border_left": "6px solid #0072b2", "padding": "2px 12px", "margin": "4px 0 12px 0"}
    return capture_keys(box)


def capture_keys(box: ipw.Box) -> ipw.Box:
    """The same box; keys that are pressed in it stay in it."""
    script = ipw.Output(layout={"display": "none"})
    script.append_display_data(HTML(_KEYS))
    box.children = (*box.children, script)
    box.add_class("kans-form")
    return box


def exercise_widgets(quests: Sequence[ExerciseView]) -> ipw.Widget:
    """Several forms, one below the other."""
    return ipw.VBox([exercise_widget(one) for one in quests])


def _button(name: str, does: str, clicked: Callable[[Any], None]) -> ipw.Button:
    button = ipw.Button(description=name, tooltip=does, layout={"width": "auto"})
    button.on_click(clicked)
    return button


def _field(quest: ExerciseView) -> FormField:
    exercise = quest.exercise
    if exercise.kind == "choice":
        return _radio(exercise.choices)
    if exercise.kind == "diagnosis":
        return _parts(quest)
    if exercise.kind == "names" and (options := quest.options()):
        return _ticks(options)
    if exercise.kind == "number" and exercise.scale:
        return _slider(exercise.scale, exercise.unit)
    return _text(quest)


def _radio(choices: Sequence[Choice]) -> FormField:
    options = [(choice.text, choice.key) for choice in choices]
    radio = ipw.RadioButtons(options=options, value=None, layout={"width": "max-content", "max_width": "100%"})
    return FormField(radio, lambda: radio.value)


def _ticks(options: Sequence[str]) -> FormField:
    boxes = [ipw.Checkbox(description=name, indent=False, layout={"width": "max-content"}) for name in options]
    return FormField(ipw.VBox(boxes), lambda: [box.description for box in boxes if box.value])


def _slider(scale: tuple[float, float, float], unit: str) -> FormField:
    low, high, step = scale
    slider = ipw.FloatSlider(
        low, min=low, max=high, step=step, description=unit or "answer", readout_format=".0f" if step >= 1 else ".1f",
        style={"description_width": "initial"}, layout={"width": "420px", "max_width": "100%"},
    )  # fmt: skip
    touched: list[bool] = []
    slider.observe(lambda _change: touched.append(True), "value")
    return FormField(slider, lambda: slider.value if touched else None)


def _text(quest: ExerciseView) -> FormField:
    is_code = quest.exercise.kind == "code"
    own = quest.exercise.starter.removeprefix("def ").partition("(")[0]
    text = ipw.Text(
        own,
        description="function" if is_code else "answer", layout={"width": "420px", "max_width": "100%"},
        placeholder="the name of your function" if is_code else "", style={"description_width": "initial"},
    )  # fmt: skip

    def read() -> Any:
        return _named(text.value.strip()) if is_code else text.value

    return FormField(text, read)


def _named(name: str) -> Any:
    """What a name stands for in the learner's notebook; the name itself where it stands for nothing."""
    from IPython import get_ipython

    shell = get_ipython()
    return shell.user_ns.get(name, name) if shell is not None else name


def _parts(quest: ExerciseView) -> FormField:
    drops = {
        part: ipw.Dropdown(
            options=[(_NOTHING, None), *((choice.text, choice.key) for choice in choices)], description=part, index=0,
            layout={"width": "640px", "max_width": "100%"}, style={"description_width": "5em"},
        )
        for part, choices in quest.exercise.parts.items()
    }  # fmt: skip

    def read() -> Any:
        answer = {part: drop.value for part, drop in drops.items()}
        return answer if any(answer.values()) else None

    return FormField(ipw.VBox(list(drops.values())), read)


def mimebundle(widget: ipw.Widget, html: str, words: str) -> dict[str, Any]:
    """What a cell shows: the widget where it lives; HTML on paper, on GitHub and after the kernel has gone; words."""
    return {**widget._repr_mimebundle_(), "text/html": html, "text/plain": words}
