"""`kans trace`: trace a packet through any iptables rules."""

from __future__ import annotations

import json
import re
import sys
import time
from pathlib import Path

from kanslib import iptables
from kanslib.answer import Provenance
from kanslib.cli.terminal import plain_console
from kanslib.exceptions import KanslibError
from kanslib.iptables import Assumption, Outcome, Packet, Routing, Ruleset
from kanslib.iptables.explain import share
from kanslib.render.packet_trace import Trace

console = plain_console(soft_wrap=True)
_TO = re.compile(
    r"(?:\[(?P<six>[^\]]+)\]|(?P<four>[^:/\[\]]+|[0-9a-fA-F:]*::?[0-9a-fA-F:]+))(?::(?P<port>\d+))?(?:/(?P<protocol>\w+))?"
)


def parse_target(text: str) -> tuple[str, int | None, str]:
    """Return address, port and protocol of `ADDRESS[:PORT][/PROTOCOL]`. KanslibError for another form.

    >>> parse_target("172.18.255.200:80/tcp"), parse_target("[fd00::1]:53/udp"), parse_target("10.0.0.1")
    (('172.18.255.200', 80, 'tcp'), ('fd00::1', 53, 'udp'), ('10.0.0.1', None, 'tcp'))
    """
    found = _TO.fullmatch(text)
    if not found:
        raise KanslibError(
            f"--to {text!r}: expected ADDRESS:PORT/PROTOCOL, e.g. 172.18.255.200:80/tcp or [fd00::1]:53/udp"
        )
    port = int(found["port"]) if found["port"] else None
    return found["six"] or found["four"], port, found["protocol"] or "tcp"


def read_dump(dump: str) -> str:
    """Return the text of a file, or of standard input for `-`. KanslibError when it cannot be read."""
    if dump == "-":
        if sys.stdin.isatty():
            raise KanslibError("'-' reads from a pipe: kubectl exec … -- iptables-save | kans trace - --from … --to …")
        return sys.stdin.buffer.read().decode(errors="surrogateescape")
    try:
        return Path(dump).read_bytes().decode(errors="surrogateescape")
    except OSError as exc:
        raise KanslibError(
            f"{dump}: {exc.strerror}; expected a file that iptables-save wrote, or - for a pipe"
        ) from None


def trace(
    dump: str, packet: Packet, addresses: Path | None, routes: Path | None, as_json: bool, svg: Path | None
) -> int:
    """Print every outcome of the packet; return the exit code, 1 when none is accepted.

    `addresses` and `routes` are files with the output of `ip -j addr` and `ip -j route`. `svg` is a file to write the
    picture to. KanslibError for an input that cannot be read.
    """
    if (addresses is None) != (routes is None):
        raise KanslibError(
            "--addresses and --routes belong together: `ip -j addr` and `ip -j route` of the same machine"
        )
    routing = Routing.read(read_dump(str(addresses)), read_dump(str(routes))) if addresses and routes else None
    ruleset = iptables.parse(read_dump(dump))
    outcomes = ruleset.trace(packet, routing)
    title = f"{packet}/{packet.protocol}"
    name = "a pipe" if dump == "-" else dump
    traced = Trace(outcomes, title, Provenance("simulated", time.time(), "opening", f"traced in {name}"))
    if svg is not None:
        svg.write_text(traced.svg())
    if as_json:
        print(json.dumps([_outcome_json(outcome) for outcome in outcomes], indent=1))
    else:
        _print_trace(ruleset, traced)
    return 0 if any(outcome.verdict == "ACCEPT" for outcome in outcomes) else 1


def _print_trace(ruleset: Ruleset, traced: Trace) -> None:
    if not ruleset.tables:
        plain_console(stderr=True).print("the dump has no rules: every packet is accepted")
    console.print(traced.describe())
    unknown = ruleset.unknown
    if unknown:
        console.print(f"\nunknown matches and targets, each may match or not: {len(unknown)}")
        for rule, text in unknown[:10]:
            console.print(f"  line {rule.line}: {text}")


def _outcome_json(outcome: Outcome) -> dict[str, object]:
    return {
        "probability": [outcome.probability.numerator, outcome.probability.denominator],
        "share": share(outcome.probability),
        "verdict": outcome.verdict,
        "ends": outcome.describe_end(),
        "packet": {name: value for name, value in vars(outcome.packet).items() if value is not None},
        "assumes": [_assumption_json(one) for one in outcome.assumes],
        "alternatives": [[_assumption_json(one) for one in case] for case in outcome.alternatives],
        "notes": list(outcome.notes),
        "walked": [
            {"hook": step.hook, "table": step.rule.table, "line": step.rule.line, "rule": step.rule.raw}
            for step in outcome.steps
        ],
    }


def _assumption_json(assumption: Assumption) -> dict[str, object]:
    return {
        "statement": str(assumption),
        "question": assumption.question,
        "value": assumption.value,
        "answer": assumption.answer,
    }
