"""What a learner has done: a small file on this machine, and a token that carries it elsewhere."""

from __future__ import annotations

import base64
import json
import os
import tempfile
import zlib
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kanslib.exceptions import KanslibError
from kanslib.exercises.exercise import AnswerOutcome

FORMAT = 1
_TOKEN = "kans1."
_RANK = {
    AnswerOutcome.NOT_TRIED.value: 0, AnswerOutcome.WRONG.value: 1,
    AnswerOutcome.RIGHT_AFTER_HELP.value: 2, AnswerOutcome.RIGHT.value: 3,
}  # fmt: skip


@dataclass(frozen=True)
class ExerciseRecord:
    """One exercise: the best that came of it so far, how often it was tried, how much help was taken."""

    outcome: str = AnswerOutcome.NOT_TRIED.value
    tries: int = 0
    hints: int = 0
    saw_solution: bool = False
    ideas: tuple[str, ...] = ()

    def better(self, other: ExerciseRecord) -> ExerciseRecord:
        """Both put together: the better outcome, the larger numbers."""
        best = max(self, other, key=lambda one: _RANK.get(one.outcome, 0))
        return ExerciseRecord(
            best.outcome, max(self.tries, other.tries), max(self.hints, other.hints),
            self.saw_solution or other.saw_solution, tuple(dict.fromkeys((*self.ideas, *other.ideas))),
        )  # fmt: skip


@dataclass
class Progress:
    """All entries by exercise id, and where they are kept; `notice` says what happened to an unreadable file."""

    path: Path | None
    entries: dict[str, ExerciseRecord] = field(default_factory=dict)
    notice: str = ""

    def of(self, exercise: str) -> ExerciseRecord:
        """The entry of one exercise; an empty one before the first try."""
        return self.entries.get(exercise, ExerciseRecord())

    def record_try(self, exercise: str, outcome: AnswerOutcome, idea: str = "") -> None:
        """Note an answer. A right answer stays right."""
        if outcome is AnswerOutcome.NOT_TRIED:
            return
        before = self.of(exercise)
        best = outcome.value if _RANK[outcome.value] > _RANK.get(before.outcome, 0) else before.outcome
        ideas = tuple(dict.fromkeys((*before.ideas, *([idea] if idea else []))))
        self.entries[exercise] = replace(before, outcome=best, tries=before.tries + 1, ideas=ideas)
        self._keep()

    def record_help(self, exercise: str, *, hints: int = 0, solution: bool = False) -> None:
        """Note that a hint or the solution was taken."""
        before = self.of(exercise)
        self.entries[exercise] = replace(
            before, hints=max(before.hints, hints), saw_solution=before.saw_solution or solution
        )
        self._keep()

    def _keep(self) -> None:
        """Write the file whole or not at all: a kernel may end at any moment, and others may have written meanwhile."""
        if self.path is None:
            return
        there = load(self.path)
        self.entries = {
            name: self.entries.get(name, ExerciseRecord()).better(there.entries.get(name, ExerciseRecord()))
            for name in sorted({*self.entries, *there.entries})
        }
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self.path.parent, prefix=".progress-")
            with os.fdopen(handle, "w") as stream:
                stream.write(_text(self.entries))
            Path(name).replace(self.path)
        except OSError as exc:
            why = f"your progress cannot be kept in {self.path} ({exc.strerror})"
            self.notice = f"{why}; lab.progress().token carries it"

    @property
    def token(self) -> str:
        """All of it as one line of text, for another machine or a later Binder session."""
        packed = zlib.compress(_text(self.entries).encode(), 9)
        return _TOKEN + base64.urlsafe_b64encode(packed).decode().rstrip("=")

    def merge_token(self, token: str) -> int:
        """Put a token's entries beside what is here; returns how many it held. KanslibError for what is no token."""
        entries = read_token(token)
        for name, entry in entries.items():
            self.entries[name] = self.of(name).better(entry)
        self._keep()
        return len(entries)


def read_token(token: str) -> dict[str, ExerciseRecord]:
    """The entries of a token. KanslibError says what a token looks like."""
    text = token.strip()
    try:
        if not text.startswith(_TOKEN):
            raise ValueError("its beginning is missing")
        body = text.removeprefix(_TOKEN)
        unpacked = zlib.decompressobj().decompress(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)), 1 << 20)
        return _entries(json.loads(unpacked))
    except (ValueError, zlib.error, KeyError, TypeError, AttributeError) as exc:
        said = f"that is no progress token ({exc}); one begins with {_TOKEN!r}: lab.progress().token"
        raise KanslibError(said) from None


def default_path() -> Path:
    """Where progress is kept: $KANS_PROGRESS, else a file in the learner's data directory."""
    if told := os.environ.get("KANS_PROGRESS"):
        return Path(told).expanduser()
    from platformdirs import user_data_path

    return Path(user_data_path("kanslib", appauthor=False)) / "progress.json"


def load(path: Path) -> Progress:
    """The progress in a file; empty when there is none. A file that cannot be read is set aside, never overwritten."""
    try:
        text = path.read_text()
    except FileNotFoundError:
        return Progress(path)
    except (OSError, UnicodeDecodeError) as exc:
        return _set_aside(path, str(exc))
    try:
        return Progress(path, _entries(json.loads(text)))
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        return _set_aside(path, str(exc))


def _set_aside(path: Path, why: str) -> Progress:
    aside = path.with_name(f"{path.stem}-unreadable-{datetime.now(UTC):%Y%m%d-%H%M%S-%f}{path.suffix}")
    try:
        path.rename(aside)
    except OSError:
        return Progress(None, notice=f"{path} cannot be read ({why}); what you do now is not kept")
    return Progress(path, notice=f"{path} cannot be read ({why}): it was set aside as {aside.name}, nothing is lost")


def _text(entries: dict[str, ExerciseRecord]) -> str:
    kept = {name: asdict(entry) for name, entry in sorted(entries.items())}
    return json.dumps({"format": FORMAT, "entries": kept}, indent=1) + "\n"


def _entries(data: Any) -> dict[str, ExerciseRecord]:
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise ValueError(f"not a progress file of format {FORMAT}")
    return {
        str(name): ExerciseRecord(
            str(row["outcome"]), int(row["tries"]), int(row["hints"]), bool(row["saw_solution"]),
            tuple(map(str, row["ideas"])),
        )
        for name, row in data["entries"].items()
    }  # fmt: skip
