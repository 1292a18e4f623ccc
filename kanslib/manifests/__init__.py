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

_HERE = Path(__file__).parent

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


def __getattr__(name: str) -> Manifest:
    if name not in NAMES:
        raise AttributeError(f"no manifest {name!r}; there are: {', '.join(NAMES)}")
    return Manifest((_HERE / f"{name}.yaml").read_text())


def __dir__() -> list[str]:
    return [*NAMES, "Manifest"]
