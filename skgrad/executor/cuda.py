"""The executor of GPUs: the plans of the compiled one, with memory of a device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from skgrad.backend.cuda.backend import backend
from skgrad.executor.compiled import CompiledExecutor
from skgrad.executor.device_memory import DeviceMemory
from skgrad.executor.graph import Graph
from skgrad.executor.steps import Rows, StepInput, Table
from skgrad.typing import Array

__all__ = ["CudaExecutor"]


class CudaExecutor(CompiledExecutor):
    """Runs a graph on a GPU.

    Parameters
    ----------
    graph : Graph
        What to compute.
    where : CudaBackend or str
        The backend of the device, or its name, ``"cuda:0"``, with the precision of
        products in float32 if it is not the highest: ``"cuda:0/tf32"``.

    Raises
    ------
    DeviceError
        If the device cannot be used here.

    Attributes
    ----------
    name : str
        The device's, ``"cuda:0"``.
    """

    make_memory = DeviceMemory

    def __init__(self, graph: Graph, where: Any) -> None:
        if isinstance(where, str):
            device, _, precision = where.partition("/")
            where = backend(device, precision or "highest")
        super().__init__(graph, where)
        self.name = where.name

    def steps(
        self,
        carry: Sequence[Array],
        fixed: Sequence[Array],
        varying: Sequence[StepInput],
        rows: Array,
    ) -> tuple[list[Array], list[Array]]:
        """Run a step for each row of `rows`; see :meth:`Program.steps`.

        Rows of arrays that are larger than the device's memory are gathered on the
        host.
        """
        fits = self.backend.residents.fits
        there = [
            Table(v.source[rows]) if isinstance(v, Rows) and not fits(v.source) else v
            for v in varying
        ]
        return super().steps(carry, fixed, there, rows)
