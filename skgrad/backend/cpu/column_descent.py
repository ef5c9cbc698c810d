"""Sweeps of coordinate descent over the columns of a matrix, many in one call.

What a sweep does is written in Python in :mod:`skgrad.solvers.column_descent`; this is
the same without the interpreter, for columns that lie side by side and for those of a
sparse matrix.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache

from skgrad.backend.cpu.descent import step
from skgrad.typing import Array

__all__ = ["source", "sweeper"]

_SIGNATURE = ctypes.CFUNCTYPE(
    ctypes.c_int64, *[ctypes.c_void_p] * 14, *[ctypes.c_int64] * 3, ctypes.c_double
)

# The row of the element i, and where the elements of the column j begin and end.
_SPARSE_ROW = """
  %row_at = getelementptr inbounds INDEX, ptr %indices, i64 %i
  %row_read = load INDEX, ptr %row_at
  %row = zext INDEX %row_read to i64
"""
_DENSE_ROW = """
  %row = sub i64 %i, %begin
"""
_SPARSE_ENDS = """
  %begin_at = getelementptr inbounds INDEX, ptr %indptr, i64 %j
  %begin_read = load INDEX, ptr %begin_at
  %begin = zext INDEX %begin_read to i64
  %j_next = add nuw nsw i64 %j, 1
  %end_at = getelementptr inbounds INDEX, ptr %indptr, i64 %j_next
  %end_read = load INDEX, ptr %end_at
  %end = zext INDEX %end_read to i64
"""
_DENSE_ENDS = """
  %begin = mul i64 %j, %n
  %end = add i64 %begin, %n
"""


def source(index: str | None) -> str:
    """Return the LLVM IR of the sweeps.

    The function is ``kernel(data, indices, indptr, d, t, side, h, l1, l2, low, high, b,
    shift, order, n, n_order, most, tol)``. Sums may be taken in any order, so that LLVM
    makes vectors of them.

    Parameters
    ----------
    index : {"i32", "i64"} or None
        The integers of a sparse matrix in columns; None for columns of n numbers each,
        one after the other.

    Returns
    -------
    str
        A module in LLVM's assembly language.

    Examples
    --------
    >>> from skgrad.backend.cpu import column_descent
    >>> "define i64 @kernel" in column_descent.source("i32")
    True
    """
    row, ends = (_SPARSE_ROW, _SPARSE_ENDS) if index else (_DENSE_ROW, _DENSE_ENDS)
    row, ends = (part.replace("INDEX", str(index)) for part in (row, ends))
    if index == "i64":  # there is no widening to the same type
        row, ends = (part.replace("zext i64", "add i64 0,") for part in (row, ends))
        row, ends = (part.replace(" to i64", "") for part in (row, ends))
    return f"""
define internal double @product(ptr noalias %data, ptr noalias %indices,
    ptr noalias %t, i64 %begin, i64 %end) nounwind {{
entry:
  %some = icmp slt i64 %begin, %end
  br i1 %some, label %turn, label %done
turn:
  %i = phi i64 [%begin, %entry], [%next, %turn]
  %sum = phi double [0.0, %entry], [%more, %turn]
{row}
  %x_at = getelementptr inbounds double, ptr %data, i64 %i
  %x = load double, ptr %x_at
  %t_at = getelementptr inbounds double, ptr %t, i64 %row
  %ti = load double, ptr %t_at
  %part = fmul contract reassoc nsz double %x, %ti
  %more = fadd contract reassoc nsz double %sum, %part
  %next = add nuw nsw i64 %i, 1
  %again = icmp slt i64 %next, %end
  br i1 %again, label %turn, label %done
done:
  %total = phi double [0.0, %entry], [%more, %turn]
  ret double %total
}}

define internal void @move(ptr noalias %data, ptr noalias %indices, ptr noalias %d,
    ptr noalias %t, i64 %begin, i64 %end, double %delta) nounwind {{
entry:
  %some = icmp slt i64 %begin, %end
  br i1 %some, label %turn, label %done
turn:
  %i = phi i64 [%begin, %entry], [%next, %turn]
{row}
  %x_at = getelementptr inbounds double, ptr %data, i64 %i
  %x = load double, ptr %x_at
  %d_at = getelementptr inbounds double, ptr %d, i64 %row
  %di = load double, ptr %d_at
  %t_at = getelementptr inbounds double, ptr %t, i64 %row
  %ti = load double, ptr %t_at
  %dx = fmul contract double %x, %di
  %step = fmul contract double %dx, %delta
  %new = fadd contract double %ti, %step
  store double %new, ptr %t_at
  %next = add nuw nsw i64 %i, 1
  %again = icmp slt i64 %next, %end
  br i1 %again, label %turn, label %done
done:
  ret void
}}

define internal void @move_equally(ptr noalias %data, ptr noalias %indices,
    ptr noalias %t, i64 %begin, i64 %end, double %delta) nounwind {{
entry:
  %some = icmp slt i64 %begin, %end
  br i1 %some, label %turn, label %done
turn:
  %i = phi i64 [%begin, %entry], [%next, %turn]
{row}
  %x_at = getelementptr inbounds double, ptr %data, i64 %i
  %x = load double, ptr %x_at
  %t_at = getelementptr inbounds double, ptr %t, i64 %row
  %ti = load double, ptr %t_at
  %step = fmul contract double %x, %delta
  %new = fadd contract double %ti, %step
  store double %new, ptr %t_at
  %next = add nuw nsw i64 %i, 1
  %again = icmp slt i64 %next, %end
  br i1 %again, label %turn, label %done
done:
  ret void
}}

define i64 @kernel(ptr %data, ptr %indices, ptr %indptr, ptr %d, ptr %t, ptr %side,
                   ptr %h, ptr %l1, ptr %l2, ptr %low, ptr %high, ptr %b, ptr %shift,
                   ptr %order, i64 %n, i64 %n_order, i64 %most, double %tol) nounwind {{
entry:
  %some = icmp sgt i64 %n_order, 0
  %weight_at = getelementptr inbounds double, ptr %shift, i64 1
  %weight = load double, ptr %weight_at
  %common_at = getelementptr inbounds double, ptr %shift, i64 2
  %common = load double, ptr %common_at
  %is_common = fcmp ogt double %common, 0.0
  br label %head
head:
  %sweep = phi i64 [0, %entry], [%sweeps, %swept]
  %left = icmp slt i64 %sweep, %most
  br i1 %left, label %start, label %failed
start:
  %sweeps = add nuw nsw i64 %sweep, 1
  br i1 %some, label %turn, label %met
turn:
  %i = phi i64 [0, %start], [%next, %after]
  %moving = phi i1 [false, %start], [%moves, %after]
  %order_at = getelementptr inbounds i64, ptr %order, i64 %i
  %j = load i64, ptr %order_at
{ends}
  %h_at = getelementptr inbounds double, ptr %h, i64 %j
  %l1_at = getelementptr inbounds double, ptr %l1, i64 %j
  %l2_at = getelementptr inbounds double, ptr %l2, i64 %j
  %low_at = getelementptr inbounds double, ptr %low, i64 %j
  %high_at = getelementptr inbounds double, ptr %high, i64 %j
  %side_at = getelementptr inbounds double, ptr %side, i64 %j
  %b_at = getelementptr inbounds double, ptr %b, i64 %j
  %hj = load double, ptr %h_at
  %l = load double, ptr %l1_at
  %l2j = load double, ptr %l2_at
  %lowest = load double, ptr %low_at
  %highest = load double, ptr %high_at
  %sj = load double, ptr %side_at
  %old = load double, ptr %b_at
  %o = load double, ptr %shift
  %dot = call double @product(ptr %data, ptr %indices, ptr %t, i64 %begin, i64 %end)
  %shifted = fmul double %o, %sj
  %g = fadd double %dot, %shifted
  %own = fmul double %hj, %old
  %u = fsub double %own, %g
  %stiff = fadd double %hj, %l2j
{step("%stiff")}  br i1 %differs, label %move, label %after
move:
  store double %new, ptr %b_at
  br i1 %is_common, label %equally, label %singly
equally:
  %scaled = fmul double %common, %delta
  call void @move_equally(ptr %data, ptr %indices, ptr %t, i64 %begin, i64 %end,
                          double %scaled)
  br label %moved
singly:
  call void @move(ptr %data, ptr %indices, ptr %d, ptr %t, i64 %begin, i64 %end,
                  double %delta)
  br label %moved
moved:
  %mean = fdiv double %sj, %weight
  %back = fmul double %mean, %delta
  %o_new = fsub double %o, %back
  store double %o_new, ptr %shift
  %square = fmul double %delta, %delta
  %change = fmul double %square, %stiff
  %far = fcmp ogt double %change, %tol
  br label %after
after:
  %step = phi i1 [false, %turn], [%far, %moved]
  %moves = or i1 %moving, %step
  %next = add nuw nsw i64 %i, 1
  %again = icmp slt i64 %next, %n_order
  br i1 %again, label %turn, label %swept
swept:
  br i1 %moves, label %head, label %met
met:
  ret i64 %sweeps
failed:
  ret i64 0
}}
"""


@cache
def _code(index: str | None) -> Callable[..., int]:
    from skgrad.backend.cpu import cache as kernels  # noqa: PLC0415 - heavy

    key = f"coordinate descent over columns, {index}"
    return _SIGNATURE(kernels.function(key, lambda: source(index)))


def sweeper(
    columns: tuple[Array, Array | None, Array | None], vectors: list[Array], tol: float
) -> Callable[[Array, int], int]:
    """Return the function ``sweep(order, most)`` for a problem.

    It sweeps over the columns of ``order`` (int64), whose stiffness is positive, until
    no change is large, at most so often, and returns how often, 0 if that was not
    enough. The lock of the interpreter is released meanwhile.

    Parameters
    ----------
    columns : data, indices, indptr
        A sparse matrix in columns, or the columns one after the other and two None.
    vectors : list of array
        ``d, t`` of the rows, ``side, h, l1, l2, low, high, b`` of the columns and
        ``shift`` of three numbers, as :func:`~skgrad.solvers.column_descent.sweeper`
        takes them: float64, contiguous. Nothing is checked. ``t``, ``b`` and the first
        number of ``shift`` are updated.
    tol : float
        The largest change, squared and times the stiffness, that is not large.

    Returns
    -------
    callable
        The function ``sweep``.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad.backend.cpu import column_descent
    >>> one, zero, large = np.ones(1), np.zeros(1), np.full(1, np.inf)
    >>> vectors = [one, -2 * one, zero, one, 0.5 * one, zero, -large, large, zero]
    >>> shift = np.array([0.0, 1.0, 0.0])
    >>> sweep = column_descent.sweeper(
    ...     (one, None, None), [*vectors, shift], tol=1e-12
    ... )
    >>> sweep(np.array([0]), 100), zero  # doctest: +SKIP
    (2, array([1.5]))
    """
    data, indices, indptr = columns
    index = None
    if indices is not None and indptr is not None:
        index = {4: "i32", 8: "i64"}[indices.itemsize]
    arrays = (data, indices, indptr, *vectors)
    # These pointers keep the arrays alive, plain addresses would not.
    pointers = [
        None if x is None else x.ctypes.data_as(ctypes.c_void_p) for x in arrays
    ]
    code, n = _code(index), len(vectors[0])

    def sweep(order: Array, most: int) -> int:
        return code(*pointers, order.ctypes.data, n, len(order), most, tol)

    return sweep
