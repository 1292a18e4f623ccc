"""The recorder: watches, logs and journals of a run of the chapters, put together as one raw recording.

Each chapter's kernel keeps a journal of what it asked, did and captured; the recorder itself watches the API
server and follows the logs from the first chapter to the last, so that nothing is missing between kernels.
"""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from kanslib.actions import ACTIONS
from kanslib.cluster import docker, lifecycle
from kanslib.cluster.api import Watches
from kanslib.cluster.session import keep_logs
from kanslib.packets.capture import Frame
from kanslib.packets.pcap import filter_pcap
from kanslib.recording.format import verb_in_memory
from kanslib.recording.raw.journal import Journal

_ROWS = ("acts.ndjson", "settled.ndjson", "stories.ndjson")
_GOSSIP_PORT = 7946
_LOG_EVERY = 5.0


class Recorder:
    """Watches and follows logs from when it is made until `stop`. `folder`: where the kernels leave their journals."""

    def __init__(self, folder: Path) -> None:
        lifecycle.guard()
        self.folder, self._over = folder, threading.Event()
        self._journal = Journal(folder / "whole")
        self._watches = Watches(self._journal.event)
        self._follower = threading.Thread(target=self._follow, daemon=True)
        self._follower.start()

    def _follow(self) -> None:
        while not self._over.wait(_LOG_EVERY):
            keep_logs(self._watches, self._journal)

    def stop(self, raw: Path) -> Path:
        """End the recording and put everything together in `raw`, a raw recording."""
        self._over.set()
        self._follower.join(60)
        keep_logs(self._watches, self._journal)
        self._watches.close()
        put_together(self.folder, raw)
        return raw


def put_together(folder: Path, raw: Path) -> None:
    """One raw recording of the recorder's own journal and those of the kernels, in order of time."""
    journals = sorted((path for path in folder.glob("kans-*") if (path / "stories.ndjson").exists()), key=_began)
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


def _began(path: Path) -> float:
    return min(_moment(row) for row in _rows(path / "stories.ndjson"))


def _write(file: Path, rows: Sequence[dict[str, Any]]) -> None:
    file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def _write_captures(journals: Sequence[Path], raw: Path) -> None:
    acts = list(_rows(raw / "acts.ndjson"))
    around = [(act["t"] - 5, act["end"] + 20) for act in acts if _concerns_a_node(act)]
    told = list(_told(list(_rows(raw / "stories.ndjson"))))
    for number, path in enumerate(journals):
        for file in sorted((path / "captures").glob("*.pcap")):
            thin = filter_pcap(file.read_bytes(), lambda time, raw: _tells(Frame(time, raw), told, around))
            (raw / "captures" / f"{number:02}-{file.name}").write_bytes(thin)


def _concerns_a_node(row: dict[str, Any]) -> bool:
    """Return True for the loss or return of a node: encrypted gossip does not shrink, and is kept around these only."""
    return ACTIONS[verb_in_memory(row["verb"], row["targets"], row["cmd"])].targets == "node"


def _told(stories: Sequence[dict[str, Any]]) -> Iterator[tuple[float, float]]:
    """The stretches of time in which some story is told."""
    for row, following in pairwise([*stories, {"t": float("inf")}]):
        if row["story"]:
            yield row["t"] - 1, following["t"]


def _tells(frame: Frame, told: Sequence[tuple[float, float]], around: Sequence[tuple[float, float]]) -> bool:
    ports = {port for layer in (frame.udp, frame.tcp) if layer for port in (layer.sport, layer.dport)}
    stretches = around if _GOSSIP_PORT in ports else told
    return any(start <= frame.time <= end for start, end in stretches)


def _write_places(journals: Sequence[Path], raw: Path) -> None:
    places: dict[str, Any] = {}
    for path in journals:
        said = json.loads((path / "places.json").read_text())
        addresses = {**places.get("addresses", {}), **said["addresses"]}
        known = {name: address for name, address in addresses.items() if not name.startswith("kans-")}
        places = {**said, "router": said["router"] or places.get("router"), "addresses": known}
    places["addresses"].pop(docker.CONFLICTING_HOST, None)
    (raw / "places.json").write_text(json.dumps(places))


def versions() -> dict[str, str]:
    """What the recording was made with, as far as the objects do not say it themselves."""
    told = docker.command("kind", "version").out.split()
    return {"kind": told[1]} if len(told) > 1 else {}
