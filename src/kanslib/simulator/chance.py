"""What could have come otherwise: MetalLB walks Go maps, whose order changes from run to run. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from kanslib.i18n import Words, any_of, listed, tr, tr_later


class Unordered(Words):
    """What MetalLB v0.14.8 takes in no fixed order."""

    POOLS = tr_later("pools")  # of equal rank (allocator.go Allocate)
    SERVICES = tr_later("Services")  # that wait when all are reconciled (service_controller_reload.go reprocessAll)
    PEERS = "BGPPeers"  # of one router (bgp_controller.go SetConfig)


@dataclass(frozen=True)
class Chance:
    """One of several results: `unordered` says why, `subjects` of whom it is, `outcomes` lists all, the real one first.

    `subjects`: Services (`namespace/name`) or nodes. `outcomes`: addresses or names of BGPPeers; Services that take
    turns share the outcomes in any order, and an empty one is no address.

    >>> print(Chance(Unordered.POOLS, ("default/web",), (("192.0.2.10",), ("198.51.100.10",))))
    default/web: 192.0.2.10 or 198.51.100.10 (MetalLB takes pools in no fixed order)
    """

    unordered: Unordered
    subjects: tuple[str, ...]
    outcomes: tuple[tuple[str, ...], ...]

    def __str__(self) -> str:
        outcomes = [listed(outcome) or tr("none") for outcome in self.outcomes]
        several = len(self.subjects) > 1 and self.unordered is Unordered.SERVICES
        said = tr("any order of {outcomes}", outcomes=listed(outcomes)) if several else any_of(outcomes)
        return tr(
            "{subjects}: {listed} (MetalLB takes {value} in no fixed order)",
            subjects=listed(self.subjects),
            listed=said,
            value=self.unordered,
        )
