"""Compare traces with the kernel over thousands of random rulesets of nftables, four packets each.

    python bench/kernel_nftables.py SEED NUMBER

Tables and packets are of IPv4, of IPv6, and of both. A third of the rulesets has rules of iptables beside them, half of
those of iptables-nft and half of iptables-legacy.
Rules come from the strategies of the tests, and are put together anew for each ruleset, which is faster than drawing
each anew. Prints every difference, and writes the rules to a file.
"""

from __future__ import annotations

import random
import sys
import time
from functools import cache
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent.parent))
sys.path.insert(0, str(Path(__file__).parent.parent / "src"))

from kanslib.iptables import Packet
from tests.iptables import rulesets as of_iptables
from tests.iptables.rulesets import NO_MEMORY, PLACES, POLICIES, PORTS
from tests.kernel.machine import machine
from tests.kernel.test_nftables import NOTHING, Beside, compare, compare_each, remembers
from tests.nftables.ipv6_rulesets import DUAL
from tests.nftables.rulesets import FAMILIES, WATCHED, Body, Place, assemble, bodies, in_family, packets, rule

EACH = 15  # packets of a kind
POOL = 120  # rules for a kind of chain


def drawn(number: int, strategy: st.SearchStrategy[object]) -> list[object]:
    """Return values of a strategy, the same for the same seed."""
    found: list[object] = []

    @seed(number)
    @settings(
        max_examples=POOL,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def draw(value: object) -> None:
        found.append(value)

    draw()
    return found


class Rulesets:
    """Random rulesets, put together of rules that are drawn once; the same for the same seed."""

    def __init__(self, number: int) -> None:
        self._number, self._rng = number, random.Random(number)
        self._bodies = drawn(number, bodies())
        self._packets = [packet for packet in drawn(number, packets()) if isinstance(packet, Packet)]
        self._rules = cache(lambda kind: [str(one) for one in drawn(number, rule(*kind))])
        self._theirs = drawn(number, st.tuples(*(of_iptables.rule(*place, NO_MEMORY) for place in PLACES)))

    def table(self, name: str) -> str:
        """Return a table."""
        chains: dict[Body, list[str]] = {}
        family = self._rng.choice(FAMILIES)
        found = self._rng.choice(self._bodies)
        for body in found if isinstance(found, list) else []:
            place, before = body.kind
            pool = self._rules((place if place.hook else Place(body.place.chain), before))
            rules = self._rng.choices(pool, k=self._rng.randrange(0 if body.head else 1, 5))
            chains[body] = in_family(family, rules, self._rng.choices((True, False), k=len(rules)))
        return assemble(name, family, chains)

    def script(self) -> str:
        """Return one or two tables."""
        return WATCHED + self.table("first") + (self.table("second") if self._rng.random() < 0.5 else "")

    def packets(self, families: tuple[int, ...]) -> list[Packet]:
        """Return four packets of some families."""
        return self._rng.sample([one for one in dict.fromkeys(self._packets) if one.family in families], 4)

    def beside(self) -> Beside:
        """Return rules of iptables, of which the dump of iptables-legacy does not say when they were loaded."""
        rules = {
            place: [
                str(row[at])
                for row in self._rng.choices(self._theirs, k=self._rng.randrange(5))
                if isinstance(row, tuple)
            ]
            for at, place in enumerate(PLACES)
        }
        dump = of_iptables.assemble(rules, iter(self._rng.choices(POLICIES, k=3)))
        flavour = self._rng.choice(("nft", "legacy"))
        return Beside(dump, flavour, flavour == "legacy" or self._rng.random() < 0.5)


def main(number: int, most: int) -> int:
    """Compare, and return how many rulesets differ."""
    began, different, made = time.monotonic(), 0, Rulesets(number)
    with machine(DUAL) as nft, machine(DUAL) as legacy:
        machines = {"nft": nft, "legacy": legacy, "": nft}
        for one in machines.values():
            one.listen(PORTS)
        for done in range(most):
            script = made.script()
            beside = made.beside() if done % 3 == 2 else NOTHING
            kinds = made.packets((4,) if beside.flavour else (4, 6))
            try:
                if remembers(script):
                    compare_each(machines[beside.flavour], script, kinds, EACH, beside)
                else:
                    compare(machines[beside.flavour], script, kinds, EACH, beside)
            except (AssertionError, RuntimeError) as error:
                different += 1
                print(f"ruleset {done} ({beside.flavour or 'nftables alone'}): {str(error)[:500]}", flush=True)
                Path(f"different-{number}-{done}.txt").write_text(f"{script}\n{beside}\n{kinds}\n{error}")
            if done % 100 == 99:
                print(f"{done + 1:,} rulesets, {different} different, {time.monotonic() - began:.0f} s", flush=True)
    print(f"seed {number}: {most:,} rulesets × 4 packets, {different} different, {time.monotonic() - began:.0f} s")
    return different


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])) > 0)
