"""The output of a fitted module, here or on a GPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from skgrad import nn
from skgrad.core import no_grad
from skgrad.executor import Traced
from skgrad.nn import Module
from skgrad.tensor import tensor
from skgrad.typing import Array

__all__ = ["predictor"]


def predictor(module: Module, device: str = "cpu") -> Callable[[Array], Array]:
    """Return the forward pass of a module as a function of arrays.

    Parameters
    ----------
    module : Module
        In evaluation mode; neither it nor its buffers are changed.
    device : str, default="cpu"
        Where to compute; on a GPU one program per shape of the inputs.

    Returns
    -------
    callable
        ``f(X) -> output``, both arrays of the host.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad import nn
    >>> from skgrad.train import predictor
    >>> double = nn.Linear(1, 1, bias=False)
    >>> _ = double.weight.assign_([[2.0]])
    >>> predictor(double)(np.array([[3.0]]))
    array([[6.]])
    """
    params, buffers = dict(module.named_parameters()), dict(module.named_buffers())

    def output(params: Any, buffers: Any, X: Any) -> Any:
        return nn.functional_call(module, params, buffers, X)[0]

    if device != "cpu":
        traced = Traced(output, device=device)
        arrays = [{n: t.numpy() for n, t in part.items()} for part in (params, buffers)]
        return lambda X: traced(*arrays, X)

    def forward(X: Array) -> Array:
        with no_grad():
            return output(params, buffers, tensor(X)).numpy()

    return forward
