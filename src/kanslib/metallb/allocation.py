"""Which address a Service gets (MetalLB v0.14.8 controller/service.go, internal/allocator/allocator.go)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import ip_address

from kanslib.k8s.objects import KubeObject, external_addresses, is_ip_address
from kanslib.metallb.config import Pool, avoids_buggy_ips, pool_of

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

    `released`: the Service gave an address back, so others that wait for one have to be reconciled.
    """

    ips: tuple[str, ...] = ()
    pool: str = ""
    events: tuple[EventMessage, ...] = ()
    released: bool = False


@dataclass(frozen=True)
class Allocation:
    """Assigned addresses: their pool, the ports in use, the sharing key, the selector of the Pods (policy Local)."""

    pool: str
    ips: tuple[str, ...]
    ports: tuple[tuple[str, int], ...]
    sharing: str
    pods: str


class _RefusedError(Exception):
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
            pool = pool_of(pools, allocation.ips)
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
        key, events = key_of_service(service), list[EventMessage]()
        before = self.allocations.get(key)
        if service["spec"].get("type") != "LoadBalancer" or not self.pools or not _family(service):
            return Decision(released=self.release(key) and self._is_in_a_pool(before))
        ips = tuple(external_addresses(service))
        if not ips or _families(ips) != _family(service):
            ips = self._clear(key)
        if ips:
            ips = self._keep(key, service, ips, events)
        try:
            requested = _requested_ips(service)
        except _RefusedError as error:
            if ips:  # an invalid request does not change the addresses in the status
                message = f"invalid requested loadbalancer IPs: {error}"
                return Decision(ips, self._pool(key), (*events, EventMessage("Warning", "LoadBalancerFailed", message)))
            return self._failed(key, error, events, before)
        if ips and requested and sorted(ips) != sorted(requested):
            ips = self._clear(key)
        if not ips:
            try:
                ips = self._allocate(key, service, requested)
            except _RefusedError as error:
                return self._failed(key, error, events, before)
            events.append(EventMessage("Normal", "IPAllocated", f"Assigned IP {_quoted(ips)}"))
        return Decision(ips, self._pool(key), tuple(events))

    def _failed(
        self, key: str, error: _RefusedError, events: list[EventMessage], before: Allocation | None
    ) -> Decision:
        event = EventMessage("Warning", "AllocationFailed", f'Failed to allocate IP for "{key}": {error}')
        return Decision((), "", (*events, event), self._is_in_a_pool(before))

    def _is_in_a_pool(self, allocation: Allocation | None) -> bool:
        return allocation is not None and pool_of(self.pools, allocation.ips) is not None

    def _pool(self, key: str) -> str:
        return self.allocations[key].pool if key in self.allocations else ""

    def _clear(self, key: str) -> tuple[str, ...]:
        self.release(key)
        return ()

    def _keep(self, key: str, service: KubeObject, ips: tuple[str, ...], events: list[EventMessage]) -> tuple[str, ...]:
        """Return the addresses that a Service has, if it may keep them; else none."""
        try:
            self._assign(key, service, ips)
        except _RefusedError as error:
            message = f'current IP for "{key}" not allowed by config, will attempt for new IP assignment: {error}'
            events.append(EventMessage("Normal", "ClearAssignment", message))
            return self._clear(key)
        requested_pool = annotation(service, "address-pool")
        return self._clear(key) if requested_pool and requested_pool != self._pool(key) else ips

    def _allocate(self, key: str, service: KubeObject, requested: tuple[str, ...]) -> tuple[str, ...]:
        """Allocate the requested addresses, else from the requested pool, else from any (service.go allocateIPs)."""
        requested_pool = annotation(service, "address-pool")
        if requested:
            if _families(requested) != _family(service):
                raise _RefusedError(
                    f"requested loadBalancer IP(s) {_quoted(requested)} does not match the ipFamily of the service"
                )
            self._assign(key, service, requested)
            if requested_pool and requested_pool != self._pool(key):
                self.release(key)
                ips = f"requested loadBalancer IP(s) {_quoted(requested)}"
                raise _RefusedError(f"{ips} is not compatible with requested address pool {requested_pool}")
            return requested
        if requested_pool:
            return self._from_pool(key, service, requested_pool)
        for pool in self.candidates(service):
            try:
                return self._from_pool(key, service, pool.name)
            except _RefusedError:
                continue
        raise _RefusedError("no available IPs")

    def candidates(self, service: KubeObject) -> list[Pool]:
        """Return the pools that are tried, in order, for a Service that requests none.

        First those whose serviceAllocation selects it, by priority (0 comes last), then those without one. MetalLB
        tries the latter in no fixed order; here they come by name.
        """
        meta, automatic = service["metadata"], [pool for pool in self.pools.values() if pool.auto_assign]
        namespace, labels = meta.get("namespace", "default"), meta.get("labels", {})
        pinned = [
            pool
            for pool in automatic
            if pool.pinned and (pool.namespaces or pool.service_selectors) and pool.serves(namespace, labels)
        ]
        pinned.sort(key=lambda pool: (pool.priority == 0, pool.priority, pool.name))
        return pinned + sorted((pool for pool in automatic if not pool.pinned), key=lambda pool: pool.name)

    def _from_pool(self, key: str, service: KubeObject, name: str) -> tuple[str, ...]:
        """Return the lowest address of each family that is free, or that may be shared (getIPFromCIDR)."""
        if name not in self.pools:
            raise _RefusedError(f'unknown pool "{name}"')
        pool, family = self.pools[name], _family(service)
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
            raise _RefusedError(f'no available IPs in pool "{name}" for {family} IPFamily')
        self._assign(key, service, tuple(found))
        return tuple(found)

    def _assign(self, key: str, service: KubeObject, ips: tuple[str, ...]) -> None:
        """Assign these addresses, or raise _RefusedError (allocator.go Assign)."""
        pool = next((one for one in self.pools.values() if all(_allowed(one, ip) for ip in ips)), None)
        if pool is None:
            raise _RefusedError(f"{_quoted(ips)} is not allowed in config")
        meta = service["metadata"]
        if not pool.serves(meta.get("namespace", "default"), meta.get("labels", {})):
            raise _RefusedError(f"pool {pool.name} not compatible for ip assignment")
        if len(ips) > 2:
            raise _RefusedError(f"more than two addresses {_quoted(ips)}")
        for ip in ips:
            if conflict := self._sharing_conflict(key, service, ip):
                raise _RefusedError(conflict)
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
        raise _RefusedError(f"service can not have both {PREFIX}loadBalancerIPs and svc.Spec.LoadBalancerIP")
    if by_spec and not is_ip_address(by_spec):
        raise _RefusedError(f'invalid spec.loadBalancerIP "{by_spec}"')
    requested = [part.strip() for part in by_annotation.split(",")] if by_annotation else [by_spec] if by_spec else []
    if not all(map(is_ip_address, requested)):
        raise _RefusedError(f'invalid {PREFIX}loadBalancerIPs: "{by_annotation}"')
    if len(requested) > 2:
        raise _RefusedError(f"IPFamilyForAddresses: invalid ips length {len(requested)} {_quoted(requested)}")
    if len(requested) == 2 and not _families(requested):
        raise _RefusedError(f"IPFamilyForAddresses: same address family {_quoted(requested)}")
    return tuple(requested)


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


def _family(service: KubeObject) -> str:
    spec = service["spec"]
    return _families([ip for ip in spec.get("clusterIPs") or [spec.get("clusterIP")] if ip and ip != "None"])


def _quoted(ips: Iterable[str]) -> str:
    """Return addresses as Go prints a list of them with %q."""
    return "[" + " ".join(f'"{ip}"' for ip in ips) + "]"
