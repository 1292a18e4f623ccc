"""What two clusters draw differently, by what it stands for, so that they can be compared."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from kanslib.answer import Text
from kanslib.backends.base import Backend
from kanslib.exceptions import KanslibError
from kanslib.k8s.objects import KubeObject


def generated_names(world: Backend) -> dict[str, str]:
    """Addresses of Pods, ClusterIPs and node ports, each with the name of what has it."""
    pods = [pod for pod in world.objects("pods") if not pod["spec"].get("hostNetwork")]
    names = {pod.get("status", {}).get("podIP", ""): _pod_name(pod) for pod in pods}
    for service in world.objects("services"):
        name, spec = service["metadata"]["name"], service["spec"]
        names[spec.get("clusterIP", "")] = f"clusterIP of {name}"
        for port in spec.get("ports", []):
            names[str(port.get("nodePort", ""))] = f"nodePort of {name}"
        names[str(spec.get("healthCheckNodePort", ""))] = f"health port of {name}"
    return {address: name for address, name in names.items() if address}


def _pod_name(pod: KubeObject) -> str:
    """The Pod's name, without the letters that were drawn for it."""
    meta = pod["metadata"]
    name: str = meta["name"]
    return name.rpartition("-")[0] if meta.get("generateName") or meta["namespace"] == "metallb-system" else name


def normalize_rule(line: str, names: Mapping[str, str]) -> str:
    """A rule with every address and port that has a name under that name."""
    return re.sub(r"\d+\.\d+\.\d+\.\d+|(?<=port )\d+", lambda found: names.get(found[0], found[0]), line)


def fresh_output(world: Backend, place: str, command: str) -> Text | None:
    """What a command printed at this moment; None where nobody looked, or only before the last act."""
    try:
        text = world.run(place, command)
    except KanslibError:
        return None
    return None if any("from before" in note for note in text.provenance.notes) else text


def next_hops(world: Backend) -> dict[str, list[str]]:
    """The router's BGP routes at this moment: each prefix and its next hops in use, sorted."""
    router = world.topology().router
    text = fresh_output(world, router, "vtysh -c 'show ip route bgp json'") if router else None
    return {
        prefix: sorted(hop["ip"] for entry in entries for hop in entry["nexthops"] if hop.get("fib"))
        for prefix, entries in sorted(json.loads(text or "{}").items())
    }
