"""Where a packet meets rules: the base chains of each hook, in the kernel's order.

Hooks and tables come in the order of Linux include/uapi/linux/netfilter_ipv4.h, nf_ip_hook_priorities.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum, auto
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from kanslib.iptables.compiled import CompiledRule

CONNTRACK = -200  # the priority at which conntrack looks at a packet
_NAT = {"PREROUTING": -100, "OUTPUT": -100, "INPUT": 100, "POSTROUTING": 100}


class Role(Enum):
    """What is special about a base chain: it comes before conntrack, or is asked once a connection."""

    BEFORE_CONNTRACK = auto()
    NAT = auto()
    OTHER = auto()


class Stage(NamedTuple):
    """A base chain as a packet meets it: its hook, its table and its name, its priority and its role.

    `rank` orders chains of one priority: the kernel asks the one first that was added last
    (Linux net/netfilter/core.c, nf_hook_entries_grow). `devices`: the interfaces whose packets meet the chain, of the
    hooks INGRESS and EGRESS; None for every interface, empty where the text does not name them (JSON of nft 1.0).
    `reroutes`: what the chain changes in a packet of OUTPUT gives it another way: nat, mangle, the type route of nft.
    """

    hook: str
    table: str
    chain: str
    priority: int
    role: Role
    rank: int = 0
    devices: tuple[str, ...] | None = None
    reroutes: bool = False


def in_order(stages: Iterable[Stage]) -> tuple[Stage, ...]:
    """Return the base chains of one hook in the order in which the kernel asks them.

    All of nat stand together, by their own priority: where the first of them was added
    (Linux net/netfilter/nf_nat_core.c, nf_nat_register_fn).
    """
    found = list(stages)
    first_of_nat = max((one.rank for one in found if one.role is Role.NAT), default=0)

    def place(stage: Stage) -> tuple[int, int, int, int]:
        if stage.role is Role.NAT:
            return _NAT[stage.hook], first_of_nat, stage.priority, stage.rank
        return stage.priority, stage.rank, stage.priority, stage.rank

    return tuple(sorted(found, key=place))


class TracedChain(Protocol):
    """A chain that a packet can traverse.

    `policy`: what becomes of a packet at the end of a base chain. `is_map`: its rules are the elements of a map, so
    that a verdict in it counts in the chain that has asked the map.
    """

    @property
    def table(self) -> str: ...  # noqa: D102 (as above)
    @property
    def policy(self) -> str: ...  # noqa: D102 (as above)
    @property
    def is_map(self) -> bool: ...  # noqa: D102 (as above)
    @property
    def last_uses(self) -> dict[str, int]:
        """The last position at which a rule can ask about a `Subject.name`, or jump to a chain (`-j NAME`)."""
        ...

    def __len__(self) -> int: ...

    def rule(self, position: int) -> CompiledRule:
        """Return the rule at a position (from 0), compiled."""
        ...

    def candidates(self, src: str | None, dst: str | None, dport: int | None) -> Sequence[int]:
        """Return the positions of the rules that can match such a packet, in order. None means unknown."""
        ...


class RuleSource(Protocol):
    """Rules of one kind on a machine: a dump of iptables, or a ruleset of nftables."""

    def stages(self, family: int) -> Iterable[Stage]:
        """Return its base chains that packets of a family (4 or 6) meet."""
        ...

    def chain(self, table: str, name: str) -> TracedChain | None:
        """Return a compiled chain; None where it has no such table or chain."""
        ...
