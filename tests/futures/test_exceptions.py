"""Exceptions whose class cannot be called with their `args` come back from functions as they were."""

from __future__ import annotations

import copyreg
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
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


@contextmanager
def tblib_installed() -> Iterator[None]:
    """As after ``tblib.pickling_support.install()``: Python's exceptions are pickled its way."""
    support = pytest.importorskip("tblib.pickling_support")
    before = copyreg.dispatch_table.copy()
    try:
        support.install()
        yield
    finally:
        copyreg.dispatch_table.clear()
        copyreg.dispatch_table.update(before)


TEXT, NUMBER = st.text(max_size=3), st.integers(0, 2**40)
ANY = st.none() | NUMBER | TEXT | st.binary(max_size=3) | st.lists(NUMBER, max_size=2)
PLACE = st.tuples(TEXT, NUMBER, NUMBER, TEXT, NUMBER, NUMBER)
FIELDS: dict[type[BaseException], tuple[st.SearchStrategy[Any], dict[str, st.SearchStrategy[Any]]]] = {
    StopIteration: (st.tuples(ANY) | st.just(()), {"value": ANY}),
    SystemExit: (st.tuples(ANY) | st.just(()), {"code": ANY}),
    KeyError: (st.tuples(ANY), {}),
    NameError: (st.tuples(TEXT), {"name": TEXT}),
    AttributeError: (st.tuples(TEXT), {"name": TEXT}),
    ImportError: (st.tuples(TEXT), {"name": TEXT, "path": TEXT, "msg": TEXT}),
    ModuleNotFoundError: (st.tuples(TEXT), {"name": TEXT, "path": TEXT}),
    OSError: (st.tuples(NUMBER, TEXT, TEXT), {"filename": TEXT, "filename2": TEXT, "errno": NUMBER, "strerror": TEXT}),
    BlockingIOError: (st.tuples(st.just(11), TEXT, NUMBER), {"characters_written": NUMBER}),
    SyntaxError: (st.tuples(TEXT, PLACE) | st.tuples(TEXT), {"lineno": NUMBER, "msg": TEXT, "text": TEXT}),
    IndentationError: (st.tuples(TEXT, PLACE), {"offset": NUMBER, "filename": TEXT}),
    UnicodeDecodeError: (
        st.tuples(TEXT, st.binary(max_size=3), NUMBER, NUMBER, TEXT),
        {"encoding": TEXT, "start": NUMBER, "end": NUMBER, "reason": TEXT, "object": st.binary(max_size=3)},
    ),
    UnicodeEncodeError: (st.tuples(TEXT, TEXT, NUMBER, NUMBER, TEXT), {"object": TEXT, "end": NUMBER}),
    UnicodeTranslateError: (st.tuples(TEXT, NUMBER, NUMBER, TEXT), {"reason": TEXT, "start": NUMBER}),
}
"""Python's exceptions: what they are made of, and what may be set later."""
NAMES = sorted({name for _, later in FIELDS.values() for name in later} | {"end_lineno", "end_offset", "own", "args"})


@st.composite
def builtin_errors(draw: st.DrawFn) -> BaseException:
    kind = draw(st.sampled_from(sorted(FIELDS, key=lambda each: each.__name__)))
    arguments, later = FIELDS[kind]
    own = draw(st.sampled_from((kind, type("Own", (kind,), {}))))
    error = own(*draw(arguments))
    for name in draw(st.sets(st.sampled_from(["own", *later]))):
        setattr(error, name, draw(later.get(name, ANY)))
    return error


def seen(error: BaseException) -> tuple[Any, ...]:
    return type(error), {name: getattr(error, name, None) for name in NAMES}, getattr(error, "__notes__", None)


@pytest.mark.parametrize("tblib", [False, True])
@given(builtin_errors())
def test_pythons_own_keep_what_they_know(tblib: bool, error: BaseException) -> None:
    error.add_note("as ever")
    with tblib_installed() if tblib else nullcontext():
        found = travelled(error)
    assert seen(found) == seen(error)


def test_what_was_set_later_counts() -> None:
    error = StopIteration([0])
    error.value = []
    assert (travelled(error).args, travelled(error).value) == (([0],), [])


def test_one_that_its_class_left_half_made_travels() -> None:
    class HalfMade(UnicodeDecodeError):
        def __init__(self, place: str) -> None:
            self.place = place

    found = travelled(HalfMade("door"))
    assert isinstance(found, HalfMade | RuntimeError) and "HalfMade" in repr(found)


def test_the_value_of_an_iteration_that_stops_comes_back_where_tblib_is_told(pool: FunctionExecutor) -> None:
    with tblib_installed():
        found = pool.submit(stop, 3).exception(PATIENCE)
    assert isinstance(found, StopIteration) and found.value == 3


def stop(value: int) -> None:
    pytest.importorskip("tblib.pickling_support").install()  # in the function, too
    raise StopIteration(value)


@pytest.mark.parametrize("tblib", [False, True])
def test_groups_keep_their_members(tblib: bool) -> None:
    with tblib_installed() if tblib else nullcontext():
        found = travelled(BaseExceptionGroup("both", [StopIteration(3), KeyboardInterrupt(4)]))
    assert (found.message, [type(each) for each in found.exceptions]) == ("both", [StopIteration, KeyboardInterrupt])


class Bundle(ExceptionGroup[Exception]):
    """A group of one's own, that takes what it does not hand on."""

    def __new__(cls, errors: list[Exception], *, label: Any) -> Bundle:
        made = super().__new__(cls, "bundled", errors)
        made.label = label
        return made

    def __init__(self, errors: list[Exception], *, label: Any) -> None:
        super().__init__("bundled", errors)

    label: Any


def kinds_of(error: BaseException) -> Any:
    """The type, and those of a group's parts, and so on."""
    if not isinstance(error, BaseExceptionGroup):
        return type(error)
    return type(error), error.message, [kinds_of(part) for part in error.exceptions]


def nested(*parts: Exception) -> ExceptionGroup[Exception]:
    return ExceptionGroup("outer", [ValueError(1), ExceptionGroup("inner", [KeyError(2), *parts])])


def test_groups_are_groups_whatever_their_parts_need() -> None:
    own = Refused(7, place="door"), Prefixed("twice")
    for error in (nested(*own), Bundle([*own, nested(*own)], label="mine")):
        error.add_note("as ever")
        found = travelled(error)
        assert (kinds_of(found), vars(found)) == (kinds_of(error), vars(error))
        refused, rest = found.split(Refused)
        assert kinds_of(rest.split(Prefixed)[1]) == kinds_of(error.split((Refused, Prefixed))[1])
    assert (refused.exceptions[0].code, refused.exceptions[0].place) == (7, "door")
    assert [str(each) for each in found.exceptions[:2]] == ["7 at door", "refused: twice"]


def test_of_a_group_only_what_cannot_travel_is_told() -> None:
    found = travelled(nested(Locked("shut"), Refused(7, place="door")))
    inner = [KeyError, RuntimeError, Refused]
    assert kinds_of(found) == (ExceptionGroup, "outer", [ValueError, (ExceptionGroup, "inner", inner)])
    assert str(found.exceptions[1].exceptions[1]).endswith("Locked: shut")


def test_a_group_whose_attributes_cannot_travel_is_one_of_pythons_own() -> None:
    bundle = Bundle([Refused(7, place="door")], label=threading.Lock())
    bundle.add_note("as ever")
    found = travelled(bundle)
    assert kinds_of(found) == (ExceptionGroup, "bundled", [Refused])
    assert vars(found) == {"__notes__": ["as ever"]}


def test_groups_within_groups_without_end_are_told() -> None:
    error: Exception = ValueError(1)
    for _ in range(3000):
        error = ExceptionGroup("deep", [error])
    assert isinstance(travelled(error), ExceptionGroup | RuntimeError)


def test_groups_from_calls_are_split_by_type(pool: FunctionExecutor) -> None:
    def fail() -> None:
        raise nested(Locked("shut"), Refused(7, place="door"))

    caught = []
    try:
        pool.submit(fail).result(PATIENCE)
    except* Refused as group:
        caught += [each.code for part in group.exceptions for each in part.exceptions]  # type: ignore[attr-defined]
    except* Exception:
        caught.append(-1)
    assert caught == [7, -1]


def test_the_object_that_lacks_an_attribute_stays_where_it_is() -> None:
    found = travelled(AttributeError("none", name="size", obj=threading.Lock()))
    assert (found.name, found.obj) == ("size", None)


def test_what_cannot_travel_is_told() -> None:
    found = travelled(Locked("shut"))
    assert type(found) is RuntimeError
    assert str(found).endswith("Locked: shut")


def test_so_does_what_ends_a_job() -> None:
    key, name = b"key", cause_key("job")
    found = signed.verify(b"".join(signed_cause(Refused(1, place="door"), key, "job")), key, name)
    assert (type(found), found.code) == (Refused, 1)


class Ending:
    """Whoever pickles it ends."""

    def __reduce__(self) -> Any:
        raise SystemExit(3)


class EndingLater:
    """Whoever loads it ends."""

    def __reduce__(self) -> Any:
        return sys.exit, (3,)


@pytest.mark.parametrize(
    ("function", "arguments"), [(Ending, ()), (EndingLater, ()), (bool, (Ending(),)), (bool, (EndingLater(),))]
)
def test_what_ends_whoever_pickles_or_loads_it_fails_alone(function: Any, arguments: tuple[Any, ...]) -> None:
    with FunctionExecutor("functions", workers=2) as executor:
        others = [executor.submit(abs, -number) for number in range(3)]
        error = executor.submit(function, *arguments).exception(PATIENCE)
        assert isinstance(error, SystemExit) and error.code == 3
        assert [other.result(PATIENCE) for other in others] == [0, 1, 2]
