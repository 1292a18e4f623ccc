"""In a pseudo-language: help texts, errors of each class and of each command, what a rule, a trace and a frame say."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from kanslib import exceptions, i18n, iptables, nftables
from kanslib.cli import help_texts
from kanslib.cli.app import app
from kanslib.exceptions import DumpError, KanslibError, MalformedPacketError, UnknownNameError
from kanslib.exercises.exercise import Exercise, format_answer
from kanslib.exercises.misconceptions import Effect, ExpectedAnswer, phrase
from kanslib.i18n import tr, tr_later
from kanslib.packets import bgp
from kanslib.packets.arp import ARP
from kanslib.packets.icmp import ICMP
from kanslib.packets.ip import IPv4, IPv6
from kanslib.packets.tcp import TCP, UDP
from kanslib.render.bgp import byte_rows
from tests.docs.pages import ROOT
from tests.locale.pseudo import LANGUAGE
from tests.locale.test_pseudo import left_in_english

SEVERAL = 5
OBJECTS = {"ct expectation", "ct helper", "ct timeout"}  # as nft calls them
OF_TYPER = {"invalid value for"}  # words of typer
# each a way to write what nft does not, and the error has words of its own
NO_RULESETS = (
    "no table\n", "table ip t {\n", "table ip t {\n\tnonsense x {\n\t}\n}\n", "table ip t {\n\tnonsense\n}\n",
    "table ip t {\n\tset s {\n\t\tnonsense\n\t}\n}\n", "table ip t {\n\tset s {\n\t}\n}\n",
    "table ip t {\n\tset s {\n\t\ttype mark\n\t\telements = { 1\n", "{", '{"nftables": 3}', '{"nftables": [3]}',
    '{"nftables": [{"rule": {"family": "ip", "table": "t"}}]}',
    *(
        f"table ip t {{\n\tchain c {{\n\t\t{rule}\n\t}}\n}}\n"
        for rule in (
            "numgen random mod 0 vmap { 0 : accept }", "limit rate x", "limit rate 10/minute burst x", "jump",
            "reject with x", "log prefix", "meta", "ct", "fib", "tcp option", "@nh,x,1", "counter packets x",
        )
    ),
    "table ip t {\n\tchain c {\n\t\ttype filter hook input priority nonsense; policy accept;\n\t}\n}\n",
)  # fmt: skip
UPDATE = bgp.MARKER + bytes.fromhex("0037 02 0000 001b 400101 00 4002 06 0201 0000 fde8 4003 04 0a000001 20 ac12ffc8")
OPEN = bgp.MARKER + bytes.fromhex("0031 01 04 fde8 005a 0a000001 14 0212 0104 0001 0001 4104 0000 fde8 4004 0078 0000")
NOTIFICATION = bgp.MARKER + bytes.fromhex("0015 03 0602")


@pytest.fixture(autouse=True)
def pseudo(pseudo_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv(i18n.FOLDER_VARIABLE, str(pseudo_folder))
    with i18n.use(LANGUAGE):
        yield


def test_help_of_every_command() -> None:
    command = get_command(app)
    help_texts.translate(command)
    shown = dict(help_texts.texts(command))
    assert {name for name, text in shown.items() if not text.startswith("⟦")} == set()
    assert len({name.split()[1] for name in shown if " " in name}) >= len(app.registered_commands)


# an argument of an exception, by its name; what is a text of a caller is a message itself
ARGUMENTS: dict[str, object] = {
    "recorded": ["x"], "simulated": ["x"], "known": ["x", "y"], "up": ["x"], "missing": ["x"],
    "line": 3, "column": 2, "seconds": 60.0, "paths": 100, "questions": [("x", 64)], "field": "x",
}  # fmt: skip


@pytest.mark.parametrize(
    "kind",
    [
        one
        for _, one in inspect.getmembers(exceptions, inspect.isclass)
        if issubclass(one, KanslibError) and "__init__" in vars(one) and one is not MalformedPacketError
    ],
)
def test_error_of_every_class(kind: type[Exception]) -> None:
    wanted = list(inspect.signature(kind.__init__).parameters.values())[1:]
    text = str(kind(*(ARGUMENTS.get(one.name, "xyz") for one in wanted if one.kind is one.POSITIONAL_OR_KEYWORD)))
    assert left_in_english(text) == []
    assert "⟦" in text


def test_kind_of_an_unknown_name() -> None:
    assert "⟦ńode" not in str(UnknownNameError("node", "x", []))
    assert tr("service") != "service"
    assert tr("service") in str(UnknownNameError("service", "x", []))


@pytest.mark.parametrize("text", NO_RULESETS)
def test_errors_of_nftables(text: str) -> None:
    with pytest.raises(DumpError) as caught:
        nftables.parse(text)
    assert [words for words in left_in_english(caught.value.expected) if words not in OBJECTS] == []


def test_explanations_and_differences_of_nftables() -> None:
    text = (ROOT / "docs" / "examples" / "worker.nft").read_text()
    packet = iptables.Packet("172.18.0.100", "172.18.255.200", dport=80, in_interface="eth0")
    explained = "\n".join(way.explain() for way in nftables.parse(text).trace(packet))
    changed = text.replace(
        "chain nat-output {\n\t\ttype nat hook output", "chain nat-output {\n\t\ttype nat hook input"
    )
    differences = nftables.diff(nftables.parse(text), nftables.parse(changed)).describe()
    assert explained.count("⟦") > SEVERAL
    assert "⟦" in differences
    assert left_in_english(explained) == []


@pytest.mark.parametrize("octets", [OPEN, UPDATE, NOTIFICATION, UPDATE[:30], UPDATE[:-1] + b"\xff\xff", b""])
def test_fields_of_bgp(octets: bytes) -> None:
    message = bgp.parse(octets)
    shown = [f"{row['FIELD']}\n{row['INFO']}" for row in byte_rows(message)]
    assert "⟦" in "".join(shown) or not octets
    left = left_in_english("\n".join([str(message), *shown]))
    assert [words for words in left if words not in bgp.CAPABILITIES.values()] == []


@pytest.mark.parametrize(
    ("decode", "octets"),
    [
        *((parse, b"") for parse in (IPv4.parse, IPv6.parse, TCP.parse, UDP.parse, ICMP.parse, ARP.parse)),
        (IPv4.parse, b"\x61" * 48), (IPv4.parse, b"\x41" * 40), (IPv4.parse, b"\x45\0\0\5" + bytes(16)),
        (IPv6.parse, bytes(40)), (IPv6.parse, b"\x60\0\0\0\0\x08\0\1" + bytes(32)),
        (TCP.parse, bytes(40)), (UDP.parse, b"\0\1\0\2\0\3\0\0"),
        (ARP.parse, bytes(28)), (ARP.parse, b"\0\1\x08\0" + bytes(24)),
    ],
)  # fmt: skip
def test_malformed_layers(decode: Callable[[bytes], object], octets: bytes) -> None:
    with pytest.raises(MalformedPacketError) as caught:
        decode(octets)
    assert "⟦" in str(caught.value)
    assert left_in_english(str(caught.value)) == []


@pytest.mark.parametrize(
    "words",
    [
        ["trace", "nothing", "--from", "192.0.2.1", "--to", "192.0.2.2:80"],
        ["trace", "docs/examples/worker.nft", "--from", "x", "--to", "192.0.2.2:80"],
        ["timeline", "nothing.pcap"], ["diff", "nothing.zip", "nothing.zip"], ["verify", "nothing.zip"],
        ["run", "99"], ["challenge", "--case", "99"], ["challenge", "--backend", "mars"],
        ["convert", "nothing", "out.zip"], ["record", "--out", "nowhere/at/all.zip"],
    ],
)  # fmt: skip
def test_errors_of_commands(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    result = CliRunner().invoke(app, words)
    shown = f"{result.output}\n{result.exception}"
    assert result.exit_code != 0
    assert "⟦" in shown
    assert [one for one in left_in_english(_without_box(shown)) if one not in OF_TYPER] == []


def _without_box(text: str) -> str:
    """Return what typer prints as one line: it wraps the words."""
    return " ".join(re.sub(r"[│╭╰─╮╯]", " ", text).split())


def test_unit_and_feedback_of_an_exercise() -> None:
    exercise = Exercise("x", "01", "?", "number", lambda _: ExpectedAnswer(1.0), (), "", unit=tr("nodes"))
    assert left_in_english(format_answer(exercise, 3.0)) == []
    effect = Effect((phrase(tr_later("localhost:{port} reaches no Pod"), port=30001),))
    assert "⟦" in repr(effect)
    assert effect.english == "localhost:30001 reaches no Pod"
