"""The executor of GPUs: the plans of the compiled one, with memory of a device."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from skgrad.backend.cuda.backend import backend
from skgrad.executor.compiled import CompiledExecutor
from skgrad.executor.device_memory import DeviceMemory
from skgrad.executor.graph import Graph
from skgrad.executor.held import Carried
from skgrad.executor.steps import Rows, StepInput, Table
from skgrad.typing import Array

__all__ = ["CudaExecutor"]

# Rows that are gathered on the host go to the device in pieces of so many bytes.
GATHERED_BYTES = 2**26


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
        carry: Sequence[Carried],
        fixed: Sequence[Array],
        varying: Sequence[StepInput],
        rows: Array,
    ) -> tuple[list[Carried], list[Array]]:
        """Run a step for each row of `rows`; see :meth:`Program.steps`.

        Rows of arrays that are larger than the device's memory are gathered on the
        host, those of the next steps while the device computes.
        """
        fits = self.backend.residents.fits
        large = [isinstance(v, Rows) and not fits(v.source) for v in varying]
        if not any(large):
            return super().steps(carry, fixed, varying, rows)
        width = sum(
            v.source[:1].nbytes
            for v, is_large in zip(varying, large, strict=True)
            if is_large and isinstance(v, Rows)
        )
        size = max(1, GATHERED_BYTES // max(1, width * rows.shape[1]))
        chunks = [slice(i, i + size) for i in range(0, len(rows), size)]

        def gathered(steps: slice) -> list[StepInput]:
            return [
                _of_steps(v, steps, rows if is_large else None)
                for v, is_large in zip(varying, large, strict=True)
            ]

        state, parts = list(carry), []
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(gathered, chunks[0])
            for steps, following in zip(chunks, [*chunks[1:], None], strict=True):
                given = waiting.result()
                if following is not None:
                    waiting = pool.submit(gathered, following)
                state, results = super().steps(state, fixed, given, rows[steps])
                parts.append(results)
        return state, [np.concatenate(part) for part in zip(*parts, strict=True)]


def _of_steps(given: StepInput, steps: slice, rows: Array | None) -> StepInput:
    """Return an input of some steps, its rows gathered if they are given."""
    if isinstance(given, Table):
        return Table(given.values[steps])
    if isinstance(given, Rows) and rows is not None:
        return Table(given.source[rows[steps]])
    return given
