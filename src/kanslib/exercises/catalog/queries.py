"""Helpers of the catalog: facts that several exercises read from a lab. None sends traffic, so no clock moves."""

from __future__ import annotations

from kanslib.exceptions import NotFoundError
from kanslib.exercises.lab_queries import LabQueries, LabTable
from kanslib.exercises.misconceptions import Effect, phrase
from kanslib.i18n import tr, tr_later
from kanslib.k8s import kubeproxy
from kanslib.k8s.endpoints import slices_of
from kanslib.k8s.manifest import check_object, documents
from kanslib.k8s.objects import KubeObject, endpoints_of, external_address, external_addresses
from kanslib.metallb.config import L2Advertisement, pool_of, pools
from kanslib.metallb.election import EXCLUDE
from kanslib.simulator.admission import check_document


def name_of(obj: KubeObject) -> str:
    """Return an object's name."""
    return str(obj["metadata"]["name"])


def column(table: LabTable, name: str) -> list[str]:
    """Return a column of a table as texts."""
    return [str(row[name]) for row in table.to_dict("records")]


def written_objects(written: object) -> list[KubeObject]:
    """Return the objects of a manifest that a learner's function returned: YAML, or one object.

    Raise ManifestError for anything else, and RefusedError for a version or a field that does not exist.
    """
    found = documents(written) if isinstance(written, str) else [check_object(written)]
    for one in found:
        check_document(one)
    return found


def refused(why: object) -> Effect:
    """Return the effect of a manifest that somebody refuses, in their words."""
    return Effect((phrase(tr_later("refused: {why}"), why=str(why)),))


def pairs(table: LabTable, key: str, value: str) -> dict[str, str]:
    """Return two columns of a table: the first one's texts, each with the second one's."""
    return dict(zip(column(table, key), column(table, value), strict=True))


def nodes(lab: LabQueries) -> set[str]:
    """Return the name of every node."""
    return {name_of(node) for node in lab.objects("nodes")}


def sorted_nodes(lab: LabQueries) -> list[str]:
    """Return the name of every node, in alphabetical order."""
    return sorted(nodes(lab))


def excluded_nodes(lab: LabQueries) -> set[str]:
    """Return the nodes that carry the label by which load balancers stay away."""
    return {name_of(node) for node in lab.objects("nodes") if EXCLUDE in node["metadata"].get("labels", {})}


def nodes_with_endpoints(lab: LabQueries, service: str = "svc1") -> set[str]:
    """Return the nodes that run a ready Pod of a Service."""
    endpoints = endpoints_of(endpoint_slices(lab, service), service)
    ready = [one for one in endpoints if one.get("conditions", {}).get("ready") is not False]
    return {one["nodeName"] for one in ready if one.get("nodeName")}


def endpoint_slices(lab: LabQueries, service: str = "svc1") -> list[KubeObject]:
    """Return the EndpointSlices of a Service."""
    return slices_of(lab.objects("endpointslices"), "default", service)


def load_balancers(lab: LabQueries) -> list[KubeObject]:
    """Return the Services of type LoadBalancer."""
    return [one for one in lab.objects("services", "default") if one["spec"].get("type") == "LoadBalancer"]


def load_balancer(lab: LabQueries, hint: str) -> KubeObject:
    """Return a Service of type LoadBalancer, svc1 if it is one; NotFoundError, with a message as its hint, for none."""
    found = {name_of(one): one for one in load_balancers(lab)}
    if not found:
        raise NotFoundError(tr("a Service of type LoadBalancer at this moment"), hint=tr(hint))
    return found.get("svc1") or next(iter(found.values()))


def services_with_vip(lab: LabQueries) -> list[KubeObject]:
    """Return the Services that have an external address; NotFoundError where there is none."""
    found = [one for one in load_balancers(lab) if external_address(one)]
    if not found:
        raise NotFoundError(
            tr("a Service with an external address at this moment"), hint=tr("apply the Services first")
        )
    return found


def advertisements(lab: LabQueries, service: KubeObject) -> tuple[L2Advertisement, ...]:
    """Return the L2Advertisements that cover a Service's address."""
    pool = pool_of(pools(lab.objects), external_addresses(service))
    return pool.layer2 if pool else ()


def node_port(service: KubeObject) -> int:
    """Return the NodePort of a Service's first port; NotFoundError where it has none."""
    port = service["spec"]["ports"][0].get("nodePort")
    if not port:
        raise NotFoundError(
            tr("a NodePort of {service}", service=name_of(service)), hint=tr("apply the Services first")
        )
    return int(port)


def kubeproxy_config(lab: LabQueries) -> kubeproxy.Config:
    """Return how the kube-proxy of this cluster writes rules."""
    cluster_nodes = lab.objects("nodes")
    return kubeproxy.Config.of(cluster_nodes, kubeproxy.pod_range(cluster_nodes))
