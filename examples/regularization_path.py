"""Regularisation paths: how strong a penalty, chosen by cross-validation, for any loss.

Beside scikit-learn's where it has them: the lasso (`LassoCV`) on diabetes data with all
squares and products, and logistic regression with an L1 penalty
(`LogisticRegressionCV`) on breast cancer data. Then what it has not: prices of
diamonds, whose errors are relative (a gamma loss), with coefficients that may not be
negative for what makes a stone larger; and diabetes with Huber's loss after some
targets were misread.

Saves one figure next to this file.
"""

from pathlib import Path
from time import perf_counter

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.linear_model import LassoCV, LogisticRegressionCV
from sklearn.model_selection import StratifiedKFold, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from skgrad import GradientElasticNetClassifierCV, GradientElasticNetCV, losses
from skgrad.plotting import CoefficientPathDisplay, CrossValidationPathDisplay

HERE = Path(__file__).parent
FIGURE = Path(__file__).with_suffix(".png")


def timed(model, X, y):
    """Return the fitted model and the seconds of its fit."""
    began = perf_counter()
    model.fit(X, y)
    return model, perf_counter() - began


def diabetes():
    """Return scaled inputs, their squares and products, with names; and targets."""
    X, y = load_diabetes(return_X_y=True, as_frame=True)
    products = PolynomialFeatures(2, include_bias=False).fit(X)
    names = products.get_feature_names_out()
    table = pd.DataFrame(StandardScaler().fit_transform(products.transform(X)))
    return table.set_axis(names, axis=1), y


def lasso():
    """The lasso's path, alone and beside scikit-learn's."""
    X, y = diabetes()
    ours = GradientElasticNetCV(l1_ratio=1.0, standardize=False, eps=1e-3, tol=1e-6)
    ours, seconds = timed(ours, X, y)
    theirs, their_seconds = timed(
        LassoCV(alphas=ours.alphas_, tol=1e-6, max_iter=10**5), X, y
    )
    difference = np.abs(2 * ours.loss_path_ / theirs.mse_path_ - 1).max()
    print(f"Lasso, {X.shape[1]} features, {len(ours.alphas_)} strengths, 5 folds")
    print(f"  alpha   skgrad {ours.alpha_:.4f}   LassoCV {theirs.alpha_:.4f}")
    print(f"  seconds skgrad {seconds:.3f}    LassoCV {their_seconds:.3f}")
    print(f"  largest difference of held-out squared errors {difference:.1e}")
    sparse = GradientElasticNetCV(l1_ratio=1.0, select="1se").fit(X, y)
    print(
        f"  features: {np.count_nonzero(ours.coef_)} with the least error, "
        f"{np.count_nonzero(sparse.coef_)} within one standard error of it\n"
    )
    return ours


def logistic():
    """Logistic regression with L1 on standardised inputs."""
    X, y = load_breast_cancer(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    folds = list(StratifiedKFold(5).split(X, y))
    ours = GradientElasticNetClassifierCV(
        l1_ratio=1.0, standardize=False, alphas=10, eps=0.02, cv=folds
    )
    ours, seconds = timed(ours, X, y)
    theirs = LogisticRegressionCV(
        Cs=1 / (0.8 * len(y) * ours.alphas_),
        l1_ratios=(1.0,),
        solver="saga",
        scoring="neg_log_loss",
        cv=folds,
        max_iter=2000,
        random_state=0,
        use_legacy_attributes=False,
    )
    theirs, their_seconds = timed(theirs, X, y)
    their_losses = -theirs.scores_.mean(axis=0).ravel()
    print("Logistic regression with L1, 30 features, 10 strengths, 5 folds")
    print(f"  seconds skgrad {seconds:.3f}    LogisticRegressionCV {their_seconds:.3f}")
    print("  held-out log loss along the path, from the strongest penalty")
    print("   ", " ".join(f"{v:.4f}" for v in ours.mean_loss_), " skgrad")
    print("   ", " ".join(f"{v:.4f}" for v in their_losses), " scikit-learn\n")


def diamonds():
    """Return measurements, squares, products and indicators of grades; and prices."""
    data = pd.read_csv(HERE / "data" / "diamonds.csv")
    sizes = ["carat", "depth", "table", "x", "y", "z"]
    products = PolynomialFeatures(2, include_bias=False).fit(data[sizes])
    names = products.get_feature_names_out()
    numbers = pd.DataFrame(products.transform(data[sizes]), columns=names)
    grades = pd.get_dummies(data[["cut", "color", "clarity"]], dtype=float)
    return train_test_split(numbers.join(grades), data["price"], random_state=0)


def prices():
    """Relative errors of prices: what a gamma loss is for."""
    train, test, price, price_test = diamonds()
    lasso = make_pipeline(StandardScaler(), LassoCV(alphas=30, max_iter=10**5))
    models = {
        "LassoCV": lasso,
        "LassoCV of log(price)": TransformedTargetRegressor(
            lasso, func=np.log, inverse_func=np.exp
        ),
        "skgrad, gamma, signs": GradientElasticNetCV(
            loss="gamma",
            l1_ratio=1.0,
            alphas=30,
            monotonic_cst=dict.fromkeys(("carat", "x", "y", "z"), 1),
        ),
    }
    print(f"Prices of {len(test)} diamonds by {train.shape[1]} features")
    print(f"  {'':24}{'relative error':>15}{'sum of predictions':>20}{'seconds':>9}")
    for name, unfitted in models.items():
        model, seconds = timed(unfitted, train, price)
        predicted = model.predict(test)
        error = np.mean(np.abs(predicted / price_test - 1))
        total = predicted.sum() / price_test.sum()
        print(f"  {name:24}{error:15.1%}{total:20.1%}{seconds:9.2f}")
    print()


def misread():
    """Some targets of diabetes with a digit too many."""
    X, y = diabetes()
    train, test, y_train, y_test = train_test_split(X, y, random_state=0)
    wrong = np.random.default_rng(0).choice(len(train), 15, replace=False)
    y_train = y_train.to_numpy().copy()
    y_train[wrong] *= 10
    print("Diabetes, 15 of 331 targets with a zero too many: held-out mean error")
    for loss in (losses.SquaredError(), losses.Huber(delta=50.0)):
        model = GradientElasticNetCV(loss=loss, l1_ratio=1.0).fit(train, y_train)
        error = np.mean(np.abs(model.predict(test) - y_test))
        print(f"  {loss!r:24}{error:8.1f}")


def main():
    model = lasso()
    logistic()
    prices()
    misread()
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(13, 4.8), layout="constrained", width_ratios=(1.25, 1)
    )
    CoefficientPathDisplay.from_estimator(model, ax=left)
    CrossValidationPathDisplay.from_estimator(model, ax=right)
    figure.savefig(FIGURE, dpi=110)
    print(f"\nFigure: {FIGURE.name}")


if __name__ == "__main__":
    main()
