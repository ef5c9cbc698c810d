"""Attention with several heads, and the layer of a transformer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from skgrad import functional, ops
from skgrad.core.checks import check_integer, check_interval
from skgrad.exceptions import ParameterError, ShapeError
from skgrad.nn import init
from skgrad.nn.activation import GELU
from skgrad.nn.dropout import dropout_of
from skgrad.nn.inputs import input_of
from skgrad.nn.linear import Linear
from skgrad.nn.module import Module
from skgrad.nn.normalization import LayerNorm
from skgrad.nn.parameter import Parameter, floating_dtype
from skgrad.nn.rectifier import ReLU
from skgrad.ops.promotion import as_value
from skgrad.tensor import Tensor
from skgrad.typing import ArrayLike, DTypeLike, Shape

__all__ = ["MultiheadAttention", "TransformerEncoderLayer"]


class MultiheadAttention(Module):
    r"""Attend to a sequence with several heads, each with a projection of its own.

    .. math:: \mathrm{out} = W_o\,[\mathrm{head}_1, \dots, \mathrm{head}_h] + b_o
        \text{, } \mathrm{head}_i = \mathrm{attention}(W_{q,i} q + b_{q,i},
                  W_{k,i} k + b_{k,i}, W_{v,i} v + b_{v,i})

    Parameters
    ----------
    embed_dim : int
        Length of queries, keys, values and outputs; a multiple of `num_heads`.
    num_heads : int
        Number of heads; each sees embed_dim / num_heads features.
    dropout : float in [0, 1), default=0.0
        Share of the attention weights that become 0 while training.
    bias : bool, default=True
        Whether the projections have a bias.
    dtype : {"float32", "float64"}, numpy dtype or None, default=None
        Of the parameters; None means that of `default_dtype`.

    Attributes
    ----------
    in_proj_weight : Parameter of shape (3 · embed_dim, embed_dim)
        The projections of query, key and value, one below the other; Xavier uniform.
    in_proj_bias : Parameter of shape (3 · embed_dim,) or None
        At first 0.
    out_proj : Linear
        W_o and b_o, the bias at first 0.

    Raises
    ------
    ParameterError
        If a size is not a positive int or `num_heads` does not divide `embed_dim`.

    Notes
    -----
    The batch comes first always: PyTorch's layer with ``batch_first=True``, whose
    ``state_dict`` it loads. Masks mean what they mean there: **True hides** a key in
    `key_padding_mask` and `attn_mask`, unlike in
    `skgrad.functional.scaled_dot_product_attention`, where True shows it.

    References
    ----------
    Vaswani et al. (2017). Attention is all you need. NeurIPS, section 3.2.2.

    Examples
    --------
    >>> import numpy as np
    >>> import skgrad
    >>> from skgrad import nn
    >>> layer = nn.MultiheadAttention(8, num_heads=2)
    >>> x = skgrad.tensor(np.ones((4, 5, 8)))
    >>> out, weights = layer(x, x, x, is_causal=True)
    >>> out.shape, weights.shape
    ((4, 5, 8), (4, 5, 5))
    >>> weights[0, 1].numpy()
    array([0.5, 0.5, 0. , 0. , 0. ])
    """

    in_proj_weight: Tensor
    in_proj_bias: Tensor | None
    out_proj: Linear
    dropout: Module

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        dtype: DTypeLike | None = None,
    ) -> None:
        super().__init__()
        owner = "MultiheadAttention"
        self.embed_dim = check_integer(owner, "embed_dim", embed_dim)
        self.num_heads = check_integer(owner, "num_heads", num_heads)
        check_interval(owner, "dropout", dropout, 0, 1, "left")
        if embed_dim % num_heads:
            raise ParameterError(
                f"The 'num_heads' parameter of {owner} must divide embed_dim="
                f"{embed_dim}. Got {num_heads} instead."
            )
        kind = floating_dtype(dtype)
        self.in_proj_weight = Parameter(np.zeros((3 * embed_dim, embed_dim), kind))
        self.in_proj_bias = Parameter(np.zeros(3 * embed_dim, kind)) if bias else None
        self.out_proj = Linear(embed_dim, embed_dim, bias=bias, dtype=kind)
        self.dropout = dropout_of(dropout)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the parameters anew from the current `skgrad.random_seed` scope.

        Examples
        --------
        >>> from skgrad import nn
        >>> layer = nn.MultiheadAttention(4, 2)
        >>> before = layer.in_proj_weight.numpy().copy()
        >>> layer.reset_parameters()
        >>> bool((layer.in_proj_weight.numpy() == before).any())
        False
        """
        init.xavier_uniform_(self.in_proj_weight)
        self.out_proj.reset_parameters()
        for bias in (self.in_proj_bias, self.out_proj.bias):
            if bias is not None:
                init.zeros_(bias)

    def forward(
        self,
        query: ArrayLike,
        key: ArrayLike,
        value: ArrayLike,
        key_padding_mask: ArrayLike | None = None,
        need_weights: bool = True,
        attn_mask: ArrayLike | None = None,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """Return the outputs, and the weights averaged over the heads.

        Parameters
        ----------
        query : Tensor or array-like of shape (n_samples, n_queries, embed_dim)
            What each position asks for.
        key, value : Tensor or array-like of shape (n_samples, n_keys, embed_dim)
            What it is compared with, and what is averaged.
        key_padding_mask : bool array of shape (n_samples, n_keys), default=None
            True hides a key from all queries of its sample.
        need_weights : bool, default=True
            Whether to return the weights.
        attn_mask : array, default=None
            Bool: True hides a key from a query. Float: added to the scores. Of shape
            (n_queries, n_keys), (n_samples, n_queries, n_keys) or (n_samples,
            num_heads, n_queries, n_keys).
        is_causal : bool, default=False
            Hide from query i the keys after i; on top of the masks.

        Returns
        -------
        out : Tensor of shape (n_samples, n_queries, embed_dim)
            0 before the output projection where all keys are hidden.
        weights : Tensor of shape (n_samples, n_queries, n_keys) or None
            After dropout-free softmax, averaged over the heads.

        Raises
        ------
        ShapeError
            If the shapes do not fit.
        DTypeError
            If the input is of another floating dtype.
        """
        dtype = self.in_proj_weight.dtype
        # What is given twice stays one tensor: that is self-attention.
        known = {id(x): input_of(self, x, dtype) for x in (query, key, value)}
        inputs = [known[id(x)] for x in (query, key, value)]
        self._check(*inputs)
        q, k, v = self._heads(*inputs)
        mask = self._mask(key_padding_mask, attn_mask, q.shape[:3], k.shape[2])
        weights = functional.attention_weights(q, k, mask, is_causal)
        heads = ops.matmul(self.dropout(weights), v)  # samples, heads, queries, own
        n, _, n_queries, _ = heads.shape
        joined = ops.reshape(ops.swapaxes(heads, 1, 2), (n, n_queries, self.embed_dim))
        out = self.out_proj(joined)
        return out, functional.mean(weights, axis=1) if need_weights else None

    def _heads(self, query: Tensor, key: Tensor, value: Tensor) -> Any:
        """Return each projected: (samples, heads, positions, own features)."""
        weight, bias = self.in_proj_weight, self.in_proj_bias
        if query is key is value:  # one product instead of three
            return self._split(query, weight, bias)
        thirds = (self.embed_dim,) * 3
        weights = ops.unpack(ops.reshape(weight, -1), [(n, n) for n in thirds])
        biases = (
            (None,) * 3 if bias is None else ops.unpack(bias, [(n,) for n in thirds])
        )
        given = zip((query, key, value), weights, biases, strict=True)
        return [self._split(*parts)[0] for parts in given]

    def _split(self, x: Tensor, weight: Any, bias: Any) -> Any:
        """Return an affine map of x cut into parts and heads, the parts first."""
        out = ops.matmul(x, ops.transpose(weight))
        out = out if bias is None else out + bias
        n, length, _ = x.shape
        own = self.embed_dim // self.num_heads
        parts = ops.reshape(out, (n, length, -1, self.num_heads, own))
        return functional.unstack(ops.transpose(parts, (2, 0, 3, 1, 4)))

    def _mask(
        self,
        padding: ArrayLike | None,
        mask: ArrayLike | None,
        queries: Shape,
        n_keys: int,
    ) -> Any:
        """Return what is added to the scores: -inf where one of the masks hides."""
        n, heads, n_queries = queries
        own = (n_queries, n_keys)
        seen = [(n, *own), (n, 1, *own), (n, heads, *own)]
        total: Any = None
        for name, given, shapes in (
            ("key_padding_mask", padding, [(n, n_keys)]),
            ("attn_mask", mask, [own, *seen]),
        ):
            if given is None:
                continue
            part = self._added(name, given, shapes)
            if name == "key_padding_mask":
                part = ops.reshape(part, (n, 1, 1, n_keys))
            elif part.ndim == 3:
                part = ops.expand_dims(part, 1)
            total = part if total is None else ops.add(total, part)
        return total

    def _added(self, name: str, mask: ArrayLike, shapes: Sequence[Shape]) -> Any:
        """Return a mask as numbers to add, its shape checked."""
        dtype = self.in_proj_weight.dtype
        given = as_value(mask, "MultiheadAttention")
        if given.shape not in shapes:
            raise ShapeError(
                f"The {name} of MultiheadAttention must have the shape "
                f"{' or '.join(map(str, dict.fromkeys(shapes)))} for these queries and "
                f"keys. Got {given.shape}."
            )
        if given.dtype.kind != "b":
            return given
        return ops.where(given, np.full((), -np.inf, dtype), np.zeros((), dtype))

    def _check(self, query: Tensor, key: Tensor, value: Tensor) -> None:
        for name, x in (("query", query), ("key", key), ("value", value)):
            if x.ndim != 3 or x.shape[-1] != self.embed_dim:
                raise ShapeError(
                    f"MultiheadAttention needs a {name} of shape (n_samples, length, "
                    f"{self.embed_dim}): the batch comes first. Got {x.shape}."
                )
        if key.shape[:2] != value.shape[:2] or query.shape[0] != key.shape[0]:
            raise ShapeError(
                "MultiheadAttention needs as many samples of queries, keys and values, "
                f"and as many values as keys. Got shapes {query.shape}, {key.shape} "
                f"and {value.shape}."
            )

    def extra_repr(self) -> str:
        """Return the sizes.

        Returns
        -------
        str
            ``"embed_dim=8, num_heads=2"``.
        """
        return f"embed_dim={self.embed_dim}, num_heads={self.num_heads}"


class TransformerEncoderLayer(Module):
    r"""Self-attention and a feed-forward network, each with a residual connection.

    .. math:: x \leftarrow \mathrm{norm}_1(x + \mathrm{attention}(x))
        \text{, then } \mathrm{norm}_2(x + W_2\,\sigma(W_1 x + b_1) + b_2)

    or, with ``norm_first=True``, ``x + attention(norm1(x))`` and likewise.

    Parameters
    ----------
    d_model : int
        Length of the input and the output vectors.
    nhead : int
        Heads of the attention; divides `d_model`.
    dim_feedforward : int, default=2048
        Width of the hidden layer.
    dropout : float in [0, 1), default=0.1
        Rate after attention, activation and feed-forward network, and of the
        attention weights.
    activation : {"relu", "gelu"}, default="relu"
        σ.
    layer_norm_eps : float, default=1e-5
        Added to the variance.
    norm_first : bool, default=False
        Normalise what enters the two parts instead of what leaves them; such layers
        train without warm-up.
    bias : bool, default=True
        Whether linear and normalising layers have a bias.
    dtype : {"float32", "float64"}, numpy dtype or None, default=None
        Of the parameters; None means that of `default_dtype`.

    Raises
    ------
    ParameterError
        If a size is not a positive int, `nhead` does not divide `d_model` or the
        activation is unknown.

    Notes
    -----
    The batch comes first always: PyTorch's layer with ``batch_first=True``, whose
    ``state_dict`` it loads.

    References
    ----------
    Vaswani et al. (2017). Attention is all you need. NeurIPS, section 3.1; Xiong et
    al. (2020). On layer normalization in the transformer architecture. ICML, for
    ``norm_first``.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad import nn
    >>> layer = nn.TransformerEncoderLayer(8, nhead=2, dim_feedforward=16)
    >>> layer(np.zeros((4, 5, 8))).shape
    (4, 5, 8)
    """

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Literal["relu", "gelu"] = "relu",
        layer_norm_eps: float = 1e-5,
        norm_first: bool = False,
        bias: bool = True,
        dtype: DTypeLike | None = None,
    ) -> None:
        super().__init__()
        known = {"relu": ReLU, "gelu": GELU}
        if activation not in known:
            raise ParameterError(
                "The 'activation' parameter of TransformerEncoderLayer must be one of "
                f"{sorted(known)}. Got {activation!r} instead."
            )
        self.self_attn = MultiheadAttention(d_model, nhead, dropout, bias, dtype)
        self.linear1 = Linear(d_model, dim_feedforward, bias, dtype)
        self.dropout = dropout_of(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias, dtype)
        self.norm1 = LayerNorm(d_model, layer_norm_eps, bias=bias, dtype=dtype)
        self.norm2 = LayerNorm(d_model, layer_norm_eps, bias=bias, dtype=dtype)
        self.dropout1 = dropout_of(dropout)
        self.dropout2 = dropout_of(dropout)
        self.activation = known[activation]()
        self.norm_first = bool(norm_first)

    def forward(
        self,
        src: ArrayLike,
        src_mask: ArrayLike | None = None,
        src_key_padding_mask: ArrayLike | None = None,
        is_causal: bool = False,
    ) -> Tensor:
        """Return the sequences after one layer.

        Parameters
        ----------
        src : Tensor or array-like of shape (n_samples, length, d_model)
            The sequences.
        src_mask, src_key_padding_mask, is_causal
            The ``attn_mask``, ``key_padding_mask`` and ``is_causal`` of
            `MultiheadAttention`: True hides.

        Returns
        -------
        Tensor of shape (n_samples, length, d_model)
            Of the dtype of the layer.

        Raises
        ------
        ShapeError
            If the shapes do not fit.
        """
        masks = src_mask, src_key_padding_mask, is_causal
        x: Any = input_of(self, src, self.linear1.weight.dtype)
        if self.norm_first:
            x = ops.add(x, self._attended(self.norm1(x), *masks))
            x = ops.add(x, self._fed_forward(self.norm2(x)))
        else:
            x = self.norm1(ops.add(x, self._attended(x, *masks)))
            x = self.norm2(ops.add(x, self._fed_forward(x)))
        out: Tensor = x
        return out

    def _attended(self, x: Any, mask: Any, padding: Any, is_causal: bool) -> Any:
        out, _ = self.self_attn(x, x, x, padding, False, mask, is_causal)
        return self.dropout1(out)

    def _fed_forward(self, x: Any) -> Any:
        hidden = self.dropout(self.activation(self.linear1(x)))
        return self.dropout2(self.linear2(hidden))
