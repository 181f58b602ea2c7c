"""Rules: what a recurrence says, as plain data.

A rule is written the way its block formula is, in the syntax of Python comprehensions. The three rules of tiled
Cholesky, whatever the size::

    Rule("potrf", "for k in range(n)",
         writes=("L[k, k]",), reads=("A[k, k] if k == 0 else S[k, k, k]",), ...)
    Rule("trsm", "for k in range(n) for i in range(k + 1, n)",
         writes=("L[i, k]",), reads=("A[i, k] if k == 0 else S[k, i, k]", "L[k, k]"), ...)
    Rule("gemm", "for k in range(n) for j in range(k + 1, n) for i in range(j, n)",
         writes=("S[k + 1, i, j]",), reads=("A[i, j] if k == 0 else S[k, i, j]", "L[i, k]", "L[j, k]"), ...)

The language, and nothing else:

* **loops**: ``for v in range(hi)`` or ``range(lo, hi)``, outermost first. A bound is affine in earlier loop variables
  and in `sizes`, or ``min(...)`` (an upper one) or ``max(...)`` (a lower one) of such, or a table look-up
  ``width[l + 1]`` where `sizes["width"]` is a tuple of ints.
* **point reference** ``X[e1, e2, ...]``: each index is affine in loop variables and sizes (integer coefficients,
  ``a * j + c`` with ``a`` in `sizes` too), and may add a table look-up: ``off[q] + t`` with
  ``for t in range(off[q + 1] - off[q])`` binds both (the t-th tile of the q-th part of a concatenation). ``X[()]`` is
  the tile of a 0-d array. ``X`` is a symbol; `names` gives the array's real name.
* **many tiles** ``[X[a * j + c] for c in range(min(a, w - a * j))]``: a list of tiles over local variables. If ``c``
  stays below ``a`` this is a mixed-radix reference, and ``a * j + c`` binds both. The bound says ragged ends.
* **window** ``[X[t] for t in window(i, out, src, start, step)]``: the tiles ``t`` of the 1-d `Grid` ``src`` that hold
  at least one of the elements ``start + step * x``, where ``x`` runs over tile ``i`` (affine) of the grid ``out``;
  step may be negative; what falls outside of ``src`` is clipped. ``out``, ``src``,
  ``start``, ``step`` are sizes or integers.
* **array family** ``X[q][i]``: `names["X"]` is a tuple of names, ``q`` (affine) selects.
* **cases** ``A[i, k] if k == 0 else S[k, i, k]``: the condition is one comparison (``== != < <= > >=``) of affine
  expressions in loop (or fold) variables; cases nest on the right.

Every array is either a source (somebody else's) or written by rules, never both, and every tile is written once.
A **fold** rule has a fold variable: reads that name it belong to one step, the others to the start.
A **cheap** rule is no task: whoever needs its tile makes it again.
A **guard** is one more reference: where its tile is false, the read number `passes` is passed through unchanged.
Among a task's inputs it comes last; the rule has one write.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

Size = "int | tuple[int, ...] | Grid"


class Costed(Protocol):
    """What a task costs; `kernels.Cost` is one."""

    @property
    def flops(self) -> float: ...
    @property
    def bytes_in(self) -> float: ...
    @property
    def bytes_out(self) -> float: ...


class FoldKernel(Protocol):
    """The kernel of a fold rule: start, one step at a time, finish."""

    def start(self, index: tuple[int, ...], *fixed: Any) -> Any:
        """The accumulator, from the reads that do not name the fold variable."""

    def step(self, accumulator: Any, number: int, *blocks: Any) -> Any:
        """The accumulator after one more step; `number` is the fold variable's value."""

    def finish(self, index: tuple[int, ...], accumulator: Any) -> Any:
        """What an ordinary kernel would return."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One recurrence: for every point of the loops, one task that reads some tiles and writes some."""

    name: str
    """Unique in its program; shown to users together with `operation`."""
    loops: str
    """``for k in range(n) for i in range(k + 1, n)``; empty for a single task of index ``()``."""
    writes: tuple[str, ...]
    reads: tuple[str, ...]
    kernel: Callable[..., Any] | FoldKernel
    """``kernel(index, *reads)``: a block for each reference, a list of blocks for each list of tiles. Returns a block
    (one write) or a sequence with one entry per write (a list where the write is a list of tiles)."""
    names: Mapping[str, str | tuple[str, ...]]
    """Symbol -> array name (a tuple of names: a family). A symbol missing here is its own name."""
    sizes: Mapping[str, Any] = field(default_factory=dict)
    """Name -> int, tuple of ints (a table) or `Grid`."""
    fold: str = ""
    """``for k in range(kk)``: the fold variable, bounds affine in loop variables; empty for an ordinary rule."""
    cheap: bool = False
    guard: str = ""
    """A point reference; empty for none."""
    passes: int = 0
    """Number of the read that is passed through where the guard is false."""
    cost: Costed | None = None
    """Cost of one task with full tiles (a fold's: of all its steps)."""
    operation: str = ""
    """The user's word, for errors and reports: ``cholesky``."""


@dataclass(frozen=True, slots=True)
class ArrayInfo:
    """What the engine knows of an array: how large its tiles are."""

    nbytes: int
    """Bytes of its largest tile."""
    itemsize: int = 0
    """Bytes of one element; 0 if `grids` is empty."""
    grids: tuple[Any, ...] = ()
    """For exact sizes: one `Grid` (or an int: extent in every tile) per *trailing* index position of the tile's index.
    Empty: every tile counts `nbytes`."""


class Source(Protocol):
    """Where the tiles of a source array come from."""

    def read(self, index: tuple[int, ...]) -> Any:
        """The block at this tile index."""


Families = Sequence[str]
