"""A fit and what continues it: dtypes, validation, schedules, refused changes."""

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression

import skgrad
from skgrad import (
    GradientLinearClassifier,
    GradientLinearRegressor,
    MLPClassifier,
    MLPRegressor,
    ModuleRegressor,
    nn,
    optim,
)
from skgrad.exceptions import DivergenceError, ParameterError

FEW = {"max_iter": 3, "tol": None, "hidden_layer_sizes": (8,), "random_state": 0}


@pytest.fixture
def data(rng):
    X = rng.normal(size=(120, 4))
    return X, X @ [1.0, 2.0, 3.0, 4.0] + 0.1 * rng.normal(size=120)


class Centred(nn.Module):
    """Centres by the batch's mean while trained, by a buffer afterwards."""

    def __init__(self, n_features, n_outputs):
        super().__init__()
        self.linear = nn.Linear(n_features, n_outputs)
        self.register_buffer("mean", skgrad.tensor(np.zeros(n_features)))

    def forward(self, x):
        if self.training:
            self.mean = x.mean(axis=0)
            return self.linear(x - x.mean(axis=0))
        return self.linear(x - self.mean)


def test_batch_statistics_are_refused_by_an_optimizer_of_all_rows(data):
    model = ModuleRegressor(module=Centred, optimizer="lbfgs")
    with pytest.raises(ParameterError, match=r"Centred assigns the buffers \['mean'\]"):
        model.fit(*data)
    model.set_params(optimizer="adam", learning_rate=0.05, tol=None, batch_size=None)
    assert model.set_params(random_state=0).fit(*data).score(*data) > 0.99


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"loss": "poisson"}, "link of the loss"),
        ({"hidden_layer_sizes": (4,)}, "hidden_layer_sizes"),
        ({"activation": "tanh"}, "activation"),
        ({"standardize": False}, "standardize"),
        ({"dtype": "float32"}, "dtype"),
    ],
)
def test_a_continued_fit_refuses_another_structure(data, change, named):
    X, y = data[0], abs(data[1])
    model = MLPRegressor(**FEW, warm_start=True).fit(X, y)
    before = model.predict(X)
    with pytest.raises(ValueError, match=rf"{named}.*warm_start=False"):
        model.set_params(**change).fit(X, y)
    np.testing.assert_array_equal(model.predict(X), before)
    model.set_params(warm_start=False).fit(X, y)


def test_a_continued_fit_refuses_targets_of_another_shape(data):
    X, y = data
    model = MLPRegressor(**FEW, warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match="shape of a target"):
        model.fit(X, np.column_stack([y, y]))


@pytest.mark.parametrize("dtype", [np.int64, np.float64])
def test_the_domain_of_the_loss_holds_for_counts_and_validation_rows(data, dtype):
    X = data[0]
    counts = np.arange(120).astype(dtype)
    model = MLPRegressor(**FEW, loss="poisson")
    with pytest.raises(ValueError, match=r"Poisson must lie in"):
        model.fit(X, counts - 60)
    with pytest.raises(ValueError, match=r"Poisson must lie in"):
        model.fit(X, counts, X_val=X, y_val=counts - 60)
    assert (model.fit(X, counts).predict(X) > 0).all()


@pytest.mark.parametrize(("first", "second"), [("f4", "f8"), ("f8", "f4")])
def test_the_first_rows_fix_the_dtype(data, first, second):
    X, y = data
    a, b = X.astype(first), X.astype(second)
    model = MLPRegressor(**FEW).fit(a, y, X_val=b, y_val=y)
    assert len(model.validation_scores_) == 3
    model = MLPRegressor(**FEW).partial_fit(a, y).partial_fit(b, y)
    assert model.predict(b).dtype == first
    model = MLPRegressor(**FEW, warm_start=True).fit(a, y).fit(b, y)
    assert model.predict(b).dtype == first


@pytest.mark.parametrize(
    "scoring", [lambda e, X, y: e.score(X, y), "neg_max_error", "r2", "loss"]
)
def test_any_scorer_may_be_watched(data, scoring):
    X, y = data
    model = MLPRegressor(**FEW, scoring=scoring).fit(X, y, X_val=X, y_val=y)
    assert len(model.validation_scores_) == 3
    if scoring == "r2":
        assert model.validation_scores_[-1] == pytest.approx(model.score(X, y))


@pytest.mark.parametrize("optimizer", ["auto", "newton", "lbfgs"])
def test_a_start_that_is_not_finite_is_named(data, optimizer):
    def logarithm(y_true, raw_prediction):
        return skgrad.log(raw_prediction) - y_true

    model = GradientLinearRegressor(loss=logarithm, optimizer=optimizer)
    with pytest.raises(DivergenceError, match=r"not finite after 0 iterations.*log"):
        model.fit(*data)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("max_iter", [5, 1000])
@pytest.mark.parametrize("alpha", [0.0, 0.1])
def test_the_loss_curve_of_a_kinked_loss_is_that_of_the_loss(data, max_iter, alpha):
    X, y = data
    model = GradientLinearRegressor(
        loss="absolute_error", max_iter=max_iter, alpha=alpha, l1_ratio=0.5
    ).fit(X, y)
    c = model.coef_ * X.std(axis=0)
    penalty = alpha * (0.5 * abs(c).sum() + 0.25 * (c**2).sum())
    expected = abs(y - model.predict(X)).mean() + penalty
    assert model.loss_ == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("schedule", ["cosine", "one_cycle", "step"])
def test_a_schedule_spans_the_epochs_of_partial_fit(data, schedule):
    X, y = data
    params = {**FEW, "schedule": schedule, "learning_rate": 0.01, "shuffle": False}
    whole = MLPRegressor(**params).fit(X, y)
    model = MLPRegressor(**params)
    for _ in range(FEW["max_iter"]):
        model.partial_fit(X, y)
    np.testing.assert_array_equal(model.predict(X), whole.predict(X))


def test_a_warm_start_begins_its_schedule_anew(data):
    X, y = data
    params = {**FEW, "schedule": "cosine", "warm_start": True}
    model = MLPRegressor(**params).fit(X, y).fit(X, y)
    assert model.n_iter_ == len(model.loss_curve_) == 6
    assert len(set(model.loss_curve_)) == 6


def test_n_iter_counts_what_the_loss_curve_holds(data):
    X, y = data
    model = GradientLinearRegressor(loss="log_cosh", warm_start=True)
    assert model.fit(X, y).fit(X, y + 1).n_iter_ == len(model.loss_curve_)
    model = MLPRegressor(**FEW, early_stopping=True, warm_start=True)
    assert model.fit(X, y).fit(X, y).n_iter_ == len(model.loss_curve_) == 6


def test_a_bug_in_a_scorer_is_not_a_wish_to_stop(data):
    X, y = data
    model = MLPRegressor(**FEW, scoring=lambda e, X, y: next(iter([])))
    with pytest.raises(StopIteration):
        model.fit(X, y, X_val=X, y_val=y)


def test_other_classes_in_a_later_partial_fit_are_refused(data):
    X, y = data
    model = MLPClassifier(**FEW).partial_fit(X, y > 0, classes=[False, True])
    model.partial_fit(X, y > 0).partial_fit(X, y > 0, classes=[True, False])
    with pytest.raises(ValueError, match="not the same as on the first call"):
        model.partial_fit(X, y > 0, classes=["no", "yes"])


@pytest.mark.parametrize("own", [{"max_iter": 1}, {"tol": 0.5}])
def test_limits_of_a_full_batch_optimizer_belong_to_the_estimator(data, own):
    (name,) = own
    model = GradientLinearRegressor(optimizer=optim.LBFGS(**own))
    with pytest.raises(ParameterError, match=rf"Set {name} on the estimator"):
        model.fit(*data)
    GradientLinearRegressor(optimizer=optim.LBFGS(memory=5)).fit(*data)


def test_validation_targets_must_have_the_same_columns(data):
    X, y = data
    with pytest.raises(ValueError, match=r"\(120,\) and y_val \(120, 2\)"):
        MLPRegressor(**FEW).fit(X, y, X_val=X, y_val=np.column_stack([y, y]))
    with pytest.raises(ValueError, match="X_val, which is missing"):
        MLPRegressor(**FEW).fit(X, y, sample_weight_val=np.ones(120))


def squared(y_true, raw_prediction):
    return (y_true - raw_prediction) ** 2


class Flat(nn.Module):
    """Returns one prediction per row, without a last axis."""

    def __init__(self, n_features, n_outputs):
        super().__init__()
        self.linear = nn.Linear(n_features, n_outputs)

    def forward(self, x):
        return self.linear(x)[:, 0]


def test_one_column_is_one_output_to_losses_and_modules(data):
    X, y = data
    column = y[:, None]
    linear = GradientLinearRegressor(loss=squared).fit(X, column)
    expected = LinearRegression().fit(X, column)
    assert linear.coef_.shape == expected.coef_.shape
    assert linear.predict(X).shape == expected.predict(X).shape
    np.testing.assert_allclose(linear.predict(X), expected.predict(X), rtol=1e-6)
    model = ModuleRegressor(module=Flat, max_iter=2, tol=None, random_state=0)
    assert model.fit(X, column).predict(X).shape == (120, 1)
    np.testing.assert_array_equal(model.predict(X)[:, 0], model.fit(X, y).predict(X))


def test_a_failed_refit_leaves_nothing_of_the_last_fit(data):
    X, y = data
    model = GradientLinearClassifier().fit(X, y > 0)
    with pytest.raises(ValueError, match="two classes"):
        model.fit(X, np.zeros(120))
    assert not [n for n in vars(model) if n in ("coef_", "loss_curve_", "module_")]


def test_a_warning_names_what_stopped_a_fit(data):
    with pytest.warns(ConvergenceWarning, match="max_iter=2"):
        MLPRegressor(max_iter=2, random_state=0).fit(*data)
