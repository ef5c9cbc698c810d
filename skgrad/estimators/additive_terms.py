"""Terms of an additive model: what a user asks for, and what becomes of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

import numpy as np

from skgrad.core.checks import check_boolean, check_integer, wrong_parameter
from skgrad.core.params import did_you_mean
from skgrad.estimators.additive_basis import (
    DEGREE,
    PENALTIES,
    SplineBasis,
    breakpoints,
    spline_basis,
)
from skgrad.exceptions import ParameterError
from skgrad.typing import Array

__all__ = [
    "FactorTerm",
    "FittedTerm",
    "LinearTerm",
    "SplineTerm",
    "Table",
    "TensorTerm",
    "default_terms",
    "fitted_terms",
]

Column = str | int
KNOTS = ("quantile", "uniform")
# Numbers with fewer distinct values than this are taken as straight by default.
FEW_VALUES = 8
LEAST_BASIS = DEGREE + 1
# Range of a column beside its quartiles, beyond which Gram matrices lose the middle.
FAR = 1e5


@dataclass(frozen=True, eq=False)
class Table:
    """The inputs as numbers, with the names of columns and the levels of factors."""

    X: Array
    names: Sequence[str]
    levels: dict[int, Array]

    def index(self, column: Column) -> int:
        """Return the position of a column given by name or position."""
        p = self.X.shape[1]
        if isinstance(column, str):
            if column in self.names:
                return list(self.names).index(column)
            raise ParameterError(
                f"There is no column {column!r} in X; its columns are "
                f"{list(self.names)}.{did_you_mean(column, list(self.names))}"
            )
        if not isinstance(column, int | np.integer) or not -p <= column < p:
            raise ParameterError(
                "A term's column must be a name or a position below "
                f"{p}, the number of columns of X. Got {column!r}."
            )
        return int(column) % p

    def numeric(self, column: Column, kind: str) -> tuple[int, Array]:
        """Return the position and the distinct values of a numeric column."""
        j = self.index(column)
        if j in self.levels:
            raise ParameterError(
                f"The column {self.names[j]!r} holds categories, and a {kind} term "
                f"needs numbers. Use FactorTerm({column!r})."
            )
        values = np.unique(self.X[:, j])
        if len(values) == 1:
            raise ValueError(
                f"The column {self.names[j]!r} has one value, {values[0]:g}, in all "
                "rows with a positive weight: no effect can be estimated. Leave out "
                "its term."
            )
        return j, values


# ------------------------------------------------------------------------ fitted terms


class FittedTerm(ABC):
    """Functions of one or two features, a coefficient for each."""

    kind: ClassVar[str]
    columns: tuple[int, ...]
    name: str
    penalties: Array
    """Diagonals of the penalty matrices, (n_penalties, n_coefficients)."""

    @abstractmethod
    def basis(self, X: Array) -> Array:
        """Return the functions at rows of X, (n, n_coefficients)."""

    @abstractmethod
    def grid(self, n: int) -> Array:
        """Return values over the range of the fit, (m, n_columns)."""

    def coefficients(self) -> tuple[list[str], float]:
        """Return names of coefficients, and what they are divided by to be shown."""
        return [self.name], 1.0

    @property
    def smooth(self) -> bool:
        """Whether the term has a penalty."""
        return len(self.penalties) > 0


@dataclass(frozen=True, eq=False)
class Spline(FittedTerm):
    """A spline less its constant."""

    columns: tuple[int, ...]
    name: str
    splines: SplineBasis
    kind = "spline"

    @property
    def penalties(self) -> Array:
        """See `FittedTerm.penalties`."""
        return self.splines.penalty[None, 1:]

    def basis(self, X: Array) -> Array:
        """See `FittedTerm.basis`."""
        return self.splines(X[:, self.columns[0]])[:, 1:]

    def grid(self, n: int) -> Array:
        """See `FittedTerm.grid`."""
        return self.splines.grid(n)[:, None]


@dataclass(frozen=True, eq=False)
class Line(FittedTerm):
    """A straight line, in units that suit the feature."""

    columns: tuple[int, ...]
    name: str
    low: float
    width: float
    kind = "linear"
    penalties = np.empty((0, 1))

    def coefficients(self) -> tuple[list[str], float]:
        """See `FittedTerm.coefficients`."""
        return [self.name], self.width

    def basis(self, X: Array) -> Array:
        """See `FittedTerm.basis`."""
        return (X[:, [*self.columns]] - self.low) / self.width

    def grid(self, n: int) -> Array:
        """See `FittedTerm.grid`."""
        return np.linspace(self.low, self.low + self.width, n)[:, None]


@dataclass(frozen=True, eq=False)
class Levels(FittedTerm):
    """An effect of each level, or of each but the first."""

    columns: tuple[int, ...]
    name: str
    values: Array
    labels: Array
    penalized: bool
    kind = "factor"

    @property
    def penalties(self) -> Array:
        """See `FittedTerm.penalties`."""
        return np.ones((1, len(self.values)) if self.penalized else (0, self._count))

    def coefficients(self) -> tuple[list[str], float]:
        """See `FittedTerm.coefficients`."""
        return [f"{self.name}[{label}]" for label in self.labels[-self._count :]], 1.0

    @property
    def _count(self) -> int:
        return len(self.values) - (not self.penalized)

    def basis(self, X: Array) -> Array:
        """See `FittedTerm.basis`."""
        x = X[:, self.columns[0]]
        shown = x[:, None] == self.values
        if self.penalized:  # the mean of all levels stands for others
            return shown.astype(np.float64)
        unknown = ~shown.any(axis=1)
        if unknown.any():
            row = int(np.flatnonzero(unknown)[0])
            raise ValueError(
                f"Row {row} of X has a level of {self.name!r} that no row of the fit "
                f"had; those are {self.labels.tolist()}. Remove such rows, or use "
                "FactorTerm(..., penalized=True), which takes the mean of all levels "
                "for others."
            )
        return shown[:, 1:].astype(np.float64)

    def grid(self, n: int) -> Array:
        """See `FittedTerm.grid`."""
        return self.values[:, None]


@dataclass(frozen=True, eq=False)
class Surface(FittedTerm):
    """Products of two splines, less the constant."""

    columns: tuple[int, ...]
    name: str
    margins: tuple[SplineBasis, SplineBasis]
    kind = "tensor"

    @property
    def penalties(self) -> Array:
        """See `FittedTerm.penalties`."""
        first, second = (margin.penalty for margin in self.margins)
        ones = np.ones_like
        along = [np.outer(first, ones(second)), np.outer(ones(first), second)]
        return np.array([each.ravel()[1:] for each in along])

    def basis(self, X: Array) -> Array:
        """See `FittedTerm.basis`."""
        a, b = (
            margin(X[:, j])
            for margin, j in zip(self.margins, self.columns, strict=True)
        )
        return (a[:, :, None] * b[:, None, :]).reshape(len(X), -1)[:, 1:]

    def grid(self, n: int) -> Array:
        """See `FittedTerm.grid`."""
        each = np.meshgrid(*(margin.grid(n) for margin in self.margins), indexing="ij")
        return np.column_stack([part.ravel() for part in each])


# ------------------------------------------------------------------------- asked terms


@dataclass(frozen=True)
class LinearTerm:
    """A straight effect of a column, not penalised.

    Parameters
    ----------
    column : str or int
        The column, by name or position.

    Examples
    --------
    >>> from skgrad.estimators import LinearTerm
    >>> LinearTerm("age")
    LinearTerm(column='age')
    """

    column: Column

    def _fitted(self, table: Table) -> FittedTerm:
        j, values = table.numeric(self.column, "linear")
        low, high = float(values[0]), float(values[-1])
        return Line((j,), table.names[j], low, high - low)


@dataclass(frozen=True)
class FactorTerm:
    """An effect of each level of a column: of each category, or each distinct number.

    Parameters
    ----------
    column : str or int
        The column, by name or position.
    penalized : bool, default=True
        Shrink the effects towards their mean by a ridge penalty, whose size is chosen
        with the others: few rows then say little, and a level that is new in a
        prediction has the mean effect. Otherwise each level has an effect of its own,
        and new levels are an error.

    Examples
    --------
    >>> from skgrad.estimators import FactorTerm
    >>> FactorTerm("region", penalized=False)
    FactorTerm(column='region', penalized=False)
    """

    column: Column
    _: KW_ONLY
    penalized: bool = True

    def _fitted(self, table: Table) -> FittedTerm:
        check_boolean("FactorTerm", "penalized", self.penalized)
        j = table.index(self.column)
        values = np.unique(table.X[:, j])
        if len(values) == 1:
            raise ValueError(
                f"The column {table.names[j]!r} has one level in all rows with a "
                "positive weight: no effect can be estimated. Leave out its term."
            )
        known = table.levels.get(j)
        labels = values if known is None else known[values.astype(int)]
        return Levels((j,), table.names[j], values, labels, bool(self.penalized))


@dataclass(frozen=True)
class SplineTerm:
    """A smooth effect of a column: a cubic spline with a penalty.

    Parameters
    ----------
    column : str or int
        The column, by name or position.
    n_basis : int, default=10
        Number of B-splines, at least 4: an upper limit of what the effect can be. A
        column with fewer distinct values has as many.
    knots : {"quantile", "uniform"} or sequence of float, default="quantile"
        Where the pieces of the spline meet: with as many distinct values of the column
        between each two, or at equal distances; or these breakpoints, ends included, of
        which there are ``n_basis - 2`` (`n_basis` then follows from them).
    penalty : {"curvature", "difference"}, default="curvature"
        What is penalised: the integral of the squared second derivative between the
        ends, by the column scaled to [0, 1] there; or the squared second differences of
        the coefficients of the B-splines, which suits uniform knots (Eilers and Marx
        1996).

    Notes
    -----
    Beyond the outer breakpoints, by default the range of the column in the fit, the
    effect goes on as a straight line.

    References
    ----------
    Eilers, P. H. C. and Marx, B. D. (1996). Flexible smoothing with B-splines and
    penalties. Statistical Science 11, 89-121.

    Examples
    --------
    >>> from skgrad.estimators import SplineTerm
    >>> SplineTerm("age", n_basis=20).n_basis
    20
    """

    column: Column
    _: KW_ONLY
    n_basis: int = 10
    knots: Any = "quantile"
    penalty: str = "curvature"

    def _fitted(self, table: Table) -> FittedTerm:
        j, margin = _margin(self, self.column, self.knots, table)
        return Spline((j,), table.names[j], margin)


@dataclass(frozen=True)
class TensorTerm:
    """A smooth effect of two columns together: products of splines, two penalties.

    The penalties act along one column each, so that the columns may have different
    units (Wood 2006). The effect includes those of each column alone.

    Parameters
    ----------
    first, second : str or int
        The columns, by name or position.
    n_basis : int, default=5
        Number of B-splines of each column, at least 4; the term has their product less
        one coefficients.
    knots : {"quantile", "uniform"} or pair of sequences, default="quantile"
        As those of :class:`SplineTerm`; breakpoints for each column.
    penalty : {"curvature", "difference"}, default="curvature"
        As that of :class:`SplineTerm`, for each B-spline of the other column.

    References
    ----------
    Wood, S. N. (2006). Low-rank scale-invariant tensor product smooths for generalized
    additive mixed models. Biometrics 62, 1025-1036.

    Examples
    --------
    >>> from skgrad.estimators import TensorTerm
    >>> TensorTerm("longitude", "latitude", n_basis=8).columns
    ('longitude', 'latitude')
    """

    first: Column
    second: Column
    _: KW_ONLY
    n_basis: int = 5
    knots: Any = "quantile"
    penalty: str = "curvature"

    @property
    def columns(self) -> tuple[Column, Column]:
        """Both columns."""
        return self.first, self.second

    def _fitted(self, table: Table) -> FittedTerm:
        each = (self.knots,) * 2 if isinstance(self.knots, str) else self.knots
        if len(each) != 2:
            rule = f"be one of {list(KNOTS)} or a pair of sequences"
            raise wrong_parameter("TensorTerm", "knots", rule, self.knots)
        (i, a), (j, b) = (
            _margin(self, column, knots, table)
            for column, knots in zip(self.columns, each, strict=True)
        )
        if i == j:
            raise ParameterError(
                f"A TensorTerm needs two columns. Got {self.columns}: use SplineTerm."
            )
        return Surface((i, j), f"{table.names[i]}:{table.names[j]}", (a, b))


Term = SplineTerm | FactorTerm | LinearTerm | TensorTerm


def _margin(
    term: SplineTerm | TensorTerm, column: Column, knots: Any, table: Table
) -> tuple[int, SplineBasis]:
    """Return the position of a column and its splines."""
    _check_options(term, knots)
    j, values = table.numeric(column, "smooth")
    if len(values) < LEAST_BASIS and isinstance(knots, str):
        raise ValueError(
            f"The column {table.names[j]!r} has {len(values)} distinct values, and a "
            f"smooth term needs {LEAST_BASIS}. Use LinearTerm({column!r}) or "
            f"FactorTerm({column!r})."
        )
    quarter, most = np.quantile(values, (0.25, 0.75))
    if values[-1] - values[0] > FAR * (most - quarter):
        raise ValueError(
            f"Half of the values of the column {table.names[j]!r} lie between "
            f"{quarter:.3g} and {most:.3g}, and others as far away as "
            f"{max(values[-1], -values[0]):.3g}: no spline fits both in float64. Look "
            "for numbers that stand for missing values, or transform the column, to "
            "its logarithm for example."
        )
    n_pieces = min(term.n_basis, len(values)) - DEGREE
    return j, spline_basis(breakpoints(values, n_pieces, knots), term.penalty)


def _check_options(term: SplineTerm | TensorTerm, knots: Any) -> None:
    owner = type(term).__name__
    check_integer(owner, "n_basis", term.n_basis, LEAST_BASIS)
    if term.penalty not in PENALTIES:
        rule = f"be one of {list(PENALTIES)}"
        raise wrong_parameter(owner, "penalty", rule, term.penalty)
    known = knots in KNOTS if isinstance(knots, str) else len(knots) > 1
    if not known:
        rule = f"be one of {list(KNOTS)} or at least two breakpoints"
        raise wrong_parameter(owner, "knots", rule, knots)


def default_terms(table: Table) -> list[Term]:
    """Return a term for each column that is not constant.

    Parameters
    ----------
    table : Table
        The inputs.

    Returns
    -------
    list
        Factors of categories; splines of numbers, or lines where there are few distinct
        ones.
    """
    terms: list[Term] = []
    for j in range(table.X.shape[1]):
        n_values = len(np.unique(table.X[:, j]))
        if n_values > 1:
            terms.append(_default_term(table, j, n_values))
    return terms


def _default_term(table: Table, j: int, n_values: int | None = None) -> Term:
    if j in table.levels:
        return FactorTerm(j)
    n_values = n_values or len(np.unique(table.X[:, j]))
    return SplineTerm(j) if n_values >= FEW_VALUES else LinearTerm(j)


def fitted_terms(terms: Any, table: Table) -> list[FittedTerm]:
    """Return the terms of a model, fitted to the inputs.

    Parameters
    ----------
    terms : sequence or None
        As users give it: terms, columns, pairs of columns, or None.
    table : Table
        The inputs.

    Returns
    -------
    list of FittedTerm
        With the functions and penalties of each.

    Raises
    ------
    ParameterError
        If something is no term, or two terms have the same columns.
    """
    if terms is None:
        terms = default_terms(table)
    fitted = [_as_term(term, table)._fitted(table) for term in terms]
    seen: set[frozenset[int]] = set()
    for term in fitted:
        if frozenset(term.columns) in seen:
            raise ParameterError(
                f"Two terms have the columns of {term.name!r}. Leave one out: a "
                "SplineTerm includes the LinearTerm of its column."
            )
        seen.add(frozenset(term.columns))
    return fitted


def _as_term(term: Any, table: Table) -> Term:
    """Return a term that may be given as a column or a pair of columns."""
    if isinstance(term, Term):
        return term
    if isinstance(term, str | int) and not isinstance(term, bool):
        return _default_term(table, table.index(term))
    if isinstance(term, tuple) and len(term) == 2:
        return TensorTerm(*term)
    raise ParameterError(
        "The 'terms' parameter must hold SplineTerm, LinearTerm, FactorTerm or "
        "TensorTerm objects, columns by name or position, or pairs of columns. Got "
        f"{term!r}."
    )
