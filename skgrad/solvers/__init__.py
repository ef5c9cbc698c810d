"""Solvers for problems with a structure of their own."""

from skgrad.solvers.columns import columns_of
from skgrad.solvers.crossing import solve_ordered_quantiles
from skgrad.solvers.highs import minimize_highs
from skgrad.solvers.moments import Moments, solve_moments
from skgrad.solvers.path import solve_path
from skgrad.solvers.path_problem import PathProblem
from skgrad.solvers.penalized import (
    LossSums,
    PenalizedFit,
    PenalizedProblem,
    minimize_penalized,
)
from skgrad.solvers.problem import QuantileProblem
from skgrad.solvers.quantile import QuantileSolution, solve_quantiles
from skgrad.solvers.smoothness import (
    FixedScale,
    FreeScale,
    GammaScale,
    Smoothness,
    SmoothnessProblem,
)
from skgrad.solvers.strengths import Path
from skgrad.solvers.tilted import TiltedRows
from skgrad.solvers.vertex import (
    Vertex,
    VertexStatus,
    minimize_vertex,
    starting_basis,
)

__all__ = [
    "FixedScale",
    "FreeScale",
    "GammaScale",
    "LossSums",
    "Moments",
    "Path",
    "PathProblem",
    "PenalizedFit",
    "PenalizedProblem",
    "QuantileProblem",
    "QuantileSolution",
    "Smoothness",
    "SmoothnessProblem",
    "TiltedRows",
    "Vertex",
    "VertexStatus",
    "columns_of",
    "minimize_highs",
    "minimize_penalized",
    "minimize_vertex",
    "solve_moments",
    "solve_ordered_quantiles",
    "solve_path",
    "solve_quantiles",
    "starting_basis",
]
