"""The command line: every command with its options and help text. Each calls the module that has its name."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kanslib import i18n
from kanslib._version import __version__
from kanslib.cli import completion

app = typer.Typer(
    name="kans",
    help="A MetalLB cluster that you can hold in your hand: open, run and check the course.",
    epilog="Start with: kans lab",
    no_args_is_help=True,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)


def _version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(f"kanslib {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
    verbose: Annotated[
        int,
        typer.Option(
            "-v",
            "--verbose",
            count=True,
            help="Log to stderr what is done; [bold]-vv[/]: also each query, request and docker command.",
        ),
    ] = 0,
    lang: Annotated[
        str,
        typer.Option(
            "--lang",
            help="The language of the texts, such as en; without it that of KANS_LANG, or of the locale.",
            autocompletion=i18n.languages,
        ),
    ] = "",
) -> None:
    del version, lang  # help_texts.choose_language has read it, before any text was shown
    if verbose:
        from kanslib import log, status

        log.switch_on("info" if verbose == 1 else "debug", status.log_handler())


@app.command(epilog="Example: kans lab --dir ~/metallb --no-browser")
def lab(
    directory: Annotated[
        Path, typer.Option("--dir", help="Where your copy of the chapters lives; made if it is not there.")
    ] = Path("kans-course"),
    backend: Annotated[
        str,
        typer.Option(
            help="Who answers: recorded, simulated, or live (needs: kans up).", autocompletion=completion.backends
        ),
    ] = "recorded",
    port: Annotated[
        int, typer.Option(min=1, max=65535, help="Port of JupyterLab; the next free one if it is in use.")
    ] = 8888,
    browser: Annotated[bool, typer.Option(help="Open a browser.")] = True,
) -> None:
    """Open JupyterLab on [bold]your own copy[/] of the chapters.

    What you change stays: after an upgrade, chapters that you did not edit are replaced, and the new edition
    of one that you did is put next to yours.
    """
    from kanslib.cli import lab as command

    raise typer.Exit(command.open_lab(directory, backend, port, browser))


@app.command(epilog="Examples: kans run · kans run 03 06 · kans run --json > report.json")
def run(
    chapters: Annotated[
        list[str] | None,
        typer.Argument(
            help="Chapters by number or name; all of them without one.", autocompletion=completion.chapter_names
        ),
    ] = None,
    backend: Annotated[
        str,
        typer.Option(
            help="Who answers: recorded, simulated, or live (needs: kans up).", autocompletion=completion.backends
        ),
    ] = "recorded",
    workers: Annotated[int, typer.Option(min=0, help="Chapters at a time; 0: one per processor.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Execute chapters without a browser and print time and memory of each. Exits with 1 if a cell fails."""
    from kanslib.cli import run as command

    raise typer.Exit(command.run(chapters or [], backend, workers, json))


@app.command(epilog="Examples: kans up · kans up --metallb · kans up --metallb --manifest metallb-native.yaml")
def up(
    metallb: Annotated[bool, typer.Option("--metallb", help="Install MetalLB as well, as chapter 02 does.")] = False,
    manifest: Annotated[
        Path | None,
        typer.Option(help="MetalLB's manifest as a file, where there is no internet (or METALLB_MANIFEST)."),
    ] = None,
) -> None:
    """Create the course's own kind cluster and its client, or repair the one that exists."""
    from kanslib.cli import up as command

    command.up(metallb, manifest)


@app.command(epilog="Example: kans down")
def down() -> None:
    """Remove exactly what [bold]kans up[/] and live chapters created."""
    from kanslib.cli import down as command

    command.down()


@app.command(epilog="Example: kans record --out course.zip   (needs: kans up)")
def record(
    chapters: Annotated[
        list[str] | None,
        typer.Argument(
            help="Chapters by number or name; the whole course without one.", autocompletion=completion.chapter_names
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="What to write: a .zip or a directory.")] = Path("kans-recording.zip"),
    title: Annotated[str, typer.Option(help="The recording's title.")] = "",
    substitute: Annotated[
        list[str] | None, typer.Option(help="A substitute for the real thing, in words. Repeatable.")
    ] = None,
    keep: Annotated[Path | None, typer.Option(help="Keep the raw recording in this folder as well.")] = None,
) -> None:
    """Run the chapters on the course's live cluster and write a recording of them."""
    from kanslib.cli import record as command

    raise typer.Exit(command.record(chapters or [], out, title, substitute or [], keep))


@app.command(epilog="Examples: kans verify · kans verify my-recording.zip --json")
def verify(
    recordings: Annotated[
        list[Path] | None, typer.Argument(help="Recordings; those that ship with the course without one.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print what was checked as JSON.")] = False,
) -> None:
    """Check recordings: every file's size and sha256, order in time, format, secrets, addresses.

    Exits with 1 when one of them is damaged or holds what it should not.
    """
    from kanslib.cli import verify as command

    raise typer.Exit(command.verify(recordings or [], json))


@app.command(epilog="Example: kans diff old-metallb.zip new-metallb.zip")
def diff(
    a: Annotated[Path, typer.Argument(help="A recording.")],
    b: Annotated[Path, typer.Argument(help="Another one.")],
    json: Annotated[bool, typer.Option("--json", help="Print the differences as JSON.")] = False,
) -> None:
    """Compare two recordings [bold]by meaning[/]: leaders, addresses, rules, routes, outages.

    Exits with 1 when they differ.
    """
    from kanslib.cli import diff as command

    raise typer.Exit(command.diff(a, b, json))


@app.command(epilog="Example: kans convert raw/l2 raw/bgp course.zip --versions kind=v0.24.0")
def convert(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="RAW... OUT", help="Raw recordings, then what to write: a .zip or a directory."),
    ],
    title: Annotated[str, typer.Option(help="The recording's title.")] = "",
    versions: Annotated[
        list[str] | None,
        typer.Option(help="A version that the raw files do not contain, e.g. kind=v0.24.0. Repeatable."),
    ] = None,
    substitute: Annotated[
        list[str] | None, typer.Option(help="A substitute for the real thing, in words. Repeatable.")
    ] = None,
) -> None:
    """Turn raw recordings into one recording of format 1."""
    from kanslib.cli import convert as command

    command.convert(paths, title, versions or [], substitute or [])


_STATES = ["NEW", "ESTABLISHED", "RELATED", "INVALID", "UNTRACKED"]
_FLAGS = ["SYN", "SYN,ACK", "ACK", "PSH,ACK", "FIN,ACK", "RST", "RST,ACK"]
_ICMP_TYPES = ["echo-request", "echo-reply", "destination-unreachable", "fragmentation-needed", "time-exceeded"]
_PACKET = "What else rules may ask of the packet"
_MACHINE = "The machine, as text in files (- for a pipe)"


_TRACE_RECIPES = """Rules of a node with kube-proxy: kubectl -n kube-system exec ds/kube-proxy -- iptables-save > rules

Rules of any node: kubectl debug node/NODE -it --image=busybox -- chroot /host iptables-save > rules

Its sets, addresses and routes, in the same way: ipset save > sets; ip -j addr > addr; ip -j route > route

Then: kans trace rules --from 198.51.100.7 --to 192.0.2.50:443 --addresses addr --routes route --ipset sets

In one line: iptables-save | kans trace - --from 10.0.0.9 --to 10.0.0.1:80/tcp

With nftables: nft list ruleset > ruleset; kans trace ruleset rules --from 198.51.100.7 --to 192.0.2.50:443"""


@app.command(epilog=_TRACE_RECIPES)
def trace(
    rules: Annotated[
        list[str],
        typer.Argument(
            metavar="RULES...",
            help="What iptables-save, ip6tables-save, `nft list ruleset` or `nft -j list ruleset` printed: "
            "a file, or - for a pipe. Two files, one of each kind, are the rules of one machine.",
        ),
    ],
    source: Annotated[str, typer.Option("--from", help="The packet's source address.")],
    to: Annotated[str, typer.Option("--to", help="Where it goes: ADDRESS:PORT/PROTOCOL (default tcp).")],
    interface: Annotated[str, typer.Option("--in", help="The interface it arrives on.")] = "eth0",
    out: Annotated[
        str | None, typer.Option("--out", help="The interface it leaves by, where no --routes say it.")
    ] = None,
    own: Annotated[
        bool, typer.Option("--own", help="The machine itself sends it: no interface, OUTPUT first.")
    ] = False,
    sport: Annotated[int | None, typer.Option(help="Its source port.", rich_help_panel=_PACKET)] = None,
    state: Annotated[
        str,
        typer.Option(
            "--ctstate",
            "--state",
            help="Its state in conntrack: NEW, ESTABLISHED, …",
            autocompletion=lambda: _STATES,
            rich_help_panel=_PACKET,
        ),
    ] = "NEW",
    tcp_flags: Annotated[
        str | None,
        typer.Option(
            help="Its TCP flags: SYN or SYN,ACK or ACK …", autocompletion=lambda: _FLAGS, rich_help_panel=_PACKET
        ),
    ] = None,
    icmp_type: Annotated[
        str | None,
        typer.Option(
            help="Its ICMP type: 8, 3/4, echo-request …", autocompletion=lambda: _ICMP_TYPES, rich_help_panel=_PACKET
        ),
    ] = None,
    mark: Annotated[str, typer.Option(help="Its mark, such as 0x4000.", rich_help_panel=_PACKET)] = "0",
    ttl: Annotated[int | None, typer.Option(help="Its TTL when it arrives.", rich_help_panel=_PACKET)] = None,
    length: Annotated[int | None, typer.Option(help="Its length in bytes.", rich_help_panel=_PACKET)] = None,
    dscp: Annotated[str | None, typer.Option(help="Its DSCP, 0 to 63.", rich_help_panel=_PACKET)] = None,
    mac: Annotated[str | None, typer.Option(help="Its source MAC address.", rich_help_panel=_PACKET)] = None,
    uid: Annotated[int | None, typer.Option(help="The user who sends it, with --own.", rich_help_panel=_PACKET)] = None,
    gid: Annotated[
        int | None, typer.Option(help="The group that sends it, with --own.", rich_help_panel=_PACKET)
    ] = None,
    physdev_in: Annotated[
        str | None, typer.Option(help="The port of the bridge by which it comes.", rich_help_panel=_PACKET)
    ] = None,
    physdev_out: Annotated[
        str | None, typer.Option(help="The port of the bridge by which it goes.", rich_help_panel=_PACKET)
    ] = None,
    addresses: Annotated[
        Path | None,
        typer.Option(help="`ip -j addr`: which addresses are the machine's own.", rich_help_panel=_MACHINE),
    ] = None,
    routes: Annotated[
        Path | None,
        typer.Option(help="`ip -j route`: by which interface the packet leaves.", rich_help_panel=_MACHINE),
    ] = None,
    ipset: Annotated[
        list[Path] | None,
        typer.Option(help="`ipset save`: what the sets hold. Repeatable.", rich_help_panel=_MACHINE),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print every outcome as JSON.")] = False,
    svg: Annotated[Path | None, typer.Option(help="Write the picture to this file as well.")] = None,
) -> None:
    """Trace a packet through [bold]your own[/] rules of iptables or nftables: every path, with its probability.

    Needs no root and no cluster, only the text. Exits with 0 when the packet is let through, 1 when it is not, 2 when
    that could not be asked, and 3 when the answer is not certain.
    """
    from kanslib.cli import trace as command
    from kanslib.iptables import Packet

    address, port, protocol = command.parse_target(to)
    packet = Packet(
        source, address, protocol, sport, port, None if own else interface, out, command.parse_number(mark), state,
        tcp_flags, icmp_type, length, ttl, mac and mac.lower(), uid, gid, command.parse_number(dscp) if dscp else None,
        physdev_in, physdev_out,
    )  # fmt: skip
    machine = command.Machine(addresses, routes, tuple(ipset or ()))
    raise typer.Exit(command.trace(rules, packet, machine, json, svg))


@app.command(
    epilog="Examples: kans timeline failover.pcap --vip 192.0.2.50 · "
    "kans timeline client.pcap router.pcapng.gz speaker@node1.log --zero 2026-11-23T13:31:18 · kans timeline course.zip"
)
def timeline(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="RECORDING|PCAP|LOG...",
            help="Captures (pcap, pcapng), speakers' logs (kubectl, CRI, Docker; NAME@NODE.log), recordings; also gz.",
        ),
    ],
    vip: Annotated[
        list[str] | None,
        typer.Option(help="The address of the Service; without it those announced in the files. Repeatable."),
    ] = None,
    zero: Annotated[
        str | None,
        typer.Option(
            help="The moment to count from: Unix seconds, or a time (UTC unless it has a zone); else the first failure."
        ),
    ] = None,
    action: Annotated[
        list[str] | None,
        typer.Option(help="Of a recording: only this action. Repeatable.", autocompletion=completion.actions),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The page to write: timeline.html, or none with --json.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print inputs and outages as JSON.")] = False,
) -> None:
    """Analyse an outage in [bold]your own[/] captures and logs: phases, why requests failed, who had the address.

    Prints it in words and writes one HTML page that needs nothing else.
    """
    from kanslib.cli import timeline as command

    command.timeline(paths, vip or [], zero, action or [], out or (None if json else Path("timeline.html")), json)


@app.command(epilog="Examples: kans site · kans site --out public --base-url https://somebody.github.io/course/")
def site(
    out: Annotated[
        Path, typer.Option(help="The folder to write: a new one, or the site of an earlier run, which is replaced.")
    ] = Path("kans-site"),
    base_url: Annotated[
        str, typer.Option(help="Where the site will be, for the addresses that search engines read.")
    ] = "",
    lang: Annotated[
        list[str] | None,
        typer.Option(
            help="A language of the pages, besides English; all that have chapters without one. Repeatable.",
            autocompletion=completion.languages,
        ),
    ] = None,
) -> None:
    """Write the course as a [bold]static website[/]: chapters, documentation, search. It needs no server.

    The chapters are executed on the recording.
    """
    from kanslib.cli import site as command

    command.site(out, base_url, lang or [])


@app.command(epilog="Examples: kans challenge · kans challenge --case 4 · kans challenge --backend live")
def challenge(
    backend: Annotated[
        str,
        typer.Option(
            help="Which cluster: recorded, simulated, or live (needs: kans up --metallb).",
            autocompletion=completion.backends,
        ),
    ] = "recorded",
    case: Annotated[
        int | None,
        typer.Option(min=1, help="This case, 1 to 9; a random one without it.", autocompletion=completion.cases),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Choose the same random case again.")] = None,
) -> None:
    """Solve a [bold]broken cluster[/] from a complaint: query it, then name cause, fix and evidence.

    Exits with 1 if not solved. With --backend live the course's own cluster is broken for you; it is restored when
    you finish or press Ctrl-C.
    """
    from kanslib.cli import challenge as command

    raise typer.Exit(command.challenge(backend, case, seed))


@app.command(epilog="Example: kans doctor --json")
def doctor(json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False) -> None:
    """Check what works on this machine, what falls back to recordings, and print the exact fix."""
    from kanslib.cli import doctor as command

    raise typer.Exit(command.doctor(json))
