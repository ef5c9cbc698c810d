"""The executor: trace a function once, run it without tracing again."""

from skgrad.executor.diagnose import (
    Culprit,
    culprit,
    culprit_of_steps,
    culprit_of_sums,
)
from skgrad.executor.graph import Equation, Graph, Variable, verify
from skgrad.executor.program import Program
from skgrad.executor.steps import Rows, Same, Table
from skgrad.executor.trace import trace
from skgrad.executor.traced import EagerProgram, Traced

__all__ = [
    "Culprit",
    "EagerProgram",
    "Equation",
    "Graph",
    "Program",
    "Rows",
    "Same",
    "Table",
    "Traced",
    "Variable",
    "culprit",
    "culprit_of_steps",
    "culprit_of_sums",
    "trace",
    "verify",
]
