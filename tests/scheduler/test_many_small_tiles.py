"""What an executor does for each task does not grow with the tiles that it holds."""

from collections import Counter
from dataclasses import replace

import pytest

from wukong_sched.drivers import simulate
from wukong_sched.drivers.cloud import EXAMPLE
from wukong_sched.drivers.functions import POLICY
from wukong_sched.drivers.graphs import Graph
from wukong_sched.drivers.threads import POLICY as IN_THREADS
from wukong_sched.storage.memory import MemoryStorage

CLOUD = replace(EXAMPLE, store_bandwidth=1.5e9, store_latency=2e-4, invoke=1.5e-3, coordination=1e-4)
QUESTIONS = ("inputs", "outputs", "consumers", "producer", "is_wanted", "nbytes")


def factorization(leaves):
    """A tree upwards, each task of which leaves something for the way back down."""
    inputs, level, joins = [[] for _ in range(leaves)], list(range(leaves)), []
    while len(level) > 1:
        pairs = list(zip(level[::2], level[1::2], strict=True))
        level = [len(inputs) + number for number in range(len(pairs))]
        inputs += [[(a, 1), (b, 1)] for a, b in pairs]
        joins += zip(level, pairs, strict=True)
    down, wanted = {level[0]: (level[0], 0)}, []
    for parent, children in reversed(joins):
        for child in children:
            down[child] = (len(inputs), 0)
            inputs.append([down[parent], (child, 0)])
            wanted += [down[child]] if child < leaves else []
    sizes = [4096 if number < leaves else 2048 for number in range(len(inputs))]
    two = [2] * len(inputs)
    return Graph(inputs, wanted, two, costs=[1e5] * len(inputs), sizes=lambda tile: sizes[tile[1][0]], bare=True)


class Asked:
    """A program that counts the questions it is asked."""

    def __init__(self, program):
        self.program, self.counts = program, Counter()

    def __len__(self):
        return len(self.program)

    def __getattr__(self, name):
        answer = getattr(self.program, name)
        if name not in QUESTIONS:
            return answer

        def counted(*given):
            self.counts[name] += 1
            return answer(*given)

        return counted


def fan(width):
    """Many tasks that read one tile, and one that reads what they make."""
    tasks = range(1, width + 1)
    inputs = [[], *([(0, 0)] for _ in tasks), [(task, 0) for task in tasks]]
    return Graph(inputs, [(width + 1, 0)], costs=[1e6] * len(inputs), bare=True)


def questions(program, functions, policy=POLICY):
    """Questions for each task of a job."""
    asked = Asked(program)
    simulate.run(asked, MemoryStorage(), cloud=replace(CLOUD, concurrency=functions), policy=policy)
    return asked.counts.total() / len(asked)


def test_thirty_two_times_as_many_tiles_take_few_more_questions_each():
    few, many = questions(factorization(512), functions=2), questions(factorization(16384), functions=2)
    print(f"{few:.0f} and {many:.0f} questions a task")
    assert many < 2 * few


@pytest.mark.parametrize("policy", [POLICY, replace(POLICY, cache_bytes=0), IN_THREADS], ids=["keeps", "full", "free"])
def test_four_times_as_many_ready_tasks_take_no_more_questions_each(policy):
    few, many = questions(fan(4000), 1, policy), questions(fan(16000), 1, policy)
    print(f"{few:.1f} and {many:.1f} questions a task")
    assert many < 1.2 * few
