"""Quantile regressions of every kind, and what is known of them from elsewhere."""

from dataclasses import dataclass

import hypothesis.strategies as st
import numpy as np
import scipy.optimize
import scipy.sparse

from skgrad.solvers import QuantileProblem

# What a sum may be off by rounding, as a part of the sum of its absolute terms.
ROUNDING = 1e-14
# What sums of dual variables may be off by, as a part of the largest that they may be.
BALANCE = 1e-12


# --------------------------------------------------------------------------- parts


def _scaled(rng, n, p):
    sizes, shifts = rng.integers(-4, 5, p), rng.integers(0, 4, p)
    return rng.normal(size=(n, p)) * 10.0**sizes + 10.0**shifts


def _collinear(rng, n, p):
    X = rng.normal(size=(n, p))
    X[:, -1] = 2 * X[:, 0]
    if p > 3:
        X[:, -2] = X[:, 1] - X[:, 0]
    return X


def _constant(rng, n, p):
    X = rng.normal(size=(n, p))
    X[:, 0] = 3.0
    X[:, p // 2 :: 3] = 0.0
    return X


INPUTS = {
    "normal": lambda rng, n, p: rng.normal(size=(n, p)),
    "integers": lambda rng, n, p: np.round(rng.normal(size=(n, p))),
    "binary": lambda rng, n, p: 1.0 * (rng.random((n, p)) < rng.choice([0.1, 0.5])),
    "one-hot": lambda rng, n, p: np.eye(p)[rng.integers(0, p, n)],
    "sparse": lambda rng, n, p: rng.normal(size=(n, p)) * (rng.random((n, p)) < 0.1),
    "duplicated": lambda rng, n, p: rng.normal(size=(n, p))[
        rng.integers(0, max(1, n // 5), n)
    ],
    "collinear": _collinear,
    "constant columns": _constant,
    "badly scaled": _scaled,
    "heavy tails": lambda rng, n, p: rng.standard_cauchy((n, p)),
    "powers": lambda rng, n, p: (
        rng.uniform(-1, 1, n)[:, None] ** (np.arange(p) % 9 + 1)
    ),
}


def _half(rng, fit):
    return fit + rng.normal(size=len(fit)) * (rng.random(len(fit)) < 0.5)


TARGETS = {
    "noisy": lambda rng, fit: fit + rng.standard_t(3, size=len(fit)),
    "integers": lambda rng, fit: np.round(fit + rng.normal(size=len(fit))),
    "few values": lambda rng, fit: np.sign(fit + rng.normal(size=len(fit))),
    "constant": lambda rng, fit: np.full(len(fit), 2.0),
    "zero": lambda rng, fit: np.zeros(len(fit)),
    "exact": lambda rng, fit: fit,
    "half exact": _half,
    "heavy tails": lambda rng, fit: fit + rng.standard_cauchy(len(fit)),
    "skewed": lambda rng, fit: np.exp(2 * rng.normal(size=len(fit))) + fit,
    "large": lambda rng, fit: 1e6 * (1 + fit + rng.normal(size=len(fit))),
    "tiny": lambda rng, fit: 1e-9 * (fit + rng.normal(size=len(fit))),
}

WEIGHTS = {
    "ones": lambda rng, n: np.ones(n),
    "integers": lambda rng, n: rng.integers(1, 4, n) * 1.0,
    "exponential": lambda rng, n: rng.exponential(size=n) + 1e-6,
    "far apart": lambda rng, n: 10.0 ** rng.uniform(-6, 6, n),
}

PENALTIES = {
    "none": lambda rng, p: None,
    "equal": lambda rng, p: np.full(p, 10.0 ** rng.uniform(-5, 0)),
    "factors": lambda rng, p: 10.0 ** rng.uniform(-5, 0, p) * (rng.random(p) < 0.7),
}


def _some(rng, p, bound, otherwise):
    return np.where(rng.random(p) < 0.5, bound, otherwise)


def _box(rng, p):
    low = rng.normal(size=p)
    return low, low + rng.exponential(size=p)


def _sides(rng, p):
    ends = np.sort(rng.normal(size=(2, p)), axis=0)
    return _some(rng, p, ends[0], -np.inf), _some(rng, p, ends[1], np.inf)


def _equal(rng, p):
    at = rng.normal(size=p)
    pinned = rng.random(p) < 0.5
    return np.where(pinned, at, -np.inf), np.where(pinned, at, np.inf)


BOUNDS = {
    "none": lambda rng, p: (None, None),
    "positive": lambda rng, p: (np.zeros(p), None),
    "negative": lambda rng, p: (None, np.zeros(p)),
    "box": _box,
    "one-sided": _sides,
    "equal": _equal,
    "zero": lambda rng, p: (_some(rng, p, 0.0, -1.0), _some(rng, p, 0.0, np.inf)),
}


@dataclass(frozen=True)
class Case:
    """A problem by its properties, so that a failing one can be read."""

    n: int
    p: int
    quantile: float
    inputs: str = "normal"
    targets: str = "noisy"
    weights: str = "ones"
    penalty: str = "none"
    bounds: str = "none"
    fit_intercept: bool = True
    seed: int = 0

    def problem(self):
        rng = np.random.default_rng(self.seed)
        X = INPUTS[self.inputs](rng, self.n, self.p)
        coef = rng.normal(size=self.p) / max(1.0, np.abs(X).max())
        y = TARGETS[self.targets](rng, X @ coef)
        w = WEIGHTS[self.weights](rng, self.n)
        penalty = PENALTIES[self.penalty](rng, self.p)
        if penalty is not None:
            penalty *= w.sum()
        low, high = BOUNDS[self.bounds](rng, self.p)
        return QuantileProblem(X, y, w, self.fit_intercept, penalty, low, high)


def cases(largest):
    """Return a strategy of cases of at most so many rows, most of them small.

    All properties follow from one seed: drawn one by one they would mostly be the first
    of their lists, and half the problems have ten rows.
    """
    return st.integers(0, 2**64 - 1).map(lambda seed: drawn(seed, largest))


def drawn(seed, largest):
    """Return the case of a seed."""
    rng = np.random.default_rng(seed)

    def one(names, first=0.0):
        names = list(names)
        return names[0 if rng.random() < first else rng.integers(len(names))]

    return Case(
        n=int(np.exp(rng.uniform(0, np.log(largest + 0.999)))),
        p=int(rng.integers(1, one([5, 31]))),
        quantile=float(one([0.001, 0.25, 0.5, 0.9, 0.999, rng.uniform(0.001, 0.999)])),
        inputs=one(INPUTS),
        targets=one(TARGETS),
        weights=one(WEIGHTS),
        penalty=one(PENALTIES, first=0.4),
        bounds=one(BOUNDS, first=0.4),
        fit_intercept=bool(rng.random() < 0.7),
        seed=seed,
    )


# ----------------------------------------------------------------- what is known


def objective(problem, quantile, coef, intercept):
    """Return the objective by its definition, and the sum of its absolute terms."""
    r = problem.y - problem.X @ coef - intercept
    value = problem.w @ np.where(r > 0, quantile * r, (quantile - 1) * r)
    size = np.abs(problem.y) + np.abs(problem.X) @ np.abs(coef) + np.abs(intercept)
    terms = problem.w @ size
    if problem.penalty is not None:
        value += problem.penalty @ np.abs(coef)
        terms += problem.penalty @ np.abs(coef)
    return value, terms


def limits(problem):
    """Return the bounds of the coefficients as arrays."""
    free = np.full(problem.X.shape[1], np.inf)
    low = -free if problem.low is None else problem.low
    return low, free if problem.high is None else problem.high


def by_highs(problem, quantile):
    """Return coefficients and intercept by SciPy, or None where it gives up.

    The linear programme of R. Koenker and G. Bassett, Regression quantiles,
    Econometrica 46 (1978) 33-50: coefficients as differences of positive parts, and
    the positive and negative parts of the residuals.
    """
    n, p = problem.X.shape
    low, high = limits(problem)
    penalty = np.zeros(p) if problem.penalty is None else problem.penalty
    ones = np.ones((n, int(problem.fit_intercept)))
    A = scipy.sparse.hstack(
        [
            scipy.sparse.csc_array(np.hstack([problem.X, problem.X, ones])),
            scipy.sparse.eye_array(n),
            -scipy.sparse.eye_array(n),
        ]
    )
    rates = [penalty, -penalty, np.zeros(ones.shape[1])]
    losses = [problem.w * quantile, problem.w * (1 - quantile)]
    below = np.concatenate(
        [np.maximum(low, 0), np.minimum(low, 0), [-np.inf] * ones.shape[1], [0] * 2 * n]
    )
    above = np.concatenate(
        [np.maximum(high, 0), np.minimum(high, 0), [np.inf] * (ones.shape[1] + 2 * n)]
    )
    result = scipy.optimize.linprog(
        np.concatenate(rates + losses),
        A_eq=A,
        b_eq=problem.y,
        bounds=np.column_stack([below, above]),
        method="highs",
        options={
            "primal_feasibility_tolerance": 1e-10,
            "dual_feasibility_tolerance": 1e-10,
            "time_limit": 20.0,
        },
    )
    if result.status != 0:
        return None
    coef = np.clip(result.x[:p] + result.x[p : 2 * p], low, high)
    return coef, result.x[2 * p] if problem.fit_intercept else 0.0


@dataclass(frozen=True)
class Certificate:
    """What dual variables prove.

    Parameters
    ----------
    bound : float
        No coefficients within the bounds have a smaller objective.
    imbalance : array of shape (p,)
        By how much each column's sum is more than its penalty and bounds allow, as a
        part of the largest sum that it may have.
    of_intercept : float
        The same of the sum of the rows, which an intercept makes zero.
    """

    bound: float
    imbalance: np.ndarray
    of_intercept: float


def certificate(problem, quantile, dual):
    """Return what dual variables per weight prove, by weak duality.

    For b in its bounds the objective is at least the sum over rows of w d (y - x b)
    and the penalty: w d y and the least of each ``penalty |b| - (w d X) b``.
    """
    weighted = problem.w * dual
    pull, total = weighted @ problem.X, problem.w.sum()
    size = problem.w @ np.abs(problem.X) + total * np.abs(problem.X).mean(axis=0)
    rate = np.zeros(len(pull)) if problem.penalty is None else problem.penalty
    low, high = limits(problem)
    # The least is where the bounds are nearest to zero, unless the pull is more than
    # the penalty: then at the end it pulls to, which must be finite.
    nearest, end = np.clip(0.0, low, high), np.where(pull > 0, high, low)
    beyond = np.maximum(np.abs(pull) - rate, 0.0)
    imbalance = np.where(np.isinf(end), beyond / (size + 1e-300), 0.0)
    at_end = np.isfinite(end) & (beyond > BALANCE * size)
    at = np.where(at_end, end, nearest)
    slope = np.where(at_end, pull, np.clip(pull, -rate, rate))
    least = rate * np.abs(at) - slope * at
    bound = weighted @ problem.y + least.sum()
    of_intercept = abs(weighted.sum()) / total if problem.fit_intercept else 0.0
    return Certificate(float(bound), imbalance, float(of_intercept))
