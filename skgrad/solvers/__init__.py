"""Solvers for problems with a structure of their own."""

from skgrad.solvers.crossing import solve_ordered_quantiles
from skgrad.solvers.highs import minimize_highs
from skgrad.solvers.problem import QuantileProblem
from skgrad.solvers.quantile import QuantileSolution, solve_quantiles
from skgrad.solvers.tilted import TiltedRows
from skgrad.solvers.vertex import (
    Vertex,
    VertexStatus,
    minimize_vertex,
    starting_basis,
)

__all__ = [
    "QuantileProblem",
    "QuantileSolution",
    "TiltedRows",
    "Vertex",
    "VertexStatus",
    "minimize_highs",
    "minimize_vertex",
    "solve_ordered_quantiles",
    "solve_quantiles",
    "starting_basis",
]
