"""What the loss of a node costs a Service, by protocol, traffic policy and how the node goes. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from kanslib.analysis.observation_data import ObservationData
from kanslib.analysis.outage import Outage
from kanslib.analysis.phases import DARK, PARTLY
from kanslib.answer import Provenance
from kanslib.k8s.endpoints import slices_of
from kanslib.k8s.objects import as_of, endpoints_of, external_addresses
from kanslib.metallb import bgp, election
from kanslib.metallb.config import is_on_layer2
from kanslib.metallb.expected_outage import Death, Policy, Protocol, Scenario, lost_seconds
from kanslib.metallb.resources import Objects

Setting = tuple[Protocol, Policy, Death]


@dataclass(frozen=True)
class NodeLoss:
    """One node that was lost, and what that cost a Service.

    `scenario`: protocol, policy, how the node went, and the timers, as the cluster's objects had them. `action`: what
    was done, by its moment. `provenance`: who observed it, a recording or the simulator.
    """

    scenario: Scenario
    service: str
    node: str
    action: str
    outage: Outage
    provenance: Provenance

    @property
    def setting(self) -> Setting:
        """The three choices that are compared."""
        return self.scenario.protocol, self.scenario.policy, self.scenario.death

    @property
    def dark(self) -> float:
        """The seconds in which every request failed, to the tenth."""
        return round(self.outage.lost_seconds(self.service, DARK), 1)

    @property
    def partly(self) -> float:
        """The seconds in which some requests failed, each counted by the share of them, to the tenth."""
        return round(self.outage.lost_seconds(self.service, PARTLY), 1)

    @property
    def seconds(self) -> float:
        """The lost seconds."""
        return round(self.dark + self.partly, 1)

    @property
    def interval(self) -> tuple[float, float]:
        """The lost seconds at the ends of the 95 % interval of each phase's share."""
        phases = [one for one in self.outage.phases[self.service] if one.name in (DARK, PARTLY)]
        low = sum((one.end - one.start) * (1 - one.interval[1]) for one in phases)
        return low, sum((one.end - one.start) * (1 - one.interval[0]) for one in phases)

    @property
    def expected(self) -> float:
        """The lost seconds that the timers let expect (metallb/expected_outage.py)."""
        return lost_seconds(self.scenario)


def objects_before(observation: ObservationData) -> Objects:
    """Return the API's objects just before the action, by their kind."""
    return lambda kind: as_of(observation.watch_events(kind), observation.zero - 0.001)


def scenario_of(objects: Objects, service: str, node: str, death: Death) -> Scenario | None:
    """Return the scenario that a cluster is in when it loses a node, by its objects before.

    `service`: a name in `default`, or `namespace/name`. None where the node takes no packets of the Service from
    outside: it is neither the elected node nor a next hop.
    """
    namespace, _, name = service.rpartition("/")
    namespace = namespace or "default"
    known = {(one["metadata"].get("namespace", "default"), one["metadata"]["name"]): one for one in objects("services")}
    found = known[namespace, name]
    protocol: Protocol = "layer 2" if is_on_layer2(objects, external_addresses(found)) else "BGP"
    qualified = f"{namespace}/{name}"
    hops = {one.node for one in bgp.advertised(objects) if qualified in one.services}
    takers = {election.explain(objects, service).leader} if protocol == "layer 2" else hops
    if node not in takers:
        return None
    endpoints = endpoints_of(slices_of(objects("endpointslices"), namespace, name), name)
    ready = [one for one in endpoints if one.get("conditions", {}).get("ready") is not False]
    return Scenario(
        protocol=protocol,
        policy="Local" if found["spec"].get("externalTrafficPolicy") == "Local" else "Cluster",
        death=death,
        endpoints=len(ready),
        lost=sum(one.get("nodeName") == node for one in ready),
        members=len(election.speakers(objects)),
        next_hops=len(hops) or 1,
        hold=min((peer.hold for peer in bgp.peers(objects)), default=Scenario().hold),
    )
