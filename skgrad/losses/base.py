"""What a loss is: a target domain, a link and a value per sample."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Literal

import numpy as np

from skgrad import ops
from skgrad.core.checks import check_interval
from skgrad.core.params import ParamsMixin
from skgrad.exceptions import ParameterError
from skgrad.losses.checks import check_dtypes, check_shapes
from skgrad.losses.domain import REALS, Interval
from skgrad.losses.links import get_link
from skgrad.tensor import Tensor, tensor

__all__ = ["Loss"]

Task = Literal["regression", "classification", "ranking"]
Hyper = Tensor | float


class Loss(ParamsMixin, ABC):
    """Measure, sample by sample, how far raw predictions are from the targets.

    A loss is called with targets and *raw* predictions (what the model computes, before
    the inverse link) and returns one value per sample: no mean, no weights. Subclasses
    give the attributes below and `pointwise`, composed from ``skgrad.ops`` and
    ``skgrad.functional``; all derivatives follow. ``get_params``, ``set_params`` and
    scikit-learn's ``clone`` work on every loss.

    Attributes
    ----------
    name : str
        Name in the registry, or of the wrapped function.
    link : {"identity", "log", "logit", "multinomial_logit"}
        ``y_pred = inverse link of raw_prediction``.
    matrix_link : str or None
        The link when ``raw_prediction`` is ``(n_samples, n_classes)``, if another.
    y_domain : Interval
        Where targets may lie.
    labels : bool
        Whether targets are class codes ``0, ..., n_classes - 1`` of shape
        ``(n_samples,)`` while ``raw_prediction`` may have a column per class.
    task : {"regression", "classification", "ranking"} or None
        What the loss is for; None when it is not known.
    raw_per_target : int
        How many raw predictions the loss takes for each target: 1, or the number of
        parameters of a distribution (see `location` and `distribution`).
    twice_differentiable : bool
        Whether second derivatives exist everywhere and describe the loss.
    separable : bool
        Whether the value for k outputs is the sum of the values of each output.
    convex : bool
        Whether the value is a convex function of ``raw_prediction``.
    has_optimal_constant : bool
        Whether the class has an `optimal_constant` of its own.
    has_distribution : bool
        Whether `distribution` is available.
    hyperparameter_domains : mapping of str to Interval
        The float parameters of the constructor and where they may lie.

    Examples
    --------
    >>> from skgrad.losses import Poisson
    >>> loss = Poisson()
    >>> loss.name, loss.link, str(loss.y_domain), loss.task
    ('poisson', 'log', '[0, inf)', 'regression')
    """

    name: str = ""
    link: str = "identity"
    matrix_link: str | None = None
    y_domain: Interval = REALS
    labels: bool = False
    task: Task | None = None
    raw_per_target: int = 1
    twice_differentiable: bool = True
    separable: bool = False
    convex: bool = False
    has_distribution: bool = False
    hyperparameter_domains: ClassVar[Mapping[str, Interval]] = MappingProxyType({})

    def __call__(self, y_true: Any, raw_prediction: Any) -> Tensor:
        """Return the loss of every sample.

        Parameters
        ----------
        y_true : Tensor or array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets, in `y_domain`. Class codes have shape (n_samples,). Integer targets
            are taken in the dtype of `raw_prediction`; a float dtype must be the same.
        raw_prediction : Tensor or array-like of the shape of `y_true`
            Raw predictions, float32 or float64; for class codes of shape (n_samples,)
            (two classes) or (n_samples, n_classes); with several of them per target of
            shape (n_samples, raw_per_target * n_outputs).

        Returns
        -------
        Tensor of shape (n_samples,)
            Values per sample, in the dtype of `raw_prediction`, summed over outputs.
            Values of `y_true` are checked against its domain only outside of a trace.
            The losses of skgrad give no NaN for finite arguments, neither as values nor
            as first derivatives; what exceeds the largest number is infinite.

        Raises
        ------
        ShapeError
            If the shapes do not fit; nothing is ever broadcast.
        DTypeError
            If `raw_prediction` is not of a float dtype, or `y_true` of another one.
        ParameterError
            If a hyperparameter or a target lies outside its domain.

        Examples
        --------
        >>> import skgrad
        >>> from skgrad.losses import SquaredError
        >>> y_true = skgrad.tensor([1.0, 2.0])
        >>> SquaredError()(y_true, skgrad.tensor([3.0, 2.0])).numpy().tolist()
        [2.0, 0.0]

        NumPy would subtract a column from a row and give a matrix, in silence:

        >>> SquaredError()(y_true, skgrad.tensor([[3.0], [2.0]]))
        Traceback (most recent call last):
            ...
        skgrad.exceptions.ShapeError: y_true has shape (2,) and raw_prediction has \
shape (2, 1); they must be the same. Use raw_prediction[:, 0].
        """
        self.validate()
        raw_prediction = _as_tensor(raw_prediction)
        y_true = _as_tensor(y_true, device=raw_prediction.device)
        self._check_shapes(y_true, raw_prediction)
        check_dtypes(y_true, raw_prediction, labels=self.labels)
        if not y_true.is_traced:
            self.check_targets(y_true.numpy(), raw_prediction.shape)
        if not self.labels:
            y_true = ops.astype(y_true, raw_prediction.dtype)  # if they are integers
        return self.pointwise(y_true, raw_prediction, **self.hyperparameters())

    @abstractmethod
    def pointwise(
        self, y_true: Tensor, raw_prediction: Tensor, **hyperparameters: Hyper
    ) -> Tensor:
        """Return the loss of every sample, without any check.

        Parameters
        ----------
        y_true, raw_prediction : Tensor
            As in the call of the loss.
        **hyperparameters : Tensor of shape () or float
            Values to use instead of the constructor's, by name. Tensors have the dtype
            of `raw_prediction`; they make the hyperparameters inputs of a trace.

        Returns
        -------
        Tensor of shape (n_samples,)
            Values per sample.

        Examples
        --------
        >>> import skgrad
        >>> from skgrad.losses import Huber
        >>> y_true, raw = skgrad.tensor([0.0]), skgrad.tensor([3.0])
        >>> Huber(delta=1.0).pointwise(y_true, raw, delta=2.0).numpy().tolist()
        [4.0]
        """

    def optimal_constant(self, y: Any, sample_weight: Any = None) -> Any:
        """Return the raw prediction of the best constant model.

        Parameters
        ----------
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets, in `y_domain`.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights, not all zero; None means equal ones. A weight of zero
            is an absent row and an integer weight a repeated one.

        Returns
        -------
        float or ndarray of shape (n_outputs,), float64
            A minimiser of the weighted sum of the losses, on the raw scale. Where the
            minimum is at infinity (a class or a count that never occurs) a large
            finite value, see the class.

        Raises
        ------
        ShapeError
            If the shapes do not fit.
        ParameterError
            If targets lie outside their domain, weights are negative or all zero, or
            the constant is not known (see `has_optimal_constant`).

        Examples
        --------
        >>> from skgrad.losses import SquaredError
        >>> SquaredError().optimal_constant([0.0, 3.0], sample_weight=[2, 1])
        1.0
        """
        raise ParameterError(
            f"The best constant for the loss {self.name!r} is not known. Ask "
            "has_optimal_constant first, or write a class derived from Loss with an "
            "optimal_constant."
        )

    @property
    def has_optimal_constant(self) -> bool:
        """Whether the class has an `optimal_constant` of its own."""
        return type(self).optimal_constant is not Loss.optimal_constant

    def hyperparameters(self) -> dict[str, float]:
        """Return the float parameters of the constructor by name.

        Returns
        -------
        dict of str to float
            What `pointwise` takes as keywords; empty when there are none.

        Examples
        --------
        >>> from skgrad.losses import Huber
        >>> Huber(delta=2).hyperparameters()
        {'delta': 2.0}
        """
        names = self.hyperparameter_domains
        return {name: float(getattr(self, name)) for name in names}

    def validate(self) -> None:
        """Check the values given to the constructor.

        Raises
        ------
        ParameterError
            If a hyperparameter is no number in its domain or the link is unknown.

        Examples
        --------
        >>> from skgrad.losses import Quantile
        >>> Quantile(quantile=2).validate()
        Traceback (most recent call last):
            ...
        skgrad.exceptions.ParameterError: The 'quantile' parameter of Quantile must
        be a float in (0, 1). Got 2 instead.
        """
        owner = type(self).__name__
        for name, domain in self.hyperparameter_domains.items():
            value = getattr(self, name)
            check_interval(owner, name, value, domain.low, domain.high, domain.closed)
        get_link(self.link)

    def inverse_link(self, raw_prediction: Any) -> Any:
        """Return predictions on the scale of the target.

        Parameters
        ----------
        raw_prediction : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Raw predictions, NumPy (this runs after a fit, not in a trace).

        Returns
        -------
        ndarray of the same shape
            Means, quantiles, rates or probabilities. With several raw predictions per
            target those of the location.

        Examples
        --------
        >>> from skgrad.losses import LogLoss
        >>> LogLoss().inverse_link([0.0]).tolist()
        [0.5]
        >>> LogLoss().inverse_link([[1.0, 1.0]]).tolist()
        [[0.5, 0.5]]
        """
        raw_prediction = self.location(np.asarray(raw_prediction))
        matrix = raw_prediction.ndim == 2 and self.matrix_link is not None
        link = self.matrix_link if matrix else self.link
        assert link is not None
        return get_link(link).inverse(raw_prediction)

    def location(self, raw_prediction: Any) -> Any:
        """Return the raw predictions that say where the targets lie.

        Parameters
        ----------
        raw_prediction : ndarray of shape (..., n_columns) or ()
            Raw predictions; a single number stands for all of them.

        Returns
        -------
        ndarray of shape (...,) or (..., n_outputs)
            All of them; with several per target the first ``n_columns /
            raw_per_target`` columns, a single one without its axis.

        Examples
        --------
        >>> import numpy as np
        >>> from skgrad.losses import GaussianNLL
        >>> GaussianNLL().location(np.array([[5.0, 0.0], [6.0, 0.0]])).tolist()
        [5.0, 6.0]
        """
        if self.raw_per_target == 1 or raw_prediction.ndim == 0:
            return raw_prediction
        k = raw_prediction.shape[-1] // self.raw_per_target
        return raw_prediction[..., 0] if k == 1 else raw_prediction[..., :k]

    def rescaled(self, shift: Any, scale: Any) -> tuple[Any, Any]:
        """Return how raw predictions change when locations are shifted and scaled.

        Parameters
        ----------
        shift, scale : ndarray of shape () or (n_outputs,)
            Locations ``m`` become ``shift + scale * m``; with an identity link that is
            what becomes of the targets.

        Returns
        -------
        shift, scale : ndarray
            Raw predictions ``f`` become ``shift + scale * f``, with an entry for each
            raw prediction. With several of them per target all but the locations stay
            as they are, unless the loss says otherwise.

        Examples
        --------
        >>> import numpy as np
        >>> from skgrad.losses import GaussianNLL
        >>> GaussianNLL().rescaled(np.array(5.0), np.array(1.0))
        (array([5., 0.]), array([1., 1.]))
        """
        if self.raw_per_target == 1:
            return shift, scale
        shift, scale = np.atleast_1d(shift), np.atleast_1d(scale)
        rest = (self.raw_per_target - 1) * scale.size
        padded = np.pad(scale, (0, rest), constant_values=1)
        return np.pad(shift, (0, rest)), padded

    def distribution(self, raw_prediction: Any) -> Any:
        """Return the distributions of the targets that raw predictions stand for.

        Parameters
        ----------
        raw_prediction : array-like of shape (n_samples, raw_per_target * n_outputs)
            Raw predictions, NumPy.

        Returns
        -------
        scipy.stats.rv_frozen
            A frozen distribution of SciPy with an entry per target: ``mean()``,
            ``std()``, ``interval(0.9)``, ``ppf(q)``, ``logpdf(y)``, ``rvs()`` and more.

        Raises
        ------
        ParameterError
            If the loss has none (see `has_distribution`).

        Examples
        --------
        >>> import numpy as np
        >>> from skgrad.losses import GaussianNLL
        >>> raw = np.array([[5.0, 0.0], [6.0, np.log(2.0)]])
        >>> GaussianNLL().distribution(raw).std().tolist()
        [1.0, 2.0]
        """
        raise ParameterError(
            f"The loss {self.name!r} predicts a point, not a distribution. Losses with "
            "one are 'gaussian_nll' and 'student_t_nll'."
        )

    def check_targets(self, y_true: Any, raw_shape: tuple[int, ...]) -> None:
        """Check that targets lie where the loss is defined.

        Parameters
        ----------
        y_true : ndarray
            Targets. NaN passes where the domain is all reals.
        raw_shape : tuple of int
            Shape of the raw predictions, which says how many classes there are.

        Raises
        ------
        ParameterError
            Otherwise. The message names a target and the remedy.

        Examples
        --------
        >>> import numpy as np
        >>> from skgrad.losses import Poisson
        >>> Poisson().check_targets(np.array([2.0, -1.0]), (2,))
        Traceback (most recent call last):
            ...
        skgrad.exceptions.ParameterError: The targets of Poisson must lie in [0, inf).
        Got -1.0 among them. Check y, or choose a loss whose domain includes it.
        """
        domain = self.y_domain
        if self.labels:
            n_classes = raw_shape[1] if len(raw_shape) == 2 else 2
            domain = Interval(0, n_classes - 1, "both", integer=True)
        if domain == REALS or domain.includes(y_true):
            return
        outside = y_true[~domain.contains(y_true)].ravel()[0]
        raise ParameterError(
            f"The targets of {type(self).__name__} must lie in {domain}. "
            f"Got {outside.item()!r} among them.{self._target_remedy()}"
        )

    def _check_shapes(self, y_true: Tensor, raw_prediction: Tensor) -> None:
        """Raise unless the shapes of targets and raw predictions fit."""
        check_shapes(
            y_true,
            raw_prediction,
            labels=self.labels,
            raw_per_target=self.raw_per_target,
        )

    def _target_remedy(self) -> str:
        """Return what to do about targets outside the domain."""
        if self.labels:
            return (
                " Encode the classes as 0, 1, ... first, for example with "
                "np.unique(y, return_inverse=True), and give the model one output per "
                "class (or one in all for two classes)."
            )
        return " Check y, or choose a loss whose domain includes it."


def _as_tensor(values: Any, device: str | None = None) -> Tensor:
    """Return `values` if they are a Tensor, otherwise a Tensor of them."""
    return values if isinstance(values, Tensor) else tensor(values, device=device)
