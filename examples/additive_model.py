"""Additive models: a curve for each column, and how sure we are of it.

Prices of 6000 diamonds and the progress of diabetes in 442 patients, each predicted by
a linear model, an additive model and boosted trees, in cross-validation. An additive
model bends its lines where the data say so, and nowhere else: nobody has to know that
prices go with the logarithm of the weight. Its effects can be drawn, with intervals,
and each has a test. What depends on several columns at once is for trees, unless a term
says so.

Saves one figure next to this file.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_diabetes
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression
from sklearn.metrics import d2_tweedie_score, make_scorer
from sklearn.model_selection import KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder

from skgrad import AdditiveRegressor, GradientLinearRegressor
from skgrad.plotting import PartialEffectDisplay

DATA = Path(__file__).parent / "data"
FIGURE = Path(__file__).with_suffix(".png")
GRADES = ["cut", "color", "clarity"]
GAMMA = make_scorer(d2_tweedie_score, power=2)


def compare(models, X, y, scoring, n_splits=5):
    """Print the score of each model: the mean over folds, and its standard error."""
    folds = KFold(n_splits, shuffle=True, random_state=0)
    for name, model in models.items():
        scores = cross_val_score(model, X, y, cv=folds, scoring=scoring)
        error = scores.std(ddof=1) / np.sqrt(n_splits)
        print(f"{name:26}{scores.mean():7.4f}  ± {error:.4f}")
    print()


def linear(*steps):
    """Return a linear gamma model with an indicator of each grade."""
    indicators = OneHotEncoder(drop="first", sparse_output=False)
    columns = make_column_transformer(
        (indicators, GRADES), *steps, remainder="passthrough"
    )
    return make_pipeline(columns, GradientLinearRegressor(loss="gamma"))


def diamonds():
    """Predict prices from carats, proportions and grades, errors being in percent."""
    data = pd.read_csv(DATA / "diamonds.csv")
    X, y = data[["carat", "depth", "table", *GRADES]], data["price"]
    X = X.astype(dict.fromkeys(GRADES, "category"))
    print("Diamonds: explained part of the gamma deviance")
    models = {
        "linear": linear(),
        "linear, logarithm of carat": linear((FunctionTransformer(np.log), ["carat"])),
        "additive": AdditiveRegressor(loss="gamma"),
        "boosted trees": HistGradientBoostingRegressor(loss="gamma", random_state=0),
    }
    compare(models, X, y, GAMMA)
    model = AdditiveRegressor(loss="gamma").fit(X, y)
    print(model.summary(), end="\n\n")
    display = PartialEffectDisplay.from_estimator(model, X)
    display.figure_.savefig(FIGURE, dpi=150)


def diabetes():
    """Predict the progress of a disease, where little is to be bent."""
    X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
    print("Diabetes: R²")
    models = {
        "linear": LinearRegression(),
        "additive": AdditiveRegressor(),
        "boosted trees": HistGradientBoostingRegressor(random_state=0),
    }
    compare(models, X, y, "r2", n_splits=10)
    model = AdditiveRegressor().fit(X, y)
    curved = [
        f"{name} ({edf:.1f})"
        for name, edf in zip(model.term_names_, model.edf_, strict=True)
        if edf > 1.5
    ]
    print("Columns with a curve (degrees of freedom):", ", ".join(curved))


if __name__ == "__main__":
    diamonds()
    diabetes()
