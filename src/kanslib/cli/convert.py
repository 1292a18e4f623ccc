"""`kans convert`: make one recording of raw recordings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kanslib.cli.output_files import check_new_output
from kanslib.cli.terminal import plain_console
from kanslib.exceptions import KanslibError
from kanslib.i18n import listed, tr, tr_plural
from kanslib.recording import Recording
from kanslib.recording.raw.convert import Labels
from kanslib.recording.raw.convert import convert as convert_raw
from kanslib.recording.verify import verify
from kanslib.status import show_status

console = plain_console()


def convert(paths: Sequence[Path], title: str, versions: Sequence[str], substitutes: Sequence[str]) -> None:
    """Convert the raw recordings `paths[:-1]` to `paths[-1]`, check the result and print its contents."""
    *raws, out = paths
    if not raws:
        raise KanslibError(
            tr("kans convert needs at least one raw recording and then the output: kans convert RAW... OUT")
        )
    pairs = [pair.partition("=") for pair in versions]
    for name, equals, value in pairs:
        if not (name and equals and value):
            raise KanslibError(
                tr(
                    "--versions needs name=version, e.g. kind=v0.24.0, not {pair!r}",
                    pair=name + equals + value,
                )
            )
    check_new_output("OUT", out)
    write_recording(raws, out, Labels(title, {name: value for name, _, value in pairs}, tuple(substitutes)))


def write_recording(raws: Sequence[Path], out: Path, labels: Labels) -> None:
    """Convert raw recordings, check the result, and only then write it to `out`; print its contents."""
    with show_status(tr("converting {raws}", raws=listed(raw.name for raw in raws))) as status:

        def check(made: Recording) -> None:
            status.update(tr("verifying {name}", name=out.name))
            verify(made)

        recording = convert_raw(raws, out, labels, check)
    size = out.stat().st_size if out.is_file() else sum(p.stat().st_size for p in out.rglob("*") if p.is_file())
    console.print(
        tr_plural(
            "{out}: {n} file, {size:.2f} MB, verified",
            "{out}: {n} files, {size:.2f} MB, verified",
            len(recording.manifest.files),
            out=out,
            size=size / 1e6,
        )
    )
    stories = listed(story.name for story in recording.manifest.stories)
    console.print(tr("stories: {stories}", stories=stories))
