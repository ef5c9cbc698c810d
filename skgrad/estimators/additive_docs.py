"""What the docstrings of additive models share."""

from __future__ import annotations

from typing import Any

__all__ = ["described"]

PARAMETERS = """Parameters
    ----------
    terms : sequence, default=None
        The terms of the model: :class:`SplineTerm`, :class:`LinearTerm`,
        :class:`FactorTerm` and :class:`TensorTerm` objects; a column by name or
        position stands for its default term, a pair of columns for their tensor term.
        None takes the default term of every column: a factor for categories of a data
        frame, a spline for numbers, a straight line for numbers with fewer than 8
        distinct values.
    loss : str, Loss or callable, default="{loss}"
        Any loss with second derivatives: {losses}, a loss object, or your own plain
        function ``loss(y_true, raw_prediction)`` that returns one value per sample.
    smoothing : {{"reml", "gcv"}}, float or array-like of shape (n_penalties,), \
default="reml"
        How much the penalties count. "reml" maximises the restricted marginal
        likelihood by Laplace's method (Wood 2011); "gcv" minimises generalised
        cross-validation, or where the scale is known the unbiased risk estimator. Or
        numbers: smoothing parameters, one for all or one for each penalty, in the order
        of the terms.
    max_iter : int, default=100
        Steps of Newton's method on the smoothing parameters, at most.
    tol : float, default=1e-6
        The fit ends where no derivative of the criterion by the logarithm of a
        smoothing parameter is larger; the criterion is a log-likelihood, or of its
        size."""

ATTRIBUTES = """term_names_ : list of str
        The terms by name: that of the column, two joined by a colon.
    intercept_ : float
        The mean raw prediction over the rows of the fit.
    coef_ : list of ndarray
        Coefficients of each term's functions, which are centred and in the order of
        their penalties; see :meth:`partial_effect` for the effects.
    edf_ : ndarray of shape (n_terms,)
        Effective degrees of freedom of each term.
    total_edf_ : float
        Their sum and one for the intercept.
    smoothing_ : ndarray of shape (n_penalties,)
        The smoothing parameters; given as `smoothing` they repeat the fit.
    scale_ : float
        The scale φ, by which the loss is divided to be a negative log-likelihood: the
        variance of the residuals for squared error, Pearson's statistic over its
        degrees of freedom for "gamma" and "tweedie", 1 for "poisson" and "log_loss".
    criterion_ : float
        What was minimised, up to a constant; nan where smoothing parameters are given.
    loss_ : float
        Mean loss per row at the fit, without penalty.
    deviance_explained_ : float
        1 less the loss over that of the best constant, both less that of a perfect fit,
        which is taken to be 0 for a loss of your own.
    n_iter_ : int
        Steps of Newton's method on the smoothing parameters.
    n_features_in_ : int
        Number of columns of X.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, if they have names."""

NOTES = """The objective is the sum over rows of weight times loss plus, for each
    penalty, half a smoothing parameter times the integral of the squared second
    derivative of a term by its column scaled to [0, 1] (or another penalty, see
    :class:`SplineTerm`). Weights are counts of rows: twice the weights halve what given
    smoothing parameters do.

    Each penalty is diagonal in coordinates that begin with a constant and a straight
    line, and the rows enter through sums of products alone: one pass over them for
    squared error, some tens of passes for other losses. A design that would take more
    than 256 MB is made anew in every pass, block by block.

    The scale of other losses than squared error, "gamma", "tweedie", "poisson" and
    "log_loss" is the mean of squared first derivatives over that of second ones, which
    makes them quasi-likelihoods. Negative second derivatives count as 0.

    Beyond the range of a column in the fit effects go on as straight lines."""

REFERENCES = """Wood, S. N. (2011). Fast stable restricted maximum likelihood and
    marginal likelihood estimation of semiparametric generalized linear models. Journal
    of the Royal Statistical Society B 73, 3-36.
    Wood, S. N. (2008). Fast stable direct fitting and smoothness selection for
    generalized additive models. Journal of the Royal Statistical Society B 70, 495-518.
    """


def described(loss: str, losses: str) -> Any:
    """Return a decorator that fills in what both estimators share."""

    def decorate(cls: Any) -> Any:
        parts = {
            "parameters": PARAMETERS.format(loss=loss, losses=losses),
            "attributes": ATTRIBUTES,
            "notes": NOTES,
            "references": REFERENCES.rstrip(),
        }
        for name, text in parts.items():
            cls.__doc__ = cls.__doc__.replace(f"{{{name}}}", text)
        return cls

    return decorate
