"""What a packet is sent to, from where, and which ways it can go through a node's rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kanslib.exceptions import NotFoundError, PacketError, UnknownNameError
from kanslib.i18n import tr
from kanslib.k8s.objects import KubeObject, external_addresses, is_ip_address, pod_ips, qualified_name
from kanslib.lab import metallb, places
from kanslib.lab.queries import ClusterView

if TYPE_CHECKING:
    from kanslib import iptables, nftables
    from kanslib.iptables import Routing
    from kanslib.render.iptables_tables import NodeRules
    from kanslib.render.packet_trace import Trace


@dataclass(frozen=True)
class Target:
    """An address that a learner named; `service` where it was named by its Service."""

    address: str
    port: int | None
    service: KubeObject | None = None

    def __str__(self) -> str:
        """Spell it as curl takes it."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        return host if self.port is None else f"{host}:{self.port}"

    def with_port(self, name: str) -> Target:
        """Return the target with a port: the Service's first one where none was named."""
        if self.port is not None:
            return self
        if self.service is None:
            raise PacketError(tr("{name!r} names no port; expected a Service, node:port or address:port", name=name))
        return Target(self.address, int(self.service["spec"]["ports"][0]["port"]), self.service)


def resolve(view: ClusterView, target: str) -> Target:
    """Return the address behind a Service, a place or an address, each with or without a port.

    A Service of type LoadBalancer is meant by its external address, any other by its ClusterIP. Raise
    UnknownNameError for a name that is none, NotFoundError for a LoadBalancer whose address is pending.
    """
    name, port = _split_port(target)
    if name in view.topology().addresses:
        return Target(places.address_of(view, name), port)
    if is_ip_address(name):
        return Target(name, port)
    services = places.services_by_name(view)
    if name.removeprefix("default/") not in services:
        raise UnknownNameError("target", name, [*services, *view.topology().addresses])
    service = places.find_service(view, name)
    spec = service["spec"]
    address = places.vip(view, name) if spec["type"] == "LoadBalancer" else str(spec["clusterIP"])
    return Target(address, port, service)


def _split_port(target: str) -> tuple[str, int | None]:
    """Split `host:port`; an IPv6 address with a port stands in brackets."""
    if is_ip_address(target):
        return target, None
    host, colon, port = target.rpartition(":")
    if not colon or not port.isdigit():
        return target.strip("[]"), None
    return host.strip("[]"), int(port)


def rules(view: ClusterView, node: str) -> NodeRules:
    """Read all iptables rules of a node, or those of ip6tables where its own address is IPv6; see `Lab.rules`."""
    from kanslib import iptables
    from kanslib.render.iptables_tables import NodeRules

    own = view.topology().addresses.get(node, "")
    text = view.backend.run(node, _save_command(own))
    return NodeRules.of(iptables.parse(text), text.provenance, lambda: _computed_rules(view, node))


def _computed_rules(view: ClusterView, node: str) -> list[str]:
    """Return the nat rules that a model of kube-proxy writes on a node for the Services of this moment."""
    from kanslib.k8s import kubeproxy

    nodes = view.objects("nodes")
    config = kubeproxy.Config.of(nodes, kubeproxy.pod_range(nodes))
    return kubeproxy.nat_rules(view.objects("services"), view.objects("endpointslices"), node, config)


def trace(
    view: ClusterView,
    target: str,
    source: str | None,
    node: str | None,
    given: iptables.Ruleset | nftables.Ruleset | None = None,
) -> Trace:
    """Work out every way of a new connection through one node's rules, or through those given; see `Lab.trace`."""
    from kanslib.iptables import Packet, parse
    from kanslib.render.packet_trace import Trace

    sender = source or places.client(view)
    aim = resolve(view, target).with_port(target)
    src, home = _sender(view, sender, aim.address)
    place = node or home or _receiver(view, target, aim)
    routing = _routing(view, place, aim.address)
    arrives = None if sender == place else routing.route(src)
    packet = Packet(src, aim.address, dport=aim.port, in_interface=arrives.dev if arrives else None)
    named = target if target == str(aim) else f"{target} ({aim})"
    if given is not None:
        title = tr("{sender} to {target}, by the given rules on {place}", sender=sender, target=named, place=place)
        note = tr("derived from the given rules, and from the addresses and routes of {place}", place=place)
        return Trace(given.trace(packet, routing), title, view.provenance().with_notes(note))
    text = view.backend.run(place, _save_command(aim.address))
    title = tr("{sender} to {target}, by the rules of {place}", sender=sender, target=named, place=place)
    provenance = text.provenance.with_notes(tr("derived from that node's rules"))
    return Trace(parse(text).trace(packet, routing), title, provenance)


def _save_command(address: str) -> str:
    """Return the command that prints the rules for packets to an address."""
    return "ip6tables-save -c" if ":" in address else "iptables-save -c"


def _routing(view: ClusterView, node: str, towards: str) -> Routing:
    from kanslib.iptables import Routing

    routes = "ip -6 -j route" if ":" in towards else "ip -j route"
    return Routing.read(*(view.backend.run(node, command) for command in ("ip -j addr", routes)))


def _sender(view: ClusterView, source: str, towards: str) -> tuple[str, str | None]:
    """Return the address of a sender, and the node whose rules catch its packets; None for one outside.

    `towards`: the address that it sends to, which decides the family of its own.
    """
    topology = view.topology()
    if source in topology.addresses:
        return topology.address(source, towards), source if source in topology.nodes else None
    pods = {qualified_name(pod): pod for pod in view.objects("pods")}
    if source not in pods:
        here = [name for name in pods if "/" not in name]
        raise UnknownNameError("source", source, [*topology.addresses, *here])
    family = [ip for ip in pod_ips(pods[source]) if (":" in ip) == (":" in towards)]
    if not family:
        raise NotFoundError(tr("an address of the Pod {source}", source=source), tr("lab.pods() shows its state"))
    return family[0], pods[source]["spec"]["nodeName"]


def _receiver(view: ClusterView, target: str, aim: Target) -> str:
    """Return the node that a packet from outside comes to."""
    topology = view.topology()
    for place in topology.nodes:
        if topology.address(place, aim.address) == aim.address:
            return place
    names = {ip: name for name, one in places.services_by_name(view).items() for ip in external_addresses(one)}
    leader = metallb.leader(view, names[aim.address]) if aim.address in names else None
    if leader is None:
        raise NotFoundError(
            tr(
                "the node that a packet to {target} comes to: nobody leads {address}",
                target=target,
                address=aim.address,
            ),
            tr(
                "name the node whose rules you mean: lab.trace({target!r}, node={control_plane!r})",
                target=target,
                control_plane=topology.control_plane,
            ),
        )
    return leader
