"""What is minimised, as pure functions of trees.

``objective = mean_i(w_i * loss_i) + alpha * penalty`` with weights of mean one and

``penalty = sum_j factor_j * (l1_ratio * |c_j| + (1 - l1_ratio) / 2 * c_j²)``

over the penalised coefficients c: parameters with two or more axes (weights of layers;
biases and scales have one). Factors are 1 unless given. Every float in it is an input
of the traced functions.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from skgrad import ops
from skgrad.core.random import RandomScope, entered
from skgrad.core.tree import tree_map
from skgrad.exceptions import DeviceError, ParameterError, ShapeError
from skgrad.losses import Loss
from skgrad.losses.checks import check_dtypes, check_shapes
from skgrad.nn import Module, functional_call
from skgrad.optim import clip_by_norm
from skgrad.tensor import Tensor, tensor
from skgrad.transforms import value_and_grad
from skgrad.typing import Array, Tree

__all__ = ["Frame", "Objective"]


@dataclass(frozen=True)
class Frame:
    """The frozen affine layers around a module.

    The module sees ``(X - x_mean) / x_scale``, the loss sees the module's output plus
    ``offset``. Predictions on the raw scale are ``y_shift + y_scale * output``.

    Parameters
    ----------
    x_mean, x_scale : array of shape (n_features,), or of the shape of a sample
        Of the inputs; 0 and 1 leave them as they are. Inputs with more axes than these
        are scaled along their last ones.
    offset : array of shape () or (n_outputs,)
        Added to the module's output before the loss.
    y_shift, y_scale : array of shape () or (n_outputs,)
        From the module's output to the raw prediction.

    Examples
    --------
    >>> from skgrad.train import Frame
    >>> Frame.identity(2, "float64").x_scale
    array([1., 1.])
    """

    x_mean: Array
    x_scale: Array
    offset: Array
    y_shift: Array
    y_scale: Array

    @classmethod
    def identity(cls, n_features: int | tuple[int, ...], dtype: Any) -> Frame:
        """Return the frame that changes nothing.

        Parameters
        ----------
        n_features : int or tuple of int
            Number of features, or the shape of a sample: ``X.shape[1:]``.
        dtype : dtype
            Of the computation.

        Returns
        -------
        Frame
            With means of 0 and scales of 1; nothing is computed for it.

        Examples
        --------
        >>> from skgrad.train import Frame
        >>> Frame.identity((3, 32, 32), "float32").x_mean.shape
        (3, 32, 32)
        """
        zero, one = np.zeros((), dtype=dtype), np.ones((), dtype=dtype)
        ones = np.ones(n_features, dtype=dtype)
        return cls(0 * ones, ones, zero, zero, one)

    def inputs(self) -> dict[str, Array]:
        """Return what the traced functions need of it: nothing of an identity."""
        if not self.x_mean.any() and (self.x_scale == 1).all():
            return {"offset": self.offset}
        return {
            "x_mean": self.x_mean,
            "x_inverse_scale": 1 / self.x_scale,
            "offset": self.offset,
        }

    def raw_prediction(self, output: Array) -> Array:
        """Return raw predictions on the scale of the target."""
        return self.y_shift + self.y_scale * output


class Objective:
    """A module and a loss with a penalty, as pure functions.

    Parameters
    ----------
    module : Module
        The model; its parameters must be of one floating dtype. Those with
        ``requires_grad=False`` are frozen: inputs that are not fitted.
    loss : Loss
        Value per sample.
    n_outputs : int or None
        Columns of the raw predictions; ``None`` if they are a vector.
    alpha, l1_ratio : float
        The penalty, see the module's docstring.
    clip_norm : float or None, default=None
        Largest norm of the gradient of a stochastic step.
    record_gradient : bool, default=False
        Let each stochastic step give the squared norm of its gradient.
    factors : array of shape (n_parameters,), default=None
        What the penalty of each fitted parameter is multiplied by, >= 0; 1 by default.
    bounds : pair of arrays of shape (n_parameters,), default=None
        Where each fitted parameter may lie, infinite where it is free.
    documents : bool, default=False
        Inputs are queries, (n_queries, n_documents, n_features), as those of `Queries`.
        The module sees the documents as rows and gives each a score; the loss sees
        scores of shape (n_queries, n_documents). ``n_outputs`` is then ``None``.
    device : str, default="cpu"
        What runs the programs: ``"cpu"``, a GPU such as ``"cuda:0"``, or
        ``"cuda:0/tf32"`` with the precision of products in float32 if it is not the
        highest. Arrays are of the host on either; the GPU keeps copies during a fit.

    Attributes
    ----------
    names : list of str
        Names of the fitted parameters, in the order of the flat vector.
    shapes : list of tuple of int
        Their shapes.
    mask : array of bool of shape (n_parameters,)
        Which of them are coefficients.
    factors : array of shape (n_parameters,)
        What the penalty of each is multiplied by: 0 where it is no coefficient.

    Examples
    --------
    >>> from skgrad import nn
    >>> from skgrad.losses import SquaredError
    >>> from skgrad.train import Objective
    >>> Objective(nn.Linear(2, 1), SquaredError(), None).shapes
    [(1, 2), (1,)]
    """

    def __init__(
        self,
        module: Module,
        loss: Loss,
        n_outputs: int | None,
        alpha: float = 0.0,
        l1_ratio: float = 0.0,
        clip_norm: float | None = None,
        record_gradient: bool = False,
        factors: Array | None = None,
        bounds: tuple[Array, Array] | None = None,
        documents: bool = False,
        device: str = "cpu",
    ) -> None:
        self.module = module
        self.loss = loss
        self.n_outputs = n_outputs
        self.alpha = float(alpha)
        self.l1_ratio = float(l1_ratio)
        self.clip_norm = clip_norm
        self.record_gradient = record_gradient
        self.device = device
        _check_parameters(module)
        fitted = self._fitted()
        self.names = list(fitted)
        self.shapes = [p.shape for p in fitted.values()]
        self.dtype = next(iter(fitted.values())).dtype
        penalised = [np.full(shape, len(shape) > 1) for shape in self.shapes]
        self.mask: Array = np.concatenate([m.ravel() for m in penalised])
        self.factors = self.mask * (1.0 if factors is None else factors)
        self.bounds = bounds
        self.documents = documents

    def with_loss(self, loss: Loss) -> Objective:
        """Return the same objective with another loss."""
        other = copy.copy(self)
        other.loss = loss
        return other

    def largest_product(self, n_rows: int) -> float:
        """Return the operations of the largest product with a weight matrix."""
        return 2.0 * n_rows * max(math.prod(shape) for shape in self.shapes)

    # --- between module and flat vector -------------------------------------------

    def _fitted(self) -> dict[str, Tensor]:
        named = self.module.named_parameters()
        return {name: p for name, p in named if p.requires_grad}

    def parameters(self) -> Array:
        """Return the module's fitted parameters as one flat vector."""
        leaves = [p.numpy().ravel() for p in self._fitted().values()]
        return np.concatenate(leaves).astype(self.dtype)

    def projected(self, theta: Array) -> Array:
        """Return the parameters within the bounds that are closest to `theta`."""
        if self.bounds is None:
            return theta
        return np.clip(theta, *(b.astype(theta.dtype) for b in self.bounds))

    def buffers(self) -> dict[str, Array]:
        """Return copies of the module's buffers by name."""
        return {n: b.numpy().copy() for n, b in self.module.named_buffers()}

    def store(self, theta: Array, buffers: Mapping[str, Array]) -> None:
        """Fill the module with parameters and buffers."""
        leaves = ops.unpack(theta.astype(self.dtype), self.shapes)
        for parameter, leaf in zip(self._fitted().values(), leaves, strict=True):
            parameter.assign_(leaf.numpy().copy())
        for name, buffer in self.module.named_buffers():
            buffer.assign_(buffers[name])

    def hyper(self, frame: Frame) -> dict[str, Any]:
        """Return every number the functions below depend on, as float64 scalars."""
        scalars = {"alpha": self.alpha, "l1_ratio": self.l1_ratio}
        if self.clip_norm is not None:
            scalars["clip_norm"] = float(self.clip_norm)
        bounds = () if self.bounds is None else self.bounds
        return {
            **{name: np.float64(value) for name, value in scalars.items()},
            "frame": frame.inputs(),
            "frozen": {
                name: p.numpy()
                for name, p in self.module.named_parameters()
                if not p.requires_grad
            },
            "loss": tree_map(np.float64, self.loss.hyperparameters()),
            "factors": self.factors.astype(self.dtype),
            "bounds": [bound.astype(self.dtype) for bound in bounds],
        }

    # --- the traced functions -----------------------------------------------------

    def output(
        self, theta: Any, buffers: Tree, hyper: Tree, X: Any
    ) -> tuple[Any, dict[str, Tensor]]:
        """Return the module's output, of the target's shape, and the new buffers."""
        fitted = zip(self.names, ops.unpack(theta, self.shapes), strict=True)
        params = {**dict(fitted), **hyper["frozen"]}
        inputs = self._as_rows(self.scaled(hyper, X))
        out, buffers = functional_call(self.module, params, buffers, inputs)
        shaped = self._shaped(out, inputs.shape[0])
        return ops.reshape(shaped, X.shape[:2]) if self.documents else shaped, buffers

    def _as_rows(self, x: Any) -> Any:
        """Return what there is of each document of a query as that of a row."""
        if not self.documents:
            return x
        n_queries, n_documents, *rest = x.shape
        return ops.reshape(x, (n_queries * n_documents, *rest))

    def scaled(self, hyper: Tree, X: Any) -> Any:
        """Return what the module sees of rows, in the dtype of the parameters.

        Sparse rows stay as they are: what is subtracted and multiplied by goes along.
        """
        frame = hyper["frame"]
        if isinstance(X, ops.SparseRows):
            return X.standardised(frame.get("x_mean"), frame.get("x_inverse_scale"))
        rows = ops.astype(X, self.dtype)
        if "x_mean" not in frame:
            return rows
        centred = ops.subtract(rows, frame["x_mean"])
        return ops.multiply(centred, frame["x_inverse_scale"])

    def _shaped(self, out: Any, n_rows: int) -> Any:
        """Return the output as (n,) for a vector target; refuse other shapes."""
        name = type(self.module).__name__
        if not isinstance(out, Tensor):
            raise ShapeError(
                f"{name}.forward must return a Tensor. Got {type(out).__name__}."
            )
        if self.n_outputs is None and out.shape == (n_rows, 1):
            return ops.squeeze(out, -1)
        expected = (n_rows,) if self.n_outputs is None else (n_rows, self.n_outputs)
        if out.shape != expected:
            raise ShapeError(
                f"{name}.forward must return shape {expected} for {n_rows} rows and "
                f"this target; a last axis of 1 may be added to (n,). Got {out.shape}: "
                f"the last layer needs {self.n_outputs or 1} outputs."
            )
        return out

    def values(self, output: Any, hyper: Tree, y: Any) -> Any:
        """Return the loss of each row."""
        raw = ops.add(output, hyper["frame"]["offset"])
        scalars = tree_map(lambda h: ops.astype(h, raw.dtype), hyper["loss"])
        _check_targets(y, raw, self.loss)
        return self.loss.pointwise(y, raw, **scalars)

    def penalty(self, theta: Any, hyper: Tree) -> Any:
        """Return alpha times the penalty of the coefficients, or None without one."""
        terms, factors = [], hyper["factors"]
        if self.alpha and self.l1_ratio > 0:
            rate = ops.multiply(hyper["alpha"], hyper["l1_ratio"])
            sizes = ops.multiply(factors, ops.absolute(theta))
            terms.append(_scaled(rate, ops.sum(sizes)))
        if self.alpha and self.l1_ratio < 1:
            rest = ops.subtract(1.0, hyper["l1_ratio"])
            rate = ops.multiply(hyper["alpha"], ops.multiply(rest, 0.5))
            squares = ops.multiply(factors, ops.square(theta))
            terms.append(_scaled(rate, ops.sum(squares)))
        return ops.add(*terms) if len(terms) == 2 else (terms or [None])[0]

    def step(
        self, optimizer: Any, params: Any, state: Tree, hyper: Tree, batch: Tree
    ) -> tuple[Any, Tree, Tree]:
        """Return parameters, state and sums after one step of a stochastic optimizer.

        The sums are float64: ``loss`` (Σ wᵢ lossᵢ before the step), ``weight`` (Σ wᵢ),
        ``penalty`` (times the number of rows), and ``gradient`` (its squared norm,
        before it is clipped) if it is recorded.
        """
        n_rows = batch["w"].shape[0]

        def objective(theta: Any) -> Any:
            output, buffers = self.output(theta, state["buffers"], hyper, batch["X"])
            total = ops.sum(
                ops.multiply(batch["w"], self.values(output, hyper, batch["y"]))
            )
            value = ops.divide(total, float(n_rows))
            penalty = self.penalty(theta, hyper)
            if penalty is not None:
                value = ops.add(value, penalty)
            return value, (total, penalty, buffers)

        keys = batch["keys"] if batch["keys"] is None else self._as_rows(batch["keys"])
        scope = RandomScope(0, key=hyper["key"], step=batch["step"], rows=keys)
        with entered(scope):
            (_, aux), gradient = value_and_grad(objective, has_aux=True)(params)
        total, penalty, buffers = aux
        norm = {}
        if self.record_gradient:
            norm["gradient"] = ops.sum(ops.square(ops.astype(gradient, "float64")))
        if self.clip_norm is not None:
            gradient = clip_by_norm(gradient, hyper["clip_norm"])
        rates = {**hyper["optimizer"], "learning_rate": batch["learning_rate"]}
        new, moments = optimizer.update(gradient, state["optimizer"], params, rates)
        if self.bounds is not None:
            new = ops.clip(new, *hyper["bounds"])
        sums = {
            "loss": ops.astype(total, "float64"),
            "weight": ops.astype(ops.sum(batch["w"]), "float64"),
            "penalty": _scaled64(penalty, n_rows),
            **norm,
        }
        return new, {"buffers": buffers, "optimizer": moments}, sums

    def sums(self, theta: Any, buffers: Tree, hyper: Tree, batch: Tree) -> Tree:
        """Return Σ wᵢ lossᵢ and Σ wᵢ of some rows, in float64."""
        output, after = self.output(theta, buffers, hyper, batch["X"])
        changed = [name for name in after if after[name] is not buffers[name]]
        if changed and self.module.training:
            raise _batch_statistics(self.module, changed)
        values = ops.multiply(batch["w"], self.values(output, hyper, batch["y"]))
        return {
            "loss": ops.sum(ops.astype(values, "float64")),
            "weight": ops.sum(ops.astype(batch["w"], "float64")),
        }

    def sums_and_gradient(
        self, theta: Any, buffers: Tree, hyper: Tree, batch: Tree
    ) -> Tree:
        """Return the sums of some rows and their gradient (n_parameters,)."""

        def loss(flat: Any) -> Any:
            sums = self.sums(flat, buffers, hyper, batch)
            return sums["loss"], sums

        (_, sums), gradient = value_and_grad(loss, has_aux=True)(theta)
        return {**sums, "gradient": ops.astype(gradient, "float64")}


@contextmanager
def mode(module: Module, training: bool) -> Iterator[None]:
    """Put a module in training or evaluation mode inside the block.

    Parameters
    ----------
    module : Module
        The module; all its submodules follow.
    training : bool
        The mode.

    Yields
    ------
    None
        Afterwards every module has the mode it had before.

    Examples
    --------
    >>> from skgrad import nn
    >>> from skgrad.train import mode
    >>> dropout = nn.Dropout(0.5)
    >>> with mode(dropout, training=False):
    ...     print(dropout.training)
    False
    """
    flags = [(m, m.training) for m in module.modules()]
    module.train(training)
    try:
        yield
    finally:
        for m, flag in flags:
            m.training = flag


def batch_of(data: Any, **per_step: Any) -> dict[str, Array]:
    """Return rows of data as the ``batch`` of the traced functions."""
    return {"X": data.X, "y": data.y, "w": data.w, **per_step}


def as_arrays(tree: Tree) -> Tree:
    """Return a tree of tensors as one of NumPy arrays of its own.

    Parameters
    ----------
    tree : tree of Tensor
        The tensors.

    Returns
    -------
    tree of ndarray
        Writable copies.

    Examples
    --------
    >>> import skgrad
    >>> from skgrad.train import as_arrays
    >>> as_arrays({"a": skgrad.tensor([1.0])})
    {'a': array([1.])}
    """
    return tree_map(lambda leaf: np.array(tensor(leaf).numpy()), tree)


def _scaled(scalar: Any, x: Any) -> Any:
    return ops.multiply(ops.astype(scalar, x.dtype), x)


def _scaled64(penalty: Any, n_rows: int) -> Any:
    if penalty is None:
        return tensor(0.0)
    return ops.multiply(ops.astype(penalty, "float64"), float(n_rows))


def _batch_statistics(module: Module, buffers: list[str]) -> ParameterError:
    return ParameterError(
        "An optimizer of all rows needs an objective that is a sum over rows, but "
        f"{type(module).__name__} assigns the buffers {buffers} while it is trained, "
        "as batch statistics do. Use a stochastic optimizer such as 'adam'."
    )


def _check_targets(y: Any, raw: Any, loss: Loss) -> None:
    """Refuse a column of targets, which would be broadcast, and another precision."""
    if y.shape == (*raw.shape, 1) or raw.shape == (*y.shape, 1):
        check_shapes(y, raw)
    check_dtypes(y, raw, labels=loss.labels)


def _check_parameters(module: Module) -> None:
    name, parameters = type(module).__name__, list(module.parameters())
    if not any(p.requires_grad for p in parameters):
        raise ParameterError(
            f"{name} has no parameters to fit. Assign layers or nn.Parameter objects "
            "to attributes in its __init__, not all of them with requires_grad=False."
        )
    devices = {p.device for p in parameters} - {"cpu"}
    if devices:
        raise DeviceError(
            f"The parameters of {name} are on {sorted(devices)}. A compiled fit takes "
            "modules of the host and runs where it is told (device='cuda'); call "
            "module.to(device='cpu')."
        )
    dtypes = {p.dtype for p in parameters}
    if len(dtypes) > 1:
        raise ParameterError(
            f"The parameters of {name} have different dtypes: "
            f"{sorted(str(d) for d in dtypes)}. Convert with module.to(dtype=...)."
        )
