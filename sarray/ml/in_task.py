"""Values of arrays that were made of what is in memory, within a task too.

`compute` refuses to run within a task, where it would wait for workers that wait for it. What a task has in memory it
may still compute itself, one block after the other: scikit-learn's searches fit our estimators within tasks.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from kernels.lapack import Block
from sarray.array import Array
from sarray.config import settings
from sarray.delivery import Result
from sarray.job import Job
from sarray.lower import lower
from sarray.session_blas import single_threaded


def computed_here(array: Array) -> Block:
    """``array.compute()``, or within a task the same by that task alone, one task after the other.

    >>> import sarray as sa
    >>> computed_here(sa.ones(4, chunks=2).sum()).item()
    4.0
    """
    from sarray import executors  # loads drivers, which the package does without until something is computed
    from wukong_sched.drivers.pump import inside_task

    if not inside_task():
        return array.compute()
    asked, place = replace(settings(), executor="serial", memory_limit=None), Result(array.expression, set())
    lowered = lower([array.expression], executors.limits_of(asked))
    with single_threaded():
        executors.run(Job(lowered, asked, {array.expression.name: place}, None, None))
    return np.asarray(place.values)
