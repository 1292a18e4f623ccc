"""The YAML of the course, as text that `lab.apply` takes and a notebook shows.

>>> from kanslib import manifests
>>> print(manifests.pool)
apiVersion: metallb.io/v1beta1
kind: IPAddressPool
metadata:
  name: my-ippool
  namespace: metallb-system
spec:
  addresses:
  - 172.18.255.200-172.18.255.250
<BLANKLINE>
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kanslib.addressing import LESSON, moved

_HERE = Path(__file__).parent
_network = LESSON

NAMES = (
    "kind_cluster", "webpods", "service_types", "pool", "l2advertisement", "services",
    "services_local", "session_affinity", "source_ranges", "bgp",
)  # fmt: skip


class Manifest(str):
    """YAML text; a notebook shows it with its colours."""

    def _repr_markdown_(self) -> str:
        return f"```yaml\n{self}```"

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:
        printer.text(str(self))


def on(network: str, name: str) -> Manifest:
    """A manifest of the course (or of a broken lab: `broken/…`) with its addresses moved to a Docker network.

    >>> "172.20.0.200" in on("172.20.0.0/16", "bgp")
    True
    """
    return Manifest(moved((_HERE / f"{name}.yaml").read_text(), network))


def use(network: str) -> None:
    """From now on `manifests.pool` and the others speak of this Docker network: a live lab's own."""
    global _network  # noqa: PLW0603 (a notebook reads `manifests.pool`, which has no lab to ask)
    _network = network


def __getattr__(name: str) -> Manifest:
    if name not in NAMES:
        raise AttributeError(f"no manifest {name!r}; there are: {', '.join(NAMES)}")
    return on(_network, name)


def __dir__() -> list[str]:
    return [*NAMES, "Manifest"]
