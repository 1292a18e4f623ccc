"""Words of bits, such as a mark: each bit is known, or is a bit of something that is not known."""

from __future__ import annotations

from dataclasses import dataclass

from kanslib.i18n import tr


@dataclass(frozen=True, slots=True)
class Bits:
    """A word of bits. `unknown`: pairs of a source and a mask; such a bit is the source's bit XOR the bit of `value`.

    >>> mark = Bits(0, (("the connection's mark", 0xFFFFFFFF),))
    >>> mark.set(0xFF, 0x4).unknown, hex(mark.set(0xFF, 0x4).value)
    ((("the connection's mark", 4294967040),), '0x4')
    """

    value: int
    unknown: tuple[tuple[str, int], ...] = ()

    @property
    def known(self) -> int | None:
        """Return the word; None where a bit is not known."""
        return None if self.unknown else self.value

    def under(self, mask: int) -> int | None:
        """Return the bits under a mask; None where one of them is not known.

        >>> Bits(0x28, (("tos", 3),)).under(0xFC)
        40
        """
        return None if any(bits & mask for _, bits in self.unknown) else self.value & mask

    def set(self, clear: int, flip: int) -> Bits:
        """Return the word after `word = (word & ~clear) ^ flip`."""
        if not self.unknown:
            return Bits((self.value & ~clear) ^ flip)
        return Bits((self.value & ~clear) ^ flip, _masked(self.unknown, ~clear))

    def copy_from(self, other: Bits, clear: int, mask: int) -> Bits:
        """Return the word after `word = (word & ~clear) ^ (other & mask)`: what CONNMARK saves and restores."""
        word = self.set(clear, other.value & mask)
        taken = _masked(other.unknown, mask)
        if any(bits & other_bits for _, bits in word.unknown for _, other_bits in taken):
            return Bits(
                word.value,
                ((tr("{unknown} and {taken}", unknown=word.unknown[0][0], taken=taken[0][0]), clear | mask),),
            )
        return Bits(word.value, (*word.unknown, *taken))

    def shift(self, by: int) -> Bits:
        """Return the word shifted to the left, or to the right by a negative number; an unknown one stays unknown."""
        if not self.unknown:
            return Bits((self.value << by if by >= 0 else self.value >> -by) & 0xFFFFFFFF)
        return Bits(0, ((tr("{unknown}, shifted by {by}", unknown=self.unknown[0][0], by=by), 0xFFFFFFFF),))

    def learn(self, source: str, mask: int, value: int) -> Bits:
        """Return the word after some bits of a source became known."""
        found = self
        for name, bits in self.unknown:
            if name == source and bits & mask:
                rest = tuple((s, m & ~mask if s == source else m) for s, m in found.unknown)
                found = Bits(found.value ^ (value & bits & mask), tuple((s, m) for s, m in rest if m))
        return found


def _masked(unknown: tuple[tuple[str, int], ...], mask: int) -> tuple[tuple[str, int], ...]:
    return tuple((source, bits & mask) for source, bits in unknown if bits & mask)
