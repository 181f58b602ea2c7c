"""What a simulated job came to."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Counts:
    """What a run came to."""

    tasks: int = 0
    invocations: int = 0
    """Functions that began."""
    executors: int = 0
    """Those of them that found something to do."""
    cold: int = 0
    """Those of them that waited for a new environment."""
    throttled: int = 0
    overflows: Counter[str] = field(default_factory=Counter)
    """Functions that were ended since they would have held too much, by executor."""
    relieved: int = 0
    """Runs after which a function handed over since it held nearly too much."""
    refused: int = 0
    """Functions that ended with an error of the tile store's."""
    commits: int = 0
    busy: float = 0.0
    """Seconds of all functions together."""
    epochs: int = 0
    ended: float = math.nan
    """When the job was done or had failed."""
