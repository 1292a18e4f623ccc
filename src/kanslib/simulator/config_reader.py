"""The configuration as a component of MetalLB holds it: the last good one, and why the newest one is refused. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kanslib.exceptions import ConfigurationError
from kanslib.metallb.config import Configuration, read_config
from kanslib.metallb.resources import Objects, Resources, controller_resources_of, resources_of
from kanslib.simulator.event_loop import EventLoop


@dataclass(frozen=True)
class _Component:
    """A component: the kinds that it watches, and what it reads of them."""

    kinds: tuple[str, ...]
    resources_of: Callable[[Objects], Resources]


CONTROLLER = _Component(("ipaddresspools", "communities", "namespaces"), controller_resources_of)
SPEAKERS = _Component(
    (
        "ipaddresspools", "l2advertisements", "bgpadvertisements", "bgppeers", "bfdprofiles", "communities", "secrets",
        "nodes", "namespaces",
    ),
    resources_of,
)  # fmt: skip


class ConfigReader:
    """Read the configuration for a component. `config`: the last good one. `problem`: why the newest is refused."""

    def __init__(self, cluster: EventLoop, component: _Component) -> None:
        self._cluster, self._component = cluster, component
        self._version: tuple[int, ...] = ()
        self.config, self.problem = Configuration({}, {}), ""

    @property
    def is_outdated(self) -> bool:
        """True when an object that the component watches has changed since it was read."""
        return self._version != self._versions()

    def read(self) -> None:
        """Read the configuration, or keep the last good one where MetalLB refuses it (config_controller.go)."""
        self._version = self._versions()
        try:
            self.config, self.problem = read_config(self._component.resources_of(self._cluster.objects)), ""
        except ConfigurationError as error:
            self.problem = str(error)

    def _versions(self) -> tuple[int, ...]:
        return tuple(len(self._cluster.history.get(kind, ())) for kind in self._component.kinds)
