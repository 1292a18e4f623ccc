"""The path attributes of a BGP UPDATE: the AS path of old and new speakers, and what makes an attribute malformed."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from kanslib.exceptions import MalformedPacketError
from kanslib.i18n import all_of, tr, tr_plural

ORIGIN, AS_PATH, NEXT_HOP, AGGREGATOR, MP_REACH, MP_UNREACH, AS4_PATH, AS4_AGGREGATOR = 1, 2, 3, 7, 14, 15, 17, 18
ATTRIBUTES = {
    1: "ORIGIN", 2: "AS_PATH", 3: "NEXT_HOP", 4: "MULTI_EXIT_DISC", 5: "LOCAL_PREF", 6: "ATOMIC_AGGREGATE",
    7: "AGGREGATOR", 8: "COMMUNITIES", 9: "ORIGINATOR_ID", 10: "CLUSTER_LIST", 14: "MP_REACH_NLRI",
    15: "MP_UNREACH_NLRI", 16: "EXTENDED_COMMUNITIES", 17: "AS4_PATH", 18: "AS4_AGGREGATOR", 32: "LARGE_COMMUNITY",
}  # fmt: skip
AS_TRANS = 23456  # stands in AS_PATH for a number of four bytes (RFC 6793, section 9)
SET, SEQUENCE, CONFED_SEQUENCE, CONFED_SET = 1, 2, 3, 4
_OPTIONAL, _TRANSITIVE = 128, 64
_FLAGS = {
    **dict.fromkeys((1, 2, 3, 5, 6), _TRANSITIVE), **dict.fromkeys((4, 9, 10, 14, 15), _OPTIONAL),
    **dict.fromkeys((7, 8, 16, 17, 18, 32), _OPTIONAL | _TRANSITIVE),
}  # fmt: skip
_SIZES = {1: 1, 3: 4, 4: 4, 5: 4, 6: 0, 9: 4, 18: 8}  # bytes, exactly
_UNITS = {8: 4, 10: 4, 16: 8, 32: 12}  # bytes of each element; at least one


class Attribute(NamedTuple):
    """A path attribute: `flags` and `code` as on the wire, the meaning of its value in words, and its bytes."""

    flags: int
    code: int
    name: str
    meaning: str
    value: bytes = b""


class PathSegment(NamedTuple):
    """A segment of an AS path: its type (SET, SEQUENCE, or a confederation's) and its AS numbers."""

    type: int
    asns: tuple[int, ...]

    @property
    def length(self) -> int:
        """Its part of the path's length: a set counts as one, a confederation as none (RFC 4271 9.1.2.2, RFC 5065)."""
        return {SET: 1, SEQUENCE: len(self.asns)}.get(self.type, 0)

    def __str__(self) -> str:
        words = " ".join(map(str, self.asns))
        return {SET: f"{{{words}}}", CONFED_SEQUENCE: f"({words})", CONFED_SET: f"[{words}]"}.get(self.type, words)


def path_segments(value: bytes, asn_size: int) -> list[PathSegment]:
    """Return the segments of AS_PATH or AS4_PATH with AS numbers of `asn_size` bytes (2 or 4).

    MalformedPacketError for bytes that do not fit, a type beyond 1 to 4, or an empty segment (RFC 7606, section 7.2).
    """
    found, at = [], 0
    while at < len(value):
        kind, count = value[at], value[at + 1] if at + 1 < len(value) else 0
        end = at + 2 + count * asn_size
        if not SET <= kind <= CONFED_SET:
            raise MalformedPacketError("BGP", tr("AS_PATH: segment type {kind}, expected 1 to 4", kind=kind))
        if not count or end > len(value):
            left = len(value) - at
            problem = tr("AS_PATH: {left} bytes left for a segment of {count} AS", left=left, count=count)
            raise MalformedPacketError("BGP", problem)
        numbers = (int.from_bytes(value[i : i + asn_size]) for i in range(at + 2, end, asn_size))
        found.append(PathSegment(kind, tuple(numbers)))
        at = end
    return found


def asn_sizes(value: bytes) -> list[int]:
    """Return the sizes of AS numbers (4, 2) with which an AS_PATH can be read.

    >>> asn_sizes(bytes.fromhex("0201" "fde8"))
    [2]
    """
    return [size for size in (4, 2) if _is_readable(value, size)]


def _is_readable(value: bytes, asn_size: int) -> bool:
    try:
        path_segments(value, asn_size)
    except MalformedPacketError:
        return False
    return True


def merged_path(attributes: Sequence[Attribute], asn_size: int) -> list[PathSegment]:
    """Return the AS path of an UPDATE; from an old speaker with the numbers of AS4_PATH (RFC 6793, section 4.2.3).

    `asn_size`: the bytes of AS numbers in AS_PATH; with 4 an AS4_PATH does not count. MalformedPacketError for a
    malformed AS_PATH; a malformed AS4_PATH is left out.
    """
    first = {attribute.code: attribute.value for attribute in reversed(attributes)}
    path = path_segments(first.get(AS_PATH, b""), asn_size)
    aggregator = first.get(AGGREGATOR)
    was_aggregated_later = aggregator is not None and int.from_bytes(aggregator[:-4]) != AS_TRANS
    if asn_size == 4 or AS4_PATH not in first or was_aggregated_later or not _is_readable(first[AS4_PATH], 4):
        return path
    end = [segment for segment in path_segments(first[AS4_PATH], 4) if segment.type in (SET, SEQUENCE)]
    return path if _length(path) < _length(end) else [*_start(path, _length(path) - _length(end)), *end]


def _length(path: Sequence[PathSegment]) -> int:
    return sum(segment.length for segment in path)


def _start(path: Sequence[PathSegment], length: int) -> Iterator[PathSegment]:
    """Yield the front of a path up to a length; the segments of a confederation before its end belong to it."""
    for segment in path:
        if segment.length <= length:
            yield segment
            length -= segment.length
        elif length:
            yield PathSegment(segment.type, segment.asns[:length])
            return
        else:
            return


def find_problem(attributes: Sequence[Attribute], has_routes: bool, asn_size: int) -> str | None:
    """Return what is malformed in the attributes of an UPDATE by RFC 7606, in words; None where nothing is.

    `has_routes`: the UPDATE announces routes in its own field, so ORIGIN, AS_PATH and NEXT_HOP are mandatory.
    """
    codes = [attribute.code for attribute in attributes]
    for attribute in attributes:
        if (times := codes.count(attribute.code)) > 1:
            return tr_plural("{name} stands {n} time", "{name} stands {n} times", times, name=attribute.name)
        if problem := _value_problem(attribute, asn_size):
            return problem
    missing = _missing(codes, has_routes)
    return tr("routes without {attributes}", attributes=all_of(missing)) if missing else None


def _missing(codes: Collection[int], has_routes: bool) -> list[str]:
    mandatory = (ORIGIN, AS_PATH, NEXT_HOP) if has_routes else (ORIGIN, AS_PATH) if MP_REACH in codes else ()
    return [ATTRIBUTES[code] for code in mandatory if code not in codes]


def _value_problem(attribute: Attribute, asn_size: int) -> str | None:
    name, size, expected = attribute.name, len(attribute.value), _SIZES.get(attribute.code)
    if attribute.code == AGGREGATOR:
        expected = asn_size + 4
    flags = _FLAGS.get(attribute.code)
    if flags is not None and attribute.flags & (_OPTIONAL | _TRANSITIVE) != flags:
        return tr(
            "{name} with flags {found:#04x}, expected {expected:#04x}", name=name, found=attribute.flags, expected=flags
        )
    if expected is not None and size != expected:
        return tr("{name} of {size} bytes, expected {expected}", name=name, size=size, expected=expected)
    if (unit := _UNITS.get(attribute.code)) and (not size or size % unit):
        return tr("{name} of {size} bytes, expected a multiple of {unit}", name=name, size=size, unit=unit)
    if attribute.code == ORIGIN and attribute.value[0] > 2:
        return tr("ORIGIN {value}, expected 0 to 2", value=attribute.value[0])
    return None
