"""Parse the output of iptables-save or ip6tables-save; refuse it at the first wrong line.

Each line is checked and assigned to its chain. Lines in kube-proxy's forms match one regular expression and are not
parsed further; every other line is parsed at once, so that errors are found while reading.
"""

from __future__ import annotations

from kanslib.exceptions import DumpError, RuleSyntaxError
from kanslib.iptables import matches, targets
from kanslib.iptables.dump import CHAIN_LINE, RULE_LINE, ChainIndex
from kanslib.iptables.fast_rule import FAST_RULE
from kanslib.iptables.ruleset import Ruleset
from kanslib.iptables.syntax import parse_options


def parse(text: str) -> Ruleset:
    r"""Return the ruleset in the output of iptables-save or ip6tables-save. DumpError names the first wrong line.

    >>> ruleset = parse('*nat\n:OUTPUT ACCEPT [1:60]\n[2:120] -A OUTPUT -p tcp -j RETURN\nCOMMIT\n')
    >>> rule = ruleset.chain("OUTPUT").rules[0]
    >>> rule.target, rule.packets
    ('RETURN', 2)
    """
    lines = text.split("\n")
    reader = _DumpReader()
    fast_match, chains = FAST_RULE.fullmatch, reader.chains
    for number, line in enumerate(lines):
        # the common case first: a dump may have 100,000 of these
        if (found := fast_match(line)) and (chain := chains.get(found[1])) is not None:
            chain.lines.append(number)
        else:
            reader.read(number, line)
            chains = reader.chains
    reader.end(len(lines))
    return Ruleset(lines, reader.tables)


class _DumpReader:
    """Assign one line after another to its chain; refuse the first that is out of place."""

    def __init__(self) -> None:
        self.tables: dict[str, dict[str, ChainIndex]] = {}
        self.chains: dict[str, ChainIndex] = {}  # of the open table
        self.table: str | None = None
        self.began = 0

    def read(self, number: int, raw: str) -> None:
        """Read one line, numbered from 0. DumpError when it is wrong."""
        if raw.startswith(":") and self.table is not None:
            self._declare(number, 1, raw, raw.rstrip())
            return
        line = raw.strip()
        if not line or line.startswith("#"):
            return
        column = raw.index(line[0]) + 1
        if line.startswith("*"):
            self._open(number, column, line)
        elif self.table is None:
            raise DumpError(number + 1, column, raw, _outside(line))
        elif line == "COMMIT":
            self.table, self.chains = None, {}
        elif line.startswith(":"):
            self._declare(number, column, raw, line)
        else:
            self._rule(number, column, raw.removesuffix("\r"))

    def _open(self, number: int, column: int, line: str) -> None:
        name = line[1:]
        if self.table is not None:
            expected = f"COMMIT before another table: {self.table!r} began in line {self.began} (cut off?)"
            raise DumpError(number + 1, column, line, expected)
        if not name or " " in name:
            raise DumpError(number + 1, column, line, "the name of a table behind '*', such as *nat")
        if name in self.tables:
            raise DumpError(number + 1, column, line, f"each table once: {name!r} stands above already (two dumps?)")
        self.table, self.began, self.chains = name, number + 1, {}
        self.tables[name] = self.chains

    def _declare(self, number: int, column: int, raw: str, line: str) -> None:
        found = CHAIN_LINE.fullmatch(line)
        if not found:
            raise DumpError(number + 1, column, raw, "':NAME POLICY [packets:bytes]', such as ':INPUT ACCEPT [0:0]'")
        if found["name"] in self.chains:
            raise DumpError(number + 1, column, raw, f"each chain once: {found['name']!r} stands above already")
        self.chains[found["name"]] = ChainIndex(found["policy"], number, [])

    def _rule(self, number: int, column: int, raw: str) -> None:
        found = RULE_LINE.match(raw)
        if not found:
            raise DumpError(number + 1, column, raw, "a rule ('-A CHAIN …'), a chain (':NAME …') or COMMIT")
        if found["chain"] not in self.chains:
            expected = f"a chain that was declared before (':{found['chain']} - [0:0]') in table {self.table!r}"
            raise DumpError(number + 1, found.start("chain") + 1, raw, expected)
        try:
            rule = parse_options(raw, found.end())
            matches.matches(rule)
            targets.action(rule, bool(rule.target and rule.target.name in self.chains))
        except RuleSyntaxError as error:
            raise DumpError(number + 1, error.column, raw, error.expected) from None
        self.chains[found["chain"]].lines.append(number)

    def end(self, lines: int) -> None:
        """Check that the last table is complete; `lines` is the number of lines. DumpError when it is not."""
        if self.table is not None:
            raise DumpError(
                lines, 1, "", f"COMMIT of the table {self.table!r}, which began in line {self.began}: half a dump"
            )


def _outside(line: str) -> str:
    if line.startswith(("-P ", "-N ", "-A ")):
        return "a table ('*nat') first: this looks like `iptables -S`; `iptables-save` prints what is read here"
    return "a table first ('*nat'), as iptables-save prints it"
