"""Write the journal of a live lab: watch events, outputs and actions as they happen, as a raw recording.

`RawRecording` reads the same folder. The rows of a journal have more fields than a script's (verb, targets, place),
so that nothing is derived from commands.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kanslib.actions import Verb
from kanslib.k8s.objects import WatchEvent
from kanslib.recording.format import verb_on_disk


class Journal:
    """Appends rows to the files of a folder. Every line is complete, so that a journal that was cut off can be read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._output_count = 0
        self._written_lines: dict[tuple[str, str], set[str]] = {}
        for folder in ("objects", "reads", "logs", "captures", "probes"):
            (path / folder).mkdir(parents=True, exist_ok=True)
        (path / "acts.ndjson").touch()

    def _append(self, name: str, row: Mapping[str, Any]) -> None:
        line = json.dumps(row, ensure_ascii=False) + "\n"
        with self._lock, (self.path / name).open("a") as file:
            file.write(line)

    def event(self, kind: str, event: WatchEvent) -> None:
        """Add a watch event of a kind (plural)."""
        self._append(f"objects/{kind}.ndjson", {"t": event.t, "type": event.type, "object": event.object})

    def action(
        self, group: str, name: str, span: tuple[float, float], verb: Verb, targets: Sequence[str],
        command: str, manifest: str = "", output: str = "",
    ) -> None:  # fmt: skip
        """Add a step of an action; all of its steps have the same `group`. `span`: start and end (Unix seconds)."""
        self._append("acts.ndjson", {
            "t": span[0], "end": span[1], "act": name, "cmd": command, "stdin": manifest, "rc": 0, "out": output,
            "group": group, "verb": verb_on_disk(verb), "targets": list(targets),
        })  # fmt: skip

    def settled(self, group: str, moment: float) -> None:
        """Add when the action of this group had settled (Unix seconds)."""
        self._append("settled.ndjson", {"group": group, "settled": moment})

    def story(
        self, moment: float, name: str = "", title: str = "", hide_actions: bool = False, lesson: bool = False
    ) -> None:
        """Add that a story is open from this moment on (Unix seconds); without a name, that the last one is closed.

        `lesson`: it belongs to the whole lesson.
        """
        row = {"t": moment, "story": name, "title": title, "neutral": hide_actions, "lesson": lesson}
        self._append("stories.ndjson", row)

    def output(self, place: str, command: str, span: tuple[float, float], rc: int, content: bytes) -> None:
        """Add the output of a command at a place. `span`: start and end (Unix seconds)."""
        with self._lock:
            self._output_count += 1
            number = self._output_count
        file = f"reads/{number:05}-{re.sub(r'[^A-Za-z0-9]+', '-', command)[:40].strip('-')}"
        (self.path / file).write_bytes(content)
        row = {"t": span[0], "end": span[1], "place": place, "cmd": command, "rc": rc, "file": file}
        self._append("reads.ndjson", row)

    def probe(self, name: str, row: Mapping[str, object]) -> None:
        """Add the result of a probe to probes/NAME.ndjson."""
        self._append(f"probes/{name}.ndjson", row)

    def log(self, pod: str, node: str, text: str) -> None:
        """Add the new lines of a Pod's log. `text`: the log so far, with timestamps."""
        written = self._written_lines.setdefault((pod, node), set())
        new = [line for line in text.splitlines() if line not in written]
        written.update(new)
        with (self.path / "logs" / f"{pod}@{node}.log").open("a") as lines:
            lines.writelines(line + "\n" for line in new)
