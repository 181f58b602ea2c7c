"""Names: of tiles in words, and of their objects in a store.

A job's tiles are at ``jobs/<job>/tiles/<tile>``, and go when the job is swept; wanted ones, which outlive it, at
``tiles/<tile>``. A tile ``("Q", (1, 2))`` is written ``Q[1,2]``. Whatever a name consists of, its key is made of
lower-case letters, digits and ``_ - . , [ ]`` alone (others in percent form: some file systems know no capitals).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import unquote

from wukong_sched.program import Tile

UNSAFE = re.compile(r"[^a-z0-9_\-.,\[\]]")


def in_words(tile: Tile) -> str:
    """A tile or task as text.

    >>> in_words(("Q", (1, 2)))
    'Q[1,2]'
    """
    return f"{tile[0]}[{','.join(map(str, tile[1]))}]"


def from_words(text: str) -> Tile:
    """The tile or task that `in_words` wrote.

    >>> from_words("a[b][-1]")
    ('a[b]', (-1,))
    """
    name, _, index = text[:-1].rpartition("[")
    return name, tuple(map(int, index.split(","))) if index else ()


def safe(text: str) -> str:
    """Text as part of a key.

    >>> safe("A/b[1]")
    '%41%2fb[1]'
    """
    return UNSAFE.sub(lambda match: "".join(f"%{byte:02x}" for byte in match.group().encode()), text)


def never(tile: Tile) -> bool:
    """No tile is wanted."""
    return False


@dataclass(frozen=True, slots=True)
class Keys:
    """Where one job's tiles are."""

    job: str
    is_wanted: Callable[[Tile], bool] = never
    """Whether a tile outlives the job; a program's own `is_wanted`."""

    @property
    def job_prefix(self) -> str:
        """Everything that the job's sweep removes."""
        return f"jobs/{safe(self.job)}/"

    @property
    def tile_prefixes(self) -> tuple[str, str]:
        """Where the job's tiles are, and where all jobs' wanted ones."""
        return self.job_prefix + "tiles/", "tiles/"

    def key(self, tile: Tile) -> str:
        """The key of a tile.

        >>> Keys("7").key(("r", (0,)))
        'jobs/7/tiles/r[0]'
        """
        return self.tile_prefixes[self.is_wanted(tile)] + safe(in_words(tile))

    def tile(self, key: str) -> Tile:
        """The tile at a key."""
        return from_words(unquote(key.rpartition("/")[2]))
