"""The main job: fit linear models and networks on real data inside scikit-learn.

Two data sets that come with scikit-learn: the progression of diabetes (442 rows, 10
columns, regression) and breast cancer (569 rows, 30 columns, two classes). Every model
is cross-validated on the same five folds. The tuned networks search loss, learning
rate and hidden layers inside each fold, so their scores are honest too.

Prints one table and saves the loss curves to quickstart.png.
"""

import time
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    StratifiedKFold,
    cross_validate,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skgrad
from skgrad import (
    GradientLinearClassifier,
    GradientLinearRegressor,
    MLPClassifier,
    MLPRegressor,
)

FIGURE = Path(__file__).with_suffix(".png")


def tuned(network, grid):
    """Return a pipeline with a network whose parameters are searched by 3 folds."""
    pipeline = make_pipeline(StandardScaler(), network)
    name = type(network).__name__.lower()
    grid = {f"{name}__{parameter}": values for parameter, values in grid.items()}
    return GridSearchCV(pipeline, grid, cv=3, n_jobs=2)


def focal(y_true, log_odds):
    """The log loss with less weight on rows that are right already (Lin et al. 2017).

    A plain function like this one is all a new loss takes.
    """
    margin = skgrad.where(y_true > 0.5, log_odds, -log_odds)
    return skgrad.sigmoid(-margin) ** 2 * skgrad.softplus(-margin)


def regressors():
    network = MLPRegressor(max_iter=60, alpha=0.1, random_state=0)
    grid = {
        "loss": ["squared_error", "huber"],
        "learning_rate": [3e-3, 1e-2],
        "hidden_layer_sizes": [(16,), (32, 16)],
    }
    return {
        "GradientLinearRegressor": GradientLinearRegressor(),
        "GradientLinearRegressor, Huber": GradientLinearRegressor(loss="huber"),
        "MLPRegressor, tuned": tuned(network, grid),
        "LinearRegression": LinearRegression(),
        "HistGradientBoostingRegressor": HistGradientBoostingRegressor(random_state=0),
    }


def classifiers():
    network = MLPClassifier(max_iter=60, alpha=1e-3, random_state=0)
    grid = {
        "loss": ["log_loss", focal],
        "learning_rate": [3e-3, 1e-2],
        "hidden_layer_sizes": [(16,), (32, 16)],
    }
    return {
        "GradientLinearClassifier": GradientLinearClassifier(alpha=0.01),
        "MLPClassifier, tuned": tuned(network, grid),
        "LogisticRegression": make_pipeline(
            StandardScaler(), LogisticRegression(max_iter=1000)
        ),
        "HistGradientBoostingClassifier": HistGradientBoostingClassifier(
            random_state=0
        ),
    }


def compare(title, models, X, y, folds):
    """Cross-validate the models and print a row for each."""
    print(f"\n{title:44}{'score':>16}{'fit seconds':>14}")
    for name, model in models.items():
        found = cross_validate(model, X, y, cv=folds)
        score, seconds = found["test_score"], found["fit_time"].mean()
        print(f"{name:44}{score.mean():8.3f} ± {score.std():.3f}{seconds:14.3f}")


def draw_loss_curves(diabetes, cancer):
    """Fit a network to each data set, with a validation set, and draw the curves."""
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
    networks = [
        ("diabetes, squared error", MLPRegressor, diabetes),
        ("breast cancer, log loss", MLPClassifier, cancer),
    ]
    for axis, (title, network, (X, y)) in zip(axes, networks, strict=True):
        model = network(
            learning_rate=0.003, early_stopping=True, max_iter=100, random_state=0
        )
        model.fit(X, y)
        epochs = np.arange(1, len(model.loss_curve_) + 1)
        axis.plot(epochs, model.loss_curve_, label="training")
        axis.plot(epochs, -np.array(model.validation_scores_), label="validation")
        best = model.fit_report_["best_epoch"]
        axis.axvline(best, color="grey", linestyle=":", label=f"best epoch ({best})")
        axis.set(title=title, xlabel="epoch", ylabel="mean loss per sample")
        axis.legend()
    figure.savefig(FIGURE, dpi=150)


def main():
    # 60 epochs are a choice here, not an oversight: the search compares them as such.
    warnings.simplefilter("ignore", ConvergenceWarning)
    start = time.perf_counter()
    diabetes = load_diabetes(return_X_y=True)
    cancer = load_breast_cancer(return_X_y=True)
    compare(
        "diabetes (R², 5 folds)",
        regressors(),
        *diabetes,
        KFold(5, shuffle=True, random_state=0),
    )
    compare(
        "breast cancer (accuracy, 5 folds)",
        classifiers(),
        *cancer,
        StratifiedKFold(5, shuffle=True, random_state=0),
    )
    draw_loss_curves(diabetes, cancer)
    print(f"\nLoss curves: {FIGURE}")
    print(f"Done in {time.perf_counter() - start:.0f} s.")


if __name__ == "__main__":
    main()
