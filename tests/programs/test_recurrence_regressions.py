"""Programs that once were understood wrongly."""

from wukong_sched.grid import Grid
from wukong_sched.program import verify_program
from wukong_sched.recurrence import Recurrences
from wukong_sched.rule import ArrayInfo, Rule


class Sum:
    """A fold that adds whatever it is given."""

    def start(self, index):
        return 0

    def step(self, accumulator, number, *blocks):
        return accumulator + sum(map(sum, blocks))

    def finish(self, index, accumulator):
        return accumulator


def one(index, *blocks):
    return 1


def program(*rules, wanted):
    names = {"X", "Y"}
    return Recurrences(rules, {name: ArrayInfo(8) for name in names}, {}, wanted)


def test_a_table_at_a_fixed_index_may_bound_a_list():
    sizes = {"w": (9, 3, 1), "top": 2}
    found = program(
        Rule("leaf", "for i in range(3)", ("X[i]",), (), one, {}, sizes),
        Rule("root", "", ("Y[()]",), ("[X[c] for c in range(w[top - 1])]",), one, {}, sizes),
        wanted=[("Y", ())],
    )
    verify_program(found)
    assert found.inputs(("root", ())) == [("X", (0,)), ("X", (1,)), ("X", (2,))]


def test_a_window_over_the_fold_names_each_tile_once():
    """Two steps of the fold may read the same tile: it is one input, with one consumer."""
    sizes = {"steps": Grid.of((2, 2, 2)), "src": Grid.of((3, 3)), "n": 3}
    found = program(
        Rule("leaf", "for t in range(2)", ("X[t]",), (), one, {}, sizes),
        Rule(
            "fold", "for i in range(1)", ("Y[i]",), ("[X[t] for t in window(k, steps, src, 0, 1)]",), Sum(), {}, sizes,
            fold="for k in range(n)",
        ),
        wanted=[("Y", (1,))],
    )  # fmt: skip
    verify_program(found)
    assert found.inputs(("fold", (0,))) == [("X", (0,)), ("X", (1,))]
    assert found.consumers(("X", (0,))) == [("fold", (0,))]
