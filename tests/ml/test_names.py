"""Public names, and what it takes to load them."""

from __future__ import annotations

import subprocess
import sys

import pytest

import sarray as sa
from sarray import ml


def test_every_public_name_has_a_home() -> None:
    assert set(ml.__all__) == set(ml.HOMES) == set(dir(ml))
    assert all(getattr(ml, name).__doc__ for name in ml.__all__)
    assert sa.ml is ml
    with pytest.raises(AttributeError, match="no attribute 'SVC'; it has PCA, LinearRegression"):
        ml.SVC  # noqa: B018


@pytest.mark.parametrize(
    ("statement", "loaded"),
    [
        ("import sarray; sarray.ml", False),
        ("import sarray.ml.row_moments, sarray.ml.datasets, sarray.ml.block_method, sarray.ml.finite", False),
        ("import sarray; sarray.ml.PCA", True),
    ],
)
def test_scikit_learn_is_loaded_by_estimators_and_not_by_their_tasks(statement: str, loaded: bool) -> None:
    code = f"{statement}\nimport sys\nprint('sklearn' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == str(loaded)
