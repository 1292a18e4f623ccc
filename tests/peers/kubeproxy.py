"""kube-proxy beside us: its own proxier built once, asked with lines of JSON. v1.31.0 writes to its own fake iptables.

The proxier cannot be asked from outside of its package, so the package is copied, with one file of ours beside it;
every other package comes from the module k8s.io/kubernetes. Beside the program stays every sync that kube-proxy's own
tests do.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kanslib.k8s import kubeproxy
from tests.peers import golang
from tests.peers.golang import download, run, run_go

# the beginning of a function of proxier.go, and the call that is put into it
_HOOKS = {
    "func (proxier *Proxier) OnServiceUpdate(oldService, service *v1.Service) {": (
        "observeService(proxier, oldService, service)"
    ),
    "func (proxier *Proxier) OnEndpointSliceAdd(endpointSlice *discovery.EndpointSlice) {": (
        "observeSlice(proxier, endpointSlice, false)"
    ),
    "func (proxier *Proxier) OnEndpointSliceUpdate(_, endpointSlice *discovery.EndpointSlice) {": (
        "observeSlice(proxier, endpointSlice, false)"
    ),
    "func (proxier *Proxier) OnEndpointSliceDelete(endpointSlice *discovery.EndpointSlice) {": (
        "observeSlice(proxier, endpointSlice, true)"
    ),
}


@dataclass(frozen=True)
class Package:
    """A package of kube-proxy with its proxier: where it is, and what is built of it.

    `source`: our file beside it. `files`: those of the package that are copied as they are, its own tests among them.
    `sync`: the first line of the function that writes the rules.
    """

    name: str
    version: str
    path: Path
    source: Path
    files: tuple[str, ...]
    sync: str

    def built(self) -> Path:
        """Return the folder with the program and with kube-proxy's own syncs; build both when they are not there."""
        made_of = (self.version, self.path, self.files, self.sync)
        sources = Path(__file__).read_bytes() + self.source.read_bytes() + repr(made_of).encode()
        return golang.built(self.name, sources, self._build)

    def _build(self, module: Path, made: Path) -> None:
        self._copy(module)
        run_go(module, "test", "-c", "-vet=off", "-o", str(made / "kubeproxy"), ".")
        run(made / "kubeproxy", module, PEER_OUTPUT=str(made / "syncs"))

    def _copy(self, module: Path) -> None:
        """Make a module of the package: kube-proxy's own requirements, each at its own version."""
        module.mkdir()
        original = download(f"k8s.io/kubernetes@{self.version}")
        requirements = (original / "go.mod").read_text().replace("module k8s.io/kubernetes", "module peer", 1)
        staging = re.sub(r"=> \./staging/src/(\S+)", rf"=> \1 v0{self.version.removeprefix('v1')}", requirements)
        (module / "go.mod").write_text(f"{staging}\nrequire k8s.io/kubernetes {self.version}\n")
        shutil.copyfile(original / "go.sum", module / "go.sum")
        for name in self.files:
            shutil.copyfile(original / self.path / name, module / name)
        shutil.copyfile(self.source, module / self.source.name)
        text = (original / self.path / "proxier.go").read_text()
        for function, call in {self.sync: "defer record(proxier)", **_HOOKS}.items():
            text = text.replace(function, f"{function}\n\t{call}", 1)
        (module / "proxier.go").write_text(text)


_GO = Path(__file__).parent / "go"
IPTABLES = Package(
    "kubeproxy", "v1.31.0", Path("pkg", "proxy", "iptables"), _GO / "kubeproxy" / "peer_test.go",
    ("proxier_test.go", "number_generated_rules_test.go"), "func (proxier *Proxier) syncProxyRules() {",
)  # fmt: skip
# chains to which every Service adds: kube-proxy walks Services in no fixed order
SHARED = ("KUBE-SERVICES", "KUBE-NODEPORTS", "KUBE-EXTERNAL-SERVICES", "KUBE-PROXY-FIREWALL")
Chains = dict[tuple[str, str], list[str]]  # the rules of a chain, by table and chain
Cluster = dict[str, Any]  # as `cluster` in peer_test.go


def ask(folder: Path, clusters: Iterable[Cluster]) -> list[Cluster]:
    """Return each cluster with the `rules` that a new kube-proxy writes, as it gives them to iptables-restore."""
    with tempfile.TemporaryDirectory() as temporary:
        asked, answered = Path(temporary, "clusters"), Path(temporary, "rules")
        asked.write_text("".join(json.dumps(cluster) + "\n" for cluster in clusters))
        arguments = ("-test.run", "^TestPeer$")
        run(folder / "kubeproxy", Path(temporary), *arguments, PEER_INPUT=str(asked), PEER_OUTPUT=str(answered))
        return [json.loads(line) for line in answered.read_text().splitlines()]


def own_syncs(folder: Path) -> Iterator[Cluster]:
    """Yield every sync of kube-proxy's own tests: what the proxier knew, and all its rules afterwards."""
    for line in (folder / "syncs").read_text().splitlines():
        yield json.loads(line)


def config_of(cluster: Cluster) -> kubeproxy.Config:
    """Return the configuration of a cluster's kube-proxy as ours has it."""
    given = cluster["config"]
    node, zone = given["hostname"], (given["nodeLabels"] or {}).get("topology.kubernetes.io/zone", "")
    return kubeproxy.Config(
        cluster_cidr=given["clusterCIDR"],
        addresses={node: given["nodeIP"]},
        zones={node: zone},
        ipv6=given["ipv6"],
        masquerade_all=given["masqueradeAll"],
        localhost_nodeports=given["localhostNodePorts"],
        nfacct=frozenset(given["nfacct"] or ()),
        nodeport_addresses=tuple(given["nodePortAddresses"] or ()),
        interface_addresses={node: tuple(given["interfaceAddresses"] or ())},
        conntrack_tcp_liberal=given["conntrackTCPLiberal"],
    )


def our_rules(cluster: Cluster) -> Chains:
    """Return the rules that our kube-proxy writes for a cluster."""
    services, slices = cluster["services"] or [], cluster["endpointSlices"] or []
    rules = kubeproxy.write(services, slices, cluster["config"]["hostname"], config_of(cluster))
    both = [("nat", rules.nat), ("filter", rules.filter)]
    return _ordered(
        {
            (table, chain): list(map(_without_defaults, lines))
            for table, chains in both
            for chain, lines in chains.items()
        }
    )


def their_rules(cluster: Cluster) -> Chains:
    """Return the rules of a cluster's kube-proxy, as iptables-save prints them."""
    found, table = Chains(), ""
    for line in cluster["rules"].splitlines():
        table = line[1:] if line.startswith("*") else table
        if line.startswith("-A KUBE-"):
            found.setdefault((table, line.split()[1]), []).append(saved(line))
    return _ordered(found)


def _ordered(chains: Chains) -> Chains:
    """Return the chains that have rules, those of the shared ones in order of Service ports."""
    return {
        key: sorted(lines, key=_service_port) if key[1] in SHARED else lines for key, lines in chains.items() if lines
    }


def _service_port(line: str) -> tuple[str, str]:
    if "must be the last rule" in line:
        return "~", line  # kube-proxy lists the addresses of a node in no fixed order either
    comment = re.search(r'--comment "([^" ]+)', line)
    protocol = re.search(r"-p (\S+)", line)
    return (comment[1] if comment else ""), (protocol[1] if protocol else "")


def saved(rule: str) -> str:
    """Return a rule that was given to iptables-restore as iptables-save prints it.

    >>> saved('-A C -m comment --comment "a b" -m tcp -p tcp -d 192.0.2.1 --dport 80 -j KUBE-MARK-MASQ')
    '-A C -d 192.0.2.1/32 -p tcp -m comment --comment "a b" -m tcp --dport 80 -j KUBE-MARK-MASQ'
    """
    words = shlex.split(rule)
    head, matches, target = {"-s": "", "-d": "", "-p": ""}, list[list[str]](), list[str]()
    place = 2
    while place < len(words):
        negation = "! " if words[place] == "!" else ""
        place += bool(negation)
        option, values = words[place], _values(words, place + 1)
        place += 1 + len(values)
        if option in head:
            head[option] = _address(negation, option, values[0])
        elif option == "-m":
            matches.append([option, *values])
        elif option == "-j" or target:
            target += [option, *values]
        else:
            texts = [f'"{value}"' for value in values] if option == "--comment" else values
            matches[-1].append(negation + " ".join([option, *texts]))
    return " ".join(filter(None, [*words[:2], *head.values(), *map(_match, matches), _target(target)]))


def _values(words: Sequence[str], start: int) -> list[str]:
    end = next((place for place in range(start, len(words)) if words[place] == "!" or words[place][0] == "-"), None)
    return list(words[start:end])


def _address(negation: str, option: str, value: str) -> str:
    if option == "-p":
        return f"-p {value}"
    if value.endswith("/0"):
        return ""
    length = "" if "/" in value else "/128" if ":" in value else "/32"
    return f"{negation}{option} {value}{length}"


def _match(words: Sequence[str]) -> str:
    """Return a match with its options as iptables-save prints them."""
    options = list(words[2:])
    if words[1] == "statistic":
        options[-1] = _rounded(options[-1])
    elif words[1] == "nfacct":
        options = [option.replace(" ", "  ", 1) for option in options]
    elif words[1] == "recent":  # the list's name comes last
        options.sort(key=lambda option: option.startswith("--name"))
    return " ".join([*words[:2], *options])


def _rounded(option: str) -> str:
    """Return a probability as the kernel keeps it: in steps of 1/2³¹."""
    return f"--probability {round(float(option.split()[1]) * 2**31) / 2**31:.11f}"


def _target(words: Sequence[str]) -> str:
    text = " ".join(words)
    text = re.sub(r"--xor-mark (\S+)", r"--set-xmark \1/0x0", text)
    text = re.sub(r"--or-mark (\S+)", r"--set-xmark \1/\1", text)
    return text.removesuffix(" --random-fully")  # whether the program iptables has it, not kube-proxy's decision


def _without_defaults(line: str) -> str:
    """Return a rule of ours without what iptables itself adds: kube-proxy gives it none of this."""
    line = re.sub(r" --mask \S+ --rsource", "", line)
    return re.sub(r" --reject-with icmp6?-port-unreachable| --random-fully", "", line)
