"""Sliding windows and their transpose, against PyTorch's."""

import numpy as np
import pytest
import torch

from skgrad import ops
from skgrad.exceptions import ShapeError


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("size", [1, 2, 3])
def test_torch_unfold_and_fold(rng, size, stride, dilation):
    x = rng.standard_normal((2, 3, 8, 7))
    settings = {"kernel_size": (size, 2), "stride": (stride, 1)}
    settings["dilation"] = (dilation, 2)
    theirs = torch.nn.functional.unfold(torch.tensor(x), **settings)
    found = ops.windows(x, (size, 2), (stride, 1), (dilation, 2))
    n, c, h, w, *_ = found.shape
    flat = ops.transpose(found, (0, 1, 4, 5, 2, 3)).numpy()
    flat = flat.reshape(n, c * size * 2, h * w)
    np.testing.assert_array_equal(flat, theirs.numpy())
    back = ops.scatter_windows(found, (8, 7), (stride, 1), (dilation, 2))
    theirs = torch.nn.functional.fold(theirs, (8, 7), **settings)
    np.testing.assert_allclose(back.numpy(), theirs.numpy(), rtol=1e-14)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (((5,),), r"no window of sizes \(5,\) .* shape \(3, 4\)"),
        (((2,), None, (4,)), "Take smaller windows, or pad"),
        (((0,),), "must be positive ints"),
        (((2,), (0,)), "must be positive ints"),
        (((2, 2), (1,)), "one for each of the last axes"),
        (((2, 2, 2),), "one for each of the last axes"),
        (((),), "one for each of the last axes"),
    ],
)
def test_windows_that_do_not_fit_are_refused(arguments, match):
    with pytest.raises(ShapeError, match=match):
        ops.windows(np.zeros((3, 4)), *arguments)


def test_scattered_windows_must_be_those_of_the_shape():
    with pytest.raises(ShapeError, match=r"\(5,\) has \(4,\) windows .* \(3, 2\)"):
        ops.scatter_windows(np.zeros((3, 2)), (5,))
