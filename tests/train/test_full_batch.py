"""All rows at once: blocks, penalties, smoothed kinks, ways to stop."""

from dataclasses import replace

import numpy as np
import pytest
from train.problems import make_frame, make_network, make_problem

import skgrad
from skgrad import nn
from skgrad.exceptions import DivergenceError, ParameterError
from skgrad.losses import FunctionLoss, Quantile, SquaredError, get_loss
from skgrad.optim import FISTA, LBFGS, Newton, NewtonCG, NonlinearCG
from skgrad.train import Data, Frame, Objective, StopReason, fit_full_batch
from skgrad.train.full_batch import WIDTHS, Evaluation


def make_linear(n=50, loss=None, seed=0, **penalty):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    y = X @ [1.0, -2.0, 0.0] + 0.5 + 0.3 * rng.normal(size=n)
    module = nn.Linear(3, 1)
    for parameter in module.parameters():
        parameter.assign_(np.zeros(parameter.shape))
    objective = Objective(module, loss or SquaredError(), None, **penalty)
    return objective, Data(X, y, np.ones(n)), Frame.identity(3, "float64")


def run(problem, optimizer=None, max_iter=100, tol=1e-8, **kwargs):
    objective, data, frame = problem
    return fit_full_batch(
        objective,
        optimizer or LBFGS(),
        data,
        frame,
        max_iter=max_iter,
        tol=tol,
        **kwargs,
    )


@pytest.mark.parametrize("penalty", [{}, {"alpha": 0.3, "l1_ratio": 0.4}])
def test_value_gradient_and_hessian_agree_over_blocks(monkeypatch, penalty):
    problem = make_linear(n=1000, **penalty)
    theta = np.array([0.3, -0.4, 0.5, 0.1])
    one = Evaluation(*problem)(theta, hessian=True)
    monkeypatch.setattr("skgrad.train.data.BLOCK_BYTES", 1)  # 256 rows, the least
    many = Evaluation(*problem)
    assert len(list(problem[1].blocks())) == 4
    for a, b in zip(one, many(theta, hessian=True), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)
    assert many.n_traces == 1
    _, gradient, H = one
    for j in range(4):
        h = 1e-5 * np.eye(4)[j]
        high, low = many(theta + h), many(theta - h)
        np.testing.assert_allclose(gradient[j], (high[0] - low[0]) / 2e-5, rtol=1e-7)
        np.testing.assert_allclose(H[j], (high[1] - low[1]) / 2e-5, atol=1e-7)


def test_newton_is_the_closed_form():
    problem = make_linear()
    fit = run(problem, Newton())
    Z = np.column_stack([problem[1].X, np.ones(50)])
    expected = np.linalg.lstsq(Z, problem[1].y)[0]
    np.testing.assert_allclose(fit.state.params, expected, rtol=1e-12)
    assert fit.state.epoch == len(fit.epochs) == 1
    assert fit.reason is StopReason.CONVERGED
    assert fit.n_traces == 1  # one evaluation says all


@pytest.mark.parametrize("n", [50, 1000])
@pytest.mark.parametrize("penalty", [{}, {"alpha": 0.3, "l1_ratio": 0.4}])
def test_products_with_the_hessian_over_blocks(monkeypatch, n, penalty):
    monkeypatch.setattr("skgrad.train.data.BLOCK_BYTES", 1)  # 256 rows, the least
    evaluation = Evaluation(*make_linear(n, get_loss("log_cosh"), **penalty))
    theta = np.array([0.3, -0.4, 0.5, 0.1])
    H = evaluation(theta, hessian=True)[2]
    for v in (*np.eye(4), np.array([1e-200, -2e-200, 0.0, 1e-200]), np.zeros(4)):
        np.testing.assert_allclose(evaluation(theta, vector=v), H @ v, rtol=1e-12)


def test_products_with_the_hessian_of_a_network():
    evaluation = Evaluation(*make_problem("huber", alpha=0.1))
    rng = np.random.default_rng(0)
    theta = evaluation.objective.parameters()
    v, h = rng.normal(size=theta.size), 1e-5
    high, low = evaluation(theta + h * v)[1], evaluation(theta - h * v)[1]
    np.testing.assert_allclose(
        evaluation(theta, vector=v), (high - low) / (2 * h), rtol=1e-6, atol=1e-9
    )


@pytest.mark.parametrize("optimizer", [NewtonCG(), NonlinearCG(), FISTA()], ids=repr)
def test_other_optimizers_reach_the_minimum_of_lbfgs(optimizer):
    problem = make_counts(n=500)
    fit = run(problem, optimizer, max_iter=500, tol=1e-9)
    expected = run(problem, LBFGS(), max_iter=500, tol=1e-9)
    np.testing.assert_allclose(fit.params, expected.params, atol=1e-8)
    assert fit.reason.converged
    assert fit.n_traces == (2 if isinstance(optimizer, NewtonCG) else 1)
    if isinstance(optimizer, NewtonCG):
        assert len(fit.epochs) < len(expected.epochs)


@pytest.mark.parametrize("optimizer", [NewtonCG(), NonlinearCG()], ids=repr)
def test_a_network_is_fitted_by_them(optimizer):
    problem = make_problem(alpha=1e-3)
    fit = run(problem, optimizer, max_iter=1000, tol=1e-4)
    expected = run(problem, LBFGS(), max_iter=1000, tol=1e-4)
    assert fit.reason is StopReason.CONVERGED
    assert fit.epochs[-1].objective < 1.1 * expected.epochs[-1].objective


@pytest.mark.parametrize("optimizer", [NewtonCG(), NonlinearCG(), Newton()], ids=repr)
def test_l1_is_refused_by_optimizers_of_smooth_functions(optimizer):
    name = {"NewtonCG": "newton_cg", "NonlinearCG": "nonlinear_cg"}
    name = name.get(type(optimizer).__name__, "newton")
    with pytest.raises(ParameterError, match=f"'{name}' cannot minimise an L1 penalty"):
        run(make_linear(alpha=0.1, l1_ratio=0.5), optimizer)


@pytest.mark.parametrize("optimizer", [LBFGS(), FISTA()], ids=repr)
@pytest.mark.parametrize("l1_ratio", [0.0, 0.5, 1.0])
def test_conditions_of_a_minimum_are_met(l1_ratio, optimizer):
    problem = make_linear(alpha=0.4, l1_ratio=l1_ratio)
    theta = run(problem, optimizer, tol=1e-11).state.params
    data = problem[1]
    residual = data.X @ theta[:3] + theta[3] - data.y
    np.testing.assert_allclose(residual.mean(), 0.0, atol=1e-8)
    slope = data.X.T @ residual / 50 + 0.4 * (1 - l1_ratio) * theta[:3]
    zero = theta[:3] == 0
    rate = 0.4 * l1_ratio
    np.testing.assert_allclose(
        slope[~zero], -rate * np.sign(theta[:3][~zero]), atol=1e-7
    )
    assert (np.abs(slope[zero]) <= rate).all()
    assert zero.tolist() == [False, False, l1_ratio > 0]


def test_a_network_is_fitted_and_its_module_not_touched():
    problem = make_problem(alpha=1e-3)
    before = problem[0].parameters()
    fit = run(problem, max_iter=500, tol=1e-6)
    values = [epoch.objective for epoch in fit.epochs]
    assert values[-1] < 0.5 * values[0]
    assert fit.n_traces == 1
    np.testing.assert_array_equal(problem[0].parameters(), before)


def test_weights_multiply_rows():
    objective, data, frame = make_problem()
    counts = np.arange(23) % 3
    weighted = Data(data.X, data.y, counts / counts.mean())
    rows = np.repeat(np.arange(23), counts)
    repeated = Data(data.X[rows], data.y[rows], np.ones(len(rows)))
    theta = objective.parameters()
    one, other = (Evaluation(objective, d, frame)(theta) for d in (weighted, repeated))
    np.testing.assert_allclose(one[0], other[0], rtol=1e-12)
    np.testing.assert_allclose(one[1], other[1], rtol=1e-10)


@pytest.mark.parametrize("optimizer", [LBFGS(), Newton()], ids=["lbfgs", "newton"])
def test_the_widths_of_a_smoothed_loss_share_their_traces(optimizer):
    fit = run(make_linear(loss=Quantile(0.7)), optimizer, max_iter=1000)
    # The loss itself, the smoothed one, and its Hessian.
    assert fit.n_traces == (3 if isinstance(optimizer, Newton) else 2)
    assert len(fit.epochs) >= len(WIDTHS) - 2


def test_max_iter_is_a_limit_on_all_widths_together():
    fit = run(make_linear(loss=Quantile(0.7)), max_iter=12)
    assert len(fit.epochs) == 12
    assert fit.reason is StopReason.MAX_ITER


def test_a_fit_that_starts_at_the_minimum_is_noted_once():
    objective, data, frame = make_linear()
    fit = run((objective, Data(data.X, 0 * data.y, data.w), frame), Newton())
    assert fit.reason is StopReason.CONVERGED
    assert [epoch.objective for epoch in fit.epochs] == [0.0]


def test_scores_are_recorded():
    fit = run(make_problem(), max_iter=5, score=lambda state: float(state.epoch))
    assert [epoch.score for epoch in fit.epochs] == [0.0, 1.0, 2.0, 3.0, 4.0]


def test_a_callback_may_stop():
    def on_epoch(progress):
        if progress.epoch.number == 3:
            raise StopIteration

    fit = run(make_problem(), on_epoch=on_epoch)
    assert fit.reason is StopReason.STOPPED
    assert len(fit.epochs) == 3


@pytest.mark.parametrize("penalty", [{}, {"alpha": 0.01, "l1_ratio": 0.5}])
def test_an_interruption_keeps_the_last_iteration(penalty):
    problem = make_problem(**penalty)
    evaluation = Evaluation(*problem)

    def on_epoch(progress):
        if progress.epoch.number == 4:
            raise KeyboardInterrupt

    fit = run(problem, on_epoch=on_epoch)
    assert fit.reason is StopReason.INTERRUPTED
    value = evaluation(fit.state.params)[0]
    c = fit.state.params[problem[0].mask]
    value += problem[0].alpha * problem[0].l1_ratio * np.abs(c).sum()
    np.testing.assert_allclose(value, fit.epochs[-1].objective, rtol=1e-12)
    assert len(fit.epochs) == 4


def test_dropout_is_refused_by_name():
    with pytest.raises(
        ParameterError, match=r"must see one objective.*Sequential \(Dropout at '2'\)"
    ):
        run(make_problem(dropout=0.5))


def test_random_numbers_of_any_module_are_refused():
    class Noisy(nn.Linear):
        def forward(self, x):
            return super().forward(x) + skgrad.ops.uniform_like(x)[:, :1]

    objective = Objective(Noisy(3, 1), SquaredError(), None)
    problem = (objective, *make_linear()[1:])
    with pytest.raises(ParameterError, match=r"but Noisy draws random numbers"):
        run(problem)


def test_a_value_that_is_not_finite_is_an_error():
    loss = FunctionLoss(lambda y, f: skgrad.log(f - 1.0))
    with pytest.raises(DivergenceError, match=r"not finite after 0 it.*logarithm"):
        run(make_linear(loss=loss))


def test_float32_parameters_stay_float32():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 3)).astype(np.float32)
    objective = Objective(make_network(dtype="float32"), SquaredError(), None)
    fit = run((objective, Data(X, X[:, 0], 0 * X[:, 0] + 1), make_frame("float32")))
    assert fit.state.params.dtype == np.float32
    assert fit.epochs[-1].objective < 0.1 * fit.epochs[0].objective


# --- Newton's method on many rows -------------------------------------------------


def make_counts(n=5000, rare=False):
    """Return a Poisson problem; rare counts are all zero in every eighth row."""
    objective, data, frame = make_linear(n, get_loss("poisson"), alpha=0.01)
    rng = np.random.default_rng(1)
    counts = rng.poisson(np.exp(data.X @ [0.3, -0.2, 0.1])).astype(float)
    if rare:
        counts[::8] = 0.0
    return objective, replace(data, y=counts, w=rng.uniform(0.5, 1.5, n)), frame


@pytest.mark.parametrize("rare", [False, True])
def test_a_part_of_the_rows_is_where_newton_begins(monkeypatch, rare):
    problem = make_counts(rare=rare)
    whole = run(problem, Newton(), tol=1e-9)
    monkeypatch.setattr("skgrad.train.data.BLOCK_BYTES", 1)  # 256 rows, the least
    monkeypatch.setattr("skgrad.train.full_batch.MANY_ROWS", 1000)
    sizes = []
    unwatched = Evaluation._sums

    def watched(self, theta, hessian):
        sizes.append(self.data.n_samples)
        return unwatched(self, theta, hessian)

    monkeypatch.setattr(Evaluation, "_sums", watched)
    begun = run(problem, Newton(), tol=1e-9)
    assert set(sizes) == {5000, 500}
    np.testing.assert_allclose(begun.state.params, whole.state.params, rtol=1e-8)
    assert begun.reason is StopReason.CONVERGED
    assert begun.n_traces == 2
    if not rare:
        assert len(begun.epochs) < len(whole.epochs)


def test_a_part_that_leads_astray_is_left(monkeypatch):
    objective, data, frame = make_linear(4096, get_loss("log_loss"))
    y = (data.X[:, 0] + np.random.default_rng(2).normal(size=4096) > 0).astype(float)
    y[::8] = 1.0  # a single class: the minimum there is at infinity
    problem = objective, replace(data, y=y), frame
    whole = run(problem, Newton(), tol=1e-9)
    monkeypatch.setattr("skgrad.train.full_batch.MANY_ROWS", 1000)
    monkeypatch.setattr("skgrad.train.data.BLOCK_BYTES", 1)
    begun = run(problem, Newton(), tol=1e-9)
    np.testing.assert_allclose(begun.state.params, whole.state.params, rtol=1e-8)


@pytest.mark.parametrize("optimizer", [LBFGS(), FISTA()], ids=repr)
@pytest.mark.parametrize("l1_ratio", [0.0, 0.5])
def test_bounds_and_factors_of_a_parabola(optimizer, l1_ratio):
    problem = make_linear(alpha=0.2, l1_ratio=l1_ratio)
    objective, data, _ = problem
    objective.factors = np.array([1.0, 0.0, 3.0, 0.0])
    # With orthogonal columns the minimum within bounds is the free one, clipped.
    centred, _ = np.linalg.qr(data.X - data.X.mean(axis=0))
    problem = objective, replace(data, X=centred * np.sqrt(50)), problem[2]
    slopes = problem[1].X.T @ data.y / 50
    rates, ridge = 0.2 * objective.factors[:3], 1 - l1_ratio
    shrunk = np.sign(slopes) * (np.abs(slopes) - l1_ratio * rates).clip(0)
    free = np.append(shrunk / (1 + ridge * rates), data.y.mean())
    # Below the first, above the second; the others are free to lie where they do.
    low = free + np.array([-0.1, 0.1, -0.1, -0.1])
    high = free + np.array([-0.05, 0.3, 0.1, 0.1])
    objective.bounds = (low, high)
    fit = run(problem, optimizer, max_iter=1000, tol=1e-10)
    np.testing.assert_allclose(fit.params, np.clip(free, low, high), atol=1e-8)
    assert fit.reason.converged


@pytest.mark.parametrize("optimizer", [Newton(), NewtonCG(), NonlinearCG()], ids=repr)
def test_optimizers_without_bounds_refuse_them(optimizer):
    problem = make_linear()
    problem[0].bounds = (np.zeros(4), np.ones(4))
    with pytest.raises(ParameterError, match=r"minimise within bounds .*'fista'"):
        run(problem, optimizer)
