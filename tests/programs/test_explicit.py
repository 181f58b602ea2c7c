"""Programs from mappings, against evaluating the mapping."""

from __future__ import annotations

import operator
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wukong_sched.errors import ProgramError
from wukong_sched.explicit import Explicit
from wukong_sched.program import Program, Tile, verify_program

Evaluate = Callable[[Program], dict[Tile, Any]]


def value_of(program: Explicit, blocks: dict[Tile, Any], key: Any) -> Any:
    tile = program.tile_of(key)
    return blocks[tile] if program.is_task_array(tile[0]) else program.read(tile)


def test_keys_are_found_in_lists_dicts_and_nested_tasks(evaluate: Evaluate) -> None:
    mapping = {
        "a": 3,
        ("x", 0): (operator.add, "a", 1),
        ("x", 1): (sum, [("x", 0), (operator.mul, "a", ("x", 0)), 10]),
        "d": (dict, {"k": ("x", 1), "free": "text"}),
        "list": [("x", 0), "a"],
        "alias": ("x", 1),
        "unused": (operator.truediv, 1, 0),
    }
    program = Explicit.from_mapping(mapping, ["d", "list", "alias"])
    verify_program(program)
    blocks = evaluate(program)
    values = [value_of(program, blocks, key) for key in ("d", "list", "alias")]
    assert values == [{"k": 26, "free": "text"}, [4, 3], 26]
    assert len(program) == 4
    assert program.inputs(program.task_of(("x", 1))) == [program.tile_of(("x", 0)), program.tile_of("a")]
    with pytest.raises(ProgramError, match="'unused' is not part of this program"):
        program.tile_of("unused")
    with pytest.raises(ProgramError, match="'a' is data"):
        program.task_of("a")


def test_wanted_data_and_aliases_of_data_become_tasks(evaluate: Evaluate) -> None:
    program = Explicit.from_mapping({"a": 5, "b": "a", "c": "b", "e": []}, ["a", "c", "e", "a"])
    verify_program(program)
    blocks = evaluate(program)
    assert [value_of(program, blocks, key) for key in ("a", "c", "e")] == [5, 5, []]
    assert program.wanted_count == len({program.tile_of(key) for key in ("a", "c", "e")})


def test_two_names_of_one_task_are_one_wanted_tile() -> None:
    program = Explicit.from_mapping({"a": (int,), "b": "a", "c": "b"}, ["c", "a", "b"])
    verify_program(program)
    assert (len(program), program.wanted_count) == (1, 1)


@given(st.lists(st.lists(st.integers(0, 30), max_size=4), min_size=1, max_size=30), st.data())
def test_random_graphs_give_what_recursion_gives(
    evaluate: Evaluate, rows: list[list[int]], data: st.DataObject
) -> None:
    mapping = {n: (lambda *parts: 1 + sum(parts), *(f"k{e % n}" for e in row if n)) for n, row in enumerate(rows)}
    named: dict[str, Any] = {f"k{n}": task for n, task in mapping.items()}
    wanted = data.draw(st.lists(st.sampled_from(sorted(named)), min_size=1, unique=True))
    program = Explicit.from_mapping(named, wanted)
    verify_program(program)
    blocks = evaluate(program)

    def recursed(key: str) -> int:
        total: int = named[key][0](*map(recursed, named[key][1:]))
        return total

    if len(rows) <= 10:
        assert [value_of(program, blocks, key) for key in wanted] == [recursed(key) for key in wanted]


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"a": (abs, "b"), "b": (abs, "c"), "c": (abs, "b")}, "'b' <- 'c' <- 'b'"),
        ({"a": (abs, "a")}, "'a' <- 'a'"),
        ({"a": "b", "b": "a"}, "'a' <- 'b' <- 'a'"),
    ],
)
def test_cycles_are_named(mapping: dict[str, Any], message: str) -> None:
    with pytest.raises(ProgramError, match=message):
        Explicit.from_mapping(mapping, ["a"])


def test_a_missing_key_is_named() -> None:
    with pytest.raises(ProgramError, match="'z' is not in the mapping of 1 keys"):
        Explicit.from_mapping({"a": 1}, ["z"])


def test_tasks_are_numbered_as_a_walk_from_what_is_wanted_ends_them() -> None:
    mapping: dict[Any, Any] = {("leaf", n): (int, n) for n in range(8)}
    mapping |= {("pair", n): (sum, [("leaf", 7 - 2 * n), ("leaf", 6 - 2 * n)]) for n in range(4)}
    program = Explicit.from_mapping(mapping | {"root": (sum, [("pair", n) for n in range(4)])}, ["root"])
    walk = [("leaf", 7), ("leaf", 6), ("pair", 0), ("leaf", 5), ("leaf", 4), ("pair", 1)]
    walk += [("leaf", 3), ("leaf", 2), ("pair", 2), ("leaf", 1), ("leaf", 0), ("pair", 3), "root"]
    assert [program.task_of(key)[1][0] for key in walk] == list(range(13))
    assert program.leaves() == (("task", 0, 0, 8),)
    assert [number for _, (number,) in program.expand(("task", 0, 2, 5))] == [3, 4, 6]


def test_a_pickled_program_is_the_same_program(evaluate: Evaluate) -> None:
    program = Explicit.from_mapping({"a": 2, "b": (operator.add, "a", 1), "c": (operator.mul, "b", "b")}, ["c"])
    copy = pickle.loads(pickle.dumps(program))
    verify_program(copy)
    assert evaluate(copy) == evaluate(program)
    assert list(evaluate(copy).values()) == [3, 9]


def test_a_long_chain_needs_no_recursion() -> None:
    mapping: dict[Any, Any] = {0: (int, "5")} | {n: (abs, n - 1) for n in range(1, 20_000)}
    program = Explicit.from_mapping(mapping, [19_999])
    assert (len(program), program.leaves()) == (20_000, (("task", 0, 0, 1),))
    assert program.consumers(("value", (17,))) == [("task", (18,))]
