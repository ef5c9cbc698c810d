"""The step that minimises a quadratic model, whatever the rank of its Hessian."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

from skgrad.optim.full_batch import Matrix, Vector

__all__ = ["BlockCurvature", "BlockDiagonal", "Curvature", "prepared"]

EPS = float(np.finfo(np.float64).eps)

# Reciprocal condition number (1-norm, of the scaled Hessian) above which Cholesky is
# used: four digits are left for the step, and steps are corrected by further ones.
WELL_CONDITIONED = 1e-12

# A slope along a flat direction below this part of the whole slope is rounding.
FLAT_SLOPE = 1e-8


class Curvature:
    r"""A Hessian prepared for Newton steps.

    With :math:`D = \mathrm{diag}(H)^{1/2}` the matrix factorised is
    :math:`D^{-1} H D^{-1}`, which removes the units of the parameters. When it is
    safely positive definite that is a Cholesky factorisation, and otherwise a
    spectral one, in which directions are *curved* (eigenvalue above rounding),
    *flat* (zero to rounding) or *negative*.

    Parameters
    ----------
    hessian : ndarray of shape (n_parameters, n_parameters)
        Finite; only its symmetric part is used.

    Attributes
    ----------
    rank : int
        Number of curved directions.
    definite : bool
        Whether the Hessian is safely positive definite.
    rcond : float
        Reciprocal condition number (1-norm) of the scaled Hessian; 0 unless definite.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad.optim.curvature import Curvature
    >>> Curvature(np.diag([2.0, 8.0])).newton_step(np.array([2.0, 8.0]))
    array([-1., -1.])
    >>> singular = Curvature(np.ones((2, 2)))
    >>> singular.rank, singular.newton_step(np.array([2.0, 2.0])).round(12)
    (1, array([-1., -1.]))
    """

    def __init__(self, hessian: Matrix) -> None:
        symmetric = 0.5 * (hessian + hessian.T)
        self.hessian = symmetric
        self.inverse_scale, empty = _inverse_scale(symmetric)
        scaled = symmetric * self.inverse_scale * self.inverse_scale[:, np.newaxis]
        scaled[empty] = 0.0
        scaled[:, empty] = 0.0
        self.largest = float(np.abs(scaled).sum(axis=0).max(initial=0.0))
        self.cholesky, self.rcond = _cholesky(scaled, self.largest)
        self.rank = len(hessian)
        self.definite = self.cholesky is not None
        if not self.definite:
            self._decompose(scaled)

    def _decompose(self, scaled: Matrix) -> None:
        """Split the space into curved, flat and negative directions."""
        self.values, self.vectors = scipy.linalg.eigh(scaled)
        rounding = 4 * len(scaled) * EPS * np.abs(self.values).max(initial=0.0)
        self.curved = self.values > rounding
        self.flat = np.abs(self.values) <= rounding
        self.rank = int(self.curved.sum())
        flat = self.vectors[:, self.flat] * self.inverse_scale[:, np.newaxis]
        self.null_basis = (
            scipy.linalg.qr(flat, mode="economic")[0] if flat.size else flat
        )

    def newton_step(self, gradient: Vector) -> Vector:
        """Return minus the pseudo-inverse on the curved directions times `gradient`.

        Parameters
        ----------
        gradient : ndarray of shape (n_parameters,)
            Gradient at the point.

        Returns
        -------
        ndarray of shape (n_parameters,)
            The step of minimum Euclidean norm; negative directions are left out.

        Examples
        --------
        >>> import numpy as np
        >>> from skgrad.optim.curvature import Curvature
        >>> Curvature(np.ones((2, 2))).newton_step(np.array([4.0, 4.0])).round(12)
        array([-2., -2.])
        """
        if self.cholesky is not None:
            solved = scipy.linalg.cho_solve(
                self.cholesky, self.inverse_scale * gradient
            )
            full: Vector = -self.inverse_scale * solved
            return full
        slopes = self._slopes(gradient)
        inverse = np.zeros_like(slopes)
        inverse[self.curved] = slopes[self.curved] / self.values[self.curved]
        step: Vector = -self.inverse_scale * (self.vectors @ inverse)
        step -= self.null_basis @ (self.null_basis.T @ step)
        return step

    def step(self, gradient: Vector, damping: float) -> Vector:
        """Return the Newton step plus a shifted one where curvature is missing.

        Parameters
        ----------
        gradient : ndarray of shape (n_parameters,)
            Gradient at the point.
        damping : float
            The Levenberg shift of flat and negative directions, in units of a bound
            on the eigenvalues of the scaled Hessian (its 1-norm).

        Returns
        -------
        ndarray of shape (n_parameters,)
            A direction of descent (zero where the gradient is).

        Examples
        --------
        >>> import numpy as np
        >>> from skgrad.optim.curvature import Curvature
        >>> Curvature(np.diag([1.0, -1.0])).step(np.array([1.0, 1.0]), damping=1.0)
        array([-1., -1.])
        """
        step = self.newton_step(gradient)
        if self.cholesky is not None:
            return step
        slopes = self._slopes(gradient)
        missing = ~self.curved
        if not np.any(~self.curved & ~self.flat):
            whole = np.linalg.norm(slopes)
            if np.linalg.norm(slopes[missing]) <= FLAT_SLOPE * whole:
                return step
        shift = damping * self._bound(slopes)
        modified = np.maximum(np.abs(self.values[missing]), shift)
        extra = self.vectors[:, missing] @ (slopes[missing] / modified)
        step -= self.inverse_scale * extra
        return step

    def gradient_step(self, gradient: Vector) -> Vector:
        """Return a step along the gradient of the scaled parameters.

        Parameters
        ----------
        gradient : ndarray of shape (n_parameters,)
            Gradient at the point.

        Returns
        -------
        ndarray of shape (n_parameters,)
            Not longer than the minimum along that direction.

        Examples
        --------
        >>> import numpy as np
        >>> from skgrad.optim.curvature import Curvature
        >>> Curvature(np.diag([4.0, 1.0])).gradient_step(np.array([4.0, 1.0]))
        array([-1., -1.])
        """
        slopes = self.inverse_scale * gradient
        step: Vector = -self.inverse_scale * slopes / self._bound(slopes)
        return step

    def _bound(self, slopes: Vector) -> float:
        """Return a bound on the eigenvalues; without curvature, one for a unit step."""
        return self.largest or float(np.linalg.norm(slopes))

    def product(self, step: Vector) -> Vector:
        """Return the Hessian times a step: the change of the gradient along it.

        Parameters
        ----------
        step : ndarray of shape (n_parameters,)
            The step.

        Returns
        -------
        ndarray of shape (n_parameters,)
            The product.

        Examples
        --------
        >>> import numpy as np
        >>> from skgrad.optim.curvature import Curvature
        >>> Curvature(np.diag([4.0, 1.0])).product(np.array([1.0, 3.0]))
        array([4., 3.])
        """
        change: Vector = self.hessian @ step
        return change

    def length(self, step: Vector) -> float:
        """Return the Euclidean length of a step in the scaled parameters.

        Parameters
        ----------
        step : ndarray of shape (n_parameters,)
            The step.

        Returns
        -------
        float
            The length.

        Examples
        --------
        >>> import numpy as np
        >>> from skgrad.optim.curvature import Curvature
        >>> Curvature(np.diag([4.0, 1.0])).length(np.array([1.5, 4.0]))
        5.0
        """
        return float(np.linalg.norm(step / self.inverse_scale))

    def _slopes(self, gradient: Vector) -> Vector:
        """Return the slopes along the eigenvectors of the scaled Hessian."""
        slopes: Vector = self.vectors.T @ (self.inverse_scale * gradient)
        return slopes


@dataclass(frozen=True)
class BlockDiagonal:
    """A Hessian that couples only parameters of the same block.

    Parameters
    ----------
    blocks : ndarray of shape (n_blocks, size, size)
        The Hessian of each block's parameters; one, of shape (1, size, size), stands
        for all if they are equal.
    index : ndarray of int of shape (n_blocks, size)
        Positions of each block's parameters in the flat vector, every one once.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad.optim.curvature import BlockDiagonal
    >>> index = np.array([[0, 2], [1, 3]])
    >>> BlockDiagonal(np.array([[[2.0, 1.0], [1.0, 2.0]]]), index).dense()
    array([[2., 0., 1., 0.],
           [0., 2., 0., 1.],
           [1., 0., 2., 0.],
           [0., 1., 0., 2.]])
    """

    blocks: NDArray[np.float64]
    index: NDArray[np.intp]

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of the whole matrix."""
        return self.index.size, self.index.size

    def dense(self) -> Matrix:
        """Return the whole matrix.

        Returns
        -------
        ndarray of shape (n_parameters, n_parameters)
            With zeros outside of the blocks.
        """
        H = np.zeros(self.shape)
        H[self.index[:, :, np.newaxis], self.index[:, np.newaxis, :]] = self.blocks
        return H


class BlockCurvature:
    """A block-diagonal Hessian prepared for Newton steps, one block at a time.

    Its methods are those of `Curvature`, applied to each block: a direction without
    curvature in one leaves the steps in the others as they are.

    Parameters
    ----------
    hessian : BlockDiagonal
        Finite.

    Attributes
    ----------
    rank : int
        Number of curved directions.
    definite : bool
        Whether every block is safely positive definite.
    rcond : float
        The smallest reciprocal condition number of a block.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad.optim.curvature import BlockCurvature, BlockDiagonal
    >>> blocks = np.array([[[4.0]], [[2.0]]])
    >>> curvature = BlockCurvature(BlockDiagonal(blocks, np.array([[0], [1]])))
    >>> curvature.newton_step(np.array([4.0, 4.0]))
    array([-1., -2.])
    """

    def __init__(self, hessian: BlockDiagonal) -> None:
        self.index = hessian.index
        distinct = [Curvature(block) for block in hessian.blocks]
        equal = len(distinct) < len(self.index)
        self.parts = distinct * len(self.index) if equal else distinct
        self.rank = sum(part.rank for part in self.parts)
        self.definite = all(part.definite for part in distinct)
        self.rcond = min(part.rcond for part in distinct)

    def newton_step(self, gradient: Vector) -> Vector:
        """Return the Newton step of every block, see `Curvature.newton_step`.

        Parameters
        ----------
        gradient : ndarray of shape (n_parameters,)
            Gradient at the point.

        Returns
        -------
        ndarray of shape (n_parameters,)
            The step of minimum Euclidean norm.
        """
        return self._joined(lambda part, g: part.newton_step(g), gradient)

    def step(self, gradient: Vector, damping: float) -> Vector:
        """Return the damped step of every block, see `Curvature.step`.

        Parameters
        ----------
        gradient : ndarray of shape (n_parameters,)
            Gradient at the point.
        damping : float
            The Levenberg shift.

        Returns
        -------
        ndarray of shape (n_parameters,)
            A direction of descent (zero where the gradient is).
        """
        return self._joined(lambda part, g: part.step(g, damping), gradient)

    def gradient_step(self, gradient: Vector) -> Vector:
        """Return a step along every block's gradient, see `Curvature.gradient_step`.

        Parameters
        ----------
        gradient : ndarray of shape (n_parameters,)
            Gradient at the point.

        Returns
        -------
        ndarray of shape (n_parameters,)
            A direction of descent (zero where the gradient is).
        """
        return self._joined(lambda part, g: part.gradient_step(g), gradient)

    def product(self, step: Vector) -> Vector:
        """Return the Hessian times a step.

        Parameters
        ----------
        step : ndarray of shape (n_parameters,)
            The step.

        Returns
        -------
        ndarray of shape (n_parameters,)
            The product.
        """
        return self._joined(lambda part, s: part.product(s), step)

    def length(self, step: Vector) -> float:
        """Return the Euclidean length of a step in the scaled parameters.

        Parameters
        ----------
        step : ndarray of shape (n_parameters,)
            The step.

        Returns
        -------
        float
            The length.
        """
        lengths = [part.length(s) for part, s in self._split(step)]
        return float(np.linalg.norm(lengths))

    def _split(self, vector: Vector) -> Iterator[tuple[Curvature, Vector]]:
        """Yield each block with its part of a vector."""
        return zip(self.parts, vector[self.index], strict=True)

    def _joined(
        self, step: Callable[[Curvature, Vector], Vector], gradient: Vector
    ) -> Vector:
        """Return the vector of the blocks' steps."""
        joined = np.zeros_like(gradient)
        joined[self.index] = [step(part, g) for part, g in self._split(gradient)]
        return joined


def prepared(hessian: Matrix | BlockDiagonal) -> Curvature | BlockCurvature:
    """Return a Hessian prepared for Newton steps.

    Parameters
    ----------
    hessian : ndarray of shape (n_parameters, n_parameters) or BlockDiagonal
        Finite.

    Returns
    -------
    Curvature or BlockCurvature
        What gives the steps.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad.optim.curvature import prepared
    >>> prepared(np.eye(2)).rank
    2
    """
    if isinstance(hessian, BlockDiagonal):
        return BlockCurvature(hessian)
    return Curvature(hessian)


def _inverse_scale(hessian: Matrix) -> tuple[Vector, NDArray[np.bool_]]:
    """Return 1 / D and which parameters have no curvature at all.

    In a positive semidefinite matrix |H_ij| <= D_i D_j; the second term of the
    maximum matters only for the others. A column whose D is below the rounding of
    the largest is a column of rounding errors (a centred constant feature).
    """
    magnitude = np.abs(hessian)
    top = np.sqrt(magnitude.max(initial=0.0))
    if top == 0:
        return np.ones(len(hessian)), np.ones(len(hessian), dtype=bool)
    scale = np.maximum(np.sqrt(np.diag(magnitude)), magnitude.max(axis=1) / top)
    empty = scale <= len(hessian) * EPS * top
    return 1 / np.where(empty, top, scale), empty


def _cholesky(scaled: Matrix, norm: float) -> tuple[tuple[Matrix, bool] | None, float]:
    """Return the Cholesky factor and rcond; None unless safely positive definite."""
    if not len(scaled):
        return None, 0.0
    try:
        factor: tuple[Matrix, bool] = scipy.linalg.cho_factor(scaled)
    except scipy.linalg.LinAlgError:
        return None, 0.0
    rcond = float(scipy.linalg.lapack.dpocon(factor[0], norm)[0])
    return (factor, rcond) if rcond > WELL_CONDITIONED else (None, 0.0)
