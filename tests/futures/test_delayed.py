"""`wukong_sched.delayed` against what Python computes at once."""

from __future__ import annotations

import operator
import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wukong_sched.choice import Choice, chosen
from wukong_sched.delayed import Delayed, compute, delayed, persist
from wukong_sched.trace import Trace

BINARY = ["add", "sub", "mul", "floordiv", "mod", "and_", "or_", "xor", "lt", "le", "gt", "ge", "eq", "ne"]


@delayed
def increment(x: int) -> int:
    """One more."""
    return x + 1


def tasks(value: Any) -> int:
    """How many tasks a computation runs."""
    trace = Trace()
    compute(value, trace=trace)
    instructions = (i for history in trace.histories.values() for entry in history.entries for i in entry.instructions)
    return sum(len(getattr(instruction, "steps", ())) for instruction in instructions)


@pytest.mark.parametrize("executor", ["threads", "serial", "functions", "simulate"])
def test_every_executor_computes_the_same(executor: str) -> None:
    parts = [increment(number) for number in range(10)]
    total = delayed(sum)(parts)
    assert compute(total, {"a": [parts[0], 5]}, 7, executor=executor) == (55, {"a": [1, 5]}, 7)
    assert (total * 2).compute(executor=executor) == 110


@pytest.mark.parametrize("name", BINARY)
@given(a=st.integers(-50, 50), b=st.integers(1, 50))
def test_operators_are_those_of_the_values(name: str, a: int, b: int) -> None:
    function = getattr(operator, name)
    left, right, both = function(delayed(a), b), function(a, delayed(b)), function(delayed(a), delayed(b))
    assert compute(left, right, both, executor="serial") == (function(a, b),) * 3


@pytest.mark.parametrize("function", [operator.neg, operator.pos, operator.invert, abs])
def test_operators_of_one_value(function: Callable[[Any], Any]) -> None:
    assert function(delayed(-3)).compute(executor="serial") == function(-3)


def test_powers_shifts_and_parts() -> None:
    two = delayed(2)
    found = compute(two**5, 5**two, two << 3, 1 << two, 7 >> two, 7 / two, divmod(7, two), executor="serial")
    assert found == (32, 25, 16, 4, 1, 3.5, (3, 1))
    rows = delayed([[1, 2], [3, 4]])
    assert compute(rows[1][0], rows[0][delayed(1)], rows[0:1], executor="serial") == (3, 2, [[1, 2]])


def test_attributes_and_methods() -> None:
    text = delayed("a,b")
    assert compute(text.split(","), text.upper().lower(), delayed(3 + 4j).imag, executor="serial") == (
        ["a", "b"],
        "a,b",
        4.0,
    )
    with pytest.raises(AttributeError):
        _ = text._private
    assert not hasattr(text, "__array__")


def test_a_call_may_have_arguments_of_any_name() -> None:
    class Named:
        def rename(self, **names: int) -> dict[str, int]:
            return names

    names: dict[str, Any] = {"name": 1, "owner": 2, "function": 3, "self": 4}
    plain = delayed(lambda **given: given)
    assert compute(
        delayed(Named()).rename(name=1, owner=2, function=3),
        delayed(lambda: lambda **given: given)()(**names),
        plain(**names),
        executor="serial",
    ) == ({"name": 1, "owner": 2, "function": 3}, names, names)


@pytest.mark.parametrize("outer", ["threads", "serial", "functions"])
@pytest.mark.parametrize("inner", ["threads", "functions"])
def test_a_task_may_compute_delayed_calls_of_its_own(outer: str, inner: str) -> None:
    def nested(x: int) -> Any:
        from wukong_sched.delayed import compute, delayed

        kept = delayed(abs)(x).persist(executor=inner)
        return compute(kept + 1, [delayed(pow)(x, 2)], executor=inner)

    assert delayed(nested)(-3).compute(executor=outer) == (4, [9])


def test_pure_calls_are_the_same_however_they_are_written() -> None:
    rows = np.arange(24).reshape(4, 6)
    pure = delayed(dict, pure=True)
    assert pure(a=1, b=2).key == pure(b=2, a=1).key != pure(a=2, b=1).key
    assert pure(x=[rows[::2]]).key == pure(x=[rows[::2].copy()]).key != pure(x=[rows[1::2]]).key
    assert pure(x=rows.T).key == pure(x=np.ascontiguousarray(rows.T)).key != pure(x=rows.reshape(6, 4)).key


def test_a_delayed_value_can_be_called() -> None:
    assert delayed(operator.itemgetter)(1)([5, 6]).compute(executor="serial") == 6


def test_a_pure_call_is_computed_once() -> None:
    made = [delayed(divmod, pure=True)(17, increment(number, pure=True)) for number in (4, 4, 6)]
    assert made[0].key == made[1].key != made[2].key
    assert tasks(made[:2]) == 2
    impure = [delayed(divmod)(17, 5) for _ in range(2)]
    assert impure[0].key != impure[1].key
    assert tasks(impure) == 2


def test_what_is_shared_is_computed_once() -> None:
    calls: list[int] = []
    shared = delayed(lambda: calls.append(1) or 5)()
    assert compute(shared + 1, shared + 2, [shared]) == (6, 7, [5])
    assert calls == [1]


def test_a_wide_and_a_deep_graph() -> None:
    total = delayed(0)
    for number in range(2000):
        total = total + number
    assert total.compute() == sum(range(2000))
    assert delayed(sum)([increment(number) for number in range(1000)]).compute() == sum(range(1001))


def test_parts_of_known_number_are_unpacked() -> None:
    quotient, rest = delayed(divmod, nout=2)(17, 5)
    assert compute(quotient, rest, executor="serial") == (3, 2)
    assert len(delayed(divmod, nout=2)(17, 5)) == 2
    with pytest.raises(TypeError, match="nout"):
        iter(increment(1)).__next__()
    with pytest.raises(ValueError, match="nout"):
        delayed(divmod, nout=-1)


def test_traverse() -> None:
    one = increment(0)
    assert delayed([one, {"a": (one, 2)}]).compute(executor="serial") == [1, {"a": (1, 2)}]
    (found,) = delayed([one], traverse=False).compute(executor="serial")
    assert found is one
    assert compute([one], one, traverse=False, executor="serial")[0][0] is one


def test_methods_of_classes_can_be_delayed() -> None:
    class Scale:
        factor = 3

        @delayed
        def times(self, x: int) -> int:
            return self.factor * x

    assert Scale().times(increment(4)).compute(executor="serial") == 15


def test_names() -> None:
    assert delayed(5, name="five").key == "five"
    assert increment(1, dask_key_name="two").key == "two"
    assert delayed(increment(1)).__class__ is Delayed
    assert increment.__name__ == "increment"
    assert "five" in repr(delayed(5, name="five"))


def test_what_a_delayed_value_cannot_say() -> None:
    value = increment(1)
    with pytest.raises(TypeError, match="compute"):
        bool(value)
    with pytest.raises(TypeError, match="changed"):
        value[0] = 1
    with pytest.raises(ValueError, match="known: threads"):
        value.compute(executor="cloud")


@pytest.mark.parametrize("executor", ["threads", "serial", "functions"])
def test_an_exception_is_the_one_that_was_raised(executor: str) -> None:
    bad = delayed(divmod)(1, 0, dask_key_name="bad")
    with pytest.raises(ZeroDivisionError) as caught:
        compute(increment(bad) + 1, executor=executor)
    (note,) = caught.value.__notes__
    assert note == f"divmod: task 'bad' failed: ZeroDivisionError: {caught.value}"


def raises_from(cause: str) -> None:
    raise ValueError("what came of it") from KeyError(cause)


@pytest.mark.parametrize("executor", ["threads", "serial"])
def test_an_exception_keeps_its_own_cause(executor: str) -> None:
    with pytest.raises(ValueError, match="came of it") as caught:
        delayed(raises_from)("why").compute(executor=executor)
    assert isinstance(caught.value.__cause__, KeyError)


def test_what_cannot_travel_says_so_at_once() -> None:
    with pytest.raises(TypeError, match="generator") as caught:
        delayed(sum)(x for x in range(3)).compute(executor="functions")
    assert "list(...)" in caught.value.__notes__[0]
    made = delayed(threading.Lock)()
    with pytest.raises(TypeError, match="pickle"):
        compute(made, executor="functions")
    assert delayed(lambda lock: lock.locked())(made).compute(executor="functions") is False


@pytest.mark.parametrize("executor", ["threads", "functions"])
@pytest.mark.parametrize("option", ["workers", "num_workers"])
def test_workers_are_counted(option: str, executor: str) -> None:
    for few in (0, -1):
        with pytest.raises(ValueError, match=f"^{option} must be greater than 0, got {few}; leave it out"):
            increment(1).compute(executor=executor, **{option: few})
    for wrong in (1.5, "2"):
        with pytest.raises(TypeError, match=f"^{option} must be an integer, got {wrong!r}; give int"):
            increment(1).compute(executor=executor, **{option: wrong})
    assert increment(1).compute(**{option: np.int64(2)}) == 2


def test_workers_of_a_scheduler_are_counted() -> None:
    scheduler = SimpleNamespace(executor="functions", workers=1.5)
    with pytest.raises(TypeError, match=r"^workers must be an integer, got 1\.5; give int"):
        increment(1).compute(scheduler=scheduler)


@given(
    st.recursive(
        st.integers(0, 9),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
        max_leaves=8,
    )
)
def test_nested_arguments_arrive_as_they_were(value: Any) -> None:
    def wrapped(part: Any) -> Any:
        if isinstance(part, list):
            return [wrapped(each) for each in part]
        if isinstance(part, dict):
            return {key: wrapped(each) for key, each in part.items()}
        return delayed(part)

    assert delayed(lambda x: x)(wrapped(value)).compute(executor="serial") == value


# ---- as a user of Dask's expects


@pytest.mark.parametrize("executor", ["threads", "serial", "functions"])
def test_keys_of_dicts_are_computed_too(executor: str) -> None:
    one, two = increment(0), increment(1)
    ordered = OrderedDict([(two, "b"), (one, [{one: two}])])
    assert compute({one: 2, "a": two}, [{(one, two): one}], executor=executor) == ({1: 2, "a": 2}, [{(1, 2): 1}])
    assert list(compute(ordered, executor=executor)[0].items()) == [(2, "b"), (1, [{1: 2}])]
    assert delayed(lambda given, more: (given, more))({one: two}, more={two: 5}).compute(executor=executor) == (
        {1: 2},
        {2: 5},
    )
    (kept,) = persist({one: 5}, executor=executor)
    assert compute(kept) == ({1: 5},)
    with pytest.raises(TypeError, match="unhashable"):
        delayed(len)({delayed([1]): 2}).compute(executor=executor)


@pytest.mark.parametrize("executor", ["threads", "functions"])
@pytest.mark.parametrize("kind", [list, tuple, set])
def test_what_iterators_have_to_give_is_computed(executor: str, kind: Any) -> None:
    rest = iter(kind([increment(0), increment(1)]))
    total = delayed(sum)(rest)
    assert [total.compute(executor=executor) for _ in range(2)] == [3, 3]
    assert len(list(rest)) == 2, "not used up"
    assert delayed(next)(iter([4, 5])).compute(executor=executor) == 4


@pytest.mark.parametrize("executor", ["serial", "functions"])
def test_what_is_persisted_is_computed_once_and_goes_on(executor: str, tmp_path: Path) -> None:
    def noted(x: int) -> int:
        with (tmp_path / "calls").open("a") as file:
            file.write("x")
        return x + 1

    value = delayed(noted)(1)
    kept = value.persist(executor=executor)
    first, second, plain = persist(kept, delayed(divmod, nout=2)(17, 5), 7, executor=executor)
    assert (type(kept), kept.key, plain) == (Delayed, value.key, 7)
    assert compute(kept, first + 1, [*second], executor=executor) == (2, 3, [3, 2])
    assert (tmp_path / "calls").read_text() == "x"


def test_what_is_in_containers_is_persisted_too() -> None:
    ran: list[int] = []
    x = delayed(lambda: ran.append(1) or 5)()
    listed, named, plain, itself = persist([x, 2], {"a": (x, x + 1)}, 7, x, executor="serial")
    assert ran == [1]
    assert compute(listed, named, itself, plain, executor="serial") == ([5, 2], {"a": (5, 6)}, 5, 7)
    assert ran == [1]
    assert (listed[0].key, named["a"][0].key, itself.key) == (x.key,) * 3
    (left,) = persist([x], traverse=False, executor="serial")
    assert left[0] is x
    assert persist() == ()


def test_several_values_share_what_they_have_in_common() -> None:
    ran: list[int] = []
    common = delayed(ran.append)(1)
    one, two = delayed(lambda x: 1)(common), delayed(lambda x: 2)(common)
    assert compute(one, [two], {"a": one}) == (1, [2], {"a": 1})
    assert ran == [1]


def test_values_are_rounded() -> None:
    assert compute(round(delayed(2.567)), round(delayed(2.567), 1), executor="serial") == (3, 2.6)


def test_the_decorator_takes_options_alone() -> None:
    @delayed(pure=True, nout=2)
    def halves(x: int) -> tuple[int, int]:
        return x // 2, x - x // 2

    low, high = halves(7)
    assert compute(low, high, executor="serial") == (3, 4)
    assert halves(7).key == halves(7).key
    assert delayed(..., pure=None, name=None).compute(executor="serial") is ...


def test_options_of_dasks_compute_mean_the_same() -> None:
    ident = delayed(threading.get_ident)
    me = threading.get_ident()
    assert ident().compute(scheduler="sync", num_workers=2, optimize_graph=False) == me
    assert ident().compute(scheduler="threads", num_workers=2) != me
    with pytest.raises(TypeError, match="one of them"):
        ident().compute(scheduler="sync", executor="serial")
    with pytest.raises(TypeError, match="executor='threads'"):
        ident().compute(scheduler=len)
    with pytest.raises(TypeError, match="cannot be drawn"):
        ident().visualize()


def test_what_was_chosen_for_all_holds_where_nothing_is_asked_for() -> None:
    ident, me = delayed(threading.get_ident), threading.get_ident()
    with chosen(lambda: Choice("threads", 1)):
        with chosen(lambda: Choice("serial")):
            assert ident().compute() == me
            assert ident().compute(executor="threads", workers=2) != me
        assert ident().compute() != me


def test_a_client_and_dasks_configuration_choose_for_delayed_calls() -> None:
    dask = pytest.importorskip("dask")
    import wukong_sched.dask
    from sarray.cluster import Client, LocalCluster

    ident, me = delayed(threading.get_ident), threading.get_ident()
    with Client(LocalCluster(executor="serial")) as client:
        assert ident().compute() == me
        assert ident().compute(scheduler=wukong_sched.dask.get) != me
        with dask.config.set(scheduler=wukong_sched.dask.get):
            assert ident().compute() != me
            assert ident().compute(scheduler=client.get) == me
    assert ident().compute() != me
    with dask.config.set(scheduler="sync"):
        assert ident().compute() == me
