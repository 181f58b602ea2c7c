"""Sizes in bytes, as people write them."""

from __future__ import annotations

import re

_PARTS = re.compile(r"\s*([0-9]+(?:\.[0-9]*)?(?:e[0-9]+)?)\s*([a-z]*)\s*", re.IGNORECASE)

UNITS = {
    "": 1, "b": 1,
    "k": 10**3, "kb": 10**3, "kib": 2**10,
    "m": 10**6, "mb": 10**6, "mib": 2**20,
    "g": 10**9, "gb": 10**9, "gib": 2**30,
    "t": 10**12, "tb": 10**12, "tib": 2**40,
    "p": 10**15, "pb": 10**15, "pib": 2**50,
}  # fmt: skip
"""Bytes of each unit, in lower case."""


def parse_bytes(text: str | int | float) -> int:
    """Number of bytes that `text` says.

    Raises ValueError for what is no size.

    >>> parse_bytes("64MiB"), parse_bytes("1.5 GB"), parse_bytes(100)
    (67108864, 1500000000, 100)
    """
    match = _PARTS.fullmatch(str(text))
    if match is None or match[2].lower() not in UNITS:
        raise ValueError(f"{text!r} is no size in bytes; write a number and a unit, such as '64MiB', '4GiB' or '500MB'")
    return int(float(match[1]) * UNITS[match[2].lower()])


def format_bytes(size: float) -> str:
    """`size` with a binary unit, in three digits or so.

    >>> format_bytes(0), format_bytes(1000), format_bytes(67108864), format_bytes(1.5 * 2**30)
    ('0 B', '1000 B', '64.0 MiB', '1.5 GiB')
    """
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if size < 1024:
            return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} PiB"


def format_count(number: float) -> str:
    """`number` with a decimal prefix.

    >>> format_count(12), format_count(6_000_000), format_count(4.32e11)
    ('12', '6.00 M', '432.00 G')
    """
    for unit in ("", "k", "M", "G", "T", "P"):
        if number < 1000:
            return f"{number:.2f} {unit}" if unit else f"{number:.0f}"
        number /= 1000
    return f"{number:.3g} E"
