"""The changes that targets make to a packet (Linux net/netfilter/xt_*.c, nf_nat_*.c)."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

from kanslib.exceptions import TraceError
from kanslib.iptables import targets
from kanslib.iptables.matches import Unknown
from kanslib.iptables.packet import endpoint, number
from kanslib.iptables.packet_state import UNTRACKED, PacketState
from kanslib.iptables.targets import Action

_Endpoint = tuple[str | None, int | None]


def continuation(action: targets.UnknownTarget) -> Unknown:
    """Return the unknown statement that an unknown target lets the packet go on."""
    return Unknown(f"-j {action.name} lets the packet go on")


def apply_target(state: PacketState, action: Action) -> tuple[bool, str]:
    """Change the packet as a target does. Return whether the traversal of the table ends, and the change in words."""
    if isinstance(action, targets.Verdict):
        return True, ""
    if isinstance(action, targets.SetMark):
        state.mark = (state.mark & ~action.mask) ^ action.value
        return False, f"the mark becomes {state.mark:#x}"
    if isinstance(action, targets.SetConnectionMark):
        _connection_mark(state, action)
        return (
            False,
            "the connection's mark is set" if action.what != "restore" else f"the mark becomes {state.mark:#x}",
        )
    if isinstance(action, targets.Untracked):
        if state.looped:  # conntrack has processed it already (Linux net/netfilter/xt_CT.c)
            return False, ""
        state.tracked = UNTRACKED
        return False, "conntrack does not track it"
    if isinstance(action, targets.Translate | targets.MapNetwork):
        old = state.dst, state.dport
        if isinstance(action, targets.Translate):
            _translate(state, action)
        else:
            _map_network(state, action)
        if state.hook in ("PREROUTING", "OUTPUT"):
            return True, f"the destination {_change_text(old, (state.dst, state.dport))}"
        return True, f"the source becomes {state.src or 'an address of the interface it leaves by'}"
    return False, ""


def _change_text(old: _Endpoint, new: _Endpoint) -> str:
    return f"stays {endpoint(*new)}" if old == new else f"becomes {endpoint(*new)}"


def _connection_mark(state: PacketState, action: targets.SetConnectionMark) -> None:
    if state.unconnected:
        return
    if action.what == "set":
        state.connmark = None if state.connmark is None else (state.connmark & ~action.mask) ^ action.value
    elif action.what == "save":
        kept = 0 if action.mask == targets.ALL else state.connmark
        state.connmark = None if kept is None else (kept & ~action.mask) ^ (state.mark & action.mask)
    elif state.connmark is not None:
        state.mark = (state.mark & ~action.mask) ^ (state.connmark & action.mask)
    else:
        state.note("the mark is restored from the connection, which is not known: taken as unchanged")


def _translate(state: PacketState, action: targets.Translate) -> None:
    """Apply DNAT, REDIRECT, SNAT or MASQUERADE as far as the new address and port are known."""
    to_destination = action.kind in ("DNAT", "REDIRECT")
    old = (state.dst, state.dport) if to_destination else (state.src, state.sport)
    address = _new_address(state, action, old[0])
    _check_family(state, action.kind, address)
    port = _new_port(action, old[1])
    changes = address is None or (address, port) != old
    if to_destination:
        state.translated |= {"DNAT"} if changes else set()
        state.dst, state.dport = address, port
    else:
        state.translated |= {"SNAT"} if changes else set()
        state.src, state.sport = address, port


def _new_address(state: PacketState, action: targets.Translate, old: str | None) -> str | None:
    """Return the address after translation; None where it is not known."""
    if action.kind == "REDIRECT":
        return _redirect_address(state)
    if action.kind == "MASQUERADE":
        return _masquerade_address(state)
    if not action.addresses:
        return old
    first, last = action.addresses
    if first == last:
        return first
    state.note(f"{action.kind}: one of {first} to {last}; the kernel takes a hash of the addresses")
    return None


def _masquerade_address(state: PacketState) -> str | None:
    address = None
    if state.routing is not None and state.out_interface:
        address = state.routing.source(state.out_interface, state.dst or "0.0.0.0")
    if address is None:
        state.note("the new source is the address of the interface that it leaves by")
    return address


def _redirect_address(state: PacketState) -> str | None:
    """Return an address of this machine, the interface's own (Linux net/netfilter/nf_nat_redirect.c)."""
    if state.hook == "OUTPUT":
        return "127.0.0.1" if state.dst is None or number(state.dst)[0] == 32 else "::1"
    if state.routing is not None and state.in_interface and state.dst is not None:
        bits = number(state.dst)[0]
        addresses = [one.address for one in state.routing.interfaces if one.dev == state.in_interface]
        return next((address for address in addresses if number(address)[0] == bits), None)
    state.assume(Unknown("the new destination is an address of this machine"), True)
    return None


def _check_family(state: PacketState, kind: str, address: str | None) -> None:
    for other in (state.original.dst, state.original.src):
        if address and other and number(address)[0] != number(other)[0]:
            raise TraceError(
                f"{kind} to {address} for {state.original}: the rules are of the other family of addresses"
            )


def _new_port(action: targets.Translate, old: int | None) -> int | None:
    """Return the port after translation; None where the kernel picks it."""
    if action.ports:
        first, last = action.ports
        return first if first == last else None
    return None if action.random else old


def _map_network(state: PacketState, action: targets.MapNetwork) -> None:
    to_destination = state.hook in ("PREROUTING", "OUTPUT")
    old = state.address("dst" if to_destination else "src")
    if old is None or old[0] != action.bits:
        return
    value = action.network | (old[1] & ~action.mask)
    address = str(IPv4Address(value) if action.bits == 32 else IPv6Address(value))
    if to_destination:
        state.dst, state.translated = address, state.translated | {"DNAT"}
    else:
        state.src, state.translated = address, state.translated | {"SNAT"}
