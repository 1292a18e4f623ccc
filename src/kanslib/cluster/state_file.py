"""The state file of `kans up`: the resources that it owns. Light to import: every recorded lab checks it."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

CLUSTER = "myk8s"


@dataclass(frozen=True)
class OwnedResources:
    """The resources of `kans up`, written before they are created: only these may be changed and removed.

    `began`: when `kans up` began (Unix seconds). `network_made`: it created Docker's network as well.
    `containers`: the ids of the nodes, empty until all of them are ready.
    """

    began: float
    network_made: bool
    containers: tuple[str, ...] = field(default=())


def _state_file() -> Path:
    home = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(home) / "kanslib" / f"{CLUSTER}.json"


def load_state() -> OwnedResources | None:
    """Read the state file. None where there is none, or where it cannot be read."""
    try:
        state = json.loads(_state_file().read_text())
        return OwnedResources(state["began"], state["network_made"], tuple(state["containers"]))
    except (FileNotFoundError, ValueError, KeyError, RuntimeError):  # RuntimeError: a user without a home
        return None


def save_state(state: OwnedResources) -> None:
    """Write the state file, and the folder around it."""
    _state_file().parent.mkdir(parents=True, exist_ok=True)
    _state_file().write_text(json.dumps(asdict(state)))


def delete_state() -> None:
    """Remove the state file, if there is one."""
    _state_file().unlink(missing_ok=True)
