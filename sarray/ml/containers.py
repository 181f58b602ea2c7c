"""What scikit-learn's ``set_output`` asks for, and lazy samples: these stay lazy, as no frame is."""

from __future__ import annotations

import functools
from typing import Any, TypeVar

from sarray.ml.rows import is_lazy

C = TypeVar("C", bound=type)


def lazy_stays_lazy(cls: C) -> C:
    """Decorates a transformer: what its methods return for lazy samples is not put into a container."""
    for name in ("transform", "fit_transform"):
        contained = getattr(cls, name)
        setattr(cls, name, _choosing(contained, contained.__wrapped__))
    return cls


def _choosing(contained: Any, bare: Any) -> Any:
    @functools.wraps(bare)
    def chosen(self: Any, X: Any, *arguments: Any, **options: Any) -> Any:
        return (bare if is_lazy(X) else contained)(self, X, *arguments, **options)

    return chosen
