"""Who leads a VIP on layer 2 (MetalLB v0.14.8 speaker/layer2_controller.go, ShouldAnnounce)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable


def order(nodes: Iterable[str], ip: str) -> list[str]:
    """The usable nodes in the order in which they would lead `ip`, the leader first.

    Every speaker computes this alone and comes to the same result: sorted by the bytes of
    sha256(node + "#" + ip). Raises TypeError for a single string or a table, which would be iterated wrongly.

    >>> order(["myk8s-worker", "myk8s-worker2", "myk8s-worker3"], "172.18.255.200")[0]
    'myk8s-worker'
    """
    if isinstance(nodes, str) or hasattr(nodes, "columns"):
        raise TypeError("nodes has to be a list of node names, for a table: order(table['NAME'], ip)")
    return sorted(nodes, key=lambda node: hashlib.sha256(f"{node}#{ip}".encode()).digest())
