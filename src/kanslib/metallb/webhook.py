"""What MetalLB's webhooks deny when an object is created, changed or deleted.

MetalLB v0.14.8 internal/k8s/webhooks, config/webhook/manifests.yaml.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from kanslib.exceptions import ConfigurationError
from kanslib.k8s.objects import KubeObject, name_of
from kanslib.metallb.config import read_config
from kanslib.metallb.peers import check_durations
from kanslib.metallb.resources import SYSTEM, Objects, Resources, resources_of

Operation = Literal["CREATE", "UPDATE", "DELETE"]

WEBHOOKS = {  # by kind
    "BFDProfile": "bfdprofilevalidationwebhook.metallb.io",
    "BGPAdvertisement": "bgpadvertisementvalidationwebhook.metallb.io",
    "BGPPeer": "bgppeersvalidationwebhook.metallb.io",
    "Community": "communityvalidationwebhook.metallb.io",
    "IPAddressPool": "ipaddresspoolvalidationwebhook.metallb.io",
    "L2Advertisement": "l2advertisementvalidationwebhook.metallb.io",
}


def admit(operation: Operation, obj: KubeObject, objects: Objects) -> None:
    """Raise ConfigurationError, in the webhook's words, for what the webhook of an object's kind denies.

    `objects`: those that exist, as `lab.objects`. A webhook reads some kinds only, and nothing that names another
    object, so that the order in which objects are applied does not count: what it lets pass may still make the
    configuration stale.
    """
    if obj["kind"] == "BGPPeer":
        check_durations([obj])
    if operation == "DELETE":
        if obj["kind"] == "BFDProfile":
            _refuse_used_profile(obj, objects)
        return
    if operation == "CREATE" and obj["metadata"].get("namespace") != SYSTEM:
        raise ConfigurationError(f"resource must be created in {SYSTEM} namespace")
    if obj["kind"] != "BFDProfile":
        read_config(_without_names(_with(obj, resources_of(objects))))


def _with(obj: KubeObject, existing: Resources) -> Resources:
    """Return what the webhook of an object's kind reads, with the object in it."""
    match obj["kind"]:
        case "IPAddressPool":
            return Resources(pools=_replaced(existing.pools, obj))
        case "L2Advertisement":
            advertisements = _replaced(existing.layer2_advertisements, obj)
            return Resources(pools=existing.pools, layer2_advertisements=advertisements)
        case "BGPAdvertisement":
            advertisements = _replaced(existing.bgp_advertisements, obj)
            return Resources(pools=existing.pools, bgp_advertisements=advertisements, nodes=existing.nodes)
        case "BGPPeer":
            return Resources(peers=_replaced(existing.peers, obj))
    return Resources(communities=_replaced(existing.communities, obj))


def _replaced(existing: Sequence[KubeObject], obj: KubeObject) -> tuple[KubeObject, ...]:
    """Return the objects with a new one in the place of the one that has its name, else at the end."""
    if any(name_of(one) == name_of(obj) for one in existing):
        return tuple(obj if name_of(one) == name_of(obj) else one for one in existing)
    return (*existing, obj)


def _without_names(resources: Resources) -> Resources:
    """Return the objects without the names of others in them (validator.go resetTransientErrorsFields)."""
    peers = [{**one, "spec": {**_spec(one), "bfdProfile": "", "passwordSecret": {}}} for one in resources.peers]
    advertisements = [
        {
            **one,
            "spec": {
                **_spec(one),
                "communities": [text for text in _spec(one).get("communities") or [] if ":" in text],
            },
        }
        for one in resources.bgp_advertisements
    ]
    return replace(resources, peers=tuple(peers), bgp_advertisements=tuple(advertisements))


def _spec(obj: KubeObject) -> KubeObject:
    spec: KubeObject = obj.get("spec") or {}
    return spec


def _refuse_used_profile(profile: KubeObject, objects: Objects) -> None:
    name = name_of(profile)
    for peer in resources_of(objects).peers:
        if _spec(peer).get("bfdProfile") == name:
            raise ConfigurationError(f"failed to delete BFDProfile {name}, used by BGPPeer {name_of(peer)}")
