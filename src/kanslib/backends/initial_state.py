"""Where a simulation of a recording starts: at one of its moments."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from typing import Any

from kanslib.backends.recorded import RecordedBackend
from kanslib.exceptions import KanslibError
from kanslib.k8s.kubeproxy import pod_range
from kanslib.simulator.kind_configuration import POD_SUBNET
from kanslib.simulator.simulator import InitialState


def from_recording(backend: RecordedBackend) -> InitialState:
    """Return the cluster as a recording has it where its clock stands."""
    recorded = RecordedBackend(backend.recording, backend.story.name or None)
    recorded.at_time(backend.now())  # a clock of its own: the learner's moves on
    topology, segment = recorded.topology(), recorded.clock.segment
    objects = {kind: recorded.objects(kind) for kind in recorded.recording.under("objects")}
    return InitialState(
        moment=recorded.now(),
        objects=objects,
        network=topology.network,
        addresses={**segment.addresses, **topology.addresses},
        macs={place: mac for mac, place in recorded.mac_owners().items()},
        cluster_cidr=pod_range(objects.get("nodes", [])) or POD_SUBNET,
        control_plane=topology.control_plane,
        client=topology.client,
        router=topology.router,
        router_address=segment.addresses.get(segment.router or "", ""),
        active=tuple(recorded.active_actions()),
        neighbors=_client_neighbors(recorded),
        dump=cache(lambda node: _or_none(lambda: str(recorded.run(node, "iptables-save -c")))),
        log=cache(lambda component, node: _or_none(lambda: str(recorded.log(component, node))) or ""),
    )


def _or_none(question: Callable[[], str]) -> str | None:
    try:
        return question()
    except KanslibError:
        return None


def _client_neighbors(recorded: RecordedBackend) -> dict[str, str]:
    """Return whose MAC address the client has for each address that is no node's own."""
    topology, owners = recorded.topology(), recorded.mac_owners()
    client = topology.client
    text = _or_none(lambda: str(recorded.run(client, "ip -j neigh"))) if client else None
    entries: list[dict[str, Any]] = json.loads(text) if text else []
    return {
        str(entry["dst"]): owners[entry["lladdr"]]
        for entry in entries
        if entry.get("lladdr") in owners and str(entry["dst"]) not in topology.addresses.values()
    }
