"""Program: a graph ready to run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property

import numpy as np

from skgrad.backend.cuda.available import is_cuda
from skgrad.core.tree import TreeDef, tree_flatten, tree_unflatten
from skgrad.exceptions import DTypeError, ParameterError, ShapeError
from skgrad.executor.compiled import CompiledExecutor
from skgrad.executor.explain import explained, listed
from skgrad.executor.graph import Graph, Variable
from skgrad.executor.held import Carried
from skgrad.executor.reference import ReferenceExecutor
from skgrad.executor.steps import StepInput
from skgrad.executor.work import reference_seconds
from skgrad.typing import Array, Tree

__all__ = ["EXECUTORS", "Program"]

EXECUTORS: dict[str, type[CompiledExecutor] | type[ReferenceExecutor]] = {
    "cpu": CompiledExecutor,
    "reference": ReferenceExecutor,
}
"""Those of the CPU; there is one more for each GPU."""


def _made(graph: Graph, executor: str) -> CompiledExecutor | ReferenceExecutor:
    if is_cuda(executor.partition("/")[0]):
        from skgrad.executor.cuda import CudaExecutor  # noqa: PLC0415 - only if asked

        return CudaExecutor(graph, executor)
    if executor not in EXECUTORS:
        raise ParameterError(
            f"There is no executor {executor!r}. Known: {sorted(EXECUTORS)}, and "
            "'cuda' or 'cuda:1' for a GPU."
        )
    return EXECUTORS[executor](graph)


class Program:
    """A traced function on arrays: immutable, shared, thread-safe.

    Parameters
    ----------
    graph : Graph
        What to compute.
    in_treedef, out_treedef : TreeDef
        Structure of the arguments (a tuple) and of the result.
    executor : {"reference", "cpu", "cuda", "cuda:1", ...}, default="reference"
        What runs it: NumPy, one operation after the other, or compiled kernels, here
        or on a GPU. ``"cuda/tf32"`` and ``"cuda/bf16"`` round the factors of products
        in float32.

    Attributes
    ----------
    graph : Graph
        The graph it runs.
    executor : str
        ``"reference"``, ``"cpu"`` or the GPU's name, ``"cuda:0"``.

    Raises
    ------
    ParameterError
        If there is no executor of that name.
    DeviceError
        If the GPU cannot be used here.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad.executor import trace
    >>> program = trace(lambda x: x * 2.0, np.zeros(2))
    >>> program.executor, program(np.ones(2)).tolist()
    ('reference', [2.0, 2.0])
    """

    def __init__(
        self,
        graph: Graph,
        in_treedef: TreeDef,
        out_treedef: TreeDef,
        executor: str = "reference",
    ) -> None:
        self.graph = graph
        self.in_treedef = in_treedef
        self.out_treedef = out_treedef
        self._executor = _made(graph, executor)

    @property
    def executor(self) -> str:
        """What runs it."""
        return self._executor.name

    @cached_property
    def reference_seconds(self) -> float:
        """Estimated seconds of one run on the reference executor, from shapes alone."""
        return reference_seconds(self.graph)

    @property
    def scratch_bytes(self) -> int:
        """Memory of one run beside arguments and results; 0 on the reference executor.

        Examples
        --------
        >>> import numpy as np
        >>> from skgrad.executor import trace
        >>> program = trace(lambda x: (x.T @ x).sum() + x.sum(), np.zeros((9, 4)))
        >>> program.on("cpu").scratch_bytes
        192
        """
        executor = self._executor
        if not isinstance(executor, CompiledExecutor):
            return 0
        return executor.plan().arena_bytes

    def on(self, executor: str) -> Program:
        """Return the same program on another executor.

        Parameters
        ----------
        executor : {"reference", "cpu", "cuda", "cuda:1", ...}
            What is to run it.

        Returns
        -------
        Program
            This one if it runs there already.

        Examples
        --------
        >>> import numpy as np
        >>> from skgrad.executor import trace
        >>> trace(lambda x: x * 2.0, np.zeros(2)).on("cpu")(np.ones(2)).tolist()
        [2.0, 2.0]
        """
        if executor == self.executor:
            return self
        return Program(self.graph, self.in_treedef, self.out_treedef, executor)

    def __str__(self) -> str:
        if isinstance(self._executor, CompiledExecutor):
            return listed(self._executor)
        return str(self.graph)

    def explain(self) -> str:
        """Return what was fused, what was not and why.

        Returns
        -------
        str
            For a person to read: instructions and what they stand for, memory, and the
            number of instructions that run on the reference backend.

        Examples
        --------
        >>> import numpy as np
        >>> from skgrad.executor import trace
        >>> print(trace(lambda x: x * 2.0, np.zeros(2)).explain())
        The reference executor runs 1 equation with NumPy, one by one; nothing is fused.
        """
        return explained(self._executor)

    def __call__(self, *args: Tree) -> Tree:
        """Return the function's value: a tree of arrays.

        Parameters
        ----------
        *args : tree of array
            In the structure, shapes and dtypes of the trace.

        Returns
        -------
        tree of array
            In the structure the traced function returned. An output of the reference
            executor that is an argument, or a part of one, shares its memory.

        Raises
        ------
        ShapeError, DTypeError
            If structure, shape or dtype of an argument differ from the trace.
        """
        leaves, treedef = tree_flatten(args)
        if treedef != self.in_treedef:
            raise ShapeError(
                f"{self.graph.name} was traced with arguments of another structure."
            )
        arrays = [np.asarray(leaf) for leaf in leaves]
        for array, variable in zip(arrays, self.graph.inputs, strict=True):
            _check(array, variable, self.graph.name)
        return tree_unflatten(self.out_treedef, self.run(arrays))

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        """Return the output leaves for input leaves, which are not checked.

        Parameters
        ----------
        arrays : sequence of array
            One per input variable, of its shape and dtype.

        Returns
        -------
        list of array
            One per output variable; may share memory with inputs and constants.
        """
        return self._executor.run(arrays)

    def steps(
        self,
        carry: Sequence[Carried],
        fixed: Sequence[Array],
        varying: Sequence[StepInput],
        rows: Array,
    ) -> tuple[list[Carried], list[Array]]:
        """Run the program repeatedly, its first outputs fed back as first inputs.

        Parameters
        ----------
        carry : sequence of array or Held
            The first inputs of the first step; not changed.
        fixed : sequence of array
            The inputs after them, the same at each step.
        varying : sequence of Rows, Table or Same
            The last inputs.
        rows : array of int64 of shape (n_steps, n_rows)
            The rows of each step, for inputs that are :class:`Rows`.

        Returns
        -------
        carry : list of array or Held
            New arrays: the first outputs of the last step. Those of a GPU stay there
            until they are read, by ``np.asarray``.
        rest : list of array
            The other outputs, each with a leading axis of steps.

        Examples
        --------
        >>> import numpy as np
        >>> from skgrad.executor import Table, trace
        >>> program = trace(lambda total, x: (total + x, total), 0.0, 0.0)
        >>> table = Table(np.array([1.0, 2.0, 3.0]))
        >>> (total,), (before,) = program.steps(
        ...     [np.zeros(())], [], [table], np.zeros((3, 0), dtype=np.int64)
        ... )
        >>> float(total), before.tolist()
        (6.0, [0.0, 1.0, 3.0])
        """
        return self._executor.steps(carry, fixed, varying, rows)

    def sums(
        self, fixed: Sequence[Array], blocks: Iterable[Sequence[Array]]
    ) -> list[Array]:
        """Run the program on blocks of rows and add up its outputs.

        Parameters
        ----------
        fixed : sequence of array
            The first inputs, the same for all blocks.
        blocks : iterable of sequence of array
            The last inputs, at least once; of the traced shapes.

        Returns
        -------
        list of array
            One per output: its sum over the blocks, in their order.

        Examples
        --------
        >>> import numpy as np
        >>> from skgrad.executor import trace
        >>> program = trace(lambda w, x: (w * x).sum(), 2.0, np.ones(3))
        >>> blocks = ([np.full(3, k)] for k in (1.0, 2.0))
        >>> [float(total) for total in program.sums([np.array(2.0)], blocks)]
        [18.0]
        """
        return self._executor.sums(fixed, blocks)


def _check(array: Array, variable: Variable, name: str) -> None:
    if array.shape != variable.shape:
        raise ShapeError(
            f"{name} was traced for shape {variable.shape}. Got {array.shape}."
        )
    if array.dtype != variable.dtype:
        raise DTypeError(
            f"{name} was traced for dtype {variable.dtype}. Got {array.dtype}."
        )
