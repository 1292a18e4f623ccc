"""Raw recordings, captures, logs, rules, tokens, progress files and chapters that have to be refused."""

from __future__ import annotations

import base64
import gzip
import json
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

from tests.hostile import good
from tests.hostile.archives import DEEP, PCAP, Hostile, gz, gz_zeros, with_field, without
from tests.hostile.good import NODE, SERVICE, T, event, rows
from tests.hostile.zips import zeros


def written(name: str, data: bytes | str) -> Callable[[Path], object]:
    """Return how to write one file."""
    return lambda folder: (folder / name).write_bytes(data if isinstance(data, bytes) else data.encode())


def piped(name: str) -> Callable[[Path], object]:
    return lambda folder: os.mkfifo(folder / name)


def of_a_terabyte(name: str, head: bytes | str = b"") -> Callable[[Path], object]:
    """Return how to write a file that begins so and has a terabyte of zeros, none of which is on the disk."""

    def make(folder: Path) -> None:
        written(name, head)(folder)
        os.truncate(folder / name, 1 << 40)

    return make


# ── raw recordings ───────────────────────────────────────────────────────────────────────────────────────────

CONVERT = "convert raw out.zip"


def raw(name: str, data: bytes) -> Callable[[Path], object]:
    """Return how to write a raw recording with another content of one file."""
    return lambda folder: good.written(folder / "raw", good.RAW | {name: data})


def changed(change: Callable[[Path], object]) -> Callable[[Path], object]:
    return lambda folder: change(good.written(folder / "raw", good.RAW))


def _replace_by_link(folder: Path) -> None:
    (folder / "reads/1").unlink()
    (folder / "reads/1").symlink_to("/etc/passwd")


def _replace_by_pipe(folder: Path) -> None:
    (folder / "logs/speaker-a@n1.log").unlink()
    os.mkfifo(folder / "logs/speaker-a@n1.log")


def _replace_by_folder(folder: Path) -> None:
    (folder / "reads.ndjson").unlink()
    (folder / "reads.ndjson").mkdir()


def _add_large_outputs(folder: Path) -> None:
    for number in range(10):
        (folder / f"reads/x{number}").touch()
        os.truncate(folder / f"reads/x{number}", 30 << 20)


def _out_exists(folder: Path) -> None:
    good.written(folder / "raw", good.RAW)
    (folder / "out.zip").write_bytes(b"mine")


ACTION = {"t": T, "end": T, "act": "a", "cmd": "true", "rc": 0}
OUTPUT = {"t": T, "end": T, "cmd": "true", "rc": 0, "file": "reads/1"}
CLUSTER = {"metadata": NODE["metadata"], "status": {"nodeInfo": {"kubeletVersion": 7}}}
RAWS = [
    Hostile("actions of no field", raw("acts.ndjson", b"{}\n"), "raw/acts.ndjson, line 1: Object missing required", CONVERT),
    Hostile("actions that are a list", raw("acts.ndjson", b"[]\n"), "raw/acts.ndjson, line 1: Expected `object`", CONVERT),
    Hostile("actions of an unknown verb", raw("acts.ndjson", rows(ACTION | {"verb": "rm"})), "line 1: unknown verb 'rm'", CONVERT),
    Hostile("actions without a node", raw("acts.ndjson", rows(ACTION | {"verb": "kill_node"})), "kill_node without a node", CONVERT),
    Hostile("actions in the year 30000", raw("acts.ndjson", rows(ACTION | {"t": 9e11})), "line 1, field t", CONVERT),
    Hostile("actions of one line of 30 MB", raw("acts.ndjson", b"a" * (30 << 20)), "line 1: a row of", CONVERT),
    Hostile("actions in objects", raw("acts.ndjson", b'{"a":' * 100_000), "line 1.*too deep", CONVERT),
    Hostile("an output outside", raw("reads.ndjson", rows(OUTPUT | {"file": "../../../../etc/passwd"})), r"raw/\.\./.*passwd: expected a file", CONVERT),
    Hostile("an output with an absolute name", raw("reads.ndjson", rows(OUTPUT | {"file": "/etc/passwd"})), "passwd: expected a file", CONVERT),
    Hostile("an output that is missing", raw("reads.ndjson", rows(OUTPUT | {"file": "reads/9"})), "raw/reads/9: expected a file", CONVERT),
    Hostile("an output that is a link", changed(_replace_by_link), "reads/1: a symbolic link, expected", CONVERT),
    Hostile("a log that is a pipe", changed(_replace_by_pipe), "n1.log: a named pipe, expected", CONVERT),
    Hostile("rows that are a folder", changed(_replace_by_folder), "control-plane|reads.ndjson", CONVERT),
    Hostile("an output of a terabyte", changed(lambda one: os.truncate(one / "reads/1", 1 << 40)), "reads/1: 1099511627776 bytes", CONVERT),
    Hostile("ten outputs of 30 MB", changed(_add_large_outputs), "raw: 314,.* bytes unpacked, expected", CONVERT),
    Hostile("an output that nobody may read", changed(lambda one: (one / "reads/1").chmod(0)), "reads/1: cannot be read .Permission", CONVERT, True),
    Hostile("a folder that nobody may read", changed(lambda one: (one / "logs").chmod(0)), "logs: cannot be read .Permission", CONVERT, True),
    Hostile("a node of no status", raw("objects/nodes.ndjson", rows(event(without(NODE, "status")))), "nodes.ndjson, line 1", CONVERT),
    Hostile("a node of a numeric version", raw("objects/nodes.ndjson", rows(event(NODE | CLUSTER))), "nodes.ndjson, line 1, field object.status", CONVERT),
    Hostile("a node that is no control plane", raw("objects/nodes.ndjson", rows(event(with_field(NODE, {}, "metadata", "labels")))), "no node carries the label", CONVERT),
    Hostile("an address that is a number", raw("objects/services.ndjson", rows(event(with_field(SERVICE, [7], "status", "loadBalancer", "ingress")))), r"ingress\[0\]: Expected `object`", CONVERT),
    Hostile("a DaemonSet without a template", raw("objects/daemonsets.ndjson", rows(event({"metadata": SERVICE["metadata"], "spec": {}}))), "field object.spec: .*`template`", CONVERT),
    Hostile("interfaces that are text", raw("reads/1", b'"none"'), "output of `ip -j addr`: Expected `array`", CONVERT),
    Hostile("an interface of a wide prefix", raw("reads/1", json.dumps([{"addr_info": [{"local": "172.18.0.2", "prefixlen": 99}]}]).encode()), "99.* does not appear to be", CONVERT),
    Hostile("a log in Latin-1", raw("logs/speaker-a@n1.log", b"2026-11-23T07:10:10Z caf\xe9\n"), "raw/logs/speaker-a@n1.log, line 1: not UTF-8", CONVERT),
    Hostile("a log with a password", raw("logs/speaker-a@n1.log", b"2026-11-23T07:10:10Z password=hunter22\n"), "n1.log, line 1: holds a password", CONVERT),
    Hostile("a capture that is text", raw("captures/eth0.pcap", b"hello, this is no capture"), "eth0.pcap: starts with 68656c6c", CONVERT),
    Hostile("a raw recording named twice", changed(lambda _: None), "two raw recordings of this name", "convert raw raw out.zip"),
    Hostile("a folder that is no raw recording", lambda folder: (folder / "raw").mkdir(), "raw: holds no acts.ndjson", CONVERT),
    Hostile("something at the place of the result", _out_exists, "out.zip.* exists already", CONVERT),
    Hostile("a label that colours a terminal", raw("acts.ndjson", rows(ACTION | {"act": "\x1b[31m", "cmd": "kubectl apply -f -", "stdin": "a: ["})), r"\\x1b\[31m", CONVERT),
]  # fmt: skip

# ── captures, logs and recordings of kans timeline ────────────────────────────────────────────────────────────

TIMELINE = "timeline in"
LINE = b'2026-11-23T13:31:18Z {"msg":"memberlist: Suspect n1 has failed, no acks received"}\n'
TIMELINES = [
    Hostile("a log of zeros in a gzip", written("in", gz_zeros(LINE, 2000)), "in: ", TIMELINE),
    Hostile("a log of 2 GB of letters in a gzip", written("in", gzip.compress(LINE + b"a" * (40 << 20), 1)), "in: expected a log of at most 33,554,432 bytes", TIMELINE),
    Hostile("a log of a million lines", written("in", LINE + b"\n" * 1_000_000), "in: expected a log of at most .* and 400,000 lines", TIMELINE),
    Hostile("a log of a terabyte", of_a_terabyte("in", LINE), "in: starts with 32303236", TIMELINE),
    Hostile("lists in lists", written("in", DEEP), "in: neither a capture nor a log of a MetalLB speaker", TIMELINE),
    Hostile("a capture of zeros", written("in", gz_zeros(PCAP, 2000)), "no capture contains an announcement", TIMELINE),
    Hostile("a capture of tiny frames", written("in", gz(PCAP + (struct.pack("<IIII", 9, 9, 1, 1) + b"x") * 1_000_000)), "in: .* frames in .* no capture", TIMELINE),
    Hostile("a pipe", piped("in"), "in: expected a regular file", TIMELINE),
    Hostile("a device", lambda _: None, "/dev/zero: expected a regular file", "timeline /dev/zero"),
    Hostile("nothing", written("in", b""), "in: ", TIMELINE),
    Hostile("a name that colours a terminal", written("\x1b[31m", b"\0\0\0"), r"\\x1b\[31m: starts with 000000", "timeline \x1b[31m"),
    Hostile("no address", written("in", good.pcap(good.ARP)), "--vip 'foo': expected an address", "timeline in --vip foo"),
    Hostile("a moment of the year 30000", written("in", good.pcap(good.ARP)), "--zero '9e11'", "timeline in --zero 9e11"),
    Hostile("a moment that is no number", written("in", good.pcap(good.ARP)), "--zero 'nan'", "timeline in --zero nan"),
]  # fmt: skip

# ── rules, sets and routes of kans trace ─────────────────────────────────────────────────────────────────────

PACKET = "--from 192.0.2.1 --to 192.0.2.2:80"
TRACE = f"trace in {PACKET}"


def table(*lines: str) -> str:
    return "\n".join(("*filter", ":FORWARD DROP [0:0]", *lines, "COMMIT", ""))


def nft(rule: str) -> Callable[[Path], object]:
    """Return how to write a ruleset of nftables with one rule."""
    head = "table ip t {\n\tchain c {\n\t\ttype filter hook forward priority 0; policy accept;\n\t\t"
    return written("in", f"{head}{rule}\n\t}}\n}}\n")


def machine(addresses: str, routes: str) -> Callable[[Path], object]:
    def make(folder: Path) -> None:
        for name, data in (("in", table()), ("addr", addresses), ("route", routes)):
            (folder / name).write_text(data)

    return make


def sets(data: str) -> Callable[[Path], object]:
    return lambda folder: (written("in", table())(folder), written("sets", data)(folder))


def _sets_of_a_terabyte(folder: Path) -> None:
    sets("")(folder)
    os.truncate(folder / "sets", 1 << 40)


ROUTED = f"{TRACE} --addresses addr --routes route"
WITH_SETS = f"{TRACE} --ipset sets"
TRACES = [
    Hostile("rules of a terabyte", of_a_terabyte("in", table()), "in: more than 33,554,432 bytes", TRACE),
    Hostile("rules that do not end", lambda _: None, "/dev/zero: more than 33,554,432 bytes", f"trace /dev/zero {PACKET}"),
    Hostile("a million comments", written("in", "#\n" * 1_000_000), "at most 400,000 lines of rules", TRACE),
    Hostile("emoji", written("in", "😀" * (7 << 20)), "line 1, column 10240: expected a line of at most", TRACE),
    Hostile("a rule of 20 MB", written("in", table("-A FORWARD " + "-m " * (7 << 20))), "line 3, column 10240: expected a line of at most", TRACE),
    Hostile("counters of 9,000 digits", written("in", table(f"[{'9' * 9000}:1] -A FORWARD -j ACCEPT")), "line 3, column ", TRACE),
    Hostile("a policy of 9,000 digits", written("in", f"*filter\n:FORWARD DROP [{'9' * 9000}:0]\nCOMMIT\n"), "line 2, column ", TRACE),
    Hostile("a port of 9,000 digits", written("in", table(f"-A FORWARD -p tcp --dport {'9' * 9000} -j ACCEPT")), "line 3, column 27", TRACE),
    Hostile("200,000 lines that nobody wrapped", written("in", "*filter\n:FORWARD DROP [0:0]\n-A FORWARD\n" + ("x" * 79 + "\n") * 200_000), "line ", TRACE),
    Hostile("random bytes", written("in", bytes(range(256)) * 40), "a binary file", TRACE),
    Hostile("a zip", written("in", b"PK\3\4" + zeros(1)), "a binary file", TRACE),
    Hostile("rules that colour a terminal", written("in", table("-A \x1b[31mred -j ACCEPT")), "line 3", TRACE),
    Hostile("rules that call themselves", written("in", table(":A - [0:0]", "-A FORWARD -j A", "-A A -j A")), "A", TRACE),
    Hostile("nft: a port of 9,000 digits", nft(f"tcp dport {'9' * 9000} accept"), "line 4, column 13: expected a number of fewer", TRACE),
    Hostile("nft: tables in tables", written("in", "table ip t {\n" * 100_000), "line 2, column 1", TRACE),
    Hostile("nft: a set of 30 MB", nft("ip daddr { " + "192.0.2.1, " * 2_500_000 + "}"), "line 4, column 65537: expected a line of", TRACE),
    Hostile("nft: brackets in brackets", nft("meta mark set " + "(" * 60_000), "brackets that are not so deep", TRACE),
    Hostile("nft: a million lines", nft("\n" * 1_000_000), "at most 400,000 lines of rules", TRACE),
    Hostile("nft: lists in lists", written("in", '{"nftables": ' + DEEP), "JSON that is not so deep", TRACE),
    Hostile("nft: a number for a list", written("in", '{"nftables": 7}'), "nftables", TRACE),
    Hostile("nft: a number of 9,000 digits", written("in", '{"nftables": [' + "9" * 9000 + "]}"), "line 1, column", TRACE),
    Hostile("interfaces in lists", machine(DEEP, "[]"), "ip -j addr", ROUTED),
    Hostile("interfaces that are a number", machine("7", "[]"), "ip -j addr", ROUTED),
    Hostile("an interface of no address", machine('[{"ifname": "a", "addr_info": [{"local": "x", "prefixlen": 9}]}]', "[]"), "'x'", ROUTED),
    Hostile("an interface of an endless prefix", machine('[{"ifname": "a", "addr_info": [{"local": "192.0.2.2", "prefixlen": -9}]}]', "[]"), "a prefix of -9 bits", ROUTED),
    Hostile("a route of text", machine("[]", '["default"]'), "ip -j route", ROUTED),
    Hostile("a route of an endless metric", machine("[]", '[{"dst": "default", "dev": "a", "metric": 1e999}]'), "metric|ip -j route", ROUTED),
    Hostile("a set of no type", sets("create a any\n"), "line 1, column", WITH_SETS),
    Hostile("an entry of no set", sets("add a 192.0.2.1\n"), "line 1, column", WITH_SETS),
    Hostile("an entry of 9,000 digits", sets(f"create a hash:ip,port\nadd a 192.0.2.1,tcp:{'9' * 9000}\n"), "line 2, column", WITH_SETS),
    Hostile("sets of a terabyte", _sets_of_a_terabyte, "sets: more than", WITH_SETS),
]  # fmt: skip

# ── progress and chapters ─────────────────────────────────────────────────────────────────────────────────


def token(data: bytes) -> str:
    return "kans1." + base64.urlsafe_b64encode(zlib.compress(data, 9)).decode().rstrip("=")


def progress(**fields: object) -> str:
    """Return a progress file with one exercise, some of whose fields are otherwise."""
    entry = {"outcome": "right", "tries": 1, "hints": 0, "saw_solution": False, "ideas": []}
    return json.dumps({"format": 1, "entries": {"a": entry | fields}})


BOMB = base64.urlsafe_b64encode(zlib.compress(b"[" + b" " * (100 << 20), 9)).decode()
BAD_PROGRESS: dict[str, str] = {
    "lists in lists": DEEP,
    "no object": "7",
    "NaN tries": progress().replace('"tries": 1', '"tries": NaN'),
    "infinite tries": progress().replace('"tries": 1', '"tries": 1e999'),
    "huge tries": progress().replace('"tries": 1', '"tries": 1' + "0" * 5000),
    "negative tries": progress(tries=-1),
    "tries of text": progress(tries="1"),
    "an unknown outcome": progress(outcome="best"),
    "ideas that are text": progress(ideas="all"),
    "no entries": '{"format": 1}',
    "entries in a list": '{"format": 1, "entries": []}',
    "format 2": '{"format": 2, "entries": {}}',
    "half of a surrogate": progress().replace('"a"', '"\\ud800"'),
}
PROGRESS = [
    *(Hostile(f"token: {name}", written("in", token(data.encode())), "that is no progress token", "token in") for name, data in BAD_PROGRESS.items()),
    *(Hostile(f"progress: {name}", written("in", data), "in cannot be read .*set aside", "progress in") for name, data in BAD_PROGRESS.items()),
    Hostile("token of 100 MB", written("in", "kans1." + BOMB), "that is no progress token", "token in"),
    Hostile("token of 3 million letters", written("in", "kans1." + "A" * 3_000_000), "that is no progress token", "token in"),
    Hostile("token of no base64", written("in", "kans1.\u00e4\u00f6\u00fc"), "that is no progress token", "token in"),
    Hostile("token without its beginning", written("in", "eJyrVg"), "that is no progress token", "token in"),
    Hostile("progress of a terabyte", of_a_terabyte("in", "{}"), "in cannot be read .more than 1,048,576 bytes", "progress in"),
    Hostile("progress that is a pipe", piped("in"), "in is no regular file", "progress in"),
    Hostile("progress that is a folder", lambda one: (one / "in").mkdir(), "in is no regular file", "progress in"),
    Hostile("progress that is a device", lambda _: None, "/dev/zero is no regular file", "progress /dev/zero"),
]  # fmt: skip
FIRST = "00-start-here.ipynb"


def chapter(make: Callable[[Path], object], name: str = FIRST) -> Callable[[Path], object]:
    """Return how to put something in the place of a chapter."""

    def at(folder: Path) -> None:
        (folder / "course").mkdir()
        make(folder / "course" / name)

    return at


def _fill(place: Path) -> None:
    of_a_terabyte(place.name)(place.parent)


CHAPTERS = [
    Hostile("a chapter that is a pipe", chapter(os.mkfifo), f"{FIRST} is no regular file", "chapters course"),
    Hostile("a chapter that is a folder", chapter(Path.mkdir), f"{FIRST} is no regular file", "chapters course"),
    Hostile("a chapter that is a device", chapter(lambda one: one.symlink_to("/dev/zero")), f"{FIRST} is no regular file", "chapters course"),
    Hostile("a chapter of a terabyte", chapter(_fill), f"{FIRST} has more than", "chapters course"),
    Hostile("digests that are a pipe", chapter(os.mkfifo, ".kans.json"), ".kans.json is no regular file", "chapters course"),
    Hostile("digests of a terabyte", chapter(_fill, ".kans.json"), ".kans.json has more than", "chapters course"),
]  # fmt: skip
INPUTS = [*RAWS, *TIMELINES, *TRACES, *PROGRESS, *CHAPTERS]
