"""The protocol of numbers, and the operators all scalars that write code share.

A Python number beside a scalar takes the scalar's dtype, NumPy's own rule, so that a
float32 expression stays in float32.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Protocol, Self, TypeAlias

import numpy as np

__all__ = ["Number", "Operand", "Operators"]


class Number(Protocol):
    """What the mathematics of the kernels is written in.

    Beside these methods: ``+ - * /``, comparisons and unary minus; for integers and
    bools ``& | ^ ~ << >>``.
    """

    dtype: str

    def like(self, value: float) -> Any:
        """Return a constant of this dtype."""

    def cast(self, dtype: str) -> Any:
        """Return the value converted to another dtype, as NumPy's astype does."""

    def view(self, dtype: str) -> Any:
        """Return the bit pattern read as another dtype of the same size."""

    def select(self, x: Any, y: Any) -> Any:
        """Return x where this bool holds, y elsewhere."""

    def floor(self) -> Any:
        """Return the largest integer not above."""

    def rint(self) -> Any:
        """Return the nearest integer, the even one at a tie."""

    def sqrt(self) -> Any:
        """Return the square root."""

    def absolute(self) -> Any:
        """Return the absolute value."""


Operand: TypeAlias = "Operators | float | bool"


class Operators(ABC):
    """The operators of a scalar, in terms of what a backend writes for two operands."""

    __slots__ = ("dtype",)

    dtype: str

    @abstractmethod
    def like(self, value: float) -> Self:
        """Return a constant of this dtype."""

    @abstractmethod
    def _arithmetic(self, symbol: str, x: Self, y: Self) -> Self:
        """Return x + y, x - y, x * y or x / y."""

    @abstractmethod
    def _compare(self, symbol: str, y: Self) -> Self:
        """Return a bool; a comparison with NaN is false, != is true."""

    @abstractmethod
    def _bitwise(self, symbol: str, y: Self) -> Self:
        """Return the result of & | ^ << or >>; a signed shift keeps the sign."""

    @abstractmethod
    def _choose(self, x: Self, y: Self) -> Self:
        """Return x where this bool holds, y elsewhere."""

    @property
    def kind(self) -> str:
        """NumPy's letter: f, i, u or b."""
        return str(np.dtype(self.dtype).kind)

    def _typed(self, other: Operand) -> Self:
        if not isinstance(other, Operators):
            return self.like(other)
        if other.dtype != self.dtype:
            raise TypeError(f"operands of {self.dtype} and {other.dtype}")
        assert isinstance(other, type(self))
        return other

    def select(self, x: Any, y: Any) -> Self:
        """Return x where this bool holds, y elsewhere; both are computed."""
        if isinstance(x, Operators):
            y = x._typed(y)
        elif isinstance(y, Operators):
            x = y.like(x)
        else:
            raise TypeError("select needs a typed alternative")
        return self._choose(x, y)

    def __add__(self, other: Operand) -> Self:
        return self._arithmetic("+", self, self._typed(other))

    __radd__ = __add__

    def __sub__(self, other: Operand) -> Self:
        return self._arithmetic("-", self, self._typed(other))

    def __rsub__(self, other: Operand) -> Self:
        return self._arithmetic("-", self._typed(other), self)

    def __mul__(self, other: Operand) -> Self:
        return self._arithmetic("*", self, self._typed(other))

    __rmul__ = __mul__

    def __truediv__(self, other: Operand) -> Self:
        return self._arithmetic("/", self, self._typed(other))

    def __rtruediv__(self, other: Operand) -> Self:
        return self._arithmetic("/", self._typed(other), self)

    def __lt__(self, other: Operand) -> Self:
        return self._compare("<", self._typed(other))

    def __le__(self, other: Operand) -> Self:
        return self._compare("<=", self._typed(other))

    def __gt__(self, other: Operand) -> Self:
        return self._compare(">", self._typed(other))

    def __ge__(self, other: Operand) -> Self:
        return self._compare(">=", self._typed(other))

    def __eq__(self, other: object) -> Self:  # type: ignore[override]
        return self._compare("==", self._typed(other))  # type: ignore[arg-type]

    def __ne__(self, other: object) -> Self:  # type: ignore[override]
        return self._compare("!=", self._typed(other))  # type: ignore[arg-type]

    __hash__ = None  # type: ignore[assignment]

    def __and__(self, other: Operand) -> Self:
        return self._bitwise("&", self._typed(other))

    def __or__(self, other: Operand) -> Self:
        return self._bitwise("|", self._typed(other))

    def __xor__(self, other: Operand) -> Self:
        return self._bitwise("^", self._typed(other))

    def __lshift__(self, other: Operand) -> Self:
        return self._bitwise("<<", self._typed(other))

    def __rshift__(self, other: Operand) -> Self:
        return self._bitwise(">>", self._typed(other))
