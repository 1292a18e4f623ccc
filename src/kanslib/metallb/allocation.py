"""Which address a Service gets (MetalLB v0.14.8 controller/service.go, internal/allocator/allocator.go)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import ip_address

from kanslib.k8s.objects import KubeObject, external_addresses
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
    """What the controller made of a Service: its addresses and their pool, and the events that it wrote.

    `released`: it gave an address back, so that others may be waiting for it.
    """

    ips: tuple[str, ...] = ()
    pool: str = ""
    events: tuple[EventMessage, ...] = ()
    released: bool = False


@dataclass(frozen=True)
class Allocation:
    """An address in use: by whose ports, under which sharing key, for which backends."""

    pool: str
    ips: tuple[str, ...]
    ports: tuple[tuple[str, int], ...]
    sharing: str
    pods: str


class _RefusedError(Exception):
    """Why an address is not to be had, in MetalLB's words."""


@dataclass
class Allocator:
    """MetalLB's allocator: it knows the pools and what it has assigned, and nothing else.

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
        """Take a new configuration: what no pool holds any more is forgotten (allocator.go SetPools)."""
        self.pools = pools
        for key, held in list(self.allocations.items()):
            pool = pool_of(pools, held.ips)
            if pool is None:
                del self.allocations[key]
            elif pool.name != held.pool:
                self.allocations[key] = replace(held, pool=pool.name)

    def release(self, key: str) -> bool:
        """Forget a Service (`namespace/name`); True when it held an address."""
        return self.allocations.pop(key, None) is not None

    def converge(self, service: KubeObject) -> Decision:
        """Give a Service its addresses, or find that those it has will do (service.go convergeBalancer).

        `service` with its present status; the same Service again changes nothing. What cannot be given is in an event
        of the decision, in MetalLB's words.
        """
        key, events = key_of_service(service), list[EventMessage]()
        held = self.allocations.get(key)
        if service["spec"].get("type") != "LoadBalancer" or not self.pools or not _family(service):
            return Decision(released=self.release(key) and self._still_there(held))
        ips = tuple(external_addresses(service))
        if not ips or _families(ips) != _family(service):
            ips = self._clear(key)
        if ips:
            ips = self._keep(key, service, ips, events)
        try:
            asked = _requested(service)
        except _RefusedError as why:
            # said while there is an address that a valid wish could have changed; it stays out of the status as it was
            reason, say = ("LoadBalancerFailed", f"invalid requested loadbalancer IPs: {why}")
            if ips:
                return Decision(ips, self._pool(key), (*events, EventMessage("Warning", reason, say)))
            return self._failed(key, why, events, held)
        if ips and asked and sorted(ips) != sorted(asked):
            ips = self._clear(key)
        if not ips:
            try:
                ips = self._allocate(key, service, asked)
            except _RefusedError as why:
                return self._failed(key, why, events, held)
            events.append(EventMessage("Normal", "IPAllocated", f"Assigned IP {_quoted(ips)}"))
        return Decision(ips, self._pool(key), tuple(events))

    def _failed(self, key: str, why: _RefusedError, events: list[EventMessage], held: Allocation | None) -> Decision:
        event = EventMessage("Warning", "AllocationFailed", f'Failed to allocate IP for "{key}": {why}')
        return Decision((), "", (*events, event), self._still_there(held))

    def _still_there(self, held: Allocation | None) -> bool:
        return held is not None and pool_of(self.pools, held.ips) is not None

    def _pool(self, key: str) -> str:
        return self.allocations[key].pool if key in self.allocations else ""

    def _clear(self, key: str) -> tuple[str, ...]:
        self.release(key)
        return ()

    def _keep(self, key: str, service: KubeObject, ips: tuple[str, ...], events: list[EventMessage]) -> tuple[str, ...]:
        """Return the addresses that a Service has, if it may keep them; else none."""
        try:
            self._assign(key, service, ips)
        except _RefusedError as why:
            say = f'current IP for "{key}" not allowed by config, will attempt for new IP assignment: {why}'
            events.append(EventMessage("Normal", "ClearAssignment", say))
            return self._clear(key)
        wanted = annotation(service, "address-pool")
        return self._clear(key) if wanted and wanted != self._pool(key) else ips

    def _allocate(self, key: str, service: KubeObject, asked: tuple[str, ...]) -> tuple[str, ...]:
        """Allocate what the Service asks for, else from its pool, else from any pool (service.go allocateIPs)."""
        wanted = annotation(service, "address-pool")
        if asked:
            if _families(asked) != _family(service):
                raise _RefusedError(
                    f"requested loadBalancer IP(s) {_quoted(asked)} does not match the ipFamily of the service"
                )
            self._assign(key, service, asked)
            if wanted and wanted != self._pool(key):
                self.release(key)
                mine = f"requested loadBalancer IP(s) {_quoted(asked)}"
                raise _RefusedError(f"{mine} is not compatible with requested address pool {wanted}")
            return asked
        if wanted:
            return self._from_pool(key, service, wanted)
        for pool in self.candidates(service):
            try:
                return self._from_pool(key, service, pool.name)
            except _RefusedError:
                continue
        raise _RefusedError("no available IPs")

    def candidates(self, service: KubeObject) -> list[Pool]:
        """Return the pools that are tried for a Service that asks for none, in order.

        First those whose serviceAllocation is meant for it, by priority (0 comes last), then all others. MetalLB takes
        these in no fixed order; here they come by name.
        """
        meta, automatic = service["metadata"], [pool for pool in self.pools.values() if pool.auto_assign]
        namespace, labels = meta.get("namespace", "default"), meta.get("labels", {})
        mine = [
            pool
            for pool in automatic
            if pool.pinned and (pool.namespaces or pool.service_selectors) and pool.serves(namespace, labels)
        ]
        mine.sort(key=lambda pool: (pool.priority == 0, pool.priority, pool.name))
        return mine + sorted((pool for pool in automatic if not pool.pinned), key=lambda pool: pool.name)

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
                if not self._objection(key, service, str(address)):
                    found.append(str(address))
                    missing.discard(network.version)
                    break
        if missing:
            raise _RefusedError(f'no available IPs in pool "{name}" for {family} IPFamily')
        self._assign(key, service, tuple(found))
        return tuple(found)

    def _assign(self, key: str, service: KubeObject, ips: tuple[str, ...]) -> None:
        """Give these very addresses, or say why not (allocator.go Assign)."""
        pool = next((one for one in self.pools.values() if all(_allowed(one, ip) for ip in ips)), None)
        if pool is None:
            raise _RefusedError(f"{_quoted(ips)} is not allowed in config")
        meta = service["metadata"]
        if not pool.serves(meta.get("namespace", "default"), meta.get("labels", {})):
            raise _RefusedError(f"pool {pool.name} not compatible for ip assignment")
        if len(ips) > 2:
            raise _RefusedError(f"more than two addresses {_quoted(ips)}")
        for ip in ips:
            if objection := self._objection(key, service, ip):
                raise _RefusedError(objection)
        self.allocations[key] = Allocation(pool.name, ips, _ports(service), *_sharing(service))

    def _objection(self, key: str, service: KubeObject, ip: str) -> str:
        """Return why a Service may not share an address; empty when it may (checkSharing, sharingOK)."""
        others = {name: held for name, held in self.allocations.items() if ip in held.ips and name != key}
        if not others:
            return ""
        sharing, backend = _sharing(service)
        if any(not sharing or (held.sharing, held.pods) != (sharing, backend) for held in others.values()):
            return f'can\'t change sharing key for "{key}", address also in use by {",".join(sorted(others))}'
        taken = {port for held in others.values() for port in held.ports}
        clash = next((port for port in _ports(service) if port in taken), None)
        return f'port {clash[0]}/{clash[1]} is already in use on "{ip}"' if clash else ""


def key_of_service(service: KubeObject) -> str:
    """`namespace/name`."""
    meta = service["metadata"]
    return f"{meta.get('namespace', 'default')}/{meta['name']}"


def _allowed(pool: Pool, ip: str) -> bool:
    return ip in pool and not (pool.avoid_buggy_ips and avoids_buggy_ips(ip_address(ip)))


def annotation(service: KubeObject, name: str) -> str:
    """Return what a Service asks for in one of MetalLB's annotations; empty without it."""
    return str((service["metadata"].get("annotations") or {}).get(PREFIX + name, ""))


def _requested(service: KubeObject) -> tuple[str, ...]:
    """Return the addresses a Service asks for by annotation or by spec.loadBalancerIP (getDesiredLbIPs)."""
    by_annotation, by_spec = annotation(service, "loadBalancerIPs"), service["spec"].get("loadBalancerIP", "")
    if by_annotation and by_spec:
        raise _RefusedError(f"service can not have both {PREFIX}loadBalancerIPs and svc.Spec.LoadBalancerIP")
    if by_spec and not _address(by_spec):
        raise _RefusedError(f'invalid spec.loadBalancerIP "{by_spec}"')
    asked = [part.strip() for part in by_annotation.split(",")] if by_annotation else [by_spec] if by_spec else []
    if not all(map(_address, asked)):
        raise _RefusedError(f'invalid {PREFIX}loadBalancerIPs: "{by_annotation}"')
    if len(asked) > 2:
        raise _RefusedError(f"IPFamilyForAddresses: invalid ips length {len(asked)} {_quoted(asked)}")
    if len(asked) == 2 and not _families(asked):
        raise _RefusedError(f"IPFamilyForAddresses: same address family {_quoted(asked)}")
    return tuple(asked)


def _address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _ports(service: KubeObject) -> tuple[tuple[str, int], ...]:
    return tuple((port.get("protocol", "TCP"), port["port"]) for port in service["spec"].get("ports") or [])


def _sharing(service: KubeObject) -> tuple[str, str]:
    """Return the sharing key, and the selector of the Pods, which has to be the same with policy Local."""
    spec, backend = service["spec"], ""
    if spec.get("externalTrafficPolicy") == "Local":
        backend = ",".join(f"{key}={value}" for key, value in sorted((spec.get("selector") or {}).items()))
    return annotation(service, "allow-shared-ip"), backend


def _families(ips: Iterable[str]) -> str:
    """ipv4, ipv6 or dual; empty for what is none of them."""
    versions = sorted(ip_address(ip).version for ip in ips)
    return {(4,): "ipv4", (6,): "ipv6", (4, 6): "dual"}.get(tuple(versions), "")


def _family(service: KubeObject) -> str:
    spec = service["spec"]
    return _families([ip for ip in spec.get("clusterIPs") or [spec.get("clusterIP")] if ip and ip != "None"])


def _quoted(ips: Iterable[str]) -> str:
    """Return addresses as Go prints a list of them with %q."""
    return "[" + " ".join(f'"{ip}"' for ip in ips) + "]"
