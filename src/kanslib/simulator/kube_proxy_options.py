"""The options of kube-proxy that a KubeProxyConfiguration sets, as kind gets it by kubeadm's patches. Pure.

Kubernetes v1.31 cmd/kube-proxy/app/server.go, server_linux.go getLocalDetectors, pkg/proxy/apis/config/validation.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from kanslib.exceptions import NotSimulatedError, RefusedError
from kanslib.i18n import tr
from kanslib.k8s.field_errors import FieldError, invalid
from kanslib.k8s.kubeproxy import Config
from kanslib.k8s.objects import KubeObject, name_of
from kanslib.simulator.address_family import is_cidr, is_ipv6

_PRIMARY = "primary"  # the value of nodePortAddresses that stands for the node's own address
_MODES = ("ClusterCIDR", "NodeCIDR")
_READ = {
    "": ("apiVersion", "kind", "mode", "iptables", "conntrack", "clusterCIDR", "detectLocalMode", "nodePortAddresses"),
    "iptables": ("masqueradeAll", "localhostNodePorts"),
    "conntrack": ("tcpBeLiberal",),
}
_NO_CIDR = "must be a valid CIDR block (e.g. 10.100.0.0/16 or fde4:8dba:82e1::/48)"


@dataclass(frozen=True)
class KubeProxyOptions:
    """What a KubeProxyConfiguration says of the rules.

    `cluster_cidrs`: ranges of Pods in place of the podSubnet. `detects_node_cidr`: only the Pods of a node's own range
    are local to it (detectLocalMode NodeCIDR). The other fields as in `kubeproxy.Config`.
    """

    cluster_cidrs: tuple[str, ...] = ()
    detects_node_cidr: bool = False
    masquerade_all: bool = False
    localhost_nodeports: bool = True
    nodeport_addresses: tuple[str, ...] = ()
    conntrack_tcp_liberal: bool = False

    def config(self, nodes: Iterable[KubeObject], node: str, pod_subnet: str, *, ipv6: bool) -> Config:
        """Return the configuration of a node's kube-proxy in one family. `pod_subnet`: the Pods' range in it, or ""."""
        known = {name_of(one): one for one in nodes}
        config = replace(
            Config.of(known.values(), self._local_range(known[node], pod_subnet, ipv6), ipv6=ipv6),
            masquerade_all=self.masquerade_all,
            localhost_nodeports=self.localhost_nodeports,
            nodeport_addresses=self.nodeport_addresses,
            conntrack_tcp_liberal=self.conntrack_tcp_liberal,
        )
        return config.with_primary_nodeports(node) if self.nodeport_addresses == (_PRIMARY,) else config

    def _local_range(self, node: KubeObject, pod_subnet: str, ipv6: bool) -> str:
        """Return the range whose packets kube-proxy takes for those of Pods; empty where it cannot tell."""
        ranges = self.cluster_cidrs
        if self.detects_node_cidr:
            ranges = tuple(node["spec"].get("podCIDRs") or [node["spec"]["podCIDR"]])
        return next((cidr for cidr in ranges if is_ipv6(cidr) == ipv6), "") if ranges else pod_subnet


def read(configuration: Mapping[str, Any]) -> KubeProxyOptions:
    """Return the options of a KubeProxyConfiguration.

    Raise RefusedError for what kube-proxy ends with at its start, NotSimulatedError for what the simulator cannot do.

    >>> read({"nodePortAddresses": ["192.0.2.0/24"], "iptables": {"masqueradeAll": True}}).masquerade_all
    True
    """
    iptables, conntrack = configuration.get("iptables") or {}, configuration.get("conntrack") or {}
    mode, local = configuration.get("mode") or "iptables", configuration.get("detectLocalMode") or "ClusterCIDR"
    if mode != "iptables":
        raise NotSimulatedError(tr("kube-proxy in mode {mode}", mode=mode), ["iptables"])
    if local not in _MODES:
        raise NotSimulatedError(tr("kube-proxy with detectLocalMode {local}", local=local), _MODES)
    options = KubeProxyOptions(
        tuple(filter(None, (configuration.get("clusterCIDR") or "").split(","))),
        local == "NodeCIDR",
        bool(iptables.get("masqueradeAll")),
        iptables.get("localhostNodePorts") is not False,
        tuple(configuration.get("nodePortAddresses") or ()),
        bool(conntrack.get("tcpBeLiberal")),
    )
    if errors := [*map(str, _errors(options))]:
        raise RefusedError("kube-proxy", errors[0] if len(errors) == 1 else f"[{', '.join(errors)}]")
    return options


def unread_fields(configuration: Mapping[str, Any]) -> Iterator[str]:
    """Yield the paths of the fields that change nothing here."""
    for field, value in configuration.items():
        if field not in _READ[""]:
            yield field
        elif field in _READ and isinstance(value, Mapping):
            yield from (f"{field}.{inner}" for inner in value if inner not in _READ[field])


def _errors(options: KubeProxyOptions) -> Iterator[FieldError]:
    """Yield what kube-proxy says of addresses and ranges (validation.go Validate)."""
    path = "KubeProxyConfiguration.NodePortAddresses"
    for place, cidr in enumerate(options.nodeport_addresses):
        if cidr == _PRIMARY:
            if len(options.nodeport_addresses) > 1:
                yield invalid(f"{path}[{place}]", cidr, "can't use both 'primary' and CIDRs")
            break
        if not is_cidr(cidr):
            yield invalid(f"{path}[{place}]", cidr, "must be a valid CIDR")
    for place, cidr in enumerate(() if options.detects_node_cidr else options.cluster_cidrs):
        if not is_cidr(cidr):
            path = f"KubeProxyConfiguration.DetectLocalConfiguration.ClusterCIDRs[{place}]"
            yield invalid(path, cidr, _NO_CIDR)
