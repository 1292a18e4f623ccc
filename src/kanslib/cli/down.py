"""`kans down`, with its progress."""

from __future__ import annotations

import time

from kanslib.cli.terminal import plain_console
from kanslib.cluster import lifecycle
from kanslib.status import show_status

console = plain_console(soft_wrap=True)


def down() -> None:
    """Remove the cluster, the client, and every other container that the chapters started."""
    began = time.monotonic()
    with show_status("checking what exists") as status:
        removed = lifecycle.down(status.update)
    seconds = f"{time.monotonic() - began:.0f} s"
    console.print(f"removed ({seconds})" if removed else "nothing to remove")
