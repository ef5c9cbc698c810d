"""Quantiles by a neural network, which never cross."""

from __future__ import annotations

import numpy as np

from skgrad import nn
from skgrad.estimators.fitting import Rows
from skgrad.estimators.network import BaseMLP
from skgrad.estimators.parameters import documented
from skgrad.estimators.quantiles import ConformalEstimator, QuantileMixin
from skgrad.losses import Loss
from skgrad.train import Frame
from skgrad.typing import Array

__all__ = ["MLPQuantileRegressor"]


@documented()
class MLPQuantileRegressor(QuantileMixin, ConformalEstimator, BaseMLP):
    """Multilayer perceptron for quantiles, with intervals.

    One network has an output per level. All but the first are increments, made positive
    by a softplus, so that no predicted quantile is ever below one of a lower level
    (:class:`skgrad.nn.Increasing`). Minimises ``mean_i(w_i * loss_i) + alpha *
    penalty`` by minibatch steps, where the loss is the sum of the pinball losses of the
    levels and weights are scaled to mean one. Inputs and targets are standardised
    inside. The fit starts at the quantiles of all targets.

    {parameters}

    Attributes
    ----------
    quantiles_ : ndarray of shape (n_levels,)
        The fitted levels.
    n_calibration_ : int
        Rows that were kept out of the fit for the intervals; 0 without
        ``conformalize``.
    {attributes}

    Notes
    -----
    Quantiles of a network that is trained for long are too close together on new rows,
    and so its intervals cover too little. With ``conformalize=True``, for rows that are
    exchangeable with those of the fit and have no ties, `predict_interval` covers a
    new target with a probability between ``coverage`` and ``coverage + 1 /
    (n_calibration_ + 1)``, whatever the model [1]_: on average over the rows and over
    fits, not given the inputs. Rows are set aside one by one: for groups or series
    whose rows depend on each other that does not hold.

    Rows of weight 0 are absent. Other weights count in the calibration as in the fit
    (the weighted quantile of the scores, a new row having the mean weight); the bounds
    are for equal weights.

    With ``warm_start`` the same rows are kept out if the next fit has the same rows.

    References
    ----------
    .. [1] Y. Romano, E. Patterson and E. J. Candès, Conformalized quantile regression,
       NeurIPS 2019, eq. (8) and Theorem 1.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad import MLPQuantileRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(0, 1, size=(200, 1))
    >>> y = 10 * X[:, 0] + X[:, 0] * rng.normal(size=200)
    >>> model = MLPQuantileRegressor(
    ...     quantile=(0.05, 0.5, 0.95), learning_rate=0.03, tol=None, random_state=0
    ... ).fit(X, y)
    >>> low, median, high = model.predict([[0.1], [0.9]]).T
    >>> bool(low[1] < median[1] < high[1]), bool(high[1] - low[1] > high[0] - low[0])
    (True, True)
    >>> model.predict([[0.9]], quantile=0.4).shape
    (1,)
    >>> model.predict_interval([[0.1], [0.9]], coverage=0.8).shape
    (2, 2)
    """

    def __init__(
        self,
        *,
        quantile=(0.05, 0.5, 0.95),
        hidden_layer_sizes=(100,),
        activation="relu",
        dropout=0.0,
        alpha=0.0,
        l1_ratio=0.0,
        standardize=True,
        optimizer="adam",
        learning_rate=1e-3,
        schedule=None,
        batch_size="auto",
        shuffle=True,
        max_iter=200,
        max_time=None,
        tol=1e-4,
        n_iter_no_change=10,
        early_stopping=False,
        validation_fraction=0.1,
        validation_splitter=None,
        scoring="loss",
        refit=None,
        conformalize=False,
        calibration_fraction=0.25,
        clip_norm=None,
        on_divergence="recover",
        warm_start=False,
        random_state=None,
        dtype=None,
        device="cpu",
        matmul_precision="highest",
        verbose=0,
    ):
        self.quantile = quantile
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.dropout = dropout
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.standardize = standardize
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.schedule = schedule
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.max_iter = max_iter
        self.max_time = max_time
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.validation_splitter = validation_splitter
        self.scoring = scoring
        self.refit = refit
        self.conformalize = conformalize
        self.calibration_fraction = calibration_fraction
        self.clip_norm = clip_norm
        self.on_divergence = on_divergence
        self.warm_start = warm_start
        self.random_state = random_state
        self.dtype = dtype
        self.device = device
        self.matmul_precision = matmul_precision
        self.verbose = verbose

    def _make_module(self, n_features: int, n_outputs: int | None) -> nn.Sequential:
        return super()._make_module(n_features, n_outputs).append(nn.Increasing())

    def _start(
        self, module, rows: Rows, encoded: Array, loss: Loss, frame: Frame
    ) -> None:
        """Start at the quantiles of all targets."""
        constants = np.atleast_1d(loss.optimal_constant(encoded, rows.w))
        with np.errstate(over="ignore", invalid="ignore"):  # refused by the fit
            outputs = (constants - frame.y_shift) / frame.y_scale
            start = nn.Increasing.inverse(outputs)
        bias = module[-2].bias
        bias.assign_(start.astype(bias.dtype))
