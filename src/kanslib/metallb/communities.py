"""BGP communities and the names that Community objects give them (MetalLB v0.14.8 internal/bgp/community). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from kanslib.exceptions import ConfigurationError
from kanslib.k8s.objects import KubeObject
from kanslib.metallb.go_text import quoted

_LARGE = "large"


@dataclass(frozen=True, order=True)
class BGPCommunity:
    """A community: two numbers of 16 bits (RFC 1997), or three of 32 (large, RFC 8092)."""

    numbers: tuple[int, ...]

    @property
    def is_large(self) -> bool:
        """True for a large community, which native BGP cannot send."""
        return len(self.numbers) == 3

    def __str__(self) -> str:
        return ":".join(map(str, self.numbers))


def parse_community(text: str) -> BGPCommunity:
    """Return a community, `64500:10` or `large:64500:1:2`. Raises ConfigurationError in MetalLB's words.

    >>> str(parse_community("64500:010"))
    '64500:10'
    """
    parts = text.split(":")
    if len(parts) == 2:
        return BGPCommunity(tuple(_number(part, 16, text) for part in parts))
    if len(parts) != 4:
        raise ConfigurationError(f"invalid community format: {text}")
    if parts[0] != _LARGE:
        raise ConfigurationError(
            "invalid community value: invalid marker for large community, expected community to be of format "
            f"{_LARGE}:<uint32>:<uint32>:<uint32> but got {quoted(text)} instead"
        )
    return BGPCommunity(tuple(_number(part, 32, text) for part in parts[1:]))


def _number(part: str, bits: int, text: str) -> int:
    is_number = part.isascii() and part.isdigit()
    if is_number and int(part) < 2**bits:
        return int(part)
    problem = f"strconv.ParseUint: parsing {quoted(part)}: {'value out of range' if is_number else 'invalid syntax'}"
    raise ConfigurationError(
        f"invalid community value: invalid section {quoted(part)} of community {quoted(text)}, err: {quoted(problem)}"
    )


def aliases(communities: Iterable[KubeObject]) -> dict[str, BGPCommunity]:
    """Return the communities by the names that Community objects give them. Raises ConfigurationError."""
    found: dict[str, BGPCommunity] = {}
    for obj in communities:
        for alias in (obj.get("spec") or {}).get("communities") or []:
            name = alias.get("name", "")
            try:
                community = parse_community(alias.get("value", ""))
            except ConfigurationError as error:
                raise ConfigurationError(f"parsing community {quoted(name)}: {error}") from None
            if name in found:
                raise ConfigurationError(f"duplicate definition of community {quoted(name)}")
            found[name] = community
    return found


def resolve(names: Iterable[str], known: Mapping[str, BGPCommunity]) -> tuple[str, ...]:
    """Return the communities that an advertisement names, sorted. Raises ConfigurationError for an unknown name."""
    found = set()
    for name in names:
        try:
            found.add(known[name] if name in known else parse_community(name))
        except ConfigurationError as error:
            raise ConfigurationError(f"{error}\ninvalid community {quoted(name)} in BGP advertisement") from None
    return tuple(map(str, sorted(found)))
