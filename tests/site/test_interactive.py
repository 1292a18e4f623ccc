"""What pages hold beside their text: the words of the lab's forms, sound HTML, scripts without words of their own."""

from __future__ import annotations

import re
from pathlib import Path

import html5lib
import ipywidgets
import msgspec
import pytest

from kanslib import i18n
from kanslib.exceptions import KanslibError
from kanslib.exercises.catalog import CATALOG
from kanslib.exercises.exercise import OUTCOME_MARKS, AnswerOutcome
from kanslib.exercises.forms import create_form
from kanslib.exercises.session import ExerciseView, Prediction
from kanslib.site.forms import PageForm
from kanslib.site.page_data import inside
from kanslib.site.page_words import WORDS, page_words, words_script
from kanslib.site.progress import chapter_progress_html, page_progress_html, progress_html
from kanslib.site.queries import answered_queries
from kanslib.site.verdicts import Solution, Words
from tests.exercises.test_catalog import where_asked
from tests.exercises.test_forms import click, widgets
from tests.types import OpenLab

PACKAGE = Path(__file__).parents[2] / "src" / "kanslib" / "site"
MOST_SCRIPT = 28_000  # bytes of the scripts of a chapter's page, without comments and indentation


@pytest.fixture(autouse=True)
def mine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KANS_PROGRESS", str(tmp_path / "progress.json"))


def labels(form: ipywidgets.Widget) -> list[str]:
    return [button.description for button in widgets(form, ipywidgets.Button)]


@pytest.mark.parametrize(
    ("name", "missing"),
    [("whose-mac", "choose"), ("candidates-of-svc1", "tick"), ("addresses-for-a-newcomer", "slide"),
     ("lost-seconds", "write")],
)  # fmt: skip
def test_words_are_those_of_the_forms_in_a_lab(open_lab: OpenLab, name: str, missing: str) -> None:
    form = create_form(where_asked(name, open_lab).exercise(name))
    assert labels(form) == [WORDS["check"], WORDS["hint"], WORDS["solution"]]
    said = click(form, "Check")
    assert WORDS["not_answered"] in said
    assert WORDS[missing] in said


def test_words_of_a_prediction_are_those_of_the_form_in_a_lab(open_lab: OpenLab) -> None:
    prediction = open_lab("arp").predict("does-curl-survive")
    assert isinstance(prediction, Prediction)
    form = create_form(prediction)
    assert labels(form) == [WORDS["write_down"]]
    guesses = page_words()["guesses"]
    assert isinstance(guesses, dict)
    assert guesses[""][1] in widgets(form, ipywidgets.HTML)[0].value
    widgets(form, ipywidgets.RadioButtons)[0].value = prediction.exercise.choices[0].key
    said = click(form, "Write it down")
    assert WORDS["your_prediction"] in said
    assert WORDS["written_down"] in said
    assert guesses["written"][1] in widgets(form, ipywidgets.HTML)[0].value


def test_marks_of_choices_are_those_of_the_form_in_a_lab(open_lab: OpenLab) -> None:
    form = create_form(open_lab("arp").exercise("whose-mac"))
    radio = widgets(form, ipywidgets.RadioButtons)[0]
    shown = ""
    for _, key in radio.options:
        radio.value = key
        click(form, "Check")
        shown = " ".join(text for text, _ in radio.options)
    assert WORDS["right"] in shown
    assert WORDS["not_right"] in shown


def test_every_word_is_used_and_no_script_has_its_own() -> None:
    scripts = "".join(path.read_text() for path in sorted((PACKAGE / "static").glob("kans-*.js")))
    python = "".join(path.read_text() for path in PACKAGE.glob("*.py") if path.name != "page_words.py")
    used = set(re.findall(r"(?<!_)words\.(\w+)", scripts)) | set(re.findall(r'WORDS\["(\w+)"\]', python))
    assert used == set(WORDS)
    shown = re.findall(r"(?:textContent = |text = |append\()[\"'`]([A-Za-z][^\"'`]*)", scripts)
    assert shown == []


def test_forms_share_no_class_with_figures_and_tables() -> None:
    """A page has both: a rule for a form would hold for a cell of a table."""
    styles = "".join((PACKAGE / "static" / name).read_text() for name in ("kans-forms.css", "kans-progress.css"))
    figures = "".join(path.read_text() for path in (PACKAGE.parent / "render").rglob("*.py"))
    of_forms, of_figures = (set(re.findall(r"kans-[a-z-]*[a-z]", text)) for text in (styles, figures))
    assert ("kans-amount" in of_forms, "kans-number" in of_figures) == (True, True)
    assert of_forms & of_figures == set()


def test_scripts_are_small_and_need_no_inline_code() -> None:
    scripts = [path for path in (PACKAGE / "static").glob("kans-*.js") if path.name != "kans-search.js"]
    lines = [line.strip() for path in scripts for line in path.read_text().splitlines()]
    code = "\n".join(line for line in lines if line and not line.startswith(("//", "/**")))
    assert len(code.encode()) < MOST_SCRIPT
    assert re.findall(r"\beval\(|new Function|setAttribute\(\"on|\.on[a-z]+ = ", code) == []


def test_words_script_names_each_outcome() -> None:
    script = words_script().removeprefix("(globalThis.kans ??= {}).page = ").removesuffix(";\n")
    words = msgspec.json.decode(script)
    assert set(words["outcomes"]) == {one.value for one in AnswerOutcome}
    assert words["outcomes"]["wrong"] == list(OUTCOME_MARKS[AnswerOutcome.WRONG])
    with i18n.use("en"):
        assert words["words"]["check"] == "Check"


@pytest.mark.parametrize("name", ["whose-mac", "candidates-of-svc1", "lost-seconds", "case-1", "write-the-election"])
def test_form_is_sound_html(open_lab: OpenLab, name: str) -> None:
    view = where_asked(name, open_lab).exercise(name)
    solution = Solution(Words("Solution", ["One <b>.", "Two."], "def f(): ..."), [])
    form = PageForm(view, "kans-1", view.options(), (0, 10, 1), inside([1]), solution, ["lab.pods()"], inside([2]))
    html = str(form.html())
    tree = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parseFragment(html)
    assert tree.find("form/fieldset/legend").text == view.exercise.question
    assert "on" not in {key for element in tree.iter() for key in element.attrib if key.startswith("on")}
    folded = html.partition('<details class="kans-paper-solution">')[2]
    assert "One &lt;b&gt;.<br>Two." in folded


def test_form_of_a_prediction_has_no_help(open_lab: OpenLab) -> None:
    prediction = open_lab("arp").predict("does-curl-survive")
    assert isinstance(prediction, ExerciseView)
    html = str(PageForm(prediction, "kans-1").html())
    assert "data-guess" in html
    assert 'name="hint"' not in html
    assert "Predict. " in html


def test_progress_names_every_exercise_once() -> None:
    html = str(progress_html(CATALOG, {"whose-mac": "chapters/03-arp.html#kans-whose-mac"}, {"03": "ARP"}))
    assert "&#34;03&#34;:&#34;ARP&#34;" in html
    chapters = msgspec.json.decode(html.partition('type="application/json">')[2].partition("<")[0])
    assert [name for names in chapters.values() for name in names] == sorted(
        CATALOG, key=lambda name: CATALOG[name].chapter
    )
    assert chapters["03"]["whose-mac"] == "chapters/03-arp.html#kans-whose-mac"
    assert '"04":' not in str(chapter_progress_html(CATALOG, "03"))
    assert '{"03":{"whose-mac":"#kans-whose-mac"}}' in str(page_progress_html({"whose-mac": CATALOG["whose-mac"]}))


@pytest.mark.slow
def test_answered_queries_prove_every_case() -> None:
    """Nobody can name evidence in a page for which the page has no query."""
    for number in range(1, 10):
        exercise = CATALOG[f"case-{number}"]
        asked = answered_queries(exercise.id)
        assert {query.evidence for query in asked} <= {choice.key for choice in exercise.parts["evidence"]}
        proofs = {
            evidence
            for name, queries in exercise.places.items()
            for evidence in queries
            if evidence in {query.evidence for query in asked}
        }
        assert len(proofs) > 5, exercise.id
        assert all(query.html and query.code.startswith("lab.") for query in asked)


def test_kernel_needs_the_folder_of_the_scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    from IPython.core.interactiveshell import InteractiveShell

    from kanslib.site.kernel import load_ipython_extension

    monkeypatch.delenv("KANS_SITE_DATA", raising=False)
    with pytest.raises(KanslibError, match="KANS_SITE_DATA"):
        load_ipython_extension(InteractiveShell())
