"""The same programme by HiGHS: what is left where the vertex method gives up."""

from __future__ import annotations

import numpy as np
import scipy

from skgrad.solvers.tilted import TiltedRows
from skgrad.solvers.vertex import Vertex, VertexStatus

__all__ = ["minimize_highs"]


def minimize_highs(rows: TiltedRows) -> Vertex:
    """Minimise a sum of tilted absolute residuals by HiGHS, in its dual form.

    Parameters
    ----------
    rows : TiltedRows
        What to minimise.

    Returns
    -------
    Vertex
        Without a basis; exact to HiGHS's tolerance of 1e-7 per dual variable.

    References
    ----------
    Q. Huangfu and J. A. J. Hall, Parallelizing the dual revised simplex method,
    Mathematical Programming Computation 10 (2018) 119-142; by
    :func:`scipy.optimize.linprog`.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad.solvers import TiltedRows, minimize_highs
    >>> ones = np.ones(3)
    >>> y = np.array([1.0, 2.0, 6.0])
    >>> minimize_highs(TiltedRows(ones[:, None], y, ones, ones, np.zeros(1))).coef
    array([2.])
    """
    # HiGHS's tolerances are absolute: targets and slopes of about one make them parts.
    size = np.abs(rows.y).max(initial=0.0) or 1.0
    slope = np.median(rows.width[rows.width > 0]) if rows.width.any() else 1.0
    result = scipy.optimize.linprog(
        -rows.y / size,
        A_eq=rows.A.T,
        b_eq=-rows.linear / slope,
        bounds=np.column_stack([-rows.down, rows.up]) / slope,
        method="highs",
    )
    nowhere = np.array([], dtype=np.int64)
    if result.status != 0:
        # The dual has no solution where the objective falls without end.
        unbounded = result.status == 2
        status = VertexStatus.UNBOUNDED if unbounded else VertexStatus.FAILED
        coef = np.zeros(rows.n_columns)
        return Vertex(coef, np.zeros(len(rows)), nowhere, status, 0)
    dual = np.clip(result.x * slope, -rows.down, rows.up)
    coef = -result.eqlin.marginals * size
    return Vertex(coef, dual, nowhere, VertexStatus.OPTIMAL, int(result.nit))
