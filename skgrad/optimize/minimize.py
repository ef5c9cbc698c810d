"""SciPy's minimize, with derivatives that nobody has to write."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import optimize

from skgrad.core.params import did_you_mean
from skgrad.exceptions import ParameterError
from skgrad.optimize.functions import Constraint, Scalar
from skgrad.optimize.layout import Layout, Vector
from skgrad.typing import ArrayLike

__all__ = ["minimize"]


class Method(NamedTuple):
    """What a method of SciPy uses besides the value."""

    name: str
    gradient: bool = False
    hessian: str | None = None  # the keyword of SciPy's that gives it
    takes: tuple[str, ...] = ()


BOTH = ("bounds", "constraints")
METHODS = {
    method.name.lower(): method
    for method in (
        Method("Nelder-Mead", takes=("bounds",)),
        Method("Powell", takes=("bounds",)),
        Method("COBYLA", takes=BOTH),
        Method("COBYQA", takes=BOTH),
        Method("CG", gradient=True),
        Method("BFGS", gradient=True),
        Method("L-BFGS-B", gradient=True, takes=("bounds",)),
        Method("TNC", gradient=True, takes=("bounds",)),
        Method("SLSQP", gradient=True, takes=BOTH),
        Method("Newton-CG", gradient=True, hessian="hessp"),
        Method("trust-ncg", gradient=True, hessian="hessp"),
        Method("trust-krylov", gradient=True, hessian="hessp"),
        Method("trust-constr", gradient=True, hessian="hessp", takes=BOTH),
        Method("dogleg", gradient=True, hessian="hess"),
        Method("trust-exact", gradient=True, hessian="hess"),
    )
}


def minimize(
    fun: Callable[..., Any],
    x0: ArrayLike | Mapping[str, Any],
    method: str | None = None,
    bounds: optimize.Bounds | Sequence[tuple[float | None, float | None]] | None = None,
    constraints: Any = (),
    args: tuple[Any, ...] = (),
    tol: float | None = None,
    callback: Callable[..., object] | None = None,
    options: Mapping[str, Any] | None = None,
) -> optimize.OptimizeResult:
    r"""Minimise a function of any shape of argument, with exact derivatives.

    .. math::
        \min_x f(x) \quad \text{such that} \quad
        l \le x \le u, \quad c_{\text{eq}}(x) = 0, \quad c_{\text{ineq}}(x) \ge 0

    :func:`scipy.optimize.minimize` does it. The gradient of `fun`, and for methods
    that use them its Hessian or products with it and the Jacobians and Hessians of
    the constraints, are derived from the functions themselves. These are traced once:
    an evaluation then runs a program, not Python, compiled where that pays.

    Parameters
    ----------
    fun : callable
        ``fun(x, *args)`` returns a scalar tensor; written with operators and skgrad's
        functions on the tensor ``x``, of the shape of `x0`.
    x0 : array-like or dict of array-like
        Where to start, of any shape; numbers become float64. With a dict (it may be
        nested) ``x`` is a dict of tensors.
    method : str, default=None
        A method of SciPy, see the notes. By default "SLSQP" with constraints,
        "L-BFGS-B" with bounds, else "BFGS".
    bounds : sequence of (low, high) pairs or scipy.optimize.Bounds, default=None
        One pair per element, in the order of the flat vector, ``None`` for a free
        side; the arrays of ``Bounds`` may also have the shape of `x0`, or none.
    constraints : dict, LinearConstraint, NonlinearConstraint or list, default=()
        One or several: ``{"type": "eq" or "ineq", "fun": c}``, perhaps with ``"args"``;
        :class:`scipy.optimize.NonlinearConstraint`, whose ``fun`` is written as `fun`
        is and returns a tensor of shape () or (m,);
        :class:`scipy.optimize.LinearConstraint`, on the flat vector.
    args : tuple, default=()
        Further arguments of `fun`, passed on as they are.
    tol : float, default=None
        Tolerance; what it means depends on the method, as in SciPy.
    callback : callable, default=None
        ``callback(x)`` or ``callback(intermediate_result)``, after each iteration, as
        in SciPy; ``x`` in the shape of `x0`.
    options : dict, default=None
        Options of the method, as in SciPy, for example ``{"maxiter": 1000}``.

    Returns
    -------
    scipy.optimize.OptimizeResult
        SciPy's: ``x, fun, success, message, nit, nfev`` and more. ``x`` and the
        gradient (``jac``; "trust-constr" calls it ``grad``) have the form of `x0`,
        matrices are those of the flat vector.

    Raises
    ------
    ParameterError
        If there is no such method, the method knows nothing of bounds or constraints
        that were given, or `fun` or a constraint is not finite at `x0`.
    GradientError
        If a function does not return a tensor.
    ShapeError
        If `fun` does not return a scalar, or bounds do not fit `x0`.
    DTypeError
        If `x0` or what a function returns is of another dtype than float64.

    See Also
    --------
    skgrad.grad : The gradient itself, of any function.
    skgrad.hessian : The Hessian, for standard errors at the minimum.

    Notes
    -----
    ==================================  ====================================
    Method                              uses
    ==================================  ====================================
    Nelder-Mead, Powell                 values; bounds
    COBYLA, COBYQA                      values; bounds, constraints
    CG, BFGS                            gradients
    L-BFGS-B, TNC                       gradients; bounds
    SLSQP                               gradients; bounds, constraints
    Newton-CG, trust-ncg, trust-krylov  gradients, Hessian-vector products
    trust-constr                        the same; bounds, constraints
    dogleg, trust-exact                 gradients, Hessians
    ==================================  ====================================

    A function whose Python control flow depends on the values of ``x`` cannot be
    traced. It runs operation by operation, with a warning that names the line.

    Examples
    --------
    >>> import numpy as np
    >>> import skgrad
    >>> def rosenbrock(x):
    ...     return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()
    >>> result = skgrad.minimize(rosenbrock, [-1.2, 1.0])
    >>> result.x.round(4), result.success
    (array([1., 1.]), True)

    The standard errors of a maximum-likelihood estimate from the exact Hessian:

    >>> rng = np.random.default_rng(0)
    >>> y = rng.gamma(2.0, 3.0, size=500)
    >>> def minus_log_likelihood(p):   # log-normal
    ...     z = (np.log(y) - p["mean"]) / skgrad.exp(p["log_scale"])
    ...     return (p["log_scale"] + z**2 / 2).sum()
    >>> fit = skgrad.minimize(minus_log_likelihood, {"mean": 0.0, "log_scale": 0.0})
    >>> bool(np.isclose(fit.x["mean"], np.log(y).mean()))
    True

    The point of a circle that is closest to (3, 4):

    >>> result = skgrad.minimize(
    ...     lambda x: ((x - np.array([3.0, 4.0])) ** 2).sum(),
    ...     np.ones(2),
    ...     constraints={"type": "eq", "fun": lambda x: (x**2).sum() - 1.0},
    ... )
    >>> result.x.round(6)
    array([0.6, 0.8])
    """
    layout = Layout(x0)
    given = _listed(constraints)
    chosen = _chosen(method, bounds, given)
    box = None if bounds is None else layout.bounds(bounds)
    start = layout.start if box is None else np.clip(layout.start, box.lb, box.ub)
    objective = Scalar(fun, layout, args)
    objective.check(start, chosen.gradient)
    result = optimize.minimize(
        **_derivatives(objective, chosen),
        x0=layout.start,
        method=chosen.name,
        bounds=box,
        constraints=[_constraint(c, layout, chosen, start) for c in given],
        tol=tol,
        callback=layout.callback(callback, chosen.name),
        options=None if options is None else dict(options),
    )
    return layout.result(result)


def _listed(constraints: Any) -> list[Any]:
    """Return constraints, however they are given, as a list."""
    single = (dict, optimize.LinearConstraint, optimize.NonlinearConstraint)
    if isinstance(constraints, single):
        return [constraints]
    return list(constraints or ())


def _chosen(method: str | None, bounds: Any, constraints: list[Any]) -> Method:
    """Return the method, if it knows what to do with what is given."""
    if method is None:
        method = "SLSQP" if constraints else "BFGS" if bounds is None else "L-BFGS-B"
    names = [known.name for known in METHODS.values()]
    if not isinstance(method, str) or method.lower() not in METHODS:
        hint = did_you_mean(method, METHODS)
        raise ParameterError(f"Unknown method {method!r}. Known are {names}.{hint}")
    chosen = METHODS[method.lower()]
    given = {"bounds": bounds is not None, "constraints": bool(constraints)}
    for what, is_given in given.items():
        if is_given and what not in chosen.takes:
            able = [known.name for known in METHODS.values() if what in known.takes]
            raise ParameterError(
                f"Method {chosen.name!r} takes no {what}. Use one of {able}, or leave "
                f"out 'method'."
            )
    return chosen


def _derivatives(objective: Scalar, method: Method) -> dict[str, Any]:
    """Return the function with those derivatives that a method uses."""
    if not method.gradient:
        return {"fun": objective.value}
    given = {"fun": objective.value_and_gradient, "jac": True}
    if method.hessian is not None:
        given[method.hessian] = getattr(objective, method.hessian)
    return given


def _constraint(given: Any, layout: Layout, method: Method, start: Vector) -> Any:
    """Return a constraint on the flat vector with the derivatives a method uses."""
    if isinstance(given, optimize.LinearConstraint):
        return given
    if isinstance(given, optimize.NonlinearConstraint):
        _refuse_derivatives(given)
        constraint = Constraint(given.fun, layout)
        low, high, feasible = given.lb, given.ub, given.keep_feasible
    else:
        constraint = Constraint(_fun_of(given), layout, given.get("args", ()))
        low, high, feasible = 0.0, 0.0 if given["type"] == "eq" else np.inf, False
    constraint.check(start)
    if isinstance(given, dict) and method.name == "SLSQP":
        return {"type": given["type"], "fun": constraint.value, "jac": constraint.jac}
    derivatives: dict[str, Any] = {}
    if method.gradient:
        derivatives["jac"] = constraint.jac
    if method.hessian is not None:
        derivatives["hess"] = constraint.hess
    return optimize.NonlinearConstraint(
        constraint.value, low, high, keep_feasible=feasible, **derivatives
    )


def _fun_of(given: Any) -> Any:
    """Return the function of a constraint that is a dict, its entries checked."""
    if not isinstance(given, dict):
        raise ParameterError(
            "A constraint must be a dict {'type': 'eq' or 'ineq', 'fun': ...}, a "
            "NonlinearConstraint or a LinearConstraint of scipy.optimize. Got a "
            f"{type(given).__name__}."
        )
    missing = {"type", "fun"} - set(given)
    unknown = set(given) - {"type", "fun", "args"}
    if missing or unknown:
        raise ParameterError(
            f"A constraint has the keys 'type', 'fun' and perhaps 'args' (its Jacobian "
            f"is derived from 'fun'). Got {sorted(given)}."
        )
    if given["type"] not in ("eq", "ineq"):
        raise ParameterError(
            f"The 'type' of a constraint must be 'eq' (fun(x) = 0) or 'ineq' "
            f"(fun(x) >= 0). Got {given['type']!r}."
        )
    return given["fun"]


def _refuse_derivatives(given: optimize.NonlinearConstraint) -> None:
    """Refuse what would be ignored: derivatives, or ways to approximate them."""
    default = optimize.NonlinearConstraint(given.fun, given.lb, given.ub)
    approximations = (given.finite_diff_rel_step, given.finite_diff_jac_sparsity)
    own = (
        given.jac != default.jac
        or type(given.hess) is not type(default.hess)
        or any(option is not None for option in approximations)
    )
    if own:
        raise ParameterError(
            "The derivatives of a NonlinearConstraint are derived from its 'fun': "
            "leave out 'jac', 'hess' and the options for finite differences."
        )
