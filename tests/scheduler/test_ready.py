"""Which task goes first."""

import threading
import weakref
from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from wukong_sched.drivers import threads
from wukong_sched.explicit import Explicit
from wukong_sched.ready import InOrder, Stack
from wukong_sched.storage.memory import MemoryStorage

SIZE = 6


def tasks(numbers):
    return [("task", (number,)) for number in numbers]


@given(st.lists(st.integers(0, 99), unique=True), st.lists(st.integers(100, 199), unique=True))
def test_in_order_takes_the_lowest_and_gives_the_highest(early, late):
    ready = InOrder()
    ready.refill(tasks(late))
    for task in tasks(early):
        ready.add(task)
    assert ready.from_last() == tasks(sorted(early + late, reverse=True))
    taken = [(ready.first(), ready.take()) for _ in range(len(ready))]
    assert taken == [(task, task) for task in tasks(sorted(early + late))]


@given(st.lists(st.integers(), unique=True), st.lists(st.integers(), unique=True))
def test_a_stack_takes_the_latest_and_gives_the_earliest(early, late):
    ready = Stack()
    ready.refill(tasks(early))
    for task in tasks(late):
        ready.add(task)
    assert ready.from_last() == tasks(early + late)
    assert [(ready.first(), ready.take()) for _ in range(len(ready))] == [(t, t) for t in tasks((early + late)[::-1])]


class Held:
    """Values that are alive, and the most that were at once."""

    def __init__(self):
        self.now = self.most = 0
        self._lock = threading.Lock()

    def value(self, *needs):
        class Value:
            pass

        made = Value()
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
        weakref.finalize(made, self._less)
        return made

    def _less(self):
        with self._lock:
            self.now -= 1


def test_a_product_of_matrices_holds_one_row_of_the_first_factor_and_one_entry_in_the_making():
    """C[i, j] = sum of A[i, k] B[k, j]: in order of the walk, nothing of a row of A is made before the row is due."""
    held = Held()
    value, every = held.value, range(SIZE)
    mapping = {("a", i, k): (value,) for i, k in product(every, every)}
    mapping |= {("b", k, j): (value,) for k, j in product(every, every)}
    mapping |= {("p", i, j, k): (value, ("a", i, k), ("b", k, j)) for i, j, k in product(every, every, every)}
    mapping |= {("c", i, j): (value, *(("p", i, j, k) for k in every)) for i, j in product(every, every)}
    program = Explicit.from_mapping(mapping, [("c", i, j) for i, j in product(every, every)])
    threads.run(program, MemoryStorage(), workers=1)
    # Most is held while the last entry but one of the last row but one is made: C up to it (SIZE * SIZE - SIZE - 1 with
    # itself), B, which the last row still needs, the row of A, and the entry's SIZE products.
    assert held.most == 2 * SIZE * SIZE + SIZE - 1
