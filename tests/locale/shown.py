"""Print as JSON what kanslib shows in the language of this process: figures, tables, exercises, errors."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable, Iterator

from ipywidgets import Widget

import kanslib
from kanslib import iptables
from kanslib.answer import Answer
from kanslib.exceptions import KanslibError
from kanslib.exercises.catalog import CATALOG
from kanslib.exercises.exercise import assess, assess_blank, describe_format
from kanslib.exercises.forms import create_form
from kanslib.exercises.messages import texts, translate
from kanslib.exercises.misconceptions import ExpectedAnswer
from kanslib.lab.lab import Lab
from kanslib.recording import Recording
from kanslib.render.figure import Figure
from kanslib.render.tables import Table
from kanslib.render.time_machine_widget import time_machine_widget
from tests.figures import faults
from tests.render.test_accessible import FIGURES

NARROW = 390  # px of a telephone
_RIGHT: dict[str, ExpectedAnswer] = {
    "number": ExpectedAnswer(7.0),
    "names": ExpectedAnswer({"svc1", "svc2"}),
    "code": ExpectedAnswer([((1,), 2)]),
}


def open_lab(*arguments: object, **options: object) -> Lab:
    with contextlib.redirect_stdout(io.StringIO()):
        return kanslib.open_lab(*arguments, **options)  # type: ignore[arg-type]


def _answers() -> Iterator[tuple[str, Callable[[], object]]]:
    """Return answers of a lab, each with a name."""
    lab, bgp = open_lab("failover"), open_lab("bgp")
    lab.at("kill-node")
    bgp.at("apply-bgp")
    seen, routed = lab.observation(), bgp.observation()
    yield from {
        "arp_scan": lab.arp_scan, "neighbors": lab.neighbors, "curl": lambda: lab.curl("svc1", times=3),
        "election": lambda: lab.election("svc1"), "phases": lambda: seen.phases("svc1"),
        "failures": lambda: seen.failures("svc1"), "attempts": lambda: seen.attempts("svc1"),
        "events": seen.events, "leader_history": seen.leader_history, "announcements": seen.arp.announcements,
        "conflicts": seen.arp.conflicts, "no message": lambda: seen.bgp.messages("myk8s-worker"),
        "routes": bgp.routes, "messages": routed.bgp.messages, "moments": lab.moments, "outages": kanslib.outages,
        "node_losses": kanslib.node_losses, "no line": lambda: lab.log("speaker").matching("no such line"),
    }.items()  # fmt: skip


def _errors() -> Iterator[tuple[str, Callable[[], object]]]:
    """Return what a person does wrong, each with a name."""
    lab = open_lab("arp")
    yield from {
        "story": lambda: open_lab("failovr"), "backend": lambda: open_lab(backend="mars"),
        "target": lambda: lab.curl("svc9"), "attribute": lambda: lab.pod,  # type: ignore[attr-defined]
        "no port": lambda: lab.trace("192.0.2.1"),
        "manifest": lambda: lab.apply(""), "router": lambda: lab.router, "moment": lambda: lab.at("never"),
        "recording": lambda: Recording.open("nothing.zip"), "exercise": lambda: lab.exercise("none"),
        "token": lambda: lab.progress(token="x"), "dump": lambda: iptables.parse("*nat\n-A\n"),
        "packet": lambda: iptables.Packet("x", "y"), "simulated": lambda: kanslib.simulate("kind: Ingress"),
    }.items()  # fmt: skip


def _wrong_moments() -> Iterator[tuple[str, str]]:
    """Return what each exercise says where it has no answer: in a cluster in which nothing was done."""
    lab = open_lab("service-types")
    lab.at("opening")
    for exercise in CATALOG.values():
        try:
            exercise.expected_answer(lab)
        except KanslibError as exc:
            yield f"exercise {exercise.id}: no answer here", str(exc)


def _exercises() -> Iterator[tuple[str, str]]:
    """Return every text of every exercise, and what is said to answers of each kind."""
    for exercise in map(translate, CATALOG.values()):
        for kind, text in texts(exercise):
            yield f"exercise {exercise.id}: {kind}", text
        yield f"exercise {exercise.id}: blank", assess_blank(exercise).words
        yield f"exercise {exercise.id}: form", describe_format(exercise)
        yield f"exercise {exercise.id}: malformed", assess(exercise, object(), ExpectedAnswer("")).words
        if exercise.kind in _RIGHT:
            wrong = {"number": 99.5, "names": ["svc3"], "code": lambda _: 0}[exercise.kind]
            right = _RIGHT[exercise.kind]
            plain = exercise.__class__(**{**vars(exercise), "misconceptions": ()})
            yield f"exercise {exercise.id}: wrong", assess(plain, wrong, right).words
    lab = open_lab("arp")
    quiz = lab.quiz("03")
    yield "quiz", repr(quiz)
    yield "quiz as HTML", str(quiz._repr_html_())
    yield "quiz checked", str(quiz.check())
    view = lab.exercise("who-answers-for-svc1")
    yield "hint", str(view.hint())
    yield "solution", str(view.solution())
    yield "prediction", str(lab.predict("one-machine-for-two").answer("own"))


def _widgets() -> Iterator[tuple[str, object]]:
    """Return the forms that a kernel shows, each with a name."""
    machine, lab = open_lab("failover").time_machine(), open_lab("arp")
    yield "time machine", time_machine_widget(machine.timeline, machine.at)
    for one in ("who-answers-for-svc1", "one-machine-for-two", "case-1"):
        yield one, create_form(lab.exercise(one))


def _texts_of(widget: Widget) -> Iterator[str]:
    """Return the labels of a widget and of the widgets in it; what their HTML shows is among the figures."""
    for name in ("description", "tooltip", "placeholder"):
        yield str(getattr(widget, name, None) or "")
    yield from (str(one[0] if isinstance(one, tuple) else one) for one in getattr(widget, "options", ()))
    for inner in getattr(widget, "children", ()):
        yield from _texts_of(inner)


def shown() -> dict[str, str]:
    """Return what is shown, by a name."""
    found = dict(_exercises()) | dict(_wrong_moments())
    for name, make in FIGURES.items():
        figure = make(open_lab)
        found[f"figure {name}"] = str(figure._repr_html_())
        found[f"figure {name} in words"] = figure.describe()
        if isinstance(figure, Figure):
            found[f"faults of figure {name}"] = "\n".join(faults(figure, NARROW))
    for name, ask in _answers():
        answer = ask()
        found[f"answer {name}"] = str(answer._repr_html_()) if isinstance(answer, Answer) else str(answer)
        is_drawn = isinstance(answer, Answer) and not isinstance(answer, Table)
        found[f"answer {name} as text"] = answer.describe() if is_drawn else repr(answer)  # type: ignore[attr-defined]
    for name, widget in _widgets():
        found[f"widget {name}"] = "\n".join(_texts_of(widget))
    for name, act in _errors():
        try:
            act()
        except (KanslibError, AttributeError) as exc:
            found[f"error {name}"] = str(exc)
    return found


if __name__ == "__main__":
    print(json.dumps(shown()))
