"""Counter-based random bits: the same on every device, in every order."""

from typing import Any

import numpy as np

from skgrad.core.primitive import Abstract, Primitive, register
from skgrad.core.random import current_scope
from skgrad.ops.elementwise import multiply
from skgrad.ops.promotion import as_value, astype, beside
from skgrad.typing import ArrayLike

__all__ = ["random_bits", "uniform_like"]

random_bits_p = register(
    Primitive(
        "random_bits",
        lambda key, step, rows, shape, draw: Abstract(
            rows.shape + shape, np.dtype("uint32")
        ),
    )
)


def random_bits(
    key: ArrayLike,
    step: ArrayLike,
    rows: ArrayLike,
    shape: tuple[int, ...] = (),
    draw: int = 0,
) -> Any:
    """Return 24 random bits per element, a pure function of the arguments.

    Philox-4x32-10 with key ``key`` and counter (step, draw, element // 4, row); the
    element takes word ``element % 4`` of the result, shifted right by 8 bits.

    Parameters
    ----------
    key : array of uint32, shape (2,)
        Seed and stream.
    step : array of int64, shape ()
        First word of the counter; a training step counts it up.
    rows : array of uint32
        What identifies each row; equal entries draw equal bits.
    shape : tuple of int, default=()
        Extents of one row.
    draw : int, default=0
        Second word of the counter: which draw of the step.

    Returns
    -------
    Tensor of uint32, shape ``rows.shape + shape``
        Values in [0, 2²⁴); no derivative flows through them.

    References
    ----------
    Salmon, Moraes, Dror, Shaw (2011). Parallel random numbers: as easy as 1, 2, 3.
    SC'11, section 3.3.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad import ops
    >>> key = np.array([0, 3], dtype=np.uint32)
    >>> rows = np.arange(2, dtype=np.uint32)
    >>> ops.random.random_bits(key, np.int64(0), rows, shape=(3,)).shape
    (2, 3)
    """
    values = (as_value(v, "random_bits") for v in (key, step, rows))
    return random_bits_p.bind(*values, shape=shape, draw=draw)


def uniform_like(x: ArrayLike) -> Any:
    """Return uniform numbers in [0, 1) from the current random scope.

    Each call takes the scope's next draw. If the scope identifies the rows of the
    batch and x has as many, a row's numbers follow its identity, not its position.

    Parameters
    ----------
    x : tensor or array
        Gives shape and (floating) dtype.

    Returns
    -------
    Tensor
        Multiples of 2⁻²⁴, the same in float32 and float64.

    Examples
    --------
    >>> import skgrad
    >>> x = skgrad.tensor([1.0, 2.0, 3.0])
    >>> with skgrad.random_seed(0):
    ...     a = skgrad.ops.uniform_like(x)
    >>> with skgrad.random_seed(0):
    ...     b = skgrad.ops.uniform_like(x)
    >>> bool((a.numpy() == b.numpy()).all())
    True
    """
    value = as_value(x, "uniform_like")
    scope = current_scope()
    rows: Any = scope.rows
    if rows is None or value.shape[:1] != rows.shape:
        rows = np.arange(value.shape[0] if value.ndim else 1, dtype=np.uint32)
        rows = beside(value, rows if value.ndim else rows.reshape(()))
    bits = random_bits(
        scope.key, scope.step, rows, shape=value.shape[1:], draw=scope.next_draw()
    )
    return multiply(astype(bits, value.dtype), 2.0**-24)
