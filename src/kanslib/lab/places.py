"""Names that a learner types: Services, nodes and other places, found or refused in one place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from kanslib.analysis.observation_data import Topology
from kanslib.exceptions import NotFoundError, UnknownAttributeError, UnknownNameError
from kanslib.i18n import tr
from kanslib.k8s.objects import KubeObject, external_address, plural, qualified_name
from kanslib.lab.queries import ClusterView


class HelpfulAttributes:
    """Refuse an attribute that does not exist, and suggest the nearest one. A base of what a learner types on."""

    if not TYPE_CHECKING:  # mypy would take every name

        def __getattr__(self, name: str) -> object:
            if name.startswith("_") or hasattr(type(self), name):  # a property that failed: let it say why
                return object.__getattribute__(self, name)
            known = [one for one in dir(self) if not one.startswith("_")]
            raise UnknownAttributeError(type(self).__name__, name, known)


def client(view: ClusterView) -> str:
    """Return the client outside the cluster. Raise NotFoundError where there is none."""
    return _existing(view.topology().client, tr("a client"), tr("kanslib.open_lab(story='arp') has one"))


def router(view: ClusterView) -> str:
    """Return the BGP router. Raise NotFoundError where none runs."""
    return router_of(view.topology())


def router_of(topology: Topology) -> str:
    """Return the BGP router of a topology. Raise NotFoundError where none runs."""
    hint = tr("lab.start_router() starts one; in the story 'bgp' one was recorded")
    return _existing(topology.router, tr("a router at this moment"), hint)


def _existing(place: str | None, what: str, hint: str) -> str:
    if place is None:
        raise NotFoundError(what, hint)
    return place


def address_of(view: ClusterView, place: str) -> str:
    """Return the address of a place on the Docker network. Raise UnknownNameError for a name that is none."""
    known = view.topology().addresses
    if place not in known:
        raise UnknownNameError("place", place, known)
    return known[place]


def names_by_address(view: ClusterView) -> dict[str, str]:
    """Return the places by their address."""
    return {address: place for place, address in view.topology().addresses.items()}


def check_node(view: ClusterView, name: str) -> str:
    """Return the name of a node. Raise UnknownNameError for one that is none."""
    nodes = view.topology().nodes
    if name not in nodes:
        raise UnknownNameError("node", name, nodes)
    return name


def find_object(view: ClusterView, kind: str, name: str, namespace: str) -> KubeObject:
    """Return one API object. Raise UnknownNameError, with the names there are, where it does not exist."""
    check_namespace(view, namespace)
    everywhere = {(o["metadata"].get("namespace", namespace), o["metadata"]["name"]): o for o in view.objects(kind)}
    if (namespace, name) not in everywhere:
        known = [one if where == namespace else f"{where}/{one}" for where, one in everywhere]
        raise UnknownNameError(plural(kind).removesuffix("s"), name, known)
    return everywhere[namespace, name]


def check_namespace(view: ClusterView, name: str) -> None:
    """Raise UnknownNameError for a namespace without any object, of Pods, Services and events."""
    known = {o["metadata"]["namespace"] for kind in ("pods", "services", "events") for o in view.objects(kind)}
    if name not in known | {"default"}:
        raise UnknownNameError("namespace", name, sorted(known))


def short_name(service: str, services: Mapping[str, object]) -> str:
    """Return the name of a Service as tables spell it: `"svc1"` for `"default/svc1"`, too.

    Raise UnknownNameError, with the Services there are, for one that does not exist.
    """
    name = service.removeprefix("default/")
    if name not in services:
        raise UnknownNameError("service", service, services)
    return name


def find_service(view: ClusterView, service: str) -> KubeObject:
    """Return a Service by `"svc1"` or `"namespace/svc1"`. Raise UnknownNameError for one that does not exist."""
    found = services_by_name(view)
    return found[short_name(service, found)]


def services_by_name(view: ClusterView) -> dict[str, KubeObject]:
    """Return all Services by name: `svc1` in the namespace `default`, `namespace/svc1` elsewhere."""
    return {qualified_name(one): one for one in view.objects("services")}


def vip(view: ClusterView, service: str) -> str:
    """Return a Service's external address. Raise NotFoundError while it has none."""
    return vip_of(find_service(view, service), service)


def vip_of(obj: KubeObject, service: str) -> str:
    """Return the external address of a Service's object. Raise NotFoundError while it has none."""
    if not (address := external_address(obj)):
        kind = obj["spec"].get("type", "ClusterIP")
        reason = tr("its type is {kind}", kind=kind) if kind != "LoadBalancer" else tr("it is pending")
        raise NotFoundError(
            tr("an external address of {service}: {reason}", service=service, reason=reason),
            tr("lab.events({service!r}) shows why", service=service),
        )
    return address


def vips(view: ClusterView) -> dict[str, str]:
    """Return the Services with an external address, and that address."""
    return {name: address for name, one in services_by_name(view).items() if (address := external_address(one))}
