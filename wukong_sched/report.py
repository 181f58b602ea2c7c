"""What a job did."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Report:
    """What a job did, as counted by its driver."""

    tasks: int
    """Tasks that ran."""
    executors: int
    """Executors that were started."""
    seconds: float
    """Wall time."""
