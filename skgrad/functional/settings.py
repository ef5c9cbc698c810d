"""Sizes, strides and paddings of windows, checked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from skgrad import ops
from skgrad.core.checks import check_integer
from skgrad.exceptions import ParameterError
from skgrad.typing import Shape

__all__ = ["Padding", "Size", "padded", "paddings", "spread"]

Size: TypeAlias = int | Sequence[int]
Padding: TypeAlias = Size | str


def padded(x: Any, widths: Sequence[tuple[int, int]]) -> Any:
    """Return x with zeros around its last axes."""
    if not any(map(any, widths)):
        return x
    return ops.pad(x, [(0, 0)] * (x.ndim - len(widths)) + list(widths))


def paddings(
    name: str, padding: Padding, sizes: Shape, strides: Shape, dilations: Shape
) -> list[tuple[int, int]]:
    """Return how many zeros are added before and after each axis."""
    if padding == "valid":
        return [(0, 0)] * len(sizes)
    if padding == "same":
        if any(s != 1 for s in strides):
            raise ParameterError(
                f"{name}: padding='same' keeps the extents, which needs stride 1. Got "
                f"stride {strides}."
            )
        totals = [d * (k - 1) for k, d in zip(sizes, dilations, strict=True)]
        return [(total // 2, total - total // 2) for total in totals]
    if isinstance(padding, str):
        raise ParameterError(
            f"The 'padding' parameter of {name} must be an int, a sequence of "
            f"{len(sizes)}, 'same' or 'valid'. Got {padding!r} instead."
        )
    return [(p, p) for p in spread(name, "padding", padding, len(sizes), low=0)]


def spread(owner: str, name: str, value: Any, d: int, low: int = 1) -> Shape:
    """Return a setting of each of d axes, from one int for all of them or d ints."""
    given = (value,) * d if np.ndim(value) == 0 else tuple(value)
    if len(given) != d:
        raise ParameterError(
            f"The {name!r} parameter of {owner} must be an int or a sequence of {d}. "
            f"Got {value!r} instead."
        )
    return tuple(check_integer(owner, name, one, low) for one in given)
