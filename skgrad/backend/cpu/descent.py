"""Sweeps of coordinate descent on a Gram matrix, many in one call.

What a sweep does is written in Python in :mod:`skgrad.optim.gram_descent`; this is
the same, bit for bit, without the interpreter between two coordinates.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache

from skgrad.typing import Array

__all__ = ["source", "step", "sweeper"]

_SIGNATURE = ctypes.CFUNCTYPE(
    ctypes.c_int64, *[ctypes.c_void_p] * 8, *[ctypes.c_int64] * 3, ctypes.c_double
)


def step(stiffness: str) -> str:
    """Return the LLVM IR of what a coefficient becomes, given the others.

    From ``%u``, the stiffness times the coefficient less the gradient, ``%l``,
    ``%lowest``, ``%highest`` and ``%old`` follow ``%new``, ``%delta`` and whether it
    ``%differs``.

    Parameters
    ----------
    stiffness : str
        The name of the second derivative.

    Returns
    -------
    str
        Instructions, a line each.

    Examples
    --------
    >>> from skgrad.backend.cpu import descent
    >>> "%free = fdiv double %soft, %d" in descent.step("%d")
    True
    """
    return f"""
  %l_neg = fneg double %l
  %is_below = fcmp ogt double %l_neg, %u
  %u_low = select i1 %is_below, double %l_neg, double %u
  %is_above = fcmp olt double %l, %u_low
  %u_cut = select i1 %is_above, double %l, double %u_low
  %soft = fsub double %u, %u_cut
  %free = fdiv double %soft, {stiffness}
  %is_low = fcmp ogt double %lowest, %free
  %raised = select i1 %is_low, double %lowest, double %free
  %is_high = fcmp olt double %highest, %raised
  %new = select i1 %is_high, double %highest, double %raised
  %delta = fsub double %new, %old
  %differs = fcmp one double %delta, 0.0
""".removeprefix("\n")


def source() -> str:
    """Return the LLVM IR of the sweeps.

    The function is ``kernel(G, diagonal, l1, low, high, coef, gradient, order, k, n,
    most, tol)``. LLVM makes vectors of the loop ``subtract``, whose arguments do not
    overlap. Products are rounded before they are subtracted, as NumPy's are.

    Returns
    -------
    str
        A module in LLVM's assembly language.

    Examples
    --------
    >>> from skgrad.backend.cpu import descent
    >>> "define i64 @kernel" in descent.source()
    True
    """
    return """
define internal void @subtract(ptr noalias %s, ptr noalias %g, double %x, i64 %k)
    nounwind {
entry:
  br label %turn
turn:
  %i = phi i64 [0, %entry], [%next, %turn]
  %g_at = getelementptr inbounds double, ptr %g, i64 %i
  %s_at = getelementptr inbounds double, ptr %s, i64 %i
  %gi = load double, ptr %g_at
  %si = load double, ptr %s_at
  %more = fmul double %x, %gi
  %less = fsub double %si, %more
  store double %less, ptr %s_at
  %next = add nuw nsw i64 %i, 1
  %again = icmp slt i64 %next, %k
  br i1 %again, label %turn, label %done
done:
  ret void
}

define i64 @kernel(ptr %G, ptr %diagonal, ptr %l1, ptr %low, ptr %high, ptr %b, ptr %s,
                   ptr %order, i64 %k, i64 %n, i64 %most, double %tol) nounwind {
entry:
  %some = icmp sgt i64 %n, 0
  %any = icmp sgt i64 %most, 0
  br label %head
head:
  %sweep = phi i64 [0, %entry], [%sweeps, %swept]
  %left = icmp slt i64 %sweep, %most
  br i1 %left, label %begin, label %failed
begin:
  %sweeps = add nuw nsw i64 %sweep, 1
  br i1 %some, label %turn, label %met
turn:
  %i = phi i64 [0, %begin], [%next, %after]
  %moving = phi i1 [false, %begin], [%moves, %after]
  %order_at = getelementptr inbounds i64, ptr %order, i64 %i
  %j = load i64, ptr %order_at
  %d_at = getelementptr inbounds double, ptr %diagonal, i64 %j
  %d = load double, ptr %d_at
  %l_at = getelementptr inbounds double, ptr %l1, i64 %j
  %low_at = getelementptr inbounds double, ptr %low, i64 %j
  %high_at = getelementptr inbounds double, ptr %high, i64 %j
  %b_at = getelementptr inbounds double, ptr %b, i64 %j
  %s_at = getelementptr inbounds double, ptr %s, i64 %j
  %l = load double, ptr %l_at
  %lowest = load double, ptr %low_at
  %highest = load double, ptr %high_at
  %old = load double, ptr %b_at
  %sj = load double, ptr %s_at
  %own = fmul double %d, %old
  %u = fadd double %sj, %own
  STEP
  br i1 %differs, label %move, label %after
move:
  store double %new, ptr %b_at
  %start = mul i64 %j, %k
  %row = getelementptr inbounds double, ptr %G, i64 %start
  call void @subtract(ptr %s, ptr %row, double %delta, i64 %k)
  %square = fmul double %delta, %delta
  %change = fmul double %square, %d
  %far = fcmp ogt double %change, %tol
  br label %after
after:
  %step = phi i1 [false, %turn], [%far, %move]
  %moves = or i1 %moving, %step
  %next = add nuw nsw i64 %i, 1
  %again = icmp slt i64 %next, %n
  br i1 %again, label %turn, label %swept
swept:
  br i1 %moves, label %head, label %met
met:
  ret i64 %sweeps
failed:
  ret i64 0
}
""".replace("  STEP\n", step("%d"))


@cache
def _code() -> Callable[..., int]:
    from skgrad.backend.cpu import cache as kernels  # noqa: PLC0415 - heavy

    return _SIGNATURE(kernels.function("coordinate descent", source))


def sweeper(
    G: Array,
    diagonal: Array,
    l1: Array,
    low: Array,
    high: Array,
    coef: Array,
    gradient: Array,
    tol: float,
) -> Callable[[Array, int], int]:
    """Return the function ``sweep(order, most)`` for a problem.

    It sweeps over the coordinates of ``order`` (int64), whose diagonal elements are
    positive, until no change is large, at most so often, and returns how often, 0 if
    that was not enough. The lock of the interpreter is released meanwhile.

    Parameters
    ----------
    G, diagonal, l1, low, high, coef, gradient : array
        Those of :func:`~skgrad.optim.gram_descent.minimize_gram`, of float64 in C
        order. Nothing is checked. The last two are updated.
    tol : float
        The largest change, squared and times the diagonal, that is not large.

    Returns
    -------
    callable
        The function ``sweep``.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad.backend.cpu import descent
    >>> one, zero, large = np.ones(1), np.zeros(1), np.full(1, np.inf)
    >>> problem = [one[:, None], one, 0.5 * one, -large, large, zero, 2.0 * one]
    >>> sweep = descent.sweeper(*problem, tol=1e-12)
    >>> sweep(np.array([0]), 100), zero  # doctest: +SKIP
    (2, array([1.5]))
    """
    arrays = (G, diagonal, l1, low, high, coef, gradient)
    # These pointers keep the arrays alive, plain addresses would not.
    pointers = [x.ctypes.data_as(ctypes.c_void_p) for x in arrays]
    code, k = _code(), len(coef)

    def sweep(order: Array, most: int) -> int:
        return code(*pointers, order.ctypes.data, k, len(order), most, tol)

    return sweep
