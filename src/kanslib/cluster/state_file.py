"""What `kans up` wrote down of what it made. Imports next to nothing: every recorded lab asks whether there is one."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

CLUSTER = "myk8s"


@dataclass(frozen=True)
class OwnedResources:
    """What `kans up` made, written down before it is made: only this may be acted on and removed."""

    began: float
    network_made: bool
    containers: tuple[str, ...] = field(default=())


def _state_file() -> Path:
    home = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(home) / "kanslib" / f"{CLUSTER}.json"


def load_state() -> OwnedResources | None:
    """What `kans up` wrote down; None when it made nothing."""
    try:
        said = json.loads(_state_file().read_text())
        return OwnedResources(said["began"], said["network_made"], tuple(said["containers"]))
    except (FileNotFoundError, ValueError, KeyError):
        return None


def save_state(made: OwnedResources) -> None:
    _state_file().parent.mkdir(parents=True, exist_ok=True)
    _state_file().write_text(json.dumps(asdict(made)))


def delete_state() -> None:
    """Nothing is made any more."""
    _state_file().unlink(missing_ok=True)
