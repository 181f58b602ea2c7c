"""The first records of an epoch: the root's, and those that it would write before all else.

An executor that begins with many leaves, and hears of functions that are free, gives parts of what it owes away before
it runs any (a launch tree). Whoever creates the job has to write records anyway: it asks the root's own core what that
would do first, and, if it is to give, writes the records so from the start. That saves all executors but one the time
of an invocation and of a commit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from wukong_sched.executor_state import ExecutorState
from wukong_sched.messages import Commit, Give, Owed, Started
from wukong_sched.policy import Policy
from wukong_sched.program import Program


def opening(program: Program, policy: Policy, root: Give, idle: int) -> tuple[Give, ...]:
    """The records to begin with, the root's first; `idle` functions could start beside the root's.

    >>> from wukong_sched.drivers.graphs import Graph
    >>> from wukong_sched.policy import CostModel
    >>> from wukong_sched.resume import first_plan
    >>> four = Graph([[], [], [], [], [(0, 0), (1, 0), (2, 0), (3, 0)]], [(4, 0)], costs=[1e9] * 5)
    >>> [each.id for each in opening(four, CostModel(), first_plan(four).root, 1)]
    ['leaf/0@0', 'leaf/1@2']
    """
    first, *_ = ExecutorState(program, policy.opening(), root.id).handle(Started(0, root.todo, {}, idle), 0.0)
    if not isinstance(first, Commit) or not first.gives:
        return (root,)
    cuts: Mapping[Owed, Sequence[Owed]] = dict(first.cuts)
    given = {item for give in first.gives for item in give.todo}
    todo = tuple(rest for item in root.todo if item not in given for rest in cuts.get(item, (item,)))
    return (Give(root.id, todo), *first.gives)
