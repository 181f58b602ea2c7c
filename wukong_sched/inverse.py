"""Inverses of references: from a tile back to the points of a rule that refer to it, as straight-line Python.

A branch of a reference says ``tile[p] == index[p](variables)`` for every position ``p``; the variables are those of
the rule's loops and the branch's own local ones. Everything known of them is an equation, or a constraint ``g >= 0``
from the loops, or a condition. `Solution` writes the code that finds all variables, one step after the other,
simplest first:

1. an equation with one unknown and coefficient 1 or -1 gives it; another coefficient divides, with a check of the
   remainder;
2. a window with its tile of `src` known gives the tiles of `out`;
3. ``a * x + c`` with ``c`` in a known range is mixed radix: ``c`` is known modulo ``a``, and if its range is no
   longer than ``a`` that is all; otherwise each candidate is tried;
4. ``off[q] + t`` with ``0 <= t < off[q + 1] - off[q]`` and a table that nowhere falls is a stair: q is bisected;
5. what is left is enumerated, a local variable in an equation first, between the bounds that *all* constraints give
   it: of ``for j in range(k + 1, n) for i in range(j, n)``, with i and k known, j runs over ``range(k + 1, min(n, i +
   1))``.

As soon as the last unknown of an equation, constraint or condition is found, it is tested. Tile index components are
named ``0``, ``1``, ..., which no variable can be; the code spells all names with the prefix ``u_``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set

from wukong_sched.affine import Affine, Lookup, common_term, comparison, extreme
from wukong_sched.errors import ProgramError
from wukong_sched.language import AnyLoop, Branch, Condition, Loop, WindowLoop

_UNIT = (1, -1)


class Solution:
    """Code that finds all points of a rule at which one branch of a reference is a given tile."""

    def __init__(self, loops: Sequence[Loop], branch: Branch, signs: Mapping[str, int], rising: Set[str]) -> None:
        self.signs = signs
        self.rising = rising
        self.zeros = [name for name, sign in signs.items() if sign == 0]
        self.lines: list[str] = []
        self.depth = 1
        self.unknown: list[str] = [loop.variable for loop in (*loops, *branch.loops)]
        self.locals = {loop.variable for loop in branch.loops}
        self.equations: list[Affine] = []
        self.constraints: list[Affine] = []
        self.conditions: list[Condition] = []
        self.windows: list[WindowLoop] = []
        self.enumerated: set[str] = set()
        self.unbound: set[str] = set()
        self.guarded: set[Lookup] = set()
        self.fresh = 0
        self._pose((*loops, *branch.loops), branch)

    @property
    def many(self) -> bool:
        """Whether the same point may be found more than once."""
        return bool(self.enumerated & self.locals)

    def solve(self) -> None:
        """Write all steps; afterwards the code is where every variable is known and every test has passed."""
        steps = (
            self._unit,
            self._divide,
            self._from_window,
            self._stair,
            self._radix,
            self._through_window,
            self._enumerate,
        )
        self._test()
        while self.unknown:
            if not any(step() for step in steps):
                raise ProgramError(f"cannot find {', '.join(map(repr, self.unknown))} from a tile's index")
            self._test()

    def write(self, line: str) -> None:
        """Add a line at the present depth; one that ends in a colon opens a block."""
        self.lines.append("    " * self.depth + line)
        self.depth += line.endswith(":")

    def _pose(self, loops: Iterable[AnyLoop], branch: Branch) -> None:
        for position, index in enumerate(branch.point.index):
            self._equal(index - Affine.name(str(position)))
        for loop in loops:
            if isinstance(loop, WindowLoop):
                self.windows.append(loop)
            else:
                self.constraints += [self._present(bound) for bound in loop.constraints()]
        for condition in branch.conditions:
            if condition.operator == "==":
                self._equal(condition.difference())
            elif condition.operator == "!=":
                self.conditions.append(condition)
            else:
                self.constraints += [self._present(bound) for bound in condition.constraints()]
        if branch.point.family is not None:
            self.write("for u_0family in positions:")
            if branch.point.family.names() & self.locals:
                self.enumerated |= self.locals
            self._equal(branch.point.family - Affine.name("0family"))

    def _present(self, expression: Affine) -> Affine:
        return expression.without(*self.zeros) if self.zeros else expression

    def _equal(self, difference: Affine) -> None:
        self.equations.append(self._present(difference))

    def _free(self, expression: Affine) -> list[str]:
        names = expression.names()
        return [name for name in self.unknown if name in names]

    def _find(self, name: str) -> None:
        self.unknown.remove(name)

    def _test(self) -> None:
        """Test whatever has no unknown any more; tests with look-ups last, when the index is known to be in range."""
        parts: list[tuple[Affine, str]] = []
        for equation in [e for e in self.equations if not self._free(e)]:
            self.equations.remove(equation)
            parts.append((equation, comparison(equation, "==")))
        for bound in [c for c in self.constraints if not self._free(c)]:
            self.constraints.remove(bound)
            parts.append((bound, comparison(bound, ">=")))
        for condition in [c for c in self.conditions if not self._free(c.difference())]:
            self.conditions.remove(condition)
            parts.append((condition.difference(), comparison(condition.difference(), "!=")))
        for loop in [w for w in self.windows if w.variable not in self.unknown and not self._free(w.tile)]:
            self.windows.remove(loop)
            parts.append((loop.tile, f"u_{loop.variable} in {_window('window', loop, loop.tile.source())}"))
        plain = [text for expression, text in parts if not expression.tables() and text != "True"]
        tabled = [text for expression, text in parts if expression.tables()]
        if tests := dict.fromkeys([*plain, *self._in_tables([expression for expression, _ in parts]), *tabled]):
            self.write(f"if {' and '.join(tests)}:")

    def _in_tables(self, tested: Iterable[Affine]) -> list[str]:
        """Tests that keep look-ups within their tables while the index may still turn out to be out of range."""
        pending = [*tested, *self.equations, *self.constraints, *(w.tile for w in self.windows)]
        pending += [condition.difference() for condition in self.conditions]
        found = []
        for look in dict.fromkeys(look for expression in pending for look in expression.lookups()):
            names = look.index.names()
            if look not in self.guarded and not self._free(look.index):
                self.guarded.add(look)
                if any(names & constraint.names() for constraint in self.constraints):
                    found.append(f"-len(u_{look.table}) <= {look.index.source()} < len(u_{look.table})")
        return found

    def _solvable(self) -> Iterable[tuple[Affine, str, Affine]]:
        """Equations with a single unknown that is not within a look-up, with its name and coefficient."""
        for equation in self.equations:
            free = self._free(equation)
            if len(free) == 1 and free[0] not in equation.hidden():
                yield equation, free[0], equation.coefficient(free[0])

    def _unit(self) -> bool:
        for equation, name, coefficient in self._solvable():
            if (sign := coefficient.constant()) in _UNIT:
                rest = equation.without(name)
                self.write(f"u_{name} = {(-rest if sign == 1 else rest).source()}")
                self.equations.remove(equation)
                self._find(name)
                return True
        return False

    def _divide(self) -> bool:
        for equation, name, coefficient in self._solvable():
            if coefficient.sign(self.signs) not in _UNIT:
                continue  # a sum of sizes, which might be 0: enumerate the variable instead
            self.write(f"u_{name}, rest = divmod({(-equation.without(name)).source()}, {coefficient.source()})")
            self.write("if not rest:")
            self.equations.remove(equation)
            self._find(name)
            return True
        return False

    def _from_window(self) -> bool:
        for loop in self.windows:
            free = self._free(loop.tile)
            if loop.variable not in self.unknown and len(free) == 1 and free[0] not in loop.tile.hidden():
                tile = self._fresh("w")
                self.write(f"for u_{tile} in {_window('window_inverse', loop, f'u_{loop.variable}')}:")
                self.windows.remove(loop)
                self.enumerated.add(free[0])
                self._equal(loop.tile - Affine.name(tile))
                return True
        return False

    def _stair(self) -> bool:
        for equation in self.equations:
            for look in equation.lookups():
                free = self._free(look.index)
                rest = equation - Affine((((look,), 1),))
                if len(free) != 1 or look.table not in self.rising or look in rest.lookups() or free[0] in rest.names():
                    continue
                offset = (look.index - Affine.name(free[0])).constant()
                step = self._free(rest)
                if offset is None or len(step) != 1 or not self._on_stair(step[0], look):
                    continue
                if rest.coefficient(step[0]).constant() == 1:
                    height = (-rest.without(step[0])).source()
                    self.write(f"u_{free[0]} = bisect_right(u_{look.table}, {height}) - {offset + 1}")
                    self._find(free[0])
                    return True
        return False

    def _on_stair(self, name: str, look: Lookup) -> bool:
        """Whether the variable runs from 0 to the next entry of the table after this one."""
        above = Affine((((Lookup(look.table, look.index + Affine.number(1)),), 1),)) - Affine((((look,), 1),))
        own = Affine.name(name)
        return own in self.constraints and above - own - Affine.number(1) in self.constraints

    def _radix(self) -> bool:
        for equation in self.equations:
            free = self._free(equation)
            if len(free) < 2 or any(name in equation.hidden() for name in free):
                continue
            for digit in sorted(free, key=lambda name: name not in self.locals):
                if self._digit(equation, digit, [name for name in free if name != digit]):
                    return True
        return False

    def _digit(self, equation: Affine, digit: str, others: list[str]) -> bool:
        """Find the lowest digit of a mixed-radix number, and leave the number that the others make."""
        unit = equation.coefficient(digit).constant()
        coefficients = [equation.coefficient(name) for name in others]
        modulus = coefficients[0] if len(others) == 1 else common_term(coefficients)
        lowers, uppers = self._limits(digit)
        sign = modulus.sign(self.signs)
        if unit not in _UNIT or modulus.constant() in _UNIT or not sign or not lowers or not uppers:
            return False
        modulus = modulus if sign > 0 else -modulus
        rest = equation.without(digit, *others)
        self._residue(digit, -rest if unit == 1 else rest, modulus, lowers, uppers)
        self.equations.remove(equation)
        self._find(digit)
        quotient = self._fresh("z")
        self.write(f"u_{quotient} = -({equation.without(*others).source()}) // {_factor(modulus)}")
        number = Affine.number(sign) * Affine.name(others[0]) if len(others) == 1 else Affine.of({})
        for name, coefficient in zip(others, coefficients, strict=True) if len(others) > 1 else ():
            number = number + coefficient.over(modulus) * Affine.name(name)
        self._equal(number - Affine.name(quotient))
        return True

    def _residue(
        self,
        digit: str,
        value: Affine,
        modulus: Affine,
        lowers: list[tuple[Affine, str]],
        uppers: list[tuple[Affine, str]],
    ) -> None:
        """Write the values of the digit that are `value` modulo `modulus`; a single one if its range is that long."""
        low, high = extreme(">", [text for _, text in lowers]), extreme("<", [text for _, text in uppers])
        first = f"({value.source()}) % {_factor(modulus)}"
        if low != "0":
            first = f"{low} + ({value.source()} - ({low})) % {_factor(modulus)}"
        whole = [bound for bound, text in uppers if text == modulus.source()]
        for bound, _ in lowers + ([] if low == "0" and whole else uppers):
            self.constraints.remove(bound)
        if low == "0" and whole:
            self.write(f"u_{digit} = {first}")
            self.constraints.remove(whole[0])
            return
        self.write(f"for u_{digit} in range({first}, {high}, {modulus.source()}):")
        self.enumerated.add(digit)

    def _through_window(self) -> bool:
        for loop in self.windows:
            if loop.variable in self.unknown and not self._free(loop.tile):
                self.write(f"for u_{loop.variable} in {_window('window', loop, loop.tile.source())}:")
                self.windows.remove(loop)
                self.enumerated.add(loop.variable)
                self._find(loop.variable)
                return True
        return False

    def _enumerate(self) -> bool:
        used = frozenset().union(*(equation.names() for equation in self.equations))
        for name in sorted(self.unknown, key=lambda name: (name not in used, name not in self.locals)):
            lowers, uppers = self._limits(name)
            if lowers and uppers:
                low, high = extreme(">", [text for _, text in lowers]), extreme("<", [text for _, text in uppers])
                self.write(f"for u_{name} in range({low}, {high}):")
                for bound, _ in lowers + uppers:
                    self.constraints.remove(bound)
                self.enumerated.add(name)
                self.unbound |= {name} - used
                self._find(name)
                return True
        return False

    def _limits(self, name: str) -> tuple[list[tuple[Affine, str]], list[tuple[Affine, str]]]:
        """Lower and (exclusive) upper bounds of the variable in known terms: the constraint, and the bound's code."""
        lowers, uppers = [], []
        for bound in self.constraints:
            if self._free(bound) != [name] or name in bound.hidden():
                continue
            coefficient, rest = bound.coefficient(name), bound.without(name)
            sign = coefficient.sign(self.signs)
            if sign == 1:
                lowers.append((bound, _quotient(-rest, coefficient, up=True)))
            elif sign == -1:
                uppers.append((bound, _quotient(rest, -coefficient, up=False)))
        return lowers, uppers

    def _fresh(self, kind: str) -> str:
        self.fresh += 1
        return f"{self.fresh}{kind}"


def _factor(expression: Affine) -> str:
    text = expression.source()
    return text if text.isalnum() or text.replace("_", "").isalnum() else f"({text})"


def _quotient(number: Affine, divisor: Affine, up: bool) -> str:
    """Code of ceil(number / divisor) if `up`, else of floor(number / divisor) + 1."""
    if divisor.constant() == 1:
        return (number if up else number + Affine.number(1)).source()
    if up:
        return f"-(({(-number).source()}) // {_factor(divisor)})"
    return f"({number.source()}) // {_factor(divisor)} + 1"


def _window(function: str, loop: WindowLoop, tile: str) -> str:
    return f"{function}({tile}, u_{loop.out}, u_{loop.src}, {loop.start.source()}, {loop.step.source()})"
