"""Neural networks: multilayer perceptrons and modules of the user."""

from __future__ import annotations

from itertools import pairwise
from typing import ClassVar

import numpy as np

from skgrad import nn
from skgrad.estimators.base import BaseGradientEstimator
from skgrad.estimators.fitting import Rows
from skgrad.estimators.parameters import ACTIVATIONS, NestedParams, documented
from skgrad.estimators.scaling import target_frame, weighted_mean_and_scale
from skgrad.estimators.targets import GradientClassifierMixin, GradientRegressorMixin
from skgrad.exceptions import ParameterError
from skgrad.losses import Loss
from skgrad.train import Frame

__all__ = ["MLPClassifier", "MLPRegressor", "ModuleClassifier", "ModuleRegressor"]


class BaseNetwork(NestedParams, BaseGradientEstimator):
    """Base of the networks: scaled inputs, and targets scaled with an identity link."""

    _is_network: ClassVar[bool] = True

    def _make_frame(self, rows: Rows, loss: Loss) -> Frame:
        dtype = rows.X.dtype
        frame = Frame.identity(rows.X.shape[1], dtype)
        if not self.standardize:
            return frame
        moments = weighted_mean_and_scale(rows.X, rows.w, dtype)
        mean, scale = (moment.astype(dtype) for moment in moments)
        target = (frame.offset, frame.y_shift, frame.y_scale)
        if self._task == "regression":
            target = target_frame(rows.y, rows.w, loss, dtype)
        return Frame(mean, scale, *target)


class BaseMLP(BaseNetwork):
    """Base of the perceptrons."""

    def _make_module(self, n_features: int, n_outputs: int | None) -> nn.Sequential:
        hidden = np.atleast_1d(np.asarray(self.hidden_layer_sizes, dtype=object))
        widths = [n_features]
        for width in hidden:
            if not isinstance(width, int | np.integer) or width < 1:
                raise ParameterError(
                    "The 'hidden_layer_sizes' parameter must hold ints >= 1. Got "
                    f"{self.hidden_layer_sizes!r} instead."
                )
            widths.append(int(width))
        layers: list[nn.Module] = []
        for n_in, n_out in pairwise(widths):
            layers += [nn.Linear(n_in, n_out), self._make_activation()]
            if self.dropout:
                layers.append(nn.Dropout(self.dropout))
        return nn.Sequential(*layers, nn.Linear(widths[-1], n_outputs or 1))

    def _make_activation(self) -> nn.Module:
        if isinstance(self.activation, nn.Module):
            kind = type(self.activation).__name__
            raise ParameterError(
                f"The 'activation' parameter of {type(self).__name__} must be a name "
                f"or make a module for each layer. Got a module: pass nn.{kind}."
            )
        known = isinstance(self.activation, str)
        return ACTIVATIONS[self.activation]() if known else self.activation()


class BaseModule(BaseNetwork):
    """Base of the estimators around a user's module."""

    def _make_module(self, n_features: int, n_outputs: int | None) -> nn.Module:
        if isinstance(self.module, nn.Module):
            kind = type(self.module).__name__
            raise ParameterError(
                f"The 'module' parameter of {type(self).__name__} must be a class or a "
                "function that makes a module, so that every fit starts from new "
                f"weights. Got a module, an instance of {kind}: pass module={kind}, "
                "and further arguments of its constructor as module_params. It is "
                "called as module(n_features, n_outputs, **module_params)."
            )
        return self.module(n_features, n_outputs or 1, **(self.module_params or {}))


@documented()
class MLPRegressor(GradientRegressorMixin, BaseMLP):
    """Multilayer perceptron for regression, with any loss.

    Minimises ``mean_i(w_i * loss_i) + alpha * penalty`` by minibatch steps, weights
    scaled to mean one. Inputs, and the targets of losses with an identity link, are
    standardised inside; parameters of such a loss (``delta`` of Huber) are in units of
    the target's standard deviation.

    {parameters}

    Attributes
    ----------
    {attributes}

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad import MLPRegressor
    >>> X = np.linspace(-1, 1, 100).reshape(-1, 1)
    >>> y = 100 * X[:, 0] ** 2
    >>> model = MLPRegressor(learning_rate=0.03, random_state=0)
    >>> bool(model.fit(X, y).score(X, y) > 0.99)
    True
    """

    def __init__(
        self,
        *,
        loss="squared_error",
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
        clip_norm=None,
        on_divergence="recover",
        warm_start=False,
        random_state=None,
        dtype=None,
        device="cpu",
        matmul_precision="highest",
        verbose=0,
    ):
        self.loss = loss
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
        self.clip_norm = clip_norm
        self.on_divergence = on_divergence
        self.warm_start = warm_start
        self.random_state = random_state
        self.dtype = dtype
        self.device = device
        self.matmul_precision = matmul_precision
        self.verbose = verbose


CLASSIFIER_LOSS = """str, Loss or callable, default={default}
        "log_loss", "focal" (with probabilities), "hinge", "squared_hinge" (scores
        only), a loss object, or your own plain function
        ``loss(y_true, raw_prediction)`` returning one value per sample. For two classes
        it sees codes 0.0 and 1.0 and log-odds, both of shape (n_samples,); otherwise
        integer codes (n_samples,) and logits (n_samples, n_classes). For labels it is
        that of two classes, summed over the labels: your function sees all of them one
        after the other, (n_samples * n_labels,)."""


@documented(loss=CLASSIFIER_LOSS)
class MLPClassifier(GradientClassifierMixin, BaseMLP):
    """Multilayer perceptron for classification.

    Minimises ``mean_i(w_i * loss_i) + alpha * penalty`` by minibatch steps, weights
    scaled to mean one. Inputs are standardised inside. The network has one output for
    two classes (log-odds), otherwise one per class. A y of shape (n_samples, n_labels)
    that holds 0 and 1 is fitted as labels of which a row may have any number.

    {parameters}

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes, sorted; ``arange(n_labels)`` for labels.
    {attributes}

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad import MLPClassifier
    >>> X = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    >>> y = ["same", "different", "different", "same"]
    >>> model = MLPClassifier(learning_rate=0.05, tol=0, random_state=0)
    >>> import warnings
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     model = model.fit(X, y)
    >>> model.predict(X).tolist()
    ['same', 'different', 'different', 'same']
    """

    def __init__(
        self,
        *,
        loss="log_loss",
        hidden_layer_sizes=(100,),
        activation="relu",
        dropout=0.0,
        alpha=1e-4,
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
        clip_norm=None,
        on_divergence="recover",
        class_weight=None,
        warm_start=False,
        random_state=None,
        dtype=None,
        device="cpu",
        matmul_precision="highest",
        verbose=0,
    ):
        self.loss = loss
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
        self.clip_norm = clip_norm
        self.on_divergence = on_divergence
        self.class_weight = class_weight
        self.warm_start = warm_start
        self.random_state = random_state
        self.dtype = dtype
        self.device = device
        self.matmul_precision = matmul_precision
        self.verbose = verbose


@documented()
class ModuleRegressor(GradientRegressorMixin, BaseModule):
    """Regression with a module of your own.

    Minimises ``mean_i(w_i * loss_i) + alpha * penalty`` by minibatch steps, weights
    scaled to mean one. Inputs, and the targets of losses with an identity link, are
    standardised inside. The penalty acts on parameters with two or more axes.

    {parameters}

    Attributes
    ----------
    {attributes}

    Examples
    --------
    >>> import numpy as np
    >>> import skgrad
    >>> from skgrad import ModuleRegressor, nn
    >>> class Net(nn.Module):
    ...     def __init__(self, n_features, n_outputs, hidden=16):
    ...         super().__init__()
    ...         self.hidden = nn.Linear(n_features, hidden)
    ...         self.out = nn.Linear(hidden, n_outputs)
    ...     def forward(self, x):
    ...         return self.out(skgrad.tanh(self.hidden(x)))
    >>> X = np.linspace(-1, 1, 100).reshape(-1, 1)
    >>> model = ModuleRegressor(module=Net, learning_rate=0.05, random_state=0)
    >>> bool(model.fit(X, 3 * X[:, 0]).score(X, 3 * X[:, 0]) > 0.99)
    True
    """

    def __init__(
        self,
        *,
        module,
        module_params=None,
        loss="squared_error",
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
        clip_norm=None,
        on_divergence="recover",
        warm_start=False,
        random_state=None,
        dtype=None,
        device="cpu",
        matmul_precision="highest",
        verbose=0,
    ):
        self.module = module
        self.module_params = module_params
        self.loss = loss
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
        self.clip_norm = clip_norm
        self.on_divergence = on_divergence
        self.warm_start = warm_start
        self.random_state = random_state
        self.dtype = dtype
        self.device = device
        self.matmul_precision = matmul_precision
        self.verbose = verbose


@documented(loss=CLASSIFIER_LOSS)
class ModuleClassifier(GradientClassifierMixin, BaseModule):
    """Classification with a module of your own.

    Minimises ``mean_i(w_i * loss_i) + alpha * penalty`` by minibatch steps, weights
    scaled to mean one. Inputs are standardised inside. The module is made with
    ``n_outputs=1`` for two classes (log-odds), otherwise with one output per class. A y
    of shape (n_samples, n_labels) that holds 0 and 1 is fitted as labels of which a row
    may have any number.

    {parameters}

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes, sorted; ``arange(n_labels)`` for labels.
    {attributes}

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad import ModuleClassifier, nn
    >>> X = np.linspace(-1, 1, 100).reshape(-1, 1)
    >>> y = np.where(abs(X[:, 0]) < 0.5, "inner", "outer")
    >>> def net(n_features, n_outputs, hidden=16):
    ...     return nn.Sequential(
    ...         nn.Linear(n_features, hidden), nn.ReLU(), nn.Linear(hidden, n_outputs)
    ...     )
    >>> model = ModuleClassifier(
    ...     module=net, module_params={"hidden": 32}, learning_rate=0.05, random_state=0
    ... )
    >>> bool(model.fit(X, y).score(X, y) > 0.95)
    True
    """

    def __init__(
        self,
        *,
        module,
        module_params=None,
        loss="log_loss",
        alpha=1e-4,
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
        clip_norm=None,
        on_divergence="recover",
        class_weight=None,
        warm_start=False,
        random_state=None,
        dtype=None,
        device="cpu",
        matmul_precision="highest",
        verbose=0,
    ):
        self.module = module
        self.module_params = module_params
        self.loss = loss
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
        self.clip_norm = clip_norm
        self.on_divergence = on_divergence
        self.class_weight = class_weight
        self.warm_start = warm_start
        self.random_state = random_state
        self.dtype = dtype
        self.device = device
        self.matmul_precision = matmul_precision
        self.verbose = verbose
