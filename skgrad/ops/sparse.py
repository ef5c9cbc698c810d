"""Products with sparse rows: standardised, taken by number, never made dense."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import scipy

from skgrad.core.primitive import Abstract, Primitive, register
from skgrad.core.value import Value
from skgrad.exceptions import DTypeError, GradientError, ShapeError
from skgrad.ops.elementwise import add, multiply, negative, subtract
from skgrad.ops.linalg import matmul
from skgrad.ops.promotion import as_value, astype, operands
from skgrad.ops.reduction import sum as sum_
from skgrad.ops.shape import expand_dims, squeeze, swapaxes
from skgrad.typing import ArrayLike

__all__ = [
    "SparseRows",
    "sparse_gram",
    "sparse_matmul",
    "sparse_matmul_transposed",
]


class SparseRows(NamedTuple):
    """Some rows of a constant sparse matrix, standardised: a tree of arrays.

    Row i is ``(A[rows[i]] - mean) * inverse_scale``, A in compressed row format, less
    what was subtracted from its elements. The
    matrix is shared by all its parts: minibatches and blocks differ in `rows` alone,
    and so one trace serves them all. Make one with :meth:`of`.

    Parameters
    ----------
    data : array of shape (n_stored,)
        The stored elements of A, float32 or float64.
    indices : array of int32 or int64 of shape (n_stored,)
        Their columns: in each row ascending, each once.
    indptr : array of the same dtype, of shape (n_rows of A + 1,)
        Where the elements of each row begin, and the last ones end.
    rows : array of int64 of shape (n_rows,)
        Which rows of A, counted from 0.
    shift : array of shape (n_columns,), optional
        What was subtracted from the stored elements, see :meth:`shifted`.
    mean, inverse_scale : array of shape (n_columns,), optional
        What is subtracted from each column yet, and what the rest is multiplied by.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse import csr_array
    >>> from skgrad import ops
    >>> A = ops.SparseRows.of(csr_array([[1.0, 0.0], [0.0, 2.0], [3.0, 0.0]]))
    >>> ops.sparse_matmul(A.take(np.array([2, 0])), [1.0, 10.0])
    tensor([3., 1.])
    """

    data: Any
    indices: Any
    indptr: Any
    rows: Any
    shift: Any = None
    mean: Any = None
    inverse_scale: Any = None

    @classmethod
    def of(cls, A: Any) -> SparseRows:
        """Return all rows of a matrix.

        Parameters
        ----------
        A : sparse array or matrix of SciPy of shape (n, p)
            Arrays of a CSR matrix are shared. Other formats are converted, as are
            numbers that are not floating (to float64), and unsorted or double entries:
            a copy each.

        Returns
        -------
        SparseRows
            Not standardised.

        Raises
        ------
        ShapeError
            If it is not a sparse matrix with two axes.
        ValueError
            If its index arrays contradict each other.
        """
        if not scipy.sparse.issparse(A) or A.ndim != 2:
            raise ShapeError(
                "SparseRows are made of a sparse matrix of SciPy with two axes. Got "
                f"{type(A).__name__} of shape {np.shape(A)}: use "
                "scipy.sparse.csr_array(A), or ops.matmul for a dense one."
            )
        csr = scipy.sparse.csr_array(A)
        if csr.dtype not in (np.float32, np.float64):
            csr = csr.astype(np.float64)
        csr.check_format(full_check=True)
        if not csr.has_canonical_format:
            csr = csr.copy()
            csr.sum_duplicates()
        return cls(csr.data, csr.indices, csr.indptr, np.arange(csr.shape[0]))

    @property
    def shape(self) -> tuple[int]:
        """Number of rows; that of columns is up to what they are multiplied by."""
        return (int(self.rows.shape[0]),)

    def take(self, index: Any) -> SparseRows:
        """Return some of the rows: by number, or a slice of them.

        Parameters
        ----------
        index : slice or array of int
            Which ones.

        Returns
        -------
        SparseRows
            It shares all arrays but `rows`.
        """
        return self._replace(rows=self.rows[index])

    def shifted(self, mean: Any) -> SparseRows:
        """Subtract means from the elements of columns without a zero, in a copy.

        These are dense, and so nothing is filled. What is left of a constant column is
        zero, and the products of others lose no digits to their means; those with a
        zero among n rows have means below sqrt(n) times their scale.

        Parameters
        ----------
        mean : array of shape (n_columns,)
            Of all columns.

        Returns
        -------
        SparseRows
            It shares all arrays if there is no such column, or its mean is zero;
            otherwise all but `data`, which is float64.
        """
        counts = np.bincount(self.indices, minlength=len(mean))
        shift = np.where(counts == len(self.indptr) - 1, mean, 0.0)
        if not shift.any():
            return self
        return self._replace(data=self.data - shift[self.indices], shift=shift)

    def standardised(self, mean: Any, inverse_scale: Any) -> SparseRows:
        """Return the rows with a mean and a scale.

        Parameters
        ----------
        mean : array of shape (n_columns,) or None
            Of the columns of A, where nothing was subtracted.
        inverse_scale : array of shape (n_columns,) or None
            See the class.

        Returns
        -------
        SparseRows
            It shares all arrays.
        """
        if self.shift is not None:
            mean = negative(self.shift) if mean is None else subtract(mean, self.shift)
        return self._replace(mean=mean, inverse_scale=inverse_scale)

    @property
    def operands(self) -> list[Value]:
        """The matrix and the row numbers, as primitives take them."""
        values = [as_value(x, "sparse_matmul") for x in self[:4]]
        if values[0]._node is not None:
            raise GradientError(
                "Elements of a sparse matrix are constants: products have no gradient "
                "with respect to them, and these require one. Detach them, or use a "
                "dense matrix and matmul."
            )
        return values


# --- primitives -------------------------------------------------------------------


def _check_matrix(name: str, matrix: tuple[Any, ...]) -> None:
    shapes = [x.shape for x in matrix]
    if {len(shape) for shape in shapes} != {1} or shapes[0] != shapes[1]:
        raise ShapeError(
            f"{name}: data, indices, indptr and rows have shapes {shapes}. They need "
            "one axis each, and data as many elements as indices."
        )
    kinds = [str(x.dtype) for x in matrix]
    if (
        kinds[0] not in ("float32", "float64")
        or kinds[1] not in ("int32", "int64")
        or kinds[1:] != [kinds[1], kinds[1], "int64"]
    ):
        raise DTypeError(
            f"{name}: data, indices, indptr and rows have dtypes {kinds}. They need a "
            "floating one, int32 or int64 for both of indices and indptr, and int64: "
            "ops.SparseRows.of(A) makes them of any sparse matrix."
        )


def _product_shape(data: Any, indices: Any, indptr: Any, rows: Any, B: Any) -> Abstract:
    _check_matrix("sparse_matmul", (data, indices, indptr, rows))
    return Abstract((*B.shape[:-2], *rows.shape, B.shape[-1]), B.dtype)


def _transposed_shape(
    data: Any, indices: Any, indptr: Any, rows: Any, G: Any, size: int
) -> Abstract:
    _check_matrix("sparse_matmul_transposed", (data, indices, indptr, rows))
    return Abstract((*G.shape[:-2], size, G.shape[-1]), G.dtype)


def _gram_shape(
    data: Any, indices: Any, indptr: Any, rows: Any, w: Any, size: int
) -> Abstract:
    _check_matrix("sparse_gram", (data, indices, indptr, rows))
    return Abstract((size, size), w.dtype)


product_p: Primitive = register(
    Primitive(
        "sparse_matmul",
        _product_shape,
        (
            *(None,) * 4,
            lambda g, out, data, indices, indptr, rows, B: transposed_p.bind(
                data, indices, indptr, rows, g, size=B.shape[-2]
            ),
        ),
    )
)
transposed_p: Primitive = register(
    Primitive(
        "sparse_matmul_transposed",
        _transposed_shape,
        (
            *(None,) * 4,
            lambda g, out, data, indices, indptr, rows, G, size: product_p.bind(
                data, indices, indptr, rows, g
            ),
        ),
    )
)


def _gram_vjp(g: Any, out: Any, *args: Any, size: int) -> Any:
    *matrix, w = args
    one = as_value(np.eye(size, dtype=w.dtype))
    rows = (product_p.bind(*matrix, B) for B in (g, one))
    return sum_(multiply(*rows), -1)


gram_p: Primitive = register(
    Primitive("sparse_gram", _gram_shape, (*(None,) * 4, _gram_vjp))
)


# --- products ---------------------------------------------------------------------


def _rows_of(A: Any) -> SparseRows:
    return A if isinstance(A, SparseRows) else SparseRows.of(A)


def _factor(name: str, x: ArrayLike, ndim: int = 2) -> Any:
    (value,) = operands(name, (as_value(x, name),), "float")
    if value.ndim < ndim:
        raise ShapeError(
            f"{name}: the dense factor has shape {value.shape}, and needs {ndim} axes "
            "at least."
        )
    return value


def _like(x: Any, dtype: Any) -> Any:
    return astype(as_value(x), dtype)


def sparse_matmul(A: Any, B: ArrayLike) -> Any:
    """Return the product of sparse rows and a dense matrix.

    With means m and inverse scales s of the columns it is ``A (s B) - m (s B)``: means
    are subtracted from the result and never from the zeros. That costs a relative error
    of float64's rounding times m s, the size of a mean beside the scale.

    Parameters
    ----------
    A : SparseRows, or sparse array or matrix of SciPy, of shape (n, p)
        A constant: the gradient is that of B alone.
    B : tensor or array of shape (..., p, k) or (p,)
        The dense factor, of floats: the result has its dtype, whatever that of A.

    Returns
    -------
    Tensor of shape (..., n, k) or (n,)
        The product.

    Raises
    ------
    ShapeError
        If the extents do not fit, or A has not two axes.
    IndexError
        If a column of :class:`SparseRows` is beyond the extent of B.
    GradientError
        If the elements of A require a gradient.

    Examples
    --------
    >>> from scipy.sparse import csr_array
    >>> import skgrad
    >>> from skgrad import ops
    >>> A = csr_array([[0.0, 2.0], [3.0, 0.0], [0.0, 0.0]])
    >>> ops.sparse_matmul(A, [1.0, 10.0])
    tensor([20.,  3.,  0.])
    >>> skgrad.grad(lambda b: ops.sparse_matmul(A, b).sum())(skgrad.tensor([1.0, 10.0]))
    tensor([3., 2.])
    """
    factor = as_value(B, "sparse_matmul")
    if factor.ndim == 1:
        return squeeze(sparse_matmul(A, expand_dims(factor, -1)), -1)
    factor, rows = _factor("sparse_matmul", factor), _rows_of(A)
    if not isinstance(A, SparseRows) and A.shape[1] != factor.shape[-2]:
        raise ShapeError(
            f"sparse_matmul: shapes {A.shape} and {factor.shape} do not fit: the last "
            f"extent of the first ({A.shape[1]}) must equal the second-last extent of "
            f"the second ({factor.shape[-2]})."
        )
    if rows.inverse_scale is not None:
        scales = _like(rows.inverse_scale, factor.dtype)
        factor = multiply(expand_dims(scales, -1), factor)
    out = product_p.bind(*rows.operands, factor)
    if rows.mean is None:
        return out
    mean = _like(rows.mean, factor.dtype)
    return subtract(out, matmul(expand_dims(mean, 0), factor))


def sparse_matmul_transposed(A: Any, G: ArrayLike, size: int | None = None) -> Any:
    """Return the product of the transpose of sparse rows and a dense matrix.

    What :func:`sparse_matmul` passes back: ``s (Aᵀ G - m sum(G))``.

    Parameters
    ----------
    A : SparseRows, or sparse array or matrix of SciPy, of shape (n, p)
        A constant.
    G : tensor or array of shape (..., n, k)
        The dense factor.
    size : int, optional
        The number of columns p, which :class:`SparseRows` do not know.

    Returns
    -------
    Tensor of shape (..., p, k)
        The product.

    Raises
    ------
    ShapeError
        If the extents do not fit, or p is missing.
    IndexError
        If a column of :class:`SparseRows` is beyond p.

    Examples
    --------
    >>> from scipy.sparse import csr_array
    >>> from skgrad import ops
    >>> A = csr_array([[0.0, 2.0], [3.0, 0.0], [0.0, 0.0]])
    >>> ops.sparse_matmul_transposed(A, [[1.0], [10.0], [100.0]])
    tensor([[30.],
            [ 2.]])
    """
    name = "sparse_matmul_transposed"
    factor, rows = _factor(name, G), _rows_of(A)
    _check_rows(name, rows, factor.shape[-2])
    p = _n_columns(name, A, size)
    out = transposed_p.bind(*rows.operands, factor, size=p)
    if rows.mean is not None:
        mean = expand_dims(_like(rows.mean, factor.dtype), -1)
        out = subtract(out, multiply(mean, sum_(factor, -2, keepdims=True)))
    if rows.inverse_scale is None:
        return out
    return multiply(expand_dims(_like(rows.inverse_scale, out.dtype), -1), out)


def sparse_gram(A: Any, w: ArrayLike, size: int | None = None) -> Any:
    r"""Return the weighted Gram matrix :math:`A^T \mathrm{diag}(w) A` of sparse rows.

    Of rows with means m it is ``AᵀWA - m cᵀ - c mᵀ + sum(w) m mᵀ`` with ``c = Aᵀw``,
    scaled. The differences lose digits: beside the scale of a column its rounding error
    is float64's times ``1 + (m s)²``. That is at most the number of rows for a column
    with a zero; see :meth:`SparseRows.shifted` for those without.

    Parameters
    ----------
    A : SparseRows, or sparse array or matrix of SciPy, of shape (n, p)
        A constant.
    w : tensor or array of shape (n,)
        Weights of the rows, of any sign. Their gradient makes two dense arrays (n, p).
    size : int, optional
        The number of columns p, which :class:`SparseRows` do not know.

    Returns
    -------
    Tensor of shape (p, p)
        Dense: ``sum_i w_i a_i a_iᵀ``, from as many products as pairs of elements share
        a row.

    Raises
    ------
    ShapeError
        If the extents do not fit, or p is missing.
    IndexError
        If a column of :class:`SparseRows` is beyond p.

    Examples
    --------
    >>> from scipy.sparse import csr_array
    >>> from skgrad import ops
    >>> ops.sparse_gram(csr_array([[0.0, 2.0], [3.0, 1.0]]), [1.0, 0.5])
    tensor([[4.5, 1.5],
            [1.5, 4.5]])
    """
    weights, rows = _factor("sparse_gram", w, ndim=1), _rows_of(A)
    _check_rows("sparse_gram", rows, weights.shape[-1])
    p = _n_columns("sparse_gram", A, size)
    out = gram_p.bind(*rows.operands, weights, size=p)
    if rows.mean is not None:
        mean = expand_dims(_like(rows.mean, out.dtype), -1)
        plain = rows._replace(mean=None, inverse_scale=None)
        total = sparse_matmul_transposed(plain, expand_dims(weights, -1), p)
        half = subtract(total, multiply(mean, multiply(sum_(weights), 0.5)))
        both = matmul(half, swapaxes(mean, 0, 1))
        out = subtract(out, add(both, swapaxes(both, 0, 1)))
    if rows.inverse_scale is None:
        return out
    scale = expand_dims(_like(rows.inverse_scale, out.dtype), -1)
    return multiply(out, multiply(scale, swapaxes(scale, 0, 1)))


def _check_rows(name: str, rows: SparseRows, n: int) -> None:
    if rows.shape[0] != n:
        raise ShapeError(
            f"{name}: {rows.shape[0]} sparse rows and a dense factor of {n} do not fit."
        )


def _n_columns(name: str, A: Any, size: int | None) -> int:
    if not isinstance(A, SparseRows):
        return int(A.shape[1])
    if size is None:
        raise ShapeError(f"{name}: SparseRows have no number of columns. Pass size=.")
    return int(size)
