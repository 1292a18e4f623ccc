"""What `kans up` wrote down of what it made. Imports next to nothing: every recorded lab asks whether there is one."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

CLUSTER = "myk8s"


@dataclass(frozen=True)
class Deed:
    """What `kans up` made, written down before it is made: only this may be acted on and removed."""

    began: float
    network_made: bool
    containers: tuple[str, ...] = field(default=())


def _deed_file() -> Path:
    home = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(home) / "kanslib" / f"{CLUSTER}.json"


def deed() -> Deed | None:
    """What `kans up` wrote down; None when it made nothing."""
    try:
        said = json.loads(_deed_file().read_text())
        return Deed(said["began"], said["network_made"], tuple(said["containers"]))
    except (FileNotFoundError, ValueError, KeyError):
        return None


def write(made: Deed) -> None:
    _deed_file().parent.mkdir(parents=True, exist_ok=True)
    _deed_file().write_text(json.dumps(asdict(made)))


def forget() -> None:
    """Nothing is made any more."""
    _deed_file().unlink(missing_ok=True)
