"""The objects that MetalLB's configuration is made from: those of its own namespace, the nodes and the namespaces."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from kanslib.exceptions import KanslibError
from kanslib.k8s.objects import KubeObject, name_of

SYSTEM = "metallb-system"
Objects = Callable[[str], list[KubeObject]]  # from a kind to its objects, as `lab.objects`


@dataclass(frozen=True)
class Resources:
    """The objects of a configuration, each kind sorted by name, as the reconcilers hand them on.

    MetalLB v0.14.8 internal/config/config.go ClusterResources, internal/k8s/controllers/config_conversion.go.
    """

    pools: tuple[KubeObject, ...] = ()
    peers: tuple[KubeObject, ...] = ()
    bfd_profiles: tuple[KubeObject, ...] = ()
    bgp_advertisements: tuple[KubeObject, ...] = ()
    layer2_advertisements: tuple[KubeObject, ...] = ()
    communities: tuple[KubeObject, ...] = ()
    secrets: tuple[KubeObject, ...] = ()
    nodes: tuple[KubeObject, ...] = ()
    namespaces: tuple[KubeObject, ...] = ()

    @property
    def secrets_by_name(self) -> Mapping[str, KubeObject]:
        """The Secrets that a BGPPeer may name for its password."""
        return {name_of(secret): secret for secret in self.secrets}


def resources_of(objects: Objects) -> Resources:
    """Return all that the speakers read."""
    own, every = _own(objects), _sorted(objects)
    return Resources(
        pools=own("ipaddresspools"),
        peers=own("bgppeers"),
        bfd_profiles=own("bfdprofiles"),
        bgp_advertisements=own("bgpadvertisements"),
        layer2_advertisements=own("l2advertisements"),
        communities=own("communities"),
        secrets=own("secrets"),
        nodes=every("nodes"),
        namespaces=every("namespaces"),
    )


def named_resources_of(objects: Objects) -> Resources:
    """Return pools, advertisements and peers, and Communities, BFDProfiles and Secrets where one is named.

    A recording has no objects of a kind that its cluster did not use.
    """
    own, every = _own(objects), _sorted(objects)
    advertisements, peers = own("bgpadvertisements"), own("bgppeers")
    communities = [name for one in advertisements for name in (one.get("spec") or {}).get("communities") or []]
    specs = [peer.get("spec") or {} for peer in peers]
    return Resources(
        pools=own("ipaddresspools"),
        peers=peers,
        bfd_profiles=own("bfdprofiles") if any(spec.get("bfdProfile") for spec in specs) else (),
        bgp_advertisements=advertisements,
        layer2_advertisements=own("l2advertisements"),
        communities=own("communities") if any(":" not in name for name in communities) else (),
        secrets=own("secrets") if any((spec.get("passwordSecret") or {}).get("name") for spec in specs) else (),
        nodes=every("nodes"),
        namespaces=every("namespaces"),
    )


def controller_resources_of(objects: Objects) -> Resources:
    """Return all that the controller reads (internal/k8s/controllers/pool_controller.go)."""
    own, every = _own(objects), _sorted(objects)
    return Resources(pools=own("ipaddresspools"), communities=own("communities"), namespaces=every("namespaces"))


def objects_of_kind(objects: Objects, kind: str) -> list[KubeObject]:
    """Return the objects of a kind; none where the cluster does not know the kind (no CustomResourceDefinition yet)."""
    try:
        return objects(kind)
    except KanslibError:
        return []


def _sorted(objects: Objects) -> Callable[[str], tuple[KubeObject, ...]]:
    return lambda kind: tuple(sorted(objects_of_kind(objects, kind), key=name_of))


def _own(objects: Objects) -> Callable[[str], tuple[KubeObject, ...]]:
    """Return the objects of metallb-system only: MetalLB's cache has no others (internal/k8s/k8s.go New)."""
    every = _sorted(objects)
    return lambda kind: tuple(one for one in every(kind) if one["metadata"].get("namespace", SYSTEM) == SYSTEM)
