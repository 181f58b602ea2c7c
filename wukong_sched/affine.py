"""Affine expressions with symbolic coefficients, such as ``a * j + c - 1`` and ``width[l - 1] - a * j``.

An expression is a sum of integer multiples of products; the factors of a product are names and table look-ups. Which
names are variables and which are sizes is for the reader of the expression to know; nothing here evaluates anything.
All names appear in generated code with the prefix ``u_``, so that they cannot collide with the code's own.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from math import gcd

from wukong_sched.errors import ProgramError


@dataclass(frozen=True, slots=True)
class Lookup:
    """A table at an affine index."""

    table: str
    index: Affine

    def __str__(self) -> str:
        return f"u_{self.table}[{self.index.source()}]"


Factor = str | Lookup
Product = tuple[Factor, ...]


def _spelled(factor: Factor) -> str:
    return f"u_{factor}" if isinstance(factor, str) else str(factor)


@dataclass(frozen=True, slots=True)
class Affine:
    """A sum of integer multiples of products of names and look-ups; equal sums are equal objects.

    >>> expression = Affine.parse("2 * (k + a * j) - k")
    >>> expression.source(), expression.coefficient("j").source()
    ('2 * u_a * u_j + u_k', '2 * u_a')
    """

    terms: tuple[tuple[Product, int], ...]

    @staticmethod
    def of(terms: Mapping[Product, int]) -> Affine:
        """The sum of these terms, in canonical order."""
        kept = [(product, number) for product, number in terms.items() if number]
        return Affine(tuple(sorted(kept, key=lambda term: (not term[0], [_spelled(f) for f in term[0]]))))

    @staticmethod
    def number(value: int) -> Affine:
        """A constant."""
        return Affine((((), value),) if value else ())

    @staticmethod
    def name(name: str) -> Affine:
        """A variable or size alone."""
        return Affine((((name,), 1),))

    @staticmethod
    def parse(text: str) -> Affine:
        """The expression written in this text."""
        return parse_affine(ast.parse(text, mode="eval").body)

    def __add__(self, other: Affine) -> Affine:
        terms = dict(self.terms)
        for product, number in other.terms:
            terms[product] = terms.get(product, 0) + number
        return Affine.of(terms)

    def __neg__(self) -> Affine:
        return Affine(tuple((product, -number) for product, number in self.terms))

    def __sub__(self, other: Affine) -> Affine:
        return self + -other

    def __mul__(self, other: Affine) -> Affine:
        total = Affine(())
        for product, number in self.terms:
            total = total + Affine.of({_merged(product, theirs): number * times for theirs, times in other.terms})
        return total

    def __str__(self) -> str:
        return self.source().replace("u_", "")

    def source(self) -> str:
        """The expression as Python."""
        text = " ".join(_term(product, number) for product, number in self.terms)
        return text[2:] if text.startswith("+ ") else text.replace("- ", "-", 1) if text else "0"

    def names(self) -> frozenset[str]:
        """All names but those of tables, also within look-ups."""
        return self.plain() | self.hidden()

    def plain(self) -> frozenset[str]:
        """Names outside of look-ups."""
        return frozenset(f for product, _ in self.terms for f in product if isinstance(f, str))

    def lookups(self) -> list[Lookup]:
        """Look-ups, inner ones first."""
        found = [f for product, _ in self.terms for f in product if isinstance(f, Lookup)]
        return [look for outer in found for look in (*outer.index.lookups(), outer)]

    def hidden(self) -> frozenset[str]:
        """Names within look-ups, which cannot be solved for."""
        return frozenset().union(*(look.index.names() for look in self.lookups()))

    def tables(self) -> frozenset[str]:
        """Names of the tables."""
        return frozenset(look.table for look in self.lookups())

    def coefficient(self, name: str) -> Affine:
        """What the name is multiplied by."""
        return Affine.of({tuple(f for f in p if f != name): n for p, n in self.terms if name in p})

    def without(self, *names: str) -> Affine:
        """The terms in which none of these names is a factor."""
        return Affine(tuple(term for term in self.terms if not any(name in term[0] for name in names)))

    def constant(self) -> int | None:
        """The value if it is a number, else None."""
        if not self.terms:
            return 0
        return self.terms[0][1] if self.terms[0][0] == () else None

    def sign(self, signs: Mapping[str, int]) -> int | None:
        """1 or -1 if all terms have this sign, 0 for no terms, else None; `signs` has those of the sizes."""
        found = {_sign(product, number, signs) for product, number in self.terms}
        return 0 if not found else found.pop() if len(found) == 1 else None

    def over(self, divisor: Affine) -> Affine:
        """The quotient by a single term that divides every term."""
        ((factors, times),) = divisor.terms
        return Affine.of({_removed(product, factors): number // times for product, number in self.terms})


def common_term(parts: Iterable[Affine]) -> Affine:
    """The largest single positive term that divides all of them.

    >>> common_term([Affine.parse("6 * a * b"), Affine.parse("4 * b")]).source()
    '2 * u_b'
    """
    terms = [term for part in parts for term in part.terms]
    shared = list(terms[0][0])
    for product, _ in terms[1:]:
        left = list(product)
        shared = [f for f in shared if f in left and left.remove(f) is None]  # type: ignore[func-returns-value]
    return Affine(((tuple(shared), reduce(gcd, (number for _, number in terms))),))


def extreme(operator: str, texts: Sequence[str]) -> str:
    """Code of the largest (``>``) or smallest (``<``) of these; no call for the usual one or two.

    >>> extreme("<", ["u_a", "u_n"])
    '(u_a if u_a < u_n else u_n)'
    """
    distinct = list(dict.fromkeys(texts))
    if len(distinct) == 1:
        return distinct[0]
    if len(distinct) == 2:
        return f"({distinct[0]} if {distinct[0]} {operator} {distinct[1]} else {distinct[1]})"
    return f"{'max' if operator == '>' else 'min'}({', '.join(distinct)})"


def comparison(expression: Affine, operator: str) -> str:
    """Code of ``expression == 0``, ``!= 0`` or ``>= 0``: positive terms on the left, negative ones on the right.

    >>> comparison(Affine.parse("n - k - 1"), ">=")
    'u_n > u_k'
    """
    if (value := expression.constant()) is not None:
        return str({"==": value == 0, "!=": value != 0, ">=": value >= 0}[operator])
    if operator == ">=" and dict(expression.terms).get((), 0) == -1:
        expression, operator = expression + Affine.number(1), ">"
    left = Affine(tuple(term for term in expression.terms if term[1] > 0))
    right = Affine(tuple((product, -number) for product, number in expression.terms if number < 0))
    return f"{left.source()} {operator} {right.source()}"


def _merged(one: Product, other: Product) -> Product:
    return tuple(sorted(one + other, key=_spelled))


def _removed(product: Product, factors: Product) -> Product:
    left = list(product)
    for factor in factors:
        left.remove(factor)
    return tuple(left)


def _term(product: Product, number: int) -> str:
    factors = [_spelled(factor) for factor in product]
    if abs(number) != 1 or not factors:
        factors.insert(0, str(abs(number)))
    return f"{'-' if number < 0 else '+'} {' * '.join(factors)}"


def _sign(product: Product, number: int, signs: Mapping[str, int]) -> int | None:
    result = 1 if number > 0 else -1
    for factor in product:
        if not isinstance(factor, str) or factor not in signs:
            return None
        result *= signs[factor]
    return result


def parse_affine(node: ast.expr) -> Affine:
    """The expression of a syntax tree; ProgramError if it is none of this language."""
    match node:
        case ast.Constant(value=int(value)) if not isinstance(value, bool):
            return Affine.number(value)
        case ast.Name(id=name):
            return Affine.name(name)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -parse_affine(operand)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return parse_affine(left) + parse_affine(right)
        case ast.BinOp(left=left, op=ast.Sub(), right=right):
            return parse_affine(left) - parse_affine(right)
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            return parse_affine(left) * parse_affine(right)
        case ast.Subscript(value=ast.Name(id=table), slice=index):
            return Affine((((Lookup(table, parse_affine(index)),), 1),))
        case _:
            raise ProgramError(
                f"{ast.unparse(node)!r} is no affine expression; write sums and products such as a * j + c - 1, "
                "or a table look-up such as width[l + 1]"
            )
