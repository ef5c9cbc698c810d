"""What functions take: tensors, arrays and numbers."""

from typing import Any

from skgrad import ops
from skgrad.ops.promotion import as_value
from skgrad.typing import ArrayLike

__all__ = ["as_float"]


def as_float(x: ArrayLike, name: str) -> Any:
    """Return x as a tensor of floats; integers become float64."""
    value = as_value(x, name)
    return value if value.dtype.kind == "f" else ops.astype(value, "float64")
