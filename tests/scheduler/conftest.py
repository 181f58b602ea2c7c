"""Scripts whose invariants are checked when the test is over."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.scheduler.scripts import Script


@pytest.fixture
def script() -> Iterator[Callable[..., Script]]:
    """Make scripts, and validate them at the end."""
    made: list[Script] = []

    def make(*arguments: object, **others: object) -> Script:
        made.append(Script(*arguments, **others))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for one in made:
        one.validate()
