"""The mini-language of rules, parsed: loops, conditions, references.

Texts are parsed with Python's own `ast`, once (parsers are cached on the text). See `wukong_sched.rule` for the
grammar. What comes out is symbolic: sizes are still names, so that rules that differ in sizes alone share everything
made from it.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from wukong_sched.affine import Affine, parse_affine
from wukong_sched.errors import ProgramError

_OPERATORS: dict[type[ast.cmpop], str] = {
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=",
}  # fmt: skip
_OPPOSITE = {"==": "!=", "!=": "==", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}
_ONE = Affine.number(1)


@dataclass(frozen=True, slots=True)
class Loop:
    """``for variable in range(max(lowers), min(uppers))``."""

    variable: str
    lowers: tuple[Affine, ...]
    uppers: tuple[Affine, ...]

    def constraints(self) -> list[Affine]:
        """Expressions that are all >= 0 exactly if the variable is in range."""
        value = Affine.name(self.variable)
        return [value - low for low in self.lowers] + [high - value - _ONE for high in self.uppers]

    def names(self) -> frozenset[str]:
        """Names and tables that the bounds mention."""
        return frozenset().union(*(bound.names() | bound.tables() for bound in self.lowers + self.uppers))


@dataclass(frozen=True, slots=True)
class WindowLoop:
    """``for variable in window(tile, out, src, start, step)``."""

    variable: str
    tile: Affine
    out: str
    src: str
    start: Affine
    step: Affine

    def names(self) -> frozenset[str]:
        """Names that the window mentions."""
        return self.tile.names() | self.start.names() | self.step.names() | {self.out, self.src}


AnyLoop = Loop | WindowLoop


@dataclass(frozen=True, slots=True)
class Condition:
    """``left operator right``."""

    left: Affine
    operator: str
    right: Affine

    def opposite(self) -> Condition:
        """True where this one is false."""
        return Condition(self.left, _OPPOSITE[self.operator], self.right)

    def difference(self) -> Affine:
        """Left minus right."""
        return self.left - self.right

    def constraints(self) -> list[Affine]:
        """Expressions that are all >= 0 exactly if the condition holds; none can say ``!=``."""
        difference = self.difference()
        return {
            "==": [difference, -difference],
            "<": [-difference - _ONE],
            "<=": [-difference],
            ">": [difference - _ONE],
            ">=": [difference],
        }[self.operator]

    def source(self) -> str:
        """The condition as Python."""
        return f"{self.left.source()} {self.operator} {self.right.source()}"


@dataclass(frozen=True, slots=True)
class Point:
    """``symbol[index]``, or ``symbol[family][index]``."""

    symbol: str
    family: Affine | None
    index: tuple[Affine, ...]


@dataclass(frozen=True, slots=True)
class Many:
    """``[element for ... in ...]``."""

    element: Reference
    loops: tuple[AnyLoop, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """``then if condition else other``."""

    condition: Condition
    then: Reference
    other: Reference


Reference = Point | Many | Choice


@dataclass(frozen=True, slots=True)
class Branch:
    """One point of a reference, with all conditions under which and all local loops over which it is meant."""

    conditions: tuple[Condition, ...]
    loops: tuple[AnyLoop, ...]
    point: Point

    def names(self) -> frozenset[str]:
        """All names and tables that the branch mentions."""
        parts = [*self.point.index, *([self.point.family] if self.point.family else [])]
        parts += [side for condition in self.conditions for side in (condition.left, condition.right)]
        found = frozenset().union(*(part.names() | part.tables() for part in parts))
        return found.union(*(loop.names() for loop in self.loops))


def branches(reference: Reference) -> Iterator[Branch]:
    """The points of a reference; at most one of them applies at any values of the variables."""
    match reference:
        case Point():
            yield Branch((), (), reference)
        case Many(element, loops):
            for inner in branches(element):
                yield Branch(inner.conditions, loops + inner.loops, inner.point)
        case Choice(condition, then, other):
            for known, side in ((condition, then), (condition.opposite(), other)):
                for inner in branches(side):
                    yield Branch((known, *inner.conditions), inner.loops, inner.point)


def is_many(reference: Reference) -> bool:
    """Whether the reference is a list of tiles."""
    match reference:
        case Choice(_, then, other):
            return is_many(then) or is_many(other)
        case _:
            return isinstance(reference, Many)


@lru_cache(maxsize=4096)
def parse_loops(text: str) -> tuple[Loop, ...]:
    """The loops of a rule or a fold.

    >>> [loop.variable for loop in parse_loops("for k in range(n) for i in range(k + 1, n)")]
    ['k', 'i']
    """
    if not text.strip():
        return ()
    try:
        tree = ast.parse(f"[0 {text.strip()}]", mode="eval").body
    except SyntaxError as error:
        raise ProgramError(f"loops {text!r} are no Python: {error.msg}; write 'for i in range(n)'") from None
    if not isinstance(tree, ast.ListComp):
        raise ProgramError(f"loops {text!r} are none; write 'for i in range(n) for j in range(i, n)'")
    loops = _loops(tree.generators)
    if any(isinstance(loop, WindowLoop) for loop in loops):
        raise ProgramError(f"a window in the loops {text!r} of a rule; windows are for lists of tiles in reads")
    return tuple(loop for loop in loops if isinstance(loop, Loop))


@lru_cache(maxsize=4096)
def parse_reference(text: str) -> Reference:
    """One reference of a rule.

    >>> parse_reference("X[i, k + 1]").index[1].source()
    'u_k + 1'
    """
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except SyntaxError as error:
        raise ProgramError(f"reference {text!r} is no Python: {error.msg}; write one like 'X[i, k + 1]'") from None
    return _reference(tree)


def _reference(node: ast.expr) -> Reference:
    match node:
        case ast.IfExp(test=test, body=body, orelse=orelse):
            return Choice(_condition(test), _reference(body), _reference(orelse))
        case ast.ListComp(elt=element, generators=generators):
            return Many(_reference(element), _loops(generators))
        case ast.Subscript(value=ast.Name(id=symbol), slice=index):
            return Point(symbol, None, _index(index))
        case ast.Subscript(value=ast.Subscript(value=ast.Name(id=symbol), slice=family), slice=index):
            return Point(symbol, parse_affine(family), _index(index))
        case _:
            raise ProgramError(
                f"{ast.unparse(node)!r} is no reference; write a tile 'X[i, j]', a list '[X[t] for t in range(n)]' "
                "or cases 'X[i] if i == 0 else Y[i]'"
            )


def _index(node: ast.expr) -> tuple[Affine, ...]:
    return tuple(parse_affine(part) for part in (node.elts if isinstance(node, ast.Tuple) else (node,)))


def _condition(node: ast.expr) -> Condition:
    match node:
        case ast.Compare(left=left, ops=[operator], comparators=[right]) if type(operator) in _OPERATORS:
            return Condition(parse_affine(left), _OPERATORS[type(operator)], parse_affine(right))
        case _:
            raise ProgramError(f"condition {ast.unparse(node)!r} is not one comparison; nest cases instead of 'and'")


def _loops(generators: list[ast.comprehension]) -> tuple[AnyLoop, ...]:
    return tuple(_loop(generator) for generator in generators)


def _loop(generator: ast.comprehension) -> AnyLoop:
    match generator:
        case ast.comprehension(
            target=ast.Name(id=name), iter=ast.Call(func=ast.Name(id=function), args=args, keywords=[]), ifs=[]
        ) if function in _ITERATIONS:
            return _ITERATIONS[function](name, args)
        case _:
            raise ProgramError(
                f"{ast.unparse(generator).strip()!r} is no loop; write 'for v in range(low, high)' or "
                "'for t in window(i, out, src, start, step)', without 'if'"
            )


def _range(name: str, args: list[ast.expr]) -> Loop:
    if not 1 <= len(args) <= 2:
        raise ProgramError(f"the range of {name!r} has {len(args)} arguments; write range(high) or range(low, high)")
    lowers = _bounds(args[0], "max") if len(args) == 2 else (Affine.number(0),)
    return Loop(name, lowers, _bounds(args[-1], "min"))


def _bounds(node: ast.expr, extreme: str) -> tuple[Affine, ...]:
    match node:
        case ast.Call(func=ast.Name(id=function), args=args, keywords=[]) if function == extreme and args:
            return tuple(bound for arg in args for bound in _bounds(arg, extreme))
        case _:
            return (parse_affine(node),)


def _window(name: str, args: list[ast.expr]) -> WindowLoop:
    match args:
        case [tile, ast.Name(id=out), ast.Name(id=src), start, step]:
            return WindowLoop(name, parse_affine(tile), out, src, parse_affine(start), parse_affine(step))
        case _:
            raise ProgramError(f"the window of {name!r} is not window(tile, out, src, start, step), both grids by name")


_ITERATIONS: dict[str, Callable[[str, list[ast.expr]], AnyLoop]] = {"range": _range, "window": _window}
