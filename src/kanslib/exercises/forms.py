"""The form of an exercise: radio buttons, ticks, a slider or a text, and its feedback. A thin shell over its view.

Everything is in the order in which the Tab key goes: question, answer, buttons, feedback. Nothing is judged here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import ipywidgets as ipw
from IPython.display import HTML
from markupsafe import Markup

from kanslib.exercises.exercise import Choice
from kanslib.exercises.session import ExerciseView, Feedback, MimeBundle, Prediction, display_text
from kanslib.notices import in_notebook
from kanslib.palette import BLUE

_WIDE = {"width": "auto", "max_width": "100%"}
_NOTHING = "(choose)"
# JupyterLab takes arrow keys, Enter and Space for itself wherever no text is typed; in a form they belong to the form.
# It looks for the attribute at the element that has the focus. And ipywidgets gives no name to a slider's handle.
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
    """A widget to answer with, and how to read it; None while nobody has touched it."""

    def __init__(self, widget: ipw.Widget, read: Callable[[], object]) -> None:
        self.widget, self.read = widget, read


def display_forms(views: Sequence[ExerciseView], html: Markup, text: str) -> MimeBundle:
    """Return what a cell shows of exercises: their forms in a notebook, HTML and text elsewhere."""
    if not in_notebook():
        return display_text(views, html, text)
    return mimebundle(ipw.VBox([create_form(view) for view in views]), html, text)


def mimebundle(widget: ipw.Widget, html: Markup, text: str) -> MimeBundle:
    """Return what a cell shows: the widget; HTML for paper, GitHub and after the kernel has gone; text."""
    return {**widget._repr_mimebundle_(), "text/html": html, "text/plain": text}


def create_form(view: ExerciseView) -> ipw.Widget:
    """Return the form of one exercise or prediction."""
    question, feedback = ipw.HTML(view.question_html(), layout=_WIDE), ipw.HTML("", layout=_WIDE)
    field = _create_field(view)

    def create_button(name: str, tooltip: str, get_feedback: Callable[[], Feedback]) -> ipw.Button:
        def show_feedback(_button: ipw.Button) -> None:
            feedback.value = get_feedback().html()

        button = ipw.Button(description=name, tooltip=tooltip, layout={"width": "auto"})
        button.on_click(show_feedback)
        return button

    def submit() -> Feedback:
        return view.submit(field.read())

    if isinstance(view, Prediction):
        tooltip = "Keep this guess; the query that shows the answer scores it"
        buttons = [create_button("Write it down", tooltip, submit)]
    else:
        buttons = [
            create_button("Check", "Is this right?", submit),
            create_button("Hint", "The next hint", view.hint),
            create_button("Solution", "The answer, and why", view.solution),
        ]
    box = ipw.VBox([question, field.widget, ipw.HBox(buttons, layout={"flex_flow": "row wrap"}), feedback])
    box.layout = {"border_left": f"6px solid {BLUE}", "padding": "2px 12px", "margin": "4px 0 12px 0"}
    return capture_keys(box)


def capture_keys(box: ipw.Box) -> ipw.Box:
    """Return the same box; keys that are pressed in it stay in it."""
    script = ipw.Output(layout={"display": "none"})
    script.append_display_data(HTML(_KEYS))
    box.children = (*box.children, script)
    box.add_class("kans-form")
    return box


def _create_field(view: ExerciseView) -> FormField:
    exercise = view.exercise
    if exercise.kind == "choice":
        return _create_radio_buttons(exercise.choices)
    if exercise.kind == "diagnosis":
        return _create_dropdowns(view)
    if exercise.kind == "names" and (options := view.options()):
        return _create_checkboxes(options)
    if exercise.kind == "number" and exercise.scale:
        return _create_slider(exercise.scale, exercise.unit)
    return _create_text_field(view)


def _create_radio_buttons(choices: Sequence[Choice]) -> FormField:
    options = [(choice.text, choice.key) for choice in choices]
    radio = ipw.RadioButtons(options=options, value=None, layout={"width": "max-content", "max_width": "100%"})
    return FormField(radio, lambda: radio.value)


def _create_checkboxes(options: Sequence[str]) -> FormField:
    boxes = [ipw.Checkbox(description=name, indent=False, layout={"width": "max-content"}) for name in options]
    return FormField(ipw.VBox(boxes), lambda: [box.description for box in boxes if box.value])


def _create_slider(scale: tuple[float, float, float], unit: str) -> FormField:
    low, high, step = scale
    slider = ipw.FloatSlider(
        low, min=low, max=high, step=step, description=unit or "answer", readout_format=".0f" if step >= 1 else ".1f",
        style={"description_width": "initial"}, layout={"width": "420px", "max_width": "100%"},
    )  # fmt: skip
    touched: list[bool] = []
    slider.observe(lambda _change: touched.append(True), "value")
    return FormField(slider, lambda: slider.value if touched else None)


def _create_text_field(view: ExerciseView) -> FormField:
    is_code = view.exercise.kind == "code"
    function = view.exercise.starter.removeprefix("def ").partition("(")[0]
    text = ipw.Text(
        function,
        description="function" if is_code else "answer", layout={"width": "420px", "max_width": "100%"},
        placeholder="the name of your function" if is_code else "", style={"description_width": "initial"},
    )  # fmt: skip

    def read() -> object:
        return _find_in_notebook(text.value.strip()) if is_code else text.value

    return FormField(text, read)


def _find_in_notebook(name: str) -> object:
    """Return what a name stands for in the learner's notebook; the name itself where it stands for nothing."""
    from IPython import get_ipython

    shell = get_ipython()
    return shell.user_ns.get(name, name) if shell is not None else name


def _create_dropdowns(view: ExerciseView) -> FormField:
    """Return one dropdown for each part of a diagnosis."""
    dropdowns = {
        part: ipw.Dropdown(
            options=[(_NOTHING, None), *((choice.text, choice.key) for choice in choices)], description=part, index=0,
            layout={"width": "640px", "max_width": "100%"}, style={"description_width": "5em"},
        )
        for part, choices in view.exercise.parts.items()
    }  # fmt: skip

    def read() -> object:
        answer = {part: dropdown.value for part, dropdown in dropdowns.items()}
        return answer if any(answer.values()) else None

    return FormField(ipw.VBox(list(dropdowns.values())), read)
