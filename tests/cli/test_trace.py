from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from kanslib.cli.app import app
from kanslib.exceptions import PacketError
from kanslib.iptables import Packet
from kanslib.recording import Recording


@pytest.fixture(scope="module")
def node(recording: Recording, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The rules, addresses and routes of a node, as files."""
    folder = tmp_path_factory.mktemp("node")
    found = {}
    for command, name in (("iptables-save -c", "dump"), ("ip -j addr", "addresses"), ("ip -j route", "routes")):
        reads = [r for r in recording.reads() if (r.place, r.command) == ("myk8s-worker", command) and r.rc == 0]
        text = next(t for t in (recording.text(r.file) for r in reads) if name != "dump" or "loadbalancer IP" in t)
        found[name] = folder / name
        found[name].write_text(text)
    return found


def kans(*arguments: str | Path, text: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "kanslib", "trace", *map(str, arguments)]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False)


def test_kans_trace_dump_from_pipe(node: dict[str, Path]) -> None:
    ran = kans("-", "--from", "172.18.0.100", "--to", "172.18.255.200:80/tcp", text=node["dump"].read_text())
    assert ran.returncode == 0, ran.stderr
    assert "172.18.0.100 → 172.18.255.200:80/tcp: " in ran.stdout
    assert "KUBE-EXT: came from outside, so mark for masquerade" in ran.stdout


def test_kans_trace_json_and_svg(node: dict[str, Path], tmp_path: Path) -> None:
    picture = tmp_path / "walk.svg"
    machine = ("--addresses", node["addresses"], "--routes", node["routes"])
    ran = kans(
        node["dump"], "--from", "172.18.0.100", "--to", "172.18.255.200:80", *machine, "--json", "--svg", picture
    )
    answer = json.loads(ran.stdout)
    ways = answer["ways"]
    assert (answer["certain"], answer["missing"], answer["questions"]) == (True, [], [])
    assert sum(way["probability"][0] / way["probability"][1] for way in ways) == 1
    assert all(way["assumes"] == [] for way in ways), "everything is known"
    assert {way["packet"]["dst"].rpartition(".")[0][:6] for way in ways} == {"10.10."}
    assert picture.read_text().startswith("<svg")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("/nowhere", "--from", "10.0.0.1", "--to", "10.0.0.2"), "/nowhere: No such file"),
        (("DUMP", "--from", "10.0.0.1", "--to", "10.0.0.2:http"), "expected ADDRESS:PORT/PROTOCOL"),
        (("DUMP", "--from", "10.0.0.1", "--to", "10.0.0.2", "--routes", "DUMP"), "belong together"),
        (("DUMP", "--from", "me", "--to", "10.0.0.2"), "src='me' is no address"),
    ],
)
def test_kans_trace_error_is_one_message(node: dict[str, Path], arguments: tuple[str, ...], words: str) -> None:
    ran = kans(*(str(node["dump"]) if argument == "DUMP" else argument for argument in arguments))
    assert ran.returncode == 2
    assert words in ran.stderr
    assert "Traceback" not in ran.stderr


def test_kans_trace_truncated_dump_refused(node: dict[str, Path]) -> None:
    text = node["dump"].read_text()
    ran = kans("-", "--from", "10.0.0.1", "--to", "10.0.0.2", text=text[: len(text) // 2])
    assert ran.returncode == 2
    assert "half a dump" in ran.stderr or "expected" in ran.stderr
    assert ran.stdout == ""


FILTER = "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n{}COMMIT\n"


def invoke(*arguments: str | Path, text: str = "") -> Result:
    """Run `kans trace` in this process; an error of the library is in `exception`."""
    return CliRunner().invoke(app, ["trace", *map(str, arguments)], input=text)


TO_VIP = ("--from", "198.51.100.7", "--to", "192.0.2.50:443")


@pytest.mark.parametrize(
    ("rules", "code"),
    [
        ("", 0),
        ("-A FORWARD -j DROP\n", 1),
        ("-A FORWARD -m set --match-set public src -j DROP\n", 3),
        ("-A FORWARD -m set --match-set public src -j ACCEPT\n", 0),
        ("-A FORWARD -m statistic --mode random --probability 0.5 -j DROP\n", 0),
    ],
)
def test_kans_trace_exit_codes(rules: str, code: int) -> None:
    ran = invoke("-", *TO_VIP, text=FILTER.format(rules))
    assert ran.exit_code == code, ran.output


def test_kans_trace_missing_rules_in_words_and_json() -> None:
    text = "*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -j DNAT --to-destination 203.0.113.8\nCOMMIT\n"
    ran = invoke("-", *TO_VIP, text=text)
    assert ran.exit_code == 3
    assert "to 203.0.113.8 by these rules; not certain, because others are missing" in ran.stdout
    assert "missing: table filter is not in this dump" in ran.stdout
    answer = json.loads(invoke("-", *TO_VIP, "--json", text=text).stdout)
    assert answer["certain"] is False
    assert [(one["kind"], one["name"], one["line"]) for one in answer["missing"]] == [("table", "filter", None)]


@pytest.mark.parametrize(
    ("rule", "options"),
    [
        ("-p tcp -m tcp --tcp-flags SYN,ACK SYN", ("--tcp-flags", "SYN")),
        ("-m mark --mark 0x4000/0x4000", ("--mark", "0x4000")),
        ("-m ttl --ttl-lt 5", ("--ttl", "4")),
        ("-m length --length 1000:1500", ("--length", "1400")),
        ("-m dscp --dscp 0x2e", ("--dscp", "46")),
        ("-m mac --mac-source 02:00:00:00:00:01", ("--mac", "02:00:00:00:00:01")),
        ("-m conntrack --ctstate ESTABLISHED", ("--ctstate", "ESTABLISHED")),
        ("-i ens3 -o ens4", ("--in", "ens3", "--out", "ens4")),
        ("-m physdev --physdev-in veth1", ("--physdev-in", "veth1")),
        ("-m physdev --physdev-out veth2", ("--physdev-out", "veth2", "--physdev-in", "veth1")),
    ],
)
def test_kans_trace_can_be_told(rule: str, options: tuple[str, ...]) -> None:
    ran = invoke("-", *TO_VIP, *options, text=FILTER.format(f"-A FORWARD {rule} -j DROP\n"))
    assert ran.exit_code == 1, ran.output
    assert "always DROP" in ran.stdout


@pytest.mark.parametrize(
    ("rule", "options"), [("--uid-owner 1000", ("--uid", "1000")), ("--gid-owner 100-200", ("--gid", "150"))]
)
def test_kans_trace_can_be_told_the_sender(rule: str, options: tuple[str, ...]) -> None:
    text = FILTER.format(f"-A OUTPUT -m owner {rule} -j DROP\n")
    assert invoke("-", *TO_VIP, "--own", *options, text=text).exit_code == 1
    assert invoke("-", *TO_VIP, "--own", options[0], "7", text=text).exit_code == 0


def test_kans_trace_icmp_type() -> None:
    text = FILTER.format("-A FORWARD -p icmp -m icmp --icmp-type 3/4 -j DROP\n")
    to = ("--from", "198.51.100.7", "--to", "192.0.2.50/icmp")
    assert invoke("-", *to, text=text).exit_code == 3
    assert invoke("-", *to, "--icmp-type", "fragmentation-needed", text=text).exit_code == 1
    assert invoke("-", *to, "--icmp-type", "8", text=text).exit_code == 0


def test_kans_trace_sets(tmp_path: Path) -> None:
    sets = tmp_path / "sets"
    sets.write_text("create public hash:net family inet hashsize 1024\nadd public 198.51.100.0/24\n")
    text = FILTER.format("-A FORWARD -m set ! --match-set public src -j DROP\n")
    assert invoke("-", *TO_VIP, text=text).exit_code == 3
    assert invoke("-", *TO_VIP, "--ipset", sets, text=text).exit_code == 0
    assert invoke("-", "--from", "203.0.113.7", "--to", "192.0.2.50", "--ipset", sets, text=text).exit_code == 1
    sets.write_text("add public 198.51.100.0/24\n")
    ran = invoke("-", *TO_VIP, "--ipset", sets, text=text)
    assert "`create public TYPE` before its first entry" in str(ran.exception)


@pytest.mark.slow
def test_kans_trace_too_many_paths_ranked() -> None:
    """Each set changes another bit of the mark, so that no two ways are the same."""
    rules = [
        f"-A FORWARD -m set --match-set s{bit} src -j MARK --set-xmark {1 << bit:#x}/{1 << bit:#x}\n"
        for bit in range(15)
    ]
    text = FILTER.format("".join(rules))
    ran = invoke("-", *TO_VIP, text=text)
    assert ran.exit_code == 3, ran.output[:500]
    assert "has more than 10,000 paths. What is not known splits them:" in ran.stdout
    answer = json.loads(invoke("-", *TO_VIP, "--json", text=text).stdout)
    assert (answer["rules"], answer["ways"]) == (["iptables"], [])
    times = [question["times"] for question in answer["questions"]]
    assert times == sorted(times, reverse=True)
    assert "set s" in answer["questions"][0]["question"]


def test_kans_trace_chooses_dump_of_the_family() -> None:
    six = "# Generated by ip6tables-save v1.8.9 on Mon\n" + FILTER.format("-A FORWARD -j DROP\n")
    text = "# Generated by iptables-save v1.8.9 on Mon\n" + FILTER.format("") + six
    assert invoke("-", *TO_VIP, text=text).exit_code == 0
    assert invoke("-", "--from", "2001:db8::7", "--to", "[2001:db8::50]:443", text=text).exit_code == 1
    ran = invoke("-", *TO_VIP, text=six)
    assert "is an IPv4 packet, and these rules are for IPv6" in str(ran.exception)


def test_kans_trace_help_has_recipes() -> None:
    words = " ".join(invoke("--help").stdout.split())
    assert "kubectl -n kube-system exec ds/kube-proxy -- iptables-save" in words
    assert "kubectl debug node/NODE -it --image=busybox -- chroot /host iptables-save" in words


NFT = """table inet filter {
	chain forward {
		type filter hook forward priority -5; policy accept;
		ip daddr 192.0.2.50 tcp dport 443 VERDICT
	}
}
"""


@pytest.mark.parametrize(("verdict", "code"), [("accept", 0), ("drop", 1), ("frobnicate 7", 3)])
def test_kans_trace_nftables_exit_codes(verdict: str, code: int) -> None:
    ran = invoke("-", *TO_VIP, text=NFT.replace("VERDICT", verdict))
    assert (ran.exit_code, ran.stdout.splitlines()[0]) == (code, "rules of nftables")


def test_kans_trace_iptables_and_nftables_of_one_machine(tmp_path: Path) -> None:
    dump, ruleset = tmp_path / "dump", tmp_path / "ruleset"
    dump.write_text(FILTER.format("-A FORWARD -m mark --mark 0x7 -j DROP\n"))
    ruleset.write_text(NFT.replace("VERDICT", "meta mark set 0x7"))
    answer = invoke(ruleset, dump, *TO_VIP, "--json")
    found = json.loads(answer.stdout)
    assert (answer.exit_code, found["rules"]) == (1, ["iptables", "nftables"])
    assert [step["table"] for step in found["ways"][0]["walked"]] == ["inet filter", "filter"]
    twice = kans(dump, ruleset, dump, *TO_VIP)
    assert twice.returncode == 2
    assert twice.stderr.startswith(f"kans: {dump}, {dump}: both texts are of `iptables-save`")
    dump.write_text("*nat\n-A PREROUTING -j ACCEPT\nCOMIT\n")
    wrong = kans(ruleset, dump, *TO_VIP)
    assert (wrong.returncode, wrong.stderr.startswith(f"kans: {dump}: line 3")) == (2, True)


def test_kans_trace_refuses_an_empty_text_beside_another(tmp_path: Path) -> None:
    ruleset = tmp_path / "ruleset"
    ruleset.write_text(NFT.replace("VERDICT", "accept"))
    failed = kans(ruleset, "-", *TO_VIP, text="\n")  # `kubectl exec … | kans trace ruleset -` where kubectl fails
    assert (failed.returncode, failed.stderr.startswith("kans: standard input: empty; expected rules")) == (2, True)


@pytest.mark.parametrize(
    ("option", "text", "words"),
    [
        ("--addresses", "1: lo: <LOOPBACK>", "not what `ip -j addr` prints: line 1, column 2: expected JSON"),
        ("--addresses", "[7]", "not what `ip -j addr` prints: expected a list of objects"),
        ("--routes", '[\n{"dst"', "not what `ip -j route` prints: line 2, column 7: expected JSON"),
        ("--routes", '[{"dst":"default"},{"dev":"eth0"}]', "not what `ip -j route` prints: entry 2 has no 'dst'"),
        ("--routes", '[{"dst":"10.0.0.0/40"}]', "not what `ip -j route` prints: entry 1: a prefix of 40 bits"),
        ("--ipset", "create x hash:ip\nadd y 10.0.0.1\n", "line 2, column 5: expected `create y TYPE`"),
    ],
)
def test_kans_trace_names_the_file_and_the_place_of_an_error(
    tmp_path: Path, option: str, text: str, words: str
) -> None:
    ruleset, wrong, right = tmp_path / "ruleset", tmp_path / "wrong", tmp_path / "right"
    ruleset.write_text(NFT.replace("VERDICT", "accept"))
    wrong.write_text(text)
    right.write_text("[]")
    other = {"--addresses": ("--routes", right), "--routes": ("--addresses", right)}.get(option, ())
    for path, name in ((wrong, str(wrong)), ("-", "standard input")):
        ran = kans(ruleset, *TO_VIP, option, path, *other, text=text)
        assert (ran.returncode, ran.stderr.startswith(f"kans: {name}: {words}")) == (2, True), ran.stderr


def test_kans_trace_keeps_its_input(tmp_path: Path) -> None:
    ruleset = tmp_path / "ruleset"
    ruleset.write_text(NFT.replace("VERDICT", "accept"))
    ran = kans(ruleset, *TO_VIP, "--svg", ruleset)
    assert (ran.returncode, "the trace reads this file" in ran.stderr) == (2, True)
    assert ruleset.read_text().startswith("table")


def test_kans_trace_nftables_refused_with_line_and_column() -> None:
    ran = kans("-", *TO_VIP, text=NFT.replace("VERDICT", "limit rate many"))
    assert ran.returncode == 2
    assert "line 4, column 48: expected a rate such as 10/minute" in ran.stderr


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (gzip.compress(NFT.encode()), "compressed; expected text: `zcat FILE | kans trace - …`"),
        (b"\x7fELF\0\0\0\x01", "a binary file; expected the text that iptables-save or `nft list ruleset` prints"),
        (b'{"apiVersion": "v1"}', 'expected {"nftables": […]}, as `nft -j list ruleset` prints it'),
        (NFT[:70].encode(), "line 3, column 3: expected a hook such as"),
        (b"table ip nat\n", "line 1, column 1: expected rules, as `iptables-save` or `nft list ruleset` prints them"),
        (b"-P INPUT ACCEPT\n", "expected a table ('*nat') first: this looks like `iptables -S`"),
    ],
)
def test_kans_trace_names_a_file_of_another_kind(tmp_path: Path, data: bytes, words: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(data)
    answer = kans(path, *TO_VIP)
    assert (answer.returncode, words in answer.stderr, "script" in answer.stderr) == (2, True, False)


@pytest.mark.parametrize("name", ["", "a" * 16, "ü" * 8])
def test_interface_has_a_name_that_it_can_have(name: str) -> None:
    assert Packet("10.0.0.7", "10.0.0.8", in_interface="a" * 15).in_interface == "a" * 15
    with pytest.raises(PacketError, match="expected the name of an interface, of 1 to 15 bytes, such as eth0"):
        Packet("10.0.0.7", "10.0.0.8", in_interface=name)
    with pytest.raises(PacketError, match="out_interface"):
        Packet("10.0.0.7", "10.0.0.8", out_interface=name)


def test_kans_trace_takes_the_name_of_icmp_that_rules_have() -> None:
    rules = NFT.replace("ip daddr 192.0.2.50 tcp dport 443 VERDICT", "meta l4proto ipv6-icmp drop")
    assert invoke("-", "--from", "fd00::1", "--to", "fd00::2/ipv6-icmp", text=rules).exit_code == 1
