"""Dumps come back byte for byte, or are refused at their first wrong line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanslib import iptables
from kanslib.course.recordings import shipped
from kanslib.exceptions import DumpError
from kanslib.iptables import Packet
from kanslib.recording import Recording
from tests.iptables.recorded_dumps import recorded_dumps

from .invariants import holds
from .kube_dump import kube_dump
from .rulesets import TRIES, dumps


def test_parse_save_round_trip_recorded_dumps(recording: Recording) -> None:
    found = recorded_dumps(recording)
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
        ("*nat\n:X - [0:0]\nCOMMIT\n*nat\nCOMMIT\n", "line 4.*each table once: 'nat' of a second dump"),
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


def test_parse_save_round_trip_raw_dumps(raw: Path) -> None:
    found = [path for path in raw.rglob("*") if path.name.endswith(("iptables-save-c", "ip6tables-save"))]
    assert len(found) > 300
    for path in found:
        text = path.read_bytes().decode()
        ruleset = iptables.parse(text)
        assert ruleset.save().encode() == path.read_bytes()
        assert sum(1 for _ in ruleset.rules()) == sum("-A " in line for line in text.splitlines())
        assert ruleset.unknown == (), "every match and target of kube-proxy, kindnet and Docker is known"


def test_parse_save_round_trip_hundred_thousand_rules() -> None:
    text = kube_dump(8334)
    ruleset = iptables.parse(text)
    assert ruleset.save() == text
    assert sum(len(filed.lines) for filed in ruleset.tables["nat"].values()) == text.count("\n-A ") > 100_000


@pytest.mark.slow
@TRIES
@given(text=dumps(), cut=st.floats(0, 1), windows=st.booleans(), counted=st.booleans())
def test_parse_any_text_whole_or_refused(text: str, cut: float, windows: bool, counted: bool) -> None:
    if counted:
        text = text.replace("\n-A ", "\n[17:1020] -A ")
    if windows:
        text = text.replace("\n", "\r\n")
    assert holds(text)
    half = text[: int(len(text) * cut)]
    whole = half.count("COMMIT") == half.count("*raw") + half.count("*mangle") + half.count("*nat") + half.count(
        "*filter"
    )
    tail = half.rsplit("COMMIT", 1)[-1].strip()
    assert holds(half) == (whole and not tail), "half a dump is an error, not half an answer"


@pytest.mark.slow
@TRIES
@given(number=st.integers(0, 400), at=st.integers(0, 30_000), put=st.text(max_size=8), out=st.integers(0, 9))
def test_parse_corrupted_dump_whole_or_refused(number: int, at: int, put: str, out: int) -> None:
    recording = Recording.open(shipped("l2"))
    files = sorted({read.file for read in recording.reads() if "tables-save" in read.command and read.rc == 0})
    text = recording.text(files[number % len(files)])
    at %= len(text)
    holds(text[:at] + put + text[at + out :])


@pytest.mark.parametrize(
    "line",
    [
        '-A X -p tcp -m comment --comment "a \\"b\\" \\\\ c" -m nfacct --nfacct-name  two -j ACCEPT',
        "-A X -m comment --comment one-word -j ACCEPT",
        "-A X -s ! 10.0.0.0/8 -p tcp --dport 80 -m comment --comment old -j ACCEPT",
        "-A X -p tcp -m multiport ! --dports 80,443,8000:9000 -j ACCEPT",
        "-A X -m set ! --match-set cali40all-ipam-pools dst -j MASQUERADE --random-fully",
        "-A X -m physdev --physdev-is-bridged -m owner ! --uid-owner 0-99 -m mac --mac-source 00:11:22:33:44:55",
        '-A X -m limit --limit 3/min --limit-burst 5 -j LOG --log-prefix "dropped: " --log-level 7',
        '-A X -m string --string "GET /" --algo bm --to 65535 -j REJECT --reject-with tcp-reset',
        "-A X -p icmp -m icmp --icmp-type 8/0 -m statistic --mode nth --every 3 --packet 0 -j ACCEPT",
        (
            "-A X -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -m recent --update --seconds 60 --hitcount 4 "
            "--name SSH --mask 255.255.255.255 --rsource -j DROP"
        ),
        "-A X -m conntrack --ctstate RELATED,ESTABLISHED -m mark --mark 0x4000/0x4000 -g Y",
        "-A X -m hashlimit --hashlimit-upto 20/sec --hashlimit-mode srcip --hashlimit-name one -j RETURN",
        "-A X ! -s 10.0.0.0/255.0.255.0 -i eth+ ! -o lo -m addrtype ! --dst-type LOCAL -j NFLOG --nflog-group 5",
        "[5:300] -A X -m u32 --u32 0x0=0x0 -m time --weekdays Mon -m connlimit --connlimit-above 3 -j NFQUEUE",
        "-A X -p tcp -j TPROXY --on-port 15001 --on-ip 127.0.0.1 --tproxy-mark 0x1/0x1",
    ],
)
def test_parse_firewall_dumps_known(line: str) -> None:
    text = f"*filter\n:X - [0:0]\n:Y - [0:0]\n{line}\nCOMMIT\n"
    ruleset = iptables.parse(text)
    assert ruleset.unknown == ()
    assert ruleset.save() == text
    assert holds(text)


def test_parse_other_line_separators() -> None:
    text = '*nat\n:X - [0:0]\n-A X -m comment --comment "a\x0bb\x85c\u2028d" -j ACCEPT\nCOMMIT\n'
    ruleset = iptables.parse(text)
    assert ruleset.chain("X").rules[0].comment == "a\x0bb\x85c\u2028d"
    assert ruleset.save() == text


def test_parse_error_points_at_token() -> None:
    with pytest.raises(DumpError) as caught:
        iptables.parse("*nat\n:X - [0:0]\n-A X -p tcp -m tcp --dport web -j ACCEPT\nCOMMIT\n")
    error = caught.value
    assert (error.line, error.column, error.text[error.column - 1 :][:7]) == (3, 20, "--dport")
    assert str(error).endswith("\n" + " " * 21 + "^")


@pytest.mark.parametrize(
    "rule",
    [
        "-p udp -m udp --dport 81 -j DROP",
        "-j DROP -p udp -m udp --dport 81",
        "-j DROP -p udp --dport 81",
        "-pudp --dport=81 -jDROP",
        "--protocol=UDP --destination-port 81 --jump=DROP",
        "-p17 -m udp --dport 81 --jump DROP",
    ],
)
def test_parse_options_in_any_form(rule: str) -> None:
    ruleset = iptables.parse(f"*filter\n-A FORWARD {rule}\nCOMMIT\n")
    found = [
        ruleset.trace(Packet("198.51.100.7", "203.0.113.8", "udp", dport=port, in_interface="eth0"))[0].verdict
        for port in (81, 53)
    ]
    assert found == ["DROP", "ACCEPT"]
    assert ruleset.unknown == ()


@pytest.mark.parametrize(
    "match",
    [
        "-m rateest --rateest RE1 --rateest-lt --rateest-bps 8bit",
        "-m geoip --source-country KR,DE",
        "-m ndpi --all extra",
        "-m comment --comment old [unsupported revision]",
        "-m rateest --rateest1 a --rateest-bps1 1kbit --rateest-gt --rateest2 b",
    ],
)
def test_parse_unknown_match_is_one_question(match: str) -> None:
    text = f"*filter\n:FORWARD ACCEPT [0:0]\n-A FORWARD {match} -j DROP\n-A FORWARD -p udp -j DROP\nCOMMIT\n"
    ruleset = iptables.parse(text)
    tcp = ruleset.trace(Packet("198.51.100.7", "203.0.113.8", in_interface="eth0"))
    assert sorted(way.verdict for way in tcp) == ["ACCEPT", "DROP"]
    assert not iptables.is_certain(tcp)
    udp = ruleset.trace(Packet("198.51.100.7", "203.0.113.8", "udp", in_interface="eth0"))
    assert {way.verdict for way in udp} == {"DROP"}


def test_parse_chain_that_dump_has_not_is_asked_about() -> None:
    """A file for iptables-restore may jump to chains of another file, as those of ufw do."""
    rules = "-A FORWARD -p udp -j NOSUCH\n-A FORWARD -p icmp -g ELSEWHERE\n"
    ruleset = iptables.parse(f"*filter\n:FORWARD ACCEPT [0:0]\n{rules}COMMIT\n")
    found = [(rule.line, text) for rule, text in ruleset.unknown]
    assert found == [(3, "no chain NOSUCH in this dump"), (4, "no chain ELSEWHERE in this dump")]
    udp = ruleset.trace(Packet("198.51.100.7", "203.0.113.8", "udp", in_interface="eth0"))
    assert not iptables.is_certain(udp)
    assert "the chain NOSUCH, which this dump has not, ends its way" in udp[-1].explain()
    assert iptables.is_certain(ruleset.trace(Packet("198.51.100.7", "203.0.113.8", in_interface="eth0")))
