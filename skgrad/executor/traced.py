"""Traced: a function with one program per signature of its arguments."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from skgrad.core.tree import TreeDef, tree_flatten, tree_leaves, tree_unflatten
from skgrad.exceptions import TraceError
from skgrad.executor.held import Carried
from skgrad.executor.program import Program
from skgrad.executor.steps import StepInput, repeated, summed
from skgrad.executor.trace import trace
from skgrad.executor.work import chosen_executor
from skgrad.tensor import tensor
from skgrad.transforms import function_name
from skgrad.typing import Array, Tree

__all__ = ["EagerProgram", "Traced"]

Signature = tuple[TreeDef, tuple[Any, ...]]


class EagerProgram:
    """A function run as Python, operation by operation, in the place of a program.

    Parameters
    ----------
    function : callable
        Takes and returns trees of tensors.
    in_treedef : TreeDef
        Structure of the arguments (a tuple).

    Attributes
    ----------
    executor : str
        ``"eager"``.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad.core.tree import tree_flatten
    >>> from skgrad.executor import EagerProgram
    >>> program = EagerProgram(lambda x: x * 2.0, tree_flatten((0,))[1])
    >>> program.run([np.ones(2)])
    [array([2., 2.])]
    """

    executor = "eager"

    def __init__(self, function: Callable[..., Tree], in_treedef: TreeDef) -> None:
        self.function = function
        self.in_treedef = in_treedef

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        """Return the output leaves for input leaves."""
        args = tree_unflatten(self.in_treedef, [tensor(a) for a in arrays])
        return [np.array(tensor(leaf)) for leaf in tree_leaves(self.function(*args))]

    def steps(
        self,
        carry: Sequence[Carried],
        fixed: Sequence[Array],
        varying: Sequence[StepInput],
        rows: Array,
    ) -> tuple[list[Carried], list[Array]]:
        """Run a step for each row of `rows`; see :meth:`Program.steps`."""
        return repeated(self.run, carry, fixed, varying, rows)

    def sums(
        self, fixed: Sequence[Array], blocks: Iterable[Sequence[Array]]
    ) -> list[Array]:
        """Add up the outputs over blocks; see :meth:`Program.sums`."""
        return summed(self.run, fixed, blocks)

    def __call__(self, *args: Tree) -> Tree:
        """Return the function's value: a tree of new arrays."""
        leaves, _ = tree_flatten(args)
        out = self.function(
            *tree_unflatten(self.in_treedef, [tensor(leaf) for leaf in leaves])
        )
        out_leaves, treedef = tree_flatten(out)
        return tree_unflatten(treedef, [np.array(tensor(leaf)) for leaf in out_leaves])


class Traced:
    """A function traced at its first call with each signature.

    The signature is the structure of the arguments and the shape and dtype of their
    leaves: never a value.

    Parameters
    ----------
    function : callable
        Pure function of trees of tensors.
    fallback : bool, default=False
        Run the function eagerly, with a warning, where it cannot be traced because
        its Python control flow depends on values.
    n_runs : float, default=0
        How often the first program will be run, at most: decides what runs all of
        them, NumPy if that takes no time or compiled kernels.
    device : str, default="cpu"
        A GPU, as :class:`Program` calls it, runs them however little it is.

    Attributes
    ----------
    executor : str or None
        ``"reference"``, ``"cpu"`` or the GPU; ``None`` before the first trace.
    n_traces : int
        How many programs were made.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad.executor import Traced
    >>> double = Traced(lambda x: x * 2.0)
    >>> double(np.ones(2)).tolist(), double(np.zeros(2)).tolist(), double.n_traces
    ([2.0, 2.0], [0.0, 0.0], 1)
    """

    def __init__(
        self,
        function: Callable[..., Tree],
        fallback: bool = False,
        n_runs: float = 0,
        device: str = "cpu",
    ) -> None:
        self.function = function
        self.fallback = fallback
        self.n_runs = n_runs
        self.device = device
        self.executor: str | None = None if device == "cpu" else device
        self._programs: dict[Signature, Program | EagerProgram] = {}

    @property
    def n_traces(self) -> int:
        """How many programs were made."""
        return len(self._programs)

    def program(self, *args: Tree) -> Program | EagerProgram:
        """Return the program for arguments of this signature, tracing if it is new."""
        leaves, treedef = tree_flatten(args)
        arrays = [np.asarray(leaf) for leaf in leaves]
        signature = (treedef, tuple((a.shape, a.dtype.char) for a in arrays))
        program = self._programs.get(signature)
        if program is None:
            program = self._made(treedef, arrays)
            self._programs[signature] = program
        return program

    def _made(self, treedef: TreeDef, arrays: list[Array]) -> Program | EagerProgram:
        try:
            program = trace(self.function, *tree_unflatten(treedef, arrays))
            if self.executor is None:
                self.executor = chosen_executor(program.graph, self.n_runs)
            return program.on(self.executor)
        except TraceError as error:
            if not self.fallback:
                raise
            if any(isinstance(p, EagerProgram) for p in self._programs.values()):
                return EagerProgram(self.function, treedef)  # it was said once
            why = " ".join([str(error), *getattr(error, "__notes__", ())])
            where = "" if self.device == "cpu" else " and on the CPU"
            warnings.warn(
                f"{function_name(self.function)} cannot be traced and runs eagerly"
                f"{where}, several times slower. {why}",
                RuntimeWarning,
                stacklevel=4,
            )
            return EagerProgram(self.function, treedef)

    def __call__(self, *args: Tree) -> Tree:
        """Return the function's value: a tree of new arrays."""
        return self.program(*args)(*args)
