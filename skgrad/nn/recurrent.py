"""Recurrent layers: a state carried along a sequence."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from skgrad import functional, ops
from skgrad.core.checks import check_integer
from skgrad.exceptions import ShapeError
from skgrad.nn import init
from skgrad.nn.dropout import dropout_of
from skgrad.nn.inputs import input_of
from skgrad.nn.module import Module
from skgrad.nn.parameter import Parameter, floating_dtype
from skgrad.tensor import Tensor
from skgrad.typing import ArrayLike, DTypeLike

__all__ = ["GRU"]


class GRU(Module):
    r"""Gated recurrent units along a sequence, in one or several layers.

    With reset gate r, update gate z and candidate n,

    .. math::
        r_t = \sigma(W_{ir} x_t + b_{ir} + W_{hr} h_{t-1} + b_{hr}), \quad
        z_t = \sigma(W_{iz} x_t + b_{iz} + W_{hz} h_{t-1} + b_{hz}),

        n_t = \tanh(W_{in} x_t + b_{in} + r_t\,(W_{hn} h_{t-1} + b_{hn})), \quad
        h_t = (1 - z_t)\,n_t + z_t\,h_{t-1}

    Parameters
    ----------
    input_size : int
        Features of an element of the sequence.
    hidden_size : int
        Length of the state.
    num_layers : int, default=1
        Layers; each reads the states of the one below.
    bias : bool, default=True
        Whether there are biases.
    dropout : float in [0, 1), default=0.0
        Rate between the layers while training.
    bidirectional : bool, default=False
        Whether a second GRU in each layer reads the sequence from its end.
    dtype : {"float32", "float64"}, numpy dtype or None, default=None
        Of the parameters; None means that of `default_dtype`.

    Attributes
    ----------
    weight_ih_l0, weight_ih_l1, ... : Parameter of shape (3 · hidden_size, n_inputs)
        Rows for r, z and n; ``..._reverse`` for the other direction.
    weight_hh_l0, ... : Parameter of shape (3 · hidden_size, hidden_size)
        Likewise.
    bias_ih_l0, bias_hh_l0, ... : Parameter of shape (3 · hidden_size,)
        All are drawn uniformly on ±1/√hidden_size, as in PyTorch.

    Raises
    ------
    ParameterError
        If a size is not a positive int or the rate is out of range.

    Notes
    -----
    The batch comes first always: PyTorch's layer with ``batch_first=True``, whose
    ``state_dict`` it loads. The steps are unrolled in a trace, so that its length, and
    the time it takes to trace, grow with that of the sequences.

    References
    ----------
    Cho et al. (2014). Learning phrase representations using RNN encoder-decoder.
    EMNLP; in the variant of PyTorch and cuDNN, whose reset gate acts after the product.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad import nn
    >>> layer = nn.GRU(3, 8)
    >>> output, last = layer(np.zeros((4, 10, 3)))
    >>> output.shape, last.shape
    ((4, 10, 8), (1, 4, 8))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        dropout: float = 0.0,
        bidirectional: bool = False,
        dtype: DTypeLike | None = None,
    ) -> None:
        super().__init__()
        self.input_size = check_integer("GRU", "input_size", input_size)
        self.hidden_size = check_integer("GRU", "hidden_size", hidden_size)
        self.num_layers = check_integer("GRU", "num_layers", num_layers)
        self.bidirectional = bool(bidirectional)
        self.bias = bool(bias)
        self.dropout = dropout_of(dropout)
        kind = floating_dtype(dtype)
        for layer in range(num_layers):
            for suffix in self._suffixes(layer):
                n_inputs = self.hidden_size * self._directions if layer else input_size
                for name, shape in self._shapes(n_inputs).items():
                    values = np.zeros(shape, kind)
                    setattr(self, f"{name}_{suffix}", Parameter(values))
        self.reset_parameters()

    @property
    def _directions(self) -> int:
        return 2 if self.bidirectional else 1

    def _suffixes(self, layer: int) -> list[str]:
        return [f"l{layer}", f"l{layer}_reverse"][: self._directions]

    def _shapes(self, n_inputs: int) -> dict[str, tuple[int, ...]]:
        rows = 3 * self.hidden_size
        shapes: dict[str, tuple[int, ...]] = {
            "weight_ih": (rows, n_inputs),
            "weight_hh": (rows, self.hidden_size),
        }
        return shapes | ({"bias_ih": (rows,), "bias_hh": (rows,)} if self.bias else {})

    def reset_parameters(self) -> None:
        """Draw the parameters anew from the current `skgrad.random_seed` scope.

        Examples
        --------
        >>> from skgrad import nn
        >>> layer = nn.GRU(2, 3)
        >>> before = layer.weight_hh_l0.numpy().copy()
        >>> layer.reset_parameters()
        >>> bool((layer.weight_hh_l0.numpy() == before).any())
        False
        """
        bound = 1.0 / math.sqrt(self.hidden_size)
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    def forward(
        self, x: ArrayLike, h_0: ArrayLike | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return the states of the last layer, and the last state of each layer.

        Parameters
        ----------
        x : Tensor or array-like of shape (n_samples, length, input_size)
            The sequences.
        h_0 : Tensor or array-like of shape (num_layers · n_directions, n_samples, \
hidden_size), default=None
            The first states; 0 by default.

        Returns
        -------
        output : Tensor of shape (n_samples, length, n_directions · hidden_size)
            The states of the last layer, both directions side by side.
        h_n : Tensor of the shape of `h_0`
            The state each layer and direction ends with.

        Raises
        ------
        ShapeError
            If the shapes do not fit, or the sequences have no elements.
        DTypeError
            If the input is of another floating dtype.
        """
        dtype = next(iter(self.parameters())).dtype
        inputs: Any = input_of(self, x, dtype)
        self._check(inputs)
        states = self._first_states(inputs, h_0, dtype)
        last = []
        for layer in range(self.num_layers):
            if layer:
                inputs = self.dropout(inputs)
            outputs = []
            for direction, suffix in enumerate(self._suffixes(layer)):
                state = states[layer * self._directions + direction]
                seen = self._run(inputs, state, suffix, backwards=direction == 1)
                outputs.append(ops.transpose(functional.stack(seen), (2, 0, 1)))
                last.append(ops.transpose(seen[0 if direction else -1]))
            inputs = ops.concatenate(outputs, axis=-1)
        return inputs, functional.stack(last)

    def _run(self, x: Any, state: Any, suffix: str, backwards: bool) -> list[Any]:
        """Return the states (hidden_size, n_samples), in the order of the sequence."""
        w_in, w_hidden = (getattr(self, f"weight_{w}_{suffix}") for w in ("ih", "hh"))
        b_in, b_hidden = (
            getattr(self, f"bias_{w}_{suffix}") if self.bias else None
            for w in ("ih", "hh")
        )
        steps = self._from_inputs(x, w_in, b_in)
        states = []
        for step in steps[::-1] if backwards else steps:
            gates = _affine(w_hidden, state, b_hidden)
            state = _next(step, self._gates(gates, 1)[0], state)
            states.append(state)
        return states[::-1] if backwards else states

    def _from_inputs(self, x: Any, weight: Any, bias: Any) -> Any:
        """Return what the inputs add to the gates, step by step.

        It is one product for all steps. Samples are the last axis, so that the gates
        of a step are its rows, taken apart and, on the way back, joined for nothing.
        """
        n_samples, length, width = x.shape
        columns = ops.reshape(ops.transpose(x), (width, length * n_samples))
        out = ops.reshape(_affine(weight, columns, bias), (-1, length, n_samples))
        return self._gates(ops.swapaxes(out, 0, 1), length)

    def _gates(self, x: Any, n_steps: int) -> Any:
        """Return the three gates of each step, (hidden_size, n_samples) each."""
        shape = (self.hidden_size, x.shape[-1])
        parts = ops.unpack(ops.reshape(x, -1), [shape] * (3 * n_steps))
        return [parts[i : i + 3] for i in range(0, len(parts), 3)]

    def _first_states(self, x: Tensor, h_0: ArrayLike | None, dtype: Any) -> Any:
        shape = (self.num_layers * self._directions, x.shape[0], self.hidden_size)
        if h_0 is None:
            return [np.zeros(shape[:0:-1], dtype)] * shape[0]
        states = input_of(self, h_0, dtype)
        if states.shape != shape:
            raise ShapeError(
                f"GRU({self.extra_repr()}) needs first states of shape {shape} for an "
                f"input of shape {x.shape}. Got {states.shape}."
            )
        return functional.unstack(ops.transpose(states, (0, 2, 1)))

    def _check(self, x: Tensor) -> None:
        if x.ndim != 3 or x.shape[-1] != self.input_size or not x.shape[1]:
            raise ShapeError(
                f"GRU({self.extra_repr()}) needs an input of shape (n_samples, length, "
                f"{self.input_size}), the batch first, of length 1 at least. Got "
                f"{x.shape}."
            )

    def extra_repr(self) -> str:
        """Return the sizes, and the settings that are not the defaults.

        Returns
        -------
        str
            ``"3, 8"``.
        """
        text = f"{self.input_size}, {self.hidden_size}"
        defaults = {"num_layers": 1, "bias": True, "bidirectional": False}
        for name, default in defaults.items():
            if getattr(self, name) != default:
                text += f", {name}={getattr(self, name)}"
        return text


def _affine(weight: Any, columns: Any, bias: Any) -> Any:
    out = ops.matmul(weight, columns)
    return out if bias is None else out + ops.expand_dims(bias, -1)


def _next(from_input: Any, from_state: Any, state: Any) -> Any:
    """Return the state after one step."""
    (i_r, i_z, i_n), (h_r, h_z, h_n) = from_input, from_state
    reset, update = ops.sigmoid(i_r + h_r), ops.sigmoid(i_z + h_z)
    candidate = ops.tanh(i_n + reset * h_n)
    return candidate + update * (state - candidate)
