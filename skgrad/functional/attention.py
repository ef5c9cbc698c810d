"""Attention: means of values, weighted by the likeness of queries and keys."""

import math
from typing import Any

import numpy as np

from skgrad import ops
from skgrad.exceptions import ShapeError
from skgrad.functional.convert import as_float
from skgrad.functional.random import dropout
from skgrad.ops.promotion import as_value, operands
from skgrad.typing import ArrayLike

__all__ = ["attention_weights", "scaled_dot_product_attention"]


def scaled_dot_product_attention(
    query: ArrayLike,
    key: ArrayLike,
    value: ArrayLike,
    attn_mask: ArrayLike | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
) -> Any:
    r"""Return softmax(scale · query · keyᵀ + mask) · value.

    Parameters
    ----------
    query : tensor or array of shape (..., n_queries, n_features)
        What each position asks for.
    key : tensor or array of shape (..., n_keys, n_features)
        What it is compared with.
    value : tensor or array of shape (..., n_keys, n_outputs)
        What is averaged.
    attn_mask : tensor or array that broadcasts to (..., n_queries, n_keys), optional
        Bool: True where a query may see a key. Float: added to the scores.
    dropout_p : float, default=0.0
        Share of the weights that become 0, in [0, 1); the others grow to match. It
        applies whenever it is not 0: pass 0 in evaluation mode.
    is_causal : bool, default=False
        Let query i see the keys 0, ..., i only; on top of the mask.
    scale : float, optional
        Factor of the scores; 1/√n_features by default.

    Returns
    -------
    Tensor of shape (..., n_queries, n_outputs)
        The weighted means; 0, with a derivative of 0, for a query that may see no
        key, where PyTorch gives NaN.

    Raises
    ------
    ShapeError
        If the shapes do not fit.

    References
    ----------
    Vaswani et al. (2017). Attention is all you need. NeurIPS, equation (1).

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad import functional as F
    >>> x = np.eye(2)
    >>> F.scaled_dot_product_attention(x, x, [[1.0], [3.0]], is_causal=True)
    tensor([[1.       ],
            [2.3395231]])
    """
    weights = attention_weights(query, key, attn_mask, is_causal, scale)
    if dropout_p:
        weights = dropout(weights, dropout_p)
    return ops.matmul(weights, as_float(value, "scaled_dot_product_attention"))


def attention_weights(
    query: ArrayLike,
    key: ArrayLike,
    attn_mask: ArrayLike | None = None,
    is_causal: bool = False,
    scale: float | None = None,
) -> Any:
    """Return the weights of :func:`scaled_dot_product_attention`.

    Parameters
    ----------
    query : tensor or array of shape (..., n_queries, n_features)
        What each position asks for.
    key : tensor or array of shape (..., n_keys, n_features)
        What it is compared with.
    attn_mask : tensor or array that broadcasts to (..., n_queries, n_keys), optional
        Bool: True where a query may see a key. Float: added to the scores.
    is_causal : bool, default=False
        Let query i see the keys 0, ..., i only; on top of the mask.
    scale : float, optional
        Factor of the scores; 1/√n_features by default.

    Returns
    -------
    Tensor of shape (..., n_queries, n_keys)
        Non-negative; each row sums to 1, or is 0 if the query may see no key.

    Raises
    ------
    ShapeError
        If the shapes do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad import functional as F
    >>> F.attention_weights(np.zeros((2, 3)), np.zeros((2, 3)), is_causal=True)
    tensor([[1. , 0. ],
            [0.5, 0.5]])
    """
    name = "scaled_dot_product_attention"
    asked, offered = operands(name, (query, key), "float")
    if asked.ndim < 2 or offered.ndim < 2 or asked.shape[-1] != offered.shape[-1]:
        raise ShapeError(
            f"{name} needs queries of shape (..., n_queries, n_features) and keys of "
            f"shape (..., n_keys, n_features). Got {asked.shape} and {offered.shape}."
        )
    factor = 1.0 / math.sqrt(asked.shape[-1]) if scale is None else scale
    scores = ops.matmul(asked * factor, ops.swapaxes(offered, -1, -2))
    if attn_mask is not None:
        scores = masked(scores, attn_mask)
    if is_causal:
        n_queries, n_keys = scores.shape[-2:]
        scores = masked(scores, np.tri(n_queries, n_keys, dtype=bool))
    return _softmax(scores)


def masked(scores: Any, mask: ArrayLike) -> Any:
    """Return scores with -inf where a bool mask is False, or a float mask added."""
    given = as_value(mask, "scaled_dot_product_attention")
    try:
        shape = np.broadcast_shapes(scores.shape, given.shape)
    except ValueError:
        shape = ()
    if shape != scores.shape:
        raise ShapeError(
            "scaled_dot_product_attention: the mask must broadcast to the scores of "
            f"shape {scores.shape}, (..., n_queries, n_keys). Got {given.shape}."
        )
    if given.dtype.kind == "b":
        return ops.where(given, scores, -np.inf)
    return ops.add(scores, given)


def _softmax(scores: Any) -> Any:
    """Return the softmax along the last axis, and zeros where all scores are -inf."""
    peak = ops.max(scores, -1, keepdims=True).detach()
    shift = ops.where(ops.greater(peak, -np.inf), peak, 0.0)
    powers = ops.exp(ops.subtract(scores, shift))
    total = ops.sum(powers, -1, keepdims=True)
    return ops.divide(powers, ops.where(ops.greater(total, 0.0), total, 1.0))
