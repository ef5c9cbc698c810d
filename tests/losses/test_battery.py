"""The battery every registered loss goes through; the registry is its parameters."""

import copy
import functools
import pickle

import numpy as np
import pytest
import sklearn._loss.link as sklearn_link
import torch
from losses.cases import CASES, COLUMNS, EVERY, gradient_of, second_of, those, values_of
from mpmath import mp
from sklearn.base import clone

import skgrad
from skgrad import losses
from skgrad.exceptions import DTypeError, ParameterError, ShapeError
from skgrad.executor import Traced

# Digits of the mpmath oracle: a derivative of order 2 at a certain class is the
# difference of numbers of size 1 that are equal to 2 * 130 digits.
PRECISION = 330

# Those with a raw prediction per target, or per class of a code.
PLAIN_FORMS = ("vector", "columns")
PLAIN = those(lambda case: case.form in PLAIN_FORMS)
ELEMENTWISE = those(lambda case: case.form == "vector")
VECTOR_FORMULA = those(lambda case: case.form == "vector" and case.formula)
REGRESSION = those(lambda c: c.form == "vector" and c.loss.task == "regression")
PIECEWISE = those(lambda case: isinstance(case.loss, losses.PiecewiseLinearLoss))
HYPER = those(lambda case: case.hyper)
SCIKIT_LEARN = those(lambda case: case.sklearn is not None)
CONSTANT = those(lambda c: c.loss.has_optimal_constant and c.form in PLAIN_FORMS)
every_case = pytest.mark.parametrize("case", EVERY)
plain_case = pytest.mark.parametrize("case", PLAIN)
constant_case = pytest.mark.parametrize("case", CONSTANT)


def zeros(case, n=1):
    """Return raw predictions of zero for a few targets (for three classes)."""
    return np.zeros((n, 3) if case.form == "columns" else n)


def test_every_registered_loss_has_a_case():
    assert set(CASES) == set(losses.LOSSES)
    for name, case in CASES.items():
        assert type(case.loss) is losses.LOSSES[name]
    assert set(COLUMNS) == {n for n, case in CASES.items() if case.loss.labels}


# ------------------------------------------------------------------ attributes


@every_case
def test_attributes_are_complete(case):
    loss = case.loss
    assert losses.LOSSES[loss.name] is type(loss)
    assert loss.link in losses.LINKS
    assert loss.task in ("regression", "classification", "ranking")
    assert isinstance(loss.y_domain, losses.Interval)
    assert loss.labels == (loss.task == "classification")
    np.testing.assert_equal(loss.hyperparameters(), case.hyper)


@every_case
def test_convex_means_convex(case, rng):
    y, first = case.data(rng)
    _, second = case.data(rng)
    between = case.loss(y, 0.5 * (first + second)).numpy()
    ends = 0.5 * (case.loss(y, first).numpy() + case.loss(y, second).numpy())
    assert case.loss.convex == np.all(between <= ends + 1e-12 * np.abs(ends))


# -------------------------------------------------------------- hand values


@every_case
def test_hand_values(case):
    y = np.array([row[0] for row in case.hand])
    raw = np.array([row[1] for row in case.hand])
    value, gradient, second = (
        np.array([row[i] for row in case.hand]) for i in (2, 3, 4)
    )
    found = values_of(case.loss, y, raw)
    np.testing.assert_allclose(found, value, rtol=case.hand_rtol)
    np.testing.assert_allclose(gradient_of(case.loss, y, raw), gradient, rtol=1e-15)
    np.testing.assert_allclose(second_of(case.loss, y, raw), second, rtol=1e-15)


RESIDUALS = [1e-8, -1e-3, 0.3, 0.999, 1.001, -5.0, 40.0, -300.0]


@pytest.mark.parametrize("case", VECTOR_FORMULA)
@pytest.mark.parametrize("order", [0, 1, 2])
def test_textbook_formula_in_high_precision(case, order):
    # Relative accuracy over 10 orders of magnitude, nowhere lost to cancellation; only
    # the second derivative is absolute, p (1 - p) with p rounded. The oracle takes each
    # class, and otherwise a target of 0.5.
    of = (values_of, gradient_of, second_of)[order]
    for y in [0, 1] if case.loss.labels else [0.5]:
        raw = np.array(RESIDUALS) + (0 if case.loss.labels else y)
        found = of(case.loss, np.full(raw.size, y), raw)
        with mp.workdps(PRECISION):
            formula = functools.partial(case.formula, y)
            expected = [float(mp.diff(formula, mp.mpf(float(x)), order)) for x in raw]
        atol = 1e-16 if order == 2 else 1e-300
        np.testing.assert_allclose(found, expected, rtol=case.rtol, atol=atol)


@pytest.mark.parametrize("order", [0, 1, 2])
def test_multinomial_formula_in_high_precision(order):
    raw = np.array([[0.0, 1e-3, -1.0], [60.0, 0.0, 0.0], [1.0, 300.0, -300.0]])
    y = np.array([2, 0, 1])  # the last two are certain: losses of 1e-26 and 1e-130
    found = (values_of, gradient_of, second_of)[order](losses.LogLoss(), y, raw)
    expected = np.empty_like(found)
    with mp.workdps(PRECISION):
        for index in np.ndindex(expected.shape):
            expected[index] = _multinomial_oracle(
                y[index[0]], raw[index[0]], index, order
            )
    atol = 1e-16 if order == 2 else 1e-300
    np.testing.assert_allclose(found, expected, rtol=2e-14, atol=atol)


def _multinomial_oracle(y, row, index, order):
    exact = [mp.mpf(float(x)) for x in row]
    total = mp.fsum(mp.exp(x) for x in exact)
    if order == 0:
        return float(mp.log(total) - exact[y])
    share = mp.exp(exact[index[1]]) / total
    return float(share - (index[1] == y) if order == 1 else share * (1 - share))


# ------------------------------------------------------------- derivatives


@every_case
def test_gradient_is_the_central_difference(case, rng):
    y, raw = case.data(rng, n=10)
    step = 1e-5
    found = gradient_of(case.loss, y, raw)
    for index in np.ndindex(raw.shape):
        shift = np.zeros_like(raw)
        shift[index] = step
        up, down = (values_of(case.loss, y, raw + s).sum() for s in (shift, -shift))
        assert found[index] == pytest.approx(
            (up - down) / (2 * step), rel=1e-6, abs=1e-7
        )


@every_case
def test_hessian_is_the_central_difference_of_the_gradient(case, rng):
    y, raw = case.data(rng, n=4)
    step = 1e-5
    total = skgrad.hessian(lambda f: case.loss(y, f).sum())(skgrad.tensor(raw)).numpy()
    for index in np.ndindex(raw.shape):
        shift = np.zeros_like(raw)
        shift[index] = step
        up, down = (gradient_of(case.loss, y, raw + s) for s in (shift, -shift))
        expected = (up - down) / (2 * step)
        np.testing.assert_allclose(total[index], expected, rtol=1e-6, atol=1e-6)


@every_case
def test_hessian_vector_product_is_the_hessian(case, rng):
    y, raw = case.data(rng, n=5)
    vector = rng.standard_normal(raw.shape)

    def total(f):
        return case.loss(y, f).sum()

    hessian = skgrad.hessian(total)(skgrad.tensor(raw)).numpy()
    expected = hessian.reshape(raw.size, raw.size) @ vector.ravel()
    found = skgrad.hvp(total, [skgrad.tensor(raw)], [vector]).numpy()
    np.testing.assert_allclose(found.ravel(), expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    ("loss", "gradient", "second"),
    [
        (losses.SquaredError(), 0.0, 1.0),
        (losses.AbsoluteError(), 0.0, 0.0),
        (losses.Quantile(quantile=0.75), -0.25, 0.0),
        (losses.Quantile(quantile=0.5), 0.0, 0.0),
        (losses.Expectile(expectile=0.75), 0.0, 1.5),
        (losses.Huber(), 0.0, 1.0),
        (losses.LogCosh(), 0.0, 1.0),
    ],
    ids=repr,
)
def test_at_a_residual_of_zero(loss, gradient, second):
    y = raw = np.array([0.5])
    assert gradient_of(loss, y, raw) == gradient
    assert second_of(loss, y, raw) == second


def test_huber_at_its_knee():
    y, raw = np.zeros(2), np.array([2.0, -2.0])
    assert gradient_of(losses.Huber(delta=2.0), y, raw).tolist() == [2.0, -2.0]
    assert second_of(losses.Huber(delta=2.0), y, raw).tolist() == [1.0, 1.0]


@pytest.mark.parametrize("case", HYPER)
def test_gradient_with_respect_to_hyperparameters(case, rng):
    y, raw = (skgrad.tensor(a) for a in case.data(rng))
    for name in case.loss.hyperparameter_domains:
        value = case.hyper[name]

        def total(x, name=name):
            return case.loss.pointwise(y, raw, **{name: x}).sum()

        difference = total(value + 1e-6).item() - total(value - 1e-6).item()
        found = skgrad.grad(total)(value).item()
        assert found == pytest.approx(difference / 2e-6, rel=1e-6)


# ------------------------------------------------------- other implementations


@every_case
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_equals_pytorch(case, dtype, rng):
    y, raw = case.data(rng, dtype=dtype)
    leaf = torch.tensor(raw, requires_grad=True)
    expected = case.torch(leaf, torch.tensor(y))
    expected.sum().backward()
    tolerance = {"float32": 2e-5, "float64": 1e-12}[dtype]
    close = {"rtol": tolerance, "atol": tolerance / 10}
    found = values_of(case.loss, y, raw)
    np.testing.assert_allclose(found, expected.detach().numpy(), **close)
    found = gradient_of(case.loss, y, raw)
    np.testing.assert_allclose(found, leaf.grad.numpy(), **close)


@pytest.mark.parametrize("case", SCIKIT_LEARN)
def test_equals_scikit_learn(case, rng):
    y, raw = case.data(rng)
    value, gradient = case.sklearn.loss_gradient(y.astype(np.float64), raw)
    close = {"rtol": 1e-12, "atol": 1e-14}
    found = values_of(case.loss, y, raw) - (case.constant(y) if case.constant else 0)
    np.testing.assert_allclose(found, value, **close)
    np.testing.assert_allclose(gradient_of(case.loss, y, raw), gradient, **close)


LINKS = {
    "identity": sklearn_link.IdentityLink,
    "log": sklearn_link.LogLink,
    "logit": sklearn_link.LogitLink,
    "multinomial_logit": sklearn_link.MultinomialLogit,
}


@plain_case
def test_inverse_link_equals_scikit_learn(case, rng):
    raw = case.data(rng)[1]
    matrix_link = case.loss.matrix_link or case.loss.link
    link = LINKS[matrix_link if case.form == "columns" else case.loss.link]()
    found = case.loss.inverse_link(raw)
    np.testing.assert_allclose(found, link.inverse(raw), rtol=1e-13)


# ------------------------------------------------------------------- domains


@plain_case
def test_targets_outside_the_domain_are_refused(case):
    for target in case.outside:
        raw = zeros(case)
        with pytest.raises(ParameterError, match=r"must lie in .* Got .* among them\."):
            case.loss(np.array([target]), raw)


@plain_case
def test_targets_on_the_edge_of_the_domain_are_taken(case):
    for target in case.inside:
        raw = zeros(case)
        assert not np.isnan(values_of(case.loss, np.array([target]), raw)).any()


def test_wrong_labels_are_named():
    with pytest.raises(ParameterError, match=r"in \{0, 1\}\. Got -1 .*return_inverse"):
        losses.LogLoss()(np.array([-1, 1]), np.zeros(2))
    with pytest.raises(ParameterError, match=r"in \{0, 1, 2\}\. Got 3 "):
        losses.LogLoss()(np.array([3, 0]), np.zeros((2, 3)))


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int32", "int64", "float32"])
@pytest.mark.parametrize("raw_shape", [(2,), (2, 2)])
def test_labels_of_any_dtype(dtype, raw_shape, rng):
    raw = rng.standard_normal(raw_shape)
    expected = values_of(losses.LogLoss(), np.array([0.0, 1.0]), raw)
    found = values_of(losses.LogLoss(), np.array([0, 1]).astype(dtype), raw)
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == np.float64


# -------------------------------------------------------------------- shapes


@every_case
@pytest.mark.parametrize("n", [0, 1])
def test_no_sample_and_one_sample(case, n, rng):
    y, raw = case.data(rng, n=n)
    assert values_of(case.loss, y, raw).shape == (n,)
    assert gradient_of(case.loss, y, raw).shape == raw.shape


@plain_case
def test_a_column_of_predictions_is_refused_with_the_remedy(case):
    with pytest.raises(
        ShapeError, match=r"\(5,\).*\(5, 1\).*Use raw_prediction\[:, 0\]"
    ):
        case.loss(np.zeros(5), np.zeros((5, 1)))


@plain_case
@pytest.mark.parametrize(
    ("y", "raw", "remedy"),
    [
        ((5, 1), (5,), r"Use y_true\[:, 0\]"),
        ((5,), (4,), "5 targets but 4 predictions"),
        ((5,), (1,), "5 targets but 1 predictions"),
        ((), (5,), "one value per sample"),
        ((), (), r"a single one has shape \(1,\)"),
        ((5, 2), (5,), "Reshape both|class codes"),
        ((5, 1, 1), (5, 1, 1), "Reshape both"),
    ],
)
def test_other_shapes_are_refused(case, y, raw, remedy):
    with pytest.raises(ShapeError, match=remedy) as caught:
        case.loss(np.zeros(y), np.zeros(raw))
    assert str(y) in str(caught.value)
    assert str(raw) in str(caught.value)


@pytest.mark.parametrize("case", REGRESSION)
def test_one_target_for_several_outputs_is_refused(case):
    with pytest.raises(ShapeError, match=r"3 outputs and y_true one.*log_loss"):
        case.loss(np.zeros(5), np.zeros((5, 3)))


def test_indicator_columns_are_refused():
    with pytest.raises(ShapeError, match=r"argmax\(axis=1\)"):
        losses.LogLoss()(np.eye(3), np.zeros((3, 3)))


@pytest.mark.parametrize("case", REGRESSION)
def test_several_outputs_are_summed(case, rng):
    y, raw = (a.reshape(10, 4) for a in case.data(rng))
    expected = sum(values_of(case.loss, y[:, j], raw[:, j]) for j in range(4))
    assert case.loss.separable
    np.testing.assert_allclose(values_of(case.loss, y, raw), expected, rtol=1e-14)
    single = values_of(case.loss, y[:, :1], raw[:, :1])
    np.testing.assert_array_equal(single, values_of(case.loss, y[:, 0], raw[:, 0]))


# -------------------------------------------------------------------- dtypes


@every_case
def test_float32_is_kept(case, rng):
    y, raw = case.data(rng, dtype="float32")
    found = values_of(case.loss, y, raw)
    gradient = gradient_of(case.loss, y, raw)
    assert found.dtype == gradient.dtype == np.float32
    exact = values_of(case.loss, y.astype(np.float64), raw.astype(np.float64))
    np.testing.assert_allclose(found, exact, rtol=3e-6, atol=1e-6)


@pytest.mark.parametrize("case", REGRESSION)
def test_different_float_dtypes_are_refused(case):
    with pytest.raises(DTypeError, match=r"y_true has dtype float64 .* float32"):
        case.loss(np.zeros(3), np.zeros(3, dtype=np.float32))


@pytest.mark.parametrize("case", REGRESSION)
def test_integer_targets_take_the_dtype_of_the_predictions(case):
    raw = np.array([0.25, 1.0], dtype=np.float32)
    found = values_of(case.loss, np.array([1, 3]), raw)
    expected = values_of(case.loss, np.array([1, 3], dtype=np.float32), raw)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, expected)


@plain_case
def test_integer_predictions_are_refused(case):
    raw = np.zeros((2, 3) if (case.form == "columns") else 2, dtype=np.int64)
    with pytest.raises(DTypeError, match=r"raw_prediction must be float32 or float64"):
        case.loss(np.zeros(2), raw)


@every_case
def test_inputs_are_left_alone(case, rng):
    y, raw = case.data(rng)
    before = y.copy(), raw.copy()
    gradient_of(case.loss, y, raw)
    np.testing.assert_array_equal(y, before[0])
    np.testing.assert_array_equal(raw, before[1])


# ----------------------------------------------------------------- stability


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("raw", [1e4, -1e4])
@plain_case
def test_extreme_predictions(case, raw, dtype):
    low = 1.0 if case.loss.name == "gamma" else 0.0
    y = np.array([low, 1.0], dtype="float64" if case.loss.labels else dtype)
    predictions = np.full(2, raw, dtype=dtype)
    if case.form == "columns":
        predictions = np.array([[raw, 0.0, -raw]] * 2, dtype=dtype)
    # exp(1e4) is no number.
    overflows = (case.loss.name, np.sign(raw)) in (("poisson", 1), ("gamma", -1))
    check = np.isinf if overflows else np.isfinite
    assert check(values_of(case.loss, y, predictions)).all()
    assert check(gradient_of(case.loss, y, predictions)).all()
    assert check(second_of(case.loss, y, predictions)).all()


def test_extreme_values_are_right():
    raw = np.array([1e4, -1e4])
    zero = np.zeros(2)
    expected = 1e4 - np.log(2.0)
    assert values_of(losses.LogCosh(), zero, raw).tolist() == [expected] * 2
    assert values_of(losses.Huber(), zero, raw).tolist() == [9999.5] * 2
    assert values_of(losses.LogLoss(), np.array([0, 0]), raw).tolist() == [1e4, 0.0]
    assert values_of(losses.LogLoss(), np.array([1, 1]), raw).tolist() == [0.0, 1e4]
    assert values_of(losses.Poisson(), np.ones(2), raw).tolist() == [np.inf, 1e4]
    columns = np.array([[1e4, -1e4], [1e4, -1e4]])
    found = values_of(losses.LogLoss(), np.array([0, 1]), columns)
    assert found.tolist() == [0.0, 2e4]


@plain_case
def test_nan_predictions_stay_nan(case):
    raw = np.full((1, 3) if (case.form == "columns") else 1, np.nan)
    assert np.isnan(values_of(case.loss, np.array([1.0]), raw)).all()


# --------------------------------------------------------------- traced, eager


@every_case
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_traced_equals_eager(case, dtype, rng):
    y, raw = case.data(rng, dtype=dtype)

    def step(y, raw):
        return skgrad.value_and_grad(lambda f: case.loss(y, f).sum())(raw)

    eager = [np.asarray(x.numpy()) for x in step(skgrad.tensor(y), skgrad.tensor(raw))]
    traced = Traced(step)(y, raw)
    for found, expected in zip(traced, eager, strict=True):
        assert found.dtype == np.dtype(dtype)
        np.testing.assert_allclose(
            found, expected, rtol=1e-6 if dtype == "float32" else 1e-14
        )


@pytest.mark.parametrize("case", HYPER)
def test_hyperparameters_are_inputs_of_a_trace(case, rng):
    y, raw = case.data(rng)
    traced = Traced(lambda y, raw, hyper: case.loss.pointwise(y, raw, **hyper))
    for loss in (case.loss, case.other):
        hyper = {name: np.array(v) for name, v in loss.hyperparameters().items()}
        found = traced(y, raw, hyper)
        expected = values_of(loss, y, raw)
        np.testing.assert_allclose(found, expected, rtol=1e-14)
    assert traced.n_traces == 1


@pytest.mark.parametrize("case", PIECEWISE)
def test_width_is_an_input_of_a_trace(case, rng):
    y, raw = case.data(rng)
    traced = Traced(case.loss.smoothed)
    for width in (2.0, 0.1):
        found = traced(y, raw, np.array(width))
        expected = case.loss.smoothed(skgrad.tensor(y), skgrad.tensor(raw), width)
        np.testing.assert_allclose(found, expected.numpy(), rtol=1e-14)
    assert traced.n_traces == 1


@plain_case
def test_shapes_are_checked_in_a_trace(case):
    with pytest.raises(ShapeError, match=r"Use raw_prediction\[:, 0\]"):
        Traced(case.loss)(np.zeros(5), np.zeros((5, 1)))


# ------------------------------------------------------------ optimal constant


def _objective(case, y, weights):
    """Return the weighted loss of a constant model, and its gradient."""

    def value(constant):
        raw = np.broadcast_to(constant, (y.size, *np.shape(constant)))
        return weights @ values_of(case.loss, y, np.array(raw))

    def slope(constant):
        raw = np.array(np.broadcast_to(constant, (y.size, *np.shape(constant))))
        return weights @ gradient_of(case.loss, y, raw)

    return value, slope


@constant_case
def test_gradient_is_zero_at_the_optimal_constant(case, rng):
    y, _ = case.data(rng)
    weights = rng.uniform(0.5, 2.0, size=y.size)
    best = case.loss.optimal_constant(y, weights)
    value, slope = _objective(case, y, weights)
    if isinstance(case.loss, losses.KinkedLoss):
        left, right = slope(best - 1e-9), slope(best + 1e-9)
        assert np.all(left <= 0)
        assert np.all(right >= 0)
    else:
        np.testing.assert_allclose(slope(best), 0.0, atol=1e-12 * weights.sum())
    assert np.ndim(best) == (1 if (case.form == "columns") else 0)
    for _ in range(5):
        away = rng.standard_normal(np.shape(best))
        assert value(best) <= value(best + away)
        assert value(best) <= value(best + 1e-3 * away)


@constant_case
def test_integer_weights_are_repeated_rows(case, rng):
    y, _ = case.data(rng, n=15)
    weights = rng.integers(0, 4, size=y.size)
    weights[np.argmax(y)] = 1  # so that no class disappears
    found = case.loss.optimal_constant(y, weights)
    expected = case.loss.optimal_constant(np.repeat(y, weights))
    np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("case", REGRESSION)
def test_rows_of_weight_zero_are_absent_to_the_bit(case, rng):
    y, _ = case.data(rng, n=15)
    weights = rng.uniform(size=y.size)
    far = np.concatenate([[0.5, 50.0], y, [20.0]])
    found = case.loss.optimal_constant(far, np.concatenate([[0, 0], weights, [0]]))
    assert found == case.loss.optimal_constant(y, weights)


def test_weighted_median_of_nearly_equal_weights():
    # Half of the weight is not reached at 0, so 1 is the only minimiser.
    assert losses.AbsoluteError().optimal_constant([0, 1], [1.0, 1.0 + 1e-6]) == 1.0
    # It is reached at 4 but for rounding: ten times 0.1 cumulates to 1 - 1e-16.
    assert losses.AbsoluteError().optimal_constant(np.arange(10), [0.1] * 10) == 4.5


@pytest.mark.parametrize("case", REGRESSION)
def test_optimal_constants_of_several_outputs(case, rng):
    y = case.data(rng)[0].reshape(10, 4)
    weights = rng.uniform(size=10)
    found = case.loss.optimal_constant(y, weights)
    expected = [case.loss.optimal_constant(column, weights) for column in y.T]
    assert found.tolist() == expected


@pytest.mark.parametrize("case", REGRESSION)
def test_optimal_constant_of_equal_targets(case):
    best = case.loss.optimal_constant(np.full(3, 2.0))
    assert best == pytest.approx(np.log(2.0) if case.loss.link == "log" else 2.0)


@constant_case
@pytest.mark.parametrize(
    ("y", "weights", "error", "message"),
    [
        ([], None, ShapeError, r"at least one sample. Got shape \(0,\)"),
        ([1.0, 0.0], [1.0], ShapeError, r"one weight per sample. Got shape \(1,\)"),
        ([1.0, 0.0], [0.0, 0.0], ParameterError, "not all zero"),
        ([1.0, 0.0], [2.0, -1.0], ParameterError, "between -1 and 2"),
        ([1.0, 0.0], [np.nan, 1.0], ParameterError, "must be finite"),
    ],
)
def test_optimal_constant_refuses(case, y, weights, error, message):
    with pytest.raises(error, match=message):
        case.loss.optimal_constant(y, weights)


def test_optimal_constant_checks_the_domain():
    with pytest.raises(ParameterError, match=r"Poisson must lie in \[0, inf\)"):
        losses.Poisson().optimal_constant([-1.0])
    with pytest.raises(ParameterError, match="LogLoss must lie in"):
        losses.LogLoss().optimal_constant([0, 3], n_classes=3)
    for wrong in (np.inf, np.nan, -1.0, 0.5):
        with pytest.raises(ParameterError, match="LogLoss must lie in"):
            losses.LogLoss().optimal_constant([0.0, 2.0, wrong])
    with pytest.raises(ShapeError, match=r"Got shape \(2, 2\)"):
        losses.LogLoss().optimal_constant(np.eye(2))


@pytest.mark.parametrize("quantile", [0.1, 0.25, 0.5, 0.9])
@pytest.mark.parametrize("n", [1, 2, 4, 5, 20])
def test_optimal_quantile_is_numpys(quantile, n, rng):
    # The definition of Hyndman and Fan (1996) that is the middle of the minimisers.
    y = rng.standard_normal(n)
    expected = np.quantile(y, quantile, method="averaged_inverted_cdf")
    found = losses.Quantile(quantile=quantile).optimal_constant(y)
    assert found == pytest.approx(expected, rel=1e-15)


def test_optimal_constant_at_infinity_is_finite():
    # The clipping of scikit-learn: 10 eps for a rate, eps for a share.
    eps = np.finfo(np.float64).eps
    assert losses.Poisson().optimal_constant([0.0]) == pytest.approx(np.log(10 * eps))
    assert losses.LogLoss().optimal_constant([1, 1]) == pytest.approx(-np.log(eps))
    assert losses.LogLoss().optimal_constant([0, 0]) == pytest.approx(np.log(eps))
    three = losses.LogLoss().optimal_constant([0, 1], n_classes=3)
    assert np.isfinite(three).all()
    assert three.sum() == pytest.approx(0.0, abs=1e-12)
    assert losses.LogLoss().optimal_constant([0, 1], n_classes=2).tolist() == [0.0, 0.0]


# ------------------------------------------------------------------- smoothing


@pytest.mark.parametrize("case", PIECEWISE)
def test_smoothed_is_the_mean_over_the_window(case):
    width = 0.7
    raw = np.linspace(-2.0, 2.0, 41)
    found = case.loss.smoothed(skgrad.tensor(np.zeros(41)), skgrad.tensor(raw), width)
    expected = [
        float(
            mp.quad(
                lambda shift, x=x: case.formula(0.0, x + shift),
                sorted({-width, width, min(max(-x, -width), width)}),
            )
            / (2 * width)
        )
        for x in raw
    ]
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-13)


@pytest.mark.parametrize("case", PIECEWISE)
@pytest.mark.parametrize("width", [1e-12, 0.1, 1e3])
def test_smoothed_is_close_from_above(case, width, rng):
    y, raw = case.data(rng)
    exact = values_of(case.loss, y, raw)
    found = case.loss.smoothed(skgrad.tensor(y), skgrad.tensor(raw), width).numpy()
    largest = width / (2 if case.loss.name == "absolute_error" else 4)
    # Far out the rounding is that of terms of the size of the width.
    slack = 1e-15 * max(1.0, width) + 1e-15 * np.abs(exact)
    assert np.all(found >= exact - slack)
    assert np.all(found <= exact + largest + slack)
    outside = np.abs(y - raw) > width
    np.testing.assert_allclose(found[outside], exact[outside], rtol=4e-15)


@pytest.mark.parametrize("case", PIECEWISE)
def test_smoothed_derivatives(case):
    width = 0.5
    raw = np.array([-2.0, -0.5, -0.1, 0.0, 0.3, 0.5, 2.0])

    def total(f):
        return case.loss.smoothed(skgrad.tensor(np.zeros(7)), f, width).sum()

    low, high = gradient_of(case.loss, np.zeros(2), np.array([-1.0, 1.0]))
    share = np.clip(0.5 + 0.5 * raw / width, 0, 1)  # of the window above the kink
    found = skgrad.grad(total)(skgrad.tensor(raw)).numpy()
    np.testing.assert_allclose(found, low + (high - low) * share, atol=1e-15)
    second = skgrad.hvp(total, [skgrad.tensor(raw)], [np.ones(7)]).numpy()
    inside = np.abs(raw) <= width
    np.testing.assert_allclose(second, inside * (high - low) / (2 * width), atol=1e-15)


@pytest.mark.parametrize("case", PIECEWISE)
def test_smoothed_sums_outputs_and_keeps_float32(case, rng):
    y, raw = (a.reshape(10, 4) for a in case.data(rng, dtype="float32"))
    found = case.loss.smoothed(skgrad.tensor(y), skgrad.tensor(raw), 0.5)
    parts = [
        case.loss.smoothed(skgrad.tensor(a), skgrad.tensor(b), 0.5).numpy()
        for a, b in zip(y.T, raw.T, strict=True)
    ]
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.numpy(), sum(parts), rtol=1e-6)


# ------------------------------------------------------------------ as objects


@every_case
@pytest.mark.parametrize(
    "copied",
    [clone, copy.copy, copy.deepcopy, lambda loss: pickle.loads(pickle.dumps(loss))],
    ids=["clone", "copy", "deepcopy", "pickle"],
)
def test_copies_are_equal_and_separate(case, copied, rng):
    other = copied(case.loss)
    assert other == case.loss
    assert other is not case.loss
    assert hash(other) == hash(case.loss)
    y, raw = case.data(rng)
    np.testing.assert_array_equal(
        values_of(other, y, raw), values_of(case.loss, y, raw)
    )


@every_case
def test_repr_makes_an_equal_loss(case):
    assert eval(repr(case.loss), vars(losses)) == case.loss


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (
            losses.Quantile(quantile=2),
            r"'quantile' .* of Quantile .* \(0, 1\)\. Got 2 ",
        ),
        (losses.Quantile(quantile=0.0), r"\(0, 1\)\. Got 0\.0 instead"),
        (losses.Quantile(quantile="a"), "Got 'a' instead"),
        (losses.Huber(delta=-1.0), r"'delta' .* of Huber .* \(0, inf\)\. Got -1\.0"),
        (losses.Huber(delta=np.nan), "Got nan instead"),
        (losses.Huber(delta=np.inf), "Got inf instead"),
        (losses.Huber(delta=None), "Got None instead"),
        (losses.Huber(delta=True), "Got True instead"),
    ],
)
def test_hyperparameters_are_checked_on_use(loss, message):
    for use in (
        loss.validate,
        lambda: losses.get_loss(loss),
        lambda: loss(np.zeros(1), np.zeros(1)),
        lambda: loss.optimal_constant(np.zeros(1)),
    ):
        with pytest.raises(ParameterError, match=message):
            use()


def test_numpy_numbers_are_hyperparameters():
    assert losses.Huber(delta=np.float32(0.5)).hyperparameters() == {"delta": 0.5}
    losses.Huber(delta=np.int64(2)).validate()
