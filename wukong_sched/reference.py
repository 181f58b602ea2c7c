"""Code of references in the forward direction: from a task's index to its tiles, and to the call of its kernel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

from wukong_sched.affine import comparison, extreme
from wukong_sched.errors import ProgramError
from wukong_sched.form import Form
from wukong_sched.inverse import Solution
from wukong_sched.language import AnyLoop, Branch, Choice, Many, Point, Reference, WindowLoop, branches, is_many

Slots = Mapping[str, tuple[int, bool]]


def index_source(parts: Sequence[str]) -> str:
    """A tuple of these expressions.

    >>> index_source(["u_i"]), index_source(["u_i", "u_j"])
    ('(u_i,)', '(u_i, u_j)')
    """
    return f"({', '.join(parts)}{',' if len(parts) == 1 else ''})"


def unpack(names: Sequence[str]) -> list[str]:
    """The line that names the components of `index`, if there are any."""
    return [f"    {index_source([f'u_{name}' for name in names])} = index"] if names else []


def loop_source(loop: AnyLoop) -> str:
    """``for v in ...``, without a colon."""
    if isinstance(loop, WindowLoop):
        grids = f"u_{loop.out}, u_{loop.src}, {loop.start.source()}, {loop.step.source()}"
        return f"for u_{loop.variable} in window({loop.tile.source()}, {grids})"
    low = extreme(">", [bound.source() for bound in loop.lowers])
    high = extreme("<", [bound.source() for bound in loop.uppers])
    return f"for u_{loop.variable} in range({high})" if low == "0" else f"for u_{loop.variable} in range({low}, {high})"


def tile_source(point: Point, slots: Slots) -> str:
    """The tile's name: array and index."""
    index = index_source([part.source() for part in point.index])
    slot = f"N{slots[point.symbol][0]}"
    return f"({slot}, {index})" if point.family is None else f"({slot}[{point.family.source()}], {index})"


def value_source(reference: Reference, slots: Slots, wrap: str = "{}") -> str:
    """The tile, or list of tiles, each put into `wrap`."""
    match reference:
        case Point():
            return wrap.format(tile_source(reference, slots))
        case Choice(condition, then, other):
            sides = value_source(then, slots, wrap), value_source(other, slots, wrap)
            return f"({sides[0]} if {condition.source()} else {sides[1]})"
        case Many(element, loops):
            if is_many(element):
                raise ProgramError("a list of lists of tiles; write one list with several loops")
            return f"[{value_source(element, slots, wrap)} {' '.join(map(loop_source, loops))}]"


def spread_source(reference: Reference, slots: Slots) -> str:
    """The reference as elements within a list display."""
    if not is_many(reference):
        return value_source(reference, slots)
    match reference:
        case Choice(condition, then, other):
            sides = [f"[{spread_source(side, slots)}]" for side in (then, other)]
            return f"*({sides[0]} if {condition.source()} else {sides[1]})"
        case _:
            return f"*{value_source(reference, slots)}"


def inputs_lines(form: Form) -> list[str]:
    """Body of ``inputs(index)``: distinct tiles in the order of the reads; those of a fold step by step."""
    body = unpack([loop.variable for loop in form.loops])
    fixed = [*form.fixed(), *([form.guard] if form.guard else [])]
    fixed = list(dict.fromkeys(fixed))
    stepped = list(dict.fromkeys(form.stepped()))
    if form.fold is None and all(not is_many(read) for read in fixed) and not form.tangled:
        return body + _distinct_points(fixed, form.slots)
    body.append(f"    out = [{', '.join(spread_source(read, form.slots) for read in fixed)}]")
    if stepped and form.fold:
        body.append(f"    {loop_source(form.fold)}:")
        body.append(f"        out += [{', '.join(spread_source(read, form.slots) for read in stepped)}]")
    return [*body, "    return list(dict.fromkeys(out))" if _may_repeat(form) else "    return out"]


def _distinct_points(reads: Sequence[Reference], slots: Slots) -> list[str]:
    """Body for single tiles: each pair that can be the same tile is compared, and the later one dropped."""
    kept: list[Reference] = []
    removals: list[str] = []
    for late in reads:
        tests = [
            test for place, early in enumerate(kept) if (test := _same_tile(early, late, (place, len(kept)), slots))
        ]
        if "True" in tests:
            continue
        if tests:
            removals[:0] = [f"    if {' or '.join(tests)}:", f"        del out[{len(kept)}]"]
        kept.append(late)
    tiles = ", ".join(value_source(read, slots) for read in kept)
    return [f"    out = [{tiles}]", *removals, "    return out"] if removals else [f"    return [{tiles}]"]


def _same_tile(one: Reference, other: Reference, places: tuple[int, int], slots: Slots) -> str:
    """Test of whether two references mean the same tile; empty if they never do."""
    if not _slots(one, slots) & _slots(other, slots):
        return ""
    if not isinstance(one, Point) or not isinstance(other, Point) or one.family or other.family:
        return f"out[{places[0]}] == out[{places[1]}]"
    tests = {comparison(mine - theirs, "==") for mine, theirs in zip(one.index, other.index, strict=True)} - {"True"}
    return "" if "False" in tests else " and ".join(sorted(tests)) or "True"


def _slots(reference: Reference, slots: Slots) -> set[int]:
    return {slots[branch.point.symbol][0] for branch in branches(reference)}


def _may_repeat(form: Form) -> bool:
    """Whether any tile may appear twice among the inputs."""
    if form.tangled:
        return True
    reads = list(dict.fromkeys(form.all_reads()))
    if any(_slots(one, form.slots) & _slots(other, form.slots) for one, other in combinations(reads, 2)):
        return True
    return any(_repeats_itself(form, form.read_branches(read)) for read in reads)


def _repeats_itself(form: Form, parts: Sequence[Branch]) -> bool:
    listed = [part for part in parts if part.loops]
    arrays = [form.slots[part.point.symbol][0] for part in listed]
    return len(set(arrays)) < len(arrays) or any(_ambiguous(form, part) for part in listed)


def _ambiguous(form: Form, part: Branch) -> bool:
    """Whether a tile leaves open which values the local variables have."""
    solution = Solution((), part, form.signs, form.rising)
    solution.solve()
    return solution.many


def outputs_lines(form: Form) -> list[str]:
    """Body of ``outputs(index)``."""
    tiles = ", ".join(spread_source(write, form.slots) for write in form.writes)
    return [*unpack([loop.variable for loop in form.loops]), f"    return [{tiles}]"]


def run_lines(form: Form) -> list[str]:
    """Body of ``run(index, block)``: guard, kernel or fold, outputs in a list."""
    body = unpack([loop.variable for loop in form.loops])
    if form.guard:
        body.append(f"    if not {value_source(form.guard, form.slots, 'block({})')}:")
        body.append(f"        return {_listed(form, value_source(form.reads[form.passes], form.slots, 'block({})'))}")
    if form.fold is None:
        lines, arguments = _arguments(form.reads, form.slots, "    ")
        return [*body, *lines, f"    return {_listed(form, f'KERNEL(index{arguments})')}"]
    lines, arguments = _arguments(form.fixed(), form.slots, "    ")
    body += [*lines, f"    total = KERNEL.start(index{arguments})", f"    {loop_source(form.fold)}:"]
    lines, arguments = _arguments(form.stepped(), form.slots, "        ")
    body += [*lines, f"        total = KERNEL.step(total, u_{form.fold.variable}{arguments})"]
    return [*body, f"    return {_listed(form, 'KERNEL.finish(index, total)')}"]


def _arguments(reads: Sequence[Reference], slots: Slots, indent: str) -> tuple[list[str], str]:
    """Lines that fetch what is read twice, and the kernel's arguments, each with a comma before."""
    sources = [value_source(read, slots, "block({})") for read in reads]
    twice = {text: f"b{sources.index(text)}" for text in sources if sources.count(text) > 1}
    lines = [f"{indent}{name} = {text}" for text, name in twice.items()]
    return lines, "".join(f", {twice.get(text, text)}" for text in sources)


def _listed(form: Form, value: str) -> str:
    """Code that puts what the kernel returned into one list, with its length checked."""
    if len(form.writes) == 1 and not is_many(form.writes[0]):
        return f"[{value}]"
    lengths = [f"len([{spread_source(write, form.slots)}])" if is_many(write) else "None" for write in form.writes]
    value = f"({value},)" if len(form.writes) == 1 else value
    return f"gathered(RULE, index, {value}, {index_source(lengths)})"
