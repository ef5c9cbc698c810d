"""Constraints: a regression whose coefficients are positive and sum to one.

Such coefficients are shares: here of five regressors in a blend of their predictions.
The constraint is a part of the model (`nn.parametrize`), so that any optimizer fits it;
L-BFGS finds the solution that a quadratic programme gives, to the digits shown.
"""

import numpy as np
from scipy.optimize import minimize
from sklearn.datasets import load_diabetes
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR

from skgrad import ModuleRegressor, nn

MODELS = {
    "LinearRegression": LinearRegression(),
    "KNeighborsRegressor": make_pipeline(StandardScaler(), KNeighborsRegressor(15)),
    "SVR": make_pipeline(StandardScaler(), SVR(C=50.0)),
    "RandomForestRegressor": RandomForestRegressor(200, random_state=0),
    "HistGradientBoosting": HistGradientBoostingRegressor(random_state=0),
}


class Blend(nn.Module):
    """A weighted mean of the columns."""

    def __init__(self, n_features, n_outputs):
        super().__init__()
        mean = nn.Linear(n_features, n_outputs, bias=False)
        self.mean = nn.parametrize(mean, "weight", nn.Simplex())

    def forward(self, x):
        return self.mean(x)


def quadratic_programme(P, y):
    """Return the shares by SLSQP, as a reference."""
    scale = y.std()
    result = minimize(
        lambda w: np.mean((P @ w - y) ** 2) / scale**2,
        np.full(P.shape[1], 1 / P.shape[1]),
        jac=lambda w: 2 * P.T @ (P @ w - y) / len(y) / scale**2,
        bounds=[(0, 1)] * P.shape[1],
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
        options={"ftol": 1e-14},
    )
    return result.x


def main():
    X, y = load_diabetes(return_X_y=True)
    folds = KFold(5, shuffle=True, random_state=0)
    P = np.column_stack(
        [cross_val_predict(model, X, y, cv=folds) for model in MODELS.values()]
    )
    # The constraint is meant for the predictions as they are, not standardised ones.
    blend = ModuleRegressor(
        module=Blend, optimizer="lbfgs", standardize=False, max_iter=500, tol=1e-9
    )
    blend.fit(P, y)
    shares = blend.module_.mean.weight.numpy()[0]
    exact = quadratic_programme(P, y)

    print(f"{'':24}{'share':>8}{'exact':>8}{'RMSE alone':>12}")
    for name, share, reference, column in zip(MODELS, shares, exact, P.T, strict=True):
        error = np.sqrt(np.mean((column - y) ** 2))
        # An exact 0 is the limit of a softmax; adding 0 hides the sign of -0.
        print(f"{name:24}{share:8.3f}{round(reference, 3) + 0:8.3f}{error:12.2f}")
    print(f"{'sum':24}{shares.sum():8.3f}{exact.sum():8.3f}")
    for name, weights in (("blend", shares), ("equal shares", np.full(5, 0.2))):
        error = np.sqrt(np.mean((P @ weights - y) ** 2))
        print(f"{name:40}{error:12.2f}")


if __name__ == "__main__":
    main()
