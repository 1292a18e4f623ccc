"""Which address a Service gets (MetalLB v0.14.8 controller/service.go, internal/allocator/allocator.go)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import ip_address

from kanslib.k8s.objects import KubeObject, external_addresses
from kanslib.metallb.config import Pool
from kanslib.metallb.go_text import quoted, quoted_list
from kanslib.metallb.ranges import avoids_buggy_ips, parse_ip

PREFIX = "metallb.universe.tf/"  # v0.14.8 knows no other; `metallb.io/` came with v0.14.9 and is ignored here
FROM_POOL = PREFIX + "ip-allocated-from-pool"


@dataclass(frozen=True)
class EventMessage:
    """An event that the controller writes about a Service."""

    type: str
    reason: str
    message: str


@dataclass(frozen=True)
class Decision:
    """The controller's decision about a Service: its addresses and their pool, and the events that it writes.

    `released`: the Service gave an address back, so others that wait for one have to be reconciled. `alternatives`: the
    addresses that MetalLB might assign as well, because it tries some pools in no fixed order.
    """

    ips: tuple[str, ...] = ()
    pool: str = ""
    events: tuple[EventMessage, ...] = ()
    released: bool = False
    alternatives: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True)
class Allocation:
    """Assigned addresses: their pool, the ports in use, the sharing key, the selector of the Pods (policy Local)."""

    pool: str
    ips: tuple[str, ...]
    ports: tuple[tuple[str, int], ...]
    sharing: str
    pods: str


class _UnassignableError(Exception):
    """An address cannot be assigned; the message is MetalLB's."""


@dataclass
class Allocator:
    """MetalLB's allocator: `pools` by name, and `allocations` by Service (`namespace/name`).

    >>> import kanslib
    >>> from kanslib.metallb.config import pools
    >>> lab = kanslib.open_lab(story="metallb")  # doctest: +ELLIPSIS
    recorded · story 'metallb': ...
    >>> lab.at("apply-services")
    >>> allocator = Allocator(pools(lab.objects))
    >>> for name in ("svc1", "svc2", "svc3"):
    ...     service = {**lab.object("service", name), "status": {}}
    ...     print(*allocator.converge(service).ips, lab.vip(name))
    172.18.255.200 172.18.255.200
    172.18.255.201 172.18.255.201
    172.18.255.202 172.18.255.202
    """

    pools: Mapping[str, Pool] = field(default_factory=dict)
    allocations: dict[str, Allocation] = field(default_factory=dict)

    def set_pools(self, pools: Mapping[str, Pool]) -> None:
        """Replace the pools, and forget the allocations that no pool contains any more (allocator.go SetPools)."""
        self.pools = pools
        for key, allocation in list(self.allocations.items()):
            pool = self._pool_for(allocation.ips)
            if pool is None:
                del self.allocations[key]
            elif pool.name != allocation.pool:
                self.allocations[key] = replace(allocation, pool=pool.name)

    def release(self, key: str) -> bool:
        """Release the addresses of a Service (`namespace/name`); return True when it had any."""
        return self.allocations.pop(key, None) is not None

    def converge(self, service: KubeObject) -> Decision:
        """Assign addresses to a Service, or keep those that it has (service.go convergeBalancer).

        `service`: with its current status; an unchanged Service changes nothing. Where no address can be assigned, an
        event of the decision says why, in MetalLB's words.
        """
        key = key_of_service(service)
        before = self.allocations.get(key)
        decision = self._converge(key, service)
        is_released = before is not None and key not in self.allocations and self._pool_for(before.ips) is not None
        is_written = bool(external_addresses(service)) or FROM_POOL in (service["metadata"].get("annotations") or {})
        return replace(decision, released=is_released and is_written)

    def _converge(self, key: str, service: KubeObject) -> Decision:
        if service["spec"].get("type") != "LoadBalancer" or not self.pools or not _cluster_ips(service):
            self.release(key)
            return Decision()
        events: list[EventMessage] = []
        ips = tuple(external_addresses(service))
        if ips and (problem := _family_problem(ips)):
            message = f"Failed to retrieve LBIPs IPFamily for {quoted_list(ips)}: {problem}"
            events.append(EventMessage("Warning", "nolbIPsIPFamily", message))
        if not ips or _families(ips) != _families(_cluster_ips(service)):
            self.release(key)
        else:
            try:
                self._keep(key, service, ips, events)
            except _UnassignableError as error:
                message = f"invalid requested loadbalancer IPs: {error}"
                decision = self._decision(key, [*events, EventMessage("Warning", "LoadBalancerFailed", message)])
                return replace(decision, pool=annotation(service, "ip-allocated-from-pool") if decision.ips else "")
        if key in self.allocations:
            return self._decision(key, events)
        try:
            ips, others = self._allocate(key, service)
        except _UnassignableError as error:
            message = f'Failed to allocate IP for "{key}": {error}'
            return self._decision(key, [*events, EventMessage("Warning", "AllocationFailed", message)])
        events.append(EventMessage("Normal", "IPAllocated", f"Assigned IP {quoted_list(ips)}"))
        return replace(self._decision(key, events), alternatives=others)

    def _decision(self, key: str, events: Iterable[EventMessage]) -> Decision:
        """Return what is assigned to a Service now."""
        allocation = self.allocations.get(key)
        return Decision(allocation.ips if allocation else (), self._pool(key), tuple(events))

    def _pool_for(self, ips: Iterable[str]) -> Pool | None:
        """Return the pool that may assign all of these addresses (allocator.go poolFor)."""
        return next((pool for pool in self.pools.values() if all(_allowed(pool, ip) for ip in ips)), None)

    def _pool(self, key: str) -> str:
        return self.allocations[key].pool if key in self.allocations else ""

    def _keep(self, key: str, service: KubeObject, ips: tuple[str, ...], events: list[EventMessage]) -> None:
        """Assign the addresses that a Service has, if it may keep them; else release them.

        Raise _RefusedError for addresses that it requests and that are none.
        """
        try:
            self._assign(key, service, ips)
        except _UnassignableError as error:
            message = f'current IP for "{key}" not allowed by config, will attempt for new IP assignment: {error}'
            events.append(EventMessage("Normal", "ClearAssignment", message))
            self.release(key)
        requested_pool = annotation(service, "address-pool")
        if requested_pool and requested_pool != self._pool(key):
            self.release(key)
        requested = _requested_ips(service)
        if requested and key in self.allocations:
            ips = tuple(sorted(ips))  # MetalLB sorts them to compare them, and leaves them so
            self.allocations[key] = replace(self.allocations[key], ips=ips)
            if ips != tuple(sorted(requested)):
                self.release(key)

    def _allocate(self, key: str, service: KubeObject) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
        """Allocate the requested addresses, else from the requested pool, else from any (service.go allocateIPs).

        Return them, and those that MetalLB might allocate as well. Raise _RefusedError.
        """
        family = _service_family(service)
        requested = _requested_ips(service)
        requested_pool = annotation(service, "address-pool")
        if requested:
            if _families(requested) != family:
                raise _UnassignableError(
                    f"requested loadBalancer IP(s) {quoted_list(requested)} does not match the ipFamily of the service"
                )
            self._assign(key, service, requested)
            if requested_pool and requested_pool != self._pool(key):
                self.release(key)
                ips = f"requested loadBalancer IP(s) {quoted_list(requested)}"
                raise _UnassignableError(f"{ips} is not compatible with requested address pool {requested_pool}")
            return requested, ()
        if requested_pool:
            chosen = self._available(key, service, requested_pool)
            self._assign(key, service, chosen)
            return chosen, ()
        for group in self._candidate_groups(service):
            available = [found for pool in group if (found := self._available_or_none(key, service, pool.name))]
            if available:
                first, *others = available
                self._assign(key, service, first)
                return first, tuple(others)
        raise _UnassignableError("no available IPs")

    def candidates(self, service: KubeObject) -> list[Pool]:
        """Return the pools that are tried, in order, for a Service that requests none.

        First those whose serviceAllocation selects it, by priority (0 comes last), then those without one. MetalLB
        tries pools with one turn, and pools without a serviceAllocation, in no fixed order; here they come by name.
        """
        return [pool for group in self._candidate_groups(service) for pool in group]

    def _candidate_groups(self, service: KubeObject) -> list[list[Pool]]:
        """Return the candidates in groups: within one MetalLB has no order (it walks a Go map)."""
        meta = service["metadata"]
        automatic = sorted((pool for pool in self.pools.values() if pool.auto_assign), key=lambda pool: pool.name)
        namespace, labels = meta.get("namespace", "default"), meta.get("labels") or {}
        pinned = [
            pool
            for pool in automatic
            if pool.pinned and (pool.namespaces or pool.service_selectors) and pool.serves(namespace, labels)
        ]
        turns = sorted(set(map(_turn, pinned)))
        groups = [[pool for pool in pinned if _turn(pool) == turn] for turn in turns]
        return [*groups, [pool for pool in automatic if not pool.pinned]]

    def _available_or_none(self, key: str, service: KubeObject, name: str) -> tuple[str, ...] | None:
        try:
            return self._available(key, service, name)
        except _UnassignableError:
            return None

    def _available(self, key: str, service: KubeObject, name: str) -> tuple[str, ...]:
        """Return the lowest address of each family in a pool that is free, or that may be shared (getIPFromCIDR)."""
        if name not in self.pools:
            raise _UnassignableError(f'unknown pool "{name}"')
        pool, family = self.pools[name], _service_family(service)
        missing = {4, 6} if family == "dual" else {int(family[-1])}
        found: list[str] = []
        for network in pool.networks:
            if network.version not in missing:
                continue
            for address in network:
                if pool.avoid_buggy_ips and avoids_buggy_ips(address):
                    continue
                if not self._sharing_conflict(key, service, str(address)):
                    found.append(str(address))
                    missing.discard(network.version)
                    break
        if missing:
            raise _UnassignableError(f'no available IPs in pool "{name}" for {family} IPFamily')
        return tuple(found)

    def _assign(self, key: str, service: KubeObject, ips: tuple[str, ...]) -> None:
        """Assign these addresses, or raise _RefusedError (allocator.go Assign)."""
        pool = self._pool_for(ips)
        if pool is None:
            raise _UnassignableError(f"{quoted_list(ips)} is not allowed in config")
        meta = service["metadata"]
        if not pool.serves(meta.get("namespace", "default"), meta.get("labels") or {}):
            raise _UnassignableError(f"pool {pool.name} not compatible for ip assignment")
        if len(ips) > 2:
            raise _UnassignableError(f"more than two addresses {quoted_list(ips)}")
        for ip in ips:
            if conflict := self._sharing_conflict(key, service, ip):
                raise _UnassignableError(conflict)
        self.allocations[key] = Allocation(pool.name, ips, _ports(service), *_sharing(service))

    def _sharing_conflict(self, key: str, service: KubeObject, ip: str) -> str:
        """Return why a Service may not share an address; empty when it may (checkSharing, sharingOK)."""
        others = {name: other for name, other in self.allocations.items() if ip in other.ips and name != key}
        if not others:
            return ""
        sharing, pods = _sharing(service)
        if any(not sharing or (other.sharing, other.pods) != (sharing, pods) for other in others.values()):
            return f'can\'t change sharing key for "{key}", address also in use by {",".join(sorted(others))}'
        taken = {port for other in others.values() for port in other.ports}
        clash = next((port for port in _ports(service) if port in taken), None)
        return f'port {clash[0]}/{clash[1]} is already in use on "{ip}"' if clash else ""


def _turn(pool: Pool) -> tuple[bool, int, bool]:
    """Return when a pool with a serviceAllocation is tried; pools with the same turn come in no fixed order.

    allocator.go lists pools of namespaces before those of service selectors; sortPools keeps the order of two that
    have one priority, and turns it round for those that have none.
    """
    if pool.priority:
        return False, pool.priority, not pool.namespaces
    return True, 0, not pool.service_selectors


def key_of_service(service: KubeObject) -> str:
    """Return `namespace/name`, with `default` written out."""
    meta = service["metadata"]
    return f"{meta.get('namespace', 'default')}/{meta['name']}"


def _allowed(pool: Pool, ip: str) -> bool:
    return ip in pool and not (pool.avoid_buggy_ips and avoids_buggy_ips(ip_address(ip)))


def annotation(service: KubeObject, name: str) -> str:
    """Return one of MetalLB's annotations of a Service; `name` without the prefix; empty without it."""
    return str((service["metadata"].get("annotations") or {}).get(PREFIX + name, ""))


def _requested_ips(service: KubeObject) -> tuple[str, ...]:
    """Return the addresses that a Service requests by annotation or spec.loadBalancerIP (getDesiredLbIPs)."""
    by_annotation, by_spec = annotation(service, "loadBalancerIPs"), service["spec"].get("loadBalancerIP", "")
    if by_annotation and by_spec:
        raise _UnassignableError(f"service can not have both {PREFIX}loadBalancerIPs and svc.Spec.LoadBalancerIP")
    texts = by_annotation.split(",") if by_annotation else [by_spec] if by_spec else []
    found = [parse_ip(text.strip() if by_annotation else text) for text in texts]
    requested = [str(ip) for ip in found if ip]
    if len(requested) < len(found):
        problem = f"invalid {PREFIX}loadBalancerIPs: " if by_annotation else "invalid spec.loadBalancerIP "
        raise _UnassignableError(problem + quoted(by_annotation or by_spec))
    if requested and (problem := _family_problem(requested)):
        raise _UnassignableError(problem)
    return tuple(requested)


def _family_problem(ips: Sequence[str]) -> str:
    """Return why addresses are of no family: they are more than two, or two of one (ipfamily.ForAddresses)."""
    if len(ips) > 2:
        return f"IPFamilyForAddresses: invalid ips length {len(ips)} {quoted_list(ips)}"
    if len(ips) == 2 and not _families(ips):
        return f"IPFamilyForAddresses: same address family {quoted_list(ips)}"
    return ""


def _ports(service: KubeObject) -> tuple[tuple[str, int], ...]:
    return tuple((port.get("protocol", "TCP"), port["port"]) for port in service["spec"].get("ports") or [])


def _sharing(service: KubeObject) -> tuple[str, str]:
    """Return the sharing key, and the selector of the Pods, which has to be the same with policy Local."""
    spec, selector = service["spec"], ""
    if spec.get("externalTrafficPolicy") == "Local":
        selector = ",".join(f"{key}={value}" for key, value in sorted((spec.get("selector") or {}).items()))
    return annotation(service, "allow-shared-ip"), selector


def _families(ips: Iterable[str]) -> str:
    """Return ipv4, ipv6 or dual; empty for any other combination."""
    versions = sorted(ip_address(ip).version for ip in ips)
    return {(4,): "ipv4", (6,): "ipv6", (4, 6): "dual"}.get(tuple(versions), "")


def _cluster_ips(service: KubeObject) -> list[str]:
    spec = service["spec"]
    return spec.get("clusterIPs") or ([spec["clusterIP"]] if spec.get("clusterIP") else [])


def _service_family(service: KubeObject) -> str:
    """Return the family of a Service's ClusterIPs. Raise _RefusedError where they have none (ipfamily.ForService)."""
    ips = _cluster_ips(service)
    if not all(map(parse_ip, ips)):
        raise _UnassignableError(f"IPFamilyForAddresses: Invalid address {quoted_list(ips)}")
    return _families(ips)
