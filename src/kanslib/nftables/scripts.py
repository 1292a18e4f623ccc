"""Tell a script for `nft -f` from a listing of `nft list ruleset`, and say how to get the one from the other.

Both are made of tables and chains, and nft reads its own listing. But a script can have variables, files, commands and
several rules on a line, so that only nft knows the rules that it makes.
"""

from __future__ import annotations

import re

from kanslib.exceptions import DumpError
from kanslib.i18n import tr

_LOOKED_AT = 1 << 18  # characters: a script shows early what it is, and nobody waits for a text of megabytes
_COMMAND = r"flush|add|create|insert|replace|delete|destroy|reset|rename|include|define|redefine|undefine"
_OBJECT = r"ruleset|ct|(?:table|chain|rule|set|map|element|flowtable|counter|quota|limit|secmark|synproxy)s?"
_SCRIPT = re.compile(
    rf"""
    ^\#!.*\bnft\b                                           # the first line of a file that nft runs
    | ^[ \t]*(?:{_COMMAND})[ ]+["\w]                        # a command
    | (?<!")\$\w+ | \\[ \t]*$                               # a variable, a rule that goes on in the next line
    | ^[ \t]*(?:table|chain|set|map)\b[^"\n]*\{{[^\n]*;     # a block on one line
    | ^[ \t]*table[ ]+\w+[ ]*\{{                            # a table without its family
    | ^[^"\#\n]*;[ \t]*(?!policy\b|flags\b)[^\s"}}]              # several rules on a line
    | ^(?!\s*type\s+\w+\s+hook\b)[^"\#\n]*;[ \t]*$    # a rule or a property that ends with a semicolon
    | \b(?:[sd]port|[sd]addr|state|type|v?map)[ ]*\{{[ \t]*$    # a set on several lines
    | ^[ \t]*type[ ]+(?:filter|nat|route)[ ]+hook[^;\n]*\n  # a hook, and its policy on another line
    """,
    re.MULTILINE | re.VERBOSE,
)


# what a text of nft has, and no other: a first line, a command, a block
_OF_NFT = re.compile(
    rf"""
    ^\#!.*\bnft\b
    | ^[ \t]*(?:include[ ]+["\w]|(?:re)?define[ ]+\w+[ ]*=|(?:{_COMMAND})[ ]+(?:{_OBJECT})\b)
    | ^[ \t]*(?:table|chain|set|map)[ ]+["\w]
    """,
    re.MULTILINE | re.VERBOSE,
)


def is_script(text: str) -> bool:
    r"""Return whether a text has what only scripts have, in its first characters.

    >>> is_script("flush ruleset\ntable ip t {\n}\n"), is_script("table ip t {\n}\n")
    (True, False)
    """
    return all(one.search(text, 0, _LOOKED_AT) for one in (_OF_NFT, _SCRIPT))


def is_command(line: str) -> bool:
    """Return whether a line outside of all tables is a command or the beginning of a block.

    >>> is_command("flush ruleset"), is_command("root@node1:~# nft list ruleset")
    (True, False)
    """
    return _OF_NFT.match(line) is not None


def with_next_step(error: DumpError, text: str) -> DumpError:
    """Return an error that says, too, how a script becomes a listing; the error itself for any other text."""
    if not is_script(text):
        return error
    expected = tr(
        "{expected}. This is a script for `nft -f`, not a listing. "
        "`unshare -rn sh -c 'nft -f FILE; nft list ruleset'` prints the listing, without root",
        expected=error.expected,
    )
    return DumpError(error.line, error.column, error.text, expected)
