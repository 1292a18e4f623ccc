"""What MetalLB's webhooks deny, and what they let pass for the components to refuse."""

from __future__ import annotations

import pytest

from kanslib.exceptions import ConfigurationError
from kanslib.k8s.objects import KubeObject, plural
from kanslib.metallb.config import read_config
from kanslib.metallb.resources import Objects, resources_of
from kanslib.metallb.webhook import admit

SYSTEM = "metallb-system"


def obj(kind: str, spec: KubeObject, name: str = "new", namespace: str = SYSTEM) -> KubeObject:
    return {"kind": kind, "metadata": {"name": name, "namespace": namespace}, "spec": spec}


def existing(*objects: KubeObject) -> Objects:
    return lambda kind: [one for one in objects if plural(one["kind"]) == kind]


POOL = obj("IPAddressPool", {"addresses": ["192.0.2.0/28"]}, "old")
PEER = {"myASN": 64500, "peerASN": 64501, "peerAddress": "192.0.2.200"}


def test_admit_other_namespace_denied_on_creation_only() -> None:
    elsewhere = obj("IPAddressPool", {"addresses": ["198.51.100.0/28"]}, namespace="default")
    with pytest.raises(ConfigurationError, match="resource must be created in metallb-system namespace"):
        admit("CREATE", elsewhere, existing())
    admit("UPDATE", elsewhere, existing())


def test_admit_overlap_with_another_pool_but_not_with_itself() -> None:
    changed = obj("IPAddressPool", {"addresses": ["192.0.2.8/29"]}, "old")
    admit("UPDATE", changed, existing(POOL))
    with pytest.raises(ConfigurationError, match="overlaps with already defined CIDR"):
        admit("CREATE", {**changed, "metadata": {"name": "new", "namespace": SYSTEM}}, existing(POOL))


@pytest.mark.parametrize(
    "new",
    [
        obj("BGPAdvertisement", {"communities": ["slow"]}),
        obj("BGPPeer", {**PEER, "bfdProfile": "fast"}),
        obj("BGPPeer", {**PEER, "passwordSecret": {"name": "router"}}),
        obj("BFDProfile", {"detectMultiplier": 1}),
    ],
)
def test_admit_lets_pass_what_the_speakers_refuse(new: KubeObject) -> None:
    admit("CREATE", new, existing(POOL))
    with pytest.raises(ConfigurationError):
        read_config(resources_of(existing(POOL, new)))


def test_admit_pool_smaller_than_an_existing_aggregation() -> None:
    """The webhook of pools reads no advertisements; that of advertisements reads pools."""
    wide, small = (
        obj("BGPAdvertisement", {"aggregationLength": 24}),
        obj("IPAddressPool", {"addresses": ["192.0.2.0/28"]}),
    )
    admit("CREATE", small, existing(wide))
    with pytest.raises(ConfigurationError, match="invalid aggregation length 24"):
        admit("CREATE", wide, existing(small))


def test_admit_deletion_of_a_profile_in_use() -> None:
    profile, peer = obj("BFDProfile", {}, "fast"), obj("BGPPeer", {**PEER, "bfdProfile": "fast"}, "router")
    with pytest.raises(ConfigurationError, match="failed to delete BFDProfile fast, used by BGPPeer router"):
        admit("DELETE", profile, existing(profile, peer))
    admit("DELETE", POOL, existing(POOL))
