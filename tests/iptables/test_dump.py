from __future__ import annotations

import pytest

from kanslib import iptables
from kanslib.exceptions import DumpError, UnknownNameError
from kanslib.recording import Recording
from tests.types import OpenLab


def dumps(recording: Recording) -> list[str]:
    files = {read.file for read in recording.reads() if "tables-save" in read.command and read.rc == 0}
    return [recording.text(file) for file in sorted(files)]


def test_parse_save_round_trip_recorded_dumps(recording: Recording) -> None:
    found = dumps(recording)
    assert len(found) > 200
    for text in found:
        ruleset = iptables.parse(text)
        assert ruleset.save() == text
        lines = [line for line in text.splitlines() if "-A " in line and not line.startswith("#")]
        assert sorted(rule.raw for rule in ruleset.rules()) == sorted(lines)
        assert all(rule.raw == text.splitlines()[rule.line - 1] for rule in ruleset.rules())


def test_parse_counters_quotes_blanks() -> None:
    text = (
        "*nat\n:X - [0:0]\n"
        '[3:180] -A X -p tcp -m comment --comment "a \\"b\\" c" -m nfacct --nfacct-name  two -j Y\n'
        "[0:0] -A X -m statistic --mode random --probability 0.33333333349 -j Z\nCOMMIT\n"
    )
    first, second = iptables.parse(text).chain("X")
    assert (first.packets, first.bytes, first.comment, first.target) == (3, 180, 'a "b" c', "Y")
    assert first.option("--nfacct-name") == "two"
    assert second.probability == pytest.approx(1 / 3, abs=1e-9)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("-A X -j Y\n", r"line 1, column 1: expected a table .* looks like `iptables -S`"),
        ("*nat\n:X - [0:0]\n", "line 3.*COMMIT of the table 'nat', which began in line 1: half a dump"),
        ("*nat\n:X - [0:0]\n*filter\n", "line 3.*COMMIT before another table: 'nat' began in line 1"),
        ("*nat\n:X - [0:0]\nCOMMIT\n*nat\n", "line 4.*each table once: 'nat' stands above already"),
        ("*nat\n:X - [0:0]\n:X - [0:0]\nCOMMIT\n", "line 3.*each chain once: 'X'"),
        ("*nat\n:X MAYBE [0:0]\nCOMMIT\n", "line 2.*':NAME POLICY"),
        ("*nat\n:X - [0:0]\nwhat is this\nCOMMIT\n", "line 3, column 1: expected a rule"),
        ("*nat\n-A X -j Y\nCOMMIT\n", "line 2, column 4: expected a chain that was declared before"),
        ('*nat\n:X - [0:0]\n-A X -m comment --comment "open\nCOMMIT\n', "line 3, column 27: expected a closing quote"),
        ("*nat\n:X - [0:0]\n-A X -p tcp -m tcp --dport 80x -j Y\nCOMMIT\n", "line 3, column 20: .*0 to 65535"),
        ("*nat\n:X - [0:0]\n-A X -s 10.0.0.300/8 -j Y\nCOMMIT\n", "line 3, column 6: .*an address or a range"),
        ("*nat\n:X - [0:0]\n-A X -p tcp -j\nCOMMIT\n", "line 3, column 15: expected a value for -j"),
        ("*nat\n:X - [0:0]\n-A X tcp -j Y\nCOMMIT\n", "line 3, column 6: expected an option"),
        ("*nat\n:X - [0:0]\n-A X -j Y -j Z\nCOMMIT\n", "line 3, column 11: expected one target; Y"),
        ("*nat\n:X - [0:0]\n-A X -j Y !\nCOMMIT\n", "line 3, column 11: expected an option behind it"),
        ("*nat\n:X - [0:0]\n-A X -m conntrack --ctstate OLD -j Y\nCOMMIT\n", "line 3.*states out of NEW"),
        ("*nat\n:X - [0:0]\n-A X -j MARK --set-xmark 0x4000/zz\nCOMMIT\n", "line 3.*a mark such as 0x4000"),
        ("*nat\n:X - [0:0]\n-A X -j DNAT --to-destination 10.0.0:80\nCOMMIT\n", "line 3.*an address and a port"),
    ],
)
def test_parse_invalid_dump_refused_with_line(text: str, words: str) -> None:
    with pytest.raises(DumpError, match=words):
        iptables.parse(text)


def test_parse_empty_and_crlf() -> None:
    assert list(iptables.parse("").rules()) == []
    text = "*nat\r\n:X - [0:0]\r\n-A X -j Y\r\nCOMMIT\r\n"
    assert iptables.parse(text).chain("X").rules[0].target == "Y"
    assert iptables.parse(text).save() == text


def test_ruleset_unknown_chain_lists_known() -> None:
    with pytest.raises(UnknownNameError, match="known: X"):
        iptables.parse("*nat\n:X - [0:0]\nCOMMIT\n").chain("KUBE-SERVICES")


def test_diff_counters_follow_hundred_requests(open_lab: OpenLab) -> None:
    lab = open_lab("iptables")
    before = lab.chains("svc1")
    answers = lab.curl("svc1", times=100).groupby("HOSTNAME").COUNT.sum()
    after = lab.chains("svc1")
    assert before.CHAIN.tolist() == after.CHAIN.tolist()
    more = (after.PACKETS - before.PACKETS)[after.TARGET == "DNAT"]
    assert sorted(more) == sorted(answers), "the kernel counted as many connections as the client had answers"
    names = [name.rsplit("-", 1)[0] for name in dict.fromkeys(after.CHAIN)]
    assert set(names) == {"KUBE", "KUBE-SVC", "KUBE-EXT", "KUBE-MARK", "KUBE-SEP"}
