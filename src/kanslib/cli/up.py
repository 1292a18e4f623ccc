"""`kans up` and `kans down`, told as they happen."""

from __future__ import annotations

import time
from pathlib import Path

from rich.console import Console

from kanslib.cluster import lifecycle
from kanslib.cluster.state_file import CLUSTER

console = Console(highlight=False, soft_wrap=True)


def up(metallb: bool, manifest: Path | None) -> None:
    """Make the course's cluster, or heal the one that is there, and say what to do with it."""
    from kanslib.cluster.reconciler import repair, with_metallb

    wanted = lifecycle.metallb_manifest(manifest) if metallb or manifest else ""
    began = time.monotonic()
    with console.status("looking at this machine …") as status:

        def say(line: str) -> None:
            status.update(f"{line} [dim]({time.monotonic() - began:.0f} s)[/]")

        made = lifecycle.up(say)
        healed = [] if made else repair(say)
        if wanted:
            with_metallb(wanted, say)
    for line in healed:
        console.print(f"undone: {line}")
    what = "is made" if made else "is there" if not healed else "is healed"
    console.print(f"The cluster {CLUSTER} {what} ({time.monotonic() - began:.0f} s).")
    console.print(
        "kubectl's context: [bold]kind-myk8s[/]   next: [bold]kans lab --backend live[/]   away with it: kans down"
    )


def down() -> None:
    """Remove the cluster, the client, and what the chapters started beside them."""
    began = time.monotonic()
    with console.status("looking at what is there …") as status:
        removed = lifecycle.down(status.update)
    seconds = f"{time.monotonic() - began:.0f} s"
    console.print(f"removed ({seconds})" if removed else "nothing was there to remove")
