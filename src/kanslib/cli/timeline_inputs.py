"""Read the files of `kans timeline`: captures, and logs of speakers however they were fetched."""

from __future__ import annotations

import codecs
import gzip
import re
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from kanslib.analysis import captures, speaker_logs
from kanslib.analysis.capture_limits import capture_limits
from kanslib.analysis.duplicates import without_duplicates
from kanslib.exceptions import KanslibError, RecordingError
from kanslib.i18n import parted, tr, tr_plural
from kanslib.iptables.dump_text import decode
from kanslib.k8s.log_lines import LogLine, by_pod, read_lines
from kanslib.packets import capture
from kanslib.packets.capture import CaptureWarning, Frame
from kanslib.status import show_status

Facts = list[tuple[str, str]]
_GZIP = b"\x1f\x8b"
LARGEST_LOG = 32 << 20  # bytes, unpacked; with its lines read it takes up to six times as much memory
MOST_LINES = 400_000  # a speaker of a small cluster writes so many in days
MOST_FRAMES = 300_000  # that are kept of one capture; to analyse one takes up to 2 kB
_SURROGATES = re.compile("[\ud800-\udfff]")
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)  # as PowerShell's `>` writes a file


@dataclass(frozen=True)
class Inputs:
    """The contents of files: the relevant frames in order of time, the lines of logs by node (or Pod)."""

    frames: list[Frame]
    logs: dict[str, list[LogLine]]


def read_inputs(paths: Sequence[Path], facts: Facts) -> Inputs:
    """Read captures and logs, with a progress bar; append to `facts` what each file holds, and what it lacks.

    KanslibError for a file that is neither.
    """
    frames: list[Frame] = []
    logs: dict[str, list[LogLine]] = {}
    paths = _without_repeated(paths, facts)
    names = _names_of(paths)
    with show_status(
        tr("reading {name}", name=paths[0].name), total=sum(path.stat().st_size for path in paths)
    ) as status:
        for path in paths:
            status.update(tr("reading {name}", name=path.name))
            text = _text_of(path)
            if text is not None:
                for node, lines in _read_log(path, text, facts).items():
                    logs.setdefault(node, []).extend(lines)  # one node may have had several speakers
                status.advance(path.stat().st_size)
            else:
                frames += _read_capture(path, names[path], facts, status.advance)
    kept, copies = without_duplicates(sorted(frames, key=lambda frame: frame.time))
    if copies:
        facts.append(
            (
                tr("captures"),
                tr_plural(
                    "{n} frame is a copy of another one, captured at another place: counted once",
                    "{n:,} frames are copies of others, captured at another place: counted once",
                    copies,
                ),
            )
        )
    return Inputs(kept, logs)


def _without_repeated(paths: Sequence[Path], facts: Facts) -> list[Path]:
    """Return each file once."""
    kept: dict[Path, Path] = {}
    for path in paths:
        if kept.setdefault(path.resolve(), path) is not path:
            facts.append((path.name, tr("given more than once: read once")))
    return list(kept.values())


def _names_of(paths: Sequence[Path]) -> dict[Path, str]:
    """Return the name of each file; with its folders where several files have the same name."""
    counts = Counter(path.name for path in paths)
    return {path: path.name if counts[path.name] == 1 else str(path) for path in paths}


def _text_of(path: Path) -> str | None:
    """Return the text of a text file, also of a gzipped one; None for a binary file. KanslibError for a huge one."""
    try:
        with path.open("rb") as raw, gzip.GzipFile(fileobj=raw) as unpacked:
            stream = unpacked if raw.peek(2)[:2] == _GZIP else raw
            head = stream.read(4096)
            if b"\0" in head and not head.startswith(_UTF16):
                return None
            data = head + stream.read(LARGEST_LOG)
    except (OSError, EOFError, zlib.error):  # a damaged gzip file: the reader of captures says what is wrong with it
        return None
    if len(data) > LARGEST_LOG or data.count(b"\n") > MOST_LINES:
        raise KanslibError(
            tr(
                "{path}: expected a log of at most {largest_log:,} bytes and {most_lines:,} lines: cut it "
                "to the outage",
                path=path,
                largest_log=LARGEST_LOG,
                most_lines=MOST_LINES,
            )
        )
    return _SURROGATES.sub("?", decode(data))  # a page is UTF-8


def _read_log(path: Path, text: str, facts: Facts) -> dict[str, list[LogLine]]:
    """Return the lines of a log by the node that the file name says (NAME@NODE.log), or by the Pods in its lines."""
    pods = by_pod(read_lines(text))
    node = path.name.partition(".log")[0].rpartition("@")[2]
    logs = {(node if len(pods) == 1 and "@" in path.name else pod or node): lines for pod, lines in pods.items()}
    lines = [line for kept in logs.values() for line in kept]
    times = [line.time for line in lines if line.time is not None]
    has_events = any(speaker_logs.is_event(line) for line in lines)
    if not times and not has_events:
        raise KanslibError(
            tr(
                "{path}: neither a capture nor a log of a MetalLB speaker; expected lines as from: kubectl "
                "-n metallb-system logs --timestamps SPEAKER-POD",
                path=path,
            )
        )
    facts.append((path.name, tr_plural("a log of {n} line", "a log of {n:,} lines", len(text.splitlines()))))
    if not has_events:
        facts.append((path.name, tr("no line in it is a speaker's about a Service or a member: it adds nothing")))
    elif times and all(time == int(time) for time in times):
        facts.append((path.name, tr("its times are whole seconds; kubectl logs --timestamps gives more")))
    return logs


def _read_capture(path: Path, name: str, facts: Facts, advance: Callable[[int], object]) -> list[Frame]:
    counts = {"frames": 0, "malformed": 0}
    wrong: list[str] = []

    def count_frames() -> Iterator[Frame]:
        with path.open("rb") as stream:
            position = 0
            for frame in capture.read(stream, name):
                counts["frames"] += 1
                if counts["frames"] % 5000 == 0:
                    advance(stream.tell() - position)
                    position = stream.tell()
                if frame.malformed and not frame.is_truncated:
                    counts["malformed"] += 1
                    wrong.append(tr("frame {number}: {malformed}", number=frame.number, malformed=frame.malformed))
                    del wrong[5:]
                yield frame
            advance(stream.tell() - position)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", CaptureWarning)
        try:
            kept = list(islice(captures.relevant_frames(count_frames()), MOST_FRAMES + 1))
        except RecordingError as exc:
            raise KanslibError(tr("{exc}; and not a text file, so no log either", exc=exc)) from None
    if len(kept) > MOST_FRAMES:
        raise KanslibError(
            tr(
                "{name}: more than {most_frames:,} frames about addresses and connections; cut it to the "
                "outage first, as with: editcap -A '2026-11-23 13:30:00' -B '2026-11-23 13:40:00' IN OUT",
                name=name,
                most_frames=MOST_FRAMES,
            )
        )
    seconds = kept[-1].time - kept[0].time if kept else 0.0
    facts.append(
        (
            name,
            tr_plural(
                "{n} frame in {seconds:.1f} s", "{n:,} frames in {seconds:.1f} s", counts["frames"], seconds=seconds
            ),
        )
    )
    facts.extend((name, str(one.message)) for one in caught)
    facts.extend((name, tr("limit of this capture: {limit}", limit=limit)) for limit in capture_limits(kept))
    if counts["malformed"]:
        facts.append(
            (
                name,
                tr(
                    "{malformed:,} malformed frames, e.g. {wrong}",
                    malformed=counts["malformed"],
                    wrong=parted(wrong),
                ),
            )
        )
    return kept
