"""The style of each page inside it: the rules of the theme, of code and of this site that the page can use."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kanslib.site.search import SCRIPT as TEXTS

if TYPE_CHECKING:
    from tinycss2.ast import Node

STYLE = "site.css"  # no file has this name: Sphinx writes a link to it where the style will stand
_PLACE = re.compile(rf'<link rel="stylesheet"[^>]*{re.escape(STYLE)}[^>]*>')
_NAME = re.compile(r"[\w-]+")
_BLOCKS = ("media", "supports", "container", "layer")


@dataclass(frozen=True)
class Rule:
    """A rule of a style sheet. `needed`: the classes and ids of each of its selectors; `inner`: the rules of a block.

    `text`: the whole rule, or for a block its head, such as `@media print`. What needs nothing has one empty set.
    """

    text: str
    needed: Sequence[frozenset[str]] = (frozenset(),)
    inner: Sequence[Rule] = ()

    def used(self, names: Collection[str]) -> str:
        """Return the rule, or of a block the rules in it, where these names can match it; empty where they cannot."""
        if self.inner:
            rules = "".join(rule.used(names) for rule in self.inner)
            return rules and f"{self.text}{{{rules}}}"
        return self.text if any(one.issubset(names) for one in self.needed) else ""


def parse(css: str) -> list[Rule]:
    """Return the rules of a style sheet, without comments."""
    import tinycss2

    return list(_rules(tinycss2.parse_stylesheet(css, skip_comments=True, skip_whitespace=True)))


def put_into_pages(folder: Path, sheets: Iterable[Path]) -> None:
    """Write into each page of a folder the rules of style sheets that it can use; a later sheet wins.

    A name counts as used where it is a word of the page or of any script, so also one that a script sets.
    """
    rules = [rule for sheet in sheets for rule in parse(sheet.read_text(encoding="utf-8"))]
    scripts = [script for script in folder.rglob("_static/*.js") if script.name != TEXTS]  # which set no class
    set_late = {name for script in scripts for name in names_in(script.read_text("utf-8"))}
    for page in folder.rglob("*.html"):
        html = page.read_text(encoding="utf-8")
        names = names_in(html) | set_late
        before, after = _PLACE.split(html)
        style = "".join(rule.used(names) for rule in rules)
        page.write_text(f"{before}<style>{style}</style>{after}", encoding="utf-8")


def names_in(text: str) -> set[str]:
    """Return every word of a text that may be a class or an id.

    >>> sorted(names_in('<p class="kans-note big">'))
    ['big', 'class', 'kans-note', 'p']
    """
    return set(_NAME.findall(text))


def _rules(nodes: Iterable[Node]) -> Iterator[Rule]:
    import tinycss2

    for node in nodes:
        if node.type == "error":
            raise ValueError(f"a style sheet has a fault in line {node.source_line}: {node.message}")
        if node.type == "qualified-rule":
            yield Rule(f"{_compact(node.prelude)}{{{_compact(node.content)}}}", list(_needed(node.prelude)))
        elif node.content is None:
            yield Rule(tinycss2.serialize([node]))
        elif node.lower_at_keyword in _BLOCKS:
            inner = tinycss2.parse_rule_list(node.content, skip_comments=True, skip_whitespace=True)
            yield Rule(f"@{node.at_keyword} {_compact(node.prelude)}", inner=list(_rules(inner)))
        else:
            yield Rule(f"@{node.at_keyword} {_compact(node.prelude)}{{{_compact(node.content)}}}")


def _needed(prelude: Iterable[Node]) -> Iterator[frozenset[str]]:
    """Yield the classes and ids that each selector of a rule names, but for those inside `:not()` and the like."""
    names, before = set[str](), ""
    for node in prelude:
        if node == ",":
            yield frozenset(names)
            names = set()
        elif node.type == "hash" or (node.type == "ident" and before == "."):
            names.add(node.value)
        before = node.value if node.type == "literal" else ""
    yield frozenset(names)


def _compact(nodes: Iterable[Node]) -> str:
    """Return a part of a style sheet without comments, and without the spaces around its declarations."""
    import tinycss2

    kept: list[Node] = []
    for node in nodes:
        if node.type == "comment" or (node.type == "whitespace" and (not kept or kept[-1] == ";")):
            continue
        if node == ";" and kept and kept[-1].type == "whitespace":
            kept.pop()
        kept.append(node)
    while kept and (kept[-1].type == "whitespace" or kept[-1] == ";"):
        kept.pop()
    return str(tinycss2.serialize(kept))
