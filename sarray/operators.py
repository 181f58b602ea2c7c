"""Python's operators, by the name of the function that each one stands for."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Self


class Operators:
    """Operators of arrays: each calls `_function` with the standard's name of what it means."""

    __slots__ = ()

    @abstractmethod
    def _function(self, name: str, *arguments: Any) -> Any:
        """The function of this name of the arguments, or NotImplemented for a stranger among them."""

    def __add__(self, other: Any) -> Self:
        return self._function("add", self, other)  # type: ignore[no-any-return]

    def __radd__(self, other: Any) -> Self:
        return self._function("add", other, self)  # type: ignore[no-any-return]

    def __sub__(self, other: Any) -> Self:
        return self._function("subtract", self, other)  # type: ignore[no-any-return]

    def __rsub__(self, other: Any) -> Self:
        return self._function("subtract", other, self)  # type: ignore[no-any-return]

    def __mul__(self, other: Any) -> Self:
        return self._function("multiply", self, other)  # type: ignore[no-any-return]

    def __rmul__(self, other: Any) -> Self:
        return self._function("multiply", other, self)  # type: ignore[no-any-return]

    def __truediv__(self, other: Any) -> Self:
        return self._function("divide", self, other)  # type: ignore[no-any-return]

    def __rtruediv__(self, other: Any) -> Self:
        return self._function("divide", other, self)  # type: ignore[no-any-return]

    def __floordiv__(self, other: Any) -> Self:
        return self._function("floor_divide", self, other)  # type: ignore[no-any-return]

    def __rfloordiv__(self, other: Any) -> Self:
        return self._function("floor_divide", other, self)  # type: ignore[no-any-return]

    def __mod__(self, other: Any) -> Self:
        return self._function("remainder", self, other)  # type: ignore[no-any-return]

    def __rmod__(self, other: Any) -> Self:
        return self._function("remainder", other, self)  # type: ignore[no-any-return]

    def __pow__(self, other: Any) -> Self:
        return self._function("pow", self, other)  # type: ignore[no-any-return]

    def __rpow__(self, other: Any) -> Self:
        return self._function("pow", other, self)  # type: ignore[no-any-return]

    def __and__(self, other: Any) -> Self:
        return self._function("bitwise_and", self, other)  # type: ignore[no-any-return]

    def __rand__(self, other: Any) -> Self:
        return self._function("bitwise_and", other, self)  # type: ignore[no-any-return]

    def __or__(self, other: Any) -> Self:
        return self._function("bitwise_or", self, other)  # type: ignore[no-any-return]

    def __ror__(self, other: Any) -> Self:
        return self._function("bitwise_or", other, self)  # type: ignore[no-any-return]

    def __xor__(self, other: Any) -> Self:
        return self._function("bitwise_xor", self, other)  # type: ignore[no-any-return]

    def __rxor__(self, other: Any) -> Self:
        return self._function("bitwise_xor", other, self)  # type: ignore[no-any-return]

    def __lshift__(self, other: Any) -> Self:
        return self._function("bitwise_left_shift", self, other)  # type: ignore[no-any-return]

    def __rlshift__(self, other: Any) -> Self:
        return self._function("bitwise_left_shift", other, self)  # type: ignore[no-any-return]

    def __rshift__(self, other: Any) -> Self:
        return self._function("bitwise_right_shift", self, other)  # type: ignore[no-any-return]

    def __rrshift__(self, other: Any) -> Self:
        return self._function("bitwise_right_shift", other, self)  # type: ignore[no-any-return]

    def __divmod__(self, other: Any) -> tuple[Self, Self]:
        return self // other, self % other

    def __rdivmod__(self, other: Any) -> tuple[Self, Self]:
        return other // self, other % self

    def __matmul__(self, other: Any) -> Self:
        return self._function("matmul", self, other)  # type: ignore[no-any-return]

    def __rmatmul__(self, other: Any) -> Self:
        return self._function("matmul", other, self)  # type: ignore[no-any-return]

    def __eq__(self, other: Any) -> Self:  # type: ignore[override]
        return self._function("equal", self, other)  # type: ignore[no-any-return]

    def __ne__(self, other: Any) -> Self:  # type: ignore[override]
        return self._function("not_equal", self, other)  # type: ignore[no-any-return]

    def __lt__(self, other: Any) -> Self:
        return self._function("less", self, other)  # type: ignore[no-any-return]

    def __le__(self, other: Any) -> Self:
        return self._function("less_equal", self, other)  # type: ignore[no-any-return]

    def __gt__(self, other: Any) -> Self:
        return self._function("greater", self, other)  # type: ignore[no-any-return]

    def __ge__(self, other: Any) -> Self:
        return self._function("greater_equal", self, other)  # type: ignore[no-any-return]

    __hash__ = None  # type: ignore[assignment]

    def __neg__(self) -> Self:
        return self._function("negative", self)  # type: ignore[no-any-return]

    def __pos__(self) -> Self:
        return self._function("positive", self)  # type: ignore[no-any-return]

    def __abs__(self) -> Self:
        return self._function("abs", self)  # type: ignore[no-any-return]

    def __invert__(self) -> Self:
        return self._function("bitwise_invert", self)  # type: ignore[no-any-return]
