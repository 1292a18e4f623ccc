"""`kans down`, with its progress."""

from __future__ import annotations

import time

from rich.text import Text

from kanslib.cli.terminal import plain_console
from kanslib.cluster import lifecycle

console = plain_console(soft_wrap=True)


def down() -> None:
    """Remove the cluster, the client, and every other container that the chapters started."""
    began = time.monotonic()
    with console.status("checking what exists …") as status:
        removed = lifecycle.down(lambda line: status.update(Text(line)))
    seconds = f"{time.monotonic() - began:.0f} s"
    console.print(f"removed ({seconds})" if removed else "nothing to remove")
