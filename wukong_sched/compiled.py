"""The code of a rule: made once for each signature, as one factory that binds sizes, names and kernel.

What a factory makes for a rule: ``inputs(index)``, ``outputs(index)``, ``run(index, block)``, and for each slot that
the rule writes ``producer(index)``, for each that it reads ``consumers(index)``; those of a family take the array's
positions within the family as well.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from wukong_sched.affine import Affine, comparison
from wukong_sched.errors import ProgramError
from wukong_sched.form import Form, Signature, form_of
from wukong_sched.grid import window, window_inverse
from wukong_sched.inverse import Solution
from wukong_sched.language import Branch, branches
from wukong_sched.reference import index_source, inputs_lines, outputs_lines, run_lines, unpack

Reader = tuple[int, Branch]
"""A branch and the number of the reference that it belongs to."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """A form and the factory of its code."""

    form: Form
    make: Callable[..., Any]
    """``make(rule name, kernel, slots, sizes) -> (inputs, outputs, run, producers by slot, consumers by slot)``"""
    ranks: Mapping[int, int]
    """Number of index positions of each slot's tiles."""
    written: frozenset[int]
    read: frozenset[int]
    families: frozenset[int]


@lru_cache(maxsize=4096)
def compile_rule(key: Signature) -> Compiled:
    """The code of all rules with this signature."""
    form = form_of(key)
    ranks = _ranks(form)
    families = frozenset(slot for slot, family in form.slots.values() if family)
    writers = _by_slot(form, [[(n, b) for b in branches(write)] for n, write in enumerate(form.writes)])
    reads = list(dict.fromkeys(form.all_reads()))
    readers = _by_slot(form, [[(n, b) for b in form.read_branches(read)] for n, read in enumerate(reads)])
    functions = [("inputs(index)", inputs_lines(form)), ("outputs(index)", outputs_lines(form))]
    functions.append(("run(index, block)", run_lines(form)))
    for slot, parts in writers.items():
        functions.append((f"producer{slot}({_arguments(slot in families)})", _producer_lines(form, parts)))
    for slot, parts in readers.items():
        functions.append(
            (f"consumers{slot}({_arguments(slot in families)})", _consumer_lines(form, parts, slot in families))
        )
    make = _factory(key, functions, writers, readers)
    return Compiled(form, make, ranks, frozenset(writers), frozenset(readers), families)


def gathered(rule: str, index: tuple[int, ...], value: Any, lengths: Sequence[int | None]) -> list[Any]:
    """The blocks that a kernel returned, in one list; `lengths` has None for a block, a number for a list of blocks."""
    if not isinstance(value, (tuple, list)) or len(value) != len(lengths):
        got = f"{len(value)} of them" if isinstance(value, (tuple, list)) else type(value).__name__
        raise ProgramError(
            f"rule {rule!r} writes {len(lengths)} references, but its kernel returned {got} at index {index}; "
            "return a tuple with one entry for each write"
        )
    blocks: list[Any] = []
    for number, (part, length) in enumerate(zip(value, lengths, strict=True)):
        if length is None:
            blocks.append(part)
        elif isinstance(part, (tuple, list)) and len(part) == length:
            blocks += part
        else:
            got = f"{len(part)} blocks" if isinstance(part, (tuple, list)) else type(part).__name__
            raise ProgramError(
                f"write {number} of rule {rule!r} is a list of {length} tiles at index {index}, but its kernel "
                f"returned {got}; return a list with one block for each tile"
            )
    return blocks


def _arguments(family: bool) -> str:
    return "index, positions" if family else "index"


def _by_slot(form: Form, references: list[list[Reader]]) -> dict[int, list[Reader]]:
    found: dict[int, list[Reader]] = {}
    for reference in references:
        for part in reference:
            found.setdefault(form.slots[part[1].point.symbol][0], []).append(part)
    return found


def _ranks(form: Form) -> dict[int, int]:
    ranks: dict[int, int] = {}
    for reference in (*form.writes, *form.all_reads()):
        for branch in branches(reference):
            point = branch.point
            rank = ranks.setdefault(form.slots[point.symbol][0], len(point.index))
            if rank != len(point.index):
                raise ProgramError(
                    f"{point.symbol!r} is referred to with {rank} and with {len(point.index)} index positions"
                )
    return ranks


def _factory(
    key: Signature, functions: Sequence[tuple[str, list[str]]], writers: Mapping[int, Any], readers: Mapping[int, Any]
) -> Callable[..., Any]:
    lines = ["def make(RULE, KERNEL, SLOTS, SIZES):"]
    if key.slots:
        lines.append(f"    {index_source([f'N{n}' for n in range(1 + max(slot for _, slot, _ in key.slots))])} = SLOTS")
    if key.kinds:
        lines.append(f"    {index_source([f'u_{name}' for name, _ in key.kinds])} = SIZES")
    for head, body in functions:
        lines += [f"    def {head}:", *(f"    {line}" for line in body)]
    producers = ", ".join(f"{slot}: producer{slot}" for slot in writers)
    consumers = ", ".join(f"{slot}: consumers{slot}" for slot in readers)
    lines.append(f"    return inputs, outputs, run, {{{producers}}}, {{{consumers}}}")
    text = "\n".join(lines)
    scope: dict[str, Any] = {
        "bisect_right": bisect_right,
        "gathered": gathered,
        "window": window,
        "window_inverse": window_inverse,
    }
    exec(compile(text, f"<rule {key.loops}: {', '.join(key.writes)}>", "exec"), scope)
    make: Callable[..., Any] = scope["make"]
    return make


def _task(form: Form) -> str:
    return f"(RULE, {index_source([f'u_{loop.variable}' for loop in form.loops])})"


def _producer_lines(form: Form, parts: Sequence[Reader]) -> list[str]:
    body = unpack([str(position) for position in range(len(parts[0][1].point.index))])
    for _, branch in parts:
        solution = Solution(form.loops, branch, form.signs, form.rising)
        solution.solve()
        loose = solution.unbound - solution.locals
        if loose and 0 not in form.signs.values():
            raise ProgramError(
                f"the write of {branch.point.symbol!r} does not say {', '.join(sorted(loose))}, so that several tasks "
                "would write one tile; every loop variable must appear in the index of each write"
            )
        solution.write(f"return {_task(form)}")
        body += solution.lines
    return [*body, "    return None"]


def _consumer_lines(form: Form, parts: Sequence[Reader], family: bool) -> list[str]:
    """Body of ``consumers(index)``: the solutions of all branches, none twice."""
    head = unpack([str(position) for position in range(len(parts[0][1].point.index))])
    solutions = []
    repeats = False
    for place, (number, branch) in enumerate(parts):
        others = [other for read, other in parts[:place] if read != number]
        solution = Solution(form.loops, branch, form.signs, form.rising)
        solution.solve()
        simple = not family and not branch.loops and all(not other.loops for other in others)
        repeats |= solution.many or (bool(others) and not simple)
        if simple:
            tests = [_elsewhere(other, branch) for other in others]
            if "" in tests:
                continue
            for test in tests:
                solution.write(f"if not ({test}):")
        solutions.append(solution)
    if len(solutions) == 1 and not any(line.lstrip().startswith("for ") for line in solutions[0].lines):
        solutions[0].write(f"return [{_task(form)}]")
        return [*head, *solutions[0].lines, "    return []"]
    body = [line for solution in solutions for line in _appending(solution, _task(form))]
    return [*head, "    out = []", *body, "    return list(dict.fromkeys(out))" if repeats else "    return out"]


def _appending(solution: Solution, task: str) -> list[str]:
    """The solution's code, with its tasks appended to `out`; an innermost bare loop becomes a comprehension."""
    if solution.lines and solution.lines[-1].lstrip().startswith("for "):
        last = solution.lines.pop()
        indent = len(last) - len(last.lstrip())
        return [*solution.lines, f"{' ' * indent}out += [{task} {last.strip()[:-1]}]"]
    solution.write(f"out.append({task})")
    return solution.lines


def _elsewhere(other: Branch, branch: Branch) -> str:
    """Test of whether the other branch means the same tile at this point; empty if it always does."""
    return " and ".join(test for test in _tests(other) if test not in _tests(branch))


def _tests(branch: Branch) -> list[str]:
    equal = [comparison(e - Affine.name(str(p)), "==") for p, e in enumerate(branch.point.index)]
    return equal + [condition.source() for condition in branch.conditions]
