"""Where results are written, decided before any instruction is made.

A result of the graph is computed where it is wanted. One that replaces an input for the
next step overwrites it, if nothing reads the old value any more. The leaves of a packed
vector are computed in their places in it.
"""

from __future__ import annotations

from collections.abc import Sequence

from skgrad.executor.fuse import FUSED, REDUCTIONS, VIEWS, squeezed
from skgrad.executor.graph import Equation, Graph, Variable
from skgrad.executor.storage import Buffer, n_bytes

__all__ = ["chosen_homes"]


def chosen_homes(
    graph: Graph, n_carry: int, inputs: Sequence[Buffer], outputs: Sequence[Buffer]
) -> dict[Variable, Buffer]:
    """Return the buffers of variables that are not written to memory of their own.

    Parameters
    ----------
    graph : Graph
        A fused graph.
    n_carry : int
        How many of the first outputs replace the input of the same number.
    inputs, outputs : sequence of Buffer
        Those of the graph.

    Returns
    -------
    dict of Variable to Buffer
        An input, an output or a part of a packed vector.
    """
    homes = _Homes(graph, n_carry, inputs, outputs)
    homes.choose()
    return homes.homes


class _Homes:
    def __init__(
        self,
        graph: Graph,
        n_carry: int,
        inputs: Sequence[Buffer],
        outputs: Sequence[Buffer],
    ) -> None:
        self.graph = graph
        self.n_carry = n_carry
        self.inputs = inputs
        self.outputs = outputs
        self.homes: dict[Variable, Buffer] = {}

    def choose(self) -> None:
        """Decide which variables are written straight to where they are wanted."""
        made = {v: e for e in self.graph.equations for v in e.outputs}
        self._choose_outputs(made)
        for equation in self.graph.equations:
            if equation.primitive.name == "pack":
                self._choose_packed(equation, made)

    def _choose_outputs(self, made: dict[Variable, Equation]) -> None:
        bases, last_read = _reads(self.graph)
        order = {id(e): i for i, e in enumerate(self.graph.equations)}
        for j, variable in enumerate(self.graph.outputs):
            equation = made.get(variable)
            if equation is None or variable in self.homes:
                continue
            if equation.primitive.name in VIEWS:
                continue
            home = self.outputs[j]
            if j < self.n_carry:
                source = self.graph.inputs[j]
                last, at = last_read.get(source, -1), order[id(equation)]
                updates = last == at and _updates(equation, source, variable, bases)
                if last < at or updates:
                    home = self.inputs[j]
            self.homes[variable] = home

    def _choose_packed(
        self, equation: Equation, made: dict[Variable, Equation]
    ) -> None:
        """Let the leaves of a pack be written into its result."""
        (packed,) = equation.outputs
        if packed not in self.homes:
            self.homes[packed] = Buffer(n_bytes(packed), "scratch")
        whole = self.homes[packed]
        if whole.kind == "input":  # an argument keeps its value until the pack itself
            return
        start = 0
        for leaf in equation.inputs:
            base, source = leaf, made.get(leaf)
            while source is not None and source.primitive.name in ("alias", "reshape"):
                base = source.inputs[0]
                source = made.get(base)
            viewed = source is None or source.primitive.name in VIEWS
            if not viewed and base not in self.homes:
                part = Buffer(n_bytes(leaf), "part", parent=whole, offset=start)
                self.homes[base] = part
            start += n_bytes(leaf)


def _reads(graph: Graph) -> tuple[dict[Variable, Variable], dict[Variable, int]]:
    """Return what views view, and the last equation that reads each variable."""
    bases: dict[Variable, Variable] = {}
    last: dict[Variable, int] = {}
    for i, equation in enumerate(graph.equations):
        if equation.primitive.name in VIEWS:
            source = equation.inputs[0]
            for out in equation.outputs:
                bases[out] = bases.get(source, source)
            continue
        for variable in equation.inputs:
            last[bases.get(variable, variable)] = i
    for j, variable in enumerate(graph.outputs):
        unchanged = j < len(graph.inputs) and variable is graph.inputs[j]
        if not unchanged:  # a result that is an argument, or a part, is copied last
            base = bases.get(variable, variable)
            if base in graph.inputs or variable in bases:
                last[base] = len(graph.equations)
    return bases, last


def _updates(
    equation: Equation,
    source: Variable,
    variable: Variable,
    bases: dict[Variable, Variable],
) -> bool:
    """Return whether a kernel reads a variable only where it writes the new one."""
    if equation.primitive is not FUSED or source.shape != variable.shape:
        return False
    body: Graph = equation.params["body"]
    if source not in body.inputs or any(bases.get(v) is source for v in body.inputs):
        return False
    made = next(e for e in body.equations if variable in e.outputs)
    if made.primitive.name in REDUCTIONS:
        return False
    return all(
        squeezed(v.shape) == squeezed(source.shape)
        for e in body.equations
        if source in e.inputs
        for v in (e.inputs if e.primitive.name in REDUCTIONS else e.outputs)[:1]
    )
