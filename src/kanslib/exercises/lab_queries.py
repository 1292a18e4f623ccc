"""The protocol of what exercises ask of a lab. mypy compares `kanslib.Lab` and `kanslib.Observation` with it."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Literal, Protocol

from kanslib.analysis import Outage
from kanslib.iptables import Outcome, Ruleset
from kanslib.k8s.objects import KubeObject
from kanslib.metallb.election import Election
from kanslib.packets.capture import Frame


class LabTable(Protocol):
    """A table, as far as an exercise reads it: a pandas DataFrame is one."""

    @property
    def empty(self) -> bool:
        """True when the table has no row."""

    def to_dict(self, orient: Literal["records"]) -> list[dict[Hashable, object]]:
        """Return the rows, each as its cells by column."""


class LabARP(Protocol):
    """The ARP of an observation."""

    def announcements(self, service: str | None = None) -> LabTable:
        """Return the gratuitous ARP; columns ROUNDS and SECONDS."""


class LabObservation(Protocol):
    """What was observed around an action."""

    @property
    def action(self) -> str:
        """The action's name."""

    @property
    def arp(self) -> LabARP:
        """Its ARP."""

    def frames(self, layer: str = "arp") -> list[Frame]:
        """Return the captured frames of a layer."""

    def mac_owners(self) -> Mapping[str, str]:
        """Return whose network card each MAC address is."""

    def leader_history(self) -> LabTable:
        """Return the leader events until then; columns ADDRESS, CANDIDATES and LEADER."""

    def outage(self) -> Outage:
        """Return what the action did to the Services."""


class LabQueries(Protocol):
    """The queries of a lab from which exercises work out their answers. None of them moves the lab's clock."""

    @property
    def client(self) -> str:
        """The client outside the cluster."""

    @property
    def control_plane(self) -> str:
        """The control plane's node."""

    def address(self, place: str) -> str:
        """Return the address of a node, the client or the router."""

    def network(self) -> str:
        """Return the clients' network, e.g. `172.18.0.0/16`."""

    def objects(self, kind: str, namespace: str | None = None) -> list[KubeObject]:
        """Return the API objects of a kind."""

    def object(self, kind: str, name: str, namespace: str = "default") -> KubeObject:
        """Return one API object."""

    def events(self, service: str) -> LabTable:
        """Return the Kubernetes events of a Service; column TYPE."""

    def vip(self, service: str) -> str:
        """Return the external address of a Service."""

    def pool(self) -> list[str]:
        """Return every address that the pools may hand out."""

    def leader(self, service: str) -> str | None:
        """Return the node that the newest leader event of a Service names."""

    def election(self, service: str) -> Election:
        """Return who leads a Service, and who else could."""

    def rules(self, node: str) -> Ruleset:
        """Return the iptables rules of a node."""

    def trace(self, target: str, source: str | None = None, node: str | None = None) -> Sequence[Outcome]:
        """Return every way that a new connection to a target can go."""

    def run(self, place: str, command: str) -> str:
        """Return what a command printed."""

    def arp_scan(self) -> LabTable:
        """Return who answers ARP; columns ADDRESS and MAC."""

    def neighbors(self) -> LabTable:
        """Return the client's ARP memory; columns ADDRESS and MAC."""

    def routes(self) -> LabTable:
        """Return the router's BGP routes; columns PREFIX, NODE and IN USE."""

    def observation(self) -> LabObservation:
        """Return what was observed around the newest action."""
