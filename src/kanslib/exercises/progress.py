"""What a learner has done: a small file on this machine, and a token that carries it elsewhere."""

from __future__ import annotations

import base64
import os
import tempfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec

from kanslib.exceptions import KanslibError
from kanslib.exercises.exercise import AnswerOutcome
from kanslib.i18n import tr

FORMAT: Final = 1
_TOKEN_PREFIX = "kans1."
LARGEST_FILE = 1 << 20  # bytes of JSON, packed in a token or not; all exercises of the course take 20,000
_FROM_WORST_TO_BEST = (
    AnswerOutcome.NOT_TRIED, AnswerOutcome.WRONG, AnswerOutcome.RIGHT_AFTER_HELP, AnswerOutcome.RIGHT,
)  # fmt: skip


def _unique(*parts: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(parts))


@dataclass(frozen=True)
class ExerciseRecord:
    """One exercise: its best outcome so far, how often it was tried, how much help was taken, which misconceptions."""

    outcome: AnswerOutcome = AnswerOutcome.NOT_TRIED
    tries: int = 0
    hints: int = 0
    saw_solution: bool = False
    misconceptions: tuple[str, ...] = ()

    def merge(self, other: ExerciseRecord) -> ExerciseRecord:
        """Return both together: the better outcome, the larger numbers."""
        return ExerciseRecord(
            max(self.outcome, other.outcome, key=_FROM_WORST_TO_BEST.index),
            max(self.tries, other.tries),
            max(self.hints, other.hints),
            self.saw_solution or other.saw_solution,
            _unique(*self.misconceptions, *other.misconceptions),
        )


@dataclass
class Progress:
    """All records by exercise id.

    path: the file that keeps them; None where there is none
    notice: what the learner has to know about the file; empty for nothing
    """

    path: Path | None
    records: dict[str, ExerciseRecord] = field(default_factory=dict)
    notice: str = ""

    def of(self, exercise: str) -> ExerciseRecord:
        """Return the record of one exercise; an empty one before the first try."""
        return self.records.get(exercise, ExerciseRecord())

    def record_try(self, exercise: str, outcome: AnswerOutcome, misconception: str = "") -> None:
        """Record an answer. A right answer stays right; one that is not tried is not recorded."""
        if outcome is AnswerOutcome.NOT_TRIED:
            return
        shown = (misconception,) if misconception else ()
        merged = self.of(exercise).merge(ExerciseRecord(outcome, misconceptions=shown))
        self.records[exercise] = replace(merged, tries=merged.tries + 1)
        self._save()

    def record_help(self, exercise: str, *, hints: int = 0, solution: bool = False) -> None:
        """Record that hints or the solution were taken."""
        self.records[exercise] = self.of(exercise).merge(ExerciseRecord(hints=hints, saw_solution=solution))
        self._save()

    def _save(self) -> None:
        """Write the file whole or not at all: a kernel may end at any moment, and others may have written meanwhile."""
        if self.path is None:
            return
        on_disk = load(self.path)
        self.records = {name: self.of(name).merge(on_disk.of(name)) for name in {*self.records, *on_disk.records}}
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self.path.parent, prefix=".progress-")
            with os.fdopen(handle, "w") as stream:
                stream.write(_to_json(self.records))
            Path(name).replace(self.path)
        except OSError as exc:
            problem = tr("your progress cannot be kept in {path} ({strerror})", path=self.path, strerror=exc.strerror)
            self.notice = tr("{problem}; lab.progress().token carries it", problem=problem)

    @property
    def token(self) -> str:
        """All of it as one line of text, for another machine or a later Binder session."""
        packed = zlib.compress(_to_json(self.records).encode(), 9)
        return _TOKEN_PREFIX + base64.urlsafe_b64encode(packed).decode().rstrip("=")

    def merge_token(self, token: str) -> int:
        """Merge a token's records into these; return how many it held. KanslibError for what is no token."""
        records = read_token(token)
        for name, record in records.items():
            self.records[name] = self.of(name).merge(record)
        self._save()
        return len(records)


def read_token(token: str) -> dict[str, ExerciseRecord]:
    """Return the records of a token. KanslibError says what a token looks like."""
    text = token.strip()
    try:
        if not text.startswith(_TOKEN_PREFIX):
            raise ValueError(tr("its beginning is missing"))
        if len(text) > 2 * LARGEST_FILE:
            raise ValueError(tr("{number:,} characters", number=len(text)))
        body = text.removeprefix(_TOKEN_PREFIX)
        packed = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))
        return _parse(zlib.decompressobj().decompress(packed, LARGEST_FILE))
    except (ValueError, zlib.error) as exc:
        raise KanslibError(
            tr(
                "that is no progress token ({exc}); one begins with {token_prefix!r}: lab.progress().token",
                exc=exc,
                token_prefix=_TOKEN_PREFIX,
            )
        ) from None


def default_path() -> Path:
    """Return where progress is kept: $KANS_PROGRESS, else a file in the learner's data directory.

    KanslibError for a user without a home directory.
    """
    if path := os.environ.get("KANS_PROGRESS"):
        return Path(path).expanduser()
    from platformdirs import user_data_path

    try:
        return Path(user_data_path("kanslib", appauthor=False)) / "progress.json"
    except RuntimeError:
        raise KanslibError(
            tr("this user has no home directory; next step: set HOME, or KANS_PROGRESS to a file")
        ) from None


def load(path: Path) -> Progress:
    """Return the progress in a file; empty when there is none.

    A file that cannot be read is renamed, never overwritten, and the progress has a notice of it. What is no regular
    file (a directory, a device) is left alone, and nothing is kept.
    """
    try:
        if not path.exists():
            return Progress(path)
        if not path.is_file():
            return Progress(None, notice=tr("{path} is no regular file; what you do now is not kept", path=path))
        with path.open("rb") as stream:
            return Progress(path, _parse(stream.read(LARGEST_FILE + 1)))
    except (OSError, ValueError) as exc:
        return _set_aside(path, str(exc))


def _set_aside(path: Path, problem: str) -> Progress:
    """Rename a file that cannot be read, and begin anew."""
    renamed = path.with_name(f"{path.stem}-unreadable-{datetime.now(UTC):%Y%m%d-%H%M%S-%f}{path.suffix}")
    try:
        path.rename(renamed)
    except OSError:
        return Progress(
            None,
            notice=tr("{path} cannot be read ({problem}); what you do now is not kept", path=path, problem=problem),
        )
    notice = tr(
        "{path} cannot be read ({problem}): it was set aside as {name}, nothing is lost",
        path=path,
        problem=problem,
        name=renamed.name,
    )
    return Progress(path, notice=notice)


def _to_json(records: Mapping[str, ExerciseRecord]) -> str:
    """Return the records in the file's format; `ideas` are the misconceptions."""
    entries = {
        name: _Entry(one.outcome, one.tries, one.hints, one.saw_solution, one.misconceptions)
        for name, one in sorted(records.items())
    }
    return msgspec.json.format(msgspec.json.encode(_File(FORMAT, entries)), indent=1).decode() + "\n"


class _Entry(msgspec.Struct, frozen=True):
    """One exercise in the file."""

    outcome: AnswerOutcome
    tries: Annotated[int, msgspec.Meta(ge=0)]
    hints: Annotated[int, msgspec.Meta(ge=0)]
    saw_solution: bool
    ideas: tuple[str, ...]


class _File(msgspec.Struct, frozen=True):
    """The whole file."""

    format: Literal[1]
    entries: Mapping[str, _Entry]


def _parse(content: bytes) -> dict[str, ExerciseRecord]:
    """Return the records in a file's JSON. ValueError for anything else."""
    if len(content) > LARGEST_FILE:
        raise ValueError(tr("more than {largest_file:,} bytes", largest_file=LARGEST_FILE))
    try:
        entries = msgspec.json.decode(content, type=_File).entries
    except (msgspec.DecodeError, RecursionError) as exc:
        raise ValueError(tr("not a progress file of format {format}: {exc}", format=FORMAT, exc=exc)) from None
    return {
        name: ExerciseRecord(one.outcome, one.tries, one.hints, one.saw_solution, one.ideas)
        for name, one in entries.items()
    }
