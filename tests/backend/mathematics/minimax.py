"""How the polynomials of skgrad.backend.mathematics.coefficients were computed."""

from collections.abc import Callable
from typing import Any, NamedTuple

import mpmath as mp

Function = Callable[[Any], Any]


class Fit(NamedTuple):
    """A weighted approximation problem on an interval, with the degree by dtype."""

    function: Function
    weight: Function
    low: Any
    high: dict[str, Any]
    degree: dict[str, int]


def _degree(float32: int, float64: int) -> dict[str, int]:
    return {"float32": float32, "float64": float64}


def _both(high: Any) -> dict[str, Any]:
    return {"float32": high, "float64": high}


def fits() -> dict[str, Fit]:
    """Return the problems, at the present precision.

    Where the unknown is a square, the interval begins just above 0, where the quotient
    could not be evaluated.
    """
    root = mp.sqrt
    half_ln2 = mp.log(2) / 2 * mp.mpf("1.0005")
    s2 = ((root(2) - 1) / (root(2) + 1) * mp.mpf("1.001")) ** 2
    angle2 = (mp.pi / 4 * mp.mpf("1.001")) ** 2
    return {
        "exp": Fit(
            lambda r: (mp.expm1(r) - r) / r**2,
            abs,
            -half_ln2,
            _both(half_ln2),
            _degree(4, 9),
        ),
        "log": Fit(
            lambda z: (2 * mp.atanh(root(z)) - 2 * root(z)) / root(z) ** 3,
            lambda z: z / 2,
            s2 / 10**6,
            _both(s2),
            _degree(2, 6),
        ),
        "power": Fit(
            lambda z: (mp.atanh(root(z)) / root(z) - 1 - z / 3) / z**2,
            lambda z: z * z,
            s2 / 10**4,
            _both(s2),
            _degree(2, 6),
        ),
        "erf_small": Fit(
            lambda z: mp.erf(root(z)) / root(z) - 1,
            lambda z: root(z) / mp.erf(root(z)),
            mp.mpf(10) ** -9,
            _both(1),
            _degree(6, 12),
        ),
        "erf_large": Fit(
            lambda u: mp.log(mp.erfc(1 + u)),
            lambda u: mp.erfc(1 + u) / mp.erf(1 + u),
            0,
            {"float32": 2.93, "float64": 4.93},
            _degree(6, 17),
        ),
        "tanh": Fit(
            lambda z: (mp.tanh(root(z)) / root(z) - 1) / z,
            lambda z: z * root(z) / mp.tanh(root(z)),
            mp.mpf(10) ** -7,
            {"float32": mp.mpf(0.6) ** 2},
            {"float32": 4},
        ),
        "sin": Fit(
            lambda z: (mp.sin(root(z)) - root(z)) / root(z) ** 3,
            lambda z: z,
            angle2 / 10**6,
            _both(angle2),
            _degree(2, 5),
        ),
        "cos": Fit(
            lambda z: (mp.cos(root(z)) - 1 + z / 2) / z**2,
            lambda z: z * z,
            angle2 / 10**6,
            _both(angle2),
            _degree(2, 5),
        ),
    }


def minimax(fit: Fit, dtype: str, n_points: int = 600) -> tuple[list[Any], Any]:
    """Return coefficients, the constant first, and the largest weighted error.

    Remez' exchange on Chebyshev points: the polynomial whose weighted error alternates
    on ``degree + 2`` points, which then move to the extrema of the error.
    """
    low, high = mp.mpf(fit.low), mp.mpf(fit.high[dtype])
    n = fit.degree[dtype] + 2
    x = [
        (low + high) / 2
        - (high - low) / 2 * mp.cos(mp.pi * (k + mp.mpf(1) / 2) / n_points)
        for k in range(n_points)
    ]
    values = [mp.mpf(fit.function(t)) for t in x]
    weights = [mp.mpf(fit.weight(t)) for t in x]
    chosen = [int((k + 0.5) * n_points / n) for k in range(n)]
    for _ in range(12):
        coefficients = _alternating(x, values, weights, chosen)
        errors = [
            w * (v - mp.polyval(coefficients[::-1], t))
            for t, v, w in zip(x, values, weights, strict=True)
        ]
        extrema = _extrema(errors, n)
        if extrema == chosen:
            break
        chosen = extrema
    return coefficients, max(map(abs, errors))


def _alternating(x: list, values: list, weights: list, chosen: list[int]) -> list[Any]:
    n = len(chosen)
    matrix, right = mp.matrix(n, n), mp.matrix(n, 1)
    for i, j in enumerate(chosen):
        for d in range(n - 1):
            matrix[i, d] = x[j] ** d
        matrix[i, n - 1] = (-1) ** i / weights[j]
        right[i] = values[j]
    solution = mp.lu_solve(matrix, right)
    return [solution[d] for d in range(n - 1)]


def _extrema(errors: list[Any], n: int) -> list[int]:
    """Return the places of n extrema of alternating signs, the largest."""
    places: list[int] = []
    for j, error in enumerate(errors):
        if not places or (errors[places[-1]] > 0) != (error > 0):
            places.append(j)
        elif abs(error) > abs(errors[places[-1]]):
            places[-1] = j
    while len(places) > n:
        first = abs(errors[places[0]]) < abs(errors[places[-1]])
        places.pop(0 if first else -1)
    return places
