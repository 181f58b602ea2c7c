"""A fitted estimator under the configuration of scikit-learn that its caller has.

That configuration (`sklearn.set_config`, `sklearn.config_context`) belongs to a thread. A task runs in another thread
or process, and perhaps long after the caller has left the context. So what was set when a lazy result was built goes
with the estimator, as if the method had been called at once.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Configured:
    """An estimator and what was configured when it was asked.

    >>> import numpy as np, sklearn
    >>> from sklearn.preprocessing import StandardScaler
    >>> with sklearn.config_context(assume_finite=True):
    ...     configured = Configured.now(StandardScaler().fit([[1.0], [3.0]]))
    >>> configured.call("transform", np.array([[3.0], [np.nan]]))
    array([[ 1.],
           [nan]])
    """

    estimator: Any
    settings: Mapping[str, Any]
    """scikit-learn's."""

    @classmethod
    def now(cls, estimator: Any) -> Configured:
        """The estimator as it is configured in this thread."""
        from sklearn import get_config  # by now somebody has fitted an estimator; this module is loaded before

        return cls(estimator, get_config())

    def call(self, name: str, *arguments: Any, **options: Any) -> Any:
        """What the method of this name returns."""
        from sklearn import config_context

        with config_context(**self.settings):
            return getattr(self.estimator, name)(*arguments, **options)

    def apart(self) -> Configured:
        """The same with an estimator of its own; with this one if it cannot be copied, as one that holds a lock."""
        try:
            return Configured(copy.deepcopy(self.estimator), self.settings)
        except TypeError:
            return self

    @property
    def token(self) -> str:
        """A name of the settings."""
        return hashlib.blake2b(repr(sorted(self.settings.items())).encode(), digest_size=8).hexdigest()
