"""Fuzz the reader of captures, its layers, BGP and the analysis with atheris, from real captures on.

    pip install atheris && python bench/fuzz_captures.py -max_total_time=600

Ends with a traceback and the input when bytes crash it or the analysis of an outage, hang it (25 s), or give other
columns than frames.
"""

from __future__ import annotations

import io
import sys
import tempfile
import warnings
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parent.parent / "src"))

with atheris.instrument_imports(include=["kanslib.packets", "kanslib.analysis"]):
    from kanslib.analysis import captures
    from kanslib.analysis.duplicates import without_duplicates
    from kanslib.analysis.neighbor_cache import neighbor_updates
    from kanslib.analysis.neighbors import NeighborAnalysis
    from kanslib.course.recordings import shipped
    from kanslib.exceptions import RecordingError
    from kanslib.packets import bgp, capture
    from kanslib.packets.capture import Frame
    from kanslib.recording import Recording
    from tests.packets.malformed_captures import all_of_them
    from tests.packets.test_table import same

seen = {"read": 0, "refused": 0}
warnings.simplefilter("ignore", capture.CaptureWarning)


def one(data: bytes) -> None:
    """Read one input in every way; an exception other than RecordingError is a finding."""
    try:
        frames = list(capture.read(io.BytesIO(data)))
        for frame in frames:
            assert str(frame)
            assert frame.http is None or str(frame.http)
        for heard in bgp.messages(frames):
            assert str(heard.message)
        analyse(frames)
        if data[:2] != b"\x1f\x8b":
            same(data)
        seen["read"] += 1
    except RecordingError:
        seen["refused"] += 1
    if (total := sum(seen.values())) % 20_000 == 0:
        print(f"{total:,} captures: {seen}", flush=True)


def analyse(frames: list[Frame]) -> None:
    """Analyse frames as `kans timeline` does."""
    kept, _ = without_duplicates(sorted(captures.relevant_frames(frames), key=lambda frame: frame.time))
    vips = captures.likely_vips(kept)
    captures.outage_from_captures(kept, {}, dict.fromkeys(vips, "svc"))
    neighbors = NeighborAnalysis.of(kept)
    neighbors.conflicts()
    neighbors.announcements()
    for address in neighbors.addresses:
        neighbors.takeovers(address)
        neighbor_updates(neighbors, address, neighbors.ownership(address)[0].mac, kept)


def corpus(folder: Path) -> None:
    """Write the beginning of every real capture, and malformed ones, to a folder."""
    recording = Recording.open(shipped("l2"))
    for number, name in enumerate(recording.under("captures").values()):
        (folder / f"real-{number}").write_bytes(recording.read(name)[:3000])
    for number, (_, content) in enumerate(all_of_them()):
        (folder / f"odd-{number}").write_bytes(content[:4000])


def main() -> None:
    """Fuzz until the time is over."""
    with tempfile.TemporaryDirectory() as folder:
        corpus(Path(folder))
        atheris.Setup([sys.argv[0], folder, "-max_len=6000", "-timeout=25", *sys.argv[1:]], one)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
