"""The commands in a table of a dump, as iptables-restore does them: `:NAME`, -A, -I, -R, -D, -N, -P, -F, -X, -Z."""

from __future__ import annotations

import re
from collections.abc import Sequence

from kanslib.exceptions import RuleSyntaxError
from kanslib.i18n import tr
from kanslib.iptables import matches, targets
from kanslib.iptables.dump import BUILT_IN, CHAIN_LINE, RULE_LINE, ChainIndex
from kanslib.iptables.syntax import TARGETS, parse_options

_CHAIN_COMMAND = re.compile(
    r"\s*(?:-(?P<letter>[NPFXZ])|--(?P<word>new-chain|policy|flush|delete-chain|zero))"
    r"(?:\s+(?P<chain>[^\s\"-]\S*))?(?:\s+(?P<policy>ACCEPT|DROP))?(?:\s+\[\d+:\d+\])?\s*"
)
_LETTERS = {"new-chain": "N", "policy": "P", "flush": "F", "delete-chain": "X", "zero": "Z"}


class TableCommands:
    """A table of a dump while its lines are read: `chains` by name. The dump begins at the line `first` of `lines`."""

    def __init__(self, name: str, lines: Sequence[str], first: int) -> None:
        self.name, self._lines, self._first = name, lines, first
        self.chains: dict[str, ChainIndex] = {}

    def read(self, number: int, raw: str) -> None:
        """Do the command in a line, numbered from 0. RuleSyntaxError for a line that iptables-restore refuses."""
        if raw.lstrip().startswith(":"):
            self._declare(number, raw)
        elif found := RULE_LINE.match(raw):
            self._rule(number, raw, found)
        elif found := _CHAIN_COMMAND.fullmatch(raw):
            self._chain_command(number, found)
        else:
            column = len(raw) - len(raw.lstrip()) + 1
            raise RuleSyntaxError(column, raw, tr("a rule ('-A CHAIN …'), a chain (':NAME …') or COMMIT"))

    def _declare(self, number: int, raw: str) -> None:
        column = raw.index(":") + 1
        found = CHAIN_LINE.fullmatch(raw.lstrip())
        if not found:
            raise RuleSyntaxError(column, raw, tr("':NAME POLICY [packets:bytes]', such as ':INPUT ACCEPT [0:0]'"))
        self._add(column, found["name"], ChainIndex(found["policy"], number, []))

    def _add(self, column: int, name: str, chain: ChainIndex) -> None:
        if name in self.chains:
            raise RuleSyntaxError(column, name, tr("each chain once: {name!r} stands above already", name=name))
        self.chains[name] = chain

    def _chain(self, column: int, name: str) -> ChainIndex:
        """Return a chain; a built-in one need not be declared."""
        if name not in self.chains and name in BUILT_IN.get(self.name, ()):
            self.chains[name] = ChainIndex("ACCEPT", None, [])
        if name not in self.chains:
            expected = tr(
                "a chain that was declared before (':{name} - [0:0]') in table {self_name!r}",
                name=name,
                self_name=self.name,
            )
            raise RuleSyntaxError(column, name, expected)
        return self.chains[name]

    def _rule(self, number: int, raw: str, found: re.Match[str]) -> None:
        letter = found["letter"] or found["word"][0].upper()
        chain = self._chain(found.start("chain") + 1, found["chain"])
        if letter == "A" and found["at"]:
            raise RuleSyntaxError(found.start("at") + 1, found["at"], tr("an option, such as -p, -m or -j"))
        if letter == "D":
            del chain.lines[self._position_of(chain, found)]
            return
        rule = parse_options(raw, found.end())
        matches.matches(rule)
        is_chain = bool(rule.target and rule.target.name in self.chains)
        targets.action(rule, is_chain)
        if rule.unknown or (rule.target and not is_chain and (rule.goto or rule.target.name not in TARGETS)):
            chain.unknown.add(number)
        if letter == "A":
            chain.lines.append(number)
        elif letter == "I":
            chain.lines.insert(self._position(found, len(chain.lines) + 1), number)
        else:
            chain.lines[self._position(found, len(chain.lines))] = number

    def _position(self, found: re.Match[str], last: int) -> int:
        """Return the position (from 0) that a command names; -I takes the first without one."""
        position = int(found["at"] or 1)
        if not 1 <= position <= last:
            expected = tr("the number of a rule from 1 to {last}", last=last) if last else tr("a chain with rules")
            raise RuleSyntaxError(found.start("chain") + 1, found["chain"], expected)
        return position - 1

    def _position_of(self, chain: ChainIndex, found: re.Match[str]) -> int:
        """Return the position of the rule that -D names by its number or by its text."""
        if found["at"]:
            return self._position(found, len(chain.lines))
        wanted = self._options(found)
        for position, number in enumerate(chain.lines):
            rule = RULE_LINE.match(self._lines[self._first + number])
            if rule and self._options(rule) == wanted:
                return position
        raise RuleSyntaxError(found.start("chain") + 1, found["chain"], tr("a rule of this chain, word for word"))

    def _options(self, found: re.Match[str]) -> tuple[str, ...]:
        """Return a rule's options as text, to compare two rules."""
        rule = parse_options(found.string, found.end())
        own = sorted(str(option) for option in rule.own.values())
        return (*own, *map(str, rule.matches), str(rule.target), str(rule.goto))

    def _chain_command(self, number: int, found: re.Match[str]) -> None:
        letter, name = found["letter"] or _LETTERS[found["word"]], found["chain"]
        column = found.start("chain") + 1
        if name is None and letter in "NP":
            raise RuleSyntaxError(found.end() + 1, "", tr("the name of a chain behind -{letter}", letter=letter))
        if letter == "N":
            self._add(column, name, ChainIndex("-", number, []))
        elif letter == "P":
            if found["policy"] is None or name not in BUILT_IN.get(self.name, ()):
                raise RuleSyntaxError(column, name, tr("a built-in chain and its policy: -P INPUT DROP"))
            self._chain(column, name).policy = found["policy"]
        elif letter == "F":
            for chain in [self._chain(column, name)] if name else self.chains.values():
                chain.lines.clear()
        elif letter == "X":
            self._remove(column, name)

    def _remove(self, column: int, name: str | None) -> None:
        """Remove one chain, or without a name every chain that is not built in."""
        for removed in [name] if name else [one for one, chain in self.chains.items() if chain.policy == "-"]:
            if self._chain(column, removed).lines:
                raise RuleSyntaxError(column, removed, tr("an empty chain; {removed} still has rules", removed=removed))
            del self.chains[removed]
