"""Scalars that write CUDA C: what a scalar expression is evaluated with.

Each operation is one line, a constant with a name of its own. There is no undefined
behaviour in them: integers wrap around as in NumPy because they are added as unsigned.
Literals are exact, floats in hexadecimal.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from skgrad.backend.mathematics.number import Operators

__all__ = ["PRELUDE", "TYPES", "Block", "Scalar", "constant"]

TYPES = {
    "bool": "bool",
    "float32": "float",
    "float64": "double",
    "int8": "signed char",
    "int16": "short",
    "int32": "int",
    "int64": "long long",
    "uint8": "unsigned char",
    "uint16": "unsigned short",
    "uint32": "unsigned int",
    "uint64": "unsigned long long",
}
"""In registers, by dtype; not among them is long, which depends on the platform."""

PRELUDE = """
#ifdef __CUDACC__
static __device__ __forceinline__ int bits(float x) { return __float_as_int(x); }
static __device__ __forceinline__ float number(int x) { return __int_as_float(x); }
static __device__ __forceinline__ long long bits(double x) {
    return __double_as_longlong(x);
}
static __device__ __forceinline__ double number(long long x) {
    return __longlong_as_double(x);
}
#else
#include <math.h>
#include <string.h>
static inline int bits(float x) { int y; memcpy(&y, &x, 4); return y; }
static inline float number(int x) { float y; memcpy(&y, &x, 4); return y; }
static inline long long bits(double x) { long long y; memcpy(&y, &x, 8); return y; }
static inline double number(long long x) { double y; memcpy(&y, &x, 8); return y; }
#endif
"""
"""What comes once before the functions of a module: floats as bits and back."""

_SUFFIXES = {"int32": "", "int64": "LL", "uint32": "u", "uint64": "ULL"}


class Block:
    """Lines of a function under construction."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._n_values = 0

    def bind(self, text: str, dtype: str) -> Scalar:
        """Give the value of an expression a name."""
        name = f"v{self._n_values}"
        self._n_values += 1
        self.lines.append(f"const {TYPES[dtype]} {name} = {text};")
        return Scalar(self, name, dtype)

    def taken(self) -> list[str]:
        """Return the lines so far, and go on without them."""
        lines, self.lines = self.lines, []
        return lines


class Scalar(Operators):
    """A value in a function under construction.

    Parameters
    ----------
    block : Block
        Where lines are appended.
    text : str
        A name or a literal.
    dtype : str
        Its NumPy dtype.
    """

    __slots__ = ("block", "text")

    def __init__(self, block: Block, text: str, dtype: str) -> None:
        self.block = block
        self.text = text
        self.dtype = dtype

    def __str__(self) -> str:
        return self.text

    def _new(self, text: str, dtype: str | None = None) -> Scalar:
        return self.block.bind(text, dtype or self.dtype)

    def like(self, value: float) -> Scalar:
        """Return a constant of this dtype."""
        return constant(self.block, value, self.dtype)

    # --- operators ----------------------------------------------------------------

    def _arithmetic(self, symbol: str, x: Scalar, y: Scalar) -> Scalar:
        if self.kind == "f":
            return self._new(f"{x} {symbol} {y}")
        if self.kind == "b":
            return self._new(f"{x} {_LOGICAL[symbol]} {y}")
        if symbol == "/":
            raise TypeError(f"a quotient of {self.dtype}: cast to a float first")
        wide = self._unsigned
        return self._new(f"({TYPES[self.dtype]})(({wide}){x} {symbol} ({wide}){y})")

    @property
    def _unsigned(self) -> str:
        """The type to add in: narrower ones would be promoted to a signed int."""
        eight = np.dtype(self.dtype).itemsize == 8
        return "unsigned long long" if eight else "unsigned int"

    def __neg__(self) -> Scalar:
        return self._new(f"-{self}") if self.kind == "f" else self.like(0) - self

    def _compare(self, symbol: str, y: Scalar) -> Scalar:
        return self._new(f"{self} {symbol} {y}", "bool")

    def _bitwise(self, symbol: str, y: Scalar) -> Scalar:
        x = f"({self._unsigned}){self}" if symbol == "<<" else self.text
        return self._new(f"({TYPES[self.dtype]})({x} {symbol} {y})")

    def __invert__(self) -> Scalar:
        if self.kind == "b":
            return self._new(f"!{self}")
        return self._new(f"({TYPES[self.dtype]})~{self}")

    def _choose(self, x: Scalar, y: Scalar) -> Scalar:
        return x._new(f"{self} ? {x} : {y}")

    # --- conversion ---------------------------------------------------------------

    def view(self, dtype: str) -> Scalar:
        """Return the bit pattern read as another dtype of the same size."""
        text, size = self.text, np.dtype(dtype).itemsize
        if self.kind == "f":
            text = f"bits({text})"
        if np.dtype(dtype).kind == "f":
            return self._new(f"number(({TYPES[f'int{8 * size}']}){text})", dtype)
        return self._new(f"({TYPES[dtype]}){text}", dtype)

    def cast(self, dtype: str) -> Scalar:
        """Return the value converted to another dtype, as NumPy's astype does."""
        if dtype == self.dtype:
            return self
        if dtype == "bool":
            return self != 0
        return self._new(f"({TYPES[dtype]}){self}", dtype)

    # --- functions the machine has ------------------------------------------------

    def _function(self, name: str) -> Scalar:
        return self._new(f"{name}{'f' if self.dtype == 'float32' else ''}({self})")

    def floor(self) -> Scalar:
        """Return the largest integer not above."""
        return self._function("floor")

    def rint(self) -> Scalar:
        """Return the nearest integer, the even one at a tie."""
        return self._function("rint")

    def sqrt(self) -> Scalar:
        """Return the square root."""
        return self._function("sqrt")

    def absolute(self) -> Scalar:
        """Return the absolute value."""
        if self.kind == "f":
            return self._function("fabs")
        return self if self.kind in "ub" else (self < 0).select(-self, self)


_LOGICAL = {"+": "||", "*": "&&"}  # NumPy's sum and product of bools


def constant(block: Block, value: float, dtype: str) -> Scalar:
    """Return a typed constant."""
    return Scalar(block, _literal(np.dtype(dtype), value), dtype)


def _literal(dtype: np.dtype[Any], value: float) -> str:
    if dtype.kind == "f":
        return _float_literal(dtype, value)
    if dtype.kind == "b":
        return "true" if value else "false"
    suffix = _SUFFIXES.get(dtype.name)
    if suffix is None:
        return f"({TYPES[dtype.name]}){int(value)}"
    if dtype.kind == "i" and value == np.iinfo(dtype).min:
        return f"(-{-int(value) - 1}{suffix} - 1)"  # a sign is no part of a literal
    return f"{int(value)}{suffix}" if value >= 0 else f"(-{-int(value)}{suffix})"


def _float_literal(dtype: np.dtype[Any], value: float) -> str:
    number = float(dtype.type(value))
    if math.isfinite(number):
        text = number.hex() + ("f" if dtype.itemsize == 4 else "")
        return f"({text})" if text.startswith("-") else text
    pattern = np.array(number, dtype).view(f"int{8 * dtype.itemsize}")
    return f"number({_literal(pattern.dtype, int(pattern))})"
