"""scikit-learn's own checks as an oracle: which of them an estimator does not pass."""

from __future__ import annotations

import warnings
from collections import Counter
from typing import Any

from sklearn.utils.estimator_checks import check_estimator


def failed_checks(estimator: Any) -> Counter[str]:
    """Return how often each check of an estimator fails, by name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = check_estimator(estimator, on_fail=None, on_skip=None)
    assert sum(result["status"] == "passed" for result in results) > 30
    return Counter(result["check_name"] for result in results if result["status"] == "failed")
