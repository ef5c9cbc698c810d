"""The user's functions as SciPy calls them: of the flat vector, with derivatives."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
from scipy.sparse.linalg import LinearOperator

from skgrad import ops
from skgrad.exceptions import DTypeError, GradientError, ParameterError, ShapeError
from skgrad.executor import Traced
from skgrad.optimize.layout import Layout, Vector
from skgrad.tensor import Tensor
from skgrad.transforms import function_name, hvp, jvp, value_and_grad, vjp

__all__ = ["Constraint", "Scalar"]

# A typical number of evaluations: decides whether compiling a function pays.
N_EVALUATIONS = 200

Run = Callable[..., list[Any]]


class Function(ABC):
    """A user's function, and programs of it and of its derivatives."""

    def __init__(self, fun: Callable[..., Any], layout: Layout, args: Any = ()) -> None:
        self.fun = fun
        self.layout = layout
        self.args = args if isinstance(args, tuple) else (args,)
        self.name = function_name(fun)

    def of(self, flat: Any) -> Any:
        """Return the tensor the function makes of a flat tensor, checked."""
        value = self.fun(self.layout.tensors(flat), *self.args)
        if not isinstance(value, Tensor):
            raise GradientError(
                f"{self.name} must return a tensor computed from x. Got a "
                f"{type(value).__name__}. Write it with operators and skgrad's "
                "functions, (x**2).sum() or skgrad.exp(x), several values with "
                "skgrad.stack([...]); np.asarray(x), x.numpy() and float(x) lose the "
                "connection."
            )
        if value.dtype != np.float64:
            raise DTypeError(
                f"{self.name} must return float64, the dtype of x. Got {value.dtype} "
                f"of shape {value.shape}."
            )
        return self._shaped(value)

    @abstractmethod
    def _shaped(self, value: Tensor) -> Any:
        """Return the value in the shape SciPy expects, or refuse it."""

    def _program(self, function: Callable[..., Any], *examples: Vector) -> Run:
        """Return a program of vectors; what it returns is the caller's own."""

        def named(*args: Any) -> Any:
            return function(*args)

        named.__name__ = self.name  # what messages call it
        traced = Traced(named, fallback=True, n_runs=N_EVALUATIONS)
        program = traced.program(*examples)

        def run(*vectors: Vector) -> list[Any]:
            inputs = [np.asarray(v, dtype=np.float64) for v in vectors]
            return [np.array(out) for out in program.run(inputs)]

        return run

    def _refuse(self, what: str, value: Any, x: Vector) -> None:
        """Raise if a value at the start is not finite."""
        if np.isfinite(value).all():
            return
        raise ParameterError(
            f"The {what} of {self.name} must be finite at x0. Got {value} at "
            f"{self.layout.arrays(x)}. Start where it is, or keep x there with bounds."
        )


class Scalar(Function):
    """The function to minimise."""

    def _shaped(self, value: Tensor) -> Any:
        if value.shape != ():
            raise ShapeError(
                f"{self.name} must return a scalar. Got a tensor of shape "
                f"{value.shape}: reduce it with .sum() or .mean()."
            )
        return value

    @cached_property
    def _value(self) -> Run:
        return self._program(self.of, self.layout.start)

    @cached_property
    def _value_and_gradient(self) -> Run:
        return self._program(value_and_grad(self.of), self.layout.start)

    @cached_property
    def _product(self) -> Run:
        x = self.layout.start
        return self._program(lambda x, v: hvp(self.of, [x], [v]), x, x)

    def value(self, x: Vector) -> float:
        """Return the value."""
        return float(self._value(x)[0])

    def value_and_gradient(self, x: Vector) -> tuple[float, Vector]:
        """Return the value and the gradient."""
        value, gradient = self._value_and_gradient(x)
        return float(value), gradient

    def hessp(self, x: Vector, v: Vector) -> Vector:
        """Return the Hessian times a vector."""
        product: Vector = self._product(x, v)[0]
        return product

    def hess(self, x: Vector) -> Vector:
        """Return the Hessian, row by row."""
        return np.array([self.hessp(x, unit) for unit in np.eye(x.size)])

    def check(self, x: Vector, gradient: bool) -> None:
        """Raise if the value, or the gradient if it is used, is not finite."""
        if not gradient:
            self._refuse("value", self.value(x), x)
            return
        value, slope = self.value_and_gradient(x)
        self._refuse("value", value, x)
        self._refuse("gradient", slope, x)


class Constraint(Function):
    """A function that is kept at or above zero, or in an interval."""

    def _shaped(self, value: Tensor) -> Any:
        if value.ndim > 1:
            raise ShapeError(
                f"{self.name}, a constraint, must return a tensor of shape () or (m,). "
                f"Got {value.shape}: flatten it with skgrad.reshape(value, -1)."
            )
        return ops.reshape(value, -1)

    @cached_property
    def _value(self) -> Run:
        return self._program(self.of, self.layout.start)

    @cached_property
    def _row(self) -> Run:
        x = self.layout.start
        return self._program(lambda x, u: vjp(self.of, x)[1](u)[0], x, self.value(x))

    @cached_property
    def _column(self) -> Run:
        x = self.layout.start
        return self._program(lambda x, v: jvp(self.of, [x], [v])[1], x, x)

    @cached_property
    def _product(self) -> Run:
        def product(x: Any, u: Any, v: Any) -> Any:
            return hvp(lambda x: ops.sum(ops.multiply(u, self.of(x))), [x], [v])

        x = self.layout.start
        return self._program(product, x, self.value(x), x)

    def value(self, x: Vector) -> Vector:
        """Return the values (m,)."""
        value: Vector = self._value(x)[0]
        return value

    def jac(self, x: Vector) -> Vector:
        """Return the Jacobian (m, n), by rows or by columns, which are fewer."""
        m, n = self.value(self.layout.start).size, x.size
        if m <= n:
            return np.array([self._row(x, u)[0] for u in np.eye(m)]).reshape(m, n)
        return np.array([self._column(x, v)[0] for v in np.eye(n)]).T

    def hess(self, x: Vector, u: Vector) -> LinearOperator:
        """Return the Hessian of ``u @ values``, as an operator."""
        x, u = np.array(x), np.array(u)
        return LinearOperator(
            (x.size, x.size),
            matvec=lambda v: self._product(x, u, np.ravel(v))[0],
            dtype=np.float64,
        )

    def check(self, x: Vector) -> None:
        """Raise if a value is not finite."""
        self._refuse("constraint", self.value(x), x)
