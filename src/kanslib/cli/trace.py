"""`kans trace`: trace a packet through any rules of iptables and nftables."""

from __future__ import annotations

import gc
import json
import re
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from kanslib import iptables, nftables
from kanslib.answer import Provenance
from kanslib.cli.output_files import check_output_file, write_output_file
from kanslib.cli.terminal import plain_console
from kanslib.exceptions import DumpError, KanslibError, TooManyPathsError
from kanslib.i18n import all_of, listed, tr
from kanslib.iptables import Assumption, IPSets, Outcome, Packet, Routing, Ruleset, ipset
from kanslib.iptables.dump_text import LARGEST_TEXT, decode
from kanslib.iptables.explain import share
from kanslib.iptables.ipset import IPSet
from kanslib.iptables.outcome import open_questions
from kanslib.render.packet_trace import Trace

console = plain_console(soft_wrap=True)
_PIPE = "-"
_GZIP = b"\x1f\x8b"  # RFC 1952
_OF_IPTABLES = re.compile(r"^\s*(?:\*\w|:\S+ \S+ \[|(?:\[\d+:\d+\] )?-[APNI] |Chain )", re.MULTILINE)
_LOOKED_AT = 4096  # characters, among which no text has a zero
NOT_CERTAIN = 3  # the exit code of an answer that is not certain
_TO = re.compile(
    r"(?:\[(?P<six>[^\]]+)\]|(?P<four>[^:/\[\]]+|[0-9a-fA-F:]*::?[0-9a-fA-F:]+))(?::(?P<port>\d+))?(?:/(?P<protocol>[\w-]+))?"
)


def parse_target(text: str) -> tuple[str, int | None, str]:
    """Return address, port and protocol of `ADDRESS[:PORT][/PROTOCOL]`. KanslibError for another form.

    >>> parse_target("172.18.255.200:80/tcp"), parse_target("[fd00::1]:53/udp"), parse_target("10.0.0.1")
    (('172.18.255.200', 80, 'tcp'), ('fd00::1', 53, 'udp'), ('10.0.0.1', None, 'tcp'))
    """
    found = _TO.fullmatch(text)
    if not found:
        raise KanslibError(
            tr(
                "--to {text!r}: expected ADDRESS:PORT/PROTOCOL, e.g. 172.18.255.200:80/tcp or [fd00::1]:53/udp",
                text=text,
            )
        )
    port = int(found["port"]) if found["port"] else None
    return found["six"] or found["four"], port, found["protocol"] or "tcp"


def read_text(path: str) -> str:
    """Return the text of a file, or of standard input for `-`. KanslibError when it cannot be read."""
    if path == _PIPE:
        if sys.stdin is None or sys.stdin.isatty():
            raise KanslibError(
                tr("'-' reads from a pipe: kubectl exec … -- iptables-save | kans trace - --from … --to …")
            )
        return _decode(path, sys.stdin.buffer)
    try:
        with Path(path).open("rb") as stream:
            return _decode(path, stream)
    except OSError as exc:
        raise KanslibError(
            tr("{path}: {strerror}; expected a file, or - for a pipe", path=path, strerror=exc.strerror)
        ) from None


def _decode(path: str, stream: BinaryIO) -> str:
    path, data = name_of(path), stream.read(LARGEST_TEXT + 1)
    if len(data) > LARGEST_TEXT:
        raise KanslibError(
            tr(
                "{path}: more than {largest_text:,} bytes; expected the rules, sets or routes of one machine",
                path=path,
                largest_text=LARGEST_TEXT,
            )
        )
    if data.startswith(_GZIP):
        raise KanslibError(tr("{path}: compressed; expected text: `zcat FILE | kans trace - …`", path=path))
    text = decode(data)
    if "\0" in text[:_LOOKED_AT]:
        raise KanslibError(
            tr("{path}: a binary file; expected the text that iptables-save or `nft list ruleset` prints", path=path)
        )
    return text


def name_of(path: str) -> str:
    """Return what an error calls a file."""
    return tr("standard input") if path == _PIPE else path


@contextmanager
def naming(file: str) -> Iterator[None]:
    """Let an error in the text of a file name the file."""
    try:
        yield
    except KanslibError as exc:
        raise KanslibError(f"{file}: {exc}") from None


@contextmanager
def _of_either_kind(text: str) -> Iterator[None]:
    """Let the error about a line of a text that has none of iptables ask for rules of iptables or of nftables."""
    try:
        yield
    except DumpError as exc:
        if not exc.text or _OF_IPTABLES.search(text):  # an error about the size of a text has no line of it
            raise
        expected = tr("rules, as `iptables-save` or `nft list ruleset` prints them")
        raise DumpError(exc.line, exc.column, exc.text, expected) from None


def parse_number(text: str) -> int:
    """Return a number in decimal or, as iptables prints marks, in hexadecimal. KanslibError for another text.

    >>> parse_number("0x4000")
    16384
    """
    try:
        return int(text, 0)
    except ValueError:
        raise KanslibError(tr("{text!r}: expected a number such as 8 or 0x4000", text=text)) from None


@dataclass(frozen=True)
class Machine:
    """The files that describe the machine besides its rules: of `ip -j addr`, `ip -j route` and `ipset save`."""

    addresses: Path | None = None
    routes: Path | None = None
    sets: tuple[Path, ...] = ()

    @property
    def files(self) -> list[Path]:
        """Every file."""
        return [*filter(None, (self.addresses, self.routes)), *self.sets]

    def routing(self) -> Routing | None:
        """Return the machine's addresses and routes; None without the files."""
        if (self.addresses is None) != (self.routes is None):
            raise KanslibError(
                tr("--addresses and --routes belong together: `ip -j addr` and `ip -j route` of the same machine")
            )
        if self.addresses is None or self.routes is None:
            return None
        texts = read_text(str(self.addresses)), read_text(str(self.routes))
        with naming(name_of(str(self.addresses))):
            interfaces = Routing.read(texts[0], "[]").interfaces
        with naming(name_of(str(self.routes))):
            return Routing(interfaces, Routing.read("[]", texts[1]).routes)

    def ipsets(self) -> IPSets:
        """Return the sets of every file."""
        found: dict[str, IPSet] = {}
        for path in self.sets:
            text = read_text(str(path))
            with naming(name_of(str(path))):
                found.update(ipset.parse(text))
        return IPSets(found)


@dataclass(frozen=True)
class Rules:
    """The rules of one machine: a dump of iptables, a ruleset of nftables, or both."""

    dump: Ruleset | None
    ruleset: nftables.Ruleset | None

    @staticmethod
    def read(texts: Sequence[tuple[str, str]], packet: Packet) -> Rules:
        """Return the rules in one or two texts, each with the name of its file.

        KanslibError, which names the file, for two texts of one kind, and for a text of neither.
        """
        for name, text in texts if len(texts) > 1 else ():
            if not text.strip():
                raise KanslibError(
                    tr("{name}: empty; expected rules. Leave it out if the machine has none of this kind", name=name)
                )
        of_nft = [one for one in texts if nftables.is_ruleset(one[1])]
        of_iptables = [one for one in texts if not nftables.is_ruleset(one[1])]
        for kind, found in (("nft list ruleset", of_nft), ("iptables-save", of_iptables)):
            if len(found) > 1:
                with naming(listed(name for name, _ in found)):
                    raise KanslibError(
                        tr("both texts are of `{kind}`; expected one of iptables-save and one of nft", kind=kind)
                    )
        dump = ruleset = None
        for name, text in of_iptables:
            with naming(name), _of_either_kind(text):
                dump = _choose_dump(iptables.parse_dumps(text), packet)
        for name, text in of_nft:
            with naming(name):
                ruleset = nftables.parse(text)
        return Rules(dump, ruleset)

    def trace(self, packet: Packet, routing: Routing | None, sets: IPSets) -> list[Outcome]:
        """Return every path of a packet through the rules, in the kernel's order where there are both."""
        if self.ruleset is not None:
            return self.ruleset.trace(packet, routing, sets, [self.dump] if self.dump else ())
        return self.dump.trace(packet, routing, sets) if self.dump else []

    @property
    def kinds(self) -> list[str]:
        """Whose rules they are."""
        return [name for name, found in (("iptables", self.dump), ("nftables", self.ruleset)) if found is not None]

    @property
    def unknown(self) -> list[tuple[int, str]]:
        """The lines with something that is not known, and what it is."""
        of_dump = [(rule.line, text) for rule, text in self.dump.unknown] if self.dump else []
        return [*of_dump, *(self.ruleset.unknown if self.ruleset else ())]


def trace(texts: Sequence[str], packet: Packet, machine: Machine, as_json: bool, svg: Path | None) -> int:
    """Print every outcome of the packet, and return the exit code.

    0: it is let through, 1: it is not, 3: that is not certain, because rules are missing or something is not known.
    `texts`: one or two files with rules, `-` for a pipe; `svg`: a file to write the picture to. KanslibError for an
    input that cannot be read.
    """
    if svg is not None:
        check_output_file("--svg", svg)
        _check_no_input(svg, [*map(Path, texts), *machine.files])
    with _no_collections():
        rules = Rules.read([(name_of(text), read_text(text)) for text in texts], packet)
        try:
            outcomes = rules.trace(packet, machine.routing(), machine.ipsets())
        except TooManyPathsError as error:
            _print_questions(rules, error, as_json)
            return NOT_CERTAIN
    title = f"{packet}/{packet.protocol}"
    name = all_of(tr("a pipe") if text == "-" else text for text in texts)
    read = tr("traced in {name} ({kinds})", name=name, kinds=all_of(rules.kinds))
    traced = Trace(outcomes, title, Provenance("simulated", time.time(), "opening", read))
    if svg is not None:
        write_output_file("--svg", svg, traced.svg())
    if as_json:
        print(json.dumps({"rules": rules.kinds, **_trace_json(traced)}, indent=1))
    else:
        _print_trace(rules, traced)
    if not traced.certain:
        return NOT_CERTAIN
    return 0 if any(outcome.accepted for outcome in outcomes) else 1


def _check_no_input(svg: Path, inputs: Sequence[Path]) -> None:
    """Raise KanslibError where the picture would replace a file that is read."""
    if svg.is_file() and any(one.exists() and svg.samefile(one) for one in inputs):
        raise KanslibError(tr("--svg {path}: the trace reads this file; next step: name another one", path=svg))


@contextmanager
def _no_collections() -> Iterator[None]:
    """Pause the collector of cycles: it would walk through 100,000 rules again and again, and they have none."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _choose_dump(dumps: Sequence[Ruleset], packet: Packet) -> Ruleset:
    """Return the dump of the packet's family, where a text has those of iptables-save and of ip6tables-save."""
    if len(dumps) == 1:
        return dumps[0]
    family = 6 if packet.dst and ":" in packet.dst else 4
    found = [one for one in dumps if one.family in (family, None)]
    if len(found) != 1:
        lines = listed(str(one.first_line + 1) for one in dumps)
        raise KanslibError(
            tr(
                "{number} dumps of IPv{family} rules in one text (dumps begin in lines {lines}); expected "
                "one: trace each in a file of its own",
                number=len(found),
                family=family,
                lines=lines,
            )
        )
    return found[0]


def _print_questions(rules: Rules, error: TooManyPathsError, as_json: bool) -> None:
    if as_json:
        questions = [{"question": question, "times": times} for question, times in error.questions]
        answer = {"rules": rules.kinds, "certain": False, "missing": [], "questions": questions, "ways": []}
        print(json.dumps(answer, indent=1))
        return
    console.print(
        tr(
            "{error}\nTell what you know of the packet or of the machine; `kans trace --help` has an option for each.",
            error=error,
        )
    )


def _print_trace(rules: Rules, traced: Trace) -> None:
    if rules.ruleset is not None:
        console.print(tr("rules of {kinds}", kinds=all_of(rules.kinds)))
    console.print(traced.describe())
    unknown = rules.unknown
    if unknown:
        console.print("\n" + tr("unknown matches and targets, each may match or not: {number}", number=len(unknown)))
        for line, text in unknown[:10]:
            console.print("  " + tr("line {line}: {text}", line=line, text=text))


def _trace_json(traced: Trace) -> dict[str, object]:
    return {
        "certain": traced.certain,
        "missing": [
            {"kind": one.kind.value, "name": one.name, "line": one.line, "text": str(one)} for one in traced.missing
        ],
        "questions": [{"question": question} for question in open_questions(traced.outcomes)],
        "ways": [_outcome_json(outcome) for outcome in traced.outcomes],
    }


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
