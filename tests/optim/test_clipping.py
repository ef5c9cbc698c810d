import numpy as np
import pytest
import torch

import skgrad
from skgrad.exceptions import GradientError, ParameterError
from skgrad.executor import Traced
from skgrad.optim import clip_by_norm, clip_grad_norm_


def norm(leaves):
    return np.sqrt(sum(np.sum(np.square(leaf.numpy(), dtype=float)) for leaf in leaves))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("max_norm", [0.1, 1.0, 2.0])
def test_long_gradients_get_the_norm(rng, dtype, max_norm):
    grads = [skgrad.tensor(rng.normal(size=s), dtype=dtype) for s in [(5,), (2, 3), ()]]
    clipped = clip_by_norm(grads, max_norm)
    np.testing.assert_allclose(norm(clipped), max_norm, rtol=1e-6)
    assert all(leaf.dtype == dtype for leaf in clipped)
    ratio = clipped[0].numpy() / grads[0].numpy()
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-5)


@pytest.mark.parametrize("max_norm", [5.0, 6.0, np.inf])
@pytest.mark.parametrize("as_tensor", [False, True])
def test_short_gradients_are_left_alone(max_norm, as_tensor):
    grads = {"w": skgrad.tensor([3.0, 4.0])}
    bound = skgrad.tensor(max_norm) if as_tensor else max_norm
    np.testing.assert_array_equal(clip_by_norm(grads, bound)["w"].numpy(), [3.0, 4.0])


@pytest.mark.parametrize("max_norm", [1.0, np.inf])
def test_zero_gradients_stay_zero(max_norm):
    clipped = clip_by_norm(skgrad.tensor([0.0, 0.0]), max_norm)
    np.testing.assert_array_equal(clipped.numpy(), [0.0, 0.0])


def test_float32_gradients_do_not_overflow():
    g = skgrad.tensor([3e30, 4e30], dtype="float32")
    np.testing.assert_allclose(clip_by_norm(g, 1.0).numpy(), [0.6, 0.8], rtol=1e-6)


def test_nan_stays_visible():
    clipped = clip_by_norm(skgrad.tensor([np.nan, 1.0]), 0.1)
    assert np.isnan(clipped.numpy()[0])


def test_no_gradients_at_all():
    assert clip_by_norm([], 1.0) == []


def test_the_bound_is_an_input_of_a_trace(rng):
    clip = Traced(clip_by_norm)
    g = rng.normal(size=10)
    for bound in (0.5, 1.0, np.inf):
        expected = g * min(1.0, bound / np.linalg.norm(g))
        np.testing.assert_allclose(clip(g, np.array(bound)), expected, rtol=1e-14)
    assert clip.n_traces == 1


@pytest.mark.parametrize("max_norm", [0.5, 1e3])
def test_in_place_as_torch(rng, max_norm):
    start = [rng.normal(size=4), rng.normal(size=(2, 2))]
    ours = [skgrad.tensor(a, requires_grad=True) for a in start]
    theirs = [torch.tensor(a, requires_grad=True) for a in start]
    for tensors in (ours, theirs):
        sum((w * w).sum() for w in tensors).backward()
    ours.append(skgrad.tensor([1.0], requires_grad=True))  # without gradient
    found = clip_grad_norm_(iter(ours), max_norm)
    expected = torch.nn.utils.clip_grad_norm_(theirs, max_norm)
    assert found == pytest.approx(expected.item(), rel=1e-12)
    # PyTorch divides by the norm + 1e-6.
    for w, t in zip(ours[:2], theirs, strict=True):
        np.testing.assert_allclose(w.grad.numpy(), t.grad.numpy(), rtol=1e-6)


def test_no_gradient_to_clip():
    with pytest.raises(GradientError, match=r"between backward\(\) and step\(\)"):
        clip_grad_norm_([skgrad.tensor([1.0], requires_grad=True)], 1.0)


@pytest.mark.parametrize("max_norm", [0.0, -1.0, np.nan])
def test_bound_is_checked(max_norm):
    with pytest.raises(ParameterError, match=r"'max_norm'.*\(0, inf\]"):
        clip_grad_norm_([], max_norm)
