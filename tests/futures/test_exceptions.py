"""Exceptions whose class cannot be called with their `args` come back from functions as they were."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wukong_sched.delayed import delayed
from wukong_sched.functions.execution import signed_cause
from wukong_sched.functions.plan import cause_key
from wukong_sched.futures import FunctionExecutor
from wukong_sched.storage import pickled, signed
from wukong_sched.storage.exceptions import portable

PATIENCE = 60.0
"""Seconds after which a test gives up."""


class Refused(Exception):
    """Takes what it does not hand on."""

    def __init__(self, code: int, *, place: str) -> None:
        super().__init__(f"{code} at {place}")
        self.code, self.place = code, place


class Prefixed(ValueError):
    """Loaded as it is pickled, its text would begin twice with the same."""

    def __init__(self, text: str) -> None:
        super().__init__(f"refused: {text}")


class Missing(FileNotFoundError):
    """One of the system's, with an ``__init__`` of its own."""

    def __init__(self, name: str, *, why: str) -> None:
        super().__init__(2, why, name)
        self.why = why


class Locked(Exception):
    """Cannot travel."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.lock = threading.Lock()


def refuse(code: int) -> None:
    error = Refused(code, place="door")
    error.add_note("as ever")
    raise error


def travelled(error: BaseException) -> Any:
    return pickled.loads(pickled.dumps(portable(error)))


def test_futures_and_delayed_calls_raise_them(pool: FunctionExecutor) -> None:
    with pytest.raises(Refused) as computed:
        delayed(refuse)(7).compute(executor=pool.executor)
    for error in (pool.submit(refuse, 7).exception(PATIENCE), computed.value):
        assert isinstance(error, Refused)
        assert (error.args, error.code, error.place, error.__notes__[0]) == (("7 at door",), 7, "door", "as ever")


@given(st.text(max_size=5), st.integers())
def test_they_are_the_same_afterwards(text: str, code: int) -> None:
    own = Prefixed(text), Refused(code, place=text), Missing(text, why=text)
    for error in (*own, KeyError(text)):
        found = travelled(error)
        assert (type(found), found.args, vars(found), str(found)) == (type(error), error.args, vars(error), str(error))
    assert travelled(Missing(text, why="gone")).filename == text


def test_what_cannot_travel_is_told() -> None:
    found = travelled(Locked("shut"))
    assert type(found) is RuntimeError
    assert str(found).endswith("Locked: shut")


def test_so_does_what_ends_a_job() -> None:
    key, name = b"key", cause_key("job")
    found = signed.verify(b"".join(signed_cause(Refused(1, place="door"), key, "job")), key, name)
    assert (type(found), found.code) == (Refused, 1)
