"""Compare traces with the kernel over thousands of random rulesets, four packets each.

    python bench/kernel_rulesets.py SEED NUMBER

Two thirds of the rulesets get many packets of each kind. The others fill lists and sets, and get one. Rules come from
the strategies of the tests, and are put together anew for each ruleset, which is faster than drawing each anew. Prints
every difference, and writes the ruleset to a file.
"""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent.parent))
sys.path.insert(0, str(Path(__file__).parent.parent / "src"))

from kanslib.iptables import Packet
from tests.iptables.rulesets import NO_MEMORY, PLACES, POLICIES, PORTS, ROUTING, assemble, memory, packets, rule
from tests.kernel import test_random_rulesets
from tests.kernel.machine import machine

POOL = 250  # rules of a chain, of which a ruleset takes up to four
test_random_rulesets.EACH = 15


def drawn(number: int, strategy: st.SearchStrategy[tuple[object, ...]]) -> list[tuple[object, ...]]:
    """Return values of a strategy, the same for the same seed."""
    found: list[tuple[object, ...]] = []

    @seed(number)
    @settings(
        max_examples=POOL,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def draw(value: tuple[object, ...]) -> None:
        found.append(value)

    draw()
    return found


def main(number: int, rulesets: int) -> int:
    """Compare, and return how many rulesets differ."""
    rng, began, different = random.Random(number), time.monotonic(), 0
    pools = [drawn(number, st.tuples(*(rule(*place, kind) for place in PLACES))) for kind in (NO_MEMORY, memory())]
    kinds = [packet for (packet,) in drawn(number, st.tuples(packets())) if isinstance(packet, Packet)]
    with machine(ROUTING) as nft, machine(ROUTING) as legacy:
        machines = {"nft": nft, "legacy": legacy}
        for one in machines.values():
            one.listen(PORTS)
        for done in range(rulesets):
            remembers = done % 3 == 2
            rules = {
                place: [str(row[at]) for row in rng.choices(pools[remembers], k=rng.randrange(5))]
                for at, place in enumerate(PLACES)
            }
            text = assemble(rules, iter(rng.choices(POLICIES, k=3)))
            flavour = rng.choice(("nft", "legacy"))
            compare = test_random_rulesets.compare_once if remembers else test_random_rulesets.compare
            try:
                compare(machines[flavour], text, rng.sample(kinds, 4), flavour)
            except AssertionError as error:
                different += 1
                print(f"ruleset {done} ({flavour}): {str(error)[:500]}", flush=True)
                Path(f"different-{number}-{done}.txt").write_text(text)
            if done % 500 == 499:
                print(f"{done + 1:,} rulesets, {different} different, {time.monotonic() - began:.0f} s", flush=True)
    print(f"seed {number}: {rulesets:,} rulesets × 4 packets, {different} different, {time.monotonic() - began:.0f} s")
    return different


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])) > 0)
