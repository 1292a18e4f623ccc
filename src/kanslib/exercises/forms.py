"""The form of an exercise: radio buttons, ticks, a slider or a text, and its feedback. A thin shell over its view.

Everything is in the order in which the Tab key goes: question, answer, buttons, feedback. Nothing is judged here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import ipywidgets as ipw
from IPython.display import HTML, display
from markupsafe import Markup

from kanslib.exercises.exercise import Choice
from kanslib.exercises.session import LOOK_FIRST, ExerciseView, Feedback, Prediction
from kanslib.i18n import all_of, numeral, tr, tr_later
from kanslib.palette import BLUE, GREEN, VERMILLION

_WIDE = {"width": "auto", "max_width": "100%"}
_NOTHING = tr_later("(choose)")
_THE_PART = {"cause": tr_later("the cause"), "fix": tr_later("the fix"), "evidence": tr_later("the evidence")}
_MARKS = {True: tr_later("✓ right"), False: tr_later("✗ not right")}  # beside a choice, after a check or a solution
_MOST_CHOICES = 12
# Long choices are wrapped. A marked one has words and a bar.
_STYLE = Markup(
    """<style>
.kans-form .widget-radio,.kans-form .widget-radio-box{width:auto;max-width:100%;overflow:visible}
.kans-form .widget-radio-box label{display:grid;grid-template-columns:1.6em minmax(0,1fr);align-items:start;\
height:auto;margin:0;padding:.2em .5em;line-height:1.35;white-space:normal;overflow:visible;text-overflow:clip}
.kans-form .widget-radio-box label input{grid-area:1/1;float:none;width:14px;height:14px;margin:.15em 0 0}
.kans-untouched .noUi-handle{background:transparent;border:2px dashed currentColor}
.kans-untouched .noUi-connect{background:transparent}
</style><style>"""
    + "".join(
        f".kans-{kind}-{place} label:nth-of-type({place}){{box-shadow:inset 4px 0 {colour};background:{colour}22}}"
        for kind, colour in (("right", GREEN), ("wrong", VERMILLION))
        for place in range(1, _MOST_CHOICES + 1)
    )
    + "</style>"
)
# JupyterLab takes arrow keys, Enter and Space for itself wherever no text is typed; in a form they belong to the form.
# It looks for the attribute at the element that has the focus. And ipywidgets gives no name to a slider's handle.
# A page that shows a form hides the same on paper.
_KEYS = """<style>.kans-paper{display:none}</style>
<script>
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


def _mark_nothing(_marks: Mapping[str, bool]) -> None:
    """Mark no choice: there is none."""


@dataclass(frozen=True)
class FormField:
    """A widget to answer with.

    `read` returns the answer, `missing` what is still to be done before it can be checked (empty: nothing), `mark`
    takes which choices are right and which wrong, by their key.
    """

    widget: ipw.Widget
    read: Callable[[], object]
    missing: Callable[[], str]
    mark: Callable[[Mapping[str, bool]], None] = _mark_nothing


def display_forms(views: Sequence[ExerciseView], papers: Sequence[Markup], text: str) -> None:
    """Show the forms of exercises, and `papers`, the same for paper."""
    display_on_paper(Markup().join(papers), text)
    forms = ipw.VBox([create_form(view) for view in views])
    # where no widget can be shown, IPython's own text would be the Python of the form
    display({**forms._repr_mimebundle_(), "text/plain": tr("Run this cell to answer here.")}, raw=True)


def display_on_paper(html: Markup, text: str) -> None:
    """Show what stands in place of a form on paper and in a static page; a form that is shown hides it.

    Of one output with both, nbconvert takes the form, which is blank without a network.
    """
    display({"text/html": Markup('<div class="kans-paper">{}</div>').format(html), "text/plain": text}, raw=True)


def create_form(view: ExerciseView) -> ipw.Widget:
    """Return the form of one exercise or prediction."""
    question, feedback = ipw.HTML(layout=_WIDE), ipw.HTML(layout=_WIDE)
    field = _create_field(view)

    def show(found: Feedback | None) -> None:
        question.value = _STYLE + view.question_html()
        feedback.value = found.html() if found else ""
        if found and found.marks:
            field.mark(found.marks)

    def create_button(name: str, tooltip: str, get_feedback: Callable[[], Feedback]) -> ipw.Button:
        button = ipw.Button(description=name, tooltip=tooltip, layout={"width": "auto"})
        button.on_click(lambda _button: show(get_feedback()))
        return button

    def submit() -> Feedback:
        missing = field.missing()
        return Feedback(missing, tr("Not answered yet")) if missing else view.submit(field.read())

    if isinstance(view, Prediction):
        tooltip = tr("Keep this guess; the query that shows the answer scores it")
        buttons = [create_button(tr("Write it down"), tooltip, submit)]
        view.when_scored(show)
        show(view.result)
    else:
        buttons = [
            create_button(tr("Check"), tr("Is this right?"), submit),
            create_button(tr("Hint"), tr("The next hint"), view.hint),
            create_button(tr("Solution"), tr("The answer, and why"), view.solution),
        ]
        show(None)
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
    return _create_code_field(view) if exercise.kind == "code" else _create_text_field()


def _create_radio_buttons(choices: Sequence[Choice]) -> FormField:
    options = [(choice.text, choice.key) for choice in choices]
    radio = ipw.RadioButtons(options=options, value=None, layout=_WIDE)
    marked: dict[str, bool] = {}

    def mark(marks: Mapping[str, bool]) -> None:
        marked.update(marks)  # what was wrong once stays marked
        chosen = radio.value
        radio.options = [(f"{text} {tr(_MARKS[marked[key]])}" if key in marked else text, key) for text, key in options]
        radio.value = chosen
        for place, (_, key) in enumerate(options, 1):
            if key in marked:
                radio.add_class(f"kans-{'right' if marked[key] else 'wrong'}-{place}")

    return FormField(radio, lambda: radio.value, lambda: tr("Choose one.") if radio.value is None else "", mark)


def _create_checkboxes(options: Sequence[str]) -> FormField:
    boxes = {name: ipw.Checkbox(description=name, indent=False, layout=_WIDE) for name in options}

    def read() -> list[str]:
        return [name for name, box in boxes.items() if box.value]

    def mark(marks: Mapping[str, bool]) -> None:
        for name, box in boxes.items():
            box.description = f"{name} {tr(_MARKS[marks[name]])}" if name in marks else name

    return FormField(ipw.VBox(list(boxes.values())), read, lambda: "" if read() else tr("Tick one or more."), mark)


def _create_slider(scale: tuple[float, float, float], unit: str) -> FormField:
    low, high, step = scale
    slider = ipw.FloatSlider(
        low, min=low, max=high, step=step, description=unit or tr("answer"), readout=False,
        style={"description_width": "initial"}, layout={"width": "420px", "max_width": "100%"},
    )  # fmt: skip
    slider.add_class("kans-untouched")
    readout = ipw.Label(tr("not answered yet"))
    touched: list[bool] = []
    form = ".0f" if step >= 1 else ".1f"

    def touch(_change: object) -> None:
        touched.append(True)
        slider.remove_class("kans-untouched")
        readout.value = f"{numeral(slider.value, form)} {unit}"

    slider.observe(touch, "value")
    box = ipw.HBox([slider, readout], layout={"flex_flow": "row wrap", "max_width": "100%"})
    return FormField(box, lambda: slider.value, lambda: "" if touched else tr("Move the slider."))


def _create_text_field() -> FormField:
    text = _text_input(tr("answer"), "", "")
    return FormField(text, lambda: text.value, lambda: "" if text.value.strip() else tr("Write your answer."))


def _create_code_field(view: ExerciseView) -> FormField:
    function = view.exercise.starter.removeprefix("def ").partition("(")[0]
    text = _text_input(tr("function"), function, tr("the name of your function"))

    def missing() -> str:
        name = text.value.strip()
        if callable(_find_in_notebook(name)):
            return ""
        return tr(
            "This notebook has no function {name!r} yet. Write it in a cell, run that cell, and check again.", name=name
        )

    return FormField(text, lambda: _find_in_notebook(text.value.strip()), missing)


def _text_input(label: str, value: str, placeholder: str) -> ipw.Text:
    return ipw.Text(
        value, description=label, placeholder=placeholder, layout={"width": "420px", "max_width": "100%"},
        style={"description_width": "initial"},
    )  # fmt: skip


def _find_in_notebook(name: str) -> object:
    """Return what a name stands for in the learner's notebook; None where it stands for nothing."""
    from IPython import get_ipython

    shell = get_ipython()
    return shell.user_ns.get(name) if shell is not None else None


def _create_dropdowns(view: ExerciseView) -> FormField:
    """Return one dropdown for each part of a diagnosis. They offer what the learner's queries can have shown."""
    dropdowns = {
        part: ipw.Dropdown(
            description=tr(part), layout={"width": "640px", "max_width": "100%"}, style={"description_width": "5em"}
        )
        for part in view.exercise.parts
    }
    note = ipw.Label()

    def offer() -> None:
        offered = view.offered()
        note.value = "" if offered else tr(LOOK_FIRST)
        for part, dropdown in dropdowns.items():
            chosen, choices = dropdown.value, offered.get(part, ())
            dropdown.options = [(tr(_NOTHING), None), *((choice.text, choice.key) for choice in choices)]
            keys = [None, *(choice.key for choice in choices)]
            dropdown.index = keys.index(chosen) if chosen in keys else 0  # a value of None would select no line at all

    def missing() -> str:
        if note.value:
            return tr(LOOK_FIRST)
        parts = [part for part, dropdown in dropdowns.items() if dropdown.value is None]
        return tr("Choose {parts}.", parts=all_of(tr(_THE_PART[part]) for part in parts)) if parts else ""

    offer()
    view.on_query = offer
    box = ipw.VBox([note, *dropdowns.values()])
    return FormField(box, lambda: {part: dropdown.value for part, dropdown in dropdowns.items()}, missing)
