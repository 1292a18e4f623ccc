"""Record a run of the chapters: merge watches, logs and the kernels' journals into one raw recording.

Each chapter's kernel writes a journal of its queries, actions and captures. The recorder watches the API server and
follows the logs from the first chapter to the last, so that nothing is missing between two kernels.
"""

from __future__ import annotations

import json
import logging
import shutil
import threading
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from kanslib.actions import ACTIONS
from kanslib.cluster import docker, lifecycle
from kanslib.cluster.api import Watches
from kanslib.cluster.session import record_logs
from kanslib.exceptions import KanslibError
from kanslib.packets.capture import Frame
from kanslib.packets.pcap import filter_pcap
from kanslib.recording.format import verb_in_memory
from kanslib.recording.raw.journal import Journal

_LOG = logging.getLogger(__name__)
_ROWS = ("acts.ndjson", "settled.ndjson", "stories.ndjson")
_GOSSIP_PORT = 7946
_LOG_EVERY = 5.0


class Recorder:
    """Watches the API server and follows logs from its creation until `stop`.

    `folder`: the folder of the kernels' journals.
    """

    def __init__(self, folder: Path) -> None:
        lifecycle.guard()
        self.folder, self._stopped = folder, threading.Event()
        self._journal = Journal(folder / "whole")
        self._watches = Watches(self._journal.event)
        self._follower = threading.Thread(target=self._follow, daemon=True)
        self._follower.start()

    def _follow(self) -> None:
        while not self._stopped.wait(_LOG_EVERY):
            try:
                record_logs(self._watches, self._journal)
            except KanslibError as exc:  # `stop` does this once more, and raises what is wrong for good
                _LOG.warning("the logs of MetalLB are not recorded now: %s", exc)

    def stop(self, raw: Path) -> Path:
        """Stop, write everything to the new folder `raw` as a raw recording, and return it."""
        self._stopped.set()
        self._follower.join(60)
        record_logs(self._watches, self._journal)
        self._watches.close()
        merge_journals(self.folder, raw)
        return raw


def merge_journals(folder: Path, raw: Path) -> None:
    """Merge the recorder's journal and those of the kernels in order of time; write them to the new folder `raw`."""
    journals = sorted((path for path in folder.glob("kans-*") if (path / "stories.ndjson").exists()), key=_start_time)
    shutil.copytree(folder / "whole", raw)
    for name in _ROWS:
        rows = sorted((row for path in journals for row in _rows(path / name)), key=_moment)
        _write(raw / name, rows)
    reads = []
    for number, path in enumerate(journals):
        for row in _rows(path / "reads.ndjson"):
            file = f"reads/{number:02}-{Path(row['file']).name}"
            shutil.copyfile(path / row["file"], raw / file)
            reads.append({**row, "file": file})
        for probes in sorted((path / "probes").glob("*.ndjson")):
            shutil.copyfile(probes, raw / "probes" / f"{number:02}-{probes.name}")
    _write(raw / "reads.ndjson", sorted(reads, key=_moment))
    _write_captures(journals, raw)
    _write_places(journals, raw)


def _rows(file: Path) -> Iterator[dict[str, Any]]:
    if file.exists():
        yield from (json.loads(line) for line in file.read_text().splitlines())


def _moment(row: dict[str, Any]) -> float:
    return float(row.get("t") or row["settled"])


def _start_time(path: Path) -> float:
    return min(_moment(row) for row in _rows(path / "stories.ndjson"))


def _write(file: Path, rows: Sequence[dict[str, Any]]) -> None:
    file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def _write_captures(journals: Sequence[Path], raw: Path) -> None:
    node_spans = [(row["t"] - 5, row["end"] + 20) for row in _rows(raw / "acts.ndjson") if _changes_node(row)]
    story_spans = list(_story_spans(list(_rows(raw / "stories.ndjson"))))
    for number, path in enumerate(journals):
        for file in sorted((path / "captures").glob("*.pcap")):
            kept = filter_pcap(file.read_bytes(), lambda time, raw: _is_kept(Frame(time, raw), story_spans, node_spans))
            (raw / "captures" / f"{number:02}-{file.name}").write_bytes(kept)


def _changes_node(row: dict[str, Any]) -> bool:
    """Return True for the loss or return of a node; encrypted gossip compresses badly and is kept only around these."""
    return ACTIONS[verb_in_memory(row["verb"], row["targets"], row["cmd"])].targets == "node"


def _story_spans(stories: Sequence[dict[str, Any]]) -> Iterator[tuple[float, float]]:
    """Yield start and end (Unix seconds) of each time in which a story is open."""
    for row, following in pairwise([*stories, {"t": float("inf")}]):
        if row["story"]:
            yield row["t"] - 1, following["t"]


def _is_kept(
    frame: Frame, story_spans: Sequence[tuple[float, float]], node_spans: Sequence[tuple[float, float]]
) -> bool:
    ports = {port for layer in (frame.udp, frame.tcp) if layer for port in (layer.sport, layer.dport)}
    spans = node_spans if _GOSSIP_PORT in ports else story_spans
    return any(start <= frame.time <= end for start, end in spans)


def _write_places(journals: Sequence[Path], raw: Path) -> None:
    places: dict[str, Any] = {}
    for path in journals:
        own = json.loads((path / "places.json").read_text())
        addresses = {**places.get("addresses", {}), **own["addresses"]}
        addresses = {name: address for name, address in addresses.items() if not name.startswith("kans-")}
        places = {**own, "router": own["router"] or places.get("router"), "addresses": addresses}
    places["addresses"].pop(docker.CONFLICTING_HOST, None)
    (raw / "places.json").write_text(json.dumps(places))


def versions() -> dict[str, str]:
    """Return the versions that a recording's objects do not contain: that of kind."""
    words = docker.command("kind", "version").out.split()
    return {"kind": words[1]} if len(words) > 1 else {}
