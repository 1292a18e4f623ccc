"""Make src/kanslib/locale/kanslib.pot, every message that kanslib shows, and update the catalogue of each language.

`python docs/make_catalogue.py` after a text has changed; `python docs/make_catalogue.py ko` also starts a catalogue of
that language. A test compares the committed template with what this makes.
"""

from __future__ import annotations

import ast
import io
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from typer.main import get_command

from kanslib.actions import ACTIONS
from kanslib.cli import help_texts
from kanslib.cli.app import app
from kanslib.exercises import messages
from kanslib.exercises.catalog import CATALOG
from kanslib.exercises.catalog.ch08_broken_labs import COMPLAINTS

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "kanslib"
LOCALE = PACKAGE / "locale"
# how many of its arguments are messages; that of UnknownNameError says what kind of thing has no such name
MESSAGES_OF = {"tr": 1, "tr_later": 1, "tr_plural": 2, "UnknownNameError": 1}
_HEADER = (
    "# Messages of kanslib, a course on LoadBalancer Services on bare metal.\n# Made by docs/make_catalogue.py.\n#"
)
_BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)  # no date of today: the same texts make the same file
Found = tuple[str | tuple[str, ...], str, list[str]]  # message or its two forms, file, comments for translators


def template() -> str:
    """Return the text of kanslib.pot."""
    catalog = Catalog(
        project="kanslib", header_comment=_HEADER, creation_date=_BEGINNING, revision_date=_BEGINNING, fuzzy=False
    )
    for message, file, comments in (*_marked(), *_help(), *_actions(), *_exercises()):
        catalog.add(message, locations=[(file, 0)], auto_comments=comments)
    return _written(catalog)


def _marked() -> Iterator[Found]:
    """Find the messages that stand in the code, in `tr`, `tr_later` and `tr_plural`."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name):
                parts = call.args[: MESSAGES_OF.get(call.func.id, 0)]
                found = [
                    str(one.value) for one in parts if isinstance(one, ast.Constant)
                ]  # others are marked elsewhere
                if found:
                    yield found[0] if len(found) == 1 else tuple(found), path.relative_to(ROOT).as_posix(), []


def _help() -> Iterator[Found]:
    """Find the help texts of `kans`: the tree of commands has them."""
    for command, text in help_texts.texts(get_command(app)):
        yield text, "src/kanslib/cli/app.py", [command]


def _actions() -> Iterator[Found]:
    for verb, row in ACTIONS.items():
        yield row.done, "src/kanslib/actions.py", [f"the action {verb}, once it is done"]


def _exercises() -> Iterator[Found]:
    for case, complaint in COMPLAINTS.items():
        yield complaint, "src/kanslib/exercises/catalog/ch08_broken_labs.py", [f"complaint of {case}"]
    for exercise in CATALOG.values():
        file = sys.modules[exercise.expected_answer.__module__].__file__ or ""
        for kind, text in messages.texts(exercise):
            yield text, Path(file).resolve().relative_to(ROOT).as_posix(), [f"exercise {exercise.id}: {kind}"]


def _written(catalog: Catalog) -> str:
    out = io.BytesIO()
    write_po(out, catalog, width=120, include_lineno=False, ignore_obsolete=True)
    text = re.sub(r'"Generated-By: .*\n', "", out.getvalue().decode())  # another Babel makes the same file
    return text.rstrip() + "\n"


def update(language: str) -> None:
    """Bring the catalogue of a language up to date, or start it, and compile it."""
    path = LOCALE / language / "LC_MESSAGES" / "kanslib.po"
    path.parent.mkdir(parents=True, exist_ok=True)
    made = read_po(io.BytesIO(template().encode()))
    catalog = read_po(io.BytesIO(path.read_bytes()), locale=language) if path.exists() else Catalog(language)
    catalog.update(made)
    path.write_text(_written(catalog), encoding="utf-8")
    with path.with_suffix(".mo").open("wb") as out:
        write_mo(out, catalog)
    print(path.relative_to(ROOT))


def _main() -> None:
    LOCALE.mkdir(exist_ok=True)
    (LOCALE / "kanslib.pot").write_text(template(), encoding="utf-8")
    languages = {path.parts[-3] for path in LOCALE.glob("*/LC_MESSAGES/kanslib.po")}
    for language in sorted(languages | set(sys.argv[1:])):
        update(language)


if __name__ == "__main__":
    _main()
