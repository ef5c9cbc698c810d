"""Pictures of fitted models: how they trained, where they err, whether to believe them.

On scikit-learn's diabetes and breast cancer data and on prices of diamonds. Every
display has scikit-learn's form: `from_estimator` draws, attributes keep what was drawn,
and `ax` says where. Models of scikit-learn can be among those compared.

Saves one figure next to this file and prints what it shows in numbers.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import train_test_split

from skgrad import (
    GradientLinearClassifier,
    GradientLinearRegressor,
    MLPClassifier,
    MLPRegressor,
)
from skgrad.losses import Quantile
from skgrad.plotting import (
    CalibrationDisplay,
    CoefficientDisplay,
    ResidualsDisplay,
    TrainingCurveDisplay,
)

HERE = Path(__file__).parent
FIGURE = Path(__file__).with_suffix(".png")
FIT = {"tol": None, "random_state": 0}


def diamonds():
    """Return five measurements and prices in thousands of dollars."""
    data = np.loadtxt(
        HERE / "data" / "diamonds.csv",
        delimiter=",",
        skiprows=1,
        usecols=(0, 1, 2, 3, 5, 9),
    )
    return train_test_split(data[:, :-1], data[:, -1] / 1000, random_state=0)


def training_of_a_network(X, y, ax):
    """The validation loss turns where the network begins to learn by heart."""
    model = MLPRegressor(
        early_stopping=True,
        validation_fraction=0.2,
        schedule="cosine",
        learning_rate=0.003,
        max_iter=100,
        **FIT,
    ).fit(X, y)
    TrainingCurveDisplay.from_estimator(model, ax=ax)
    print(f"Best epoch of the network: {model.fit_report_['best_epoch']} of 100")


def optimizers(X, y, ax):
    """Several ways to one minimum, which Newton's method gives exactly."""
    exact = GradientLinearClassifier(optimizer="newton", alpha=1e-3).fit(X, y)
    models = {
        name: GradientLinearClassifier(optimizer=name, alpha=1e-3).fit(X, y)
        for name in ("lbfgs", "newton_cg", "nonlinear_cg", "fista")
    }
    TrainingCurveDisplay.from_estimator(
        models, optimum=exact.loss_, above_optimum=True, ax=ax
    )
    gap = max(model.loss_ - exact.loss_ for model in models.values())
    print(f"Largest distance of an optimizer from the optimum: {gap:.1e}")


def coefficients(X, y, ax):
    """The L1 penalty makes coefficients exactly zero: hollow dots."""
    models = {
        "least squares": LinearRegression(),
        "L2": GradientLinearRegressor(alpha=0.1),
        "L1": GradientLinearRegressor(alpha=3.0, l1_ratio=1.0),
    }
    models = {name: model.fit(X, y) for name, model in models.items()}
    CoefficientDisplay.from_estimator(models, ax=ax)
    print(f"Coefficients that L1 makes zero: {(models['L1'].coef_ == 0).sum()} of 10")


def residuals(train, test, ax):
    """What is not linear shows as a bent line."""
    models = {
        "linear": GradientLinearRegressor(),
        "network": MLPRegressor(max_iter=30, **FIT),
    }
    models = {name: model.fit(*train) for name, model in models.items()}
    ResidualsDisplay.from_estimator(models, *test, max_points=700, ax=ax)
    for name, model in models.items():
        print(f"R² of the {name} model: {model.score(*test):.3f}")


def probabilities(X, y, ax):
    """Predicted probabilities against frequencies."""
    train_X, X, train_y, y = train_test_split(X, y, test_size=0.5, random_state=0)
    models = {
        "linear": GradientLinearClassifier(alpha=0.01),
        "network": MLPClassifier(max_iter=30, **FIT),
        "boosted trees": HistGradientBoostingClassifier(random_state=0),
    }
    models = {name: model.fit(train_X, train_y) for name, model in models.items()}
    CalibrationDisplay.from_estimator(models, X, y, n_bins=6, ax=ax)


def quantiles(X, y, ax):
    """Nine quantile regressions, one point each."""
    train_X, X, train_y, y = train_test_split(X, y, test_size=0.5, random_state=0)
    models = [
        GradientLinearRegressor(loss=Quantile(level)).fit(train_X, train_y)
        for level in np.linspace(0.1, 0.9, 9)
    ]
    display = CalibrationDisplay.from_estimator(models, X, y, ax=ax)
    (curve,) = display.curves.values()
    error = np.abs(np.subtract(curve.claimed, curve.observed)).max()
    print(f"Largest error of a share below a quantile: {error:.3f}")


def main():
    X, y = load_diabetes(return_X_y=True, as_frame=True)
    tumours = load_breast_cancer(return_X_y=True)
    train_X, test_X, train_y, test_y = diamonds()
    figure, axes = plt.subplots(3, 2, figsize=(14, 15), layout="constrained")
    training_of_a_network(X, y, axes[0, 0])
    optimizers(*tumours, axes[0, 1])
    coefficients(X, y, axes[1, 0])
    residuals((train_X, train_y), (test_X, test_y), axes[1, 1])
    probabilities(*tumours, axes[2, 0])
    quantiles(X, y, axes[2, 1])
    figure.savefig(FIGURE, dpi=90)
    print(f"Figure: {FIGURE}")


if __name__ == "__main__":
    main()
