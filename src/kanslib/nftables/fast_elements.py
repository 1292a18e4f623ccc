"""The elements of a long set or map, each made when somebody asks for it: a trace looks at one of 10,000."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import overload

from kanslib.iptables.packet import number
from kanslib.iptables.questions import address_number
from kanslib.iptables.ranges import Ranges, join
from kanslib.nftables.expressions import constant
from kanslib.nftables.fast_rule import FAST_ELEMENT
from kanslib.nftables.syntax import Concatenation, Element, Prefix, Value, Verdict


class FastElements(Sequence[Element]):
    """The elements in a text of the form of `fast_rule.FAST_ELEMENTS`."""

    def __init__(self, text: str) -> None:
        self._found: list[tuple[str, str, str]] = FAST_ELEMENT.findall(text, text.index("{") + 1)

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """The key of each element as it stands in the text: `10.96.0.1 . tcp . 443`."""
        return tuple(key for key, _, _ in self._found)

    @cached_property
    def chains(self) -> frozenset[str]:
        """The chains to which the verdicts of the elements lead."""
        return frozenset(verdict.partition(" ")[2] for _, _, verdict in self._found) - {""}

    @cached_property
    def first_continue(self) -> int:
        """The position of the first element with the verdict `continue`; 0 without one."""
        return next((at for at, (_, _, verdict) in enumerate(self._found) if verdict == "continue"), 0)

    @cached_property
    def addresses(self) -> Ranges | None:
        """The numbers of its addresses (`questions.address_number`); None where a key is something else."""
        try:
            return join((at, at) for at in (address_number(*number(key)) for key in self.keys))
        except ValueError:
            return None

    def __len__(self) -> int:
        return len(self._found)

    @overload
    def __getitem__(self, at: int) -> Element: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[Element, ...]: ...
    def __getitem__(self, at: int | slice) -> Element | tuple[Element, ...]:
        found = self._found[at]
        return _element(*found) if isinstance(found, tuple) else tuple(_element(*one) for one in found)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    __hash__ = None  # type: ignore[assignment] # as for any sequence that is equal to a tuple


def _element(key: str, comment: str, verdict: str) -> Element:
    parts = tuple(map(_part, key.split(" . ")))
    kind, _, chain = verdict.partition(" ")
    data = Verdict(kind, chain) if verdict else None
    return Element(parts[0] if len(parts) == 1 else Concatenation(parts), data, comment=comment)


def _part(word: str) -> Value | Prefix:
    address, slash, length = word.partition("/")
    return Prefix(address, int(length)) if slash else Value(constant(word))
