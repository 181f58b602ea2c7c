"""Who decides where tasks run."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from sarray.config import Settings
from wukong_sched.policy import CostModel, Wukong

POLICIES: Mapping[str, type[CostModel]] = {"cost": CostModel, "wukong": Wukong}
"""By name."""


def policy_of(asked: Settings, place: Any) -> Any:
    """The policy that is asked for, with the rates of a place's own; its thresholds are its own.

    >>> from wukong_sched.drivers.functions import POLICY
    >>> found = policy_of(Settings(policy="wukong"), POLICY)
    >>> type(found).__name__, found.bandwidth == POLICY.bandwidth, found.threshold
    ('Wukong', True, 200000000)
    """
    kind = POLICIES.get(asked.policy)
    if kind is None:
        raise ValueError(f"there is no policy {asked.policy!r}; known: {', '.join(POLICIES)}")
    if kind is CostModel:
        return place
    usual = {field.name: field.default for field in dataclasses.fields(CostModel)}
    rates = [field.name for field in dataclasses.fields(kind) if field.default == usual.get(field.name)]
    return kind(**{name: getattr(place, name) for name in rates if hasattr(place, name)})
