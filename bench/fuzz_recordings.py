"""Fuzz the readers of recordings, raw recordings, progress and logs: small ones, of which something is changed.

    python bench/fuzz_recordings.py --seconds 600 [--seed 7]

JSON is changed as a tree, so that most of it stays readable, and everything else byte by byte. Ends with a traceback
and the seed when anything but a KanslibError comes out.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
sys.path.insert(0, str(Path(__file__).parent.parent / "src"))

from kanslib.backends.observed_actions import observed_actions
from kanslib.backends.recorded import RecordedBackend
from kanslib.comparison.recordings import compare
from kanslib.exceptions import KanslibError
from kanslib.exercises import progress
from kanslib.k8s import kubectl, log_lines
from kanslib.recording import Recording
from kanslib.recording.files import MemoryFiles
from kanslib.recording.format import Manifest
from kanslib.recording.raw.convert import convert
from kanslib.recording.verify import verify
from tests.hostile import good
from tests.hostile.inputs import LINE
from tests.hostile.inputs import progress as progress_file
from tests.hostile.zips import write_zip

VALUES: tuple[object, ...] = (
    None, True, False, 0, -1, 1e300, 10**30, "", "x", "\x1b[31m", "../x", [], {}, [[]], {"": {}}, "172.18.0.9",
    "2026-11-23T07:00:00Z", [None], ["x"], 1.5, 253_402_300_799, 65_536,
)  # fmt: skip


def changed_tree(value: object, chance: random.Random) -> object:
    """Return a JSON value in which one thing is otherwise."""
    if isinstance(value, dict) and value and chance.random() < 0.9:
        name = chance.choice(sorted(value))
        rest = {key: one for key, one in value.items() if key != name}
        if chance.random() < 0.1:
            return rest
        return rest | {name: changed_tree(value[name], chance)}
    if isinstance(value, list) and value and chance.random() < 0.9:
        place = chance.randrange(len(value))
        if chance.random() < 0.1:
            return [*value, *value]
        return [*value[:place], changed_tree(value[place], chance), *value[place + 1 :]]
    return chance.choice(VALUES)


def changed_bytes(data: bytes, chance: random.Random) -> bytes:
    """Return bytes of which some are otherwise, more, or missing."""
    out = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 8))):
        place = chance.randrange(len(out) + 1)
        kind = chance.randrange(4)
        if kind == 0:
            out[place : place + 1] = bytes([chance.randrange(256)])
        elif kind == 1:
            del out[place : place + chance.choice((1, 4, 30))]
        elif kind == 2:
            out[place:place] = chance.choice((b"\0", b"\xff\xff\xff\xff", b"\n", b'"', b"9" * 30, out[:30]))
        else:
            out[place : place + 4] = chance.choice((b"\0\0\0\0", b"\xff\xff\xff\x7f", b"\1\0\0\0"))
    return bytes(out)


def changed(name: str, data: bytes, chance: random.Random) -> bytes:
    """Return another content of a file: as JSON where it is some, in most cases."""
    if not name.endswith("json") or chance.random() < 0.1:
        return changed_bytes(data, chance)
    lines = data.splitlines()
    place = chance.randrange(len(lines))
    tree = changed_tree(json.loads(lines[place]), chance)
    return b"\n".join([*lines[:place], json.dumps(tree).encode(), *lines[place + 1 :]]) + b"\n"


def fuzz_recording(chance: random.Random, _folder: Path) -> None:
    """Change a file of a recording, whose manifest is right about it; then ask everything."""
    name = chance.choice(sorted(good.FILES))
    files = good.FILES | {name: changed(name, good.FILES[name], chance)}
    manifest = good.manifest(files)
    if chance.random() < 0.3:
        manifest = changed(good.MANIFEST, manifest, chance)
    made = Recording(Path("r"), Manifest.from_json(manifest), MemoryFiles({good.MANIFEST: manifest, **files}))
    questions: tuple[Callable[[], object], ...] = (
        lambda: verify(made),
        lambda: list(compare(made, made)),
        lambda: [one.outage for one in observed_actions(made)],
        lambda: tables(RecordedBackend(made)),
    )
    for question in questions:
        with_kanslib_errors(question)


def tables(backend: RecordedBackend) -> None:
    """Print the objects of every kind as kubectl does."""
    for kind in ("services", "nodes", "pods", "events", "endpointslices", "servicel2statuses"):
        with_kanslib_errors(lambda kind=kind: kubectl.rows(kind, backend.objects(kind), backend.now()))  # type: ignore[misc]
    with_kanslib_errors(backend.mac_owners)


def with_kanslib_errors(question: Callable[[], object]) -> None:
    """Ask a question that may be refused; anything but a KanslibError is a finding."""
    with suppress(KanslibError):
        question()


def fuzz_zip(chance: random.Random, folder: Path) -> None:
    """Change bytes of a zip."""
    data = write_zip(folder / "whole.zip", good.members()).read_bytes()
    (folder / "r.zip").write_bytes(changed_bytes(data, chance))
    verify(Recording.open(folder / "r.zip"))


def fuzz_raw(chance: random.Random, folder: Path) -> None:
    """Change a file of a raw recording."""
    name = chance.choice(sorted(good.RAW))
    place = folder / f"raw-{chance.random()}" / "raw"
    good.written(place, good.RAW | {name: changed(name, good.RAW[name], chance)})
    convert([place], place / "out.zip", check=verify)


def fuzz_progress(chance: random.Random, folder: Path) -> None:
    """Change a progress file, and a token of it."""
    data = changed("progress.json", progress_file().encode(), chance)
    token = progress.Progress(None, {"a": progress.ExerciseRecord()}).token
    if chance.random() < 0.5:
        progress.read_token(changed_bytes(token.encode(), chance).decode(errors="surrogateescape"))
    (folder / "progress.json").write_bytes(data)
    progress.load(folder / "progress.json")


def fuzz_log(chance: random.Random, _folder: Path) -> None:
    """Change a line of a log."""
    for line in log_lines.read_lines(changed_bytes(LINE, chance).decode(errors="replace")):
        assert line.fields is not None


FUZZERS = (fuzz_recording, fuzz_zip, fuzz_raw, fuzz_progress, fuzz_log)


def main() -> None:
    """Fuzz until the time is over."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    seed, until, done = options.seed, time.monotonic() + options.seconds, Counter[str]()
    while time.monotonic() < until:
        fuzz = FUZZERS[seed % len(FUZZERS)]
        with tempfile.TemporaryDirectory() as folder:
            try:
                fuzz(random.Random(seed), Path(folder))
                done[f"{fuzz.__name__} read"] += 1
            except KanslibError:
                done[f"{fuzz.__name__} refused"] += 1
            except BaseException:
                print(f"seed {seed}: {fuzz.__name__}")
                raise
        seed += 1
    print(f"{seed - options.seed:,} inputs: {dict(sorted(done.items()))}")


if __name__ == "__main__":
    main()
