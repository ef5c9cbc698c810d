"""No finite input gives NaN, as a value or as a first derivative."""

import itertools

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
from losses.cases import EVERY, gradient_of, second_of, those, values_of

from skgrad import losses

PLAIN = those(lambda case: case.form in ("vector", "columns"))


def drawn(case, data, dtype, largest=None):
    """Return targets in the domain and raw predictions, as extreme as they may be."""
    largest = float(np.finfo(dtype).max) if largest is None else largest
    number = st.floats(-largest, largest, width=np.finfo(dtype).bits)
    domain = case.loss.y_domain
    low, high = max(domain.low, -largest), min(domain.high, largest)
    target = number.filter(domain.contains)
    if np.isfinite(domain.low):
        tiny = 0.0 if domain.contains(low) else float(np.finfo(dtype).tiny)
        target = st.floats(tiny, high, width=np.finfo(dtype).bits)
    raw = [data.draw(number) for _ in range(max(1, *case.columns, 0))]
    if case.loss.labels:
        y = data.draw(st.integers(0, 3 if case.columns else 1))
    elif case.form == "shares":
        y = data.draw(st.sampled_from([[0.5, 0.5, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]]))
    elif case.form == "query":
        y = [data.draw(st.just(np.nan) | target) for _ in raw]
    else:
        y = data.draw(target)
    raw = np.array([raw if case.columns else raw[0]], dtype=dtype)
    return np.array([y], dtype=int if case.loss.labels else dtype), raw


@pytest.mark.parametrize("case", EVERY)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@hypothesis.given(data=st.data())
@hypothesis.settings(max_examples=25)
def test_finite_inputs_never_give_nan(case, dtype, data):
    y, raw = drawn(case, data, dtype)
    assert not np.isnan(values_of(case.loss, y, raw)).any()
    assert not np.isnan(gradient_of(case.loss, y, raw)).any()


@pytest.mark.parametrize("case", PLAIN)
@hypothesis.given(data=st.data())
@hypothesis.settings(max_examples=15)
def test_second_derivatives_are_not_nan(case, data):
    y, raw = drawn(case, data, "float64", 1e150)
    assert not np.isnan(second_of(case.loss, y, raw)).any()


# Hyperparameters at the ends of their domains, and at which a formula has a limit.
UNUSUAL = [
    *(losses.Tweedie(power=p) for p in (-3.0, 0, 1, 1.0001, 1.9999, 2, 3.0, 10.0)),
    *(losses.Focal(gamma=g) for g in (0.0, 0.1, 1.0, 30.0, 1e6)),
    *(losses.StudentTNLL(df=df) for df in (1e-3, 1.0, 1e6)),
    *(losses.Huber(delta=d) for d in (1e-3, 1e5)),
]


def extremes(dtype):
    """Return numbers near where an exponential, a square or a sum overflows."""
    most = float(np.finfo(dtype).max)
    edge = np.log(most)
    sizes = [0.0, 1.0, 50.0, 1e4, most, most / 2, most**0.5, edge - 1, edge + 1]
    sizes += [edge / 2, float(np.finfo(dtype).tiny), float(np.finfo(dtype).eps)]
    return np.unique(np.array([sign * x for x in sizes for sign in (1, -1)], dtype))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("loss", UNUSUAL, ids=repr)
def test_extremes_in_each_combination(loss, dtype):
    numbers = extremes(dtype)
    targets = [0, 1] if loss.labels else numbers[loss.y_domain.contains(numbers)]
    columns = [numbers] * loss.raw_per_target
    table = np.array(list(itertools.product(targets, *columns)), dtype=dtype)
    y, raw = table[:, 0], table[:, 1:] if len(columns) > 1 else table[:, 1]
    assert not np.isnan(values_of(loss, y, raw)).any()
    assert not np.isnan(gradient_of(loss, y, raw)).any()
