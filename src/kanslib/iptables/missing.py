"""Rules that a machine has and its dump has not: tables that were not saved, rules of other tools, Services."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from kanslib.i18n import tr, tr_later


class MissingKind(StrEnum):
    """Which rules are missing."""

    INCOMPATIBLE_TABLE = "incompatible-table"
    LEGACY_RULES = "legacy-rules"
    TABLE = "table"
    SERVICES = "services"
    MANAGED_TABLE = "managed-table"


@dataclass(frozen=True, slots=True)
class MissingRules:
    """Rules that are missing from a dump, so that no trace through it is certain.

    `name`: the table (`ip nat` of a listing of nft), the command (iptables or ip6tables) with legacy rules, or what
    handles the Services (`ipvs`, `Cilium`, `kube-router`; empty where that is not known). `line`: the comment that says
    so, from 1; None without one.
    """

    kind: MissingKind
    name: str
    line: int | None = None

    def __str__(self) -> str:
        if self.kind is MissingKind.SERVICES:
            return tr(_SERVICE_TEXTS[self.name])
        words = tr(_TEXTS[self.kind], name=self.name)
        return f"{words} {tr('(line {line})', line=self.line)}" if self.line else words


_TEXTS = {
    MissingKind.INCOMPATIBLE_TABLE: tr_later(
        "table {name} has rules that iptables-save cannot print; `nft list ruleset` shows them"
    ),
    MissingKind.LEGACY_RULES: tr_later(
        "the rules of {name}-legacy apply as well and are not in this dump; `{name}-legacy-save` prints them"
    ),
    MissingKind.TABLE: tr_later(
        "table {name} is not in this dump: this machine has none, or only some tables "
        "were saved; iptables-save without -t prints every table"
    ),
    MissingKind.MANAGED_TABLE: tr_later(
        "iptables-nft made the table {name}, and nft prints some of its rules without their conditions; "
        "give what iptables-save prints beside this listing"
    ),
}
_SERVICE_TEXTS = {
    "ipvs": tr_later(
        "the Services are in ipvs, not in iptables: kube-proxy runs in ipvs mode; `ipvsadm -Ln` lists them"
    ),
    "kube-router": tr_later(
        "the Services are in ipvs, not in iptables: kube-router handles them; `ipvsadm -Ln` lists them"
    ),
    "Cilium": tr_later(
        "the Services are in Cilium's eBPF maps, not in iptables; `kubectl -n kube-system exec "
        "ds/cilium -- cilium-dbg service list` lists them"
    ),
    "": tr_later(
        "the Services are not in these rules: kube-proxy does not run here, or in nftables mode (`nft "
        "list ruleset` shows its table kube-proxy), or something else handles Services"
    ),
}
# iptables-nft-save of 1.8.2 and later (iptables/xtables-save.c, iptables/nft.c)
_INCOMPATIBLE = re.compile(r"table [`'](?P<name>[\w-]+)' (?:is|contains) incompatible", re.IGNORECASE)
_LEGACY = re.compile(r"(?P<name>ip6?tables)-legacy tables present")
_SERVICE_CHAINS = ("KUBE-SVC-", "KUBE-SVL-", "KUBE-XLB-", "KUBE-EXT-", "KUBE-SEP-")
_IPVS_CHAINS = {"KUBE-LOAD-BALANCER", "KUBE-NODE-PORT", "KUBE-IPVS-FILTER", "KUBE-IPVS-OUT-FILTER"}
# programs that never come without rules in nat
_NAT_USERS = ("KUBE-", "DOCKER", "CNI-", "FLANNEL-", "CILIUM_", "LIBVIRT_")


def read_comment(line: str, number: int) -> MissingRules | None:
    """Return what a line of iptables-save, numbered from 1, says is missing; None for any other line."""
    if found := _INCOMPATIBLE.search(line):
        return MissingRules(MissingKind.INCOMPATIBLE_TABLE, found["name"], number)
    if found := _LEGACY.search(line):
        return MissingRules(MissingKind.LEGACY_RULES, found["name"], number)
    return None


def missing_tables(
    names: Mapping[str, object], chains: set[str], said: tuple[MissingRules, ...]
) -> Iterator[MissingRules]:
    """Yield filter and nat where a dump should have them.

    `names`: the tables of the dump, `chains`: their chains, `said`: what its comments say is missing.
    """
    known = {*names, *(one.name for one in said)}
    if not names and said:
        return  # the comments say where the rules are
    if "filter" not in known:
        yield MissingRules(MissingKind.TABLE, "filter")
    if "nat" not in known and (not names or any(name.startswith(_NAT_USERS) for name in chains)):
        yield MissingRules(MissingKind.TABLE, "nat")


def missing_services(nat: Mapping[str, object], chains: set[str]) -> Iterator[MissingRules]:
    """Yield the Services of Kubernetes where a node's dump does not have them; `nat`: the chains of that table."""
    if any(name.startswith(_SERVICE_CHAINS) for name in chains):
        return
    if any(name.startswith("CILIUM_") for name in chains):
        yield MissingRules(MissingKind.SERVICES, "Cilium")
    elif chains & _IPVS_CHAINS:
        yield MissingRules(MissingKind.SERVICES, "ipvs")
    elif any(name.startswith("KUBE-ROUTER-") for name in chains):
        yield MissingRules(MissingKind.SERVICES, "kube-router")
    elif nat and "KUBE-SERVICES" not in nat and any(name.startswith(("KUBE-", "cali-")) for name in chains):
        yield MissingRules(MissingKind.SERVICES, "")
