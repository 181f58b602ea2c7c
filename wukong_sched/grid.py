"""Grids: where the tiles of one axis begin and end.

A grid cuts the elements ``0 .. total-1`` of an axis into consecutive tiles. Most grids are **regular**: a first tile
of any length, tiles of one size, a last tile of any length; such a grid is four numbers, however many tiles it has.
Any other grid keeps its edges. Tiles of no elements are allowed, and so is an axis of no elements (one tile of 0).

A **window** relates two grids: element ``x`` of `out` is element ``start + step * x`` of `src` (slicing, reversing,
padding, concatenation, rechunking). `window` gives the tiles of `src` that one tile of `out` touches,
`window_inverse` the tiles of `out` that touch one tile of `src`, both exactly: a tile between two elements of a long
step is skipped, elements that fall outside of `src` are dropped, and an empty tile touches nothing.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from wukong_sched.errors import ProgramError

_EMPTY = range(0)


@dataclass(frozen=True, slots=True)
class Grid:
    """The tiles of one axis; equal grids cut at the same places.

    >>> grid = Grid.of((3, 4, 4, 2))
    >>> len(grid), grid.total, grid.bounds(1), grid.tile_of(7)
    (4, 13, (3, 7), 2)
    """

    count: int
    """Number of tiles."""
    total: int
    """Number of elements."""
    first: int
    """Elements of the first tile."""
    size: int
    """Elements of every tile but the first and the last if `edges` is empty, else of the smallest tile."""
    edges: tuple[int, ...] = ()
    """Where each tile begins, and the total; empty for a regular grid."""

    @staticmethod
    def of(chunks: Iterable[int]) -> Grid:
        """The grid with tiles of these lengths.

        >>> Grid.of([5, 5, 3]) == Grid.regular(13, 5)
        True
        """
        sizes = tuple(chunks)
        if not sizes or min(sizes) < 0:
            raise ProgramError(
                f"a grid needs at least one tile and no negative length, got {sizes[:10]}; write (0,) for none"
            )
        if len(sizes) <= 2:
            return Grid(len(sizes), sum(sizes), sizes[0], max(sizes[0], 1))
        middle = sizes[1]
        if middle > 0 and sizes[1:-1].count(middle) == len(sizes) - 2:
            return Grid(len(sizes), sum(sizes), sizes[0], middle)
        return Grid(len(sizes), sum(sizes), sizes[0], min(sizes), (0, *accumulate(sizes)))

    @staticmethod
    def regular(total: int, size: int) -> Grid:
        """Tiles of `size`, the last one shorter if need be; one tile of 0 if there are no elements.

        >>> Grid.regular(10, 4).sizes()
        (4, 4, 2)
        """
        if total < 0 or size < 1:
            raise ProgramError(f"a regular grid needs total >= 0 and size >= 1, got total={total}, size={size}")
        first = min(total, size)
        count = max(1, -(-total // size))
        return Grid(count, total, first, size if count > 2 else max(first, 1))

    def __len__(self) -> int:
        return self.count

    def __reduce__(self) -> tuple[type[Grid], tuple[int, int, int, int, tuple[int, ...]]]:
        return Grid, (self.count, self.total, self.first, self.size, self.edges)

    def bounds(self, tile: int) -> tuple[int, int]:
        """First element of the tile, and the first one after it."""
        if not 0 <= tile < self.count:
            raise ProgramError(f"tile {tile} is outside of a grid of {self.count} tiles")
        if self.edges:
            return self.edges[tile], self.edges[tile + 1]
        begin = self.first + self.size * (tile - 1) if tile else 0
        return begin, (self.first + self.size * tile if tile < self.count - 1 else self.total)

    def chunk(self, tile: int) -> int:
        """Number of elements of the tile."""
        begin, end = self.bounds(tile)
        return end - begin

    def sizes(self) -> tuple[int, ...]:
        """Number of elements of every tile."""
        return tuple(self.chunk(tile) for tile in range(self.count))

    def tile_of(self, element: int) -> int:
        """The tile that holds the element; elements outside of the axis count to the nearest tile that has any."""
        element = min(max(element, 0), self.total - 1) if self.total else 0
        if self.edges:
            return min(bisect_right(self.edges, element), self.count) - 1
        if element < self.first:
            return 0
        return min(1 + (element - self.first) // self.size, self.count - 1)

    def overlapped(self, begin: int, end: int) -> range:
        """From the first to the last tile that holds any of the elements ``begin .. end-1``; empty if none does.

        >>> Grid.of((3, 4, 4)).overlapped(2, 4)
        range(0, 2)
        """
        begin, end = max(begin, 0), min(end, self.total)
        return range(self.tile_of(begin), self.tile_of(end - 1) + 1) if begin < end else _EMPTY


def _inside(begin: int, end: int, total: int, start: int, step: int) -> tuple[int, int]:
    """The part of ``begin <= x < end`` with ``0 <= start + step * x < total``, as begin and end."""
    if step > 0:
        return max(begin, -(start // step)), min(end, (total - 1 - start) // step + 1)
    if step < 0:
        return max(begin, (start - total) // -step + 1), min(end, start // -step + 1)
    raise ProgramError("a window needs a step other than 0; write 1 to take every element, -1 to reverse")


def window(tile: int, out: Grid, src: Grid, start: int, step: int) -> Sequence[int]:
    """Tiles of `src`, ascending, that hold an element ``start + step * x`` with ``x`` in tile `tile` of `out`.

    >>> window(0, Grid.of((2, 2)), Grid.of((1, 1, 1, 1, 1, 1)), 5, -2)
    (3, 5)
    """
    if not 0 <= tile < out.count:
        return _EMPTY
    begin, end = out.bounds(tile)
    begin, end = _inside(begin, end, src.total, start, step)
    if begin >= end:
        return _EMPTY
    low, high = start + step * begin, start + step * (end - 1)
    if step < 0:
        low, high, step = high, low, -step
    first, last = src.tile_of(low), src.tile_of(high)
    if step <= src.size or last - first <= 1:
        return range(first, last + 1)
    return _hit(src, range(low, high + 1, step), range(first, last + 1))


def _hit(grid: Grid, elements: range, tiles: range) -> tuple[int, ...]:
    """Those of the tiles that hold one of the elements; looks at the elements or at the tiles, whichever are fewer."""
    if len(elements) < len(tiles):
        return tuple(dict.fromkeys(map(grid.tile_of, elements)))
    low, step = elements.start, elements.step

    def held(tile: int) -> bool:
        begin, end = grid.bounds(tile)
        return max(low, low - (low - begin) // step * step) < end

    return tuple(tile for tile in tiles if held(tile))


def window_inverse(tile: int, out: Grid, src: Grid, start: int, step: int) -> Sequence[int]:
    """Tiles of `out`, ascending, whose `window` contains tile `tile` of `src`.

    >>> window_inverse(3, Grid.of((2, 2)), Grid.of((1, 1, 1, 1, 1, 1)), 5, -2)
    range(0, 1)
    """
    if not 0 <= tile < src.count:
        return _EMPTY
    begin, end = src.bounds(tile)
    return _touching(out, *_inside(0, out.total, end - begin, start - begin, step))


def window_support(out: Grid, src: Grid, start: int, step: int) -> Sequence[int]:
    """Tiles of `out`, ascending, whose `window` is not empty.

    >>> window_support(Grid.of((2, 2, 2, 2)), Grid.of((3,)), -2, 1)
    range(1, 3)
    """
    return _touching(out, *_inside(0, out.total, src.total, start, step))


def _touching(grid: Grid, begin: int, end: int) -> Sequence[int]:
    tiles = grid.overlapped(begin, end)
    if grid.size or len(tiles) <= 1:
        return tiles
    return tuple(tile for tile in tiles if grid.chunk(tile))
