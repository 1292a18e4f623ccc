"""`kans down`, with its progress."""

from __future__ import annotations

import time

from rich.console import Console

from kanslib.cluster import lifecycle

console = Console(highlight=False, soft_wrap=True)


def down() -> None:
    """Remove the cluster, the client, and every other container that the chapters started."""
    began = time.monotonic()
    with console.status("checking what exists …") as status:
        removed = lifecycle.down(status.update)
    seconds = f"{time.monotonic() - began:.0f} s"
    console.print(f"removed ({seconds})" if removed else "nothing to remove")
