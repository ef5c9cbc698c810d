"""What all estimators share: from the user's arrays to a fitted module and back."""

from __future__ import annotations

import copy
import warnings
from abc import ABCMeta, abstractmethod
from typing import Any, ClassVar

import numpy as np
from sklearn.callback import CallbackSupportMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from skgrad import nn
from skgrad.core import random_seed
from skgrad.estimators.device import placed_prediction
from skgrad.estimators.doctor import examine
from skgrad.estimators.fitting import NO_ROWS, Fitting, Limits, Rows, Solver
from skgrad.estimators.hooks import Hooks, fit_key
from skgrad.estimators.html import HTMLMixin
from skgrad.estimators.input import InputMixin
from skgrad.estimators.report import FitReport
from skgrad.estimators.sklearn_private import fit_context
from skgrad.estimators.solving import optimized
from skgrad.estimators.validation import check_validation, split_rows
from skgrad.exceptions import ParameterError
from skgrad.losses import Loss, get_loss
from skgrad.optim import get_optimizer
from skgrad.train import (
    Data,
    Fit,
    Frame,
    Queries,
    StopReason,
    predictor,
    recovered,
)
from skgrad.typing import Array

__all__ = ["BaseGradientEstimator"]

# Parameters a fit that continues another one cannot change.
STRUCTURAL = (
    *("module", "module_params", "hidden_layer_sizes", "activation", "dropout"),
    *("fit_intercept", "standardize", "dtype"),
)

RANKING_REMEDY = (
    " Its samples are queries, not rows: use GradientLinearRanker, MLPRanker or "
    "ModuleRanker, which take the query of each row as qid."
)

# Rows predicted at a time: keeps what hidden layers need within some tens of MB.
PREDICT_ROWS = 2**14


class BaseGradientEstimator(
    HTMLMixin, CallbackSupportMixin, InputMixin, metaclass=ABCMeta
):
    """Base of the estimators: a module, a loss, an optimizer behind ``fit``.

    Subclasses say which module and which frame of scaling; the mixins of ``targets``
    say what the targets are.
    """

    # What batch_size="auto" means, where there are as many rows.
    _auto_batch_size: ClassVar[int] = 200
    _is_network: ClassVar[bool] = False
    _is_path: ClassVar[bool] = False

    # --- what subclasses give -----------------------------------------------------

    @abstractmethod
    def _make_module(self, n_features: int, n_outputs: int | None) -> nn.Module:
        """Return the module with its initial parameters."""

    @abstractmethod
    def _make_frame(self, rows: Rows, loss: Loss) -> Frame:
        """Return the affine layers around the module."""

    @abstractmethod
    def _encode(self, y: Array, loss: Loss) -> tuple[Array, int | None]:
        """Return targets as the loss sees them, and the columns of raw predictions."""

    def _make_optimizer(self, loss: Loss, module: nn.Module) -> Any:
        return get_optimizer(self.optimizer)

    def _make_solver(self, loss: Loss, module: nn.Module) -> Solver:
        """Return what minimises, an optimizer or a solver without one."""
        return optimized(self._make_optimizer(loss, module))

    def _penalty(self) -> tuple[float, float]:
        """Return the strength of the objective's penalty, and its part of L1."""
        return self.alpha, self.l1_ratio

    def _restrictions(
        self, frame: Frame, loss: Loss, module: nn.Module
    ) -> dict[str, Any]:
        """Return bounds and penalty factors of the parameters, if there are any."""
        return {}

    def _collected(self, data: Data, rows: Rows) -> Data | Queries:
        """Return encoded rows as the samples of the loss."""
        return data

    def _scorer(self) -> Any:
        """Return what scores validation rows, where that is not the loss."""
        # Imported by the fits that score: 0.1 s of a process that does nothing else.
        from sklearn.metrics import check_scoring  # noqa: PLC0415

        return check_scoring(self, self.scoring)

    def _score_params(self, rows: Rows) -> dict[str, Array]:
        """Return what a scorer is told of rows."""
        # Scorers need not know weights unless there are some.
        return {} if rows.w.min() == rows.w.max() else {"sample_weight": rows.w}

    def _compute_dtype(self) -> Any:
        """Return the dtypes inputs may have; the first is converted to."""
        if getattr(self, "dtype", None) is not None:
            return np.dtype(self.dtype)
        return [np.float64, np.float32]

    def _parameter_dtype(self, rows: Rows) -> Any:
        """Return the dtype of the computation: that of the rows."""
        return rows.X.dtype

    # --- fitting ------------------------------------------------------------------

    @fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X,
        y,
        sample_weight=None,
        *,
        X_val=None,
        y_val=None,
        sample_weight_val=None,
        groups=None,
    ):
        """Fit the model.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Inputs. The linear regressor and the linear classifier take sparse arrays
            and matrices of SciPy too; the others refuse them.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights: an integer weight equals a repeated row, a zero
            weight an absent one.
        X_val : array-like of shape (n_val, n_features), default=None
            Validation inputs; their score is recorded after each epoch.
        y_val : array-like of shape (n_val,) or (n_val, n_outputs), default=None
            Validation targets.
        sample_weight_val : array-like of shape (n_val,), default=None
            Validation weights.
        groups : array-like of shape (n_samples,), default=None
            Groups of the rows, for a ``validation_splitter`` that keeps them together.

        Returns
        -------
        estimator
            The fitted estimator itself.

        Raises
        ------
        ValueError
            If the data or a parameter is not valid; the message says what to do.
        """
        rows = X, y, sample_weight, groups
        validation = X_val, y_val, sample_weight_val
        work = self._fit_with_hooks(rows, validation, {"sample_weight": sample_weight})
        examine(self, *work)
        return self

    def _fit_with_hooks(
        self, rows: Any, validation: Any, metadata: dict[str, Any]
    ) -> tuple[Fit, Fitting]:
        """Fit to (X, y, sample_weight, groups), with scikit-learn's callbacks."""
        if not (self.warm_start and hasattr(self, "module_")):
            forget(self)
        hooks = Hooks(self, rows[0], rows[1], metadata)
        limits = Limits(self.max_iter, self.tol)
        try:
            fit, work = self._fit(rows, limits, validation, hooks)
        except ValueError:
            self._check_seen(rows[0])
            raise
        hooks.close(work.progress)
        return fit, work

    def _partial_fit(self, X, y, sample_weight, groups=None):
        """Continue with one epoch on other rows."""
        if self.early_stopping:
            raise ParameterError(
                "partial_fit makes one pass and cannot stop early. Set "
                "early_stopping=False."
            )
        limits = Limits(1, self.tol, schedule_epochs=self.max_iter)
        fit, _ = self._fit((X, y, sample_weight, groups), limits)
        if fit.reason is StopReason.INTERRUPTED:
            raise KeyboardInterrupt  # the loop around the call is the user's
        if fit.recoveries:
            warnings.warn(recovered(fit.recoveries), ConvergenceWarning, stacklevel=4)
        return self

    def _fit(
        self,
        data: Any,
        limits: Limits,
        validation: Any = (None, None, None),
        hooks: Hooks | None = None,
    ) -> tuple[Fit, Fitting]:
        """Fit to (X, y, sample_weight, groups), or go on, up to the limits."""
        self._check_refit()
        check_validation(*validation[:3])
        proceed = hasattr(self, "module_")
        dtype = self._fitted_dtype() if proceed else self._compute_dtype()
        rows = self._rows(*data, dtype=dtype, reset=not proceed)
        given = self._given_rows(validation, rows)
        loss = self._make_loss()
        structure = self._structure(rows, loss)
        if proceed:
            self._check_structure(structure)
        state = self._state if proceed else None
        seed = self._seed if proceed else self._new_seed()
        progress = None
        if hooks is not None and hooks.restoring:
            key = fit_key(self, (*rows.arrays(), *(given or NO_ROWS).arrays()), state)
            progress, seed = hooks.restored(key, seed)
        train, held_out = self._held_out(rows, given, seed)
        for part in (train, held_out):
            if part is not None:
                self._check_domain(loss, part.y)
        work = self._work(train, held_out, loss, seed, limits, proceed, hooks)
        fit = work.run(state, progress, hooks)
        final, model = fit, work
        if self.refit and fit.best_epoch and fit.reason is not StopReason.INTERRUPTED:
            final, model = self._refitted(rows, given, fit, work)
        self._structure_fitted = structure
        self._store(fit, work, final, model, proceed)
        return fit, work

    def _check_refit(self) -> None:
        if self.refit and not self.early_stopping:
            raise ParameterError(
                f"refit={self.refit!r} needs the best epoch. Set early_stopping=True."
            )
        if self.refit and self.warm_start:
            raise ParameterError(
                f"refit={self.refit!r} fits anew, warm_start=True continues. Set one "
                "of them."
            )

    def _work(
        self,
        rows: Rows,
        held_out: Rows | None,
        loss: Loss,
        seed: int,
        limits: Limits,
        proceed: bool,
        hooks: Hooks | None = None,
    ) -> Fitting:
        """Return what is to be run."""
        rows = self._weighted_by_class(rows)
        frame = self._frame if proceed else self._make_frame(rows, loss)
        module = self._module_to_fit(rows, loss, frame, seed, proceed)
        record_gradient = hooks is not None and hooks.record_gradient
        solver = self._make_solver(loss, module)
        parts = rows, held_out, frame, module
        return Fitting(self, solver, *parts, loss, seed, limits, record_gradient)

    def _refitted(
        self, rows: Rows, given: Rows | None, fit: Fit, work: Fitting
    ) -> tuple[Fit, Fitting]:
        """Fit anew on all rows for as many epochs as were best."""
        rows = rows if given is None else rows.joined(given)
        limits = Limits(fit.best_epoch or 1, None, self.max_iter)
        model = self._work(rows, None, work.loss, work.seed, limits, proceed=False)
        model.solver = work.solver  # it may have looked for a learning rate
        final = model.run()
        return (fit, work) if final.reason is StopReason.INTERRUPTED else (final, model)

    def _structure(self, rows: Rows, loss: Loss) -> dict[str, Any]:
        """Return what a fit that continues another one cannot change."""
        names = [name for name in STRUCTURAL if hasattr(self, name)]
        return {
            **{f"the {name!r} parameter": getattr(self, name) for name in names},
            "the link of the loss": loss.link,
            "the number of raw predictions per target": loss.raw_per_target,
            "the shape of a target": rows.y.shape[1:],
        }

    def _check_structure(self, structure: dict[str, Any]) -> None:
        for what, new in structure.items():
            old = self._structure_fitted[what]
            if old is not new and repr(old) != repr(new):
                raise ValueError(
                    f"{type(self).__name__} continues its last fit, which {what} "
                    f"belongs to. It changed from {old!r} to {new!r}. Set "
                    "warm_start=False, or clone the estimator, to start anew."
                )

    def _weighted_by_class(self, rows: Rows) -> Rows:
        """Return training rows with the weights of their classes."""
        return rows

    def _make_loss(self) -> Loss:
        return self._checked_task(get_loss(self.loss))

    def _checked_task(self, loss: Loss) -> Loss:
        if loss.task in (None, self._task):
            return loss
        remedy = RANKING_REMEDY if loss.task == "ranking" else ""
        raise ParameterError(
            f"The 'loss' parameter of {type(self).__name__} must be a "
            f"{self._task} loss. Got {loss.name!r}, a {loss.task} loss.{remedy}"
        )

    def _check_domain(self, loss: Loss, y: Array) -> None:
        loss.check_targets(y, y.shape)

    def _new_seed(self) -> int:
        """Return the seed of this fit; None takes entropy from the system."""
        state = self.random_state
        if state is None:
            return int(np.random.SeedSequence().generate_state(1)[0])
        if isinstance(state, np.random.RandomState):
            return int(state.randint(2**31))
        return int(state) % 2**32

    def _held_out(
        self, rows: Rows, given: Rows | None, seed: int
    ) -> tuple[Rows, Rows | None]:
        """Return training and validation rows; the latter may be None."""
        if given is not None or not self.early_stopping:
            return rows, given
        return split_rows(self, rows, self._strata(rows.y), seed)

    def _strata(self, y: Array) -> Array | None:
        return None

    def _module_to_fit(
        self, rows: Rows, loss: Loss, frame: Frame, seed: int, proceed: bool
    ):
        if proceed:
            return copy.deepcopy(self.module_)
        encoded, n_outputs = self._encode(rows.y, loss)
        with random_seed(seed), nn.default_dtype(self._parameter_dtype(rows)):
            module = self._make_module(rows.X.shape[1], n_outputs)
        if not isinstance(module, nn.Module):
            raise ParameterError(
                "The 'module' parameter must return a skgrad.nn.Module. Got "
                f"{type(module).__name__} instead."
            )
        module = module.to(dtype=self._parameter_dtype(rows))
        self._start(module, rows, encoded, loss, frame)
        return module

    def _start(
        self,
        module: nn.Module,
        rows: Rows,
        encoded: Array,
        loss: Loss,
        frame: Frame,
    ) -> None:
        """Set initial parameters that depend on the data."""

    # --- after the fit ------------------------------------------------------------

    def _publish(self) -> None:
        """Set attributes that are computed from the module and its frame."""

    def _store(
        self, fit: Fit, work: Fitting, final: Fit, model: Fitting, proceed: bool
    ) -> None:
        """Set the fitted attributes, all at once; a model may have been refitted."""
        model.fill(final.params, final.state.state["buffers"])
        model.module.eval()
        model.publish(self)
        self._state = final.state
        self._seed = work.seed
        if not proceed:
            self.loss_curve_: list[float] = []
            self.validation_scores_: list[float] = []
        scores = [e.score for e in fit.epochs if e.score is not None]
        self.loss_curve_ = self.loss_curve_ + [e.objective for e in fit.epochs]
        self.validation_scores_ = self.validation_scores_ + scores
        self.n_iter_ = max(1, len(self.loss_curve_))
        self.loss_ = self.loss_curve_[-1] if self.loss_curve_ else np.nan
        self.best_loss_ = min(self.loss_curve_, default=np.nan)
        before = vars(self).get("fit_report_", {}) if proceed else {}
        report = work.report(fit, before)
        report |= {"n_iter": self.n_iter_, "loss": self.loss_}
        if final is not fit:
            epochs = final.epochs
            report["refit"] = {"epochs": len(epochs), "loss": epochs[-1].objective}
        self.fit_report_ = FitReport(report)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = self._takes_sparse
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "module_")

    # --- prediction ---------------------------------------------------------------

    def _raw_predict(self, X: Any) -> Array:
        """Return raw predictions on the scale of the target."""
        check_is_fitted(self)
        X = self._validated(X, dtype=self._fitted_dtype(), reset=False)
        with np.errstate(over="ignore", invalid="ignore"):  # seen below
            raw = self._raw_of(X)
        if not np.isfinite(raw).all():
            row = np.argwhere(~np.isfinite(raw))[0, 0]
            raise ValueError(
                f"{type(self).__name__} cannot predict row {row} of X: a number on the "
                f"way is beyond {raw.dtype}. The largest value in the row is "
                f"{np.abs(X[row]).max():.3g}; rows so far from those of the fit have "
                "no meaningful prediction. Check or remove them."
            )
        return raw

    def _fitted_dtype(self) -> Any:
        return next(self.module_.parameters()).dtype

    def _raw_of(self, X: Array) -> Array:
        frame, n_rows = self._frame, X.shape[0]
        n_parameters = sum(p.size for p in self.module_.parameters())
        forward = predictor(
            self.module_, placed_prediction(self.device_, n_rows, n_parameters)
        )
        output = np.concatenate(
            [
                forward((X[i : i + PREDICT_ROWS] - frame.x_mean) / frame.x_scale)
                for i in range(0, n_rows, PREDICT_ROWS)
            ]
        )
        if self._n_columns is None:
            output = output.reshape(n_rows)
        return frame.raw_prediction(output)


def forget(estimator: Any) -> None:
    """Delete fitted attributes, so that a fit that fails leaves no model."""
    for name in [n for n in vars(estimator) if n.endswith("_") and n[0] != "_"]:
        delattr(estimator, name)
