"""Public checks for gradients, losses and optimizers, skgrad's own and yours.

Each check returns ``None`` when all is well and raises ``AssertionError`` otherwise,
saying what was compared, the two values and what is likely to be wrong.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from skgrad import functional, ops
from skgrad.core.tree import tree_leaves, tree_map
from skgrad.exceptions import DTypeError, ParameterError
from skgrad.executor import Traced
from skgrad.losses import Loss, get_loss
from skgrad.optim import get_optimizer
from skgrad.tensor import tensor
from skgrad.transforms import (
    function_name,
    grad,
    hessian,
    hvp,
    jvp,
    value_and_grad,
    vjp,
)
from skgrad.typing import ArrayLike, Tree

__all__ = ["check_grads", "check_loss", "check_optimizer"]


def _assert_close(
    actual: Any, expected: Any, rtol: float, atol: float, message: str
) -> None:
    """Compare arrays; ``message`` tells what they are and what to look for."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    if actual.shape != expected.shape:
        raise AssertionError(f"{message} Shapes: {actual.shape} and {expected.shape}.")
    wrong = ~np.isclose(actual, expected, rtol=rtol, atol=atol, equal_nan=True)
    if wrong.any():
        at = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise AssertionError(
            f"{message} {int(wrong.sum())} of {wrong.size} elements differ; the first, "
            f"at {at}: {actual[at]!r} and {expected[at]!r} (rtol {rtol:g}, "
            f"atol {atol:g})."
        )


# --- gradients --------------------------------------------------------------------


def check_grads(
    function: Callable[..., Tree],
    args: Sequence[ArrayLike],
    order: int = 2,
    modes: Sequence[str] = ("rev", "fwd"),
    rtol: float = 1e-6,
    atol: float = 1e-6,
    eps: float = 1e-3,
    seed: int = 0,
) -> None:
    """Check the derivatives of a function against central differences.

    Along a random direction the vector-Jacobian product (``"rev"``) and the
    Jacobian-vector product (``"fwd"``) are compared with the difference quotient of
    five points, whose error is O(eps⁴); for higher orders both products are checked
    as functions themselves.

    Parameters
    ----------
    function : callable
        Takes tensors, returns a tensor or a tree of them.
    args : sequence of array
        Where to check, away from kinks by more than 2 ``eps``. float64 arrays (or
        Python floats) are varied; integer and bool arrays are held fixed.
    order : int, default=2
        Highest order of the derivatives.
    modes : sequence of {"rev", "fwd"}, default=("rev", "fwd")
        Which products to check; at each order all of them.
    rtol, atol : float, default=1e-6
        Tolerances relative and absolute, as in :func:`numpy.isclose`.
    eps : float, default=1e-3
        Step of the differences, in units of the arguments.
    seed : int, default=0
        Seed of the random directions.

    Raises
    ------
    AssertionError
        If a derivative differs, naming the order, the mode and both values.
    DTypeError
        If an argument is a floating array of another dtype than float64.
    ParameterError
        If a mode is unknown.

    Examples
    --------
    >>> import skgrad
    >>> from skgrad.testing import check_grads
    >>> check_grads(lambda x: (x * skgrad.sin(x)).sum(), [[0.5, 1.5]])

    A value that is cut off from the gradient is found:

    >>> check_grads(lambda x: x * x.detach(), [2.0], modes=["rev"])
    Traceback (most recent call last):
        ...
    AssertionError: check_grads: derivative 1 of <lambda> (rev) at arguments of shapes \
[()] does not agree with central differences. ...
    """
    unknown = set(modes) - {"rev", "fwd"}
    if unknown:
        raise ParameterError(
            "The 'modes' parameter of check_grads must hold 'rev' and 'fwd' only. Got "
            f"{sorted(unknown)} instead."
        )
    arrays = [tensor(arg) for arg in args]
    for arg in arrays:
        if arg.dtype.kind == "f" and arg.dtype != np.float64:
            raise DTypeError(
                f"check_grads needs float64 arguments: differences of {arg.dtype} are "
                "too coarse. Compare the lower precision with float64 instead."
            )
    varied = [i for i, arg in enumerate(arrays) if arg.dtype.kind == "f"]

    def of_floats(*floats: Any) -> tuple[Any, ...]:
        full: list[Any] = list(arrays)
        for i, value in zip(varied, floats, strict=True):
            full[i] = value
        return tuple(v for v in tree_leaves(function(*full)) if v.dtype.kind == "f")

    check = _Check(function_name(function), modes, rtol, atol, eps)
    points = [arrays[i].numpy() for i in varied]
    check.run(of_floats, points, order, np.random.default_rng(seed), "")


class _Check:
    """One call of check_grads: the settings, and the recursion over orders."""

    def __init__(
        self, name: str, modes: Sequence[str], rtol: float, atol: float, eps: float
    ) -> None:
        self.name = name
        self.modes = modes
        self.rtol = rtol
        self.atol = atol
        self.eps = eps

    def run(
        self,
        function: Callable[..., tuple[Any, ...]],
        points: list[Any],
        order: int,
        rng: np.random.Generator,
        path: str,
    ) -> None:
        """Check the first derivatives of a function of arrays, then recur."""
        direction = [rng.standard_normal(x.shape) for x in points]
        slopes = self._difference(function, points, direction)
        cotangents = [rng.standard_normal(s.shape) for s in slopes]

        def backward(*xs: Any) -> tuple[Any, ...]:
            _, pullback = vjp(function, *xs)
            pulled: tuple[Any, ...] = pullback(tuple(cotangents))
            return pulled

        def forward(*xs: Any) -> tuple[Any, ...]:
            _, tangents = jvp(function, xs, direction)
            return tuple(tangents)

        for mode, product in (("rev", backward), ("fwd", forward)):
            if mode not in self.modes:
                continue
            here = f"{path}{mode}"
            found = product(*map(tensor, points))
            actual, expected = found, slopes
            if mode == "rev":
                actual = (_inner(found, direction),)
                expected = [_inner(slopes, cotangents)]
            for a, e in zip(actual, expected, strict=True):
                _assert_close(a, e, self.rtol, self.atol, self._message(here, points))
            if order > 1:
                self.run(product, points, order - 1, rng, f"{here} of ")

    def _difference(
        self, function: Callable[..., Any], points: list[Any], direction: list[Any]
    ) -> list[Any]:
        """Return the derivative along a direction, by the five-point formula."""

        def at(t: float) -> list[Any]:
            moved = [x + t * v for x, v in zip(points, direction, strict=True)]
            return [v.numpy() for v in function(*map(tensor, moved))]

        h = self.eps
        return [
            (8.0 * (b - a) - (d - c)) / (12.0 * h)
            for a, b, c, d in zip(at(-h), at(h), at(-2 * h), at(2 * h), strict=True)
        ]

    def _message(self, path: str, points: list[Any]) -> str:
        order = path.count(" of ") + 1
        return (
            f"check_grads: derivative {order} of {self.name} ({path}) at arguments of "
            f"shapes {[x.shape for x in points]} does not agree with central "
            "differences. Either a gradient rule is wrong, or the value is detached, "
            "or the function has a kink near the arguments."
        )


def _inner(xs: Sequence[Any], ys: Sequence[Any]) -> float:
    pairs = zip(xs, ys, strict=True)
    return float(sum(np.sum(np.asarray(x) * np.asarray(y)) for x, y in pairs))


# --- losses -----------------------------------------------------------------------


def check_loss(
    loss: Any,
    y_true: ArrayLike,
    raw_prediction: ArrayLike,
    *,
    order: int | None = None,
    extremes: Sequence[float] = (),
    rtol: float = 1e-6,
    seed: int = 0,
) -> None:
    """Check what the rest of skgrad relies on when it minimises a loss.

    The loss returns one value per sample, of the dtype of the raw prediction; each
    depends on its own row only; weights multiply values and gradients; derivatives
    are right; a trace computes the same, with the hyperparameters as inputs; the
    arguments are left alone.

    Parameters
    ----------
    loss : str, Loss or callable
        What :func:`skgrad.losses.get_loss` takes; for example a plain function
        ``loss(y_true, raw_prediction) -> values per sample``.
    y_true : array of shape (n_samples,) or (n_samples, n_outputs)
        Targets in the loss's domain, at least two rows.
    raw_prediction : array of shape (n_samples,) or (n_samples, n_outputs)
        Raw predictions, away from the loss's kinks.
    order : int, optional
        Highest order of the derivatives to check; by default 2, or 1 if the loss says
        that it is not twice differentiable.
    extremes : sequence of float, default=()
        Raw predictions at which value and gradient must still be finite.
    rtol : float, default=1e-6
        Relative tolerance of the derivatives.
    seed : int, default=0
        Seed of weights and directions.

    Raises
    ------
    AssertionError
        Naming what does not hold.

    Examples
    --------
    >>> import skgrad
    >>> from skgrad.testing import check_loss
    >>> def fourth_power(y_true, raw_prediction):
    ...     return (y_true - raw_prediction) ** 4
    >>> check_loss(fourth_power, [0.0, 1.0, 2.0], [0.5, 0.1, 1.9])

    A mean inside the loss is found:

    >>> def centred(y_true, raw_prediction):
    ...     return (y_true - raw_prediction - raw_prediction.mean()) ** 2
    >>> check_loss(centred, [0.0, 1.0, 2.0], [0.5, 0.1, 1.9])
    Traceback (most recent call last):
        ...
    AssertionError: check_loss: the values of the loss 'centred' for some rows alone \
are not their values among all rows. ...
    """
    found = get_loss(loss)
    check = _LossCheck(found, np.array(y_true), np.array(raw_prediction, dtype=float))
    rng = np.random.default_rng(seed)
    check.shape_and_dtype()
    check.rows_are_independent(rng)
    check.weights_multiply(rng)
    check.traced_equals_eager()
    if order is None:
        order = 2 if found.twice_differentiable else 1
    check_grads(check.values, [check.raw], order, rtol=rtol, seed=seed)
    for extreme in extremes:
        check.finite_at(extreme)


class _LossCheck:
    """One call of check_loss."""

    def __init__(self, loss: Loss, y: Any, raw: Any) -> None:
        self.loss = loss
        self.name = f"the loss {(loss.name or type(loss).__name__)!r}"
        self.y = y
        self.raw = raw

    def values(self, raw: Any) -> Any:
        return self.loss(self.y, raw)

    def total(self, raw: Any, y: Any, weights: Any) -> Any:
        return functional.dot(self.loss(y, raw), weights)

    def shape_and_dtype(self) -> None:
        for dtype in ("float64", "float32"):
            y = self.y.astype(dtype) if self.y.dtype.kind == "f" else self.y
            raw = self.raw.astype(dtype)
            kept = y.copy(), raw.copy()
            out = self.loss(y, raw)
            slope = grad(lambda r, y=y: ops.sum(self.loss(y, r)))(raw)
            if out.shape != (self.raw.shape[0],):
                raise AssertionError(
                    f"check_loss: {self.name} must return one value per sample, shape "
                    f"({self.raw.shape[0]},). Got {out.shape}."
                )
            if out.dtype != dtype or slope.dtype != dtype:
                raise AssertionError(
                    f"check_loss: {self.name} must keep the dtype of raw_prediction. "
                    f"For {dtype} got values of {out.dtype}, gradients of "
                    f"{slope.dtype}: is there a NumPy array of another dtype in it?"
                )
            pairs = zip((y, raw), kept, strict=True)
            if not all(np.array_equal(a, b, equal_nan=True) for a, b in pairs):
                raise AssertionError(f"check_loss: {self.name} changed its arguments.")

    def rows_are_independent(self, rng: np.random.Generator) -> None:
        n = self.raw.shape[0]
        whole = self.loss(self.y, self.raw).numpy()
        some = rng.permutation(n)[: max(1, n // 2)]
        alone = self.loss(self.y[some], self.raw[some]).numpy()
        _assert_close(
            alone,
            whole[some],
            1e-10,
            1e-12,
            f"check_loss: the values of {self.name} for some rows alone are not their "
            "values among all rows. A loss is a value per sample: means, ranks and "
            "sums over the batch do not belong in it.",
        )

    def weights_multiply(self, rng: np.random.Generator) -> None:
        n = self.raw.shape[0]
        weights = rng.integers(0, 3, size=n).astype(float)
        weights[0] = 2.0
        value, slope = value_and_grad(self.total)(self.raw, self.y, weights)
        rows = np.repeat(np.arange(n), weights.astype(int))
        repeated, each = value_and_grad(self.total)(
            self.raw[rows], self.y[rows], np.ones(rows.size)
        )
        summed = np.zeros_like(self.raw)
        np.add.at(summed, rows, each.numpy())
        message = (
            f"check_loss: for {self.name} integer weights on the rows do not give what "
            "repeated rows give."
        )
        _assert_close(value, repeated, 1e-10, 1e-12, message + " Values:")
        _assert_close(slope, summed, 1e-10, 1e-12, message + " Gradients:")

    def traced_equals_eager(self) -> None:
        hyper = {k: np.array(v) for k, v in self.loss.hyperparameters().items()}

        def step(y: Any, raw: Any, hyper: dict[str, Any]) -> Any:
            def values(raw: Any) -> Any:
                return self.loss.pointwise(y, raw, **hyper)

            slope = grad(lambda r: ops.sum(values(r)))(raw)
            return values(raw), slope

        y = self.y if self.loss.labels else self.y.astype(self.raw.dtype)
        program = Traced(step)
        traced = program(y, self.raw, hyper)
        eager = step(tensor(y), tensor(self.raw), tree_map(tensor, hyper))
        for a, e in zip(traced, eager, strict=True):
            _assert_close(
                a,
                e,
                1e-10,
                1e-12,
                f"check_loss: {self.name} computes something else when it is traced. "
                "Does it depend on global state?",
            )

    def finite_at(self, extreme: float) -> None:
        raw = np.full_like(self.raw, extreme)
        if raw.ndim == 2:
            raw[:, 0] = -extreme
        value, slope = value_and_grad(self.total)(raw, self.y, np.ones(len(raw)))
        if not (np.isfinite(value.numpy()) and np.isfinite(slope.numpy()).all()):
            raise AssertionError(
                f"check_loss: {self.name} is not finite at raw predictions of "
                f"{extreme:g}: value {value.item():g}, gradients finite: "
                f"{bool(np.isfinite(slope.numpy()).all())}. Write it with softplus, "
                "logsumexp or log1p, and keep branches that are not chosen finite."
            )


# --- optimizers -------------------------------------------------------------------


def _parabola(x: Any) -> Any:
    scaled = (x - np.array([3.0, -2.0])) * np.array([1.0, 3.0])
    return ops.sum(ops.square(scaled)) * 0.5


def _rosenbrock(x: Any) -> Any:
    return (1.0 - x[0]) ** 2 + 100.0 * (x[1] - x[0] ** 2) ** 2


_PROBLEMS = (
    ("a parabola", _parabola, np.array([0.0, 0.0])),
    ("Rosenbrock's function", _rosenbrock, np.array([-1.2, 1.0])),
)


def check_optimizer(
    optimizer: Any,
    *,
    learning_rate: float = 1e-3,
    n_steps: int = 5000,
    factor: float = 0.1,
) -> None:
    """Check what the rest of skgrad relies on when it uses an optimizer.

    It descends a parabola and Rosenbrock's function. A stochastic one also keeps the
    shapes and dtypes of parameters and state, computes the same when it is traced,
    and needs no second trace at the second step or for other hyperparameters.

    Parameters
    ----------
    optimizer : str, optimizer or optimizer class
        What :func:`skgrad.optim.get_optimizer` takes.
    learning_rate : float, default=1e-3
        Rate of a stochastic optimizer on both problems.
    n_steps : int, default=5000
        Steps a stochastic optimizer may make.
    factor : float, default=0.1
        It must bring the value below this fraction of the initial one; a full-batch
        optimizer must converge.

    Raises
    ------
    AssertionError
        Naming what does not hold.

    Examples
    --------
    >>> from skgrad.optim import SGD
    >>> from skgrad.testing import check_optimizer
    >>> check_optimizer(SGD(momentum=0.9), n_steps=2000)
    >>> check_optimizer("newton")
    >>> check_optimizer(SGD(), n_steps=10)
    Traceback (most recent call last):
        ...
    AssertionError: check_optimizer: after 10 steps with learning rate 0.001 SGD() has \
brought a parabola from 22.5 to ...
    """
    found: Any = get_optimizer(optimizer)
    if not found.stochastic:
        for name, function, start in _PROBLEMS:
            _converges(found, name, function, start)
        return
    for dtype in ("float64", "float32"):
        _keeps_shapes(found, learning_rate, dtype)
    _traces_once(found, learning_rate)
    for name, function, start in _PROBLEMS:
        _descends(found, name, function, start, learning_rate, n_steps, factor)


def _converges(optimizer: Any, name: str, function: Any, start: Any) -> None:
    """Check a full-batch optimizer on one problem."""
    value_and_slope, curvature = value_and_grad(function), hessian(function)

    def objective(x: Any, hessian: bool = False, vector: Any = None) -> Any:
        if vector is not None:
            return hvp(function, [tensor(x)], [vector]).numpy()
        value, slope = value_and_slope(tensor(x))
        out = value.item(), slope.numpy()
        return (*out, curvature(tensor(x)).numpy()) if hessian else out

    result = optimizer.minimize(objective, start)
    if not result.success or not result.fun < 1e-8:
        raise AssertionError(
            f"check_optimizer: {optimizer} did not minimise {name}: value "
            f"{result.fun:g} after {result.nit} iterations ({result.message}); the "
            "minimum is 0."
        )


def _step(optimizer: Any, function: Any) -> Callable[..., Any]:
    """Return one step as a pure function (params, state, hyper) -> params', state'."""
    slope = grad(function)

    def step(params: Any, state: Any, hyper: Any) -> Any:
        return optimizer.update(slope(params), state, params, hyper)

    return step


def _hyper(optimizer: Any, learning_rate: float) -> dict[str, Any]:
    given = {**optimizer.hyperparameters(), "learning_rate": learning_rate}
    as_arrays: dict[str, Any] = tree_map(np.float64, given)
    return as_arrays


def _signature(tree: Tree) -> list[tuple[Any, ...]]:
    return [(leaf.shape, leaf.dtype.name) for leaf in tree_leaves(tree)]


def _keeps_shapes(optimizer: Any, learning_rate: float, dtype: str) -> None:
    params = {"w": tensor([[1.0, 2.0]], dtype=dtype), "b": tensor(0.5, dtype=dtype)}
    hyper = tree_map(tensor, _hyper(optimizer, learning_rate))
    state = optimizer.init(params)
    new_params, new_state = optimizer.update(params, state, params, hyper)
    for what, before, after in (
        ("parameters", params, new_params),
        ("state", state, new_state),
    ):
        if _signature(before) != _signature(after):
            raise AssertionError(
                f"check_optimizer: {optimizer} changes shapes or dtypes of the {what}: "
                f"{_signature(before)} before a step, {_signature(after)} after it. "
                "Cast scalars to the leaf's dtype with ops.astype where they are used."
            )


def _traces_once(optimizer: Any, learning_rate: float, n_steps: int = 5) -> None:
    step = _step(optimizer, _rosenbrock)
    traced = Traced(step)
    start = tensor([-1.2, 1.0])
    eager: Any = (start, optimizer.init(start))
    replayed: Any = tree_map(lambda leaf: leaf.numpy(), eager)
    for number in range(n_steps):
        hyper = _hyper(optimizer, learning_rate / (number + 1))
        eager = step(*eager, tree_map(tensor, hyper))
        replayed = traced(*replayed, hyper)
    for a, e in zip(tree_leaves(replayed), tree_leaves(eager), strict=True):
        _assert_close(
            a,
            e,
            1e-10,
            1e-12,
            f"check_optimizer: {optimizer} computes something else when its step is "
            "traced. Are all hyperparameters taken from 'hyper', and is the step "
            "counted in the state?",
        )
    if traced.n_traces != 1:
        raise AssertionError(
            f"check_optimizer: {n_steps} steps of {optimizer} needed {traced.n_traces} "
            "traces. The state must keep its structure, shapes and dtypes."
        )


def _descends(
    optimizer: Any,
    name: str,
    function: Any,
    start: Any,
    learning_rate: float,
    n_steps: int,
    factor: float,
) -> None:
    step = Traced(_step(optimizer, function))
    hyper = _hyper(optimizer, learning_rate)
    state = tree_map(lambda leaf: leaf.numpy(), optimizer.init(tensor(start)))
    program = step.program(start, state, hyper)
    params = start
    for _ in range(n_steps):
        params, state = program(params, state, hyper)
    before, after = (function(tensor(x)).item() for x in (start, params))
    if not after < factor * before:
        raise AssertionError(
            f"check_optimizer: after {n_steps} steps with learning rate "
            f"{learning_rate:g} {optimizer} has brought {name} from {before:.4g} to "
            f"{after:.4g}, not below {factor:g} of it. Is the sign of the update "
            "right, and the rate in the range the optimizer is meant for?"
        )
