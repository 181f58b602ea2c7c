"""How large blocks are in memory."""

from __future__ import annotations

import dataclasses
import sys
from numbers import Integral
from typing import Any


def said(value: Any) -> int | None:
    """The bytes that an object says it has; None if it does not, as a class of such objects.

    >>> import numpy as np
    >>> said(np.zeros(4)), said([]), said(np.float64)
    (32, None, None)
    """
    nbytes = getattr(value, "nbytes", None)
    if nbytes is None or type(nbytes) is int:  # asked for every result of every task
        return nbytes
    return int(nbytes) if isinstance(nbytes, Integral) else None


def nbytes_of(block: Any) -> int:
    """Bytes of a block, as far as it tells: of its arrays, wherever in tuples, lists and dataclasses they are.

    >>> import numpy as np
    >>> nbytes_of(np.zeros(4)), nbytes_of((np.zeros(4), [np.zeros(2)]))
    (32, 48)
    """
    nbytes = said(block)
    if nbytes is not None:
        return nbytes
    if isinstance(block, tuple | list):
        return sum(map(nbytes_of, block))
    if dataclasses.is_dataclass(block) and not isinstance(block, type):
        return sum(nbytes_of(getattr(block, field.name)) for field in dataclasses.fields(block))
    return sys.getsizeof(block)
