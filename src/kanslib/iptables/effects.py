"""The changes that targets make to a packet (Linux net/netfilter/xt_*.c, nf_nat_*.c)."""

from __future__ import annotations

from functools import singledispatch
from ipaddress import IPv4Address, IPv6Address

from kanslib.exceptions import TraceError
from kanslib.i18n import listed, tr, tr_later
from kanslib.iptables import targets
from kanslib.iptables.bits import Bits
from kanslib.iptables.match_types import set_subject
from kanslib.iptables.matches import ALL_BITS, tcp_option_words
from kanslib.iptables.packet import endpoint, number
from kanslib.iptables.packet_state import FIELDS, PacketState
from kanslib.iptables.questions import NO_MSS, UNTRACKED, Question, Subject, address_number
from kanslib.iptables.ranges import YES, Ranges
from kanslib.iptables.stages import Role
from kanslib.iptables.targets import Action

_TO_DESTINATION = ("PREROUTING", "OUTPUT")  # hooks in which nat changes the destination
_NO: Ranges = ((0, 0),)
_TRANSPARENT = tr_later("a program {listens|does not listen} with a transparent socket at")


def question(state: PacketState, action: Action) -> Question | None:
    """Return what has to be known before a target can be applied; None where nothing is open."""
    asked: bool | Question = True
    if isinstance(action, targets.Ask):
        asked = state.ask(Question(_asked(state, action)))
    elif isinstance(action, targets.Redirect):
        asked = state.ask(Question(_listener(state, action)))
    elif isinstance(action, targets.ProxySYN):
        asked = _answers_handshake(state)
    elif isinstance(action, targets.SetConnectionMark):
        asked = state.test_untracked()
    return asked if isinstance(asked, Question) else None


def verdict(state: PacketState, action: Action) -> targets.Verdict | None:
    """Return the verdict of a target whose question is answered; None where the packet goes on in the table."""
    if isinstance(action, targets.Verdict):
        return action
    if isinstance(action, targets.Ask):
        return action.yes if state.ask(Question(_asked(state, action))) is True else action.no
    if isinstance(action, targets.Redirect):
        if state.ask(Question(_listener(state, action))) is True:
            return targets.Verdict("ACCEPT")
        return targets.Verdict(
            "DROP", tr("TPROXY: no transparent socket at {value}", value=_listener(state, action).value)
        )
    if isinstance(action, targets.ProxySYN) and _answers_handshake(state) is True:
        return targets.Verdict("SYNPROXY", tr("the machine answers the handshake itself"))
    if isinstance(action, targets.Translate | targets.MapNetwork) and state.role is Role.NAT:
        return targets.Verdict("ACCEPT")
    return None


@singledispatch
def apply(action: Action, state: PacketState) -> str:  # noqa: ARG001 (the parameters of singledispatch)
    """Change the packet as a target does, and return the change in words; empty where nothing changes."""
    return ""


def _asked(state: PacketState, action: targets.Ask) -> Subject:
    return Subject("target", action.words, key=state.key(action.fields))


def _listener(state: PacketState, action: targets.Redirect) -> Subject:
    port = action.port or state.dport
    value = tr("port {port}", port=port) if action.address in ("", "0.0.0.0", "::") else endpoint(action.address, port)
    return Subject("socket", tr(_TRANSPARENT), value, state.key(("src", "sport")))


def _answers_handshake(state: PacketState) -> bool | Question:
    """Return whether SYNPROXY takes the packet: a SYN or the ACK of a handshake (ipt_SYNPROXY.c)."""
    if state.protocol != 6:
        return False
    syn = state.test_bits("tcp_flags", 0x17, 0x02)
    return state.test_bits("tcp_flags", 0x17, 0x10) if syn is False else syn


# ── marks, header fields ─────────────────────────────────────────────────────────────────────────────────────


@apply.register
def _no_effect(action: targets.NoEffect, state: PacketState) -> str:  # noqa: ARG001 (the parameters of singledispatch)
    return action.words


@apply.register
def _settle(action: targets.Settle, state: PacketState) -> str:
    if not action.of_connection or state.test_untracked() is False:
        state.settle(action.subject, action.values)
    return action.words


@apply.register
def _set_bits(action: targets.SetBits, state: PacketState) -> str:
    bits: Bits = getattr(state, action.word)
    changed = bits.set(action.clear, action.flip)
    setattr(state, action.word, changed)
    if action.word == "tcp_flags":
        return tr("the flags ECE and CWR are cleared")
    name = tr("the mark") if action.word == "mark" else tr("the TOS octet")
    return (
        tr("{name} becomes {known:#x}", name=name, known=changed.known)
        if changed.known is not None
        else tr("bits of {name} are set", name=name)
    )


@apply.register
def _set_connection_mark(action: targets.SetConnectionMark, state: PacketState) -> str:
    if state.test_untracked() is True:
        return ""
    if action.what == "set":
        state.connmark = state.connmark.set(action.clear, action.flip)
    elif action.what == "save":
        read = state.mark.set(~action.flip, 0).shift(action.shift) if action.shift else state.mark
        state.connmark = state.connmark.copy_from(read, action.clear, ALL_BITS if action.shift else action.flip)
    else:
        read = state.connmark.set(~action.flip, 0).shift(action.shift) if action.shift else state.connmark
        state.mark = state.mark.copy_from(read, action.clear, ALL_BITS if action.shift else action.flip)
        known = state.mark.known
        if known is None:
            return tr("the mark becomes that of the connection")
        return tr("the mark becomes {known:#x}", known=known)
    return tr("the connection's mark is set")


@apply.register
def _hash_mark(action: targets.HashMark, state: PacketState) -> str:
    if action.first == action.last:
        state.mark = Bits(action.first)
        return tr("the mark becomes {first:#x}", first=action.first)
    state.forget_mark(tr("the mark of HMARK"))
    return tr(
        "the mark becomes a hash of the packet, from {first:#x} to {last:#x}", first=action.first, last=action.last
    )


@apply.register
def _set_field(action: targets.SetField, state: PacketState) -> str:
    state.change(action.field, action.value)
    if action.value is None:
        return action.words
    return tr("{field} becomes {value}", field=tr(FIELDS[action.field][0]), value=action.value)


@apply.register
def _set_ttl(action: targets.SetTTL, state: PacketState) -> str:
    if action.how == "set":
        state.ttl = action.value
    elif state.ttl is None:
        state.change("ttl", None)
        if action.how == "inc":
            return tr("the TTL becomes {by} higher", by=action.value)
        return tr("the TTL becomes {by} lower", by=action.value)
    else:
        by = action.value if action.how == "inc" else -action.value
        state.ttl = min(255, max(0, state.ttl + by))
    return tr("the TTL becomes {ttl}", ttl=state.ttl)


@apply.register
def _set_mss(action: targets.SetMSS, state: PacketState) -> str:
    highest = action.highest
    state.change("mss", None, ((0, NO_MSS - 1 if highest is None else highest),))
    if highest is None:
        return tr("its MSS is at most that of its path")
    return tr("its MSS is at most {highest}", highest=highest)


@apply.register
def _strip_options(action: targets.StripOptions, state: PacketState) -> str:
    for option in action.numbers:
        state.settle(Subject(f"tcp-option {option}", tcp_option_words(str(option))), _NO)
    if 2 in action.numbers:
        state.mss = NO_MSS
    return tr("it loses the TCP options {numbers}", numbers=listed(map(str, action.numbers)))


@apply.register
def _change_set(action: targets.ChangeSet, state: PacketState) -> str:
    subject = set_subject(state, action.name, action.flags)
    if action.maps_mark:
        state.forget_mark(tr("the mark of set {name}", name=action.name))
        return tr("the mark becomes that of set {name}", name=action.name)
    state.settle(subject, YES if action.adds else _NO)
    if action.adds:
        return tr("set {name} gets {value}", name=action.name, value=subject.value)
    return tr("set {name} loses {value}", name=action.name, value=subject.value)


@apply.register
def _redirect(action: targets.Redirect, state: PacketState) -> str:
    if state.ask(Question(_listener(state, action))) is not True:
        return ""
    state.socket = True
    if not (action.clear or action.flip):
        return tr("a local socket takes it")
    state.mark = state.mark.set(action.clear, action.flip)
    return tr("a local socket takes it; the mark becomes {known:#x}", known=state.mark.known or 0)


@apply.register
def _track(action: targets.Track, state: PacketState) -> str:
    # the first one counts (Linux net/netfilter/xt_CT.c, nft_ct.c nft_notrack_eval), and none behind conntrack
    if state.template or not state.before_conntrack:
        return ""
    if action.tracked:
        state.template = "template"
        return tr("conntrack will track it with {how}", how=action.how)
    state.template, state.ctstate = "notrack", UNTRACKED
    return tr("conntrack does not track it")


# ── NAT ──────────────────────────────────────────────────────────────────────────────────────────────────────


@apply.register
def _map_network(action: targets.MapNetwork, state: PacketState) -> str:
    field = action.field or ("dst" if state.hook in _TO_DESTINATION else "src")
    old = state.address(field)
    if old is not None and old[0] != action.bits:
        return ""
    value = action.network | (old[1] & ~action.mask if old else 0)
    if old is None or not action.exact:
        low, high = (
            address_number(action.bits, at) for at in (action.network, action.network | (_full(action) ^ action.mask))
        )
        state.change(field, None, ((low, high),))
        network = _text(action.bits, action.network)
        if field == "dst":
            return tr("the network of the destination becomes {network}", network=network)
        return tr("the network of the source becomes {network}", network=network)
    address = _text(action.bits, value)
    _move(state, field, address)
    return tr("{field} becomes {value}", field=tr(FIELDS[field][0]), value=address)


def _full(action: targets.MapNetwork) -> int:
    return (1 << action.bits) - 1


def _text(bits: int, value: int) -> str:
    return str(IPv4Address(value) if bits == 32 else IPv6Address(value))


def _move(state: PacketState, field: str, address: str | None, domain: Ranges | None = None) -> None:
    """Give the packet a new address in table nat."""
    if address is None or address != getattr(state, field):
        state.translated |= {"DNAT" if field == "dst" else "SNAT"}
    state.change(field, address, domain)


@apply.register
def _translate(action: targets.Translate, state: PacketState) -> str:
    to_destination = action.kind in ("DNAT", "REDIRECT")
    field, port_field = ("dst", "dport") if to_destination else ("src", "sport")
    old = getattr(state, field), getattr(state, port_field)
    address, domain = _new_address(state, action, field)
    for other in (state.original.dst, state.original.src):
        if address and other and number(address)[0] != number(other)[0]:
            raise TraceError(
                tr(
                    "{kind} to {address} for {original}: the rules are of the other family of addresses",
                    kind=action.kind,
                    address=address,
                    original=state.original,
                )
            )
    _move(state, field, address, domain)
    if action.kind == "REDIRECT" and address is None:
        state.settle(state.type_subject("dst"), YES)
    _translate_port(state, action, port_field)
    new = getattr(state, field), getattr(state, port_field)
    if new != old:
        state.translated |= {"DNAT" if to_destination else "SNAT"}
    if to_destination:
        if old == new:
            return tr("the destination stays {endpoint}", endpoint=endpoint(*new))
        return tr("the destination becomes {endpoint}", endpoint=endpoint(*new))
    if not state.src and action.addresses:
        first, last = action.addresses
        return tr("the source becomes one of {first} to {last}", first=first, last=last)
    if not state.src:
        return tr("the source becomes an address of the interface it leaves by")
    return tr("the source becomes {address}", address=state.src)


def _new_address(state: PacketState, action: targets.Translate, field: str) -> tuple[str | None, Ranges | None]:
    """Return the address after translation, or (None, the addresses that are possible)."""
    if action.kind in ("REDIRECT", "MASQUERADE"):
        own = _redirect_address(state) if action.kind == "REDIRECT" else _masquerade_address(state)
        return own, None
    if not action.addresses:
        kept: str | None = getattr(state, field)
        return kept, state.domains.get(field)
    first, last = action.addresses
    if first == last:
        return first, None
    state.note(
        tr(
            "{kind}: one of {first} to {last}; the kernel takes a hash of the addresses",
            kind=action.kind,
            first=first,
            last=last,
        )
    )
    return None, ((address_number(*number(first)), address_number(*number(last))),)


def _masquerade_address(state: PacketState) -> str | None:
    address = None
    if state.routing is not None and state.out_interface:
        route = state.routing.route(state.dst) if state.dst else None
        towards = (route.gateway if route else None) or state.dst or "0.0.0.0"
        address = state.routing.source(state.out_interface, towards)
    if address is None:
        state.note(tr("the new source is the address of the interface that it leaves by"))
    return address


def _redirect_address(state: PacketState) -> str | None:
    """Return an address of this machine, the interface's own (Linux net/netfilter/nf_nat_redirect.c)."""
    if state.hook == "OUTPUT":
        return "127.0.0.1" if state.dst is None or number(state.dst)[0] == 32 else "::1"
    if state.routing is not None and state.in_interface and state.dst is not None:
        bits = number(state.dst)[0]
        addresses = [one.address for one in state.routing.interfaces if one.dev == state.in_interface]
        found = next((address for address in addresses if number(address)[0] == bits), None)
        if found is not None:
            return found
    state.note(tr("the new destination is the address of the interface that it came in by"))
    return None


def _translate_port(state: PacketState, action: targets.Translate, field: str) -> None:
    """Give the packet its new port (Linux net/netfilter/nf_nat_core.c, nf_nat_l4proto_unique_tuple)."""
    port: int | None = getattr(state, field)
    if action.ports is None:
        if action.random and field == "sport":
            state.change(field, None, (_port_class(port),))
        return
    first, last = action.ports
    if first == last:
        state.change(field, first)
    elif port is not None and action.base is not None:
        state.change(field, first + (port - action.base) % (last - first + 1))
    elif port is not None and first <= port <= last and not action.random:
        return
    elif port is not None and field == "dport" and not action.random:
        state.change(field, first)  # the first that no other connection to this address has
    else:
        state.change(field, None, ((first, last),))


def _port_class(port: int | None) -> tuple[int, int]:
    """Return the ports that a source port can become at random: below 512, below 1024, or the rest."""
    if port is None:
        return 1, 65535
    return (1, 511) if port < 512 else (600, 1023) if port < 1024 else (1024, 65535)
