"""The course's manifests (YAML), as text for `lab.apply` that a notebook shows.

`NAMES` lists them. They have the lesson's addresses. A lab on another Docker network applies them with its own.

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
from typing import Self

from kanslib.answer import Printer
from kanslib.course.addressing import LESSON_NETWORK, move_addresses

_HERE = Path(__file__).parent

NAMES = (
    "kind_cluster", "webpods", "service_types", "pool", "l2advertisement", "services",
    "services_local", "session_affinity", "source_ranges", "bgp", "spread_webpods",
    "case_10", "case_11",
)  # fmt: skip


class CourseManifest(str):
    """YAML text; a notebook shows it with syntax colors. `name`: its name in this module; empty for any other text."""

    name: str

    def __new__(cls, text: str, name: str = "") -> Self:
        """Return the text as a manifest."""
        manifest = super().__new__(cls, text)
        manifest.name = name
        return manifest

    def _repr_markdown_(self) -> str:
        return f"```yaml\n{self}```"

    def _repr_pretty_(self, printer: Printer, _cycle: bool) -> None:
        printer.text(str(self))


def on(network: str, name: str) -> CourseManifest:
    """Return a manifest of the course (or of a broken lab: `broken/…`) with addresses of `network` (CIDR).

    >>> "172.20.0.200" in on("172.20.0.0/16", "bgp")
    True
    """
    return CourseManifest(move_addresses((_HERE / f"{name}.yaml").read_text(), network), name)


def webpod(name: str, node: str) -> CourseManifest:
    """Return the manifest of one more Pod like those of `webpods`, pinned to a node.

    >>> "nodeName: myk8s-worker3" in webpod("webpod3", "myk8s-worker3")
    True
    """
    first = (_HERE / "webpods.yaml").read_text().partition("---\n")[0]
    return CourseManifest(first.replace("webpod1", name).replace("myk8s-worker\n", f"{node}\n"))


def __getattr__(name: str) -> CourseManifest:
    if name not in NAMES:
        raise AttributeError(f"no manifest {name!r}; there are: {', '.join(NAMES)}")
    return on(LESSON_NETWORK, name)


def __dir__() -> list[str]:
    return [*NAMES, "CourseManifest", "webpod"]
