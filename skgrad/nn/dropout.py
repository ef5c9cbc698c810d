"""Dropout: random zeros during a fit."""

from __future__ import annotations

from skgrad import functional
from skgrad.core.checks import check_interval
from skgrad.nn.activation import Identity
from skgrad.nn.module import Module
from skgrad.tensor import Tensor

__all__ = ["Dropout", "dropout_of"]


class Dropout(Module):
    """Set each element to 0 with probability p while training.

    The elements kept are divided by 1 - p, so that the expectation is the input; in
    evaluation mode (`Module.eval`) the output is the input: estimators predict in it, a
    loop of your own has to call ``module.eval()`` first. The elements are drawn
    independently of one another from the mask stream of the current
    `skgrad.random_seed` scope, anew in each call.

    Parameters
    ----------
    p : float, default=0.5
        The probability that an element becomes 0, in [0, 1). PyTorch also takes 1,
        which leaves nothing to learn from and is refused here.

    Attributes
    ----------
    p : Tensor of shape (), float64
        The rate, an input of every trace. ``dropout.p = 0.3`` changes it.

    Raises
    ------
    ParameterError
        If `p` is not in [0, 1); when it is set later, at the next forward pass
        outside a trace.

    References
    ----------
    Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov, "Dropout: a simple
    way to prevent neural networks from overfitting", JMLR 15, 2014, section 4; scaled
    during the fit instead of afterwards (section 10, "inverted").

    Examples
    --------
    >>> import skgrad
    >>> from skgrad import nn
    >>> dropout = nn.Dropout(0.5)
    >>> with skgrad.random_seed(0):
    ...     out = dropout(skgrad.tensor([1.0] * 100))
    >>> sorted(set(out.numpy().tolist()))
    [0.0, 2.0]
    >>> dropout.eval()(skgrad.tensor([1.0, 3.0])).numpy()
    array([1., 3.])
    """

    p: Tensor

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        check_interval("Dropout", "p", p, 0, 1, "left")
        self.register_hyperparameter("p", p)

    def forward(self, x: Tensor) -> Tensor:
        """Return `x` with zeros, or `x` itself in evaluation mode.

        Parameters
        ----------
        x : Tensor
            Any shape, float32 or float64.

        Returns
        -------
        Tensor
            Of the shape and dtype of `x`.

        Raises
        ------
        ParameterError
            If the rate was set to a value outside [0, 1).
        DTypeError
            If `x` is not floating.
        """
        if not self.training:
            return x
        out: Tensor = functional.dropout(x, self.p)
        return out

    def extra_repr(self) -> str:
        """Return the rate, for the ``repr``.

        Returns
        -------
        str
            ``"p=0.5"``.
        """
        return "p=traced" if self.p.is_traced else f"p={self.p.item():g}"


def dropout_of(rate: float) -> Module:
    """Return the dropout of a rate; at a rate of 0 no masks are drawn."""
    return Dropout(rate) if rate else Identity()
