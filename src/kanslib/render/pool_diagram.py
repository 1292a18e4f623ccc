"""The pools as a figure: each pool a strip of its addresses, those in use with their Services, and who waits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import htpy as h

from kanslib.answer import Provenance
from kanslib.i18n import listed, tr, tr_plural
from kanslib.metallb.config import BGPAdvertisement, L2Advertisement, Pool
from kanslib.metallb.ranges import Network, parse_ip
from kanslib.palette import GREY, GROUND, service_colours
from kanslib.render.figure import SIZES, Drawing, Figure, Note, place_notes, text_width, wrap_text
from kanslib.render.figure.marks import band, box, line, text
from kanslib.render.rows import Rows

_MARGIN = 4
_ROW = SIZES.line + 2
_STRIP = 18  # height of a strip in px
_LEAST_CELL = 3.0  # px: where the cells of addresses would be narrower, no line stands between them
_APART = 1.0  # px between an address in use and the border of its cell: neighbors have colours of their own
_OVER_STEMS = f"paint-order:stroke;stroke:{GROUND};stroke-width:4px;stroke-linejoin:round"


@dataclass(frozen=True)
class PoolUse:
    """A pool, and what its addresses are used for.

    `used`: Service name and address, the lowest address first. `advertised_by`: its advertisements.
    """

    name: str
    networks: tuple[Network, ...]
    used: tuple[tuple[str, str], ...]
    advertised_by: tuple[str, ...]

    @property
    def size(self) -> int:
        """The number of its addresses."""
        return sum(network.num_addresses for network in self.networks)

    @property
    def free(self) -> int:
        """The number of its addresses that no Service has; two Services may share one."""
        return self.size - len({address for _, address in self.used})

    @property
    def advertised_words(self) -> str:
        """The advertisements that cover it, in words."""
        if not self.advertised_by:
            return tr("no advertisement: no node announces its addresses")
        return tr("advertised by {advertisements}", advertisements=listed(self.advertised_by))

    def place(self, address: str) -> int:
        """Return the place of an address in the pool, from 0 on."""
        ip, before = parse_ip(address), 0
        for network in self.networks:
            if ip is not None and ip.version == network.version and ip in network:
                return before + int(ip) - int(network.network_address)
            before += network.num_addresses
        raise ValueError(tr("{address} is not in {name}", address=address, name=self.name))


@dataclass(frozen=True)
class WaitingService:
    """A Service that has no address; `requested`: the address or the pool that it asks for, or empty."""

    name: str
    requested: str

    @property
    def words(self) -> str:
        """The Service and what it waits for."""
        return tr("{name} waits for {requested}", name=self.name, requested=self.requested or tr("an address"))


def pool_use(pool: Pool, addresses: Iterable[tuple[str, str]]) -> PoolUse:
    """Return a pool with the Services that use it. `addresses`: name and address of all Services."""
    advertisements: list[tuple[L2Advertisement | BGPAdvertisement, str]] = [
        *((one, tr("layer 2")) for one in pool.layer2),
        *((one, "BGP") for one in pool.bgp),
    ]
    advertised_by = [
        f"{one.name} ({how if one.nodes else tr('{how}, selects no node', how=how)})" for one, how in advertisements
    ]
    found = PoolUse(pool.name, pool.networks, (), tuple(advertised_by))
    used = [(name, address) for name, address in addresses if address in pool]
    return replace(found, used=tuple(sorted(used, key=lambda one: (found.place(one[1]), one[0]))))


class PoolAddresses(list[str], Figure):
    """A list of addresses that a notebook shows as a picture: the pools, who has which address, and who waits.

    In code it is a list. `describe()` says the same in words, `table` has a row for each pool.
    """

    provenance: Provenance

    def __init__(
        self,
        addresses: Iterable[str],
        pools: Sequence[PoolUse],
        waiting: Sequence[WaitingService],
        provenance: Provenance,
        problem: str = "",
    ) -> None:
        """Keep the list and what the picture shows. `problem`: why MetalLB refuses the pools; else empty."""
        super().__init__(addresses)
        self.pools, self.waiting, self.problem = tuple(pools), tuple(waiting), problem
        self.provenance = provenance

    def __str__(self) -> str:
        return list.__repr__(self)

    def drawing(self, width: int) -> Drawing:
        """Return a strip for each pool, and the Services that wait below them."""
        colours = service_colours(
            [name for pool in self.pools for name, _ in pool.used] + [one.name for one in self.waiting]
        )
        y, parts = 0.0, list[h.Node]()
        for pool in self.pools:
            strip = _Strip(pool, y, width, colours)
            parts.append(strip.drawn())
            y = strip.bottom + SIZES.gap
        notes = [one.words for one in self.waiting] + ([self.problem] if self.problem else [])
        if not (self.pools or self.problem):
            notes.insert(0, tr("no pool: MetalLB has no address to give"))
        for note in notes:
            for words in wrap_text(note, width - 2 * _MARGIN, bold=True):
                y += SIZES.line
                parts.append(text(_MARGIN, y, words, bold=True))
        return Drawing(tr("Pools and their addresses"), y + _MARGIN, parts)

    def describe(self) -> str:
        """Return the picture in words."""
        sentences = [
            f"{_title(pool)}; {pool.advertised_words}; {_in_use(pool) or tr('none in use')}." for pool in self.pools
        ]
        sentences += [f"{one.words}." for one in self.waiting]
        if self.problem:
            sentences.append(self.problem)
        return "\n".join(sentences or [tr("no pool: MetalLB has no address to give")])

    def rows(self) -> Rows:
        """Return a row for each pool: POOL, ADDRESSES, FREE, IN USE and ADVERTISED BY."""
        return [
            {"POOL": pool.name, "ADDRESSES": pool.size, "FREE": pool.free, "IN USE": _in_use(pool),
             "ADVERTISED BY": listed(pool.advertised_by)}
            for pool in self.pools
        ]  # fmt: skip


def _title(pool: PoolUse) -> str:
    return tr_plural(
        "{name}: {n} address, {free:,} free", "{name}: {n:,} addresses, {free:,} free", pool.size,
        name=pool.name, free=pool.free,
    )  # fmt: skip


def _in_use(pool: PoolUse) -> str:
    return listed(f"{name} {address}" for name, address in pool.used)


class _Strip:
    """A pool: its title, its Services above the addresses that they have, the strip, its first and last address."""

    def __init__(self, pool: PoolUse, top: float, width: int, colours: dict[str, str]) -> None:
        self._pool, self._colours = pool, colours
        self._left, self._right = float(_MARGIN), float(width - _MARGIN)
        titles = [(_title(pool), True), (pool.advertised_words, False)]
        self._title = [
            (words, bold) for one, bold in titles for words in wrap_text(one, width - 2 * _MARGIN, bold=bold)
        ]
        self._top, self._notes_top = top, top + SIZES.line * len(self._title) + SIZES.gap
        points = [(self._middle(address), f"{name} {address}") for name, address in pool.used]
        self._notes = place_notes(points, _MARGIN, width - _MARGIN)
        rows = max((note.row + len(note.lines) for note in self._notes), default=0)
        self._strip_top = self._notes_top + _ROW * rows + 2
        self._first, self._last = str(pool.networks[0][0]), str(pool.networks[-1][-1])
        is_short = text_width(f"{self._first} {self._last}") + SIZES.gap <= self._right - self._left
        self._last_line = 1 if is_short or self._first == self._last else 2  # of the texts below the strip

    @property
    def bottom(self) -> float:
        """The px at which the pool ends."""
        return self._strip_top + _STRIP + SIZES.line * self._last_line + 4

    def drawn(self) -> Iterator[h.Element]:
        """Yield the pool's elements."""
        for place, (words, bold) in enumerate(self._title, start=1):
            yield text(_MARGIN, self._top + SIZES.line * place, words, bold=bold)
        yield from self._cells()
        for (name, address), note in zip(self._pool.used, self._notes, strict=True):
            yield from self._use(name, address, note)
        ends = self._strip_top + _STRIP
        yield text(self._left, ends + SIZES.line, self._first)
        if self._last != self._first:
            yield text(self._right, ends + SIZES.line * self._last_line, self._last, "end")

    def _cells(self) -> Iterator[h.Element]:
        """Yield the strip: a cell for each address, where a cell is wide enough to be seen."""
        bottom = self._strip_top + _STRIP
        yield box(self._left, self._strip_top, self._right - self._left, _STRIP, radius=2)
        if self._cell >= _LEAST_CELL:
            borders = (self._left + self._cell * number for number in range(1, self._pool.size))
            yield h.g(opacity=".35")[(line(x, self._strip_top, x, bottom, width=1) for x in borders)]

    def _use(self, name: str, address: str, note: Note) -> Iterator[h.Element]:
        colour = self._colours.get(name, GREY)
        half = max(self._cell - 2 * _APART, _LEAST_CELL) / 2
        row_y = self._notes_top + _ROW * note.row + _ROW / 2
        yield line(note.x, row_y, note.x, self._strip_top, colour)
        yield band(note.x - half, self._strip_top, note.x + half, _STRIP, colour, 1, f"{name} {address}")
        lines = (text(note.text_x, row_y + 4 + _ROW * place, words, note.anchor)
                 for place, words in enumerate(note.lines))  # fmt: skip
        yield h.g(style=_OVER_STEMS)[lines]

    @property
    def _cell(self) -> float:
        return (self._right - self._left) / self._pool.size

    def _middle(self, address: str) -> float:
        return round(self._left + self._cell * (self._pool.place(address) + 0.5), 1)
