"""`kans down`, with its progress."""

from __future__ import annotations

import time

from kanslib.cli.terminal import plain_console
from kanslib.cluster import lifecycle
from kanslib.i18n import tr
from kanslib.status import show_status

console = plain_console(soft_wrap=True)


def down() -> None:
    """Remove the cluster, the client, and every other container that the chapters started."""
    began = time.monotonic()
    with show_status(tr("checking what exists")) as status:
        removed = lifecycle.down(status.update)
    seconds = f"{time.monotonic() - began:.0f} s"
    console.print(tr("removed ({seconds})", seconds=seconds) if removed else tr("nothing to remove"))
