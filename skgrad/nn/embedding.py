"""A vector for each category."""

from __future__ import annotations

from typing import Any

import numpy as np

from skgrad import ops
from skgrad.core.checks import check_integer
from skgrad.exceptions import DTypeError, ParameterError
from skgrad.nn import init
from skgrad.nn.module import Module
from skgrad.nn.parameter import Parameter, floating_dtype
from skgrad.ops.promotion import as_value
from skgrad.tensor import Tensor
from skgrad.typing import ArrayLike, DTypeLike

__all__ = ["Embedding"]


class Embedding(Module):
    """Look up a vector for each integer code.

    Parameters
    ----------
    num_embeddings : int
        Number of codes: 0, ..., num_embeddings - 1.
    embedding_dim : int
        Length of the vectors.
    padding_idx : int or None, default=None
        A code whose vector is 0 at first and gets no gradient, for the padding of
        sequences; a negative one counts from the end.
    dtype : {"float32", "float64"}, numpy dtype or None, default=None
        Of the vectors; None means that of `default_dtype`.

    Attributes
    ----------
    weight : Parameter of shape (num_embeddings, embedding_dim)
        The vectors, drawn from the standard normal distribution.

    Raises
    ------
    ParameterError
        If a size is not a positive int, or `padding_idx` is no code.

    Notes
    -----
    An estimator's X is floating and scaled: pass ``standardize=False``, and cast the
    columns of codes, ``skgrad.ops.astype(x[:, 0], "int64")``. Codes of categories come
    from scikit-learn's ``OrdinalEncoder``; keep one for categories not seen in the fit.

    Examples
    --------
    >>> import skgrad
    >>> from skgrad import nn
    >>> layer = nn.Embedding(10, 3, padding_idx=0)
    >>> layer(skgrad.tensor([[1, 2, 0]])).shape
    (1, 3, 3)
    >>> layer(skgrad.tensor([0])).numpy()
    array([[0., 0., 0.]])
    """

    weight: Tensor

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        super().__init__()
        n = self.num_embeddings = check_integer(
            "Embedding", "num_embeddings", num_embeddings
        )
        self.embedding_dim = check_integer("Embedding", "embedding_dim", embedding_dim)
        if padding_idx is not None:
            check_integer("Embedding", "padding_idx", padding_idx, -n)
            if padding_idx >= n:
                raise ParameterError(
                    f"The 'padding_idx' parameter of Embedding must be a code below "
                    f"num_embeddings={n}. Got {padding_idx} instead."
                )
        self.padding_idx = None if padding_idx is None else int(padding_idx) % n
        shape = (n, self.embedding_dim)
        self.weight = Parameter(np.zeros(shape, floating_dtype(dtype)))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the vectors anew from the current `skgrad.random_seed` scope.

        Examples
        --------
        >>> from skgrad import nn
        >>> layer = nn.Embedding(5, 2)
        >>> before = layer.weight.numpy().copy()
        >>> layer.reset_parameters()
        >>> bool((layer.weight.numpy() == before).any())
        False
        """
        init.normal_(self.weight)
        if self.padding_idx is not None:
            values = self.weight.numpy().copy()
            values[self.padding_idx] = 0.0
            self.weight.assign_(values)

    def forward(self, codes: ArrayLike) -> Tensor:
        """Return the vectors of codes.

        Parameters
        ----------
        codes : Tensor or array-like of int, of any shape
            In [0, num_embeddings).

        Returns
        -------
        Tensor of shape (*codes.shape, embedding_dim)
            The vectors.

        Raises
        ------
        DTypeError
            If the codes are not integers.
        IndexError
            If a code is out of range; of a traced one, when the trace is run.
        """
        given: Any = as_value(codes, "Embedding")
        self._check(given)
        places: Any = given
        if given.is_traced:  # a negative one would count from the end, in silence
            places = ops.where(ops.less(given, 0), self.num_embeddings, given)
        found: Any = ops.take(self.weight, places)
        if self.padding_idx is not None:
            is_padding = ops.expand_dims(ops.equal(given, self.padding_idx), -1)
            found = ops.where(is_padding, found.detach(), found)
        out: Tensor = found
        return out

    def _check(self, codes: Tensor) -> None:
        name = f"Embedding({self.extra_repr()})"
        if codes.dtype.kind not in "iu":
            raise DTypeError(
                f"{name} looks up integer codes. Got dtype {codes.dtype}: cast them "
                f"with skgrad.ops.astype(x, 'int64')."
            )
        if codes.is_traced or not codes.size:
            return
        low, high = codes.numpy().min(), codes.numpy().max()
        if low < 0 or high >= self.num_embeddings:
            raise IndexError(
                f"{name} has vectors for the codes 0 to {self.num_embeddings - 1}. "
                f"Got codes from {low} to {high}: keep a code for categories that are "
                f"not known, and let num_embeddings count it. An estimator scales its "
                f"inputs: pass standardize=False if some are codes."
            )

    def extra_repr(self) -> str:
        """Return the sizes.

        Returns
        -------
        str
            ``"10, 3"``.
        """
        text = f"{self.num_embeddings}, {self.embedding_dim}"
        padding = self.padding_idx
        return text if padding is None else f"{text}, padding_idx={padding}"
